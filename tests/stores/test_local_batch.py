"""Several values at once on a disk: fewer system calls, and nothing else that differs."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from store_samples import fail_with, files

from storekit.errors import KeyConflictError, StoreError
from storekit.stores import LocalStore, _batch, _files, _tree

MANY = _batch._COUNT + 6


@pytest.fixture(params=["a missing directory", "one that is there"], autouse=True)
def there(request: pytest.FixtureRequest, root: Path) -> bool:
    """Whether the directory of the values is there before; every law holds in both cases."""
    there: bool = request.param == "one that is there"
    if there:
        (root / "a").mkdir(parents=True)
    return there


def values(count: int = MANY, prefix: str = "a/") -> Iterator[tuple[str, bytes]]:
    """That many small values."""
    return ((f"{prefix}{number}", b"%d" % number) for number in range(count))


@pytest.mark.parametrize("count", [1, _batch._COUNT, MANY])
def test_a_directory_is_renamed_or_locked_once_for_many_values(
    root: Path, monkeypatch: pytest.MonkeyPatch, count: int, there: bool
) -> None:
    """
    Up to a limit, the values of one directory are renamed under one lock, or with the directory.
    """
    locked: list[int] = []
    renamed: list[bytes] = []
    lock, rename = _batch.lock, os.rename
    monkeypatch.setattr(_batch, "lock", lambda fd: (locked.append(fd), lock(fd))[1])
    monkeypatch.setattr(
        os, "rename", lambda src, dst, **fds: (renamed.append(dst), rename(src, dst, **fds))[1]
    )
    LocalStore(root).set_values(values(count))
    in_place = 0 if there else min(count, _batch._COUNT)
    assert len(locked) == -(-(count - in_place) // _batch._COUNT)
    assert renamed == ([] if there else [b"a"]) + [b"%d" % n for n in range(in_place, count)]
    assert len(files(root)) == count + 1


def test_values_wait_for_no_more_than_a_mebibyte(root: Path) -> None:
    """What is held back is limited in bytes, too."""
    store, seen = LocalStore(root), []

    def watched() -> Iterator[tuple[str, bytes]]:
        for number in range(20):
            seen.append(len(store.list()))
            yield f"a/{number:02}", bytes(_batch._SMALL)

    store.set_values(watched())
    assert seen[-1] == 17 == seen[-2]
    assert seen[16] == 0


def test_pending_values_are_invisible(root: Path, there: bool) -> None:
    """What has not been put in place yet is neither listed nor in the way of a reader."""
    store = LocalStore(root)
    if there:
        store.set("a/0", b"old")
    seen: list[object] = []

    def watching() -> Iterator[tuple[str, bytes]]:
        yield from values(3)
        seen.extend((store.list(), store.list_dir(""), store.exists("a/0"), len(files(root))))

    store.set_values(watching())
    assert seen == ([["a/0"], ["a/"], True, 5] if there else [[], [], False, 4])
    assert store.list() == ["a/0", "a/1", "a/2"]
    assert store.get("a/0") == b"0"


MEANWHILE: dict[str, tuple[Callable[[LocalStore, Path], object], list[str]]] = {
    "an empty directory": (lambda _, root: (root / "a").mkdir(exist_ok=True), []),
    "another key": (lambda store, _: store.set("a/x", b"other"), ["a/x"]),
    "one of the keys": (lambda store, _: store.set("a/1", b"other"), []),
    "one of the keys, and a directory": (lambda store, _: store.set("a/y/z", b""), ["a/y/z"]),
    "the same by others": (lambda store, _: store.set_values(values(3)), []),
}


@pytest.mark.parametrize(("act", "more"), MEANWHILE.values(), ids=MEANWHILE.keys())
def test_what_others_put_there_meanwhile_stays(
    root: Path, act: Callable[[LocalStore, Path], object], more: list[str]
) -> None:
    """A directory that others make while values wait loses nothing, and gets the values."""
    store = LocalStore(root)

    def disturbed() -> Iterator[tuple[str, bytes]]:
        yield from values(3)
        act(LocalStore(root), root)

    store.set_values(disturbed())
    assert store.list() == ["a/0", "a/1", "a/2", *more]
    assert store.get("a/1") == b"1"
    assert not [name for name in files(root) if ".storekit" in name]


def test_a_key_in_the_place_of_the_directory_is_a_conflict(root: Path, there: bool) -> None:
    """Whoever stores under the name of the directory meanwhile keeps it, and no trace is left."""
    store = LocalStore(root)
    if there:
        (root / "a").rmdir()

    def disturbed() -> Iterator[tuple[str, bytes]]:
        yield from values(3)
        LocalStore(root).set("a", b"mine")

    with pytest.raises(KeyConflictError):
        store.set_values(disturbed())
    assert files(root) == ["a"]


def test_a_key_that_comes_twice_has_the_last_value(root: Path) -> None:
    """Of the values of one key in one call the last one stays."""
    store = LocalStore(root)
    store.set_values([("a/0", b"1"), ("a/1", b"2"), ("a/0", b"3")])
    assert (store.get("a/0"), store.get("a/1")) == (b"3", b"2")
    assert files(root) == ["a", "a/0", "a/1"]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_an_interrupted_rename_removes_nothing_that_is_in_place(
    root: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """Ctrl-C just before or after a rename leaves no temporary file, and whole values."""
    rename = os.rename

    def interrupted(*args: Any, **kwargs: Any) -> None:
        if not before:
            rename(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(os, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            LocalStore(root).set_values(values(3))
    store = LocalStore(root)
    assert not [name for name in files(root) if ".storekit" in name]
    assert all(store.get(key) == key[2:].encode() for key in store.list())
    assert bool(store.list()) is not before


def test_what_others_remove_while_it_is_made_is_stored(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others who erase all while values wait, and more of them come, make none vanish."""
    store = LocalStore(root)

    def disturbed() -> Iterator[tuple[str, bytes]]:
        yield from values(3)
        with monkeypatch.context() as busy:
            busy.setattr(os, "rmdir", fail_with(errno.ENOTEMPTY))  # as when another file has come
            LocalStore(root).erase_prefix("")
        yield from list(values(6))[3:]

    store.set_values(disturbed())
    assert store.list() == [f"a/{number}" for number in range(6)]
    store.erase_prefix("")
    assert files(root) == []


def test_what_comes_between_the_removing_of_files_and_directory_leaves_no_trace(
    root: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """A value that is written just before its hidden directory is removed leaves none behind."""
    if there:
        (root / "a").rmdir()
    store, rmdir = LocalStore(root), os.rmdir
    store.set("x", b"")
    batch = _batch.Batch(store._tree, store.clock.now_ns, store._set)
    batch.add("a/0", b"0")

    def late(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(os, "rmdir", rmdir)
        batch.add("a/1", b"1")
        rmdir(*args, **kwargs)

    monkeypatch.setattr(os, "rmdir", late)
    LocalStore(root).erase_prefix("")
    batch.flush()
    assert files(root) == ["a", "a/0", "a/1"]


def test_leftovers_of_a_process_with_our_number_hinder_nobody(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hidden files and directories with the very names that come next are removed with the rest."""
    store = LocalStore(root)
    store.set_values(values(3))
    monkeypatch.setattr(_files, "_temporaries", count(1))
    for number in range(1, 6):
        name = root / "a" / f".storekit-{os.getpid():x}-{number:x}"
        if number % 2:
            name.write_bytes(b"")
        else:
            name.mkdir()
            (name / "0").write_bytes(b"")
    assert store.erase_prefix("") == 3
    assert files(root) == []


def test_a_key_that_becomes_a_prefix_while_all_is_erased(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Erasing goes on where a file has become a directory since it was listed."""
    store, lock = LocalStore(root), _tree.lock
    store.set_values([*values(3), ("a/c/d", b"")])

    def late(directory: int) -> bool:
        monkeypatch.setattr(_tree, "lock", lock)
        LocalStore(root).erase("a/0")
        LocalStore(root).set("a/0/b", b"")
        return lock(directory)

    monkeypatch.setattr(_tree, "lock", late)
    store.erase_prefix("a/")
    assert store.list() == []


def test_a_key_above_a_directory_that_is_made_is_a_conflict(root: Path, there: bool) -> None:
    """Of a key and keys below it one is refused, whichever comes first; and nothing is lost."""
    store = LocalStore(root)
    if there:
        (root / "a").rmdir()

    def disturbed() -> Iterator[tuple[str, bytes]]:
        yield from values(3, "a/b/")
        LocalStore(root).set("a", b"mine")
        yield from values(3, "a/b/")

    with pytest.raises(KeyConflictError):
        store.set_values(disturbed())
    assert files(root) == ["a"]


def test_a_directory_that_cannot_be_opened_is_not_left(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When files run out just after the directory was made, it is removed; all else goes on."""
    original = os.open

    def opened(path: Any, flags: int, *args: Any, **more: Any) -> int:
        if isinstance(path, bytes) and b".storekit-" in path and flags & os.O_DIRECTORY:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return original(path, flags, *args, **more)

    monkeypatch.setattr(os, "open", opened)
    LocalStore(root).set_values(values(3))
    assert files(root) == ["a", "a/0", "a/1", "a/2"]


@pytest.mark.parametrize("how", ["erase_prefix", "set"])
def test_a_directory_that_a_dead_writer_left_is_no_value(root: Path, how: str) -> None:
    """What lay in a temporary directory is not listed, in nobody's way, and goes with a prefix."""
    dead = root / "a" / "b" / ".storekit-dead-1"
    dead.mkdir(parents=True)
    (dead / "0").write_bytes(b"half a val")
    store = LocalStore(root)
    assert store.list() == store.list_dir("") == store.list_dir("a/") == []
    if how == "set":
        store.set("a/b", b"new")
        assert files(root) == ["a", "a/b"]
    else:
        assert store.erase_prefix("a/") == 0
        assert files(root) == []


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
        store.set_values(values(3))
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
