"""The trailer of a frame: metalayers of variable size and the fingerprint, beside blosc2."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import blosc2
import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storekit.errors import ChecksumError, CorruptFrameError, MetadataError
from storekit.frames.layout import (
    MIN_HEADER,
    TRAILER,
    FrameHeader,
    pack_header,
    pack_metalayers,
    pack_plain,
    parse_header,
    parse_metalayers,
)
from storekit.frames.trailer import (
    MAX_CONTENT,
    Layers,
    check_fingerprint,
    pack_trailer,
    parse_trailer,
    seal_fingerprint,
    tail_size,
)

SMOOTH = (np.arange(3000) // 3).astype("i4")
VALUES: dict[str, Any] = {
    "number": 5,
    "nothing": None,
    "naïve": {"a": [1, 2.5, "x"], "b": b"\0\xff"},
    "long": "hello " * 10_000,
    "x" * 31: np.random.default_rng(0).bytes(5000),
}
PACKED = {name: msgpack.packb(value) for name, value in VALUES.items()}


class Parts(NamedTuple):
    """A frame, taken apart."""

    header: FrameHeader
    head: bytes
    shapes: bytes
    chunks: bytes
    offsets: bytes
    trailer: bytes


def parts(frame: bytes) -> Parts:
    """The parts of a frame."""
    header = parse_header(frame)
    start, end = header.index_start, len(frame) - tail_size(frame, header)
    head = frame[: header.header_len]
    meta = parse_metalayers(head[MIN_HEADER:])["b2nd"].content
    chunks = frame[header.header_len : start]
    return Parts(header, head, meta, chunks, frame[start:end], frame[end:])


def made(**vlmeta: Any) -> Any:
    """An array of blosc2 in memory, with metalayers."""
    array = blosc2.asarray(SMOOTH, chunks=(500,), blocks=(100,))
    for name, value in vlmeta.items():
        array.schunk.vlmeta[name] = value
    return array


def rebuilt(frame: bytes, layers: Layers | dict[str, bytes], dead: int = 0) -> bytes:
    """A frame with other metalayers in its trailer, and with a fingerprint."""
    old = parts(frame)
    trailer = pack_trailer(layers)
    size = len(frame) - len(old.trailer) + len(trailer)
    header = old.header._replace(frame_len=size, has_vlmeta=bool(layers))
    head = pack_header(header, old.head[MIN_HEADER:])
    seal = seal_fingerprint(head, old.shapes, old.offsets, trailer, dead)
    return b"".join((head, old.chunks, old.offsets, trailer[:-16], seal))


def check(frame: bytes) -> int | None:
    """What the fingerprint of a frame says."""
    found = parts(frame)
    return check_fingerprint(found.head, found.shapes, found.offsets, found.trailer)


def test_trailers_of_blosc2() -> None:
    """What blosc2 has written is read, and stated in the header."""
    frame = made(**VALUES).to_cframe()
    found = parts(frame)
    assert found.header.has_vlmeta
    layers = parse_trailer(found.trailer).layers
    assert list(layers) == list(VALUES)
    assert {name: msgpack.unpackb(layers[name]) for name in layers} == VALUES
    assert "long" in layers
    assert "short" not in layers
    assert check(frame) is None
    # What is not changed stays as it is, to the byte.
    assert pack_trailer(layers) == found.trailer


def test_no_metalayers() -> None:
    """A trailer without metalayers is that of blosc2."""
    found = parts(made().to_cframe())
    assert not found.header.has_vlmeta
    assert pack_trailer({}) == pack_trailer(Layers()) == found.trailer == TRAILER
    assert not parse_trailer(TRAILER).layers


@pytest.mark.parametrize("mapped", [False, True])
def test_blosc2_reads_ours(tmp_path: Path, mapped: bool) -> None:
    """blosc2 opens a file with a trailer and a fingerprint of ours, and finds the metalayers."""
    file = tmp_path / "array.b2nd"
    file.write_bytes(rebuilt(made().to_cframe(), PACKED))
    opened = blosc2.open(str(file), mode="r", mmap_mode="r" if mapped else None)
    assert opened.schunk.vlmeta.getall() == VALUES
    assert np.array_equal(opened[:], SMOOTH)


def _set(array: Any) -> None:
    array.schunk.vlmeta["number"] = "many " * 300


def _remove(array: Any) -> None:
    del array.schunk.vlmeta["long"]


def _write(array: Any) -> None:
    array[3:700] = 0


def _grow(array: Any) -> None:
    array.resize((4000,))


@pytest.mark.parametrize("change", [_set, _remove, _write, _grow])
def test_blosc2_changes_ours(tmp_path: Path, change: Any) -> None:
    """Whatever blosc2 changes takes the fingerprint off, and the metalayers are those it has."""
    file = tmp_path / "array.b2nd"
    file.write_bytes(rebuilt(made().to_cframe(), PACKED))
    assert check(file.read_bytes()) == 0
    opened = blosc2.open(str(file), mode="a")
    change(opened)
    expected = opened.schunk.vlmeta.getall()
    del opened
    frame = file.read_bytes()
    assert check(frame) is None
    layers = parse_trailer(parts(frame).trailer).layers
    assert {name: msgpack.unpackb(layers[name]) for name in layers} == expected


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=7).filter(lambda s: s.isprintable()),
        st.binary(max_size=300),
        max_size=20,
    )
)
def test_what_is_packed_is_parsed(layers: dict[str, bytes]) -> None:
    """All metalayers come back, in their order."""
    parsed = parse_trailer(pack_trailer(layers)).layers
    assert list(parsed.items()) == list(layers.items())


def test_changes() -> None:
    """Metalayers are set, replaced and removed in a copy; the others are not compressed again."""
    first = Layers().changed({"a": b"1", "b": b"2" * 1000})
    second = first.changed({"a": None, "b": b"3", "c": b"", "missing": None})
    assert dict(first) == {"a": b"1", "b": b"2" * 1000}
    assert dict(second) == {"b": b"3", "c": b""}
    assert first.changed({"c": b""}).pack()[:2] == first.pack()


@pytest.mark.parametrize("name", ["", "x" * 32, "é" * 16, "\ud800"])
def test_impossible_names(name: str) -> None:
    """A name that blosc2 could not write is refused, in header and trailer."""
    with pytest.raises(MetadataError, match="the name of a metalayer"):
        pack_trailer({name: b""})
    with pytest.raises(MetadataError, match="the name of a metalayer"):
        pack_metalayers({name: b""})


def test_too_much() -> None:
    """More metalayers or more bytes than are read again are not written."""
    with pytest.raises(MetadataError, match="at most 16777216 bytes"):
        Layers().changed({"a": bytes(MAX_CONTENT + 1)})
    with pytest.raises(MetadataError, match="fewer metalayers"):
        pack_trailer(Layers({f"{i:031}": b"" for i in range(2000)}))
    with pytest.raises(MetadataError, match="at most 16 metalayers"):
        pack_metalayers({str(i): b"" for i in range(17)})


def test_large_content() -> None:
    """Content beyond the limit is not decoded, unless asked for; one that lies is not either."""
    content = bytes(MAX_CONTENT)
    chunk = bytes(blosc2.compress2(content + b"1", typesize=1, nthreads=1))
    layers = Layers({"big": chunk, "cut": chunk[:-1], "none": b"", "fine": pack_plain(b"1")})
    with pytest.raises(CorruptFrameError, match="'big': 16777217 bytes"):
        layers["big"]
    assert layers.content("big", MAX_CONTENT + 1)[-1:] == b"1"
    for name in ("cut", "none"):
        with pytest.raises(CorruptFrameError, match=name):
            layers[name]
    assert layers["fine"] == b"1"
    with pytest.raises(KeyError):
        layers["missing"]


FRAME = rebuilt(made().to_cframe(), PACKED, dead=77)
PARTS = parts(FRAME)


@given(st.data())
def test_damaged_trailers(data: st.DataObject) -> None:
    """A damaged trailer is refused as such, or read as far as its content can be decoded."""
    trailer = bytearray(PARTS.trailer)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, 150) | st.integers(0, len(trailer) - 1))
        trailer[place] ^= data.draw(st.integers(1, 255))
    del trailer[data.draw(st.integers(0, len(trailer))) or len(trailer) :]
    with suppress(CorruptFrameError):
        layers = parse_trailer(bytes(trailer)).layers
        for name in layers:
            with suppress(CorruptFrameError):
                layers[name]


@given(part=st.integers(0, 3), place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_changed_bit_is_noticed(part: int, place: int, bit: int) -> None:
    """
    A fingerprint matches no other header, shapes, index or trailer, nor another fingerprint; but
    for the number of threads in the header, by which blosc2 shows that it was there.
    """
    covered = [PARTS.head[:MIN_HEADER], PARTS.shapes, PARTS.offsets, PARTS.trailer]
    assert check_fingerprint(*covered) == 77
    damaged = bytearray(covered[part])
    place = place % len(damaged) if part < 3 or place > 50 else len(damaged) - 1 - place
    damaged[place] ^= 1 << bit
    covered[part] = bytes(damaged)
    if part == 0 and place in (63, 64):
        assert check_fingerprint(*covered) is None
        return
    with pytest.raises(ChecksumError):
        check_fingerprint(*covered)


def _trailer(places: Any, chunks: Any, *, version: int = 1, code: int = 0, more: int = 0) -> bytes:
    # The size, of which the length in bytes is known, is put in last.
    fields = [version, [6, places, chunks], 1 << 31, msgpack.ExtType(code, bytes(16))]
    packed: bytes = msgpack.packb(fields, use_bin_type=True)
    return packed[:-22] + (len(packed) + more).to_bytes(4, "big") + packed[-18:]


@pytest.mark.parametrize(
    "trailer",
    [
        b"",
        msgpack.packb(7),
        _trailer({}, [b""]),
        _trailer({"a": 30}, []),
        _trailer({"a": 30}, [7]),
        _trailer({7: 30}, [b"x"]),
        _trailer({b"\xff": 30}, [b"x"]),
        _trailer([], []),
        _trailer({}, {}),
        _trailer({}, [], version=2),
        _trailer({}, [], code=1),
        _trailer({}, [], more=1),
        _trailer({}, [], more=-1),
        TRAILER[:-1],
        TRAILER + b"\0",
        b"\xdd\xff\xff\xff\xff" + TRAILER,
        b"\x91" * 2000,
    ],
    ids=lambda trailer: trailer[:24].hex(),
)
def test_impossible_trailers(trailer: bytes) -> None:
    """What is not exactly a trailer is refused."""
    assert parse_trailer(_trailer({"a": 30}, [b"x"])).layers.keys() == {"a"}
    with pytest.raises(CorruptFrameError):
        parse_trailer(trailer)


@pytest.mark.parametrize("size", [0, 34, 36, 10_000, 0xFFFFFFFF])
def test_impossible_sizes(size: int) -> None:
    """A trailer that states a size that does not fit between the chunks and the end is refused."""
    header = FrameHeader(100, 140, 0, 5, 1, 0, 0, 0, 0, bytes(16))
    assert tail_size(TRAILER, header) == 35
    assert tail_size(TRAILER[-23:], header) == 35
    with pytest.raises(CorruptFrameError):
        tail_size(TRAILER[:-22] + size.to_bytes(4, "big") + TRAILER[-18:], header)
    for end in (b"", TRAILER[-22:], TRAILER[:-1]):
        with pytest.raises(CorruptFrameError):
            tail_size(end, header)
    with pytest.raises(CorruptFrameError):
        tail_size(TRAILER, header._replace(cbytes=6))
