"""Laws about stores as Python objects."""

from __future__ import annotations

import copy
import pickle

import pytest

from storekit.errors import KeyNotFoundError, ReadOnlyError, UnsupportedError
from storekit.stores.base import (
    ConditionalStore,
    Latency,
    ListableStore,
    ReadableStore,
    WritableStore,
)
from storekit.testing.laws.common import AnyStore, Laws, need

__all__ = ["ObjectLaws"]

_CALLS: dict[type, dict[str, tuple[object, ...]]] = {
    ReadableStore: {
        "get": ("a",),
        "get_partial_values": ([("a", 0, 1)],),
        "exists": ("a",),
        "getsize": ("a",),
    },
    WritableStore: {
        "set": ("a", b""),
        "set_values": ([("a", b"")],),
        "set_partial_values": ([("a", 0, b"")],),
        "erase": ("a",),
        "erase_values": (["a"],),
        "erase_prefix": ("",),
    },
    ListableStore: {"list": (), "list_prefix": ("",), "list_dir": ("",)},
    ConditionalStore: {"get_versioned": ("a",), "compare_and_set": ("a", b"", None)},
}


class ObjectLaws(Laws):
    """repr, equality, pickling, context manager, and what array code asks a store."""

    def test_a_pickled_store_is_equal(self, store: AnyStore) -> None:
        """A store that was used, pickled and restored is equal to itself, and holds the same."""
        need(store, ReadableStore)
        self.fill(store, {"a/b": b"value"})
        restored: AnyStore = pickle.loads(pickle.dumps(store))
        assert restored == store
        assert bytes(restored.get("a/b")) == b"value"
        assert repr(restored) == repr(store)
        if isinstance(store, WritableStore):
            restored.set("c", b"works")
            assert bytes(restored.get("c")) == b"works"

    def test_a_copy_is_equal(self, store: AnyStore) -> None:
        """A deep copy of a store is equal to it, and has the same capabilities."""
        clone = copy.deepcopy(store)
        assert clone == store
        assert all(isinstance(clone, kind) for kind in type(store).__mro__)

    def test_a_store_equals_no_other_thing(self, store: AnyStore) -> None:
        """A store is equal to itself and unequal to what is no store."""
        assert store == store
        for other in (None, 5, "text", {}, object()):
            assert store != other

    def test_the_repr_is_short(self, store: AnyStore) -> None:
        """The repr names the class, fits in a message, and shows no values."""
        need(store, ReadableStore)
        self.fill(store, {"a": b"SECRET" * 1000})
        assert type(store).__name__ in repr(store)
        assert len(repr(store)) < 400
        assert "SECRET" not in repr(store)

    def test_a_store_is_a_context(self, store: AnyStore) -> None:
        """`with store:` hands out the store itself, and closes it in the end."""
        with store as entered:
            assert entered is store
        store.close()

    def test_identity_can_be_relied_on(self, store: AnyStore) -> None:
        """The identity is hashable, stays, and differs from that of another place."""
        identity = store.identity
        hash(identity)
        if isinstance(store, WritableStore):
            store.set("a", b"")
        assert store.identity == identity

    def test_a_store_says_how_to_use_it(self, store: AnyStore) -> None:
        """Latency class, useful concurrency and clock are there for array code."""
        assert isinstance(store.latency, Latency)
        assert store.concurrency >= 1
        assert store.clock.now() <= store.clock.now()
        assert store.clock.now_ns() > 0

    def test_an_error_survives_pickling(self, store: AnyStore) -> None:
        """An error from a worker process arrives with its attributes."""
        need(store, ReadableStore)
        with pytest.raises(KeyNotFoundError) as caught:
            store.get("missing")
        restored = pickle.loads(pickle.dumps(caught.value))
        assert type(restored) is KeyNotFoundError
        assert str(restored) == str(caught.value)
        assert (restored.key, restored.op, restored.store) == ("missing", "get", caught.value.store)

    def test_a_store_refuses_what_it_does_not_claim(self, store: AnyStore) -> None:
        """Methods of a capability that the store has not are missing, or refuse, whatever for."""
        for capability, calls in _CALLS.items():
            if isinstance(store, capability):
                continue
            for op, arguments in calls.items():
                if hasattr(store, op):
                    with pytest.raises((ReadOnlyError, UnsupportedError)):
                        getattr(store, op)(*arguments)

    def test_a_read_only_store_refuses_writes(self, read_only_store: AnyStore) -> None:
        """Every writing method of a read-only store raises `ReadOnlyError`, a PermissionError."""
        if read_only_store is None:
            pytest.skip("this store has no read-only form")
        calls = _CALLS[WritableStore] | {"compare_and_set": ("a", b"", None)}
        for op, arguments in calls.items():
            with pytest.raises(ReadOnlyError) as caught:
                getattr(read_only_store, op)(*arguments)
            assert isinstance(caught.value, PermissionError)
