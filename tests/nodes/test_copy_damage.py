"""Which copies find damage on the way, and which carry it over, as the page says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import storekit as sk
from storekit.errors import CodecError

DATA = np.random.default_rng(0).random((40, 40))
COPIES: dict[str, dict[str, Any]] = {
    "frame": {"target_path": "x.b2nd"},
    "chunks": {"target_path": "x", "chunks": 20},
    "codecs": {"target_path": "x", "codecs": "gzip"},
    "same codecs": {"target_path": "x", "codecs": "b2nd"},
}


@pytest.fixture(params=["b2nd", "zstd"])
def damaged(request: pytest.FixtureRequest) -> sk.MemoryStore:
    """A store with an array of which one bit of one chunk has changed."""
    store = sk.MemoryStore()
    sk.ZarrArray.create(store, "a", data=DATA, chunks=10, codecs=request.param)
    value = bytearray(store.get("a/c/1/1"))
    value[300] ^= 1
    store.set("a/c/1/1", bytes(value))
    return store


@pytest.mark.parametrize("options", COPIES.values(), ids=COPIES)
def test_a_copy_that_decodes_finds_damage(damaged: sk.MemoryStore, options: dict[str, Any]) -> None:
    """To a frame, or with other settings, a damaged chunk is an error, and no copy appears."""
    target = sk.MemoryStore()
    with pytest.raises(CodecError, match="a/c/1/1"):
        sk.copy(damaged, target, source_path="a", **options)
    assert not target.exists("x.b2nd")
    assert not target.exists("x/zarr.json")


def test_a_copy_of_the_same_carries_it_over(damaged: sk.MemoryStore) -> None:
    """Between Zarr arrays values are copied unread, and damage is found when the copy is read."""
    copy = sk.copy(damaged, sk.MemoryStore(), source_path="a", target_path="x")
    assert copy.store.get("x/c/1/1") == damaged.get("a/c/1/1")
    with pytest.raises(CodecError):
        copy[10:20, 10:20]


def test_a_frame_is_looked_into() -> None:
    """A frame with checksums is verified, also where its chunks stay as they are."""
    store = sk.MemoryStore()
    frame = sk.frames.asarray(DATA, chunks=(10, 10), store=store, key="f.b2nd")
    value = bytearray(store.get("f.b2nd"))
    value[frame.home.snapshot().frame.header.header_len + 300] ^= 1
    store.set("f.b2nd", bytes(value))
    for target in ("x.b2nd", "x"):
        with pytest.raises(CodecError):
            sk.copy(store, sk.MemoryStore(), source_path="f.b2nd", target_path=target)
