"""The copies of a MirrorStore agree with the primary, and stand in for it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from store_samples import DictStore, ListableDict, PlainDict, WriteOnly, count_up, operations

from storekit.errors import (
    ConflictError,
    ConnectionLostError,
    KeyConflictError,
    KeyNotFoundError,
    ReadOnlyError,
    StoreError,
    UnsupportedError,
)
from storekit.simulation import VirtualClock
from storekit.stores import (
    Call,
    ConditionalStore,
    ListableStore,
    LocalStore,
    MemoryStore,
    ReadableStore,
    SlowStore,
    Store,
    WrapperStore,
    WritableStore,
)
from storekit.stores.mirror import MirrorStore
from storekit.stores.prefix import PrefixStore
from storekit.testing import StoreContract, check_store
from storekit.testing.laws.common import run_at_once


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


def lose(call: Call) -> None:
    """Let a call get lost."""
    raise ConnectionLostError("away", op=call.op)


def restored(store: Any) -> Any:
    """The store, after a journey to another process."""
    return pickle.loads(pickle.dumps(store))


class TestMirrors(StoreContract):
    many = 200
    rounds = 10

    @pytest.fixture(params=["alone", "memory", "alone local", "local", "restored"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Store:
        """Mirrors with no, one and two copies."""
        local = LocalStore(tmp_path / "root")
        return {
            "alone": lambda: MirrorStore(MemoryStore()),
            "memory": lambda: MirrorStore(MemoryStore(), MemoryStore()),
            "alone local": lambda: MirrorStore(local),
            "local": lambda: MirrorStore(local, MemoryStore(), LocalStore(tmp_path / "copy")),
            "restored": lambda: restored(MirrorStore(MemoryStore(), MemoryStore())),
        }[request.param]()


READS: dict[str, Callable[[Any], Any]] = {
    "get": lambda store: store.get("a"),
    "get_partial_values": lambda store: store.get_partial_values([("a", 1, 2), ("x", 0, 1)]),
    "exists": lambda store: (store.exists("a"), store.exists("x")),
    "getsize": lambda store: store.getsize("a"),
    "list": lambda store: store.list(),
    "list_prefix": lambda store: store.list_prefix("b/"),
    "list_dir": lambda store: store.list_dir(""),
}
CHANGES: dict[str, Callable[[Any], Any]] = {
    "set": lambda store: store.set("b/c", b"new"),
    "set_values": lambda store: store.set_values([("a", b"new"), ("d", b"new")]),
    "set_partial_values": lambda store: store.set_partial_values([("a", 1, b"new")]),
    "erase": lambda store: store.erase("a"),
    "erase_values": lambda store: store.erase_values(["a", "d"]),
    "erase_prefix": lambda store: store.erase_prefix("b/"),
    "compare_and_set": lambda store: store.compare_and_set(
        "a", b"new", store.get_versioned("a")[1]
    ),
}


def test_every_method_is_looked_at() -> None:
    """The two lists have all public methods, but the one that asks the primary alone."""
    assert operations() == READS.keys() | CHANGES.keys() | {"get_versioned"}


@pytest.fixture
def stores() -> list[Failing]:
    """Three stores with the same contents."""
    return [Failing(MemoryStore({"a": b"0123", "b/c": b"45"})) for _ in range(3)]


# --- reading


@pytest.mark.parametrize("read", READS)
def test_the_primary_answers(stores: list[Failing], read: str) -> None:
    """As long as it can, nobody else is asked."""
    assert READS[read](MirrorStore(*stores)) == READS[read](stores[0].inner)
    assert stores[1].ops == stores[2].ops == []


@pytest.mark.parametrize("read", READS)
def test_the_copies_stand_in_for_the_primary(stores: list[Failing], read: str) -> None:
    """If it cannot be reached the others are asked in turn; if none can be, its error is raised."""
    store = MirrorStore(*stores)
    stores[0].before = lose
    assert READS[read](store) == READS[read](stores[1].inner)
    assert stores[2].ops == []
    stores[1].before = lose
    assert READS[read](store) == READS[read](stores[2].inner)
    stores[2].before = lose
    own = ConnectionLostError("my own")

    def fail(call: Call) -> None:
        raise own

    stores[0].before = fail
    with pytest.raises(ConnectionLostError) as caught:
        READS[read](store)
    assert caught.value is own
    assert [note.count("failed, too: ") for note in own.__notes__] == [1, 1]


def test_absence_is_an_answer(stores: list[Failing]) -> None:
    """That a key is absent, from the primary or from a copy, makes nobody ask further."""
    store: Any = MirrorStore(*stores)
    stores[0].inner.erase("a")  # type: ignore[attr-defined]
    with pytest.raises(KeyNotFoundError):
        store.get("a")
    assert not store.exists("a")
    assert stores[1].ops == []
    stores[0].before = lose
    stores[1].inner.erase("a")  # type: ignore[attr-defined]
    with pytest.raises(KeyNotFoundError):
        store.get("a")
    assert stores[2].ops == []


def test_only_what_is_lost_on_the_way_is_asked_again(stores: list[Failing]) -> None:
    """An error that would come again is not hidden by a copy, a retryable one is."""
    store: Any = MirrorStore(*stores)

    def fail(call: Call, retryable: bool) -> None:
        raise StoreError("broken", retryable=retryable)

    stores[0].before = partial(fail, retryable=False)
    with pytest.raises(StoreError, match="broken"):
        store.get("a")
    stores[0].before = partial(fail, retryable=True)
    assert store.get("a") == b"0123"


def test_versions_come_from_the_primary_alone(stores: list[Failing]) -> None:
    """A version of another store would be of no use."""
    stores[0].before = lose
    store: Any = MirrorStore(*stores)
    with pytest.raises(ConnectionLostError):
        store.get_versioned("a")
    assert stores[1].ops == []


# --- changes


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_made_everywhere(stores: list[Failing], change: str) -> None:
    """After it all stores are equal, and as one that was changed directly."""
    plain = MemoryStore({"a": b"0123", "b/c": b"45"})
    expected, answer = CHANGES[change](plain), CHANGES[change](MirrorStore(*stores))
    if change != "compare_and_set":
        assert answer == expected
    assert [store.inner for store in stores] == [plain] * 3


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_that_fails_is_named_when_all_were_tried(stores: list[Failing], change: str) -> None:
    """The others get the change; the error says whose it is; afterwards `repair` mends it."""
    plain = MemoryStore({"a": b"0123", "b/c": b"45"})
    CHANGES[change](plain)
    stores[1].before = lose
    store = MirrorStore(*stores)
    with pytest.raises(ConnectionLostError) as caught:
        CHANGES[change](store)
    assert repr(stores[1]) in caught.value.__notes__[0]
    assert stores[0].inner == stores[2].inner == plain != stores[1].inner
    stores[1].before = lambda call: None
    assert store.repair() in (1, 2)
    assert stores[1].inner == plain


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("change", [each for each in CHANGES if each != "erase_prefix"])
def test_when_the_primary_fails_the_copies_get_what_it_holds(
    stores: list[Failing], change: str, when: str
) -> None:
    """A lost request changes nothing anywhere, a lost answer everything."""

    def lose_it(call: Call) -> None:
        if call.op == change:
            lose(call)

    setattr(stores[0], when, lose_it)
    with pytest.raises(ConnectionLostError) as caught:
        CHANGES[change](MirrorStore(*stores))
    assert "the primary" in caught.value.__notes__[0]
    expected = MemoryStore({"a": b"0123", "b/c": b"45"})
    if when == "after":
        CHANGES[change](expected)
    assert [store.inner for store in stores] == [expected] * 3


def test_a_primary_that_is_away_changes_nothing(stores: list[Failing]) -> None:
    """If it cannot be looked at either, the error of the change is raised, and copies stay."""
    stores[0].before = lose
    store: Any = MirrorStore(*stores)
    with pytest.raises(ConnectionLostError) as caught:
        store.set("a", b"new")
    assert caught.value.op == "set"
    assert "and afterwards" in caught.value.__notes__[-1]
    assert stores[1].inner == stores[2].inner == MemoryStore({"a": b"0123", "b/c": b"45"})


def test_what_the_primary_refuses_nobody_is_told(stores: list[Failing]) -> None:
    """Conflicts are decided by the primary, also if a copy would accept."""
    store: Any = MirrorStore(stores[0], PlainDict())
    with pytest.raises(KeyConflictError):
        store.set("a/b", b"")
    with pytest.raises(ConflictError):
        store.compare_and_set("a", b"", "wrong")
    assert store.others[0].list() == []


# --- at once


@pytest.mark.parametrize("conditional", [True, False])
def test_writers_at_once_end_with_equal_copies(conditional: bool) -> None:
    """In whatever order writes of one key reach the stores, in the end all hold the primary's."""
    for seed in range(10):
        clock = VirtualClock(seed=seed, order="random")
        kind = MemoryStore if conditional else PlainDict
        inners: list[Any] = [kind() for _ in range(3)]
        store: Any = MirrorStore(*(SlowStore(inner, 1, clock=clock) for inner in inners))

        def work(worker: int, store: Any = store, clock: Any = clock) -> None:
            clock.sleep(worker * 0.4)
            store.set("a/b", b"%d" % worker)
            clock.sleep(worker % 3)
            store.set_values([("a/b", b"%d again" % worker), (f"own/{worker}", b"")])
            (store.erase if worker % 2 else store.exists)("a/b")
            if worker == 3:
                store.erase_prefix("a/")

        pool = clock.executor(5)
        clock.gather([pool.submit(work, worker) for worker in range(5)])
        contents = [{key: inner.get(key) for key in inner.list()} for inner in inners]
        assert contents[0] == contents[1] == contents[2]


def test_compare_and_set_from_several_mirrors_ends_with_equal_copies() -> None:
    """Mirrors that do not know of each other, as in several processes, agree in the end."""
    for seed in range(10):
        clock = VirtualClock(seed=seed, order="random")
        inners = [MemoryStore({"n": b"0"}) for _ in range(3)]
        mirrors: list[Any] = [
            MirrorStore(*(SlowStore(inner, delay, clock=clock) for inner in inners))
            for delay in (0.3, 1, 2.5)
        ]
        pool = clock.executor(3)
        clock.gather([pool.submit(count_up, mirror, "n", 4) for mirror in mirrors])
        assert [inner.get("n") for inner in inners] == [b"12"] * 3


def test_a_late_copy_is_followed_by_a_newer_one() -> None:
    """Who copies a value after others have replaced it finds that out, and copies theirs."""
    clock = VirtualClock()
    primary, copy = MemoryStore({"n": b"0"}), MemoryStore({"n": b"0"})
    slow: Any = MirrorStore(primary, SlowStore(copy, 5, clock=clock))
    quick: Any = MirrorStore(primary, copy)

    def replace_it() -> None:
        clock.sleep(1)
        quick.compare_and_set("n", b"2", quick.get_versioned("n")[1])
        assert copy.get("n") == b"2"

    pool = clock.executor(2)
    first = pool.submit(slow.compare_and_set, "n", b"1", slow.get_versioned("n")[1])
    clock.gather([first, pool.submit(replace_it)])
    assert primary.get("n") == copy.get("n") == b"2"


def late(clock: VirtualClock, *delays: float) -> tuple[Any, Any, Any]:
    """A mirror, its primary, and its copy, in which changes take these times to arrive."""
    primary, copy = PlainDict(), Failing(PlainDict())
    pending = iter(delays)
    copy.before = lambda call: clock.sleep(next(pending))
    return MirrorStore(primary, copy), primary, copy.inner


def at(clock: VirtualClock, *changes: tuple[float, Callable[[], object]]) -> None:
    """Make changes in threads of their own, at these times."""

    def change(moment: float, make: Callable[[], object]) -> None:
        clock.sleep(moment)
        make()

    pool = clock.executor(len(changes))
    clock.gather([pool.submit(change, *each) for each in changes])


def test_a_write_that_outlives_the_erasure_of_its_prefix_is_erased() -> None:
    """A value that reaches a copy after its prefix was erased everywhere does not stay there."""
    clock = VirtualClock()
    store, primary, copy = late(clock, 3, 1, 0)
    at(clock, (0, lambda: store.set("a/x", b"1")), (1, lambda: store.erase_prefix("a/")))
    assert primary.list() == copy.list() == []


def test_what_changes_while_copies_are_put_right_is_put_right_again() -> None:
    """A change during the last copying is followed by another copying."""
    clock = VirtualClock()
    store, primary, copy = late(clock, 2, 1.5, 5, 0.5, 0)
    writes = [(moment, partial(store.set, "a", b"%d" % moment)) for moment in (0, 1, 3)]
    at(clock, *writes)
    assert primary.get("a") == copy.get("a") == b"3"
    assert clock.now() == 7.5


def test_threads_of_the_machine_end_with_equal_copies(restless: None) -> None:
    """So do real threads, by whatever methods they change a few keys."""
    inners = [MemoryStore() for _ in range(3)]
    store: Any = MirrorStore(*inners)

    def work(worker: int) -> None:
        for number in range(40):
            key = "abc"[(number + worker) % 3] + "/x"
            match (number * 3 + worker) % 5:
                case 0:
                    store.erase(key)
                case 1:
                    store.erase_prefix(key[:2])
                case 2:
                    with suppress(ConflictError):
                        store.compare_and_set(key, b"%d" % number, None)
                case _:
                    store.set_values([(key, b"%d-%d" % (worker, number)), ("d", b"")])

    run_at_once(*(partial(work, worker) for worker in range(4)))
    assert inners[0] == inners[1] == inners[2]


def test_no_sequence_of_calls_makes_the_copies_differ() -> None:
    """A mirror behaves as a dict, read from its primary or, when that is away, from a copy."""

    class Turning(Failing):
        def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
            if call.op in READS:
                lose(call)
            return proceed()

    brief = settings(max_examples=30, stateful_step_count=30, deadline=None)
    check_store(lambda: MirrorStore(Turning(MemoryStore()), MemoryStore()), settings=brief)


# --- repair


def test_repair_copies_what_differs_and_nothing_else(stores: list[Failing]) -> None:
    """Missing, other and needless values are put right, in an order that brings no conflict."""
    primary = MemoryStore({"a": b"1", "b/c": b"2", "same": b"3", "k": b"4"})
    copies = [
        Failing(MemoryStore({"a": b"x", "b": b"in the way", "same": b"3", "k/l": b"in the way"})),
        Failing(MemoryStore({"a": b"1", "b/c": b"2", "same": b"3", "k": b"4"})),
    ]
    store = MirrorStore(primary, *copies)
    assert store.repair() == 5
    assert [copy.inner for copy in copies] == [primary] * 2
    assert set(copies[1].ops) == {"list", "get"}
    assert store.repair() == 0


def test_repair_fills_a_copy_of_what_is_read_only() -> None:
    """A primary that cannot be written can be copied; the mirror itself is read-only."""
    copy = MemoryStore()
    store: Any = MirrorStore(ListableDict({"a": b"1"}), copy)
    assert store.repair() == 1
    assert copy.get("a") == b"1"
    with pytest.raises(ReadOnlyError):
        store.set("a", b"2")


@pytest.mark.parametrize(
    "stores",
    [(DictStore(), MemoryStore()), (MemoryStore(), DictStore()), (MemoryStore(), ListableDict())],
)
def test_repair_says_what_it_needs(stores: Any) -> None:
    """What cannot be listed or written cannot be repaired."""
    with pytest.raises(UnsupportedError, match=r"is no .*Store"):
        MirrorStore(*stores).repair()


# --- the object


def test_it_can_do_what_all_can() -> None:
    """Each capability needs all stores, but compare-and-set needs the primary alone."""
    full = {ReadableStore, WritableStore, ListableStore, ConditionalStore}
    for stores, able in (
        ([MemoryStore(), PlainDict()], full),
        ([PlainDict(), MemoryStore()], full - {ConditionalStore}),
        ([MemoryStore(), ListableDict()], {ReadableStore, ListableStore}),
        ([MemoryStore(), MemoryStore(), DictStore()], {ReadableStore}),
        ([MemoryStore(), WriteOnly()], {WritableStore}),
    ):
        for store in (MirrorStore(*stores), type(MirrorStore(DictStore()))(*stores)):
            assert {kind for kind in full if isinstance(store, kind)} == able


@pytest.mark.parametrize("stores", [("a",), (MemoryStore(), None), ([MemoryStore()],)])
def test_only_stores_can_be_mirrored(stores: Any) -> None:
    """What is no store is refused at once."""
    with pytest.raises(TypeError, match="wraps stores"):
        MirrorStore(*stores)


def test_a_store_is_not_its_own_copy(tmp_path: Path) -> None:
    """Stores that share data are refused; parts that lie side by side are not."""
    memory, copy = MemoryStore(), MemoryStore()
    part = PrefixStore(memory, "a/")
    for stores in (
        (memory, memory),
        (SlowStore(memory, 0), WrapperStore(memory)),
        (LocalStore(tmp_path), LocalStore(tmp_path)),
        (memory, part),
        (part, memory),
        (copy, memory, part),
        (memory, MirrorStore(copy, memory)),
        (memory, WrapperStore(MirrorStore(copy, part))),
    ):
        with pytest.raises(ValueError, match="other stores than"):
            MirrorStore(*stores)
    store: Any = MirrorStore(part, PrefixStore(memory, "b/"), MirrorStore(copy, MemoryStore()))
    store.compare_and_set("x", b"1", None)
    assert memory == MemoryStore({"a/x": b"1", "b/x": b"1"})
    assert copy.get("x") == b"1"


def test_a_mirror_is_all_of_its_stores(tmp_path: Path) -> None:
    """repr, equality, hash and pickles include the copies; closing closes all."""
    stores = [LocalStore(tmp_path / name) for name in "abc"]
    store = MirrorStore(*stores)
    assert repr(store) == f"MirrorStore({stores[0]!r}, {stores[1]!r}, {stores[2]!r})"
    assert restored(store) == store == MirrorStore(*stores)
    assert hash(restored(store)) == hash(store)
    assert store != MirrorStore(stores[0], stores[2], stores[1])
    assert store != MirrorStore(stores[0])
    assert store.identity == stores[0].identity
    closed: list[str] = []

    class Closing(DictStore):
        def close(self) -> None:
            closed.append(repr(self))

    MirrorStore(Closing(), Closing({"a": b""})).close()
    assert closed == ["Closing(0)", "Closing(1)"]


@pytest.mark.parametrize(("stale", "key"), [("a", "a/b/c"), ("a/b", "a"), ("a/b/c", "a/b")])
def test_what_the_primary_lacks_is_not_in_the_way(stale: str, key: str) -> None:
    """A copy that still has what would be a prefix of the new key, or under it, lets it go."""
    primary, copy = MemoryStore(), MemoryStore({stale: b"old"})
    MirrorStore(primary, copy).set(key, b"new")
    assert copy == primary == MemoryStore({key: b"new"})
