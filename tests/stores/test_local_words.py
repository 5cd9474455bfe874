"""A few bytes of a file are changed in place, where nobody can tell the difference."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from store_samples import FakeClock, count_in_whole, count_words, fail_with, files, run_processes

from storekit.errors import ConflictError, StoreError
from storekit.stores import LocalStore, _files, _words
from storekit.testing import run_at_once

pytestmark = pytest.mark.skipif(not _words._KNOWN, reason="here all values are replaced")

VALUE = bytes(range(100))


@pytest.fixture
def value(store: LocalStore, root: Path) -> Path:
    """The file of a value of a hundred bytes, which are twelve words and a half."""
    store.set("a/b", VALUE)
    return root / "a" / "b"


def changed(start: int, part: bytes) -> bytes:
    """The value with a part written over."""
    return VALUE[:start] + part + VALUE[start + len(part) :]


@pytest.mark.parametrize(
    ("start", "part"), [(0, b"x"), (7, b"x"), (8, b"12345678"), (19, b"abcde"), (88, b"12345678")]
)
def test_a_part_of_a_word_is_changed_in_place(
    store: LocalStore, value: Path, start: int, part: bytes
) -> None:
    """What lies in one aligned word is written into the file, which gets a new version."""
    inode, version = value.stat().st_ino, store.get_versioned("a/b")[1]
    store.set_partial_values([("a/b", start, memoryview(part))])
    assert value.stat().st_ino == inode
    assert store.get("a/b") == changed(start, part)
    assert store.get_versioned("a/b")[1] != version
    assert files(value.parent) == ["b"]


@pytest.mark.parametrize(
    "parts",
    [
        [(7, b"xy")],
        [(8, b"123456789")],
        [(96, b"x")],
        [(96, b"abcdef")],
        [(100, b"x")],
        [(8, b"x"), (10, b"y")],
        [(8, b"")],
    ],
)
def test_all_else_is_replaced(
    store: LocalStore, value: Path, parts: list[tuple[int, bytes]]
) -> None:
    """Parts over two words, at the ragged end, beyond it, or more than one, make a new file."""
    inode, expected = value.stat().st_ino, bytearray(VALUE)
    for start, part in parts:
        expected[start : start + len(part)] = part
    store.set_partial_values([("a/b", *part) for part in parts])
    assert value.stat().st_ino != inode
    assert store.get("a/b") == expected


def round_time(value: Path) -> None:
    """Set a time as a file system with coarser ones would keep it."""
    os.utime(value, ns=(0, 1_700_000_000_000_000_300))


def link(value: Path) -> None:
    """Give the file a second name."""
    os.link(value, value.parent / "other")


UNSAFE: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "a second name": lambda value, _: link(value),
    "a time that may be rounded": lambda value, _: round_time(value),
    "the file of somebody else": lambda _, patch: patch.setattr(os, "geteuid", lambda: -1),
    "an unknown system": lambda _, patch: patch.setattr(_words, "_KNOWN", False),
    "a failing lock": lambda _, patch: patch.setattr(_words, "lock", fail_with(errno.EIO)),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_where_it_would_not_be_safe_the_value_is_replaced(
    store: LocalStore, value: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Under such conditions the file stays as it is, and another one takes its place."""
    UNSAFE[case](value, monkeypatch)
    with value.open("rb") as old:
        store.set_partial_values([("a/b", 8, b"xy")])
        assert old.read() == VALUE
    assert store.get("a/b") == changed(8, b"xy")


def test_another_name_of_the_file_keeps_the_old_value(store: LocalStore, value: Path) -> None:
    """A hard link to a value, such as a backup has, is not changed with it."""
    link(value)
    store.set_partial_values([("a/b", 8, b"xy")])
    assert store.get("a/other") == VALUE


def test_without_locks_a_part_is_refused_as_ever(
    store: LocalStore, value: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where compare-and-set has no locks to rely on, neither has a word: nothing is written."""
    monkeypatch.setattr(_files.fcntl, "flock", fail_with(errno.EBADF))
    with pytest.raises(StoreError, match="lock"):
        store.set_partial_values([("a/b", 8, b"xy")])
    assert store.get("a/b") == VALUE


def test_a_read_only_file_is_replaced(
    store: LocalStore, value: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that may not be opened for writing is replaced, since its directory may be changed."""
    original = os.open

    def refuse(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "no")
        return original(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    inode = value.stat().st_ino
    store.set_partial_values([("a/b", 8, b"xy")])
    assert value.stat().st_ino != inode
    assert store.get("a/b") == changed(8, b"xy")


# --- versions


def test_every_word_written_has_a_version_of_its_own(store: LocalStore, value: Path) -> None:
    """With a clock that stands still, or a file from the future, no version comes twice."""

    class Stopped(FakeClock):
        def now_ns(self) -> int:
            return 1_000_000_000

    store.clock = Stopped()
    future = time.time_ns() // 1000 * 1000 + 10**15 + 1
    os.utime(value, ns=(future, future))
    inode, versions = value.stat().st_ino, {store.get_versioned("a/b")[1]}
    for number in range(300):
        store.set_partial_values([("a/b", 8, bytes([number % 2]))])
        versions.add(store.get_versioned("a/b")[1])
    assert len(versions) == 301
    assert value.stat().st_ino == inode
    assert value.stat().st_mtime_ns > future


@pytest.mark.parametrize("moment", ["fstat", "pwrite", "utime", "close"])
def test_who_read_before_the_end_cannot_compare_and_set(
    store: LocalStore, value: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A version read at any moment of the writing is not the one that remains in the end."""
    original = getattr(os, moment)
    seen: list[tuple[Any, str]] = []

    def look_first(*args: Any, **kwargs: Any) -> Any:
        with monkeypatch.context() as plain:
            plain.setattr(os, moment, original)
            seen.append(store.get_versioned("a/b"))
            if moment == "pwrite":  # as the kernel does before it copies
                now = time.time_ns()
                os.utime(args[0], ns=(now, now))
                seen.append(store.get_versioned("a/b"))
        return original(*args, **kwargs)

    with monkeypatch.context() as watched:
        watched.setattr(os, moment, look_first)
        store.set_partial_values([("a/b", 8, b"xy")])
    expected, version = store.get_versioned("a/b")
    assert expected == changed(8, b"xy")
    assert seen
    for read, old in seen:
        if read != expected or old != version:
            with pytest.raises(ConflictError):
                store.compare_and_set("a/b", b"", old)
    store.compare_and_set("a/b", b"", version)


def test_a_word_is_written_under_the_lock(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value is not replaced while a word of it is written, so the word is not lost."""
    store, events = LocalStore(root), []
    store.set("a/b", VALUE)
    lock, unlock, pwrite = _words.lock, _words.unlock, os.pwrite
    monkeypatch.setattr(_words, "lock", lambda fd: (events.append("lock"), lock(fd))[1])
    monkeypatch.setattr(_words, "unlock", lambda fd: (events.append("unlock"), unlock(fd)))
    monkeypatch.setattr(os, "pwrite", lambda *a: (events.append("write"), pwrite(*a))[1])
    store.set_partial_values([("a/b", 8, b"xy")])
    assert events == ["lock", "write", "unlock"]


def test_no_count_of_any_thread_is_lost(root: Path) -> None:
    """Threads that count in words of their own, in place or by compare-and-set, lose nothing."""
    store = LocalStore(root)
    store.set("a/n", bytes(64))
    run_at_once(
        *(lambda i=i: count_words(store, "a/n", i, 100) for i in range(3)),
        *(lambda i=i: count_in_whole(store, "a/n", i, 25) for i in range(3, 6)),
    )
    words = [int.from_bytes(store.get("a/n")[i : i + 8], "big") for i in range(0, 64, 8)]
    assert words == [100] * 3 + [25] * 3 + [0] * 2


def _work(name: str, *args: Any) -> None:
    {"words": count_words, "whole": count_in_whole}[name](*args)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_no_count_of_any_process_is_lost(root: Path, method: str) -> None:
    """Nor do processes."""
    store = LocalStore(root)
    store.set("a/n", bytes(64))
    work = [("words", store, "a/n", i, 100) for i in range(2)]
    work += [("whole", store, "a/n", i, 25) for i in range(2, 4)]
    run_processes(method, _work, *work)
    words = [int.from_bytes(store.get("a/n")[i : i + 8], "big") for i in range(0, 32, 8)]
    assert words == [100] * 2 + [25] * 2


# --- failures


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_failing_disk_is_an_error(
    store: LocalStore, value: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A word that the disk does not take raises, changes nothing, and leaves no lock behind."""
    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", fail_with(number))
        with pytest.raises(StoreError, match=errno.errorcode[number]) as caught:
            store.set_partial_values([("a/b", 8, b"xy")])
    assert caught.value.op == "set_partial_values"
    assert store.get("a/b") == VALUE
    store.set_partial_values([("a/b", 8, b"xy")])
    assert store.get("a/b") == changed(8, b"xy")


def test_a_durable_word_is_on_the_disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A durable store brings the file to the disk, and need not touch its directory."""
    store, synced = LocalStore(root, durable=True), []
    store.set("a/b", VALUE)
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), fsync(fd)))
    store.set_partial_values([("a/b", 8, b"xy")])
    assert synced == [(root / "a" / "b").stat().st_ino]


def test_a_link_is_not_written_through(store: LocalStore, value: Path, tmp_path: Path) -> None:
    """A link that has taken the place of a value is refused, and its target stays."""
    target = tmp_path / "target"
    value.rename(target)
    value.symlink_to(target)
    with pytest.raises(StoreError, match="link"):
        store.set_partial_values([("a/b", 8, b"xy")])
    assert target.read_bytes() == VALUE
