"""Carries out plans on chunks in memory: the least that a reader and a writer do."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from storekit.selection.parse import Selection
from storekit.selection.part import part_shape, put, take
from storekit.selection.plan import GridPlan

Index = tuple[int, ...]


def plan_of(selection: Selection, shape: Index, chunks: Index) -> GridPlan[Any, Index]:
    """The plan of a selection, in which chunks are named by their place in the grid."""

    def label(axis: int, index: int) -> tuple[int, int]:
        return axis, index

    def join(labels: Any) -> Index:
        assert [axis for axis, _ in labels] == list(range(len(shape)))
        return tuple(index for _, index in labels)

    return GridPlan(selection.axes, selection.points, shape, chunks, label, join)


def cut(array: np.ndarray, chunks: Index, pad: Any = -1) -> dict[Index, np.ndarray]:
    """An array as whole chunks, padded beyond its edge."""
    grid = [range(-(-n // c)) for n, c in zip(array.shape, chunks, strict=True)]
    made = {}
    for index in product(*grid):
        chunk = np.full(chunks, pad, array.dtype)
        part = array[tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, chunks, strict=True))]
        chunk[tuple(slice(n) for n in part.shape)] = part
        made[index] = chunk
    return made


def join_chunks(
    made: dict[Index, np.ndarray], shape: Index, chunks: Index, dtype: Any
) -> np.ndarray:
    """The array again; nothing may have been written to the padding."""
    array = np.zeros(shape, dtype)
    for index, chunk in made.items():
        place = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, chunks, strict=True))
        inside = tuple(slice(n) for n in array[place].shape)
        array[place] = chunk[inside]
        padding = np.ones(chunks, bool)
        padding[inside] = False
        assert (chunk[padding] == -1).all()
    return array


def read(array: np.ndarray, selection: Selection, chunks: Index) -> np.ndarray:
    """What a reader that follows the plan gives."""
    made = cut(array, chunks)
    result, work = selection.result(array.dtype)
    result[...] = -2
    plan = plan_of(selection, array.shape, chunks)
    assert plan.shape == work.shape
    for name, where, part, _ in plan:
        assert part_shape(where) == part_shape(part) == take(made[name], part).shape
        put(work, where, take(made[name], part))
    return result


def write(array: np.ndarray, selection: Selection, chunks: Index, values: np.ndarray) -> np.ndarray:
    """What a writer that follows the plan makes of an array."""
    made = cut(array, chunks)
    work = selection.arrange(values)
    for name, where, part, _ in plan_of(selection, array.shape, chunks):
        put(made[name], part, take(work, where))
    return join_chunks(made, array.shape, chunks, array.dtype)
