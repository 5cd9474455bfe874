"""
The coders that a chain of codecs is made of, one for each kind of codec.

Each turns whatever goes wrong in a codec into a `CodecError`, whoever wrote the codec and whichever
exceptions its backend raises. Errors of the store, which come through `read_part`, are left alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import numpy as np

from storekit.codecs.base import (
    ArrayArrayCodec,
    BytesBytesCodec,
    ChunkCoder,
    ChunkSpec,
    joint_rate,
)
from storekit.codecs.scratch import borrow, give_back
from storekit.errors import CodecError, StorekitError
from storekit.selection.box import bounding_box, box_shape, inside
from storekit.selection.part import Part, take
from storekit.typing import AnyArray, ByteRange, DType, Fetch, Value

__all__ = ["Compressed", "Guarded", "Rearranged"]

P = ParamSpec("P")
T = TypeVar("T")


class Guarded(ChunkCoder):
    """The coder of the array->bytes codec, with storekit's errors."""

    def __init__(self, name: str, inner: ChunkCoder) -> None:
        self.name, self.inner, self.spec = name, inner, inner.spec
        self.ranges, self.encoded_size, self.rate = inner.ranges, inner.encoded_size, inner.rate
        self._has_text = _has_text(inner.spec.dtype)
        self.plain = inner.plain and not self._has_text

    def encode(self, chunk: AnyArray) -> Value | None:
        """As the inner coder."""
        return _guard(self.name, self.inner.encode, chunk)

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """As the inner coder."""
        _guard(self.name, self.inner.decode_into, data, out, part)
        self._check_text(out)

    def decode(self, data: Value) -> AnyArray:
        """As the inner coder."""
        chunk = _guard(self.name, self.inner.decode, data)
        self._check_text(chunk)
        return chunk

    def read_part(self, fetch: Fetch, out: AnyArray, part: Part) -> None:
        """As the inner coder; what the store raises, of whatever kind, is left alone."""
        watched = _Watched(fetch)
        try:
            _guard(self.name, self.inner.read_part, watched, out, part)
        except CodecError:
            if watched.error is not None:
                raise watched.error from None
            raise
        self._check_text(out)

    def update(self, data: Value | None, part: Part, values: AnyArray) -> Value | None:
        """As the inner coder."""
        return _guard(self.name, self.inner.update, data, part, values)

    def _check_text(self, decoded: AnyArray) -> None:
        # numpy itself fails with a SystemError, or makes an impossible str, when such text is used.
        if self._has_text and not _is_text(decoded):
            raise CodecError("text with code points beyond U+10FFFF", codec=self.name)


class Compressed(ChunkCoder):
    """A coder followed by bytes->bytes codecs."""

    def __init__(self, inner: ChunkCoder, codecs: Sequence[BytesBytesCodec]) -> None:
        self.inner, self.spec, self.codecs = inner, inner.spec, tuple(codecs)
        size = inner.encoded_size
        stages = []
        for codec in self.codecs:
            stages.append((codec, size))
            size = None if size is None else codec.encoded_size(size)
        self.encoded_size = size
        self.rate = joint_rate(inner.rate, *(codec.rate for codec in self.codecs))
        self._stages = stages[::-1]
        # A codec that can decode to given memory does so last, straight into the output.
        (last, self._size) = stages[0]
        self._last: BytesBytesCodec | None = None
        if self._size is not None and type(last).decode_into is not BytesBytesCodec.decode_into:
            self._last = last
            self._stages.pop()

    def encode(self, chunk: AnyArray) -> Value | None:
        """The bytes of a chunk."""
        data = self.inner.encode(chunk)
        if data is None:
            return None
        for codec in self.codecs:
            data = _guard(codec.name, codec.encode, data)
        return data

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """Decode a chunk, or a part of it, to an array; in place where the memory allows."""
        data = self._unpack(data)
        codec, size = self._last, self._size
        if codec is None or size is None:
            self.inner.decode_into(data, out, part)
        elif (
            part is None
            and self.inner.plain
            and out.nbytes == size
            and out.flags.carray
            and out.dtype == self.spec.dtype
        ):
            _guard(codec.name, codec.decode_into, data, out.reshape(-1).view(np.uint8).data)
        else:
            buffer = borrow(size)
            _guard(codec.name, codec.decode_into, data, buffer.data)
            self.inner.decode_into(buffer.data, out, part)
            give_back(buffer)

    def _unpack(self, data: Value) -> Value:
        for codec, size in self._stages:
            data = _guard(codec.name, codec.decode, data, size)
            if size is not None and len(data) != size:
                raise CodecError(f"decoded to {len(data)} bytes, expected {size}", codec=codec.name)
        return data


class Rearranged(ChunkCoder):
    """A coder behind an array->array codec."""

    def __init__(self, codec: ArrayArrayCodec, spec: ChunkSpec, inner: ChunkCoder) -> None:
        self.codec, self.spec, self.inner = codec, spec, inner
        self.encoded_size, self.rate = inner.encoded_size, inner.rate
        self.ranges = inner.ranges and codec.views

    def encode(self, chunk: AnyArray) -> Value | None:
        """The bytes of a chunk."""
        return self.inner.encode(_guard(self.codec.name, self.codec.encode, chunk))

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """
        Decode a chunk, or a part of it, to an array; through a view of it where the codec allows.
        """
        codec = self.codec
        encoded = None if part is None or not codec.views else codec.encoded_part(part)
        if codec.views and (part is None or encoded is not None):
            self.inner.decode_into(data, codec.encode(out), encoded)
        else:
            chunk = _guard(codec.name, codec.decode, self.inner.decode(data))
            out[...] = chunk if part is None else take(chunk, part)

    def read_part(self, fetch: Fetch, out: AnyArray, part: Part) -> None:
        """
        Read a part by byte ranges; where it is no such part for the inner coder, the box around it.
        """
        encoded = self.codec.encoded_part(part)
        if encoded is not None:
            self.inner.read_part(fetch, self.codec.encode(out), encoded)
            return
        box = bounding_box(part)
        if box is not None:
            around = np.empty(box_shape(box), self.spec.dtype)
            self.read_part(fetch, around, box)
            out[...] = take(around, inside(part, box))


def _has_text(dtype: DType) -> bool:
    if dtype.subdtype is not None:
        dtype = dtype.base
    return dtype.kind == "U" or any(_has_text(dtype[name]) for name in dtype.names or ())


def _is_text(array: AnyArray) -> bool:
    """Whether all code points of all text in an array are such."""
    if array.dtype.names:
        fields = (array[name] for name in array.dtype.names)
        return all(_is_text(field) for field in fields if _has_text(field.dtype))
    points = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
    return not points.size or int(points.max()) <= sys.maxunicode


class _Watched:
    """A `Fetch` that remembers how it failed."""

    error: Exception | None = None

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def __call__(self, ranges: Sequence[ByteRange]) -> list[Value]:
        try:
            return self._fetch(ranges)
        except Exception as error:
            self.error = error
            raise


def _guard(name: str, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a codec, and blame it by name for what it raises."""
    try:
        return call(*args, **kwargs)
    except CodecError as error:
        if error.codec is not None:
            raise
        raise type(error)(error.reason, codec=name, key=error.key) from error
    except (StorekitError, OSError):
        raise  # an OSError is not about the bytes, but about the store that they come from
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise CodecError(reason, codec=name) from error
