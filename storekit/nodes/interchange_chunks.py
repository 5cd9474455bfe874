"""
Chunks from one array to another: as they are where both are cut alike, else decoded and encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from storekit.codecs.b2nd import FrameCoder
from storekit.codecs.chain import Guarded
from storekit.errors import CodecError, KeyNotFoundError
from storekit.frames.b2nd import B2ndMeta
from storekit.frames.chunks import ChangingChunks
from storekit.frames.chunkseal import seal_chunk
from storekit.frames.home import Change, Home
from storekit.frames.layout import NANS, UNINIT, ZEROS
from storekit.frames.params import CParams
from storekit.frames.plugins import refuse_plugins
from storekit.frames.transfer import bare_chunk, chunk_sizes, unwrap_chunk, wrap_chunk
from storekit.nodes.array import Array
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.interchange_threads import in_flight
from storekit.nodes.placing import writable
from storekit.nodes.zarr_array import ZarrArray
from storekit.selection.parse import select
from storekit.stores.base import Store
from storekit.typing import AnyArray, DType, Shape

__all__ = [
    "FrameTarget",
    "Source",
    "ZarrTarget",
    "coder_of",
    "copy_chunks",
    "name_of_chunks",
    "params_of_coder",
    "source_of",
]

Box: TypeAlias = tuple[slice, ...]

Raw: TypeAlias = bytes | int | None
"""A bare chunk, or what an index has in place of one; None if it must be decoded."""

_BOX = 32 << 20
"""Decoded bytes of several chunks of the target up to which they are copied as one."""


class Source(NamedTuple):
    """
    An array that is copied, at one moment if it is a frame.

    Args:
        shape: Of the array.

        dtype: Of its elements.

        chunks: What is best read at once.

        place: The store or the home that it is read from.

        read: From a box to its elements.

        meta: Of each chunk as a frame; None if chunks are no chunks of blosc2.

        raw: From the number of a chunk and its place in the grid to the chunk.
    """

    shape: Shape
    dtype: DType
    chunks: Shape
    place: Home | Store
    read: Callable[[Box], AnyArray]
    meta: B2ndMeta | None
    raw: Callable[[int, Shape], Raw]


def source_of(array: Array) -> Source:
    """Any array, as one to copy."""
    if isinstance(array, FrameArray):
        return _source_of_frame(array)
    if isinstance(array, ZarrArray):
        return _source_of_zarr(array)
    raise TypeError(f"cannot copy a {type(array).__name__}")


def coder_of(array: ZarrArray) -> FrameCoder | None:
    """The coder of an array whose chunks are frames, one a chunk; None of others."""
    coder = array._metadata.coder
    inner = coder.inner if isinstance(coder, Guarded) else coder
    return inner if isinstance(inner, FrameCoder) else None


def params_of_coder(coder: FrameCoder) -> CParams:
    """How chunks are compressed."""
    settings: dict[str, Any] = coder._settings
    return CParams(settings["codec"], settings["clevel"], settings["filters"])


def _source_of_frame(array: FrameArray) -> Source:
    state = array._now()
    frame, chunks = state.snapshot.frame, state.chunks
    meta = frame.meta
    sizes = chunk_sizes(meta.chunks, meta.blocks, meta.dtype)

    def read(box: Box) -> AnyArray:
        return state.io.read(select(box, meta.shape))

    def raw(number: int, place: Shape) -> Raw:
        offset = int(frame.offsets[number])
        if offset < 0:
            return offset if offset in (ZEROS, NANS, UNINIT) else None
        try:
            return bare_chunk(chunks.get(str(number)), *sizes)
        except CodecError as error:
            refuse_plugins(frame.header)
            raise error.located(str(number)) from error

    one = None if frame.plain else meta._replace(shape=meta.chunks)
    return Source(meta.shape, meta.dtype, meta.chunks, array._home, read, one, raw)


def _source_of_zarr(array: ZarrArray) -> Source:
    coder, metadata, store = coder_of(array), array._metadata, array.store
    unit, dtype = metadata.chunk_shape, array.dtype
    meta = None if coder is None else B2ndMeta(unit, unit, coder._grid.blocks, dtype)
    name_of, absent = name_of_chunks(array), _special(metadata.fill_value, dtype)

    def raw(number: int, place: Shape) -> Raw:
        key = name_of(place)
        try:
            return unwrap_chunk(store.get(key), meta) if meta else None
        except KeyNotFoundError:
            return absent
        except CodecError as error:
            raise error.located(key) from error

    return Source(array.shape, dtype, unit, store, array.read, meta, raw)


def name_of_chunks(array: ZarrArray) -> Callable[[Shape], str]:
    """From the place of a chunk in the grid to its key."""
    name_of = array._metadata.key_encoding.namer(f"{array.path}/" if array.path else "")
    return lambda place: name_of(tuple(map(str, place)))


def _special(fill: object, dtype: DType) -> int | None:
    """What the index of a frame has for chunks of nothing but a fill value, if there is such."""
    content = np.full((), fill, dtype).tobytes()
    if not any(content):
        return ZEROS
    if dtype.kind == "f" and dtype.itemsize in (4, 8):
        return NANS if content == np.full((), np.nan, dtype).tobytes() else None
    return None


class FrameTarget:
    """
    A frame that is being written.

    Args:
        array: The frame, of only zeros.

        change: That writes it.
    """

    def __init__(self, array: FrameArray, change: Change) -> None:
        meta = change.meta
        self.shape, self.chunks = meta.shape, meta.chunks
        self.place: Home = array._home
        self.meta = meta._replace(shape=meta.chunks)
        self._change = change
        self._io = array._io(ChangingChunks(array._home, change), meta.shape)

    def put(self, number: int, place: Shape, chunk: bytes | int) -> bool:
        """Store a chunk, with checksums."""
        if not isinstance(chunk, int):
            self._change.put(number, seal_chunk(chunk))
        elif chunk != ZEROS:
            self._change.drop(number, chunk)
        return True

    def write(self, box: Box, values: AnyArray) -> None:
        """Encode elements."""
        self._io.write(select(box, self.shape), values)


class ZarrTarget:
    """
    A Zarr array that is being written.

    Args:
        array: Without any chunk.
    """

    def __init__(self, array: ZarrArray) -> None:
        coder, metadata = coder_of(array), array._metadata
        self.shape, self.chunks = array.shape, metadata.chunk_shape
        self.place: Store = array.store
        self.meta: B2ndMeta | None = None
        self._clevel = 0
        if coder is not None:
            self.meta = B2ndMeta(self.chunks, self.chunks, coder._grid.blocks, array.dtype)
            self._clevel = params_of_coder(coder).clevel
        self._zeros = _special(metadata.fill_value, array.dtype) == ZEROS
        self._array, self._io, self._name_of = array, array._io, name_of_chunks(array)

    def put(self, number: int, place: Shape, chunk: bytes | int) -> bool:
        """Store a frame of a chunk; nothing for zeros, if absence means that."""
        if isinstance(chunk, int):
            return self._zeros and chunk in (ZEROS, UNINIT)
        value = wrap_chunk(chunk, self.meta, self._clevel) if self.meta else None
        if value is not None:
            writable(self._array.store, "set").set(self._name_of(place), value)
        return value is not None

    def write(self, box: Box, values: AnyArray) -> None:
        """Encode elements."""
        self._io.write(select(box, self.shape), values)


def copy_chunks(source: Source, target: FrameTarget | ZarrTarget, *, raw: bool = True) -> None:
    """
    Copy all elements, some chunks at a time.

    Args:
        source: The array.

        target: Of the same shape, and only zeros or the fill value.

        raw: Whether chunks may stay as they are.
    """
    raw = raw and source.meta is not None and source.meta == target.meta
    step = target.chunks if raw else _step(source, target)
    counts = [-(-n // s) if n else 0 for n, s in zip(target.shape, step, strict=True)]

    def work(items: Iterable[tuple[int, Shape]]) -> None:
        for number, place in items:
            found = source.raw(number, place) if raw else None
            if found is None or not target.put(number, place, found):
                box = _box(place, step, target.shape)
                target.write(box, source.read(box))

    size = prod(step) * source.dtype.itemsize
    in_flight(enumerate(np.ndindex(*counts)), work, source.place, target.place, size)


def _step(source: Source, target: FrameTarget | ZarrTarget) -> Shape:
    """Whole chunks of the target, and so many that few of the source are decoded twice."""
    pairs = zip(source.chunks, target.chunks, strict=True)
    step = tuple(own * max(1, -(-other // own)) for other, own in pairs)
    return step if prod(step) * source.dtype.itemsize <= _BOX else target.chunks


def _box(place: Shape, step: Shape, shape: Shape) -> Box:
    triples = zip(place, step, shape, strict=True)
    return tuple(slice(i * n, min(i * n + n, end)) for i, n, end in triples)
