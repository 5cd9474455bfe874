"""Laws about reading parts of values."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from storekit.errors import InvalidRangeError
from storekit.stores.base import ReadableStore
from storekit.testing.laws.common import AnyStore, Laws, need, refused

__all__ = ["RangeLaws"]

DIGITS = b"0123456789"
HUGE = 1 << 70
RANGES: list[tuple[int, int | None, bytes]] = [
    (0, None, DIGITS),
    (0, 10, DIGITS),
    (0, 3, b"012"),
    (3, 4, b"3456"),
    (9, 1, b"9"),
    (3, None, b"3456789"),
    (8, 12, b"89"),
    (0, HUGE, DIGITS),
    (10, 1, b""),
    (10, None, b""),
    (11, 5, b""),
    (HUGE, 5, b""),
    (4, 0, b""),
    (0, 0, b""),
    (-3, None, b"789"),
    (-3, 2, b"78"),
    (-3, 99, b"789"),
    (-1, 0, b""),
    (-10, None, DIGITS),
    (-99, None, DIGITS),
    (-99, 2, b"01"),
    (-HUGE, None, DIGITS),
]
INVALID_RANGES: list[tuple[Any, Any]] = [
    (0, -1),
    (-3, -1),
    (HUGE, -HUGE),
    (None, 1),
    ("0", 1),
    (0, "1"),
    (0.0, 1),
    (0, 1.0),
    (True, 1),
    (0, False),
    (b"", None),
]


class RangeLaws(Laws):
    """`get_partial_values`."""

    def test_ranges_are_clamped_to_the_value(self, store: AnyStore) -> None:
        """A range gives what there is of it; a negative start counts from the end."""
        need(store, ReadableStore)
        self.fill(store, {"a": DIGITS})
        for start, length, expected in RANGES:
            (value,) = store.get_partial_values([("a", start, length)])
            assert bytes(value) == expected, (start, length)

    def test_ranges_keep_their_order(self, store: AnyStore) -> None:
        """All the ranges in one call, doubled and reversed, come back in the order asked for."""
        need(store, ReadableStore)
        self.fill(store, {"a": DIGITS})
        asked = [*RANGES, *reversed(RANGES)]
        values = store.get_partial_values([("a", start, length) for start, length, _ in asked])
        assert [bytes(value) for value in values] == [expected for _, _, expected in asked]

    def test_overlapping_and_equal_ranges_are_independent(self, store: AnyStore) -> None:
        """Ranges that overlap, or are the same, each give their own bytes."""
        need(store, ReadableStore)
        self.fill(store, {"a": DIGITS})
        values = store.get_partial_values([("a", 0, 2), ("a", 2, 2), ("a", 0, 6), ("a", 0, 2)])
        assert [bytes(value) for value in values] == [b"01", b"23", b"012345", b"01"]

    def test_ranges_far_apart_are_exact(self, store: AnyStore) -> None:
        """Small ranges spread over a large value give the bytes of the value there."""
        need(store, ReadableStore)
        whole = np.arange(1 << 18, dtype="u4").tobytes()
        self.fill(store, {"a": whole})
        starts = [0, 1, 4095, 4096, 4097, 300_000, 300_100, 310_000, len(whole) - 7]
        values = store.get_partial_values([("a", start, 100) for start in reversed(starts)])
        assert [bytes(v) for v in values] == [whole[s : s + 100] for s in reversed(starts)]

    def test_a_missing_key_in_a_batch_is_none(self, store: AnyStore) -> None:
        """Missing keys give None in their places, and present ones their bytes."""
        need(store, ReadableStore)
        self.fill(store, {"a": DIGITS, "b/c": b"xyz"})
        values = store.get_partial_values(
            [("a", 0, 1), ("no", 0, 1), ("no", 0, 0), ("b/c", -1, None), ("b", 0, 1), ("a", 1, 1)]
        )
        assert [value if value is None else bytes(value) for value in values] == [
            b"0",
            None,
            None,
            b"z",
            None,
            b"1",
        ]

    def test_ranges_may_come_from_an_iterator(self, store: AnyStore) -> None:
        """A generator of ranges is used up once; no ranges give no values."""
        need(store, ReadableStore)
        self.fill(store, {"a": DIGITS})
        values = store.get_partial_values(("a", start, 1) for start in (2, 0))
        assert [bytes(value) for value in values] == [b"2", b"0"]
        assert store.get_partial_values(iter(())) == []

    def test_ranges_take_any_integer(self, store: AnyStore) -> None:
        """Numpy's integers serve as start and length."""
        need(store, ReadableStore)
        self.fill(store, {"a": DIGITS})
        (value,) = store.get_partial_values([("a", np.int16(-4), np.uint8(2))])
        assert bytes(value) == b"67"

    def test_an_empty_value_has_empty_ranges(self, store: AnyStore) -> None:
        """Every range of a value without bytes is empty, and not None."""
        need(store, ReadableStore)
        self.fill(store, {"a": b""})
        values = store.get_partial_values([("a", 0, None), ("a", -5, 3), ("a", 7, 1)])
        assert [bytes(value) for value in values] == [b"", b"", b""]

    def test_impossible_ranges_are_refused(self, store: AnyStore) -> None:
        """Negative lengths and what is no int raise `InvalidRangeError`, a ValueError, at once."""
        need(store, ReadableStore)
        self.fill(store, {"a": DIGITS})
        for start, length in INVALID_RANGES:
            for key in ("a", "missing"):
                asked = [("a", 0, 1), (key, start, length)]
                call = partial(store.get_partial_values, asked)
                error = refused(InvalidRangeError, asked, call)
                assert isinstance(error, ValueError)
