"""Which chunks a box touches, and where their parts belong: the planning of `limit`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from types import EllipsisType
from typing import TypeAlias

from benchmarks.adapters.base import Selection, Shape

__all__ = ["Index", "Slices", "Step", "bounds", "plan", "split"]

Index: TypeAlias = tuple[int, ...]
Slices: TypeAlias = tuple[slice, ...]
Step: TypeAlias = tuple[tuple[int, slice, slice], ...]
"""For each axis: which chunk, what is wanted of it, and where that belongs."""


def bounds(selection: Selection, shape: Shape) -> Slices:
    """A selection as one slice with both ends for each axis."""
    if isinstance(selection, EllipsisType):
        return tuple(slice(0, n) for n in shape)
    pairs = zip(selection, shape, strict=True)
    return tuple(
        slice(*s.indices(n)[:2]) if isinstance(s, slice) else slice(s, s + 1) for s, n in pairs
    )


def plan(box: Slices, chunks: Shape) -> tuple[Iterator[Step], int]:
    """The chunks under a box in order, in an iterator that threads can share, and their number."""
    axes = [list(_axis(s.start, s.stop, n)) for s, n in zip(box, chunks, strict=True)]
    return itertools.product(*axes), math.prod(map(len, axes))


def split(step: Step) -> tuple[Index, Slices, Slices]:
    """The index of the chunk, the part of it, and the place of the part."""
    index, part, where = zip(*step, strict=True)
    return index, part, where


def _axis(start: int, stop: int, size: int) -> Iterator[tuple[int, slice, slice]]:
    for i in range(start // size, -(-stop // size)):
        low, high = max(start, i * size), min(stop, (i + 1) * size)
        yield i, slice(low - i * size, high - i * size), slice(low - start, high - start)
