"""A store that is far away."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from numbers import Real
from typing import Any

from storekit.clock import Clock
from storekit.stores.base import Latency, Store
from storekit.stores.wrapper import Call, WrapperStore

__all__ = ["SlowStore"]

_NETWORK_DELAY = 1e-3  # seconds from which on a request is worth a thread of its own
_NETWORK_CONCURRENCY = 64


class SlowStore(WrapperStore):
    """
    A store whose every operation takes time, like one behind a network.

    An operation takes `base_delay`, also when it fails or finds nothing, and the time that its
    bytes need. What is written has been sent before anybody sees it; what is read arrives after it
    was read. Operations do not get in each other's way.

    `set_values` takes the delay for each of its values, as if they were set one by one: no network
    store takes several in one request.

    Args:
        store: The inner store.

        base_delay: Seconds that each operation takes, whatever its size.

        bits_per_second: How fast values, and the names in listings, are moved. 0 means at once.

        clock: Whose time passes. Defaults to the clock of the inner store.

    Raises:
        ValueError: If a parameter is negative or no finite number.

    Threads: as safe as the inner store; threads wait side by side.
    """

    def __init__(
        self,
        store: Store,
        base_delay: float = 1.0,
        bits_per_second: float = 0.0,
        *,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(store)
        self.base_delay = _positive("base_delay", base_delay)
        self.bits_per_second = _positive("bits_per_second", bits_per_second)
        self._clock = clock
        if clock is not None:
            self.clock = clock
        if self._is_network:
            self.latency = Latency.NETWORK

    @property
    def concurrency(self) -> int:
        """64 if the delay is that of a network, else that of the inner store."""
        return _NETWORK_CONCURRENCY if self._is_network else self.inner.concurrency

    @property
    def _is_network(self) -> bool:
        return self.base_delay >= _NETWORK_DELAY

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        requests = len(call.keys) if call.op == "set_values" else 1
        self.clock.sleep(requests * self.base_delay + self._transfer(call.upload))
        answer = proceed()
        if call.op != "compare_and_set":  # whose answer, a version, weighs nothing
            self.clock.sleep(self._transfer(_download(answer)))
        return answer

    def _transfer(self, size: int) -> float:
        return 8 * size / self.bits_per_second if self.bits_per_second else 0.0

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"base_delay": self.base_delay}
        if self.bits_per_second:
            config["bits_per_second"] = self.bits_per_second
        if self._clock is not None:
            config["clock"] = self._clock
        return config


def _download(answer: object) -> int:
    """How many bytes an answer brings, of values and of listed names."""
    if isinstance(answer, bytes | memoryview):
        return len(answer)
    if isinstance(answer, tuple):  # a value and its version
        return _download(answer[0])
    if isinstance(answer, str):
        return len(answer.encode())
    if isinstance(answer, list):
        return sum(map(_download, answer))
    return 0


def _positive(name: str, value: object) -> float:
    if not isinstance(value, bool) and isinstance(value, Real):
        number = float(value)
        if isfinite(number) and number >= 0:
            return number
    raise ValueError(f"{name} must be a finite number, not negative; found {value!r}")
