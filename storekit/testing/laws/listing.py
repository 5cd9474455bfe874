"""Laws about listings."""

from __future__ import annotations

from storekit.stores.base import ListableStore, WritableStore
from storekit.testing.laws.common import AnyStore, Laws, need

__all__ = ["ListingLaws"]

TREE = ["b", "a/d/e", "a/b", "a/f/g", "a/c", "ab/x", "a-b/y", "a.b"]


class ListingLaws(Laws):
    """`list`, `list_prefix` and `list_dir`."""

    def _plant(self, store: AnyStore) -> None:
        need(store, ListableStore)
        self.fill(store, dict.fromkeys(TREE, b""))

    def test_an_empty_store_lists_nothing(self, store: AnyStore) -> None:
        """A store without keys has no keys, no prefixes and nothing under any prefix."""
        need(store, ListableStore)
        assert store.list() == []
        assert store.list_prefix("") == []
        assert store.list_dir("") == []
        assert store.list_prefix("a/") == []
        assert store.list_dir("a/b/") == []

    def test_all_keys_are_listed_sorted(self, store: AnyStore) -> None:
        """`list`, and `list_prefix` of everything, are a sorted list of all keys."""
        self._plant(store)
        assert store.list() == sorted(TREE)
        assert store.list_prefix("") == sorted(TREE)
        assert store.list_prefix("/") == sorted(TREE)

    def test_a_prefix_is_a_directory(self, store: AnyStore) -> None:
        """``a/`` lists what is in it, and neither ``ab/``, ``a-b/`` nor ``a.b``."""
        self._plant(store)
        assert store.list_prefix("a/") == ["a/b", "a/c", "a/d/e", "a/f/g"]
        assert store.list_prefix("a/d/") == ["a/d/e"]
        assert store.list_prefix("ab/") == ["ab/x"]

    def test_a_key_used_as_prefix_lists_nothing(self, store: AnyStore) -> None:
        """A key is not under itself."""
        self._plant(store)
        for key in TREE:
            assert store.list_prefix(f"{key}/") == []
            assert store.list_dir(f"{key}/") == []

    def test_a_missing_prefix_lists_nothing(self, store: AnyStore) -> None:
        """What leads to no key has nothing under it."""
        self._plant(store)
        for prefix in ("missing/", "a/missing/", "a/b/missing/"):
            assert store.list_prefix(prefix) == []
            assert store.list_dir(prefix) == []

    def test_list_dir_tells_keys_from_prefixes(self, store: AnyStore) -> None:
        """`list_dir` is one level: keys, and prefixes, which end with a slash, sorted."""
        self._plant(store)
        assert store.list_dir("") == sorted(["b", "a.b", "a/", "ab/", "a-b/"])
        assert store.list_dir("/") == store.list_dir("")
        assert store.list_dir("a/") == ["a/b", "a/c", "a/d/", "a/f/"]
        assert store.list_dir("a/d/") == ["a/d/e"]

    def test_every_key_is_reached_through_list_dir(self, store: AnyStore) -> None:
        """Going down from prefix to prefix finds exactly the keys of `list`."""
        self._plant(store)
        found: list[str] = []
        pending = [""]
        while pending:
            for name in store.list_dir(pending.pop()):
                (pending if name.endswith("/") else found).append(name)
        assert sorted(found) == store.list()

    def test_a_listing_belongs_to_the_caller(self, store: AnyStore) -> None:
        """What the caller does to a listing does not change the next one."""
        self._plant(store)
        for listing in (store.list, lambda: store.list_prefix("a/"), lambda: store.list_dir("a/")):
            before = list(listing())
            listing().clear()
            assert listing() == before

    def test_erased_keys_are_not_listed(self, store: AnyStore) -> None:
        """With its last key a prefix disappears from the listings."""
        need(store, ListableStore, WritableStore)
        for key in ("a/b/c", "a/b/d", "e"):
            store.set(key, b"")
        store.erase("a/b/c")
        assert store.list_dir("") == ["a/", "e"]
        store.erase("a/b/d")
        assert store.list() == ["e"]
        assert store.list_dir("") == ["e"]
        assert store.list_dir("a/") == []

    def test_keys_may_change_while_a_listing_is_used(self, store: AnyStore) -> None:
        """A listing may be gone through while its keys are erased and others are set."""
        need(store, ListableStore, WritableStore)
        for number in range(20):
            store.set(f"a/{number}", b"")
        for key in store.list_prefix("a/"):
            store.erase(key)
            store.set(f"b/{key}", b"")
        assert store.list_dir("") == ["b/"]
        assert len(store.list()) == 20

    def test_many_keys_are_listed_completely(self, store: AnyStore) -> None:
        """A listing that takes many pages, or blocks of a directory, lacks nothing."""
        need(store, ListableStore)
        keys = sorted(f"a/{number % 7}/{number}" for number in range(self.many))
        self.fill(store, dict.fromkeys(keys, b""))
        assert store.list() == keys
        assert store.list_dir("a/") == [f"a/{number}/" for number in range(7)]
        assert store.list_dir("a/3/") == [key for key in keys if key.startswith("a/3/")]
