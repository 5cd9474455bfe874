"""
From a selection to the chunks that it touches.

A plan yields one step a chunk: a name for the chunk, where in the working array its part belongs,
which part of the chunk that is, and how much of the chunk it covers. Plans are lazy: boxes of at
most `BOX` chunks are laid out at a time, each as the product of columns, one an axis, so that a
step costs C iterators only.

Pure functions, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise, product
from math import prod
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from storekit.selection.part import Mesh, Part, Points
from storekit.typing import AnyArray, Shape

__all__ = ["COVERS", "PARTIAL", "WHOLE", "GridPlan", "Step"]

L = TypeVar("L")
K = TypeVar("K")

PARTIAL, COVERS, WHOLE = 0, 1, 2
"""
How much of a chunk a step touches: a part; all of it that lies within the array; every element.
"""

BOX = 4096


class Step(NamedTuple, Generic[K]):
    """
    What to do with one chunk. (Plans yield plain tuples of these four.)

    Args:
        name: What the plan calls the chunk.

        where: The place in the working array.

        part: The part of the chunk.

        extent: `PARTIAL`, `COVERS` or `WHOLE`.
    """

    name: K
    where: Part
    part: Part
    extent: int


class GridPlan(Generic[L, K]):
    """
    The chunks of a regular grid that a selection touches, in C order; with points, first by the
    chunks in which points lie.

    Args:
        axes: For every axis of the array a range with a positive step, or an array of indices, all
            within the shape.

        points: The axes whose index arrays, all of one length, are zipped; those of other axes are
            crossed.

        shape: The shape of the array.

        chunks: The shape of its chunks.

        label: Makes of a chunk's index on one axis what `join` takes; called with the axis and the
            index.

        join: Makes of the labels of all axes the name of the chunk.

    The working array, of which every step names a place, has the lengths of `axes` as its shape;
    with points, their axes are one axis in front.
    """

    def __init__(
        self,
        axes: Sequence[range | AnyArray],
        points: Sequence[int],
        shape: Shape,
        chunks: Shape,
        label: Callable[[int, int], L],
        join: Callable[[tuple[L, ...]], K],
    ) -> None:
        self._label, self._join = label, join
        self._points = tuple(points)
        self._coords = [(i, np.asarray(axes[i]), chunks[i]) for i in self._points]
        self._axes = [
            _RangeAxis(i, axis, shape[i], chunks[i])
            if isinstance(axis, range)
            else _IndexAxis(i, axis, chunks[i])
            for i, axis in enumerate(axes)
            if i not in self._points
        ]
        self._mesh = any(isinstance(axis, _IndexAxis) for axis in self._axes)

    @property
    def shape(self) -> Shape:
        """The shape of the working array."""
        lengths = tuple(axis.length for axis in self._axes)
        return (len(self._coords[0][1]), *lengths) if self._points else lengths

    def __len__(self) -> int:
        groups = len(self._grouped()[1]) if self._points else 1
        return groups * prod(len(axis) for axis in self._axes)

    def __iter__(self) -> Iterator[tuple[K, Part, Part, int]]:
        return self._point_steps() if self._points else self._box_steps()

    def _box_steps(self) -> Iterator[tuple[K, Any, Any, int]]:
        for box in _boxes([len(axis) for axis in self._axes]):
            columns = [
                axis.columns(run, self._label) for axis, run in zip(self._axes, box, strict=True)
            ]
            names = map(self._join, product(*(c[0] for c in columns)))
            wheres: Iterator[Any] = product(*(c[1] for c in columns))
            parts: Iterator[Any] = product(*(c[2] for c in columns))
            if self._mesh:
                wheres, parts = map(Mesh, wheres), map(Mesh, parts)
            extents = map(partial(min, default=WHOLE), product(*(c[3] for c in columns)))
            yield from zip(names, wheres, parts, extents, strict=True)

    def _point_steps(self) -> Iterator[tuple[K, Part, Part, int]]:
        order, runs = self._grouped()
        chunk_of = [(coords // size)[order] for _, coords, size in self._coords]
        local = [(coords % size)[order] for _, coords, size in self._coords]
        ndim = len(self._points) + len(self._axes)
        slots = [*self._points, *(axis.number for axis in self._axes)]
        in_order = sorted(range(ndim), key=slots.__getitem__)
        for first, last in runs:
            labels = [
                self._label(axis, int(ids[first]))
                for axis, ids in zip(self._points, chunk_of, strict=True)
            ]
            coords = tuple(ids[first:last] for ids in local)
            places = order[first:last]
            for box in _boxes([len(axis) for axis in self._axes]):
                columns = [
                    axis.columns(run, self._label)
                    for axis, run in zip(self._axes, box, strict=True)
                ]
                for rest in product(*(zip(*c[:3], strict=True) for c in columns)):
                    every = [*labels, *(entry[0] for entry in rest)]
                    yield (
                        self._join(tuple(every[i] for i in in_order)),
                        Points((0,), (places,), tuple(entry[1] for entry in rest)),
                        Points(self._points, coords, tuple(entry[2] for entry in rest)),
                        PARTIAL,
                    )

    def _grouped(self) -> tuple[AnyArray, list[tuple[int, int]]]:
        """
        An order in which the points of a chunk are neighbours, and the run of each chunk in it.
        """
        ids = [coords // size for _, coords, size in self._coords]
        order = np.lexsort(ids[::-1])
        return order, _runs(*(axis[order] for axis in ids))


class _RangeAxis:
    """The chunks that a range touches, of which each can be computed by itself."""

    def __init__(self, number: int, picked: range, size: int, chunk: int) -> None:
        self.number, self._picked, self._size, self._chunk = number, picked, size, chunk
        self.length = len(picked)
        if not picked:
            self._count = 0
        elif picked.step > chunk:
            self._count = len(picked)  # no two elements share a chunk
        else:
            self._first = picked[0] // chunk
            self._count = picked[-1] // chunk - self._first + 1

    def __len__(self) -> int:
        return self._count

    def columns(
        self, run: range, label: Callable[[int, int], L]
    ) -> tuple[list[L], list[slice], list[slice], list[int]]:
        picked, chunk, size = self._picked, self._chunk, self._size
        start, step = picked.start, picked.step
        labels, wheres, parts, extents = [], [], [], []
        for i in run:
            if step > chunk:
                index, low, high = picked[i] // chunk, i, i + 1
            else:
                index = self._first + i
                # The first elements at or after the chunk's beginning and after its end, counted in
                # steps.
                low = max(-((start - index * chunk) // step), 0)
                high = min(-((start - (index + 1) * chunk) // step), len(picked))
            base = index * chunk
            first, last = picked[low] - base, picked[high - 1] - base + 1
            inside = min(chunk, size - base)
            full = first == 0 and last == inside and (step == 1 or inside == 1)
            labels.append(label(self.number, index))
            wheres.append(slice(low, high, 1))
            parts.append(slice(first, last, step))
            extents.append((WHOLE if inside == chunk else COVERS) if full else PARTIAL)
        return labels, wheres, parts, extents


class _IndexAxis:
    """The chunks that an array of indices touches."""

    def __init__(self, number: int, indices: AnyArray, chunk: int) -> None:
        self.number, self.length, self._chunk = number, len(indices), chunk
        ids = indices // chunk
        if (np.diff(ids) >= 0).all():
            self._order = None
        else:
            self._order = np.argsort(ids, kind="stable")
            ids, indices = ids[self._order], indices[self._order]
        self._spans = _runs(ids)
        self._ids, self._local = ids, indices % chunk

    def __len__(self) -> int:
        return len(self._spans)

    def columns(
        self, run: range, label: Callable[[int, int], L]
    ) -> tuple[list[L], list[slice | AnyArray], list[AnyArray], list[int]]:
        spans = [self._spans[i] for i in run]
        labels = [label(self.number, int(self._ids[first])) for first, _ in spans]
        if self._order is None:
            wheres: list[slice | AnyArray] = [slice(first, last, 1) for first, last in spans]
        else:
            wheres = [self._order[first:last] for first, last in spans]
        return (
            labels,
            wheres,
            [self._local[first:last] for first, last in spans],
            [PARTIAL] * len(spans),
        )


def _runs(*columns: AnyArray) -> list[tuple[int, int]]:
    """The half-open runs in which none of the columns changes."""
    size = len(columns[0])
    changes = np.zeros(max(size - 1, 0), bool)
    for column in columns:
        changes |= column[1:] != column[:-1]
    bounds = [0, *(np.flatnonzero(changes) + 1).tolist(), size]
    return list(pairwise(bounds)) if size else []


def _boxes(lengths: Sequence[int]) -> Iterator[tuple[range, ...]]:
    """Cut a grid into boxes of at most `BOX` cells that follow each other in C order."""
    if 0 in lengths:
        return
    inner, cells = len(lengths), 1
    while inner and cells * lengths[inner - 1] <= BOX:
        inner -= 1
        cells *= lengths[inner]
    if not inner:
        yield tuple(range(n) for n in lengths)
        return
    stride = BOX // cells
    cut = inner - 1
    tail = tuple(range(n) for n in lengths[inner:])
    for head in _cells(lengths[:cut]):
        for start in range(0, lengths[cut], stride):
            run = range(start, min(start + stride, lengths[cut]))
            yield (*head, run, *tail)


def _cells(lengths: Sequence[int]) -> Iterator[tuple[range, ...]]:
    """Every cell of a grid as a box; lazily, as `itertools.product` is not."""
    if not lengths:
        yield ()
        return
    for i in range(lengths[0]):
        for rest in _cells(lengths[1:]):
            yield (range(i, i + 1), *rest)
