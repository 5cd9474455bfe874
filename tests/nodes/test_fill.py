import base64
import datetime
import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_samples import CORE, array_document, config, data_types, same, scalars, strict

from storekit.errors import MetadataError
from storekit.nodes.dtypes import DataType, Struct, data_type_from_json, data_type_from_numpy
from storekit.nodes.fill import cast_fill

RECORD = np.dtype([("a", "i4"), ("b", "f8"), ("n", [("t", "M8[s]"), ("u", "U2")])])


# The NaT without a unit. Made of its bits, because numpy 2.5 warns of the text.
NAT = np.array(-(2**63), "i8").view("M8")[()]


def bits(digits: str, dtype: str):
    """The float with these bits."""
    return np.array(int(digits, 16), f"u{np.dtype(dtype).itemsize}").view(dtype)[()]


typed_scalars = data_types.flatmap(lambda kind: st.tuples(st.just(kind), scalars(kind)))


@given(typed_scalars)
def test_json_round_trip(pair):
    """Every scalar of every data type comes back from strict JSON to the last bit, NaNs too."""
    kind, value = pair
    assert same(kind.fill_from_json(strict(kind.fill_to_json(value))), value)


@given(typed_scalars)
def test_scalars_are_fill_values_as_they_are(pair):
    """A scalar of the data type is its own fill value."""
    kind, value = pair
    assert same(cast_fill(value, kind), value)


@given(data_types)
def test_default(kind: DataType):
    """None means the default of the data type, which JSON can say and which fills chunks."""
    default = cast_fill(None, kind)
    assert same(kind.fill_from_json(strict(kind.fill_to_json(default))), default)
    chunk = np.empty((2,), kind.numpy)
    chunk[...] = default
    assert same(cast_fill(chunk[0], kind), default)


def test_defaults_are_zero_empty_or_not_a_time():
    """Defaults are zeros and empty texts; of times, as in zarr-python, no time at all."""
    for name in CORE:
        assert cast_fill(None, data_type_from_numpy(name)) == 0
    for dtype, empty in ((str, ""), ("U3", ""), (bytes, b""), ("S3", b"")):
        assert cast_fill(None, data_type_from_numpy(dtype)) == empty
    assert cast_fill(None, data_type_from_numpy("V2")).tobytes() == b"\0\0"
    assert np.isnat(cast_fill(None, data_type_from_numpy("M8[s]")))
    record = cast_fill(None, data_type_from_numpy(RECORD))
    assert record["a"] == 0
    assert np.isnat(record["n"]["t"])


def test_records_cannot_be_changed_in_place():
    """The fill value of an array of records is as immutable as any other."""
    record = cast_fill(None, data_type_from_numpy(RECORD))
    with pytest.raises(ValueError, match="read-only"):
        record["a"] = 1


@pytest.mark.parametrize(
    ("dtype", "json", "value"),
    [
        ("bool", True, np.True_),
        ("uint8", 255, np.uint8(255)),
        ("uint8", 1.0, np.uint8(1)),
        ("int64", -(2**63), np.int64(-(2**63))),
        ("uint64", 2**64 - 1, np.uint64(2**64 - 1)),
        ("int64", 9007199254740993, np.int64(9007199254740993)),
        ("float32", 1, np.float32(1)),
        ("float32", 0.1, np.float32(0.1)),
        ("float32", -0.0, np.float32(-0.0)),
        ("float32", 16777217, np.float32(16777216)),
        ("float32", 1e39, np.float32(np.inf)),
        ("float16", 65519.0, np.float16(65504)),
        ("float64", "Infinity", np.float64(np.inf)),
        ("float64", "-Infinity", np.float64(-np.inf)),
        ("float32", "NaN", bits("7fc00000", "f4")),
        ("float32", "0x7fc00000", bits("7fc00000", "f4")),
        ("float32", "0x3F800000", np.float32(1)),
        ("float32", "0x7f800001", bits("7f800001", "f4")),
        ("float16", "0x7e01", bits("7e01", "f2")),
        ("float64", "0xfff8000000000001", bits("fff8000000000001", "f8")),
        ("complex64", [1, -0.0], np.complex64(complex(1, -0.0))),
        ("complex64", ["-Infinity", "0x3f800000"], np.complex64(complex(-np.inf, 1))),
        ("r16", [1, 255], np.void(b"\x01\xff")),
        ("r16", "Af8=", np.void(b"\x01\xff")),
        ("string", "é\0", "é\0"),
        ("bytes", "AP8=", b"\x00\xff"),
        ("bytes", [0, 255], b"\x00\xff"),
        ("bytes", [], b""),
        (config("null_terminated_bytes", length_bytes=3), "YWI=", np.bytes_(b"ab")),
        (config("null_terminated_bytes", length_bytes=3), [97, 98, 0], np.bytes_(b"ab")),
        (config("raw_bytes", length_bytes=2), "YWI=", np.void(b"ab")),
        (config("raw_bytes", length_bytes=2), [97, 98], np.void(b"ab")),
        (config("fixed_length_utf32", length_bytes=8), "ab", np.str_("ab")),
        (config("fixed_length_utf32", length_bytes=8), "a\0\0\0", np.str_("a")),
        ("M8[ns]", 5, np.datetime64(5, "ns")),
        ("M8[ns]", "NaT", np.datetime64("NaT", "ns")),
        ("m8[3s]", -(2**63), np.timedelta64("NaT", "3s")),
        ("m8[3s]", -5, np.timedelta64(-5, "3s")),
    ],
)
def test_every_legal_form_is_read(dtype, json, value):
    """Numbers, spelled floats, bits, pairs, lists of bytes, base64 and NaT are all understood."""
    kind = data_type_from_numpy(dtype)
    assert same(kind.fill_from_json(json), value)


_REFUSED = {
    "bool": [None, 0, 1, 1.0, "true", [], {}],
    "uint8": [None, True, False, "1", 1.5, -1, 256, 1e300, np.nan, [1], {"a": 1}, 10**400],
    "int8": [-129, 128, "0x01"],
    "int64": [2**63, -(2**63) - 1, 9.3e18, "NaN"],
    "uint64": [2**64, 1.8446744073709552e19],
    "float32": [
        *(None, True, [1.0], {}, "", "nan", "1.5", "+Infinity", " NaN", "inf", np.nan, np.inf),
        *("0x", "0x7fc0", "0x7fc000000", "0X7fc00000", "7fc00000", "0x7fc0000g", "0x-7fc0000"),
        10**400,
    ],
    "float16": ["0x7fc00000", "0x0x7e00"],
    "complex64": [None, 1, "NaN", [], [1], [1, 2, 3], ["NaN", None], [True, 1], {"real": 1}],
    "r16": [None, 0, "", [1], [1, 2, 3], [1, 256], [1, -1], [1, 2.0], [True, 1], "YWI", "a b="],
    "string": [None, 0, [], b"a", "\ud800"],
    "bytes": [None, 0, [256], [1.0], "YWI", "é", "YW I="],
    "S2": ["YWJj", [1, 2, 3], None, "ab"],
    "U2": ["abc", None, 1, "\udfff"],
    "M8[s]": [None, "nat", "2020-01-01", 1.5, True, 2**63, -(2**63) - 1, "5"],
    "m8[s]": [None, "NaN"],
}


@pytest.mark.parametrize(
    ("dtype", "json"), [(dtype, json) for dtype, bad in _REFUSED.items() for json in bad]
)
def test_other_kinds_and_ranges_are_refused(dtype, json):
    """A fill value of another kind, or out of range, is an error that says what was expected."""
    with pytest.raises(MetadataError) as caught:
        data_type_from_numpy(dtype).fill_from_json(json)
    assert caught.value.expected


def test_records_are_read_in_both_forms():
    """A record is an object with every field; zarr-python 3.1 wrote the bytes in base64."""
    kind = data_type_from_numpy(RECORD)
    json = {"a": 1, "b": "NaN", "n": {"t": "NaT", "u": "é"}}
    value = kind.fill_from_json(json)
    assert kind.fill_to_json(value) == json
    assert same(kind.fill_from_json(base64.b64encode(value.tobytes()).decode()), value)
    legacy = Struct(kind.fields, legacy=True)
    assert same(legacy.fill_from_json(legacy.fill_to_json(value)), value)


@pytest.mark.parametrize(
    ("json", "field"),
    [
        (None, None),
        (0, None),
        ([1, 2, 3], None),
        ({}, None),
        ({"a": 1, "b": 2}, None),
        ({"a": 1, "b": 2, "n": {"t": 1, "u": ""}, "x": 1}, None),
        ({"a": 1.5, "b": 2, "n": {"t": 1, "u": ""}}, "a"),
        ({"a": 1, "b": 2, "n": {"t": 1.5, "u": ""}}, "n.t"),
        ({"a": 1, "b": 2, "n": {"t": 1, "u": "abc"}}, "n.u"),
        ("AAAA", None),
        (base64.b64encode(b"\xff" * 28).decode(), "n.u"),  # code points beyond Unicode
        (base64.b64encode(b"\0" * 20 + b"\0\xd8\0\0" + b"\0" * 4).decode(), "n.u"),  # a surrogate
    ],
)
def test_incomplete_records_are_refused(json, field):
    """A record without a field, with another one or with one that does not fit is an error."""
    with pytest.raises(MetadataError) as caught:
        data_type_from_numpy(RECORD).fill_from_json(json)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("dtype", "given", "value"),
    [
        ("?", 0, np.False_),
        ("?", np.bool_(True), np.True_),
        ("u1", 255, np.uint8(255)),
        ("u1", 3.0, np.uint8(3)),
        ("u1", np.int64(3), np.uint8(3)),
        ("u1", np.float32(3), np.uint8(3)),
        ("u1", np.array(3), np.uint8(3)),
        ("u1", True, np.uint8(1)),
        ("f4", 1, np.float32(1)),
        ("f4", 0.1, np.float32(0.1)),
        ("f4", np.float64(0.1), np.float32(0.1)),
        ("f4", np.inf, np.float32(np.inf)),
        ("f4", "NaN", np.float32(np.nan)),
        ("f4", "-Infinity", np.float32(-np.inf)),
        ("f4", "0x7fc00001", bits("7fc00001", "f4")),
        ("f4", -0.0, np.float32(-0.0)),
        ("c8", 1, np.complex64(1)),
        ("c8", 1j, np.complex64(1j)),
        ("c8", (1, "NaN"), np.complex64(complex(1, np.nan))),
        ("c8", "Infinity", np.complex64(complex(np.inf, 0))),
        ("V2", b"ab", np.void(b"ab")),
        ("V2", [97, 98], np.void(b"ab")),
        ("S3", bytearray(b"ab"), np.bytes_(b"ab")),
        ("U3", "ab", np.str_("ab")),
        (str, np.str_("ab"), "ab"),
        (bytes, memoryview(b"ab"), b"ab"),
        ("M8[D]", "2020-01-01", np.datetime64("2020-01-01")),
        ("M8[D]", "2020-01-01T00:00", np.datetime64("2020-01-01")),
        ("M8[D]", "NaT", np.datetime64("NaT", "D")),
        ("M8[D]", NAT, np.datetime64("NaT", "D")),
        ("M8[D]", np.datetime64("2020-01-01", "ns"), np.datetime64("2020-01-01")),
        ("M8[D]", datetime.date(2020, 1, 1), np.datetime64("2020-01-01")),
        ("M8[s]", datetime.datetime(2020, 1, 1, 1), np.datetime64("2020-01-01T01", "s")),
        ("M8[D]", 5, np.datetime64(5, "D")),
        ("M8[7D]", np.datetime64(7, "D"), np.datetime64(1, "7D")),
        ("M8", "NaT", NAT),
        ("m8[s]", datetime.timedelta(minutes=1), np.timedelta64(60, "s")),
        ("m8[s]", np.timedelta64(2000, "ms"), np.timedelta64(2, "s")),
        ("m8[s]", -5, np.timedelta64(-5, "s")),
    ],
)
def test_what_users_may_give(dtype, given, value):
    """Whatever is the value in another guise is taken for it."""
    assert same(cast_fill(given, data_type_from_numpy(dtype)), value)


def test_records_of_users():
    """A record may be given as a tuple, as a mapping or as numpy's own."""
    kind = data_type_from_numpy(RECORD)
    value = np.array((1, 2, (3, "x")), RECORD)[()]
    for given_ in (value, (1, 2, (3, "x")), {"a": 1, "b": 2, "n": {"t": 3, "u": "x"}}):
        assert same(cast_fill(given_, kind), value)


_MISFITS = {
    "?": [2, "true", 1.0, []],
    "u1": [300, -1, 1.5, "5", np.nan, np.inf, [1], np.array([1]), 1j, object(), b"1"],
    "i8": [2**63, 1e19],
    "f4": [1e39, 10**400, "nan", 1j, [1], np.float64(1e39), np.datetime64(1, "s"), b"1"],
    "c8": [1e39j, (1e39, 0), (1,), (1, 2, 3), "1"],
    "V2": [b"a", b"abc", 0, "ab", np.void(b"abc")],
    "S2": [b"abc", "ab", 0],
    "U2": ["abc", "\ud800", b"a", 0],
    str: ["\ud800", 0, b"a"],
    bytes: ["a", 0, [1]],
    "M8[D]": [
        *("2020-01-01T12", "now", "today", "", "2020-01-01T00:00Z", "nat", 1.5, 2**63),
        datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        np.timedelta64(1, "D"),
    ],
    "M8[fs]": ["3000-01-01", np.datetime64("2020", "Y")],
    "M8": ["2020-01-01", np.datetime64(1, "s")],
    "m8[s]": [np.timedelta64(1500, "ms"), datetime.timedelta(microseconds=1), "5", "2020"],
    RECORD: [0, (1, 2), {"a": 1}, (1.5, 2, (3, "x")), (1, 2, (3, "xyz")), np.void(b"a" * 28)],
}


@pytest.mark.parametrize(
    ("dtype", "given"), [(dtype, given_) for dtype, bad in _MISFITS.items() for given_ in bad]
)
def test_what_does_not_fit_is_refused(dtype, given):
    """A fill value that would be changed by more than rounding is an error at `fill_value`."""
    with pytest.raises(MetadataError) as caught:
        cast_fill(given, data_type_from_numpy(dtype))
    assert caught.value.field.startswith("fill_value")
    assert isinstance(caught.value, ValueError)


PEER_FILLS = [
    *[
        (name, value)
        for name in CORE[1:9]
        for value in (0, 1, np.iinfo(name).max, np.iinfo(name).min)
    ],
    *[
        (name, value)
        for name in ("float16", "float32", "float64")
        for value in ("NaN", "Infinity", "-Infinity", -0.0, 0.1, 1)
    ],
    *[
        (name, value)
        for name in ("complex64", "complex128")
        for value in ((0.1, -0.0), ("NaN", "Infinity"), 1j)
    ],
    ("bool", True),
    ("bool", False),
]
PAYLOADS = [("float32", "0x7fc00001"), ("float64", "0xfff8000000000001")]


def _written(tmp_path, kind, value):
    document = array_document(data_type=kind.to_json(), fill_value=kind.fill_to_json(value))
    if kind.variable:
        vlen = "vlen-utf8" if kind.name == "string" else "vlen-bytes"
        document["codecs"] = [config(vlen)]
    (tmp_path / "zarr.json").write_text(json.dumps(document))


@pytest.mark.parametrize(("dtype", "given"), [*PEER_FILLS, *PAYLOADS])
def test_tensorstore_agrees(dtype, given, tmp_path):
    """tensorstore reads our fill values to the last bit, and we read how it writes them."""
    ts = pytest.importorskip("tensorstore")
    kind = data_type_from_numpy(dtype)
    value = cast_fill(given, kind)
    _written(tmp_path, kind, value)
    place = {"driver": "file", "path": str(tmp_path)}
    theirs = ts.open({"driver": "zarr3", "kvstore": place}, open=True).result()
    assert theirs.fill_value.tobytes() == value.tobytes()
    place["path"] += "/copy"
    metadata = json.loads((tmp_path / "zarr.json").read_text())
    spec = {"driver": "zarr3", "kvstore": place, "metadata": metadata}
    ts.open(spec, create=True).result()
    written = json.loads((tmp_path / "copy" / "zarr.json").read_text())
    assert same(kind.fill_from_json(written["fill_value"]), value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("dtype", "given"),
    [
        *PEER_FILLS,
        ("M8[ns]", "2020-01-01T00:00:00.5"),
        ("M8[ns]", "NaT"),
        ("m8[10s]", -5),
        ("U3", "é\U0001f600"),
        ("S3", b"\xff"),
        ("string", "é\U0001f600"),
        ("bytes", b"\xff\0"),
        (config("raw_bytes", length_bytes=2), b"\xff\0"),
        (config("structured", fields=[["a", "int32"], ["b", "float64"]]), (1, 2.5)),
        (
            config(
                "structured",
                fields=[
                    ["a", "int32"],
                    ["b", config("numpy.datetime64", unit="s", scale_factor=1)],
                ],
            ),
            (1, 5),
        ),
    ],
)
def test_zarr_python_agrees(dtype, given, tmp_path):
    """zarr-python reads our fill values as equal, and we read how it writes them."""
    zarr = pytest.importorskip("zarr")
    kind = data_type_from_numpy(dtype)
    value = cast_fill(given, kind)
    _written(tmp_path, kind, value)
    theirs = zarr.open_array(tmp_path, mode="r")
    np.testing.assert_equal(np.asarray(theirs.fill_value), np.asarray(value))
    written = strict(theirs.metadata.to_dict()["fill_value"])
    np.testing.assert_equal(np.asarray(kind.fill_from_json(written)), np.asarray(value))


def test_the_json_of_data_types_needs_no_numpy():
    """What is written is plain JSON: no numpy scalar slips through."""
    kind = data_type_from_numpy(RECORD)
    dump = partial(json.dumps, allow_nan=False)
    assert data_type_from_json(json.loads(dump(kind.to_json()))) == kind
    assert dump(kind.fill_to_json(kind.default_fill))
