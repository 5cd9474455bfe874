"""One answer from every store: each row of the table in the docs, asked of each kind of store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from servers.web_servers import nginx_dav_server as nginx_dav_server
from servers.web_servers import nginx_server as nginx_server
from servers.web_servers import put_files
from servers.web_servers import python_server as python_server
from servers.web_servers import rclone_server as rclone_server
from servers.web_servers import webdav_server as webdav_server

from storekit.errors import (
    ConflictError,
    InvalidKeyError,
    InvalidRangeError,
    KeyConflictError,
    KeyNotFoundError,
    ReadOnlyError,
    StoreError,
)
from storekit.stores import ConditionalStore, ListableStore, LocalStore, MemoryStore, WritableStore
from storekit.stores.fsspec import FsspecStore
from storekit.stores.http import HTTPStore
from storekit.stores.object import ObjectStore
from storekit.stores.zip import ZipStore

Make = Callable[[pytest.FixtureRequest, Path], Any]
Ask = Callable[[Any], object]

PAGE = Path(__file__).parents[2] / "docs/explanations/one-answer-from-every-store.md"
DIGITS = b"0123456789"
CONTENTS = {"foo/a": DIGITS, "foobar/y": b"1"}

_serial = count()


# --- the stores -----------------------------------------------------------------------------------


def fill(store: Any) -> Any:
    """The store, with the contents."""
    store.set_values(CONTENTS.items())
    return store


def served(server: str, make: Callable[[str], Any]) -> Make:
    """A store of the URL of a directory in which the contents are files."""

    def made(request: pytest.FixtureRequest, _: Path) -> Any:
        url, folder = request.getfixturevalue(server).folder()
        put_files(folder, CONTENTS)
        return make(url)

    return made


def put(server: str) -> Make:
    """A store that brings the contents to a server by itself."""

    def made(request: pytest.FixtureRequest, _: Path) -> Any:
        return fill(HTTPStore(request.getfixturevalue(server).address(), writable=True))

    return made


def objects(request: pytest.FixtureRequest, _: Path) -> Any:
    """A bucket, through obstore."""
    moto = request.getfixturevalue("moto")
    return ObjectStore(f"s3://{moto.bucket()}", **moto.obstore)


def files_in_bucket(request: pytest.FixtureRequest, _: Path) -> Any:
    """A bucket, through s3fs."""
    moto = request.getfixturevalue("moto")
    return fill(FsspecStore(f"s3://{moto.bucket()}", storage_options=moto.s3fs))


def copies(_: pytest.FixtureRequest, path: Path) -> Any:
    """A directory, of which fsspec makes copies."""
    put_files(path / "root", CONTENTS)
    options = {"simplecache": {"cache_storage": str(path / "copies")}}
    return FsspecStore(f"simplecache::file://{path}/root", storage_options=options)


def archive(path: Path) -> bytes:
    """The contents, in an archive."""
    with ZipStore(path / "a.zip", "w") as store:
        fill(store)
    return (path / "a.zip").read_bytes()


def zip_of_disk(_: pytest.FixtureRequest, path: Path) -> Any:
    """An archive, which is a file."""
    archive(path)
    return ZipStore(path / "a.zip")


def zip_behind_server(request: pytest.FixtureRequest, path: Path) -> Any:
    """An archive, which is a file on a web server."""
    url, folder = request.getfixturevalue("rclone_server").folder()
    put_files(folder, {"x/a.zip": archive(path)})
    return ZipStore.over(HTTPStore(url), "x/a.zip")


def zip_in_bucket(request: pytest.FixtureRequest, path: Path) -> Any:
    """An archive, which is an object."""
    bucket = objects(request, path)
    bucket.set("x/a.zip", archive(path))
    return ZipStore.over(bucket, "x/a.zip")


KINDS: dict[str, Make] = {
    "memory": lambda _, path: fill(MemoryStore()),
    "local": lambda _, path: fill(LocalStore(path / "root")),
    "http, http.server": served("python_server", HTTPStore),
    "http, rclone": served("rclone_server", HTTPStore),
    "http, rclone WebDAV": put("webdav_server"),
    "http, nginx": served("nginx_server", HTTPStore),
    "http, nginx DAV": put("nginx_dav_server"),
    "object, S3": lambda request, path: fill(objects(request, path)),
    "object, memory": lambda _, path: fill(ObjectStore("memory:///")),
    "object, directory": lambda _, path: fill(ObjectStore(f"file://{path}/root")),
    "fsspec, S3": files_in_bucket,
    "fsspec, memory": lambda _, path: fill(FsspecStore(f"memory://matrix-{next(_serial)}")),
    "fsspec, directory": lambda _, path: fill(FsspecStore(f"file://{path}/root")),
    "fsspec, http.server": served("python_server", FsspecStore),
    "fsspec, simplecache": copies,
    "zip, written": lambda _, path: fill(ZipStore(path / "a.zip", "w")),
    "zip, read": zip_of_disk,
    "zip, http": zip_behind_server,
    "zip, S3": zip_in_bucket,
}
FLAT = {"object, S3", "object, memory", "fsspec, S3"}


@pytest.fixture(scope="module", params=KINDS)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A store of each kind with the contents, for all that only reads."""
    with KINDS[request.param](request, tmp_path_factory.mktemp("matrix")) as store:
        yield store


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The name of each kind."""
    return str(request.param)


@pytest.fixture
def own(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A store of the kind with the contents, for one test."""
    with KINDS[kind](request, tmp_path) as store:
        yield store


# --- the rows -------------------------------------------------------------------------------------


def part(start: int, length: int | None) -> Ask:
    """Ask for a range of the ten digits."""
    return lambda store: store.get_partial_values([("foo/a", start, length)])


def key(name: str) -> Ask:
    """Ask for the value of a key."""
    return lambda store: store.get(name)


READS: dict[str, tuple[Ask, object]] = {
    "`get` of a missing key": (key("foo/nothing"), KeyNotFoundError),
    "a missing key among several": (
        lambda store: store.get_partial_values([("foo", 0, 1), ("foo/a", 0, 1)]),
        [None, b"0"],
    ),
    "bytes 8 to 20 of 10": (part(8, 12), [b"89"]),
    "a range from the end on": (part(10, 1), [b""]),
    "a range behind the end": (part(11, None), [b""]),
    "a range of no bytes": (part(3, 0), [b""]),
    "a range that ends before it begins": (part(5, -3), InvalidRangeError),
    "the last 99 of 10 bytes": (part(-99, None), [DIGITS]),
    "`list_prefix` of `foo/` beside `foobar/y`": (lambda s: s.list_prefix("foo/"), ["foo/a"]),
    "`list_prefix` of a key": (lambda store: store.list_prefix("foo/a/"), []),
    "key `''`": (key(""), InvalidKeyError),
    "key `/a`": (key("/a"), InvalidKeyError),
    "key `a//b`": (key("a//b"), InvalidKeyError),
    "key `../x`": (key("../x"), InvalidKeyError),
}
WRITES: dict[str, tuple[Ask, object]] = {
    "`erase` of a missing key": (lambda store: store.erase("foo/nothing"), None),
    "`set` of `a`, then of `a/b`": (
        lambda store: [store.set(name, b"") for name in ("a", "a/b")],
        KeyConflictError,
    ),
    "`set` of `a/b`, then of `a`": (
        lambda store: [store.set(name, b"") for name in ("a/b", "a")],
        KeyConflictError,
    ),
    "a key is created that is there": (
        lambda store: store.compare_and_set("foo/a", b"", None),
        ConflictError,
    ),
}


def answer(store: Any, ask: Ask) -> object:
    """What comes back, with plain bytes; of an error its class."""
    try:
        found = ask(store)
    except StoreError as error:
        return type(error)
    if isinstance(found, list):
        return [bytes(value) if isinstance(value, memoryview) else value for value in found]
    return found


@pytest.mark.parametrize("row", READS)
def test_what_every_store_answers(filled: Any, row: str) -> None:
    """The answer of the row is the answer of the store."""
    ask, expected = READS[row]
    if row.startswith("`list") and not isinstance(filled, ListableStore):
        pytest.skip("this store cannot list its keys")
    assert answer(filled, ask) == expected


@pytest.mark.parametrize("row", WRITES)
def test_what_every_store_that_is_written_answers(own: Any, kind: str, row: str) -> None:
    """The answer is that of the row; flat stores take both keys, stores that only read refuse."""
    ask, expected = WRITES[row]
    if not isinstance(own, WritableStore):
        expected = ReadOnlyError
    elif expected is ConflictError and not isinstance(own, ConditionalStore):
        pytest.skip("this store cannot compare and set")
    elif expected is KeyConflictError and kind in FLAT:
        expected = [None, None]
    assert answer(own, ask) == expected


def test_the_page_has_the_rows() -> None:
    """The table in the docs has the rows of this file, in this order."""
    table = re.search(r"(?<=\n\| row \|).*?\n\n", PAGE.read_text("utf-8"), re.DOTALL)
    assert table is not None
    rows = [line.split("|")[1].strip() for line in table[0].splitlines()[2:] if line]
    assert rows == [*READS, *WRITES]
