"""
Which part of a chunk, or of the working array, a step of a plan touches.

A part keeps the rank of what it selects from, with one exception: points, whose axes become one
axis in front.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from storekit.typing import AnyArray, Shape

__all__ = ["Box", "Mesh", "Part", "Points", "part_axes", "part_shape", "put", "take", "view"]

Box: TypeAlias = tuple[slice, ...]
"""One slice an axis, each with a start, a stop and a positive step; a view of the array."""


@dataclass(slots=True)
class Mesh:
    """The outer product of one slice or index array an axis, as in `oindex`."""

    axes: tuple[slice | AnyArray, ...]

    def index(self) -> Any:
        """What to index an array with."""
        if sum(isinstance(axis, np.ndarray) for axis in self.axes) <= 1:
            return self.axes  # a lone index array stays in its place among slices
        return np.ix_(*(_as_array(axis) for axis in self.axes))


@dataclass(slots=True)
class Points:
    """
    Elements at zipped coordinates on some axes, as in `vindex`; slices on the others. (Not frozen,
    like all that is made for each chunk or selection: to freeze takes three times as long.)

    Args:
        axes: The axes that the coordinates are for.

        coords: One index array for each of these axes, all of one length.

        rest: The slices for the remaining axes, in their order.
    """

    axes: tuple[int, ...]
    coords: tuple[AnyArray, ...]
    rest: tuple[slice, ...]

    def index(self) -> Any:
        """What to index an array with that has the axes of the points in front."""
        return (*self.coords, *self.rest)

    def view(self, array: AnyArray) -> AnyArray:
        """The array with the axes of the points in front."""
        others = [axis for axis in range(array.ndim) if axis not in self.axes]
        return array.transpose([*self.axes, *others])


Part: TypeAlias = Box | Mesh | Points


def view(array: AnyArray, box: Iterable[int | slice | None]) -> AnyArray:
    """A basic selection as a view, even where it leaves no axis and numpy would give a scalar."""
    picked: AnyArray = array[(*box, ...)]
    return picked


def take(array: AnyArray, part: Part) -> AnyArray:
    """The part of an array: a view for a box, a copy otherwise."""
    if isinstance(part, Mesh):
        return _pick(array, part.index())
    if isinstance(part, Points):
        return _pick(part.view(array), part.index())
    return view(array, part)


def put(array: AnyArray, part: Part, values: AnyArray) -> None:
    """Write values over a part of an array; they are broadcast to the shape of the part."""
    if isinstance(part, Mesh):
        array[part.index()] = values
    elif isinstance(part, Points):
        part.view(array)[part.index()] = values
    else:
        array[part] = values


def part_shape(part: Part) -> Shape:
    """The shape of ``take(array, part)``."""
    if isinstance(part, Points):
        return (len(part.coords[0]), *(_length(axis) for axis in part.rest))
    axes = part.axes if isinstance(part, Mesh) else part
    return tuple([_length(axis) for axis in axes])


def part_axes(part: Part) -> tuple[tuple[range | AnyArray, ...], tuple[int, ...]]:
    """
    The part as a plan takes it: one range or index array an axis, and the axes that are zipped.
    """
    if not isinstance(part, Points):
        axes = part.axes if isinstance(part, Mesh) else part
        return tuple([_as_range(axis) for axis in axes]), ()
    rest = iter(part.rest)
    coords = dict(zip(part.axes, part.coords, strict=True))
    ndim = len(part.axes) + len(part.rest)
    return tuple(
        coords[a] if a in coords else _as_range(next(rest)) for a in range(ndim)
    ), part.axes


def _pick(array: AnyArray, index: Any) -> AnyArray:
    picked: AnyArray = array[index]
    return picked


def _as_range(axis: slice | AnyArray) -> range | AnyArray:
    return range(axis.start, axis.stop, axis.step or 1) if isinstance(axis, slice) else axis


def _as_array(axis: slice | AnyArray) -> AnyArray:
    return np.arange(axis.start, axis.stop, axis.step or 1) if isinstance(axis, slice) else axis


def _length(axis: slice | AnyArray) -> int:
    return (
        len(range(axis.start, axis.stop, axis.step or 1)) if isinstance(axis, slice) else len(axis)
    )
