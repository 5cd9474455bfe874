"""
A directory and what lies under it, reached without following a link.

Paths are relative to the root, with ``/``, and ``""`` is the root. Every change is made relative
to the open descriptor of a directory that was reached so: a link put in place meanwhile leads
nowhere.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, suppress

from storekit.errors import InvalidKeyError
from storekit.keys import MAX_KEY, RESERVED, check_key
from storekit.stores._files import lock, temporary_name, unlock
from storekit.stores._nolinks import O_NOFOLLOW, PEEK, READ, READ_DIRECTORY, open_nolinks

__all__ = ["Tree", "to_bytes"]

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
_IS_UTF8 = sys.getfilesystemencoding() == "utf-8"


def to_bytes(name: str) -> bytes:
    """A path as the bytes on disk: UTF-8, whatever the locale."""
    return name.encode("utf-8", "surrogateescape")


class Tree:
    """
    Args:
        root: An absolute path without links in it. Need not exist yet.

    All methods raise `OSError`.
    """

    def __init__(self, root: str) -> None:
        self._root = os.fsencode(root)
        self._prefix = os.path.join(self._root, b"")
        self._settled: set[str] = (
            set()
        )  # directories whose entries in their parents are on the disk

    def open_file(self, path: str) -> int:
        """A descriptor to read from; of whatever has that name."""
        return open_nolinks(self._prefix + path.encode(), READ)

    def status(self, path: str) -> os.stat_result:
        """What lies there, readable or not."""
        fd = open_nolinks(self._prefix + path.encode(), PEEK)
        try:
            status = os.fstat(fd)
        finally:
            os.close(fd)
        if stat.S_ISLNK(status.st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return status

    def open_directory(self, path: str) -> int:
        """A descriptor of a directory."""
        return open_nolinks(self._prefix + to_bytes(path) if path else self._root, READ_DIRECTORY)

    def make_directory(self, path: str, *, absent: bool = False) -> int:
        """
        A descriptor of a directory, which is made with its parents where they are missing.

        Args:
            path: Its path.

            absent: Whether it is missing, most likely: then it is not looked for first.
        """
        missing = []
        if absent and path:
            path, _, name = path.rpartition("/")
            missing.append(name)
        while True:
            try:
                fd = self.open_directory(path)
                break
            except FileNotFoundError:
                if path:
                    path, _, name = path.rpartition("/")
                    missing.append(name)
                else:
                    os.makedirs(self._root, exist_ok=True)
        while missing:
            name = missing.pop()
            path = f"{path}/{name}" if path else name
            parent = fd
            try:
                with suppress(FileExistsError):
                    os.mkdir(to_bytes(name), dir_fd=parent)
                fd = self._open_below(parent, name, path)
            finally:
                os.close(parent)
        return fd

    def _open_below(self, parent: int, name: str, path: str) -> int:
        """Open a directory in another that is open: 1.7 us, by its whole path 2.6."""
        try:
            return os.open(to_bytes(name), READ_DIRECTORY | O_NOFOLLOW, dir_fd=parent)
        except NotADirectoryError:  # or a link: the error shall tell which
            return self.open_directory(path)

    def settle(self, path: str) -> None:
        """Bring the entries of a directory and its parents to the disk, whoever made them."""
        unsettled = []
        while path not in self._settled:
            unsettled.append(path)
            if not path:
                self._settle_root()
                break
            path = path.rpartition("/")[0]
            _sync(self._prefix + to_bytes(path) if path else self._root)
        self._settled.update(unsettled)

    def _settle_root(self) -> None:
        parent, above = self._root, os.path.dirname(self._root)
        while parent != above:
            parent, above = above, os.path.dirname(above)
            try:
                _sync(parent)
            except OSError as error:  # what we may not open, we have not made
                if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL):
                    raise

    def children(self, path: str) -> list[str]:
        """The values directly in a directory and, with ``/``, the directories that hold any."""
        try:
            fd = self.open_directory(path)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        try:
            for name, child, is_directory in _entries(fd, path):
                if not is_directory:
                    found.append(child)
                elif self._holds_value(fd, name, child):
                    found.append(f"{child}/")
        finally:
            os.close(fd)
        return found

    def _holds_value(self, parent: int, name: str, path: str) -> bool:
        try:
            fd = self._open_below(parent, name, path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            for _, _, is_directory in _entries(fd, path):
                if not is_directory:
                    return True
        finally:
            os.close(fd)
        return self.holds_value(path)

    def walk(self, path: str) -> Generator[str, None, None]:
        """The paths of all values under a directory; none if it is absent, or no directory."""
        pending = [path]
        while pending:
            directory = pending.pop()
            with suppress(FileNotFoundError, NotADirectoryError):
                fd = self.open_directory(directory)
                try:
                    for _, child, is_directory in _entries(fd, directory):
                        if is_directory:
                            pending.append(child)
                        else:
                            yield child
                finally:
                    os.close(fd)

    def holds_value(self, path: str) -> bool:
        """Whether there is any value under a directory; looks no further than the first."""
        with closing(self.walk(path)) as values:
            return next(values, None) is not None

    def remove(self, path: str, *, values: bool = True) -> int:
        """
        Remove a directory with all there is in it, and return how many values that were.

        Args:
            path: The root itself stays, empty.

            values: Whether values are removed, too, and not only what dead writers have left.
        """
        removed = 0
        directories = [path]
        for directory in directories:  # which grows meanwhile
            with suppress(FileNotFoundError, NotADirectoryError):
                fd = self.open_directory(directory)
                try:
                    prefix = f"{directory}/" if directory else ""
                    # All that lies in a temporary directory is temporary.
                    every = values or f"/{RESERVED}" in f"/{prefix}"
                    children, count = _remove_files(fd, prefix, every)
                finally:
                    os.close(fd)
                directories += children
                removed += count
        for directory in reversed(directories):
            if directory:
                self._remove_directory(directory)
        return removed

    def _remove_directory(self, path: str) -> bool:
        parent, _, name = path.rpartition("/")
        try:
            fd = self.open_directory(parent)
            try:
                os.rmdir(to_bytes(name), dir_fd=fd)
            finally:
                os.close(fd)
        except OSError:  # not empty, not there, not permitted: an empty directory is no harm
            return False
        self._settled.discard(path)
        return True

    def prune(self, path: str) -> None:
        """Remove a directory if it is empty, then its parents likewise; never the root."""
        while path and self._remove_directory(path):
            path = path.rpartition("/")[0]


def _entries(directory: int, path: str) -> Iterator[tuple[str, str, bool]]:
    """
    What lies in an open directory and can be, or lead to, a value: names, paths, and whether they
    are directories.
    """
    prefix = f"{path}/" if path else ""
    with os.scandir(directory) as scan:
        for entry in scan:
            name = _text(entry.name)
            child = prefix + name
            if _can_be_key(child):
                if entry.is_file(follow_symlinks=False):
                    yield name, child, False
                elif entry.is_dir(follow_symlinks=False):
                    yield name, child, True


def _remove_files(directory: int, prefix: str, values: bool) -> tuple[list[str], int]:
    """Remove the files in an open directory; its directories, and how many values it had."""
    directories, removed = [], 0
    with os.scandir(directory) as scan:
        entries = list(scan)
    lock(directory)
    try:
        for entry in entries:
            name = _text(entry.name)
            if entry.is_dir(follow_symlinks=False):
                if name.startswith(RESERVED):
                    name = _claim(directory, name)
                if name:
                    directories.append(prefix + name)
            elif values or name.startswith(RESERVED):
                is_key = entry.is_file(follow_symlinks=False) and _can_be_key(prefix + name)
                try:
                    os.unlink(to_bytes(name), dir_fd=directory)
                    removed += is_key
                except FileNotFoundError:
                    pass
                except IsADirectoryError:  # since it was listed
                    directories.append(prefix + name)
    finally:
        unlock(directory)
    return directories, removed


def _claim(directory: int, name: str) -> str:
    """
    Give a temporary directory in an open one another name; none if it is gone.

    Its writer may be alive, and about to give it its own name, with all there is in it: one of the
    two comes too late, and knows.
    """
    while True:
        claimed = temporary_name()
        try:
            os.rename(to_bytes(name), claimed, src_dir_fd=directory, dst_dir_fd=directory)
        except FileNotFoundError:
            return ""
        except OSError as error:
            if error.errno not in _TAKEN:  # by a dead process that had our number
                raise
        else:
            return claimed.decode()


def _sync(path: bytes) -> None:
    fd = open_nolinks(path, READ_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _text(name: str) -> str:
    return name if _IS_UTF8 else os.fsencode(name).decode("utf-8", "surrogateescape")


def _can_be_key(path: str) -> bool:
    """Whether keys may be so, given that the directory in which it lies may be so."""
    if path.isascii() and "/." not in path and path[0] != "." and len(path) <= MAX_KEY:
        return True
    try:
        check_key(path)
    except InvalidKeyError:
        return False
    return True
