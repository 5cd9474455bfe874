"""
A thread that looks after all simulations of a process, in real time.

Whoever waits for the baton could find out by itself that nothing happens any more. But perhaps all
who would have to notice wait outside of the simulation, for a future, say; and a wait that ends
now and then, to have a look, is slower than one that does not.
"""

from __future__ import annotations

import heapq
import os
import threading
from itertools import count
from typing import Protocol
from weakref import ref

from storekit.clock import REAL_CLOCK

__all__ = ["Watched", "watch"]


class Watched(Protocol):
    """What is looked after. Only a weak reference to it is kept."""

    def look(self) -> None:
        """See whether all is well. Raises nothing, and does not wait."""


class _Watch:
    """The thread, which ends when there is nothing left to look after."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rounds: list[tuple[float, int, float, ref[Watched]]] = []
        self._order = count()
        self._is_running = False

    def add(self, watched: Watched, seconds: float) -> None:
        with self._changed:
            self._plan(ref(watched), seconds)
            if not self._is_running:
                threading.Thread(target=self._run, name="storekit-watch", daemon=True).start()
                self._is_running = True
            self._changed.notify()

    def _plan(self, watched: ref[Watched], seconds: float) -> None:
        due = REAL_CLOCK.now() + seconds
        heapq.heappush(self._rounds, (due, next(self._order), seconds, watched))

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._rounds:
                    self._is_running = False
                    return
                left = self._rounds[0][0] - REAL_CLOCK.now()
                if left > 0:
                    self._changed.wait(left)
                    continue
                _, _, seconds, reference = heapq.heappop(self._rounds)
            watched = reference()
            if watched is not None:
                watched.look()
                del watched  # or it would live for one round more
                with self._changed:
                    self._plan(reference, seconds)


_the_watch = _Watch()


def watch(watched: Watched, seconds: float) -> None:
    """Call `look` about every so many seconds, for as long as the object lives."""
    _the_watch.add(watched, seconds)


def _begin_anew() -> None:
    """In a forked child the parent's threads do not exist."""
    global _the_watch
    _the_watch = _Watch()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
