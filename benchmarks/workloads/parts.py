"""Random points and windows of arrays on disk: one by one, and many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks.adapters import Adapter, Handle, Selection
from benchmarks.data import Array, field
from benchmarks.env import Env, Sizes
from benchmarks.layout import Layout
from benchmarks.workloads.base import Trial, Workload, expect
from benchmarks.workloads.whole import Choose, shards, small

__all__ = [
    "WORKLOADS",
    "Draw",
    "corners",
    "in_flight",
    "one_by_one",
    "points",
    "windows",
    "windows_of",
]

Draw: TypeAlias = Callable[[Sizes, Layout], list[Selection]]
Read: TypeAlias = Callable[[Handle, Sequence[Selection]], list[Array]]


def corners(layout: Layout, edge: int, count: int) -> npt.NDArray[np.intp]:
    """Of so many cubes, the same ones for every library and in every run."""
    room = np.array(layout.shape) - edge + 1
    return np.random.default_rng(edge).integers(0, room, (count, len(room)), np.intp)


def points(sizes: Sizes, layout: Layout) -> list[Selection]:
    """As many as a run of these sizes reads."""
    return [tuple(corner) for corner in corners(layout, 1, sizes.points).tolist()]


def windows(edge: int, count: int, layout: Layout) -> list[Selection]:
    """So many cubes, the same ones for every library and in every run."""
    found = corners(layout, edge, count).tolist()
    return [tuple(slice(i, i + edge) for i in corner) for corner in found]


def windows_of(edge: int, sizes: Sizes, layout: Layout) -> list[Selection]:
    """As many cubes as a run of these sizes reads."""
    return windows(edge, sizes.windows, layout)


def one_by_one(handle: Handle, selections: Sequence[Selection]) -> list[Array]:
    """Read each when the one before has come."""
    return [handle.read(selection) for selection in selections]


def in_flight(handle: Handle, selections: Sequence[Selection]) -> list[Array]:
    """Ask for all before any has come."""
    return handle.read_many(selections)


def _selections(choose: Choose, draw: Draw, read: Read, env: Env, adapter: Adapter) -> Trial:
    layout = choose(env.sizes)
    path = env.stored(adapter, layout)
    selections = draw(env.sizes, layout)
    wanted = np.stack([field(layout.shape)[selection] for selection in selections])
    return Trial(
        setup=lambda: adapter.open(path, layout),
        run=lambda handle: read(handle, selections),
        check=lambda results: expect(np.stack(results), wanted),
        count=len(selections),
    )


def _vindex(env: Env, adapter: Adapter) -> Trial:
    layout = small("lz4")(env.sizes)
    path = env.stored(adapter, layout)
    coords = tuple(corners(layout, 1, env.sizes.points).T)
    return Trial(
        setup=lambda: adapter.open(path, layout),
        run=lambda handle: handle.points(coords),
        check=lambda result: expect(result, field(layout.shape)[coords]),
        count=env.sizes.points,
    )


def _row(name: str, choose: Choose, draw: Draw, read: Read) -> Workload:
    return Workload(name, "us", partial(_selections, choose, draw, read))


_SMALL = small("lz4")
_WINDOWS_16 = partial(windows_of, 16)
_WINDOWS_32 = partial(windows_of, 32)

WORKLOADS = [
    _row("random points, one by one", _SMALL, points, one_by_one),
    _row("random points, in flight", _SMALL, points, in_flight),
    Workload("random points, one vindex", "us", _vindex),
    _row("random 16^3 windows", _SMALL, _WINDOWS_16, one_by_one),
    _row("random 32^3 windows in shards, one by one", shards, _WINDOWS_32, one_by_one),
    _row("random 32^3 windows in shards, in flight", shards, _WINDOWS_32, in_flight),
]
