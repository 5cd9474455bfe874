"""A process that changes a frame and dies, or whose disk fails, leaves a whole frame."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from forking import in_child
from frame_files import create, opened, stock_reads

from storekit.codecs.frame_chunk import FrameChunkCoder
from storekit.errors import AccessDeniedError, CodecError, ReadOnlyError, StoreError
from storekit.frames import log
from storekit.frames.log import LogHome
from storekit.nodes.frame_array import FrameArray
from storekit.typing import AnyArray, Value

OLD = np.arange(600, dtype="i4").reshape(30, 20)
CALLS = ("pwrite", "ftruncate", "rename", "unlink", "open", "fchmod", "close")
REAL_PWRITE = os.pwrite
REAL = SimpleNamespace(**{name: getattr(os, name) for name in CALLS})


def states() -> list[AnyArray]:
    """What the array is after each statement of `change`, and before the first."""
    made = [OLD]
    for edit in EDITS:
        array = made[-1].copy()
        edit(array)
        made.append(array)
    return made


def _corner(array: Any) -> None:
    array[5:15, 3:9] = 7


def _all(array: Any) -> None:
    array[...] = OLD[::-1] * 3


def _empty(array: Any) -> None:
    array[:10] = 0


EDITS = (_corner, _all, _empty, _corner)


def change(path: Path) -> None:
    """Change a frame several times; the last times it is written anew."""
    array = opened(path)
    for number, edit in enumerate(EDITS):
        with pytest.MonkeyPatch.context() as patch:
            if number > 1:
                patch.setattr(log, "_SPARE", -(1 << 20))
            edit(array)


def whole(path: Path) -> AnyArray:
    """The array in a file, which blosc2 and storekit must read alike."""
    found: AnyArray = FrameArray(LogHome(str(path)))[...]
    assert (stock_reads(path) == found).all()
    return found


def number_of(found: AnyArray) -> int:
    """Which of the states it is."""
    return next(i for i, state in enumerate(states()) if (state == found).all())


@contextmanager
def watched(at_call: Callable[[str, int, Any], None]) -> Iterator[None]:
    """Tell of each system call that changes something, before it is made."""
    made = 0

    def watch(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal made
            made += 1
            at_call(name, made, arguments)
            return real(*arguments, **keywords)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, watch(name))
        yield


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_a_writer_killed_at_any_call_leaves_a_whole_frame(tmp_path: Path, part: float) -> None:
    """
    Whenever a writer dies, also when some of what it wrote is there, the frame is one of those
    between its statements; and the next writer works, and leaves nothing behind.
    """
    path = tmp_path / "a.b2nd"
    seen = []
    for point in range(1, 1000):
        path.unlink(missing_ok=True)
        create(path, OLD, (10, 10), (5, 5))

        def work(point: int = point) -> None:
            def at_call(name: str, made: int, arguments: Any) -> None:
                if made != point:
                    return
                # A write within a page is not interrupted: the header is there, or it is not.
                if name == "pwrite" and (arguments[2] or part in (0, 1)):
                    fd, data, place = arguments
                    REAL_PWRITE(fd, data[: int(len(data) * part)], place)
                os.kill(os.getpid(), signal.SIGKILL)

            with watched(at_call):
                change(path)

        code = in_child(work)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        seen.append(number_of(whole(path)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(log, "_SPARE", -(1 << 20))
            opened(path)[0, 0] = 99
        assert whole(path)[0, 0] == 99
        assert os.listdir(tmp_path) == ["a.b2nd"]
    assert seen == sorted(seen)
    assert set(seen) >= {0, 1, 2, 3}
    assert point > 20


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS])
def test_a_call_that_fails_changes_nothing(tmp_path: Path, number: int) -> None:
    """
    Whichever call fails, a `StoreError` says so, and the statement has changed nothing; or it is
    done, if that call was only to tidy up.
    """
    path = tmp_path / "a.b2nd"
    kinds = (StoreError, ReadOnlyError, AccessDeniedError)
    failed: list[str] = []
    for point in range(1, 1000):
        path.unlink(missing_ok=True)
        create(path, OLD, (10, 10), (5, 5))
        before = len(failed)

        def at_call(name: str, made: int, arguments: Any, point: int = point) -> None:
            if made == point and name != "close":
                failed.append(name)
                raise OSError(number, os.strerror(number))
            if made == point:
                failed.append("")

        array = opened(path)
        done = 0
        error: StoreError | None = None
        with watched(at_call):
            for done, edit in enumerate(EDITS):
                with pytest.MonkeyPatch.context() as patch:
                    if done > 1:
                        patch.setattr(log, "_SPARE", -(1 << 20))
                    try:
                        edit(array)
                    except StoreError as found:
                        error = found
                        break
        if error is None:
            assert failed[before:] in ([""], [], ["ftruncate"], ["unlink"])
            assert (whole(path) == states()[-1]).all()
        else:
            assert type(error) in kinds
            assert os.strerror(number) in str(error)
            assert (whole(path) == states()[done]).all()
        assert (array[...] == whole(path)).all()
        assert os.listdir(tmp_path) == ["a.b2nd"]
        if len(failed) == before:
            break
    assert {"pwrite", "rename", "open", "ftruncate"} <= set(failed)


@pytest.mark.parametrize("before", [True, False])
def test_an_interrupted_statement(tmp_path: Path, before: bool) -> None:
    """Wherever Ctrl-C comes, before a call or after it, the statement is done or it is not."""
    path = tmp_path / "a.b2nd"
    for point in range(1, 1000):
        path.unlink(missing_ok=True)
        create(path, OLD, (10, 10), (5, 5))
        interrupted, done = [], 0

        def at_call(name: str, made: int, arguments: Any, point: int = point) -> None:
            if made == point and name != "close":
                interrupted.append(name)  # noqa: B023
                if not before:
                    getattr(REAL, name)(*arguments)
                raise KeyboardInterrupt

        array = opened(path)
        with watched(at_call), pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
            for number, edit in enumerate(EDITS):
                if number > 1:
                    patch.setattr(log, "_SPARE", -(1 << 20))
                edit(array)
                done = number + 1
        assert number_of(whole(path)) in (done, done + 1)
        with pytest.MonkeyPatch.context() as patch:  # a file that was just made is used up
            patch.setattr(log, "_SPARE", -(1 << 20))
            array[0, 0] = 99
        assert whole(path)[0, 0] == 99
        assert os.listdir(tmp_path) == ["a.b2nd"]
        if not interrupted and done == len(EDITS) and point > 30:
            break
    assert point < 100


def test_a_full_disk(tmp_path: Path) -> None:
    """A statement that does not fit changes nothing, and leaves no bytes; a smaller one fits."""
    path = tmp_path / "a.b2nd"
    create(path, OLD, (10, 10), (5, 5))
    size = path.stat().st_size

    def child() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, size + 1000))
        array = opened(path)
        with pytest.raises(StoreError, match="File too large"):
            array[...] = np.random.default_rng(0).integers(0, 1 << 30, OLD.shape, "i4")
        assert (array[...] == OLD).all()
        assert path.stat().st_size == size
        array[0, 0] = -5

    assert in_child(child) == 0
    assert whole(path)[0, 0] == -5


def test_an_error_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the third chunk of a statement cannot be encoded, the first two are not changed."""
    path = tmp_path / "a.b2nd"
    create(path, OLD, (10, 10), (5, 5))
    array, size, real, calls = opened(path), path.stat().st_size, FrameChunkCoder.encode, []

    def encode(self: FrameChunkCoder, chunk: AnyArray) -> Value:
        calls.append(chunk)
        if len(calls) == 3:
            raise CodecError("no")
        return real(self, chunk)

    monkeypatch.setattr(FrameChunkCoder, "encode", encode)
    with pytest.raises(CodecError):
        array[...] = 5
    assert (array[...] == OLD).all()
    assert (whole(path) == OLD).all()
    assert path.stat().st_size == size
