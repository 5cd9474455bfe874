"""A clock whose time passes only while everybody waits."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from storekit.draws import Draws
from storekit.errors import SimulationError
from storekit.shared import Shared
from storekit.simulation.baton import Baton
from storekit.simulation.waits import VirtualEvent, VirtualLock, moment_after

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from storekit.simulation.futures import VirtualTask

__all__ = ["VirtualClock"]

T = TypeVar("T")

_EPOCH = 946_684_800 * 10**9
"""Time stamps begin with the year 2000, so that they look like time stamps."""


class VirtualClock(Shared):
    """
    Simulated time, for real threads: an hour of waiting takes as long as what is done in it.

    The thread that makes the clock is part of the simulation, and so are the workers of its
    executors; other threads join with `joined`. One of them runs at a time. Who waits, by `sleep`,
    a lock, an event or a future of this clock, lets another one run; when all of them wait, time
    jumps to the first moment at which one goes on. Computing takes no simulated time. What happens,
    and when, is the same in each run, on each machine.

    Whoever waits for something that the clock does not know (a queue, a subprocess, an event loop,
    `concurrent.futures.wait`) stops the simulation, unless it does so inside `released`. After
    `patience` real seconds the simulation then ends with `SimulationStalledError`, which names the
    line; at once if all threads wait for each other.

    Args:
        seed: Of the order, when that is random.

        order: Who runs first when several threads can: ``"fifo"``, the one that could first, or
            ``"random"``, chosen by the seed, to look for faults that depend on the order.

        patience: Real seconds without progress after which the simulation is given up; None for
            never. Time that a thread computes counts, too.

    Raises:
        ValueError: If an argument makes no sense.

    Threads: that is what it is for. In a forked child only the thread that forked is left.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        order: Literal["fifo", "random"] = "fifo",
        patience: float | None = 10.0,
    ) -> None:
        if order not in ("fifo", "random"):
            raise ValueError(f"order must be 'fifo' or 'random', found {order!r}")
        is_number = isinstance(patience, float | int) and 0 < patience < math.inf
        if not is_number and patience is not None:
            raise ValueError(f"patience must be a positive number or None, found {patience!r}")
        self.seed, self.order, self.patience = seed, order, patience
        self.executors: dict[object, Executor] = {}
        self._baton = Baton(Draws(seed) if order == "random" else None, patience)

    # --- time -------------------------------------------------------------------------------------

    def now(self) -> float:
        """Simulated seconds since the clock was made."""
        return self._baton.now / 1e9

    def now_ns(self) -> int:
        """Simulated nanoseconds since the epoch; the clock is made at the beginning of 2000."""
        return _EPOCH + self._baton.now

    def sleep(self, seconds: float) -> None:
        """
        Let the calling thread wait in simulated time, to the next nanosecond; not at all for zero.

        Raises:
            SimulationError: If the thread is not part of the simulation.
        """
        if seconds > 0:
            self._baton.wait(None, moment_after(self._baton, seconds))
        else:
            self._baton.member()

    @property
    def fingerprint(self) -> str:
        """A text that tells this run from others: which thread ran when, so far."""
        return self._baton.fingerprint

    # --- who takes part ---------------------------------------------------------------------------

    @property
    def is_member(self) -> bool:
        """Whether the calling thread is part of the simulation now."""
        return self._baton.is_member

    @contextmanager
    def joined(self) -> Iterator[None]:
        """
        A context in which the calling thread, started by others, is part of the simulation.

        Nothing changes for a thread that is already.
        """
        if self.is_member:
            yield
            return
        self._baton.join()
        try:
            yield
        finally:
            self._baton.leave()

    @contextmanager
    def released(self) -> Iterator[None]:
        """
        A context in which the calling thread may wait for what the clock does not know.

        The others go on meanwhile, and so does time. What is repeatable is what they do, and what
        this thread does afterwards if they all have come to rest by then. Nothing changes for a
        thread that is not part of the simulation.
        """
        if not self.is_member:
            yield
            return
        member = self._baton.go_outside()
        try:
            yield
        except BaseException:
            with suppress(SimulationError):  # what happened here is of more interest
                self._baton.come_back(member)
            raise
        self._baton.come_back(member)

    # --- what waits -------------------------------------------------------------------------------

    def lock(self) -> VirtualLock:
        """A new lock, for which threads wait in simulated time."""
        return VirtualLock(self._baton)

    def event(self) -> VirtualEvent:
        """A new event, for which threads wait in simulated time."""
        return VirtualEvent(self._baton)

    def executor(self, workers: int) -> Executor:
        """A new executor, whose workers are part of the simulation while they work."""
        from storekit.simulation.futures import VirtualExecutor  # futures take 4 ms to import

        return VirtualExecutor(self, workers)

    def task(self) -> VirtualTask[Any]:
        """A new future for a task that can be cancelled while it runs."""
        from storekit.simulation.futures import VirtualTask

        return VirtualTask(self)

    def wait(
        self,
        futures: Iterable[Future[T]],
        timeout: float | None = None,
        return_when: str = "ALL_COMPLETED",
    ) -> tuple[set[Future[T]], set[Future[T]]]:
        """As `concurrent.futures.wait`; the timeout is in simulated seconds."""
        waiting = list(dict.fromkeys(futures))
        if return_when not in ("ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"):
            raise ValueError(f"invalid return condition: {return_when!r}")
        done: set[Future[T]] = set()
        try:
            for future in self.as_completed(waiting, timeout):
                done.add(future)
                if return_when == "FIRST_COMPLETED" or (
                    return_when == "FIRST_EXCEPTION"
                    and not future.cancelled()
                    and future.exception() is not None
                ):
                    break
        except TimeoutError:
            pass
        done |= {future for future in waiting if future.done()}
        return done, set(waiting) - done

    def as_completed(
        self, futures: Iterable[Future[T]], timeout: float | None = None
    ) -> Iterator[Future[T]]:
        """
        Each future, in the order in which they end.

        Args:
            futures: Of this clock; also such as are done.

            timeout: Simulated seconds from now.

        Raises:
            TimeoutError: When it is over, and futures are left.
        """
        waiting = list(dict.fromkeys(futures))  # in an order that does not change between runs
        done: deque[Future[T]] = deque()
        event = self.event()
        deadline = None if timeout is None else self.now() + timeout

        def note(future: Future[T]) -> None:
            done.append(future)
            event.set()

        for future in waiting:
            future.add_done_callback(note)
        for left in range(len(waiting), 0, -1):
            while not done:
                if not event.wait(None if deadline is None else deadline - self.now()):
                    raise TimeoutError(f"{left} (of {len(waiting)}) futures unfinished")
                event.clear()  # before the look at `done`: futures may be cancelled from outside
            yield done.popleft()

    def gather(self, futures: Sequence[Future[T]]) -> list[T]:
        """The results of futures, in their order; the error of the first that has one."""
        done: deque[Future[T]] = deque()
        event = self.event()

        def note(future: Future[T]) -> None:
            done.append(future)
            if len(done) == len(futures) or future.cancelled() or future.exception() is not None:
                event.set()

        for future in futures:
            future.add_done_callback(note)
        if futures:  # waited for one by one, they would wake this thread one by one
            event.wait()
        return [future.result() for future in futures]

    # --- the object -------------------------------------------------------------------------------

    def _arguments(self) -> dict[str, Any]:
        return {"seed": self.seed, "order": self.order, "patience": self.patience}

    def __repr__(self) -> str:
        return f"VirtualClock(seed={self.seed}, order={self.order!r}) at {self.now()} s"
