"""Laws about versions and compare-and-set."""

from __future__ import annotations

import pytest

from storekit.errors import ConflictError, KeyNotFoundError
from storekit.stores.base import ConditionalStore
from storekit.testing.laws.common import AnyStore, Laws, need

__all__ = ["ConditionalLaws"]


class ConditionalLaws(Laws):
    """`get_versioned` and `compare_and_set`."""

    def test_a_versioned_value_is_the_value(self, store: AnyStore) -> None:
        """`get_versioned` gives the value and its version, a text; absence raises."""
        need(store, ConditionalStore)
        store.set("a", b"value")
        value, version = store.get_versioned("a")
        assert bytes(value) == b"value"
        assert isinstance(version, str)
        assert store.get_versioned("a")[1] == version
        with pytest.raises(KeyNotFoundError):
            store.get_versioned("missing")

    def test_a_value_is_created_only_if_absent(self, store: AnyStore) -> None:
        """With no version expected, an absent key is created and an existing one is kept."""
        need(store, ConditionalStore)
        version = store.compare_and_set("a/b", b"first", None)
        assert store.get_versioned("a/b") == (b"first", version)
        with pytest.raises(ConflictError):
            store.compare_and_set("a/b", b"second", None)
        assert bytes(store.get("a/b")) == b"first"

    def test_a_value_is_replaced_by_its_version(self, store: AnyStore) -> None:
        """The current version, as got or as returned, lets the value be replaced."""
        need(store, ConditionalStore)
        store.set("a", b"0")
        version = store.get_versioned("a")[1]
        for number in range(1, 5):
            version = store.compare_and_set("a", b"%d" % number, version)
            assert bytes(store.get("a")) == b"%d" % number
            assert store.get_versioned("a")[1] == version

    def test_a_stale_version_changes_nothing(self, store: AnyStore) -> None:
        """After any write, erasure or re-creation, an older version is refused."""
        need(store, ConditionalStore)
        store.set("a", b"same")
        stale = store.get_versioned("a")[1]
        store.set("a", b"same")
        with pytest.raises(ConflictError) as caught:
            store.compare_and_set("a", b"new", stale)
        assert caught.value.key == "a"
        store.erase("a")
        store.set("a", b"same")
        for value in (b"new", None):
            with pytest.raises(ConflictError):
                store.compare_and_set("a", value, stale)
        assert bytes(store.get("a")) == b"same"

    def test_an_absent_key_has_no_version(self, store: AnyStore) -> None:
        """Expecting a version of an absent key fails, and creates nothing."""
        need(store, ConditionalStore)
        store.set("a", b"1")
        version = store.get_versioned("a")[1]
        store.erase("a")
        for key in ("a", "b/c"):
            for value in (b"new", None):
                with pytest.raises(ConflictError):
                    store.compare_and_set(key, value, version)
            assert not store.exists(key)

    @pytest.mark.parametrize("version", ["", "0", "nonsense"])
    def test_what_is_no_version_matches_nothing(self, store: AnyStore, version: str) -> None:
        """A text that is nobody's version is refused, whether the key is there or not."""
        need(store, ConditionalStore)
        store.set("a", b"old")
        for key in ("a", "missing"):
            with pytest.raises(ConflictError):
                store.compare_and_set(key, b"new", version)
        assert bytes(store.get("a")) == b"old"
        assert not store.exists("missing")

    def test_a_value_is_removed_by_its_version(self, store: AnyStore) -> None:
        """In place of a value, None removes the key, and gives no version."""
        need(store, ConditionalStore)
        version = store.compare_and_set("a/b", b"1", None)
        assert store.compare_and_set("a/b", None, version) is None
        assert not store.exists("a/b")
        assert store.compare_and_set("a/b", None, None) is None
        store.set("a", b"no longer in the way")

    def test_no_two_writes_have_one_version(self, store: AnyStore) -> None:
        """Equal values written in quick succession, with and without erasing, differ in version."""
        need(store, ConditionalStore)
        versions = set()
        for _ in range(self.rounds):
            store.set("a", b"same")
            versions.add(store.get_versioned("a")[1])
            store.set("a", b"same")
            versions.add(store.get_versioned("a")[1])
            store.erase("a")
            versions.add(store.compare_and_set("a", b"same", None))
        assert len(versions) == 3 * self.rounds
