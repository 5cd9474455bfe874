"""
The constructors of caterva, and those of blosc2 with the same names.

An array that is given a `dtype` is one of blosc2, which opens it with it. One that is given no more
than an `itemsize` is one of caterva: its elements are bytes, and blosc2 sees no array in it, but a
super-chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any, TypeAlias

import numpy as np

from storekit.codecs.frame_chunk import FrameChunkCoder
from storekit.codecs.spec import ChunkSpec
from storekit.errors import MetadataError, ShapeError
from storekit.frames.b2nd import B2ND, CATERVA
from storekit.frames.chunkvalue import value_chunk
from storekit.frames.frame import MAX_TYPESIZE, grid_counts, new_ends
from storekit.frames.home import Change
from storekit.frames.layout import NANS, ZEROS
from storekit.frames.params import CParams
from storekit.nodes.array import Array, check_elements
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.frame_options import FrameOptions, default_params, element_type
from storekit.nodes.frame_place import find_place
from storekit.selection.parse import select
from storekit.typing import AnyArray, DType, Shape, Value

__all__ = [
    "asarray",
    "copy",
    "empty",
    "from_buffer",
    "full",
    "nans",
    "remove",
    "slice_of",
    "zeros",
]

_Edit: TypeAlias = Callable[[FrameArray, Change], None]

_OF_ARRAYS = (B2ND, CATERVA)

_SLAB = 64 << 20
"""Bytes that are copied at once, unless a row of chunks has more."""


def zeros(
    shape: Any, itemsize: int | None = None, *, dtype: Any = None, **options: Any
) -> FrameArray:
    """
    An array of zeros, of which no chunk is stored.

    Args:
        shape: The length of every dimension; an int for one.

        itemsize: Bytes of an element, for a frame of caterva.

        dtype: The type of the elements, for one of blosc2.

        options: Those of `FrameOptions`.

    Raises:
        MetadataError: If the arguments do not fit together.

        NodeExistsError: If something is there already, unless `mode` is ``"w"``.

        ReadOnlyError: If nothing can be written there.
    """
    element, kind = element_type(itemsize, dtype)
    return _Draft(FrameOptions(**options), shape, element, kind).make()


def empty(
    shape: Any, itemsize: int | None = None, *, dtype: Any = None, **options: Any
) -> FrameArray:
    """As `zeros`: what was never written is zero."""
    return zeros(shape, itemsize, dtype=dtype, **options)


def nans(shape: Any, *, dtype: Any = "f8", **options: Any) -> FrameArray:
    """
    An array of NaN, of which no chunk is stored.

    Args:
        shape: As in `zeros`.

        dtype: A type of floats.

        options: Those of `FrameOptions`.

    Raises:
        MetadataError, NodeExistsError, ReadOnlyError: As `zeros`.
    """
    element, kind = element_type(None, dtype)
    if element not in (np.dtype("f4"), np.dtype("f8")):
        return full(shape, np.nan, dtype=element, **options)
    return _Draft(FrameOptions(**options), shape, element, kind).make(special=NANS)


def full(shape: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> FrameArray:
    """
    An array of one value, which is stored once for every chunk.

    Args:
        shape: As in `zeros`.

        fill_value: Bytes make a frame of caterva, with elements of so many bytes; any scalar one of
            blosc2.

        dtype: The type of the elements, for a frame of blosc2. Defaults to that of the scalar.

        options: Those of `FrameOptions`.

    Raises:
        MetadataError, NodeExistsError, ReadOnlyError: As `zeros`.
    """
    raw = dtype is None and isinstance(fill_value, bytes | bytearray | memoryview)
    size = memoryview(fill_value).nbytes if raw else None
    element, kind = element_type(size, dtype, None if raw else np.asarray(fill_value).dtype)
    draft = _Draft(FrameOptions(**options), shape, element, kind)
    value = _scalar(fill_value, element)
    if not any(value.tobytes()):
        return draft.make()

    def put(_: FrameArray, change: Change) -> None:
        chunk = draft.filled(value)
        for number in range(len(change.offsets)):
            change.put(number, chunk)

    return draft.make(put)


def from_buffer(
    buffer: Any, shape: Any, itemsize: int | None = None, *, dtype: Any = None, **options: Any
) -> FrameArray:
    """
    An array of the elements in a buffer.

    Args:
        buffer: Bytes, or anything else that has them: all elements in C order.

        shape: As in `zeros`.

        itemsize: Bytes of an element, for a frame of caterva.

        dtype: The type of the elements, for one of blosc2.

        options: Those of `FrameOptions`.

    Raises:
        ShapeError: If the buffer has another size.

        MetadataError, NodeExistsError, ReadOnlyError: As `zeros`.
    """
    element, kind = element_type(itemsize, dtype)
    draft = _Draft(FrameOptions(**options), shape, element, kind)
    sides = draft.meta.shape
    try:
        view = memoryview(buffer)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"expected a buffer: {error}") from error
    expected = prod(sides) * element.itemsize
    if not view.c_contiguous or view.nbytes != expected:
        raise ShapeError(f"expected {expected} bytes in C order, found {view.nbytes}")
    values: AnyArray = np.ndarray(sides, element, view)
    return draft.make(draft.writer(values))


def asarray(array: Any, *, dtype: Any = None, **options: Any) -> FrameArray:
    """
    An array with the elements of another.

    Args:
        array: An array of numpy, or anything that it makes one of; or one of storekit, which is
            copied in parts. A `FrameArray` is returned as it is if nothing else is asked for.

        dtype: The type of the elements. Defaults to that of the array.

        options: Those of `FrameOptions`.

    Raises:
        MetadataError, NodeExistsError, ReadOnlyError: As `zeros`.

        ShapeError: If it is a mapping.
    """
    if isinstance(array, FrameArray):
        return array if dtype is None and not options else copy(array, dtype=dtype, **options)
    source = array
    if not isinstance(array, Array):
        check_elements(array)
        source = np.asarray(array, dtype)
    element, kind = element_type(None, dtype, source.dtype)
    draft = _Draft(FrameOptions(**options), source.shape, element, kind)
    return draft.make(draft.writer(source))


def copy(array: Any, *, dtype: Any = None, **options: Any) -> FrameArray:
    """
    A new frame with the elements, the settings and the metalayers of another one.

    Args:
        array: The other one. Of any other array it is `asarray`.

        dtype: The type of the elements, if it is to be another.

        options: Those of `FrameOptions`: where to, and what is to be different.

    Raises:
        MetadataError, NodeExistsError, ReadOnlyError: As `zeros`.
    """
    if not isinstance(array, FrameArray):
        return asarray(array, dtype=dtype, **options)
    frame = array._frame
    element, kind = element_type(None, dtype, frame.meta.dtype)
    if dtype is None and CATERVA in frame.layers:
        kind = CATERVA
    draft = _Draft(FrameOptions(**options), frame.meta.shape, element, kind, like=array)
    write = draft.writer(array)

    def fill(target: FrameArray, change: Change) -> None:
        change.vlmeta = frame.trailer.layers
        write(target, change)

    return draft.make(fill)


def slice_of(array: FrameArray, key: Any, **options: Any) -> FrameArray:
    """As `FrameArray.slice`."""
    values = array.read(key)
    kind = CATERVA if CATERVA in array._frame.layers else B2ND
    chosen = FrameOptions(**options)
    draft = _Draft(chosen, values.shape, values.dtype, kind, cparams=array.cparams)
    return draft.make(draft.writer(values))


def remove(urlpath: Any = None, *, store: Any = None, key: str | None = None) -> None:
    """
    Remove a frame; nothing happens if there is none.

    Args:
        urlpath: As in `FrameOptions`.

        store: As in `FrameOptions`.

        key: As in `FrameOptions`.

    Raises:
        MetadataError: If that is not one place.

        NodeTypeError: If it is a directory, and no sparse frame.

        ReadOnlyError: If the store cannot be written.
    """
    find_place(urlpath, store, key).remove()


class _Draft:
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
        self._place, self._replace = options.place(), options.replaces
        self.meta = options.layout(shape, dtype, layout)
        self._cparams = options.settings(cparams or default_params(kind))
        self._layers = options.layers(kind, layers)

    def make(self, edit: _Edit | None = None, *, special: int = ZEROS) -> FrameArray:
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

    def writer(self, source: Any) -> _Edit:
        """What writes the elements of an array, of numpy or of storekit."""
        shape, chunks = self.meta.shape, self.meta.chunks

        def write(array: FrameArray, change: Change) -> None:
            io = array._io_of(change)
            for part in _slabs(shape, chunks, self.meta.dtype.itemsize):
                values = source.read(part) if isinstance(source, Array) else source[part]
                io.write(select(part, shape), array._elements(values))

        return write

    def filled(self, value: AnyArray) -> Value:
        """A chunk of nothing but a value."""
        _, chunks, blocks, dtype = self.meta
        if dtype.itemsize > MAX_TYPESIZE:
            spec = ChunkSpec(chunks, dtype, np.zeros((), dtype)[()])
            return FrameChunkCoder(spec, blocks, self._cparams).encode(np.full(chunks, value))
        blocksize = prod(blocks) * dtype.itemsize
        nbytes = prod(grid_counts(chunks, blocks)) * blocksize
        return value_chunk(value.tobytes(), nbytes, blocksize)


def _scalar(value: Any, dtype: DType) -> AnyArray:
    """A value as an array of no dimensions."""
    scalar = np.zeros((), dtype)
    try:
        if dtype.kind == "V" and dtype.names is None:
            scalar[()] = np.frombuffer(value, dtype)[0]
        else:
            scalar[()] = value
    except (IndexError, OverflowError, TypeError, ValueError) as error:
        expected = f"an element of {dtype}"
        raise MetadataError(field="fill_value", expected=expected, found=value) from error
    return scalar


def _slabs(shape: Shape, chunks: Shape, itemsize: int) -> Iterator[tuple[slice, ...]]:
    """Parts of an array that follow each other, each of whole chunks."""
    if not shape:
        yield ()
        return
    row = chunks[0] * prod(shape[1:]) * itemsize
    step = chunks[0] * max(_SLAB // max(row, 1), 1)
    for start in range(0, shape[0], step):
        yield (slice(start, min(start + step, shape[0])),)
