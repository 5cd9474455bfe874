"""A store that answers in time or not at all."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from storekit.clock import Clock
from storekit.errors import TimeoutError
from storekit.stores._checks import check_clock, positive
from storekit.stores.base import Store
from storekit.stores.wrapper import Call, WrapperStore
from storekit.typing import Value

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["TimeoutStore"]

_THREADS = 512
"""
How many calls may be under way, those included that nobody waits for any more. Threads start when
they are needed.
"""


class TimeoutStore(WrapperStore):
    """
    A store of which each call gets so many seconds.

    When they are over the caller gets `TimeoutError`, which is retryable. The inner call goes on in
    a thread of its own, since nothing can stop it: a write may still have its effect, at any later
    time, so that it may also undo what was written after it. (`compare_and_set` with a version
    cannot.) If 512 calls are stuck, further ones wait for a thread; when their time is over before
    they have begun they never begin. Errors of the inner store pass through as they are.

    A call of `set_values` with many or large values is several, each with the full time.

    Args:
        store: The inner store.

        seconds: How long a call may take, more than zero. ``math.inf``: as long as it takes, in the
            thread of the caller.

        clock: Whose time passes. Defaults to the clock of the inner store.

    Raises:
        ValueError: If the seconds are zero, negative or no number.

        TypeError: If `clock` is no clock.

    Threads: as safe as the inner store, which is asked in threads of this store. The context
    (`contextvars`) of the caller is copied to them; what a thread has in `threading.local` is not
    there. Values to be written are copied unless they are bytes, since a caller may use a buffer
    again once its call has failed. At exit Python waits for calls that are still under way.
    """

    def __init__(self, store: Store, seconds: float, *, clock: Clock | None = None) -> None:
        super().__init__(store)
        endless = seconds == math.inf
        self.seconds = math.inf if endless else positive("seconds", seconds, zero=False)
        self._clock = check_clock(clock)
        if clock is not None:
            self.clock = clock
        self._executors: dict[int, Executor] = {}  # by process: a forked one has no other threads

    def close(self) -> None:
        """Close the inner store; the threads end when they have done what they are doing."""
        while self._executors:
            self._executors.popitem()[1].shutdown(wait=False)
        super().close()

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        if self.seconds == math.inf:
            return proceed()
        if call.values:
            kept = replace(call, values=tuple(_keep(value) for value in call.values))
            proceed = partial(kept.on, self._inner)
        future = self._executor().submit(copy_context().run, proceed)
        try:
            if future not in self.clock.wait([future], self.seconds)[0]:
                if future.cancel():
                    raise self._error(call, begun=False)
                if not future.done():  # else it has come just now
                    raise self._error(call, begun=True)
            return future.result()
        except BaseException:
            future.cancel()
            raise
        finally:
            del future  # else an error, its traceback and this frame keep each other alive

    def _executor(self) -> Executor:
        process = os.getpid()
        executor = self._executors.get(process)
        if executor is None:
            executor = self._executors.setdefault(process, self.clock.executor(_THREADS))
        return executor

    def _error(self, call: Call, *, begun: bool) -> TimeoutError:
        after = "it goes on, and may still have its effect" if begun else "it was not begun"
        return TimeoutError(
            f"no answer within {self.seconds:g} s; {after}",
            store=self,
            op=call.op,
            key=call.keys[0] if call.keys else call.prefix,
        )

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"seconds": self.seconds}
        return config if self._clock is None else {**config, "clock": self._clock}


def _keep(value: Value | None) -> Value | None:
    """A value that nobody can change any more."""
    if value is None or isinstance(value, bytes):
        return value
    return value if isinstance(value.obj, bytes) else bytes(value)
