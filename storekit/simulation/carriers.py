"""Threads that carry the members of simulations, and are used again."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

__all__ = ["carry"]

_KEPT = 128
"""How many idle threads are kept; starting one takes 50 us, waking one 5."""

_idle: deque[_Carrier] = deque()


class _Carrier(threading.Thread):
    """
    A thread that does one job after the other.

    It holds on to nothing between two jobs, so that a clock that nobody uses any more is forgotten.
    """

    def __init__(self) -> None:
        super().__init__(name="storekit-simulation", daemon=True)
        self._begin = threading.Lock()
        self._begin.acquire()
        self.job: Callable[[], None] | None = None

    def give(self, job: Callable[[], None]) -> None:
        self.job = job
        self._begin.release()

    def run(self) -> None:
        while True:
            self._begin.acquire()
            if self.job is not None:
                self.job()
                self.job = None
            if len(_idle) >= _KEPT:
                return
            _idle.append(self)


def carry(job: Callable[[], None]) -> None:
    """Do a job, which raises nothing, in a thread of its own."""
    try:
        carrier = _idle.pop()
    except IndexError:
        carrier = _Carrier()
        carrier.start()
    carrier.give(job)


if hasattr(os, "register_at_fork"):  # in a forked child the parent's threads do not exist
    os.register_at_fork(after_in_child=_idle.clear)
