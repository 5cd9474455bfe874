"""The bytes of a frame: as blosc2 writes them, and as nobody should."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import blosc2
import msgpack
import numpy as np
import pytest
from frame_samples import stock

from storekit.errors import CodecError, CorruptFrameError
from storekit.frames.b2nd import B2ndMeta, _pack, pack_b2nd, parse_array_meta, parse_b2nd
from storekit.frames.chunk import check_chunk, parse_chunk
from storekit.frames.index import parse_offsets
from storekit.frames.layout import (
    MIN_HEADER,
    TRAILER,
    ZEROS,
    Metalayer,
    pack_header,
    pack_index,
    pack_metalayers,
    parse_header,
    parse_metalayers,
)
from storekit.frames.trailer import parse_trailer, trailer_size

SAVED = stock(np.arange(600, dtype="f4").reshape(20, 30), chunks=(20, 30), blocks=(5, 30))
FRAME = SAVED.frame
HEADER = parse_header(FRAME)
SECTION = FRAME[MIN_HEADER : HEADER.header_len]


def test_blosc2_writes_the_same() -> None:
    """Header, metalayers, index and trailer are those of blosc2, byte for byte."""
    layers = parse_metalayers(SECTION)
    meta = parse_b2nd(layers["b2nd"].content)
    assert meta == ((20, 30), (20, 30), (5, 30), np.dtype("f4"))
    assert layers["b2nd"] == Metalayer(HEADER.header_len - len(pack_b2nd(meta)), pack_b2nd(meta))
    section = pack_metalayers({"b2nd": pack_b2nd(meta)})
    assert pack_header(HEADER, section) == FRAME[: HEADER.header_len]
    assert pack_index(0) + TRAILER == FRAME[HEADER.header_len + HEADER.cbytes :]
    zeros = stock(np.zeros((20, 30), "f4"), chunks=(20, 30)).frame
    assert pack_index(ZEROS) + TRAILER == zeros[parse_header(zeros).header_len :]


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((), "f4"),
        ((3,), "<i8"),
        ((1, 2, 3, 4, 5, 6, 7), ">c16"),
        ((2,) * 16, "u1"),
        ((4,), [("a", "<u2"), ("b", [("c", ">f4", (2,))])]),
        ((4,), "M8[ns]"),
        ((4,), "U300"),
    ],
    ids=str,
)
def test_metalayers_of_blosc2(shape: tuple[int, ...], dtype: Any) -> None:
    """What the b2nd metalayer says is what blosc2 would say."""
    array = np.zeros(shape, dtype)
    frame = stock(array, chunks=shape, blocks=shape).frame
    header = parse_header(frame)
    content = parse_metalayers(frame[MIN_HEADER : header.header_len])["b2nd"].content
    meta = B2ndMeta(shape, shape, shape, array.dtype)
    assert pack_b2nd(meta) == content
    assert parse_b2nd(content) == meta


def test_several_metalayers() -> None:
    """Metalayers come back in their order, each from where it is said to begin."""
    layers = {"b2nd": b"x" * 70, "a": b"", "storekit": bytes(300)}
    section = pack_metalayers(layers)
    parsed = parse_metalayers(section)
    assert list(parsed) == list(layers)
    for name, (start, content) in parsed.items():
        assert content == layers[name]
        assert section[start - MIN_HEADER :].startswith(content)


def test_names_of_metalayers() -> None:
    """Names come back as they were, in any alphabet; bytes that are no text are no name."""
    section = pack_metalayers({"naïve": b"x"})
    assert list(parse_metalayers(section)) == ["naïve"]
    with pytest.raises(CorruptFrameError, match="with the name"):
        parse_metalayers(section.replace("ï".encode(), b"\xff\xff"))


def test_sparse_frames(tmp_path: Path) -> None:
    """The file beside the chunks of a sparse frame is read, and written, as blosc2 writes it."""
    array = np.arange(100, dtype="i4")
    folder = tmp_path / "array.b2nd"
    made = blosc2.asarray(array, chunks=(20,), urlpath=str(folder), contiguous=False)
    made.schunk.vlmeta["a"] = 5
    frame = (folder / "chunks.b2frame").read_bytes()
    header = parse_header(frame, sparse=True)
    section = frame[MIN_HEADER : header.header_len]
    assert header.sparse
    assert header.has_vlmeta
    assert pack_header(header, section)[:63] == frame[:63]
    assert pack_header(header, section)[68:] == frame[68 : header.header_len]
    assert parse_array_meta(parse_metalayers(section), 4) == ((100,), (20,), made.blocks, "<i4")
    end = len(frame) - trailer_size(frame, header)
    assert parse_offsets(frame[header.index_start : end], 5).tolist() == [0, 1, 2, 3, 4]
    assert parse_trailer(frame[end:]).layers["a"] == msgpack.packb(5)
    for data, sparse in ((frame, False), (FRAME, True)):
        with pytest.raises(CorruptFrameError, match="an unknown kind of frame"):
            parse_header(data, sparse=sparse)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((at, b"\0") for at in (0, 1, 5, 10, 15, 24, 29, 38, 47, 52, 57, 62, 65, 68, 69, 70)),
        (11, struct.pack(">i", -1)),
        (11, struct.pack(">i", 86)),
        (11, struct.pack(">i", 1 << 30)),
        (16, struct.pack(">Q", 1 << 63)),
        (16, struct.pack(">Q", 0)),
        (25, b"\x14"),
        (25, b"\x22"),
        (25, b"\x52"),
        (25, b"\x92"),
        (26, b"\x01"),
        (30, struct.pack(">q", -1)),
        (39, struct.pack(">q", -1)),
        (39, struct.pack(">q", 1 << 40)),
        (48, struct.pack(">i", 0)),
        (53, struct.pack(">i", -1)),
        (58, struct.pack(">i", -1)),
    ],
)
def test_impossible_headers(place: int, value: bytes) -> None:
    """A header with a field that cannot be is refused."""
    damaged = FRAME[:place] + value + FRAME[place + len(value) :]
    with pytest.raises(CorruptFrameError):
        trailer_size(damaged, parse_header(damaged))


def _section(places: Any, contents: Any, *more: Any) -> bytes:
    return msgpack.packb([31, places, contents, *more], use_bin_type=True)


@pytest.mark.parametrize(
    "section",
    [
        b"",
        SECTION[:-1],
        SECTION + b"\xc0",
        msgpack.packb(7),
        _section({"b2nd": 107}, []),
        _section([], []),
        _section({"b2nd": "107"}, [b"x"]),
        _section({"b2nd": 107}, ["x"]),
        _section({7: 107}, [b"x"]),
        _section({"b2nd": -5}, [b"x"]),
        _section({"b2nd": 95}, [b"x"]),
        _section({str(i): 87 for i in range(17)}, [b""] * 17),
        SECTION[:16] + b"\0\0\0\x60" + SECTION[20:],
        b"\xdd\xff\xff\xff\xff" + SECTION,
        b"\xdf\xff\xff\xff\xff" + SECTION,
        b"\x91" * 2000,
    ],
    ids=lambda section: section[:12].hex(),
)
def test_impossible_metalayers(section: bytes) -> None:
    """Metalayers that are not exactly a list of them are refused, with little memory."""
    with pytest.raises(CorruptFrameError):
        parse_metalayers(section)


def _b2nd(
    shape: tuple[int, ...] = (4,),
    chunks: tuple[int, ...] = (4,),
    blocks: tuple[int, ...] = (4,),
    dtype: str = "<f4",
) -> bytes:
    return _pack(shape, chunks, blocks, dtype.encode())


NO_TYPES = (
    *("", "O", "|O", "object", "T", "f4,f4", "<f4 ", "<q9", "None", "S0", "V", "é"),
    *("(1,)", "[", "[]", "[1]", "[('a',)]", "[('a', 'O')]", "[('a', 'f4', 3)]", "{'a': 'f4'}"),
    *("[('a', '<f4', ('x',))]", "[('a', 1)]", "[(1, '<f4')]", "[('a', [('b', 'O')])]"),
    *("[('a', '<f4', (1 << 40,))]", "[('a', '<f4', (4000000000,))]", "[('a', '<f4', (-1,))]"),
    *("[('a', '<f4'), ('a', '<f4')]", "__import__('os')", "[__import__('os')]", "[" * 3000),
    "[('" + "a" * 70_000 + "', '<f4')]",
)


@pytest.mark.parametrize(
    "content",
    [
        *("", "c1", "9700", "970011", "96000100"),
        *(_b2nd()[:end].hex() for end in range(3, len(_b2nd()) - 1)),
        *(_b2nd().hex() + "00", _b2nd().replace(b"\x97\0", b"\x97\1").hex()),
        *(_b2nd().replace(marker, b"\xc1").hex() for marker in (b"\xd3", b"\xd2", b"\xdb")),
        *(_b2nd(shape).hex() for shape in ((-1,), (-(1 << 62),))),
        *(_b2nd(chunks=(n,)).hex() for n in (0, -4, 3)),
        *(_b2nd(blocks=(n,)).hex() for n in (0, -4, 5)),
        *(_b2nd(dtype=text).hex() for text in NO_TYPES),
        _b2nd(dtype="?").replace(b"?", b"\xff").hex(),
    ],
    ids=lambda content: content[-20:],
)
def test_impossible_arrays(content: str) -> None:
    """A b2nd metalayer that describes no array of elements of a fixed size is refused."""
    assert parse_b2nd(_b2nd()) == ((4,), (4,), (4,), np.dtype("<f4"))
    with pytest.raises(CorruptFrameError):
        parse_b2nd(bytes.fromhex(content))


CHUNK = FRAME[HEADER.header_len : HEADER.header_len + HEADER.cbytes]


def _with(place: int, value: bytes) -> bytes:
    return CHUNK[:place] + value + CHUNK[place + len(value) :]


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        CHUNK[:15],
        CHUNK[:31],
        _with(0, b"\0"),
        _with(0, b"\x09"),
        _with(2, bytes((CHUNK[2] & 0x1F | 0x40,))),
        _with(2, bytes((CHUNK[2] & 0x1F | 0xC0,))),
        _with(3, b"\0"),
        _with(4, struct.pack("<i", -4)),
        _with(8, struct.pack("<i", 0)),
        _with(8, struct.pack("<i", 1 << 30)),
        _with(12, struct.pack("<i", 3)),
        _with(16, b"\x20"),
        _with(30, b"\x01"),
        _with(31, b"\x08"),
    ],
    ids=lambda chunk: chunk[:32].hex(),
)
def test_impossible_chunks(chunk: bytes) -> None:
    """A chunk whose header cannot be is refused, and one that takes plugins or other files."""
    with pytest.raises(CodecError):
        parse_chunk(chunk)


@pytest.mark.parametrize(
    "chunk",
    [
        CHUNK[:-1],
        CHUNK + b"!",
        _with(2, bytes((CHUNK[2] | 0x2,))),
        _with(8, struct.pack("<i", 1)),
        _with(32, struct.pack("<i", 0)),
        _with(36, struct.pack("<i", len(CHUNK))),
        _with(36, struct.pack("<i", -1)),
    ],
    ids=["short", "long", "memcpyed", "blocks", "first", "beyond", "negative"],
)
def test_chunks_that_do_not_fit(chunk: bytes) -> None:
    """A chunk whose sizes or blocks do not fit what is there is refused before it is decoded."""
    assert check_chunk(CHUNK, 2400).nblocks == 4
    with pytest.raises(CodecError):
        check_chunk(chunk, 2400)
