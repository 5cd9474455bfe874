"""Documents that differ in shape and attributes alone say what they say when read by themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_samples import array_document

from storekit.errors import MetadataError
from storekit.nodes import alike, metadata
from storekit.nodes.metadata import ArrayMetadata, parse_node

KEY = "zarr.json"


def answer(read: Any, data: bytes) -> object:
    """What comes of reading a document: its meaning, or its error."""
    try:
        return repr(read(data, KEY).to_json())
    except MetadataError as error:
        return str(error)


def read_whole(data: bytes, key: str) -> Any:
    """As if no other document had ever been seen."""
    try:
        return metadata._parse(data)
    except MetadataError as error:
        raise error.located(key) from None


def check(data: bytes) -> None:
    """A document means the same to whoever may have seen others like it, and to who has not."""
    assert answer(parse_node, data) == answer(read_whole, data)


_names = st.sampled_from(["shape", "attributes", "codecs", "a", "\\", '"shape": [1]', "{", "]"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | _names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=6,
)
_shapes = st.lists(st.integers(0, 1 << 65), min_size=2, max_size=2) | _json
_attributes = st.dictionaries(_names, _json, max_size=3) | _json
_more: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "extra": st.fixed_dictionaries({"must_understand": st.booleans(), "shape": _json}),
        "dimension_names": st.sampled_from([["shape", "attributes"], ['"shape": [', None], ["x"]]),
        "storage_transformers": st.sampled_from([[], [{"name": "shape"}]]),
    },
)


@st.composite
def _documents(draw: st.DrawFn) -> bytes:
    document = {**array_document(), **draw(_more)}
    order = draw(st.permutations(sorted({*document, "attributes"})))
    texts = []
    for name in order:
        value = document.get(name)
        for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 1, 1, 2]))):
            if name == "shape":
                value = draw(_shapes)
            elif name == "attributes":
                value = draw(_attributes)
            indent = draw(st.sampled_from([None, 2]))
            gap = draw(st.sampled_from([":", " : ", ":\n"]))
            texts.append(json.dumps(name) + gap + json.dumps(value, indent=indent))
    data = ("{" + ", ".join(texts) + "}").encode()
    if draw(st.integers(0, 7)) == 0 and data:
        place = draw(st.integers(0, len(data) - 1))
        data = data[:place] + draw(st.binary(max_size=2)) + data[place + 1 :]
    return data


@settings(max_examples=600)
@given(_documents())
def test_any_document_means_what_it_says(data: bytes) -> None:
    """In any order, with any white space, with fields twice, missing or damaged."""
    check(data)


USUAL = json.dumps({**array_document(), "attributes": {}})
ODD = [
    USUAL.replace('"attributes": {}', '"attributes": {"a": 1, "a": 2}'),
    USUAL.replace('"attributes": {}', '"attributes": {"a": NaN}'),
    USUAL.replace('"attributes": {}', '"attributes": {"a": {"b": [Infinity]}}'),
    USUAL.replace('"attributes": {}', '"attributes": {}, "attributes": {"a": 1}'),
    USUAL.replace('"attributes": {}', '"attributes": ' + '{"a":' * 5000 + "1" + "}" * 5000),
    USUAL.replace('"attributes": {}', '"attributes": []'),
    USUAL.replace('"attributes": {}', r'"attributes": {}, "a\u0074tributes": {"b": 2}'),
    USUAL.replace('"shape": [', '"shape": [7], "shape": ['),
    USUAL.replace('"shape": [', r'"sh\u0061pe": [5, 5], "shape": ['),
    USUAL.replace('"shape": [', '"shape": [NaN, '),
    USUAL.replace('"shape": [', '"shape": [1.0, '),
    USUAL.replace('"shape": [', '"shape": [-1, '),
    USUAL.replace('"shape": [', '"shape": [true, '),
    USUAL.replace('"shape": [', '"dimension_names": ["\\"shape\\": [7]", null], "shape": ['),
    USUAL.replace('"shape": [', '"extra": {"must_understand": false, "shape": [7, 7]}, "shape": ['),
    USUAL.replace('"shape": [', '"extra": {"must_understand": false, "attributes":{}}, "shape": ['),
    USUAL + " x",
    "\ufeff" + USUAL,
    USUAL.replace('"node_type": "array"', '"node_type": "group"'),
    USUAL.replace('"zarr_format": 3', '"zarr_format": 3.0'),
]


@pytest.mark.parametrize("before", [[], [USUAL]], ids=["nothing", "its like"])
@pytest.mark.parametrize("text", ODD)
def test_odd_documents(before: list[str], text: str) -> None:
    """What is twice, not finite, of another type or hidden is found, whatever was read before."""
    for each in before:
        parse_node(each.encode(), KEY)
    check(text.encode())


@pytest.mark.parametrize("sort", [False, True], ids=["shape first", "attributes first"])
def test_the_rest_of_a_document_is_read_once(sort: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many arrays that differ in shape and attributes, only the first is read as a whole."""
    whole = []
    load = alike.load_document
    monkeypatch.setattr(alike, "load_document", lambda data: whole.append(data) or load(data))
    for number in range(5):
        document = {**array_document(), "shape": [3, number], "attributes": {"n": [number, sort]}}
        data = json.dumps(document, sort_keys=sort, indent=sort).encode()
        found = parse_node(data, KEY)
        assert isinstance(found, ArrayMetadata)
        assert found.shape == (3, number)
        assert found.attributes == {"n": [number, sort]}
    assert len(whole) <= 1


def test_arrays_that_are_alike_share_nothing_that_changes() -> None:
    """Attributes belong to one array, also those of two documents that are the same."""
    data = json.dumps({**array_document(), "attributes": {"a": [1]}}).encode()
    parse_node(data, KEY).attributes["a"].append(2)  # type: ignore[union-attr]
    assert parse_node(data, KEY).attributes == {"a": [1]}
