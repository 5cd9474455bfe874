"""Laws about erasing."""

from __future__ import annotations

import pytest

from storekit.errors import InvalidKeyError, KeyNotFoundError
from storekit.stores.base import ListableStore, ReadableStore, WritableStore
from storekit.testing.laws.common import AnyStore, Laws, need

__all__ = ["ErasingLaws"]


class ErasingLaws(Laws):
    """`erase`, `erase_values` and `erase_prefix`."""

    def test_an_erased_key_is_absent(self, store: AnyStore) -> None:
        """After `erase` the key is absent, and its neighbours are not."""
        need(store, ReadableStore, WritableStore)
        for key in ("a/b", "a/c", "d"):
            store.set(key, b"1")
        store.erase("a/b")
        assert [store.exists(key) for key in ("a/b", "a/c", "d")] == [False, True, True]
        with pytest.raises(KeyNotFoundError):
            store.get("a/b")

    def test_erasing_a_missing_key_does_nothing(self, store: AnyStore) -> None:
        """`erase` of an absent key, of a prefix, or under a key, is no error and erases nothing."""
        need(store, ReadableStore, WritableStore)
        store.set("a/b", b"1")
        for key in ("missing", "missing/too", "a/missing", "a", "a/b/c"):
            store.erase(key)
        store.erase_values(["missing", "a"])
        assert bytes(store.get("a/b")) == b"1"

    def test_several_keys_are_erased(self, store: AnyStore) -> None:
        """`erase_values` erases all keys given, also doubled or absent ones, from any iterable."""
        need(store, ReadableStore, WritableStore)
        for key in ("a/b", "a/c", "d", "e"):
            store.set(key, b"1")
        store.erase_values(key for key in ("d", "missing", "a/b", "d"))
        assert [key for key in ("a/b", "a/c", "d", "e") if store.exists(key)] == ["a/c", "e"]
        store.erase_values([])

    def test_nothing_is_erased_with_an_invalid_key(self, store: AnyStore) -> None:
        """One invalid key among those to erase keeps all of them from being erased."""
        need(store, ReadableStore, WritableStore)
        store.set("a", b"1")
        with pytest.raises(InvalidKeyError):
            store.erase_values(["a", "../a"])
        assert store.exists("a")

    def test_a_prefix_is_erased_without_its_neighbours(self, store: AnyStore) -> None:
        """`erase_prefix` erases what is under the prefix, spares ``foo-bar/``, and counts."""
        need(store, ReadableStore, WritableStore)
        keys = ["foo/a", "foo/b/c", "foo/b/d", "foo-bar/a", "foobar", "foo.b/a", "g"]
        for key in keys:
            store.set(key, b"1")
        assert store.erase_prefix("foo/b/") == 2
        assert store.erase_prefix("foo/") == 1
        assert [key for key in keys if store.exists(key)] == keys[3:]

    def test_a_prefix_without_keys_erases_nothing(self, store: AnyStore) -> None:
        """`erase_prefix` of a prefix that leads nowhere, or of a key, erases nothing."""
        need(store, ReadableStore, WritableStore)
        store.set("a/b", b"1")
        for prefix in ("missing/", "a/missing/", "a/b/"):
            assert store.erase_prefix(prefix) == 0
        assert store.exists("a/b")

    def test_the_empty_prefix_erases_all(self, store: AnyStore) -> None:
        """`erase_prefix("")` empties the store, which can be used again."""
        need(store, ReadableStore, WritableStore)
        for key in ("a/b/c", "a/d", "e"):
            store.set(key, b"1")
        assert store.erase_prefix("") == 3
        assert store.erase_prefix("") == 0
        if isinstance(store, ListableStore):
            assert store.list() == []
            assert store.list_dir("") == []
        store.set("a", b"new")
        assert bytes(store.get("a")) == b"new"
