"""What is remembered of documents: exactly what they say, and nothing that anybody can change."""

import json
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_samples import LITTLE, array_document, config, data_types, same, scalars

from storekit import MemoryStore, ZarrArray, ZarrGroup, open_zarr
from storekit.codecs import registry
from storekit.codecs.bytes import BytesCodec
from storekit.errors import MetadataError
from storekit.nodes.documents import dump_document
from storekit.nodes.metadata import parse_node

KEY = "zarr.json"


class Other(dict):
    """A mapping that is no plain dict; a document with it is always read anew."""


def anew(data):
    """What a document says when nothing is remembered."""
    document = json.loads(bytes(data))
    document["chunk_grid"] = Other(document["chunk_grid"])
    return parse_node(document, KEY)


_attributes = st.dictionaries(
    st.text(max_size=3),
    st.text(max_size=3) | st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
)


@st.composite
def _options(draw):
    kind = draw(data_types)
    ndim = draw(st.integers(0, 3))
    axes = st.lists(st.integers(1, 9), min_size=ndim, max_size=ndim)
    chunks = draw(axes)
    options = {
        "shape": draw(axes),
        "dtype": kind,
        "chunks": chunks,
        "shards": [2 * n for n in chunks] if draw(st.booleans()) else None,
        "fill_value": draw(st.none() | scalars(kind)),
        "codecs": draw(st.sampled_from(["none", "zstd", "b2nd"])),
        "key_encoding": draw(st.sampled_from(["/", ".", "v2"])),
        "attributes": draw(st.none() | _attributes),
        "dimension_names": draw(st.none() | st.just([None, "x", ""][:ndim] + [None] * (ndim - 3))),
    }
    if kind.variable or kind.numpy.itemsize > 1 << 20:
        options.update(codecs="zstd", shards=None)
    return options


@settings(max_examples=200, deadline=None)
@given(_options())
def test_what_is_created_is_what_is_read(options):
    """A new array goes by what every reader of its document finds, to the bit of the fill value."""
    store = MemoryStore()
    try:
        made = ZarrArray.create(store, **options)._metadata
    except MetadataError:
        assert options["codecs"] == "b2nd"  # it does not take every data type
        return
    read = anew(store.get(KEY))
    assert made == read == parse_node(store.get(KEY), KEY)
    assert same(made.fill_value, read.fill_value)
    assert made.shape == tuple(options["shape"])
    assert made.to_bytes() == read.to_bytes() == store.get(KEY) == dump_document(made.to_json())
    assert made.attributes == (options["attributes"] or {})


@pytest.mark.parametrize("order", list(permutations([0, 0.0, -0.0, 1, 1.0, True, False], 3)))
def test_what_python_calls_equal_is_not_one_value(order):
    """0.0 and -0.0, 1, 1.0 and True have the meaning of their own, whichever came before."""
    for value in order:
        floats = array_document(data_type="float32", fill_value=value)
        truth = array_document(data_type="bool", codecs=["bytes"], fill_value=value)
        if isinstance(value, bool):
            assert parse_node(truth, KEY).fill_value == value
            with pytest.raises(MetadataError):
                parse_node(floats, KEY)
        else:
            assert same(parse_node(floats, KEY).fill_value, np.float32(value))
            with pytest.raises(MetadataError):
                parse_node(truth, KEY)
        made = ZarrArray.create(MemoryStore(), shape=1, dtype="f4", fill_value=value)
        assert same(made.fill_value, np.float32(value))


@pytest.mark.parametrize("value", [np.float64(1), np.int64(4607182418800017408), 1.0, b"\0" * 8])
@pytest.mark.parametrize("first", [1.0, 4607182418800017408])
def test_what_is_no_json_is_never_taken_for_it(first, value):
    """Scalars of numpy are no JSON, though they be equal to it, or of the same bytes."""
    for fill in (first, value, first):
        document = array_document(data_type="float64", fill_value=fill)
        if type(fill) in (int, float):
            assert parse_node(document, KEY).fill_value == fill
        else:
            with pytest.raises(MetadataError) as caught:
                parse_node(document, KEY)
            assert caught.value.found is fill
    arrays = [np.array([1.0]), np.array([1.0]).view("i8")]
    for array in (*arrays, *arrays):
        codec = {"name": "q.q", "must_understand": False, "configuration": {"x": array}}
        written = parse_node(array_document(codecs=[LITTLE, codec]), KEY).to_json()
        assert repr(written["codecs"][1]["configuration"]["x"]) == repr(array.tolist())


@pytest.mark.parametrize("order", [("struct", "structured"), ("structured", "struct")])
def test_one_data_type_in_two_spellings(order):
    """Records are written as they were asked for, also right after equal ones that are not."""
    fields = {
        "struct": [{"name": "q", "data_type": "int32"}],
        "structured": [["q", "int32"]],
    }
    for name in (*order, *order):
        dtype = config(name, fields=fields[name])
        array = ZarrArray.create(MemoryStore(), shape=1, dtype=dtype, codecs="none")
        assert array.metadata["data_type"] == dtype


def test_a_codec_registered_later_is_used(monkeypatch):
    """A codec takes the place of one of the same name for all that is opened or created later."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    store = MemoryStore()

    def codec():
        return type(
            ZarrArray.create(store, shape=1, dtype="i1", codecs="none", overwrite=True).codecs[0]
        )

    assert codec() is BytesCodec

    class Mine(BytesCodec):
        """Another codec of that name."""

    registry.register_codec(Mine)
    assert type(open_zarr(store).codecs[0]) is Mine
    assert codec() is Mine
    registry.register_codec(BytesCodec)
    assert type(open_zarr(store).codecs[0]) is codec() is BytesCodec


def test_a_record_is_not_shared():
    """Whoever changes the fill value that an array gives changes it for nobody."""
    store = MemoryStore()
    array = ZarrArray.create(store, shape=1, dtype=[("a", "i4")], codecs="none", fill_value=(5,))
    array.fill_value["a"] = 6
    assert array.fill_value["a"] == open_zarr(store).fill_value["a"] == array[0]["a"] == 5


@pytest.mark.parametrize("text", ["", ":", "a: b", '":', r"\u003a", r"\u003A:", "x: y: z"])
@pytest.mark.parametrize("twice", ["zarr_format", "shape", "a", "deep"])
def test_a_key_twice_is_found_among_colons(text, twice):
    """Colons in texts and keys hide no second key, nor are they taken for one."""
    written = json.dumps(text).replace(r"\\u", r"\u")
    attributes = f'{{"a": [{{"deep": 1}}, {written}], "k{written[1:-1]}": {written}}}'
    document = json.dumps(array_document(attributes="ATTRIBUTES"))
    document = document.replace('"ATTRIBUTES"', attributes)
    found = parse_node(document.encode(), KEY).attributes
    assert found == json.loads(attributes)
    assert (
        parse_node(document.encode(), KEY).to_json()
        == parse_node(json.loads(document), KEY).to_json()
    )
    doubled = document.replace(f'"{twice}":', f'"{twice}": 1, "{twice}":')
    assert doubled != document
    with pytest.raises(MetadataError, match="twice") as caught:
        parse_node(doubled.encode(), KEY)
    assert caught.value.field == twice


@pytest.mark.parametrize("text", ["NaN", "-Infinity", '"NaN', "x Infinity", "NaN, -Infinity"])
def test_words_in_texts_are_no_numbers(text):
    """``NaN`` within a text is a text; a bare one beside it is found all the same."""
    document = array_document(data_type="float32", fill_value="NaN", attributes={text: text})
    metadata = parse_node(json.dumps(document).encode(), KEY)
    assert np.isnan(metadata.fill_value)
    assert metadata.attributes == {text: text}
    document["extension"] = {"must_understand": False, "x": float("-inf")}
    with pytest.raises(MetadataError) as caught:
        parse_node(json.dumps(document).encode(), KEY)
    assert caught.value.field == "extension.x"


def test_consolidated_children_are_checked_like_others():
    """A child that would be refused by itself is refused, after a thousand that were not, too."""
    root = ZarrGroup.create(MemoryStore())
    for name in "abc":
        root.create_array(name, shape=(3, 4), dtype="f4", codecs="none")
    root.consolidate()
    document = root.metadata
    broken = document["consolidated_metadata"]["metadata"]["b"]
    for field, value in (("shape", [3]), ("fill_value", True), ("codecs", []), ("x", 1)):
        before = dict(broken)
        broken[field] = value
        group = ZarrGroup(root.store, "", json.loads(json.dumps(document)))
        with pytest.raises(MetadataError, match=r"b/zarr\.json"):
            group.children  # noqa: B018
        assert group["a"].shape == (3, 4)
        broken.clear()
        broken.update(before)
