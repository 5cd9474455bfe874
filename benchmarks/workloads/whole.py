"""Reading and writing whole arrays: in chunks of 1 MiB, in shards, and in chunks of 16 KiB."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from benchmarks.adapters import Adapter, Handle, UnsupportedError
from benchmarks.data import field
from benchmarks.env import Env, Sizes, reference
from benchmarks.layout import Layout
from benchmarks.workloads.base import Trial, Workload, expect

__all__ = ["WORKLOADS", "Choose", "bulk", "shards", "small"]

Choose: TypeAlias = Callable[[Sizes], Layout]
Count: TypeAlias = Callable[[Layout], int]


def bulk(codec: str) -> Choose:
    """Chunks of 1 MiB."""

    def choose(sizes: Sizes) -> Layout:
        return Layout(sizes.gzip if codec == "gzip-5" else sizes.bulk, (64, 64, 64), codec)

    return choose


def shards(sizes: Sizes) -> Layout:
    """Large shards of 128 KiB chunks."""
    return Layout(sizes.bulk, (32, 32, 32), "zstd-1", sizes.shards)


def small(codec: str) -> Choose:
    """Chunks of 16 KiB."""
    return lambda sizes: Layout(sizes.small, (16, 16, 16), codec)


def _chosen(choose: Choose, env: Env, adapter: Adapter) -> Layout:
    layout = choose(env.sizes)
    if not adapter.supports(layout):
        raise UnsupportedError
    return layout


def _read(setup: Callable[[], Handle], layout: Layout, count: Count) -> Trial:
    return Trial(
        setup=setup,
        run=lambda handle: handle.read(...),
        check=lambda result: expect(result, field(layout.shape)),
        count=count(layout),
    )


def _disk(choose: Choose, count: Count, env: Env, adapter: Adapter) -> Trial:
    layout = _chosen(choose, env, adapter)
    path = env.stored(adapter, layout)
    # Opened anew for each round: no library may answer from a cache of the round before.
    return _read(lambda: adapter.open(path, layout), layout, count)


def _memory(choose: Choose, count: Count, env: Env, adapter: Adapter) -> Trial:
    layout = choose(env.sizes)
    handle = adapter.load(env.files(layout), layout)
    return _read(lambda: handle, layout, count)


def _write(choose: Choose, count: Count, env: Env, adapter: Adapter) -> Trial:
    layout = _chosen(choose, env, adapter)
    source = field(layout.shape)
    path = env.fresh()

    def setup() -> Handle:
        env.remove(path)
        return adapter.create(path, layout)

    def check(_: None) -> None:
        expect(reference(adapter).open(path, layout).read(...), source)
        # Whoever comes next gets memory that has been used before, not what a virtual machine has
        # yet to be given: that made 30 ms of 60.
        env.remove(path)

    return Trial(
        setup=setup,
        run=lambda handle: handle.write(..., source),
        check=check,
        count=count(layout),
    )


def _one(_: Layout) -> int:
    return 1


def _chunks(layout: Layout) -> int:
    return math.prod(n // c for n, c in zip(layout.shape, layout.chunks, strict=True))


_BULK: dict[str, Choose] = {
    "uncompressed": bulk("none"),
    "blosc lz4 shuffle": bulk("lz4"),
    "blosc zstd-3 bitshuffle": bulk("zstd-3 bitshuffle"),
    "zstd-1": bulk("zstd-1"),
    "gzip-5": bulk("gzip-5"),
    "b2nd (the default)": bulk("b2nd"),
    "shards, zstd-1": shards,
}
_SMALL: dict[str, Choose] = {"uncompressed": small("none"), "blosc lz4 shuffle": small("lz4")}
_WRITTEN = [
    "uncompressed",
    "blosc lz4 shuffle",
    "zstd-1",
    "b2nd (the default)",
    "shards, zstd-1",
]

WORKLOADS = [
    *(
        Workload(f"bulk read, disk, {name}", "ms", partial(_disk, choose, _one))
        for name, choose in _BULK.items()
    ),
    *(
        Workload(f"bulk read, memory, {name}", "ms", partial(_memory, _BULK[name], _one))
        for name in ("uncompressed", "blosc lz4 shuffle")
    ),
    *(
        Workload(f"bulk write, tmpfs, {name}", "ms", partial(_write, _BULK[name], _one))
        for name in _WRITTEN
    ),
    *(
        Workload(f"small chunks, read, disk, {name}", "us", partial(_disk, choose, _chunks))
        for name, choose in _SMALL.items()
    ),
    Workload("small chunks, read, memory", "us", partial(_memory, small("none"), _chunks)),
    Workload("small chunks, write, tmpfs", "us", partial(_write, small("none"), _chunks)),
]
