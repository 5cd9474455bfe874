"""A root that vanishes is a failure, not the absence of all keys."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import storekit as sk
from storekit.errors import KeyNotFoundError, StoreError

READS: list[Callable[[Any], Any]] = [
    lambda store: store.get("a/b"),
    lambda store: store.get_partial_values([("a/b", 0, 1)]),
    lambda store: store.getsize("a/b"),
    lambda store: store.exists("a/b"),
    lambda store: store.get_versioned("a/b"),
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("instead", ["nothing", "a file"])
def test_a_root_that_is_gone_is_an_error(
    tmp_path: Path, read: Callable[[Any], Any], instead: str
) -> None:
    """Whoever has seen the root does not take its loss for the absence of a key."""
    root = tmp_path / "root"
    store = sk.LocalStore(root)
    store.set("a/b", b"1")
    shutil.rmtree(root)
    if instead == "a file":
        root.write_bytes(b"")
    with pytest.raises(StoreError, match="is gone") as caught:
        read(store)
    assert not isinstance(caught.value, KeyNotFoundError)


def test_an_array_whose_disk_is_gone_is_not_fill_values(tmp_path: Path) -> None:
    """Reading and partial writing fail when the root has vanished, and leave nothing behind."""
    array = sk.ZarrArray.create(sk.LocalStore(tmp_path / "root"), data=np.full(8, 7), chunks=4)
    shutil.rmtree(tmp_path / "root")
    with pytest.raises(StoreError, match="is gone"):
        array[:]
    with pytest.raises(StoreError, match="is gone"):
        array[0:2] = 3
    assert not (tmp_path / "root").exists()


def test_a_root_that_was_never_there_is_empty(tmp_path: Path) -> None:
    """A store on a path that does not exist yet has no keys, also after pickling."""
    store = pickle.loads(pickle.dumps(sk.LocalStore(tmp_path / "root")))
    assert not store.exists("a")
    with pytest.raises(KeyNotFoundError):
        store.get("a")
    store.set("a", b"1")
    assert store.get("a") == b"1"


def test_a_root_that_is_written_again_is_there(tmp_path: Path) -> None:
    """Writing makes the root again, and what is not in it is absent."""
    store = sk.LocalStore(tmp_path / "root")
    store.set("a", b"1")
    shutil.rmtree(tmp_path / "root")
    store.set("b", b"2")
    assert not store.exists("a")
