"""A ReadOnlyStore reads, and that is all."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from store_samples import DictStore

from storekit.errors import ReadOnlyError, UnsupportedError
from storekit.stores import (
    ConditionalStore,
    ListableStore,
    LocalStore,
    MemoryStore,
    ReadableStore,
    SlowStore,
    Store,
    WritableStore,
)
from storekit.stores.read_only import ReadOnlyStore
from storekit.testing import StoreContract


class TestReadOnlyStores(StoreContract):
    """What reads keeps the contract; there is no configuration that lets writes through."""

    many = 500

    @pytest.fixture(params=["memory", "local", "restored", "wrapped", "readable"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Store:
        """A read-only store over each of several stores."""
        inner: Store = {
            "local": LocalStore(tmp_path / "root"),
            "wrapped": SlowStore(MemoryStore(), 0),
            "readable": DictStore(),
        }.get(request.param, MemoryStore())
        store = ReadOnlyStore(inner)
        return pickle.loads(pickle.dumps(store)) if request.param == "restored" else store

    @pytest.fixture
    def read_only_store(self, store: Store) -> Store:
        """All of them refuse."""
        return store

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write to the store within."""
        if isinstance(store.inner, DictStore):
            store.inner.fields.update(contents)
        else:
            store.inner.set_values(contents.items())


def test_it_claims_no_more_than_it_can() -> None:
    """It can be read, and listed if the inner store can; it is no store that can be written."""
    for inner, listable in ((MemoryStore(), True), (DictStore(), False)):
        store = ReadOnlyStore(inner)
        assert isinstance(store, ReadableStore)
        assert isinstance(store, ListableStore) == listable
        assert not isinstance(store, WritableStore | ConditionalStore)


def test_no_change_reaches_the_inner_store() -> None:
    """Every method that changes raises before anything happens, and leaves all as it was."""
    inner = MemoryStore({"a": b"1"})
    store: Any = ReadOnlyStore(inner)
    changes: dict[str, tuple[Any, ...]] = {
        "set": ("a", b"2"),
        "set_values": ([("a", b"2")],),
        "set_partial_values": ([("a", 0, b"2")],),
        "erase": ("a",),
        "erase_values": (["a"],),
        "erase_prefix": ("",),
        "compare_and_set": ("a", b"2", inner.get_versioned("a")[1]),
    }
    for op, arguments in changes.items():
        with pytest.raises(ReadOnlyError) as caught:
            getattr(store, op)(*arguments)
        assert caught.value.op == op
    with pytest.raises(UnsupportedError):
        store.get_versioned("a")
    assert inner == MemoryStore({"a": b"1"})


def test_changes_by_others_are_seen() -> None:
    """It is a way to the data, not a copy."""
    inner = MemoryStore({"a": b"1"})
    store = ReadOnlyStore(inner)
    inner.set("a", b"2")
    assert store.get("a") == b"2"
    assert store.identity == inner.identity
