"""
Frames in local files: read where they lie, and written as a log.

A change appends: chunks, then an index and a trailer behind the old ones. Last of all, the header
is written over, which is what makes the change appear. So a file is never half written: whoever
reads with the old header finds everything where it was, also if the writer was killed. What is not
used any more is cleared away when it is the larger part, by a new file in place of the old one.

Stock blosc2 reads such files, and changes them in place.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from storekit.errors import AccessDeniedError, CodecError, ReadOnlyError
from storekit.frames.frame import Frame, chunk_size
from storekit.frames.home import Change, Home, Piece, Snapshot
from storekit.frames.loading import load_frame, parse_ends
from storekit.frames.logfile import (
    LogFile,
    Stamp,
    beside,
    file_error,
    file_errors,
    write_at,
)
from storekit.keys import resolve_range
from storekit.stores._files import pread
from storekit.typing import ByteRange, Value

__all__ = ["LogHome"]

_SPARE = 1 << 20
"""Unused bytes that are never worth a new file."""

_PAGE = 4096
"""So many bytes at the beginning of a file are written all or none, if the writer is killed."""


class _LogSnapshot(Snapshot):
    def __init__(self, frame: Frame, file: LogFile, start: int) -> None:
        super().__init__(frame)
        object.__setattr__(self, "file", file)
        object.__setattr__(self, "start", start)

    file: LogFile
    start: int

    def read(self, pieces: Sequence[Piece]) -> list[Value]:
        try:
            return [self._read(*piece) for piece in pieces]
        except OSError as error:
            raise file_error(error, self.file.path, "get") from error

    def _read(self, offset: int, byte_range: ByteRange) -> Value:
        first, last = self.frame.span(offset, byte_range)
        return pread(self.file.fd, self.start + first, self.start + last)


class LogHome(Home):
    """
    A frame in a local file.

    Args:
        path: Of the file.

        writable: Whether the frame may be changed.

        start: Where in the file the frame begins. Then it cannot be changed.

    Raises:
        PathNotFoundError: If there is no file.

        CorruptFrameError: If there is no frame in it.
    """

    path: str

    def __init__(self, path: str, *, writable: bool = False, start: int = 0) -> None:
        self.path, self.writable, self.start = os.path.abspath(path), writable, start
        self._state = self._load()

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), writable=self.writable, start=self.start), (self.path,)

    @property
    def identity(self) -> Hashable:
        """The path of the file, links followed."""
        return "frame", os.path.realpath(self.path), self.start

    def snapshot(self) -> Snapshot:
        """The frame as it is in the file now."""
        stamp, snapshot = self._state
        try:
            now = os.stat(self.path)
        except OSError as error:
            raise file_error(error, self.path, "get") from error
        if snapshot.file.stamp(now, self.start) != stamp:
            self._state = _, snapshot = self._load()
        return snapshot

    def refresh(self) -> None:
        """Nothing: every snapshot is new."""

    def _load(self) -> tuple[Stamp, _LogSnapshot]:
        with file_errors(self.path, "get"):
            return self._load_from(LogFile(self.path))

    def _load_from(self, file: LogFile) -> tuple[Stamp, _LogSnapshot]:
        while True:
            # Before the frame is read: what changes meanwhile is then seen the next time.
            stamp = file.stamp(os.fstat(file.fd), self.start)
            try:
                frame = load_frame(file.ranges, offset=self.start)
            except CodecError:
                if file.stamp(os.fstat(file.fd), self.start) == stamp:
                    raise
                continue  # it was written to at this moment
            if file.stamp(os.fstat(file.fd), self.start).header == stamp.header:
                return stamp, _LogSnapshot(frame, file, self.start)

    def _now_in(self, file: LogFile, head: bytes, frame: Frame) -> Snapshot:
        """The frame that has just been written, with this header."""
        snapshot = _LogSnapshot(frame, file, self.start)
        self._state = Stamp.of(os.fstat(file.fd), head), snapshot
        return snapshot

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Others that change the file, in whatever process, wait meanwhile."""
        if not self.writable:
            raise ReadOnlyError(f"{self.path!r} was opened to be read", op="set", key=self.path)
        if self.start:
            raise ReadOnlyError(
                f"a frame in the midst of {self.path!r} cannot be changed", op="set", key=self.path
            )
        while True:
            file = self._opened()
            try:  # entered before there is a lock, so that it is given back whenever Ctrl-C comes
                with file_errors(self.path, "set"):
                    fcntl.flock(file.fd, fcntl.LOCK_EX)
                    if not os.path.samestat(os.stat(self.path), os.fstat(file.fd)):
                        continue  # it has been replaced meanwhile
                    _, snapshot = self._load_from(file)
                change = _LogChange(self, snapshot, file)
                try:
                    yield change
                finally:
                    change.close()
                return
            finally:
                # Closing would not do: a child forked meanwhile holds the same lock by its copy.
                try:  # noqa: SIM105 - Ctrl-C might come in `suppress`
                    fcntl.flock(file.fd, fcntl.LOCK_UN)
                except OSError:
                    pass

    def _opened(self) -> LogFile:
        try:
            with file_errors(self.path, "set"):
                return LogFile(self.path, os.O_RDWR)
        except AccessDeniedError as error:
            raise ReadOnlyError(str(error), op="set", key=self.path) from error


class _LogChange(Change):
    """What is appended to a file."""

    def __init__(self, home: LogHome, snapshot: _LogSnapshot, file: LogFile) -> None:
        super().__init__(snapshot)
        self._home, self._file = home, file
        header = snapshot.frame.header
        self._base = header.header_len
        self._begin = self._end = header.frame_len - self._base
        self._sizes: dict[int, int] = {}
        self._done = False

    def _is_fresh(self, offset: int) -> bool:
        return offset >= self._begin

    def _reserve(self, data: Value) -> int:
        place, self._end = self._end, self._end + len(data)
        self._sizes[place] = len(data)
        return place

    def _write(self, offset: int, data: Value) -> None:
        with file_errors(self._home.path, "set"):
            write_at(self._file.fd, data, self._base + offset)

    def _read(self, offset: int, byte_range: ByteRange) -> Value:
        first, last = resolve_range(*byte_range, self._sizes[offset])
        return pread(self._file.fd, self._base + offset + first, self._base + offset + last)

    def _forget(self, offset: int) -> None:
        if offset in self._sizes:
            self.dead += self._sizes.pop(offset)
        elif offset >= 0:
            (head,) = self.snapshot.read([(offset, (0, 16))])
            self.dead += chunk_size(head)

    def commit(self) -> Snapshot:
        """Let everything appear, by one write of the header, or by a new file."""
        # The old index and the old trailer are not used any more, either.
        dead = self.dead + self._begin - self.snapshot.frame.header.cbytes
        with file_errors(self._home.path, "set"):
            # blosc2 does not open a file where there are bytes and no chunk.
            if dead <= self._end - dead + _SPARE and (self.offsets >= 0).any():
                ends = self.ends(self._end, dead)
                if self._fits(ends[0]):
                    return self._append(*ends)
            return self._rewrite()

    def _append(self, head: bytes, tail: bytes) -> Snapshot:
        frame = parse_ends(head, tail)  # what we would not read, we do not write
        fd, place = self._file.fd, self._base + self._end
        write_at(fd, tail, place)
        # From here on nobody may cut off what was appended: the next call may just have been made
        # when this is interrupted.
        self._done = True
        write_at(fd, head[:_PAGE], 0)
        with suppress(OSError):  # what a dead writer has left behind does no harm
            os.ftruncate(fd, place + len(tail))
        return self._home._now_in(self._file, head, frame)

    def _fits(self, head: bytes) -> bool:
        """Whether a header can take the place of the old one by one write of a page."""
        if len(head) != self._base:
            return False
        return head[_PAGE:] == pread(self._file.fd, _PAGE, max(self._base, _PAGE))

    def _rewrite(self) -> Snapshot:
        """A new file without what is not used any more, in place of the old one."""
        path = os.path.realpath(self._home.path)
        temporary = beside(path)
        with suppress(FileNotFoundError):  # of a dead writer: a living one would have the lock
            os.unlink(temporary)
        file = LogFile(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            os.fchmod(file.fd, os.fstat(self._file.fd).st_mode & 0o7777)
            base = place = len(self.ends(0)[0])
            for data in self.stored():
                write_at(file.fd, data, place)
                place += len(data)
            head, tail = self.ends(place - base)
            frame = parse_ends(head, tail)
            write_at(file.fd, tail, place)
            write_at(file.fd, head, 0)
            os.rename(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        return self._home._now_in(file, head, frame)

    def close(self) -> None:
        """Clear away what was appended and has not become part of the frame."""
        if not self._done:
            with suppress(OSError):
                os.ftruncate(self._file.fd, self._base + self._begin)
