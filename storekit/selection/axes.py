"""
The chunks that the indices of one axis touch, laid out in columns.

A plan is the product of its axes, so a column has an entry for each chunk along one axis: its
label, the place in the working array, the part of the chunk, and how much of it that is. Columns
are made for a run of chunks at a time, with as little Python code for each of them as can be.

Pure functions, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np

from storekit.typing import AnyArray

__all__ = ["COVERS", "PARTIAL", "WHOLE", "Axis", "IndexAxis", "PointAxis", "RangeAxis"]

L = TypeVar("L")

PARTIAL, COVERS, WHOLE = 0, 1, 2
"""
How much of a chunk a step touches: a part; all of it that lies within the array; every element.
"""

Columns: TypeAlias = tuple[list[Any], list[Any], list[Any], list[int]]
"""Labels, places in the working array, parts of the chunk, extents."""


class Axis(Protocol):
    """
    What a plan is a product of.

    Args:
        count: How many chunks are touched.
    """

    count: int

    def columns(self, run: range, label: Callable[[int, int], L]) -> Columns:
        """The columns for some of the chunks, which are counted from 0, in ascending order."""


class RangeAxis:
    """The chunks that a range touches, of which each can be computed by itself."""

    __slots__ = ("_chunk", "_first", "_number", "_picked", "_size", "count")

    def __init__(self, number: int, picked: range, size: int, chunk: int) -> None:
        self._number, self._picked, self._size, self._chunk = number, picked, size, chunk
        self._first = picked.start // chunk
        if not picked or picked.step > chunk:
            self.count = len(picked)  # no two elements share a chunk
        else:
            self.count = picked[-1] // chunk - self._first + 1

    def columns(self, run: range, label: Callable[[int, int], L]) -> Columns:
        """As every axis."""
        if self._picked.step != 1:
            return self._strided(run, label)
        number, chunk, size = self._number, self._chunk, self._size
        start, stop = self._picked.start, self._picked.stop
        labels, wheres, parts, extents = [], [], [], []
        for index in range(self._first + run.start, self._first + run.stop):
            base = index * chunk
            first = start - base if start > base else 0
            last = stop - base if stop < base + chunk else chunk
            labels.append(label(number, index))
            wheres.append(slice(base + first - start, base + last - start, 1))
            parts.append(slice(first, last, 1))
            touched = last - first
            extents.append(
                WHOLE if touched == chunk else COVERS if touched == size - base else PARTIAL
            )
        return labels, wheres, parts, extents

    def _strided(self, run: range, label: Callable[[int, int], L]) -> Columns:
        number, picked = self._number, self._picked
        chunk, size = self._chunk, self._size
        start, step = picked.start, picked.step
        if step > chunk:
            indices: Sequence[int] = [i // chunk for i in picked[run.start : run.stop]]
            bounds: Sequence[int] = range(run.start, run.stop + 1)
        else:
            indices = range(self._first + run.start, self._first + run.stop)
            # In the working array: the first elements at or after the edges of chunks.
            bounds = [
                min(max(-((start - edge * chunk) // step), 0), len(picked))
                for edge in range(indices.start, indices.stop + 1)
            ]
        labels, wheres, parts, extents = [], [], [], []
        for index, (low, high) in zip(indices, pairwise(bounds), strict=True):
            base = index * chunk
            labels.append(label(number, index))
            wheres.append(slice(low, high, 1))
            parts.append(slice(picked[low] - base, picked[high - 1] - base + 1, step))
            touched = high - low
            extents.append(
                WHOLE if touched == chunk else COVERS if touched == size - base else PARTIAL
            )
        return labels, wheres, parts, extents


class IndexAxis:
    """
    The chunks that an array of indices touches.

    Args:
        ordered: Whether the places in the working array are slices, because no chunk is touched
            again after another.
    """

    __slots__ = ("_bounds", "_heads", "_local", "_number", "_order", "count", "ordered")

    def __init__(self, number: int, indices: AnyArray, chunk: int) -> None:
        self._number, (ids, self._local) = number, np.divmod(indices, chunk)
        self._bounds = _bounds(ids)
        self._heads = ids[self._bounds[:-1]]
        self.ordered = len(self._heads) < 2 or bool((self._heads[1:] > self._heads[:-1]).all())
        if not self.ordered:
            self._order = ids.argsort(kind="stable")
            ids, self._local = ids[self._order], self._local[self._order]
            self._bounds = _bounds(ids)
            self._heads = ids[self._bounds[:-1]]
        self.count = len(self._heads)

    def columns(self, run: range, label: Callable[[int, int], L]) -> Columns:
        """As every axis."""
        number, local = self._number, self._local
        spans = list(pairwise(self._bounds[run.start : run.stop + 1].tolist()))
        labels = [label(number, i) for i in self._heads[run.start : run.stop].tolist()]
        wheres = [slice(a, b, 1) if self.ordered else self._order[a:b] for a, b in spans]
        return labels, wheres, [local[a:b] for a, b in spans], [PARTIAL] * len(spans)


class PointAxis:
    """
    The chunks in which the points of zipped index arrays lie.

    Labels are tuples of one label for each of the zipped axes; parts are tuples of coordinates.
    Places are slices where the points of a chunk are neighbours in the working array.
    """

    __slots__ = ("_bounds", "_heads", "_local", "_numbers", "_order", "count")

    def __init__(
        self, numbers: Sequence[int], coords: Sequence[AnyArray], chunks: Sequence[int]
    ) -> None:
        split = np.divmod(np.array(coords), np.array(chunks)[:, np.newaxis])
        # Points of a chunk become neighbours, in the order in which they are given.
        self._order = np.lexsort(split[0][::-1])
        ids, self._local = ([row[self._order] for row in rows] for rows in split)
        self._numbers, self._bounds = numbers, _bounds(*ids)
        self._heads = [row[self._bounds[:-1]] for row in ids]
        self.count = len(self._bounds) - 1

    def columns(self, run: range, label: Callable[[int, int], L]) -> Columns:
        """As every axis."""
        order, bounds = self._order, self._bounds[run.start : run.stop + 1]
        spans = list(pairwise(bounds.tolist()))
        labels = [
            [label(number, i) for i in heads[run.start : run.stop].tolist()]
            for number, heads in zip(self._numbers, self._heads, strict=True)
        ]
        # Places ascend within a chunk, so the first and the last tell whether they are neighbours.
        firsts, lasts = order[bounds[:-1]].tolist(), order[bounds[1:] - 1].tolist()
        wheres = [
            slice(first, last + 1, 1) if last - first == b - a - 1 else order[a:b]
            for first, last, (a, b) in zip(firsts, lasts, spans, strict=True)
        ]
        coords = [[row[a:b] for a, b in spans] for row in self._local]
        return (
            list(zip(*labels, strict=True)),
            wheres,
            list(zip(*coords, strict=True)),
            [PARTIAL] * len(spans),
        )


def _bounds(*columns: AnyArray) -> AnyArray:
    """Where the half-open runs begin and end in which none of the columns changes."""
    changes = np.zeros(len(columns[0]) + 1, bool)
    changes[0] = changes[-1] = True
    inner = changes[1:-1]
    for column in columns:
        inner |= column[1:] != column[:-1]
    return changes.nonzero()[0]
