"""A QuotaStore never holds more than it may, and knows what it holds."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test
from signal_points import in_time, interrupted
from store_samples import DictStore, ListableDict, PlainDict, WriteOnly

from storekit.errors import (
    ConflictError,
    ConnectionLostError,
    KeyNotFoundError,
    QuotaExceededError,
    StoreError,
    TimeoutError,
    UnsupportedError,
)
from storekit.simulation import VirtualClock
from storekit.stores import Call, LocalStore, MemoryStore, SlowStore, Store, WrapperStore
from storekit.stores.link import Link
from storekit.stores.quota import QuotaStore
from storekit.stores.timeout import TimeoutStore
from storekit.testing import StoreContract, StoreMachine
from storekit.testing.laws.common import run_at_once


@pytest.fixture
def clock() -> VirtualClock:
    """Time that costs nothing."""
    return VirtualClock()


class Failing(WrapperStore):
    """Does before and after each call what a test says, and notes the calls."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.ops: list[str] = []
        self.before: Callable[[Call], object] = lambda call: None
        self.after: Callable[[Call], object] = lambda call: None

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        self.ops.append(call.op)
        self.before(call)
        answer = proceed()
        self.after(call)
        return answer


class TestQuotas(StoreContract):
    """A quota that is large enough, or none, changes nothing."""

    many = 300
    rounds = 10

    @pytest.fixture(params=["off", "memory", "local off", "local", "plain", "restored"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Store:
        """Quotas over several stores."""
        local = LocalStore(tmp_path / "root")
        return {
            "off": lambda: QuotaStore(MemoryStore()),
            "memory": lambda: QuotaStore(MemoryStore(), max_bytes=10**8, max_keys=10**5),
            "local off": lambda: QuotaStore(local),
            "local": lambda: QuotaStore(local, max_keys=10**5),
            "plain": lambda: QuotaStore(WrapperStore(MemoryStore()), max_bytes=10**8),
            "restored": lambda: pickle.loads(
                pickle.dumps(QuotaStore(MemoryStore(), max_bytes=10**8))
            ),
        }[request.param]()


# --- what is refused

TOO_MUCH: dict[str, Callable[[Any], Any]] = {
    "set": lambda store: store.set("b", b"12345"),
    "set_values": lambda store: store.set_values([("b", b"12345")]),
    "set_partial_values": lambda store: store.set_partial_values([("a", 4, b"123456")]),
    "compare_and_set": lambda store: store.compare_and_set("b", b"12345", None),
    "overwriting": lambda store: store.set("a", b"1234567890"),
}


@pytest.mark.parametrize("change", TOO_MUCH)
def test_what_would_be_too_many_bytes_is_refused(change: str) -> None:
    """A change that needs a byte more than there is is refused unasked; one byte less goes."""
    inner = Failing(MemoryStore({"a": b"12345"}))
    store = QuotaStore(inner, max_bytes=9)
    with pytest.raises(QuotaExceededError, match="10 bytes, more than max_bytes=9") as caught:
        TOO_MUCH[change](store)
    assert caught.value.key in ("a", "b")
    assert not caught.value.retryable
    assert inner.ops == ["list", "getsize"]
    assert inner.inner == MemoryStore({"a": b"12345"})
    assert store.used_bytes == 5
    TOO_MUCH[change](QuotaStore(inner, max_bytes=10))


def test_what_would_be_too_many_keys_is_refused() -> None:
    """New keys count, overwriting does not, and erasing makes room."""
    store: Any = QuotaStore(MemoryStore({"a": b""}), max_keys=2)
    store.set("b", b"")
    store.set("a", b"123")
    with pytest.raises(QuotaExceededError, match="3 keys, more than max_keys=2") as caught:
        store.set("c", b"")
    assert (caught.value.key, caught.value.op) == ("c", "set")
    store.erase("b")
    store.set("c", b"")
    assert store.list() == ["a", "c"]
    assert (store.used_bytes, store.used_keys) == (3, 2)


def test_set_values_stores_what_comes_before() -> None:
    """Of several values those before the first that is too much are stored, as always."""
    inner = MemoryStore()
    store: Any = QuotaStore(inner, max_bytes=5)
    with pytest.raises(QuotaExceededError) as caught:
        store.set_values([("a", b"12"), ("b", b"345"), ("c", b"6"), ("d", b"")])
    assert caught.value.key == "c"
    assert inner == MemoryStore({"a": b"12", "b": b"345"})
    assert store.used_bytes == 5


def test_what_is_given_back_is_what_was_there_before() -> None:
    """A key that is refused at its third part leaves the books as they were."""
    store: Any = QuotaStore(MemoryStore({"a": b"1"}), max_bytes=5)
    with pytest.raises(QuotaExceededError):
        store.set_partial_values([("a", 1, b"2"), ("a", 2, b"3"), ("a", 3, b"456")])
    assert store.used_bytes == 1


def test_parts_of_several_values_are_written_all_or_none() -> None:
    """Before parts are written there is room for all of them."""
    inner = MemoryStore({"a": b"1", "b": b"2"})
    store: Any = QuotaStore(inner, max_bytes=3)
    with pytest.raises(QuotaExceededError):
        store.set_partial_values([("a", 1, b"3"), ("b", 1, b"4")])
    assert inner == MemoryStore({"a": b"1", "b": b"2"})
    assert store.used_bytes == 2


def test_a_store_that_is_too_full_may_shrink() -> None:
    """What is there already may be read, replaced by what is no larger, and erased."""
    store: Any = QuotaStore(MemoryStore({"a": bytes(50), "b": bytes(50)}), max_bytes=10, max_keys=1)
    store.set("a", bytes(50))
    store.set("a", bytes(5))
    for key, value in (("a", bytes(6)), ("c", b"")):
        with pytest.raises(QuotaExceededError):
            store.set(key, value)
    assert store.erase_prefix("") == 2
    store.set("c", bytes(10))
    assert (store.used_bytes, store.used_keys) == (10, 1)


# --- what is known


def test_it_counts_once_and_only_before_changes() -> None:
    """Reading asks nothing more; the first change lists and measures, the next do not."""
    inner = Failing(MemoryStore({"a": b"1", "b": b"2"}))
    store: Any = QuotaStore(inner, max_bytes=100)
    store.get("a"), store.list(), store.get_versioned("a")
    assert inner.ops == ["get", "list", "get_versioned"]
    inner.ops.clear()
    store.set("c", b"3"), store.erase("a"), store.set_values([("d", b"")])
    assert inner.ops == ["list", "getsize", "getsize", "set", "erase", "set_values"]
    assert (store.used_bytes, store.used_keys) == (2, 3)


class QuotaMachine(StoreMachine):
    """A quota beside a dict."""

    @invariant()
    def books(self) -> None:
        """What is said to be used is used."""
        assert self.store.used_bytes == sum(map(len, self.model.values()))
        assert self.store.used_keys == len(self.model)

    @rule(more=st.integers(0, 3))
    def limit(self, more: int) -> None:
        """With no room but a few bytes, just these can be added."""
        used = self.store.used_bytes
        tight: Any = QuotaStore(self.store.inner, max_bytes=used + more)
        tight.set("new", bytes(more))
        with pytest.raises(QuotaExceededError):
            tight.set("newer", b"1")
        tight.erase("new")
        assert tight.used_bytes == used


def test_no_sequence_of_calls_confuses_the_books() -> None:
    """After any calls, those that fail included, the books are right."""
    make = staticmethod(lambda: QuotaStore(MemoryStore(), max_bytes=10**6, max_keys=10**6))
    machine = type("Machine", (QuotaMachine,), {"make_store": make})
    brief = settings(max_examples=40, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(machine, settings=brief)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "set": lambda store: store.set("a", b"123"),
    "set_values": lambda store: store.set_values([("a", b"1"), ("n/x", b"23")]),
    "set_partial_values": lambda store: store.set_partial_values([("a", 3, b"456")]),
    "erase": lambda store: store.erase("a"),
    "erase_values": lambda store: store.erase_values(["a", "b/c"]),
    "erase_prefix": lambda store: store.erase_prefix("b/"),
    "compare_and_set": lambda store: store.compare_and_set("n/x", b"1", None),
}


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("change", CHANGES)
def test_after_a_lost_answer_it_looks(change: str, when: str, away: bool) -> None:
    """
    When a change fails on the way, the books are right after it, whether it was made or not; if
    the store is still away then, before the next change.
    """
    inner = Failing(MemoryStore({"a": b"0123", "b/c": b"45", "b/d": b"6"}))
    store: Any = QuotaStore(inner, max_bytes=100)
    assert store.used_bytes == 7

    def lose(call: Call) -> None:
        if call.op == change or (away and call.op == "getsize"):
            raise ConnectionLostError("lost")

    setattr(inner, when, lose)
    with pytest.raises(ConnectionLostError):
        CHANGES[change](store)
    sizes = {key: inner.inner.getsize(key) for key in inner.inner.list()}  # type: ignore[attr-defined]
    if away:
        assert store.used_bytes >= sum(sizes.values())
        inner.before = inner.after = lambda call: None
        store.erase("no such key")
        inner.ops.clear()
        store.erase("no such key")
        assert inner.ops == ["erase"]
    assert (store.used_bytes, store.used_keys) == (sum(sizes.values()), len(sizes))


def test_a_part_of_a_value_of_unknown_size_makes_it_known() -> None:
    """What may be larger than it is is looked at after the next change of it."""
    inner = Failing(MemoryStore({"a": b"01"}))
    store: Any = QuotaStore(inner, max_bytes=100)
    assert store.used_bytes == 2

    def lose(call: Call) -> None:
        if call.op == "set_partial_values":
            inner.before = lambda call: None
        else:
            raise ConnectionLostError("lost")

    inner.before = lose
    with pytest.raises(ConnectionLostError):
        store.set("a", bytes(50))
    assert store.used_bytes == 50
    store.set_partial_values([("a", 2, b"2")])
    assert store.used_bytes == 3


def test_a_refusal_needs_no_look() -> None:
    """After a conflict nothing was written, and nothing is asked."""
    inner = Failing(MemoryStore({"a": b"12"}))
    store: Any = QuotaStore(inner, max_bytes=100)
    with pytest.raises(ConflictError):
        store.compare_and_set("a", b"12345", "wrong")
    with pytest.raises(KeyNotFoundError):
        store.set_partial_values([("x", 0, b"12345")])
    assert inner.ops == ["list", "getsize", "compare_and_set", "set_partial_values"]
    assert (store.used_bytes, store.used_keys) == (2, 1)


def test_what_may_still_arrive_counts(clock: VirtualClock) -> None:
    """
    A value whose write was given up keeps its room, erased or not, for it may come at any time; a
    new quota counts what is there.
    """
    inner = MemoryStore()
    far = SlowStore(inner, link=Link(latency=0.1, up=10), clock=clock)
    store: Any = QuotaStore(TimeoutStore(far, 1), max_bytes=100)
    assert store.used_bytes == 0
    for key in "ab":
        with pytest.raises(TimeoutError):
            store.set(key, bytes(50))
        store.erase(key)
    for key in "cdef":
        with pytest.raises(QuotaExceededError):
            store.set(key, bytes(50))
    assert (store.used_bytes, store.used_keys) == (100, 2)
    store.set("a", b"1")
    assert (store.used_bytes, store.used_keys) == (100, 2)
    clock.sleep(100)
    assert sum(map(inner.getsize, inner.list())) == 100
    with pytest.raises(TimeoutError):
        store.set("a", bytes(20))
    store.erase_prefix("")
    assert store.used_bytes == 100
    assert QuotaStore(store.inner, max_bytes=100).used_bytes == 0


@pytest.mark.parametrize("error", [TimeoutError("late"), KeyboardInterrupt()])
@pytest.mark.parametrize("change", ["set", "set_values", "set_partial_values", "compare_and_set"])
def test_no_write_that_is_given_up_is_forgotten(change: str, error: BaseException) -> None:
    """What a call would have stored is in the books, whatever is there when it is given up."""
    inner = Failing(MemoryStore({"a": b"0123", "b/c": b"45", "b/d": b"6"}))
    store: Any = QuotaStore(inner, max_bytes=100)
    late: list[Call] = []

    def give_up(call: Call) -> None:
        if call.op == change:
            late.append(call)
            raise error

    assert store.used_bytes == 7
    inner.before = give_up
    with pytest.raises(type(error)):
        CHANGES[change](store)
    late[0].on(inner.inner)
    sizes = [inner.inner.getsize(key) for key in inner.inner.list()]  # type: ignore[attr-defined]
    assert store.used_bytes >= sum(sizes)
    assert store.used_keys >= len(sizes)


def test_inside_of_a_timeout_nothing_is_given_up(clock: VirtualClock) -> None:
    """A quota that sees each write to its end counts it as long as it takes, and then as it is."""
    far = SlowStore(MemoryStore(), link=Link(latency=0.1, up=10), clock=clock)
    quota = QuotaStore(far, max_bytes=100)
    store: Any = TimeoutStore(quota, 1)
    for key, error in (("a", TimeoutError), ("b", TimeoutError), ("c", QuotaExceededError)):
        with pytest.raises(error):
            store.set(key, bytes(50))
    clock.sleep(100)
    assert quota.used_bytes == 100
    store.erase("a")
    assert quota.used_bytes == 50


# --- threads


def test_threads_together_stay_below_the_limit(restless: None) -> None:
    """However threads write and erase, the store never holds more, and the books end right."""
    high: list[int] = []

    class Watched(PlainDict):
        def _set(self, key: str, value: Any) -> None:
            super()._set(key, value)
            high.append(sum(len(value) for value in list(self.fields.values())))

    inner = Watched()
    store: Any = QuotaStore(inner, max_bytes=50)
    refused: list[int] = []

    def work(worker: int) -> None:
        for number in range(60):
            key = "abcdefgh"[(number * 3 + worker) % 8]
            if (number + worker) % 4 == 0:
                store.erase(key)
            elif (number + worker) % 17 == 0:
                store.erase_prefix("")
            else:
                try:
                    store.set(key, bytes((number * 7 + worker * 5) % 20))
                except QuotaExceededError:
                    refused.append(worker)

    run_at_once(*(partial(work, worker) for worker in range(6)))
    assert refused
    assert max(high) <= 50
    sizes = [len(value) for value in inner.fields.values()]
    assert (store.used_bytes, store.used_keys) == (sum(sizes), len(sizes))


def test_room_is_taken_before_a_write_is_done() -> None:
    """While one value is on its way there is no room for another, and no lock is held."""
    clock = VirtualClock()
    store: Any = QuotaStore(SlowStore(MemoryStore(), 1, clock=clock), max_bytes=10)
    assert store.used_bytes == 0
    started = clock.now()
    pool = clock.executor(3)
    first = pool.submit(store.set, "a", bytes(6))
    second = pool.submit(store.set, "b", bytes(6))
    third = pool.submit(store.set, "c", bytes(4))
    assert isinstance(second.exception(), QuotaExceededError)
    assert clock.now() == started
    assert clock.gather([first, third]) == [None, None]
    assert clock.now() == started + 1
    assert store.used_bytes == 10


def test_writes_of_one_key_at_once_end_with_its_true_size() -> None:
    """Which of two overlapping writes was the last one is looked up."""
    clock = VirtualClock()
    inner = MemoryStore()
    for waits in (  # by size: seconds before the value is there, and after
        {10: (1, 0), 20: (3, 0)},
        {10: (3, 0), 20: (1, 0)},
        {10: (2, 0), 20: (1, 3)},
        {10: (1, 4), 20: (2, 0)},
    ):
        middle = Failing(inner)
        middle.clock = clock
        store: Any = QuotaStore(middle, max_bytes=100)

        def wait(call: Call, moment: int, waits: dict[int, Any] = waits) -> None:
            clock.sleep(waits[call.upload][moment] if call.upload else 0)

        middle.before, middle.after = partial(wait, moment=0), partial(wait, moment=1)
        pool = clock.executor(2)
        clock.gather([pool.submit(store.set, "a", bytes(size)) for size in waits])
        assert store.used_bytes == inner.getsize("a")


@pytest.mark.parametrize("delays", [(1, 3), (3, 1), (2, 2)])
def test_a_write_during_the_erasure_of_its_prefix_counts_right(delays: tuple[int, int]) -> None:
    """Whether the new value survived the erasure around it is looked up."""
    clock = VirtualClock()
    inner = MemoryStore({"a/b": b"123"})
    for before in (True, False):
        middle = Failing(inner)
        middle.clock = clock
        store: Any = QuotaStore(middle, max_bytes=100)
        assert store.used_keys == len(inner.list())
        waits = dict(zip(("set", "erase_prefix"), delays, strict=True))

        def wait(call: Call, waits: dict[str, int] = waits) -> None:
            clock.sleep(waits.get(call.op, 0))

        setattr(middle, "before" if before else "after", wait)
        pool = clock.executor(2)
        work = [(store.set, "a/x", b"45"), (store.erase_prefix, "a/")]
        clock.gather([pool.submit(*each) for each in (work if before else work[::-1])])
        left = [inner.getsize(key) for key in inner.list()]
        assert (store.used_bytes, store.used_keys) == (sum(left), len(left))


def test_it_is_counted_by_one_while_others_wait() -> None:
    """Threads that write first all at once count once; if that fails the next one counts."""
    clock = VirtualClock()
    inner = Failing(SlowStore(MemoryStore({"a": b"1"}), 1, clock=clock))
    store: Any = QuotaStore(inner, max_bytes=100)

    def fail_first(call: Call) -> None:
        if inner.ops == ["list"]:
            clock.sleep(1)
            raise ConnectionLostError("lost")

    inner.before = fail_first
    pool = clock.executor(4)
    futures = [pool.submit(store.set, f"n{worker}", b"1") for worker in range(4)]
    clock.wait(futures)
    assert [type(future.exception()) for future in futures] == [ConnectionLostError] + [
        type(None)
    ] * 3
    assert inner.ops == ["list", "list", "getsize", "set", "set", "set"]
    assert store.used_keys == 4


# --- the object


def test_a_restored_quota_counts_anew(tmp_path: Path) -> None:
    """Limits travel, books do not."""
    store: Any = QuotaStore(LocalStore(tmp_path), max_bytes=10)
    store.set("a", b"123")
    LocalStore(tmp_path).set("b", b"4567")
    assert store.used_bytes == 3
    other = pickle.loads(pickle.dumps(store))
    assert other == store != QuotaStore(LocalStore(tmp_path), max_bytes=10, max_keys=5)
    assert other.used_bytes == 7
    assert repr(other).endswith(", max_bytes=10)")
    assert "max" not in repr(QuotaStore(LocalStore(tmp_path)))


def test_without_limits_nothing_is_counted_unless_asked() -> None:
    """The no-op asks nothing of its own, takes any store, and counts when it is asked."""
    inner = Failing(MemoryStore())
    store: Any = QuotaStore(inner)
    store.set("a", b"123")
    assert inner.ops == ["set"]
    inner.inner.set("b", b"4")  # type: ignore[attr-defined]
    assert (store.used_bytes, store.used_keys) == (4, 2)
    QuotaStore(WriteOnly()).set("a", b"1")
    with pytest.raises(UnsupportedError, match="counted"):
        _ = QuotaStore(WriteOnly()).used_bytes


@pytest.mark.parametrize("inner", [WriteOnly(), DictStore()])
def test_what_cannot_be_counted_is_refused(inner: Store) -> None:
    """A limit needs a store that can be read and listed."""
    with pytest.raises(TypeError, match="readable and listable"):
        QuotaStore(inner, max_keys=1)


def test_a_quota_of_a_read_only_store_is_read_only() -> None:
    """It can do what the inner store can, and count."""
    store: Any = QuotaStore(ListableDict({"a": b"12"}), max_bytes=1)
    assert store.used_bytes == 2
    with pytest.raises(StoreError):
        store.set("a", b"")


@pytest.mark.parametrize("name", ["max_bytes", "max_keys"])
@pytest.mark.parametrize("value", [-1, 1.5, "1", True, float("inf")])
def test_impossible_limits_are_refused(name: str, value: Any) -> None:
    """A limit is a number of bytes or keys, or None."""
    with pytest.raises(ValueError, match=name):
        QuotaStore(MemoryStore(), **{name: value})


@pytest.mark.parametrize("op", ["set", "set_values", "erase_prefix"])
def test_ctrl_c_at_any_moment_leaves_a_quota_that_holds(op: str) -> None:
    """Afterwards any thread writes, and no less is counted than what is stored."""
    arguments: dict[str, Any] = {
        "set": ("a", b"123"),
        "set_values": ([("a", b""), ("b", b"12345")],),
        "erase_prefix": ("c/",),
    }
    for moment in count():
        inner = MemoryStore({"a": b"1", "c/d": b"1234"})
        store: Any = QuotaStore(inner, max_bytes=20)
        error = interrupted(partial(getattr(store, op), *arguments[op]), moment)
        in_time(partial(store.set, "e", b"12"))
        assert sum(len(inner.get(key)) for key in inner.list()) <= store.used_bytes <= 20
        if error is None:
            break
    assert moment > 20
