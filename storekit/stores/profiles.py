"""
Links as they are found in the world, each with its source.

Rates are in bytes a second (1 kbit is 125 bytes), latencies in seconds a request. Each profile is
one link: all stores that are given it share it. `dataclasses.replace(profiles.LTE)` is another one
with the same settings, and `by_name("lte")` finds one by a text.

What WebPageTest calls latency is the round trip of a packet, which a request over an open
connection takes once. DevTools multiplies its latencies by 2.75 to 5 for what else a request waits
for; they are taken here with that factor.
"""

from __future__ import annotations

import math
from typing import Final

from storekit.stores.distributions import LogNormal, Uniform
from storekit.stores.link import Link
from storekit.stores.outages import Outages

__all__ = ["NAMES", "by_name"]

_MIB = 1 << 20

DEVTOOLS_SLOW_3G: Final = Link(latency=2.0, down=50_000, up=50_000)
"""Chrome's "3G": 400 ms times 5, 500 kbit/s times 0.8 (devtools-frontend, NetworkManager.ts)."""

DEVTOOLS_SLOW_4G: Final = Link(latency=0.5625, down=180_000, up=84_375)
"""Chrome's "Slow 4G", "Fast 3G" until 2024: 150 ms times 3.75, 1.6 Mbit/s times 0.9 (ibid.)."""

DEVTOOLS_FAST_4G: Final = Link(latency=0.165, down=1_012_500, up=168_750)
"""Chrome's "Fast 4G": 60 ms times 2.75, 9 Mbit/s times 0.9 (ibid.)."""

CABLE: Final = Link(latency=0.028, down=625_000, up=125_000)
"""WebPageTest's "Cable": 28 ms, 5/1 Mbit/s (www/settings/connectivity.ini.sample)."""

DSL: Final = Link(latency=0.05, down=187_500, up=48_000)
"""WebPageTest's "DSL": 50 ms, 1.5 Mbit/s and 384 kbit/s (ibid.)."""

LTE: Final = Link(latency=0.07, down=1_500_000, up=1_500_000)
"""WebPageTest's "LTE": 70 ms, 12 Mbit/s (ibid.)."""

MOBILE_3G: Final = Link(latency=0.3, down=200_000, up=96_000)
"""WebPageTest's "3G": 300 ms, 1.6 Mbit/s and 768 kbit/s (ibid.)."""

LAN: Final = Link(latency=0.0005, down=125_000_000, up=125_000_000)
"""A wired network in one building: 0.5 ms, 1 Gbit/s. Our own round numbers."""

CROSS_CONTINENT: Final = Link(latency=0.15, down=12_500_000, up=12_500_000)
"""A server on the other side of an ocean: 150 ms, 100 Mbit/s. Our own round numbers."""

S3_SAME_REGION: Final = Link(
    latency=LogNormal(0.030, 0.6),
    per_connection=55 * _MIB,
    down=1_250_000_000,
    up=1_250_000_000,
    page_size=1000,
)
"""
S3 from a machine of 10 Gbit/s in its region. 55 MiB/s is the median bandwidth of one object's
download (Durner, Leis, Neumann, PVLDB 16(11), 2023). The latency is our fit: median 30 ms, 95 %
under 80 ms.
"""

S3_DOCUMENTED: Final = Link(
    latency=Uniform(0.1, 0.2),
    per_connection=85_000_000,
    requests_per_second=5500,
    page_size=1000,
)
"""
S3 as its documentation tells it: "roughly 100-200 milliseconds" for small objects, one request for
each 85 to 90 MB/s, 5500 reads a second for a prefix (docs.aws.amazon.com, Amazon S3 performance).
"""

S3_EXPRESS: Final = Link(latency=0.005, per_connection=85_000_000, page_size=1000)
"""S3 Express One Zone: "single-digit milliseconds" (ibid.); 5 ms are our choice."""

OFFLINE: Final = Link(outages=Outages(((0, math.inf),)))
"""No network: each request fails at once with `ConnectionLostError`."""

NAMES: Final = tuple(
    sorted(name.lower() for name, value in list(globals().items()) if isinstance(value, Link))
)
"""The names of all profiles, in lower case."""


def by_name(name: str) -> Link:
    """
    The profile of a name in lower or upper case; ``-`` counts as ``_``.

    Raises:
        ValueError: If there is none.
    """
    plain = name.lower().replace("-", "_") if isinstance(name, str) else name
    if plain not in NAMES:
        raise ValueError(f"no profile {name!r}; there are {', '.join(NAMES)}")
    link: Link = globals()[plain.upper()]
    return link
