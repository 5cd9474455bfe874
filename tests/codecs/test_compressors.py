"""Streams as other writers make them, and streams that mean harm."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zstandard
from codec_samples import bound

from storekit.codecs import ChunkSpec, Pipeline
from storekit.codecs.base import BytesBytesCodec
from storekit.codecs.gzip import GzipCodec
from storekit.codecs.zstd import ZstdCodec
from storekit.errors import CodecError, MetadataError
from storekit.typing import Value

TEXT = b"chunked arrays " * 1000
SKIPPABLE = struct.pack("<II", 0x184D2A53, 5) + b"hello"


def unsized(content: bytes, **more: Any) -> bytes:
    """A zstd frame that does not state the size of its content."""
    return zstandard.ZstdCompressor(write_content_size=False, **more).compress(content)


def frame(content: bytes, **more: Any) -> bytes:
    """A zstd frame that states the size of its content."""
    return zstandard.ZstdCompressor(**more).compress(content)


STREAMS: dict[str, tuple[BytesBytesCodec, bytes]] = {
    "gzip, one member": (GzipCodec(), gzip.compress(TEXT)),
    "gzip, two members": (GzipCodec(), gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
    "gzip, empty members": (
        GzipCodec(),
        gzip.compress(b"") + gzip.compress(TEXT) + gzip.compress(b""),
    ),
    "gzip, padded": (GzipCodec(), gzip.compress(TEXT) + bytes(9)),
    "gzip, stored": (GzipCodec(), gzip.compress(TEXT, 0)),
    "zstd, one frame": (ZstdCodec(), frame(TEXT)),
    "zstd, with checksum": (ZstdCodec(), frame(TEXT, write_checksum=True)),
    "zstd, size not stated": (ZstdCodec(), unsized(TEXT)),
    "zstd, size not stated, checksum": (ZstdCodec(), unsized(TEXT, write_checksum=True)),
    "zstd, two frames": (ZstdCodec(), frame(TEXT[:100]) + frame(TEXT[100:])),
    "zstd, two frames, one unsized": (ZstdCodec(), unsized(TEXT[:100]) + frame(TEXT[100:])),
    "zstd, first frame whole": (ZstdCodec(), frame(TEXT) + frame(b"", write_checksum=True)),
    "zstd, empty frame first": (ZstdCodec(), unsized(b"") + frame(TEXT)),
    "zstd, skippable frames": (ZstdCodec(), SKIPPABLE + frame(TEXT) + SKIPPABLE),
    "zstd, incompressible": (ZstdCodec(), frame(TEXT, level=-100)),
}
every_stream = pytest.mark.parametrize(("codec", "data"), STREAMS.values(), ids=list(STREAMS))


@every_stream
def test_streams_of_other_writers(codec: BytesBytesCodec, data: bytes) -> None:
    """Streams in several pieces, without sizes, with padding are read, the size known or not."""
    assert bytes(codec.decode(data, len(TEXT))) == TEXT
    assert bytes(codec.decode(memoryview(data), None)) == TEXT
    out = bytearray(len(TEXT))
    codec.decode_into(data, memoryview(out))
    assert out == TEXT


@every_stream
@pytest.mark.parametrize("size", [0, 1, len(TEXT) - 1, len(TEXT) + 1, 1 << 40])
def test_other_sizes(codec: BytesBytesCodec, data: bytes, size: int) -> None:
    """A stream that comes out in another size than expected is refused."""
    with pytest.raises(CodecError, match=codec.name):
        codec.decode(data, size)


@every_stream
def test_cut_off(codec: BytesBytesCodec, data: bytes) -> None:
    """A stream that is cut off anywhere is refused, unless nothing is missing."""
    for end in [*range(60), *range(len(data) - 60, len(data))]:
        for size in (len(TEXT), None):
            try:
                content = codec.decode(data[: max(end, 0)], size)
            except CodecError:
                continue
            # Only what adds nothing may be missing: padding, empty and skippable frames.
            assert bytes(content) == TEXT[: len(content)]
            assert size is None or len(content) == size


@every_stream
@pytest.mark.parametrize("junk", [b"j", b"junk", TEXT[:100]], ids=["a byte", "four", "many"])
def test_junk_behind(codec: BytesBytesCodec, data: bytes, junk: bytes) -> None:
    """Whatever follows a stream and is none is refused."""
    with pytest.raises(CodecError):
        codec.decode(data + junk, len(TEXT))
    with pytest.raises(CodecError):
        codec.decode(data + junk + data[-8:], len(TEXT))


@every_stream
def test_twice(codec: BytesBytesCodec, data: bytes) -> None:
    """A stream that was written twice is twice the content, and refused where once is expected."""
    assert bytes(codec.decode(data + data, 2 * len(TEXT))) == TEXT + TEXT
    for decode in (codec.decode, in_place(codec)):
        with pytest.raises(CodecError):
            decode(data + data, len(TEXT))


@every_stream
def test_in_place(codec: BytesBytesCodec, data: bytes) -> None:
    """Decoding to given memory takes the same streams as decoding, and gives the same content."""
    variants = [data, data + b"j", data + data, data + bytes(3), data + SKIPPABLE]
    variants += [data[:end] for end in [*range(40), *range(max(len(data) - 40, 0), len(data))]]
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        variants.append(bytes(damaged))
    for variant in variants:
        assert outcome(in_place(codec), variant) == outcome(codec.decode, variant)


def in_place(codec: BytesBytesCodec) -> Callable[[bytes, int], bytes]:
    """Decode to memory that is as large as expected."""

    def decode(data: bytes, size: int) -> bytes:
        out = bytearray(size)
        codec.decode_into(data, memoryview(out))
        return bytes(out)

    return decode


def outcome(decode: Callable[[bytes, int], Value], data: bytes) -> bytes | None:
    """What comes out where the text is expected; None if it is refused."""
    try:
        return bytes(decode(data, len(TEXT)))
    except CodecError:
        return None


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("size", [0, 1, 8, 1000, 70_000])
def test_gzip_by_others(level: int, size: int) -> None:
    """Python's gzip reads what is written at any level, and equal input gives equal output."""
    content = np.random.default_rng(size).integers(0, 9, size, "u1").tobytes()
    codec = GzipCodec(level)
    data = codec.encode(content)
    assert gzip.decompress(data) == content
    assert bytes(codec.decode(data, size)) == content
    assert data == codec.encode(memoryview(content))
    assert data[4:8] == bytes(4)  # no time stamp


@pytest.mark.parametrize("level", [0, 9])
def test_gzip_of_its_size(level: int) -> None:
    """Content that holds the number of its bytes, as the end of a member does, is content."""
    content = np.full(500, 2000, "<i4").tobytes()
    data = GzipCodec(level).encode(content)
    assert bytes(GzipCodec().decode(data, 2000)) == content
    for junk in (b"\xd0\x07\0\0", data[-8:], data):
        with pytest.raises(CodecError):
            GzipCodec().decode(data + junk, 2000)


def bomb_gzip() -> bytes:
    """A gzip member of about a megabyte that expands to a gigabyte."""
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = bytes(1 << 20)
    return b"".join([stream.compress(piece) for _ in range(1 << 10)]) + stream.flush()


def bomb_zstd() -> bytes:
    """A zstd frame of a few kilobytes whose blocks expand to a gigabyte, with no size stated."""
    header = b"\x28\xb5\x2f\xfd" + bytes((0x00, 0x70))
    block = struct.pack("<I", (128 << 10) << 3 | 1 << 1)[:3] + b"\0"
    last = struct.pack("<I", (128 << 10) << 3 | 1 << 1 | 1)[:3] + b"\0"
    return header + block * 8191 + last


def liar_zstd() -> bytes:
    """A zstd frame that states a size of 2 ** 40."""
    return b"\x28\xb5\x2f\xfd" + bytes((0xC0, 0x70)) + struct.pack("<Q", 1 << 40) + b"\x01\0\0"


@pytest.mark.parametrize(
    ("codec", "bomb"),
    [(GzipCodec(), bomb_gzip), (ZstdCodec(), bomb_zstd), (ZstdCodec(), liar_zstd)],
    ids=["gzip", "zstd", "zstd, stated"],
)
def test_bombs(codec: BytesBytesCodec, bomb: Callable[[], bytes]) -> None:
    """A stream that expands to gigabytes is refused, and takes little memory until then."""
    data = bomb()
    tracemalloc.start()
    try:
        for size in (1000, 1 << 20):
            with pytest.raises(CodecError):
                codec.decode(data, size)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["blosc", "gzip", "zstd", "imagecodecs_blosc2"])
def test_giant_chunks(name: str) -> None:
    """What cannot be as large as the chunk is refused before there is memory for the chunk."""
    small, out = np.arange(100, dtype="i4"), np.zeros(1, "i4")
    data = bound(["bytes", name], small).encode(small)
    assert data is not None
    tracemalloc.start()
    try:
        for size in (1 << 28, 1 << 38):
            spec = ChunkSpec((size,), small.dtype, np.int32(0))
            with pytest.raises(CodecError):
                Pipeline.of(["bytes", name], spec).bind(spec).decode_into(
                    data, out, (slice(5, 6, 1),)
                )
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_no_bomb() -> None:
    """The same stream is fine where that much is expected."""
    assert len(ZstdCodec().decode(bomb_zstd(), 1 << 30)) == 1 << 30


def test_blosc_states_its_size() -> None:
    """A blosc buffer that states another size than expected is refused before anything is done."""
    small, large = np.zeros(100, "u1"), np.zeros(100_000, "u1")
    data = bound(["bytes", "blosc"], large).encode(large)
    assert data is not None
    coder = bound(["bytes", "blosc"], small)
    with pytest.raises(CodecError, match="expected 100 bytes, the chunk states 100000"):
        coder.decode(data)


@pytest.mark.parametrize(
    ("name", "configuration", "field"),
    [
        ("gzip", {"level": 10}, "level"),
        ("gzip", {"level": "5"}, "level"),
        ("gzip", {"level": True}, "level"),
        ("zstd", {"level": 23}, "level"),
        ("zstd", {"level": -131073}, "level"),
        ("zstd", {"checksum": 1}, "checksum"),
        ("blosc", {"cname": "lzma"}, "cname"),
        ("blosc", {"clevel": 10, "typesize": 1}, "clevel"),
        ("blosc", {"shuffle": "shuffle"}, "typesize"),
        ("blosc", {"shuffle": 1}, "shuffle"),
        ("blosc", {"typesize": 0}, "typesize"),
        ("blosc", {"blocksize": -1}, "blocksize"),
        ("bytes", {"endian": "middle"}, "endian"),
        ("transpose", {}, "order"),
        ("transpose", {"order": [0, 0]}, "order"),
        ("transpose", {"order": [1, 2]}, "order"),
        ("transpose", {"order": "K"}, "order"),
        ("transpose", {"order": 1}, "order"),
        ("transpose", {"order": [0.0]}, "order"),
        ("storekit.b2nd", {"cname": "snappy"}, "cname"),
        ("storekit.b2nd", {"blocks": [0]}, "blocks"),
        ("storekit.b2nd", {"blocks": 4}, "blocks"),
        ("imagecodecs_b2nd", {"compressor": "zstd"}, "compressor"),
        ("imagecodecs_blosc2", {"splitmode": 9}, "splitmode"),
        *((name, {"levle": 1}, "levle") for name in ("gzip", "crc32c", "vlen-utf8", "bytes")),
    ],
)
def test_configurations(name: str, configuration: dict[str, Any], field: str) -> None:
    """A setting that is none, or has no such value, is named."""
    codecs = [{"name": name, "configuration": configuration}]
    with pytest.raises(MetadataError) as caught:
        Pipeline.from_json(codecs)
    assert caught.value.field == f"codecs[0].configuration.{field}"


@pytest.mark.parametrize(
    ("codec", "field"),
    [(lambda: GzipCodec(11), "level"), (lambda: ZstdCodec(99), "level")],
    ids=["gzip", "zstd"],
)
def test_arguments(codec: Callable[[], object], field: str) -> None:
    """Codecs that are made in code are checked, too."""
    with pytest.raises(MetadataError) as caught:
        codec()
    assert caught.value.field == field
