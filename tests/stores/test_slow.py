"""A SlowStore takes the time that its link says, for everything, in the right moment."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_samples import DictStore, PlainDict

from storekit.errors import ConflictError, ConnectionLostError, KeyNotFoundError, StoreError
from storekit.simulation import VirtualClock
from storekit.stores import (
    Fault,
    FaultyStore,
    Latency,
    LocalStore,
    MemoryStore,
    SlowStore,
    WrapperStore,
)
from storekit.stores.distributions import Uniform
from storekit.stores.link import Link
from storekit.stores.outages import Outages


@pytest.fixture
def clock() -> VirtualClock:
    """Time that costs nothing."""
    return VirtualClock()


OPERATIONS = {
    "get": ("a",),
    "get_partial_values": ([("a", 0, 4), ("b/c", 0, 2), ("no", 0, 1)],),
    "exists": ("a",),
    "getsize": ("a",),
    "set": ("d", b"12345"),
    "set_values": ([("d", b"123"), ("e/f", b"45")],),
    "set_partial_values": ([("a", 0, b"123"), ("b/c", 0, b"1"), ("b/c", 4, b"2")],),
    "erase": ("a",),
    "erase_values": (["a", "b/c", "no"],),
    "erase_prefix": ("",),
    "list": (),
    "list_prefix": ("b/",),
    "list_dir": ("",),
    "get_versioned": ("a",),
    "compare_and_set": ("d", b"12345", None),
}
REQUESTS = {
    "get_partial_values": 3,
    "set_values": 2,
    "set_partial_values": 2,
    "erase_values": 3,
}
LATER = {"erase_prefix": 2}  # requests after the effect
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
def test_every_operation_takes_its_time(clock: VirtualClock, op: str) -> None:
    """Each request takes the delay, each byte 8 bits; what is sent comes before the effect."""
    moments: list[float] = []

    class Noting(WrapperStore):
        def _around(self, call: Any, proceed: Any) -> Any:
            if call.op == op:
                moments.append(clock.now())
            return proceed()

    inner = Noting(MemoryStore({"a": bytes(10), "b/c": bytes(10)}))
    slow = SlowStore(inner, 2, 80, clock=clock)
    getattr(slow, op)(*OPERATIONS[op])
    requests, upload = REQUESTS.get(op, 1), UPLOADS.get(op, 0)
    assert moments == [pytest.approx(2 * requests + 0.1 * upload, abs=1e-8)]
    total = moments[0] + 2 * LATER.get(op, 0) + 0.1 * DOWNLOADS.get(op, 0)
    assert clock.now() == pytest.approx(total, abs=1e-8)


def test_a_request_takes_exactly_its_latency(clock: VirtualClock) -> None:
    """A thousand requests of 70 ms are 70 s, to the last nanosecond."""
    slow = SlowStore(MemoryStore(), 0.07, clock=clock)
    for _ in range(1000):
        slow.exists("a")
    assert clock.now() == 70


def test_nothing_asked_takes_no_time(clock: VirtualClock) -> None:
    """A call for no key is no request."""
    slow = SlowStore(MemoryStore(), 1, clock=clock)
    assert slow.get_partial_values([]) == []
    slow.erase_values([])
    slow.set_values([])
    slow.set_partial_values([])
    assert clock.now() == 0


def test_the_inner_store_is_asked_the_same_and_no_more(clock: VirtualClock) -> None:
    """Erasing a prefix is one call of the inner store, whose listing need not work."""
    faulty = FaultyStore(MemoryStore({"k/a": b""}), [Fault(op="list_prefix")])
    assert SlowStore(faulty, 1, clock=clock).erase_prefix("k/") == 1
    assert clock.now() == 3 - 1


def test_without_a_bandwidth_size_does_not_matter(clock: VirtualClock) -> None:
    """With 0 bits per second, which means no limit, only the delay counts."""
    slow = SlowStore(MemoryStore(), 0.5, clock=clock)
    slow.set("a", bytes(10**6))
    slow.get("a")
    assert clock.now() == 1.0


def test_failing_takes_time_too(clock: VirtualClock) -> None:
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
    assert clock.now() == 6


def test_what_is_written_arrives_after_it_was_sent(clock: VirtualClock) -> None:
    """While an upload is under way nobody sees the new value, and from its end on everybody."""
    inner = MemoryStore({"a": b"old"})
    slow = SlowStore(inner, 1, 8, clock=clock)
    done = clock.executor(1).submit(slow.set, "a", b"new")
    clock.sleep(3.999)
    assert inner.get("a") == b"old"
    clock.sleep(0.002)
    assert inner.get("a") == b"new"
    done.result()


def test_what_is_read_was_there_before_it_arrived(clock: VirtualClock) -> None:
    """What changes while a download is under way is not in it, what changed before is."""
    inner = MemoryStore({"a": b"0"})
    found = clock.executor(1).submit(SlowStore(inner, 1, 8, clock=clock).get, "a")
    clock.sleep(0.9)
    inner.set("a", b"1")
    clock.sleep(0.9)
    inner.set("a", b"2")
    assert found.result() == b"1"


def test_bad_arguments_take_no_time(clock: VirtualClock) -> None:
    """What is refused here never went over the network."""
    with pytest.raises(ValueError, match="invalid key"):
        SlowStore(MemoryStore(), 1, clock=clock).get("/a")
    assert clock.now() == 0


def test_slow_stores_add_up(clock: VirtualClock) -> None:
    """A slow store around a slow store takes the time of both."""
    inner = SlowStore(MemoryStore({"a": b"1"}), 1, clock=clock)
    outer = SlowStore(WrapperStore(inner), 2)
    assert outer.clock is clock
    outer.get("a")
    assert clock.now() == 3


def test_threads_share_the_bandwidth(clock: VirtualClock) -> None:
    """Eight threads on 100 kB/s move 100 kB/s in sum, both ways."""
    slow = SlowStore(MemoryStore(), 0, 800_000, clock=clock)
    pool = clock.executor(8)
    clock.gather([pool.submit(slow.set, str(i), bytes(100_000)) for i in range(8)])
    assert clock.now() == pytest.approx(8, abs=1e-7)
    clock.gather([pool.submit(slow.get, str(i)) for i in range(8)])
    assert clock.now() == pytest.approx(16, abs=1e-7)


def test_near_ranges_come_with_one_request(clock: VirtualClock) -> None:
    """Ranges nearer than a request is worth are one, with what lies between; others are more."""
    link = Link(latency=0.1, down=1000)  # 100 bytes in the time of a request
    slow = SlowStore(MemoryStore({"a": bytes(1000)}), link=link, clock=clock)
    slow.get_partial_values([("a", 0, 10), ("a", 110, 10)])
    assert clock.now() == pytest.approx(0.1 + 0.12, abs=1e-8)
    slow.get_partial_values([("a", 0, 10), ("a", 111, 10)])
    assert clock.now() == pytest.approx(0.22 + 0.2 + 0.02, abs=1e-8)
    slow.get_partial_values([("a", 0, 10), ("a", -10, None), ("a", 990, None), ("a", 5, 0)])
    assert clock.now() == pytest.approx(0.44 + 0.3 + 0.03, abs=1e-8)


def test_a_page_of_a_listing_is_a_request(clock: VirtualClock) -> None:
    """A listing costs a request for each page, by the link's size of a page or the store's."""
    contents = {f"k{i}": b"" for i in range(10)}
    slow = SlowStore(MemoryStore(contents), link=Link(latency=1, page_size=4), clock=clock)
    assert slow.page_size == 4
    slow.list()
    assert clock.now() == 3
    slow.list_prefix("none/")
    assert clock.now() == 4
    assert slow.erase_prefix("") == 10
    assert clock.now() == 4 + 3 + 10


def test_a_prefix_is_erased_without_a_listing(clock: VirtualClock) -> None:
    """A store that cannot list refuses to erase a prefix after one request."""
    slow = SlowStore(DictStore(), 1, clock=clock)
    with pytest.raises(StoreError):
        slow.erase_prefix("")  # type: ignore[attr-defined]
    assert SlowStore(PlainDict(), 1, clock=clock).erase_prefix("") == 0  # type: ignore[attr-defined]
    assert clock.now() == 1


def test_a_connection_is_needed_once(clock: VirtualClock) -> None:
    """A store of a link inside a store of the same link does not wait for its own connection."""
    link = Link(latency=1, max_connections=1)
    slow = SlowStore(SlowStore(MemoryStore({"a": b""}), link=link, clock=clock), link=link)
    slow.get("a")
    assert clock.now() == 2
    slow.get("a")
    assert clock.now() == 4


def test_a_lost_answer_is_lost_after_the_effect(clock: VirtualClock) -> None:
    """Of lost connections some had their effect, some not; the error is the same."""
    inner = MemoryStore()
    slow = SlowStore(inner, link=Link(latency=1, loss=1), clock=clock)
    for i in range(100):
        with pytest.raises(ConnectionLostError):
            slow.set(str(i), b"")
    assert 30 < len(inner.list()) < 70
    assert clock.now() == 100


def test_a_lost_answer_hides_what_it_says(clock: VirtualClock) -> None:
    """A missing key behind a lost connection is a lost connection, never absence."""
    slow = SlowStore(MemoryStore(), link=Link(loss=1), clock=clock)
    for _ in range(50):
        with pytest.raises(ConnectionLostError):
            slow.get("missing")


def test_delays_do_not_depend_on_threads(clock: VirtualClock) -> None:
    """A request takes what its seed, operation, key and use say, whoever makes it, in any order."""
    link = Link(latency=Uniform(0, 1))

    def times(keys: list[str], seed: int = 0) -> dict[str, float]:
        slow = SlowStore(MemoryStore(), link=link, clock=clock, seed=seed)
        found = {}
        for key in keys:
            before = clock.now()
            slow.exists(key)
            found[key] = clock.now() - before
        return found

    one = times(["a", "b", "c"])
    assert times(["c", "x", "a", "b"]) == pytest.approx(one | {"x": times(["x"])["x"]}, abs=2e-9)
    assert times(["a"], seed=1)["a"] != pytest.approx(one["a"])


def test_an_outage_cuts_what_is_under_way(clock: VirtualClock) -> None:
    """An upload that meets an outage stops there without effect; later ones fail in their time."""
    inner = MemoryStore()
    link = Link(latency=1, up=1, outages=Outages(((3, 10),)))
    slow = SlowStore(inner, link=link, clock=clock)
    with pytest.raises(ConnectionLostError, match="went down"):
        slow.set("a", bytes(5))
    assert clock.now() == 3
    with pytest.raises(ConnectionLostError, match="is down"):
        slow.set("a", bytes(5))
    assert clock.now() == 4
    assert inner.list() == []
    clock.sleep(6)
    slow.set("a", bytes(5))
    assert clock.now() == 16
    assert inner.list() == ["a"]


def test_the_default_delay_is_a_second() -> None:
    """As in simplezarr, without parameters every operation takes a second."""
    slow = SlowStore(MemoryStore())
    assert (slow.base_delay, slow.bits_per_second) == (1.0, 0.0)
    assert repr(slow) == "SlowStore(MemoryStore(0 keys), base_delay=1.0)"


def test_a_delay_makes_a_network(tmp_path: Path) -> None:
    """From a millisecond on array code is told to ask for much at once; below, as inside."""
    far = SlowStore(LocalStore(tmp_path), 0.001)
    near = SlowStore(LocalStore(tmp_path), 0.0009)
    assert (far.latency, far.concurrency) == (Latency.NETWORK, 64)
    assert near.latency is Latency.DISK
    assert near.concurrency == LocalStore(tmp_path).concurrency
    assert SlowStore(MemoryStore(), 0).latency is Latency.MEMORY
    assert SlowStore(far, 0).concurrency == 64
    assert SlowStore(MemoryStore(), 0, 1e9).latency is Latency.NETWORK
    assert SlowStore(MemoryStore(), link=Link(max_connections=3)).concurrency == 3


@pytest.mark.parametrize("name", ["base_delay", "bits_per_second"])
@pytest.mark.parametrize(
    "value", [-1, -0.001, float("nan"), float("inf"), "1", None, 1j, True, [1], np.array([1.0])]
)
def test_impossible_parameters_are_refused(name: str, value: Any) -> None:
    """Negative, infinite and not-a-number parameters raise ValueError with the name, at once."""
    with pytest.raises(ValueError, match=name):
        SlowStore(MemoryStore(), **{name: value})


@pytest.mark.parametrize(
    "settings", [{"link": "lte"}, {"link": Link(), "base_delay": 2}, {"link": 3.0}]
)
def test_a_link_is_a_link_and_says_all(settings: dict[str, Any]) -> None:
    """What is no link, or comes with settings that belong to it, is refused."""
    with pytest.raises(ValueError, match="link"):
        SlowStore(MemoryStore(), **settings)


def test_any_real_number_will_do() -> None:
    """Ints and numpy's numbers serve as parameters, and are kept as floats."""
    slow = SlowStore(MemoryStore(), np.float32(0.5), np.int64(8))
    assert (slow.base_delay, slow.bits_per_second) == (0.5, 8.0)
    assert type(slow.base_delay) is type(slow.bits_per_second) is float


def test_parameters_survive_pickling(clock: VirtualClock) -> None:
    """A restored store takes the same time, over the same link, by the same clock."""
    link = Link(latency=2)
    for slow in (
        SlowStore(MemoryStore(), 2, 1000, clock=clock),
        SlowStore(MemoryStore(), link=link, clock=clock, seed=7),
    ):
        restored = pickle.loads(pickle.dumps(slow))
        assert restored == slow
        assert restored.clock is clock
        before = clock.now()
        restored.exists("a")
        assert clock.now() == before + 2
    assert restored.link is link
