"""What others write as Zarr v2 is read bit by bit: zarr-python, tensorstore, numcodecs."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
from array_layouts import eager
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from index_samples import index_expressions, orthogonal, outer
from numpy.testing import assert_array_equal
from v2_samples import ZLIB, base64_of, by_zarr, documents, sample, stored, written

from storekit import LocalStore, MemoryStore, ZarrArray, ZarrGroup, open_zarr

NUMBERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
RECORD = np.dtype([("a", ">i4"), ("b", "<f8"), ("c", "|S3"), ("d", "<M8[s]")])
DTYPES: list[Any] = [
    "bool",
    *(order + code for order in "<>" for code in NUMBERS),
    *("<M8[ns]", ">M8[10s]", "<m8[us]", ">m8[D]", "<M8", ">m8"),
    *("|S1", "|S7", "<U3", ">U3", "|V5"),
    np.dtype([("x", "<i2"), ("y", "<f4")]),
    np.dtype([("x", ">i2"), ("y", ">U2")]),
    RECORD,
]
_UNWRITTEN = (">m8", RECORD)
"""
What zarr-python 3.1 cannot write: it does not swap the bytes of times without a unit, because numpy
does not, and numcodecs takes no records with times.
"""

COMPRESSORS: list[Any] = [
    None,
    *(
        numcodecs.Blosc(cname, 5, shuffle)
        for cname in ("lz4", "zstd", "zlib")
        for shuffle in (0, 1)
    ),
    numcodecs.Blosc("blosclz", 9, numcodecs.Blosc.BITSHUFFLE),
    numcodecs.Blosc("lz4hc", 1, numcodecs.Blosc.AUTOSHUFFLE, 256),
    numcodecs.Zlib(6),
    numcodecs.GZip(9),
    numcodecs.Zstd(3),
    numcodecs.Zstd(-1, checksum=True),
    numcodecs.LZ4(),
    numcodecs.BZ2(2),
    numcodecs.LZMA(),
    numcodecs.LZMA(format=2, preset=1),
    numcodecs.LZMA(format=3, filters=[{"id": 3, "dist": 4}, {"id": 0x21, "preset": 1}]),
]
SHAPE, CHUNKS = (5, 7, 3), (2, 3, 3)


def same(ours: Any, theirs: Any) -> None:
    """Equal bit by bit, but for the byte order."""
    theirs = np.asarray(theirs)
    if ours.dtype.kind == "T":
        assert_array_equal(ours, theirs.astype(ours.dtype))
        return
    assert ours.dtype == theirs.dtype.newbyteorder("=")
    if ours.dtype.names:
        for name in ours.dtype.names:
            same(np.ascontiguousarray(ours[name]), np.ascontiguousarray(theirs[name]))
        return
    # By the bytes alone, because numpy does not always swap those of times.
    whole = np.frombuffer(theirs.tobytes(), "u1")
    if theirs.dtype.byteorder == ">":
        unit = 4 if ours.dtype.kind == "U" else ours.itemsize // (1 + (ours.dtype.kind == "c"))
        whole = whole.reshape(-1, unit)[:, ::-1]
    assert ours.tobytes() == whole.tobytes()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [*(d for d in DTYPES if d not in _UNWRITTEN), str], ids=str)
def test_every_data_type_of_zarr_python(dtype: Any, order: str, tmp_path: Path) -> None:
    """zarr-python writes, and storekit reads the same bits: every dtype in either order."""
    data = sample(dtype, SHAPE)
    theirs = by_zarr(tmp_path, data, shape=SHAPE, chunks=CHUNKS, dtype=dtype, order=order)
    ours = open_zarr(LocalStore(tmp_path))
    assert (ours.shape, ours.chunks) == (SHAPE, CHUNKS)
    same(ours[...], data)
    same(ours[1:4, ::-2, 1], data[1:4, ::-2, 1])
    same(ours[...], theirs[...])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("compressor", COMPRESSORS, ids=str)
def test_every_compressor_of_zarr_python(compressor: Any, order: str, tmp_path: Path) -> None:
    """zarr-python compresses, and storekit decodes: text of any length, too."""
    for dtype in ("<f4", ">i8", str):
        place = tmp_path / str(dtype)
        data = sample(dtype, SHAPE)
        options = {"compressors": compressor, "order": order}
        by_zarr(place, data, shape=SHAPE, chunks=CHUNKS, dtype=dtype, **options)
        same(open_zarr(LocalStore(place))[...], data)


FILTERS: list[tuple[Any, list[Any]]] = [
    ("<i4", [numcodecs.Delta("<i4")]),
    (">i2", [numcodecs.Delta(">i2", "<i8")]),
    ("<f4", [numcodecs.FixedScaleOffset(0.5, 10, "<f4", "<i4")]),
    ("<f8", [numcodecs.FixedScaleOffset(-3, 100, "<f8", "<i2")]),
    ("<f4", [numcodecs.Quantize(1, "<f4")]),
    ("<f8", [numcodecs.Quantize(2, "<f8", "<f4")]),
    ("<i8", [numcodecs.AsType("<i2", "<i8")]),
    ("<f8", [numcodecs.BitRound(4)]),
    ("bool", [numcodecs.PackBits()]),
    ("<i4", [numcodecs.Shuffle(4)]),
    ("|u1", [numcodecs.Shuffle(1)]),
    ("<i8", [numcodecs.Delta("<i8"), numcodecs.Shuffle(8), numcodecs.Zlib(1)]),
    ("<i8", [numcodecs.Fletcher32()]),
    ("<i8", [numcodecs.CRC32()]),
    ("<i8", [numcodecs.CRC32(location="end")]),
    ("<i8", [numcodecs.Adler32()]),
]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("dtype", "filters"), FILTERS, ids=str)
def test_every_filter_of_zarr_python(
    dtype: str, filters: list[Any], order: str, tmp_path: Path
) -> None:
    """What zarr-python's filters make of an array, storekit reads as zarr-python does."""
    data = sample(dtype, SHAPE)
    options = {"filters": filters, "order": order, "compressors": numcodecs.Zstd(1)}
    theirs = by_zarr(tmp_path, data, shape=SHAPE, chunks=CHUNKS, dtype=dtype, **options)
    same(open_zarr(LocalStore(tmp_path))[...], theirs[...])


DIRECT: list[tuple[Any, list[dict[str, Any]]]] = [
    (["a", "", "é" * 9, "b"], [{"id": "vlen-utf8"}]),
    (["a", "", "é" * 9, "b"], [{"id": "vlen-utf8"}, {"id": "zlib", "level": 3}]),
    ([b"a", b"", b"\0" * 9, b"b"], [{"id": "vlen-bytes"}]),
    (["f", "m", "", "f"], [{"id": "categorize", "labels": ["f", "m"], "dtype": "|O"}]),
    (
        ["f", "m", "", "f"],
        [{"id": "categorize", "labels": ["f", "m"], "dtype": "<U2", "astype": "<i2"}],
    ),
]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("words", "filters"), DIRECT, ids=str)
def test_text_and_bytes_by_numcodecs(
    words: list[Any], filters: list[dict[str, Any]], order: str
) -> None:
    """Elements of any length, and categories, as numcodecs encodes them."""
    dtype = filters[0].get("dtype", "|O")
    data = np.array([words, words[::-1], words], dtype)
    values = written(data, chunks=(2, 3), filters=filters, order=order, compressor={"id": "lz4"})
    ours = open_zarr(stored(values))
    assert ours[...].tolist() == data.tolist()
    assert ours[::2, 1:3].tolist() == data[::2, 1:3].tolist()
    assert ours.vindex[[0, 2], [3, 0]].tolist() == [data[0, 3], data[2, 0]]


def test_empty_scalar_and_nested(tmp_path: Path) -> None:
    """No dimensions, dimensions of length 0 with chunks of 0, and nested keys."""
    by_zarr(tmp_path / "s", 5, shape=(), dtype="<i4", chunks=())
    by_zarr(tmp_path / "e", ..., shape=(0, 3), dtype="<i4", chunks=(1, 3))
    document = json.loads((tmp_path / "e/.zarray").read_text())
    # As zarr-python before 3.4 wrote it, too.
    (tmp_path / "e/.zarray").write_text(json.dumps({**document, "chunks": [0, 3]}))
    data = sample("<i4", SHAPE)
    keys = {"name": "v2", "separator": "/"}
    by_zarr(tmp_path / "n", data, shape=SHAPE, dtype="<i4", chunks=CHUNKS, chunk_key_encoding=keys)
    store = LocalStore(tmp_path)
    assert open_zarr(store, "s")[()] == 5
    assert open_zarr(store, "e")[...].shape == (0, 3)
    assert (tmp_path / "n/0/0/0").is_file()
    nested = open_zarr(store, "n")
    same(nested[...], data)
    assert len(nested.stored_keys()) == 9
    assert nested.stored_keys()[0] == "n/0/0/0"


FILLS: list[tuple[Any, Any]] = [
    ("bool", True),
    ("<i2", -7),
    (">u8", 2**64 - 1),
    ("<f4", float("nan")),
    (">f8", float("-inf")),
    ("<f8", 0.1),
    ("<c16", complex(1.5, float("nan"))),
    ("|S3", b"ab"),
    (">U3", "é"),
    ("|V3", np.void(b"\1\2\3")),
    ("<M8[s]", np.datetime64(99, "s")),
    (">m8[s]", np.timedelta64("NaT", "s")),
    (RECORD, np.array((7, 1.5, b"xy", 8), RECORD)[()]),
    (np.dtype([("x", ">i2"), ("y", ">f4")]), np.array((-2, 0.5), ">i2, >f4")[()]),
]


@pytest.mark.parametrize(("dtype", "fill"), FILLS, ids=str)
def test_fill_values_of_zarr_python(dtype: Any, fill: Any, tmp_path: Path) -> None:
    """Chunks that were never written are of the fill value that zarr-python wrote."""
    by_zarr(tmp_path, ..., shape=(3,), chunks=(2,), dtype=dtype, fill_value=fill)
    ours = open_zarr(LocalStore(tmp_path))
    same(ours[...], np.full(3, fill, dtype))
    assert_array_equal(np.asarray(ours.fill_value), np.full((), fill, ours.dtype))


@pytest.mark.parametrize("dtype", [*DTYPES, "|O"], ids=str)
def test_null_is_the_default_fill_value(dtype: Any) -> None:
    """A fill value of null is zero, empty or not a time, as in a new array."""
    spelled = dtype.descr if isinstance(dtype, np.dtype) else np.dtype(dtype).str
    filters = [{"id": "vlen-utf8"}] if dtype == "|O" else None
    ours = open_zarr(stored(documents(dtype=spelled, fill_value=None, filters=filters)))
    new = ZarrArray.create(MemoryStore(), shape=(4, 6), dtype=str if filters else dtype)
    same(ours[...], new[...])


tensorstore = pytest.importorskip("tensorstore")

_TS_COMPRESSORS = [None, *({"id": name} for name in ("blosc", "zlib", "bz2", "zstd"))]


@pytest.mark.parametrize("dtype", ["|b1", "<i4", ">i2", "|u1", "<f8", ">f4", "<c8"])
def test_what_tensorstore_writes(dtype: str, tmp_path: Path) -> None:
    """tensorstore's driver for v2 writes, and storekit reads: orders, compressors, separators."""
    data = sample(dtype, (5, 7))
    cases = itertools.product("CF", _TS_COMPRESSORS, "./")
    for number, (order, compressor, separator) in enumerate(cases):
        metadata = {
            "shape": [5, 7],
            "chunks": [2, 3],
            "dtype": dtype,
            "order": order,
            "compressor": compressor,
            "dimension_separator": separator,
            "fill_value": None,
        }
        place = {"driver": "file", "path": str(tmp_path / str(number))}
        spec = {"driver": "zarr", "kvstore": place, "metadata": metadata}
        theirs = tensorstore.open(spec, create=True).result()
        theirs[2:, :].write(data[2:, :]).result()
        expected = data.copy()
        expected[:2] = 0
        same(open_zarr(LocalStore(tmp_path), str(number))[...], expected)


_compressors = st.sampled_from(
    [
        None,
        {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
        {"id": "zlib", "level": 1},
        {"id": "gzip", "level": 1},
        {"id": "zstd", "level": 1},
        {"id": "lz4", "acceleration": 1},
        {"id": "bz2", "level": 1},
        {"id": "lzma", "format": 1, "check": -1, "preset": 0, "filters": None},
    ]
)
_shapes = st.lists(st.integers(1, 6), max_size=3).map(tuple)


@st.composite
def _arrays(draw: Any) -> tuple[Any, dict[str, bytes]]:
    shape = draw(_shapes)
    chunks = tuple(draw(st.integers(1, n + 1)) for n in shape)
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    data = np.asarray(sample(dtype, shape, draw(st.integers(0, 9)))).astype(dtype)
    filters = []
    if dtype.kind in "iu" and draw(st.booleans()):
        filters.append({"id": "delta", "dtype": dtype.str, "astype": dtype.str})
    if draw(st.booleans()):
        filters.append({"id": "shuffle", "elementsize": dtype.itemsize})
    values = written(
        data,
        chunks=chunks,
        order=draw(st.sampled_from("CF")),
        compressor=draw(_compressors),
        filters=filters or None,
        separator=draw(st.sampled_from([".", "/", None])),
        path=draw(st.sampled_from(["", "a/b"])),
    )
    return data, values


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_arrays(), st.data())
def test_any_array_by_the_book(case: tuple[Any, dict[str, bytes]], draw: Any) -> None:
    """
    Whatever dtype, shape, chunks, order, filters, compressor and separator: what numcodecs encodes
    is read, whole and by numpy's selections.
    """
    data, values = case
    path = next(iter(values)).removesuffix(".zarray").rstrip("/")
    ours = open_zarr(stored(values), path)
    same(ours[...], data)
    native = _native(data)
    expression, axes = draw.draw(index_expressions(data.shape)), draw.draw(orthogonal(data.shape))
    with eager(ranges=draw.draw(st.booleans()), threads=False):
        assert_array_equal(ours.oindex[axes], outer(native, axes))
        expected = np.empty(0)
        with suppress(IndexError):
            expected = native[expression]
        if np.size(expected):  # of those that select nothing, numpy takes more than we do
            assert_array_equal(ours[expression], expected)


def _native(data: Any) -> Any:
    """The elements in native byte order; numpy does not swap times without a unit."""
    native = data.dtype.newbyteorder("=")
    if data.dtype.kind in "mM":
        return data.view(data.dtype.str[0] + "i8").astype("i8").view(native)
    return data.astype(native)


def test_an_array_of_v2_becomes_one_of_v3() -> None:
    """What the error of a write says: create an array of v3, and assign."""
    data = sample(">i4", (5, 7))
    old = open_zarr(stored(written(data, chunks=(2, 3), order="F", fill_value=-1)))
    root = ZarrGroup.create(MemoryStore())
    new = root.create_array(
        "new", shape=old.shape, dtype=old.dtype, chunks=old.chunks, fill_value=old.fill_value
    )
    new[...] = old
    assert_array_equal(root["new"][...], data)
    root["other"] = old
    assert_array_equal(root["other"][...], data)


@pytest.mark.parametrize("dtype", [*_UNWRITTEN, np.dtype([("a", ">U2"), ("b", "<m8")])], ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_zarr_python_cannot_write(dtype: Any, order: str) -> None:
    """Records in mixed byte orders, and times without a unit, are read as what they are."""
    data = sample(dtype, (5, 4))
    ours = open_zarr(stored(written(data, chunks=(2, 3), order=order, compressor=ZLIB)))
    same(ours[...], data)
    same(ours[1:, 2], data[1:, 2])


def test_base64_of_records_is_in_their_own_order() -> None:
    """The fill value of a record is spelled in the byte orders of its fields."""
    fill = np.array((1, 2.5, b"abc", 3), RECORD)
    dtype = [["a", ">i4"], ["b", "<f8"], ["c", "|S3"], ["d", "<M8[s]"]]
    ours = open_zarr(stored(documents(dtype=dtype, fill_value=base64_of(fill.tobytes()))))
    assert ours[0, 0] == fill.astype(ours.dtype)
