"""
What an index expression means for an array of a given shape.

Every kind of indexing ends in one form: for each axis an ascending range or an array of indices,
and the axes whose index arrays are zipped. What numpy's syntax adds (dropped and new axes, reversed
ones, the place of the zipped axes in the result) is kept as a recipe that turns the result into the
working array of a plan, where possible as a view.

Source: the numpy user guide, "Indexing on ndarrays"; numpy enhancement proposal 21 for `oindex` and
`vindex`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, cast

import numpy as np

from storekit.errors import SelectionError, ShapeError
from storekit.selection.items import Index, array_of, expand, in_bounds, is_array
from storekit.selection.part import view
from storekit.typing import AnyArray, DType, Shape

__all__ = ["Selection", "select", "select_blocks", "select_orthogonal", "select_vectorised"]

_ALL, _REVERSED = slice(None), slice(None, None, -1)

_PLAIN = frozenset({int, slice, EllipsisType})


@dataclass(slots=True)
class Selection:
    """
    A selection, resolved against a shape.

    Args:
        axes: For each axis of the array an ascending range, or an array of indices.

        points: The axes whose index arrays are zipped.

        shape: The shape of the result, as numpy would give it.

        recipe: How the result is indexed to become the working array, before points are moved in
            front.

        block: The place and the shape of the zipped axes in the result; None without points.
    """

    axes: tuple[range | AnyArray, ...]
    points: tuple[int, ...]
    shape: Shape
    recipe: tuple[int | slice | None, ...]
    block: tuple[int, Shape] | None

    def result(self, dtype: DType) -> tuple[AnyArray, AnyArray]:
        """A new array for the result, and the view of it that is the working array."""
        if self.block is None:
            result = np.empty(self.shape, dtype)
            return result, view(result, self.recipe)
        at, block = self.block
        rest = [len(axis) for i, axis in enumerate(self.axes) if i not in self.points]
        work = np.empty((len(self.axes[self.points[0]]), *rest), dtype)
        inside = work.reshape((*block, *rest))
        if at:
            inside = np.moveaxis(inside, range(len(block)), range(at, at + len(block)))
        # The recipe, undone: ranges are reversed again, and new axes are there.
        return view(inside, (None if step == 0 else step for step in self.recipe)), work

    def arrange(self, values: AnyArray) -> AnyArray:
        """
        Values for the result, in the form of the working array; a view without points.

        Raises:
            ShapeError: If they cannot be broadcast to the shape of the result.
        """
        if values.shape != self.shape:
            values = self._broadcast(values)
        values = view(values, self.recipe)
        if self.block is None:
            return values
        at, block = self.block
        if at:
            values = np.moveaxis(values, range(at, at + len(block)), range(len(block)))
        return values.reshape((len(self.axes[self.points[0]]), *values.shape[len(block) :]))

    def _broadcast(self, values: AnyArray) -> AnyArray:
        extra = values.ndim - len(self.shape)
        if extra > 0 and set(values.shape[:extra]) == {1}:
            values = values.reshape(values.shape[extra:])
        try:
            return np.broadcast_to(values, self.shape)
        except ValueError:
            raise ShapeError(
                f"cannot write values of shape {values.shape} to a selection of shape {self.shape}"
            ) from None


def select(selection: Any, shape: Shape) -> Selection:
    """
    ``array[selection]`` as numpy reads it: ints, slices, ellipsis, newaxis, integer and boolean
    arrays.

    Raises:
        SelectionError: If the selection does not fit the shape or is of no kind that numpy knows.
    """
    given = selection if isinstance(selection, tuple) else (selection,)
    if len(given) <= len(shape) and _PLAIN.issuperset(map(type, given)):
        # Most selections: 1.2 us, where spelling everything out takes 5.
        dots = given.count(...)
        if not dots and len(given) < len(shape):
            given, dots = (*given, ...), 1
        if dots <= 1:
            return _outer(given, shape)
    items, gap = expand(given, shape)
    if not any(isinstance(item, np.ndarray) for item in items):
        return _outer(items, shape)
    zipped = [i for i, item in enumerate(items) if isinstance(item, np.ndarray | int)]
    # numpy leaves the zipped axes in place if nothing stands between them, not even an ellipsis
    # that is short for no axis; else it puts them in front.
    together = zipped[-1] - zipped[0] == len(zipped) - 1 and not zipped[0] < gap <= zipped[-1]
    return _zip(items, shape, zipped[0] if together else 0)


def select_vectorised(selection: Any, shape: Shape) -> Selection:
    """
    ``array.vindex[selection]``: index arrays are zipped, and their axes come first in the result.

    Raises:
        SelectionError: As for `select`.
    """
    items, _ = expand(selection, shape)
    return (
        _zip(items, shape, 0)
        if any(isinstance(i, np.ndarray) for i in items)
        else _outer(items, shape)
    )


def select_orthogonal(selection: Any, shape: Shape) -> Selection:
    """
    ``array.oindex[selection]``: each axis by itself, by an int, a slice, or a 1-d array of indices
    or booleans.

    Raises:
        SelectionError: As for `select`, and for arrays of more dimensions.
    """
    for item in selection if isinstance(selection, tuple) else (selection,):
        if is_array(item) and array_of(item).ndim > 1:
            raise SelectionError(
                f"oindex takes 1-d arrays, found one of {np.ndim(item)} dimensions"
            )
    return _outer(expand(selection, shape)[0], shape)


def select_blocks(selection: Any, shape: Shape, chunks: Shape) -> Selection:
    """
    ``array.blocks[selection]``: whole chunks, by their indices in the grid; ints and slices of step
    1.

    Raises:
        SelectionError: If a block lies outside the grid, or a slice has a step.
    """
    grid = tuple(-(-size // chunk) for size, chunk in zip(shape, chunks, strict=True))
    elements: list[slice] = []
    for item, size, chunk, count in zip(
        expand(selection, grid)[0], shape, chunks, grid, strict=False
    ):
        if isinstance(item, int):
            blocks = range(item, item + 1)
        elif isinstance(item, slice) and item.step in (None, 1):
            blocks = range(*item.indices(count))
        else:
            raise SelectionError(f"blocks takes ints and slices of step 1, found {item!r}")
        elements.append(
            slice(blocks.start * chunk, min(max(blocks.start, blocks.stop) * chunk, size))
        )
    return _outer(elements, shape)


def _outer(items: Sequence[Any], shape: Shape) -> Selection:
    """
    Each axis by itself.

    Args:
        items: As `expand` gives them; or ints and slices, in or out of bounds, with one ellipsis if
            they are fewer than the axes.

        shape: Of the array.
    """
    axes: list[range | AnyArray] = []
    result: list[int] = []
    recipe: list[int | slice | None] = []
    for item in items:
        axis = len(axes)
        if isinstance(item, int):
            size = shape[axis]
            place = item if 0 <= item < size else cast("int", in_bounds(item, axis, size))
            axes.append(range(place, place + 1))
            recipe.append(None)
        elif isinstance(item, slice):
            picked, step = _ascending(item, shape[axis])
            axes.append(picked)
            result.append(len(picked))
            recipe.append(step)
        elif item is None:
            result.append(1)
            recipe.append(0)
        elif item is Ellipsis:
            whole = shape[axis : axis + len(shape) - len(items) + 1]
            axes.extend(map(range, whole))
            result.extend(whole)
            recipe.extend([_ALL] * len(whole))
        else:
            axes.append(item)
            result.append(len(item))
            recipe.append(_ALL)
    return Selection(tuple(axes), (), tuple(result), tuple(recipe), None)


def _zip(items: list[Index], shape: Shape, at: int) -> Selection:
    """Index arrays, and ints with them, as points; `at` is their place among the items."""
    arrays = [item for item in items if isinstance(item, np.ndarray | int)]
    try:
        block = np.broadcast(*arrays).shape
    except ValueError:
        shapes = ", ".join(str(np.shape(a)) for a in arrays)
        raise SelectionError(
            f"index arrays do not broadcast together: their shapes are {shapes}"
        ) from None
    axes: list[range | AnyArray] = []
    points: list[int] = []
    around: list[
        tuple[int, int | slice]
    ] = []  # length in the result, and recipe, of all but the points
    before = 0
    for place, item in enumerate(items):
        if isinstance(item, np.ndarray | int):
            points.append(len(axes))
            axes.append(_flat(item, block))
            continue
        if item is None:
            around.append((1, 0))
        else:
            picked, step = _ascending(item, shape[len(axes)])
            axes.append(picked)
            around.append((len(picked), step))
        before += place < at
    lengths = [length for length, _ in around]
    steps = [step for _, step in around]
    result = (*lengths[:before], *block, *lengths[before:])
    recipe = (*steps[:before], *(_ALL for _ in block), *steps[before:])
    # New axes are dropped by the recipe before the points are moved.
    kept = sum(1 for step in steps[:before] if step != 0)
    return Selection(tuple(axes), tuple(points), result, recipe, (kept, block))


def _flat(item: int | AnyArray, block: Shape) -> AnyArray:
    if isinstance(item, int) or item.shape != block:
        item = np.broadcast_to(np.asarray(item, np.intp), block)
    return item.reshape(-1)


def _ascending(item: slice, size: int) -> tuple[range, slice]:
    """The elements of a slice as an ascending range, and how the result steps through it."""
    try:
        picked = range(*item.indices(size))
    except (TypeError, ValueError) as error:
        raise SelectionError(f"invalid slice {item!r}: {error}") from None
    if not picked:
        return range(0), _ALL
    if picked.step == 1:
        return picked, _ALL
    if len(picked) == 1:  # a step of 10**20 would be more than numpy can count
        return range(picked[0], picked[0] + 1), _ALL
    return (picked, _ALL) if picked.step > 0 else (picked[::-1], _REVERSED)
