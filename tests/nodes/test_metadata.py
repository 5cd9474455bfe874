import json
import pickle
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from node_samples import LITTLE, ZSTD, array_document, config

from storekit.errors import MetadataError
from storekit.nodes.chunk_keys import KeyEncoding
from storekit.nodes.documents import dump_document
from storekit.nodes.dtypes import data_type_from_numpy
from storekit.nodes.metadata import ArrayMetadata, GroupMetadata, parse_node

KEY = "a/zarr.json"
IGNORABLE = {"must_understand": False, "anything": [1]}
SHARDS = config(
    "sharding_indexed",
    chunk_shape=[2, 5],
    codecs=[LITTLE],
    index_codecs=[LITTLE, {"name": "crc32c"}],
)


def regular(*chunk_shape):
    """A chunk grid."""
    return config("regular", chunk_shape=list(chunk_shape))


def scalar_document(**changes):
    """A valid document of an array without axes."""
    changes = {"shape": [], "dimension_names": [], "chunk_grid": regular(), **changes}
    return array_document(**changes)


ACCEPTED = {
    "as it is": {},
    "the least": {"attributes": ..., "dimension_names": ..., "storage_transformers": ...},
    "no length": {"shape": [0, 0]},
    "chunks beyond the array": {"chunk_grid": regular(100, 100)},
    "huge": {"shape": [2**63 - 1, 2**63 - 1]},
    "huge chunks": {"chunk_grid": regular(2**30, 2**30)},
    "default without configuration": {"chunk_key_encoding": {"name": "default"}},
    "default, empty configuration": {"chunk_key_encoding": config("default")},
    "default with dots": {"chunk_key_encoding": config("default", separator=".")},
    "default by name": {"chunk_key_encoding": "default"},
    "v2": {"chunk_key_encoding": config("v2", separator=".")},
    "v2 by name": {"chunk_key_encoding": "v2"},
    "v2 with slashes": {"chunk_key_encoding": config("v2", separator="/")},
    "codec by name": {"codecs": ["bytes"], "data_type": "int8"},
    "data type as an object": {"data_type": {"name": "int32"}},
    "grid that must be understood": {"chunk_grid": {**regular(4, 5), "must_understand": True}},
    "several codecs": {"codecs": [config("transpose", order=[1, 0]), LITTLE, ZSTD]},
    "shards": {"codecs": [SHARDS]},
    "no names": {"dimension_names": [None, None]},
    "one name twice": {"dimension_names": ["x", "x"]},
    "empty name": {"dimension_names": ["", "é"]},
    "ignorable field": {"extension": IGNORABLE},
    "ignorable codec": {"codecs": [LITTLE, {"name": "q.q", "must_understand": False}]},
    "nested attributes": {"attributes": {"": {"a": [1, None, {"b": "é"}]}, "consolidated": 1}},
}

_GRID = "chunk_grid.configuration.chunk_shape"
_SEPARATOR = "chunk_key_encoding.configuration.separator"

# The change, and the field that the error must name.
REJECTED = [
    *[({name: ...}, name) for name in ("zarr_format", "node_type", "shape", "data_type")],
    *[({name: ...}, name) for name in ("chunk_grid", "chunk_key_encoding", "fill_value", "codecs")],
    *[({"zarr_format": bad}, "zarr_format") for bad in (2, 4, 3.0, "3", True, None, [3])],
    *[({"node_type": bad}, "node_type") for bad in ("Array", "", None, 1, ["array"])],
    *[({"shape": bad}, "shape") for bad in (None, 20, "20", {"0": 20})],
    *[({"shape": [20, bad]}, "shape[1]") for bad in (-1, 2.0, True, None, "3", 2**63, [3])],
    ({"shape": [20]}, _GRID),
    ({"shape": [1] * 33, "chunk_grid": regular(*[1] * 33)}, "shape"),
    *[({"data_type": bad}, "data_type") for bad in ("int128", None, 4, ["int32"])],
    ({"data_type": {"name": "int32", "must_understand": False}}, "data_type.must_understand"),
    *[({"chunk_grid": bad}, "chunk_grid") for bad in (None, 4, [4, 5])],
    *[({"chunk_grid": bad}, "chunk_grid") for bad in ("rectilinear", config("rectilinear"))],
    *[({"chunk_grid": bad}, _GRID) for bad in ("regular", config("regular"))],
    ({"chunk_grid": {}}, "chunk_grid.name"),
    ({"chunk_grid": {"name": "regular", "configuration": 4}}, "chunk_grid.configuration"),
    ({"chunk_grid": {**regular(4, 5), "x": 1}}, "chunk_grid.x"),
    ({"chunk_grid": {**regular(4, 5), "must_understand": False}}, "chunk_grid.must_understand"),
    ({"chunk_grid": config("regular", chunk_shape=[4, 5], x=1)}, "chunk_grid.configuration.x"),
    *[({"chunk_grid": config("regular", chunk_shape=bad)}, _GRID) for bad in (None, 4, "45", {})],
    *[({"chunk_grid": regular(4, bad)}, f"{_GRID}[1]") for bad in (0, -1, 5.0, True, "5", 2**63)],
    *[({"chunk_grid": regular(*bad)}, _GRID) for bad in ((), (4,), (4, 5, 6))],
    *[({"chunk_grid": regular(*bad)}, _GRID) for bad in ((2**31, 2**32), (2**62, 1))],
    *[
        ({"chunk_key_encoding": bad}, "chunk_key_encoding")
        for bad in (None, 4, "v3", {"name": "x"})
    ],
    ({"chunk_key_encoding": {}}, "chunk_key_encoding.name"),
    *[
        ({"chunk_key_encoding": config("default", separator=bad)}, _SEPARATOR)
        for bad in ("-", "", "//", None, 1, ["/"])
    ],
    ({"chunk_key_encoding": config("v2", x=1)}, "chunk_key_encoding.configuration.x"),
    (
        {"chunk_key_encoding": {"name": "v2", "must_understand": False}},
        "chunk_key_encoding.must_understand",
    ),
    *[({"fill_value": bad}, "fill_value") for bad in (None, 1.5, True, "0", 2**31, [0])],
    *[({"codecs": bad}, "codecs") for bad in ([], None, {}, "bytes", LITTLE)],
    *[({"codecs": [bad]}, "codecs[0]") for bad in (None, 4, [])],
    ({"codecs": [{}]}, "codecs[0].name"),
    ({"codecs": [LITTLE, {"name": "q.q"}]}, "codecs[1].name"),
    ({"codecs": [{"name": "q.q", "must_understand": False}]}, "codecs"),
    ({"codecs": [config("bytes", endian="middle")]}, "codecs[0].configuration.endian"),
    ({"codecs": [ZSTD]}, "codecs"),
    ({"codecs": [ZSTD, LITTLE]}, "codecs[1]"),
    ({"codecs": [LITTLE, LITTLE]}, "codecs[1]"),
    ({"codecs": [LITTLE, config("transpose", order=[1, 0])]}, "codecs[1]"),
    *[({"attributes": bad}, "attributes") for bad in (None, [], "x", 1)],
    *[({"dimension_names": bad}, "dimension_names") for bad in (None, "xy", ["x"], {}, ["x"] * 3)],
    ({"dimension_names": ["x", 1]}, "dimension_names[1]"),
    *[({"storage_transformers": bad}, "storage_transformers") for bad in (["x"], None, {}, 0)],
    *[({"x": bad}, "x") for bad in (1, None, {}, {"must_understand": True}, [IGNORABLE])],
    ({"x": {"must_understand": 0}}, "x"),
    ({"consolidated_metadata": None}, "consolidated_metadata"),
]


@pytest.mark.parametrize("changes", ACCEPTED.values(), ids=ACCEPTED)
def test_valid_documents_are_read(changes):
    """Whatever the specification allows is read, and means the same after it is written again."""
    document = array_document(**changes)
    metadata = parse_node(json.dumps(document).encode(), KEY)
    assert isinstance(metadata, ArrayMetadata)
    again = parse_node(metadata.to_bytes(), KEY)
    assert again == metadata
    assert again.to_bytes() == metadata.to_bytes()
    assert metadata.shape == tuple(document["shape"])
    assert metadata.attributes == document.get("attributes", {})


@pytest.mark.parametrize(("changes", "field"), REJECTED, ids=str)
def test_malformed_documents_are_refused(changes, field):
    """A malformed document is an error with the document, the field, what is expected and found."""
    document = array_document(**changes)
    with pytest.raises(MetadataError) as caught:
        parse_node(json.dumps(document).encode(), KEY)
    error = caught.value
    assert (error.document, error.field) == (KEY, field)
    assert error.expected or error.reason
    assert str(error).startswith(f"{KEY}: {field}: ")
    with pytest.raises(MetadataError):
        parse_node(document, KEY)


@pytest.mark.parametrize(
    ("codecs", "dtype"),
    [
        ([{"name": "bytes"}], "int32"),
        ([config("transpose", order=[1, 0, 2]), LITTLE], "int32"),
        ([config("transpose", order=[0]), LITTLE], "int32"),
        ([LITTLE], "string"),
        ([{"name": "vlen-utf8"}], "int32"),
        (
            [config("sharding_indexed", **{**SHARDS["configuration"], "chunk_shape": [3, 5]})],
            "int32",
        ),
    ],
)
def test_codecs_that_cannot_take_the_chunks_are_refused(codecs, dtype):
    """Opening fails if the codecs cannot work on chunks of this shape and data type."""
    fill = "" if dtype == "string" else 0
    with pytest.raises(MetadataError) as caught:
        parse_node(array_document(codecs=codecs, data_type=dtype, fill_value=fill), KEY)
    assert caught.value.document == KEY
    assert caught.value.field.startswith("codecs[0]")


def test_arrays_without_axes():
    """An array without axes has one chunk, which is one element."""
    metadata = ArrayMetadata.from_json(scalar_document(), KEY)
    assert metadata.shape == metadata.chunk_shape == metadata.dimension_names == ()
    assert metadata.spec.nbytes == 4
    assert parse_node(metadata.to_bytes(), KEY) == metadata


@pytest.mark.parametrize(
    "codecs", [[LITTLE], [LITTLE, ZSTD], [config("transpose", order=[1, 0]), LITTLE]]
)
def test_nothing_is_allocated_for_the_shape(codecs):
    """However large the array and its chunks claim to be, opening takes little memory."""
    document = array_document(shape=[2**62, 2**62], chunk_grid=regular(2**30, 2**30), codecs=codecs)
    parse_node(document, KEY)
    tracemalloc.start()
    parse_node(document, KEY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_large_elements_cost_nothing():
    """An element of 2 GiB is legal, and its padded fill value is not made."""
    document = scalar_document(
        data_type=config("null_terminated_bytes", length_bytes=2**31 - 1), fill_value="YWI="
    )
    tracemalloc.start()
    assert parse_node(document, KEY).fill_value == b"ab"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"array"',
        b"\xff\xfe{\x00}\x00",
        b'{"zarr_format": 3, "node_type": "\xe9"}',
        json.dumps(array_document()).encode("utf-16"),
        json.dumps(array_document()).encode() + b"x",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"zarr_format": 3, "node_type": "group", "attributes": {"a": ' + b"9" * 5000 + b"}}",
    ],
)
def test_what_is_not_json_is_refused(data):
    """Bytes that are not one JSON object in UTF-8 are an error that names the document."""
    with pytest.raises(MetadataError) as caught:
        parse_node(data, KEY)
    assert caught.value.document == KEY


def test_a_byte_order_mark_is_ignored():
    """RFC 8259 lets a parser ignore a byte order mark."""
    data = b"\xef\xbb\xbf" + json.dumps(array_document()).encode()
    assert parse_node(memoryview(data), KEY) == parse_node(array_document(), KEY)


@pytest.mark.parametrize("path", [(), ("attributes",), ("chunk_grid", "configuration")])
def test_a_key_twice_is_refused(path):
    """An object with one key twice has no one meaning, so it is an error."""
    text = json.dumps(array_document())
    inner = array_document()
    for name in path:
        inner = inner[name]
    name, value = next(iter(inner.items()))
    pair = f"{json.dumps(name)}: {json.dumps(value)}"
    with pytest.raises(MetadataError, match="twice") as caught:
        parse_node(text.replace(pair, f"{pair}, {pair}").encode(), KEY)
    assert (caught.value.document, caught.value.field) == (KEY, name)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_bare_nan_is_read_in_attributes_only(word):
    """zarr-python writes bare NaN into attributes: read and kept there, refused elsewhere."""
    document = array_document(data_type="float32", fill_value=0, attributes={"a": [float(word)]})
    metadata = parse_node(json.dumps(document).encode(), KEY)
    np.testing.assert_equal(metadata.attributes["a"], [float(word)])
    assert f'"a": [{word}]'.encode() in metadata.to_bytes()
    assert parse_node(metadata.to_bytes(), KEY) == metadata
    document = array_document(data_type="float32", fill_value=float(word))
    for form in (json.dumps(document).encode(), document):
        with pytest.raises(MetadataError) as caught:
            parse_node(form, KEY)
        assert caught.value.field == "fill_value"


def test_unknown_ignorable_parts_survive():
    """Fields and codecs that need not be understood are written again, where they were."""
    codec = {"name": "q.q", "configuration": {"x": [1]}, "must_understand": False}
    document = array_document(codecs=[codec, LITTLE, codec, ZSTD], extension=IGNORABLE)
    metadata = parse_node(document, KEY)
    assert [codec.name for codec in metadata.codecs] == ["bytes", "zstd"]
    written = json.loads(replace(metadata, shape=(1, 1)).to_bytes())
    assert written["codecs"] == document["codecs"]
    assert written["extension"] == IGNORABLE


def test_documents_are_written_for_the_strictest_reader():
    """Objects for codecs and key encodings, plain names for core types, every mandatory field."""
    document = array_document(
        chunk_key_encoding="default",
        data_type={"name": "int8"},
        codecs=["bytes"],
        attributes=...,
        dimension_names=...,
    )
    assert json.loads(parse_node(document, KEY).to_bytes()) == {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [20, 30],
        "data_type": "int8",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 5]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes"}],
        "attributes": {},
    }


def test_new_metadata():
    """Metadata can be made without a document, of what users have: numpy's ints and scalars."""
    document = array_document(dimension_names=..., attributes={"n": 3, "list": [1.5, 2.5]})
    expected = parse_node(document, KEY)
    kind = data_type_from_numpy("i4")
    made = ArrayMetadata(
        shape=[np.int64(20), 30],
        data_type=kind,
        chunk_shape=(4, np.uint8(5)),
        fill_value=kind.default_fill,
        codecs=expected.codecs,
        attributes={"n": np.int8(3), "list": np.array([1.5, 2.5])},
    )
    assert made == expected
    assert hash(made) == hash(expected)
    assert made.attributes == {"n": 3, "list": [1.5, 2.5]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"shape": (20.0, 30)}, "shape[0]"),
        ({"shape": 20}, "shape"),
        ({"chunk_shape": (4,)}, _GRID),
        ({"chunk_shape": (0, 5)}, f"{_GRID}[0]"),
        ({"dimension_names": "xy"}, "dimension_names"),
        ({"attributes": {"a": object()}}, "attributes.a"),
        ({"attributes": {"a": [{"b": b""}]}}, "attributes.a[0].b"),
        ({"attributes": {"a": {1: 2}}}, "attributes.a"),
        ({"attributes": {1: 2}}, "attributes"),
        ({"attributes": [1]}, "attributes"),
    ],
)
def test_metadata_that_does_not_go_together_is_refused(change, field):
    """Metadata is checked wherever it comes from."""
    with pytest.raises(MetadataError) as caught:
        replace(parse_node(array_document(), KEY), **change)
    assert caught.value.field == field


@pytest.mark.parametrize("place", ["attributes", "extension", "codec", "shards"])
@pytest.mark.parametrize("depth", [100, 300, 900, 100_000])
def test_deep_documents_are_read_and_written_or_refused(place, depth):
    """A document nested without end is an error where it is too deep, and never a crash."""
    if place == "shards":
        opening = '{"name": "sharding_indexed", "configuration": {"chunk_shape":'
        opening += ' [4, 5], "index_codecs": [{"name": "bytes"}], "codecs": ['
        deep = opening * depth + '{"name": "bytes"}' + "]}}" * depth
    else:
        deep = '{"must_understand": false, "name": "q.q", "configuration": '
        deep += '{"a":' * depth + "1" + "}" * depth + "}"
    marked = {
        "attributes": {"attributes": {"deep": "DEEP"}},
        "extension": {"extension": "DEEP"},
        "codec": {"codecs": ["DEEP", LITTLE]},
        "shards": {"codecs": ["DEEP"], "data_type": "int8"},
    }[place]
    text = json.dumps(array_document(**marked)).replace('"DEEP"', deep)
    try:
        metadata = parse_node(text.encode(), KEY)
    except MetadataError as error:
        assert error.document == KEY  # noqa: PT017
    else:
        # How deep Python can read differs between its versions.
        assert depth < 900 or sys.version_info >= (3, 12)
        data = metadata.to_bytes()
        assert parse_node(data, KEY).to_bytes() == data


def test_json_without_end_is_not_written():
    """What is nested too deeply to be read again is not written."""
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(MetadataError, match="deeply"):
        dump_document({"a": deep})
    while deep:  # taken apart from outside: freeing it may recurse, too
        deep = deep[0]


def test_attributes_that_hold_themselves_are_refused():
    """Attributes without end are an error, not a crash."""
    loop: dict = {}
    loop["a"] = loop
    with pytest.raises(MetadataError):
        GroupMetadata(attributes=loop)


def test_attributes_are_a_copy():
    """What the caller does to the attributes afterwards is not seen."""
    attributes = {"a": [1]}
    metadata = GroupMetadata(attributes)
    attributes["a"].append(2)
    assert metadata.attributes == {"a": [1]}


def test_nodes_share_nothing_that_can_be_changed():
    """What is done to the attributes or the JSON of one node is not seen in another."""
    codec = {"name": "q.q", "configuration": {"x": []}, "must_understand": False}
    document = array_document(
        attributes={"a": []}, extension={**IGNORABLE, "y": []}, codecs=[LITTLE, codec]
    )
    data = json.dumps(document).encode()
    expected = parse_node(data, KEY).to_json()
    changed = parse_node(data, KEY)
    changed.attributes["a"].append(1)
    changed.extra["extension"]["y"].append(1)
    assert parse_node(data, KEY).to_json() == expected
    metadata = parse_node(data, KEY)
    copy = metadata.to_json()
    copy["attributes"]["a"].append(1)
    copy["extension"]["y"].append(1)
    copy["codecs"][1]["configuration"]["x"].append(1)
    copy["codecs"][0]["configuration"]["endian"] = "big"
    assert metadata.to_json() == expected == parse_node(data, KEY).to_json()


@pytest.mark.parametrize("fill", ["NaN", "0x7fc00001", -0.0, 0.0])
def test_equality_is_that_of_the_documents(fill):
    """NaN fill values are equal by their bits, and -0.0 is not 0.0, in any order of keys."""
    document = array_document(data_type="float32", fill_value=fill)
    metadata = parse_node(document, KEY)
    backwards = dict(reversed(document.items()))
    assert metadata == parse_node(backwards, KEY)
    for other in {"NaN", "0x7fc00001", -0.0} if fill == 0 and str(fill) == "0.0" else {1}:
        assert metadata != parse_node({**document, "fill_value": other}, KEY)
    assert metadata != document


def test_pickle():
    """Metadata pickles, also after its codecs are bound, and without what they became."""
    metadata = parse_node(array_document(codecs=[LITTLE, ZSTD]), KEY)
    assert metadata.coder.spec == metadata.spec
    copy = pickle.loads(pickle.dumps(metadata))
    assert copy == metadata
    assert "coder" not in vars(copy)
    assert copy.coder.spec == metadata.spec


def test_a_changed_copy_has_codecs_of_its_own():
    """Bound codecs follow the metadata that they belong to."""
    metadata = parse_node(array_document(), KEY)
    assert replace(metadata, chunk_shape=(2, 2)).coder.spec.shape == (2, 2)


def test_the_two_kinds_are_told_apart():
    """Each class reads documents of its own kind only; `parse_node` reads both."""
    group = {"zarr_format": 3, "node_type": "group"}
    assert isinstance(parse_node(group, KEY), GroupMetadata)
    for reader, document in ((ArrayMetadata, group), (GroupMetadata, array_document())):
        with pytest.raises(MetadataError) as caught:
            reader.from_json(document, KEY)
        assert (caught.value.document, caught.value.field) == (KEY, "node_type")


@pytest.mark.parametrize(
    ("encoding", "indices", "name"),
    [
        (KeyEncoding(), (1, 23), "c/1/23"),
        (KeyEncoding(), (), "c"),
        (KeyEncoding("default", "."), (1, 23), "c.1.23"),
        (KeyEncoding("default", "."), (), "c"),
        (KeyEncoding("v2"), (1, 23), "1.23"),
        (KeyEncoding("v2"), (7,), "7"),
        (KeyEncoding("v2"), (), "0"),
        (KeyEncoding("v2", "/"), (1, 23), "1/23"),
    ],
)
def test_keys_of_chunks(encoding, indices, name):
    """A place in the grid and its key lead to each other; labels, joined, make the key."""
    assert encoding.name(indices) == name
    assert encoding.indices(name, len(indices)) == indices
    labels = [str(index) for index in indices]
    assert name == (
        encoding.prefix + encoding.separator.join(labels) if labels else encoding.scalar
    )
    assert encoding.namer("a/")(tuple(labels)) == f"a/{name}"
    assert KeyEncoding.from_json(encoding.to_json()) == encoding


@pytest.mark.parametrize(
    "name",
    ["", "c", "c/", "c/1", "c/1/2/3", "c/1/02", "c/1/-2", "c/1/x", "c/1/\u0662", "1/2", "c.1.2"],
)
def test_other_keys_are_no_chunks(name):
    """A key that is not exactly how a chunk's key is spelled belongs to no chunk."""
    assert KeyEncoding().indices(name, 2) is None


@pytest.mark.parametrize(("kind", "separator"), [("v3", "/"), ("default", "-")])
def test_other_key_encodings_are_refused(kind, separator):
    """There are two encodings and two separators."""
    with pytest.raises(MetadataError):
        KeyEncoding(kind, separator)
