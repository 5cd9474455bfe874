"""Several small values into the files of one directory, which is opened and locked once."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from storekit.stores._files import discard, lock, prepare, temporary_name, unlock
from storekit.stores._nolinks import O_NOFOLLOW, READ_DIRECTORY
from storekit.stores._tree import Tree
from storekit.typing import Value

__all__ = ["Batch"]

_COUNT, _BYTES = 64, 1 << 20  # that wait at most
_SMALL = 1 << 16  # bytes: beside larger ones, the 8 us for a directory and a lock are little
_FOLDER = READ_DIRECTORY | O_NOFOLLOW


class Batch:
    """
    Values on their way: written to temporary files as they come, and put in place together.

    Where their directory is missing, it is made under a temporary name and renamed with all that is
    in it: a value of 16 KiB on a file system in memory takes 4 system calls (14 us). Where it is
    there, each file is renamed: 5 calls (19 us). One by one a value takes 9. It is more where
    threads write, since each call lets another one have the interpreter.

    Values are kept until they are in place, 1 MiB at most: what does not work together, for
    whatever reason, is done one by one, which knows how to go on or what to raise.

    Args:
        tree: Where to.

        now_ns: The clock.

        store_one: Stores a single value in the ordinary way.
    """

    def __init__(
        self,
        tree: Tree,
        now_ns: Callable[[], int],
        store_one: Callable[[str, Value], None],
    ) -> None:
        self._tree, self._now_ns, self._store_one = tree, now_ns, store_one
        self._directory = ""
        self._place: _Place | None = None  # if there are values pending
        self._pending: list[tuple[str, Value]] = []
        self._size = 0

    def add(self, key: str, value: Value) -> None:
        """Take a value, which may change afterwards. What came before it may be stored or not."""
        directory = key[: max(key.rfind("/"), 0)]
        if directory != self._directory or len(self._pending) == _COUNT or self._size > _BYTES:
            self.flush()
            self._directory = directory
        if len(value) > _SMALL or not self._prepare(key, value):
            self.flush()
            self._store_one(key, value)

    def _prepare(self, key: str, value: Value) -> bool:
        directory = self._directory
        try:
            if self._place is None:
                self._place = _place(self._tree, directory)
            name = key[len(directory) + 1 :] if directory else key
            self._place.write(name.encode(), value, self._now_ns)
        except OSError:
            return False
        self._pending.append((key, value if isinstance(value, bytes) else bytes(value)))
        self._size += len(value)
        return True

    def flush(self) -> None:
        """Put all values in place, in their order; after an error those before it are."""
        place, self._place = self._place, None
        if place is None:
            return
        pending, self._pending, self._size = self._pending, [], 0
        try:
            done = place.settle()
        finally:
            place.close()
        for key, value in pending[done:]:
            self._store_one(key, value)


class _Place(Protocol):
    """Where values wait."""

    def write(self, name: bytes, value: Value, now_ns: Callable[[], int]) -> None:
        """Write a value that shall have this name in the directory."""

    def settle(self) -> int:
        """Put values in place up to the first error, and return how many."""

    def close(self) -> None:
        """Remove what is left."""


def _place(tree: Tree, directory: str) -> _Place:
    try:
        return _Known(tree.open_directory(directory))
    except FileNotFoundError:
        if not directory:
            return _Known(tree.make_directory(directory))
    above, _, name = directory.rpartition("/")
    return _New(tree.make_directory(above), name.encode())


class _Known:
    """A directory that is there: files with temporary names in it, which are renamed."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._files: list[tuple[bytes, bytes]] = []
        self._done = 0

    def write(self, name: bytes, value: Value, now_ns: Callable[[], int]) -> None:
        temporary, _ = prepare(self._folder, value, now_ns, durable=False)
        self._files.append((temporary, name))

    def settle(self) -> int:
        folder = self._folder
        with suppress(OSError):
            lock(folder)
            try:
                for temporary, name in self._files:
                    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
                    self._done += 1
            finally:
                unlock(folder)
        return self._done

    def close(self) -> None:
        for temporary, _ in self._files[self._done :]:
            discard(self._folder, temporary)
        os.close(self._folder)


class _New:
    """
    A directory that is missing: one with a temporary name, which is renamed.

    It takes the place of an empty one that others have made meanwhile, who then make theirs again.
    """

    def __init__(self, above: int, name: bytes) -> None:
        self._above, self._name = above, name
        self._files: list[bytes] = []
        self._settled = False
        try:
            self._temporary, self._folder = _make_temporary(above)
        except BaseException:
            os.close(above)
            raise

    def write(self, name: bytes, value: Value, now_ns: Callable[[], int]) -> None:
        prepare(self._folder, value, now_ns, durable=False, name=name)
        self._files.append(name)

    def settle(self) -> int:
        above = self._above
        with suppress(OSError):
            os.rename(self._temporary, self._name, src_dir_fd=above, dst_dir_fd=above)
            self._settled = True
            return len(self._files)
        return 0

    def close(self) -> None:
        try:
            if not (self._settled or self._is_in_place()):
                for name in self._files:
                    discard(self._folder, name)
                with suppress(OSError):
                    try:
                        os.rmdir(self._temporary, dir_fd=self._above)
                    except FileNotFoundError:  # others remove it, by another name
                        os.rmdir(os.readlink(f"/proc/self/fd/{self._folder}"))
        finally:
            os.close(self._folder)
            os.close(self._above)

    def _is_in_place(self) -> bool:
        """Whether an interrupt came when it had its name already."""
        with suppress(OSError):
            there = os.stat(self._name, dir_fd=self._above, follow_symlinks=False)
            return os.path.samestat(there, os.fstat(self._folder))
        return False


def _make_temporary(above: int) -> tuple[bytes, int]:
    """A new directory in an open one, which nobody lists: its name, and a descriptor."""
    while True:
        name = temporary_name()
        try:
            os.mkdir(name, dir_fd=above)
        except FileExistsError:  # left by a dead process that had our number
            continue
        try:
            return name, os.open(name, _FOLDER, dir_fd=above)
        except BaseException:
            with suppress(OSError):
                os.rmdir(name, dir_fd=above)
            raise
