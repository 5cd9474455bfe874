"""One chunk to the bytes of a `.b2nd` file and back, without any store."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.adapters import Adapter
from benchmarks.adapters.base import Bytes, Shape
from benchmarks.data import Array, field
from benchmarks.env import Env
from benchmarks.layout import Layout
from benchmarks.workloads.base import Trial, Workload, expect

__all__ = ["WORKLOADS"]

DIFFERENT = 4
"""Chunks in turns, so that no compressor meets the one it has just seen."""


def _chunks(shape: Shape) -> list[Array]:
    first, *rest = shape
    source = field((first * DIFFERENT, rest[0], rest[1]))
    return [source[i * first : (i + 1) * first] for i in range(DIFFERENT)]


def _encode(shape: Shape, env: Env, adapter: Adapter) -> Trial:
    coder = adapter.frames(Layout(shape, shape, "b2nd lz4"))
    chunks = _chunks(shape) * env.sizes.frames

    def check(values: list[Bytes]) -> None:
        expect(np.stack([coder.decode(v) for v in values[:DIFFERENT]]), np.stack(_chunks(shape)))

    return Trial(
        setup=lambda: None,
        run=lambda _: [coder.encode(chunk) for chunk in chunks],
        check=check,
        count=len(chunks),
    )


def _decode(shape: Shape, env: Env, adapter: Adapter) -> Trial:
    coder = adapter.frames(Layout(shape, shape, "b2nd lz4"))
    values = [coder.encode(chunk) for chunk in _chunks(shape)]

    def run(_: object) -> list[Array]:
        for _turn in range(env.sizes.frames):
            found = [coder.decode(value) for value in values]
        return found

    return Trial(
        setup=lambda: None,
        run=run,
        check=lambda found: expect(np.stack(found), np.stack(_chunks(shape))),
        count=DIFFERENT * env.sizes.frames,
    )


_SIZES: dict[str, Shape] = {"64 KiB": (16, 32, 32), "1 MiB": (64, 64, 64)}

WORKLOADS = [
    Workload(f"one chunk {what} a b2nd frame, {size}", "us", partial(prepare, shape))
    for size, shape in _SIZES.items()
    for what, prepare in (("to", _encode), ("from", _decode))
]
