"""Groups as mappings: lookups, children, trees, creation, deletion, and what each costs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_layouts import CountingStore, PlainStore, ReadOnly, UnlistedStore
from hypothesis import given, settings
from hypothesis import strategies as st
from index_samples import numbered

from storekit import LocalStore, MemoryStore, SlowStore, ZarrArray, ZarrGroup, ZarrNode, open_zarr
from storekit.errors import (
    InvalidKeyError,
    MetadataError,
    NodeExistsError,
    NodeNotFoundError,
    NodeTypeError,
    ReadOnlyError,
    UnsupportedError,
)
from storekit.simulation import VirtualClock


def sample(store: Any = None) -> ZarrGroup:
    """A root with an array, and a group that holds an array and an empty group."""
    root = ZarrGroup.create(MemoryStore() if store is None else store, attributes={"top": 1})
    root.create_array("z", data=numbered((3, 4)), chunks=(2, 2), codecs="zstd")
    a = root.create_group("a")
    a.create_array("x", shape=5, dtype="f4", codecs="none", shards=4, chunks=2)
    a.create_group("empty")
    return root


STORES = {"memory": MemoryStore, "plain": PlainStore}


# --- the mapping ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", STORES)
def test_a_group_is_a_mapping_of_its_children(kind: str) -> None:
    """Length, iteration, lookup and views follow `collections.abc.Mapping`, in order of names."""
    root = sample(STORES[kind]())
    assert len(root) == 2
    assert list(root) == list(root.keys()) == ["a", "z"]
    assert [type(node) for node in root.values()] == [ZarrGroup, ZarrArray]
    assert dict(root.items()) == {"a": root["a"], "z": root["z"]}
    assert "a" in root
    assert "b" not in root
    assert root.get("b", 5) == 5
    assert root.get("z") == root["z"]
    assert list(root["a/empty"]) == []
    assert len(root["a/empty"]) == 0


def test_children_are_groups_and_arrays() -> None:
    """`children`, `groups` and `arrays` are dicts by name."""
    root = sample()
    assert list(root.children) == ["a", "z"]
    assert list(root.groups) == ["a"]
    assert list(root.arrays) == ["z"]
    assert list(root["a"].children) == ["empty", "x"]


@pytest.mark.parametrize("path", ["a/x", "/a/x", "a/x/", "/a/x/"])
def test_a_path_goes_down_several_levels(path: str) -> None:
    """A path of several names is looked up from the group, whatever slashes are around it."""
    root = sample()
    assert root[path].path == "a/x"
    assert root["a"]["x"] == root[path]
    assert path in root
    assert open_zarr(root.store, path) == root[path]


@pytest.mark.parametrize(
    "path",
    [
        *["b", "a/b", "z/x", "a/x/y", "", "/", "a//x", "..", "a/../z", ".", "__x", "zarr.json"],
        *["z/c", "a\0b", "x" * 300, 5, None, ("a",), b"a"],
    ],
)
def test_what_is_not_there_is_a_key_error(path: Any) -> None:
    """Any other path raises NodeNotFoundError, which is a KeyError, and is not in the group."""
    root = sample()
    with pytest.raises(NodeNotFoundError) as caught:
        root[path]
    assert isinstance(caught.value, KeyError)
    assert path not in root
    assert root.get(path) is None
    for known in (ZarrGroup(root.store), root):
        known.consolidate()
        assert path not in known


def test_nodes_are_equal_by_place() -> None:
    """Two objects for one node are equal and hash alike; a group equals no mapping."""
    root = sample()
    again = ZarrGroup(root.store)
    assert root == again
    assert len({root, again, root["a"], again["a"]}) == 2
    assert root != {"a": root["a"], "z": root["z"]}
    assert root["a"] != root["z"]
    assert root != sample()


def test_an_array_is_not_opened_as_a_group() -> None:
    """The classes open only what they stand for; `open_zarr` opens both."""
    store = sample().store
    with pytest.raises(NodeTypeError, match="cannot stand for an array"):
        ZarrGroup(store, "z")
    with pytest.raises(NodeTypeError, match="cannot stand for a group"):
        ZarrArray(store, "a")
    with pytest.raises(TypeError):
        ZarrArray(store)
    assert isinstance(open_zarr(store, "z"), ZarrArray)
    assert isinstance(open_zarr(store), ZarrGroup)
    with pytest.raises(NodeNotFoundError, match="no node at 'b'"):
        open_zarr(store, "b")
    with pytest.raises(InvalidKeyError):
        open_zarr(store, "a/../z")


# --- what it costs --------------------------------------------------------------------------------


def test_opening_a_group_is_one_read() -> None:
    """Opening costs exactly one get, of the group's own document, however much is below it."""
    store = CountingStore(sample().store)
    group = open_zarr(store)
    assert store.seen == [("get", "zarr.json")]
    ZarrGroup(store, "a")
    assert store.seen == [("get", "a/zarr.json")]
    group.attributes["top"], group.path, group.metadata
    assert store.seen == []


def test_looking_up_a_child_is_one_read() -> None:
    """A lookup reads the documents on the way, and lists nothing."""
    store = CountingStore(sample().store)
    group = open_zarr(store)
    store.seen  # noqa: B018 - forget what there was
    group["z"]
    assert store.seen == [("get", "z/zarr.json")]
    group["a/x"]
    assert store.seen == [("get", "a/zarr.json"), ("get", "a/x/zarr.json")]
    assert "b" not in group
    assert store.seen == [("get", "b/zarr.json")]


def test_children_are_found_by_one_listing() -> None:
    """Children cost one listing of one level and one read each; so do their names and number."""
    store = CountingStore(sample().store)
    group = open_zarr(store)
    store.seen  # noqa: B018
    assert list(group.children) == ["a", "z"]
    assert store.seen == [("list_dir", ""), ("get", "a/zarr.json"), ("get", "z/zarr.json")]


def test_views_are_one_listing_and_one_read_each() -> None:
    """Keys, values and items are those of one moment: whatever is done with them asks no more."""
    store = CountingStore(sample().store)
    group = open_zarr(store)
    asked = [("list_dir", ""), ("get", "a/zarr.json"), ("get", "z/zarr.json")]
    for view in (group.keys, group.values, group.items):
        store.seen  # noqa: B018
        found = view()
        assert len(list(found)) == len(found) == 2
        assert store.seen == asked
    assert [(name, node.path) for name, node in group.items()] == [("a", "a"), ("z", "z")]


def test_the_number_of_children_is_counted_without_reading() -> None:
    """The length costs one listing and one look each, but no read, and no more before a list."""
    store = CountingStore(sample().store)
    group = open_zarr(store)
    store.seen  # noqa: B018
    assert len(group) == 2
    looks = [("list_dir", ""), ("exists", "a/zarr.json"), ("exists", "z/zarr.json")]
    assert store.seen == looks
    assert list(group) == ["a", "z"]
    assert sum(op == "get" for op, _ in store.seen) == 2
    group.consolidate()
    store.seen  # noqa: B018
    assert len(group) == len(list(group)) == 2
    assert len(group["a"]) == len(list(group["a"].items())) == 2
    assert store.seen == []


def test_children_come_at_once_from_a_network() -> None:
    """From a far store, the documents of many children are read side by side."""
    root = ZarrGroup.create(MemoryStore())
    names = [f"g{i:02}" for i in range(20)]
    for name in names:
        root.create_group(name)
    far = open_zarr(SlowStore(root.store, base_delay=0.001))
    assert list(far.children) == names


# --- text -----------------------------------------------------------------------------------------

TREE = """\
/
├── a/
│   ├── empty/
│   └── x  5  float32  (chunks 2, shards 4)
└── z  3 x 4  int64  (chunks 2 x 2)"""


def test_the_tree_shows_all_levels(capsys: pytest.CaptureFixture[str]) -> None:
    """The tree is indented text: names, shapes, dtypes and chunks; `print_tree` prints it."""
    root = sample()
    assert root.tree() == TREE
    root.print_tree()
    assert capsys.readouterr().out == TREE + "\n"
    assert root["a"].tree().splitlines() == [
        "/a",
        "├── empty/",
        "└── x  5  float32  (chunks 2, shards 4)",
    ]


def test_the_repr_shows_the_children() -> None:
    """The repr of a group shows its children, one a line."""
    root = sample()
    assert repr(root).splitlines() == [
        "<ZarrGroup '', 2 children>",
        "  a/",
        "  z  3 x 4  int64  (chunks 2 x 2)",
    ]
    assert repr(root["a/empty"]) == "<ZarrGroup 'a/empty', 0 children>"
    hidden = ZarrGroup(UnlistedStore(root.store))
    assert "children unknown" in repr(hidden)
    root.store.set("a/zarr.json", b"{")
    assert "children unknown" in repr(root)


def test_metadata_is_a_dict_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """`metadata` is the document; changing it changes nothing; `print_metadata` prints it."""
    root = sample()
    document = root.metadata
    assert document == {"zarr_format": 3, "node_type": "group", "attributes": {"top": 1}}
    document["attributes"]["top"] = 2
    assert root.attributes["top"] == 1
    root.print_metadata()
    assert '"top": 1' in capsys.readouterr().out
    assert root["z"].metadata["shape"] == [3, 4]
    again = ZarrArray(root.store, "z", root["z"].metadata)
    assert (again[...] == numbered((3, 4))).all()


# --- walking --------------------------------------------------------------------------------------


def test_walk_gives_parents_before_children() -> None:
    """`walk` gives every node below, depth first."""
    assert [node.path for node in sample().walk()] == ["a", "a/empty", "a/x", "z"]
    assert [node.name for node in sample()["a"].walk()] == ["empty", "x"]
    assert all(isinstance(node, ZarrNode) for node in sample().walk())


def test_what_is_no_node_is_left_out() -> None:
    """Prefixes without a document, reserved names and lone keys are no children."""
    root = sample()
    for key in ("c/0/0", "__reserved/zarr.json", "note.txt", "a/junk/deep/key"):
        root.store.set(key, root.store.get("a/zarr.json"))
    assert list(root) == ["a", "z"]
    assert list(root["a"]) == ["empty", "x"]
    assert "__reserved" not in root


def test_a_broken_child_is_an_error() -> None:
    """A malformed document below raises MetadataError with its key; it is not passed over."""
    root = sample()
    root.store.set("a/zarr.json", b"{}")
    with pytest.raises(MetadataError, match=r"a/zarr\.json"):
        list(root)
    assert root["z"].shape == (3, 4)


def test_a_store_that_cannot_list_has_no_iteration() -> None:
    """Without listing, lookups work, and whatever needs all children raises UnsupportedError."""
    group = ZarrGroup(UnlistedStore(sample().store))
    assert group["a/x"].shape == (5,)
    assert "z" in group
    for ask in (list, len, lambda g: g.children, lambda g: g.tree(), lambda g: list(g.walk())):
        with pytest.raises(UnsupportedError, match="cannot list"):
            ask(group)
    with pytest.raises(UnsupportedError):
        group.consolidate()


# --- creating and deleting ------------------------------------------------------------------------


def test_creating_makes_missing_parents() -> None:
    """Groups and arrays may be created several levels down."""
    root = ZarrGroup.create(MemoryStore())
    root.create_group("a/b/c", attributes={"deep": True})
    root.create_array("a/d/e", shape=3, dtype="i1", codecs="none")
    assert [node.path for node in root.walk()] == ["a", "a/b", "a/b/c", "a/d", "a/d/e"]
    assert root["a/b/c"].attributes == {"deep": True}
    below = root["a"].create_group("/f/")
    assert below.path == "a/f"


def test_data_may_be_assigned() -> None:
    """``group[path] = data`` creates an array of the data; what is there is not overwritten."""
    root = ZarrGroup.create(MemoryStore())
    root["a/x"] = numbered((2, 3))
    root["y"] = [1.5, 2.5]
    assert (root["a/x"][...] == numbered((2, 3))).all()
    assert root["y"].dtype == "f8"
    with pytest.raises(NodeExistsError):
        root["y"] = [1]
    assert root["y"][...].tolist() == [1.5, 2.5]


def test_require_group_takes_what_is_there() -> None:
    """`require_group` makes a group once, and refuses an array."""
    root = sample()
    assert root.require_group("a") == root["a"]
    assert list(root.require_group("a")) == ["empty", "x"]
    assert root.require_group("new/er").path == "new/er"
    with pytest.raises(NodeTypeError, match="'z' is an array"):
        root.require_group("z")


@pytest.mark.parametrize("kind", [*STORES, "local"])
def test_deleting_removes_all_below(kind: str, tmp_path: Path) -> None:
    """``del group[path]`` removes the node and everything below it, and nothing else."""
    root = sample(LocalStore(tmp_path) if kind == "local" else STORES[kind]())
    root["ab"] = [1]
    del root["a/x"]
    assert list(root["a"]) == ["empty"]
    del root["a"]
    assert list(root) == ["ab", "z"]
    assert not [key for key in root.store.list() if key.startswith("a/")]
    with pytest.raises(NodeNotFoundError):
        del root["a"]
    del root["z"]
    assert root.store.list() == ["ab/c/0", "ab/zarr.json", "zarr.json"]


def test_overwriting_a_group_removes_its_children() -> None:
    """`overwrite` makes an empty group; without it, NodeExistsError."""
    root = sample()
    with pytest.raises(NodeExistsError):
        root.create_group("a")
    again = root.create_group("a", overwrite=True, attributes={"new": 1})
    assert list(again) == []
    assert again.attributes == {"new": 1}
    assert list(ZarrGroup.create(root.store, overwrite=True)) == []


@pytest.mark.parametrize("path", ["", "/", "//"])
def test_a_group_does_not_create_itself(path: str) -> None:
    """A node below a group has a name: without one nothing is made, and nothing overwritten."""
    for group in (sample(), sample()["a"]):
        before = group.tree()
        for make in (group.create_group, group.require_group):
            with pytest.raises(InvalidKeyError):
                make(path)
        with pytest.raises(InvalidKeyError):
            group.create_group(path, overwrite=True)
        with pytest.raises(InvalidKeyError):
            group.create_array(path, data=[1], overwrite=True)
        with pytest.raises(InvalidKeyError):
            group[path] = [1]
        assert group.tree() == before


def test_a_read_only_store_can_be_read() -> None:
    """Groups in a store that cannot be written raise ReadOnlyError for every change."""
    group = ZarrGroup(ReadOnly(sample().store))
    assert group["a/x"].shape == (5,)
    for change in (
        lambda: group.create_group("new"),
        lambda: group.create_array("new", data=[1]),
        lambda: group.__delitem__("a"),
        lambda: group.attributes.clear(),
        lambda: group.require_group("a"),
    ):
        with pytest.raises(ReadOnlyError):
            change()


def test_groups_pickle_after_use() -> None:
    """A group goes through a pickle with its store, consolidated or not."""
    root = sample()
    list(root.walk())
    for group in (root, root["a"]):
        again = pickle.loads(pickle.dumps(group))
        assert again.tree() == group.tree()
    root.consolidate()
    again = pickle.loads(pickle.dumps(root))
    assert again.tree() == TREE
    assert again.metadata == root.metadata


# --- attributes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("path", ["a", "z"])
def test_attributes_persist_when_assigned(kind: str, path: str) -> None:
    """Every change of attributes is in the store at once, and changes nothing else."""
    root = sample(STORES[kind]())
    node = root[path]
    document = node.metadata
    node.attributes["x"] = 1
    node.attributes.update(y=[1, {"z": None}], x=2)
    assert open_zarr(root.store, path).attributes == {"x": 2, "y": [1, {"z": None}]}
    del node.attributes["x"]
    assert node.attributes.setdefault("y", 5) == [1, {"z": None}]
    assert open_zarr(root.store, path).attrs == {"y": [1, {"z": None}]}
    node.attributes = {"whole": True}
    assert open_zarr(root.store, path).attributes == {"whole": True}
    assert node.attributes.pop("whole") is True
    assert node.attributes.pop("whole", None) is None
    node.attributes.update({"a": 1}, b=2)
    node.attributes.clear()
    assert open_zarr(root.store, path).metadata == {**document, "attributes": {}}


def test_attributes_are_a_mapping() -> None:
    """Attributes compare, iterate and show like a dict."""
    attributes = ZarrGroup.create(MemoryStore(), attributes={"b": 1, "a": 2}).attributes
    assert attributes == {"b": 1, "a": 2}
    assert attributes == ZarrGroup.create(MemoryStore(), attributes=attributes).attributes
    assert attributes != {"b": 1}
    assert list(attributes) == ["b", "a"]
    assert len(attributes) == 2
    assert repr(attributes) == "{'b': 1, 'a': 2}"
    with pytest.raises(KeyError):
        attributes["c"]
    with pytest.raises(KeyError):
        del attributes["c"]
    with pytest.raises(TypeError):
        hash(attributes)


def test_a_group_of_changes_is_one_write() -> None:
    """`update`, `clear` and assignment of the whole are one write each."""
    store = CountingStore(PlainStore())
    group = ZarrGroup.create(store)
    for change in (
        lambda: group.attributes.update(a=1, b=2, c=3),
        lambda: group.attributes.clear(),
        lambda: setattr(group, "attributes", {"x": 1, "y": 2}),
    ):
        store.seen  # noqa: B018
        change()
        assert store.seen == [("get", "zarr.json"), ("set", "zarr.json")]


def test_numpy_scalars_become_json() -> None:
    """numpy's numbers and arrays, and tuples, are stored as numbers and lists."""
    group = ZarrGroup.create(MemoryStore(), attributes={"i": np.int8(5)})
    group.attributes["f"] = np.float32(0.5)
    group.attributes["b"] = np.True_
    group.attributes["a"] = np.arange(3)
    group.attributes["t"] = (1, (2,))
    expected = {"i": 5, "f": 0.5, "b": True, "a": [0, 1, 2], "t": [1, [2]]}
    assert group.attributes == expected
    assert open_zarr(group.store).attributes == expected
    assert type(group.attributes["i"]) is int


@pytest.mark.parametrize("value", [{1}, object(), np.nan, float("inf"), {1: 2}, b"x", 1j])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    """A value without a form in JSON raises MetadataError, and all attributes stay as they were."""
    group = ZarrGroup.create(MemoryStore(), attributes={"kept": 1})
    before = group.store.get("zarr.json")
    for change in (
        lambda: group.attributes.__setitem__("x", value),
        lambda: group.attributes.update(y=2, x={"deep": [value]}),
        lambda: setattr(group, "attributes", {"x": value}),
    ):
        with pytest.raises(MetadataError, match="attributes"):
            change()
        assert group.attributes == {"kept": 1}
        assert group.store.get("zarr.json") == before


@pytest.mark.parametrize("name", [1, None, ("a",)])
def test_an_attribute_has_a_text_for_a_name(name: Any) -> None:
    """Names that are no text are refused, not turned into one."""
    group = ZarrGroup.create(MemoryStore(), attributes={"kept": 1})
    with pytest.raises(MetadataError):
        group.attributes[name] = 1
    assert open_zarr(group.store).attributes == {"kept": 1}


def test_two_handles_do_not_undo_each_other() -> None:
    """A change is made to what the store holds, not to what the object remembers."""
    one = ZarrGroup.create(MemoryStore())
    two = ZarrGroup(one.store)
    one.attributes["a"] = 1
    two.attributes["b"] = 2
    del one.attributes["a"]
    assert two.attributes == {"a": 1, "b": 2}
    two.refresh()
    assert two.attributes == one.attributes == {"b": 2}
    array = one.create_array("x", shape=3, dtype="i4", codecs="none")
    other = ZarrArray(one.store, "x")
    array.resize(5)
    other.attributes["seen"] = True
    assert (other.shape, open_zarr(one.store, "x").shape) == ((5,), (5,))


def test_what_an_attribute_gives_is_a_copy() -> None:
    """Changing a list that was read does not change the attribute; assigning it does."""
    group = ZarrGroup.create(MemoryStore(), attributes={"a": [1]})
    found = group.attributes["a"]
    found.append(2)
    assert group.attributes["a"] == [1]
    group.attributes["a"] = found
    found.append(3)
    assert open_zarr(group.store).attributes["a"] == [1, 2]


def test_a_node_that_is_gone_cannot_be_changed() -> None:
    """After its deletion a node raises NodeNotFoundError for every change and for `refresh`."""
    root = sample()
    z, a = root["z"], root["a"]
    del root["z"]
    for change in (lambda: z.attributes.update(x=1), lambda: z.resize((1, 1)), z.refresh):
        with pytest.raises(NodeNotFoundError):
            change()
    root.create_array("a", data=[1], overwrite=True)
    with pytest.raises(NodeTypeError, match="replaced"):
        a.attributes["x"] = 1
    with pytest.raises(NodeTypeError):
        a.refresh()


# --- hierarchies at random ------------------------------------------------------------------------

names = st.text(st.sampled_from("ab.-_ é"), min_size=1, max_size=3).filter(
    lambda name: name.strip(".") and not name.startswith("__")
)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(paths, st.booleans(), max_size=8))
def test_any_hierarchy_is_found_again(wanted: dict[str, bool]) -> None:
    """What was created, and all groups above it, is what a walk finds, consolidated or not."""
    root = ZarrGroup.create(MemoryStore())
    expected: dict[str, type] = {}
    for path, is_group in wanted.items():
        above = ["/".join(path.split("/")[:i]) for i in range(1, path.count("/") + 1)]
        try:
            if is_group:
                root.create_group(path)
            else:
                root.create_array(path, shape=(), dtype="i1", codecs="none")
        except NodeExistsError:
            assert path in expected or any(expected.get(up) is ZarrArray for up in above)
            continue
        expected |= dict.fromkeys(above, ZarrGroup) | {path: ZarrGroup if is_group else ZarrArray}
    assert {node.path: type(node) for node in root.walk()} == expected
    root.consolidate()
    again = open_zarr(root.store)
    assert {node.path: type(node) for node in again.walk()} == expected
    assert all(again[path].path == path for path in expected)


@pytest.mark.parametrize("slow", [False, True])
def test_several_nodes_are_had_at_once(slow: bool) -> None:
    """They come in the order asked for, also twice; one that is missing is the error."""
    root = sample()
    group = open_zarr(SlowStore(root.store, base_delay=0.001)) if slow else root
    nodes = group.get_nodes(path for path in ("z", "a/x", "a", "z"))
    assert [node.path for node in nodes] == ["z", "a/x", "a", "z"]
    assert [type(node) for node in nodes] == [ZarrArray, ZarrArray, ZarrGroup, ZarrArray]
    assert group.get_nodes([]) == []
    with pytest.raises(NodeNotFoundError, match="'a/none'"):
        group.get_nodes(["z", "a/none"])


def test_many_nodes_take_the_time_of_one() -> None:
    """From a network they are asked for side by side."""
    root = ZarrGroup.create(MemoryStore())
    for number in range(64):
        root.create_array(str(number), shape=3, dtype="i4")
    clock = VirtualClock()
    far = open_zarr(SlowStore(root.store, base_delay=0.05, clock=clock))
    begin = clock.now()
    far.get_nodes(map(str, range(64)))
    assert clock.now() - begin == pytest.approx(0.05, abs=1e-9)
