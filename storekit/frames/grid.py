"""
How a chunk is cut into blocks, and which of them a part of it needs.

Blocks follow each other in C order, as do the elements of each. Where the shape of the chunk is no
multiple of that of the blocks, the chunk is padded. If blocks are whole in all axes but some
leading ones, in which they have a length of one, and one axis in between, all this is the C order
of the chunk itself.

Pure functions of shapes and memory, no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from operator import mul
from typing import NamedTuple

import numpy as np

from storekit.selection.box import bounding_box, inside
from storekit.selection.part import Box, Mesh, Part, Points, take
from storekit.typing import AnyArray, DType, Shape

__all__ = ["BLOCK_BYTES", "BlockGrid", "Picked", "default_blocks"]

BLOCK_BYTES = 256 << 10


class Picked(NamedTuple):
    """
    Blocks that hold a part of a chunk.

    Args:
        numbers: Of the blocks, in C order.

        counts: How many of them there are along each axis.

        part: The part, counted from the beginning of the array that they form by themselves.
    """

    numbers: list[int]
    counts: Shape
    part: Part


def default_blocks(shape: Shape, itemsize: int, target: int = BLOCK_BYTES) -> Shape:
    """
    Blocks of about `target` bytes, in C order within the chunk.

    A length that divides the chunk's is preferred; otherwise padding is kept as small as can be.
    """
    axis, inner = len(shape), itemsize
    while axis and inner * shape[axis - 1] <= target:
        axis -= 1
        inner *= shape[axis]
    if not axis:
        return shape
    length, most = shape[axis - 1], max(1, target // inner)
    k = next((d for d in range(most, most // 2, -1) if length % d == 0), 0)
    k = k or -(-length // -(-length // most))
    return (*(1,) * (axis - 1), k, *shape[axis:])


class BlockGrid:
    """
    The blocks of a chunk.

    Args:
        shape: Of the chunk.

        blocks: The shape of a block.

        dtype: Of the elements.
    """

    def __init__(self, shape: Shape, blocks: Shape, dtype: DType) -> None:
        self.shape, self.blocks, self.dtype = shape, blocks, dtype
        self.counts: Shape = tuple(-(-n // b) for n, b in zip(shape, blocks, strict=True))
        self.padded: Shape = tuple(c * b for c, b in zip(self.counts, blocks, strict=True))
        self.nblocks = prod(self.counts)
        self.blocksize = prod(blocks) * dtype.itemsize
        self.nbytes = self.nblocks * self.blocksize
        self.strides = tuple(prod(self.counts[i + 1 :]) for i in range(len(shape)))
        # The axes behind it must not be cut if blocks are to follow each other in C order.
        self._cut = next((i for i, b in enumerate(blocks) if b > 1), len(blocks))
        self.exact = self._in_order(self.counts) and self.padded == shape
        """Whether the blocks one after the other are the chunk in C order."""

    def _in_order(self, counts: Shape) -> bool:
        """Whether so many blocks along each axis, one after the other, are an array in C order."""
        return prod(counts[self._cut + 1 :]) == 1

    def pack(self, chunk: AnyArray, counts: Shape | None = None) -> AnyArray:
        """
        The blocks of a chunk one after the other, as a C-contiguous array of any shape.

        Args:
            chunk: The chunk, or an array of some whole blocks.

            counts: How many these are along each axis; None for a chunk.
        """
        if self.exact if counts is None else self._in_order(counts):
            return np.ascontiguousarray(chunk, self.dtype)
        if counts is None and self.padded != self.shape:
            padded = np.zeros(self.padded, self.dtype)
            padded[tuple(slice(0, n) for n in self.shape)] = chunk
            chunk = padded
        ndim = len(self.shape)
        grid = chunk.reshape(
            [n for pair in zip(counts or self.counts, self.blocks, strict=True) for n in pair]
        )
        return np.ascontiguousarray(
            grid.transpose([*range(0, 2 * ndim, 2), *range(1, 2 * ndim, 2)]), self.dtype
        )

    def unpack(self, data: AnyArray, counts: Shape | None = None) -> AnyArray:
        """
        The array that blocks form.

        Args:
            data: The bytes of the blocks one after the other, contiguous.

            counts: How many there are along each axis; those of the whole grid if None, in which
                case the array has the shape of the chunk, without padding.

        Returns:
            A view of `data` where that is possible.
        """
        # 1 us at most, where the general way costs 3.
        if counts is None:
            if self.exact:
                chunk: AnyArray = np.ndarray(self.shape, self.dtype, data)
                return chunk
        elif self._in_order(counts):
            shape = tuple(map(mul, counts, self.blocks))
            blocks: AnyArray = np.ndarray(shape, self.dtype, data)
            return blocks
        whole = counts is None
        counts = counts or self.counts
        ndim = len(counts)
        grid = data.view(self.dtype).reshape((*counts, *self.blocks))
        grid = grid.transpose([axis for i in range(ndim) for axis in (i, ndim + i)])
        array = grid.reshape([c * b for c, b in zip(counts, self.blocks, strict=True)])
        return take(array, tuple(slice(0, n) for n in self.shape)) if whole else array

    def pick(self, part: Part) -> Picked | None:
        """The blocks that a part needs; None if it needs all of them."""
        if self.nblocks == 1:
            return None
        if isinstance(part, Points):
            picked = self._pick_points(part)
        elif isinstance(part, Mesh):
            picked = self._pick_mesh(part.axes)
        else:
            picked = self._pick_box(part)
        return picked if len(picked.numbers) < self.nblocks else None

    def _pick_box(self, part: Box) -> Picked:
        ids, local = self._pick_slices(part)
        return Picked(self._numbers(ids), tuple(map(len, ids)), local)

    def _pick_slices(self, part: Box) -> tuple[list[range], Box]:
        axes = [_pick_slice(axis, b) for axis, b in zip(part, self.blocks, strict=True)]
        return [axis[0] for axis in axes], tuple(axis[1] for axis in axes)

    def _pick_mesh(self, part: tuple[slice | AnyArray, ...]) -> Picked:
        ids, local = [], []
        for axis, b in zip(part, self.blocks, strict=True):
            if isinstance(axis, slice):
                numbers, inner = _pick_slice(axis, b)
                ids.append(numbers)
                local.append(inner)
            else:
                unique, place = np.unique(axis // b, return_inverse=True)
                ids.append(unique.tolist())
                local.append(place * b + axis % b)
        return Picked(self._numbers(ids), tuple(map(len, ids)), Mesh(tuple(local)))

    def _pick_points(self, part: Points) -> Picked:
        cut = {i for i, count in enumerate(self.counts) if count > 1}
        if not cut.issubset(part.axes) or not len(part.coords[0]):
            box = bounding_box(part)
            if box is None:
                return Picked([], (0,) * len(self.counts), part)
            ids, local = self._pick_slices(box)
            # Where the blocks begin that hold the box.
            corner = tuple(slice(a.start - i.start, 0) for a, i in zip(box, local, strict=True))
            return Picked(self._numbers(ids), tuple(map(len, ids)), inside(part, corner))
        numbers = sum(
            coords // self.blocks[axis] * self.strides[axis]
            for axis, coords in zip(part.axes, part.coords, strict=True)
        )
        unique, place = np.unique(numbers, return_inverse=True)
        # The blocks become a column along the first of the points' axes.
        first = part.axes[0]
        coords = tuple(c % self.blocks[a] for a, c in zip(part.axes, part.coords, strict=True))
        coords = (coords[0] + place * self.blocks[first], *coords[1:])
        counts = tuple(len(unique) if i == first else 1 for i in range(len(self.counts)))
        return Picked(unique.tolist(), counts, Points(part.axes, coords, part.rest))

    def _numbers(self, ids: Sequence[range | list[int]]) -> list[int]:
        numbers = [0]
        for axis, stride in zip(ids, self.strides, strict=True):
            if len(axis) == 1:
                numbers = [n + axis[0] * stride for n in numbers]
            else:
                numbers = [n + i * stride for n, i in product(numbers, axis)]
        return numbers


def _pick_slice(axis: slice, block: int) -> tuple[range, slice]:
    """
    Blocks along an axis, and the elements of the axis, counted from the beginning of the first.
    """
    picked = range(axis.start, axis.stop, axis.step or 1)
    if not picked:
        return range(0), slice(0, 0, 1)
    if block == 1:
        return picked, slice(0, len(picked), 1)
    first = picked[0] // block
    base = first * block
    return range(first, picked[-1] // block + 1), slice(
        axis.start - base, axis.stop - base, axis.step
    )
