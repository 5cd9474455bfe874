"""Values in the files of one open directory: whole reads, atomic replacement, versions."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from types import EllipsisType

from storekit.keys import RESERVED
from storekit.stores._exclusive import rename_exclusive
from storekit.stores._forklock import fork_lock
from storekit.stores._nolinks import O_CLOEXEC, O_NOFOLLOW
from storekit.typing import Value

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "Expected",
    "VersionMismatchError",
    "discard",
    "is_value",
    "lock",
    "next_stamp",
    "pread",
    "prepare",
    "read",
    "remove",
    "replace",
    "temporary_name",
    "unlock",
    "version_of",
]

Expected = str | None | EllipsisType
"""The version that a file must have; None: it must be absent; ``...``: no matter."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_CLOEXEC | O_NOFOLLOW
_MODE = 0o666  # less the umask, as for any file
_TEMPORARY = RESERVED.encode()
# What file systems without locks for directories answer; NFS wants a descriptor open for writing.
_NO_LOCKS = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_temporaries = count(1)
_last_stamp = 0
_stamping = fork_lock()


class VersionMismatchError(Exception):
    """The file does not have the version expected."""


def is_value(status: os.stat_result) -> bool:
    """Whether it is a regular file: all else is no value."""
    return stat.S_ISREG(status.st_mode)


def version_of(status: os.stat_result) -> str:
    """What tells one writing of a file from all others; see `replace`."""
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def read(fd: int, size: int) -> Value:
    """The bytes of a file from its beginning."""
    # The usual case: one call, straight into the bytes object that is handed out.
    data = os.read(fd, size)
    return data if len(data) == size else _read_on(fd, data, 0, size)


def pread(fd: int, first: int, last: int) -> Value:
    """The bytes of a span of a file, or as many as there are."""
    # Whole words are asked for: parts of one may be copied byte by byte; see `write_word`.
    start = first & -8
    size = (last + 7 & -8) - start
    data: Value = os.pread(fd, size, start)
    if len(data) < last - start:
        data = _read_on(fd, bytes(data), start, size)
    if len(data) == last - first:
        return data
    return memoryview(data)[first - start : last - start]


def _read_on(fd: int, data: bytes, first: int, size: int) -> Value:
    """Linux reads at most 2 GiB in one call; and a file that others change in place may shrink."""
    buffer = bytearray(size)
    done = len(data)
    buffer[:done] = data
    view = memoryview(buffer)
    while done < size:
        more = os.preadv(fd, [view[done:]], first + done)
        if not more:
            break
        done += more
    return view[:done].toreadonly()


def replace(
    directory: int,
    name: bytes,
    value: Value,
    expected: Expected,
    now_ns: Callable[[], int],
    *,
    durable: bool,
) -> str:
    """
    Put a value in place at once, and return its version; no error leaves anything behind.

    Raises:
        VersionMismatchError: If the file has not the version expected.

        FileNotFoundError: If the directory, or the temporary file, has been erased meanwhile.

        OSError: ENOTSUP if a version is expected where there are no locks, and any other.
    """
    # Whom the version tells that it is too late need not write first.
    after = _check(directory, name, expected) if isinstance(expected, str) else 0
    temporary, version = prepare(
        directory, value, now_ns, after, durable=durable, versioned=expected is not ...
    )
    try:
        if expected is None:
            _create(directory, temporary, name)
        else:
            _replace(directory, temporary, name, expected)
    except BaseException:
        discard(directory, temporary)
        raise
    if durable:
        os.fsync(directory)
    return version


def _create(directory: int, temporary: bytes, name: bytes) -> None:
    """
    Rename a file, if there is no value of the new name.

    It takes no lock where there is nothing at all. So what lies there must not be replaced on the
    word of an earlier look, but if it is no value: whoever could remove that waits for the lock.
    """
    while not (made := rename_exclusive(directory, temporary, name)):
        locked = lock(directory)
        try:
            _need(locked)
            status = _status(directory, name)
            if status is not None and is_value(status):
                raise VersionMismatchError
            if status is not None and stat.S_ISDIR(status.st_mode):  # may vanish at any time
                raise IsADirectoryError(errno.EISDIR, "a directory")
            if status is not None or made is None:  # where it cannot be done, all take the lock
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
                return
        finally:
            unlock(directory)


def _replace(directory: int, temporary: bytes, name: bytes, expected: str | EllipsisType) -> None:
    """Rename a file, under the lock, if the one of the new name has the version expected."""
    locked = lock(directory)
    try:
        if expected is not ...:
            _need(locked)
            _check(directory, name, expected)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    finally:
        unlock(directory)


def prepare(
    directory: int,
    value: Value,
    now_ns: Callable[[], int],
    after: int = 0,
    *,
    durable: bool,
    versioned: bool = False,
    name: bytes | None = None,
) -> tuple[bytes, str]:
    """
    Write a value to a temporary file, ready to be renamed; no error leaves anything behind.

    The version is made of inode, time stamp and size. The kernel's own time stamps move in steps
    of milliseconds, and inodes are used again; so the stamp is set here, while the new file
    already has its inode. Two files that ever had one inode had it at different times, hence have
    different stamps.

    Args:
        directory: An open one.

        value: What to write.

        now_ns: The clock.

        after: The time stamp of what is to be replaced.

        durable: Whether to wait for the disk.

        versioned: Whether the version is wanted.

        name: Of the file, where it need not be a temporary one; an error if it is there already.

    Returns:
        The name, and the version or ``""``.
    """
    if name is None:
        name, fd = _create_temporary(directory)
    else:
        fd = os.open(name, _CREATE, _MODE, dir_fd=directory)
    try:
        try:
            _write(fd, value)
            stamp = next_stamp(now_ns(), after)
            os.utime(fd, ns=(stamp, stamp))
            version = version_of(os.fstat(fd)) if versioned else ""
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        discard(directory, name)
        raise
    return name, version


def discard(directory: int, temporary: bytes) -> None:
    """Remove a temporary file, if it is still there."""
    with suppress(OSError):
        os.unlink(temporary, dir_fd=directory)


def remove(directory: int, name: bytes, expected: Expected, *, durable: bool) -> bool:
    """
    Remove a file, and return whether there was one.

    Raises:
        VersionMismatchError: If the file has not the version expected.
    """
    locked = lock(directory)
    try:
        if expected is not ...:
            _need(locked)
            if not _check(directory, name, expected):
                return False
        os.unlink(name, dir_fd=directory)
    except (FileNotFoundError, IsADirectoryError):
        return False
    except PermissionError:  # what macOS says of a directory
        if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            return False
        raise
    finally:
        unlock(directory)
    if durable:
        os.fsync(directory)
    return True


def lock(directory: int) -> bool:
    """
    Keep all others, in this process or not, from changing the entries of an open directory.

    The lock belongs to the descriptor, which must therefore be the caller's own. A directory that
    is removed while one waits is of no use afterwards: what is done relative to its descriptor
    fails or finds nothing, as it should.

    Returns:
        False where the file system has no such locks.
    """
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def unlock(directory: int) -> None:
    """Let the others go on."""
    # Closing would not do: a child forked meanwhile holds the same lock through its copy.
    try:  # noqa: SIM105 - `suppress` would cost every write 0.3 us
        fcntl.flock(directory, fcntl.LOCK_UN)
    except OSError:
        pass


def _need(locked: bool) -> None:
    if not locked:
        raise OSError(errno.ENOTSUP, "the file system cannot lock directories")


def _check(directory: int, name: bytes, expected: Expected) -> int:
    """The time stamp of a file that has the version expected; 0 if that is absence."""
    status = _status(directory, name)
    if status is not None and not is_value(status):
        status = None
    if (status and version_of(status)) != expected:
        raise VersionMismatchError
    return status.st_mtime_ns if status else 0


def _status(directory: int, name: bytes) -> os.stat_result | None:
    """What lies there; None if nothing does."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def next_stamp(now: int, after: int) -> int:
    """
    A time stamp that this process has not yet given, and later than `after`.

    It is no multiple of 100 ns: where one is found, the file system rounds.
    """
    global _last_stamp
    with _stamping:  # a thread that wrote back an older one would let others be given again
        stamp = max(now, _last_stamp + 1, after + 1)
        _last_stamp = stamp = stamp if stamp % 100 else stamp + 1
    return stamp


def temporary_name() -> bytes:
    """A name that nobody lists, and that this process gives once."""
    return b"%b%x-%x" % (_TEMPORARY, os.getpid(), next(_temporaries))


def _create_temporary(directory: int) -> tuple[bytes, int]:
    """A new file that nobody lists: its name, and a descriptor to write to."""
    while True:
        name = temporary_name()
        try:
            return name, os.open(name, _CREATE, _MODE, dir_fd=directory)
        except FileExistsError:  # left by a dead process that had our number
            continue


def _write(fd: int, value: Value) -> None:
    done = os.write(fd, value)
    while done < len(value):  # more than 2 GiB, or a disk that is about to be full
        done += os.write(fd, memoryview(value)[done:])
