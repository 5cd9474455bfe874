"""A SlowStore takes the time that it says, for everything, in the right moment."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from store_samples import DictStore, FakeClock

from storekit.errors import ConflictError, KeyNotFoundError, StoreError
from storekit.stores import Latency, LocalStore, MemoryStore, SlowStore, WrapperStore


@pytest.fixture
def clock() -> FakeClock:
    """A clock that counts the seconds."""
    return FakeClock()


OPERATIONS = {
    "get": ("a",),
    "get_partial_values": ([("a", 0, 4), ("b/c", 0, 2), ("no", 0, 1)],),
    "exists": ("a",),
    "getsize": ("a",),
    "set": ("d", b"12345"),
    "set_values": ([("d", b"123"), ("e/f", b"45")],),
    "set_partial_values": ([("a", 0, b"123"), ("b/c", 0, b"12")],),
    "erase": ("a",),
    "erase_values": (["a", "b/c"],),
    "erase_prefix": ("",),
    "list": (),
    "list_prefix": ("b/",),
    "list_dir": ("",),
    "get_versioned": ("a",),
    "compare_and_set": ("d", b"12345", None),
}
REQUESTS = {"set_values": 2}
UPLOADS = {"set": 5, "set_values": 5, "set_partial_values": 5, "compare_and_set": 5}
DOWNLOADS = {
    "get": 10,
    "get_partial_values": 6,
    "list": 4,
    "list_prefix": 3,
    "list_dir": 3,
    "get_versioned": 10,
}


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_operation_takes_its_time(clock: FakeClock, op: str) -> None:
    """Each operation takes the delay once, or for each value set, and 8 bits a byte moved."""
    slow = SlowStore(MemoryStore({"a": bytes(10), "b/c": bytes(10)}), 2, 80, clock=clock)
    getattr(slow, op)(*OPERATIONS[op])
    delay, upload = 2 * REQUESTS.get(op, 1), UPLOADS.get(op, 0)
    assert clock.slept == pytest.approx(delay + 0.1 * (upload + DOWNLOADS.get(op, 0)))
    assert clock.sleeps[0] == pytest.approx(delay + 0.1 * upload)


def test_without_a_bandwidth_size_does_not_matter(clock: FakeClock) -> None:
    """With 0 bits per second, which means no limit, only the delay counts."""
    slow = SlowStore(MemoryStore(), 0.5, clock=clock)
    slow.set("a", bytes(10**6))
    slow.get("a")
    assert clock.slept == 1.0


def test_failing_takes_time_too(clock: FakeClock) -> None:
    """A missing key, a conflict and a broken store cost the delay as success does."""
    slow = SlowStore(MemoryStore({"a": b"1"}), 1, clock=clock)
    with pytest.raises(KeyNotFoundError):
        slow.get("missing")
    with pytest.raises(ConflictError):
        slow.compare_and_set("a", b"2", None)
    slow.erase("missing")
    assert not slow.exists("missing")
    assert slow.get_partial_values([("missing", 0, 1)]) == [None]

    class Broken(DictStore):
        def _get(self, key: str) -> bytes:
            raise StoreError("broken")

    broken = SlowStore(Broken(), 1, clock=clock)
    with pytest.raises(StoreError, match="broken"):
        broken.get("a")
    assert clock.slept == 6


def test_what_is_written_arrives_after_it_was_sent(clock: FakeClock) -> None:
    """While an upload is under way nobody sees the new value."""
    inner = MemoryStore({"a": b"old"})
    seen: list[bytes] = []
    clock.sleep = lambda seconds: seen.append(inner.get("a"))  # type: ignore[method-assign]
    SlowStore(inner, 1, 8, clock=clock).set("a", b"new")
    assert seen[0] == b"old"
    assert inner.get("a") == b"new"


def test_what_is_read_was_there_before_it_arrived(clock: FakeClock) -> None:
    """What changes while a download is under way is not in it, what changed before is."""
    inner = MemoryStore({"a": b"0"})
    writes = iter([b"1", b"2"])
    clock.sleep = lambda seconds: inner.set("a", next(writes))  # type: ignore[method-assign]
    assert SlowStore(inner, 1, 8, clock=clock).get("a") == b"1"
    assert inner.get("a") == b"2"


def test_bad_arguments_take_no_time(clock: FakeClock) -> None:
    """What is refused here never went over the network."""
    with pytest.raises(ValueError, match="invalid key"):
        SlowStore(MemoryStore(), 1, clock=clock).get("/a")
    assert clock.sleeps == []


def test_slow_stores_add_up(clock: FakeClock) -> None:
    """A slow store around a slow store takes the time of both."""
    inner = SlowStore(MemoryStore({"a": b"1"}), 1, clock=clock)
    outer = SlowStore(WrapperStore(inner), 2)
    assert outer.clock == clock
    outer.get("a")
    assert clock.slept == 3


def test_the_default_delay_is_a_second() -> None:
    """As in simplezarr, without parameters every operation takes a second."""
    slow = SlowStore(MemoryStore())
    assert (slow.base_delay, slow.bits_per_second) == (1.0, 0.0)
    assert repr(slow) == "SlowStore(MemoryStore(0 keys), base_delay=1.0)"


def test_a_delay_makes_a_network(tmp_path: Any) -> None:
    """From a millisecond on array code is told to ask for much at once; below, as inside."""
    far = SlowStore(LocalStore(tmp_path), 0.001)
    near = SlowStore(LocalStore(tmp_path), 0.0009)
    assert (far.latency, far.concurrency) == (Latency.NETWORK, 64)
    assert near.latency is Latency.DISK
    assert near.concurrency == LocalStore(tmp_path).concurrency
    assert SlowStore(MemoryStore(), 0).latency is Latency.MEMORY
    assert SlowStore(far, 0).concurrency == 64


@pytest.mark.parametrize("name", ["base_delay", "bits_per_second"])
@pytest.mark.parametrize(
    "value", [-1, -0.001, float("nan"), float("inf"), "1", None, 1j, True, [1], np.array([1.0])]
)
def test_impossible_parameters_are_refused(name: str, value: Any) -> None:
    """Negative, infinite and not-a-number parameters raise ValueError with the name, at once."""
    with pytest.raises(ValueError, match=name):
        SlowStore(MemoryStore(), **{name: value})


def test_any_real_number_will_do() -> None:
    """Ints and numpy's numbers serve as parameters, and are kept as floats."""
    slow = SlowStore(MemoryStore(), np.float32(0.5), np.int64(8))
    assert (slow.base_delay, slow.bits_per_second) == (0.5, 8.0)
    assert type(slow.base_delay) is type(slow.bits_per_second) is float


def test_parameters_survive_pickling() -> None:
    """A restored store takes the same time, by the same clock."""
    slow = SlowStore(MemoryStore(), 2, 1000, clock=FakeClock())
    restored = pickle.loads(pickle.dumps(slow))
    assert restored == slow
    restored.exists("a")
    assert restored.clock.sleeps[0] == 2
