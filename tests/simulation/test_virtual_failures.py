"""A simulation that cannot go on says so, where, and to everybody: nobody hangs."""

from __future__ import annotations

import concurrent.futures
import gc
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from forking import in_child

from storekit.errors import SimulationError, SimulationStalledError
from storekit.semaphore import Semaphore
from storekit.simulation import VirtualClock

HERE = Path(__file__).read_text(encoding="utf-8").splitlines()


def line(mark: str) -> str:
    """File and number of the only line of this file that ends in a mark."""
    (number,) = [number for number, text in enumerate(HERE, 1) if text.endswith(f"# {mark}")]
    return f"{__file__}:{number} "


@pytest.fixture
def stuck() -> Iterator[queue.SimpleQueue[Any]]:
    """A queue that somebody waits for in vain, until the test ends."""
    waited_for: queue.SimpleQueue[Any] = queue.SimpleQueue()
    yield waited_for
    for _ in range(10):
        waited_for.put(None)


class TestStalls:
    def test_a_wait_outside_of_the_clock_is_named(self, stuck: queue.SimpleQueue[Any]) -> None:
        """After the patience the message says which line holds the simulation, and what helps."""
        clock = VirtualClock(patience=0.05)

        def work() -> None:
            stuck.get()  # here

        future = clock.executor(1).submit(work)
        with pytest.raises(SimulationStalledError) as caught:
            future.result()
        assert line("here") in str(caught.value)
        assert "in work (stuck.get()" in str(caught.value)
        assert "clock.released()" in str(caught.value)

    def test_a_lock_of_threads_that_is_held_while_time_passes_is_named(self) -> None:
        """Who waits for a `threading.Lock` whose owner sleeps stops it all, and is named."""
        clock, lock = VirtualClock(patience=0.05), threading.Lock()

        def work() -> None:
            with lock:  # the lock
                clock.sleep(1)

        executor = clock.executor(2)
        first, second = executor.submit(work), executor.submit(work)
        with pytest.raises(SimulationStalledError, match=re.escape(line("the lock"))):
            clock.gather([first, second])
        assert isinstance(first.exception(), SimulationStalledError)

    def test_the_maker_is_named_too(self, stuck: queue.SimpleQueue[Any]) -> None:
        """A test that waits by `concurrent.futures` itself is told, by the future."""
        clock = VirtualClock(patience=0.05)
        futures = [clock.executor(1).submit(clock.sleep, 1)]
        clock.sleep(0.5)
        concurrent.futures.wait(futures)  # the foreign wait
        with pytest.raises(SimulationStalledError, match=re.escape(line("the foreign wait"))):
            futures[0].result()

    def test_who_waits_outside_is_told(self, stuck: queue.SimpleQueue[Any]) -> None:
        """Futures of a stuck worker, begun or not, fail for those who wait in real time, too."""
        clock = VirtualClock(patience=0.05)
        executor = clock.executor(1)
        futures = [executor.submit(stuck.get), executor.submit(clock.sleep, 1)]
        with suppress(SimulationStalledError), clock.released():
            ended = concurrent.futures.wait(futures, timeout=30).done
            executor.shutdown()
        assert ended == set(futures)
        assert [type(future.exception()) for future in futures] == [SimulationStalledError] * 2
        stuck.put(None)  # the worker goes on, and finds that its future is done

    def test_shutdown_is_told(self, stuck: queue.SimpleQueue[Any]) -> None:
        """Who waits in real time for the end of an executor that is stuck is told."""
        clock = VirtualClock(patience=0.05)
        executor = clock.executor(1)
        executor.submit(lambda: stuck.get())
        told: list[str] = []
        with suppress(SimulationStalledError), clock.released():
            try:
                executor.shutdown()
            except SimulationStalledError as error:
                told.append(str(error))
        assert "stuck.get" in told[0]

    def test_a_thread_that_has_died_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The maker of a clock may end and others wait: that is found however patient the clock."""
        monkeypatch.setattr("storekit.simulation.baton._CHECK", 0.05)
        made: list[tuple[VirtualClock, Any]] = []

        def make() -> None:
            clock = VirtualClock(patience=None)
            made.append((clock, clock.executor(1).submit(clock.sleep, 1)))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        ((_, future),) = made
        assert "ended without leaving" in str(future.exception(30))

    def test_who_computes_alone_may_take_long(self) -> None:
        """Nobody waits for the baton: then it may be held for longer than the patience."""
        clock = VirtualClock(patience=0.01)
        clock.executor(1).submit(clock.sleep, 1).result()
        assert not threading.Event().wait(0.05)
        clock.sleep(1)
        assert clock.now() == 2

    def test_who_uses_the_clock_is_not_stuck(self) -> None:
        """Turns that are taken count as progress, however long they last all together."""
        clock = VirtualClock(patience=0.05)
        ended = threading.Event()
        timer = threading.Timer(0.15, ended.set)
        timer.start()

        def work() -> None:
            while not ended.is_set():
                clock.sleep(1)

        assert clock.gather([clock.executor(1).submit(work)]) == [None]
        timer.join()

    def test_endless_patience_has_no_end(self) -> None:
        """Without patience a member may wait outside of the clock for as long as it likes."""
        clock = VirtualClock(patience=None)
        assert clock._baton._patience is None
        future = clock.executor(1).submit(threading.Event().wait, 0.05)
        assert future.result() is False


class TestDeadlocks:
    def test_all_who_wait_for_each_other_are_named_at_once(self) -> None:
        """Two locks taken crosswise are found without any patience, with the lines of all."""
        clock = VirtualClock(patience=None)
        one, two = clock.lock(), clock.lock()

        def work(first: Any, second: Any) -> None:
            with first:
                clock.sleep(1)
                with second:  # crosswise
                    pass

        executor = clock.executor(2)
        futures = [executor.submit(work, one, two), executor.submit(work, two, one)]
        with pytest.raises(SimulationStalledError) as caught:
            clock.gather(futures)  # the maker
        assert str(caught.value).count(line("crosswise")) == 2
        assert line("the maker") in str(caught.value)
        assert all(isinstance(f.exception(30), SimulationStalledError) for f in futures)

    def test_waiting_for_oneself_is_one(self) -> None:
        """So is an event that nobody will set, and a lock that the caller has."""
        for wait in (lambda clock: clock.event().wait(), lambda clock: lock_twice(clock.lock())):
            with pytest.raises(SimulationStalledError, match="every thread waits for another"):
                wait(VirtualClock(patience=None))

    def test_a_worker_cannot_wait_for_its_own_executor(self) -> None:
        """A task that waits for its executor to end, or for a task behind it, is told."""
        clock = VirtualClock(patience=None)
        executor = clock.executor(1)
        future = executor.submit(executor.shutdown)
        with pytest.raises(SimulationStalledError):
            future.result()
        clock = VirtualClock(patience=None)
        executor = clock.executor(1)
        with pytest.raises(SimulationStalledError):
            executor.submit(lambda: executor.submit(int).result()).result()

    def test_the_end_of_an_executor_is_told(self) -> None:
        """A deadlock that is found while `with` waits for the tasks is raised there."""
        clock = VirtualClock(patience=None)
        with pytest.raises(SimulationStalledError), clock.executor(1) as executor:
            executor.submit(clock.event().wait)

    def test_lines_of_a_project_of_our_name_are_named(self, tmp_path: Path) -> None:
        """Who works on a folder that is called storekit sees the lines of the tests there."""
        project = tmp_path / "storekit" / "tests"
        project.mkdir(parents=True)
        (project / "test_it.py").write_text("def work(event):\n    event.wait()\n")
        namespace: dict[str, Any] = {}
        code = (project / "test_it.py").read_text()
        exec(compile(code, str(project / "test_it.py"), "exec"), namespace)
        clock = VirtualClock(patience=None)
        with pytest.raises(SimulationStalledError, match=re.escape(f"{project}/test_it.py:2 in")):
            clock.executor(1).submit(namespace["work"], clock.event()).result()

    def test_looking_at_threads_collects_no_garbage(self) -> None:
        """Python 3.11 hangs if a collection comes across a `threading.local` in that moment."""
        program = """if True:
            import faulthandler, gc, threading
            from storekit.simulation.places import place
            faulthandler.dump_traceback_later(20, exit=True)
            for _ in range(20):
                threading.Thread(target=threading.Event().wait, daemon=True).start()
            class Garbage:
                pass
            gc.collect()
            pieces = []
            for _ in range(10):
                piece = Garbage()
                piece.itself, piece.local = piece, threading.local()
                piece.local.value = 1
                pieces.append(piece)
            gc.collect(0)
            gc.disable()
            del piece
            pieces.clear()
            gc.set_threshold(1, 1, 1000)
            gc.enable()
            place(threading.get_ident())
        """
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def test_a_task_of_ours_is_named_by_its_line(self) -> None:
        """If a method of a store is the task, the line of the store is named."""
        clock = VirtualClock(patience=None)
        semaphore = Semaphore(1)
        semaphore._acquire(0, clock)
        with pytest.raises(SimulationStalledError, match=r"semaphore.py:\d+ in _acquire"):
            clock.executor(1).submit(semaphore.run, clock, list).result()


def lock_twice(lock: Any) -> None:
    """Ask for a lock that one has."""
    with lock, lock:
        pass


class TestAfterwards:
    @pytest.fixture
    def failed(self) -> VirtualClock:
        """A clock whose simulation has failed."""
        clock = VirtualClock(patience=None)
        with suppress(SimulationStalledError):
            clock.event().wait()
        return clock

    def test_everything_says_so(self, failed: VirtualClock) -> None:
        """Each way to wait raises the error of the failure, again and again."""
        lock, event, executor = failed.lock(), failed.event(), failed.executor(1)
        future = executor.submit(int)
        ways: list[Callable[[], Any]] = [
            lambda: failed.sleep(1),
            lambda: failed.sleep(0),
            lock.__enter__,
            event.wait,
            lambda: event.wait(1),
            future.result,
            lambda: failed.gather([executor.submit(int)]),
            lambda: failed.wait([executor.submit(int)]),
            lambda: list(failed.as_completed([executor.submit(int)])),
            lambda: list(executor.map(int, [1])),
            lambda: failed.released().__enter__(),
        ]
        for way in ways * 2:
            with pytest.raises(SimulationStalledError, match="every thread waits"):
                way()
        event.set()
        event.clear()
        executor.shutdown()
        assert failed.now() == 0
        assert failed.fingerprint

    def test_outsiders_are_told(self, failed: VirtualClock) -> None:
        """A thread that joins, or waits for a future in real time, gets the error."""
        told: list[BaseException | None] = []

        def stranger() -> None:
            told.append(failed.executor(1).submit(int).exception(30))
            try:
                with failed.joined():
                    told.append(None)
            except SimulationError as error:
                told.append(error)

        thread = threading.Thread(target=stranger)
        thread.start()
        thread.join(30)
        assert [type(error) for error in told] == [SimulationStalledError] * 2

    def test_no_task_begins_any_more(self) -> None:
        """What had not begun when the simulation failed fails without having run."""
        clock = VirtualClock(patience=None)
        executor, ran = clock.executor(1), []
        futures = [executor.submit(clock.event().wait)]
        futures += [executor.submit(ran.append, index) for index in range(5)]
        with pytest.raises(SimulationStalledError):
            futures[0].result()
        assert [type(future.exception(30)) for future in futures] == [SimulationStalledError] * 6
        assert ran == []

    def test_the_error_inside_released_is_the_one_that_is_raised(self) -> None:
        """If the simulation fails meanwhile, what the body raised is of more interest."""
        clock = VirtualClock(patience=None)

        def work() -> None:
            with clock.released():
                raise KeyError("mine")

        one, two = clock.lock(), clock.lock()

        def crosswise(first: Any, second: Any) -> None:
            with first:
                clock.sleep(1)
                with second:
                    clock.sleep(1)

        executor = clock.executor(3)
        with pytest.raises(KeyError, match="mine"):
            executor.submit(work).result()
        executor.submit(crosswise, one, two)
        executor.submit(crosswise, two, one)
        with pytest.raises(SimulationStalledError):
            clock.event().wait()
        with pytest.raises(SimulationStalledError):
            clock.sleep(1)


WAITS: dict[str, Callable[[VirtualClock], object]] = {
    "sleep": lambda clock: clock.sleep(10),
    "event": lambda clock: clock.event().wait(),
    "event with a timeout": lambda clock: clock.event().wait(10),
    "result": lambda clock: clock.executor(1).submit(clock.sleep, 1).result(),
    "gather": lambda clock: clock.gather([clock.executor(1).submit(clock.sleep, 1)]),
    "as_completed": lambda clock: list(
        clock.as_completed([clock.executor(1).submit(clock.sleep, 1)])
    ),
    "lock": lambda clock: wait_for_lock(clock),
    "shutdown": lambda clock: shut_down(clock),
    "coming back": lambda clock: come_back(clock),
    "joining": lambda clock: join_outside(clock),
}


def wait_for_lock(clock: VirtualClock) -> None:
    """Wait for a lock that a task has."""
    lock = clock.lock()

    def work() -> None:
        with lock:
            clock.sleep(100)

    clock.executor(1).submit(work)
    clock.sleep(1e-9)
    with lock:
        pass


def shut_down(clock: VirtualClock) -> None:
    """Wait for the end of an executor."""
    with clock.executor(1) as executor:
        executor.submit(clock.sleep, 100)


def come_back(clock: VirtualClock) -> None:
    """Be outside, and want to be inside again."""
    with clock.released():
        pass


def join_outside(clock: VirtualClock) -> None:
    """Be outside, and join."""
    with clock.released(), clock.joined():
        pass


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_an_interrupt_ends_every_wait(
    wait: Callable[[VirtualClock], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C is raised where the main thread waits, and all others get an error, not a wait."""
    monkeypatch.setattr("storekit.simulation.turns._LISTEN", 0.02)
    clock, main = VirtualClock(), threading.get_ident()
    interrupted = threading.Event()

    def interrupt() -> None:
        signal.pthread_kill(main, signal.SIGINT)
        assert interrupted.wait(30)
        clock.sleep(1)

    others = clock.executor(2)
    sleeper = others.submit(clock.sleep, 1000)
    rude = others.submit(interrupt)
    with pytest.raises(KeyboardInterrupt):
        wait(clock)
    interrupted.set()
    for future in (sleeper, rude):
        with pytest.raises(SimulationStalledError, match="interrupted at"):
            future.result(30)
    with pytest.raises(SimulationStalledError, match="interrupted at"):
        clock.sleep(1)


def test_the_main_thread_looks_for_interrupts() -> None:
    """It wakes now and then while it waits: a signal just before it began to does not wake it."""

    class Gate:
        looks = 0

        def acquire(self, timeout: float = -1) -> bool:
            assert 0 < timeout < 2
            self.looks += 1
            if self.looks == 3:
                raise KeyboardInterrupt
            return False

    clock = VirtualClock()
    clock.executor(1).submit(clock.sleep, 10)
    gate: Any = Gate()
    clock._baton.member().gate = gate
    gate.release = lambda: None
    with pytest.raises(KeyboardInterrupt):
        clock.sleep(1)
    assert gate.looks == 3


def test_a_clock_that_is_dropped_lets_its_threads_go() -> None:
    """Tasks that sleep when nobody asks any more end after the patience, and all is forgotten."""
    clock = VirtualClock(patience=0.05)
    ended = threading.Event()
    futures = [clock.executor(2).submit(clock.sleep, 1) for _ in range(2)]
    clock.sleep(0.5)
    futures[0].add_done_callback(lambda _: ended.set())
    reference = weakref.ref(clock)
    del clock, futures
    assert ended.wait(30)
    for _ in range(1000):
        gc.collect()
        if reference() is None:
            break
        threading.Event().wait(0.01)
    assert reference() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
class TestForks:
    def test_in_a_child_only_the_thread_that_forked_is_left(self) -> None:
        """There the time goes on from where it was, by that thread and new ones."""
        clock = VirtualClock()
        executor, event = clock.executor(4), clock.event()
        for _ in range(3):
            executor.submit(event.wait)
        executor.submit(clock.sleep, 5)
        clock.sleep(1)

        def child() -> None:
            clock.sleep(10)
            assert clock.now() == 11
            with clock.executor(2) as new:
                assert clock.gather([new.submit(abs, -1), new.submit(abs, -2)]) == [1, 2]
            with pytest.raises(SimulationStalledError):
                event.wait()

        assert in_child(child) == 0
        event.set()
        executor.shutdown()
        assert clock.now() == 5

    def test_who_forks_outside_comes_back(self) -> None:
        """A fork inside `released`, with the others at work, leaves a clock that can be used."""
        clock = VirtualClock()
        executor = clock.executor(4)
        goes_on = threading.Event()

        def work() -> None:
            while not goes_on.is_set():
                clock.sleep(1)

        def wait_outside() -> None:
            with clock.released():
                goes_on.wait(30)

        for task in (work, work, work, wait_outside):
            executor.submit(task)
        clock.sleep(1)

        def child() -> None:
            begin = clock.now()
            clock._baton.come_back(member)
            clock.sleep(1)
            assert clock.now() == begin + 1
            with pytest.raises(SimulationStalledError):
                clock.event().wait()

        member = clock._baton.go_outside()
        codes = [in_child(child) for _ in range(5)]
        goes_on.set()
        clock._baton.come_back(member)
        executor.shutdown()
        assert codes == [0] * 5

    def test_a_fork_comes_at_any_moment(self) -> None:
        """Also while another thread, which the child has not, is just about to set an event."""
        clock = VirtualClock()
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with clock._baton.mutex:
                held.set()
                done.wait(30)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        code = in_child(lambda: clock.sleep(1))
        done.set()
        thread.join()
        assert code == 0

    def test_stalls_are_found_in_a_child(self, stuck: queue.SimpleQueue[Any]) -> None:
        """The thread that looks after simulations is started there anew."""
        clock = VirtualClock(patience=0.05)
        clock.executor(1).submit(clock.sleep, 1).result()

        def child() -> None:
            future = clock.executor(1).submit(threading.Event().wait)
            with pytest.raises(SimulationStalledError):
                future.result()

        assert in_child(child) == 0
