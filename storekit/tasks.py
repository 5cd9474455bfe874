"""Futures whose tasks end early when they are cancelled."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - its wait for threads at exit comes after ours
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from weakref import WeakSet

from storekit.stopping import Stop

__all__ = ["Task", "new_executor"]

T = TypeVar("T")

_alive: set[Task[Any]] = set()
"""Those that an executor has."""

_executors: WeakSet[Executor] = WeakSet()
"""Those that are told when the program ends."""


def new_executor(workers: int) -> ThreadPoolExecutor:
    """
    An executor whose threads all end with the program.

    One that Python makes does not know of a thread whose start was interrupted (Ctrl-C); where that
    was its first, the thread waits for ever, and the program for it.
    """
    executor = ThreadPoolExecutor(workers, thread_name_prefix="storekit")
    _executors.add(executor)
    return executor


class Task(Future[T]):
    """
    A future that can be cancelled also while its task runs.

    The task then begins no further piece of its work. The future is cancelled when the pieces that
    have begun are at their end: once it is done, nothing goes on. Who is interrupted (Ctrl-C) while
    waiting for the result cancels it.

    Args:
        args: Of the class that this one is mixed with.

    Threads: safe.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._stop = Stop()
        self._lock = threading.Lock()
        self._has_begun = self._is_unwanted = self._has_ended = False

    def start(self, executor: Executor, work: Callable[[], T]) -> None:
        """Let an executor do the work, for the result of this future."""
        # What the executor keeps of its call is empty when the task has ended. Else an error, its
        # traceback, the executor's frame and this future keep each other alive.
        box = [self]
        _alive.add(self)
        try:
            executor.submit(_perform, box, work).add_done_callback(partial(_performed, box))
        except BaseException:  # no more threads to be had; Ctrl-C: the executor may have the call
            self.cancel()
            _alive.discard(self)
            raise

    def cancel(self) -> bool:
        """
        Let the task not begin, or end early.

        Returns:
            Whether it is cancelled, or will be. If not, it has ended before.
        """
        with self._lock:
            if self._has_ended:
                return self.cancelled()
            is_first, self._is_unwanted = not self._is_unwanted, True
        if self._has_begun:
            self._stop.set()
        elif is_first:
            self._be_cancelled()
        return True

    def running(self) -> bool:
        """Whether the task has begun, and not ended."""
        return self._has_begun and not self.done()

    def result(self, timeout: float | None = None) -> T:
        """As `Future.result`."""
        try:
            return super().result(timeout)
        except BaseException as error:
            self._look_at(error)
            raise

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `Future.exception`."""
        try:
            return super().exception(timeout)
        except BaseException as error:
            self._look_at(error)
            raise

    def _look_at(self, error: BaseException) -> None:
        if not isinstance(error, Exception) and not self.done():  # done: it is the task's own
            self.cancel()

    def _begin(self) -> bool:
        with self._lock:
            self._has_begun = not self._is_unwanted
        return self._has_begun

    def _end(self, result: Any, error: BaseException | None = None) -> None:
        with self._lock:
            if self._has_ended:
                return
            self._has_ended = True
        if self._is_unwanted:
            self._be_cancelled()
        elif error is None:
            self.set_result(result)
        else:
            self.set_exception(error)

    def _be_cancelled(self) -> None:
        super().cancel()  # which a future can be only as long as it is not said to run
        self.set_running_or_notify_cancel()


def _perform(box: list[Task[T]], work: Callable[[], T]) -> None:
    task = box[0]
    try:
        if task._begin():
            task._stop.check()
            task._end(task._stop.run(work))
    except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
        task._end(None, error)
    finally:
        _alive.discard(task)
        box.clear()
        del task


def _performed(box: list[Task[Any]], performed: Future[None]) -> None:
    error = performed.exception()
    for task in tuple(box) if error is not None else ():  # a simulation has failed
        _alive.discard(task)
        task._end(None, error)


def _at_exit() -> None:
    """Let the threads end; when Ctrl-C has ended the program, nobody waits for tasks any more."""
    last = getattr(sys, "last_type", None)
    if last is KeyboardInterrupt and not hasattr(sys, "ps1"):  # there it ended but one statement
        tasks = tuple(_alive)
        for task in tasks:  # all before the first: its threads would work for the others
            task._stop.forbid()
        for task in tasks:
            task.cancel()
    for executor in tuple(_executors):
        executor.shutdown(wait=False)


def _forget() -> None:
    """In a forked child the parent's threads do not exist, and nobody releases their locks."""
    _alive.clear()
    _executors.clear()


with suppress(AttributeError, RuntimeError):  # another Python; one that is about to end
    threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
