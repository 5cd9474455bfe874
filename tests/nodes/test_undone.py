"""What fails to be created or appended leaves nothing behind, as far as the store lets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_layouts import LAYOUTS, CountingStore, HookedStore, PlainStore, UnlistedStore, eager
from index_samples import numbered

from storekit import LocalStore, MemoryStore, ZarrArray, ZarrGroup, open_zarr
from storekit.errors import (
    CodecError,
    ConnectionLostError,
    QuotaExceededError,
    ShapeError,
    TimeoutError,
)
from storekit.simulation import VirtualClock
from storekit.stores.fault import Fault
from storekit.stores.faulty import FaultyStore
from storekit.stores.quota import QuotaStore
from storekit.stores.slow import SlowStore
from storekit.stores.wrapper import Call

STORES: dict[str, Callable[[Path], Any]] = {
    "memory": lambda path: MemoryStore(),
    "plain": lambda path: PlainStore(),
    "unlisted": lambda path: UnlistedStore(MemoryStore()),
    "local": LocalStore,
}

UNFIT: dict[str, tuple[type[Exception], dict[str, Any]]] = {
    "shape": (ShapeError, {"data": np.arange(3), "shape": 4}),
    "text into numbers": (ValueError, {"data": ["x"], "dtype": "f4"}),
    "objects into numbers": (TypeError, {"data": np.array([None]), "dtype": "i4"}),
    "records into numbers": (TypeError, {"data": np.zeros(2, "i4,i4"), "dtype": [("a", "f4")]}),
    "None into bytes": (CodecError, {"data": np.array([b"a", None]), "dtype": bytes}),
    "text into bytes": (CodecError, {"data": ["x"], "dtype": bytes}),
    "half a character": (UnicodeEncodeError, {"data": np.array(["\ud800"], "O"), "dtype": str}),
}

BREAKS: dict[str, dict[str, Any]] = {
    "lost": {},
    "answer lost": {"when": "after"},
    "Ctrl-C": {"error": lambda op, key: KeyboardInterrupt()},
}


def contents(store: Any) -> dict[str, bytes]:
    """Everything that a store holds, whatever kind of the above it is."""
    store = getattr(store, "inner", store)
    return {key: bytes(store.get(key)) for key in store.list()}


# --- create ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNFIT)
def test_data_that_does_not_fit_is_found_before_anything_is_removed(name: str) -> None:
    """The array that was to be overwritten is as it was, and nothing was asked of the store."""
    error, options = UNFIT[name]
    memory = MemoryStore()
    ZarrArray.create(memory, "a", data=np.arange(4))
    before, store = contents(memory), CountingStore(memory)
    with pytest.raises(error):
        ZarrArray.create(store, "a", **options, overwrite=True)
    with pytest.raises(error):
        ZarrArray.create(store, "new/group/b", **options)
    assert store.calls == []
    assert contents(memory) == before


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_data_that_fits_is_cast_and_repeated(shape: tuple[int, ...]) -> None:
    """What is looked at beforehand is still cast and broadcast as numpy does."""
    store = MemoryStore()
    for data, dtype in ((["7"], "f4"), (np.array([b"7"]), str), (["7"], "U3"), ([7], str)):
        array = ZarrArray.create(store, data=data, shape=shape, dtype=dtype, overwrite=True)
        expected = np.broadcast_to(np.asarray(data)[0].astype(array.dtype), shape)
        assert np.array_equal(array[...], expected)


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("nth", [1, 2])
def test_a_failed_create_leaves_no_array(kind: str, how: str, nth: int, tmp_path: Path) -> None:
    """Neither document nor chunks are left, and the next attempt finds the place free."""
    inner, data = STORES[kind](tmp_path), numbered((10,))
    fault = Fault("*set*", "a/c/*", **BREAKS[how], nth=nth)
    with pytest.raises((ConnectionLostError, KeyboardInterrupt)) as caught:
        ZarrArray.create(FaultyStore(inner, [fault]), "a", data=data, chunks=3, codecs="none")
    assert not hasattr(caught.value, "__notes__")
    assert list(contents(inner)) == ["zarr.json"]
    assert np.array_equal(ZarrArray.create(inner, "a", data=data)[...], data)


def test_an_array_at_the_root_takes_nothing_else_with_it() -> None:
    """What others have put beside the chunks stays when a failed array of the root goes."""
    memory = MemoryStore()

    def hook(call: Call) -> None:
        if "c/0" in call.keys:
            memory.set("other.b2nd", b"theirs")
            raise ConnectionLostError("gone")

    with pytest.raises(ConnectionLostError):
        ZarrArray.create(HookedStore(memory, hook), data=[1, 2], chunks=1)
    assert contents(memory) == {"other.b2nd": b"theirs"}


@pytest.mark.parametrize("kind", ["memory", "plain"])
def test_an_array_that_others_have_changed_is_left(kind: str, tmp_path: Path) -> None:
    """Who has found the array and changed it keeps it; the error says that it is there."""
    inner = STORES[kind](tmp_path)

    def hook(call: Call) -> None:
        if "a/c/0" in call.keys:
            open_zarr(inner, "a").attributes["mine"] = 1
            raise ConnectionLostError("gone")

    with pytest.raises(ConnectionLostError) as caught:
        ZarrArray.create(HookedStore(inner, hook), "a", data=[1, 2], chunks=2)
    assert "'a'" in caught.value.__notes__[0]
    assert open_zarr(inner, "a").attributes == {"mine": 1}


def test_what_cannot_be_undone_does_not_hide_the_error() -> None:
    """If the store is gone for good, the first error is raised, and a note says what is left."""
    gone: list[int] = []

    def hook(call: Call) -> None:
        if gone or "a/c/0" in call.keys:
            gone.append(1)
            raise ConnectionLostError(f"error {len(gone)}")

    with pytest.raises(ConnectionLostError, match="error 1") as caught:
        ZarrArray.create(HookedStore(MemoryStore(), hook), "a", data=[1, 2], chunks=2)
    assert "error 2" in caught.value.__notes__[0]


# --- append ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_failed_append_leaves_the_array_as_it_was(
    kind: str, how: str, nth: int, axis: int, tmp_path: Path
) -> None:
    """Shape and elements are those before; what was written of the rows is gone for good."""
    inner, data = STORES[kind](tmp_path), numbered((4, 4))
    ZarrArray.create(inner, "a", data=data, chunks=(3, 2), codecs="none", fill_value=-1)
    before = open_zarr(inner, "a").metadata
    fault = Fault(("*set", "set_values"), "a/c/*", **BREAKS[how], nth=nth)
    array = open_zarr(FaultyStore(inner, [fault]), "a")
    rows = numbered((5, 4) if axis == 0 else (4, 5)) + 100
    with pytest.raises((ConnectionLostError, KeyboardInterrupt)) as caught:
        array.append(rows, axis)
    assert not hasattr(caught.value, "__notes__")
    assert array.shape == (4, 4)
    now = open_zarr(inner, "a")
    assert now.metadata == before
    now.resize((9, 9))
    expected = np.full((9, 9), -1)
    expected[:4, :4] = data
    assert np.array_equal(now[...], expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_are_appended_where_they_belong_at_the_second_attempt(layout: str) -> None:
    """Whoever appends again after an error has no gap, whatever the array is divided into."""
    memory, rows = MemoryStore(), numbered((12, 6))
    options = LAYOUTS[layout]((3, 2))
    ZarrArray.create(memory, "a", data=rows[:4], **options)
    store = FaultyStore(memory, [Fault(("*set", "set_values"), "a/[!z]*", nth=2)])
    array = open_zarr(store, "a")
    with eager():
        try:
            array.append(rows[4:])
        except ConnectionLostError:
            array.append(rows[4:])
    assert np.array_equal(open_zarr(memory, "a")[...], rows)


def test_an_append_for_which_there_is_no_room_leaves_the_array_as_it_was() -> None:
    """A store that is full refuses the rows, and holds what it held."""
    memory = MemoryStore()
    ZarrArray.create(memory, "a", data=np.ones((2, 2)), chunks=(1, 2))
    before = contents(memory)
    with pytest.raises(QuotaExceededError):
        open_zarr(QuotaStore(memory, max_keys=4), "a").append(np.ones((9, 2)))
    assert contents(memory) == before


@pytest.mark.parametrize("kind", ["memory", "plain"])
def test_rows_of_others_are_not_taken_back(kind: str, tmp_path: Path) -> None:
    """If others have appended behind the rows that fail, both stay, and the error says so."""
    inner = STORES[kind](tmp_path)
    ZarrArray.create(inner, "a", data=[1, 1], chunks=2)

    def hook(call: Call) -> None:
        if "a/c/1" in call.keys and call.op != "get":
            open_zarr(inner, "a").append([3, 3])
            raise ConnectionLostError("gone")

    with pytest.raises(ConnectionLostError) as caught:
        open_zarr(HookedStore(inner, hook), "a").append([2, 2])
    assert "2 to 3" in caught.value.__notes__[0]
    assert open_zarr(inner, "a")[...].tolist() == [1, 1, 0, 0, 3, 3]


class Elsewhere(HookedStore):
    """The same values as seen by another process: with locks of its own."""

    def _place(self, key: str) -> tuple[Any, str]:
        return id(self), key


def test_rows_that_others_append_meanwhile_are_not_cut_off() -> None:
    """Another process that appends while failed rows are being cleared keeps its rows."""
    memory = MemoryStore()
    ZarrArray.create(memory, "a", data=[1, 1], chunks=2)
    calls: list[str] = []

    def hook(call: Call) -> None:
        if "a/c/1" in call.keys and call.op != "get":
            calls.append(call.op)
            if len(calls) == 1:
                raise ConnectionLostError("gone")
            if len(calls) == 2:
                open_zarr(memory, "a").append([3, 3])

    with pytest.raises(ConnectionLostError) as caught:
        open_zarr(Elsewhere(memory, hook), "a").append([2, 2])
    assert calls[1:] == ["erase"]
    assert "2 to 3" in caught.value.__notes__[0]
    assert open_zarr(memory, "a")[...].tolist() == [1, 1, 0, 0, 3, 3]


@pytest.mark.parametrize("seed", range(8))
def test_who_appends_beside_failures_loses_nothing(seed: int) -> None:
    """
    Of many who append rows over a poor connection, each finds his rows once if he saw no error, and
    none of them if he saw one without a note.
    """
    memory, clock = MemoryStore(), VirtualClock(seed=seed, order="random", patience=5)
    ZarrArray.create(memory, "a", shape=0, chunks=4, dtype="i4", codecs="none")
    slow = SlowStore(memory, base_delay=1, clock=clock)
    store = FaultyStore(slow, [Fault(("*set", "set_values"), "a/c/*", p=0.3)], seed=seed)
    counts: dict[int, tuple[int, ...]] = {}

    def job(name: int) -> None:
        array = open_zarr(store if name % 2 else Elsewhere(store, lambda call: None), "a")
        for row in range(name, 60, 4):
            clock.sleep(row * 7 % 61)
            try:
                array.append(np.full(3, row + 1))
                counts[row + 1] = (3,)
            except ConnectionLostError as error:
                counts[row + 1] = (0, 1, 2, 3) if hasattr(error, "__notes__") else (0,)

    with clock.executor(4) as threads:
        clock.gather([threads.submit(job, name) for name in range(4)])
    rows = open_zarr(memory, "a")[...].tolist()
    assert {row for row in counts if rows.count(row) not in counts[row]} == set()
    assert {(0,), (3,)} <= set(counts.values())


def test_rows_that_may_still_arrive_are_not_taken_back() -> None:
    """A write that was given up could fall on the rows of others who append next."""
    memory = MemoryStore()
    ZarrArray.create(memory, "a", data=[1, 1], chunks=2)
    store = FaultyStore(memory, [Fault("*set*", "a/c/*", TimeoutError)])
    with pytest.raises(TimeoutError) as caught:
        open_zarr(store, "a").append([2, 2])
    assert "2 to 3" in caught.value.__notes__[0]
    assert open_zarr(memory, "a")[...].tolist() == [1, 1, 0, 0]


def test_rows_that_cannot_be_stored_are_found_before_the_array_grows() -> None:
    """Nothing is asked of the store for elements that no chunk could hold."""
    memory = MemoryStore()
    for dtype, data, rows in ((bytes, [b"a"], np.array([None])), ("f4", [1], np.array(["x"]))):
        ZarrArray.create(memory, "a", data=data, dtype=dtype, overwrite=True)
        store = CountingStore(memory)
        array = open_zarr(store, "a")
        assert len(store.calls) == 1
        with pytest.raises((CodecError, ValueError)):
            array.append(rows)
        assert len(store.calls) == 1


def test_an_append_that_the_group_cannot_be_told_of_is_taken_back() -> None:
    """If consolidated metadata cannot be removed, it stays true: the array is as it was."""
    memory = MemoryStore()
    ZarrGroup.create(memory).create_array("a", data=[1, 2])
    ZarrGroup(memory).consolidate()
    before = contents(memory)
    group = open_zarr(FaultyStore(memory, [Fault("*set*", "zarr.json")]))
    with pytest.raises(ConnectionLostError):
        group["a"].append([3])
    assert contents(memory) == before
