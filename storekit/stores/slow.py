"""A store that is far away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from math import inf
from typing import Any

from storekit.clock import Clock
from storekit.draws import Draws
from storekit.stores._checks import check_clock, positive
from storekit.stores._network import Trip
from storekit.stores.base import Latency, ListableStore, Store
from storekit.stores.coalesce import coalesce
from storekit.stores.link import Link
from storekit.stores.wrapper import Call, WrapperStore
from storekit.typing import ByteRange, Value

__all__ = ["SlowStore"]

_NETWORK_CONCURRENCY = 64


class SlowStore(WrapperStore):
    """
    A store whose every operation takes time, like one behind a network.

    What takes which time says the `Link`; by default that is one of this store alone, with a
    latency of `base_delay` and a bandwidth of `bits_per_second`. What is written has been sent
    before anybody sees it; what is read arrives after it was read.

    A call is as many requests as a plain server would need, one after the other: one for each key;
    of one key one for all ranges that are so near to each other that a further request would take
    longer than to read what lies between; one for each page of a listing; for a prefix that is
    erased, the pages of its listing and one for each key. The first request of a listing or of
    erasing a prefix comes before the effect, the others after it.

    Args:
        store: The inner store.

        base_delay: Seconds that each request takes, beside its transfer. Defaults to 1, as in
            simplezarr; not to be given with `link`.

        bits_per_second: How fast values, and the names in listings, are moved, in each direction.
            All threads share it. 0 means at once; not to be given with `link`.

        link: The network, which other stores may share.

        clock: Whose time passes. Defaults to the clock of the inner store.

        seed: Of latencies that vary, and of losses. They depend on the operation, the key and how
            often it was asked for, not on the order of threads.

    Raises:
        ValueError: If a parameter is negative or no finite number, or both the link and what it
            stands for are given; or the seed is no int.

        TypeError: If `clock` is no clock.

    Threads: as safe as the inner store. Threads wait side by side.
    """

    def __init__(
        self,
        store: Store,
        base_delay: float = 1.0,
        bits_per_second: float = 0.0,
        *,
        link: Link | None = None,
        clock: Clock | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(store)
        self.bits_per_second = positive("bits_per_second", bits_per_second)
        if link is None:
            self.base_delay = positive("base_delay", base_delay)
            rate = self.bits_per_second / 8 or None
            self.link = Link(latency=self.base_delay, down=rate, up=rate)
        elif not isinstance(link, Link):
            raise ValueError(f"link must be a Link, found {link!r}")
        elif (base_delay, bits_per_second) != (1.0, 0.0):
            raise ValueError(
                "base_delay and bits_per_second are those of the link, if there is one"
            )
        else:
            self.link, self.base_delay = link, link.delay.mean
        self._own_link = link is None
        self._clock, self.seed = check_clock(clock), seed
        self._draws = Draws(seed)
        if clock is not None:
            self.clock = clock
        if self.link.is_far:
            self.latency = Latency.NETWORK
            if self.link.worth < inf:
                self.request_cost = self.link.worth
        if isinstance(self, ListableStore) and self.link.page_size is not None:
            self.page_size = self.link.page_size

    @property
    def concurrency(self) -> int:
        """
        As many as the link has connections; 64 if they are not limited and the link is far away
        (`Link.is_far`), else as many as for the inner store.
        """
        usual = _NETWORK_CONCURRENCY if self.link.is_far else self.inner.concurrency
        return self.link.max_connections or usual

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        trip = Trip(self.link.network(self.clock), self.clock, self._draws)
        return trip.carry_out(call, self._requests(call), proceed, partial(self._weigh, call))

    def _requests(self, call: Call) -> Iterator[str]:
        """The key or prefix of each request that a call needs before it has its effect."""
        if call.prefix is not None:
            yield call.prefix
        elif call.op == "get_partial_values":
            parts = zip(call.keys, call.ranges, strict=True)
            for key, group in groupby(parts, key=lambda part: part[0]):
                count = len(self._spans([part for _, part in group]))
                yield from [key] * max(count, 1)
        else:
            yield from (key for key, _ in groupby(call.keys))

    def _pages(self, names: int) -> int:
        return max(-(-names // (self.page_size or names or 1)), 1)

    def _spans(self, ranges: Sequence[ByteRange]) -> list[tuple[float, float]]:
        """What is requested of one value; negative where it counts from the end."""
        ends = [(start, inf if length is None else start + length) for start, length in ranges]
        suffixes = [span for span in ends if span[0] < 0]
        return suffixes + coalesce([span for span in ends if span[0] >= 0], self.link.worth)

    def _weigh(self, call: Call, answer: Any) -> tuple[int, float]:
        """How many requests an answer took, and its bytes, of values and of listed names."""
        match call.op:
            case "get":
                return 1, len(answer)
            case "get_versioned":
                return 1, len(answer[0])
            case "get_partial_values":
                return 1, self._weigh_parts(call, answer)
            case "list" | "list_prefix" | "list_dir":
                return self._pages(len(answer)), sum(len(name.encode()) for name in answer)
            case "erase_prefix":
                return self._pages(answer) + answer, 0
        return 1, 0

    def _weigh_parts(self, call: Call, answer: Sequence[Value | None]) -> float:
        """The bytes of ranges, and those between two that came with the same request."""
        size = 0.0
        parts = zip(call.keys, call.ranges, answer, strict=True)
        for _, group in groupby(parts, key=lambda part: part[0]):
            found = [(start, len(value)) for _, (start, _), value in group if value is not None]
            spans = self._spans(found)
            size += sum(last - first for first, last in spans)
        return size

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {}
        if not self._own_link:
            config["link"] = self.link
        else:
            config["base_delay"] = self.base_delay
            if self.bits_per_second:
                config["bits_per_second"] = self.bits_per_second
        if self._clock is not None:
            config["clock"] = self._clock
        if self.seed:
            config["seed"] = self.seed
        return config
