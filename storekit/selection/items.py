"""
The items of an index expression: what stands between numpy's brackets, checked and spelled out.

Source: the numpy user guide, "Indexing on ndarrays".
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, TypeAlias, cast

import numpy as np

from storekit.errors import SelectionError
from storekit.typing import AnyArray, Shape

__all__ = ["Index", "array_of", "expand", "in_bounds", "is_array"]

Index: TypeAlias = "int | slice | AnyArray | None"


def expand(selection: Any, shape: Shape) -> tuple[list[Index], int]:
    """
    The items of a selection with the ellipsis spelled out, masks as index arrays, everything in
    bounds; and where the ellipsis stood, given or implied.

    Raises:
        SelectionError: If the selection does not fit the shape or is of no kind that numpy knows.
    """
    given = selection if isinstance(selection, tuple) else (selection,)
    found = [pair for item in given for pair in _convert(item)]
    gaps = [i for i, (item, _) in enumerate(found) if item is Ellipsis]
    used = sum(item is not None for item, _ in found) - len(gaps)
    if len(gaps) > 1:
        raise SelectionError("a selection can have only one ellipsis ('...')")
    if used > len(shape):
        raise SelectionError(f"too many indices: {used} for an array of {len(shape)} dimensions")
    at = gaps[0] if gaps else len(found)
    found[at : at + 1] = [(slice(None), None)] * (len(shape) - used)
    items: list[Index] = []
    axis = 0
    for item, expected in found:
        if item is None:
            items.append(None)
            continue
        if expected is not None and expected != shape[axis]:
            raise SelectionError(
                f"a boolean index of length {expected} does not fit axis {axis}"
                f" of size {shape[axis]}"
            )
        items.append(in_bounds(item, axis, shape[axis]))
        axis += 1
    return items, at


def in_bounds(item: Any, axis: int, size: int) -> Index:
    """
    An index or index array for an axis of this size, counted from its beginning; slices as they
    are.

    Raises:
        SelectionError: If it is out of bounds.
    """
    if isinstance(item, slice):
        return item
    if isinstance(item, int):
        low = high = item
    else:
        item = item.astype(np.intp)  # a copy: what is checked here must not change later
        if not item.size:
            return cast("AnyArray", item)
        low, high = int(item.min()), int(item.max())
    if low < -size or high >= size:
        worst = low if low < -size else high
        raise SelectionError(f"index {worst} is out of bounds for axis {axis} of size {size}")
    if low < 0:
        item = item + size if low == high else np.where(item < 0, item + size, item)
    return cast("int | AnyArray", item)


def is_array(item: Any) -> bool:
    """Whether numpy takes an item for an array of indices or booleans."""
    return isinstance(item, np.ndarray | list | tuple | range) or (
        hasattr(item, "__array__") and np.ndim(item) > 0
    )


def array_of(item: Any) -> AnyArray:
    """
    Such an item as an array.

    Raises:
        SelectionError: If its rows are of unequal length.
    """
    try:
        return np.asarray(item)
    except ValueError as error:
        raise SelectionError(f"not an index array: {error}") from None


def _convert(item: Any) -> Iterable[tuple[Any, int | None]]:
    """
    What an item stands for: of a mask an index array an axis, each with the length of its axis.
    """
    if item is None or item is Ellipsis or isinstance(item, slice):
        return [(item, None)]
    if isinstance(item, bool | np.bool_):
        raise SelectionError(f"a single boolean is no index, found {item!r}")
    if isinstance(item, int | np.integer):
        return [(int(item), None)]
    if is_array(item):
        array = array_of(item)
        if array.ndim == 0 and array.dtype.kind in "iu":
            return [(int(array), None)]
        if array.dtype == bool and array.ndim:
            return zip(array.nonzero(), array.shape, strict=True)
        if array.size == 0 and not isinstance(item, np.ndarray):
            array = array.astype(np.intp)  # an empty list, which numpy makes an array of floats
        if array.dtype.kind not in "iu":
            raise SelectionError(f"index arrays hold ints or booleans, found {array.dtype}")
        return [(array, None)]
    try:
        return [(operator.index(item), None)]
    except TypeError:
        raise SelectionError(
            "an index is an int, a slice, '...', None (newaxis), or an array of ints or booleans,"
            f" found {type(item).__name__} {item!r:.60}"
        ) from None
