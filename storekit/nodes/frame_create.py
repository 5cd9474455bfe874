"""
The constructors of caterva, and those of blosc2 with the same names.

An array that is given a `dtype` is one of blosc2, which opens it with it. One that is given no more
than an `itemsize` is one of caterva: its elements are bytes, and blosc2 sees no array in it, but a
super-chunk.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from storekit.errors import MetadataError, ShapeError
from storekit.frames.b2nd import B2ND, CATERVA
from storekit.frames.home import Change
from storekit.frames.layout import NANS
from storekit.nodes.array import Array, check_elements
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.frame_draft import Draft
from storekit.nodes.frame_options import FrameOptions, element_type
from storekit.nodes.frame_parts import FrameParts
from storekit.nodes.frame_place import KeyPlace, find_place
from storekit.nodes.sparse_place import sparse_place
from storekit.typing import AnyArray, DType

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
    return Draft(FrameOptions(**options), shape, element, kind).make()


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
    return Draft(FrameOptions(**options), shape, element, kind).make(special=NANS)


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
    draft = Draft(FrameOptions(**options), shape, element, kind)
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
    draft = Draft(FrameOptions(**options), shape, element, kind)
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
    draft = Draft(FrameOptions(**options), source.shape, element, kind)
    return draft.make(draft.writer(source))


def copy(array: Any, *, dtype: Any = None, **options: Any) -> FrameArray:
    """
    A new frame with the elements, the settings and the metalayers of another one. If chunks, blocks
    and settings are the same, and the type of the elements is, nothing is compressed anew: chunks
    are copied, and verified if they have checksums; otherwise they get some.

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
    draft = Draft(FrameOptions(**options), frame.meta.shape, element, kind, like=array)
    write = draft.copier(array)

    def fill(target: FrameArray, change: Change) -> None:
        change.vlmeta = frame.trailer.layers
        write(target, change)

    return draft.make(fill)


def slice_of(array: FrameParts, key: Any, **options: Any) -> FrameArray:
    """As `FrameArray.slice`."""
    values = array.read(key)
    kind = CATERVA if CATERVA in array._frame.layers else B2ND
    chosen = FrameOptions(**options)
    draft = Draft(chosen, values.shape, values.dtype, kind, cparams=array.cparams)
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
    place = find_place(urlpath, store, key)
    place.remove()
    if isinstance(place, KeyPlace):
        sparse_place(place).remove()


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
