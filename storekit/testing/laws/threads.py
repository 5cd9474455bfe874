"""Laws about threads that share a store."""

from __future__ import annotations

from functools import partial

from storekit.errors import ConflictError, KeyConflictError, KeyNotFoundError
from storekit.stores.base import ConditionalStore, ListableStore, ReadableStore, WritableStore
from storekit.testing.laws.common import AnyStore, Laws, need, run_at_once

__all__ = ["ThreadLaws"]

WORKERS = 8


class ThreadLaws(Laws):
    """What is true of one thread is true of many."""

    def test_threads_have_their_own_keys(self, store: AnyStore) -> None:
        """Threads that write, read and erase keys of their own do not notice each other."""
        need(store, ReadableStore, WritableStore)

        def work(worker: int) -> None:
            for number in range(self.rounds):
                key, value = f"d{number % 3}/{worker}", b"%d-%d" % (worker, number)
                store.set(key, value)
                assert bytes(store.get(key)) == value
                if number % 2:
                    store.erase(key)
                    assert not store.exists(key)
                    store.set(key, value)

        run_at_once(*(partial(work, worker) for worker in range(WORKERS)))
        kept = [f"d{directory}/{worker}" for directory in range(3) for worker in range(WORKERS)]
        assert all(store.exists(key) for key in kept)
        if isinstance(store, ListableStore):
            assert store.list() == sorted(kept)

    def test_a_reader_never_sees_half_a_value(self, store: AnyStore) -> None:
        """While values are replaced, every read gives one that was written as a whole."""
        need(store, ReadableStore, WritableStore)
        valid = {bytes([worker]) * (1000 + 20_000 * worker) for worker in range(4)}
        store.set("a", bytes(1000))

        def write(value: bytes) -> None:
            for _ in range(self.rounds):
                store.set("a", value)

        def read() -> None:
            for _ in range(self.rounds):
                assert bytes(store.get("a")) in valid
                first, last = store.get_partial_values([("a", 0, 1), ("a", -1, None)])
                assert first == last

        run_at_once(*(partial(write, value) for value in valid), read, read, read)

    def test_a_reader_never_sees_half_a_part(self, store: AnyStore) -> None:
        """While a few bytes of a value are rewritten, every read gives them as written together."""
        need(store, ReadableStore, WritableStore)
        store.set("a", bytes(1000))

        def write() -> None:
            for number in range(4 * self.rounds):
                store.set_partial_values([("a", 404, bytes([number % 256]) * 4)])

        def read() -> None:
            for _ in range(self.rounds):
                for part in (
                    *store.get_partial_values([("a", 404, 4), ("a", 401, 100), ("a", -600, 9)]),
                    store.get("a"),
                ):
                    inside = {4: 0, 100: 3, 9: 4, 1000: 404}[len(part)]
                    assert len(set(bytes(part[inside : inside + 4]))) == 1

        run_at_once(write, read, read)

    def test_threads_set_and_erase_one_key(self, store: AnyStore) -> None:
        """A key that some set and others erase is always either absent or whole."""
        need(store, ReadableStore, WritableStore)

        def change(worker: int) -> None:
            for _ in range(self.rounds):
                store.set("a/b/c", bytes([worker]) * 100)
                store.erase("a/b/c")

        def read() -> None:
            for _ in range(self.rounds):
                try:
                    value = bytes(store.get("a/b/c"))
                except KeyNotFoundError:
                    continue
                assert value == value[:1] * 100

        run_at_once(*(partial(change, worker) for worker in range(4)), read, read)
        assert not store.exists("a/b/c")

    def test_a_key_and_its_prefix_never_live_together(self, store: AnyStore) -> None:
        """Threads that set a key and its prefix leave one of them, or none."""
        need(store, ReadableStore, WritableStore, ListableStore)
        if self.flat:
            return

        def change(key: str) -> None:
            for _ in range(self.rounds):
                try:
                    store.set(key, b"1")
                    store.erase(key)
                except KeyConflictError:
                    pass

        run_at_once(*(partial(change, key) for key in ("a", "a/b", "a/b/c", "a/b")))
        assert store.list() == []
        store.set("a/b", b"1")
        assert store.list() == ["a/b"]

    def test_a_listing_shows_what_stays(self, store: AnyStore) -> None:
        """While keys come and go, each listing has all that stay, and nothing that never was."""
        need(store, WritableStore, ListableStore)
        stay = {f"a/{number}" for number in range(10)}
        go = {f"{directory}/{number}" for directory in "abc" for number in range(10, 20)}
        for key in stay:
            store.set(key, b"")

        def change() -> None:
            for _ in range(max(self.rounds // 10, 1)):
                for key in go:
                    store.set(key, b"")
                store.erase_values(go)

        def listing() -> None:
            for _ in range(self.rounds // 2):
                assert stay <= set(store.list()) <= stay | go
                assert stay <= set(store.list_prefix("a/"))
                assert {"a/"} <= set(store.list_dir("")) <= {"a/", "b/", "c/"}

        run_at_once(change, change, listing, listing)
        assert set(store.list()) == stay

    def test_no_increment_is_lost(self, store: AnyStore) -> None:
        """5 workers that increment a number 10 times by compare-and-set make 50 of it."""
        need(store, ConditionalStore)
        store.compare_and_set("n", b"0", None)

        def work() -> None:
            for _ in range(10):
                while True:
                    value, version = store.get_versioned("n")
                    try:
                        store.compare_and_set("n", b"%d" % (int(bytes(value)) + 1), version)
                        break
                    except ConflictError:
                        continue

        run_at_once(*[work] * 5)
        assert bytes(store.get("n")) == b"50"

    def test_only_one_creates(self, store: AnyStore) -> None:
        """Of threads that create a key if it is absent one succeeds, and its value stays."""
        need(store, ConditionalStore)
        for number in range(max(self.rounds // 10, 1)):
            winners: list[int] = []

            def work(worker: int, key: str, winners: list[int] = winners) -> None:
                try:
                    store.compare_and_set(key, b"%d" % worker, None)
                    winners.append(worker)
                except ConflictError:
                    pass

            key = f"a/{number}/b"
            run_at_once(*(partial(work, worker, key) for worker in range(WORKERS)))
            assert len(winners) == 1
            assert bytes(store.get(key)) == b"%d" % winners[0]

    def test_no_part_is_lost(self, store: AnyStore) -> None:
        """8 threads that count in their own bytes of one value all arrive at their last number."""
        need(store, ConditionalStore)
        store.set("a", bytes(WORKERS))
        last = min(self.rounds, 20)

        def work(worker: int) -> None:
            for number in range(last):
                (before,) = store.get_partial_values([("a", worker, 1)])
                assert bytes(before) == bytes([number])
                store.set_partial_values([("a", worker, bytes([number + 1]))])

        run_at_once(*(partial(work, worker) for worker in range(WORKERS)))
        assert bytes(store.get("a")) == bytes([last]) * WORKERS
