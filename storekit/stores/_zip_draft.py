"""The file in which the next state of an archive is made, beside the one that others read."""

from __future__ import annotations

import errno
import os
import weakref
from contextlib import suppress

from storekit.errors import StoreError
from storekit.keys import RESERVED
from storekit.stores._open_file import OpenFile
from storekit.stores._zip_source import FileSource
from storekit.typing import Value

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

__all__ = ["Draft", "copy_bytes", "write_at"]

_COPIED = 1 << 20  # bytes at once, where the kernel does not copy


class Draft:
    """
    The right to write an archive, and the file in which that is done.

    Of two that would write one archive the second is refused, by a lock on a file beside it. What a
    dead writer has left is used by the next one.

    Args:
        path: Of the archive, without links.

    Raises:
        StoreError: If another writes it.
    """

    def __init__(self, path: str) -> None:
        if fcntl is None:
            raise OSError(errno.ENOSYS, "writing needs a POSIX system")
        self._path = path
        folder, name = os.path.split(path)
        self._part = os.path.join(folder, f"{RESERVED}{name}.part")
        lock = os.path.join(folder, f"{RESERVED}{name}.lock")
        self._folder = folder
        self.pid = os.getpid()
        try:
            right = _Right(lock, self._part)
        except BlockingIOError as error:
            raise StoreError(f"another store writes the archive {path!r}") from error
        self.close = right.release
        weakref.finalize(self, right.release)

    def begin(self, base: FileSource | None, length: int) -> FileSource:
        """A new file, which begins with so many bytes of another, and has its permissions."""
        with suppress(FileNotFoundError):
            os.unlink(self._part)
        made = FileSource(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        if base is not None:
            os.fchmod(made.fd, base.status.st_mode & 0o777)
            copy_bytes(base.fd, 0, made.fd, 0, length)
        return made

    def publish(self, source: FileSource, *, fresh: bool) -> None:
        """
        Put the file in the place of the archive, once it is on the disk.

        Raises:
            FileExistsError: If it should be fresh, and is not.
        """
        os.fsync(source.fd)
        source.status = os.fstat(source.fd)
        if fresh:
            os.link(self._part, self._path)
        else:
            os.replace(self._part, self._path)

    def settle(self) -> None:
        """Bring to the disk that the archive is another file."""
        folder = OpenFile(self._folder)
        os.fsync(folder.fd)


class _Right:
    """
    A lock on a file that is made for it.

    Args:
        path: Of that file.

        part: What its holder alone may write.

    Raises:
        BlockingIOError: If somebody else has it.
    """

    def __init__(self, path: str, part: str) -> None:
        self._files, self._pid = (part, path), os.getpid()
        self._file: OpenFile | None = None
        while True:
            file = OpenFile(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
            try:
                fcntl.flock(file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The one before may have removed the file between the two calls.
                if os.path.samestat(os.fstat(file.fd), os.stat(path)):
                    self._file = file
                    return
            except FileNotFoundError:
                pass
            finally:
                if self._file is None:
                    fcntl.flock(file.fd, fcntl.LOCK_UN)

    def release(self) -> None:
        """Give the lock back, and remove the files; once."""
        is_ours = os.getpid() == self._pid  # else it is the parent's, whose lock a child shares
        file, self._file = self._file, None
        if file is None or not is_ours:
            return
        try:
            for path in self._files:
                with suppress(OSError):
                    os.unlink(path)
        finally:
            fcntl.flock(file.fd, fcntl.LOCK_UN)


def write_at(fd: int, position: int, *pieces: Value) -> int:
    """Write one piece after the other, and return where the last one ends."""
    for piece in pieces:
        view = memoryview(piece)
        while view:
            done = os.pwrite(fd, view, position)
            view, position = view[done:], position + done
    return position


def copy_bytes(source: int, start: int, target: int, position: int, length: int) -> None:
    """
    Copy bytes from file to file. Where the file system can, they are shared instead.

    Raises:
        OSError: Also if the source ends too early.
    """
    while length and hasattr(os, "copy_file_range"):
        try:
            done = os.copy_file_range(source, target, length, start, position)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                break
            raise
        if not done:
            break
        start, position, length = start + done, position + done, length - done
    while length:
        data = os.pread(source, min(length, _COPIED), start)
        if not data:
            raise OSError(errno.EIO, "the archive became shorter")
        position = write_at(target, position, data)
        start, length = start + len(data), length - len(data)
