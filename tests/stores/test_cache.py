"""A CacheStore saves requests, and nobody can tell from the answers that it is there."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test
from signal_points import in_time, interrupted
from store_samples import DictStore, WriteOnly, operations

import storekit as sk
from storekit.errors import (
    ConflictError,
    ConnectionLostError,
    KeyNotFoundError,
    StoreError,
    TimeoutError,
)
from storekit.simulation import VirtualClock
from storekit.stores import (
    Call,
    LocalStore,
    MemoryStore,
    SlowStore,
    Store,
    WrapperStore,
    states,
)
from storekit.stores.cache import CacheStats, CacheStore
from storekit.stores.prefix import PrefixStore
from storekit.stores.timeout import TimeoutStore
from storekit.testing import StoreContract, StoreMachine
from storekit.testing.laws.common import run_at_once


class Counting(WrapperStore):
    """Notes what is asked of it; does before and after each call what a test says."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.calls: list[Call] = []
        self.before: Callable[[Call], object] = lambda call: None
        self.after: Callable[[Call], object] = lambda call: None

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        self.calls.append(call)
        self.before(call)
        answer = proceed()
        self.after(call)
        return answer

    @property
    def ops(self) -> list[str]:
        """The names of the calls since this was asked last."""
        ops = [call.op for call in self.calls]
        self.calls.clear()
        return ops


def restored(store: Any) -> Any:
    """The store, after a journey to another process."""
    return pickle.loads(pickle.dumps(store))


class TestCaches(StoreContract):
    """With every budget a cache is a store like the one it is for."""

    many = 200
    rounds = 10

    @pytest.fixture(params=["off", "tiny", "local", "on disk", "restored"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Store:
        """Caches of several sizes and kinds."""
        local, disk = LocalStore(tmp_path / "root"), LocalStore(tmp_path / "cache")
        return {
            "off": lambda: CacheStore(MemoryStore(), max_bytes=0),
            "tiny": lambda: CacheStore(MemoryStore(), max_bytes=30, negative=True),
            "local": lambda: CacheStore(local, max_bytes=0),
            "on disk": lambda: CacheStore(local, disk, max_bytes=10_000, negative=True),
            "restored": lambda: restored(CacheStore(MemoryStore(), negative=True)),
        }[request.param]()


# --- what is answered from the cache


@pytest.fixture
def inner() -> Counting:
    """A store with two values, that counts."""
    return Counting(MemoryStore({"a": b"0123456789", "b/c": b"45"}))


def test_a_whole_value_answers_everything_about_it(inner: Counting) -> None:
    """After one `get` neither the value, a range, its size nor its presence is asked for."""
    store: Any = CacheStore(inner)
    assert store.get("a") == b"0123456789"
    inner.calls.clear()
    assert store.get("a") == b"0123456789"
    assert store.get_partial_values([("a", -3, 2), ("a", 8, 9), ("a", 0, None), ("a", 99, 1)]) == [
        b"78",
        b"89",
        b"0123456789",
        b"",
    ]
    assert store.getsize("a") == 10
    assert store.exists("a")
    assert inner.ops == []
    assert store.stats == CacheStats(hits=7, misses=1, evictions=0, bytes=10)


def test_a_range_is_kept_as_it_was_asked_for(inner: Counting) -> None:
    """The same range is not asked for again, another one is; all of a value is all of it."""
    store: Any = CacheStore(inner)
    assert store.get_partial_values([("a", 1, 2), ("b/c", 0, 1)]) == [b"12", b"4"]
    inner.calls.clear()
    assert store.get_partial_values([("b/c", 0, 1), ("a", 2, 2), ("a", 1, 2)]) == [
        b"4",
        b"23",
        b"12",
    ]
    assert inner.calls == [Call("get_partial_values", ("a",), ((2, 2),))]
    assert store.getsize("a") == 10
    assert store.get_partial_values([("a", 0, None)]) == [b"0123456789"]
    inner.calls.clear()
    assert store.get("a") == b"0123456789"
    assert inner.ops == []


def test_what_is_asked_twice_at_once_is_asked_once(inner: Counting) -> None:
    """A range that comes twice in one call comes once in the inner one."""
    store: Any = CacheStore(inner)
    assert store.get_partial_values([("a", 1, 2), ("a", 0, 1), ("a", 1, 2)]) == [b"12", b"0", b"12"]
    assert inner.calls == [Call("get_partial_values", ("a", "a"), ((1, 2), (0, 1)))]


def test_listings_and_versions_are_always_asked_for(inner: Counting) -> None:
    """What is not kept is asked for each time."""
    store: Any = CacheStore(inner, negative=True)
    for _ in range(2):
        store.list(), store.list_prefix("b/"), store.list_dir(""), store.get_versioned("a")
    assert inner.ops == ["list", "list_prefix", "list_dir", "get_versioned"] * 2


def test_absences_are_kept_if_wanted(inner: Counting) -> None:
    """With `negative` the absence of a key answers all questions; without it none."""
    questions: list[Callable[[Any], Any]] = [
        lambda store: answer(lambda store: store.get("x"), store) is KeyNotFoundError,
        lambda store: answer(lambda store: store.getsize("x"), store) is KeyNotFoundError,
        lambda store: not store.exists("x"),
        lambda store: store.get_partial_values([("x", 0, 1), ("x", 5, None)]) == [None, None],
    ]
    for first in questions:
        store = CacheStore(inner, negative=True)
        assert first(store)
        inner.calls.clear()
        assert all(question(store) for question in questions)
        assert inner.ops == []
        store = CacheStore(inner)
        assert all(question(store) for question in [*questions, *questions])
        assert len(inner.ops) == 8


def test_the_policy_chooses_what_is_kept(inner: Counting) -> None:
    """The policy sees key and range, or None for whole values and absences, and is obeyed."""
    seen: list[Any] = []

    def policy(key: str, part: Any) -> bool:
        seen.append((key, part))
        return key == "a" and part is None

    store: Any = CacheStore(inner, policy=policy, negative=True)
    for _ in range(2):
        store.get("a"), store.get("b/c"), store.exists("x")
        store.get_partial_values([("b/c", 0, 1)])
    again = ["get", "exists", "get_partial_values"]
    assert inner.ops == ["get", *again, *again]
    assert seen == [("a", None), *[("b/c", None), ("x", None), ("b/c", (0, 1))] * 2]


# --- the budget


def test_the_least_recently_used_goes_first() -> None:
    """A value that is used stays; the one that has not been used for longest makes room."""
    inner = Counting(MemoryStore({name: bytes(10) for name in "abcd"}))
    store: Any = CacheStore(inner, max_bytes=30)
    for key in "abcad":
        store.get(key)
    inner.calls.clear()
    for key in "acdb":
        store.get(key)
    assert [call.keys for call in inner.calls] == [("b",)]
    assert store.stats == CacheStats(hits=4, misses=5, evictions=2, bytes=30)


def test_what_is_larger_than_the_budget_makes_nothing_go() -> None:
    """A value beyond the budget is not kept, and leaves all else in its place."""
    inner = Counting(MemoryStore({"a": bytes(10), "b": bytes(31), "c": bytes(30)}))
    store: Any = CacheStore(inner, max_bytes=30)
    store.get("a"), store.get("b"), store.get("b"), store.get("a")
    assert inner.ops == ["get", "get", "get"]
    assert store.stats == CacheStats(hits=1, misses=3, evictions=0, bytes=10)
    store.get("c")
    assert store.stats.bytes == 30


def test_what_has_no_bytes_weighs_as_its_key() -> None:
    """Absences and empty values use up the budget, too."""
    store: Any = CacheStore(MemoryStore({"empty": b""}), max_bytes=9, negative=True)
    store.get("empty"), store.exists("none")
    assert store.stats == CacheStats(hits=0, misses=2, evictions=0, bytes=9)
    store.exists("é")
    assert store.stats == CacheStats(hits=0, misses=3, evictions=1, bytes=6)


SMALL = st.sampled_from([0, 1, 7, 25, 60, 10_000])


class CacheMachine(StoreMachine):
    """A cache beside a dict, and beside its own books."""

    flat = False

    @rule(max_bytes=SMALL, negative=st.booleans())
    def begin_anew(self, max_bytes: int, negative: bool) -> None:
        """Take another budget, for the same data."""
        inner = self.store.inner if isinstance(self.store, CacheStore) else self.store
        self.store = CacheStore(inner, max_bytes=max_bytes, negative=negative)

    @rule()
    def clear(self) -> None:
        """Forget everything."""
        if isinstance(self.store, CacheStore):
            self.store.clear()
            assert self.store.stats.bytes == 0

    @invariant()
    def books(self) -> None:
        """The bytes counted are those in the cache store, and never more than the budget."""
        if isinstance(self.store, CacheStore):
            check_books(self.store)


def check_books(store: CacheStore, *, whole: bool = True) -> None:
    """The cache store holds what the index says (if whole: no more), which weighs what it holds."""
    entries = store._index._entries
    cached = {name: len(store.cache.get(name)) for name in store.cache.list()}
    named = {each.name: each.size for each in entries.values() if each.name and each.ready}
    assert named.items() <= cached.items()
    assert not whole or len(named) == len(cached)
    weights = [each.size or len(each.slot[0].encode()) for each in entries.values()]
    assert sum(weights) == store.stats.bytes <= store.max_bytes
    assert {slot for slots in store._index._slots.values() for slot in slots} == set(entries)
    assert not store._index._flights
    assert not store._index._changes


def test_no_sequence_of_calls_confuses_the_cache() -> None:
    """Answers stay those of a dict, and the books in order, with budgets of a few bytes."""
    machine = type("Machine", (CacheMachine,), {"make_store": staticmethod(MemoryStore)})
    brief = settings(max_examples=60, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(machine, settings=brief)


def test_threads_do_not_confuse_the_cache(restless: None) -> None:
    """Many threads, tiny budget: in the end everything is as in the inner store, books and all."""
    inner = MemoryStore()
    store: Any = CacheStore(inner, max_bytes=40, negative=True)
    keys = ["a", "b", "c/d", "c/e"]

    def work(worker: int) -> None:
        for number in range(60):
            key = keys[(number * 7 + worker) % 4]
            match (number * 5 + worker) % 6:
                case 0:
                    store.set(key, b"%d-%d" % (worker, number))
                case 1:
                    store.erase(key)
                case 2:
                    store.erase_prefix("c/")
                case 3:
                    store.get_partial_values([(each, 0, 2) for each in keys])
                case _:
                    store.exists(key)
                    store.get_partial_values([(key, 0, None)])

    run_at_once(*(partial(work, worker) for worker in range(6)))
    check_books(store)
    asked = [(key, start, None) for key in keys for start in (0, 1)]
    assert store.get_partial_values(asked) == inner.get_partial_values(asked)


# --- changes

READS: dict[str, Callable[[Any], Any]] = {
    "get": lambda store: store.get("a/b"),
    "get_partial_values": lambda store: store.get_partial_values(
        [("a/b", 1, 2), ("a/b", 0, None), ("a/x", 0, 1)]
    ),
    "exists": lambda store: (store.exists("a/b"), store.exists("a/x")),
    "getsize": lambda store: store.getsize("a/b"),
    "list": lambda store: store.list(),
    "list_prefix": lambda store: store.list_prefix("a/"),
    "list_dir": lambda store: store.list_dir("a/"),
    "get_versioned": lambda store: store.get_versioned("a/b"),
}
CHANGES: dict[str, Callable[[Any], Any]] = {
    "set": lambda store: (store.set("a/b", b"new value"), store.set("a/x", b"new")),
    "set_values": lambda store: store.set_values([("a/b", b"new value"), ("a/x", b"new")]),
    "set_partial_values": lambda store: store.set_partial_values([("a/b", 1, b"new value")]),
    "erase": lambda store: store.erase("a/b"),
    "erase_values": lambda store: store.erase_values(["a/b", "c"]),
    "erase_prefix": lambda store: store.erase_prefix("a/"),
    "compare_and_set": lambda store: (
        store.compare_and_set("a/b", b"new value", store.get_versioned("a/b")[1]),
        store.compare_and_set("a/x", b"new", None),
    ),
}


def answer(ask: Callable[[Any], Any], store: Any) -> Any:
    """The answer, or the kind of error."""
    try:
        return ask(store)
    except StoreError as error:
        return type(error)


def test_the_matrix_is_complete() -> None:
    """Every public method of the contract is a row or a column of it."""
    assert operations() == READS.keys() | CHANGES.keys()
    assert not READS.keys() & CHANGES.keys()


@pytest.mark.parametrize("outcome", ["done", "lost", "refused"])
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("change", CHANGES)
def test_no_answer_is_stale(change: str, read: str, outcome: str) -> None:
    """
    After a change, also one whose answer got lost or that did nothing, each method answers as the
    inner store does, whatever was read before.
    """
    for before in (*READS.values(), *([READS["get"], READS["exists"]],)):
        inner = Counting(MemoryStore({"a/b": b"old", "c": b"old"}))
        store = CacheStore(inner, negative=True)
        for ask in before if isinstance(before, list) else [before]:
            answer(ask, store)

        def fail(call: Call) -> None:
            if call.op in CHANGES:
                raise ConnectionLostError("lost", op=call.op)

        if outcome != "done":
            setattr(inner, {"lost": "after", "refused": "before"}[outcome], fail)
            with pytest.raises(ConnectionLostError):
                CHANGES[change](store)
            inner.before = inner.after = lambda call: None
        else:
            CHANGES[change](store)
        assert answer(READS[read], store) == answer(READS[read], inner.inner)
        assert answer(READS[read], store) == answer(READS[read], inner.inner)


@pytest.mark.parametrize("moment", ["overtaken", "during"])
@pytest.mark.parametrize("read", ["get", "get_partial_values", "exists", "getsize"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_was_being_read_is_not_kept(change: str, read: str, moment: str) -> None:
    """A read that a change overtakes, or that begins during one, leaves nothing behind."""
    inner = Counting(MemoryStore({"a/b": b"old", "c": b"old"}))
    store = CacheStore(inner, negative=True)

    def meanwhile(call: Call) -> None:
        inner.before = inner.after = lambda call: None
        if moment == "overtaken":
            CHANGES[change](store)
        else:
            answer(READS[read], store)

    if moment == "overtaken":
        inner.after = meanwhile
        answer(READS[read], store)
    else:
        inner.before = meanwhile
        CHANGES[change](store)
    assert answer(READS[read], store) == answer(READS[read], inner.inner)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_arrives_late_is_seen(change: str) -> None:
    """
    What was given up may still be made: until a change has succeeded nothing of its keys is kept.
    """
    inner = Counting(MemoryStore({"a/b": b"old", "c": b"old", "d": b"other"}))
    store: Any = CacheStore(inner, negative=True)

    late: list[Call] = []

    def fail(call: Call) -> None:
        if call.op in CHANGES:
            late.append(call)
            lose()

    inner.before = fail
    with pytest.raises(ConnectionLostError):
        CHANGES[change](store)
    for read in READS.values():
        answer(read, store)
    late[0].on(inner.inner)
    for read in READS.values():
        assert answer(read, store) == answer(read, inner.inner)
    inner.before = lambda call: None
    store.set_values([("a/b", b"1"), ("a/x", b"2"), ("c", b"3")])
    store.erase_prefix("")
    inner.inner.set("a/b", b"4")  # type: ignore[attr-defined]
    inner.calls.clear()
    assert store.get("a/b") == store.get("a/b") == b"4"
    assert inner.ops == ["get"]


def test_a_change_that_was_refused_cannot_arrive_late() -> None:
    """After an answer, be it an error, the key is kept as before; so it is after `clear`."""
    inner = Counting(MemoryStore({"a": b"1"}))
    store: Any = CacheStore(inner)
    with pytest.raises(ConflictError):
        store.compare_and_set("a", b"2", "wrong")
    store.get("a"), store.get("a")
    assert inner.ops == ["compare_and_set", "get"]
    inner.after = lambda call: call.op == "set" and lose()
    with pytest.raises(ConnectionLostError):
        store.set("a", b"2")
    store.get("a"), store.get("a")
    assert inner.ops == ["set", "get", "get"]
    store.clear()
    store.get("a"), store.get("a")
    assert inner.ops == ["get"]
    with pytest.raises(ConnectionLostError):
        store.set("a", b"3")
    inner.after = lambda call: None
    store.set("a", b"4")
    store.get("a"), store.get("a")
    assert inner.ops == ["set", "set", "get"]


REFUSALS: dict[str, Callable[[Any], Any]] = {
    "version": lambda store: store.compare_and_set("a", b"x", "wrong"),
    "range": lambda store: store.set_partial_values([("a", 99, b"x")]),
    "conflict": lambda store: store.set_values([("a/b", b"x"), ("a", b"y")]),
    "absent": lambda store: store.set_partial_values([("q", 0, b"x")]),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_does_not_end_the_doubt(refusal: str, clock: VirtualClock) -> None:
    """What was given up arrives after a change that was refused, and is seen."""
    inner = Counting(SlowStore(MemoryStore({"a": b"old"}), 0, clock=clock))
    store: Any = CacheStore(TimeoutStore(inner, 1), negative=True)
    inner.before = lambda call: clock.sleep(10)
    for key in ("a", "q"):
        with pytest.raises(TimeoutError):
            store.set(key, b"new")
    inner.before = lambda call: None
    with pytest.raises(StoreError) as caught:
        REFUSALS[refusal](store)
    assert not caught.value.retryable
    assert (store.get("a"), store.exists("q")) == (b"old", False)
    clock.sleep(20)
    assert (store.get("a"), store.get("q")) == (b"new", b"new")


@pytest.mark.parametrize("outside", [True, False])
def test_a_cache_inside_of_a_timeout_is_never_stale(outside: bool, clock: VirtualClock) -> None:
    """
    A write that arrives after another one that succeeded is noticed by a cache that sees it to its
    end, inside of the timeout; outside of it the cache gives what was there before.
    """
    inner = Counting(MemoryStore({"a": b"old"}))
    inner.clock = clock
    store: Any
    if outside:
        store = CacheStore(TimeoutStore(inner, 1))
    else:
        store = TimeoutStore(CacheStore(inner), 1)
    inner.before = lambda call: clock.sleep(10)
    with pytest.raises(TimeoutError):
        store.set("a", b"late")
    inner.before = lambda call: None
    store.set("a", b"second")
    assert store.get("a") == b"second"
    clock.sleep(20)
    assert inner.get("a") == b"late"
    assert store.get("a") == (b"second" if outside else b"late")


def lose() -> None:
    """Let a call get lost."""
    raise ConnectionLostError("lost")


def test_after_a_change_nobody_joins_an_older_read() -> None:
    """Who reads when a change is done gets its value, though an older read is still under way."""
    clock = VirtualClock()
    inner = Counting(MemoryStore({"a": b"old"}))
    inner.clock = clock
    inner.after = lambda call: clock.sleep(4 if len(inner.calls) == 1 else 1)
    store: Any = CacheStore(inner)

    def write_and_read() -> bytes:
        clock.sleep(1)
        store.set("a", b"new")
        return bytes(store.get("a"))

    pool = clock.executor(2)
    first, second = pool.submit(store.get, "a"), pool.submit(write_and_read)
    assert second.result() == b"new"
    assert clock.now() == 3
    assert first.result() == b"old"
    assert clock.now() == 4
    assert store.get("a") == b"new"
    assert clock.now() == 4


# --- many at once


def readers(clock: VirtualClock, ask: Callable[[], Any], count: int = 8) -> list[Any]:
    """What threads get that all ask at once: answers, or errors."""
    pool = clock.executor(count)
    futures = [pool.submit(ask) for _ in range(count)]
    clock.wait(futures)
    return [future.exception() or future.result() for future in futures]


@pytest.fixture
def clock() -> VirtualClock:
    """Time that passes only in the simulation."""
    return VirtualClock()


@pytest.mark.parametrize("max_bytes", [0, 1000])
@pytest.mark.parametrize("read", ["get", "get_partial_values", "exists", "getsize"])
def test_threads_that_miss_the_same_make_one_call(
    clock: VirtualClock, read: str, max_bytes: int
) -> None:
    """8 threads make as many calls, and wait as long, as one without a cache."""
    inner = Counting(SlowStore(MemoryStore({"a/b": b"value"}), 1, clock=clock))
    expected, alone, calls = READS[read](inner), clock.now(), inner.ops
    store = CacheStore(inner, max_bytes=max_bytes)
    assert readers(clock, lambda: READS[read](store)) == [expected] * 8
    assert inner.ops == calls
    assert clock.now() == 2 * alone


def test_overlapping_batches_share_what_they_have_in_common(clock: VirtualClock) -> None:
    """Each range is asked for once, and nobody waits for one who waits."""
    inner = Counting(SlowStore(MemoryStore({"a": b"0123"}), 1, clock=clock))
    store: Any = CacheStore(inner)
    pool = clock.executor(2)
    parts = [("a", 0, 1), ("a", 1, 1)], [("a", 2, 1), ("a", 1, 1), ("a", 0, 1)]
    futures = [pool.submit(store.get_partial_values, each) for each in parts]
    assert clock.gather(futures) == [[b"0", b"1"], [b"2", b"1", b"0"]]
    assert [call.ranges for call in inner.calls] == [((0, 1), (1, 1)), ((2, 1),)]
    assert clock.now() == 1


def test_those_who_wait_share_an_absence(clock: VirtualClock) -> None:
    """That a key is absent is an answer for all of them."""
    inner = Counting(SlowStore(MemoryStore(), 1, clock=clock))
    store: Any = CacheStore(inner)
    answers = readers(clock, lambda: store.get("x"))
    assert [type(each) for each in answers] == [KeyNotFoundError] * 8
    assert len(inner.calls) == 1


def test_one_of_those_who_waited_asks_again(clock: VirtualClock) -> None:
    """A call that fails is the failure of one; the next one is asked for all the others."""
    inner = Counting(SlowStore(MemoryStore({"a": b"1"}), 1, clock=clock))
    lost = ConnectionLostError("lost")

    def fail_first(call: Call) -> None:
        if len(inner.calls) == 1:
            clock.sleep(1)
            raise lost

    inner.before = fail_first
    store: Any = CacheStore(inner)
    assert readers(clock, lambda: store.get("a")) == [lost] + [b"1"] * 7
    assert len(inner.calls) == 2
    assert clock.now() == 2


def test_a_store_that_is_away_keeps_nobody_waiting_for_long(clock: VirtualClock) -> None:
    """If the second call fails, too, that is the error of all who waited for it."""
    inner = Counting(MemoryStore())
    inner.clock = clock

    def fail(call: Call) -> None:
        clock.sleep(1)
        raise ConnectionLostError("lost")

    inner.before = fail
    store: Any = CacheStore(inner)
    answers = readers(clock, lambda: store.get("a"))
    assert [type(each) for each in answers] == [ConnectionLostError] * 8
    assert len(inner.calls) == 2
    assert clock.now() == 2


def test_other_keys_do_not_wait(clock: VirtualClock) -> None:
    """While one thread fetches, others read and write other things, also from the cache."""
    store: Any = CacheStore(SlowStore(MemoryStore({"a": b"1", "b": b"2"}), 1, clock=clock))
    store.get("b")
    pool = clock.executor(2)
    first = pool.submit(store.get, "a")
    ends = pool.submit(lambda: (store.get("b"), clock.now())[1])
    assert ends.result() == 1
    assert first.result() == b"1"
    assert clock.now() == 2


# --- the cache store


class Moody(Counting):
    """A cache store that fails, or forgets, when it is told to."""

    mood: Any = None

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        if self.mood == call.op:
            raise ConnectionLostError("the cache is away", op=call.op)
        if self.mood == "lost":
            proceed()
            raise ConnectionLostError("the cache is away", op=call.op)
        return super()._around(call, proceed)


@pytest.mark.parametrize(
    "mood", ["get_partial_values", "set", "erase_values", "lost", "forgets", "cuts"]
)
@pytest.mark.parametrize("first", [True, False])
def test_what_the_cache_store_cannot_give_is_a_miss(mood: str, first: bool) -> None:
    """A cache store that fails or forgets is no error of the store, and no absence."""
    inner, moody = MemoryStore({"a": b"0123", "b": b"45"}), Moody(MemoryStore())
    store: Any = CacheStore(inner, moody, max_bytes=5, negative=True)
    if not first:
        store.get("a")
    moody.mood = mood
    for turn in range(3):
        if mood == "forgets":
            moody.inner.erase_prefix("")  # type: ignore[attr-defined]
        if mood == "cuts":
            for key in moody.inner.list():  # type: ignore[attr-defined]
                moody.inner.set(key, b"0")  # type: ignore[attr-defined]
        assert store.get("a") == b"0123"
        assert store.get_partial_values([("a", 1, 2), ("b", 0, None)]) == [b"12", b"45"]
        store.set("b", b"%d%d" % (turn, turn))
        assert store.get("b") == b"%d%d" % (turn, turn)
        store.set("b", b"45")
        assert store.exists("a")
    moody.mood = None
    store.clear()
    assert store.stats.bytes == 0


def test_an_interrupt_while_keeping_leaves_the_books_in_order() -> None:
    """What stops a value on its way into the cache store leaves no entry."""
    moody = Moody(MemoryStore())
    store: Any = CacheStore(MemoryStore({"a": b"1"}), moody)

    def interrupt(call: Call) -> None:
        if call.op == "set":
            raise KeyboardInterrupt

    moody.after = interrupt
    with pytest.raises(KeyboardInterrupt):
        store.get("a")
    assert store.stats.bytes == 0
    assert moody.list() == []
    moody.after = lambda call: None
    assert store.get("a") == b"1"
    check_books(store)


def test_what_changes_while_it_is_being_kept_is_removed() -> None:
    """A value that is changed on its way into the cache store is neither found nor left there."""
    moody = Moody(MemoryStore())
    store: Any = CacheStore(MemoryStore({"a": b"1"}), moody)

    def change(call: Call) -> None:
        if call.op == "set":
            moody.before = lambda call: None
            store.set("a", b"2")

    moody.before = change
    assert store.get("a") == b"1"
    assert moody.list() == []
    assert store.get("a") == b"2"
    check_books(store)


INTERRUPTED: dict[str, Callable[[Any], Any]] = {
    "miss": lambda store: store.get("b"),
    "absence": lambda store: store.exists("q"),
    "parts": lambda store: store.get_partial_values([("a", 1, 2), ("b", 0, 3), ("q", 0, 1)]),
    "hit": lambda store: store.get("a"),
    "set": lambda store: store.set("a", b"54321"),
    "erase": lambda store: store.erase_prefix(""),
    "clear": lambda store: store.clear(),
}


@pytest.mark.parametrize("statement", INTERRUPTED.values(), ids=INTERRUPTED.keys())
def test_ctrl_c_at_any_moment_leaves_a_cache_that_works(statement: Callable[[Any], Any]) -> None:
    """
    Afterwards any thread reads what is there, also when it changes and when room is needed, the
    books are in order, and what is read is kept.
    """
    errors = []
    for moment in count():
        inner = MemoryStore({"a": b"12345", "b": b"67890"})
        store: Any = CacheStore(inner, max_bytes=8, negative=True)
        store.get("a")
        error = interrupted(partial(statement, store), moment)
        if error is None:
            break
        errors.append(error)  # as an interactive session does

        def use(store: Any = store, inner: MemoryStore = inner) -> None:
            asked = [(key, 0, None) for key in ("a", "b", "q")]
            assert store.get_partial_values(asked) == inner.get_partial_values(asked)
            for key in ("a", "b"):
                store.set(key, key.encode())
                assert [store.get(key), store.get(key)] == [key.encode()] * 2

        in_time(use)
        check_books(store, whole=False)
        store.clear()
        hits = store.stats.hits
        assert [store.get("a"), store.get("a")] == [b"a"] * 2
        assert store.stats.hits == hits + 1
    assert len(errors) > 20


def test_ctrl_c_leaves_nobody_listening() -> None:
    """What stores say of states afterwards is heard by nobody who was listening before."""
    store = CacheStore(MemoryStore({"a": b"1"}))
    for moment in count():
        store.clear()
        error = interrupted(lambda: (store.get("a"), store.get("a")), moment)
        assert states._listener.get() is None
        if error is None:
            break


def test_who_waits_for_an_interrupted_reader_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that waits for the answer of another gets one, also if that ends before it asks."""
    joined: Future[None] = Future()

    class Clock(sk.RealClock):
        def event(self) -> sk.Event:
            joined.set_result(None)
            return super().event()

    inner = Counting(MemoryStore({"a": b"1"}))
    inner.clock = Clock()
    store: Any = CacheStore(inner)
    plan = store._index.plan
    answers: list[Any] = []

    def interrupt(*args: Any) -> None:
        monkeypatch.undo()
        plan(*args)
        waiting.start()
        joined.result(20)
        raise KeyboardInterrupt

    waiting = Thread(target=lambda: answers.append(store.get("a")), daemon=True)
    monkeypatch.setattr(store._index, "plan", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.get("a")
    waiting.join(20)
    assert answers == [b"1"]
    check_books(store)


def test_caches_can_share_a_store_with_others() -> None:
    """Two caches and a user keep their things in one store, and close only what is theirs."""
    shared = MemoryStore({"mine": b"!"})
    one: Any = CacheStore(MemoryStore({"a": b"1"}), shared)
    two: Any = CacheStore(MemoryStore({"a": b"2"}), shared)
    for _ in range(2):
        assert (one.get("a"), two.get("a")) == (b"1", b"2")
    assert len(shared.list()) == 3
    one.close()
    assert len(shared.list()) == 2
    assert two.stats.hits == 1
    assert two.get("a") == b"2"
    two.close()
    assert shared == MemoryStore({"mine": b"!"})


def test_nothing_is_believed_that_others_left(tmp_path: Path) -> None:
    """A new cache over an old directory does not find what the old one kept."""
    disk = LocalStore(tmp_path)
    old: Any = CacheStore(MemoryStore({"a": b"old"}), disk)
    assert old.get("a") == b"old"
    assert len(disk.list()) == 1
    new: Any = CacheStore(MemoryStore({"a": b"new"}), disk)
    assert new.get("a") == b"new"


def test_clear_forgets_what_others_have_changed(inner: Counting) -> None:
    """Changes that went another way are seen after `clear`, also by a read that is under way."""
    store: Any = CacheStore(inner)
    store.get("a")
    inner.inner.set("a", b"new")  # type: ignore[attr-defined]
    assert store.get("a") == b"0123456789"
    store.clear()
    assert store.get("a") == b"new"

    def change(call: Call) -> None:
        inner.after = lambda call: None
        inner.inner.set("b/c", b"new")  # type: ignore[attr-defined]
        store.clear()

    inner.after = change
    assert store.get("b/c") == b"45"
    assert store.get("b/c") == b"new"


# --- the object


def test_a_restored_cache_is_equal_and_empty(tmp_path: Path) -> None:
    """Parameters travel, contents of the cache do not, nor does a MemoryStore of any size."""
    disk = LocalStore(tmp_path)
    for cache in (None, MemoryStore(), disk):
        store: Any = CacheStore(
            LocalStore(tmp_path / "data"), cache, max_bytes=99, policy=keep, negative=True
        )
        store.set("a", b"SECRET")
        store.get("a")
        other = restored(store)
        assert other == store
        assert hash(other) == hash(store)
        assert other.stats == CacheStats(0, 0, 0, 0)
        assert (other.max_bytes, other.policy, other.negative) == (99, keep, True)
        assert (other.cache == disk) == (cache is disk)
        assert b"SECRET" not in pickle.dumps(store)
        assert other.get("a") == b"SECRET"
        assert other.stats.misses == 1
        assert other != CacheStore(LocalStore(tmp_path / "data"), cache, max_bytes=98)


def keep(key: str, part: object) -> bool:
    """A policy that can be pickled."""
    return True


@pytest.mark.parametrize("value", [-1, 1.5, "1", None, True, float("inf")])
def test_impossible_budgets_are_refused(value: Any) -> None:
    """A budget is a number of bytes."""
    with pytest.raises(ValueError, match="max_bytes"):
        CacheStore(MemoryStore(), max_bytes=value)


@pytest.mark.parametrize("cache", [{}, "/tmp", DictStore(), WriteOnly()])
def test_a_cache_must_be_a_store_for_values(cache: Any) -> None:
    """What cannot be read or cannot be written keeps nothing."""
    with pytest.raises(TypeError, match="cache"):
        CacheStore(MemoryStore(), cache)


@pytest.mark.parametrize("name", ["policy", "negative"])
def test_other_parameters_without_sense_are_refused(name: str) -> None:
    """A policy is a function, and an absence is kept or not."""
    with pytest.raises(TypeError, match=f"{name} must be .*, found 'no'"):
        CacheStore(MemoryStore(), **{name: "no"})  # type: ignore[arg-type]


def test_a_store_is_not_its_own_cache() -> None:
    """Entries would appear among the data; those that lie beside it do not."""
    store = MemoryStore({"a/x": b"1"})
    part = PrefixStore(store, "a/")
    for data, cache in (
        (store, WrapperStore(store)),
        (store, part),
        (part, part),
        (part, PrefixStore(part, "b/")),
    ):
        with pytest.raises(ValueError, match="another"):
            CacheStore(data, cache)
    for cache in (store, PrefixStore(store, "b/")):
        beside: Any = CacheStore(part, cache)
        assert beside.get("x") == b"1"
        assert beside.list() == ["x"]


def test_arrays_lose_no_update_through_a_cache(clock: VirtualClock) -> None:
    """Threads that change parts of one chunk, through a cache each, all see their changes kept."""
    far = SlowStore(MemoryStore(), 0.01, clock=clock)
    sk.ZarrArray.create(far, "x", shape=(8,), chunks=(8,), dtype="i4")
    stores = [CacheStore(far, negative=True) for _ in range(4)]
    arrays = [sk.open_zarr(store, "x") for store in stores]

    def work(index: int) -> None:
        for number in range(5):
            arrays[index][index] = number + 1

    pool = clock.executor(4)
    clock.gather([pool.submit(work, index) for index in range(4)])
    assert np.array_equal(sk.open_zarr(far, "x")[:4], [5] * 4)
