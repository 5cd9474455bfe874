"""Objects through obstore: in moto's S3 server, in memory and in a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from servers.moto_server import Moto

from storekit.errors import ConflictError, StoreError, UnsupportedError
from storekit.stores import Store
from storekit.stores.object import ObjectStore
from storekit.testing import StoreContract
from storekit.testing.laws.keys import VALID_KEYS


class ConditionalObjects(StoreContract):
    """The contract, but for what no object store has."""

    flat = True

    def test_a_value_is_removed_by_its_version(self, store: Any) -> None:
        """Removing on a condition is refused, and the version is looked at before."""
        version = store.compare_and_set("a/b", b"1", None)
        with pytest.raises(UnsupportedError):
            store.compare_and_set("a/b", None, version)
        with pytest.raises(ConflictError):
            store.compare_and_set("a/b", None, version + "0")
        with pytest.raises(ConflictError):
            store.compare_and_set("a/b", None, None)
        assert store.exists("a/b")
        assert store.compare_and_set("c", None, None) is None


class TestS3(ConditionalObjects):
    many = 1010  # two pages
    rounds = 6

    @pytest.fixture
    def store(self, moto: Moto) -> Store:
        """A store under a prefix, in a bucket of its own."""
        return ObjectStore(f"s3://{moto.bucket()}/some/where", prefix="deeper/", **moto.obstore)


class TestMemory(ConditionalObjects):
    many = 500

    @pytest.fixture
    def store(self) -> Store:
        """A store in memory."""
        return ObjectStore("memory:///", prefix="a")


class TestDirectory(StoreContract):
    many = 200
    rounds = 6

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """A store in a directory that is not yet there."""
        return ObjectStore(f"file://{tmp_path}/root")

    @pytest.mark.parametrize("key", VALID_KEYS, ids=lambda key: ascii(key)[:30])
    def test_every_valid_key_can_be_used(self, store: Any, key: str) -> None:
        """obstore needs room for ``#1`` in the names of files; longer ones are an error."""
        if len(key.encode()) + 2 <= 255 or "/" in key:
            super().test_every_valid_key_can_be_used(store, key)
        else:
            with pytest.raises(StoreError, match="Unable to open"):
                store.set(key, b"")
