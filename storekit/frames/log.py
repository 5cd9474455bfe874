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
import threading
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import NamedTuple

from storekit.errors import CorruptFrameError, KeyNotFoundError, ReadOnlyError
from storekit.frames.frame import Frame, chunk_size, load_frame
from storekit.frames.home import Change, Home, Piece, Snapshot
from storekit.keys import resolve_range
from storekit.stores._files import pread
from storekit.typing import ByteRange, Value

__all__ = ["LogHome"]

_SPARE = 1 << 20
"""Unused bytes that are never worth a new file."""


class _File:
    """An open file, closed when nobody reads from it any more."""

    def __init__(self, path: str, flags: int) -> None:
        self.fd = os.open(path, flags | os.O_CLOEXEC)

    def __del__(self) -> None:
        with suppress(AttributeError, OSError):
            os.close(self.fd)


class _Stamp(NamedTuple):
    """What tells one state of a file from others."""

    inode: int
    size: int
    time: int

    @classmethod
    def of(cls, status: os.stat_result) -> _Stamp:
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


class _LogSnapshot(Snapshot):
    def __init__(self, frame: Frame, file: _File, start: int) -> None:
        super().__init__(frame)
        object.__setattr__(self, "file", file)
        object.__setattr__(self, "start", start)

    file: _File
    start: int

    def read(self, pieces: Sequence[Piece]) -> list[Value]:
        return [self._read(*piece) for piece in pieces]

    def _read(self, offset: int, byte_range: ByteRange) -> Value:
        begin, end = self.frame.extent(offset)
        first, last = resolve_range(*byte_range, end - begin)
        base = self.start + begin
        return pread(self.file.fd, base + first, base + last)


class LogHome(Home):
    """
    A frame in a local file.

    Args:
        path: Of the file.

        writable: Whether the frame may be changed.

        start: Where in the file the frame begins. Then it cannot be changed.

    Raises:
        KeyNotFoundError: If there is no file.

        CorruptFrameError: If there is no frame in it.
    """

    def __init__(self, path: str, *, writable: bool = False, start: int = 0) -> None:
        self.path, self.writable, self.start = os.path.abspath(path), writable, start
        self._lock = threading.Lock()
        self._state = self._load()

    @property
    def identity(self) -> Hashable:
        """The path of the file, links followed."""
        return "frame", os.path.realpath(self.path), self.start

    def snapshot(self) -> Snapshot:
        """The frame as it is in the file now."""
        stamp, snapshot = self._state
        try:
            now = os.stat(self.path)
        except FileNotFoundError:
            raise self._missing() from None
        if _Stamp.of(now) == stamp:
            return snapshot
        with self._lock:
            self._state = stamp, snapshot = self._load()
        return snapshot

    def refresh(self) -> None:
        """Nothing: every snapshot is new."""

    def _load(self) -> tuple[_Stamp, _LogSnapshot]:
        while True:
            try:
                file = _File(self.path, os.O_RDONLY)
            except FileNotFoundError:
                raise self._missing() from None
            # Before the header is read: what changes meanwhile is then seen the next time.
            stamp = _Stamp.of(os.fstat(file.fd))
            try:
                frame = load_frame(partial(_ranges, file.fd), offset=self.start)
            except CorruptFrameError:
                if _Stamp.of(os.fstat(file.fd)) == stamp:
                    raise
                continue  # it was written to at this moment
            return stamp, _LogSnapshot(frame, file, self.start)

    def _missing(self) -> KeyNotFoundError:
        return KeyNotFoundError(f"no file {self.path!r}", op="get", key=self.path)

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Others that change the file, in whatever process, wait meanwhile."""
        if not self.writable:
            raise ReadOnlyError(f"{self.path!r} was opened to be read", op="set", key=self.path)
        if self.start:
            raise ReadOnlyError(
                f"a frame in the midst of {self.path!r} cannot be changed", op="set", key=self.path
            )
        file = self._alone()
        try:
            _, snapshot = self._load()
            change = _LogChange(self, snapshot, file)
            try:
                yield change
            finally:
                change.close()
        finally:
            with suppress(OSError):
                fcntl.flock(file.fd, fcntl.LOCK_UN)

    def _alone(self) -> _File:
        """The file, opened to be written by nobody else."""
        while True:
            try:
                file = _File(self.path, os.O_RDWR)
            except FileNotFoundError:
                raise self._missing() from None
            except PermissionError as error:
                raise ReadOnlyError(str(error), op="set", key=self.path) from error
            fcntl.flock(file.fd, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.stat(self.path).st_ino == os.fstat(file.fd).st_ino:
                    return file  # and not one that has been replaced meanwhile

    def _changed(self) -> Snapshot:
        with self._lock:
            self._state = _, snapshot = self._load()
        return snapshot


class _LogChange(Change):
    """What is appended to a file."""

    def __init__(self, home: LogHome, snapshot: _LogSnapshot, file: _File) -> None:
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
        _pwrite(self._file.fd, data, self._base + offset)

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
        old = self.snapshot.frame.header
        dead = self.dead + self._begin - old.cbytes  # the old index and the old trailer
        if dead > self._end - dead + _SPARE:
            self._rewrite()
        else:
            head, tail = self.ends(self._end, dead)
            if len(head) != self._base:
                self._rewrite()
            else:
                _pwrite(self._file.fd, tail, self._base + self._end)
                # One call, within a page or two: with this the change is there.
                _pwrite(self._file.fd, head, 0)
                os.ftruncate(self._file.fd, self._base + self._end + len(tail))
        self._done = True
        return self._home._changed()

    def _rewrite(self) -> None:
        """A new file without what is not used any more, in place of the old one."""
        numbers = [n for n, offset in enumerate(self.offsets.tolist()) if offset >= 0]
        temporary = f"{self._home.path}.{os.getpid()}-{threading.get_ident()}.tmp"
        mode = os.fstat(self._file.fd).st_mode & 0o7777
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            old, place = self.offsets.copy(), 0
            base = len(self.ends(0)[0])
            for number in numbers:
                data = self.chunk(int(old[number]))
                _pwrite(fd, data, base + place)
                self.offsets[number] = place
                place += len(data)
            head, tail = self.ends(place)
            _pwrite(fd, tail, base + place)
            _pwrite(fd, head, 0)
            os.rename(temporary, self._home.path)
        except BaseException:
            os.unlink(temporary)
            raise
        finally:
            os.close(fd)

    def close(self) -> None:
        """Clear away what was appended and has not become part of the frame."""
        if not self._done:
            with suppress(OSError):
                os.ftruncate(self._file.fd, self._base + self._begin)


def _ranges(fd: int, ranges: Sequence[ByteRange]) -> list[Value]:
    size = os.fstat(fd).st_size
    spans = (resolve_range(*byte_range, size) for byte_range in ranges)
    return [pread(fd, first, last) for first, last in spans]


def _pwrite(fd: int, data: Value, place: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, place)
        view, place = view[written:], place + written
