"""Several values at once on a disk: fewer system calls, and nothing else that differs."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from store_samples import fail_with, files

from storekit.errors import KeyConflictError, StoreError
from storekit.stores import LocalStore, _batch

MANY = _batch._COUNT + 6


def values(count: int = MANY, prefix: str = "a/") -> Iterator[tuple[str, bytes]]:
    """That many small values."""
    return ((f"{prefix}{number}", b"%d" % number) for number in range(count))


@pytest.mark.parametrize("count", [1, _batch._COUNT, MANY])
def test_a_directory_is_locked_once_for_many_values(
    root: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """The values of one directory are renamed under one lock, up to a limit."""
    locked: list[int] = []
    lock = _batch.lock
    monkeypatch.setattr(_batch, "lock", lambda fd: (locked.append(fd), lock(fd))[1])
    LocalStore(root).set_values(values(count))
    assert len(locked) == -(-count // _batch._COUNT)
    assert len(files(root)) == count + 1


def test_pending_values_are_invisible(root: Path) -> None:
    """What has not been put in place yet is neither listed nor in the way of a reader."""
    store = LocalStore(root)
    store.set("a/0", b"old")
    seen: list[object] = []

    def watching() -> Iterator[tuple[str, bytes]]:
        yield from values(3)
        seen.extend((store.list(), store.get("a/0"), len(files(root))))

    store.set_values(watching())
    assert seen == [["a/0"], b"old", 5]
    assert store.list() == ["a/0", "a/1", "a/2"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_generator_leaves_no_trace(root: Path, error: type[BaseException]) -> None:
    """Whatever stops the generator, what it gave is stored, and no temporary file remains."""
    store = LocalStore(root)

    def broken() -> Iterator[tuple[str, bytes]]:
        yield from values(5)
        raise error

    with pytest.raises(error):
        store.set_values(broken())
    assert files(root) == ["a", *(f"a/{number}" for number in range(5))]


@pytest.mark.parametrize("call", ["open", "write", "utime", "close", "rename"])
def test_a_disk_that_fails_half_way_keeps_what_came_before(
    root: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """When a system call fails from some value on, those before are stored and no trace is left."""
    store = LocalStore(root)
    store.set("a/9", b"old")
    original, working = getattr(os, call), True

    def fail(*args: Any, **kwargs: Any) -> Any:
        is_folder = call == "close" and stat.S_ISDIR(os.fstat(args[0]).st_mode)
        if working or is_folder:
            return original(*args, **kwargs)
        if call == "close":
            original(*args)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def until_nine() -> Iterator[tuple[str, bytes]]:
        nonlocal working
        for key, value in values(20):
            if key == "a/9":
                assert working
                yield "elsewhere", b""  # puts the others in place
                working = False
            yield key, value

    with monkeypatch.context() as broken:
        broken.setattr(os, call, fail)
        with pytest.raises(StoreError, match="ENOSPC"):
            store.set_values(until_nine())
        working = True
    assert store.get("a/9") == b"old"
    assert [name for name in files(root) if name != "elsewhere"] == [
        "a",
        *(f"a/{number}" for number in range(10)),
    ]


def test_a_conflict_in_the_middle_keeps_what_came_before(root: Path) -> None:
    """A key that is a prefix of others stops the values behind it; no temporary file remains."""
    store = LocalStore(root)
    store.set("a/3/x", b"")
    with pytest.raises(KeyConflictError):
        store.set_values(values(6))
    assert files(root) == ["a", "a/0", "a/1", "a/2", "a/3", "a/3/x"]


def test_an_empty_directory_in_the_place_of_a_value_gives_way(root: Path) -> None:
    """What a dead writer left under the name of a key is no obstacle for several values either."""
    store = LocalStore(root)
    (root / "a" / "1" / "2").mkdir(parents=True)
    (root / "a" / "1" / ".storekit-dead").write_bytes(b"")
    store.set_values(values(3))
    assert store.list() == ["a/0", "a/1", "a/2"]


ERASERS: dict[str, Callable[[Path], object]] = {
    "erase_prefix": lambda root: LocalStore(root).erase_prefix(""),
    "set in the place of the directory, and erase": lambda root: (
        LocalStore(root).set("a", b""),
        LocalStore(root).erase("a"),
    ),
}


@pytest.mark.parametrize("erase", ERASERS.values(), ids=ERASERS.keys())
@pytest.mark.parametrize("moment", [0, 1, 4, 5])
def test_a_directory_erased_by_others_loses_no_value(
    root: Path, erase: Callable[[Path], object], moment: int
) -> None:
    """Others who remove the directory with all that is pending do not make the values vanish."""
    store = LocalStore(root)

    def disturbed() -> Iterator[tuple[str, bytes]]:
        for number, pair in enumerate(values(5)):
            if number == moment:
                erase(root)
            yield pair
        if moment == 5:
            erase(root)

    store.set_values(disturbed())
    assert files(root) == ["a", *(f"a/{number}" for number in range(5))]
    assert [store.get(f"a/{number}") for number in range(5)] == [b"%d" % n for n in range(5)]


def test_a_lock_that_fails_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system whose lock breaks raises; one that has none stores without."""
    store = LocalStore(root)
    monkeypatch.setattr("storekit.stores._files.fcntl.flock", fail_with(errno.EBADF))
    store.set_values(values(3))
    assert store.list() == ["a/0", "a/1", "a/2"]
    monkeypatch.setattr("storekit.stores._files.fcntl.flock", fail_with(errno.EIO))
    with pytest.raises(StoreError, match="EIO"):
        store.set_values(values(3, "b/"))
    assert files(root) == ["a", "a/0", "a/1", "a/2"]


def test_large_values_are_not_held_back(root: Path) -> None:
    """A large value is in place, after all that came before it, when the next one is asked for."""
    store, large = LocalStore(root), bytes(_batch._SMALL + 1)
    seen: list[list[str]] = []

    def mixed() -> Iterator[tuple[str, bytes]]:
        yield "a/0", b"small"
        yield "a/1", large
        seen.append(store.list())
        yield "a/2", b"small"

    store.set_values(mixed())
    assert seen == [["a/0", "a/1"]]
    assert store.list() == ["a/0", "a/1", "a/2"]


def test_no_directory_is_left_open(root: Path) -> None:
    """After several values, stored or not, as many files are open as before."""
    store = LocalStore(root)

    def exercise() -> None:
        store.set_values(values())
        for bad in (("a", b""), ("a/b", "text"), ("/", b"")):
            with pytest.raises((StoreError, TypeError)):
                store.set_values([*values(3), bad])  # type: ignore[list-item]

    exercise()
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    exercise()
    after = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    assert after == before


def test_a_root_that_several_values_made_has_been_seen(root: Path) -> None:
    """A store that wrote by `set_values` alone knows its root, and notices when it is gone."""
    store = LocalStore(root)
    store.set_values(values(2))
    store.erase_prefix("")
    root.rmdir()
    with pytest.raises(StoreError, match="is gone"):
        store.exists("a/0")


def test_a_durable_store_brings_each_value_to_the_disk(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several values of a durable store are as safe as one by one."""
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.path.isdir(f"/proc/self/fd/{fd}")))
    LocalStore(root, durable=True).set_values(values(3))
    assert synced.count(False) == 3
    assert synced.count(True) >= 3
