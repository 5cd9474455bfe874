"""Arrays in single files: whole, in parts, and changed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.adapters import Adapter, Handle
from benchmarks.data import Array, field
from benchmarks.env import Env, Sizes
from benchmarks.layout import Layout
from benchmarks.workloads.base import Trial, Workload, WrongResultError, expect
from benchmarks.workloads.changes import CHUNKS, ROWS, SHAPE
from benchmarks.workloads.parts import Draw, corners, one_by_one, points, windows_of

__all__ = ["WORKLOADS"]

_WHOLE = {"lz4 shuffle": "lz4", "zstd-3 bitshuffle": "zstd-3 bitshuffle"}


def _layout(codec: str, sizes: Sizes) -> Layout:
    return Layout(sizes.bulk, (64, 64, 64), codec)


def _read(codec: str, env: Env, adapter: Adapter) -> Trial:
    layout = _layout(codec, env.sizes)
    path = env.framed(adapter, layout)
    return Trial(
        setup=lambda: adapter.open_frame(path, layout),
        run=lambda handle: handle.read(...),
        check=lambda result: expect(result, field(layout.shape)),
    )


def _read_memory(codec: str, env: Env, adapter: Adapter) -> Trial:
    layout = _layout(codec, env.sizes)
    handle = adapter.create_frame(None, layout)
    handle.write(..., field(layout.shape))
    return Trial(
        setup=lambda: handle,
        run=lambda handle: handle.read(...),
        check=lambda result: expect(result, field(layout.shape)),
    )


def _write(codec: str, env: Env, adapter: Adapter) -> Trial:
    layout = _layout(codec, env.sizes)
    source = field(layout.shape)
    path = env.fresh()

    def setup() -> Handle:
        env.remove(path)
        return adapter.create_frame(path, layout)

    def check(_: None) -> None:
        expect(adapter.open_frame(path, layout).read(...), source)
        env.remove(path)

    return Trial(setup, lambda handle: handle.write(..., source), check)


def _write_memory(codec: str, env: Env, adapter: Adapter) -> Trial:
    layout = _layout(codec, env.sizes)
    source = field(layout.shape)

    def run(handle: Handle) -> Handle:
        handle.write(..., source)
        return handle

    return Trial(
        setup=lambda: adapter.create_frame(None, layout),
        run=run,
        check=lambda handle: expect(handle.read(...), source),
    )


def _open(env: Env, adapter: Adapter) -> Trial:
    layout = _layout("lz4", env.sizes)
    path = env.framed(adapter, layout)

    def check(handles: list[Handle]) -> None:
        if any(handle.shape != layout.shape for handle in handles):
            raise WrongResultError("the shape is another one")

    return Trial(
        setup=lambda: None,
        run=lambda _: [adapter.open_frame(path, layout) for _ in range(env.sizes.updates)],
        check=check,
        count=env.sizes.updates,
    )


def _parts(draw: Draw, env: Env, adapter: Adapter) -> Trial:
    layout = _layout("lz4", env.sizes)
    path = env.framed(adapter, layout)
    selections = draw(env.sizes, layout)
    wanted = np.stack([field(layout.shape)[selection] for selection in selections])
    return Trial(
        setup=lambda: adapter.open_frame(path, layout),
        run=lambda handle: one_by_one(handle, selections),
        check=lambda results: expect(np.stack(results), wanted),
        count=len(selections),
    )


def _vindex(env: Env, adapter: Adapter) -> Trial:
    layout = _layout("lz4", env.sizes)
    path = env.framed(adapter, layout)
    coords = tuple(corners(layout, 1, env.sizes.points).T)
    return Trial(
        setup=lambda: adapter.open_frame(path, layout),
        run=lambda handle: handle.points(coords),
        check=lambda result: expect(result, field(layout.shape)[coords]),
        count=env.sizes.points,
    )


def _changed(env: Env, adapter: Adapter, shape: tuple[int, int, int]) -> tuple[Path, Layout]:
    layout = Layout(shape, CHUNKS, "lz4")
    path = env.fresh()
    adapter.create_frame(path, layout).write(..., field(SHAPE)[: shape[0]])
    return path, layout


def _update(env: Env, adapter: Adapter) -> Trial:
    path, layout = _changed(env, adapter, SHAPE)
    handle = adapter.open_frame(path, layout)
    expected = field(SHAPE).copy()
    rng = np.random.default_rng(3)

    def setup() -> list[tuple[int, ...]]:
        return [tuple(p) for p in rng.integers(0, SHAPE, (env.sizes.updates, 3)).tolist()]

    def run(points: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        for value, point in enumerate(points):
            handle.write(point, value + 0.5)
        return points

    def check(points: list[tuple[int, ...]]) -> None:
        for value, point in enumerate(points):
            expected[point] = value + 0.5
        expect(adapter.open_frame(path, layout).read(...), expected)

    return Trial(setup, run, check, env.sizes.updates)


def _append(env: Env, adapter: Adapter) -> Trial:
    path, layout = _changed(env, adapter, (ROWS, *SHAPE[1:]))
    handle = adapter.open_frame(path, layout)
    rows = field(SHAPE)[:ROWS]
    length = ROWS

    def check(_: None) -> None:
        nonlocal length
        length += ROWS
        found = adapter.open_frame(path, layout)
        if found.shape != (length, *SHAPE[1:]):
            raise WrongResultError(f"the shape is {found.shape}")
        columns = (slice(0, SHAPE[1]), slice(0, SHAPE[2]))
        expect(found.read((slice(length - ROWS, length), *columns)), rows)

    def run(rows: Array) -> None:
        handle.append(rows)

    return Trial(lambda: rows, run, check)


WORKLOADS = [
    *(
        Workload(f"b2nd file, read, {name}", "ms", partial(_read, codec))
        for name, codec in _WHOLE.items()
    ),
    *(
        Workload(f"b2nd in memory, read, {name}", "ms", partial(_read_memory, codec))
        for name, codec in _WHOLE.items()
    ),
    *(
        Workload(f"b2nd file, write, tmpfs, {name}", "ms", partial(_write, codec))
        for name, codec in _WHOLE.items()
    ),
    *(
        Workload(f"b2nd in memory, write, {name}", "ms", partial(_write_memory, codec))
        for name, codec in _WHOLE.items()
    ),
    Workload("b2nd file, open", "us", _open),
    Workload("b2nd file, random points, one by one", "us", partial(_parts, points)),
    Workload("b2nd file, random points, one vindex", "us", _vindex),
    Workload("b2nd file, random 16^3 windows", "us", partial(_parts, partial(windows_of, 16))),
    Workload("b2nd file, update one element", "us", _update),
    Workload("b2nd file, append, aligned", "us", _append),
]
