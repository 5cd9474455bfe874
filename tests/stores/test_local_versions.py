"""Versions of files, and locks between threads and processes."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from store_samples import FakeClock, count_up, fail_with, files, run_processes, set_and_erase

from storekit.errors import ConflictError, StoreError, UnsupportedError
from storekit.stores import LocalStore, _exclusive, _files
from storekit.testing import run_at_once


def test_versions_differ_even_if_time_stands_still(root: Path) -> None:
    """With a clock that does not move, and inodes used again, no version comes twice."""

    class Stopped(FakeClock):
        def now_ns(self) -> int:
            return 1_000_000_000

    store = LocalStore(root)
    store.clock = Stopped()
    versions = set()
    for number in range(100):
        store.set("a", b"same")
        versions.add(store.get_versioned("a")[1])
        if number % 2:
            store.erase("a")
    assert len(versions) == 100


@pytest.mark.usefixtures("restless")
def test_threads_never_share_a_stamp() -> None:
    """Many threads that stamp in the same moment get a stamp each, rising in each of them."""
    given: list[list[int]] = [[] for _ in range(4)]

    def stamp(mine: list[int]) -> None:
        mine.extend(_files.next_stamp(1, 0) for _ in range(5000))

    run_at_once(*(partial(stamp, mine) for mine in given))
    assert len({each for mine in given for each in mine}) == 20_000
    assert all(mine == sorted(mine) for mine in given)


def test_a_new_value_is_newer_than_the_one_it_replaced(root: Path) -> None:
    """Compare-and-set stamps its file later than the old one, even one from the future."""
    store = LocalStore(root)
    store.set("a", b"1")
    future = store.clock.now_ns() + 10**15
    os.utime(root / "a", ns=(future, future))
    store.compare_and_set("a", b"2", store.get_versioned("a")[1])
    assert (root / "a").stat().st_mtime_ns > future


def test_a_change_from_outside_changes_the_version(root: Path) -> None:
    """A file that another program writes to has a new version."""
    store = LocalStore(root)
    version = store.compare_and_set("a", b"1", None)
    with open(root / "a", "ab") as file:
        file.write(b"2")
    assert store.get_versioned("a")[0] == b"12"
    assert store.get_versioned("a")[1] != version


def test_a_new_key_needs_no_lock(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What must be absent is made in one step, by renaming that refuses to replace; of two makers one
    succeeds, whatever lies there.
    """
    store = LocalStore(root)
    monkeypatch.setattr(_files.fcntl, "flock", fail_with(errno.EIO))
    version = store.compare_and_set("a/b", b"1", None)
    assert store.get_versioned("a/b") == (b"1", version)
    monkeypatch.undo()
    with pytest.raises(ConflictError):
        store.compare_and_set("a/b", b"2", None)
    (root / "a" / "c").mkdir()
    store.compare_and_set("a/c", b"3", None)
    (root / "a" / "d").symlink_to(root / "a" / "b")
    store.compare_and_set("a/d", b"4", None)
    assert [store.get(f"a/{name}") for name in "bcd"] == [b"1", b"3", b"4"]
    assert files(root) == ["a", "a/b", "a/c", "a/d"]


def test_of_two_that_make_a_key_one_fails(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Also if what was there is erased just when the first has found it, and the second makes it just
    when the first has looked again.
    """
    store, other = LocalStore(root), LocalStore(root)
    store.set("x/k", b"old")
    store.set("x/o", b"")
    rename, look = _files.rename_exclusive, _files._status

    def renamed(*args: Any) -> bool | None:
        done = rename(*args)
        if not done:
            monkeypatch.setattr(_files, "rename_exclusive", rename)
            other.erase("x/k")
        return done

    def looked(*args: Any) -> Any:
        status = look(*args)
        monkeypatch.setattr(_files, "_status", look)
        other.compare_and_set("x/k", b"other", None)
        return status

    monkeypatch.setattr(_files, "rename_exclusive", renamed)
    monkeypatch.setattr(_files, "_status", looked)
    with pytest.raises(ConflictError):
        store.compare_and_set("x/k", b"mine", None)
    assert store.get("x/k") == b"other"
    assert files(root) == ["x", "x/k", "x/o"]


def test_a_directory_is_never_taken_for_what_comes_after_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who finds an empty directory in the place of a key replaces no value that follows it."""
    store, other = LocalStore(root), LocalStore(root)
    store.set("a/b", b"")
    (root / "a" / "b").unlink()
    look = _files._status

    def looked(*args: Any) -> Any:
        status = look(*args)
        monkeypatch.setattr(_files, "_status", look)
        (root / "a").rmdir()
        other.compare_and_set("a", b"other", None)
        return status

    monkeypatch.setattr(_files, "_status", looked)
    with pytest.raises(ConflictError):
        store.compare_and_set("a", b"mine", None)
    assert store.get("a") == b"other"


def test_where_renaming_always_replaces_the_lock_decides(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Systems without the call that refuses to replace make new keys under the lock."""
    monkeypatch.setattr(_exclusive, "_rename", None)
    store = LocalStore(root)
    store.compare_and_set("a", b"1", None)
    with pytest.raises(ConflictError):
        store.compare_and_set("a", b"2", None)
    assert store.get("a") == b"1"


def test_without_locks_all_but_compare_and_set_works(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system without locks, compare-and-set says so, and the rest goes without."""
    store = LocalStore(root)
    monkeypatch.setattr(_files.fcntl, "flock", fail_with(errno.EBADF))
    store.set("a/b", b"1")
    store.erase("a/b")
    store.set("a/b", b"2")
    assert store.get("a/b") == b"2"
    version = store.get_versioned("a/b")[1]
    for value in (b"3", None):
        with pytest.raises(UnsupportedError, match="lock"):
            store.compare_and_set("a/b", value, version)
    assert store.erase_prefix("a/") == 1
    monkeypatch.setattr(_files.fcntl, "flock", fail_with(errno.EIO))
    with pytest.raises(StoreError, match="EIO"):
        store.set("c", b"1")


BOTH = pytest.mark.parametrize("method", ["fork", "spawn"])
forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@BOTH
@forks
def test_no_increment_of_any_process_is_lost(root: Path, method: str) -> None:
    """4 processes that increment a number 25 times by compare-and-set make 100 of it."""
    store = LocalStore(root)
    store.set("deep/n", b"0")
    run_processes(method, count_up, *[(store, "deep/n", 25)] * 4)
    assert store.get("deep/n") == b"100"


@BOTH
@forks
def test_processes_share_a_directory(root: Path, method: str) -> None:
    """Processes that set and erase side by side, in directories that vanish, lose nothing."""
    arguments = [(LocalStore(root), f"a/b/{number}", 100) for number in range(3)]
    run_processes(method, set_and_erase, *arguments)
    assert files(root) == []


def is_locked(directory: Path) -> bool:
    """Whether anybody keeps others from changing a directory."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@pytest.mark.parametrize("call", ["rename", "unlink"])
def test_a_directory_is_changed_under_its_lock(
    root: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Whatever puts a value in place or removes one holds the lock meanwhile, and no longer."""
    store = LocalStore(root)
    store.set("a/b", b"0")
    held: list[bool] = []
    original = getattr(os, call)

    def watch(*args: Any, **kwargs: Any) -> None:
        held.append(is_locked(root / "a"))
        original(*args, **kwargs)

    monkeypatch.setattr(os, call, watch)
    store.set("a/b", b"1")
    store.compare_and_set("a/b", b"2", store.get_versioned("a/b")[1])
    store.set_partial_values([("a/b", 0, b"3")])
    for key in ("a/c", "a/d", "a/e/f"):
        store.set(key, b"")
    store.erase("a/c")
    store.compare_and_set("a/d", None, store.get_versioned("a/d")[1])
    assert not is_locked(root / "a")
    store.erase_prefix("a/")
    # The last of each is in the directory a/e, which has a lock of its own.
    assert held == [True] * 5 + [False] if call == "rename" else [True] * 3 + [False]


def test_who_comes_between_wins(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `set` or `erase` between the look at a version and the lock makes compare-and-set fail."""
    store = LocalStore(root)
    for change in (lambda: store.set("n", b"9"), lambda: store.erase("n")):
        store.set("n", b"0")
        version = store.get_versioned("n")[1]
        lock = _files.lock

        def change_and_lock(
            directory: int, change: Callable[[], None] = change, lock: Any = lock
        ) -> bool:
            monkeypatch.setattr(_files, "lock", lock)
            change()
            return bool(lock(directory))

        for value in (b"1", None):
            store.set("n", b"0")
            version = store.get_versioned("n")[1]
            monkeypatch.setattr(_files, "lock", change_and_lock)
            with pytest.raises(ConflictError):
                store.compare_and_set("n", value, version)
    assert not store.exists("n")
    assert files(root) == []


@forks
def test_a_child_forked_while_a_lock_is_held_holds_up_nobody(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that inherits the descriptor of a locked directory does not keep it locked."""
    store = LocalStore(root)
    reader, writer = os.pipe()
    rename = os.rename
    children: list[int] = []

    def fork_and_rename(*args: Any, **kwargs: Any) -> None:
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)  # until the parent is done
            os._exit(0)
        children.append(child)
        rename(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fork_and_rename)
        store.set("a/b", b"1")
    assert not is_locked(root / "a")
    store.set("a/b", b"2")
    os.close(writer)
    os.close(reader)
    assert os.waitpid(children[0], 0)[1] == 0
