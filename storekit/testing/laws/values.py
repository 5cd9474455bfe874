"""Laws about whole values."""

from __future__ import annotations

import array
from functools import partial
from typing import Any

import numpy as np
import pytest

from storekit.errors import KeyNotFoundError
from storekit.stores.base import ListableStore, ReadableStore, WritableStore
from storekit.testing.laws.common import AnyStore, Laws, need, refused

__all__ = ["ValueLaws"]

BYTES_LIKE = {
    "bytes": b"abcdef",
    "bytearray": bytearray(b"abcdef"),
    "memoryview": memoryview(b"abcdef"),
    "reversed view": memoryview(b"fedcba")[::-1],
    "every second byte": memoryview(b"a-b-c-d-e-f-")[::2],
    "array.array": array.array("H", [1, 2, 3]),
    "2-d array": np.arange(12, dtype="f4").reshape(3, 4),
    "Fortran array": np.asfortranarray(np.arange(12, dtype="f4").reshape(3, 4)),
    "strided array": np.arange(24, dtype="i2")[::3],
    "big-endian array": np.arange(5, dtype=">i4"),
    "structured array": np.zeros(3, dtype="i4,f8"),
    "complex array": np.ones(3, dtype="c16"),
    "0-d array": np.array(3.5),
    "empty array": np.zeros((0, 3)),
    "numpy scalar": np.float64(2.5),
}
NO_BYTES = ("text", 5, None, [1, 2], np.array([None, 1], dtype=object), np.zeros(2, dtype="M8[s]"))


def _bytes_of(value: Any) -> bytes:
    return value.tobytes() if hasattr(value, "tobytes") else bytes(value)


class ValueLaws(Laws):
    """`get`, `set`, `exists` and `getsize`."""

    def test_what_is_set_is_got(self, store: AnyStore) -> None:
        """What is set under a key is got under this key, and no other key appears."""
        need(store, ReadableStore)
        self.fill(store, {"a/b": b"first", "c": b"second"})
        assert bytes(store.get("a/b")) == b"first"
        assert bytes(store.get("c")) == b"second"
        assert store.exists("c")
        assert not store.exists("d")
        assert store.getsize("c") == 6

    def test_set_replaces_a_value(self, store: AnyStore) -> None:
        """A value set again is replaced as a whole, whether the new one is longer or shorter."""
        need(store, ReadableStore, WritableStore)
        for value in (b"short", b"much longer than that", b"s"):
            store.set("a", value)
            assert bytes(store.get("a")) == value
            assert store.getsize("a") == len(value)

    def test_an_empty_value_is_a_value(self, store: AnyStore) -> None:
        """A value without bytes exists, is got, and is listed."""
        need(store, ReadableStore)
        self.fill(store, {"a": b""})
        assert bytes(store.get("a")) == b""
        assert store.exists("a")
        assert store.getsize("a") == 0
        if isinstance(store, ListableStore):
            assert store.list() == ["a"]

    def test_a_large_value_comes_back(self, store: AnyStore) -> None:
        """A value of several megabytes is got as it was set."""
        need(store, ReadableStore)
        value = np.arange(1 << 19, dtype="u8").tobytes()
        self.fill(store, {"large": value})
        assert store.getsize("large") == len(value)
        assert bytes(store.get("large")) == value

    def test_any_bytes_like_value_is_taken(self, store: AnyStore) -> None:
        """Any object with a buffer is stored as its bytes in C order."""
        need(store, ReadableStore, WritableStore)
        for kind, value in BYTES_LIKE.items():
            store.set("a", value)
            assert bytes(store.get("a")) == _bytes_of(value), kind

    def test_values_without_bytes_are_refused(self, store: AnyStore) -> None:
        """What has no bytes raises TypeError, and what was stored stays."""
        need(store, ReadableStore, WritableStore)
        store.set("a", b"old")
        for value in NO_BYTES:
            for key in ("a", "new"):
                refused(TypeError, value, partial(store.set, key, value))
        assert bytes(store.get("a")) == b"old"
        assert not store.exists("new")

    def test_later_changes_by_the_caller_are_not_seen(self, store: AnyStore) -> None:
        """A buffer that the caller changes after `set` leaves the stored value as it was."""
        need(store, ReadableStore, WritableStore)
        buffer = bytearray(b"before")
        store.set("a", buffer)
        buffer[:] = b"after!"
        assert bytes(store.get("a")) == b"before"

    def test_what_is_got_is_read_only(self, store: AnyStore) -> None:
        """Whole values and parts are read-only, contiguous bytes."""
        need(store, ReadableStore)
        self.fill(store, {"a": b"abcdef"})
        parts = store.get_partial_values([("a", 1, 2), ("a", -2, None), ("a", 9, 1)])
        for value in (store.get("a"), *parts):
            assert isinstance(value, bytes | memoryview)
            view = memoryview(value)
            assert view.readonly
            assert view.contiguous
            assert (view.format, view.ndim) == ("B", 1)

    def test_what_was_got_does_not_change(self, store: AnyStore) -> None:
        """A value in the hands of a reader stays, whatever happens to its key."""
        need(store, ReadableStore, WritableStore)
        store.set("a", b"before")
        whole = store.get("a")
        (part,) = store.get_partial_values([("a", 2, 3)])
        store.set("a", b"after, and longer")
        assert (bytes(whole), bytes(part)) == (b"before", b"for")
        store.erase("a")
        assert (bytes(whole), bytes(part)) == (b"before", b"for")

    def test_a_missing_key_is_not_found(self, store: AnyStore) -> None:
        """`get` and `getsize` of a missing key raise `KeyNotFoundError`, which is no OSError."""
        need(store, ReadableStore)
        self.fill(store, {"a/b": b"1"})
        for key in ("missing", "a/missing", "missing/b", "a/b/missing"):
            assert not store.exists(key)
            for method in (store.get, store.getsize):
                with pytest.raises(KeyNotFoundError) as caught:
                    method(key)
                assert isinstance(caught.value, KeyError)
                assert not isinstance(caught.value, OSError)
                assert not caught.value.retryable

    def test_an_error_says_where(self, store: AnyStore) -> None:
        """The error of a missing key names the store, the operation and the key."""
        need(store, ReadableStore)
        with pytest.raises(KeyNotFoundError, match="missing/key") as caught:
            store.get("missing/key")
        assert caught.value.key == "missing/key"
        assert caught.value.op == "get"
        assert caught.value.store

    def test_a_prefix_is_not_a_key(self, store: AnyStore) -> None:
        """What is only the beginning of keys holds no value."""
        need(store, ReadableStore)
        self.fill(store, {"a/b/c": b"1"})
        for prefix in ("a", "a/b"):
            assert not store.exists(prefix)
            with pytest.raises(KeyNotFoundError):
                store.get(prefix)
            with pytest.raises(KeyNotFoundError):
                store.getsize(prefix)
            assert store.get_partial_values([(prefix, 0, None)]) == [None]
