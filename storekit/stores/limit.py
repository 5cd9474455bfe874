"""A store that is asked for only so much at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from storekit.clock import Clock
from storekit.semaphore import Semaphore
from storekit.stores._checks import check_clock
from storekit.stores.base import Store
from storekit.stores.wrapper import Call, WrapperStore

__all__ = ["LimitStore"]


class LimitStore(WrapperStore):
    """
    A store of which only so many calls are under way at once; others wait, first come, first
    served.

    A call holds its permit from when the inner store is asked until it has answered or failed. What
    a thread asks of this store from within a call of it (a hook, for example) needs no further
    permit. A copy, also a pickled one, has permits of its own, and so has a forked process.

    Args:
        store: The inner store.

        max_in_flight: How many calls at once.

        clock: Whose time passes while calls wait. Defaults to the clock of the inner store.

    Raises:
        ValueError: If the number is not an int of at least 1.

        TypeError: If `clock` is no clock.

    Threads: as safe as the inner store.
    """

    def __init__(self, store: Store, max_in_flight: int, *, clock: Clock | None = None) -> None:
        super().__init__(store)
        if type(max_in_flight) is not int or max_in_flight < 1:
            raise ValueError(f"max_in_flight must be an int of at least 1, found {max_in_flight!r}")
        self.max_in_flight, self._clock = max_in_flight, check_clock(clock)
        if clock is not None:
            self.clock = clock
        self._permits: dict[int, Semaphore] = {}  # by process: a forked one has no other threads

    @property
    def concurrency(self) -> int:
        """The limit, or what helps the inner store if that is less."""
        return min(self.inner.concurrency, self.max_in_flight)

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        process = os.getpid()
        permits = self._permits.get(process)
        if permits is None:
            permits = self._permits.setdefault(process, Semaphore(self.max_in_flight))
        return permits.run(self.clock, proceed)

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"max_in_flight": self.max_in_flight}
        return config if self._clock is None else {**config, "clock": self._clock}
