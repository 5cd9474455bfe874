"""Pieces that are copied side by side: how many at once, and by whose clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from storekit.clock import REAL_CLOCK, Clock
from storekit.frames.home import Home
from storekit.pool import run
from storekit.stores.base import Store

__all__ = ["clock_of", "in_flight"]

T = TypeVar("T")

_IN_FLIGHT = 256 << 20
"""Decoded bytes of the chunks that are on their way at once, though it may be more of a few."""

_FEWEST = 4


def in_flight(
    items: Iterable[T],
    work: Callable[[Iterable[T]], None],
    source: Home | Store,
    target: Home | Store,
    size: int,
) -> None:
    """
    Copy pieces side by side, though not too many.

    Args:
        items: The pieces.

        work: What copies some of them.

        source: Where they come from.

        target: Where they go to.

        size: Decoded bytes of each.
    """
    crew = max(source.concurrency, target.concurrency)
    workers = min(crew, max(_IN_FLIGHT // max(size, 1), _FEWEST))
    run(items, work, clock=clock_of(source, target), workers=workers, crew=crew)


def clock_of(source: Home | Store, target: Home | Store) -> Clock:
    """
    Whose threads copy. A clock that is not the machine's may let no others wait for it.

    Raises:
        ValueError: If there are two such clocks.
    """
    clocks = {source.clock, target.clock} - {REAL_CLOCK}
    if len(clocks) > 1:
        raise ValueError(
            "source and target go by two clocks, and threads can wait for one: give both the same"
        )
    return clocks.pop() if clocks else max(source, target, key=lambda place: place.latency).clock
