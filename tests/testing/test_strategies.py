"""What the strategies make is what they say."""

from __future__ import annotations

import sys

import pytest
from hypothesis import Phase, find, given, settings

from storekit.errors import MissingExtraError, TransportError
from storekit.keys import check_key, check_prefix
from storekit.simulation import VirtualClock
from storekit.stores import MemoryStore, SlowStore
from storekit.stores.fault import Fault
from storekit.stores.faulty import FaultyStore
from storekit.stores.link import Link
from storekit.testing import strategies as st


@given(st.keys(), st.prefixes())
def test_keys_and_prefixes_are_valid(key: str, prefix: str) -> None:
    """A store accepts each key and each prefix."""
    check_key(key)
    check_prefix(prefix)


def test_keys_meet() -> None:
    """Among few keys there are such as are prefixes of others, and only almost."""
    assert find(st.keys(), lambda key: key.startswith("a/"))
    assert find(st.keys(), lambda key: key.startswith("ab"))
    assert find(st.keys(["x"], max_depth=1), lambda key: True) == "x"
    assert find(st.prefixes(), lambda prefix: True) == ""
    assert find(st.prefixes(["x"]), lambda prefix: prefix.count("/") == 3) == "x/x/x/"


@given(st.values(9), st.byte_ranges(20))
def test_ranges_are_accepted(value: bytes, part: tuple[int, int | None]) -> None:
    """A range of any value can be read."""
    (found,) = MemoryStore({"a": value}).get_partial_values([("a", *part)])
    assert bytes(found) in value


@settings(deadline=None)
@given(st.links())
def test_reliable_links_answer(link: Link) -> None:
    """Over a link that is reliable each request has its answer, in some time."""
    clock = VirtualClock()
    slow = SlowStore(MemoryStore(), link=link, clock=clock)
    slow.set("a/b", bytes(100))
    assert slow.get("a/b") == bytes(100)
    assert slow.list() == ["a/b"]
    assert clock.now() < 1e4


def test_unreliable_links_do_not() -> None:
    """Others lose requests, by losses or by outages."""

    def loses(link: Link) -> bool:
        clock = VirtualClock()
        slow = SlowStore(MemoryStore(), link=link, clock=clock)
        try:
            for _ in range(20):
                slow.exists("a")
                clock.sleep(1)
        except TransportError:
            return True
        return False

    quick = settings(max_examples=1000, phases=[Phase.generate])
    unreliable = st.links(reliable=False)
    assert find(unreliable, lambda link: not link.outages and loses(link), settings=quick)
    assert find(unreliable, lambda link: not link.loss and loses(link), settings=quick)


@given(st.faults("get"))
def test_faults_concern_their_operations(fault: Fault) -> None:
    """A rule leaves the other operations alone."""
    store = FaultyStore(MemoryStore(), [fault])
    for number in range(10):
        store.set(str(number), b"")
    assert store.fired == []


def test_faults_take_effect() -> None:
    """There are rules that lose a request, and such as lose its answer."""

    def stored(when: str) -> list[str]:
        fault = find(st.faults("set"), lambda fault: fault.nth == 1 and fault.when == when)
        inner = MemoryStore()
        with pytest.raises(TransportError):
            FaultyStore(inner, [fault]).set("a", b"")
        return inner.list()

    assert stored("before") == []
    assert stored("after") == ["a"]


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hypothesis the import says which extra brings it."""
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "storekit.testing.strategies")
    monkeypatch.delattr("storekit.testing.strategies")
    with pytest.raises(MissingExtraError, match=r"storekit\[testing\]"):
        from storekit.testing import strategies  # noqa: F401
