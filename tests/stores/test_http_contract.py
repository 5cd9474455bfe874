"""An HTTPStore keeps the contract over real servers."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from servers.raw_server import running
from servers.web_servers import FileServer, put_files
from servers.web_servers import python_server as python_server
from servers.web_servers import rclone_server as rclone_server
from servers.web_servers import webdav_server as webdav_server

from storekit.stores import WrapperStore
from storekit.stores.http import HTTPStore
from storekit.stores.retries import RetryPolicy
from storekit.testing import StoreContract


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


def skip_control_characters(keys: Iterable[str]) -> None:
    """rclone has other names for files whose names have them."""
    if any(letter < " " for key in keys for letter in key):
        pytest.skip("rclone renames files with control characters")


class TestOverRclone(OverFiles):
    """With ranges, and keep-alive."""

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the values as files."""
        skip_control_characters(contents)
        super().fill(store, contents)

    @pytest.fixture(params=["plain", "restored", "wrapped"])
    def store(self, rclone_server: FileServer, request: pytest.FixtureRequest) -> Iterator[Any]:
        """An empty directory."""
        url, self.folder = rclone_server.folder()
        with HTTPStore(url, concurrency=8) as store:
            if request.param == "plain":
                yield store
            elif request.param == "wrapped":
                yield WrapperStore(store)
            else:
                with pickle.loads(pickle.dumps(store)) as restored:
                    yield restored


class TestOverWebDAV(StoreContract):
    """rclone's WebDAV: a real file system behind PUT, DELETE and MKCOL, without conditions."""

    many = 150
    rounds = 5
    # A name is locked while a collection of that name is made, so threads have to try again.
    retry = RetryPolicy(attempts=100, first=0.005, cap=0.05)

    @pytest.fixture
    def store(self, webdav_server: FileServer) -> Iterator[HTTPStore]:
        """An empty collection."""
        url, _ = webdav_server.folder()
        with HTTPStore(url, writable=True, concurrency=8, retry=self.retry) as store:
            yield store

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the values."""
        skip_control_characters(contents)
        super().fill(store, contents)


class TestOverRawServer(StoreContract):
    """Our own server, with conditions and versions that are never used again."""

    flat = True
    many = 300
    rounds = 10

    @pytest.fixture
    def store(self) -> Iterator[HTTPStore]:
        """A new server."""
        with (
            running() as server,
            HTTPStore(f"{server.url}/root", writable=True, conditional=True) as store,
        ):
            yield store
