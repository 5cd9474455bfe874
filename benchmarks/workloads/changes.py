"""Small changes of arrays in a memory-backed folder: one element, and some rows more."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.adapters import Adapter
from benchmarks.data import Array, field
from benchmarks.env import Env, reference
from benchmarks.layout import Layout
from benchmarks.workloads.base import Trial, Workload, WrongResultError, expect

__all__ = ["WORKLOADS"]

SHAPE = (128, 128, 128)
CHUNKS = (64, 64, 64)
ROWS = 64
"""What one append adds: four chunks in an array of `SHAPE[1:]` columns."""

Point = tuple[int, ...]


def _update(codec: str, env: Env, adapter: Adapter) -> Trial:
    layout = Layout(SHAPE, CHUNKS, codec)
    path = env.fresh()
    handle = adapter.create(path, layout)
    expected = field(SHAPE).copy()
    handle.write(..., expected)
    rng = np.random.default_rng(3)

    def setup() -> list[Point]:
        return [tuple(p) for p in rng.integers(0, SHAPE, (env.sizes.updates, 3)).tolist()]

    def run(points: list[Point]) -> list[Point]:
        for value, point in enumerate(points):
            handle.write(point, value + 0.5)
        return points

    def check(points: list[Point]) -> None:
        for value, point in enumerate(points):
            expected[point] = value + 0.5
        expect(reference(adapter).open(path, layout).read(...), expected)

    return Trial(setup, run, check, env.sizes.updates)


def _append(offset: int, env: Env, adapter: Adapter) -> Trial:
    source = field(SHAPE)
    rows = source[:ROWS]
    start = Layout((ROWS + offset, *SHAPE[1:]), CHUNKS, "lz4")
    path = env.fresh()
    handle = adapter.create(path, start)
    handle.write(..., source[: ROWS + offset])
    length = ROWS + offset

    def run(rows: Array) -> None:
        handle.append(rows)

    def check(_: None) -> None:
        nonlocal length
        length += ROWS
        found = reference(adapter).open(path, start)
        if found.shape != (length, *SHAPE[1:]):
            raise WrongResultError(f"the shape is {found.shape}")
        columns = (slice(0, SHAPE[1]), slice(0, SHAPE[2]))
        expect(found.read((slice(length - ROWS, length), *columns)), rows)
        expect(found.read((slice(0, ROWS + offset), *columns)), source[: ROWS + offset])

    return Trial(lambda: rows, run, check)


WORKLOADS = [
    Workload("update one element, uncompressed", "us", partial(_update, "none")),
    Workload("update one element, blosc lz4 shuffle", "us", partial(_update, "lz4")),
    Workload("append, aligned", "us", partial(_append, 0)),
    Workload("append, unaligned", "us", partial(_append, 32)),
]
