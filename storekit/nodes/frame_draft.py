"""A frame on its way to be made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any, TypeAlias

import numpy as np

from storekit.codecs.frame_chunk import FrameChunkCoder
from storekit.codecs.spec import ChunkSpec
from storekit.errors import CodecError, ConflictError
from storekit.frames.b2nd import B2ND, CATERVA
from storekit.frames.chunkvalue import value_chunk
from storekit.frames.ends import new_ends
from storekit.frames.frame import grid_counts
from storekit.frames.home import Change, Snapshot
from storekit.frames.layout import MAX_TYPESIZE, NANS, UNINIT, ZEROS, chunk_typesize
from storekit.frames.params import CParams
from storekit.frames.seal import SEAL
from storekit.frames.transfer import kept_chunk
from storekit.nodes.array import Array
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.frame_options import FrameOptions, default_params
from storekit.selection.parse import select
from storekit.typing import AnyArray, DType, Shape, Value

__all__ = ["Draft"]

Edit: TypeAlias = Callable[[FrameArray, Change], None]
"""Writes to a frame that is being made."""

_OF_ARRAYS = (B2ND, CATERVA, SEAL)

_SLAB = 64 << 20
"""Bytes that are copied at once, unless a row of chunks has more."""


class Draft:
    """
    A frame that is to be made.

    Args:
        options: What was chosen.

        shape: Of the array.

        dtype: Of the elements.

        kind: The name of the metalayer of the array.

        like: What the rest is taken from.

        cparams: How chunks are compressed, if nothing is chosen.

    Raises:
        MetadataError: If that does not fit together.
    """

    def __init__(
        self,
        options: FrameOptions,
        shape: Any,
        dtype: DType,
        kind: str,
        *,
        like: FrameArray | None = None,
        cparams: CParams | None = None,
    ) -> None:
        layers = {}
        layout = None
        if like is not None:
            frame, cparams = like._frame, like.cparams
            layers = {n: layer.content for n, layer in frame.layers.items() if n not in _OF_ARRAYS}
            layout = None if frame.plain or 0 in frame.meta.chunks else frame.meta
        self._kind, self._place, self._replace = kind, options.place(), options.replaces
        self._cparams = options.settings(cparams or default_params(kind))
        self.meta = options.layout(shape, dtype, self._cparams, layout)
        typesize = chunk_typesize(self.meta.dtype.itemsize)
        self._cparams.compress_args(typesize, 0)  # or they are refused
        self._layers = options.layers(kind, layers)

    def make(self, edit: Edit | None = None, *, special: int = ZEROS) -> FrameArray:
        """
        Make it.

        Args:
            edit: What is written to it.

            special: What its elements are before.
        """
        blank = b"".join(new_ends(self.meta, self._cparams, self._layers, special=special))

        def fill(array: FrameArray) -> None:
            if edit is not None:
                array._change(partial(edit, array))

        return self._place.make(blank, fill, replace=self._replace, nthreads=self._cparams.nthreads)

    def writer(self, source: Any) -> Edit:
        """What writes the elements of an array, of numpy or of storekit."""
        shape, chunks = self.meta.shape, self.meta.chunks

        def write(array: FrameArray, change: Change) -> None:
            io = array._io_of(change)
            for part in _slabs(shape, chunks, self.meta.dtype.itemsize):
                values = source.read(part) if isinstance(source, Array) else source[part]
                io.write(select(part, shape), array._elements(values))

        return write

    def copier(self, source: FrameArray) -> Edit:
        """
        What writes the elements of a frame: its chunks as they are, where these two have the same.
        """
        write, snapshot = self.writer(source), source._now().snapshot
        frame = snapshot.frame
        offsets, nans = frame.offsets, self.meta.dtype.itemsize in (4, 8)
        known = (offsets >= 0) | np.isin(
            offsets, [ZEROS, UNINIT, NANS] if nans else [ZEROS, UNINIT]
        )
        same = self._kind in frame.layers and self.meta == frame.meta
        params = CParams.from_header(frame.header)
        if not same or replace(self._cparams, nthreads=1) != params or not known.all():
            return write

        def keep(array: FrameArray, change: Change) -> None:
            try:
                _copy_chunks(snapshot, change)
            except ConflictError:  # the source was replaced; reading elements, it is read again
                write(array, change)

        return keep

    def filled(self, value: AnyArray) -> Value:
        """A chunk of nothing but a value."""
        _, chunks, blocks, dtype = self.meta
        if dtype.itemsize > MAX_TYPESIZE:
            spec = ChunkSpec(chunks, dtype, np.zeros((), dtype)[()])
            return FrameChunkCoder(spec, blocks, self._cparams).encode(np.full(chunks, value))
        blocksize = prod(blocks) * dtype.itemsize
        nbytes = prod(grid_counts(chunks, blocks)) * blocksize
        return value_chunk(value.tobytes(), nbytes, blocksize)


def _copy_chunks(source: Snapshot, change: Change) -> None:
    """Put all chunks of a frame into another one."""
    frame = source.frame
    offsets = frame.offsets
    change.offsets[...] = np.where(offsets == NANS, NANS, ZEROS)
    stored = np.flatnonzero(offsets >= 0).tolist()
    step = max(_SLAB // max(frame.header.chunksize, 1), 1)
    for first in range(0, len(stored), step):
        numbers = stored[first : first + step]
        values = source.read([(int(offsets[number]), (0, None)) for number in numbers])
        for number, value in zip(numbers, values, strict=True):
            try:
                chunk = kept_chunk(frame.exact(value), frame.meta)
            except CodecError as error:
                raise error.located(str(number)) from error
            change.put(number, chunk)


def _slabs(shape: Shape, chunks: Shape, itemsize: int) -> Iterator[tuple[slice, ...]]:
    """Parts of an array that follow each other, each of whole chunks."""
    if not shape:
        yield ()
        return
    row = chunks[0] * prod(shape[1:]) * itemsize
    step = chunks[0] * max(_SLAB // max(row, 1), 1)
    for start in range(0, shape[0], step):
        yield (slice(start, min(start + step, shape[0])),)
