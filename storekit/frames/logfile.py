"""Local files that frames are in: opened, written, and told apart."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from storekit.errors import (
    AccessDeniedError,
    PathNotFoundError,
    ReadOnlyError,
    StoreError,
    StorekitError,
)
from storekit.frames.layout import MIN_HEADER
from storekit.keys import RESERVED, resolve_range
from storekit.stores._files import pread
from storekit.stores._open_file import OpenFile
from storekit.typing import ByteRange, Value

__all__ = ["LogFile", "Stamp", "beside", "file_error", "file_errors", "write_at"]


class Stamp(NamedTuple):
    """
    What tells one state of a file from others.

    The kernel's time stamps move in steps of milliseconds. So what the header states belongs to it:
    each change by storekit makes the frame longer, as long as the file is the same.
    """

    inode: int
    size: int
    time: int
    header: bytes

    @classmethod
    def of(cls, status: os.stat_result, header: Value) -> Stamp:
        """That of a file with a header, of which no more than the fixed part is needed."""
        fixed = bytes(header[:MIN_HEADER])
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, fixed)


class LogFile(OpenFile):
    """An open file with a frame in it."""

    def __init__(self, path: str, flags: int = os.O_RDONLY) -> None:
        super().__init__(path, flags)
        self.path = path
        if not stat.S_ISREG(os.fstat(self.fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")

    def ranges(self, ranges: Sequence[ByteRange]) -> list[Value]:
        """Some ranges of the file, clamped to it."""
        size = os.fstat(self.fd).st_size
        spans = (resolve_range(*byte_range, size) for byte_range in ranges)
        return [pread(self.fd, first, last) for first, last in spans]

    def stamp(self, status: os.stat_result, start: int) -> Stamp:
        """
        What tells apart states of the frame that begins at `start`.

        Args:
            status: Of the file that the path leads to, be it this one or not.

            start: Where in this file the frame begins.
        """
        return Stamp.of(status, pread(self.fd, start, start + MIN_HEADER))


def beside(path: str) -> str:
    """The name of the file in which one that is to take the place of another is written."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{RESERVED}{name}.part")


def write_at(fd: int, data: Value, place: int) -> None:
    """Write all of the data."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, place)
        view, place = view[written:], place + written


def file_error(error: OSError, path: str, op: str) -> StorekitError:
    """What a file cannot do, as an error of ours; never as the absence of a key."""
    if isinstance(error, FileNotFoundError):
        what = "no file can be made at" if op == "create" else "no file"
        return PathNotFoundError(f"{what} {path!r}")
    kind: type[StoreError] = StoreError
    if error.errno == errno.EROFS:
        kind = ReadOnlyError
    elif isinstance(error, PermissionError):
        kind = AccessDeniedError
    return kind(f"{path!r}: {error.strerror or error}", op=op, key=path)


@contextmanager
def file_errors(path: str, op: str) -> Iterator[None]:
    """Let errors of files be errors of ours."""
    try:
        yield
    except StorekitError:
        raise
    except OSError as error:
        raise file_error(error, path, op) from error
