"""
What a chunk or a node costs when there are many: flat lines are what one hopes for.

The counts grow tenfold. A library is left out as soon as the next count would take it longer than
its share of the time; storekit and `limit` go to the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np

from benchmarks.adapters import Adapter, Handle, UnsupportedError
from benchmarks.adapters.base import Shape
from benchmarks.adapters.limit import Limit
from benchmarks.adapters.registry import LIMIT, SUBJECT
from benchmarks.adapters.storekit import StorekitMemory
from benchmarks.data import Array, field
from benchmarks.env import Env, reference
from benchmarks.layout import DTYPE, Layout, array_document
from benchmarks.measure import Cell, describe, run_round
from benchmarks.workloads import tree
from benchmarks.workloads.base import Trial, expect
from benchmarks.workloads.tree import Members

__all__ = ["SERIES", "Series", "measure_growth"]

EDGE = 2
"""Of the chunks, in elements: 32 bytes, so that only what surrounds them counts."""

CHUNKS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
NODES = (10, 100, 1_000, 10_000, 100_000)

_TO_THE_END = (SUBJECT, LIMIT, StorekitMemory.name)
_CALLS = 100
"""Of an operation whose cost is that of one call, or of a few nodes."""

Tree: TypeAlias = tuple[Path, Members]


@dataclass(frozen=True)
class Series:
    """
    One plot: the cost of one operation against a count.

    Args:
        name: Its title.

        of: What is counted.

        counts: How many.

        prepare: Makes the trial of one library for one count.

        once: Whether only its first round counts: it has warmed up by itself.
    """

    name: str
    of: str
    counts: tuple[int, ...]
    prepare: Callable[[int, Env, Adapter], Trial]
    once: bool = False


def measure_growth(adapters: Iterable[Adapter], env: Env) -> list[dict[str, object]]:
    """For each series its name, what it counts, and by library pairs of a count and seconds."""
    adapters = [*adapters, StorekitMemory()]
    return [_measure(series, adapters, env) for series in SERIES]


def _measure(series: Series, adapters: list[Adapter], env: Env) -> dict[str, object]:
    lines: dict[str, list[tuple[int, float]]] = {}
    failures: dict[str, str] = {}
    for count in (n for n in series.counts if n <= env.sizes.grown):
        left = []
        for adapter in adapters:
            start = time.perf_counter()
            try:
                trial = series.prepare(count, env, adapter)
                first = Cell()
                run_round(trial, first)
                taken = time.perf_counter() - start
                cell = first if series.once else _again(trial, first)
            except UnsupportedError:
                continue
            except Exception as error:  # noqa: BLE001 - one library's failure is not the run's
                failures[adapter.name] = describe(error)
                continue
            lines.setdefault(adapter.name, []).append((count, cell.median))
            if adapter.name in _TO_THE_END or 10 * taken < env.sizes.share:
                left.append(adapter)
        adapters = left
        env.clear()
    return {"name": series.name, "of": series.of, "lines": lines, "failures": failures}


def _again(trial: Trial, first: Cell) -> Cell:
    """More rounds, for a tenth of a second; the first counts only if it took all of that."""
    cell = Cell()
    deadline = time.perf_counter() + 0.1 - first.seconds[0] * trial.count
    while len(cell.seconds) < 10 and time.perf_counter() < deadline:
        run_round(trial, cell)
    return cell if cell.seconds else first


def _layout(count: int) -> Layout:
    """An array of three dimensions with so many chunks, a power of ten."""
    power = len(str(count)) - 1
    x, y, z = (10 ** ((power + 2 - axis) // 3) * EDGE for axis in range(3))
    return Layout((x, y, z), (EDGE,) * 3)


@lru_cache(1)
def _files(layout: Layout) -> dict[str, bytes]:
    """Every chunk by its key, and the document."""
    x, y, z = (n // EDGE for n in layout.shape)
    chunks = field(layout.shape).reshape(x, EDGE, y, EDGE, z, EDGE).transpose(0, 2, 4, 1, 3, 5)
    files = {
        f"c/{i}/{j}/{k}": chunks[i, j, k].tobytes()
        for i in range(x)
        for j in range(y)
        for k in range(z)
    }
    return _document(layout) | files


def _document(layout: Layout) -> dict[str, bytes]:
    return {"zarr.json": json.dumps(array_document(layout)).encode()}


def _read(open_array: Callable[[], Handle], source: Array, count: int) -> Trial:
    return Trial(
        setup=open_array,
        run=lambda handle: handle.read(...),
        check=lambda found: expect(found, source),
        count=count,
    )


def _read_memory(count: int, env: Env, adapter: Adapter) -> Trial:
    layout = _layout(count)
    handle = adapter.load(_files(layout), layout)
    return _read(lambda: handle, field(layout.shape), count)


def _read_tmpfs(count: int, env: Env, adapter: Adapter) -> Trial:
    if adapter.own_format:
        raise UnsupportedError
    layout = _layout(count)
    path = env.fast / f"all-{count}"  # one for all libraries
    if not path.exists():
        Limit().create(path, layout).write(..., field(layout.shape))
    return _read(lambda: adapter.open(path, layout), field(layout.shape), count)


def _read_nothing(count: int, env: Env, adapter: Adapter) -> Trial:
    layout = _layout(count)
    handle = adapter.load(_document(layout), layout)
    return _read(lambda: handle, np.zeros(layout.shape, DTYPE), count)


def _open_and_read_one(count: int, env: Env, adapter: Adapter) -> Trial:
    if adapter.own_format:
        raise UnsupportedError
    layout = _layout(count)
    path = env.fresh()
    last = tuple(slice(n - EDGE, n) for n in layout.shape)
    source = field(layout.shape)[last]
    Limit().create(path, layout).write(last, source)

    def check(found: list[Array]) -> None:
        for chunk in found:
            expect(chunk, source)

    return Trial(
        setup=lambda: path,
        run=lambda path: [adapter.open(path, layout).read(last) for _ in range(_CALLS)],
        check=check,
        count=_CALLS,
    )


def _create(count: int, env: Env, adapter: Adapter) -> Trial:
    path = env.fresh()

    def setup() -> Members:
        env.remove(path)
        return tree.members(count, unseen=True)

    def run(wanted: Members) -> Members:
        adapter.create_tree(path, wanted)
        return wanted

    return Trial(
        setup=setup,
        run=run,
        check=lambda wanted: tree.expect_members(reference(adapter).list_tree(path), wanted),
        count=count,
    )


def _list(count: int, env: Env, adapter: Adapter) -> Trial:
    trees = [_tree("list", count, i, env, adapter) for i in range(max(1, _CALLS // count))]

    def run(trees: list[Tree]) -> list[tuple[dict[str, Shape], Members]]:
        return [(adapter.list_tree(path), wanted) for path, wanted in trees]

    def check(result: list[tuple[dict[str, Shape], Members]]) -> None:
        for found, wanted in result:
            tree.expect_members(found, wanted)

    run([_tree("warm up", 1, 0, env, adapter)])
    return Trial(lambda: trees, run, check, count * len(trees))


def _open_member(count: int, env: Env, adapter: Adapter) -> Trial:
    path, wanted = _tree("open", count, 0, env, adapter)
    chosen = dict(list(wanted.items())[:: max(1, count // _CALLS)])

    def run(tree: Tree) -> tuple[dict[str, Shape], Members]:
        path, members = tree
        opened = {n: adapter.open_member(path, n, members[n]).shape for n in members}
        return opened, members

    run(_tree("warm up", 1, 0, env, adapter))
    return Trial(
        setup=lambda: (path, chosen),
        run=run,
        check=lambda result: tree.expect_members(*result),
        count=len(chosen),
    )


def _tree(what: str, count: int, number: int, env: Env, adapter: Adapter) -> Tree:
    """A group that no library has met in this series; it is made once for all that can read it."""
    writer = reference(adapter)
    path = env.fast / f"{what}-{count}-{number}-{writer.name}"
    wanted = _members(count, path)
    if not path.exists():
        writer.plant_tree(path, wanted)
    return path, wanted


@cache
def _members(count: int, path: Path) -> Members:
    """The same whenever the same path is asked for, and others at every other path."""
    return tree.members(count, unseen=True)


SERIES = [
    Series("read all chunks, memory", "chunks", CHUNKS, _read_memory),
    Series("read all chunks, tmpfs", "chunks", CHUNKS[:-1], _read_tmpfs),
    Series("plan and look up: none is stored", "chunks", CHUNKS, _read_nothing),
    Series("open the array, read one chunk", "chunks", CHUNKS, _open_and_read_one),
    Series("create an array in a group", "nodes", NODES, _create),
    Series("list a group", "nodes", NODES, _list, once=True),
    Series("open one array of a group", "nodes", NODES, _open_member, once=True),
]
