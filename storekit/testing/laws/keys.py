"""Laws about keys and prefixes: which there are, and which cannot live together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from storekit.errors import InvalidKeyError, KeyConflictError
from storekit.stores.base import ConditionalStore, ListableStore, ReadableStore, WritableStore
from storekit.testing.laws.common import AnyStore, Laws, need, refused

__all__ = ["INVALID_KEYS", "INVALID_PREFIXES", "VALID_KEYS", "KeyLaws"]

VALID_KEYS = [
    "a",
    "zarr.json",
    "c/0/12/3",
    "with space",
    " leading",
    "trailing ",
    "trailing.",
    "...a",
    ".hidden/.zarray",
    "a.b..c",
    "%41",
    "%2F",
    "a#b?c=d&e+f",
    "quote'\"`$(x);|<>*[]{}\\:",
    "tab\tnewline\nbell\x07",
    "ünïcödé",
    "e\u0301",
    "日本語/キー",
    "\N{ROCKET}",
    "~",
    "-rf",
    "CON",
    "x" * 255,
    "é" * 127,
    "/".join(["deep"] * 60),
]
INVALID_KEYS: list[Any] = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "...",
    "a/./b",
    "a/../b",
    "../a",
    "a/..",
    "nul\0",
    "x" * 256,
    "é" * 128,
    "/".join(["x" * 200] * 6),
    "\ud800",
    ".storekit-1",
    "a/.storekit-1-2/b",
    None,
    5,
    b"a",
    ("a",),
    ["a"],
]
INVALID_PREFIXES: list[Any] = ["a", "a//", "/a/", "../", "a/./", "nul\0/", None, 5, b"a/"]


class KeyLaws(Laws):
    """Valid and invalid keys, and keys that are prefixes of others."""

    @pytest.mark.parametrize("key", VALID_KEYS, ids=lambda key: ascii(key)[:30])
    def test_every_valid_key_can_be_used(self, store: AnyStore, key: str) -> None:
        """A valid key can be set, got, listed, walked down to, and erased."""
        need(store, ReadableStore)
        self.fill(store, {key: b"value"})
        assert bytes(store.get(key)) == b"value"
        if isinstance(store, ListableStore):
            assert store.list() == [key]
            prefix = ""
            while prefix != key:
                (prefix,) = store.list_dir(prefix)
        need(store, WritableStore)
        store.erase(key)
        assert not store.exists(key)

    def test_keys_are_compared_as_they_are(self, store: AnyStore) -> None:
        """Keys that differ in case, in normal form or in percent encoding are different keys."""
        need(store, ReadableStore)
        keys = [
            "key",
            "Key",
            "KEY",
            "\u00e9",
            "e\u0301",
            "%41",
            "A",
            "a%2Fb",
            "a b",
            "a%20b",
            "a+b",
        ]
        self.fill(store, {key: key.encode() for key in keys})
        assert [bytes(store.get(key)).decode() for key in keys] == keys
        assert not store.exists("k\u0065Y")
        assert not store.exists("a/b")

    def test_invalid_keys_are_refused(self, store: AnyStore) -> None:
        """Every method refuses what cannot be a key with `InvalidKeyError`, a ValueError."""
        calls: list[Callable[[Any], object]] = []
        if isinstance(store, ReadableStore):
            calls += [store.get, store.exists, store.getsize]
            calls += [lambda key: store.get_partial_values([("a", 0, 1), (key, 0, 1)])]
        if isinstance(store, WritableStore):
            calls += [lambda key: store.set(key, b""), store.erase]
            calls += [lambda key: store.erase_values(["a", key])]
            calls += [lambda key: store.set_partial_values([("a", 0, b"x"), (key, 0, b"")])]
            store.set("a", b"here")
        if isinstance(store, ConditionalStore):
            calls += [store.get_versioned]
            calls += [lambda key: store.compare_and_set(key, b"", None)]
            calls += [lambda key: store.compare_and_set(key, None, None)]
        for key in INVALID_KEYS:
            for call in calls:
                error = refused(InvalidKeyError, key, partial(call, key))
                assert isinstance(error, ValueError)
        need(store, ReadableStore, WritableStore)
        assert bytes(store.get("a")) == b"here"

    def test_invalid_prefixes_are_refused(self, store: AnyStore) -> None:
        """Every method refuses what cannot be a prefix with `InvalidKeyError`."""
        calls: list[Callable[[Any], object]] = []
        if isinstance(store, ListableStore):
            calls += [store.list_prefix, store.list_dir]
        if isinstance(store, WritableStore):
            calls += [store.erase_prefix]
        for prefix in INVALID_PREFIXES:
            for call in calls:
                refused(InvalidKeyError, prefix, partial(call, prefix))

    @pytest.mark.parametrize(
        ("first", "second"), [("a", "a/b"), ("a", "a/b/c"), ("x/a", "x/a/b"), ("a/b", "a/b/c/d")]
    )
    def test_a_key_cannot_be_a_prefix_of_another(
        self, store: AnyStore, first: str, second: str
    ) -> None:
        """Of a key and its prefix only one can be set, in either order; object stores take both."""
        need(store, ReadableStore, WritableStore)
        for one, other in ((first, second), (second, first)):
            store.set(one, b"one")
            if self.flat:
                store.set(other, b"other")
                assert bytes(store.get(other)) == b"other"
                store.erase(other)
            else:
                with pytest.raises(KeyConflictError):
                    store.set(other, b"other")
                assert not store.exists(other)
            assert bytes(store.get(one)) == b"one"
            store.erase(one)

    def test_a_flat_store_tells_a_key_from_its_prefix(self, store: AnyStore) -> None:
        """Where a key may be the prefix of another, each is read, listed and erased as itself."""
        need(store, ReadableStore, WritableStore)
        lists = isinstance(store, ListableStore)
        if not self.flat:
            pytest.skip("this store refuses one of the two")
        for key in ("a", "a/b"):
            store.set(key, key.encode())
        assert [bytes(store.get(key)) for key in ("a", "a/b")] == [b"a", b"a/b"]
        assert [store.getsize(key) for key in ("a", "a/b")] == [1, 3]
        if lists:
            assert store.list() == ["a", "a/b"]
            assert store.list_dir("") == ["a", "a/"]
            assert store.list_prefix("a/") == store.list_dir("a/") == ["a/b"]
            assert store.erase_prefix("a/") == 1
        else:
            store.erase("a/b")
        assert bytes(store.get("a")) == b"a"
        assert not store.exists("a/b")

    def test_compare_and_set_keeps_keys_and_prefixes_apart(self, store: AnyStore) -> None:
        """A value that is only created if absent cannot be a prefix of a key either."""
        need(store, ConditionalStore)
        if self.flat:
            pytest.skip("this store accepts both")
        for one, other in (("a", "a/b"), ("a/b", "a")):
            store.set(one, b"one")
            with pytest.raises(KeyConflictError):
                store.compare_and_set(other, b"other", None)
            assert not store.exists(other)
            store.erase(one)

    def test_an_erased_key_is_in_nobodys_way(self, store: AnyStore) -> None:
        """Once it is erased, a key leaves room for its prefixes and for keys under it."""
        need(store, ReadableStore, WritableStore)
        for key in ("a/b/c", "a", "a/b", "a/b/c/d", "a"):
            store.set(key, key.encode())
            assert bytes(store.get(key)) == key.encode()
            store.erase(key)
        store.set("a/b/c", b"")
        store.erase_prefix("a/")
        store.set("a", b"last")
        assert bytes(store.get("a")) == b"last"

    def test_a_refused_write_leaves_no_trace(self, store: AnyStore) -> None:
        """After `KeyConflictError` the listings are as they were."""
        need(store, WritableStore, ListableStore)
        if self.flat:
            pytest.skip("this store accepts both")
        store.set("a", b"")
        with pytest.raises(KeyConflictError):
            store.set("a/b/c/d", b"")
        assert store.list() == ["a"]
        assert store.list_dir("") == ["a"]
