"""How many requests it takes to know what a hierarchy holds, and how many are on their way."""

from __future__ import annotations

from typing import Any

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


@pytest.mark.parametrize(
    "names",
    [lambda group: list(group.keys()), lambda group: [name for name in group]],  # noqa: C416
    ids=["keys", "loop"],
)
def test_names_of_children_take_a_listing_and_their_documents(names: Any) -> None:
    """The names in a group are found by one listing, and one request for each child."""
    inner, trace = sk.MemoryStore(), sk.Trace()
    for name in ("a", "b"):
        sk.ZarrGroup.create(inner, name)
    group = sk.open_zarr(sk.TraceStore(inner, trace))
    trace.clear()
    assert names(group) == ["a", "b"]
    assert [record.op for record in trace] == ["list_dir", "get", "get"]
