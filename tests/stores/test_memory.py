"""What is particular to stores in memory."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import pytest

from storekit.errors import InvalidKeyError, KeyConflictError
from storekit.stores import MemoryStore
from storekit.testing import run_at_once


def test_first_contents_are_copied() -> None:
    """A store begins with the contents given, and has nothing to do with them afterwards."""
    value = bytearray(b"1")
    fields = {"a/b": value, "c": b"2"}
    store = MemoryStore(fields)
    fields["d"] = b"3"
    value[:] = b"9"
    assert store.list() == ["a/b", "c"]
    assert store.get("a/b") == b"1"
    assert MemoryStore() == MemoryStore(None) == MemoryStore({})


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"/a": b""}, InvalidKeyError),
        ({"a": b"", "a/b": b""}, KeyConflictError),
        ({"a": "text"}, TypeError),
    ],
)
def test_first_contents_are_checked(fields: Any, kind: type[Exception]) -> None:
    """What could not be set cannot be there from the beginning."""
    with pytest.raises(kind):
        MemoryStore(fields)


def test_equality_is_that_of_the_contents() -> None:
    """Like dicts, stores with equal contents are equal, however they came by them."""
    one, other = MemoryStore({"a": b"1"}), MemoryStore()
    assert one != other
    other.set("b", b"")
    other.set("a", b"1")
    other.erase("b")
    assert one == other
    other.set("a", b"2")
    assert one != other
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_no_two_stores_have_one_identity() -> None:
    """An identity is not given again, neither to a copy nor after its store is gone."""
    identities = {MemoryStore().identity for _ in range(1000)}
    gc.collect()
    store = MemoryStore({"a": b"1"})
    copies = [copy.copy(store), copy.deepcopy(store), pickle.loads(pickle.dumps(store))]
    identities.update(each.identity for each in (store, *copies))
    assert len(identities) == 1004
    copies[0].set("a", b"2")
    assert store.get("a") == b"1"


def test_bytes_are_kept_without_a_copy() -> None:
    """A bytes object, which nobody can change, is stored and got as it is; others are copied."""
    store, value = MemoryStore(), b"x" * 1000

    class Bytes(bytes):
        pass

    store.set("a", value)
    assert store.get("a") is value
    store.set("a", Bytes(value))
    assert type(store.get("a")) is bytes
    (part,) = store.get_partial_values([("a", 10, 20)])
    assert isinstance(part, memoryview)


def test_the_repr_counts_the_keys() -> None:
    """The repr shows how many keys there are, and none of them."""
    assert repr(MemoryStore()) == "MemoryStore(0 keys)"
    assert repr(MemoryStore({"a": b""})) == "MemoryStore(1 key)"


def test_the_index_holds_nothing_that_is_gone() -> None:
    """After any number of keys came and went, from many threads, nothing is left of them."""
    store = MemoryStore()

    def work(number: int) -> None:
        for turn in range(100):
            store.set(f"a/{turn % 3}/{number}/b", b"")
            store.set(f"{number}", b"")
            store.erase_prefix(f"a/{turn % 3}/{number}/")
            store.erase(f"{number}")

    run_at_once(*(lambda number=number: work(number) for number in range(4)))
    assert store._entries == {}
    assert store._children == {}
