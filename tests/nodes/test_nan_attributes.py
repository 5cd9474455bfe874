"""Attributes that are not finite: kept where others wrote them, refused where storekit would."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from node_samples import array_document

from storekit import LocalStore, MemoryStore, ZarrArray, ZarrGroup, copy, frames, open_zarr
from storekit.errors import MetadataError
from storekit.nodes import alike
from storekit.nodes.metadata import parse_node

ODD: dict[str, Any] = {"_FillValue": nan, "valid": [-inf, {"max": inf}]}
"""What xarray and zarr-python write as bare words."""

GROUP = {"zarr_format": 3, "node_type": "group", "attributes": ODD}
OLD = {
    "zarr_format": 2,
    "shape": [4],
    "chunks": [4],
    "dtype": "<f8",
    "compressor": None,
    "filters": None,
    "fill_value": 0,
    "order": "C",
}


def stored(documents: dict[str, Any], store: Any = None) -> Any:
    """A store with documents as others write them."""
    store = MemoryStore() if store is None else store
    for key, document in documents.items():
        store.set(key, json.dumps(document).encode())
    return store


def foreign(store: Any = None) -> Any:
    """A store with a group and an array in it, both with such attributes."""
    array = array_document(shape=[4, 3], attributes=ODD)
    return stored({"zarr.json": GROUP, "a/zarr.json": array}, store)


def has(found: Any, expected: dict[str, Any]) -> bool:
    """Whether attributes are these, where NaN is NaN."""
    return json.dumps(dict(found), sort_keys=True) == json.dumps(expected, sort_keys=True)


CHANGES: dict[str, Callable[[ZarrArray], object]] = {
    "append": lambda array: array.append(np.ones((2, 3), "i4")),
    "resize": lambda array: array.resize((2, 9)),
    "same": lambda array: array.attributes.__setitem__("_FillValue", np.float32(nan)),
    "update": lambda array: array.attributes.update(valid=[-inf, {"max": inf}]),
    "all": lambda array: setattr(array, "attributes", deepcopy(ODD)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_read_is_written_again(change: Callable[[ZarrArray], object]) -> None:
    """A change elsewhere in a document keeps numbers that are not finite, as bare words."""
    store = foreign()
    change(open_zarr(store, "a"))
    assert has(open_zarr(store, "a").attributes, ODD)
    assert b'"_FillValue": NaN, "valid": [-Infinity, {"max": Infinity}]' in store.get("a/zarr.json")


@pytest.mark.parametrize("path", ["", "a"])
def test_other_attributes_change(path: str) -> None:
    """Attributes beside such, and what lies beside such within one, can be set and removed."""
    store = foreign()
    attributes = open_zarr(store, path).attributes
    attributes["k"] = 1
    attributes.update(valid=[-inf, {"max": 0, "new": "NaN"}])
    expected = {"_FillValue": nan, "valid": [-inf, {"max": 0, "new": "NaN"}], "k": 1}
    assert has(open_zarr(store, path).attributes, expected)
    del attributes["_FillValue"]
    del attributes["valid"]
    assert open_zarr(store, path).attributes == {"k": 1}


@pytest.mark.parametrize("path", ["", "a"])
@pytest.mark.parametrize(
    ("name", "value", "field", "spelled"),
    [
        ("new", nan, "attributes.new", '"NaN"'),
        ("new", np.float32(-inf), "attributes.new", '"-Infinity"'),
        ("new", {"deep": np.array([0, inf])}, "attributes.new.deep[1]", '"Infinity"'),
        ("_FillValue", inf, "attributes._FillValue", '"Infinity"'),
        ("_FillValue", [nan], "attributes._FillValue[0]", '"NaN"'),
        ("valid", [-inf, {"max": nan}], "attributes.valid[1].max", '"NaN"'),
        ("valid", [-inf, {}, -inf], "attributes.valid[2]", '"-Infinity"'),
    ],
)
def test_what_is_new_is_refused(path: str, name: str, value: Any, field: str, spelled: str) -> None:
    """A number that is not finite is set nowhere anew; the error names it, and what to write."""
    store = foreign()
    before, node = store.get(f"{path}/zarr.json".lstrip("/")), open_zarr(store, path)
    for change in (
        lambda: node.attributes.__setitem__(name, value),
        lambda: node.attributes.update({"k": 1, name: value}),
        lambda: setattr(node, "attributes", {name: value}),
    ):
        with pytest.raises(MetadataError, match=spelled) as caught:
            change()
        assert caught.value.field == field
    assert store.get(f"{path}/zarr.json".lstrip("/")) == before


@pytest.mark.parametrize("create", [ZarrGroup.create, ZarrArray.create])
def test_new_nodes_are_for_the_strictest_reader(create: Any) -> None:
    """A node is not created with such attributes, and nothing is written."""
    store = MemoryStore()
    options = {"shape": 3, "dtype": "f4"} if create == ZarrArray.create else {}
    with pytest.raises(MetadataError, match='"NaN"') as caught:
        create(store, "n", attributes={"a": {"b": [nan]}}, **options)
    assert caught.value.field == "attributes.a.b[0]"
    assert store.list() == []


def test_what_was_removed_is_new_again() -> None:
    """An attribute counts as it stands in the store now, not as it once was."""
    store = foreign()
    mine, other = open_zarr(store, "a"), open_zarr(store, "a")
    other.attributes["_FillValue"] = 0
    with pytest.raises(MetadataError, match="_FillValue"):
        mine.attributes["_FillValue"] = nan


def test_consolidated_metadata_holds_them() -> None:
    """They are consolidated, found there, and still there after a change to the group."""
    store = foreign()
    root = open_zarr(store)
    root.consolidate()
    root.attributes["k"] = 1
    again = open_zarr(store)
    assert again.metadata["consolidated_metadata"] is not None
    assert has(again.attributes, {**ODD, "k": 1})
    assert has(again["a"].attributes, ODD)
    again["a"].attributes["k"] = 1  # which takes the consolidated metadata away again
    assert has(open_zarr(store)["a"].attributes, {**ODD, "k": 1})


@pytest.mark.parametrize("options", [{}, {"codecs": "none"}], ids=["as it is", "encoded anew"])
def test_copies_keep_them(options: dict[str, Any]) -> None:
    """A copy of an array or of a group has the attributes of what was copied."""
    store, target = foreign(), MemoryStore()
    copy(store, target, target_path="whole", **options)
    copy(store, target, source_path="a", target_path="one", **options)
    for path in ("whole", "whole/a", "one"):
        assert has(open_zarr(target, path).attributes, ODD)


def test_copies_of_v2_keep_them() -> None:
    """A hierarchy of Zarr v2, where `_FillValue` is often NaN, is copied to v3."""
    store = stored(
        {".zgroup": {"zarr_format": 2}, ".zattrs": ODD, "a/.zarray": OLD, "a/.zattrs": ODD}
    )
    target = MemoryStore()
    copy(store, target, target_path="new")
    for path in ("new", "new/a"):
        node = open_zarr(target, path)
        assert node.metadata["zarr_format"] == 3
        assert has(node.attributes, ODD)


def test_copies_to_frames_and_back_keep_them(tmp_path: Path) -> None:
    """They pass through a frame, also through one that was given other attributes there."""
    store = foreign(LocalStore(tmp_path / "a.zarr"))
    copy(store, tmp_path / "a.b2nd", source_path="a")
    frames.open(tmp_path / "a.b2nd", mode="a").attributes["k"] = 1
    copy(tmp_path / "a.b2nd", tmp_path / "b.zarr")
    assert has(open_zarr(LocalStore(tmp_path / "b.zarr")).attributes, {**ODD, "k": 1})


def test_what_is_equal_stays_so() -> None:
    """Metadata with NaN equals itself read again, whatever the order of keys, and no other."""
    store = foreign()
    for key in ("zarr.json", "a/zarr.json"):
        document = json.loads(store.get(key))
        metadata = parse_node(document, key)
        backwards = json.dumps(dict(reversed(document.items())))
        assert metadata == parse_node(store.get(key), key)
        assert metadata == parse_node(backwards.encode(), key)
        assert metadata == parse_node(metadata.to_bytes(), key)
        for other in (0.0, inf, "NaN", None):
            attributes = {**ODD, "_FillValue": other}
            assert metadata != parse_node({**document, "attributes": attributes}, key)


def test_documents_with_them_are_read_as_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many arrays that are alike but for such attributes only the first is read as a whole."""
    whole = []
    load = alike.load_document
    monkeypatch.setattr(alike, "load_document", lambda data: whole.append(data) or load(data))
    monkeypatch.setattr("storekit.nodes.metadata._parse", None)  # which reads what is alike to none
    for number in range(5):
        document = array_document(shape=[7, number], attributes={**ODD, "n": number})
        found = parse_node(json.dumps(document).encode(), "zarr.json")
        assert found == parse_node(json.dumps(document).encode(), "zarr.json")
        assert has(found.attributes, {**ODD, "n": number})
    assert len(whole) <= 1


def test_nodes_do_not_share_them() -> None:
    """What is read from remembered documents belongs to one node."""
    store = foreign()
    one, other = open_zarr(store, "a"), open_zarr(store, "a")
    one.metadata["attributes"]["valid"][1]["max"] = 1
    one.attributes["valid"].clear()
    assert has(one.attributes, ODD)
    assert has(other.attributes, ODD)
