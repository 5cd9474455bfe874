"""Codecs of Zarr v2 against damaged data, data that lies, and a missing numcodecs."""

from __future__ import annotations

import bz2
import lzma
import pickle
import sys
import tracemalloc
import zlib
from typing import Any

import numcodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from v2_samples import documents, sample, stored, written

from storekit import open_zarr
from storekit.codecs.v2.registry import codec_from_v2
from storekit.errors import ChecksumError, CodecError, MissingExtraError, UnsupportedError

SHAPE, CHUNKS = (4, 6), (4, 6)
RAW = {"id": "lzma", "format": 3, "filters": [{"id": 33, "preset": 0}]}
STEPS: list[tuple[str, dict[str, Any]]] = [
    *[("<i4", {"id": name}) for name in ("blosc", "zlib", "gzip", "zstd", "lz4", "bz2", "lzma")],
    ("<i4", RAW),
    ("<i4", {"id": "delta", "dtype": "<i4"}),
    ("<i4", {"id": "shuffle", "elementsize": 4}),
    ("|b1", {"id": "packbits"}),
    *[("<i4", {"id": name}) for name in ("fletcher32", "crc32", "crc32c", "adler32")],
    ("|O", {"id": "vlen-utf8"}),
    ("|O", {"id": "vlen-bytes"}),
    ("<U2", {"id": "categorize", "labels": ["a", "\N{SNOWMAN}"], "dtype": "<U2"}),
]


def one_chunk(dtype: str, step: dict[str, Any]) -> tuple[Any, dict[str, bytes]]:
    """Elements, and an array of one chunk that is encoded by one codec."""
    data: Any
    if dtype == "|O":
        item = "é" if step["id"] == "vlen-utf8" else b"ab"
        data = np.full(SHAPE, item, object)
    elif dtype == "<U2":
        data = np.where(np.arange(24).reshape(SHAPE) % 2, "a", "\N{SNOWMAN}").astype(dtype)
    else:
        data = sample(dtype, SHAPE)
    name = step["id"]
    if name in ("blosc", "zlib", "gzip", "zstd", "lz4", "bz2", "lzma"):
        return data, written(data, chunks=CHUNKS, compressor=step)
    return data, written(data, chunks=CHUNKS, filters=[step])


@pytest.mark.parametrize(("dtype", "step"), STEPS, ids=str)
def test_each_is_read(dtype: str, step: dict[str, Any]) -> None:
    """What the damage is done to is sound, and codecs of v2 pickle, show and compare themselves."""
    data, values = one_chunk(dtype, step)
    array = open_zarr(stored(values))
    assert array[...].tolist() == data.tolist()
    codec = codec_from_v2(step)
    assert pickle.loads(pickle.dumps(codec)) == codec == codec_from_v2(step)
    assert repr(codec).startswith(type(codec).__name__)


@pytest.mark.parametrize(("dtype", "step"), STEPS, ids=str)
def test_what_is_cut_off(dtype: str, step: dict[str, Any]) -> None:
    """Data that ends too early is an error that names the chunk, wherever it ends."""
    _, values = one_chunk(dtype, step)
    whole = values["0.0"]
    for end in {0, 1, 3, len(whole) // 2, len(whole) - 1}:
        array = open_zarr(stored({**values, "0.0": whole[:end]}))
        with pytest.raises(CodecError) as caught:
            array.read()
        assert caught.value.key == "0.0"


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(STEPS), st.data())
def test_damage(case: tuple[str, dict[str, Any]], data: Any) -> None:
    """Bytes that were changed give elements or an error, and nothing else."""
    _, values = one_chunk(*case)
    chunk = bytearray(values["0.0"])
    for _ in range(data.draw(st.integers(1, 3))):
        chunk[data.draw(st.integers(0, len(chunk) - 1))] = data.draw(st.integers(0, 255))
    array = open_zarr(stored({**values, "0.0": bytes(chunk)}))
    try:
        assert array.read().shape == SHAPE
    except CodecError as error:
        assert error.key == "0.0"  # noqa: PT017


@pytest.mark.parametrize("name", ["fletcher32", "crc32", "crc32c", "adler32"])
def test_checksums_are_verified(name: str) -> None:
    """A wrong byte is found by each of the checksums."""
    _, values = one_chunk("<i4", {"id": name})
    chunk = bytearray(values["0.0"])
    chunk[50] ^= 1
    with pytest.raises(ChecksumError, match=f"codec '{name}', chunk '0.0'"):
        open_zarr(stored({**values, "0.0": bytes(chunk)})).read()


BOMBS: dict[str, tuple[dict[str, Any], bytes]] = {
    "zlib": ({"id": "zlib"}, zlib.compress(bytes(1 << 27))),
    "bz2": ({"id": "bz2"}, bz2.compress(bytes(1 << 27))),
    "lzma": ({"id": "lzma"}, lzma.compress(bytes(1 << 27), preset=0)),
    "raw lzma": (RAW, lzma.compress(bytes(1 << 27), lzma.FORMAT_RAW, filters=RAW["filters"])),
    "lz4, much": ({"id": "lz4"}, numcodecs.LZ4().encode(bytes(1 << 27))),
    "lz4": ({"id": "lz4"}, (1 << 30).to_bytes(4, "little") + bytes(100)),
    "lz4, negative": ({"id": "lz4"}, b"\xff" * 100),
    "gzip": ({"id": "gzip"}, numcodecs.GZip(9).encode(bytes(1 << 27))),
    "zstd": ({"id": "zstd"}, numcodecs.Zstd(1).encode(bytes(1 << 27))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str) -> None:
    """A few bytes that stand for many do not take more memory than the chunk may have."""
    compressor, bomb = BOMBS[name]
    array = open_zarr(stored({**documents(compressor=compressor), "0.0": bomb}))
    with pytest.raises(CodecError):  # what is loaded once is not counted
        array[0, 0]
    tracemalloc.start()
    try:
        with pytest.raises(CodecError):
            array[0, 0]
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["blosc", "zlib", "gzip", "zstd", "lz4", "bz2", "lzma"])
def test_little_data_for_a_huge_chunk(name: str) -> None:
    """A chunk takes no memory that its data cannot fill, whatever the document says."""
    codec = {"id": name}
    chunk = numcodecs.get_codec(dict(codec)).encode(bytes(1000))
    array = open_zarr(
        stored({**documents(compressor=codec, chunks=[1 << 14, 1 << 14]), "0.0": chunk})
    )
    with pytest.raises(CodecError):
        array[0, 0]
    tracemalloc.start()
    try:
        with pytest.raises(CodecError):
            array[0, 0]
        assert tracemalloc.get_traced_memory()[1] < 1 << 24  # the dictionary of LZMA takes 8 MiB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["lz4", "lz4, negative"])
def test_a_size_that_cannot_be(name: str) -> None:
    """Where the size of a chunk is not known, LZ4 may still not state what it cannot hold."""
    compressor, bomb = BOMBS[name]
    changes = {"dtype": "|O", "filters": [{"id": "vlen-utf8"}], "compressor": compressor}
    array = open_zarr(stored({**documents(**changes), "0.0": bomb}))
    with pytest.raises(CodecError, match="no block of LZ4"):
        array.read()


def test_a_huge_dictionary_is_refused() -> None:
    """LZMA takes no more memory than storekit gives it, whatever the stream says."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(bytes(96), filters=filters))
    assert data[16] == 16  # the code for 1 MiB
    data[16] = 40  # for 4 GiB
    data[20:24] = zlib.crc32(bytes(data[12:20])).to_bytes(4, "little")
    array = open_zarr(
        stored({**documents(compressor={"id": "lzma"}, chunks=[4, 6]), "0.0": bytes(data)})
    )
    with pytest.raises(CodecError, match="Memory usage limit"):
        array.read()


def test_streams_that_follow_each_other() -> None:
    """bz2 and lzma may be of several streams; what is no stream after them is ignored."""
    content = np.arange(24, dtype="<i4").tobytes()
    for name, compress in (("bz2", bz2.compress), ("lzma", lzma.compress)):
        chunk = compress(content[:40]) + compress(content[40:])
        values = documents(compressor={"id": name}, chunks=[4, 6])
        for rest in (b"", b"something else"):
            array = open_zarr(stored({**values, "0.0": chunk + rest}))
            assert array[...].ravel().tolist() == list(range(24))
        assert numcodecs.get_codec({"id": name}).decode(chunk) == content


def test_odd_numbers() -> None:
    """Arithmetic on what is not finite, or too large, neither warns nor fails."""
    scale = {"id": "fixedscaleoffset", "offset": 1e300, "scale": 1e-300, "dtype": "<f4"}
    data = np.array([np.nan, np.inf, 1e38, 0], "<f4")
    for filters in (
        [{**scale, "astype": "<f8"}],
        [{"id": "astype", "encode_dtype": "<f8", "decode_dtype": "<i4"}],
        [{"id": "delta", "dtype": "<f4"}],
    ):
        dtype = filters[0].get("dtype", "<i4")
        values = documents(shape=[4], chunks=[4], dtype=dtype, filters=filters, compressor=None)
        stored_as = np.dtype(filters[0].get("astype", filters[0].get("encode_dtype", "<f4")))
        array = open_zarr(stored({**values, "0": data.astype(stored_as).tobytes()}))
        assert array[...].shape == (4,)


def test_unknown_categories_are_empty() -> None:
    """A number without a label is the empty text, as in numcodecs, negative ones too."""
    step = {"id": "categorize", "labels": ["a"], "dtype": "|O", "astype": "|i1"}
    values = documents(shape=[4], chunks=[4], dtype="|O", filters=[step], compressor=None)
    array = open_zarr(stored({**values, "0": bytes([1, 0, 2, 255])}))
    assert array[...].tolist() == ["a", "", "", ""]


@pytest.mark.parametrize(("dtype", "step"), STEPS, ids=str)
def test_without_numcodecs(dtype: str, step: dict[str, Any], monkeypatch: Any) -> None:
    """What needs numcodecs opens without it; reading says which extra brings it."""
    data, values = one_chunk(dtype, step)
    monkeypatch.setitem(sys.modules, "numcodecs.registry", None)
    array = open_zarr(stored(values))
    assert array.shape == SHAPE
    needs = {"lz4", "delta", "shuffle", "packbits", "fletcher32", "crc32", "crc32c", "adler32"}
    if step["id"] in needs:
        with pytest.raises(MissingExtraError, match=rf"{step['id']}.*storekit\[zarr-v2\]"):
            array.read()
    else:
        assert array[...].tolist() == data.tolist()


def test_nothing_writes() -> None:
    """Codecs that only v2 has do not encode."""
    for name in ("zlib", "bz2", "fletcher32", "packbits"):
        with pytest.raises(UnsupportedError, match=name):
            codec_from_v2({"id": name}).encode(b"")  # type: ignore[attr-defined]
