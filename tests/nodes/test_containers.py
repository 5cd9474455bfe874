"""The containers of blosc2, written by blosc2 itself, as groups."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blosc2
import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import storekit as sk
from storekit.errors import (
    CorruptFrameError,
    NodeNotFoundError,
    ReadOnlyError,
    StorekitError,
    UnsupportedError,
)
from storekit.frames.embedded import EmbeddedFrames, Place, parse_map
from storekit.frames.log import LogHome
from storekit.frames.memory import MemoryHome
from storekit.nodes.containers import ContainerGroup
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.unread import UnreadNode
from storekit.simulation import VirtualClock
from storekit.stores import MemoryStore, SlowStore, TraceStore

ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "/a": np.arange(10),
    "/deep/er/b": np.linspace(0, 1, 600, dtype="f4").reshape(20, 30),
    "/deep/c": np.array([[True, False], [False, True]]),
    "/deep/empty": np.zeros((0, 3), "u2"),
    "/dates": np.arange("2020-01", "2020-05", dtype="M8[D]"),
    "/random": np.random.default_rng(5).integers(0, 1 << 60, (40, 200)),
    "/zeros": np.zeros((500, 20)),
}
TREE = """\
/
├── a  10  int64  (chunks 10)
├── dates  121  datetime64[D]  (chunks 121)
├── deep/
│   ├── c  2 x 2  bool  (chunks 2 x 2)
│   ├── empty  0 x 3  uint16  (chunks 1 x 3)
│   └── er/
│       └── b  20 x 30  float32  (chunks 20 x 30)
├── random  40 x 200  int64  (chunks 40 x 200)
└── zeros  500 x 20  float64  (chunks 500 x 20)"""


def embed(folder: Path) -> Path:
    """An EmbedStore with the arrays."""
    store = blosc2.EmbedStore(str(folder / "e.b2e"), mode="w")
    for name, array in ARRAYS.items():
        store[name] = array
    return folder / "e.b2e"


def tree(folder: Path, name: str = "t.b2d", kind: Any = blosc2.TreeStore) -> Path:
    """A TreeStore or a DictStore with the arrays, some of them in files of their own."""
    with kind(str(folder / name), mode="w", threshold=2000) as store:
        for path, array in ARRAYS.items():
            store[path] = array
    return folder / name


KINDS: dict[str, Callable[[Path], Path]] = {
    "embed": embed,
    "tree directory": tree,
    "tree archive": lambda folder: tree(folder, "t.b2z"),
    "dict directory": lambda folder: tree(folder, "d.b2d", blosc2.DictStore),
    "dict archive": lambda folder: tree(folder, "d.b2z", blosc2.DictStore),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_what_blosc2_wrote_is_a_group(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """Every container is a group that has its arrays where their names say, with their elements."""
    root = sk.open(make(tmp_path))
    assert isinstance(root, ContainerGroup)
    for name, expected in ARRAYS.items():
        found = root[name]
        assert isinstance(found, FrameArray)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert (found[...] == expected).all()
        assert found.path == name[1:]
    assert {f"/{node.path}" for node in root.walk() if isinstance(node, sk.Array)} == {*ARRAYS}
    assert root.tree() == TREE
    assert len(root) == len(list(root)) == len(root.keys()) == 5
    assert "deep/er" in root
    assert root["deep"]["er/b"] == root["deep/er/b"]
    assert root["deep"] != root["deep/er"]
    for absent in ("b", "deep/a", "a/x", "", "deep/er/b/x"):
        assert absent not in root
    with pytest.raises(NodeNotFoundError, match="'nothing'"):
        root["nothing"]


def test_a_path_in_a_container_is_opened(tmp_path: Path) -> None:
    """`open` takes a path in a container, of an array as of a group."""
    for path in (embed(tmp_path), tree(tmp_path), tree(tmp_path, "t.b2z")):
        assert sk.open(path, "deep/er/b")[1, 2] == ARRAYS["/deep/er/b"][1, 2]
        assert list(sk.open(path, "/deep/")) == ["c", "empty", "er"]
        with pytest.raises(NodeNotFoundError):
            sk.open(path, "deep/x")


def test_containers_are_read_only(tmp_path: Path) -> None:
    """A container cannot be opened to be changed, nor can anything in it."""
    for path in (embed(tmp_path), tree(tmp_path), tree(tmp_path, "t.b2z")):
        with pytest.raises(ReadOnlyError):
            sk.open(path, mode="a")
        root = sk.open(path)
        with pytest.raises(ReadOnlyError):
            root["a"][0] = 1
        with pytest.raises(ReadOnlyError):
            root.attributes["x"] = 1
        with pytest.raises(ReadOnlyError):
            del root.attributes["x"]
        with pytest.raises(ReadOnlyError):
            root["x"] = np.arange(3)
        with pytest.raises(ReadOnlyError):
            del root["a"]


def test_the_metadata_of_a_tree_are_attributes(tmp_path: Path) -> None:
    """What a TreeStore says of its root and of its groups are attributes, and no nodes."""
    for name in ("t.b2d", "t.b2z"):
        with blosc2.TreeStore(str(tmp_path / name), mode="w") as store:
            store["/g/a"] = np.arange(3)
            store.vlmeta["author"] = "me"
            store["/g"].vlmeta["sizes"] = {"a": [1, 2]}
        root = sk.open(tmp_path / name)
        assert dict(root.attributes) == {"author": "me"}
        assert dict(root["g"].attrs) == {"sizes": {"a": [1, 2]}}
        assert [node.path for node in root.walk()] == ["g", "g/a"]
        assert "__vlmeta__" not in root


# Chunks of -1 bytes, of which there are none.
EMPTY_STORE_OF_4_5 = bytes.fromhex(
    "9ea862326672616d6500d20000007ccf000000000000009fa412005502d30000000000000000d30000000000000000"
    "d200000001d200000000d2ffffffffd10002d10002c2d8060000000000010500000000000000000093cd0013de0001"
    "a6623274726565d20000006ddc0001c60000000a81a776657273696f6e01940193cd0006de0000dc0000ce00000023"
    "d80000000000000000000000000000000000"
)


def test_a_tree_of_an_older_blosc2_is_read(tmp_path: Path) -> None:
    """The store of blosc2 4.5 in which a tree keeps small arrays may be empty."""
    (tmp_path / "t.b2d").mkdir()
    (tmp_path / "t.b2d" / "embed.b2e").write_bytes(EMPTY_STORE_OF_4_5)
    sk.frames.save(np.arange(3), tmp_path / "t.b2d" / "a.b2nd")
    root = sk.open(tmp_path / "t.b2d")
    assert [node.path for node in root.walk()] == ["a"]
    assert (root["a"][...] == np.arange(3)).all()


def test_an_array_may_lie_over_another(tmp_path: Path) -> None:
    """Of an array ``a`` and another ``a/b``, which groups cannot have, both are children."""
    store = blosc2.EmbedStore(str(tmp_path / "e.b2e"), mode="w")
    for name in ("/g/a", "/g/a/b/c", "/g/x/y"):
        store[name] = np.arange(len(name))
    group = sk.open(tmp_path / "e.b2e")["g"]
    assert {name: len(node) for name, node in group.items()} == {"a": 4, "a/b/c": 8, "x": 1}
    assert len(group["a/b/c"]) == len(group["a"]) + 4 == 8


def test_what_is_no_array_is_shown_and_not_opened(tmp_path: Path) -> None:
    """Objects, batches, expressions and references are children of another kind; nothing runs."""
    with blosc2.TreeStore(str(tmp_path / "t.b2d"), mode="w") as store:
        store["/array"] = np.arange(3)
        objects = blosc2.ObjectArray()
        objects.append({"a": 1})
        store["/objects"] = objects
        batches = blosc2.BatchArray()
        batches.append([1, 2])
        store["/batches"] = batches
    source = blosc2.arange(9, urlpath=str(tmp_path / "source.b2nd"), mode="w")
    (source + 1).save(str(tmp_path / "t.b2d" / "lazy.b2nd"))
    root = sk.open(tmp_path / "t.b2d")
    assert sorted(root.arrays) == ["array"]
    for name, reason in (("objects", "objects"), ("batches", "various"), ("lazy", "expression")):
        assert isinstance(root.children[name], UnreadNode)
        assert reason in root.children[name].summary
        with pytest.raises(UnsupportedError, match=reason):
            root[name]


def map_of(entries: object) -> Any:
    """A frame that says that there are others in its 100 bytes."""

    class Fake:
        class header:  # noqa: N801
            nbytes = 100

        class trailer:  # noqa: N801
            class layers(dict[str, bytes]):  # noqa: N801
                def content(self, name: str) -> bytes:
                    return self[name]

    Fake.trailer.layers = Fake.trailer.layers(  # type: ignore[assignment,misc]
        estore_metadata=msgpack.packb({"embed_map": entries, "current_offset": 5})
    )
    return Fake


@given(
    offset=st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-2, 102),
    length=st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-2, 102),
)
def test_frames_lie_within_the_content(offset: int, length: int) -> None:
    """A place that is not within the content is refused, every other is taken."""
    frame = map_of({"/a": {"offset": offset, "length": length}})
    if offset >= 0 and length > 0 and offset + length <= 100:
        assert parse_map(frame) == {"/a": Place(offset, length)}
    else:
        with pytest.raises(CorruptFrameError, match="'/a'"):
            parse_map(frame)


@pytest.mark.parametrize(
    "entries",
    [
        None,
        [1],
        {"/a": None},
        {"/a": {"offset": 0}},
        {"/a": {"offset": 1.5, "length": 3}},
        {"/a": {"offset": True, "length": "3"}},
        {b"/a": {"offset": 0, "length": 3}},
    ],
)
def test_a_map_that_is_none_is_refused(entries: object) -> None:
    """Whatever else stands where the map should be is damage."""
    with pytest.raises(CorruptFrameError):
        parse_map(map_of(entries))


def test_references_are_not_followed() -> None:
    """A reference to an array on a server is known as one, and nobody is asked."""
    assert parse_map(map_of({"/a": {"urlbase": "http://127.0.0.1:9", "path": "x"}})) == {"/a": None}


@pytest.mark.parametrize("name", ["/../x", "/", "//x", "/a/../b", "/.", "/x/"])
def test_names_that_are_no_paths_are_refused(name: str, tmp_path: Path) -> None:
    """A name that cannot be the path of a node is refused, before anything is looked for there."""
    store = blosc2.EmbedStore(str(tmp_path / "e.b2e"), mode="w")
    store["/a"] = np.arange(4)
    metadata = store._store.vlmeta["estore_metadata"]
    metadata["embed_map"][name] = metadata["embed_map"]["/a"]
    store._store.vlmeta["estore_metadata"] = metadata
    with pytest.raises(UnsupportedError, match="name"):
        sk.open(tmp_path / "e.b2e")


def test_every_range_of_an_embedded_frame(tmp_path: Path) -> None:
    """The store of embedded frames answers like one that has them as values."""
    home = LogHome(str(embed(tmp_path)))
    places = {name[1:]: place for name, place in parse_map(home.snapshot().frame).items() if place}
    store = EmbeddedFrames(home, places)
    whole = blosc2.open(str(tmp_path / "e.b2e"))
    raw = bytes(whole._store[:])
    peer = MemoryStore({name: raw[p.offset : p.offset + p.length] for name, p in places.items()})
    assert store.get("random") == peer.get("random")
    ranges = [(0, None), (-100, None), (8000, 5000), (1 << 40, 3), (5, 0), (-(1 << 50), 7)]
    for name in places:
        asked = [(name, *each) for each in ranges]
        assert store.get_partial_values(asked) == peer.get_partial_values(asked)
        assert store.getsize(name) == peer.getsize(name)
    assert store.get_partial_values([("nothing", 0, 1)]) == [None]


def test_arrays_without_elements_can_grow(tmp_path: Path) -> None:
    """An array of blosc2's without elements is read, made longer and filled, and blosc2 sees it."""
    path = str(tmp_path / "x.b2nd")
    blosc2.asarray(np.zeros((0, 3)), urlpath=path, mode="w")
    array = sk.open(path, mode="a")
    assert array[...].shape == (0, 3)
    array.resize((2, 3))
    array[...] = 7
    assert (blosc2.open(path)[:] == np.full((2, 3), 7)).all()


def test_a_damaged_container_is_an_error(tmp_path: Path) -> None:
    """Flipped bytes and cut files end in errors of ours, or in what was there; never in a crash."""
    raw = embed(tmp_path).read_bytes()
    rng = np.random.default_rng(1)
    for number in range(150):
        damaged = bytearray(raw)
        damaged[rng.integers(len(raw))] ^= 1 << int(rng.integers(8))
        if number % 5 == 0:
            del damaged[rng.integers(len(raw)) :]
        store = MemoryStore({"e.b2e": bytes(damaged)})
        try:
            root = sk.open(store, "e.b2e")
            for node in root.walk() if isinstance(root, sk.Group) else [root]:
                if isinstance(node, sk.Array):
                    node[...]
        except StorekitError:
            continue


def test_an_array_with_such_a_name_is_no_container(tmp_path: Path) -> None:
    """An EmbedStore over an array, which blosc2 does not write, is refused."""
    meta = {"b2embed": {"version": 1}}
    blosc2.asarray(np.arange(9), urlpath=str(tmp_path / "x.b2nd"), mode="w", meta=meta)
    with pytest.raises(UnsupportedError, match="inside of an array"):
        sk.open(tmp_path / "x.b2nd")


def test_a_container_without_its_frame_is_none(tmp_path: Path) -> None:
    """A directory without ``embed.b2e`` is no container; frames in it can be opened by name."""
    path = tree(tmp_path)
    (path / "embed.b2e").unlink()
    with pytest.raises(NodeNotFoundError):
        sk.open(path)
    assert sk.open(path, "random.b2nd").shape == (40, 200)


def test_archives_may_be_deflated(tmp_path: Path) -> None:
    """An archive that was packed anew, by another program, is read as well."""
    path = tree(tmp_path)
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", path)
    with zipfile.ZipFile(packed) as archive:
        assert {entry.compress_type for entry in archive.infolist() if entry.file_size} == {8}
    for name in ("packed.zip", "packed.b2z", "packed"):
        Path(packed).rename(tmp_path / name)
        packed = str(tmp_path / name)
        assert sk.open(tmp_path / name).tree() == TREE


def test_what_opening_a_container_costs(tmp_path: Path) -> None:
    """A tree from afar costs a read and a listing, an array in it a read, its elements another."""
    source = tree(tmp_path)
    files = {str(p.relative_to(source)): p.read_bytes() for p in source.rglob("*") if p.is_file()}
    memory = MemoryStore({f"x/t.b2d/{name}": value for name, value in files.items()})
    store = TraceStore(SlowStore(memory, clock=VirtualClock()))
    root = sk.open(store, "x/t.b2d")
    store.trace.assert_calls(get_partial_values=1, list_prefix=1, exactly=True)
    array = root["random"]
    store.trace.assert_calls(get_partial_values=2, list_prefix=1, exactly=True)
    assert array[3, 4] == ARRAYS["/random"][3, 4]
    store.trace.assert_calls(get_partial_values=3, list_prefix=1, exactly=True)


def test_stores_that_cannot_list_say_so() -> None:
    """A directory is found by listing; where that cannot be done, an error says what helps."""

    class Unlisted(sk.ReadableStore):
        identity = "unlisted"

        def _get(self, key: str) -> bytes:
            raise sk.errors.KeyNotFoundError(key)

    with pytest.raises(UnsupportedError, match=r"\.b2z"):
        sk.open(Unlisted(), "t.b2d")


def test_memory_homes_hold_containers(tmp_path: Path) -> None:
    """A container in a frame in memory is one, too."""
    home = LogHome(str(embed(tmp_path)))
    frame = home.snapshot().frame
    chunks = {int(o): bytes(home.snapshot().read([(int(o), (0, None))])[0]) for o in frame.offsets}
    places = {n[1:]: place for n, place in parse_map(frame).items() if place}
    store = EmbeddedFrames(MemoryHome(frame, chunks), places)
    assert store.get("a") == EmbeddedFrames(home, places).get("a")
