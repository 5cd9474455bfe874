"""`open` finds out what a URL, a path or a key holds, by few requests."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest
from servers.moto_server import Moto
from servers.moto_server import moto as moto

import storekit as sk
from storekit import frames
from storekit.errors import (
    CorruptFrameError,
    NodeNotFoundError,
    NotAFrameError,
    ReadOnlyError,
    StoreError,
    UnsupportedError,
)
from storekit.frames.log import LogHome
from storekit.nodes.containers import ContainerGroup
from storekit.nodes.frame_array import FrameArray
from storekit.stores import urls

DATA = np.arange(60).reshape(6, 10)


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves a named store behind."""
    monkeypatch.setattr(urls, "_memories", dict(urls._memories))


def keys_at(url: str, **options: Any) -> Any:
    """The store at a URL; one that can be written."""
    return sk.open_store(url, **options)


def frame() -> bytes:
    """A frame of blosc2's with the data."""
    made: bytes = blosc2.asarray(DATA, chunks=(3, 10), blocks=(3, 5)).to_cframe()
    return made


def embedding(folder: Path) -> bytes:
    """An EmbedStore of blosc2's with the data."""
    store = blosc2.EmbedStore(str(folder / "made.b2e"), mode="w")
    store["/g/a"] = DATA
    return (folder / "made.b2e").read_bytes()


def archive(folder: Path) -> bytes:
    """A TreeStore of blosc2's with the data."""
    with blosc2.TreeStore(str(folder / "made.b2z"), mode="w") as store:
        store["/g/a"] = DATA
    return (folder / "made.b2z").read_bytes()


def sparse(folder: Path) -> dict[str, bytes]:
    """The files of a sparse frame of blosc2's with the data."""
    blosc2.asarray(DATA, chunks=(3, 10), urlpath=str(folder / "made"), contiguous=False, mode="w")
    return {path.name: path.read_bytes() for path in (folder / "made").iterdir()}


@pytest.fixture
def traced(tmp_path: Path) -> sk.TraceStore:
    """A store with one of everything, under names that say what it is and under others."""
    store = sk.MemoryStore()
    values = {"b2nd": frame(), "b2e": embedding(tmp_path), "b2z": archive(tmp_path)}
    for suffix, value in values.items():
        store.set(f"d/x.{suffix}", value)
        store.set(f"d/{suffix}", value)
    for name, value in sparse(tmp_path).items():
        store.set(f"d/sparse/{name}", value)
        store.set(f"d/sparse.b2nd/{name}", value)
    sk.ZarrArray.create(store, "d/zarr", data=DATA)
    sk.ZarrArray.create(store, "d/zarr.b2nd", data=DATA)
    return sk.TraceStore(sk.SlowStore(store, clock=sk.VirtualClock()))


def check(node: Any) -> None:
    """It is the data, or a group with them."""
    if isinstance(node, sk.Group):
        assert isinstance(node, ContainerGroup)
        node = node["g/a"]
    assert (node[...] == DATA).all()


@pytest.mark.parametrize(
    ("path", "calls"),
    [
        ("d/zarr", {"get": 1}),
        ("d/zarr.b2nd", {"get_partial_values": 1, "get": 1}),
        ("d/x.b2nd", {"get_partial_values": 1}),
        ("d/x.b2e", {"get_partial_values": 1}),
        ("d/x.b2z", {"get_partial_values": 2}),
        ("d/sparse.b2nd", {"get_partial_values": 2, "get": 4}),
        ("d/sparse", {"get_partial_values": 1, "get": 4}),
        ("d/b2nd", {"get_partial_values": 2, "get": 3}),
        ("d/b2e", {"get_partial_values": 2, "get": 3}),
        ("d/b2z", {"get_partial_values": 5, "get": 3}),
    ],
)
def test_what_it_costs_to_find_out(traced: sk.TraceStore, path: str, calls: Any) -> None:
    """
    What its name tells, and Zarr, is found by one call of the store; what no name tells after Zarr
    has been looked for in vain.
    """
    node = sk.open(traced, path)
    traced.trace.assert_calls(**calls, exactly=True)
    check(node)


def test_what_is_nowhere(traced: sk.TraceStore) -> None:
    """After three requests for Zarr one for all else is enough to know that nothing is there."""
    with pytest.raises(NodeNotFoundError, match="nothing"):
        sk.open(traced, "d/nothing")
    traced.trace.assert_calls(get=3, get_partial_values=1, exactly=True)
    for path in ("nothing.b2nd", "nothing.b2z", "nothing.b2d"):
        with pytest.raises(NodeNotFoundError):
            sk.open(traced, path)


def test_urls_of_values(tmp_path: Path, moto: Moto) -> None:
    """A URL may lead to a frame or a container, in memory as in a bucket, with any name."""
    bucket = moto.bucket()
    places: list[tuple[str, dict[str, Any]]] = [
        ("memory://opened/deep/", {}),
        (f"s3://{bucket}/deep/", moto.obstore),
    ]
    for base, options in places:
        with keys_at(base, **options) as store:
            values = {"x.b2nd": frame(), "frame": frame(), "x.b2z": archive(tmp_path)}
            values |= {"x y.b2e": embedding(tmp_path), "archive": archive(tmp_path)}
            values |= {f"sparse/{name}": value for name, value in sparse(tmp_path).items()}
            for name, value in values.items():
                store.set(name, value)
        for name in ("x.b2nd", "frame", "x.b2z", "x y.b2e", "archive", "sparse"):
            check(sk.open(base + name, **options))
        check(sk.open(base + "x.b2z", "g/a", **options))
        check(sk.open(base, "x.b2nd", **options))
        check(sk.open(f"zip::{base}x.b2z", "g/a", **options))
        with pytest.raises(NodeNotFoundError, match="which is an array"):
            sk.open(base + "x.b2nd", "a", **options)
        for name in ("nothing", "nothing.b2nd", "nothing/"):
            with pytest.raises(NodeNotFoundError):
                sk.open(base + name, **options)
    assert [line for line, _ in moto.requests if "x.b2nd" in line and "GET" in line] != []


def test_members_of_archives(tmp_path: Path) -> None:
    """A frame in a zip archive is opened by its name there, or by a chain."""
    with sk.ZipStore(tmp_path / "a.zip", "w") as store:
        store.set("d/x.b2nd", frame())
    check(sk.open(tmp_path / "a.zip", "d/x.b2nd"))
    check(sk.open(f"zip://d/x.b2nd::{tmp_path}/a.zip"))
    check(sk.open(f"zip://d::file://{tmp_path}/a.zip", "x.b2nd"))


@pytest.mark.parametrize("name", ["x.b2nd", "x", "x.zip.b2frame", "a b%20c"])
def test_files_are_known_by_their_content(tmp_path: Path, name: str) -> None:
    """A local file is what its first bytes say, whatever its name, and however it is named."""
    path = tmp_path / name
    for made in (frame(), embedding(tmp_path), archive(tmp_path)):
        path.write_bytes(made)
        for url in (path, str(path)):
            check(sk.open(url))
        check(sk.open(tmp_path, name))
        check(sk.open(sk.LocalStore(tmp_path), name))
    check(sk.open(path.as_uri()))
    check(sk.open(path.as_uri(), driver="zip"))


def test_directories_are_looked_into(tmp_path: Path) -> None:
    """A local directory may be a sparse frame or a container, with any name."""
    sparse(tmp_path)
    check(sk.open(tmp_path / "made"))
    check(sk.open(tmp_path, "made"))
    for name in ("t.b2d", "tree"):
        with blosc2.TreeStore(str(tmp_path / "t.b2d"), mode="w") as store:
            store["/g/a"] = DATA
        os.rename(tmp_path / "t.b2d", tmp_path / name)
        check(sk.open(tmp_path / name))
        check(sk.open(tmp_path, name))
        check(sk.open(tmp_path / name, "g/a"))


def everywhere(folder: Path) -> list[Callable[..., Any]]:
    """Ways to open a frame of which each has one of its own."""
    (folder / "x.b2nd").write_bytes(frame())
    memory = sk.MemoryStore({"x.b2nd": frame()})
    (folder / "sparse").mkdir()
    for name, value in sparse(folder).items():
        (folder / "sparse" / name).write_bytes(value)
    with keys_at("memory://modes") as store:
        store.set("x.b2nd", frame())
    return [
        lambda **mode: sk.open(folder / "x.b2nd", **mode),
        lambda **mode: sk.open(memory, "x.b2nd", **mode),
        lambda **mode: sk.open(folder / "sparse", **mode),
        lambda **mode: sk.open("memory://modes/x.b2nd", **mode),
    ]


def test_frames_are_changed_only_on_demand(tmp_path: Path) -> None:
    """A frame is read-only unless the mode is ``"a"``; then changes are there for the next one."""
    for opened in everywhere(tmp_path):
        for mode in ({}, {"mode": "r"}):
            with pytest.raises(ReadOnlyError):
                opened(**mode)[0] = 1
        opened(mode="a")[0, 0] = 99
        assert opened()[0, :2].tolist() == [99, 1]


def test_zarr_is_read_only_if_it_shall_be(tmp_path: Path) -> None:
    """Zarr nodes can be changed if the store can, unless the mode says otherwise."""
    sk.ZarrGroup.create(sk.LocalStore(tmp_path)).create_array("a", data=DATA)
    for mode in (None, "a"):
        sk.open(tmp_path, "a", mode=mode)[0, 0] = 5
    with pytest.raises(ReadOnlyError):
        sk.open(tmp_path, mode="r")["a"][0, 0] = 6
    assert sk.open(tmp_path, "a", mode="r")[0, 0] == 5


def test_archives_are_changed_only_on_demand(tmp_path: Path) -> None:
    """A local zip archive with Zarr nodes is written in mode ``"a"`` alone, and never made."""
    path = tmp_path / "a.zip"
    with sk.ZipStore(path, "w") as store:
        sk.ZarrArray.create(store, "a", data=DATA)
    with pytest.raises(ReadOnlyError):
        sk.open(path, "a")[0, 0] = 1
    array = sk.open(path, "a", mode="a")
    array[0, 0] = 9
    array.store.close()
    assert sk.open(path, "a")[0, 0] == 9
    with pytest.raises(NodeNotFoundError):
        sk.open(tmp_path / "new.zip", mode="a")
    assert not (tmp_path / "new.zip").exists()


@pytest.mark.parametrize("mode", ["w", "x", "r+", "", 3])
def test_other_modes_are_refused(tmp_path: Path, mode: Any) -> None:
    """Nothing is opened in a mode that is not known."""
    made = frame()
    (tmp_path / "x.b2nd").write_bytes(made)
    with pytest.raises(ValueError, match="mode must be 'r' or 'a'"):
        sk.open(tmp_path / "x.b2nd", mode=mode)
    assert (tmp_path / "x.b2nd").read_bytes() == made


def test_what_cannot_be_written_is_not_opened_to_be(tmp_path: Path) -> None:
    """A frame in a store that only reads, or in an archive, cannot be opened to be changed."""
    with sk.ZipStore(tmp_path / "a.zip", "w") as store:
        store.set("x.b2nd", frame())
    kept: Any = sk.ReadOnlyStore(sk.MemoryStore({"x.b2nd": frame()}))
    with pytest.raises(ReadOnlyError):
        sk.open(kept, "x.b2nd", mode="a")
    with pytest.raises(ReadOnlyError):
        sk.open(f"zip://x.b2nd::{tmp_path}/a.zip", mode="a")


def test_hdf5_is_refused_by_name(tmp_path: Path) -> None:
    """An HDF5 file is told apart from damage, wherever it is."""
    head = b"\x89HDF\r\n\x1a\n" + bytes(100)
    (tmp_path / "x.h5").write_bytes(head)
    (tmp_path / "x").write_bytes(head)
    with keys_at("memory://hdf") as store:
        store.set("x.h5", head)
        store.set("x", head)
    for url in (tmp_path / "x.h5", tmp_path / "x", "memory://hdf/x.h5", "memory://hdf/x"):
        with pytest.raises(UnsupportedError, match="HDF5"):
            sk.open(url)


@pytest.mark.parametrize("content", [b"", b"text", b"\x9e\xa8b2frame\0", frame()[:-1], bytes(500)])
def test_damage_is_no_absence(tmp_path: Path, content: bytes) -> None:
    """A file or a value that is called a frame, and is none, is damaged, and not absent."""
    (tmp_path / "x.b2nd").write_bytes(content)
    store = sk.MemoryStore({"x.b2nd": content})
    with pytest.raises(CorruptFrameError):
        sk.open(tmp_path / "x.b2nd")
    with pytest.raises(CorruptFrameError):
        sk.open(store, "x.b2nd")


def test_other_files_are_no_nodes(tmp_path: Path) -> None:
    """A file of another kind is an error that says so; under a key it is no node."""
    (tmp_path / "notes.txt").write_bytes(b"text")
    for path in ("", "a/b"):
        with pytest.raises(NotAFrameError, match="txt' is no frame, no archive"):
            sk.open(tmp_path / "notes.txt", path)
    with pytest.raises(StoreError, match="not a directory"):
        sk.open(tmp_path / "notes.txt", driver="local")
    with pytest.raises(NodeNotFoundError):
        sk.open(sk.MemoryStore({"notes.txt": b"text"}), "notes.txt")


def test_a_frame_that_is_absent_is_named() -> None:
    """Where a name is that of a frame, the error speaks of this key, and not of a Zarr node."""
    for arguments in (("memory://none/a/x.b2nd",), (sk.MemoryStore(), "x.b2nd")):
        with pytest.raises(NodeNotFoundError) as caught:
            sk.open(*arguments)
        assert "no key 'x.b2nd'" in str(caught.value)
        assert "zarr.json" not in str(caught.value)


def test_a_sparse_frame_has_the_name_of_its_directory(tmp_path: Path) -> None:
    """Wherever a frame is opened from a path, its name is the last part of it."""
    for contiguous in (True, False):
        frames.save(DATA, tmp_path / f"{contiguous}.b2nd", contiguous)
        for path in (tmp_path / f"{contiguous}.b2nd", f"{tmp_path}/./{contiguous}.b2nd/"):
            assert sk.open(path).name == f"{contiguous}.b2nd"


def test_options_are_for_stores(tmp_path: Path) -> None:
    """A frame in a local file takes no options, and an open store none, either."""
    (tmp_path / "x.b2nd").write_bytes(frame())
    with pytest.raises(TypeError, match="durable"):
        sk.open(tmp_path / "x.b2nd", durable=True)
    with pytest.raises(ValueError, match="options"):
        sk.open(sk.MemoryStore(), mode="r", driver="local")


def lazy(path: str) -> None:
    """An expression."""
    source = blosc2.asarray(DATA, urlpath=path + ".source", mode="w")
    (source + 1).save(path)


def proxy(path: str) -> None:
    """What was fetched by a proxy: the first of two chunks."""
    source = blosc2.asarray(DATA, chunks=(3, 10), urlpath=path + ".source", mode="w")
    blosc2.Proxy(source, urlpath=path, mode="w")[0]


def objects(path: str) -> None:
    """A list of objects."""
    blosc2.ObjectArray(urlpath=path, mode="w").append({"a": 1})


def batches(path: str) -> None:
    """Batches of objects."""
    blosc2.BatchArray(urlpath=path, mode="w").append([1, 2])


@pytest.mark.parametrize("make", [lazy, proxy, objects, batches])
def test_what_is_no_array_is_refused(tmp_path: Path, make: Callable[[str], None]) -> None:
    """Expressions, caches of proxies and objects are refused; nothing in them is evaluated."""
    path = str(tmp_path / "x.b2nd")
    make(path)
    store = sk.LocalStore(tmp_path)
    for opened in (partial(sk.open, path), partial(sk.open, store, "x.b2nd")):
        with pytest.raises(UnsupportedError, match=r"the frame 'x\.b2nd' holds"):
            opened()


def test_the_cache_of_a_proxy_can_be_read_as_what_it_is(tmp_path: Path) -> None:
    """Who wants what a proxy has fetched, and zeros for the rest, opens its frame directly."""
    proxy(str(tmp_path / "x.b2nd"))
    array = FrameArray(LogHome(str(tmp_path / "x.b2nd")))
    assert (array[:3] == DATA[:3]).all()
    assert not array[3:].any()
