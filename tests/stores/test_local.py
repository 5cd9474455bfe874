"""Stores on a disk: the root, directories, what is no value, durability."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from store_samples import fail_with, files

from storekit.errors import (
    KeyConflictError,
    KeyNotFoundError,
    StoreError,
)
from storekit.stores import LocalStore, _files
from storekit.testing import run_at_once


def test_a_missing_root_is_an_empty_store(root: Path) -> None:
    """Without its directory a store reads as empty, and makes nothing until the first write."""
    store = LocalStore(root / "deeper")
    assert store.list() == []
    assert store.list_dir("") == []
    assert not store.exists("a")
    with pytest.raises(KeyNotFoundError):
        store.get("a")
    store.erase("a/b")
    assert store.erase_prefix("") == 0
    assert not root.exists()
    store.set("a/b", b"1")
    assert (root / "deeper" / "a" / "b").read_bytes() == b"1"


def test_the_root_is_given_as_text_or_path(root: Path) -> None:
    """A str, a Path, bytes, and any way to write the path make equal stores with one identity."""
    store = LocalStore(root)
    for path in (str(root), f"{root}/", os.fsencode(root), root / "x" / ".."):
        other = LocalStore(path)
        assert other == store
        assert hash(other) == hash(store)
        assert other.identity == store.identity
    assert LocalStore(root / "x") != store
    assert LocalStore(root, durable=True) != store
    assert LocalStore(root, durable=True).identity == store.identity
    assert repr(store) == f"LocalStore({str(root)!r})"
    assert repr(LocalStore(root, durable=True)) == f"LocalStore({str(root)!r}, durable=True)"
    assert pickle.loads(pickle.dumps(LocalStore(root, durable=True))).durable


def test_a_relative_root_stays_where_it_was(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the working directory does not move the store."""
    root.mkdir()
    monkeypatch.chdir(root)
    store = LocalStore("sub")
    store.set("a", b"1")
    monkeypatch.chdir("/")
    assert store.get("a") == b"1"
    assert LocalStore(root / "sub") == store


def test_the_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    """Links in the path of the root itself are followed, when the store is made."""
    root.mkdir()
    (tmp_path / "link").symlink_to(root)
    store = LocalStore(tmp_path / "link")
    store.set("a", b"1")
    assert store == LocalStore(root)
    assert (root / "a").read_bytes() == b"1"


def test_the_root_must_be_a_directory(root: Path) -> None:
    """A file in place of the root is an error at once, and if it appears later, at the write."""
    store = LocalStore(root)
    below = LocalStore(root / "below")
    root.write_bytes(b"")
    with pytest.raises(StoreError, match="not a directory"):
        LocalStore(root)
    for other in (store, below):
        with pytest.raises(StoreError, match="no directory"):
            other.set("a", b"1")


def test_the_filesystem_root_can_be_a_root(root: Path) -> None:
    """A store at ``/`` reaches what lies there, by paths without links."""
    LocalStore(root).set("a", b"1")
    key = os.path.realpath(root / "a")[1:]
    assert LocalStore("/").get(key) == b"1"
    assert LocalStore("/").list_prefix(f"{os.path.dirname(key)}/") == [key]


def test_a_pipe_is_no_value(store: LocalStore, root: Path) -> None:
    """A named pipe is absent for readers, who do not wait for it, and is replaced by a write."""
    store.set("a", b"1")
    os.mkfifo(root / "pipe")
    with pytest.raises(KeyNotFoundError):
        store.get("pipe")
    assert not store.exists("pipe")
    assert store.list() == ["a"]
    assert store.list_dir("") == ["a"]
    version = store.compare_and_set("pipe", b"2", None)
    assert store.get_versioned("pipe") == (b"2", version)


def test_files_with_impossible_names_are_no_values(store: LocalStore, root: Path) -> None:
    """What could not have been written as a key is not listed, but goes with its directory."""
    store.set("a/b", b"1")
    (root / "a" / "...").write_bytes(b"")
    (root / "..." / "x").mkdir(parents=True)
    (root / "..." / "x" / "y").write_bytes(b"")
    Path(os.fsdecode(os.fsencode(root / "a") + b"/\xff\xfe")).write_bytes(b"")
    assert store.list() == ["a/b"]
    assert store.list_dir("") == ["a/"]
    assert store.list_dir("a/") == ["a/b"]
    assert store.erase_prefix("") == 1
    assert files(root) == []


def test_empty_directories_are_not_listed(store: LocalStore, root: Path) -> None:
    """Directories without any key, however deep, show in no listing and can become keys."""
    store.set("a", b"1")
    (root / "x" / "y" / "z").mkdir(parents=True)
    assert store.list_dir("") == ["a"]
    assert store.list_dir("x/") == []
    store.set("x/y", b"2")
    store.erase("x/y")
    (root / "x" / "y").mkdir(parents=True)
    store.set("x", b"3")
    assert store.get("x") == b"3"


def test_a_directory_with_something_else_is_in_the_way(store: LocalStore, root: Path) -> None:
    """A directory that holds no key but is not the store's to remove, is a conflict, and stays."""
    (root / "x").mkdir(parents=True)
    os.mkfifo(root / "x" / "pipe")
    with pytest.raises(KeyConflictError):
        store.set("x", b"1")
    assert files(root) == ["x", "x/pipe"]


def test_directories_vanish_with_their_keys(store: LocalStore, root: Path) -> None:
    """Erasing the last key below a prefix removes its directories, but never the root."""
    store.set("a/b/c/d", b"1")
    store.set("a/e", b"1")
    store.erase("a/b/c/d")
    assert files(root) == ["a", "a/e"]
    version = store.get_versioned("a/e")[1]
    store.compare_and_set("a/e", None, version)
    assert files(root) == []
    store.set("a/b/c/d", b"1")
    store.erase_prefix("a/b/c/")
    assert files(root) == []
    assert root.is_dir()


def test_set_finds_its_directory_erased(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that vanishes at the worst moments is made again, with the value in it."""
    store = LocalStore(root)
    original = _files._create_temporary
    vanish = iter([True, True, False])

    def create(directory: int) -> tuple[bytes, int]:
        if next(vanish):
            (root / "a" / "b").rmdir()
            (root / "a").rmdir()
        return original(directory)

    monkeypatch.setattr(_files, "_create_temporary", create)
    store.set("a/b/c", b"1")
    assert store.get("a/b/c") == b"1"


def test_set_finds_its_temporary_file_erased(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`erase_prefix` by another, just before the renaming, does not lose the value set."""
    store = LocalStore(root)
    lock, erase = _files.lock, iter([True, False, False, False])

    def erase_and_lock(directory: int) -> bool:
        if next(erase):
            LocalStore(root).erase_prefix("a/")
        return lock(directory)

    monkeypatch.setattr(_files, "lock", erase_and_lock)
    store.set("a/b", b"1")
    assert store.get("a/b") == b"1"
    assert files(root) == ["a", "a/b"]


def test_set_gives_up_in_the_end(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that others erase for ever is an error, not a hang, and never absence."""
    monkeypatch.setattr("storekit.stores.local._TRIES", 3)
    monkeypatch.setattr(_files, "_create_temporary", fail_with(errno.ENOENT))
    with pytest.raises(StoreError, match="others") as caught:
        LocalStore(root).set("a/b", b"1")
    assert not isinstance(caught.value, KeyNotFoundError)


def test_setting_and_erasing_in_one_directory(root: Path) -> None:
    """Threads that set and erase next to each other lose no value, and leave no directory."""
    stores = [LocalStore(root) for _ in range(6)]

    def work(number: int) -> None:
        key = f"a/b/{number}"
        for turn in range(60):
            stores[number].set(key, b"%d" % turn)
            assert stores[number].get(key) == b"%d" % turn
            if number % 2:
                stores[number].erase(key)
            else:
                stores[number].erase_prefix(f"a/b/{number}/")
                stores[number].compare_and_set(key, None, stores[number].get_versioned(key)[1])

    run_at_once(*(lambda number=number: work(number) for number in range(6)))
    assert files(root) == []


@pytest.fixture
def synced(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths that are brought to the disk, in order."""
    paths: list[str] = []

    def fsync(fd: int) -> None:
        path = os.readlink(f"/proc/self/fd/{fd}")
        name = os.path.relpath(path, root)
        paths.append("a temporary file" if ".storekit-" in name else name)

    monkeypatch.setattr(os, "fsync", fsync)
    return iter([paths])


def test_a_durable_write_is_on_the_disk_when_it_returns(root: Path, synced: Any) -> None:
    """The file is synced before it is renamed, then its directory, then those it needs."""
    (paths,) = synced
    store = LocalStore(root, durable=True)
    store.set("a/b/c", b"1")
    assert paths[:2] == ["a temporary file", "a/b"]
    assert set(paths[2:]) >= {"a", ".", ".."}
    paths.clear()
    store.set("a/b/d", b"1")
    assert paths == ["a temporary file", "a/b"]
    paths.clear()
    store.compare_and_set("a/b/d", b"2", store.get_versioned("a/b/d")[1])
    assert paths == ["a temporary file", "a/b"]
    paths.clear()
    store.erase("a/b/d")
    assert paths == ["a/b"]


def test_new_directories_are_synced_again(root: Path, synced: Any) -> None:
    """Directories that were erased and made anew are brought to the disk once more."""
    (paths,) = synced
    store = LocalStore(root, durable=True)
    store.set("a/b/c", b"1")
    store.erase_prefix("a/")
    paths.clear()
    store.set("a/b/c", b"1")
    assert paths == ["a temporary file", "a/b", "a", "."]


def test_a_plain_write_syncs_nothing(root: Path, synced: Any) -> None:
    """Without `durable` no write waits for the disk."""
    (paths,) = synced
    store = LocalStore(root)
    store.set("a/b", b"1")
    store.compare_and_set("a/b", b"2", store.get_versioned("a/b")[1])
    store.erase_prefix("")
    assert paths == []
