"""Plans name every touched chunk once, say how much of it is touched, and are made as they go."""

from __future__ import annotations

import sys
import tracemalloc
from itertools import islice
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_samples import chunk_shapes, index_expressions, numbered, orthogonal, shapes
from plan_runner import cut, plan_of

from storekit.selection import plan as plan_module
from storekit.selection.parse import (
    Selection,
    select,
    select_blocks,
    select_orthogonal,
)
from storekit.selection.part import (
    Mesh,
    Points,
    part_axes,
    part_shape,
    put,
    take,
)
from storekit.selection.plan import BOX, COVERS, PARTIAL, WHOLE, GridPlan, Step

some = settings(max_examples=150, deadline=None)


def resolve(kind: str, selection: Any, shape: Any) -> Selection:
    """The selection by `[]` or by `oindex`."""
    return (select if kind == "select" else select_orthogonal)(selection, shape)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Any, Selection]:
    """A shape, a chunk shape and a selection that fits."""
    shape = draw(shapes)
    chunks = draw(chunk_shapes(shape))
    kind = draw(st.sampled_from(["select", "orthogonal"]))
    strategy = index_expressions(shape) if kind == "select" else orthogonal(shape)
    try:
        return shape, chunks, resolve(kind, draw(strategy), shape)
    except IndexError:
        return shape, chunks, select(..., shape)


@some
@given(cases())
def test_every_touched_chunk_comes_exactly_once(case: Any) -> None:
    """The names of a plan are the chunks that hold selected elements, without repetition."""
    shape, chunks, selection = case
    marks = {name: chunk > 0 for name, chunk in cut(numbered(shape), chunks, 0).items()}
    touched = {name: np.zeros(chunks, bool) for name in marks}
    names = []
    for name, _, part, _ in plan_of(selection, shape, chunks):
        names.append(name)
        put(touched[name], part, np.True_)
        assert not (touched[name] & ~marks[name]).any()  # nothing beyond the edge
        assert touched[name].any()
    assert len(names) == len(set(names))
    assert all((name in names) == part.any() for name, part in touched.items())


@some
@given(cases())
def test_the_length_of_a_plan_is_the_number_of_its_steps(case: Any) -> None:
    """``len(plan)`` counts the steps that iteration gives, every time anew."""
    shape, chunks, selection = case
    plan = plan_of(selection, shape, chunks)
    assert len(plan) == len(list(plan)) == len(list(plan))


@some
@given(cases())
def test_extents_say_how_much_of_a_chunk_is_touched(case: Any) -> None:
    """
    WHOLE is every element of a chunk; COVERS all that lie within the array, but not the whole;
    PARTIAL is given for index arrays, and otherwise when something within the array is left out.
    """
    shape, chunks, selection = case
    marks = {name: chunk > 0 for name, chunk in cut(numbered(shape), chunks, 0).items()}
    for name, _, part, extent in plan_of(selection, shape, chunks):
        touched = np.zeros(chunks, bool)
        put(touched, part, np.True_)
        if extent == WHOLE:
            assert touched.all()
        elif extent == COVERS:
            assert (touched == marks[name]).all()
            assert not touched.all()
        else:
            assert extent == PARTIAL
            assert not isinstance(part, tuple) or (touched < marks[name]).any()


@some
@given(cases())
def test_plans_without_points_go_in_c_order(case: Any) -> None:
    """Chunks come in the order of their place in the grid, unless points are grouped by chunk."""
    shape, chunks, selection = case
    names = [step[0] for step in plan_of(selection, shape, chunks)]
    if not selection.points:
        assert names == sorted(names)


@some
@given(cases())
def test_the_places_of_a_plan_tile_the_working_array(case: Any) -> None:
    """Every element of the working array is the place of exactly one step."""
    shape, chunks, selection = case
    plan = plan_of(selection, shape, chunks)
    times = np.zeros(plan.shape, int)
    for _, where, part, _ in plan:
        put(times, where, take(times, where) + 1)
        assert part_shape(where) == part_shape(part)
    assert (times == 1).all()


@some
@given(cases())
def test_a_part_is_itself_a_selection(case: Any) -> None:
    """What `part_axes` gives of a part selects the same elements when planned once more."""
    shape, chunks, selection = case
    for _, _, part, _ in islice(plan_of(selection, shape, chunks), 3):
        axes, points = part_axes(part)
        inner = GridPlan(axes, points, chunks, chunks, lambda _, i: i, tuple)
        if prod(part_shape(part)):
            ((name, where, again, _),) = inner
            assert name == (0,) * len(chunks)
            data = numbered(chunks)
            work = np.zeros(inner.shape, int)
            put(work, where, take(data, again))
            assert (work == take(data, part)).all()


@pytest.mark.parametrize("box", [1, 2, 5])
@given(case=cases())
@settings(max_examples=30, deadline=None)
def test_a_plan_does_not_depend_on_the_size_of_its_boxes(box: int, case: Any) -> None:
    """Laid out a few chunks at a time or all at once, the steps are the same."""
    shape, chunks, selection = case
    expected = [repr(step) for step in plan_of(selection, shape, chunks)]
    try:
        plan_module.BOX = box
        assert [repr(step) for step in plan_of(selection, shape, chunks)] == expected
    finally:
        plan_module.BOX = BOX


HUGE = {
    "one axis": ((10**13,), (10,), ...),
    "two axes": ((10**7, 10**7), (10, 1), ...),
    "three axes": ((10**4, 10**5, 10**5), (10, 10, 1), ...),
    "beside index arrays": ((10**9, 10**9), (1, 1), (slice(None), np.arange(1000))),
    "a step": ((10**13,), (3,), slice(5, None, 10)),
    "backwards": ((10**13,), (10,), slice(None, None, -1)),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_plan_over_a_trillion_chunks_is_lazy(name: str) -> None:
    """The length and the first steps of an enormous plan take neither memory nor time."""
    shape, chunks, expression = HUGE[name]
    tracemalloc.start()
    try:
        plan = plan_of(select_orthogonal(expression, shape), shape, chunks)
        assert len(plan) >= 10**12
        first = list(islice(plan, BOX + 10))
        assert len({step[0] for step in first}) == BOX + 10
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


MANY = {
    "one axis": ((10**7,), (10,), ...),
    "two axes": ((10**4, 10**4), (10, 10), ...),
    "three axes": ((1000,) * 3, (10,) * 3, ...),
    "a short axis at last": ((10**7, 3), (10, 1), ...),
    "a long axis at last": ((10**3, 10**7), (1, 9000), ...),
    "a step": ((10**7,), (10,), slice(3, None, 7)),
    "a huge step": ((10**13,), (10,), slice(None, None, 10**7)),
    "backwards": ((10**7, 10), (10, 10), slice(None, None, -2)),
}


@pytest.mark.parametrize("name", MANY)
def test_the_cost_of_a_step_does_not_grow_with_the_plan(name: str) -> None:
    """Of a million chunks only a box is held at a time, and no axis is laid out for nothing."""
    shape, chunks, expression = MANY[name]
    calls = 0

    def label(_: int, index: int) -> int:
        nonlocal calls
        calls += 1
        return index

    selection = select(expression, shape)
    tracemalloc.start()
    try:
        plan = GridPlan(selection.axes, (), shape, chunks, label, tuple)
        assert len(plan) >= 10**6
        steps = iter(plan)
        next(steps)
        assert calls <= BOX + len(shape)
        count = sum(1 for _ in islice(steps, 20_000))
        assert calls < 1.5 * count
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_points_are_grouped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The length of a plan, its shape and its steps come from one grouping of the points."""
    calls = []
    lexsort = np.lexsort
    monkeypatch.setattr(np, "lexsort", lambda keys: calls.append(1) or lexsort(keys))
    plan = plan_of(select(([1, 9, 4],), (10,)), (10,), (4,))
    assert len(plan) == len(list(plan)) == len(list(plan)) == 3
    assert plan.shape == (3,)
    assert calls == [1]


def test_more_chunks_than_can_be_counted_are_planned() -> None:
    """A plan of more steps than `len` can tell yields them as any other."""
    shape = (10**12, 10**12)
    names = [step[0] for step in islice(plan_of(select(..., shape), shape, (1, 1)), 3)]
    assert names == [(0, 0), (0, 1), (0, 2)]


def test_nothing_beside_a_long_axis_is_nothing() -> None:
    """An axis of which nothing is selected ends a plan before the others are laid out."""
    shape = (10**13, 5)
    for empty in (slice(0), []):
        plan = plan_of(select_orthogonal((slice(None), empty), shape), shape, (1, 1))
        assert len(plan) == 0
        assert list(plan) == []


def test_points_beside_a_long_axis_are_lazy() -> None:
    """Points are grouped at once, but what is crossed with them is laid out as it goes."""
    shape = (100, 10**12)
    plan = plan_of(select(([3, 4, 3],), shape), shape, (1, 1))
    assert len(plan) == 2 * 10**12
    name, where, part, extent = next(iter(plan))
    assert name == (3, 0)
    assert isinstance(where, Points)
    assert isinstance(part, Points)
    assert extent == PARTIAL
    assert where.coords[0].tolist() == [0, 2]


def test_an_axis_of_the_longest_length_is_planned() -> None:
    """Indices up to 2**63 - 1 are counted without overflow."""
    shape = (sys.maxsize,)
    plan = plan_of(select(slice(-1, None), shape), shape, (2**40,))
    ((name, where, part, _),) = plan
    assert name == ((sys.maxsize - 1) // 2**40,)
    assert (where, part_shape(part)) == ((slice(0, 1, 1),), (1,))


@pytest.mark.parametrize(
    ("expression", "extents"),
    [
        (..., [WHOLE, WHOLE, COVERS]),
        (slice(0, 4), [WHOLE]),
        (slice(0, 3), [PARTIAL]),
        (slice(4, 10), [WHOLE, COVERS]),
        (slice(4, 9), [WHOLE, PARTIAL]),
        (slice(None, None, 2), [PARTIAL] * 3),
        (9, [PARTIAL]),
        ([0, 1, 2, 3], [PARTIAL]),
    ],
)
def test_examples_of_extents(expression: Any, extents: list[int]) -> None:
    """Ten elements in chunks of four: the last chunk is covered by two."""
    plan = plan_of(select(expression, (10,)), (10,), (4,))
    assert [step[3] for step in plan] == extents


def test_a_chunk_of_one_element_is_whole_under_any_step() -> None:
    """Where chunks hold one element each, every step covers those it touches."""
    plan = plan_of(select(slice(None, None, 3), (10,)), (10,), (1,))
    assert [step[3] for step in plan] == [WHOLE] * 4


def test_the_one_chunk_of_an_array_without_axes_is_whole() -> None:
    """A 0-d array has one chunk, and a selection of it touches all of it."""
    assert list(plan_of(select((), ()), (), ())) == [((), (), (), WHOLE)]


def test_steps_are_tuples_in_the_order_of_step() -> None:
    """What a plan yields can be unpacked, or made a `Step` to be read by name."""
    step = Step(*next(iter(plan_of(select(..., (3,)), (3,), (3,)))))
    assert step.name == (0,)
    assert step.where == step.part == (slice(0, 3, 1),)
    assert step.extent == WHOLE


def test_sorted_index_arrays_give_slices_of_the_working_array() -> None:
    """Index arrays that come to no chunk twice need no gathering on the side of the result."""
    for indices, chunks in ([0, 1, 5], [0, 1]), ([1, 0, 5], [0, 1]), ([3, 9, 8], [0, 2]):
        plan = list(plan_of(select_orthogonal((indices,), (10,)), (10,), (4,)))
        assert [step[0] for step in plan] == [(chunk,) for chunk in chunks]
        lengths = [part_shape(step[2])[0] for step in plan]
        assert [step[1] for step in plan] == [
            (slice(0, lengths[0], 1),),
            (slice(lengths[0], 3, 1),),
        ]
        assert all(isinstance(step[2], Mesh) for step in plan)


def test_points_that_are_neighbours_give_slices_of_the_working_array() -> None:
    """Only points of a chunk that are scattered over the result have to be scattered to it."""
    plan = plan_of(select(([3, 9, 0, 8, 4],), (10,)), (10,), (4,))
    wheres = {step[0]: step[1] for step in plan}
    assert wheres[1,] == (slice(4, 5, 1),)
    assert isinstance(wheres[0,], Points)
    assert wheres[0,].coords[0].tolist() == [0, 2]
    assert isinstance(wheres[2,], Points)
    beside = plan_of(select(([9, 8, 1, 0], slice(None)), (10, 2)), (10, 2), (4, 1))
    assert [(step[0], step[1]) for step in beside] == [
        ((chunk, i), (slice(low, low + 2, 1), slice(i, i + 1, 1)))
        for chunk, low in ((0, 2), (2, 0))
        for i in (0, 1)
    ]


def test_a_plan_of_blocks_touches_whole_chunks_only() -> None:
    """Blocks are WHOLE, or COVERS at the edge."""
    selection = select_blocks((slice(1, 3),), (10,), (4,))
    assert [step[3] for step in plan_of(selection, (10,), (4,))] == [WHOLE, COVERS]
