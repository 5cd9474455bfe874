"""What crashes leave, errors of the system, and failures half-way."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from store_samples import fail_with, files

from storekit.errors import (
    AccessDeniedError,
    InvalidKeyError,
    ReadOnlyError,
    StoreError,
    UnsupportedError,
)
from storekit.stores import LocalStore, _files, _nolinks, _tree


def test_temporary_files_are_invisible(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the renaming, neither a listing nor a reader sees anything of a new value."""
    store = LocalStore(root)
    store.set("a/b", b"old")
    seen: list[object] = []
    rename = os.rename

    def spy(*args: Any, **kwargs: Any) -> None:
        seen.append(len(files(root)))
        seen.append([store.list(), store.list_dir("a/"), store.get("a/b"), store.exists("a/c")])
        rename(*args, **kwargs)

    monkeypatch.setattr(os, "rename", spy)
    store.set("a/c", b"new")
    assert seen == [3, [["a/b"], ["a/b"], b"old", False]]
    assert files(root) == ["a", "a/b", "a/c"]


def test_what_a_crash_leaves_is_harmless(store: LocalStore, root: Path) -> None:
    """Temporary files of dead writers are not listed, are in no key's way, and go with a prefix."""
    store.set("a/b", b"1")
    for directory in ("a", "x/y"):
        (root / directory).mkdir(parents=True, exist_ok=True)
        (root / directory / ".storekit-dead-1").write_bytes(b"half a val")
    assert store.list() == ["a/b"]
    assert store.list_dir("") == ["a/"]
    with pytest.raises(InvalidKeyError):
        store.get("a/.storekit-dead-1")
    store.set("x/y", b"2")
    assert store.get("x/y") == b"2"
    store.erase("a/b")
    store.set("a", b"3")
    store.set("z/b", b"4")
    (root / "z" / ".storekit-dead-2").write_bytes(b"")
    assert store.erase_prefix("z/") == 1
    assert files(root) == ["a", "x", "x/y"]


def test_a_name_taken_by_a_dead_process_is_passed_over(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leftover with the very name that the next temporary file would get is no obstacle."""
    store = LocalStore(root)
    monkeypatch.setattr(_files, "_temporaries", iter([7, 7, 8]))
    leftover = root / f".storekit-{os.getpid():x}-7"
    store.set("a", b"1")
    leftover.write_bytes(b"")
    store.set("a", b"2")
    assert store.get("a") == b"2"
    assert leftover.exists()


@pytest.mark.parametrize("call", ["write", "utime", "close", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failed_write_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """A full or broken disk is a StoreError with its errno; the old value stays, and no trace."""
    store = LocalStore(root)
    store.set("old", b"value")
    with monkeypatch.context() as broken:
        if call == "close":
            close = os.close

            def close_and_fail(fd: int) -> None:
                is_file = stat.S_ISREG(os.fstat(fd).st_mode)
                close(fd)
                if is_file:
                    raise OSError(number, os.strerror(number))

            broken.setattr(os, "close", close_and_fail)
        else:
            broken.setattr(os, call, fail_with(number))
        for key in ("old", "new", "deep/new"):
            with pytest.raises(StoreError, match=errno.errorcode[number]) as caught:
                store.set(key, b"x" * 100)
            assert type(caught.value) is StoreError
            assert isinstance(caught.value.__cause__, OSError)
            assert caught.value.__cause__.errno == number
    assert files(root) == ["old"]
    assert store.get("old") == b"value"


def test_a_short_write_is_continued(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system call that takes only part of a value is followed by others for the rest."""
    store = LocalStore(root)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:7])))
    store.set("a", memoryview(b"more than seven bytes"))
    assert store.get("a") == b"more than seven bytes"


def test_a_short_read_is_continued(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system call that gives only part of a value is followed by others for the rest."""
    store = LocalStore(root)
    value = b"more than seven bytes"
    store.set("a", value)
    read, pread, preadv = os.read, os.pread, os.preadv
    monkeypatch.setattr(os, "read", lambda fd, n: read(fd, min(n, 7)))
    monkeypatch.setattr(os, "pread", lambda fd, n, at: pread(fd, min(n, 2), at))
    monkeypatch.setattr(os, "preadv", lambda fd, b, at: preadv(fd, [b[0][:3]], at))
    assert store.get("a") == value
    assert store.get_versioned("a")[0] == value
    assert store.get_partial_values([("a", 5, 10)]) == [value[5:15]]
    assert memoryview(store.get("a")).readonly


def test_a_value_that_others_cut_short_gives_what_is_left(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that shrinks between the look at its size and the reading does not hang the reader."""
    store = LocalStore(root)
    store.set("a", b"0123456789")
    fstat = os.fstat

    def cut(fd: int) -> os.stat_result:
        status = fstat(fd)
        os.truncate(root / "a", 4)
        return status

    monkeypatch.setattr(os, "fstat", cut)
    assert store.get("a") == b"0123"


ERRORS = {
    errno.EACCES: AccessDeniedError,
    errno.EPERM: AccessDeniedError,
    errno.EROFS: ReadOnlyError,
    errno.ENAMETOOLONG: InvalidKeyError,
    errno.EIO: StoreError,
    errno.EMFILE: StoreError,
    errno.ENOMEM: StoreError,
    errno.ESTALE: StoreError,
}


@pytest.mark.parametrize(("number", "kind"), ERRORS.items(), ids=map(errno.errorcode.get, ERRORS))
def test_an_error_of_the_system_is_never_absence(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StoreError]
) -> None:
    """Whatever the system complains of becomes its error, chained; only ENOENT means absence."""
    store = LocalStore(root)
    store.set("a", b"1")
    monkeypatch.setattr(_tree, "open_nolinks", fail_with(number))
    for op, call in {
        "get": lambda: store.get("a"),
        "getsize": lambda: store.getsize("a"),
        "exists": lambda: store.exists("a"),
        "get_versioned": lambda: store.get_versioned("a"),
        "get_partial_values": lambda: store.get_partial_values([("a", 0, 1)]),
        "list_prefix": lambda: store.list(),
        "list_dir": lambda: store.list_dir(""),
        "erase": lambda: store.erase("a"),
        "erase_prefix": lambda: store.erase_prefix("x/"),
        "set": lambda: store.set("a", b"2"),
        "compare_and_set": lambda: store.compare_and_set("a", b"2", None),
    }.items():
        with pytest.raises(StoreError) as caught:
            call()
        assert type(caught.value) is kind
        assert caught.value.op == op
        assert isinstance(caught.value.__cause__, OSError)
    monkeypatch.undo()
    assert store.get("a") == b"1"


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory that belongs to who runs the test, and that is not root."""
    with tempfile.TemporaryDirectory() as directory:
        if os.geteuid() != 0:
            yield Path(directory)
            return
        os.chown(directory, 65534, -1)
        os.seteuid(65534)
        try:
            yield Path(directory)
        finally:
            os.seteuid(0)


def test_permissions_are_respected(unprivileged: Path) -> None:
    """What may not be read, written or looked into raises `AccessDeniedError`."""
    root = unprivileged / "root"
    store = LocalStore(root)
    store.set("a/b", b"1")
    (root / "a" / "b").chmod(0)
    with pytest.raises(AccessDeniedError):
        store.get("a/b")
    assert store.exists("a/b")
    assert store.getsize("a/b") == 1
    (root / "a").chmod(0o500)
    for write in (
        lambda: store.set("a/c", b"1"),
        lambda: store.erase("a/b"),
        lambda: store.erase_prefix("a/"),
        lambda: store.compare_and_set("a/c", b"1", None),
    ):
        with pytest.raises(AccessDeniedError):
            write()
    (root / "a").chmod(0)
    for look in (store.list, lambda: store.list_dir(""), lambda: store.exists("a/b")):
        with pytest.raises(AccessDeniedError):
            look()
    (root / "a").chmod(0o700)
    assert store.list() == ["a/b"]


def test_a_path_too_long_for_the_system_is_an_invalid_key(root: Path) -> None:
    """A valid key below a root that is deep enough exceeds what the system takes."""
    store = LocalStore(root.joinpath(*["x" * 200] * 17))
    with pytest.raises(InvalidKeyError):
        store.get("/".join(["y" * 200] * 5))


def test_new_files_have_the_usual_mode(root: Path) -> None:
    """Values and directories get the permissions that the umask leaves, as any other file."""
    before = os.umask(0o027)
    try:
        LocalStore(root).set("a/b", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / "a" / "b").stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o750


def test_no_descriptor_is_left_open(store: LocalStore, root: Path) -> None:
    """After any operation, successful or not, as many files are open as before."""
    store.set("a/b", b"1")
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to(root)

    def exercise() -> None:
        store.set("x/y", b"1")
        store.get("x/y")
        store.get_partial_values([("x/y", 0, 1), ("x/y", -1, None)])
        version = store.get_versioned("x/y")[1]
        store.compare_and_set("x/y", b"2", version)
        store.list()
        store.list_dir("")
        store.erase_prefix("x/")
        for call, *arguments in (
            (store.get, "pipe"),
            (store.get, "link/a/b"),
            (store.get, "missing"),
            (store.set, "a", b""),
            (store.set, "a/b/c", b""),
            (store.set, "link/x", b""),
            (store.compare_and_set, "a/b", b"", version),
            (store.list_dir, "link/"),
        ):
            with pytest.raises(StoreError):
                call(*arguments)

    exercise()
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    exercise()
    after = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    assert after == before


# --- other systems


def test_a_system_without_posix_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files cannot be opened as the store needs it, making one says so."""
    monkeypatch.delattr(os, "O_DIRECTORY")
    with pytest.raises(UnsupportedError, match="POSIX"):
        LocalStore("/nowhere")


def test_a_system_without_openat2_takes_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old kernel, a strict sandbox, or a Python without ctypes does without the system call."""
    with monkeypatch.context() as old:
        old.setattr(_nolinks, "_SYS_OPENAT2", 100_000)
        assert _nolinks._make_openat2() is None
    with monkeypatch.context() as bare:
        bare.setitem(sys.modules, "ctypes", None)
        assert _nolinks._make_openat2() is None


def test_erasing_a_directory_does_nothing_on_macos(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that forbids to unlink a directory, instead of calling it one, means the same."""
    store = LocalStore(root)
    store.set("a/b", b"1")
    monkeypatch.setattr(os, "unlink", fail_with(errno.EPERM))
    store.erase("a")
    with pytest.raises(AccessDeniedError):
        store.erase("a/b")


def test_a_directory_above_the_root_that_cannot_be_synced_is_passed_over(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A durable store settles above its root what it may, and fails if the disk does."""
    settled = _tree._sync

    def sync(path: bytes, number: int) -> None:
        if not path.startswith(os.fsencode(root)):
            raise OSError(number, os.strerror(number))
        settled(path)

    monkeypatch.setattr(_tree, "_sync", lambda path: sync(path, errno.EACCES))
    LocalStore(root, durable=True).set("a/b", b"1")
    monkeypatch.setattr(_tree, "_sync", lambda path: sync(path, errno.EIO))
    with pytest.raises(StoreError, match="EIO"):
        LocalStore(root, durable=True).set("a/b", b"1")
