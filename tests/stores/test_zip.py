"""Stores in zip archives: the contract, what others read and write, and how they open."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from storekit.stores import LocalStore, MemoryStore, Store, WrapperStore
from storekit.stores.zip import ZipStore
from storekit.testing import StoreContract


def restored(store: Store) -> Any:
    """The store, after a journey."""
    return pickle.loads(pickle.dumps(store))


class TestWritableZips(StoreContract):
    @pytest.fixture(params=["new", "level", "append", "restored", "wrapped"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
        """A store in a new archive, in one that was there, and so on."""
        path = tmp_path / "a.zip"
        if request.param == "append":
            ZipStore(path, "w").close()
        mode = "a" if request.param == "append" else "w"
        level = 1 if request.param == "level" else None
        store: Any = ZipStore(path, mode, level=level)
        if request.param == "restored":
            store = restored(store)
        return WrapperStore(store) if request.param == "wrapped" else store


class FilledFromBehind(StoreContract):
    """A zip store that is read; filling it makes a new archive, and opens that one."""

    @pytest.fixture
    def read_only_store(self, store: Store) -> Store:
        """The same, whose writing methods refuse."""
        return store

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the archive anew, and let the store in hand be the one that opens it."""
        raise NotImplementedError


class TestZipsThatAreRead(FilledFromBehind):
    @pytest.fixture(params=[None, 6])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> ZipStore:
        """A store in an archive without members."""
        ZipStore(tmp_path / "a.zip", "w").close()
        self.level = request.param
        return ZipStore(tmp_path / "a.zip")

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the archive anew, and let the store in hand be the one that opens it."""
        with ZipStore(store.path, "a", level=self.level) as writing:
            writing.set_values(contents.items())
        store.__init__(store.path)


class TestZipsInOtherStores(FilledFromBehind):
    @pytest.fixture(params=["memory", "local", "wrapped"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> ZipStore:
        """A store in an archive without members, which is a value."""
        with ZipStore(tmp_path / "a.zip", "w"):
            pass
        self.path = tmp_path / "a.zip"
        inner = MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "root")
        inner.set("x/a.zip", self.path.read_bytes())
        return ZipStore.over(WrapperStore(inner) if request.param == "wrapped" else inner, "x/a.zip")

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the archive anew, and let the store in hand be the one that opens it."""
        with ZipStore(self.path, "a") as writing:
            writing.set_values(contents.items())
        store._below.set(store.path, self.path.read_bytes())
        store._archive = ZipStore.over(store._below, store.path)._archive
