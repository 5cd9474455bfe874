"""Files of fsspec: in moto's S3 server by s3fs, in fsspec's memory and on the local disk."""

from __future__ import annotations

import builtins
import io
import itertools
import logging
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import s3fs
from forking import in_child
from fsspec import AbstractFileSystem
from fsspec.exceptions import FSTimeoutError
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from servers.moto_server import Moto
from servers.raw_server import Behaviour, always, reset_before, running
from servers.web_servers import FileServer, put_files
from servers.web_servers import nginx_server as nginx_server
from servers.web_servers import python_server as python_server
from servers.web_servers import rclone_server as rclone_server

import storekit as sk
from storekit.errors import (
    AccessDeniedError,
    ConnectionLostError,
    KeyNotFoundError,
    RateLimitedError,
    ReadOnlyError,
    ServerError,
    StoreError,
    TimeoutError,
    UnsupportedError,
)
from storekit.stores import ListableStore, Store, WritableStore
from storekit.stores.fsspec import FsspecStore
from storekit.stores.object import ObjectStore
from storekit.testing import StoreContract

_serial = itertools.count()


class TestS3(StoreContract):
    flat = True
    many = 300
    batch = 20
    rounds = 3

    @pytest.fixture
    def store(self, moto: Moto) -> Store:
        """A store in a bucket of its own."""
        return FsspecStore(f"s3://{moto.bucket()}/some/where", storage_options=moto.s3fs)


class TestMemory(StoreContract):
    many = 300
    batch = 20
    rounds = 20

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """A store under a path of its own."""
        path = f"/store-{next(_serial)}"
        yield FsspecStore(f"memory:/{path}")
        fs = MemoryFileSystem()
        if fs.exists(path):
            fs.rm(path, recursive=True)


class TestLocal(StoreContract):
    many = 300
    batch = 20
    rounds = 20

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """A store in a directory that is not yet there."""
        return FsspecStore(f"file://{tmp_path}/root")


class TestSlowMemory(StoreContract):
    """A chain: storekit's own file system around fsspec's memory."""

    many = 100
    batch = 20
    rounds = 4

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """A store under a path of its own."""
        path = f"store-{next(_serial)}"
        yield FsspecStore(f"slow::memory://{path}", storage_options={"slow": {"latency": 0}})
        fs = MemoryFileSystem()
        if fs.exists(path):
            fs.rm(path, recursive=True)

    def test_a_key_and_its_prefix_never_live_together(self, store: Store) -> None:
        """Not kept here: it is found by looking first, which other writers can overtake."""
        pytest.skip("among writers at one time this is found only on the local disk and in memory")


class OverFiles(StoreContract):
    """What only reads; contents come from behind."""

    folder: Path

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the values as files."""
        put_files(self.folder, contents)


class TestHTTP(OverFiles):
    @pytest.fixture(params=["python", "rclone", "nginx"])
    def store(self, request: pytest.FixtureRequest) -> Store:
        """A directory behind a web server: without ranges, with them, with pages in place of it."""
        server: FileServer = request.getfixturevalue(f"{request.param}_server")
        url, self.folder = server.folder()
        return FsspecStore(url)

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the values as files."""
        if any(letter < " " for key in contents for letter in key):
            pytest.skip("rclone renames files with control characters")
        super().fill(store, contents)


class TestCopies(OverFiles):
    """A chain that brings files here, which are on the local disk already."""

    many = 300

    @pytest.fixture(params=["simplecache", "filecache"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Store:
        """A store in an empty directory."""
        self.folder = tmp_path / "root"
        self.folder.mkdir()
        options = {request.param: {"cache_storage": str(tmp_path / "copies")}}
        return FsspecStore(f"{request.param}::file://{self.folder}", storage_options=options)


# --- what the contract does not say ---------------------------------------------------------------


@pytest.fixture
def s3(moto: Moto) -> Any:
    """A store of a whole bucket."""
    return FsspecStore(f"s3://{moto.bucket()}", storage_options=moto.s3fs)


OPERATIONS: dict[str, Callable[[Any], object]] = {
    "get": lambda store: store.get("a"),
    "exists": lambda store: store.exists("a"),
    "getsize": lambda store: store.getsize("a"),
    "range": lambda store: store.get_partial_values([("a", 0, 1)]),
    "ranges": lambda store: store.get_partial_values([("a", 0, 1), ("a", -1, None)]),
    "list": lambda store: store.list(),
    "list_dir": lambda store: store.list_dir(""),
    "set": lambda store: store.set("a", b""),
    "erase": lambda store: store.erase("a"),
    "erase_values": lambda store: store.erase_values(["a", "b"]),
}


@pytest.mark.parametrize("ask", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_a_missing_bucket_is_an_error(moto: Moto, ask: Callable[[Any], object]) -> None:
    """A bucket that is not there is no absence of keys, for no operation."""
    store = FsspecStore("s3://not-there", storage_options=moto.s3fs)
    with pytest.raises(StoreError) as caught:
        ask(store)
    assert not isinstance(caught.value, KeyNotFoundError)


ERRORS: dict[str, tuple[Exception, type[StoreError]]] = {
    "permission": (PermissionError("no"), AccessDeniedError),
    "timeout": (builtins.TimeoutError(), TimeoutError),
    "fsspec's timeout": (FSTimeoutError(), TimeoutError),
    "reset": (ConnectionResetError(), ConnectionLostError),
    "other": (OSError(5, "broken"), StoreError),
    "no OSError": (RuntimeError("broken"), StoreError),
}


@pytest.mark.parametrize(("error", "kind"), ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.parametrize("ask", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_what_fails_is_an_error_of_its_kind(
    ask: Callable[[Any], object], error: Exception, kind: type[StoreError]
) -> None:
    """Whatever a file system raises is an error of storekit, and never an absence."""

    class Broken(AbstractFileSystem):
        protocol = "broken"
        cachable = False

        def fail(self, *args: Any, **kwargs: Any) -> Any:
            raise error

        cat_file = info = ls = rm_file = pipe_file = makedirs = _open = fail

    with pytest.raises(kind) as caught:
        ask(FsspecStore(Broken(), "x"))
    assert type(caught.value) is kind


def test_a_fault_of_faulty_is_passed_on() -> None:
    """An error that is storekit's already, as of its faulty file system, stays what it is."""
    rules = [{"op": "get", "error": "RateLimitedError"}]
    store = FsspecStore("faulty::memory://faults", storage_options={"faulty": {"rules": rules}})
    store.set("a", b"1")
    with pytest.raises(RateLimitedError):
        store.get("a")
    store.erase("a")


def test_old_listings_are_not_shown(moto: Moto) -> None:
    """What fsspec remembers of a directory is forgotten before each question."""
    bucket = moto.bucket()
    store: Any = FsspecStore(s3fs.S3FileSystem(**moto.s3fs), bucket)
    store.set("a/b", b"1")
    assert store.list() == ["a/b"]
    assert store.list_dir("a/") == ["a/b"]
    other: Any = ObjectStore(f"s3://{bucket}", **moto.obstore)
    other.set("a/c", b"23")
    other.erase("a/b")
    assert store.list() == ["a/c"]
    assert store.list_dir("a/") == ["a/c"]
    assert store.exists("a/c")
    assert not store.exists("a/b")
    other.set("a/c", b"456")
    assert store.getsize("a/c") == 3


def test_both_clients_of_s3_see_the_same(moto: Moto) -> None:
    """A bucket holds the same keys and values for `ObjectStore` and `FsspecStore`."""
    bucket = moto.bucket()
    stores: list[Any] = [
        ObjectStore(f"s3://{bucket}/x", **moto.obstore),
        FsspecStore(f"s3://{bucket}", "x", storage_options=moto.s3fs),
    ]
    keys = ["a b/%41", "tab\t", "\u2409", "a#?+*[x]", "e\u0301"]
    for number, key in enumerate(keys):
        stores[number % 2].set(key, key.encode())
    moto.request("PUT", f"/{bucket}/x/marker/")
    for store in stores:
        assert store.list() == sorted(keys)
        assert [bytes(store.get(key)).decode() for key in keys] == keys


def test_empty_directories_and_strange_files_are_not_shown(tmp_path: Path) -> None:
    """Directories without files, and files whose names cannot be keys, are in no listing."""
    store: Any = FsspecStore(LocalFileSystem(), str(tmp_path))
    store.set("a/b", b"1")
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    (tmp_path / ".storekit-1").write_bytes(b"")
    assert store.list() == ["a/b"]
    assert store.list_dir("") == ["a/"]
    store.set("empty", b"in their place")
    assert bytes(store.get("empty")) == b"in their place"


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that cannot be moved to its place leaves no file, and the old value."""
    fs = LocalFileSystem(skip_instance_cache=True)
    store: Any = FsspecStore(fs, str(tmp_path))
    store.set("a", b"old")

    def fail(*args: Any) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(fs, "mv", fail)
    with pytest.raises(StoreError, match="no space"):
        store.set("a", b"new")
    assert bytes(store.get("a")) == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


FAULTS: dict[str, tuple[Behaviour, type[StoreError]]] = {
    "forbidden": (always(403), AccessDeniedError),
    "failure": (always(500), ServerError),
    "too much": (always(429), RateLimitedError),
    "circle": (always(302, Location="/a"), StoreError),
    "reset": (reset_before, ConnectionLostError),
}
READS = {name: OPERATIONS[name] for name in ("get", "exists", "getsize", "range", "ranges")}


@pytest.mark.parametrize(("behaviour", "kind"), FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("ask", READS.values(), ids=READS.keys())
def test_a_failing_web_server_is_no_absence(
    ask: Callable[[Any], object], behaviour: Behaviour, kind: type[StoreError]
) -> None:
    """fsspec says of any failure over HTTP that there is no such file; only 404 and 410 say so."""
    with running() as server:
        server.contents["a"] = b"0123456789"
        server.misbehave(behaviour)
        with pytest.raises(kind) as caught:
            ask(FsspecStore(server.url, storage_options={"skip_instance_cache": True}))
        assert not isinstance(caught.value, KeyNotFoundError)


def test_http_only_reads() -> None:
    """Over HTTP it has no listing and no writing, and says so; keys do not go behind a query."""
    store: Any = FsspecStore("https://host.invalid/x")
    assert not isinstance(store, WritableStore | ListableStore)
    with pytest.raises(ReadOnlyError):
        store.set("a", b"")
    with pytest.raises(UnsupportedError):
        store.list()
    with pytest.raises(ValueError, match="query") as caught:
        FsspecStore("https://user:topsecret@host.invalid/x?sig=topsecret")
    assert "topsecret" not in str(caught.value)


def test_secrets_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """What is in a URL to prove who asks shows in no repr, identity, message or log."""
    caplog.set_level(logging.DEBUG)
    with running() as server:
        server.contents.update({"x/a": b"0123456789", "x/z.zip": zipped({"b": b"1"})})
        place = server.url.replace("://", "://user:topsecret@")
        store: Any = FsspecStore(f"{place}/x")
        assert bytes(store.get("a")) == b"0123456789"
        assert [bytes(part) for part in store.get_partial_values([("a", 1, 2)])] == [b"12"]
        with pytest.raises(KeyNotFoundError) as caught:
            store.get("b")
        assert "topsecret" not in f"{store!r}{store.identity}{caught.value}"
        assert repr(store) == f"FsspecStore('{server.url}/x')"
        assert FsspecStore(f"{server.url}/x") != store == FsspecStore(f"{place}/x")
        assert pickle.loads(pickle.dumps(store)).identity == store.identity
        archive: Any = FsspecStore(f"zip::{place}/x/z.zip?sig=topsecret")
        assert bytes(archive.get("b")) == b"1"
        assert repr(archive) == f"FsspecStore('zip::{server.url}/x/z.zip')"
        assert repr(pickle.loads(pickle.dumps(archive))) == repr(archive)
        assert "topsecret" not in f"{archive.identity}"
        # What it is made of looks the same in every process, and so does the identity.
        assert " at 0x" not in repr(archive._system.fs.storage_options)
        archive._system.fs.close()
    assert server.url.replace("://", "://***@") in caplog.text
    assert "topsecret" not in caplog.text
    assert any("authorization" in each.headers for each in server.requests)


def test_the_file_system_of_others_is_left_as_it_is() -> None:
    """Of a file system over HTTP that is given a like one is used; the given one stays."""
    fs = HTTPFileSystem(skip_instance_cache=True, headers={"X-Mark": "ours"})
    with running() as server:
        server.contents["a"] = b"1"
        store = FsspecStore(fs, server.url)
        assert bytes(store.get("a")) == b"1"
        assert server.requests[0].headers["x-mark"] == "ours"
        assert FsspecStore(fs, server.url) == store
    assert fs.kwargs == {"headers": {"X-Mark": "ours"}}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KeyError("a"), KeyNotFoundError),
        (FileNotFoundError("a"), KeyNotFoundError),
        (type("ResourceNotFoundError", (Exception,), {})(), KeyNotFoundError),
        (type("Odd", (Exception,), {"status_code": 404})(), KeyNotFoundError),
        (type("Odd", (Exception,), {"status_code": 403})(), AccessDeniedError),
        (RuntimeError("broken"), StoreError),
        (OSError(5, "broken"), StoreError),
    ],
)
def test_what_is_behind_an_absence_counts(error: Exception, kind: type[StoreError]) -> None:
    """A file system may call any failure absence; what it was caused by tells."""

    class Odd(AbstractFileSystem):
        protocol = "odd"
        cachable = False

        def fail(self, *args: Any, **kwargs: Any) -> Any:
            raise FileNotFoundError("a") from error

        cat_file = fail

    with pytest.raises(kind) as caught:
        FsspecStore(Odd(), "x").get("a")
    assert type(caught.value) is kind


def test_values_of_s3_are_one_request_each(moto: Moto) -> None:
    """s3fs does not ask for the size before it reads a value, also where it was given."""
    bucket = moto.bucket()
    place = f"s3://{bucket}/x"
    stores: list[Any] = [
        FsspecStore(place, storage_options=moto.s3fs),
        FsspecStore(s3fs.S3FileSystem(**moto.s3fs), f"{bucket}/x"),
    ]
    stores[0].set("a", b"1")
    for store in stores:
        store.get("a")
        moto.requests.clear()
        for _ in range(20):
            assert bytes(store.get("a")) == b"1"
        assert len(moto.requests) == 20


def test_s3_has_as_many_connections_as_it_says(moto: Moto) -> None:
    """An s3fs made from a URL has a connection for each request, unless told otherwise."""
    store: Any = FsspecStore("s3://b", storage_options=moto.s3fs, concurrency=37)
    config = {"config_kwargs": {"max_pool_connections": 5}}
    told: Any = FsspecStore("s3://b", storage_options={**moto.s3fs, **config}, concurrency=37)
    for each, expected in ((store, 37), (told, 5)):
        each._system.fs.connect()
        assert each._system.fs.s3.meta.config.max_pool_connections == expected
    assert store == told


def zipped(contents: Mapping[str, bytes]) -> bytes:
    """An archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, value in contents.items():
            archive.writestr(name, value)
    return file.getvalue()


def test_a_zip_archive_is_read(tmp_path: Path) -> None:
    """A chain of URLs leads into an archive, which can be read and listed."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/y", b"0123456789")
    store: Any = FsspecStore(f"zip://::file://{tmp_path}/a.zip")
    assert not isinstance(store, WritableStore)
    assert store.list() == ["x/y"]
    assert store.list_dir("") == ["x/"]
    assert bytes(store.get_partial_values([("x/y", -3, None)])[0]) == b"789"
    store._system.fs.close()


def test_a_forked_process_has_its_own_connections(s3: Any) -> None:
    """A child reads and writes through a file system of its own."""
    s3.set("a", b"parent")

    def work() -> None:
        assert bytes(s3.get("a")) == b"parent"
        s3.set("b", b"child")

    assert in_child(work) == 0
    assert bytes(s3.get("b")) == b"child"


def test_bad_parameters_are_refused() -> None:
    """A parameter that makes no sense is refused at once."""
    with pytest.raises(TypeError):
        FsspecStore(5)
    with pytest.raises(ValueError, match="concurrency"):
        FsspecStore("memory://", concurrency=0)
    with pytest.raises(ValueError, match="storage_options"):
        FsspecStore(MemoryFileSystem(), storage_options={"x": 1})
    with pytest.raises(ValueError, match="nonsense"):
        FsspecStore("nonsense://x")


@pytest.mark.parametrize("shards", [None, (8, 8)])
def test_arrays_on_s3(s3: Any, shards: tuple[int, int] | None) -> None:
    """An array on S3 is written, read, written in part, and grows."""
    numbers = np.arange(400, dtype="i4").reshape(20, 20)
    array = sk.ZarrArray.create(s3, "a", shape=(20, 20), dtype="i4", chunks=(4, 4), shards=shards)
    array[:] = numbers
    assert np.array_equal(array[3:17:2, 5], numbers[3:17:2, 5])
    array[2:5, 2:5] = 0
    numbers[2:5, 2:5] = 0
    array.append(numbers)
    assert np.array_equal(sk.open_zarr(s3, "a")[:], np.concatenate([numbers, numbers]))
