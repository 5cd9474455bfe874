"""The lock of a value is given back, whenever Ctrl-C comes, and nothing is kept of it."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import pytest
from array_layouts import PlainStore
from signal_points import in_time, interrupted

from storekit import MemoryStore, ZarrArray
from storekit.nodes import locks


@pytest.mark.parametrize("make", [MemoryStore, PlainStore])
def test_an_interrupt_that_is_kept_keeps_no_lock(make: Any) -> None:
    """
    Wherever Ctrl-C comes in a write, another thread can write, also while the error is kept, as an
    interactive session does.
    """
    kept = []
    for moment in count():
        array = ZarrArray.create(make(), data=np.arange(8), chunks=8)
        error = interrupted(lambda array=array: array.__setitem__(slice(1, 3), 7), moment)
        if error is None:
            break
        kept.append(error)
        in_time(lambda array=array: array.__setitem__(slice(4, 6), 5))
        assert array[3:].tolist() == [3, 5, 5, 6, 7]
        assert array[1:3].tolist() in ([1, 2], [7, 7])
    assert len(kept) > 50


def test_no_locks_pile_up() -> None:
    """Locks that nobody needs any more are forgotten by the time that one is needed again."""
    store = MemoryStore()
    for key in ("a", "b", "c"):
        with locks.value_lock(store, key):
            pass
    with locks.value_lock(store, "d"), locks.value_lock(store, "e"):
        assert {key for _, place, key in locks._locks if place == store.identity} == {"d", "e"}
