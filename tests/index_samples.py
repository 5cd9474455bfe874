"""Strategies for shapes and index expressions, and numpy's answer to them."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

Shape = tuple[int, ...]

shapes = st.one_of(
    st.lists(st.integers(0, 9), max_size=3), st.lists(st.integers(0, 4), min_size=4, max_size=4)
).map(tuple)
"""Shapes of no to four dimensions, some of them of length zero."""


def chunk_shapes(shape: Shape) -> st.SearchStrategy[Shape]:
    """Chunk shapes for an array: smaller, equal and larger than it."""
    return st.tuples(*(st.integers(1, max(size, 1) + 2) for size in shape))


def slices(size: int) -> st.SearchStrategy[slice]:
    """Slices with any step, also beyond both ends."""
    bound = st.none() | st.integers(-size - 3, size + 3)
    step = st.sampled_from([None, 1, 1, 2, 3, 5, -1, -2, -3, 10**20, np.int8(2)])
    return st.builds(slice, bound, bound, step)


def ints(size: int) -> st.SearchStrategy[Any]:
    """Indices that fit an axis, as Python's and numpy's ints; -1 where none does."""
    value = st.integers(-size, size - 1) if size else st.just(-1)
    return value | value.map(np.int64) | value.map(np.int8) | value.map(np.array)


@st.composite
def index_arrays(draw: st.DrawFn, size: int, block: Shape) -> Any:
    """An integer array that fits an axis and can be broadcast to the shape of a block."""
    kept = block[draw(st.integers(0, len(block))) :] if block else ()
    shape = tuple(draw(st.sampled_from([n, n, n, 1])) for n in kept)
    low, high = (-size, size - 1) if size else (-1, -1)
    count = prod(shape)
    values = draw(st.lists(st.integers(low, high), min_size=count, max_size=count))
    array = np.array(values, draw(st.sampled_from(["i8", "i2", ">i4"]))).reshape(shape)
    if array.ndim and array.size:
        return draw(st.sampled_from([array, array.tolist(), tuple(array.tolist())]))
    return array


@st.composite
def masks(draw: st.DrawFn, shape: Shape) -> Any:
    """A boolean array of a shape."""
    count = prod(shape)
    values = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    array = np.array(values, bool).reshape(shape)
    return array.tolist() if array.ndim == 1 and count and draw(st.booleans()) else array


@st.composite
def index_expressions(draw: st.DrawFn, shape: Shape, *, faults: bool = False) -> Any:
    """
    What may stand between numpy's brackets: basic, integer and boolean indices, mixed.

    Args:
        shape: Of the array.

        faults: Whether some expressions do not fit the array.
    """
    block = tuple(draw(st.lists(st.sampled_from([0, 1, 2, 3, 3]), max_size=3)))
    fancy = draw(st.booleans())
    kinds = ["int", "slice", "slice", "new", "dots", "end"] + ["array", "array", "mask"] * fancy
    items: list[Any] = []
    axis = 0
    while axis < len(shape) or draw(st.integers(0, 3)) == 0:
        kind = draw(st.sampled_from(kinds))
        if kind == "end":
            break
        if kind == "new":
            items.append(None)
            continue
        if kind == "dots":
            kinds.remove("dots")
            items.append(...)
            rest = draw(st.integers(0, len(shape) - axis))
            axis = len(shape) - rest
            continue
        if axis == len(shape):
            if faults and draw(st.booleans()):
                items.append(0)  # too many indices
            break
        size = shape[axis]
        if kind == "mask":
            ndim = draw(st.integers(1, len(shape) - axis))
            items.append(draw(masks(shape[axis : axis + ndim])))
            axis += ndim
            continue
        items.append(
            draw(
                {
                    "int": ints(size),
                    "slice": slices(size),
                    "array": index_arrays(size, block),
                }[kind]
            )
        )
        axis += 1
    if faults and items:
        place = draw(st.integers(0, len(items) - 1))
        size = shape[min(place, len(shape) - 1)] if shape else 0
        wrong = [size, -size - 1, 10**30, [size], 1.5, "x", [0.5], [True] * (size + 1), ..., None]
        items[place] = draw(st.sampled_from([*wrong, items[place]]))
    if len(items) == 1 and not isinstance(items[0], list) and draw(st.booleans()):
        return items[0]
    return tuple(items)


@st.composite
def orthogonal(draw: st.DrawFn, shape: Shape) -> tuple[Any, ...]:
    """One int, slice, index array or mask for each of the first axes."""
    items = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        kind = draw(st.sampled_from(["int", "slice", "array", "mask"]))
        if kind == "array" or (kind == "int" and not size):
            items.append(draw(index_arrays(size, (draw(st.integers(0, 5)) if size else 0,))))
            items[-1] = np.atleast_1d(items[-1]) if np.ndim(items[-1]) == 0 else items[-1]
            if not size:
                items[-1] = np.zeros(0, int)
        else:
            kinds = {"int": ints(size), "slice": slices(size), "mask": masks((size,))}
            items.append(draw(kinds[kind]))
    return tuple(items)


def outer(array: np.ndarray, selection: tuple[Any, ...]) -> np.ndarray:
    """What numpy makes of an orthogonal selection, one axis after the other."""
    for axis in reversed(range(len(selection))):
        array = array[(slice(None),) * axis + (selection[axis],)]
    return array


def numbered(shape: Shape, dtype: Any = "i8") -> np.ndarray:
    """An array of which every element is another number, from 1 on."""
    return np.arange(1, prod(shape) + 1, dtype=dtype).reshape(shape)
