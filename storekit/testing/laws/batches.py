"""Laws about storing several values in one call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from storekit.errors import InvalidKeyError, KeyConflictError
from storekit.stores.base import ListableStore, ReadableStore, WritableStore
from storekit.testing.laws.common import AnyStore, Laws, need, run_at_once

__all__ = ["BatchLaws"]

SIZES = (0, 1, 100, 1 << 16, (1 << 16) + 1, 1 << 21)


class BatchLaws(Laws):
    """`set_values`."""

    def test_several_values_are_stored(self, store: AnyStore) -> None:
        """Values of any size and bytes-like kind, for new keys and old, are all stored."""
        need(store, ReadableStore, WritableStore)
        store.set("d0/0", b"old")
        contents = {
            f"d{number // 7 % 3}/{number}": bytes([number]) * SIZES[number % len(SIZES)]
            for number in range(self.batch // 2)
        }
        kinds = (bytes, bytearray, memoryview)
        store.set_values(
            (key, kinds[number % 3](value)) for number, (key, value) in enumerate(contents.items())
        )
        assert {key: bytes(store.get(key)) for key in contents} == contents
        if isinstance(store, ListableStore):
            assert store.list() == sorted(contents)

    def test_no_values_change_nothing(self, store: AnyStore) -> None:
        """Without values nothing happens."""
        need(store, ReadableStore, WritableStore)
        store.set("a", b"0123")
        store.set_values([])
        assert bytes(store.get("a")) == b"0123"

    def test_the_last_of_several_values_of_a_key_stays(self, store: AnyStore) -> None:
        """A key that comes again has the value that came last."""
        need(store, ReadableStore, WritableStore)
        store.set_values((f"a/{number % 3}", b"%d" % number) for number in range(self.batch))
        last = {number % 3: b"%d" % number for number in range(self.batch)}
        assert {n: bytes(store.get(f"a/{n}")) for n in range(3)} == last

    def test_values_may_share_a_buffer(self, store: AnyStore) -> None:
        """A generator that makes each value in the same memory stores them all as they were."""
        need(store, ReadableStore, WritableStore)

        def values() -> Iterator[tuple[str, bytearray]]:
            buffer = bytearray(100)
            for number in range(self.batch):
                buffer[:] = bytes([number]) * 100
                yield f"a/{number}", buffer
            buffer[:] = b"x" * 100

        store.set_values(values())
        for number in range(self.batch):
            assert bytes(store.get(f"a/{number}")) == bytes([number]) * 100

    @pytest.mark.parametrize("count", [0, 1, 17, 63, 64, 65, 150])
    def test_what_came_before_an_error_is_stored(self, store: AnyStore, count: int) -> None:
        """An iterable that fails, its error raised, has stored what it gave before."""
        need(store, ReadableStore, WritableStore)
        if count > self.batch:
            pytest.skip(f"for this store {self.batch} values are enough")

        class BrokenError(Exception):
            pass

        def values() -> Iterator[tuple[str, bytes]]:
            for number in range(count):
                yield f"a/{number}", b"%d" % number
            raise BrokenError

        with pytest.raises(BrokenError):
            store.set_values(values())
        for number in range(count):
            assert bytes(store.get(f"a/{number}")) == b"%d" % number
        if isinstance(store, ListableStore):
            assert len(store.list()) == count

    @pytest.mark.parametrize(
        ("bad", "kind"),
        [
            (("a//b", b""), InvalidKeyError),
            (("a/c", "text"), TypeError),
            (("a/1/b", b""), KeyConflictError),
            (("a", b""), KeyConflictError),
        ],
    )
    def test_a_bad_pair_ends_it(self, store: AnyStore, bad: Any, kind: type[Exception]) -> None:
        """A pair that cannot be stored raises; those before it are stored, those behind are not."""
        need(store, ReadableStore, WritableStore)
        if self.flat and kind is KeyConflictError:
            return
        count = min(self.batch, 70)
        before = [(f"a/{number}", b"%d" % number) for number in range(count)]
        behind = [(f"a/behind-{number}", b"") for number in range(count)]
        with pytest.raises(kind):
            store.set_values([*before, bad, *behind])
        for key, value in before:
            assert bytes(store.get(key)) == value
        assert not any(store.exists(key) for key, _ in behind)

    def test_values_are_taken_while_they_are_written(self, store: AnyStore) -> None:
        """Long before the last of many values is asked for, the first ones are stored."""
        need(store, ReadableStore, WritableStore)
        stored: list[bool] = []

        def values() -> Iterator[tuple[str, bytes]]:
            for number in range(2 * self.batch):
                stored.append(store.exists("a/0"))
                yield f"a/{number}", b""

        store.set_values(values())
        assert stored.index(True) <= self.batch

    def test_threads_store_several_values_in_one_place(self, store: AnyStore) -> None:
        """Threads that store values of their own side by side, and erase, lose none."""
        need(store, ReadableStore, WritableStore)

        def work(worker: int) -> None:
            contents = {f"d{n % 2}/{worker}-{n}": b"%d" % n for n in range(self.batch // 10)}
            for _ in range(max(self.rounds // 10, 1)):
                store.set_values(contents.items())
                assert all(bytes(store.get(key)) == contents[key] for key in contents)
                store.erase_values(contents)

        run_at_once(*(lambda worker=worker: work(worker) for worker in range(4)))
        if isinstance(store, ListableStore):
            assert store.list() == []
