"""
From a selection to the chunks that it touches.

A plan yields one step a chunk: a name for the chunk, where in the working array its part belongs,
which part of the chunk that is, and how much of the chunk it covers. Plans are lazy: boxes of at
most `BOX` chunks are laid out at a time, each as the product of columns, one an axis, so that a
step costs C iterators only.

Pure functions, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, product, repeat
from math import prod
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from storekit.selection.axes import (
    COVERS,
    PARTIAL,
    WHOLE,
    Axis,
    IndexAxis,
    PointAxis,
    RangeAxis,
)
from storekit.selection.part import Mesh, Part, Points
from storekit.typing import AnyArray, Shape

__all__ = ["COVERS", "PARTIAL", "WHOLE", "GridPlan", "Step"]

L = TypeVar("L")
K = TypeVar("K")

BOX = 1024
"""So many chunks are laid out in half a millisecond, and hide what a box costs by itself (5 us)."""


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
        self._given, self._points, self._label, self._join = axes, points, label, join
        self._only = None if points else self._single(shape, chunks)
        if self._only is None:
            self._axes = self._lay_out(shape, chunks)
            self._counts = [axis.count for axis in self._axes]

    @property
    def shape(self) -> Shape:
        """The shape of the working array."""
        lengths = tuple(map(len, self._given))
        if not self._points:
            return lengths
        rest = [length for i, length in enumerate(lengths) if i not in self._points]
        return (lengths[self._points[0]], *rest)

    def __len__(self) -> int:
        return 1 if self._only else prod(self._counts)

    def __iter__(self) -> Iterator[tuple[K, Part, Part, int]]:
        if self._only:
            return iter((self._only,))
        steps = self._point_steps if self._points else self._grid_steps
        if 0 < prod(self._counts) <= BOX:
            return steps(list(map(range, self._counts)))
        return chain.from_iterable(map(steps, _boxes(self._counts)))

    def _single(self, shape: Shape, chunks: Shape) -> tuple[K, Part, Part, int] | None:
        """
        The only step of a plan of ranges within one chunk; None if the plan is another.

        Most reads of a point or of a small window are such. It takes 2 us, where the product of
        columns takes 7.
        """
        labels, wheres, parts, extent = [], [], [], WHOLE
        for number, picked in enumerate(self._given):
            if not isinstance(picked, range) or not picked:
                return None
            start, last, length, chunk = picked.start, picked[-1], len(picked), chunks[number]
            index = start // chunk
            base = index * chunk
            if last >= base + chunk:
                return None
            labels.append(self._label(number, index))
            wheres.append(slice(0, length, 1))
            parts.append(slice(start - base, last - base + 1, picked.step))
            if extent and length < chunk:
                extent = COVERS if length == shape[number] - base else PARTIAL
        return self._join(tuple(labels)), tuple(wheres), tuple(parts), extent

    def _lay_out(self, shape: Shape, chunks: Shape) -> list[Axis]:
        """The axes that the plan is the product of; that of the points is in front."""
        points = self._points
        rest: list[Axis] = [
            RangeAxis(i, axis, shape[i], chunks[i])
            if isinstance(axis, range)
            else IndexAxis(i, axis, chunks[i])
            for i, axis in enumerate(self._given)
            if i not in points
        ]
        if not points:
            return rest
        coords = [np.asarray(self._given[i]) for i in points]
        return [PointAxis(points, coords, [chunks[i] for i in points]), *rest]

    def _columns(self, box: Iterable[range]) -> Iterator[Any]:
        """Those of all axes: labels, places, parts, extents."""
        label = self._label
        return zip(
            *[axis.columns(run, label) for axis, run in zip(self._axes, box, strict=True)],
            strict=False,
        )

    def _grid_steps(self, box: Iterable[range]) -> Iterator[tuple[K, Any, Any, int]]:
        """The steps of a box of chunks, without points."""
        labels, wheres, parts, extents = self._columns(box)
        places: Iterator[Any] = product(*wheres)
        inner: Iterator[Any] = product(*parts)
        indexed = [axis for axis in self._axes if isinstance(axis, IndexAxis)]
        if indexed:
            inner = map(Mesh, inner)
            if not all(axis.ordered for axis in indexed):
                places = map(Mesh, places)
        return zip(
            map(self._join, product(*labels)), places, inner, _extents(extents), strict=False
        )

    def _point_steps(self, box: Iterable[range]) -> Iterator[tuple[K, Part, Part, int]]:
        """The steps of a box of chunks; along its first axis are the chunks in which points lie."""
        points, join = tuple(self._points), self._join
        labels, wheres, parts, _ = self._columns(box)
        others = [i for i in range(len(self._given)) if i not in points]
        slots = [*points, *others]
        # From the points and the others to the order of the axes.
        order = itemgetter(*map(slots.index, range(len(slots)))) if others else tuple
        cells = zip(product(*labels), product(*wheres), product(*parts), strict=True)
        for (first, *more), (place, *around), (coords, *rest) in cells:
            yield (
                join(order((*first, *more))),
                (place, *around)
                if isinstance(place, slice)
                else Points((0,), (place,), tuple(around)),
                Points(points, coords, tuple(rest)),
                PARTIAL,
            )


def _extents(columns: Sequence[list[int]]) -> Iterator[int]:
    """The extent of a chunk is the least along any axis; most often it is the same for all."""
    if not all(map(any, columns)):
        return repeat(PARTIAL)
    if min(map(min, columns)) == WHOLE:
        return repeat(WHOLE)
    return map(min, product(*columns))


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
