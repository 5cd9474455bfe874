"""The profiles of links are what their sources say."""

from __future__ import annotations

import pytest

from storekit.errors import ConnectionLostError
from storekit.simulation import VirtualClock
from storekit.stores import MemoryStore, SlowStore, profiles

SOURCES = {  # round trip in ms, kbit/s down and up, as in store-layers of the sources
    "DEVTOOLS_SLOW_3G": (400 * 5, 500 * 0.8, 500 * 0.8),
    "DEVTOOLS_SLOW_4G": (150 * 3.75, 1600 * 0.9, 750 * 0.9),
    "DEVTOOLS_FAST_4G": (60 * 2.75, 9000 * 0.9, 1500 * 0.9),
    "CABLE": (28, 5000, 1000),
    "DSL": (50, 1500, 384),
    "LTE": (70, 12_000, 12_000),
    "MOBILE_3G": (300, 1600, 768),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_profile_has_the_numbers_of_its_source(name: str) -> None:
    """Latency and both rates are those published, in seconds and bytes a second."""
    link = getattr(profiles, name)
    latency, down, up = SOURCES[name]
    found = (link.delay.mean, link.down, link.up)
    assert found == pytest.approx((latency / 1000, down * 125, up * 125))


def test_the_latency_of_s3_fits_two_published_shares() -> None:
    """Half of the requests are answered within 30 ms, 95 % within about 80."""
    delay = profiles.S3_SAME_REGION.delay
    assert delay.sample(0.5) == pytest.approx(0.030)
    assert delay.sample(0.95) == pytest.approx(0.080, rel=0.01)


@pytest.mark.parametrize("name", profiles.NAMES)
def test_profiles_are_found_by_name(name: str) -> None:
    """Upper, lower and with dashes: a name leads to the one link that has it."""
    link = getattr(profiles, name.upper())
    assert profiles.by_name(name) is profiles.by_name(name.upper().replace("_", "-")) is link


@pytest.mark.parametrize("name", ["", "5g", "NAMES", "by_name", None, 3])
def test_an_unknown_profile_is_an_error_that_lists_them(name: str) -> None:
    """The message names those that there are."""
    with pytest.raises(ValueError, match="lte"):
        profiles.by_name(name)


def test_offline_fails_at_once() -> None:
    """Without a network each request is a lost connection, and takes no time."""
    clock = VirtualClock()
    slow = SlowStore(MemoryStore({"a": b""}), link=profiles.OFFLINE, clock=clock)
    with pytest.raises(ConnectionLostError):
        slow.get("a")
    assert clock.now() == 0
