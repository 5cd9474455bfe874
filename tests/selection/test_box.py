"""The box around a part, and the part as seen from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from index_samples import chunk_shapes, index_expressions, numbered, orthogonal, shapes
from plan_runner import plan_of

from storekit.selection.box import bounding_box, box_shape, inside
from storekit.selection.parse import select, select_orthogonal
from storekit.selection.part import Part, part_shape, put, take


@st.composite
def parts(draw: st.DrawFn) -> tuple[Any, Part]:
    """A part of a chunk, as a plan gives it, and the shape of the chunk."""
    shape = draw(shapes.filter(all))
    chunks = draw(chunk_shapes(shape))
    if draw(st.booleans()):
        selection = select_orthogonal(draw(orthogonal(shape)), shape)
    else:
        try:
            selection = select(draw(index_expressions(shape)), shape)
        except IndexError:
            selection = select(..., shape)
    steps = list(plan_of(selection, shape, chunks)) or [(0, 0, tuple(slice(0, 0) for _ in shape))]
    return chunks, draw(st.sampled_from(steps))[2]


@settings(max_examples=150, deadline=None)
@given(parts())
def test_a_part_seen_from_its_box_is_the_same_part(case: Any) -> None:
    """Taking a part from the box around it gives what taking it from the chunk gives."""
    chunks, part = case
    data = numbered(chunks)
    box = bounding_box(part)
    if box is None:
        assert 0 in part_shape(part)
        return
    around = data[box]
    assert around.shape == box_shape(box)
    assert (take(around, inside(part, box)) == take(data, part)).all()


@settings(max_examples=150, deadline=None)
@given(parts())
def test_the_box_is_the_smallest(case: Any) -> None:
    """Every face of the box around a part touches an element of the part."""
    chunks, part = case
    box = bounding_box(part)
    if box is None:
        return
    marks = np.zeros(chunks, bool)
    put(marks, part, np.True_)
    places = np.argwhere(marks)
    assert [(axis.start, axis.stop) for axis in box] == [
        (low, high + 1) for low, high in zip(places.min(0), places.max(0), strict=True)
    ]
