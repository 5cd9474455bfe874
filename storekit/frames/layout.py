"""
The blosc2 frame, byte by byte: header, chunks, index, trailer.

The header is a msgpack array of 14 values, all at fixed places but the last, which holds the
fixed-size metalayers. The index is a chunk of 64-bit integers: where each chunk begins, counted
from the end of the header; negative for chunks that need not be stored. The trailer holds
metalayers of variable size (see `storekit.frames.trailer`). In a sparse frame the chunks are files
of their own; the index begins where they would.

Source: C-Blosc2, README_CFRAME_FORMAT.rst, README_SFRAME_FORMAT.rst. Where they and C-Blosc2
differ, this is what C-Blosc2 does.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import msgpack

from storekit.errors import CorruptFrameError, MetadataError, NotAFrameError
from storekit.typing import Value

__all__ = [
    "MAX_TYPESIZE",
    "MIN_HEADER",
    "NANS",
    "TRAILER",
    "UNINIT",
    "ZEROS",
    "FrameHeader",
    "Metalayer",
    "chunk_typesize",
    "pack_header",
    "pack_index",
    "pack_metalayers",
    "pack_name",
    "pack_plain",
    "parse_header",
    "parse_metalayers",
    "parse_name",
]

_HEADER = struct.Struct(">10sBiBQB4BBqBqBiBiBiBhBhBBB16s")
MIN_HEADER = _HEADER.size
MAX_METALAYERS = 16
MAX_NAME = 31

MAX_TYPESIZE = 255
"""Larger elements are bytes to the chunks of blosc2 (`chunk_typesize`), unknown to caterva."""

_MAGIC = b"\x9e\xa8b2frame\0"
_MARKERS = (0xD2, 0xCF, 0xA4, 0xD3, 0xD3, 0xD2, 0xD2, 0xD2, 0xD1, 0xD1, 0xD8)
"""
The msgpack types of the fixed fields, between the magic bytes and `has_vlmeta`; then of the
filters.
"""

_VERSION, _LAST_VERSION = 2, 3
_OFFSETS_64 = 0x10
_CONTIGUOUS, _SPARSE = 0, 1
_VARIABLE = 0xC0  # chunks, or blocks, of various sizes

ZEROS, NANS, UNINIT = (kind - 256 << 56 for kind in (0x81, 0x82, 0x84))
"""What the index has for a chunk of only zeros, of only NaN, and of no matter what."""

TRAILER = bytes.fromhex("9401 93cd0006de0000dc0000 ce00000023 d800" + "00" * 16)
"""A trailer without metalayers. Its last field is a fingerprint, which blosc2 leaves empty."""

_PLAIN = struct.Struct("<4B3i16s")
_SHUFFLE_LAST = bytes((0, 0, 0, 0, 0, 1)) + bytes(10)


class FrameHeader(NamedTuple):
    """
    The header of a frame.

    Args:
        header_len: Bytes of the header.

        frame_len: Bytes of the frame.

        nbytes: Bytes of the content.

        cbytes: Bytes of all chunks.

        typesize: Bytes of an element. (Chunks cannot state more than 255; theirs is then 1.)

        blocksize: Bytes of a block.

        chunksize: Bytes of a decoded chunk.

        codec: The compressor, and in the upper four bits its level.

        splitmode: Of the compressor, less one.

        filters: The identifiers of the filters, and their settings.

        has_vlmeta: Whether there are metalayers in the trailer.

        sparse: Whether the chunks are files of their own.
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
    has_vlmeta: bool = False
    sparse: bool = False

    @property
    def index_start(self) -> int:
        """Where in the frame the index begins."""
        return self.header_len if self.sparse else self.header_len + self.cbytes


class Metalayer(NamedTuple):
    """Where in the frame the content of a metalayer begins, and the content."""

    start: int
    content: bytes


def chunk_typesize(itemsize: int) -> int:
    """What a chunk states as the bytes of an element."""
    return itemsize if itemsize <= MAX_TYPESIZE else 1


def pack_header(header: FrameHeader, metalayers: bytes) -> bytes:
    """The bytes of a header, whose `header_len` is taken from the metalayers."""
    d2, cf, a4, d3, *_, d1, _, d8 = _MARKERS
    return (
        _HEADER.pack(
            _MAGIC,
            *(d2, MIN_HEADER + len(metalayers), cf, header.frame_len),
            *(a4, _VERSION | _OFFSETS_64, _SPARSE if header.sparse else _CONTIGUOUS),
            *(header.codec, header.splitmode),
            *(d3, header.nbytes, d3, header.cbytes),
            *(d2, header.typesize, d2, header.blocksize, d2, header.chunksize),
            *(d1, 0, d1, 1, 0xC3 if header.has_vlmeta else 0xC2, d8, 6, header.filters),
        )
        + metalayers
    )


def parse_header(data: Value, sparse: bool = False) -> FrameHeader:
    """
    Read the fixed part of a header.

    Args:
        data: The beginning of a frame, or all of it.

        sparse: Whether it is the file beside the chunks of a sparse frame.

    Raises:
        NotAFrameError: If it does not begin as frames do.

        CorruptFrameError: If it is not the header of such a frame.
    """
    if bytes(data[: len(_MAGIC)]) != _MAGIC:
        raise NotAFrameError("not a blosc2 frame")
    if len(data) < MIN_HEADER:
        raise CorruptFrameError(f"a frame has at least {MIN_HEADER} bytes, found {len(data)}")
    fields = _HEADER.unpack_from(data)
    (_, *fixed, has_vlmeta, d8, nfilters, filters) = fields
    _, header_len, _, frame_len, _, flags, kind, codec, splitmode, *rest = fixed
    _, nbytes, _, cbytes, _, typesize, _, blocksize, _, chunksize, *_ = rest
    markers = (fixed[0], fixed[2], fixed[4], *rest[0::2], d8)
    if markers != _MARKERS or has_vlmeta not in (0xC2, 0xC3):
        raise CorruptFrameError("the header of the frame is damaged")
    known = flags & 0xF <= _LAST_VERSION and flags & 0x30 == _OFFSETS_64
    if kind != (_SPARSE if sparse else _CONTIGUOUS) or not known:
        raise CorruptFrameError(f"an unknown kind of frame: flags {flags:#x}, type {kind}")
    if flags & _VARIABLE and nbytes:  # arrays without elements have it, too
        raise CorruptFrameError("a frame of chunks or blocks of various sizes")
    if chunksize == -1 and not nbytes:  # of what is empty; blosc2 4.6 wrote so, 4.9 does not
        chunksize = 0
    header = FrameHeader(
        *(header_len, frame_len, nbytes, cbytes, typesize, blocksize, chunksize),
        *(codec, splitmode, filters, has_vlmeta == 0xC3, sparse),
    )
    least = (MIN_HEADER, header_len, 0, 0, 1, 0, 0)
    if nfilters != 6 or any(n < low for n, low in zip(header, least, strict=False)):
        raise CorruptFrameError(f"impossible sizes: {header}")
    if header.index_start > frame_len:
        raise CorruptFrameError(f"chunks of {cbytes} bytes in a frame of {frame_len}")
    return header


def pack_name(name: str) -> bytes:
    """
    The name of a metalayer.

    Raises:
        MetadataError: If it is not one of 1 to 31 bytes of UTF-8.
    """
    try:
        packed = name.encode()
    except UnicodeEncodeError:
        packed = b""
    if not 1 <= len(packed) <= MAX_NAME:
        expected = f"the name of a metalayer, of 1 to {MAX_NAME} bytes"
        raise MetadataError(expected=expected, found=name)
    return bytes((0xA0 | len(packed), *packed))


def parse_name(name: bytes) -> str:
    """
    The name of a metalayer, from UTF-8.

    Raises:
        CorruptFrameError: If it is something else.
    """
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise CorruptFrameError(f"a metalayer with the name {name!r}") from error


def pack_metalayers(layers: Mapping[str, bytes]) -> bytes:
    """
    The last field of a header.

    Raises:
        MetadataError: If there are more than 16 metalayers, or one has an impossible name.
    """
    if len(layers) > MAX_METALAYERS:
        raise MetadataError(expected=f"at most {MAX_METALAYERS} metalayers", found=len(layers))
    names = [pack_name(name) for name in layers]
    head = 10 + sum(5 + len(name) for name in names)
    start = MIN_HEADER + head
    index, contents = [], []
    for name, content in zip(names, layers.values(), strict=True):
        index.append(name + struct.pack(">Bi", 0xD2, start))
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
        layers[parse_name(name)] = Metalayer(place + 5, content)
    return MappingProxyType(layers)


def pack_index(offset: int) -> bytes:
    """The index of a frame of one chunk, which begins at `offset` or is special."""
    return pack_plain(struct.pack("<q", offset))


def pack_plain(content: bytes) -> bytes:
    """A chunk of integers or of metadata, stored as they are: one that did not shrink."""
    size = len(content)
    head = _PLAIN.pack(5, 1, 7, 8, size, size or 1, _PLAIN.size + size, _SHUFFLE_LAST)
    return head + content
