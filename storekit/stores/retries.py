"""When a call that failed is made again, and how long that waits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from storekit.clock import Clock
from storekit.draws import Draws
from storekit.errors import RateLimitedError, StoreError
from storekit.stopping import check_stopped, pause
from storekit.stores._checks import positive

__all__ = ["RetryPolicy"]

T = TypeVar("T")

_JITTERS = ("decorrelated", "full", "none")


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """
    How often to try, and how long to wait in between.

    Attributes:
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

    `RateLimitedError.retry_after` is respected: the wait is at least as long, or is not begun if
    that is beyond the budget.

    Raises:
        ValueError: If a parameter makes no sense.
    """

    attempts: int = 4
    first: float = 0.1
    factor: float = 2.0
    cap: float = 5.0
    jitter: Literal["decorrelated", "full", "none"] = "decorrelated"
    budget: float = 45.0
    seed: int = 0

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or self.attempts < 1:
            raise ValueError(f"attempts must be an int of at least 1, found {self.attempts!r}")
        if self.jitter not in _JITTERS:
            raise ValueError(f"jitter must be one of {_JITTERS}, found {self.jitter!r}")
        for name in ("first", "cap", "factor", "budget"):
            value = getattr(self, name)
            if name != "budget" or value != math.inf:
                object.__setattr__(self, name, positive(name, value))
        if self.factor < 1:
            raise ValueError(f"factor must be at least 1, found {self.factor!r}")
        if self.cap < self.first:
            raise ValueError(f"cap must not be less than first, {self.first!r}; found {self.cap!r}")

    def run(
        self,
        proceed: Callable[[], T],
        *,
        who: str,
        clock: Clock,
        delays: Iterator[float],
        forbidden: Callable[[StoreError], str | None],
        on_retry: Callable[[StoreError, int, float], object] | None = None,
    ) -> T:
        """
        The result of `proceed`, which is called until it succeeds or there is no further attempt.

        Args:
            proceed: One attempt.

            who: Tries; for the note on the last error.

            clock: Whose time passes.

            delays: From `delays`.

            forbidden: Why an error, though it may pass, is not followed by another attempt; None
                if it may be.

            on_retry: Called with the error, the number of the attempt and the wait that follows.

        Raises:
            StoreError: The last error as it is, with a note of what was tried.

            CancelledError: If the call belongs to work that nobody wants any more.
        """
        begin = clock.now()
        attempt = 1
        while True:
            try:
                return proceed()
            except StoreError as error:
                check_stopped()
                elapsed = clock.now() - begin
                delay, why = self._next(error, attempt, elapsed, delays, forbidden)
                if why:
                    if error.retryable or attempt > 1:
                        so_far = f"attempt {attempt} of {self.attempts}, after {elapsed:.3f} s"
                        error.add_note(f"{who}: {so_far}; {why}")
                    raise
                if on_retry is not None:
                    on_retry(error, attempt, delay)
            # Out here, so that an error of the next attempt does not have this one as its context.
            pause(clock, delay)
            attempt += 1

    def _next(
        self,
        error: StoreError,
        attempt: int,
        elapsed: float,
        delays: Iterator[float],
        forbidden: Callable[[StoreError], str | None],
    ) -> tuple[float, str]:
        """The wait until the next attempt, or why there is none."""
        if not error.retryable:
            return 0.0, "this error does not pass"
        if why := forbidden(error):
            return 0.0, why
        if attempt == self.attempts:
            return 0.0, "there are no more"
        delay = max(next(delays), _wish(error))
        if delay < math.inf and elapsed + delay <= self.budget:
            return delay, ""
        return 0.0, f"a wait of {delay:g} s is beyond the budget of {self.budget:g} s"

    def delays(self, draws: Draws, op: str, key: str) -> Iterator[float]:
        """The waits of one call, as long as nobody wishes for longer ones."""
        delay = self.first
        while True:
            full = self.jitter == "full"
            yield delay * draws.uniform("wait", op, key) if full else delay
            longest = delay * self.factor
            if self.jitter == "decorrelated":
                u = draws.uniform("wait", op, key)
                longest = self.first + u * (longest - self.first)
            delay = min(longest, self.cap)


def _wish(error: StoreError) -> float:
    """The seconds that the store asks to wait."""
    return (error.retry_after or 0.0) if isinstance(error, RateLimitedError) else 0.0
