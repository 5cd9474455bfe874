"""How many requests it takes to know what a hierarchy holds, and how many are on their way."""

from __future__ import annotations

import numpy as np
import pytest

import storekit as sk


@pytest.mark.parametrize("count", [0, 1, 100])
def test_sizes_are_asked_for_side_by_side(count: int) -> None:
    """From a network the sizes of chunks are asked for at once, as chunks are read."""
    inner, clock = sk.MemoryStore(), sk.VirtualClock()
    sk.ZarrArray.create(inner, data=np.arange(1, count + 1), chunks=1, codecs="none")
    array = sk.open_zarr(sk.SlowStore(inner, 0.05, clock=clock))
    start = clock.now()
    assert array.stored_nbytes() == 8 * count
    listing, rounds = 1, -(-count // array.store.concurrency)
    assert clock.now() - start == pytest.approx(0.05 * (listing + rounds))
