"""Selections mean what numpy says they mean, whatever the chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_samples import (
    chunk_shapes,
    index_expressions,
    masks,
    numbered,
    orthogonal,
    outer,
    shapes,
    slices,
)
from plan_runner import read, write

from storekit.errors import SelectionError, ShapeError
from storekit.selection.parse import (
    Selection,
    select,
    select_blocks,
    select_orthogonal,
    select_vectorised,
)

few = settings(max_examples=60, deadline=None)
many = settings(max_examples=250, deadline=None)


@st.composite
def cases(draw: st.DrawFn, selections: Any) -> tuple[np.ndarray, tuple[int, ...], Any]:
    """An array, a chunk shape and a selection of it."""
    shape = draw(shapes)
    return numbered(shape), draw(chunk_shapes(shape)), draw(selections(shape))


def numpy_reads(array: np.ndarray, selection: Any) -> np.ndarray | None:
    """What numpy selects; None if it raises IndexError."""
    try:
        return np.asarray(array[selection])
    except IndexError:
        return None


def ours(array: np.ndarray, selection: Any) -> Selection | None:
    """What we make of a selection; None if it is an error."""
    try:
        return select(selection, array.shape)
    except SelectionError:
        return None


def agree(expected: np.ndarray | None, resolved: Selection | None) -> bool:
    """
    Whether both take a selection, or both refuse it.

    numpy does not look at indices where index arrays broadcast to nothing; we refuse those that are
    out of bounds there, too.
    """
    if expected is not None and resolved is None:
        return not expected.size
    return (expected is None) == (resolved is None)


def values_for(draw: st.DrawFn, shape: tuple[int, ...]) -> np.ndarray:
    """New numbers, of a shape or one that can be broadcast to it."""
    kept = shape[draw(st.integers(0, len(shape))) :]
    given = tuple(draw(st.sampled_from([n, n, 1])) for n in kept)
    if shape and len(kept) == len(shape) and draw(st.booleans()):
        given = (1, *given)
    return -10 - numbered(given)


@many
@given(cases(index_expressions))
def test_reading_selects_what_numpy_selects(case: Any) -> None:
    """Reading by the plan of any index expression that numpy takes gives numpy's array."""
    array, chunks, selection = case
    expected, resolved = numpy_reads(array, selection), ours(array, selection)
    assert agree(expected, resolved)
    if expected is not None and resolved is not None:
        found = read(array, resolved, chunks)
        assert found.shape == expected.shape == resolved.shape
        assert (found == expected).all()


@many
@given(cases(index_expressions), st.data())
def test_writing_changes_what_numpy_changes(case: Any, data: st.DataObject) -> None:
    """Writing by the plan of any index expression leaves the array that numpy leaves."""
    array, chunks, selection = case
    resolved = ours(array, selection)
    if resolved is None:
        assert agree(numpy_reads(array, selection), resolved)
        return
    values = values_for(data.draw, resolved.shape)
    expected = array.copy()
    # numpy takes a needless axis in front, but not for a lone boolean mask; we do there, too.
    expected[selection] = values[0] if values.ndim > len(resolved.shape) else values
    assert (write(array, resolved, chunks, values) == expected).all()


@many
@given(cases(lambda shape: index_expressions(shape, faults=True)))
def test_a_selection_is_an_error_if_and_only_if_it_is_one_for_numpy(case: Any) -> None:
    """What numpy answers with IndexError raises SelectionError, and nothing else does."""
    array, _, selection = case
    assert agree(numpy_reads(array, selection), ours(array, selection))


@few
@given(cases(orthogonal))
def test_orthogonal_indexing_takes_each_axis_by_itself(case: Any) -> None:
    """A selection by `oindex` is that of one axis after the other."""
    array, chunks, selection = case
    found = read(array, select_orthogonal(selection, array.shape), chunks)
    expected = outer(array, selection)
    assert found.shape == expected.shape
    assert (found == expected).all()


@few
@given(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(st.lists(st.integers(0, n - 1), min_size=1), min_size=1, max_size=3),
        )
    ),
    st.integers(1, 7),
)
def test_orthogonal_indexing_agrees_with_ix(case: Any, chunk: int) -> None:
    """`oindex` by index arrays is numpy's `ix_`, for reading and for writing."""
    size, arrays = case
    array = numbered((size,) * len(arrays))
    resolved = select_orthogonal(tuple(arrays), array.shape)
    mesh = np.ix_(*arrays)
    chunks = (chunk,) * len(arrays)
    assert (read(array, resolved, chunks) == array[mesh]).all()
    values = -numbered(resolved.shape)
    expected = array.copy()
    expected[mesh] = values
    assert (write(array, resolved, chunks, values) == expected).all()


@few
@given(st.data())
def test_vectorised_indexing_puts_the_points_first(data: st.DataObject) -> None:
    """`vindex` zips index arrays of all kinds, and their axes come first in the result."""
    shape = data.draw(st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple))
    count = data.draw(st.integers(0, 5))
    items: list[Any] = []
    for size in shape:
        points = st.lists(st.integers(-size, size - 1), min_size=count, max_size=count)
        items.append(data.draw(st.one_of(points.map(lambda p: np.array(p, int)), slices(size))))
    array = numbered(shape)
    fancy = [i for i, item in enumerate(items) if isinstance(item, np.ndarray)]
    front = fancy + [i for i in range(len(shape)) if i not in fancy]
    expected = array.transpose(front)[tuple(items[i] for i in front)]
    resolved = select_vectorised(tuple(items), shape)
    chunks = data.draw(chunk_shapes(shape))
    assert resolved.shape == expected.shape
    assert (read(array, resolved, chunks) == expected).all()


@few
@given(shapes.flatmap(lambda shape: st.tuples(st.just(shape), masks(shape))), st.data())
def test_a_mask_of_all_axes_selects_points(case: Any, data: st.DataObject) -> None:
    """A mask of the shape of the array selects the same by `[]` and by `vindex`."""
    shape, mask = case
    if not shape:
        return
    array = numbered(shape)
    chunks = data.draw(chunk_shapes(shape))
    expected = array[np.asarray(mask)]
    assert (read(array, select(mask, shape), chunks) == expected).all()
    assert (read(array, select_vectorised(mask, shape), chunks) == expected).all()


@few
@given(st.data())
def test_blocks_are_whole_chunks(data: st.DataObject) -> None:
    """A selection of blocks is the slices of the array that these chunks cover."""
    shape = data.draw(shapes)
    chunks = data.draw(chunk_shapes(shape))
    array = numbered(shape)
    items, expected = [], []
    for size, chunk in zip(shape, chunks, strict=True):
        count = -(-size // chunk)
        if count and data.draw(st.booleans()):
            index = data.draw(st.integers(-count, count - 1))
            first = index % count
            blocks = slice(first, first + 1)
            items.append(data.draw(st.sampled_from([index, np.int64(index)])))
        else:
            low, high = data.draw(st.tuples(*[st.integers(-count - 1, count + 1)] * 2))
            items.append(slice(low, high, data.draw(st.sampled_from([None, 1]))))
            blocks = slice(*items[-1].indices(count))
        start, stop = blocks.start, max(blocks.start, blocks.stop)
        expected.append(slice(start * chunk, stop * chunk))
    resolved = select_blocks(tuple(items), shape, chunks)
    assert (read(array, resolved, chunks) == array[tuple(expected)]).all()


def test_a_lone_block_index_leaves_the_other_axes_whole() -> None:
    """`blocks` takes fewer indices than there are axes, and an ellipsis."""
    array = numbered((5, 7))
    assert (read(array, select_blocks(1, (5, 7), (2, 3)), (2, 3)) == array[2:4]).all()
    assert (read(array, select_blocks((..., 2), (5, 7), (2, 3)), (2, 3)) == array[:, 6:]).all()


@pytest.mark.parametrize("selection", [3, -4, slice(None, None, 2), [0], None, 1.5, (0, 0, 0)])
def test_what_is_no_block_is_refused(selection: Any) -> None:
    """Blocks outside the grid, steps, arrays and new axes are no selection of blocks."""
    with pytest.raises(SelectionError):
        select_blocks(selection, (5, 7), (2, 3))


@pytest.mark.parametrize("selection", [[[0]], (slice(None), [[0]]), np.array([[True] * 5] * 7)])
def test_arrays_of_two_dimensions_are_not_orthogonal(selection: Any) -> None:
    """`oindex` takes no arrays of more than one dimension."""
    with pytest.raises(SelectionError, match="1-d"):
        select_orthogonal(selection, (5, 7))


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (5, "index 5 is out of bounds for axis 0 of size 5"),
        ((0, -8), "index -8 is out of bounds for axis 1 of size 7"),
        ([0, 9], "index 9 is out of bounds for axis 0"),
        ((slice(None), [0, -9]), "index -9 is out of bounds for axis 1"),
        ((0, 0, 0), "too many indices: 3 for an array of 2 dimensions"),
        ((..., ...), "only one ellipsis"),
        ([True] * 4, "boolean index of length 4 does not fit axis 0 of size 5"),
        (([0, 1], [0, 1, 2]), "do not broadcast together: their shapes are"),
        (slice(0, 3, 0), "slice step cannot be zero"),
        (slice(0.5), "invalid slice"),
        (True, "a single boolean"),
        (np.True_, "a single boolean"),
        (np.array(True), "ints or booleans"),
        ("t", "found str 't'"),
        ([0.5], "float64"),
        (1.0, "found float"),
        (((0, 5), (1, 2)), "index 5 is out of bounds for axis 0"),
        ([[0], [0, 1]], "inhomogeneous"),
    ],
)
def test_an_error_says_what_does_not_fit(selection: Any, said: str) -> None:
    """A SelectionError, which is an IndexError, names the index, the axis and its size."""
    with pytest.raises(SelectionError, match=said.replace("(", r"\(")) as caught:
        select(selection, (5, 7))
    assert isinstance(caught.value, IndexError)


@pytest.mark.parametrize("nothing", [[], (), range(0), [[]], np.zeros((0, 2), int)])
def test_an_empty_index_array_selects_nothing(nothing: Any) -> None:
    """An empty list is an index array, as it is to numpy, though it holds no ints."""
    array = numbered((5, 7))
    selection = (slice(None), nothing)
    assert (read(array, select(selection, (5, 7)), (2, 3)) == array[selection]).all()
    assert select(selection, (5, 7)).shape == array[selection].shape


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((2, 5, 7)), np.zeros((7, 5))])
def test_values_of_another_shape_are_refused(values: np.ndarray) -> None:
    """Values that numpy would not broadcast raise ShapeError, which is a ValueError."""
    with pytest.raises(ShapeError, match="cannot write values of shape") as caught:
        select(..., (5, 7)).arrange(values)
    assert isinstance(caught.value, ValueError)


def test_the_working_array_is_a_view_of_the_result() -> None:
    """Without points, a result is filled in place: nothing is copied, not even for odd axes."""
    result, work = select((None, slice(None, None, -2), 3, ...), (5, 7, 2)).result(np.dtype("i8"))
    assert result.shape == (1, 3, 2)
    assert np.shares_memory(result, work)
    out = np.zeros((1, 3, 2))
    arranged = select((None, slice(None, None, -2), 3, ...), (5, 7, 2)).arrange(out)
    assert np.shares_memory(out, arranged)


def test_a_selection_of_a_huge_array_costs_nothing() -> None:
    """Ranges are resolved without being spelled out."""
    selection = select((slice(None, None, -3), 2**61), (2**62, 2**62))
    assert selection.shape == (-(-(2**62) // 3),)
