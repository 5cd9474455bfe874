"""Whatever is in a document of Zarr v2: it is read, or it is an error that names key and field."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from v2_samples import ZLIB, base64_of, documents, dumped, stored, zarray

from storekit import ZarrArray, open_zarr
from storekit.errors import MetadataError

VLEN = [{"id": "vlen-utf8"}]
DELTA = {"id": "delta", "dtype": "<i4"}
SCALE = {"id": "fixedscaleoffset", "offset": 0, "scale": 1, "dtype": "<i4"}
LABELS = {"id": "categorize", "labels": ["a"], "dtype": "<U2"}
RAW_LZMA = {"id": "lzma", "format": 3, "filters": [{"id": 33, "dict_size": 1 << 40}]}

REFUSED: list[tuple[dict[str, Any], str]] = [
    *[({name: ...}, name) for name in zarray() if name != "filters"],
    ({"zarr_format": 3}, "zarr_format"),
    ({"zarr_format": 2.0}, "zarr_format"),
    ({"zarr_format": True}, "zarr_format"),
    ({"shape": 4}, "shape"),
    ({"shape": [4, -1]}, r"shape\[1\]"),
    ({"shape": [4, 1.5]}, r"shape\[1\]"),
    ({"shape": [4, True]}, r"shape\[1\]"),
    ({"shape": [4, 2**63]}, r"shape\[1\]"),
    ({"shape": [1] * 33, "chunks": [1] * 33}, "shape"),
    ({"shape": [4]}, "chunks"),
    ({"chunks": [2, 0]}, r"chunks\[1\]"),
    ({"chunks": [2, -3]}, r"chunks\[1\]"),
    ({"chunks": [2**40, 2**40]}, "chunks"),
    ({"chunks": None}, "chunks"),
    ({"chunks": "auto"}, "chunks"),
    *[({"dtype": dtype}, "dtype") for dtype in ("i4", "=i4", "<i3", "|i4", "<f16", "int32", 4)],
    *[({"dtype": dtype}, "dtype") for dtype in ("<U0", "|S0", "|S99999999999", "<U2147483647")],
    *[({"dtype": dtype}, "dtype") for dtype in ("<M8[x]", "<M8[0s]", "<M8[9999999999s]", "i4,i4")],
    *[({"dtype": dtype}, "dtype") for dtype in ([], {}, None, "", "<f8" * 99, "|O8")],
    ({"dtype": [["a", "<i4"], ["a", "<i4"]]}, "dtype"),
    ({"dtype": [["a", "<i4"], ["b", "<i4", [2]]]}, r"dtype\[1\]"),
    ({"dtype": [["a", "<i4"], ["b", "|O"]]}, r"dtype\[1\]"),
    ({"dtype": [[1, "<i4"]]}, r"dtype\[0\]"),
    ({"dtype": [["a"]]}, r"dtype\[0\]"),
    ({"dtype": "|O"}, "filters"),
    ({"dtype": "|O", "filters": [ZLIB]}, "filters"),
    ({"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}]}, r"filters\[0\]\.id: pickles"),
    ({"compressor": {"id": "pickle"}}, r"compressor\.id: pickles"),
    ({"dtype": "|O", "filters": [{"id": "json2"}]}, r"filters\[0\]\.id"),
    ({"dtype": "|O", "compressor": {"id": "vlen-utf8"}}, r"compressor\.id"),
    ({"filters": VLEN}, r"filters\[0\]\.id"),
    ({"filters": [ZLIB, *VLEN]}, r"filters\[1\]\.id"),
    ({"filters": [LABELS]}, r"filters\[0\]\.id"),
    ({"filters": {}}, "filters"),
    ({"filters": "delta"}, "filters"),
    ({"filters": [None]}, r"filters\[0\]"),
    *[({"filters": [{**DELTA, "dtype": x}]}, r"filters\[0\]\.dtype") for x in ("|O", "<M8", 1, [])],
    ({"filters": [{**DELTA, "dtype": "<f8"}], "chunks": [1, 3]}, r"filters\[0\]"),
    ({"filters": [{"id": "delta"}]}, r"filters\[0\]\.dtype"),
    ({"filters": [{**DELTA, "astype": "|S4"}]}, r"filters\[0\]\.astype"),
    ({"filters": [{**DELTA, "more": 1}]}, r"filters\[0\]\.more"),
    *[({"filters": [{**SCALE, "scale": x}]}, r"filters\[0\]\.scale") for x in (0, "1", 10**400)],
    *[({"filters": [{**SCALE, "offset": x}]}, r"filters\[0\]\.offset") for x in (None, True, [])],
    ({"filters": [{"id": "quantize", "digits": 1, "dtype": "<i4"}]}, r"filters\[0\]\.dtype"),
    ({"filters": [{"id": "quantize", "digits": 1.5, "dtype": "<f4"}]}, r"filters\[0\]\.digits"),
    ({"filters": [{"id": "astype", "encode_dtype": "<i2"}]}, r"filters\[0\]\.decode_dtype"),
    ({"filters": [{"id": "shuffle", "elementsize": 7}]}, r"filters\[0\]\.elementsize"),
    ({"filters": [{"id": "shuffle", "elementsize": -1}]}, r"filters\[0\]\.elementsize"),
    ({"filters": [{"id": "crc32", "location": "middle"}]}, r"filters\[0\]\.location"),
    ({"filters": [{"id": "bitround"}]}, r"filters\[0\]\.keepbits"),
    ({"dtype": "<U2", "filters": [{**LABELS, "labels": "a"}]}, r"filters\[0\]\.labels"),
    ({"dtype": "<U2", "filters": [{**LABELS, "labels": [1]}]}, r"filters\[0\]\.labels"),
    ({"dtype": "<U2", "filters": [{**LABELS, "astype": "<f4"}]}, r"filters\[0\]\.astype"),
    ({"compressor": "zlib"}, "compressor"),
    ({"compressor": {}}, r"compressor\.id"),
    ({"compressor": {"id": "zip"}}, r"compressor\.id: unknown codec"),
    ({"compressor": {"id": ["zlib"]}}, r"compressor\.id"),
    ({"compressor": {"id": "zlib", "level": 10}}, r"compressor\.level"),
    ({"compressor": {"id": "gzip", "level": "1"}}, r"compressor\.level"),
    ({"compressor": {"id": "bz2", "level": 0}}, r"compressor\.level"),
    ({"compressor": {"id": "blosc", "shuffle": 3}}, r"compressor\.shuffle"),
    ({"compressor": {"id": "blosc", "cname": "lzo"}}, r"compressor\.cname"),
    ({"compressor": {"id": "lzma", "format": 4}}, r"compressor\.format"),
    ({"compressor": {"id": "lzma", "format": 3}}, r"compressor\.filters"),
    ({"compressor": {"id": "lzma", "format": 3, "filters": [{}]}}, r"compressor\.filters"),
    ({"compressor": RAW_LZMA}, r"compressor\.filters\[0\]"),
    ({"order": "A"}, "order"),
    ({"order": ["C"]}, "order"),
    ({"dimension_separator": ":"}, "dimension_separator"),
    ({"dimension_separator": ["."]}, "dimension_separator"),
    *[({"fill_value": x}, "fill_value") for x in (2**31, 1.5, "0", "NaN", [0], {}, True)],
    *[({"dtype": "<f4", "fill_value": x}, "fill_value") for x in ("nan", [1], True, "0x00")],
    *[({"dtype": "|b1", "fill_value": x}, "fill_value") for x in (2, "true", [])],
    *[({"dtype": "|S2", "fill_value": x}, "fill_value") for x in (1, "?", "YWJj")],
    *[({"dtype": "<U2", "fill_value": x}, "fill_value") for x in (1, "abc", "\ud800")],
    *[({"dtype": "|V2", "fill_value": x}, "fill_value") for x in ("YWJj", {}, "ab")],
    *[
        ({"dtype": [["a", "<i4"]], "fill_value": x}, "fill_value")
        for x in ("YQ==", 1, [0], {"a": 0})
    ],
    *[({"dtype": "<c8", "fill_value": x}, "fill_value") for x in ([1], ["x", 1], "1j")],
    *[({"dtype": "<M8[s]", "fill_value": x}, "fill_value") for x in ("2000", 1.5, 2**63)],
    ({"dtype": "|O", "filters": VLEN, "fill_value": 1}, "fill_value"),
]


@pytest.mark.parametrize(("changes", "field"), REFUSED, ids=str)
def test_malformed_documents(changes: dict[str, Any], field: str) -> None:
    """A malformed document is refused, with its key and the path of the field."""
    store = stored(documents("a/b", **changes))
    with pytest.raises(MetadataError, match=rf"^a/b/\.zarray: {field}") as caught:
        open_zarr(store, "a/b")
    assert caught.value.document == "a/b/.zarray"


@pytest.mark.parametrize(
    "changes",
    [
        {"filters": ...},
        {"filters": []},
        {"dimension_separator": None},
        {"unknown": {"x": 1}, "must_understand": True},
        {"shape": [0, 6], "chunks": [0, 3]},
        {"shape": [], "chunks": []},
        {"compressor": {"id": "blosc"}},
        {"compressor": {"id": "blosc", "cname": "zstd", "shuffle": -1, "typesize": 4}},
        {"compressor": {"id": "zstd", "level": 0, "checksum": True}},
        {"compressor": {"id": "gzip", "level": -1}},
        {"compressor": {"id": "lzma", "format": 1, "check": -1, "preset": None, "filters": None}},
        {"dtype": "|b1", "fill_value": 0},
        {"dtype": ">u1", "fill_value": 255},
        {"dtype": "<f4", "fill_value": "-Infinity"},
        {"dtype": "<c8", "fill_value": 0},
        {"dtype": "<c8", "fill_value": ["NaN", 1]},
        {"dtype": "<M8[s]", "fill_value": "NaT"},
        {"dtype": "<i4", "fill_value": 1.0},
        *[{"dtype": dtype, "fill_value": 0} for dtype in ("|S2", "<U2", "|V2", [["a", "<i4"]])],
        {"dtype": "|O", "filters": VLEN, "fill_value": 0},
        {"dtype": "|O", "filters": [{"id": "vlen-bytes"}], "fill_value": "YQ=="},
        {"dtype": [["a", "|u1"], ["", "|V3"], ["b", "<i4"]], "fill_value": None},
    ],
    ids=str,
)
def test_what_occurs_in_practice(changes: dict[str, Any]) -> None:
    """Documents that writers are known to write are read."""
    array = open_zarr(stored(documents(**changes)))
    assert array[...].shape == array.shape


def test_padding_between_fields() -> None:
    """A field without a name is called as numpy calls it, and takes its place."""
    dtype = [["a", "|u1"], ["", "|V3"], ["b", "<i4"]]
    fill = base64_of(b"\1\0\0\0\2\0\0\0")
    array = open_zarr(stored(documents(dtype=dtype, fill_value=fill)))
    assert array.dtype.names == ("a", "f1", "b")
    assert array[0, 0].item() == (1, b"\0\0\0", 2)


def test_zeros_of_records_are_bits() -> None:
    """The number 0 is a record of zeros, as in zarr-python 2; null is one of defaults."""
    dtype = [["t", ">M8[s]"], ["n", ">i2"]]
    zeros = open_zarr(stored(documents(dtype=dtype, fill_value=0)))
    assert zeros.fill_value.tolist() == (np.datetime64(0, "s").item(), 0)
    null = open_zarr(stored(documents(dtype=dtype, fill_value=None)))
    assert np.isnat(null.fill_value["t"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({".zarray": b"{"}, r"^\.zarray: the document is not JSON"),
        ({".zarray": b"[]"}, r"^\.zarray: expected a JSON object"),
        ({".zarray": b"\xff"}, r"^\.zarray: the document is not UTF-8"),
        ({".zarray": b'{"a": 1, "a": 2}'}, r"^\.zarray: a: the key occurs twice"),
        ({".zarray": b"[" * 100_000}, r"^\.zarray: "),
        ({".zgroup": b"{}"}, r"^\.zgroup: zarr_format"),
        ({".zgroup": dumped({"zarr_format": 2}), ".zattrs": b"[]"}, r"^\.zattrs: expected a JSON"),
        ({**documents(), ".zattrs": b"1"}, r"^\.zattrs: expected a JSON object"),
    ],
    ids=str,
)
def test_what_is_no_document(values: dict[str, bytes], message: str) -> None:
    """What is no JSON object is refused, with its key."""
    with pytest.raises(MetadataError, match=message):
        open_zarr(stored(values))


def test_bare_numbers_that_are_not_finite() -> None:
    """Bare NaN, which older writers wrote, is read in attributes, and no fill value."""
    document = dumped(zarray(dtype="<f4")).replace(b'"fill_value": 0', b'"fill_value": NaN')
    with pytest.raises(MetadataError, match=r"^\.zarray: fill_value: expected a number"):
        open_zarr(stored({".zarray": document}))
    array = open_zarr(stored({**documents(), ".zattrs": b'{"a": [NaN, -Infinity]}'}))
    assert array.attributes["a"][1] == -np.inf


def test_deep_dtypes() -> None:
    """Records in records in records end with an error, not with the stack."""
    for depth in (40, 400):
        dtype: Any = "<i4"
        for _ in range(depth):
            dtype = [["a", dtype]]
        with pytest.raises(MetadataError, match=r"^\.zarray: "):
            open_zarr(stored(documents(dtype=dtype)))


_words = st.sampled_from(
    ["id", "zlib", "delta", "pickle", "|O", "<i4", "|S3", "<M8[s]", "C", "F", ".", "/", "NaN", ""]
)
_garbage = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, -1, 2**31, 2**63, 10**400])
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | _words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | _words, inner)
    ),
    max_leaves=5,
)
_LZMA = {"id": "lzma", "format": 3, "filters": [{"id": 3, "dist": 4}, {"id": 33, "preset": 1}]}
_BLOSC = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
START = [
    zarray(filters=[DELTA, {"id": "shuffle", "elementsize": 4}], compressor=_BLOSC, order="F"),
    zarray(filters=[SCALE, {"id": "crc32", "location": "end"}], compressor=_LZMA),
    zarray(dtype="|O", filters=VLEN, fill_value=""),
    zarray(dtype="<U2", filters=[LABELS], fill_value="b"),
    zarray(dtype=[["a", ">i4"], ["b", [["c", "<f8"], ["d", "|S3"]]]], fill_value=None),
    zarray(dtype="<M8[10s]", fill_value="NaT", dimension_separator="/"),
    zarray(dtype="|b1", filters=[{"id": "packbits"}], fill_value=True),
]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Any:
    yield path
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(inner, (*path, name))


@st.composite
def _mutated(draw: Any) -> Any:
    document = json.loads(json.dumps(draw(st.sampled_from(START))))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in _paths(document) if path]))
        place = document
        for step in path[:-1]:
            place = place[step]
        if draw(st.booleans()):
            place[path[-1]] = draw(_garbage)
        else:
            del place[path[-1]]
        if not document:
            break
    return document


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_mutated())
def test_mutated_documents(document: Any) -> None:
    """A mutated document is read, by its bytes or as `metadata`, or refused with its key."""
    store = stored({"p/.zarray": dumped(document)})
    try:
        array = open_zarr(store, "p")
    except MetadataError as error:
        assert error.document == "p/.zarray"  # noqa: PT017
    else:
        assert ZarrArray(store, "p", array.metadata).metadata == array.metadata


@given(st.sampled_from(START), st.data())
def test_damaged_documents(document: Any, data: Any) -> None:
    """A document with bytes changed, removed or doubled is read, or refused."""
    text = bytearray(dumped(document))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(len(text), start + 9)))
        text[start:stop] = data.draw(st.binary(max_size=4))
    with suppress(MetadataError):
        open_zarr(stored({".zarray": bytes(text)}))


def test_where_they_begin() -> None:
    """What the mutations start from is valid."""
    for document in START:
        assert open_zarr(stored({".zarray": dumped(document)})).shape == (4, 6)
