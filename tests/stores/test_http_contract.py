"""An HTTPStore keeps the contract over real servers."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from servers.moto_server import Moto
from servers.raw_server import Exchange, running
from servers.web_servers import FileServer, put_files
from servers.web_servers import nginx_dav_server as nginx_dav_server
from servers.web_servers import nginx_server as nginx_server
from servers.web_servers import python_server as python_server
from servers.web_servers import rclone_server as rclone_server
from servers.web_servers import webdav_server as webdav_server

from storekit.errors import KeyConflictError, ServerError, UnsupportedError
from storekit.stores import WrapperStore
from storekit.stores.http import HTTPRequest, HTTPStore
from storekit.stores.retries import RetryPolicy
from storekit.testing import StoreContract
from storekit.testing.laws import ConditionalLaws, RangeLaws, UpdateLaws, ValueLaws


class OverFiles(StoreContract):
    """A server that shows the files of a directory; contents come from behind."""

    many = 700
    folder: Path

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the values as files."""
        put_files(self.folder, contents)

    @pytest.fixture
    def read_only_store(self, store: HTTPStore) -> HTTPStore:
        """It has the methods that write, and they refuse."""
        return store


class TestOverPython(OverFiles):
    """Without ranges, without keep-alive."""

    @pytest.fixture
    def store(self, python_server: FileServer) -> Iterator[HTTPStore]:
        """An empty directory."""
        url, self.folder = python_server.folder()
        with HTTPStore(url, concurrency=8) as store:
            yield store


def skip_for_rclone(keys: Iterable[str]) -> None:
    """Skip a test with names that rclone changes, or that take it long."""
    if any(letter < " " for key in keys for letter in key):
        pytest.skip("rclone renames files with control characters")
    if any(key.count("/") > 50 for key in keys):
        pytest.skip("1800 directories take rclone 10 s")


class TestOverRclone(OverFiles):
    """With ranges, and keep-alive."""

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the values as files."""
        skip_for_rclone(contents)
        super().fill(store, contents)

    @pytest.fixture(params=["restored", "wrapped"])
    def store(self, rclone_server: FileServer, request: pytest.FixtureRequest) -> Iterator[Any]:
        """An empty directory."""
        url, self.folder = rclone_server.folder()
        with HTTPStore(url, concurrency=8) as store:
            if request.param == "wrapped":
                yield WrapperStore(store)
            else:
                with pickle.loads(pickle.dumps(store)) as restored:
                    yield restored


def skip_for_nginx(keys: Iterable[str]) -> None:
    """Skip a test with names that nginx does not list."""
    if any(name.startswith(".") for key in keys for name in key.split("/")):
        pytest.skip("nginx lists no names that begin with a dot")


class TestOverNginx(OverFiles):
    """With ranges, keep-alive, and indexes in HTML."""

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the values as files."""
        skip_for_nginx(contents)
        super().fill(store, contents)

    @pytest.fixture
    def store(self, nginx_server: FileServer) -> Iterator[HTTPStore]:
        """An empty directory."""
        url, self.folder = nginx_server.folder()
        with HTTPStore(url, concurrency=8) as store:
            yield store


class OverCollections(StoreContract):
    """A server that writes files, and makes directories for them, which stay."""

    many = 150
    batch = 20
    rounds = 5
    others: ClassVar = {
        "test_a_key_and_its_prefix_never_live_together": "directories stay when they are empty",
        "test_the_empty_prefix_erases_all": "directories stay when they are empty",
        "test_an_erased_key_is_in_nobodys_way": "directories stay when they are empty",
    }
    """Laws that this server does not let a store keep, and why."""

    @pytest.fixture(autouse=True)
    def skip_others(self, request: pytest.FixtureRequest) -> None:
        """Skip what cannot be."""
        if reason := self.others.get(request.node.originalname):
            pytest.skip(reason)


class TestOverNginxDAV(OverCollections):
    """nginx with PUT, DELETE, and indexes in JSON."""

    @pytest.fixture
    def store(self, nginx_dav_server: FileServer) -> Iterator[HTTPStore]:
        """A directory that is not there yet."""
        with HTTPStore(nginx_dav_server.address(), writable=True, concurrency=8) as store:
            yield store

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the values."""
        skip_for_nginx(contents)
        super().fill(store, contents)


def test_nginx_is_seen_to_write_against_conditions(nginx_dav_server: FileServer) -> None:
    """nginx takes a PUT whatever its condition, so it is not used to compare and set."""
    with (
        HTTPStore(nginx_dav_server.address(), writable=True, conditional=True) as store,
        pytest.raises(UnsupportedError, match="If-None-Match of PUT, If-Match of PUT"),
    ):
        store.compare_and_set("a", b"", None)


def test_conditions_are_tested_where_nothing_is_yet(webdav_server: FileServer) -> None:
    """A collection that is not there yet is made for the test, which tells what rclone ignores."""
    with (
        HTTPStore(webdav_server.address(), writable=True, conditional=True) as store,
        pytest.raises(UnsupportedError, match="ignores If-None-Match of PUT"),
    ):
        store.compare_and_set("a/b", b"", None)


def test_a_conflict_may_be_a_failure_of_the_server() -> None:
    """A server that fails (500) because a value is in the way of a key is looked through."""

    def fail(exchange: Exchange) -> None:
        exchange.answer(500, {}, b"")

    with running() as server:
        server.contents["a"] = b"1"
        server.misbehave(fail, float("inf"), "PUT")
        with HTTPStore(server.url, writable=True, retry=RetryPolicy(attempts=1)) as store:
            with pytest.raises(KeyConflictError):
                store.set("a/b", b"")
            for key in ("b/c", "a"):
                with pytest.raises(ServerError):
                    store.set(key, b"")


class TestOverWebDAV(OverCollections):
    """rclone's WebDAV: a real file system behind PUT, DELETE and MKCOL, without conditions."""

    others: ClassVar = {
        **OverCollections.others,
        "test_a_reader_never_sees_half_a_value": "rclone shows files while they are written",
        "test_a_reader_never_sees_half_a_part": "rclone shows files while they are written",
        "test_keys_are_compared_as_they_are": "rclone takes normal forms of Unicode for the same",
    }

    # A name is locked while a collection of that name is made, so threads have to try again.
    retry = RetryPolicy(attempts=100, first=0.005, cap=0.05)

    @pytest.fixture
    def store(self, webdav_server: FileServer) -> Iterator[HTTPStore]:
        """A collection that is not there yet."""
        with HTTPStore(
            webdav_server.address(), writable=True, concurrency=8, retry=self.retry
        ) as store:
            yield store

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the values."""
        skip_for_rclone(contents)
        super().fill(store, contents)


def sign(request: HTTPRequest) -> Mapping[str, str]:
    """A signature that moto does not look at, without which it would refuse the request."""
    assert request.url.startswith("http://")
    credential = "Credential=key/20260101/us-east-1/s3/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"}


class TestOverMoto(ValueLaws, RangeLaws, UpdateLaws, ConditionalLaws):
    """moto's S3, without an index. Its ETags are hashes of the values."""

    flat = True
    rounds = 3

    @pytest.fixture
    def store(self, moto: Moto) -> Iterator[HTTPStore]:
        """An empty bucket."""
        url = f"{moto.url}/{moto.bucket()}"
        with HTTPStore(url, auth=sign, listable=False, writable=True, conditional=True) as store:
            yield store

    @pytest.fixture(autouse=True)
    def skip_others(self, request: pytest.FixtureRequest) -> None:
        """Skip what needs versions that never come back."""
        name = request.node.originalname
        if name in ("test_a_stale_version_changes_nothing", "test_no_two_writes_have_one_version"):
            pytest.skip("equal values have equal versions")


class TestOverRawServer(StoreContract):
    """Our own server, with conditions and versions that are never used again."""

    flat = True
    many = 300
    batch = 20
    rounds = 10

    @pytest.fixture
    def store(self) -> Iterator[HTTPStore]:
        """A new server."""
        with (
            running() as server,
            HTTPStore(f"{server.url}/root", writable=True, conditional=True) as store,
        ):
            yield store
