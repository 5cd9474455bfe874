"""When a link is down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from storekit.stores._checks import positive

__all__ = ["Outages"]


@dataclass(frozen=True)
class Outages:
    """
    A schedule of periods in which a link is down.

    Args:
        periods: Of ``(start, stop)`` in seconds, in rising order; the last may stop at infinity.
            Counted from the first request over the link by its clock.

        every: Seconds after which the schedule begins again. None: it comes once.

    Raises:
        ValueError: If the periods are no such thing, or do not fit into `every`.
    """

    periods: tuple[tuple[float, float], ...]
    every: float | None = None

    def __post_init__(self) -> None:
        try:
            periods = tuple((float(start), float(stop)) for start, stop in self.periods)
        except (TypeError, ValueError):
            raise ValueError(
                f"outages must be periods of (start, stop), found {self.periods!r}"
            ) from None
        object.__setattr__(self, "periods", periods)
        limit = math.inf if self.every is None else positive("every", self.every, zero=False)
        moments = [moment for period in periods for moment in period]
        rising = all(a < b for a, b in pairwise(moments))
        if not moments or not rising or not moments[0] >= 0 or not moments[-1] <= limit:
            raise ValueError(
                f"outages must be periods of (start, stop) in rising order"
                f"{'' if self.every is None else f', within {limit} s'}; found {self.periods}"
            )

    @classmethod
    def periodic(cls, *, up: float, down: float) -> Self:
        """
        Up for a while, then down for a while, and so on.

        Args:
            up: Seconds.

            down: Seconds.
        """
        up, down = positive("up", up, zero=False), positive("down", down, zero=False)
        return cls(((up, up + down),), every=up + down)

    def is_down(self, moment: float) -> bool:
        """Whether the link is down at a moment, in seconds."""
        if self.every is not None:
            moment %= self.every
        return any(start <= moment < stop for start, stop in self.periods)

    def next_after(self, moment: float) -> float:
        """When the next outage begins after a moment at which the link is up; else infinity."""
        cycle = 0.0
        if self.every is not None:
            cycle = moment - moment % self.every
        starts = [cycle + start for start, _ in self.periods if cycle + start > moment]
        if starts:
            return starts[0]
        return math.inf if self.every is None else cycle + self.every + self.periods[0][0]
