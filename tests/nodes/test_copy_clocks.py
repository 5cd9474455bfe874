"""Copies between a store in virtual time and places in real time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import storekit as sk

DATA = np.arange(16 * 30, dtype="f8").reshape(16, 30)


@pytest.fixture
def inner() -> sk.MemoryStore:
    """A store with an array, a group and a frame."""
    store = sk.MemoryStore()
    sk.ZarrArray.create(store, "group/array", data=DATA, chunks=(1, 30), attributes={"units": "K"})
    sk.frames.asarray(DATA, chunks=(1, 30), blocks=(1, 30), store=store, key="frame.b2nd")
    return store


def virtual(inner: sk.MemoryStore) -> sk.RetryStore:
    """
    What waits in virtual time, and says of itself no more than the store inside: that it is memory.

    A store on a disk is slower, so it says; yet only the virtual clock orders the threads.
    """
    faults = [sk.Fault("get*", p=0.3), sk.Fault("set*", p=0.3)]
    faulty = sk.FaultyStore(inner, faults)
    return sk.RetryStore(faulty, clock=sk.VirtualClock(), attempts=50, budget=1e9)


@pytest.mark.parametrize("options", [{}, {"chunks": (4, 30)}], ids=["as it is", "other chunks"])
@pytest.mark.parametrize("target", ["x.zarr", "x.b2nd"])
@pytest.mark.parametrize("source", ["group/array", "frame.b2nd"])
def test_from_virtual_time_to_a_disk(
    inner: sk.MemoryStore, tmp_path: Path, source: str, target: str, options: dict[str, object]
) -> None:
    """An array is copied from a store in virtual time to a disk or to a file."""
    store = virtual(inner)
    copy = sk.copy(store, tmp_path / target, source_path=source, **options)
    assert np.array_equal(copy[...], DATA)
    assert store.clock.now() > 0


@pytest.mark.parametrize("target", ["x", "x.b2nd"])
@pytest.mark.parametrize("source", ["group/array", "frame.b2nd"])
def test_from_a_disk_to_virtual_time(
    inner: sk.MemoryStore, tmp_path: Path, source: str, target: str
) -> None:
    """An array is copied from a disk or a file to a store in virtual time."""
    name = tmp_path / Path(source).name
    sk.copy(inner, name, source_path=source)
    store = virtual(sk.MemoryStore())
    copy = sk.copy(name, store, target_path=target)
    assert np.array_equal(copy[...], DATA)
    assert store.clock.now() > 0


def test_a_group_from_virtual_time_to_a_disk(inner: sk.MemoryStore, tmp_path: Path) -> None:
    """A group is copied with all that is in it."""
    copy = sk.copy(virtual(inner), tmp_path / "x.zarr", source_path="group")
    assert np.array_equal(copy["array"][...], DATA)


@pytest.mark.parametrize("source", ["group", "group/array", "frame.b2nd"])
def test_two_virtual_clocks(inner: sk.MemoryStore, source: str) -> None:
    """Stores that go by two virtual clocks are refused before anything is removed."""
    kept = sk.MemoryStore()
    sk.ZarrArray.create(kept, "x", data=DATA)
    before = kept.list_prefix("")
    with pytest.raises(ValueError, match="two clocks"):
        sk.copy(virtual(inner), virtual(kept), source_path=source, target_path="x", overwrite=True)
    assert kept.list_prefix("") == before
