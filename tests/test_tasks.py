"""Tasks that end early, what they look at, and who waits for them."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

import pytest

from storekit import tasks
from storekit.clock import REAL_CLOCK, RealClock
from storekit.errors import SimulationStalledError
from storekit.pool import run, share, submit
from storekit.simulation import VirtualClock
from storekit.stopping import Stop, check_stopped, on_stop, pause, unless_stopped


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that the test is a member of."""
    return VirtualClock(patience=5)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    """After each test no task is remembered."""
    yield
    for executor in list(REAL_CLOCK.executors.values()):
        executor.submit(int).result()
    assert not [task for task in tasks._alive if not task.done()]


# --- what workers look at -------------------------------------------------------------------------


def test_nobody_stops_who_works_for_nobody() -> None:
    """Outside of a task and a plan there is nothing to stop, and items are as they are."""
    items = [1, 2]
    check_stopped()
    assert unless_stopped(items) is items
    with on_stop(pytest.fail):
        pass


def test_a_stop_reaches_the_parts_of_the_work() -> None:
    """A stop ends what is below it, and nothing above."""
    above = Stop()
    below = Stop(above)
    below.set()
    above.check()
    with pytest.raises(CancelledError):
        below.check()
    above = Stop()
    below = Stop(above)
    above.set()
    with pytest.raises(CancelledError):
        below.run(check_stopped)


def test_calls_are_made_while_they_are_of_use() -> None:
    """What is to be called is called by `set` of any stop above, not before, and not after."""
    above = Stop()
    below, calls = Stop(above), []

    def work() -> None:
        with on_stop(lambda: calls.append(1)):
            above.forbid()
            assert not calls
            above.set()
        assert calls == [1]

    below.run(work)
    above.set()
    below.set()
    assert calls == [1]
    with pytest.raises(CancelledError):
        below.run(lambda: on_stop(pytest.fail).__enter__())
    assert not above._calls
    assert not below._calls


def test_items_end_with_the_work() -> None:
    """An iteration goes on until the stop is set; then nothing more is drawn."""
    drawn: list[int] = []

    def work() -> None:
        for item in unless_stopped(range(10)):
            drawn.append(item)
            if item == 3:
                stop.set()

    stop = Stop()
    with pytest.raises(CancelledError):
        stop.run(work)
    assert drawn == [0, 1, 2, 3]


def test_a_pause_takes_its_time(clock: VirtualClock) -> None:
    """If nobody ends it, it is as long as it was to be, within a task and without."""
    pause(clock, 3)
    assert clock.now() == 3
    Stop().run(lambda: pause(clock, 4))
    assert clock.now() == 7


# --- plans ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("parts", [1, 5])
def test_a_cancelled_task_ends_its_plans(clock: VirtualClock, workers: int, parts: int) -> None:
    """Plans within plans, and parts of an item, are not gone on with."""
    begun: list[int] = []

    def nap(items: Iterable[int]) -> None:
        for item in items:
            begun.append(item)
            clock.sleep(1)

    def work(items: Iterable[int]) -> None:
        for _ in items:
            share(range(parts), nap)

    def task() -> None:
        run(range(100), work, clock=clock, workers=workers, crew=3)

    future = submit(clock, 3, task)
    clock.sleep(1.5)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result()
    assert clock.now() == 2
    so_far = len(begun)
    clock.sleep(100)
    assert len(begun) == so_far <= 6


# --- futures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_begun", [True, False], ids=["begun", "queued"])
def test_an_interrupt_of_the_submission_cancels(has_begun: bool) -> None:
    """Ctrl-C when the executor has the task already, which nobody then will have the future of."""
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    outcomes: list[object] = []

    class Interrupted(ThreadPoolExecutor):
        def submit(self, *args: Any) -> Any:
            super().submit(*args)
            assert not has_begun or begun.wait(60)
            raise KeyboardInterrupt

    class Clock(RealClock):
        def executor(self, workers: int) -> Any:
            executor = Interrupted(workers)
            if not has_begun:
                ThreadPoolExecutor.submit(executor, go_on.wait, 60)
            ThreadPoolExecutor.submit(executor, int)
            return executor

    def work() -> None:
        begun.set()
        try:
            pause(REAL_CLOCK, 60)
        except CancelledError as error:
            outcomes.append(error)
        finally:
            ended.set()

    clock = Clock()
    with pytest.raises(KeyboardInterrupt):
        submit(clock, 1, work)
    go_on.set()
    (executor,) = clock.executors.values()
    executor.shutdown()
    assert ended.is_set() == has_begun == bool(outcomes)


ENDS = """
import threading
from storekit.clock import REAL_CLOCK
from storekit.pool import submit

start = threading.Thread.start

def interrupted(thread):
    threading.Thread.start = start
    start(thread)
    raise KeyboardInterrupt

threading.Thread.start = interrupted
try:
    submit(REAL_CLOCK, 2, int)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_program_ends_that_was_interrupted_at_a_first_thread() -> None:
    """Python's executors do not know such a thread, which waits for work that does not come."""
    program = subprocess.run(
        [sys.executable, "-c", ENDS], timeout=60, check=True, capture_output=True, text=True
    )
    assert program.stdout == "interrupted\n"


@pytest.mark.parametrize("ask", ["result", "exception"])
def test_an_interrupt_of_the_wait_cancels(ask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while waiting for a future ends its task."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    go_on = threading.Event()
    future = submit(REAL_CLOCK, 2, go_on.wait, 60)
    monkeypatch.setattr(Future, ask, interrupt)
    with pytest.raises(KeyboardInterrupt):
        getattr(future, ask)()
    monkeypatch.undo()
    go_on.set()
    with pytest.raises(CancelledError):
        future.result(60)


def test_neither_a_timeout_nor_an_error_cancels() -> None:
    """Who waited in vain may wait again; what a task raised itself, it raised."""

    def work() -> None:
        go_on.wait(60)
        raise KeyboardInterrupt

    go_on = threading.Event()
    future = submit(REAL_CLOCK, 2, work)
    with pytest.raises(TimeoutError):
        future.result(0)
    go_on.set()
    with pytest.raises(KeyboardInterrupt):
        future.result(60)
    assert not future.cancelled()
    assert isinstance(future.exception(), KeyboardInterrupt)


@pytest.mark.parametrize("make", [lambda: REAL_CLOCK, lambda: VirtualClock(patience=5)])
def test_a_task_keeps_nothing_alive(make: Callable[[], Any]) -> None:
    """When the future is dropped its arguments and its error are, without a collection."""

    class Big:
        pass

    def fail(big: Big) -> None:
        raise ValueError

    clock = make()
    for task in (fail, lambda big: big):
        big = Big()
        reference = weakref.ref(big)
        gc.collect()
        gc.disable()
        try:
            future = submit(clock, 1, task, big)
            clock.wait([future])
            submit(clock, 1, int).result()  # the thread has forgotten it
            del big, future
            assert reference() is None
        finally:
            gc.enable()


def test_without_threads_no_task_is_left_behind() -> None:
    """An executor that takes no task says so to who submits it."""

    class Closed(RealClock):
        def executor(self, workers: int) -> Any:
            executor = ThreadPoolExecutor(workers)
            executor.shutdown()
            return executor

    before = set(tasks._alive)
    with pytest.raises(RuntimeError, match="shutdown"):
        submit(Closed(), 1, int)
    assert set(tasks._alive) == before


def test_a_simulation_that_fails_ends_its_tasks() -> None:
    """Also those that are stuck, or have not begun, and for whoever waits outside."""
    clock = VirtualClock(patience=0.2)
    go_on = threading.Event()
    stuck, queued = submit(clock, 1, go_on.wait, 60), submit(clock, 1, int)
    try:
        with pytest.raises(SimulationStalledError):
            clock.sleep(1)
        with pytest.raises(SimulationStalledError):
            stuck.result(60)
        with pytest.raises(SimulationStalledError):
            queued.result(60)
        assert not stuck.cancel()
    finally:
        go_on.set()
