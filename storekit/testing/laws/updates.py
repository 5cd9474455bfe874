"""Laws about writing parts of values."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from storekit.errors import InvalidRangeError, KeyNotFoundError
from storekit.stores.base import ReadableStore, WritableStore
from storekit.testing.laws.common import AnyStore, Laws, need, refused

__all__ = ["UpdateLaws"]

UPDATES: dict[str, tuple[list[tuple[int, bytes]], bytes]] = {
    "inside": ([(2, b"AB")], b"01AB456789"),
    "at the beginning": ([(0, b"A")], b"A123456789"),
    "all of it": ([(0, b"abcdefghij")], b"abcdefghij"),
    "over the end": ([(8, b"ABCD")], b"01234567ABCD"),
    "right behind the end": ([(10, b"AB")], b"0123456789AB"),
    "nothing": ([(3, b"")], b"0123456789"),
    "several, unsorted": ([(7, b"C"), (0, b"A"), (3, b"B")], b"A12B456C89"),
    "side by side": ([(2, b"AB"), (4, b"CD")], b"01ABCD6789"),
    "each where the last ended": ([(12, b"C"), (9, b"ABC")], b"012345678ABCC"),
    "nothing within another": ([(2, b"ABC"), (3, b"")], b"01ABC56789"),
}
IMPOSSIBLE: dict[str, list[tuple[Any, bytes]]] = {
    "negative start": [(-1, b"A")],
    "no int": [(1.0, b"A")],
    "no start": [(None, b"A")],
    "gap": [(11, b"A")],
    "gap between": [(0, b"A"), (15, b"A")],
    "empty behind a gap": [(11, b"")],
    "overlap": [(2, b"ABC"), (4, b"D")],
    "twice": [(2, b"A"), (2, b"A")],
    "one inside another": [(0, b"ABCDEF"), (7, b"X"), (2, b"Y")],
}


class UpdateLaws(Laws):
    """`set_partial_values`."""

    def test_parts_are_written_into_the_value(self, store: AnyStore) -> None:
        """Parts replace the bytes in their place, and may make the value longer."""
        need(store, ReadableStore, WritableStore)
        for case, (parts, expected) in UPDATES.items():
            store.set("a", b"0123456789")
            store.set_partial_values(("a", start, value) for start, value in parts)
            assert bytes(store.get("a")) == expected, case
            assert store.getsize("a") == len(expected), case

    def test_parts_of_several_values(self, store: AnyStore) -> None:
        """Parts of several keys, in any order, each go to their own; values are bytes-like."""
        need(store, ReadableStore, WritableStore)
        store.set("a", b"0123")
        store.set("b/c", b"4567")
        parts = [("b/c", 0, bytearray(b"x")), ("a", 1, memoryview(b"y")), ("b/c", 3, b"z")]
        store.set_partial_values(parts)
        assert bytes(store.get("a")) == b"0y23"
        assert bytes(store.get("b/c")) == b"x56z"

    def test_no_parts_change_nothing(self, store: AnyStore) -> None:
        """Without parts nothing happens."""
        need(store, ReadableStore, WritableStore)
        store.set("a", b"0123")
        store.set_partial_values([])
        assert bytes(store.get("a")) == b"0123"

    def test_parts_of_a_missing_value_are_refused(self, store: AnyStore) -> None:
        """Parts do not make a value: a missing key raises `KeyNotFoundError` and stays missing."""
        need(store, ReadableStore, WritableStore)
        for start, value in ((0, b"x"), (0, b""), (5, b"x")):
            with pytest.raises(KeyNotFoundError):
                store.set_partial_values([("a", start, value)])
        assert not store.exists("a")

    def test_impossible_parts_are_refused(self, store: AnyStore) -> None:
        """Parts that leave a gap, overlap or make no sense raise, and leave the value as it was."""
        need(store, ReadableStore, WritableStore)
        store.set("a", b"0123456789")
        for case, parts in IMPOSSIBLE.items():
            asked = [("a", start, value) for start, value in parts]
            refused(InvalidRangeError, case, partial(store.set_partial_values, asked))
            assert bytes(store.get("a")) == b"0123456789", case

    def test_bad_parts_are_refused_before_any_is_written(self, store: AnyStore) -> None:
        """One part that cannot be, wherever it stands, keeps all others from being written."""
        need(store, ReadableStore, WritableStore)
        store.set("a", b"0123")
        with pytest.raises(InvalidRangeError):
            store.set_partial_values([("a", 0, b"x"), ("b", -1, b"x")])
        with pytest.raises(TypeError):
            store.set_partial_values([("a", 0, b"x"), ("a", 1, "text")])
        assert bytes(store.get("a")) == b"0123"
