"""Who runs what: order, threads, errors, nesting, forks."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from forking import in_child

from storekit import pool
from storekit.clock import REAL_CLOCK, RealClock
from storekit.pool import available_cores, run, submit
from storekit.simulation import VirtualClock


def test_there_is_at_least_one_core() -> None:
    """The number of cores is that of the affinity mask, where there is one."""
    assert available_cores() >= 1
    if hasattr(os, "sched_getaffinity"):
        assert available_cores() == len(os.sched_getaffinity(0))


def test_a_task_is_submitted_to_another_thread() -> None:
    """`submit` gives a future of what the task returns, with its arguments, elsewhere."""
    future = submit(REAL_CLOCK, 2, lambda a, b: (a + b, threading.get_ident()), 1, b=2)
    assert future.result()[0] == 3
    assert future.result()[1] != threading.get_ident()


def test_the_error_of_a_task_is_in_its_future() -> None:
    """What a task raises is raised by `result`."""
    with pytest.raises(ZeroDivisionError):
        submit(REAL_CLOCK, 2, lambda: 1 // 0).result()


@pytest.mark.parametrize("workers", [1, 0, -3])
def test_one_worker_runs_inline(workers: int) -> None:
    """With one worker everything runs in the caller's thread, in order, in one call."""
    calls: list[tuple[int, list[int]]] = []
    run(
        iter(range(5)),
        lambda items: calls.append((threading.get_ident(), list(items))),
        clock=REAL_CLOCK,
        workers=workers,
    )
    assert calls == [(threading.get_ident(), [0, 1, 2, 3, 4])]


@pytest.mark.parametrize("workers", [2, 4, 16])
@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("size", [0, 1, 7, 200])
def test_everything_is_done_once(workers: int, batch: int, size: int) -> None:
    """Each item is handed out once, in batches of successive ones, and all are done in the end."""
    batches: list[list[int]] = []

    def work(items: Iterable[int]) -> None:
        batches.append(list(items))

    run(iter(range(size)), work, clock=REAL_CLOCK, workers=workers, batch=batch)
    assert sorted(item for each in batches for item in each) == list(range(size))
    assert all(len(each) <= batch for each in batches)
    assert all(each == list(range(each[0], each[0] + len(each))) for each in batches)


def test_items_are_begun_in_order() -> None:
    """The plan is drawn from in its order, by whatever thread is free."""
    drawn: list[int] = []
    seen: dict[int, list[int]] = {}

    def plan() -> Iterator[int]:
        for item in range(300):
            drawn.append(item)
            yield item

    def work(items: Iterable[int]) -> None:
        seen.setdefault(threading.get_ident(), []).extend(items)

    run(plan(), work, clock=REAL_CLOCK, workers=4)
    assert drawn == list(range(300))
    assert all(own == sorted(own) for own in seen.values())


def test_several_threads_work_at_once() -> None:
    """As many workers as were asked for, the caller among them, are at work together."""
    together = threading.Barrier(3)
    threads: set[int] = set()

    def work(items: Iterable[int]) -> None:
        together.wait(timeout=30)
        threads.add(threading.get_ident())

    run(range(3), work, clock=REAL_CLOCK, workers=3)
    assert len(threads) == 3
    assert threading.get_ident() in threads


def test_the_plan_is_never_held_as_a_whole() -> None:
    """Items are drawn only when a worker is ready for them."""
    done = 0
    ahead = 0

    def plan() -> Iterator[int]:
        nonlocal ahead
        for item in range(200):
            ahead = max(ahead, item - done)
            yield item

    def work(items: Iterable[int]) -> None:
        nonlocal done
        with lock:
            done += len(list(items))

    lock = threading.Lock()
    run(plan(), work, clock=REAL_CLOCK, workers=4)
    assert ahead <= 4


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_an_error_stops_the_plan(workers: int) -> None:
    """The error is raised, no further batch is begun, and what was begun has ended."""
    running, begun = 0, 0
    lock = threading.Lock()

    def work(items: Iterable[int]) -> None:
        nonlocal running, begun
        for item in items:
            with lock:
                running += 1
                begun += 1
            try:
                if item == 20:
                    raise ValueError("item 20")
            finally:
                with lock:
                    running -= 1

    with pytest.raises(ValueError, match="item 20"):
        run(range(100_000), work, clock=REAL_CLOCK, workers=workers)
    assert running == 0
    assert begun < 50_000


def test_only_the_first_error_is_raised() -> None:
    """Of several errors at once one is raised, and the others are dropped."""
    together = threading.Barrier(3)

    def work(items: Iterable[int]) -> None:
        together.wait(timeout=30)
        raise ValueError(*items)

    with pytest.raises(ValueError, match=r"[012]"):
        run(range(3), work, clock=REAL_CLOCK, workers=3)


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_of_the_plan_itself_is_raised(workers: int) -> None:
    """What the iterator of items raises, `run` raises."""

    def plan() -> Iterator[int]:
        yield from range(5)
        raise LookupError("no more")

    def work(items: Iterable[int]) -> None:
        list(items)

    with pytest.raises(LookupError, match="no more"):
        run(plan(), work, clock=REAL_CLOCK, workers=workers)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_is_raised(workers: int, kind: type[BaseException]) -> None:
    """Ctrl-C and its like, wherever they strike, end the plan and reach the caller."""

    def work(items: Iterable[int]) -> None:
        if 7 in items:
            raise kind

    with pytest.raises(kind):
        run(([item] for item in range(100)), lambda batch: [work(i) for i in batch],
            clock=REAL_CLOCK, workers=workers)  # fmt: skip


class Stub(RealClock):
    """A clock whose executor does nothing by itself, and whose futures are interrupted."""

    def __init__(self) -> None:
        self.tasks: list[Any] = []

    def executor(self, workers: int) -> Executor:
        """This object, in the part of an executor."""
        return self  # type: ignore[return-value]

    def submit(self, task: Any) -> Future[None]:
        """Keep the task for later."""
        self.tasks.append(task)
        return self  # type: ignore[return-value]

    def cancel(self) -> bool:
        """Too late: the task has begun."""
        return False

    def result(self) -> None:
        """The moment in which somebody hits Ctrl-C."""
        raise KeyboardInterrupt

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def test_an_interrupt_while_waiting_stops_the_helpers() -> None:
    """Ctrl-C during the wait for helpers keeps them from beginning another batch."""
    clock = Stub()
    plan = iter(range(10))
    done: list[int] = []

    def work(items: Iterable[int]) -> None:
        done.extend(items)
        if len(done) == 10:
            more.append(clock.tasks[0])

    more: list[Any] = []
    with pytest.raises(KeyboardInterrupt):
        run(plan, work, clock=clock, workers=2)
    plan_of_helper = clock.tasks[0].__self__
    plan_of_helper._items = iter(range(5))
    clock.tasks[0]()
    assert len(done) == 10


class Exhausted(Stub):
    """A clock whose executor cannot start another thread."""

    def submit(self, task: Any) -> Future[None]:
        """What `ThreadPoolExecutor` says then."""
        raise RuntimeError("can't start new thread")


def test_without_new_threads_the_caller_does_it_alone() -> None:
    """When no thread can be started, as when Python is about to end, the plan is still done."""
    done: list[int] = []
    run(range(10), lambda items: done.extend(items), clock=Exhausted(), workers=4)
    assert done == list(range(10))


def test_runs_may_be_nested_in_a_full_pool() -> None:
    """Tasks that run plans of their own, deeper than there are threads, all come to an end."""
    done: list[tuple[int, ...]] = []

    def level(depth: int, path: tuple[int, ...]) -> None:
        if depth == 0:
            done.append(path)
            return

        def work(items: Iterable[int]) -> None:
            for item in items:
                level(depth - 1, (*path, item))

        run(range(4), work, clock=REAL_CLOCK, workers=2)

    level(4, ())
    assert len(set(done)) == len(done) == 4**4


def test_a_submitted_task_may_run_a_plan() -> None:
    """Every thread of a pool may be busy with tasks that hand out work to the same pool."""

    def task() -> int:
        done: list[int] = []
        run(range(20), lambda items: done.extend(items), clock=REAL_CLOCK, workers=2)
        return len(done)

    futures = [submit(REAL_CLOCK, 2, task) for _ in range(8)]
    assert [future.result() for future in futures] == [20] * 8


def test_an_error_leaves_nothing_behind() -> None:
    """After an error nothing keeps the plan, its items or the error alive."""

    class Item:
        pass

    item = Item()
    gone = weakref.ref(item)

    def work(items: Iterable[Any]) -> None:
        raise ValueError

    gc.collect()
    gc.disable()
    try:
        with suppress(ValueError):
            run([item] * 3, work, clock=Exhausted(), workers=2)
        del item
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """After a fork the pool, used before, works in the child and goes on in the parent."""
    done: list[int] = []

    def use() -> None:
        done.clear()
        run(range(50), lambda items: done.extend(items), clock=REAL_CLOCK, workers=4)
        assert sorted(done) == list(range(50))
        assert submit(REAL_CLOCK, 4, lambda: 5).result(timeout=10) == 5

    use()
    assert in_child(use) == 0
    use()


def test_executors_are_made_once() -> None:
    """A clock has one executor for each number of workers."""
    assert pool._executor(REAL_CLOCK, 3) is pool._executor(REAL_CLOCK, 3)
    assert pool._executor(REAL_CLOCK, 3) is not pool._executor(RealClock(), 3)
    assert pool._executor(REAL_CLOCK, 3) is not pool._executor(REAL_CLOCK, 4)


def test_an_interrupt_is_raised_whatever_else_fails() -> None:
    """Ctrl-C in the caller's work is what `run` raises, though its helpers fail, too."""

    class Failing(RealClock):
        def executor(self, workers: int) -> Any:
            failed = pool.failed(RuntimeError("no thread goes on"))
            return SimpleNamespace(submit=lambda *_: failed)

    def work(items: Iterable[int]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(range(3), work, clock=Failing(), workers=2)


def test_quick_work_calls_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each batch ends before the next helper comes, there is no more than one for a core."""
    called: list[Future[None]] = []

    def submit(_: object) -> Future[None]:
        called.append(Future())
        return called[-1]

    monkeypatch.setattr(pool, "_executor", lambda *_: SimpleNamespace(submit=submit))
    run(range(1000), list, clock=VirtualClock(), workers=256)
    assert len(called) == available_cores()


@pytest.mark.parametrize("quick", [(), (0,), range(5), range(0, 200, 7)])
def test_slow_work_calls_all_threads(quick: Collection[int]) -> None:
    """Work that mostly waits is done by as many as may, even if some of it is quick."""
    clock = VirtualClock()

    def work(items: Iterable[int]) -> None:
        for item in items:
            if item not in quick:
                clock.sleep(1)

    run(range(200), work, clock=clock, workers=100)
    assert clock.now() <= 4
