"""
The coders that a chain of codecs is made of, one for each kind of codec.

Each turns whatever goes wrong in a codec into a `CodecError`, whoever wrote the codec and whichever
exceptions its backend raises. Errors of the store, which come through `read_part`, are left alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from storekit.codecs.base import ArrayArrayCodec, BytesBytesCodec
from storekit.codecs.coder import ChunkCoder, joint_rate
from storekit.codecs.scratch import MAX_BYTES, borrow, give_back
from storekit.codecs.spec import ChunkSpec
from storekit.errors import CodecError, StorekitError
from storekit.selection.box import bounding_box, box_shape, inside
from storekit.selection.part import Part, take
from storekit.typing import AnyArray, ByteRange, DType, Fetch, Value

__all__ = ["Compressed", "Guarded", "Rearranged"]


class Guarded(ChunkCoder):
    """The coder of the array->bytes codec, with storekit's errors."""

    def __init__(self, name: str, inner: ChunkCoder) -> None:
        self.name, self.inner, self.spec = name, inner, inner.spec
        self.ranges, self.encoded_size, self.rate = inner.ranges, inner.encoded_size, inner.rate
        self._has_text = _has_text(inner.spec.dtype)
        self.plain = inner.plain and not self._has_text

    def encode(self, chunk: AnyArray) -> Value | None:
        """As the inner coder."""
        try:
            return self.inner.encode(chunk)
        except Exception as error:
            _blame(self.name, error)
            raise

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """As the inner coder."""
        try:
            self.inner.decode_into(data, out, part)
        except Exception as error:
            _blame(self.name, error)
            raise
        if self._has_text:
            self._check_text(out)

    def decode(self, data: Value) -> AnyArray:
        """As the inner coder."""
        try:
            chunk = self.inner.decode(data)
        except Exception as error:
            _blame(self.name, error)
            raise
        if self._has_text:
            self._check_text(chunk)
        return chunk

    def reach(self, spans: Sequence[int]) -> int:
        """As the inner coder."""
        return self.inner.reach(spans)

    def read_part(self, fetch: Fetch, out: AnyArray, part: Part) -> None:
        """As the inner coder; what the store raises, of whatever kind, is left alone."""
        watched = _Watched(fetch)
        try:
            self.inner.read_part(watched, out, part)
        except Exception as error:
            if watched.error is not None:
                raise watched.error from None
            _blame(self.name, error)
            raise
        if self._has_text:
            self._check_text(out)

    def update(self, data: Value | None, part: Part, values: AnyArray) -> Value | None:
        """As the inner coder."""
        try:
            return self.inner.update(data, part, values)
        except Exception as error:
            _blame(self.name, error)
            raise

    def _check_text(self, decoded: AnyArray) -> None:
        # numpy itself fails with a SystemError, or makes an impossible str, when such text is used.
        if not _is_text(decoded):
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
        # A codec that can decode to given memory does so last, straight into the output.
        (last, size) = stages[0]
        in_place = type(last).decode_into is not BytesBytesCodec.decode_into
        self._last = (last, size) if size is not None and in_place else None
        self._stages = stages[: 0 if self._last else None : -1]

    def encode(self, chunk: AnyArray) -> Value | None:
        """The bytes of a chunk."""
        data = self.inner.encode(chunk)
        if data is None:
            return None
        name = ""
        try:
            for codec in self.codecs:
                name = codec.name
                data = codec.encode(data)
        except Exception as error:
            _blame(name, error)
            raise
        return data

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """Decode a chunk, or a part of it, to an array; in place where the memory allows."""
        if self._stages:
            data = self._unpack(data)
        if self._last is None:
            self.inner.decode_into(data, out, part)
            return
        codec, size = self._last
        spec, inner = self.spec, self.inner
        try:
            if (
                part is None
                and inner.plain
                and out.flags.carray
                and out.nbytes == size
                and out.dtype == spec.dtype
            ):
                codec.decode_into(data, out.reshape(-1).view(np.uint8).data)
                return
            if size > MAX_BYTES:  # `decode` looks at the data before it takes so much memory
                data = codec.decode(data, size)
            else:
                buffer = borrow(size)
                codec.decode_into(data, buffer.data)
        except Exception as error:
            _blame(codec.name, error)
            raise
        if size > MAX_BYTES:
            inner.decode_into(data, out, part)
            return
        if inner.plain:
            chunk: AnyArray = np.ndarray(spec.shape, spec.dtype, buffer)
            out[...] = chunk if part is None else take(chunk, part)
        else:
            inner.decode_into(buffer.data, out, part)
        give_back(buffer)

    def _unpack(self, data: Value) -> Value:
        name = ""
        try:
            for codec, size in self._stages:
                name = codec.name
                data = codec.decode(data, size)
                if size is not None and len(data) != size:
                    raise CodecError(f"decoded to {len(data)} bytes, expected {size}")
        except Exception as error:
            _blame(name, error)
            raise
        return data


class Rearranged(ChunkCoder):
    """A coder behind an array->array codec."""

    def __init__(self, codec: ArrayArrayCodec, spec: ChunkSpec, inner: ChunkCoder) -> None:
        self.codec, self.spec, self.inner = codec, spec, inner
        self.encoded_size, self.rate = inner.encoded_size, inner.rate
        self.ranges = inner.ranges and codec.views

    def encode(self, chunk: AnyArray) -> Value | None:
        """The bytes of a chunk."""
        try:
            chunk = self.codec.encode(chunk)
        except Exception as error:
            _blame(self.codec.name, error)
            raise
        return self.inner.encode(chunk)

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        """
        Decode a chunk, or a part of it, to an array; through a view of it where the codec allows.
        """
        codec = self.codec
        encoded = None if part is None or not codec.views else codec.encoded_part(part)
        if codec.views and (part is None or encoded is not None):
            self.inner.decode_into(data, codec.encode(out), encoded)
        else:
            chunk = self.inner.decode(data)
            try:
                chunk = codec.decode(chunk)
            except Exception as error:
                _blame(codec.name, error)
                raise
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


def _blame(name: str, error: Exception) -> None:
    """
    Raise what a codec has failed with as an error that names the codec; return if it does.

    To be called where the error has been caught. There is no function that calls the codec and
    catches: passing arguments through it would cost more than what small chunks take to decode.
    """
    if isinstance(error, CodecError):
        if error.codec is None:
            raise type(error)(error.reason, codec=name, key=error.key) from error
    # An OSError is not about the bytes, but about the store that they come from.
    elif not isinstance(error, StorekitError | OSError):
        raise CodecError(str(error) or type(error).__name__, codec=name) from error
