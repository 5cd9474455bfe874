"""
The trailer of a frame: metalayers of variable size, and a fingerprint.

A msgpack array: version, metalayers (like those of the header, but each compressed as a chunk),
the size of the trailer, and a fingerprint of 16 bytes. blosc2 leaves the fingerprint empty, and
empties it whenever it writes to the frame. storekit puts there a mark, a number (of the bytes among
the chunks that are not used any more, and of changes), and a CRC32C of this and of what is not
covered by the checksums of chunks: the fixed fields of the header, the metalayer with the shapes,
the index, and the trailer.

Source: C-Blosc2, README_CFRAME_FORMAT.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import google_crc32c
import msgpack
import numpy as np

from storekit.errors import ChecksumError, CodecError, CorruptFrameError, MetadataError
from storekit.frames.chunk import backend, check_chunk, decompress_into
from storekit.frames.layout import (
    MIN_HEADER,
    TRAILER,
    FrameHeader,
    pack_name,
    pack_plain,
    parse_name,
)
from storekit.frames.params import CParams
from storekit.typing import Value

__all__ = [
    "FINGERPRINT",
    "MAX_CONTENT",
    "THREADS",
    "Layers",
    "Trailer",
    "check_fingerprint",
    "pack_trailer",
    "parse_trailer",
    "seal_fingerprint",
    "tail_size",
    "trailer_size",
]

FINGERPRINT = 16
"""Bytes of the fingerprint, which is the last field."""

THREADS = slice(63, 65)
"""
Where the header has the number of threads. storekit writes 0, blosc2 what it has: also when it
changes nothing but the shape, or another metalayer of the header, and the fingerprint of old stays.
"""

MAX_CONTENT = 16 << 20
"""The most bytes of one metalayer that are written, and read unless more is asked for."""

MAX_LAYERS = 8192
PLAIN = 64  # up to so many bytes are stored as they are

_END = struct.Struct(">BIBB16s")
_SEAL = struct.Struct(">4sQI")
_SEAL_NAME = b"skt\x01"  # the last byte is a version
_UNSEALED = bytes(FINGERPRINT)
_PARAMS = CParams(filters=())


class Layers(Mapping[str, bytes]):
    """
    Metalayers of variable size, each decoded when it is looked up.

    Args:
        chunks: The compressed content under each name. Not to be trusted.

    Threads: safe, as nothing in it changes.
    """

    def __init__(self, chunks: Mapping[str, bytes] = MappingProxyType({})) -> None:
        self._chunks = dict(chunks)

    def __getitem__(self, name: str) -> bytes:
        return self.content(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._chunks)

    def __len__(self) -> int:
        return len(self._chunks)

    def __contains__(self, name: object) -> bool:
        return name in self._chunks

    def __repr__(self) -> str:
        return f"Layers({', '.join(self._chunks)})"

    def content(self, name: str, limit: int = MAX_CONTENT) -> bytes:
        """
        The content of a metalayer.

        Args:
            name: Its name.

            limit: The most bytes that it may have.

        Raises:
            KeyError: If there is none of this name.

            CorruptFrameError: If it is damaged, or larger than `limit`.
        """
        chunk = self._chunks[name]
        try:
            size = check_chunk(chunk, None).nbytes
            if size > limit:
                raise CodecError(f"{size} bytes, of which at most {limit} are read")
            out = np.empty(size, np.uint8)
            decompress_into(chunk, out.data)
        except CodecError as error:
            raise CorruptFrameError(f"metalayer {name!r}: {error.reason}") from error
        return out.tobytes()

    def changed(self, changes: Mapping[str, bytes | None]) -> Layers:
        """
        The same with other content under some names; without those whose new content is None.

        Raises:
            MetadataError: If a name is impossible, or a content larger than `MAX_CONTENT`.
        """
        chunks = dict(self._chunks)
        for name, content in changes.items():
            if content is None:
                chunks.pop(name, None)
            else:
                pack_name(name)
                chunks[name] = _compress(name, content)
        return Layers(chunks)

    def pack(self) -> list[tuple[bytes, bytes]]:
        """The packed name and the compressed content of each."""
        return [(pack_name(name), chunk) for name, chunk in self._chunks.items()]


class Trailer(NamedTuple):
    """The metalayers of variable size; the fingerprint, of which nothing is checked yet."""

    layers: Layers
    fingerprint: bytes


def pack_trailer(layers: Mapping[str, bytes], fingerprint: bytes = _UNSEALED) -> bytes:
    """
    The bytes of a trailer.

    Args:
        layers: The metalayers. Those of `Layers` are not compressed again.

        fingerprint: What `seal_fingerprint` makes of a trailer without one.

    Raises:
        MetadataError: If there are too many metalayers, or one as in `Layers.changed`.
    """
    packed = (layers if isinstance(layers, Layers) else Layers().changed(layers)).pack()
    head = 7 + sum(5 + len(name) for name, _ in packed)
    if len(packed) > MAX_LAYERS or head - 1 > 0xFFFF:
        raise MetadataError(expected="fewer metalayers in the trailer", found=len(packed))
    start = 5 + head
    index, contents = [], []
    for name, chunk in packed:
        index.append(name + struct.pack(">Bi", 0xD2, start))
        contents.append(struct.pack(">BI", 0xC6, len(chunk)) + chunk)
        start += len(contents[-1])
    return b"".join(
        (
            struct.pack(">BBBBHBH", 0x94, 1, 0x93, 0xCD, head - 1, 0xDE, len(packed)),
            *index,
            struct.pack(">BH", 0xDC, len(packed)),
            *contents,
            _END.pack(0xCE, start + _END.size, 0xD8, 0, fingerprint),
        )
    )


def parse_trailer(data: Value) -> Trailer:
    """
    Read a trailer.

    Args:
        data: The whole trailer, which is the last `tail_size` bytes of a frame.

    Raises:
        CorruptFrameError: If it is not exactly a trailer.
    """
    most = {"max_array_len": MAX_LAYERS, "max_map_len": MAX_LAYERS}
    try:
        fields: Any = msgpack.unpackb(data, raw=True, strict_map_key=False, **most)
    except (MemoryError, TypeError, ValueError, msgpack.UnpackException) as error:
        raise CorruptFrameError(f"the trailer is damaged: {error}") from error
    match fields:
        case [1, [int(), dict() as places, list() as chunks], size, msgpack.ExtType(code=0)]:
            names = [parse_name(name) for name in places if isinstance(name, bytes)]
        case _:
            raise CorruptFrameError("the trailer is damaged")
    fits = size == len(data) and len(names) == len(places) == len(chunks)
    if not fits or not all(isinstance(chunk, bytes) for chunk in chunks):
        raise CorruptFrameError("the trailer is damaged")
    return Trailer(Layers(dict(zip(names, chunks, strict=True))), bytes(data[-FINGERPRINT:]))


def trailer_size(data: Value, header: FrameHeader) -> int:
    """As `tail_size`, of a whole frame."""
    if len(data) != header.frame_len:
        raise CorruptFrameError(f"{len(data)} bytes, the frame states {header.frame_len}")
    return tail_size(data, header)


def tail_size(data: Value, header: FrameHeader) -> int:
    """
    The size of a frame's trailer.

    Args:
        data: The end of the frame: any number of bytes, but at least 23.

        header: Its header.

    Raises:
        CorruptFrameError: If there is no trailer at the end.
    """
    room = header.frame_len - header.index_start
    if room < len(TRAILER) or len(data) < _END.size:
        raise CorruptFrameError("the frame has no trailer")
    marker, size, ext, _, _ = _END.unpack_from(data, len(data) - _END.size)
    if marker != 0xCE or ext != 0xD8 or not len(TRAILER) <= size <= room:
        raise CorruptFrameError("the trailer is damaged")
    return int(size)


def seal_fingerprint(
    header: Value, meta: bytes, index: Value, trailer: Value, note: int = 0
) -> bytes:
    """
    The fingerprint of a frame.

    Args:
        header: The header of the frame, as it will be; of which the fixed fields are covered.

        meta: The content of the metalayer with the shapes of the array.

        index: The index.

        trailer: The trailer, with any fingerprint.

        note: Any number of 64 bits.
    """
    crc = google_crc32c.value(note.to_bytes(8, "big"))
    for part in (header[:MIN_HEADER], meta, index, trailer[:-FINGERPRINT]):
        crc = google_crc32c.extend(crc, np.frombuffer(part, np.uint8))
    return _SEAL.pack(_SEAL_NAME, note, crc)


def check_fingerprint(header: Value, meta: bytes, index: Value, trailer: Value) -> int | None:
    """
    Compare a frame with the fingerprint that is in its trailer.

    Args:
        header: At least the fixed fields of the header.

        meta: The content of the metalayer with the shapes of the array.

        index: The index.

        trailer: The whole trailer.

    Returns:
        How many bytes among the chunks are not used; None if there is no fingerprint, or blosc2 has
        written the header since.

    Raises:
        ChecksumError: If there is another one.
    """
    found = bytes(trailer[-FINGERPRINT:])
    if found == _UNSEALED or any(header[THREADS]):
        return None
    _, note, _ = _SEAL.unpack(found)
    if found != seal_fingerprint(header, meta, index, trailer, note):
        raise ChecksumError("the frame does not match its fingerprint")
    return int(note)


def _compress(name: str, content: bytes) -> bytes:
    if len(content) > MAX_CONTENT:
        expected = f"at most {MAX_CONTENT} bytes"
        raise MetadataError(field=name, expected=expected, found=len(content))
    if len(content) <= PLAIN:
        return pack_plain(content)
    return bytes(backend().compress2(content, **_PARAMS.compress_args(1, 0)))
