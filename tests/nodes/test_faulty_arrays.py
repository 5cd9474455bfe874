"""An array over a store that fails never shows other data than what was written."""

from __future__ import annotations

import copy
from typing import Any, Literal

import numpy as np
import pytest
from array_layouts import LAYOUTS, eager
from index_samples import numbered
from test_errors_never_fill import ACTIONS, SHAPE, make

from storekit import MemoryStore, ZarrArray
from storekit.errors import CodecError, ConnectionLostError
from storekit.stores.fault import Fault
from storekit.stores.faulty import FaultyStore
from storekit.stores.retry import RetryStore

CHUNKS = "a/[!z]*"  # all but zarr.json
READS = ("get", "get_partial_values", "get_versioned")
DATA = numbered(SHAPE)
WITH_CHECKSUMS = ["zstd", "b2nd", "big", "zstd shards", "b2nd shards"]


def over(memory: MemoryStore, *rules: Fault, seed: int = 0) -> tuple[ZarrArray, FaultyStore]:
    """An array over a copy of the store, which fails from now on."""
    store = FaultyStore(copy.deepcopy(memory), rules, seed=seed)
    return ZarrArray(store, "a"), store


@pytest.mark.parametrize("threads", [False, True], ids=["inline", "threads"])
@pytest.mark.parametrize("ranges", [False, True], ids=["whole", "ranges"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_lost_read_is_never_fill_value(layout: str, ranges: bool, threads: bool) -> None:
    """
    Whichever read of a chunk gets lost, before or after the store was asked: the action fails with
    that error, or was right without it. What a failed write left is old or new, element by element.
    """
    memory: Any = make(layout).store
    moments: list[Literal["before", "after"]] = ["before", "after"]
    with eager(ranges=ranges, threads=threads):
        for name, action in ACTIONS.items():
            if name == "a shrink":
                continue
            clean, _ = over(memory)
            expected = action(clean)
            for turn in range(12):
                rule = Fault(READS, CHUNKS, nth=2**turn, when=moments[turn % 2])
                array, store = over(memory, rule)
                try:
                    found = action(array)
                except ConnectionLostError:
                    assert store.fired, name
                else:
                    assert not store.fired, name
                    assert np.array_equal(found, expected), name
                left = ZarrArray(store.inner, "a")[...]  # type: ignore[arg-type]
                assert ((left == DATA) | (left == clean[...])).all(), name
                if not store.fired:
                    break
            assert turn, name


@pytest.mark.parametrize("ranges", [False, True], ids=["whole", "ranges"])
@pytest.mark.parametrize("layout", WITH_CHECKSUMS)
def test_a_flipped_bit_is_an_error(layout: str, ranges: bool) -> None:
    """
    Where chunks have checksums, any bit that flips in what is read is a CodecError. Only if a whole
    shard is read for a part of it the bit may be in another part.
    """
    memory: Any = make(layout).store
    with eager(ranges=ranges, threads=False):
        for seed in range(60):
            for selection in (np.s_[...], np.s_[1:3, 2:3], np.s_[::5, ::7]):
                array, store = over(memory, Fault(READS, CHUNKS, flip=1, times=1), seed=seed)
                try:
                    found = array[selection]
                except CodecError:
                    pass
                else:
                    assert "shards" in layout
                    assert not ranges
                    assert selection is not np.s_[...]
                    assert np.array_equal(found, DATA[selection])
                assert len(store.fired) == 1


@pytest.mark.parametrize("layout", WITH_CHECKSUMS)
def test_a_flipped_bit_does_not_become_data_by_a_write(layout: str) -> None:
    """
    A write to a part of a chunk that was damaged on the way fails and changes nothing. A damaged
    part of a shard that is not written to may be stored as it came, and is still found.
    """
    memory: Any = make(layout).store
    for seed in range(40):
        array, store = over(memory, Fault(READS, CHUNKS, flip=1, times=1), seed=seed)
        try:
            array[1, 1] = 5
        except CodecError:
            assert store.inner == memory
        else:
            assert "shards" in layout
            with pytest.raises(CodecError):
                array[...]


@pytest.mark.parametrize("layout", WITH_CHECKSUMS)
def test_a_bit_flipped_on_the_way_in_is_found_on_the_way_out(layout: str) -> None:
    """What was stored with a flipped bit cannot be read as data."""
    memory: Any = make(layout).store
    for seed in range(20):
        array, store = over(memory, Fault("set*", CHUNKS, flip=1, times=1), seed=seed)
        array[...] = DATA + 1
        assert len(store.fired) == 1
        with pytest.raises(CodecError):
            array[...]


@pytest.mark.parametrize("ranges", [False, True], ids=["whole", "ranges"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_short_read_is_an_error(layout: str, ranges: bool) -> None:
    """However many bytes are missing, what is read is an error or right, never something else."""
    memory: Any = make(layout).store
    failed = 0
    with eager(ranges=ranges, threads=False):
        for size in (0, 1, 7, 8, 30, 31, 32, 60, 95, 96):
            for selection in (np.s_[...], np.s_[1:3, 2:3], np.s_[::5, ::7]):
                array, _ = over(memory, Fault(READS, CHUNKS, truncate=size))
                try:
                    found = array[selection]
                except CodecError:
                    failed += 1
                else:
                    assert np.array_equal(found, DATA[selection]), (size, selection)
    assert failed >= 9


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_lost_answer_of_a_write_is_an_error_and_written(layout: str) -> None:
    """A write whose answer gets lost raises, though it is done; written again it is the same."""
    memory: Any = make(layout).store
    array, store = over(memory, Fault("*set*", CHUNKS, nth=1, when="after"))
    with pytest.raises(ConnectionLostError):
        array[1:5, 3:9] = 0
    assert store.inner != memory
    array[1:5, 3:9] = 0
    expected = DATA.copy()
    expected[1:5, 3:9] = 0
    assert (ZarrArray(store.inner, "a")[...] == expected).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_with_retries_a_bad_network_is_not_noticed(layout: str) -> None:
    """Through lost requests and answers all is right; but for compare-and-set, never sent twice."""
    memory = MemoryStore()
    again = ("get*", "set*", "exists", "erase*", "list*")
    faulty = FaultyStore(memory, [Fault(again, p=0.15), Fault(again, p=0.15, when="after")], seed=2)
    store = RetryStore(faulty, attempts=30, first=0, cap=0)
    array = make(layout, store)
    assert (array[...] == DATA).all()
    assert (array[3:17, 5:7] == DATA[3:17, 5:7]).all()
    assert faulty.fired
