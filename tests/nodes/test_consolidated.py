"""Consolidated metadata: a tree in one document, and never an old one through one's own hands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from array_layouts import CountingStore, PlainStore, UnlistedStore
from index_samples import numbered

from storekit import LocalStore, MemoryStore, ZarrArray, ZarrGroup, open_zarr


def sample(store: Any = None) -> ZarrGroup:
    """A root with an array, and a group that holds an array and another group."""
    root = ZarrGroup.create(MemoryStore() if store is None else store)
    root.create_array("z", data=numbered((3, 4)), chunks=(2, 2), codecs="zstd")
    root.create_array("a/x", data=numbered((5,)), codecs="none", attributes={"unit": "K"})
    root.create_group("a/b/c")
    return root


def consolidated(store: Any, path: str = "zarr.json") -> dict[str, Any] | None:
    """The consolidated metadata of a document, if there is any."""
    found = json.loads(bytes(store.get(path))).get("consolidated_metadata")
    return None if found is None else found["metadata"]


def test_the_document_holds_all_below() -> None:
    """`consolidate` puts every node's document into the group's own, by relative path."""
    root = sample()
    root.consolidate()
    found = consolidated(root.store)
    assert found is not None
    assert list(found) == ["a", "a/b", "a/b/c", "a/x", "z"]
    for path, document in found.items():
        assert document == open_zarr(root.store, path).metadata
    sub = root["a"]
    sub.consolidate()
    assert list(consolidated(root.store, "a/zarr.json") or ()) == ["b", "b/c", "x"]


def test_one_request_opens_the_tree() -> None:
    """With consolidated metadata, one get opens the group and all that is below it."""
    sample_store = sample().store
    ZarrGroup(sample_store).consolidate()
    store = CountingStore(sample_store)
    root = open_zarr(store)
    assert [node.path for node in root.walk()] == ["a", "a/b", "a/b/c", "a/x", "z"]
    assert root["a/x"].attributes == {"unit": "K"}
    assert len(root["a"]) == 2
    assert "a/b/c" in root
    assert "a/nothing" not in root
    assert root.tree().count("\n") == 5
    assert store.seen == [("get", "zarr.json")]
    assert (root["a/x"][...] == numbered((5,))).all()
    assert store.seen == [("get", "a/x/c/0")]


def test_a_store_that_cannot_list_shows_what_is_consolidated() -> None:
    """Consolidated metadata makes up for a store without listing."""
    root = sample()
    root.consolidate()
    far = open_zarr(UnlistedStore(root.store))
    assert list(far) == ["a", "z"]
    assert list(far["a"]) == ["b", "x"]


CHANGES: dict[str, Callable[[ZarrGroup], Any]] = {
    "create a group": lambda g: g.create_group("new"),
    "create a group below": lambda g: g["a/b"].create_group("new"),
    "create an array": lambda g: g.create_array("new", data=[1]),
    "assign data": lambda g: g["a"].__setitem__("new/er", [1]),
    "overwrite": lambda g: g.create_group("z", overwrite=True),
    "delete": lambda g: g.__delitem__("a/x"),
    "delete below": lambda g: g["a"].__delitem__("x"),
    "resize": lambda g: g["z"].resize((1, 1)),
    "append": lambda g: g["a/x"].append([6]),
    "attributes of an array": lambda g: g["a/x"].attributes.update(unit="m"),
    "attributes of a group": lambda g: g["a/b/c"].attributes.update(new=1),
    "attributes of a child": lambda g: setattr(g["a"], "attributes", {"new": 1}),
}


@pytest.mark.parametrize("kept", [False, True], ids=["opened", "kept"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_through_the_group_removes_it(name: str, kept: bool) -> None:
    """
    A change through the group, or through a node found by way of it, before or after it was
    consolidated, removes consolidated metadata: what others then find is true.
    """
    root = sample()
    if kept:
        change = CHANGES[name]
        nodes = {path: root[path] for path in ("a", "a/b", "a/b/c", "a/x", "z")}

        class Kept:
            """Gives the nodes that were found before."""

            def __getitem__(self, path: str) -> Any:
                return nodes[path]

            def __getattr__(self, attribute: str) -> Any:
                return getattr(root, attribute)

            def __delitem__(self, path: str) -> None:
                del root[path]

        root.consolidate()
        change(Kept())  # type: ignore[arg-type]
    else:
        root.consolidate()
        root = open_zarr(root.store)
        CHANGES[name](root)
    assert consolidated(root.store) is None
    again, live = open_zarr(root.store), {}
    for node in again.walk():
        live[node.path] = node.metadata
    assert {node.path: node.metadata for node in root.walk()} == live


def test_new_nodes_belong_to_the_group() -> None:
    """A node that the group itself has created removes what was consolidated since."""
    root = ZarrGroup.create(MemoryStore())
    array = root.create_array("x", data=[1, 2, 3])
    group = root.create_group("g")
    root.consolidate()
    array.append([4])
    assert consolidated(root.store) is None
    root.consolidate()
    group.attributes["a"] = 1
    assert consolidated(root.store) is None


def test_chunks_and_own_attributes_leave_it_alone() -> None:
    """Elements are not metadata, and the group's own attributes are beside it."""
    root = sample()
    root.consolidate()
    root["z"][...] = 0
    root.attributes["own"] = 1
    assert list(consolidated(root.store) or ()) == ["a", "a/b", "a/b/c", "a/x", "z"]
    assert open_zarr(root.store).attributes == {"own": 1}


def test_consolidating_again_reads_what_is_there() -> None:
    """`consolidate` does not believe what was consolidated before, on any level."""
    root = sample()
    root["a"].consolidate()
    root.consolidate()
    others = ZarrGroup.create(root.store, "a/b/new")
    ZarrArray(root.store, "z").resize((7, 7))
    assert others.path not in root
    root.consolidate()
    assert others.path in root
    assert open_zarr(root.store)["z"].shape == (7, 7)
    assert "consolidated_metadata" not in (consolidated(root.store) or {})["a"]


def test_refresh_sees_what_others_have_consolidated() -> None:
    """An object that was opened before goes on asking the store, until `refresh`."""
    root = sample()
    other = open_zarr(root.store)
    root.consolidate()
    other.refresh()
    ZarrGroup.create(root.store, "unseen")
    assert "unseen" not in other


@pytest.mark.parametrize(
    "found",
    [
        None,
        {"kind": "inline", "must_understand": False, "metadata": {}},
        {"kind": "other", "must_understand": False, "where": "elsewhere"},
    ],
)
def test_forms_of_others_are_read(found: Any) -> None:
    """Null, as zarr-python 3.0 wrote it, and unknown kinds mean that the store is asked."""
    root = sample()
    document = {**root.metadata, "consolidated_metadata": found}
    root.store.set("zarr.json", json.dumps(document).encode())
    expected = [] if found and found["kind"] == "inline" else ["a", "z"]
    assert list(open_zarr(root.store)) == expected


def test_a_store_without_compare_and_set_is_consolidated() -> None:
    """Consolidated metadata needs nothing but writing."""
    root = sample(PlainStore())
    root.consolidate()
    assert len(consolidated(root.store) or ()) == 5


def test_zarr_python_reads_ours(tmp_path: Path) -> None:
    """zarr-python opens what we have consolidated, from the one document."""
    root = sample(LocalStore(tmp_path))
    root.consolidate()
    group = zarr.open_consolidated(str(tmp_path))
    assert sorted(path for path, _ in group.members(max_depth=None)) == [
        "a",
        "a/b",
        "a/b/c",
        "a/x",
        "z",
    ]
    assert group.metadata.consolidated_metadata is not None
    assert (group["z"][...] == numbered((3, 4))).all()
    assert dict(group["a/x"].attrs) == {"unit": "K"}


def test_we_read_what_zarr_python_has_consolidated(tmp_path: Path) -> None:
    """What zarr-python consolidates opens here by one request."""
    group = zarr.create_group(str(tmp_path))
    group.create_group("a").create_array("x", data=np.arange(5), chunks=(2,))
    group.create_array("z", data=np.arange(6).reshape(2, 3))
    group.create_group("a/b/c")
    with pytest.warns(zarr.errors.ZarrUserWarning, match="not part"):
        zarr.consolidate_metadata(str(tmp_path))
    store = CountingStore(LocalStore(tmp_path))
    root = open_zarr(store)
    assert [node.path for node in root.walk()] == ["a", "a/b", "a/b/c", "a/x", "z"]
    assert store.seen == [("get", "zarr.json")]
    assert root["a/x"][...].tolist() == [0, 1, 2, 3, 4]
    root["a"].attributes["changed"] = True
    assert zarr.open_group(str(tmp_path)).metadata.consolidated_metadata is None
    assert dict(zarr.open_group(str(tmp_path))["a"].attrs) == {"changed": True}
