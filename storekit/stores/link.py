"""The capacity of a network between stores and those who use them."""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass, field, fields
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from storekit.clock import REAL_CLOCK, Clock
from storekit.shared import Shared
from storekit.stores._checks import positive
from storekit.stores._network import Network
from storekit.stores.distributions import Constant, Distribution
from storekit.stores.outages import Outages

__all__ = ["Link"]

_links: WeakSet[Link] = WeakSet()
_FAR = 1e-3  # seconds from which on a request is worth a thread of its own


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Link(Shared):
    """
    A network link: what requests over it take, and what they share.

    All threads, and all stores that are given the same link and use the same clock, share its
    bandwidth, its connections and its requests a second. `dataclasses.replace` makes a link of its
    own with other settings. Each field is off by default.

    A request waits for a connection, then for its turn by `requests_per_second`, then for the
    latency. Then what it sends is moved up the link, takes effect in the store, and the answer is
    moved down. All of it is charged whatever comes out: a missing key or an error of the store
    takes the time of an answer without content.

    Attributes:
        latency: Seconds from a request to the beginning of its answer, beside the time to move
            bytes: a number, or a `Distribution`. Charged for each request, before it has any
            effect.

        down: Bytes a second that all downloads share, each an equal part. None: no limit.

        up: The same for uploads.

        per_connection: Bytes a second that a single transfer, up or down, does not exceed.

        max_connections: How many calls are under way at once; further ones wait, first come, first
            served. A call of several requests makes them one after the other on its connection.

        requests_per_second: How many requests begin in a second, at equal distances.

        page_size: How many names one request of a listing brings; the next page costs another
            request. None: as many as there are, or the page size of the store.

        loss: The share of requests that meet a loss, from 0 to 1.

        loss_delay: Seconds that a loss costs, as when a packet is sent again. None: the connection
            is lost, `ConnectionLostError`: of half of them the request never arrived, of the others
            the answer got lost, and the call has had its effect.

        outages: When the link is down. A request made then fails with `ConnectionLostError` after
            its latency; one that is under way fails when the outage begins, without effect if it
            was still sending.

    Raises:
        ValueError: If a setting is negative or no number, or a rate or limit is zero.

    Threads: safe. Pickled, it stays one link in each process (see `storekit.shared`).
    """

    latency: Distribution | float = 0.0
    down: float | None = None
    up: float | None = None
    per_connection: float | None = None
    max_connections: int | None = None
    requests_per_second: float | None = None
    page_size: int | None = None
    loss: float = 0.0
    loss_delay: float | None = None
    outages: Outages | None = None
    delay: Distribution = field(init=False)

    def __post_init__(self) -> None:
        latency = self.latency
        if not isinstance(latency, Distribution):
            latency = Constant(positive("latency", latency))
        object.__setattr__(self, "delay", latency)
        for name in ("down", "up", "per_connection", "requests_per_second"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, positive(name, getattr(self, name), zero=False))
        for name in ("max_connections", "page_size"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"{name} must be an int of at least 1, found {value!r}")
        if positive("loss", self.loss) > 1:
            raise ValueError(f"loss must be at most 1, found {self.loss!r}")
        if self.loss_delay is not None:
            positive("loss_delay", self.loss_delay)
        if self.outages is not None and not isinstance(self.outages, Outages):
            raise ValueError(f"outages must be Outages, found {self.outages!r}")
        self._begin_anew()
        _links.add(self)

    _networks: WeakKeyDictionary[Clock, Network] = field(init=False)
    _guard: threading.Lock = field(init=False)

    def _begin_anew(self) -> None:
        object.__setattr__(self, "_networks", WeakKeyDictionary())
        object.__setattr__(self, "_guard", threading.Lock())

    def network(self, clock: Clock) -> Network:
        """What goes on on the link by that clock; each clock has a network of its own."""
        if clock == REAL_CLOCK:
            clock = REAL_CLOCK  # an equal one, which may live for a shorter time
        with self._guard:
            network = self._networks.get(clock)
            if network is None:
                network = self._networks[clock] = Network(self, clock.now())
            return network

    @property
    def is_far(self) -> bool:
        """Whether requests take long enough for threads to help: a millisecond, or bytes do."""
        return self.delay.mean >= _FAR or self._rate < math.inf

    @property
    def worth(self) -> float:
        """How many bytes one connection moves down in the time that one more request takes."""
        return self.delay.mean * self._rate if self.delay.mean else 0.0

    @property
    def _rate(self) -> float:
        return min(self.per_connection or math.inf, self.down or math.inf)

    def _arguments(self) -> dict[str, Any]:
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.init and getattr(self, field.name) != field.default
        }

    def __repr__(self) -> str:
        return f"Link({', '.join(f'{key}={value!r}' for key, value in self._arguments().items())})"


def _begin_anew() -> None:
    """In a forked child nothing is under way on any link."""
    for link in _links:
        link._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
