"""
Hypothesis strategies of what stores are given, and of networks and faults.

They make small things: few names, so that keys meet, and short times, so that many fit into a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from storekit.errors import MissingExtraError
from storekit.stores.distributions import Distribution, LogNormal, Pareto, Uniform
from storekit.stores.fault import Fault
from storekit.stores.link import Link
from storekit.stores.outages import Outages

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "hypothesis":
        raise
    text = "the strategies need hypothesis: pip install 'storekit[testing]'"
    raise MissingExtraError(text, name=error.name) from error

__all__ = ["byte_ranges", "faults", "keys", "links", "prefixes", "values"]

_SEGMENTS = ("a", "b", "ab", "a.b", "é")  # the same ones, prefixes of each other, almost prefixes


def keys(segments: Sequence[str] = _SEGMENTS, *, max_depth: int = 3) -> SearchStrategy[str]:
    """
    Keys of few segments, so that they meet: the same ones, and such as are prefixes of others.

    Args:
        segments: What stands between the slashes.

        max_depth: How many segments a key has at most.
    """
    parts = st.lists(st.sampled_from(segments), min_size=1, max_size=max_depth)
    return parts.map("/".join)


def prefixes(segments: Sequence[str] = _SEGMENTS, *, max_depth: int = 3) -> SearchStrategy[str]:
    """
    Prefixes of such keys, ``""`` among them.

    Args:
        segments: As in `keys`.

        max_depth: As in `keys`.
    """
    return st.just("") | keys(segments, max_depth=max_depth).map(lambda key: f"{key}/")


def values(max_size: int = 40) -> SearchStrategy[bytes]:
    """
    Values, empty ones among them.

    Args:
        max_size: Their most bytes.
    """
    return st.binary(max_size=max_size)


def byte_ranges(reach: int = 50) -> SearchStrategy[tuple[int, int | None]]:
    """
    Ranges ``(start, length)`` that a store accepts: from either end, beyond it, or to it.

    Args:
        reach: How far start and length go, in bytes; farther than the values, to be of use.
    """
    return st.tuples(st.integers(-reach, reach), st.none() | st.integers(0, reach))


def links(*, reliable: bool = True) -> SearchStrategy[Link]:
    """
    Links of any kind, from none at all to slow and narrow ones. For virtual time.

    Args:
        reliable: Whether each request is answered. Else losses and outages come, too.
    """
    rates = st.none() | st.floats(10, 1e9)
    settings: dict[str, SearchStrategy[Any]] = {
        "latency": st.floats(0, 5) | _distributions(),
        "down": rates,
        "up": rates,
        "per_connection": rates,
        "max_connections": st.none() | st.integers(1, 8),
        "requests_per_second": st.none() | st.floats(0.5, 1e4),
        "page_size": st.none() | st.integers(1, 1000),
        "loss": st.floats(0, 0.5),
    }
    if reliable:
        settings["loss_delay"] = st.floats(0, 1)
    else:
        settings["loss_delay"] = st.none() | st.floats(0, 1)
        settings["outages"] = st.none() | st.builds(_outages, st.floats(1, 60), st.floats(0.1, 10))
    return st.builds(Link, **settings)


def faults(ops: str | Sequence[str] = "*") -> SearchStrategy[Fault]:
    """
    Rules that lose requests or answers, now and then.

    Args:
        ops: The operations concerned, as in `Fault`.
    """
    which = st.one_of(
        st.fixed_dictionaries({"nth": st.integers(1, 10)}),
        st.fixed_dictionaries({"every": st.integers(2, 10)}),
        st.fixed_dictionaries({"p": st.floats(0, 0.5)}),
    )
    when = st.sampled_from(["before", "after"])
    return st.builds(lambda when, which: Fault(ops, when=when, **which), when, which)


def _distributions() -> SearchStrategy[Distribution]:
    short = st.floats(0, 1)
    return st.one_of(
        st.builds(lambda low, more: Uniform(low, low + more), short, short),
        st.builds(LogNormal, short, st.floats(0, 1)),
        st.builds(Pareto, short, st.floats(1.5, 5)),
    )


def _outages(up: float, down: float) -> Outages:
    return Outages.periodic(up=up, down=down)
