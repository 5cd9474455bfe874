"""What a codec needs to know of the chunks that it sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from storekit.typing import AnyArray, DType, Shape

__all__ = ["ChunkSpec"]

PATTERN_BYTES = 1 << 16


@dataclass(frozen=True)
class ChunkSpec:
    """
    The chunk that a codec sees.

    Args:
        shape: Of the chunk; edge chunks are whole, too.

        dtype: As numpy has it in memory, in native byte order: `StringDType` for string, object for
            bytes.

        fill_value: A numpy scalar (str, bytes for the two variable-length types).
    """

    shape: Shape
    dtype: DType
    fill_value: Any

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the decoded chunk in memory (of references, for variable-length types)."""
        return prod(self.shape) * self.dtype.itemsize

    @cached_property
    def variable(self) -> bool:
        """Whether elements have no fixed size in bytes."""
        return self.dtype.hasobject or self.dtype.kind == "T"

    def full(self, shape: Shape | None = None) -> AnyArray:
        """A new array of the fill value; of the chunk's shape unless told otherwise."""
        result = np.empty(self.shape if shape is None else shape, self.dtype)
        result[...] = self.fill_value
        return result

    def is_fill(self, chunk: AnyArray) -> bool:
        """
        Whether every element is the fill value, to the bit: NaN equals NaN, and -0.0 is not 0.0.

        Two NaNs are equal when their payloads are. Variable-length elements are compared by ``==``.
        """
        if self.variable:
            return all(item == self.fill_value for item in chunk.flat)
        if not chunk.size or not self.dtype.itemsize:
            return True
        first = chunk[(slice(0, 1),) * chunk.ndim].tobytes()
        if not self._pattern.startswith(first):
            return False
        # Margins are often empty: 1 us, where copying the rows of a large view takes 10 and more.
        middle = chunk[tuple(slice(n // 2, n // 2 + 1) for n in chunk.shape)].tobytes()
        if middle != first:
            return False
        return all(self._repeats(piece) for piece in _contiguous(chunk))

    @cached_property
    def _pattern(self) -> bytearray:
        """
        The fill value over and over, for comparing; small enough to stay in the processor's cache.
        """
        item = np.full((), self.fill_value, self.dtype).tobytes()
        return bytearray(item * max(1, min(PATTERN_BYTES, self.nbytes) // len(item)))

    def _repeats(self, chunk: AnyArray) -> bool:
        data = chunk.reshape(-1).view(np.uint8).data
        pattern = self._pattern
        step = len(pattern)
        # A bytearray compares with any buffer by memcmp; no other type of Python or numpy does.
        for start in range(0, len(data) - step + 1, step):
            if pattern != data[start : start + step]:
                return False
        rest = len(data) % step
        return not rest or pattern[:rest] == data[-rest:]


def _contiguous(chunk: AnyArray) -> Iterator[AnyArray]:
    """
    The elements of an array, in any order, as C-contiguous arrays; copied in pieces if they must
    be.
    """
    if chunk.flags.c_contiguous:
        yield chunk
    elif chunk.flags.f_contiguous:
        yield chunk.T
    elif chunk.nbytes <= 4 * PATTERN_BYTES or not chunk.ndim:
        yield np.ascontiguousarray(chunk)
    else:
        rows = max(1, len(chunk) * 4 * PATTERN_BYTES // chunk.nbytes)
        for start in range(0, len(chunk), rows):
            yield from _contiguous(chunk[start : start + rows] if len(chunk) > 1 else chunk[0])
