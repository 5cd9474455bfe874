"""Single chunks of an array in a frame; and new frames of all of it, or of a part."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from storekit.errors import SelectionError, ShapeError
from storekit.nodes.array import Array
from storekit.nodes.frame_facts import FrameFacts
from storekit.nodes.shrink import cells
from storekit.typing import AnyArray

if TYPE_CHECKING:
    from storekit.nodes.frame_array import FrameArray

__all__ = ["FrameParts"]


class FrameParts(FrameFacts, Array):
    """What is made of an array in a frame, by reading it."""

    def get_chunk(self, index: int | Sequence[int]) -> AnyArray:
        """
        Read one chunk.

        Args:
            index: Its place in the grid of chunks, or its number in C order; may be negative.

        Returns:
            A new array of the shape `chunks`, with zeros beyond the edge of the array.

        Raises:
            SelectionError: If there is no such chunk.
        """
        values = self._chunk(index)
        if values.shape == self.chunks:
            return values
        chunk = np.zeros(self.chunks, values.dtype)
        chunk[tuple(slice(n) for n in values.shape)] = values
        return chunk

    def decompress_chunk(self, nchunk: int, dst: Any = None) -> bytes | None:
        """
        Read the elements of one chunk that lie within the array.

        Args:
            nchunk: Its number in C order.

            dst: A writable buffer, at least of their size, that they are written to in C order.

        Returns:
            Their bytes; None if there is a buffer.

        Raises:
            SelectionError: If there is no such chunk.

            ShapeError: If the buffer is too small, or cannot be written.
        """
        data = self._chunk(nchunk).tobytes()
        if dst is None:
            return data
        try:
            view = memoryview(dst)
        except (TypeError, ValueError) as error:
            raise ShapeError(f"dst must be a writable buffer: {error}") from error
        if view.readonly or not view.c_contiguous or view.nbytes < len(data):
            raise ShapeError(f"dst must be a writable buffer of {len(data)} bytes or more")
        view.cast("B")[: len(data)] = data
        return None

    def _chunk(self, index: int | Sequence[int]) -> AnyArray:
        grid = self.cdata_shape
        try:
            place = (
                np.unravel_index(range(prod(grid))[index], grid)
                if isinstance(index, int)
                else tuple(range(n)[i] for n, i in zip(grid, index, strict=True))
            )
        except (IndexError, TypeError, ValueError):
            raise SelectionError(f"no chunk {index!r} in a grid of {grid}") from None
        (cell,) = cells([tuple(map(int, place))], self.chunks, self.shape)
        return self.read(cell)

    def copy(self, **options: Any) -> FrameArray:
        """
        A new frame with the same elements and metalayers.

        Args:
            options: Those of `FrameOptions`: where to, and what is to be different.
        """
        from storekit.nodes.frame_create import copy

        return copy(self, **options)

    def slice(self, key: Any, **options: Any) -> FrameArray:
        """
        A new frame with the selected elements, compressed like this one.

        Args:
            key: As in ``array[key]``.

            options: Those of `FrameOptions`: where to, and what is to be different.
        """
        from storekit.nodes.frame_create import slice_of

        return slice_of(self, key, **options)

    def tobytes(self) -> bytes:
        """All elements in C order."""
        return self.read().tobytes()

    def to_buffer(self) -> bytes:
        """As `tobytes`; the name in caterva."""
        return self.tobytes()
