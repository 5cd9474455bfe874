"""By a real clock a link moves bytes as fast as it says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from storekit.clock import REAL_CLOCK
from storekit.stores import MemoryStore, SlowStore
from storekit.stores.link import Link

KIB = 1 << 10


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("size", [64 * KIB, 1024 * KIB])
@pytest.mark.parametrize("rate", [1e7, 1e8, 1e9])
def test_the_error_is_less_than_two_percent(rate: float, size: int, threads: int) -> None:
    """The best of a few runs takes the time of its bytes, and 2 % more at most; none takes less."""
    each = max(int(rate * 0.2 / size / threads), 3)

    def read(slow: SlowStore) -> None:
        for _ in range(each):
            slow.get("a")  # type: ignore[attr-defined]

    ratios = []
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: REAL_CLOCK.sleep(0.001), range(threads)))  # the threads are there
        for _ in range(7):
            slow = SlowStore(MemoryStore({"a": bytes(size)}), link=Link(down=rate))
            begin = REAL_CLOCK.now()
            list(pool.map(read, [slow] * threads))
            ratios.append((REAL_CLOCK.now() - begin) / (threads * each * size / rate))
    assert 0.999 < min(ratios) < 1.02, ratios
