"""A store that tries again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal

from storekit.clock import Clock
from storekit.draws import Draws
from storekit.errors import RateLimitedError, StoreError
from storekit.stores._checks import check_clock
from storekit.stores.base import Store
from storekit.stores.retries import RetryPolicy
from storekit.stores.wrapper import Call, WrapperStore

__all__ = ["RetryEvent", "RetryStore"]


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

        TypeError: If `clock` is no clock, or `on_retry` no function.

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
        self.policy = RetryPolicy(
            attempts=attempts,
            first=first,
            factor=factor,
            cap=cap,
            jitter=jitter,
            budget=budget,
            seed=seed,
        )
        if on_retry is not None and not callable(on_retry):
            raise TypeError(f"on_retry must be a function, found {on_retry!r}")
        self.on_retry, self._clock, self._draws = on_retry, check_clock(clock), Draws(seed)
        if clock is not None:
            self.clock = clock

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        if self.policy.attempts == 1:
            return proceed()
        key = call.keys[0] if call.keys else call.prefix or ""

        def tell(error: StoreError, attempt: int, delay: float) -> None:
            if self.on_retry is not None:
                self.on_retry(RetryEvent(call, error, attempt, delay))

        def forbidden(error: StoreError) -> str | None:
            if call.op == "compare_and_set" and not isinstance(error, RateLimitedError):
                return "it is not sent again, since it may have had its effect"
            return None

        return self.policy.run(
            proceed,
            who="RetryStore",
            clock=self.clock,
            delays=self.policy.delays(self._draws, call.op, key),
            forbidden=forbidden,
            on_retry=tell,
        )

    def _config(self) -> dict[str, Any]:
        config = {
            field.name: value
            for field in fields(self.policy)
            if (value := getattr(self.policy, field.name)) != field.default
        }
        if self.on_retry is not None:
            config["on_retry"] = self.on_retry
        return config if self._clock is None else {**config, "clock": self._clock}
