"""A link charges what it says, to all who share it, and refuses settings without sense."""

from __future__ import annotations

import copy
import gc
import heapq
import math
import os
import pickle
import subprocess
import sys
from contextlib import suppress
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from forking import in_child
from hypothesis import given
from hypothesis import strategies as st

from storekit import ZarrGroup
from storekit.clock import REAL_CLOCK
from storekit.errors import ConnectionLostError
from storekit.simulation import VirtualClock
from storekit.stores import MemoryStore, SlowStore, Trace, TraceStore, WrapperStore
from storekit.stores._pipe import _Flow
from storekit.stores.distributions import Constant, Distribution, LogNormal, Normal, Pareto, Uniform
from storekit.stores.link import Link
from storekit.stores.outages import Outages


def all_at_once(clock: VirtualClock, stores: list[Any], each: int = 1) -> float:
    """How long it takes when each store is asked for its key `a` so often by threads at once."""
    before = clock.now()
    pool = clock.executor(len(stores) * each)
    clock.gather([pool.submit(store.get, "a") for store in stores for _ in range(each)])
    return clock.now() - before


def test_stores_share_a_link() -> None:
    """Two stores that are given one link have half of its bandwidth each; two links, all of it."""
    clock = VirtualClock()
    link = Link(down=100)
    one, other = (
        SlowStore(MemoryStore({"a": bytes(100)}), link=shared, clock=clock)
        for shared in (link, link)
    )
    assert all_at_once(clock, [one, other]) == pytest.approx(2)
    apart = SlowStore(MemoryStore({"a": bytes(100)}), link=replace(link), clock=clock)
    assert all_at_once(clock, [one, apart]) == pytest.approx(1)


def test_up_and_down_are_separate() -> None:
    """Uploads do not slow downloads."""
    clock = VirtualClock()
    slow = SlowStore(MemoryStore({"a": bytes(100)}), link=Link(down=100, up=10), clock=clock)
    pool = clock.executor(2)
    up, down = pool.submit(slow.set, "b", bytes(100)), pool.submit(slow.get, "a")
    down.result()
    assert clock.now() == pytest.approx(1)
    up.result()
    assert clock.now() == pytest.approx(10)


def test_bandwidth_is_taken_when_it_is_needed() -> None:
    """A call that waits long before it sends takes nothing from those that send meanwhile."""
    clock = VirtualClock()
    slow = SlowStore(MemoryStore(), link=Link(latency=1, up=100), clock=clock)
    pool = clock.executor(2)
    many = pool.submit(slow.set_values, [(str(i), bytes(10)) for i in range(10)])
    pool.submit(slow.set, "a", bytes(100)).result()
    assert clock.now() == pytest.approx(2)
    many.result()
    assert clock.now() == pytest.approx(11)


def test_a_connection_has_a_bandwidth_of_its_own() -> None:
    """One transfer gets no more than a connection; so many, that the link is full, get less."""
    clock = VirtualClock()
    slow = SlowStore(
        MemoryStore({"a": bytes(100)}), link=Link(down=100, per_connection=30), clock=clock
    )
    assert all_at_once(clock, [slow]) == pytest.approx(100 / 30)
    assert all_at_once(clock, [slow], 3) == pytest.approx(100 / 30)
    assert all_at_once(clock, [slow], 10) == pytest.approx(10)


def test_connections_are_limited() -> None:
    """Further calls wait until one before them is through, first come, first served."""
    clock = VirtualClock()
    slow = SlowStore(MemoryStore({"a": b""}), link=Link(latency=1, max_connections=3), clock=clock)
    assert all_at_once(clock, [slow], 7) == 3


def test_requests_keep_their_distance() -> None:
    """At 4 requests a second each begins a quarter of a second after the one before."""
    clock = VirtualClock()
    slow = SlowStore(
        MemoryStore({"a": b""}), link=Link(latency=1, requests_per_second=4), clock=clock
    )
    assert all_at_once(clock, [slow], 9) == pytest.approx(1 + 8 / 4)
    clock.sleep(100)
    assert all_at_once(clock, [slow]) == pytest.approx(1)


def test_a_turn_is_taken_when_it_is_needed() -> None:
    """A call of many requests takes no turns in advance from those that ask meanwhile."""
    clock = VirtualClock()
    link = Link(latency=1, requests_per_second=10)
    slow = SlowStore(MemoryStore({"a": b""}), link=link, clock=clock)
    pool = clock.executor(2)
    many = pool.submit(slow.erase_values, [str(i) for i in range(10)])
    pool.submit(slow.get, "a").result()
    assert clock.now() == pytest.approx(1.1)
    many.result()
    assert clock.now() == pytest.approx(10)


def test_each_clock_has_a_network_of_its_own() -> None:
    """What one simulation has under way is not felt in the next one."""
    link = Link(latency=1, requests_per_second=0.01)
    for _ in range(2):
        clock = VirtualClock()
        SlowStore(MemoryStore({"a": b""}), link=link, clock=clock).get("a")
        assert clock.now() == 1


def test_a_link_does_not_keep_clocks_alive() -> None:
    """A link that lives as long as the process forgets the networks of clocks that are gone."""
    link = Link(latency=1)
    for _ in range(3):
        SlowStore(MemoryStore({"a": b""}), link=link, clock=VirtualClock()).get("a")
    gc.collect()
    assert len(link._networks) == 0


def test_losses_are_as_frequent_as_they_should_be() -> None:
    """With a delay a loss costs time, and nothing is lost."""
    clock = VirtualClock()
    link = Link(loss=0.25, loss_delay=1)
    slow = SlowStore(MemoryStore({"a": b""}), link=link, clock=clock)
    for _ in range(1000):
        slow.get("a")
    assert 200 < clock.now() < 300
    assert clock.now() == int(clock.now())


@given(st.integers(0, 5), st.floats(0.1, 10), st.floats(0.1, 10))
def test_a_periodic_outage_comes_again(cycle: int, up: float, down: float) -> None:
    """The link is up, then down, then up again, in each cycle."""
    outages = Outages.periodic(up=up, down=down)
    begin = cycle * (up + down)
    assert not outages.is_down(begin + up / 2)
    assert outages.is_down(begin + up + down / 2)
    assert outages.next_after(begin + up / 2) == pytest.approx(begin + up)
    assert outages.next_after(begin + up) >= begin + up + down - 1e-9


def test_an_outage_comes_once() -> None:
    """Without a period the link is up for ever after the last outage."""
    outages = Outages(((1, 2), (5, 6)))
    down = [moment for moment in range(10) if outages.is_down(moment)]
    assert down == [1, 5]
    assert [outages.next_after(moment) for moment in (0, 2, 4, 6)] == [1, 5, 5, math.inf]


def test_requests_fail_while_the_link_is_down() -> None:
    """Outside of an outage requests come through; in it they fail after their latency."""
    clock = VirtualClock()
    link = Link(latency=1, outages=Outages.periodic(up=3.5, down=2))
    slow = SlowStore(MemoryStore({"a": b""}), link=link, clock=clock)
    found = []
    for _ in range(11):
        try:
            slow.get("a")
            found.append("ok")
        except ConnectionLostError:
            found.append("lost")
    assert found == ["ok"] * 3 + ["lost"] * 3 + ["ok"] * 3 + ["lost"] * 2
    assert clock.now() == pytest.approx(3.5 + 2 + 3.5 + 1)


DISTRIBUTIONS = [
    Constant(0.5),
    Uniform(0.1, 0.9),
    Normal(0.5, 0.1),
    LogNormal(0.5, 0.5),
    Pareto(0.1, 3),
]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=repr)
def test_a_distribution_has_its_mean(distribution: Distribution) -> None:
    """The mean of many samples is the mean, and longer delays have greater shares."""
    steps = 20_000
    samples = [distribution.sample((i + 0.5) / steps) for i in range(steps)]
    assert samples == sorted(samples)
    assert sum(samples) / steps == pytest.approx(distribution.mean, rel=0.01)
    assert min(samples) >= 0


def test_a_normal_delay_is_never_negative() -> None:
    """What the curve has below zero is zero, which makes the mean a little longer."""
    normal = Normal(0.1, 0.2)
    assert normal.sample(0.01) == 0
    assert normal.mean > 0.1


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Uniform(0.2, 0.1), "high"),
        (lambda: Uniform(-0.2, 0.1), "low"),
        (lambda: Normal(0.1, math.nan), "deviation"),
        (lambda: LogNormal("1", 2), "median"),  # type: ignore[arg-type]
        (lambda: Pareto(1, 1), "alpha"),
        (lambda: Constant(math.inf), "seconds"),
        (lambda: Link(latency=-1), "latency"),
        (lambda: Link(latency=math.nan), "latency"),
        (lambda: Link(down=0), "down"),
        (lambda: Link(up=math.nan), "up"),
        (lambda: Link(per_connection=-5), "per_connection"),
        (lambda: Link(per_connection=math.inf), "per_connection"),
        (lambda: Link(max_connections=0), "max_connections"),
        (lambda: Link(max_connections=True), "max_connections"),
        (lambda: Link(max_connections=2.0), "max_connections"),  # type: ignore[arg-type]
        (lambda: Link(requests_per_second=0), "requests_per_second"),
        (lambda: Link(page_size=0), "page_size"),
        (lambda: Link(loss=1.1), "loss"),
        (lambda: Link(loss=-0.1), "loss"),
        (lambda: Link(loss_delay=-1), "loss_delay"),
        (lambda: Link(outages=((1, 2),)), "outages"),  # type: ignore[arg-type]
        (lambda: Outages(()), "periods"),
        (lambda: Outages(((2, 1),)), "rising"),
        (lambda: Outages(((-1, 1),)), "rising"),
        (lambda: Outages(((math.nan, 1),)), "rising"),
        (lambda: Outages(((1, 3), (2, 4))), "rising"),
        (lambda: Outages(((1, 3),), every=2), "within"),
        (lambda: Outages(((1, 3),), every=0), "every"),
        (lambda: Outages.periodic(up=0, down=1), "up"),
    ],
)
def test_settings_without_sense_are_refused(make: Any, name: str) -> None:
    """Negative delays, rates of zero, things that are no numbers: ValueError with the name."""
    with pytest.raises(ValueError, match=name):
        make()


def test_a_link_cannot_be_changed() -> None:
    """Its settings are frozen; `replace` makes another one."""
    link = Link(latency=1)
    with pytest.raises(FrozenInstanceError):
        link.latency = 2  # type: ignore[misc]
    assert replace(link, down=5).latency == 1
    assert repr(replace(link, down=5)) == "Link(latency=1, down=5.0)"


def test_a_link_stays_one_link() -> None:
    """Copied or pickled it is itself; in another process two stores that share it still do."""
    link = Link(latency=LogNormal(1, 2), down=7)
    assert pickle.loads(pickle.dumps(link)) is link
    assert copy.deepcopy(link) is copy.copy(link) is link
    assert link != Link(latency=LogNormal(1, 2), down=7)
    pair = [SlowStore(MemoryStore(), link=link), SlowStore(MemoryStore(), link=link)]
    code = (
        "import pickle, sys; a, b = pickle.load(sys.stdin.buffer);"
        "assert a.link is b.link; print(a.link)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(pair), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == repr(link)


def test_a_real_clock_moves_what_the_link_says() -> None:
    """Transfers by a real clock end when the model says, however late threads wake up."""
    link = Link(down=1e9)
    slow = SlowStore(MemoryStore({"a": bytes(1 << 16)}), link=link)
    network = link.network(REAL_CLOCK)
    begin = network.begin
    for _ in range(200):
        slow.get("a")
    moved = 200 * (1 << 16) / 1e9
    assert network.down._time - begin >= moved * 0.999


def test_arrays_travel_by_the_same_way() -> None:
    """64 chunks read by 8 connections take the time of 8 rounds of latency and of all the bytes."""
    clock = VirtualClock()
    memory = MemoryStore()
    array = ZarrGroup.create(memory).create_array(
        "a", shape=(64, 1000), dtype="u1", chunks=(1, 1000), codecs="none"
    )
    array[...] = np.arange(64000).reshape(64, 1000) % 251
    link = Link(latency=0.1, down=10_000, max_connections=8)
    far = ZarrGroup(SlowStore(memory, link=link, clock=clock))["a"]
    before = clock.now()
    np.testing.assert_array_equal(far[...], array[...])
    assert clock.now() - before == pytest.approx(8 * 0.1 + 6.4)


def test_a_store_says_what_a_request_is_worth() -> None:
    """Array code hears how many bytes a further request costs: those moved in its latency."""
    link = Link(latency=0.1, down=50_000, per_connection=20_000)
    slow = SlowStore(MemoryStore(), link=link)
    assert WrapperStore(slow).request_cost == slow.request_cost == 2000
    assert SlowStore(MemoryStore(), link=Link(latency=0.1)).request_cost == 1 << 20
    chunk = 1 << 16
    for rate, ops in ((1e5, {"get_partial_values"}), (1e9, {"get"})):
        trace, clock = Trace(), VirtualClock()
        memory = MemoryStore()
        array = ZarrGroup.create(memory).create_array(
            "a", shape=(chunk,), dtype="u1", chunks=(chunk,), codecs="none"
        )
        array[...] = 1
        slow = SlowStore(memory, link=Link(latency=0.1, down=rate), clock=clock)
        far = ZarrGroup(TraceStore(slow, trace))["a"]
        trace.clear()
        assert far[:10].sum() == 10
        assert {record.op for record in trace.calls()} == ops


def test_what_ends_at_a_cut_is_followed_by_an_outage() -> None:
    """A request made at the very moment when an outage begins fails after its latency."""
    clock = VirtualClock()
    link = Link(latency=0.07, outages=Outages.periodic(up=0.3, down=0.1))
    slow = SlowStore(MemoryStore({"a": b""}), link=link, clock=clock)
    for _ in range(2000):
        before = clock.now()
        with suppress(ConnectionLostError):
            slow.get("a")
        assert clock.now() - before > 1e-6


def test_late_threads_do_not_get_time_for_free() -> None:
    """Who woke up late makes up for it at once or never: a request a while later takes its time."""
    link = Link(latency=0.004)
    slow = SlowStore(MemoryStore({"a": b""}), link=link)
    slow.get("a")
    link.network(REAL_CLOCK).local.late = 0.004
    REAL_CLOCK.sleep(0.011)
    before = REAL_CLOCK.now()
    slow.get("a")
    assert REAL_CLOCK.now() - before >= 0.0039


@pytest.mark.parametrize("link", [Link(latency=0.5, max_connections=1), Link(down=20)])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_finds_the_link_idle(link: Link) -> None:
    """What other threads had under way at a fork is not under way in the child."""
    slow = SlowStore(MemoryStore({"a": bytes(10)}), link=link)
    network = link.network(REAL_CLOCK)
    if network.connections is not None:
        network.connections._acquire(0, REAL_CLOCK)
    else:
        heapq.heappush(network.down._flows, (1.0, 0, _Flow(REAL_CLOCK.event())))
    assert in_child(lambda: slow.get("a")) == 0
    link._begin_anew()


INTERRUPTED = """
import signal, sys
from storekit.clock import REAL_CLOCK
from storekit.stores import Link, MemoryStore, SlowStore

link = Link(latency=1e-5, **eval(sys.argv[1]))
slow = SlowStore(MemoryStore({"a": bytes(1000)}), link=link)
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
for i in range(300):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0001 + i % 17 * 0.00005)
        while True:
            slow.get("a")
    except KeyboardInterrupt:
        pass
network = link.network(REAL_CLOCK)
assert network.connections is None or network.connections.free == 1
assert network.down._flows == []
"""


@pytest.mark.parametrize("settings", [{"max_connections": 1}, {"down": 1e8}])
def test_an_interrupt_leaves_the_link_whole(settings: dict[str, Any]) -> None:
    """However often Ctrl-C comes, connections and bandwidth are free afterwards."""
    # Coverage has locks of its own, which Ctrl-C leaves taken.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", INTERRUPTED, repr(settings)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
