"""
Filters of Zarr v2: what was done to the elements of a chunk before they were compressed.

To storekit they are bytes like any: every filter knows how many bytes it makes of how many, so that
damaged data is found out before it is decoded, and takes no more memory than the chunk does.
numcodecs does the work where there is any, because its arithmetic is what the data was made with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from storekit.codecs.base import BytesBytesCodec
from storekit.codecs.config import get_choice, get_int
from storekit.codecs.v2.base import V2Codec, get_dtype, get_number, numcodecs_class
from storekit.errors import ChecksumError, CodecError, MetadataError, UnsupportedError
from storekit.typing import JSON, DType, Value

__all__ = ["FILTERS", "ByteOrder"]


class _Filter(V2Codec):
    """A filter that numcodecs undoes."""

    def _undo(self) -> Any:
        return numcodecs_class(self.name)(**self._configuration)

    def decode(self, data: Value, size: int | None) -> Value:
        """The bytes of the elements."""
        with np.errstate(all="ignore"):  # the data may hold anything
            result = self._undo().decode(bytes(data))
        array = np.ascontiguousarray(np.asarray(result)).reshape(-1)
        return array.view(np.uint8).data.toreadonly()


class _Typed(_Filter):
    """A filter from elements of one dtype to as many of another."""

    def _set_dtypes(self, decoded: DType, encoded: DType) -> None:
        self._decoded, self._encoded = decoded, encoded

    def encoded_size(self, size: int) -> int:
        """As many elements."""
        count, rest = divmod(size, self._decoded.itemsize)
        if rest:
            raise MetadataError(f"{size} bytes are no elements of {self._decoded.str}")
        return count * self._encoded.itemsize


class Delta(_Typed):
    """The first element, and the differences between each and the next."""

    name = "delta"
    required = ("dtype",)
    optional = ("astype",)

    def _check(self, configuration: Mapping[str, JSON]) -> None:
        dtype = get_dtype(configuration, "dtype")
        self._set_dtypes(dtype, get_dtype(configuration, "astype", dtype))


class FixedScaleOffset(_Typed):
    """Elements less an offset, times a factor, rounded."""

    name = "fixedscaleoffset"
    required = ("offset", "scale", "dtype")
    optional = ("astype",)

    def _check(self, configuration: Mapping[str, JSON]) -> None:
        dtype = get_dtype(configuration, "dtype")
        self._set_dtypes(dtype, get_dtype(configuration, "astype", dtype))
        get_number(configuration, "offset")
        if not get_number(configuration, "scale"):
            raise MetadataError(field="scale", expected="a number other than 0", found=0)


class Quantize(_Typed):
    """Floats rounded to a number of decimal digits."""

    name = "quantize"
    required = ("digits", "dtype")
    optional = ("astype",)

    def _check(self, configuration: Mapping[str, JSON]) -> None:
        get_int(configuration, "digits", -400, 400, 0)
        dtype = get_dtype(configuration, "dtype")
        self._set_dtypes(dtype, get_dtype(configuration, "astype", dtype))
        for key, kind in (("dtype", self._decoded), ("astype", self._encoded)):
            if kind.kind != "f":
                raise MetadataError(field=key, expected="a dtype of floats", found=kind.str)


class AsType(_Typed):
    """Elements as another dtype."""

    name = "astype"
    required = ("encode_dtype", "decode_dtype")

    def _check(self, configuration: Mapping[str, JSON]) -> None:
        encoded = get_dtype(configuration, "encode_dtype")
        self._set_dtypes(get_dtype(configuration, "decode_dtype"), encoded)


class PackBits(_Filter):
    """Eight booleans a byte, behind a byte with the number of bits too many."""

    name = "packbits"

    def _check(self, configuration: Mapping[str, JSON]) -> None: ...

    def encoded_size(self, size: int) -> int:
        """An eighth, and a byte."""
        return 1 + -(-size // 8)


class Shuffle(_Filter):
    """The first bytes of all elements, then the second, and so on."""

    name = "shuffle"
    optional = ("elementsize",)

    def _check(self, configuration: Mapping[str, JSON]) -> None:
        self._size = get_int(configuration, "elementsize", 0, (1 << 31) - 1, 4)

    def encoded_size(self, size: int) -> int:
        """As many bytes."""
        if self._size > 1 and size % self._size:
            raise MetadataError(
                field="elementsize", expected=f"a number that divides {size}", found=self._size
            )
        return size


class BitRound(V2Codec):
    """Floats whose last bits were dropped: nothing to undo."""

    name = "bitround"
    required = ("keepbits",)

    def _check(self, configuration: Mapping[str, JSON]) -> None:
        get_int(configuration, "keepbits", 0, 64, 0)

    def encoded_size(self, size: int) -> int:
        """As many bytes."""
        return size

    def decode(self, data: Value, size: int | None) -> Value:
        """The same bytes."""
        return data


class _Checksum(_Filter):
    """A checksum of four bytes at an end of the data."""

    places: ClassVar[tuple[str, ...]] = ()

    def _check(self, configuration: Mapping[str, JSON]) -> None:
        if configuration.get("location") is not None:
            get_choice(configuration, "location", self.places, "")

    def encoded_size(self, size: int) -> int:
        """Four bytes more."""
        return size + 4

    def decode(self, data: Value, size: int | None) -> Value:
        """The data, once it is known to be right."""
        if len(data) < 4:
            raise CodecError(f"{len(data)} bytes have no checksum", codec=self.name)
        try:
            return super().decode(data, size)
        except (RuntimeError, ValueError) as error:
            raise ChecksumError(str(error), codec=self.name) from error


class Fletcher32(_Checksum):
    """The checksum of HDF5, at the end."""

    name = "fletcher32"


class _Placed(_Checksum):
    optional = ("location",)
    places = ("start", "end")


class Crc32(_Placed):
    """The CRC-32 of zlib."""

    name = "crc32"


class Crc32c(_Placed):
    """The CRC-32C of RFC 3720."""

    name = "crc32c"


class Adler32(_Placed):
    """The Adler-32 of zlib."""

    name = "adler32"


class ByteOrder(BytesBytesCodec):
    """
    Records whose fields are stored in different byte orders.

    Args:
        stored: Their dtype; times as integers, because numpy does not swap all of them.
    """

    name = "byte order"

    def __init__(self, stored: DType) -> None:
        self._stored = stored

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Any:
        """Not there: no document asks for it."""
        raise MetadataError("is no codec of metadata")

    def to_config(self) -> dict[str, JSON]:
        """Nothing that metadata could say."""
        return {"stored": str(self._stored)}

    def encode(self, data: Value) -> Value:
        """Not there: Zarr v2 is only read."""
        raise UnsupportedError("Zarr v2 is only read")

    def encoded_size(self, size: int) -> int:
        """As many bytes."""
        return size

    def decode(self, data: Value, size: int | None) -> Value:
        """The records in little-endian order."""
        little = np.frombuffer(data, self._stored).astype(self._stored.newbyteorder("<"))
        return little.view(np.uint8).data.toreadonly()


FILTERS: dict[str, type[V2Codec]] = {
    kind.name: kind
    for kind in (
        Delta,
        FixedScaleOffset,
        Quantize,
        AsType,
        PackBits,
        Shuffle,
        BitRound,
        Fletcher32,
        Crc32,
        Crc32c,
        Adler32,
    )
}
"""By the names that documents give them."""
