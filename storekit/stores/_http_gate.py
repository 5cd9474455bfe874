"""How many requests a server gets at once: fewer when it says that it is too much."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from storekit.clock import Clock
from storekit.errors import RateLimitedError, ServerError, StoreError
from storekit.semaphore import Semaphore

__all__ = ["Gate"]

T = TypeVar("T")

_GROWTH = 1 / 8
"""By how much each answer raises the number: from half of it to all in some six round trips."""


class Gate:
    """
    Lets so many requests pass at once as the server bears, between 1 and a greatest number.

    The number is halved when the server says that it is busy, and rises with each answer after
    that. Of requests that were on their way together only the first to fail counts.

    Args:
        most: The number to begin with, and never to exceed.

    Threads: safe.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._round = 0
        self._semaphore = Semaphore(most)
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """How many may pass now."""
        return int(self._limit)

    def run(self, clock: Clock, request: Callable[[], T]) -> T:
        """
        Make a request when its turn has come.

        Args:
            clock: By which the thread waits for it.

            request: Its answer is returned; its errors tell how the server feels.
        """

        def ask() -> T:
            begun = self._round
            try:
                answer = request()
            except StoreError as error:
                if isinstance(error, (RateLimitedError, ServerError)) and error.retryable:
                    self._shrink(begun)
                raise
            if self._limit < self._most:
                self._grow()
            return answer

        return self._semaphore.run(clock, ask)

    def _shrink(self, begun: int) -> None:
        with self._lock:
            if begun != self._round:
                return  # was on its way when others found out the same
            self._round += 1
            self._limit = max(min(self._semaphore.taken, self._limit) / 2, 1.0)
            self._semaphore.allow(self.limit)

    def _grow(self) -> None:
        with self._lock:
            self._limit = min(self._limit + _GROWTH, self._most)
            self._semaphore.allow(self.limit)
