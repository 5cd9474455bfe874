"""A store that tries again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from storekit.clock import Clock
from storekit.draws import Draws
from storekit.errors import RateLimitedError, StoreError
from storekit.stores.base import Store
from storekit.stores.distributions import positive
from storekit.stores.wrapper import Call, WrapperStore

__all__ = ["RetryEvent", "RetryStore"]

_JITTERS = ("decorrelated", "full", "none")
_USUAL = {
    "attempts": 4,
    "first": 0.1,
    "factor": 2.0,
    "cap": 5.0,
    "jitter": "decorrelated",
    "budget": 45.0,
    "seed": 0,
    "on_retry": None,
}


@dataclass(frozen=True, slots=True)
class RetryEvent:
    """
    An attempt that failed, and will be followed by another one.

    Attributes:
        call: What was asked.

        error: What came of it.

        attempt: The number of the attempt that failed, beginning with 1.

        delay: Seconds until the next one.
    """

    call: Call
    error: StoreError
    attempt: int
    delay: float


class RetryStore(WrapperStore):
    """
    A store that makes a call again after an error that may pass.

    These are the errors that are `retryable`; any other one, absence for example, is an answer.
    When no further attempt is made the last error is raised as it is, with a note of the attempts.

    An error such as a lost connection does not tell whether the call had its effect. Most calls may
    have it twice: whoever sets or erases what others change at the same time may then undo what
    they did in between. `compare_and_set` never does: it is sent again only after
    `RateLimitedError`, which says that nothing was done. The count of `erase_prefix` is that of the
    last attempt, so what an earlier one removed is not in it.

    Args:
        store: The inner store.

        attempts: How often a call is made at most; 1 for no second time.

        first: Seconds of the first wait.

        factor: By how much waits grow, at least 1.

        cap: Seconds that no wait exceeds, unless the store asks for more.

        jitter: ``"decorrelated"``: the first wait is exactly `first`, each further one is between
            `first` and `factor` times the one before. ``"none"``: each is `factor` times the one
            before. ``"full"``: anything from zero to that.

        budget: Seconds from the first attempt in which another one may begin; ``math.inf`` for
            ever. A wait that would last longer is not begun.

        seed: Of the waits. They depend on the operation, the key and how often it was waited for,
            not on the order of threads.

        clock: Whose time passes. Defaults to the clock of the inner store.

        on_retry: Called with a `RetryEvent` before each wait, in the thread of the call.

    `RateLimitedError.retry_after` is respected: the wait is at least as long, or is not begun if
    that is beyond the budget.

    Raises:
        ValueError: If a parameter makes no sense.

    Threads: as safe as the inner store. Each call waits by itself.
    """

    def __init__(
        self,
        store: Store,
        *,
        attempts: int = 4,
        first: float = 0.1,
        factor: float = 2.0,
        cap: float = 5.0,
        jitter: Literal["decorrelated", "full", "none"] = "decorrelated",
        budget: float = 45.0,
        seed: int = 0,
        clock: Clock | None = None,
        on_retry: Callable[[RetryEvent], object] | None = None,
    ) -> None:
        super().__init__(store)
        if type(attempts) is not int or attempts < 1:
            raise ValueError(f"attempts must be an int of at least 1, found {attempts!r}")
        if jitter not in _JITTERS:
            raise ValueError(f"jitter must be one of {_JITTERS}, found {jitter!r}")
        if on_retry is not None and not callable(on_retry):
            raise TypeError(f"on_retry must be a function, found {on_retry!r}")
        self.attempts, self.jitter, self.seed = attempts, jitter, seed
        self.first, self.cap = positive("first", first), positive("cap", cap)
        self.factor = positive("factor", factor)
        self.budget = budget if budget == math.inf else positive("budget", budget)
        if self.factor < 1:
            raise ValueError(f"factor must be at least 1, found {factor!r}")
        if self.cap < self.first:
            raise ValueError(f"cap must not be less than first, {first!r}; found {cap!r}")
        self.on_retry, self._clock, self._draws = on_retry, clock, Draws(seed)
        if clock is not None:
            self.clock = clock

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        if self.attempts == 1:
            return proceed()
        begin = self.clock.now()
        delays = self._delays(call.op, call.keys[0] if call.keys else call.prefix or "")
        attempt = 1
        while True:
            try:
                return proceed()
            except StoreError as error:
                elapsed = self.clock.now() - begin
                delay = self._next(call, error, attempt, elapsed, delays)
                if self.on_retry is not None:
                    self.on_retry(RetryEvent(call, error, attempt, delay))
            # Out here, so that an error of the next attempt does not have this one as its context.
            self.clock.sleep(delay)
            attempt += 1

    def _next(
        self, call: Call, error: StoreError, attempt: int, elapsed: float, delays: Iterator[float]
    ) -> float:
        """
        The wait until the next attempt.

        Raises:
            StoreError: The error, with a note of what was tried, if there is none.
        """
        if not error.retryable:
            why = "this error does not pass"
        elif call.op == "compare_and_set" and not isinstance(error, RateLimitedError):
            why = "it is not sent again, since it may have had its effect"
        elif attempt == self.attempts:
            why = "there are no more"
        else:
            delay = max(next(delays), _wish(error))
            if delay < math.inf and elapsed + delay <= self.budget:
                return delay
            why = f"a wait of {delay:g} s is beyond the budget of {self.budget:g} s"
        if error.retryable or attempt > 1:
            so_far = f"attempt {attempt} of {self.attempts}, after {elapsed:.3f} s"
            error.add_note(f"RetryStore: {so_far}; {why}")
        raise error

    def _delays(self, op: str, key: str) -> Iterator[float]:
        delay = self.first
        while True:
            full = self.jitter == "full"
            yield delay * self._draws.uniform("wait", op, key) if full else delay
            longest = delay * self.factor
            if self.jitter == "decorrelated":
                u = self._draws.uniform("wait", op, key)
                longest = self.first + u * (longest - self.first)
            delay = min(longest, self.cap)

    def _config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in _USUAL}
        config = {name: value for name, value in config.items() if value != _USUAL[name]}
        return config if self._clock is None else {**config, "clock": self._clock}


def _wish(error: StoreError) -> float:
    """The seconds that the store asks to wait."""
    return (error.retry_after or 0.0) if isinstance(error, RateLimitedError) else 0.0
