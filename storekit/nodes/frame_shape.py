"""How the array in a frame gets another shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from storekit.errors import ShapeError, UnsupportedError
from storekit.frames.frame import grid_counts
from storekit.frames.home import Change
from storekit.nodes.chunkio import ChunkIO
from storekit.nodes.shrink import cut_away
from storekit.selection.parse import select
from storekit.typing import AnyArray, Shape

__all__ = ["append", "resize"]

_IO: TypeAlias = Callable[[Change], ChunkIO]
"""What writes chunks of a frame that is being changed, of the shape that it has meanwhile."""


def resize(now: Shape, io_of: _IO, change: Change) -> None:
    """
    Change the shape. What is new is zero, whatever stood beyond the edge.

    Args:
        now: The shape.

        io_of: Writes chunks.

        change: Of the frame.

    Raises:
        MetadataError: If it takes too many chunks.

        UnsupportedError: If the frame is no array.
    """
    before, chunks = change.meta.shape, change.meta.chunks
    # In chunks that stay, what is cut off; then, what was beyond the old edge.
    _clear(change, io_of, _rounded(now, chunks, before), now)
    _reshape(change, now)
    _clear(change, io_of, _rounded(before, chunks, now), before)


def append(values: AnyArray, axis: int, io_of: _IO, change: Change) -> Shape:
    """
    Add values at the end of an axis.

    Args:
        values: With the array's lengths in all other axes.

        axis: The one that grows.

        io_of: Writes chunks.

        change: Of the frame.

    Returns:
        The new shape.

    Raises:
        ShapeError: If the values do not fit.

        MetadataError, UnsupportedError: As `resize`.
    """
    before, added, ndim = change.meta.shape, values.shape, len(change.meta.shape)
    if len(added) != ndim or not -ndim <= axis < ndim:
        raise ShapeError(f"cannot append {len(added)} dimensions to {ndim} along axis {axis}")
    axis %= ndim
    if before[:axis] + before[axis + 1 :] != added[:axis] + added[axis + 1 :]:
        raise ShapeError(f"cannot append shape {added} to {before} along axis {axis}")
    end = before[axis] + added[axis]
    now = (*before[:axis], end, *before[axis + 1 :])
    _reshape(change, now)
    # All that was beyond the edge and is inside now is written over.
    part = (slice(None),) * axis + (slice(before[axis], end),)
    io_of(change).write(select(part, now), values)
    return now


def _reshape(change: Change, shape: Shape) -> None:
    if change.snapshot.frame.plain:
        raise UnsupportedError("a super-chunk that is no array cannot change its shape")
    change.reshape(shape)


def _clear(change: Change, io_of: _IO, box: Shape, inside: Shape) -> None:
    """Write zeros to what is in a box, and does not lie within a shape."""
    io, zero = io_of(change), np.zeros((), change.meta.dtype)
    for part in cut_away([tuple(slice(0, n) for n in box)], inside):
        io.write(select(part, change.meta.shape), zero)


def _rounded(shape: Shape, chunks: Shape, most: Shape) -> Shape:
    """A shape, but with whole chunks, as far as another one has room for them."""
    counts = grid_counts(shape, chunks)
    return tuple(min(k * c, n) for k, c, n in zip(counts, chunks, most, strict=True))
