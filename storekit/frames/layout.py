"""
The blosc2 contiguous frame, byte by byte: header, chunks, index, trailer.

The header is a msgpack array of 14 values, all at fixed places but the last, which holds the
fixed-size metalayers. The index is a chunk of 64-bit integers: where each chunk begins, counted
from the end of the header; negative for chunks that need not be stored. The trailer holds
metalayers of variable size; here it is read past, and written empty.

Source: C-Blosc2, README_CFRAME_FORMAT.rst. Where it and C-Blosc2 differ, this is what C-Blosc2
does.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import msgpack

from storekit.errors import CorruptFrameError
from storekit.typing import Value

__all__ = [
    "MIN_HEADER",
    "NANS",
    "TRAILER",
    "UNINIT",
    "ZEROS",
    "FrameHeader",
    "Metalayer",
    "pack_header",
    "pack_index",
    "pack_metalayers",
    "parse_header",
    "parse_metalayers",
    "trailer_size",
]

_HEADER = struct.Struct(">10sBiBQB4BBqBqBiBiBiBhBhBBB16s")
MIN_HEADER = _HEADER.size
MAX_METALAYERS = 16

_MAGIC = b"\x9e\xa8b2frame\0"
_MARKERS = (0xD2, 0xCF, 0xA4, 0xD3, 0xD3, 0xD2, 0xD2, 0xD2, 0xD1, 0xD1, 0xD8)
"""
The msgpack types of the fixed fields, between the magic bytes and `has_vlmeta`; then of the
filters.
"""

_VERSION, _LAST_VERSION = 2, 3
_OFFSETS_64 = 0x10
_CONTIGUOUS = 0
_VARIABLE = 0xC0  # chunks, or blocks, of various sizes

ZEROS, NANS, UNINIT = (kind - 256 << 56 for kind in (0x81, 0x82, 0x84))
"""What the index has for a chunk of only zeros, of only NaN, and of no matter what."""

TRAILER = bytes.fromhex("9401 93cd0006de0000dc0000 ce00000023 d800" + "00" * 16)
"""A trailer without metalayers. Its last field is a fingerprint, which blosc2 leaves empty."""

_TRAILER_END = struct.Struct(">BIBB16s")

_INDEX = bytes.fromhex("05010708 08000000 08000000 28000000 0000000000010000 0000000000000000")
"""The header of an index of one chunk: a chunk of eight bytes, stored as they are."""


class FrameHeader(NamedTuple):
    """
    The header of a frame.

    Args:
        header_len: Bytes of the header.

        frame_len: Bytes of the frame.

        nbytes: Bytes of the content.

        cbytes: Bytes of all chunks.

        typesize: Bytes of an element; 1 for elements of more than 255.

        blocksize: Bytes of a block.

        chunksize: Bytes of a decoded chunk.

        codec: The compressor, and in the upper four bits its level.

        splitmode: Of the compressor, less one.

        filters: The identifiers of the filters, and their settings.
    """

    header_len: int
    frame_len: int
    nbytes: int
    cbytes: int
    typesize: int
    blocksize: int
    chunksize: int
    codec: int
    splitmode: int
    filters: bytes


class Metalayer(NamedTuple):
    """Where in the frame the content of a metalayer begins, and the content."""

    start: int
    content: bytes


def pack_header(header: FrameHeader, metalayers: bytes) -> bytes:
    """The bytes of a header, whose `header_len` is taken from the metalayers."""
    d2, cf, a4, d3, *_, d1, _, d8 = _MARKERS
    return (
        _HEADER.pack(
            _MAGIC,
            *(d2, MIN_HEADER + len(metalayers), cf, header.frame_len),
            *(a4, _VERSION | _OFFSETS_64, _CONTIGUOUS, header.codec, header.splitmode),
            *(d3, header.nbytes, d3, header.cbytes),
            *(d2, header.typesize, d2, header.blocksize, d2, header.chunksize),
            *(d1, 0, d1, 1, 0xC2, d8, 6, header.filters),
        )
        + metalayers
    )


def parse_header(data: Value) -> FrameHeader:
    """
    Read the fixed part of a header.

    Args:
        data: The beginning of a frame, or all of it.

    Raises:
        CorruptFrameError: If it is not the header of a contiguous frame.
    """
    if len(data) < MIN_HEADER:
        raise CorruptFrameError(f"a frame has at least {MIN_HEADER} bytes, found {len(data)}")
    fields = _HEADER.unpack_from(data)
    (magic, *fixed, has_vlmeta, d8, nfilters, filters) = fields
    _, header_len, _, frame_len, _, flags, kind, codec, splitmode, *rest = fixed
    _, nbytes, _, cbytes, _, typesize, _, blocksize, _, chunksize, *_ = rest
    markers = (fixed[0], fixed[2], fixed[4], *rest[0::2], d8)
    if magic != _MAGIC or markers != _MARKERS or has_vlmeta not in (0xC2, 0xC3):
        raise CorruptFrameError("not a blosc2 frame")
    if kind != _CONTIGUOUS or flags & 0xF > _LAST_VERSION or flags & 0x30 != _OFFSETS_64:
        raise CorruptFrameError(f"an unknown kind of frame: flags {flags:#x}, type {kind}")
    if flags & _VARIABLE and nbytes:  # arrays without elements have it, too
        raise CorruptFrameError("a frame of chunks or blocks of various sizes")
    header = FrameHeader(
        *(header_len, frame_len, nbytes, cbytes, typesize, blocksize, chunksize),
        *(codec, splitmode, filters),
    )
    least = (MIN_HEADER, header_len, 0, 0, 1, 0, 0)
    if nfilters != 6 or any(n < low for n, low in zip(header, least, strict=False)):
        raise CorruptFrameError(f"impossible sizes: {header}")
    if header_len + cbytes > frame_len:
        raise CorruptFrameError(f"chunks of {cbytes} bytes in a frame of {frame_len}")
    return header


def pack_metalayers(layers: Mapping[str, bytes]) -> bytes:
    """The last field of a header."""
    names = [name.encode() for name in layers]
    head = 10 + sum(6 + len(name) for name in names)
    start = MIN_HEADER + head
    index, contents = [], []
    for name, content in zip(names, layers.values(), strict=True):
        index.append(bytes((0xA0 | len(name), *name)) + struct.pack(">Bi", 0xD2, start))
        contents.append(struct.pack(">BI", 0xC6, len(content)) + content)
        start += len(contents[-1])
    return b"".join(
        (
            struct.pack(">BBHBH", 0x93, 0xCD, head - 3, 0xDE, len(names)),
            *index,
            struct.pack(">BH", 0xDC, len(names)),
            *contents,
        )
    )


@lru_cache(maxsize=256)
def parse_metalayers(section: bytes) -> Mapping[str, Metalayer]:
    """
    Read the last field of a header.

    Args:
        section: From `MIN_HEADER` to the end of the header.

    Raises:
        CorruptFrameError: If it is not exactly a list of metalayers.
    """
    try:
        fields: Any = msgpack.unpackb(
            section,
            raw=True,
            strict_map_key=False,
            max_array_len=MAX_METALAYERS,
            max_map_len=MAX_METALAYERS,
        )
    except (MemoryError, TypeError, ValueError, msgpack.UnpackException) as error:
        raise CorruptFrameError(f"the metalayers are damaged: {error}") from error
    match fields:
        case [int(), dict() as places, list() as contents] if len(places) == len(contents):
            pass
        case _:
            raise CorruptFrameError("the metalayers are damaged")
    layers = {}
    for (name, place), content in zip(places.items(), contents, strict=True):
        if not (isinstance(name, bytes) and isinstance(content, bytes) and type(place) is int):
            raise CorruptFrameError("the metalayers are damaged")
        at = place - MIN_HEADER
        if at < 0 or section[at : at + 5] != struct.pack(">BI", 0xC6, len(content)):
            raise CorruptFrameError(f"metalayer {name!r} does not begin at byte {place}")
        layers[name.decode("latin-1")] = Metalayer(place + 5, content)
    return MappingProxyType(layers)


def pack_index(offset: int) -> bytes:
    """The index of a frame of one chunk, which begins at `offset` or is special."""
    return _INDEX + struct.pack("<q", offset)


def trailer_size(data: Value, header: FrameHeader) -> int:
    """
    The size of a frame's trailer.

    Args:
        data: The whole frame.

        header: Its header.

    Raises:
        CorruptFrameError: If there is no trailer at the end.
    """
    room = header.frame_len - header.header_len - header.cbytes
    if len(data) != header.frame_len or room < len(TRAILER):
        raise CorruptFrameError(f"{len(data)} bytes, the frame states {header.frame_len}")
    marker, size, ext, _, _ = _TRAILER_END.unpack_from(data, len(data) - _TRAILER_END.size)
    if marker != 0xCE or ext != 0xD8 or not len(TRAILER) <= size <= room:
        raise CorruptFrameError("the trailer is damaged")
    return int(size)
