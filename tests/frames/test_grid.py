"""Blocks of a chunk: numpy says what they hold."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storekit.frames.grid import BlockGrid, default_blocks
from storekit.selection.part import Mesh, Part, Points, part_shape, take
from storekit.typing import AnyArray, Shape

I4 = np.dtype("i4")


@st.composite
def grids(draw: st.DrawFn) -> BlockGrid:
    """Chunks of up to four dimensions, cut anyhow."""
    shape = tuple(draw(st.lists(st.integers(1, 7), max_size=4)))
    return BlockGrid(shape, tuple(draw(st.integers(1, n)) for n in shape), I4)


def chunk_of(grid: BlockGrid) -> AnyArray:
    """A chunk of different elements."""
    return np.arange(prod(grid.shape), dtype=I4).reshape(grid.shape)


def blocks_of(grid: BlockGrid) -> list[AnyArray]:
    """The blocks of that chunk, padded with zeros, one by one."""
    padded = np.zeros([c * b for c, b in zip(grid.counts, grid.blocks, strict=True)], I4)
    padded[tuple(slice(n) for n in grid.shape)] = chunk_of(grid)
    return [
        padded[tuple(slice(i * b, i * b + b) for i, b in zip(place, grid.blocks, strict=True))]
        for place in np.ndindex(*grid.counts)
    ]


@given(grid=grids())
def test_blocks_follow_each_other(grid: BlockGrid) -> None:
    """Blocks are packed in C order, each in C order; and unpacked again."""
    packed = grid.pack(chunk_of(grid))
    assert packed.tobytes() == b"".join(block.tobytes() for block in blocks_of(grid))
    assert packed.nbytes == grid.nbytes == grid.nblocks * grid.blocksize
    raw = np.frombuffer(packed.tobytes(), "u1")
    assert (grid.unpack(raw) == chunk_of(grid)).all()
    if grid.exact:
        assert packed.tobytes() == chunk_of(grid).tobytes()


@given(grid=grids(), data=st.data())
def test_picked_blocks_hold_the_part(grid: BlockGrid, data: st.DataObject) -> None:
    """The picked blocks, by themselves, hold the part; none of them in vain."""
    part = data.draw(_parts(grid.shape))
    picked = grid.pick(part)
    if picked is None:
        return
    assert picked.numbers == sorted(set(picked.numbers))
    assert len(picked.numbers) == prod(picked.counts) or not picked.numbers
    if not picked.numbers:
        assert 0 in part_shape(part)
        return
    blocks = blocks_of(grid)
    raw = b"".join(blocks[number].tobytes() for number in picked.numbers)
    array = grid.unpack(np.frombuffer(raw, "u1"), picked.counts)
    expected = take(chunk_of(grid), part)
    assert np.array_equal(take(array, picked.part), expected)
    if not isinstance(part, Points):
        axes = part.axes if isinstance(part, Mesh) else part
        wanted = set(np.asarray(expected).ravel().tolist())
        if all(axis.step == 1 for axis in axes if isinstance(axis, slice)):
            assert all(wanted & set(blocks[i].ravel().tolist()) for i in picked.numbers)


@st.composite
def _parts(draw: st.DrawFn, shape: Shape) -> Part:
    def indices(n: int, count: int) -> AnyArray:
        return np.array(draw(st.lists(st.integers(0, n - 1), min_size=count, max_size=count)), int)

    def box(n: int) -> slice:
        start = draw(st.integers(0, n))
        return slice(start, draw(st.integers(start, n)), draw(st.integers(1, 4)))

    kind = draw(st.sampled_from(["box", "mesh", "points"])) if shape else "box"
    if kind == "mesh":
        return Mesh(tuple(box(n) if draw(st.booleans()) else indices(n, 2) for n in shape))
    if kind == "points":
        axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
        count = draw(st.integers(0, 3))
        rest = tuple(box(n) for i, n in enumerate(shape) if i not in axes)
        return Points(tuple(axes), tuple(indices(shape[i], count) for i in axes), rest)
    return tuple(box(n) for n in shape)


@given(
    shape=st.lists(st.integers(1, 3000), min_size=1, max_size=4).map(tuple),
    itemsize=st.sampled_from([1, 2, 8, 100]),
)
def test_blocks_by_default(shape: Any, itemsize: int) -> None:
    """They hold no more than they should, are in C order, not tiny, and hardly padded."""
    blocks = default_blocks(shape, itemsize, target=4096)
    grid = BlockGrid(shape, blocks, np.dtype(f"V{itemsize}"))
    assert grid.blocksize <= 4096
    assert grid.nblocks == 1 or grid.blocksize * 2 * max(blocks) > 4096 or shape[-1] > 1
    cut = next((i for i, b in enumerate(blocks) if b > 1), len(blocks) - 1)
    assert blocks[cut + 1 :] == shape[cut + 1 :]
    assert grid.padded[:cut] == shape[:cut]
    assert grid.padded[cut] - shape[cut] < grid.counts[cut]
    assert grid.exact == (grid.padded == shape)


@pytest.mark.parametrize("order", ["C", "F"])
def test_no_copy_where_none_is_needed(order: Any) -> None:
    """A chunk that is its blocks in C order is packed without a copy."""
    grid = BlockGrid((4, 6), (2, 6), I4)
    chunk = np.zeros((4, 6), I4, order=order)
    assert np.shares_memory(grid.pack(chunk), chunk) == (order == "C")
    raw = np.zeros(96, "u1")
    assert np.shares_memory(grid.unpack(raw), raw)
    assert np.shares_memory(grid.unpack(raw[:48], (1, 1)), raw)
