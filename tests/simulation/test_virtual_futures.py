"""Futures and executors of a virtual clock behave as those of `concurrent.futures`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import queue
import threading
import weakref
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from storekit.errors import SimulationStalledError
from storekit.simulation import VirtualClock
from storekit.simulation.futures import _fulfil


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that the test is a member of."""
    return VirtualClock(patience=5)


def nap(clock: VirtualClock, seconds: float, error: Exception | None = None) -> float:
    """Sleep, and return for how long, or raise."""
    clock.sleep(seconds)
    if error is not None:
        raise error
    return seconds


class TestFutures:
    def test_a_result_comes_when_the_task_has_ended(self, clock: VirtualClock) -> None:
        """`result` waits for what the task returns, `exception` for what it raises."""
        with clock.executor(2) as executor:
            good = executor.submit(nap, clock, 1)
            bad = executor.submit(nap, clock, 2, ValueError("bad"))
            assert (good.result(), clock.now()) == (1, 1)
            assert good.exception() is None
            with pytest.raises(ValueError, match="bad"):
                bad.result()
            assert isinstance(bad.exception(), ValueError)
        assert clock.now() == 2

    def test_a_timeout_is_in_simulated_seconds(self, clock: VirtualClock) -> None:
        """`result` and `exception` raise TimeoutError after so many seconds, each time."""
        with clock.executor(1) as executor:
            future = executor.submit(nap, clock, 10)
            for wait in (future.result, future.exception):
                with pytest.raises(TimeoutError):
                    wait(timeout=3)
            with pytest.raises(TimeoutError):
                future.result(0)
            assert clock.now() == 6
            assert future.result(100) == 10
        assert clock.now() == 10

    def test_states_follow_each_other(self, clock: VirtualClock) -> None:
        """A future is pending, running, done; only while it is pending it can be cancelled."""
        with clock.executor(1) as executor:
            first = executor.submit(nap, clock, 1)
            second = executor.submit(nap, clock, 1)
            third = executor.submit(nap, clock, 1)
            assert not first.running()
            clock.sleep(0.5)
            assert first.running()
            assert not first.cancel()
            assert not second.running()
            assert second.cancel()
            assert second.cancelled()
            assert second.done()
            with pytest.raises(CancelledError):
                second.result()
            with pytest.raises(CancelledError):
                second.exception()
            assert third.result() == 1
        assert clock.now() == 2

    def test_who_waits_for_a_future_that_is_cancelled_goes_on(self, clock: VirtualClock) -> None:
        """A member that waits gets CancelledError at the moment of the cancellation."""
        with clock.executor(2) as executor:
            busy = executor.submit(nap, clock, 100)
            executor.submit(nap, clock, 100)
            pending = executor.submit(nap, clock, 1)
            with clock.executor(1) as other:
                waiter = other.submit(pending.result)
                clock.sleep(1)
                assert pending.cancel()
                assert isinstance(waiter.exception(), CancelledError)
                assert clock.now() == 1
            assert not busy.done()

    def test_a_cancellation_between_look_and_wait_is_noticed(
        self, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An outsider may cancel just when a member has found that it must wait."""
        executor = clock.executor(1)
        executor.submit(nap, clock, 1)
        future, make = executor.submit(nap, clock, 1), clock.event
        monkeypatch.setattr(clock, "event", lambda: (future.cancel(), make())[1])
        with pytest.raises(CancelledError):
            future.result()
        assert clock.now() == 0

    def test_what_comes_too_late_is_dropped(
        self, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A task that was given up as stuck, and ends after all, changes nothing, silently."""
        future = clock.executor(1).submit(nap, clock, 1)
        assert future.result() == 1
        _fulfil(future, 2)
        _fulfil(future, None, ValueError())
        assert future.result() == 1
        assert not caplog.records

    def test_callbacks_are_called_once_with_the_future(self, clock: VirtualClock) -> None:
        """In order, when it is done; at once, if it is."""
        seen: list[tuple[int, Future[Any], float]] = []
        with clock.executor(1) as executor:
            future = executor.submit(nap, clock, 1)
            for index in range(2):
                future.add_done_callback(
                    lambda f, index=index: seen.append((index, f, clock.now()))
                )
            future.result()
            future.add_done_callback(lambda f: seen.append((2, f, clock.now())))
        assert seen == [(0, future, 1), (1, future, 1), (2, future, 1)]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
    def test_a_callback_that_raises_disturbs_nobody(
        self, clock: VirtualClock, error: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whatever a callback raises is logged; the result is there, and the worker works on."""

        def callback(future: Future[Any]) -> None:
            raise error("oops")

        with clock.executor(1) as executor, caplog.at_level(logging.ERROR):
            future = executor.submit(nap, clock, 1)
            future.add_done_callback(callback)
            assert future.result() == 1
            assert executor.submit(nap, clock, 1).result() == 1
        assert "oops" in caplog.text

    def test_a_callback_that_waits_holds_up_nobody(self, clock: VirtualClock) -> None:
        """Who waits for the result goes on before a callback has come to its end."""
        with clock.executor(1) as executor:
            future = executor.submit(nap, clock, 1)
            future.add_done_callback(lambda _: clock.sleep(5))
            assert future.result() == 1
            assert clock.now() == 1
        assert clock.now() == 6

    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
    def test_no_error_of_a_task_ends_the_worker(self, clock: VirtualClock, error: Any) -> None:
        """Also errors that are no `Exception` are in the future, and nowhere else."""

        def work() -> None:
            raise error

        with clock.executor(1) as executor:
            assert isinstance(executor.submit(work).exception(), error)
            assert executor.submit(nap, clock, 1).result() == 1

    def test_a_task_that_failed_keeps_nothing_alive(self, clock: VirtualClock) -> None:
        """When its future is dropped, its arguments and its error are, without a collection."""

        class Big:
            pass

        def work(big: Big) -> Big:
            raise ValueError

        with clock.executor(1) as executor:
            for task in (work, lambda big: big):
                big = Big()
                reference = weakref.ref(big)
                gc.collect()
                gc.disable()
                try:
                    future = executor.submit(task, big)
                    clock.wait([future])
                    clock.sleep(1)
                    del big, future
                    assert reference() is None
                finally:
                    gc.enable()


class TestExecutors:
    def test_so_many_tasks_run_at_once(self, clock: VirtualClock) -> None:
        """Ten tasks of a second take four seconds with three workers, in order."""
        begun: list[tuple[int, float]] = []

        def work(index: int) -> None:
            begun.append((index, clock.now()))
            clock.sleep(1)

        with clock.executor(3) as executor:
            for index in range(10):
                executor.submit(work, index)
        assert clock.now() == 4
        assert begun == [(index, index // 3) for index in range(10)]

    @pytest.mark.parametrize("workers", [0, -1])
    def test_there_must_be_a_worker(self, clock: VirtualClock, workers: int) -> None:
        """No worker is a ValueError that says so."""
        with pytest.raises(ValueError, match="workers"):
            clock.executor(workers)

    def test_leaving_waits_for_all_tasks(self, clock: VirtualClock) -> None:
        """At the end of `with` all are done, and nothing can be submitted any more."""
        with clock.executor(2) as executor:
            futures = [executor.submit(nap, clock, index) for index in range(5)]
        assert all(future.done() for future in futures)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="after shutdown"):
                executor.submit(nap, clock, 1)
            executor.shutdown()

    def test_shutdown_need_not_wait(self, clock: VirtualClock) -> None:
        """Without `wait` it returns at once, and what was submitted is done nevertheless."""
        executor = clock.executor(1)
        futures = [executor.submit(nap, clock, 1) for _ in range(3)]
        executor.shutdown(wait=False)
        assert clock.now() == 0
        assert clock.gather(futures) == [1, 1, 1]
        executor.shutdown()
        assert clock.now() == 3

    def test_shutdown_cancels_what_has_not_begun(self, clock: VirtualClock) -> None:
        """With `cancel_futures` what runs ends, and the others are cancelled, for all who wait."""
        executor = clock.executor(1)
        futures = [executor.submit(nap, clock, 1) for _ in range(3)]
        clock.sleep(0.5)
        executor.shutdown(cancel_futures=True)
        assert clock.now() == 1
        assert [future.cancelled() for future in futures] == [False, True, True]
        assert not concurrent.futures.wait(futures, timeout=30).not_done

    def test_an_outsider_may_wait_for_the_end(self, clock: VirtualClock) -> None:
        """Shutdown inside `released` waits in real time, for the same."""
        executor = clock.executor(2)
        futures = [executor.submit(nap, clock, 3) for _ in range(4)]
        with clock.released():
            executor.shutdown()
            assert all(future.done() for future in futures)
        assert clock.now() == 6

    def test_map_gives_results_in_order(self, clock: VirtualClock) -> None:
        """`map` runs side by side and yields in order, of the shortest of its iterables."""
        with clock.executor(3) as executor:
            assert list(executor.map(nap, [clock] * 5, [3, 1, 2])) == [3, 1, 2]
            assert clock.now() == 3
            assert list(executor.map(abs, [])) == []

    def test_the_timeout_of_map_is_simulated(self, clock: VirtualClock) -> None:
        """It counts from the call, for all results together; what has not begun is cancelled."""
        with clock.executor(1) as executor:
            results = executor.map(nap, [clock] * 6, [1] * 6, timeout=3.5)
            assert [next(results) for _ in range(3)] == [1, 1, 1]
            with pytest.raises(TimeoutError):
                next(results)
            assert clock.now() == 3.5
        assert clock.now() == 4

    def test_map_raises_where_the_error_is(self, clock: VirtualClock) -> None:
        """Results before the one that failed are yielded, those behind it are cancelled."""
        with clock.executor(1) as executor:
            results = executor.map(lambda x: nap(clock, 1) / x, [1, 0, 2, 2])
            assert next(results) == 1
            with pytest.raises(ZeroDivisionError):
                next(results)
            assert list(results) == []
        assert clock.now() < 4

    def test_without_a_thread_nothing_is_submitted(
        self, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If no thread can be had `submit` raises, and the simulation is as it was."""

        def carry(job: object) -> None:
            raise RuntimeError("can't start new thread")

        with clock.executor(2) as executor:
            with monkeypatch.context() as patch:
                patch.setattr("storekit.simulation.futures.carry", carry)
                with pytest.raises(RuntimeError, match="new thread"):
                    executor.submit(nap, clock, 1)
                with clock.released(), pytest.raises(RuntimeError, match="new thread"):
                    executor.submit(nap, clock, 1)
            clock.sleep(1)
            assert clock.gather([executor.submit(nap, clock, 1) for _ in range(4)]) == [1] * 4
        assert clock.now() == 3

    def test_threads_are_used_again(self, clock: VirtualClock) -> None:
        """Many short-lived clocks and executors need few threads, and leave no more behind."""
        before = threading.active_count()
        for _ in range(50):
            other = VirtualClock()
            with other.executor(4) as executor:
                other.gather([executor.submit(other.sleep, 1) for _ in range(8)])
        assert threading.active_count() <= before + 10


class TestWaitingForMany:
    def test_wait_is_that_of_futures(self, clock: VirtualClock) -> None:
        """All, the first, the first with an error, or as many as there are after a timeout."""
        with clock.executor(4) as executor:

            def begin() -> list[Future[Any]]:
                return [
                    executor.submit(nap, clock, 3),
                    executor.submit(nap, clock, 1),
                    executor.submit(nap, clock, 2, ValueError()),
                ]

            futures = begin()
            assert clock.wait(futures, return_when="FIRST_COMPLETED")[0] == {futures[1]}
            assert clock.now() == 1
            done, others = clock.wait(futures, return_when="FIRST_EXCEPTION")
            assert (done, others) == ({futures[1], futures[2]}, {futures[0]})
            assert clock.now() == 2
            assert clock.wait(futures) == (set(futures), set())
            assert clock.now() == 3
            futures = begin()
            assert clock.wait(futures, timeout=1.5) == ({futures[1]}, {futures[0], futures[2]})
            assert clock.now() == 4.5
            assert clock.wait([]) == (set(), set())
            with pytest.raises(ValueError, match="SOME"):
                clock.wait(futures, return_when="SOME")

    def test_futures_come_as_they_end(self, clock: VirtualClock) -> None:
        """Each once, in the order in which they end, those that are done first."""
        with clock.executor(4) as executor:
            first = executor.submit(nap, clock, 0)
            first.result()
            futures = [executor.submit(nap, clock, seconds) for seconds in (3, 1, 2)]
            seen = [
                (future.result(), clock.now())
                for future in clock.as_completed([*futures, first, first])
            ]
        assert seen == [(0, 0), (1, 1), (2, 2), (3, 3)]

    def test_as_completed_gives_up_in_time(self, clock: VirtualClock) -> None:
        """After the timeout it raises, and says how many are left."""
        with clock.executor(4) as executor:
            futures = [executor.submit(nap, clock, seconds) for seconds in (1, 2, 5, 6)]
            ending = clock.as_completed(futures, timeout=4)
            seen = [next(ending).result(), next(ending).result()]
            with pytest.raises(TimeoutError, match=r"2 \(of 4\) futures unfinished"):
                next(ending)
            assert seen == [1, 2]
            assert clock.now() == 4

    def test_work_may_follow_on_what_is_done(self, clock: VirtualClock) -> None:
        """Between two futures of `as_completed` others may be submitted and waited for."""
        with clock.executor(2) as executor:
            total = 0.0
            for future in clock.as_completed([executor.submit(nap, clock, 1) for _ in range(4)]):
                total += executor.submit(nap, clock, future.result()).result()
        assert total == 4

    def test_gather_raises_the_first_error_in_order(self, clock: VirtualClock) -> None:
        """It waits for all before it, and not for those behind."""
        with clock.executor(4) as executor:
            assert clock.gather([]) == []
            futures = [
                executor.submit(nap, clock, 2),
                executor.submit(nap, clock, 3, KeyError("early")),
                executor.submit(nap, clock, 1, ValueError("late")),
                executor.submit(nap, clock, 9),
            ]
            with pytest.raises(KeyError, match="early"):
                clock.gather(futures)
            assert clock.now() == 3
            futures[3].result()
            one = executor.submit(nap, clock, 1)
            assert clock.gather([one, one]) == [1, 1]

    def test_futures_that_are_cancelled_from_outside_are_noticed(
        self, clock: VirtualClock, restless: None
    ) -> None:
        """However a cancellation by another thread falls, nobody waits for that future for ever."""
        executor = clock.executor(1)
        for _ in range(50):
            executor.submit(nap, clock, 1)
            futures = [executor.submit(nap, clock, 1) for _ in range(3)]
            threads = [threading.Thread(target=future.cancel) for future in futures]
            for thread in threads:
                thread.start()
            ended = list(clock.as_completed(futures))
            with clock.released():
                for thread in threads:
                    thread.join()
            assert set(ended) == set(futures)
            assert all(future.done() for future in futures)


class TestForeignWaits:
    def test_asyncio_may_wait_inside_released(self, clock: VirtualClock) -> None:
        """A coroutine awaits futures of the clock, and lets it run functions."""
        executor = clock.executor(2)

        async def main() -> list[float]:
            wrapped = [asyncio.wrap_future(executor.submit(nap, clock, s)) for s in (5, 6)]
            loop = asyncio.get_running_loop()
            return [
                *await asyncio.gather(*wrapped),
                await loop.run_in_executor(executor, nap, clock, 1),
            ]

        with clock.released():
            assert asyncio.run(main()) == [5, 6, 1]
        assert clock.now() == 7

    def test_the_standard_library_may_wait_inside_released(self, clock: VirtualClock) -> None:
        """`wait`, `as_completed` and `result` of others see what the simulation does."""
        executor = clock.executor(4)
        futures = [executor.submit(nap, clock, seconds) for seconds in (1, 2, 3)]
        with clock.released():
            assert concurrent.futures.wait(futures, timeout=30).done == set(futures)
            assert [f.result(30) for f in concurrent.futures.as_completed(futures)]
            assert futures[2].exception(30) is None
        assert clock.now() == 3

    def test_a_queue_may_be_waited_for_inside_released(self, clock: VirtualClock) -> None:
        """What a member puts into a queue reaches a member that waits for it outside."""
        passed: queue.SimpleQueue[float] = queue.SimpleQueue()
        with clock.executor(1) as executor:
            executor.submit(lambda: passed.put(nap(clock, 4)))
            with clock.released():
                assert passed.get(timeout=30) == 4

    def test_a_foreign_future_that_never_comes_is_a_deadlock(self, clock: VirtualClock) -> None:
        """A future that nobody in the simulation will ever end is found out at once."""
        with pytest.raises(SimulationStalledError, match="every thread waits"):
            clock.gather([Future()])
