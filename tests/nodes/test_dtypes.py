import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from node_samples import CORE, array_document, config, data_types, fixed_types, strict

from storekit.errors import MetadataError
from storekit.nodes.dtypes import (
    DataType,
    FixedText,
    RawBits,
    String,
    Struct,
    VariableBytes,
    data_type_from_json,
    data_type_from_numpy,
)

FIELDS = [{"name": "a", "data_type": "int32"}, {"name": "b", "data_type": "float64"}]


@given(data_types)
def test_json_round_trip(kind: DataType):
    """A data type comes back from its JSON equal, and spelled as it was."""
    found = data_type_from_json(strict(kind.to_json()))
    assert found == kind
    assert found.to_json() == kind.to_json()
    assert hash(found) == hash(kind)


@given(fixed_types)
def test_numpy_round_trip(kind: DataType):
    """The numpy dtype of a fixed-size data type leads back to the same dtype."""
    assert data_type_from_numpy(kind.numpy).numpy == kind.numpy


@given(fixed_types)
def test_byte_order_is_no_part_of_the_data_type(kind: DataType):
    """A dtype of either byte order gives one data type, native in memory."""
    found = data_type_from_numpy(kind.numpy.newbyteorder("S"))
    assert found == data_type_from_numpy(kind.numpy)
    assert found.numpy == kind.numpy


@given(data_types)
def test_pickle(kind: DataType):
    """Data types pickle, also after use."""
    _ = kind.numpy, kind.name
    assert pickle.loads(pickle.dumps(kind)) == kind


@pytest.mark.parametrize("name", CORE)
def test_core_types_are_written_as_plain_names(name: str):
    """Other readers know the core data types only by their plain names."""
    kind = data_type_from_numpy(name)
    assert kind.to_json() == kind.name == str(kind) == name
    assert kind.numpy == np.dtype(name)


@pytest.mark.parametrize(
    ("json", "numpy"),
    [
        ("int32", "i4"),
        ({"name": "int32"}, "i4"),
        ({"name": "int32", "configuration": {}}, "i4"),
        ({"name": "int32", "must_understand": True}, "i4"),
        ("r16", "V2"),
        ({"name": "r8"}, "V1"),
        ("string", np.dtypes.StringDType()),
        ({"name": "string", "configuration": {}}, np.dtypes.StringDType()),
        ("bytes", object),
        ({"name": "bytes"}, object),
        ("variable_length_bytes", object),
        ({"name": "variable_length_bytes"}, object),
        (config("numpy.datetime64", unit="ns", scale_factor=1), "M8[ns]"),
        (config("numpy.datetime64", unit="\u03bcs", scale_factor=5), "M8[5us]"),
        (config("numpy.datetime64", unit="\u00b5s", scale_factor=5), "M8[5us]"),
        (config("numpy.timedelta64", unit="generic", scale_factor=1), "m8"),
        (config("fixed_length_utf32", length_bytes=8), "U2"),
        (config("fixed_length_utf32", length_bytes=2**31 - 4), f"U{2**29 - 1}"),
        (config("null_terminated_bytes", length_bytes=3), "S3"),
        (config("raw_bytes", length_bytes=3), "V3"),
        (config("struct", fields=FIELDS), "i4,f8"),
        (config("structured", fields=[["a", "int32"], ["b", {"name": "float64"}]]), "i4,f8"),
        (config("struct", fields=[["a", "int32"], FIELDS[1]]), "i4,f8"),
    ],
)
def test_every_legal_form_is_read(json, numpy):
    """Short-hand names, objects, empty configurations and older names are all read."""
    expected = np.dtype(numpy)
    if expected.names:
        expected.names = ("a", "b")
    assert data_type_from_json(json).numpy == expected


@pytest.mark.parametrize(
    ("json", "field"),
    [
        (None, None),
        (4, None),
        (["int32"], None),
        ({}, "name"),
        ({"name": 4}, "name"),
        ("int128", None),
        ("Int32", None),
        ("<i4", None),
        ("", None),
        ("bfloat16", None),
        ({"name": "int32", "configuration": {"x": 1}}, "configuration.x"),
        ({"name": "int32", "configuration": None}, "configuration"),
        ({"name": "int32", "must_understand": False}, "must_understand"),
        ({"name": "int32", "must_understand": 1}, "must_understand"),
        ({"name": "int32", "x": 1}, "x"),
        ("r", None),
        ("r0", None),
        ("r7", None),
        ("r016", None),
        ("r-8", None),
        ("r17179869184", None),
        ("r" + "8" * 5000, None),
        ("numpy.datetime64", "configuration.unit"),
        (config("numpy.datetime64", unit="ns"), "configuration.scale_factor"),
        (config("numpy.datetime64", scale_factor=1), "configuration.unit"),
        (config("numpy.datetime64", unit="eon", scale_factor=1), "configuration.unit"),
        (config("numpy.datetime64", unit=["s"], scale_factor=1), "configuration.unit"),
        (config("numpy.datetime64", unit="s", scale_factor=0), "configuration.scale_factor"),
        (config("numpy.datetime64", unit="s", scale_factor=2**31), "configuration.scale_factor"),
        (config("numpy.datetime64", unit="s", scale_factor=True), "configuration.scale_factor"),
        (config("numpy.datetime64", unit="s", scale_factor=1.0), "configuration.scale_factor"),
        (config("numpy.datetime64", unit="s", scale_factor=1, x=1), "configuration.x"),
        ("fixed_length_utf32", "configuration.length_bytes"),
        (config("fixed_length_utf32", length_bytes=6), "configuration.length_bytes"),
        (config("fixed_length_utf32", length_bytes=0), "configuration.length_bytes"),
        (config("fixed_length_utf32", length_bytes=2**31), "configuration.length_bytes"),
        (config("null_terminated_bytes", length_bytes=-1), "configuration.length_bytes"),
        (config("null_terminated_bytes", length_bytes="3"), "configuration.length_bytes"),
        (config("raw_bytes", length_bytes=None), "configuration.length_bytes"),
        ("struct", "configuration.fields"),
        (config("struct", fields=[]), "configuration.fields"),
        (config("struct", fields={"a": "int32"}), "configuration.fields"),
        (config("struct", fields=["int32"]), "configuration.fields[0]"),
        (config("struct", fields=[FIELDS[0], FIELDS[0]]), "configuration.fields"),
        (config("struct", fields=[["", "int32"]]), "configuration.fields"),
        (config("struct", fields=[[1, "int32"]]), "configuration.fields[0].name"),
        (config("struct", fields=[["a", "x"]]), "configuration.fields[0].data_type"),
        (config("struct", fields=[["a", "string"]]), "configuration.fields"),
        (config("struct", fields=[{"name": "a"}]), "configuration.fields[0].data_type"),
        (config("struct", fields=[{**FIELDS[0], "x": 1}]), "configuration.fields[0].x"),
        (
            config("struct", fields=[["a", config("struct", fields=[["b", "r7"]])]]),
            "configuration.fields[0].data_type.configuration.fields[0].data_type",
        ),
    ],
)
def test_malformed_json_is_refused(json, field):
    """A malformed data type is an error that names its place and what was expected."""
    with pytest.raises(MetadataError) as caught:
        data_type_from_json(json)
    assert caught.value.field == ("data_type" if field is None else f"data_type.{field}")
    assert caught.value.expected or caught.value.reason


@pytest.mark.parametrize("depth", [33, 300, 100_000])
def test_records_are_not_nested_without_end(depth: int):
    """A record within a record within ... is an error, not a crash."""
    json = "int32"
    for _ in range(depth):
        json = config("struct", fields=[["a", json]])
    with pytest.raises(MetadataError):
        data_type_from_json(json)
    while isinstance(json, dict):  # taken apart from outside: freeing it may recurse, too
        json = json["configuration"]["fields"][0][1]


def test_records_are_not_huge():
    """A record so long that its fill value would take much memory is refused."""
    long = config("null_terminated_bytes", length_bytes=2**31 - 1)
    with pytest.raises(MetadataError, match="records of at most"):
        data_type_from_json(config("struct", fields=[["a", long]]))


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (str, String()),
        ("str", String()),
        ("U", String()),
        (np.str_, String()),
        ("string", String()),
        (np.dtypes.StringDType(), String()),
        (np.dtypes.StringDType(na_object=None), String()),
        (bytes, VariableBytes()),
        ("bytes", VariableBytes()),
        ("variable_length_bytes", VariableBytes()),
        (np.bytes_, VariableBytes()),
        ("V4", RawBits(4)),
        ("r32", RawBits(4)),
        ("U7", FixedText(7)),
        (FixedText(7), FixedText(7)),
        (config("fixed_length_utf32", length_bytes=28), FixedText(7)),
        (float, data_type_from_json("float64")),
        ("<M8[us]", data_type_from_numpy("datetime64[us]")),
    ],
)
def test_what_users_may_give(dtype, kind):
    """Whatever numpy takes, what metadata says, and data types themselves are understood."""
    assert data_type_from_numpy(dtype) == kind


def test_padding_is_dropped():
    """Records are packed, whatever the layout that the user's dtype has."""
    aligned = np.dtype([("a", "u1"), ("b", "f8"), ("c", [("x", "u1"), ("y", ">i2")])], align=True)
    packed = data_type_from_numpy(aligned).numpy
    assert packed.itemsize == 1 + 8 + 1 + 2
    assert packed == np.dtype([("a", "u1"), ("b", "f8"), ("c", [("x", "u1"), ("y", "i2")])])


@pytest.mark.parametrize(
    "dtype",
    [
        None,
        object,
        "longdouble",
        "V",
        "V0",
        "3f4",
        np.dtype([]),
        [("a", "f4", (2,))],
        [("a", object)],
        [("a", "U")],
        "nonsense",
        "r7",
        5,
        {"name": "nonsense"},
    ],
)
def test_what_users_may_not_give(dtype):
    """A dtype that Zarr has no word for is an error."""
    with pytest.raises(MetadataError) as caught:
        data_type_from_numpy(dtype)
    assert caught.value.field.startswith("data_type")


def test_legacy_records_stay_legacy():
    """What zarr-python 3.1 wrote is written again as it can read it, and equals the new form."""
    legacy = config("structured", fields=[["a", "int32"], ["b", "float64"]])
    kind = data_type_from_json(legacy)
    assert kind.to_json() == legacy
    assert kind == data_type_from_json(config("struct", fields=FIELDS))
    assert Struct(kind.fields).to_json() == config("struct", fields=FIELDS)


UTF32 = config("fixed_length_utf32", length_bytes=8)
PEER_TYPES = [
    *CORE,
    "M8[ns]",
    "M8[7D]",
    "m8[us]",
    "U3",
    "S3",
    "string",
    config("raw_bytes", length_bytes=3),
    config("structured", fields=[["a", "int32"], ["b", UTF32]]),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", PEER_TYPES, ids=str)
def test_zarr_python_reads_and_writes_the_same(dtype, tmp_path):
    """zarr-python takes our spelling for the same dtype, and we take its own for that."""
    zarr = pytest.importorskip("zarr")
    ours = data_type_from_numpy(dtype)
    codec = "vlen-utf8" if ours.variable else "bytes"
    codecs = [{"name": codec, "configuration": {} if ours.variable else {"endian": "little"}}]
    document = array_document(
        data_type=ours.to_json(), fill_value=ours.fill_to_json(ours.default_fill), codecs=codecs
    )
    (tmp_path / "zarr.json").write_text(json.dumps(document))
    theirs = zarr.open_array(tmp_path, mode="r")
    assert theirs.dtype == ours.numpy
    spelled = theirs.metadata.to_dict()["data_type"]
    assert data_type_from_json(strict(spelled)) == ours


@pytest.mark.parametrize("dtype", CORE)
def test_tensorstore_reads_the_core_types(dtype, tmp_path):
    """tensorstore takes the names of the core data types for the same elements."""
    ts = pytest.importorskip("tensorstore")
    ours = data_type_from_numpy(dtype)
    document = array_document(
        data_type=ours.to_json(), fill_value=ours.fill_to_json(ours.default_fill)
    )
    (tmp_path / "zarr.json").write_text(json.dumps(document))
    store = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(tmp_path)}}
    theirs = ts.open(store, open=True).result()
    assert theirs.dtype.numpy_dtype == ours.numpy
