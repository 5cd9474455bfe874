"""A RetryStore makes calls again when that may help, waits as it says, and tells what it did."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from store_samples import DictStore
from test_contract import over, restored

from storekit import ZarrArray
from storekit.errors import (
    AccessDeniedError,
    ConflictError,
    ConnectionLostError,
    KeyNotFoundError,
    RateLimitedError,
    ServerError,
    StoreError,
    TimeoutError,
    TransportError,
)
from storekit.simulation import VirtualClock
from storekit.stores import LocalStore, MemoryStore, WrapperStore, WritableStore
from storekit.stores.fault import Fault
from storekit.stores.faulty import FaultyStore
from storekit.stores.retry import RetryEvent, RetryStore
from storekit.stores.wrapper import Call
from storekit.testing import StoreContract


@pytest.fixture
def clock() -> VirtualClock:
    """Time that costs nothing."""
    return VirtualClock()


class Failing(WrapperStore):
    """Raises the errors it is given, one a call; then it works. Notes when it was called."""

    def __init__(self, store: Any, clock: VirtualClock, *errors: Exception) -> None:
        super().__init__(store)
        self.clock, self.errors = clock, list(errors)
        self.times: list[float] = []

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        self.times.append(self.clock.now())
        if self.errors:
            raise self.errors.pop(0)
        return proceed()


def busy(seconds: float | None) -> RateLimitedError:
    """An error that asks to wait."""
    error = RateLimitedError("busy")
    error.retry_after = seconds
    return error


class TestContract(StoreContract):
    many = 300
    store = over(
        {
            "memory": lambda _: RetryStore(MemoryStore(), attempts=1),
            "usual": lambda _: RetryStore(MemoryStore()),
            "local": lambda root: RetryStore(LocalStore(root), attempts=1),
            "restored": lambda root: restored(RetryStore(LocalStore(root))),
        }
    )


OPERATIONS = {
    "get": ("a",),
    "get_partial_values": ([("a", 0, 1)],),
    "exists": ("a",),
    "getsize": ("a",),
    "set": ("a", b"2"),
    "set_values": ([("a", b"2"), ("b", b"3")],),
    "set_partial_values": ([("a", 0, b"2")],),
    "erase": ("a",),
    "erase_values": (["a", "b"],),
    "erase_prefix": ("",),
    "list": (),
    "list_prefix": ("",),
    "list_dir": ("",),
    "get_versioned": ("a",),
}


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_operation_is_made_again(clock: VirtualClock, op: str) -> None:
    """Whatever was asked is asked again after a lost connection, and answered as without one."""
    plain, inner = MemoryStore({"a": b"1"}), MemoryStore({"a": b"1"})
    store = RetryStore(Failing(inner, clock, ConnectionLostError("1"), ServerError("2")))
    expected = getattr(plain, op)(*OPERATIONS[op])
    answer = getattr(store, op)(*OPERATIONS[op])
    assert answer == expected or op == "get_versioned"
    assert inner == plain
    assert len(store.inner.times) == 3  # type: ignore[attr-defined]


# --- which errors


@pytest.mark.parametrize(
    "error",
    [KeyNotFoundError("no"), AccessDeniedError("no"), StoreError("no"), OSError(5), KeyError(1)],
    ids=lambda error: type(error).__name__,
)
def test_what_does_not_pass_is_raised_at_once(clock: VirtualClock, error: Exception) -> None:
    """Absence, refusals and errors that are none of a store's are raised as they are, unnoted."""
    inner = Failing(MemoryStore({"a": b""}), clock, error)
    with pytest.raises(type(error)) as caught:
        RetryStore(inner).get("a")
    assert caught.value is error
    assert not hasattr(error, "__notes__")
    assert inner.times == [0]


def test_the_error_says_whether_it_passes(clock: VirtualClock) -> None:
    """An error's own `retryable` counts, not its class."""
    passing = StoreError("maintenance", retryable=True)
    lasting = ServerError("not implemented", retryable=False)
    assert RetryStore(Failing(MemoryStore({"a": b"1"}), clock, passing)).get("a") == b"1"
    with pytest.raises(ServerError):
        RetryStore(Failing(MemoryStore({"a": b"1"}), clock, lasting)).get("a")


def test_the_last_error_is_raised_as_it_is(clock: VirtualClock) -> None:
    """After all attempts the last error comes out, with a note, and no other one behind it."""
    errors = [ConnectionLostError("1"), ServerError("2"), TimeoutError("3")]
    store = RetryStore(Failing(MemoryStore(), clock, *errors), attempts=3, jitter="none")
    with pytest.raises(TimeoutError) as caught:
        store.get("a")
    assert caught.value is errors[2]
    assert caught.value.__notes__ == [
        "RetryStore: attempt 3 of 3, after 0.300 s; there are no more"
    ]
    assert caught.value.__context__ is None


def test_an_answer_after_failures_is_noted(clock: VirtualClock) -> None:
    """An error that does not pass, after some that did, says how many attempts there were."""
    store = RetryStore(Failing(MemoryStore(), clock, ServerError("1")))
    with pytest.raises(KeyNotFoundError) as caught:
        store.get("a")
    assert caught.value.__notes__ == [
        "RetryStore: attempt 2 of 4, after 0.100 s; this error does not pass"
    ]


def test_one_attempt_is_none_more(clock: VirtualClock) -> None:
    """With one attempt errors pass through untouched, at once."""
    error = ConnectionLostError("1")
    with pytest.raises(ConnectionLostError) as caught:
        RetryStore(Failing(MemoryStore(), clock, error), attempts=1).get("a")
    assert caught.value is error
    assert not hasattr(error, "__notes__")
    assert clock.now() == 0


# --- compare-and-set


@pytest.mark.parametrize("kind", [ConnectionLostError, TimeoutError, ServerError, TransportError])
def test_an_ambiguous_compare_and_set_is_not_sent_again(
    clock: VirtualClock, kind: type[StoreError]
) -> None:
    """Its answer may have got lost: a second one would conflict with the first, and lie."""
    inner = MemoryStore()
    store = RetryStore(FaultyStore(inner, [Fault("compare_and_set", error=kind, when="after")]))
    with pytest.raises(kind) as caught:
        store.compare_and_set("a", b"1", None)
    assert "may have had its effect" in caught.value.__notes__[0]
    assert inner.get("a") == b"1"


def test_a_compare_and_set_that_was_turned_away_is_sent_again(clock: VirtualClock) -> None:
    """A backend that was too busy has done nothing; a conflict is an answer."""
    store = RetryStore(Failing(MemoryStore(), clock, busy(None), busy(3)))
    version = store.compare_and_set("a", b"1", None)
    assert clock.now() == 3.1
    assert store.get_versioned("a") == (b"1", version)
    with pytest.raises(ConflictError):
        store.compare_and_set("a", b"2", None)


def test_the_count_of_a_prefix_is_that_of_the_last_attempt(clock: VirtualClock) -> None:
    """When the answer to `erase_prefix` got lost, the second one finds nothing left."""
    inner = MemoryStore({"a/b": b"", "a/c": b""})
    lost = Fault("erase_prefix", when="after", nth=1)
    assert RetryStore(FaultyStore(inner, [lost]), clock=clock).erase_prefix("a/") == 0
    assert inner.list() == []


def test_increments_by_an_array_survive_a_bad_network(clock: VirtualClock) -> None:
    """Read-modify-writes whose reads get lost now and then change all that they should."""
    memory = MemoryStore()
    array = ZarrArray.create(memory, "a", shape=(64,), chunks=(8,), dtype="i8")
    faulty = FaultyStore(memory, [Fault("get*", "a/c/*", p=0.3)], seed=4)
    retried = ZarrArray(RetryStore(faulty, clock=clock, attempts=20), "a")

    def add(first: int) -> None:
        for i in range(first, 64, 4):
            retried[i : i + 1] = i

    pool = clock.executor(4)
    clock.gather([pool.submit(add, first) for first in range(4)])
    assert (array[...] == np.arange(64)).all()
    assert len(faulty.fired) > 10


# --- waiting


def waits(clock: VirtualClock, failures: int, **settings: Any) -> list[float]:
    """How long is waited between the attempts."""
    inner = Failing(MemoryStore({"a": b""}), clock, *[ServerError("") for _ in range(failures)])
    RetryStore(inner, attempts=failures + 1, **{"budget": math.inf, **settings}).get("a")
    times = inner.times
    return [after - before for before, after in itertools.pairwise(times)]


def test_waits_without_jitter_grow_to_the_cap(clock: VirtualClock) -> None:
    """Each wait is the factor times the one before, and never more than the cap."""
    found = waits(clock, 6, first=0.5, factor=3, cap=10, jitter="none")
    assert found == pytest.approx([0.5, 1.5, 4.5, 10, 10, 10])
    assert waits(clock, 3, factor=1, jitter="none") == pytest.approx([0.1] * 3)
    assert waits(clock, 3, first=0, jitter="none") == [0, 0, 0]


def test_waits_with_decorrelated_jitter(clock: VirtualClock) -> None:
    """The first wait is exact, each further one between it and the factor times the one before."""
    found = waits(clock, 300, first=0.1, factor=3, cap=5, seed=1)
    assert found[0] == pytest.approx(0.1)
    for before, after in itertools.pairwise(found):
        assert 0.1 - 1e-6 <= after <= min(3 * before, 5) + 1e-6
    assert pytest.approx(max(found)) == 5
    assert len({round(wait, 6) for wait in found}) > 100


def test_waits_with_full_jitter(clock: VirtualClock) -> None:
    """Each wait is anywhere from zero to where it would be without jitter."""
    found = waits(clock, 300, first=1, factor=2, cap=4, jitter="full")
    assert found[0] < 1
    assert found[1] < 2
    assert max(found) < 4
    assert sum(found[2:]) / 298 == pytest.approx(2, rel=0.15)


def test_waits_depend_on_names_not_on_threads(clock: VirtualClock) -> None:
    """A key's waits are the same in whatever order, and others with another seed."""

    def found(keys: str, seed: int = 0) -> dict[str, list[float]]:
        delays: dict[str, list[float]] = {key: [] for key in keys}
        store = RetryStore(
            FaultyStore(MemoryStore(), [Fault()]),
            clock=clock,
            seed=seed,
            on_retry=lambda event: delays[event.call.keys[0]].append(event.delay),
        )
        pool = clock.executor(4)
        clock.wait([pool.submit(store.get, key) for key in keys])
        return delays

    assert found("abcd") == found("dcba")
    assert found("ab")["a"] == found("a")["a"] != found("a", seed=1)["a"]
    assert found("ab")["a"] != found("ab")["b"]


def test_the_wish_of_the_backend_is_respected(clock: VirtualClock) -> None:
    """`retry_after` makes a wait longer, also beyond the cap, never shorter."""
    inner = Failing(MemoryStore({"a": b""}), clock, busy(20), busy(0.001), busy(None))
    RetryStore(inner, jitter="none").get("a")
    assert inner.times == pytest.approx([0, 20, 20.2, 20.6])


def test_a_wish_beyond_the_budget_is_not_waited_for(clock: VirtualClock) -> None:
    """Where the backend asks for more time than there is, the error comes at once."""
    for budget, wish in ((45, 45.001), (45, math.inf), (math.inf, math.inf)):
        inner = Failing(MemoryStore({"a": b""}), clock, busy(wish))
        with pytest.raises(RateLimitedError) as caught:
            RetryStore(inner, budget=budget).get("a")
        assert "beyond the budget" in caught.value.__notes__[0]
    assert clock.now() == 0
    RetryStore(Failing(MemoryStore({"a": b""}), clock, busy(45))).get("a")
    assert clock.now() == 45


def test_no_attempt_begins_after_the_budget(clock: VirtualClock) -> None:
    """A wait that would end beyond the budget is not begun; one that ends with it is."""
    settings = {"attempts": 99, "jitter": "none", "first": 1, "factor": 2, "cap": 64}
    for budget, times in ((7, [0, 1, 3, 7]), (6.9, [0, 1, 3]), (0.9, [0])):
        begin = clock.now()
        inner = Failing(MemoryStore(), clock, *[ServerError("") for _ in range(9)])
        with pytest.raises(ServerError) as caught:
            RetryStore(inner, budget=budget, **settings).get("a")
        assert [time - begin for time in inner.times] == pytest.approx(times)
        assert "beyond the budget" in caught.value.__notes__[0]


def test_slow_attempts_count_against_the_budget(clock: VirtualClock) -> None:
    """The budget counts from the beginning of the first attempt, waits and calls together."""

    class Slow(WrapperStore):
        calls = 0

        def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
            self.calls += 1
            clock.sleep(10)
            raise ServerError("after a while")

    inner = Slow(
        MemoryStore(),
    )
    with pytest.raises(ServerError):
        RetryStore(inner, clock=clock, budget=25, attempts=99).get("a")
    assert inner.calls == 3


# --- who is told


def test_events_tell_what_happens(clock: VirtualClock) -> None:
    """Before each wait there is an event, with the call, the error, the attempt and the wait."""
    errors = [ConnectionLostError("1"), busy(7)]
    events: list[tuple[float, RetryEvent]] = []
    store = RetryStore(
        Failing(MemoryStore({"a": b"1"}), clock, *errors),
        on_retry=lambda event: events.append((clock.now(), event)),
    )
    store.get("a")
    call = Call("get", ("a",))
    assert events == [
        (0, RetryEvent(call, errors[0], 1, 0.1)),
        (0.1, RetryEvent(call, errors[1], 2, 7)),
    ]
    with pytest.raises(AttributeError):
        events[0][1].attempt = 5  # type: ignore[misc]


def test_the_clock_is_that_of_the_store_or_the_one_given(clock: VirtualClock) -> None:
    """Waits are by the inner store's clock, unless another one is given."""
    assert RetryStore(Failing(MemoryStore(), clock)).clock is clock
    assert RetryStore(MemoryStore(), clock=clock).clock is clock


def test_it_is_configured_and_restored(clock: VirtualClock) -> None:
    """What differs from the usual shows, makes equality, and survives pickling."""
    store = RetryStore(MemoryStore(), attempts=7, budget=math.inf, jitter="full", clock=clock)
    again = pickle.loads(pickle.dumps(store))
    assert again == store != RetryStore(MemoryStore())
    policy = again.policy
    assert (policy.attempts, policy.budget, policy.jitter) == (7, math.inf, "full")
    assert again.clock == clock
    assert (
        repr(RetryStore(MemoryStore(), first=0.2)) == "RetryStore(MemoryStore(0 keys), first=0.2)"
    )
    assert not isinstance(RetryStore(DictStore()), WritableStore)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attempts", 0),
        ("attempts", 2.0),
        ("attempts", True),
        ("first", -0.1),
        ("first", math.nan),
        ("first", 6),
        ("factor", 0.9),
        ("factor", math.inf),
        ("cap", 0.05),
        ("cap", math.inf),
        ("jitter", "some"),
        ("jitter", None),
        ("budget", -1),
        ("budget", math.nan),
        ("budget", "1"),
    ],
)
def test_impossible_parameters_are_refused(name: str, value: Any) -> None:
    """What makes no sense raises ValueError with the name, at once."""
    with pytest.raises(ValueError, match=name):
        RetryStore(MemoryStore(), **{name: value})


def test_who_is_told_must_be_a_function() -> None:
    """What cannot be called is refused at once."""
    with pytest.raises(TypeError, match="on_retry"):
        RetryStore(MemoryStore(), on_retry="print")  # type: ignore[arg-type]
