"""A FaultyStore does what its rules say, exactly; and arrays never take faults for data."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import pytest
from store_samples import DictStore, operations
from test_contract import over, restored

from storekit.errors import (
    ConflictError,
    ConnectionLostError,
    KeyNotFoundError,
    RateLimitedError,
    ServerError,
    TimeoutError,
)
from storekit.simulation import VirtualClock
from storekit.stores import (
    LocalStore,
    MemoryStore,
    SlowStore,
    WritableStore,
)
from storekit.stores.fault import _OPS, Fault
from storekit.stores.faults import Faults, Fired
from storekit.stores.faulty import FaultyStore
from storekit.testing import StoreContract


class TestContract(StoreContract):
    many = 300
    store = over(
        {
            "memory": lambda _: FaultyStore(MemoryStore()),
            "never": lambda _: FaultyStore(MemoryStore(), [Fault(p=0), Fault(flip=1, p=0)]),
            "local": lambda root: FaultyStore(LocalStore(root)),
            "restored": lambda root: restored(FaultyStore(LocalStore(root), [Fault(p=0)])),
        }
    )


OPERATIONS = {
    "get": ("a",),
    "get_partial_values": ([("a", 0, 1)],),
    "exists": ("a",),
    "getsize": ("a",),
    "set": ("a", b"2"),
    "set_values": ([("a", b"2"), ("b/c", b"3")],),
    "set_partial_values": ([("a", 0, b"2")],),
    "erase": ("a",),
    "erase_values": (["a", "b/c"],),
    "erase_prefix": ("",),
    "list": (),
    "list_prefix": ("b/",),
    "list_dir": ("",),
    "get_versioned": ("a",),
    "compare_and_set": ("d", b"2", None),
}


def lost(store: FaultyStore, *keys: str) -> list[int]:
    """Which of several reads get lost, beginning with 1."""
    found = []
    for number, key in enumerate(keys, 1):
        try:
            store.get(key)
        except ConnectionLostError:
            found.append(number)
    return found


def faulty(*rules: Fault, seed: int = 0, **contents: bytes) -> Any:
    """A store in memory with some contents, that fails."""
    return FaultyStore(MemoryStore(contents or {"a": b"0123456789"}), rules, seed=seed)


# --- errors


def test_rules_know_all_operations() -> None:
    """The operations that a rule can name are those of the contract."""
    assert operations() == _OPS == OPERATIONS.keys()


@pytest.mark.parametrize("op", OPERATIONS)
def test_a_lost_request_has_no_effect(op: str) -> None:
    """Before the call: an error with store, operation and key, and nothing has happened."""
    contents = {"a": b"1", "b/c": b"2"}
    store = FaultyStore(MemoryStore(contents), [Fault(op)])
    with pytest.raises(ConnectionLostError, match="before the call") as caught:
        getattr(store, op)(*OPERATIONS[op])
    error = caught.value
    key = OPERATIONS[op][0] if OPERATIONS[op] else ""
    assert (error.store, error.op) == (repr(store), op)
    assert error.key == (key if isinstance(key, str) else "a")
    assert store.inner == MemoryStore(contents)
    (fired,) = store.fired
    assert (fired.rule, fired.op, fired.nth, fired.when) == (Fault(op), op, 1, "before")
    assert fired.keys[0] == error.key


@pytest.mark.parametrize("op", OPERATIONS)
def test_a_lost_answer_hides_an_effect(op: str) -> None:
    """After the call: the same error, but it has happened, once."""
    contents = {"a": b"1", "b/c": b"2"}
    store, plain = (
        FaultyStore(MemoryStore(contents), [Fault(op, when="after")]),
        MemoryStore(contents),
    )
    getattr(plain, op)(*OPERATIONS[op])
    with pytest.raises(ConnectionLostError, match="after the call"):
        getattr(store, op)(*OPERATIONS[op])
    assert store.inner == plain
    assert store.fired[0].when == "after"


def test_a_lost_answer_may_have_been_an_error() -> None:
    """Absence and conflicts are answers, too: lost, they are lost connections."""
    store = faulty(Fault(when="after"))
    for call in (
        lambda: store.get("missing"),
        lambda: store.get_versioned("missing"),
        lambda: store.compare_and_set("a", b"", None),
    ):
        with pytest.raises(ConnectionLostError) as caught:
            call()
        assert isinstance(caught.value.__context__, (KeyNotFoundError, ConflictError))


def test_a_lost_compare_and_set_has_been_done() -> None:
    """Who sends it again conflicts with himself; who looks finds his value."""
    store = faulty(Fault("compare_and_set", when="after", nth=1))
    with pytest.raises(ConnectionLostError):
        store.compare_and_set("b", b"mine", None)
    with pytest.raises(ConflictError):
        store.compare_and_set("b", b"mine", None)
    value, version = store.get_versioned("b")
    assert value == b"mine"
    store.compare_and_set("b", b"next", version)


def test_any_error_can_be_raised() -> None:
    """A class, an error, or what a function makes of operation and key."""
    busy = RateLimitedError("slow down")
    busy.retry_after = 7
    rules = [
        Fault("get", error=ServerError, nth=1),
        Fault("get", error=busy, nth=2),
        Fault("get", error=lambda op, key: OSError(f"{op} {key}"), nth=3),
        Fault("get", error=lambda op, key: "no exception", nth=4),  # type: ignore[arg-type,return-value]
    ]
    store = faulty(*rules)
    with pytest.raises(ServerError, match=r"get: a fault before the call"):
        store.get("a")
    with pytest.raises(RateLimitedError, match="slow down") as caught:
        store.get("a")
    assert (caught.value.retry_after, caught.value.op, caught.value.key) == (7, "get", "a")
    assert caught.value is not busy
    assert busy.op is None
    with pytest.raises(OSError, match="get a"):
        store.get("a")
    with pytest.raises(TypeError, match="must return an exception"):
        store.get("a")


# --- which calls


def test_exact_counts() -> None:
    """The n-th, each n-th, at most so many, all: counted by calls that match."""
    keys = ["a"] * 10
    assert lost(faulty(Fault(nth=3)), *keys) == [3]
    assert lost(faulty(Fault(every=3)), *keys) == [3, 6, 9]
    assert lost(faulty(Fault(every=3, times=2)), *keys) == [3, 6]
    assert lost(faulty(Fault(times=4)), *keys) == [1, 2, 3, 4]
    assert lost(faulty(Fault()), *keys) == list(range(1, 11))
    assert lost(faulty(Fault("getsize")), *keys) == []
    assert lost(faulty(Fault(key="b*", nth=2), a=b"", b=b"", bb=b""), "a", "b", "a", "bb") == [4]


def test_rules_count_by_themselves() -> None:
    """Each rule counts all calls that match it, also those that another rule made fail."""
    store = faulty(Fault(nth=1), Fault(nth=2), Fault(nth=2, error=ServerError), Fault(every=4))
    assert lost(store, *"aaaaa") == [1, 2, 4]
    assert [fired.nth for fired in store.fired] == [1, 2, 4]


def test_the_first_rule_wins() -> None:
    """Of rules that raise at one moment the first does; lost requests come before the rest."""
    store = faulty(
        Fault(error=TimeoutError, when="after"), Fault(error=ServerError), Fault(), Fault(flip=1)
    )
    with pytest.raises(ServerError):
        store.get("a")
    assert [fired.rule for fired in store.fired] == [store.faults.rules[1]]


def test_a_rule_that_did_not_come_to_it_is_not_used_up() -> None:
    """`times` counts effects: behind another rule, or with nothing to damage, a rule has none."""
    store = faulty(Fault(nth=1), Fault(times=1), Fault(truncate=3, times=1), a=b"12345", b=b"12")
    assert lost(store, *"aaa") == [1, 2]
    store = faulty(Fault(truncate=3, times=1), a=b"12345", b=b"12")
    assert [store.get(key) for key in "bbaa"] == [b"12", b"12", b"123", b"12345"]
    with pytest.raises(KeyNotFoundError):
        store.get("missing")
    assert len(store.fired) == 1


def test_probabilities() -> None:
    """About so many calls fail; with 0 none and with 1 all."""
    keys = ["a"] * 1000
    assert len(lost(faulty(Fault(p=0.2)), *keys)) == pytest.approx(200, abs=50)
    assert lost(faulty(Fault(p=0)), *keys) == []
    assert len(lost(faulty(Fault(p=1)), *keys)) == 1000
    store = faulty(Fault(p=0.5, times=3))
    assert len(lost(store, *keys)) == 3


def test_chance_depends_on_names_not_on_order() -> None:
    """Whether a call fails depends on seed, rule, operation, key and use, not on the order."""

    def fates(keys: str, seed: int = 0) -> dict[str, list[bool]]:
        store = faulty(Fault(p=0.5), seed=seed, **dict.fromkeys("abcd", b""))
        found: dict[str, list[bool]] = {key: [] for key in keys}
        for key in keys:
            found[key].append(bool(lost(store, key)))
        return found

    one = fates("abcd" * 20)
    assert fates("d" * 20 + "c" * 20 + "a" * 20 + "b" * 20) == one
    assert fates("a" * 20)["a"] == one["a"] != one["b"]
    assert fates("a" * 20, seed=1)["a"] != one["a"]


def test_threads_change_nothing() -> None:
    """In virtual time the same calls fail, however many threads there are and whoever is first."""

    def failed(workers: int, order: Any) -> list[str]:
        clock = VirtualClock(order=order)
        contents = {str(i): b"" for i in range(60)}
        store = FaultyStore(SlowStore(MemoryStore(contents), 1, clock=clock), [Fault(p=0.3)])
        pool = clock.executor(workers)
        clock.wait([pool.submit(store.get, key) for key in contents for _ in range(3)])
        return sorted(fired.keys[0] for fired in store.fired)

    expected = failed(1, "fifo")
    assert 30 < len(expected) < 80
    assert failed(16, "fifo") == failed(16, "random") == expected


def test_counts_are_of_all_threads() -> None:
    """The n-th call is one call, whoever makes it."""
    store = faulty(Fault(every=10), Fault(error=ServerError, times=7))
    pool = store.clock.executor(8)
    store.clock.wait([pool.submit(store.get, "a") for _ in range(400)])
    pool.shutdown()
    fired = [each.rule for each in store.fired]
    assert [fired.count(rule) for rule in store.faults.rules] == [40, 7]
    assert sorted(each.nth for each in store.fired if each.rule.every) == list(range(10, 401, 10))


# --- which keys


@pytest.mark.parametrize(
    ("op", "key", "matches"),
    [
        ("*", "a/c/*", {"get a/c/0/1", "set a/c/5"}),
        ("get*", "*", {"get a/c/0/1", "getsize a/b"}),
        (("list*", "set"), "*", {"list ", "list_dir a/", "set a/c/5"}),
        ("*", "a/?", {"getsize a/b"}),
        ("*", "a/[!b]*", {"get a/c/0/1", "set a/c/5"}),
        ("*", "", {"list "}),
        ("*", "a/", {"list_dir a/"}),
        ("*", "A/*", set()),
    ],
)
def test_patterns(op: Any, key: str, matches: set[str]) -> None:
    """Patterns of operations and keys; a call by prefix matches by the prefix itself."""
    rule = Fault(op, key)
    calls = ["get a/c/0/1", "getsize a/b", "set a/c/5", "list ", "list_dir a/"]
    assert {call for call in calls if rule.matches(*call.split(" "))} == matches | (
        {"list_dir a/"} if key == "a/*" else set()
    )


def test_a_call_with_several_keys_matches_by_any() -> None:
    """One matching key is enough; the error and the log name the keys that match."""
    store = faulty(Fault(key="b*"), a=b"", b=b"", bb=b"")
    with pytest.raises(ConnectionLostError) as caught:
        store.get_partial_values([("a", 0, 1), ("bb", 0, 1), ("b", 0, 1), ("bb", 1, 1)])
    assert caught.value.key == "bb"
    assert store.fired[0].keys == ("bb", "b")
    store.erase_values(["a", "c"])
    assert store.get_partial_values([]) == []


# --- damage


def test_a_short_read() -> None:
    """Values are cut in silence, each part of its own; sizes and versions are true."""
    store = faulty(Fault(truncate=3, key="a"), a=b"0123456789", b=b"0123456789")
    assert store.get("a") == b"012"
    assert store.get("b") == b"0123456789"
    asked = [("a", 2, 5), ("b", 2, 5), ("a", -2, None), ("missing", 0, 1)]
    assert store.get_partial_values(asked) == [b"234", b"23456", b"89", None]
    assert store.get_versioned("a") == (b"012", store.inner.get_versioned("a")[1])
    assert store.getsize("a") == 10
    assert store.inner.get("a") == b"0123456789"
    assert [fired.op for fired in store.fired] == ["get", "get_partial_values", "get_versioned"]
    assert faulty(Fault(truncate=0)).get("a") == b""


def differing(one: Any, other: Any) -> int:
    """How many bits of two values differ."""
    assert len(one) == len(other)
    return sum((a ^ b).bit_count() for a, b in zip(bytes(one), bytes(other), strict=True))


@pytest.mark.parametrize("bits", [1, 2, 7, 80, 1000])
def test_flipped_bits_in_what_is_read(bits: int) -> None:
    """Just so many bits of each value differ, all if it has fewer; what is stored does not."""
    value = b"0123456789"
    store = faulty(Fault(flip=bits))
    for _ in range(20):
        assert differing(store.get("a"), value) == min(bits, 80)
    (part,) = store.get_partial_values([("a", 2, 3)])
    assert differing(part, value[2:5]) == min(bits, 24)
    assert differing(store.get_versioned("a")[0], value) == min(bits, 80)
    assert store.inner.get("a") == value


def test_flipped_bits_in_what_is_written() -> None:
    """What is stored differs, in matching keys alone; the caller's own bytes do not."""
    value = b"0123456789"
    store = faulty(Fault(["set*", "compare_and_set"], "a*", flip=3), a=value)
    buffer = bytearray(value)
    store.set("a", buffer)
    store.set_values([("aa", value), ("b", value)])
    store.set_partial_values([("b", 2, b"xyz")])
    store.compare_and_set("ab", value, None)
    get = store.inner.get
    assert [differing(get(key), value) for key in ("a", "aa", "ab")] == [3, 3, 3]
    assert get("b") == b"01xyz56789"
    assert buffer == value
    before = get("a")
    store.set_partial_values([("a", 2, before[2:5])])
    assert differing(get("a"), before) == differing(get("a")[2:5], before[2:5]) == 3
    store.compare_and_set("ab", None, store.get_versioned("ab")[1])
    assert not store.exists("ab")
    assert [fired.when for fired in store.fired] == ["before"] * 4


def test_places_of_flipped_bits_are_repeatable_and_even() -> None:
    """Other seeds, keys and uses flip other bits, the same ones the same; all are as likely."""

    def places(seed: int, key: str) -> list[int]:
        store = faulty(Fault(flip=1), seed=seed, a=bytes(4), b=bytes(4))
        return [int.from_bytes(store.get(key)).bit_length() for _ in range(640)]

    found = places(1, "a")
    assert found == places(1, "a")
    assert found != places(1, "b")
    assert found != places(2, "a")
    assert {place: 5 < found.count(place) < 45 for place in range(1, 33)} == dict.fromkeys(
        range(1, 33), True
    )


def test_cut_and_flipped() -> None:
    """A rule that does both flips in what it leaves, also where it cuts nothing."""
    store = faulty(Fault(truncate=4, flip=16), a=b"0123456789", b=b"01")
    assert differing(store.get("a"), b"0123") == 16
    assert differing(store.get("b"), b"01") == 16


def test_damage_to_several_values_of_a_call_is_one_effect() -> None:
    """All the parts that a call reads of matching keys are damaged, and it counts once."""
    store = faulty(Fault(truncate=1, times=1), a=b"0123", b=b"4567")
    asked = [("a", 0, 2), ("b", 0, 2), ("a", 2, 2)]
    assert store.get_partial_values(asked) == [b"0", b"4", b"2"]
    assert store.get_partial_values(asked) == [b"01", b"45", b"23"]
    assert [fired.keys for fired in store.fired] == [("a", "b")]


def test_damage_and_loss_go_together() -> None:
    """A damaged write whose answer gets lost is both, in one call."""
    store = faulty(Fault("set", flip=1), Fault("set", when="after"))
    with pytest.raises(ConnectionLostError):
        store.set("b", b"xyz")
    assert differing(store.inner.get("b"), b"xyz") == 1
    assert [fired.when for fired in store.fired] == ["before", "after"]


# --- the engine and the objects


def test_the_engine_works_without_a_store() -> None:
    """Whoever carries out calls can ask `Faults` what is due."""
    faults = Faults([Fault("get", "b", nth=1), Fault("get", truncate=1)])
    assert not faults.due("set", ["a"])
    due = faults.due("get", ["a"])
    due.before()
    due.after()
    assert due
    assert due.damaged("a", b"123") == b"1"
    with pytest.raises(ConnectionLostError) as caught:
        faults.due("get", ["b"]).before()
    assert (caught.value.store, caught.value.op, caught.value.key) == (None, "get", "b")
    assert faults.fired == [
        Fired(faults.rules[1], "get", ("a",), 1, "after"),
        Fired(faults.rules[0], "get", ("b",), 1, "before"),
    ]


def test_faults_can_be_shared() -> None:
    """Stores that are given the same `Faults` count together, also after pickling."""
    faults = Faults([Fault(every=2)], seed=5)
    one, two = FaultyStore(MemoryStore({"a": b""}), faults), FaultyStore(MemoryStore(), faults)
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert again.faults is faults
    again.get("a")
    with pytest.raises(ConnectionLostError):
        two.exists("a")
    assert again.fired == two.fired == faults.fired
    with pytest.raises(ValueError, match="seed"):
        FaultyStore(MemoryStore(), faults, seed=1)


def test_it_is_configured_and_restored() -> None:
    """Rules and seed show, make equality, and survive pickling; counts begin anew."""
    busy = RateLimitedError("busy")
    busy.retry_after = 2
    store = faulty(Fault("get", "a", ServerError, nth=2), Fault("set", error=busy), seed=3)
    lost(store, "a")
    again = pickle.loads(pickle.dumps(store))
    assert again == store != faulty(seed=3)
    assert again.faults.rules[1].error.retry_after == 2
    assert again.faults.rules[1] != Fault("set", error=RateLimitedError("busy"))
    again.get("a")
    assert again.fired == []
    assert repr(store) == (
        "FaultyStore(MemoryStore(1 key), rules=(Fault(op='get', key='a', error=ServerError, nth=2),"
        " Fault(op='set', error=RateLimitedError('busy'))), seed=3)"
    )
    assert not isinstance(FaultyStore(DictStore(), [Fault()]), WritableStore)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("op", {"op": "gett"}),
        ("op", {"op": ["get", "put*"]}),
        ("op", {"op": []}),
        ("op", {"op": None}),
        ("op", {"op": [3]}),
        ("nth", {"nth": 0}),
        ("nth", {"nth": 1.0}),
        ("nth", {"nth": True}),
        ("every", {"every": -1}),
        ("times", {"times": 0}),
        ("p", {"p": -0.1}),
        ("p", {"p": 1.1}),
        ("p", {"p": math.nan}),
        ("p", {"p": "1"}),
        ("only one", {"nth": 1, "p": 0.5}),
        ("only one", {"nth": 1, "every": 2}),
        ("when", {"when": "later"}),
        ("truncate", {"truncate": -1}),
        ("truncate", {"op": "set", "truncate": 1}),
        ("truncate", {"op": ["get", "getsize"], "truncate": 1}),
        ("flip", {"flip": 0}),
        ("flip", {"op": "list*", "flip": 1}),
        ("error", {"error": ValueError}),
        ("error", {"error": ValueError("instance")}),
        ("error", {"error": "lost"}),
        ("silence", {"flip": 1, "error": ServerError}),
        ("silence", {"truncate": 1, "when": "after"}),
        ("key", {"key": None}),
        ("key", {"key": "/a*"}),
        ("key", {"key": "a//*"}),
        ("key", {"key": "a/../*"}),
        ("key", {"key": ".storekit-*"}),
        ("key", {"key": "a\0*"}),
        ("key", {"op": "get", "key": "a/"}),
        ("key", {"op": "get", "key": ""}),
        ("key", {"op": "list*", "key": "a"}),
        ("key", {"key": "x" * 300}),
        ("key", {"op": "list", "key": "a/"}),
        ("key", {"op": "list", "key": "?*"}),
        ("key", {"op": ["list", "get"], "key": "a/"}),
        ("key", {"key": "[z-a]"}),
        ("key", {"key": "a[z-a]*"}),
        ("key", {"key": "[/]"}),
        ("key", {"key": "a[/]/b"}),
        ("key", {"op": "get", "key": "a[/]"}),
        ("key", {"key": "[.]"}),
        ("key", {"key": "a/[.][.]/*"}),
        ("key", {"key": "[\0]"}),
    ],
)
def test_rules_that_can_never_fire_are_refused(name: str, fields: dict[str, Any]) -> None:
    """What makes no sense, or no call can match, raises ValueError with the name, at once."""
    with pytest.raises(ValueError, match=name):
        Fault(**fields)


@pytest.mark.parametrize(
    "key",
    [
        *("*", "?", "a*b", ".*", "*.", "[ab]/[!c]*", "**/c/*", "a/c/0", "?" * 200, "a*" * 200),
        *("[z-a", "[]]", "[!x]", "[!!-~]", "[一-龥]", "[b-c]", "a[/]b", "[/.]x", "a[!a-z]b", "[[]"),
        *("a[*]b", "[?]", "[😀]", "[!\0-😀]", "[*?][[]"),
    ],
)
def test_rules_that_can_fire_are_not(key: str) -> None:
    """Patterns that some key matches are taken."""
    assert Fault("get", key).key == key


@pytest.mark.parametrize(
    ("op", "key"),
    [
        ("list", ""),
        ("list", "*"),
        (["list", "get"], "a"),
        ("list_prefix", "a/"),
        ("list_prefix", "a?"),
        ("list*", "a[/]"),
        ("erase_prefix", "[a/][/b]"),
        ("*", "a/"),
    ],
)
def test_rules_about_prefixes_that_can_fire_are_not(op: Any, key: str) -> None:
    """A prefix ends with a slash, which any of the wild cards may be; that of `list` is empty."""
    assert Fault(op, key).key == key


def test_rules_must_be_rules() -> None:
    """What is no rule is refused when the store is made."""
    with pytest.raises(TypeError, match="rules"):
        FaultyStore(MemoryStore(), ["get"])  # type: ignore[list-item]


def test_a_faulty_store_on_disk(tmp_path: Path) -> None:
    """Over a store on disk the rules are the same; what is read is read-only."""
    store = FaultyStore(LocalStore(tmp_path), [Fault("get*", flip=1)])
    store.set("a", b"0123")
    assert differing(store.get("a"), b"0123") == 1
    for part in store.get_partial_values([("a", 0, 2)]):
        assert part is not None
        assert memoryview(part).readonly
