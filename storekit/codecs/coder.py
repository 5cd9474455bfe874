"""
What a chain of codecs becomes once it is bound to the chunks of an array.

Everything constant is resolved in a coder; only coders run per chunk.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from storekit.codecs.spec import ChunkSpec
from storekit.errors import UnsupportedError
from storekit.selection.part import Part, part_shape, put
from storekit.selection.plan import WHOLE
from storekit.typing import AnyArray, Fetch, Shape, Value

__all__ = ["GIL_HELD", "ChunkCoder", "cells_around", "joint_rate"]

GIL_HELD = 1 << 62
"""The rate of what holds the GIL: no other thread could work meanwhile."""


class ChunkCoder(ABC):
    """
    The codecs of an array, bound to its chunks.

    Threads: safe. Coders keep no state but per-thread scratch memory.
    """

    spec: ChunkSpec

    ranges: bool = False
    """Whether `read_part` is there: whether a part can be read without the whole value."""

    plain: bool = False
    """
    Whether a chunk is encoded as its own memory in C order, so that it may be decoded in place.
    """

    encoded_size: int | None = None
    """The size of every encoded chunk in bytes, if it does not depend on the content."""

    rate: int = 10_000
    """
    About how many bytes native code decodes in a microsecond, without the GIL; `GIL_HELD` if with.

    It tells when a second thread pays: in small native calls two threads mostly wait for the GIL.
    Chunks of 16 KiB, not compressed, are read inline in 10.8 us, by two threads in 14 to 21;
    compressed with zstd inline in 28, by two threads in 18.
    """

    @abstractmethod
    def encode(self, chunk: AnyArray) -> Value | None:
        """
        The bytes of a chunk.

        Args:
            chunk: Of the spec's shape and dtype, in any memory layout. Not changed.

        Returns:
            A buffer that may share memory with `chunk`; None where the format itself says that the
            chunk need not be stored (a shard without inner chunks).
        """

    @abstractmethod
    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """
        Decode a chunk, or a part of it, to an array.

        Args:
            data: The bytes, not to be trusted.

            out: A writable view of the spec's dtype, with the shape of the chunk or of the part.

            part: Which part; the whole chunk if None.

        Raises:
            CodecError: If the bytes are damaged. `out` may then hold anything.
        """

    def decode(self, data: Value) -> AnyArray:
        """The chunk as an array; read-only where it is a view of `data`."""
        out = np.empty(self.spec.shape, self.spec.dtype)
        self.decode_into(data, out)
        return out

    def read_part(self, fetch: Fetch, out: AnyArray, part: Part) -> None:
        """
        Read and decode a part of a chunk by byte ranges. Only for coders with `ranges`.

        Args:
            fetch: Reads byte ranges of the chunk's value.

            out: As for `decode_into`.

            part: Which part.

        Raises:
            KeyNotFoundError: If the chunk is absent.

            CodecError: If the bytes are damaged.
        """
        raise UnsupportedError(f"{type(self).__name__} does not read by ranges")

    def reach(self, spans: Sequence[int]) -> int:
        """
        How many bytes, about, are held to decode a part that is read by ranges: decoded bytes of
        all that lies around it and cannot be left out.

        Args:
            spans: How many elements lie between the first and the last along each axis.
        """
        return self.spec.nbytes

    def update(self, data: Value | None, part: Part, values: AnyArray) -> Value | None:
        """
        The bytes of a chunk of which a part is written over.

        Args:
            data: The bytes it has; None if it is absent (all fill value).

            part: Which part.

            values: The new elements, of a shape that broadcasts to that of the part.

        Returns:
            As `encode`; None as well if every element has become the fill value.
        """
        if data is None:
            chunk = self.spec.full()
        else:
            chunk = np.empty(self.spec.shape, self.spec.dtype)
            self.decode_into(data, chunk)
        put(chunk, part, values)
        return None if self.spec.is_fill(chunk) else self.encode(chunk)

    def decode_step(
        self, data: Value, work: AnyArray, where: Part, part: Part, extent: int
    ) -> None:
        """
        Decode what a step of a plan asks for to its place in the working array.

        Args:
            data: The bytes of the chunk.

            work: The working array of the plan.

            where: The place in it.

            part: The part of the chunk.

            extent: `WHOLE` if the part is the chunk.

        Raises:
            CodecError: As `decode_into`.
        """
        if isinstance(where, tuple):
            # As `view`, whose calls would cost a tenth of what a chunk of 16 KiB takes in all.
            index: Any = (*where, ...)
            self.decode_into(data, work[index], None if extent == WHOLE else part)
        else:
            values = np.empty(part_shape(part), self.spec.dtype)
            self.decode_into(data, values, part)
            put(work, where, values)


def cells_around(spans: Sequence[int], cells: Shape, counts: Shape) -> int:
    """
    How many cells of a grid a box may touch.

    Args:
        spans: Its lengths.

        cells: Those of a cell.

        counts: How many cells there are along each axis.
    """
    axes = zip(spans, cells, counts, strict=True)
    return prod(min(count, (n - 1) // cell + 2) for n, cell, count in axes)


def joint_rate(*rates: int) -> int:
    """
    The rate of steps one after the other. Beside one that holds the GIL others do not matter: it
    works in Python, and takes longest by far.
    """
    return GIL_HELD if GIL_HELD in rates else max(1, round(1 / sum(1 / rate for rate in rates)))
