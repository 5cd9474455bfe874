"""A process that writes an archive and dies, or whose disk fails, leaves a whole archive."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forking import in_child
from store_samples import files

from storekit.errors import AccessDeniedError, ReadOnlyError, StoreError
from storekit.stores.zip import ZipStore

OLD = {"a": b"old" * 50, "b/c": b"stays" * 20}
BETWEEN = {"a": b"new" * 70, "b/c": b"stays" * 20, "d": b"more" * 30}
NEW = {"b/c": b"stays" * 20, "d": b"more" * 30, "e": b"last"}
CALLS = (
    "pwrite",
    "ftruncate",
    "fsync",
    "link",
    "replace",
    "unlink",
    "copy_file_range",
    "open",
    "fchmod",
    "close",
)


def whole(path: Path) -> dict[str, bytes]:
    """All there is in an archive, which Python and storekit must read alike."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        there = {name: archive.read(name) for name in archive.namelist()}
    store = ZipStore(path)
    assert {key: bytes(store.get(key)) for key in store.list()} == there
    return there


def change(path: Path) -> None:
    """Change an archive, publish that, change it again, and compact it."""
    with ZipStore(path, "a") as store:
        store.set("a", BETWEEN["a"])
        store.set("d", BETWEEN["d"])
        store.flush()
        store.erase("a")
        store.set("e", b"last")
        store.compact()


def count_calls(monkeypatch: pytest.MonkeyPatch, at_call: Callable[[str, int, Any], None]) -> None:
    """Tell of each system call that changes something, before it is made."""
    made = 0

    def watch(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal made
            made += 1
            at_call(name, made, arguments)
            return real(*arguments, **keywords)

        monkeypatch.setattr(os, name, call)

    for name in CALLS:
        if hasattr(os, name):
            watch(name)


def kill(name: str, arguments: Any) -> None:
    """Die, after half of what was to be written."""
    if name == "pwrite":
        fd, data, position = arguments
        REAL_PWRITE(fd, data[: len(data) // 2], position)
    os.kill(os.getpid(), signal.SIGKILL)


REAL_PWRITE = os.pwrite


@pytest.mark.parametrize("start", ["archive", "nothing"])
def test_a_writer_killed_at_any_call_leaves_a_whole_archive(
    tmp_path: Path, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever a writer dies, the archive is that before it or one that it flushed; and the next
    writer works."""
    path = tmp_path / "a.zip"
    allowed = [OLD] if start == "archive" else []
    if start == "nothing":
        later = [{"a": BETWEEN["a"], "d": BETWEEN["d"]}, {"d": BETWEEN["d"], "e": b"last"}]
    else:
        later = [BETWEEN, NEW]
    seen = []
    for point in range(1, 1000):
        path.unlink(missing_ok=True)
        if start == "archive":
            with ZipStore(path, "w") as store:
                store.set_values(OLD.items())

        def work(point: int = point) -> None:
            def at_call(name: str, made: int, arguments: Any) -> None:
                if made == point:
                    kill(name, arguments)

            count_calls(monkeypatch, at_call)
            change(path)

        code = in_child(work)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        if path.exists():
            found = whole(path)
            assert found in allowed + later
            if found not in seen:
                seen.append(found)
        else:
            assert start == "nothing"
        with ZipStore(path, "a") as store:
            store.set("after", b"works")
        assert whole(path)["after"] == b"works"
    assert point > 20
    assert seen == allowed + later
    assert files(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS])
def test_a_call_that_fails_leaves_a_whole_archive(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever call fails, a `StoreError` tells of it, the archive is whole, nothing is left."""
    path = tmp_path / "a.zip"
    kind = {errno.EACCES: AccessDeniedError, errno.EROFS: ReadOnlyError}.get(number, StoreError)
    failed = []
    for point in range(1, 1000):
        monkeypatch.undo()
        with ZipStore(path, "w") as store:
            store.set_values(OLD.items())

        def at_call(name: str, made: int, arguments: Any, point: int = point) -> None:
            # What only tidies up may fail in silence.
            if made == point and name not in ("unlink", "close"):
                failed.append(name)
                raise OSError(number, os.strerror(number))
            if made == point:
                failed.append("")

        count_calls(monkeypatch, at_call)
        before = len(failed)
        error = error_of(lambda: change(path))
        monkeypatch.undo()
        if error is None:
            assert failed[before:] in ([""], [], ["copy_file_range"])
        else:
            assert type(error) is kind
            assert os.strerror(number) in str(error)
        for key, value in whole(path).items():
            assert value in [state.get(key) for state in (OLD, BETWEEN, NEW)]
        assert files(tmp_path) == ["a.zip"]
        if len(failed) == before:
            break
    assert {"pwrite", "fsync", "replace", "open", "ftruncate"} <= set(failed)


def error_of(do: Callable[[], None]) -> StoreError | None:
    """What it raises."""
    try:
        do()
    except StoreError as error:
        return error
    return None


def test_a_published_file_is_not_written_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a flush fails when its file has taken its place already, later writes do not touch it."""
    path = tmp_path / "a.zip"
    real = os.fsync
    with ZipStore(path, "w") as store:
        store.set("a", b"1")

        def fails_for_folders(fd: int) -> None:
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            real(fd)

        monkeypatch.setattr(os, "fsync", fails_for_folders)
        with pytest.raises(StoreError, match="Input/output error"):
            store.flush()
        monkeypatch.undo()
        assert whole(path) == {"a": b"1"}
        store.set("b", b"2" * 1000)
        assert whole(path) == {"a": b"1"}
    assert whole(path) == {"a": b"1", "b": b"2" * 1000}


def test_an_interrupted_flush_is_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If Ctrl-C comes when the file has just taken its place, it is not written to any more."""
    path = tmp_path / "a.zip"
    store = ZipStore(path, "w")
    store.set("a", b"0")
    store.flush()
    store.set("a", b"1")
    real_replace = os.replace

    def interrupted(*arguments: Any) -> None:
        real_replace(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.flush()
    monkeypatch.undo()
    store.set("b", b"2" * 1000)
    assert whole(path) == {"a": b"1"}
    assert store.list() == ["a", "b"]
    store.close()
    assert whole(path) == {"a": b"1", "b": b"2" * 1000}


def test_a_failed_write_can_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that did not fit leaves the others, and what is written next takes its place."""
    path = tmp_path / "a.zip"
    with ZipStore(path, "w") as store:
        store.set("a", b"old")

        def full(fd: int, data: Any, position: int) -> int:
            REAL_PWRITE(fd, data[: len(data) // 2], position)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        for key in ("a", "new"):
            monkeypatch.setattr(os, "pwrite", full)
            with pytest.raises(StoreError, match="No space left"):
                store.set(key, b"x" * 100)
            monkeypatch.undo()
            assert store.list() == ["a"]
            assert store.get("a") == b"old"
        store.set("b", b"2")
    assert whole(path) == {"a": b"old", "b": b"2"}


def test_without_help_of_the_kernel_bytes_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel cannot copy from file to file, the archive is changed all the same."""
    path = tmp_path / "a.zip"
    value = os.urandom(3 << 20)
    with ZipStore(path, "w") as store:
        store.set("big", value)

    def cannot(*arguments: object) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "copy_file_range", cannot)
    with ZipStore(path, "a") as store:
        store.set("a", b"1")
        store.compact()
    assert whole(path) == {"big": value, "a": b"1"}


def test_every_program_reads_it_at_any_time(tmp_path: Path) -> None:
    """While values are written and flushed, unzip finds the archive without fault."""
    path = tmp_path / "a.zip"
    store = ZipStore(path, "w", level=3)
    for number in range(5):
        store.set(f"a/{number}", b"text " * 1000)
        store.flush()
        store.set("pending", os.urandom(100_000))
        if Path("/usr/bin/unzip").exists():
            subprocess.run(["unzip", "-tqq", path], check=True, timeout=20)
        assert len(whole(path)) == number + 1 + (number > 0)
    store.close()
