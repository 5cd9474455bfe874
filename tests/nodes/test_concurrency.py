"""Threads and processes that write to the same chunks lose nothing, and nobody waits for ever."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import concurrent_jobs as jobs
import numpy as np
import pytest
from array_layouts import LAYOUTS, CountingStore, HookedStore, PlainStore, eager
from forking import in_child
from index_samples import numbered

from storekit import LocalStore, MemoryStore, ZarrArray, ZarrGroup, open_zarr, pool
from storekit.clock import REAL_CLOCK
from storekit.errors import ConnectionLostError, NodeExistsError
from storekit.nodes import locks
from storekit.stopping import current_stop, pause
from storekit.stores.base import Latency
from storekit.stores.wrapper import Call

# Python 3.12 warns of every fork in a process with threads; that it works here is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

THREADS, PROCESSES = 8, 4


@pytest.fixture(autouse=True)
def locks_are_given_back() -> Iterator[None]:
    """After every test nobody holds a lock on any value."""
    yield
    assert not in_use()


def in_use() -> set[str]:
    """The keys of values whose locks somebody holds."""
    known: list[tuple[str, Any]] = [(name[-1], lock()) for name, lock in locks._locks.items()]
    return {key for key, lock in known if lock is not None and lock.locked()}


def in_threads(job: Callable[..., None], *arguments: tuple[Any, ...]) -> None:
    """Run a job with every tuple of arguments at once, and pass on the first error."""
    start = threading.Barrier(len(arguments))
    errors: list[BaseException] = []

    def body(*args: Any) -> None:
        try:
            start.wait()
            job(*args)
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            errors.append(error)

    threads = [threading.Thread(target=body, args=args) for args in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def in_processes(method: str, job: Callable[..., None], *arguments: tuple[Any, ...]) -> None:
    """
    Run a job with a barrier, where it is to wait for the others, and every tuple of arguments, in a
    process of its own; all must succeed.
    """
    context = multiprocessing.get_context(method)
    start = context.Barrier(len(arguments))
    processes = [context.Process(target=job, args=(start, *args)) for args in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)


def make(store: Any, layout: str = "zstd", shape: Any = (24,), **options: Any) -> ZarrArray:
    """An array of zeros whose chunks are shared by all who count in it."""
    chunks = (5, *shape[1:])
    return ZarrArray.create(
        store, "a", shape=shape, dtype="i8", **{**LAYOUTS[layout](chunks), **options}
    )


# --- nothing is lost ------------------------------------------------------------------------------

STORES: dict[str, Callable[[Path], Any]] = {
    "memory": lambda path: MemoryStore(),
    "plain": lambda path: PlainStore(),
    "local": LocalStore,
}


@pytest.mark.parametrize("layout", ["none", "zstd", "shards", "index first", "nested", "b2nd"])
@pytest.mark.parametrize("kind", STORES)
def test_threads_lose_no_update(kind: str, layout: str, tmp_path: Path, restless: None) -> None:
    """Eight threads, each adding to its own elements of shared chunks, lose no addition."""
    store = STORES[kind](tmp_path)
    shared = make(store, layout)
    rounds = 6 if kind == "local" else 15
    handles = [shared, ZarrArray(store, "a")]
    in_threads(
        jobs.increment,
        *((handles[i % 2], slice(i, None, THREADS), rounds) for i in range(THREADS)),
    )
    assert (shared[...] == rounds).all()


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.parametrize("layout", ["none", "zstd", "shards"])
def test_processes_lose_no_update(method: str, layout: str, tmp_path: Path) -> None:
    """Four processes, each adding to its own elements of shared chunks, lose no addition."""
    array = make(LocalStore(tmp_path), layout)
    work = [(str(tmp_path), slice(i, None, PROCESSES), 40) for i in range(PROCESSES)]
    in_processes(method, jobs.increment_stored, *work)
    assert (array[...] == 40).all()


@pytest.mark.parametrize("kind", STORES)
def test_appends_of_threads_keep_all_rows(kind: str, tmp_path: Path, restless: None) -> None:
    """Rows appended at the same time, through one object and through others, are all there."""
    store = STORES[kind](tmp_path)
    shared = make(store, shape=(0, 3))
    work = [(shared if i % 2 else ZarrArray(store, "a"), i, 5) for i in range(THREADS)]
    in_threads(jobs.append, *work)
    rows = sorted(open_zarr(store, "a")[...].tolist())
    assert rows == [[i, serial, i] for i in range(THREADS) for serial in range(5)]
    shared.refresh()
    assert shared.shape == (THREADS * 5, 3)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_appends_of_processes_keep_all_rows(method: str, tmp_path: Path) -> None:
    """Rows appended by four processes are all there."""
    array = make(LocalStore(tmp_path), shape=(0, 3))
    in_processes(method, jobs.append_stored, *((str(tmp_path), i, 8) for i in range(PROCESSES)))
    array.refresh()
    rows = [[i, serial, i] for i in range(PROCESSES) for serial in range(8)]
    assert sorted(array[...].tolist()) == rows


@pytest.mark.parametrize("kind", STORES)
def test_threads_keep_each_other_s_attributes(kind: str, tmp_path: Path, restless: None) -> None:
    """Attributes that threads set and remove at the same time are those that each has left."""
    store = STORES[kind](tmp_path)
    array = make(store)
    work = [(array if i % 2 else ZarrArray(store, "a"), "abcdefgh"[i], 6) for i in range(THREADS)]
    in_threads(jobs.annotate, *work)
    expected = {f"{name}{serial}": serial for name in "abcdefgh" for serial in (0, 2, 4)}
    assert dict(open_zarr(store, "a").attributes) == expected
    assert array.refresh() is None
    assert dict(array.attributes) == expected


def test_processes_keep_each_other_s_attributes(tmp_path: Path) -> None:
    """Attributes that processes set at the same time are all there."""
    array = make(LocalStore(tmp_path))
    in_processes("fork", jobs.annotate_stored, *((str(tmp_path), name, 10) for name in "abcd"))
    array.refresh()
    assert len(array.attributes) == 4 * 5


def test_one_object_follows_the_edits_of_all_threads(restless: None) -> None:
    """An object through which several threads append has the shape that the store has."""
    array = make(MemoryStore(), shape=(0, 3))
    in_threads(jobs.append, *((array, i, 10) for i in range(THREADS)))
    assert array.shape == open_zarr(array.store, "a").shape == (THREADS * 10, 3)
    assert array[...].shape == array.shape


def test_whole_chunks_are_not_undone_by_parts(restless: None) -> None:
    """A chunk written whole while others write parts of it keeps the elements that are its own."""
    for store in (MemoryStore(), PlainStore()):
        array = make(store)

        def whole(array: ZarrArray, *_: Any) -> None:
            for value in range(1, 40):
                array.set_chunk(value, 0)
                assert (array[1:5] == value).all()

        def part(array: ZarrArray, *_: Any) -> None:
            for value in range(40):
                array[0] = -value

        in_threads(lambda job, array: job(array), (whole, array), (part, array), (part, array))


# --- the ways in which it could go wrong, one by one ----------------------------------------------


class Elsewhere(HookedStore):
    """A store whose locks are not ours, as those of another process are not."""

    @property
    def identity(self) -> Any:
        """Its own."""
        return "elsewhere", id(self)

    def _place(self, key: str) -> Any:
        return self.identity, key


def meddle(array: ZarrArray, times: int, change: Callable[[ZarrArray, int], None]) -> HookedStore:
    """A view of the store in which another process is faster, so many times."""
    left = [times]
    other = ZarrArray(Elsewhere(array.store, lambda call: None), "a")

    def hook(call: Call) -> None:
        if call.op == "compare_and_set" and left[0]:
            left[0] -= 1
            change(other, left[0])

    return HookedStore(array.store, hook)


@pytest.mark.parametrize("layout", ["none", "zstd", "shards"])
def test_a_conflict_is_resolved_by_trying_again(layout: str) -> None:
    """When others change a chunk between our reading and writing it, both changes are there."""
    array = make(MemoryStore(), layout)
    array[1] = 1
    store = meddle(array, 3, lambda other, i: other.__setitem__(2 + i, 5))
    ZarrArray(store, "a")[:2] = 7, 1
    assert array[:6].tolist() == [7, 1, 5, 5, 5, 0]


def test_a_chunk_that_others_erase_or_make_is_seen() -> None:
    """Absence is a version, too: a chunk erased or made in between is not overwritten blindly."""
    array = make(MemoryStore())
    array[:5] = 3
    ZarrArray(meddle(array, 1, lambda other, i: other.set_chunk(0, 0)), "a")[1] = 7
    assert array[:5].tolist() == [0, 7, 0, 0, 0]
    ZarrArray(meddle(array, 1, lambda other, i: other.set_chunk(4, 1)), "a")[6] = 7
    assert array[5:10].tolist() == [4, 7, 4, 4, 4]


def test_a_part_that_becomes_fill_value_minds_others() -> None:
    """A chunk is removed only as long as nobody has written to it meanwhile."""
    array = make(MemoryStore())
    array[0] = 1
    ZarrArray(meddle(array, 1, lambda other, i: other.__setitem__(1, 5)), "a")[0] = 0
    assert array[:2].tolist() == [0, 5]
    assert array.stored_keys() == ["a/c/0"]


def test_an_edit_in_between_is_kept() -> None:
    """A document that others have changed since we read it is read again."""
    array = make(MemoryStore())
    store = meddle(array, 2, lambda other, i: other.attributes.__setitem__(f"x{i}", i))
    mine = ZarrArray(store, "a")
    mine.resize(30)
    assert open_zarr(array.store, "a").attributes == {"x0": 0, "x1": 1}
    assert mine.attributes == {"x0": 0, "x1": 1}
    assert open_zarr(array.store, "a").shape == (30,)


@pytest.mark.parametrize("base", [MemoryStore, PlainStore])
@pytest.mark.parametrize("layout", ["none", "shards", "b2nd"])
def test_an_object_that_is_behind_undoes_nothing(layout: str, base: Any) -> None:
    """
    What others have appended stays, even in a chunk that covers all an object knows of; and where
    such a chunk cannot be read, what is written replaces it.
    """
    store = base()
    behind = make(store, layout, shape=(3,))
    array = ZarrArray(store, "a")
    array.append([7])
    behind[...] = 1
    assert array[...].tolist() == [1, 1, 1, 7]
    behind[...] = 0
    assert array[...].tolist() == [0, 0, 0, 7]
    behind.set_chunk(0, 0, check_empty=False)
    assert array[...].tolist() == [0, 0, 0, 7]
    array[3] = 0
    assert array.stored_keys() == []
    behind[...] = 2
    (key,) = array.stored_keys()
    store.set(key, b"damaged")
    behind[...] = 3
    assert array[...].tolist() == [3, 3, 3, 0]


def test_a_new_chunk_at_the_edge_is_one_request() -> None:
    """Where nothing is stored yet, the chunks at the edge cost no more than the others."""
    store = CountingStore(MemoryStore())
    array = make(store, shape=(7,))
    store.seen  # noqa: B018
    array[...] = 1
    assert sorted(store.seen) == [("compare_and_set", "a/c/1"), ("set", "a/c/0")]


def test_without_compare_and_set_every_write_is_under_the_lock() -> None:
    """Where only a lock protects a value, whole chunks and parts, sets and erasures hold it."""
    written: list[tuple[str, bool]] = []

    def hook(call: Call) -> None:
        if call.op in ("set", "erase"):
            held = call.keys[0] in in_use()
            written.append((call.op, held))

    store = HookedStore(PlainStore(), hook)
    array = make(store)
    written.clear()
    array[...] = 1
    array[3] = 2
    array[:10] = 0
    array.attributes["x"] = 1
    assert {op for op, _ in written} == {"set", "erase"}
    assert all(held for _, held in written)


def test_only_one_of_two_creations_succeeds(restless: None) -> None:
    """Of threads that create a node at one path at once, one does, and the others are told."""
    store = MemoryStore()
    made: list[ZarrGroup] = []
    refused: list[ValueError] = []

    def create(i: int) -> None:
        try:
            made.append(ZarrGroup.create(store, "deep/er/g", attributes={"by": i}))
        except ValueError as error:
            refused.append(error)

    in_threads(create, *((i,) for i in range(THREADS)))
    assert (len(made), len(refused)) == (1, THREADS - 1)
    assert open_zarr(store, "deep/er/g").attributes == made[0].attributes


@pytest.mark.parametrize("there", ["group", "array"])
def test_a_parent_that_others_make_meanwhile(there: str) -> None:
    """A missing parent that somebody else is faster to make is taken, unless it is an array."""
    inner, left = MemoryStore(), [True]

    def hook(call: Call) -> None:
        if call.op == "compare_and_set" and call.keys == ("a/zarr.json",) and left.pop():
            if there == "group":
                ZarrGroup.create(inner, "a", attributes={"faster": True})
            else:
                ZarrArray.create(inner, "a", data=[1], codecs="none")

    store = HookedStore(inner, hook)
    if there == "group":
        assert ZarrArray.create(store, "a/b", data=[1], codecs="none")[0] == 1
        assert open_zarr(inner, "a").attributes == {"faster": True}
    else:
        with pytest.raises(NodeExistsError):
            ZarrArray.create(store, "a/b", data=[1], codecs="none")
        assert open_zarr(inner, "a")[0] == 1


# --- futures and threads --------------------------------------------------------------------------


class FarStore(HookedStore):
    """A store that claims to be far away, with few requests at once."""

    def __init__(self, store: Any, hook: Callable[[Call], None] = lambda call: None) -> None:
        super().__init__(store, hook)
        self.latency = Latency.NETWORK

    @property
    def concurrency(self) -> int:
        """Three."""
        return 3


@pytest.mark.timeout(60)
def test_more_futures_than_threads_each_with_many_chunks() -> None:
    """Futures whose reads themselves want threads all come to an end, however many there are."""
    data = numbered((40, 3))
    array = make(MemoryStore(), shape=(40, 3))
    array[...] = data
    far = ZarrArray(FarStore(array.store), "a")
    reads = [far.read_future(np.s_[i:]) for i in range(40)]
    writes = [far.write_future(i, np.s_[i]) for i in range(40)]
    wait([*reads, *writes])
    assert [future.result().shape for future in reads] == [(40 - i, 3) for i in range(40)]
    assert far[:, 0].tolist() == list(range(40))


@pytest.mark.timeout(60)
def test_a_store_may_itself_be_made_of_arrays() -> None:
    """Inside the pool's threads, reads of many chunks by many threads do not wait for the pool."""
    inner = make(MemoryStore(), shape=(30,))
    inner[...] = 5
    deep = ZarrArray(FarStore(inner.store), "a")

    def read_others(call: Call) -> None:
        if call.op == "get" and "/c/" in call.keys[0]:
            assert (deep[...] == 5).all()

    outer = ZarrArray(FarStore(inner.store, read_others), "a")
    futures = [outer.read_future() for _ in range(12)]
    assert all((future.result() == 5).all() for future in futures)


def test_the_number_of_threads_is_bounded() -> None:
    """Plans of all lengths share the threads that a store's concurrency asks for."""
    array = make(MemoryStore(), shape=(60,))
    array[...] = numbered((60,))
    far = ZarrArray(FarStore(array.store), "a")
    pools = len(REAL_CLOCK.executors)
    for stop in range(1, 60):
        assert far[:stop].shape == (stop,)
    far.read_future().result()
    assert len(REAL_CLOCK.executors) <= pools + 1


def test_small_work_is_done_by_the_caller() -> None:
    """A few small chunks in memory or on a disk are read and written in the calling thread."""
    seen: set[int] = set()
    array = make(HookedStore(MemoryStore(), lambda call: seen.add(threading.get_ident())))
    array[...] = 1
    assert array[3:].sum() == 21
    assert seen == {threading.get_ident()}


def test_much_work_is_shared() -> None:
    """From a far store several chunks are asked for at once."""
    together = threading.Barrier(3, timeout=20)

    def meet(call: Call) -> None:
        if call.op == "get" and call.keys[0] in ("a/c/0", "a/c/1", "a/c/2"):
            together.wait()

    array = make(MemoryStore())
    array[...] = 1
    assert ZarrArray(FarStore(array.store, meet), "a")[:15].sum() == 15


# --- errors stop the work -------------------------------------------------------------------------


class Stop(BaseException):
    """As KeyboardInterrupt, but nobody else raises it."""


@pytest.mark.parametrize("error", [ConnectionLostError("lost"), KeyboardInterrupt(), Stop()])
@pytest.mark.parametrize("far", [False, True])
def test_an_error_in_one_chunk_ends_the_plan(error: BaseException, far: bool) -> None:
    """The first error of a chunk, of whatever kind, reaches the caller, and no more is begun."""
    array = make(MemoryStore(), shape=(500,))
    array[...] = 1
    seen: list[str] = []

    def fail(call: Call) -> None:
        seen.append(call.keys[0])
        if "a/c/3" in call.keys:
            raise error
        if current_stop() is not None and int(call.keys[0].rpartition("/")[2]) > 3:
            pause(REAL_CLOCK, 60)  # others end with the plan, however late its error is noticed

    store = (FarStore if far else HookedStore)(array.store, fail)
    broken = ZarrArray(store, "a", array.metadata)
    for action in (
        lambda: broken[...],
        lambda: broken.read(out=np.zeros(500, "i8")),
        lambda: broken.__setitem__(slice(None), 5),
        lambda: broken.__setitem__(slice(None, None, 2), 5),
    ):
        seen.clear()
        with pytest.raises(type(error)) as caught:
            action()
        assert caught.value is error
        assert len(seen) <= 4 + 2 * 3  # at most what each of the others had begun
    assert broken.get_chunk(0)[0] == 5
    with pytest.raises(type(error)) as caught:
        broken.read_future().result()
    assert caught.value is error


def test_an_error_while_planning_reaches_the_caller() -> None:
    """What fails in a helper or in the plan itself is raised by `run`."""
    done: list[int] = []

    def items() -> Iterator[int]:
        yield from range(10)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        pool.run(items(), done.extend, clock=MemoryStore().clock, workers=3)
    assert sorted(done) == list(range(10))


def test_a_failed_write_releases_its_lock() -> None:
    """After an error in the middle of a read-modify-write the next one works."""
    fail = [True]

    def hook(call: Call) -> None:
        if call.op in ("set", "compare_and_set") and "/c/" in call.keys[0] and fail[0]:
            raise ConnectionLostError("lost")

    for base in (MemoryStore(), PlainStore()):
        array = make(HookedStore(base, hook))
        fail[0] = True
        with pytest.raises(ConnectionLostError):
            array[1] = 5
        assert not in_use()
        fail[0] = False
        array[1] = 5
        assert array[:3].tolist() == [0, 5, 0]


# --- fork and pickle ------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["zstd", "shards", "b2nd"])
def test_a_forked_child_reads_and_writes(layout: str, tmp_path: Path) -> None:
    """After use by threads, an array in a child process works: reads, writes and futures."""
    with eager():
        array = make(LocalStore(tmp_path), layout, shape=(200,))
        array[...] = 1
        wait([array.read_future() for _ in range(8)])

        def child() -> None:
            assert (array[...] == 1).all()
            array[1::2] = 2
            assert array.write_future(3, 0).result() is None
            assert array.read_future().result()[:3].tolist() == [3, 2, 1]
            array.append([9])

        assert in_child(child) == 0
        array.refresh()
        assert array.shape == (201,)
        assert array[:3].tolist() == [3, 2, 1]


def test_a_fork_in_memory_makes_two_stores() -> None:
    """A child has a copy of what is in memory, and works on it by itself."""
    array = make(MemoryStore())
    array[...] = 1

    def child() -> None:
        array[2:7] = 5
        assert array[...].sum() == 24 + 20

    assert in_child(child) == 0
    assert (array[...] == 1).all()


@pytest.mark.parametrize("base", [MemoryStore, PlainStore])
def test_a_fork_while_others_hold_locks(base: Any) -> None:
    """What the parent's threads hold at the moment of the fork does not stop the child."""
    parent = os.getpid()
    inside, go_on = threading.Semaphore(0), threading.Event()

    def hook(call: Call) -> None:
        if os.getpid() == parent and "/c/" in (*call.keys, "")[0] and not go_on.is_set():
            inside.release()
            go_on.wait(60)

    array = make(FarStore(base(), hook), shape=(40,))
    busy: list[Future[Any]] = [array.write_future(1, np.s_[i : i + 2]) for i in (1, 6, 11, 16, 21)]
    for _ in range(3):  # as many as the store takes at once
        inside.acquire()

    def child() -> None:
        array[1] = 7
        array[6] = 8
        futures = [array.read_future() for _ in range(6)]
        assert all(f.result()[[1, 6]].tolist() == [7, 8] for f in futures)

    try:
        assert in_child(child) == 0
    finally:
        go_on.set()
        wait(busy)
    assert array[...].sum() == 10


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_arrays_and_groups_go_to_other_processes(method: str, tmp_path: Path) -> None:
    """Arrays and groups are arguments of processes, after use and with any store."""
    for store in (LocalStore(tmp_path), MemoryStore(), CountingStore(MemoryStore())):
        array = make(store)
        array[...] = 2
        array.read_future().result()
        group = open_zarr(store)
        with multiprocessing.get_context(method).Pool(1) as workers:
            assert workers.apply(jobs.total, (array,)) == 48
            assert workers.apply(jobs.names, (group,)) == ["a"]
        if method == "spawn" and isinstance(store, MemoryStore):
            break


def test_what_is_pickled_stands_for_the_same_place(tmp_path: Path) -> None:
    """An array in a directory is, after a pickle, the same array; one in memory is a copy."""
    local = make(LocalStore(tmp_path))
    again = pickle.loads(pickle.dumps(local))
    again[0] = 5
    assert local == again
    assert local[0] == 5
    memory = make(MemoryStore())
    copy = pickle.loads(pickle.dumps(memory))
    copy[0] = 5
    assert memory != copy
    assert memory[0] == 0


def test_stores_of_one_place_share_their_locks(tmp_path: Path) -> None:
    """Locks go by the place of the data, not by the object that is used for it."""
    one = LocalStore(tmp_path)
    with locks.value_lock(one, "k"), locks.value_lock(LocalStore(tmp_path), "other"):
        assert in_use() == {"k", "other"}
    other = LocalStore(str(tmp_path) + "/.")
    with locks.value_lock(one, "k"):
        lock: Any = locks.value_lock(other, "k")
        assert lock.locked()
    assert not lock.locked()
