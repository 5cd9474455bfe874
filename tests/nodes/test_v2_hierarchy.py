"""Hierarchies of Zarr v2: found by few requests, shown as those of v3, and never changed."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from array_layouts import CountingStore, UnlistedStore
from index_samples import numbered
from v2_samples import documents, dumped, stored, written

from storekit import LocalStore, MemoryStore, ZarrArray, ZarrGroup, open_zarr
from storekit.errors import (
    KeyNotFoundError,
    MetadataError,
    NodeNotFoundError,
    NodeTypeError,
    ReadOnlyError,
    UnsupportedError,
)

GROUP = dumped({"zarr_format": 2})
PATHS = ["__b", "a", "a/g", "a/g/y", "x"]


def tree(**more: bytes) -> dict[str, bytes]:
    """Keys and values: a root with attributes, groups, arrays with names of axes."""
    return {
        ".zgroup": GROUP,
        ".zattrs": b'{"title": "t", "missing": NaN}',
        "a/.zgroup": GROUP,
        "a/g/.zgroup": GROUP,
        "a/g/.zattrs": dumped({"deep": [1]}),
        "__b/.zgroup": GROUP,
        "no-node/file": b"1",
        **written(numbered((3, 4)), chunks=(2, 2), path="x"),
        **written(numbered((5,)), chunks=(2,), path="a/g/y", separator="/"),
        "x/.zattrs": dumped({"_ARRAY_DIMENSIONS": ["lat", "lon"], "units": "K"}),
        **more,
    }


def whole(values: dict[str, bytes]) -> dict[str, bytes]:
    """The same with all documents in one, which alone is left of them."""
    keys = [key for key in values if key.rpartition("/")[2].startswith(".z")]
    metadata = {key: json.loads(values[key]) for key in keys}
    rest = {key: value for key, value in values.items() if key not in metadata}
    document = {"zarr_consolidated_format": 1, "metadata": metadata}
    return {**rest, ".zgroup": GROUP, ".zmetadata": json.dumps(document).encode()}


@pytest.mark.parametrize("values", [tree(), whole(tree())], ids=["separate", "consolidated"])
def test_a_hierarchy_of_v2_is_like_any(values: dict[str, bytes]) -> None:
    """Groups, arrays, attributes, names of axes, listing and trees are as those of v3."""
    root = open_zarr(stored(values))
    assert [node.path for node in root.walk()] == PATHS
    assert (list(root), len(root)) == (["__b", "a", "x"], 3)
    assert root.attributes["title"] == "t"
    assert np.isnan(root.attributes["missing"])
    assert root["a/g"].attributes == {"deep": [1]}
    x = root["x"]
    assert x.dimension_names == ("lat", "lon")
    assert x.attributes == {"_ARRAY_DIMENSIONS": ["lat", "lon"], "units": "K"}
    assert (x[...] == numbered((3, 4))).all()
    assert (root["a/g/y"][1:4] == numbered((5,))[1:4]).all()
    assert root["a"]["g"]["y"] == root["a/g/y"]
    assert "no-node" not in root
    assert "x/y" not in root
    assert root.tree().splitlines()[0] == "/"
    assert root.tree().splitlines()[-1].startswith("└── x  3 x 4  int64")


def test_what_is_of_v3_costs_what_it_did() -> None:
    """One request opens a node of v3 and looks a child up; those of v2 are not asked for."""
    memory = MemoryStore()
    ZarrGroup.create(memory).create_array("x", data=[1])
    memory.set("other/.zgroup", GROUP)
    store = CountingStore(memory)
    root = open_zarr(store)
    assert store.seen == [("get", "zarr.json")]
    assert root["x"].shape == (1,)
    assert store.seen == [("get", "x/zarr.json")]
    assert list(root.keys()) == ["x"]
    assert store.seen == [("list_dir", ""), ("get", "other/zarr.json"), ("get", "x/zarr.json")]
    assert "other" not in root
    assert store.seen == [("get", "other/zarr.json")]


def test_requests_of_v2() -> None:
    """A missing node costs three requests; a node of v2 those for its documents."""
    store = CountingStore(stored(tree()))
    with pytest.raises(NodeNotFoundError, match=r"'n/zarr.json', 'n/.zarray' or 'n/.zgroup'"):
        open_zarr(store, "n")
    assert store.seen == [("get", f"n/{name}") for name in ("zarr.json", ".zarray", ".zgroup")]
    open_zarr(store, "x")
    assert store.seen == [("get", f"x/{name}") for name in ("zarr.json", ".zarray", ".zattrs")]
    root = open_zarr(store)
    names = ("zarr.json", ".zarray", ".zgroup", ".zmetadata", ".zattrs")
    assert store.seen == [("get", name) for name in names]
    assert root["x"].shape == (3, 4)
    assert store.seen == [("get", "x/.zarray"), ("get", "x/.zattrs")]
    assert root["a"].path == "a"
    assert store.seen == [("get", f"a/{name}") for name in (".zarray", ".zgroup", ".zattrs")]


def test_one_document_opens_the_tree() -> None:
    """Consolidated metadata is used where it is, and no node below asks for its own."""
    store = CountingStore(stored(whole(tree())))
    root = open_zarr(store)
    assert [node.path for node in root.walk()] == PATHS
    names = ("zarr.json", ".zarray", ".zgroup", ".zmetadata")
    assert store.seen == [("get", name) for name in names]
    far = open_zarr(UnlistedStore(stored(whole(tree()))))
    assert list(far) == ["__b", "a", "x"]
    with pytest.raises(UnsupportedError):
        list(open_zarr(UnlistedStore(stored(tree()))))


def test_zarr_json_comes_first() -> None:
    """Where both formats are, the node is of v3; an array comes before a group."""
    memory = stored(documents())
    ZarrGroup.create(memory)
    assert isinstance(open_zarr(memory), ZarrGroup)
    both = stored({**documents(), ".zgroup": GROUP})
    assert isinstance(open_zarr(both), ZarrArray)
    whole_of_both = whole({**documents("a"), "a/.zgroup": GROUP})
    assert isinstance(open_zarr(stored(whole_of_both))["a"], ZarrArray)
    other_order = whole({"a/.zgroup": GROUP, **documents("a")})
    assert isinstance(open_zarr(stored(other_order))["a"], ZarrArray)
    hidden = stored({".zgroup": GROUP, "a/zarr.json": b"{}"})
    assert list(open_zarr(hidden)) == []


CHANGES: dict[str, Callable[[ZarrGroup], Any]] = {
    "create a group": lambda g: g.create_group("new"),
    "require a group": lambda g: g.require_group("a"),
    "create an array": lambda g: g["a"].create_array("new", data=[1]),
    "assign data": lambda g: g.__setitem__("new", [1]),
    "delete": lambda g: g.__delitem__("x"),
    "consolidate": lambda g: g.consolidate(),
    "attributes": lambda g: g.attributes.update(new=1),
    "all attributes": lambda g: setattr(g["x"], "attributes", {}),
    "attributes below": lambda g: g["a/g"].attributes.clear(),
    "elements": lambda g: g["x"].__setitem__(0, 1),
    "an outer product": lambda g: g["x"].oindex.__setitem__(0, 1),
    "a future": lambda g: g["x"].write_future(1).result(),
    "a chunk": lambda g: g["x"].set_chunk(1, (0, 0)),
    "resize": lambda g: g["x"].resize((1, 1)),
    "a shape": lambda g: setattr(g["x"], "shape", (9, 9)),
    "append": lambda g: g["x"].append(np.zeros((1, 4))),
}


@pytest.mark.parametrize("values", [tree(), whole(tree())], ids=["separate", "consolidated"])
@pytest.mark.parametrize("name", CHANGES)
def test_nothing_is_changed(name: str, values: dict[str, bytes]) -> None:
    """Every change of a node of v2 is refused, by an error that says what to do instead."""
    store = stored(values)
    root = open_zarr(store)
    with pytest.raises(ReadOnlyError, match="Zarr v2, which is only read: create an array of v3"):
        CHANGES[name](root)
    assert {key: bytes(store.get(key)) for key in store.list()} == values


@pytest.mark.parametrize("values", [tree(), whole(tree())], ids=["separate", "consolidated"])
def test_nodes_pickle_and_refresh(values: dict[str, bytes]) -> None:
    """A node of v2 is the same in another process, and sees the changes of others."""
    store = stored(values)
    root = open_zarr(store)
    again = pickle.loads(pickle.dumps(root))
    assert [node.metadata for node in again.walk()] == [node.metadata for node in root.walk()]
    x = pickle.loads(pickle.dumps(root["x"]))
    assert x == ZarrArray(x.store, "x", x.metadata)
    assert (x[...] == numbered((3, 4))).all()
    store.set("y/.zarray", documents()[".zarray"])
    y = ZarrArray(store, "y")
    store.set("y/.zarray", documents(shape=[9, 6])[".zarray"])
    y.refresh()
    assert y.shape == (9, 6)


def test_metadata_is_what_the_documents_say() -> None:
    """`metadata` has the fields of the ``.zarray``, unknown ones too, and the attributes."""
    array = open_zarr(stored(documents(attributes={"a": 1}, _nonstandard=[2])))
    fields = json.loads(documents(_nonstandard=[2])[".zarray"])
    assert array.metadata == {**fields, "node_type": "array", "attributes": {"a": 1}}
    array.metadata["shape"].append(1)
    assert array.metadata["shape"] == fields["shape"]
    group = open_zarr(stored({".zgroup": GROUP}))
    assert group.metadata == {"zarr_format": 2, "node_type": "group", "attributes": {}}
    with pytest.raises(NodeTypeError):
        ZarrGroup(stored(documents()))


@pytest.mark.parametrize("names", [["a"], ["a", 1], "ab", None, {"a": 1, "b": 2}], ids=str)
def test_names_of_axes_that_are_none(names: Any) -> None:
    """Attributes are the user's own: what cannot be the names of the axes is no error."""
    array = open_zarr(stored(documents(attributes={"_ARRAY_DIMENSIONS": names})))
    assert array.dimension_names is None
    assert array.attributes == {"_ARRAY_DIMENSIONS": names}


def test_a_fault_is_not_absence() -> None:
    """A store that fails while documents are looked for fails; no other node is made up."""

    class Failing(CountingStore):
        def _around(self, call: Any, proceed: Callable[[], Any]) -> Any:
            if call.keys[0].endswith(self.bad):
                raise ConnectionError(self.bad)
            return proceed()

    for name in ("zarr.json", ".zarray", ".zgroup", ".zmetadata", ".zattrs"):
        store = Failing(stored(tree()))
        store.bad = name
        with pytest.raises(ConnectionError, match=name):
            open_zarr(store)


BROKEN: list[tuple[bytes, str]] = [
    (b"[]", r"\.zmetadata: expected a JSON object"),
    (b"{", r"\.zmetadata: the document is not JSON"),
    (b"{}", r"\.zmetadata: zarr_consolidated_format: expected 1"),
    (b'{"zarr_consolidated_format": true, "metadata": {}}', "zarr_consolidated_format"),
    (b'{"zarr_consolidated_format": 1}', "metadata: expected an object"),
    (b'{"zarr_consolidated_format": 1, "metadata": {"a/.zarray": 1}}', r"metadata\.a/\.zarray"),
]


@pytest.mark.parametrize(("document", "message"), BROKEN, ids=str)
def test_broken_consolidated_metadata(document: bytes, message: str) -> None:
    """Consolidated metadata that is none is an error, and names the document."""
    with pytest.raises(MetadataError, match=message):
        open_zarr(stored(tree(**{".zmetadata": document})))


def test_a_broken_node_does_not_hide_the_others() -> None:
    """Of consolidated documents only the one that is asked for is looked into."""
    values = tree()
    values["x/.zarray"] = dumped({"zarr_format": 2})
    root = open_zarr(stored(whole(values)))
    assert root["a/g/y"].shape == (5,)
    with pytest.raises(MetadataError, match=r"^x/\.zarray: shape: expected to be present"):
        root["x"]
    root = open_zarr(stored(values))
    with pytest.raises(MetadataError, match=r"^x/\.zarray: shape: expected to be present"):
        list(root)


def test_documents_of_v3_are_no_documents_of_v2() -> None:
    """Neither format is read in the other's place."""
    array = json.loads(documents()[".zarray"])
    for key, document in (
        (".zarray", {**array, "zarr_format": 3}),
        (".zgroup", {"zarr_format": 3}),
        (".zgroup", {"zarr_format": 2.0}),
        ("zarr.json", {**array, "node_type": "array"}),
        ("zarr.json", {"zarr_format": 2, "node_type": "group"}),
    ):
        with pytest.raises(MetadataError, match=f"^{key}: zarr_format: expected"):
            open_zarr(stored({key: dumped(document)}))
    inner = {"a": {**array, "node_type": "array", "attributes": {}}}
    whole_v3 = {
        "zarr_format": 3,
        "node_type": "group",
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": inner},
    }
    with pytest.raises(MetadataError, match=r"^a/zarr\.json: zarr_format: expected 3"):
        open_zarr(stored({"zarr.json": dumped(whole_v3)}))["a"]


def test_what_zarr_python_consolidates(tmp_path: Path) -> None:
    """A tree that zarr-python writes and consolidates is read by four requests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group = zarr.create_group(str(tmp_path), zarr_format=2, attributes={"a": 1})
        group.create_group("g").create_array("y", data=np.arange(5), chunks=(2,))
        group.create_array("x", data=np.arange(6).reshape(2, 3))
        group["x"].attrs["b"] = 2
        separate = open_zarr(LocalStore(tmp_path))
        zarr.consolidate_metadata(str(tmp_path))
    store = CountingStore(LocalStore(tmp_path))
    root = open_zarr(store)
    assert root.tree() == separate.tree()
    assert root.attributes == {"a": 1}
    assert root["x"].attributes == {"b": 2}
    assert len(store.seen) == 4
    assert root["g/y"][...].tolist() == [0, 1, 2, 3, 4]


def test_absence_of_a_chunk_only_is_the_fill_value() -> None:
    """A chunk that cannot be read is no fill value."""

    class Failing(CountingStore):
        def _around(self, call: Any, proceed: Callable[[], Any]) -> Any:
            if call.keys[0] == "x/1.1":
                raise ConnectionError("lost")
            if call.keys[0] == "x/0.0":
                raise KeyNotFoundError("absent", key="x/0.0")
            return proceed()

    x = open_zarr(Failing(stored(tree())), "x")
    assert x[:2, :2].tolist() == [[0, 0], [0, 0]]
    with pytest.raises(ConnectionError, match="lost"):
        x.read()
