"""Values in the files of a directory."""

from __future__ import annotations

import errno
import os
from collections.abc import Hashable, Iterable, Sequence
from functools import partial
from typing import Any, NoReturn

from storekit.errors import (
    AccessDeniedError,
    ConflictError,
    InvalidKeyError,
    KeyConflictError,
    KeyNotFoundError,
    ReadOnlyError,
    StoreError,
    UnsupportedError,
)
from storekit.keys import resolve_range
from storekit.stores._batch import Batch
from storekit.stores._files import (
    Expected,
    VersionMismatchError,
    is_value,
    pread,
    read,
    remove,
    replace,
    version_of,
)
from storekit.stores._nolinks import real_path
from storekit.stores._tree import Tree
from storekit.stores._words import in_one_word, write_word
from storekit.stores.base import ConditionalStore, Latency, ListableStore
from storekit.stores.coalesce import read_spans
from storekit.stores.states import say_state
from storekit.typing import ByteRange, Value

__all__ = ["LocalStore"]

_GAP = 4096  # bytes: read for nothing in the time that a request of its own would take
_STEP = 2_000_000_000  # ns
_TRIES = 1000  # each is spent only when another erased the directory in that instant
_KINDS: dict[int | None, type[StoreError]] = {
    errno.ENOENT: KeyNotFoundError,
    errno.ENOTDIR: KeyNotFoundError,
    errno.EISDIR: KeyNotFoundError,
    errno.EACCES: AccessDeniedError,
    errno.EPERM: AccessDeniedError,
    errno.ELOOP: AccessDeniedError,
    errno.ENAMETOOLONG: InvalidKeyError,
    errno.EROFS: ReadOnlyError,
    errno.EOPNOTSUPP: UnsupportedError,
}


class LocalStore(ConditionalStore, ListableStore):
    """
    A store in a directory of a local file system: each key a file, each ``/`` a directory.

    A value is written to a temporary file and put in place by renaming; several small ones, whose
    directory is missing, in a temporary directory, and all at once. Only a part of one aligned
    word of 8 bytes, given to `set_partial_values`, is written in place, where that cannot be seen
    half done; whoever reads the whole value meanwhile finds each word old or new.

    Symbolic links below the root are not followed: reading through one raises `AccessDeniedError`,
    listings leave it out, writing its key replaces it. Whatever is no regular file is no value.
    Directories appear and vanish with the keys in them.

    A process that is killed while it writes, or interrupted (Ctrl-C) at an unlucky moment, may
    leave temporary files, up to 64 a thread. Nobody lists them, `erase_prefix` removes them.

    Compare-and-set, `set` and `erase` exclude each other among all threads and processes by a lock
    on the directory (`flock`). It needs a file system that has such locks and keeps times in
    nanoseconds, as the usual local ones do. Where there are no locks compare-and-set raises
    `UnsupportedError`, unless it makes a new key, which may need none; all else works.

    Args:
        path: The root. It is made by the first write. Links in this path itself are followed, once
        and now.

        durable: Whether a write, when it returns, is on the disk for good (`fsync` of the file and
            of its directories). Otherwise a crash of the machine may undo the last writes; it
            never leaves half a value.

    Raises:
        StoreError: If there is something else than a directory at `path`. Reading raises it, too,
            when the root was there and is gone (a disk taken away): no key is absent by that.

        UnsupportedError: On a system that is not POSIX.

    Threads: safe, also between processes.
    """

    latency = Latency.DISK

    def __init__(self, path: str | os.PathLike[str], *, durable: bool = False) -> None:
        self.path: str
        self.path, found = real_path(os.fsdecode(path))
        self.durable: bool = bool(durable)
        self._tree = Tree(self.path)
        if not hasattr(os, "O_DIRECTORY"):
            raise UnsupportedError("LocalStore needs a POSIX system", store=self)
        # Whether the root has been seen. If it then is gone, a disk is: no key is absent by that.
        self._seen: bool = found
        if not self._seen and os.path.exists(self.path):
            raise StoreError("the path is not a directory", store=self)

    @property
    def identity(self) -> Hashable:
        """The resolved path."""
        return "local", self.path

    # --- reading ----------------------------------------------------------------------------------

    def _get(self, key: str) -> Value:
        try:
            fd = self._tree.open_file(key)
            try:
                return read(fd, self._check(os.fstat(fd)).st_size)
            finally:
                os.close(fd)
        except OSError as error:
            self._fail(error, "get", key)

    def _get_versioned(self, key: str) -> tuple[Value, str]:
        try:
            fd = self._tree.open_file(key)
            try:
                status = self._check(os.fstat(fd))
                return read(fd, status.st_size), version_of(status)
            finally:
                os.close(fd)
        except OSError as error:
            self._fail(error, "get_versioned", key)

    def _get_ranges(self, key: str, ranges: Sequence[ByteRange]) -> list[Value]:
        try:
            fd = self._tree.open_file(key)
            try:
                status = self._check(os.fstat(fd))
                self._say_state(key, status)
                size = status.st_size
                spans = [resolve_range(start, length, size) for start, length in ranges]
                return read_spans(spans, _GAP, lambda first, last: pread(fd, first, last))
            finally:
                os.close(fd)
        except OSError as error:
            self._fail(error, "get_partial_values", key)

    def _say_state(self, key: str, status: os.stat_result) -> None:
        written, changed = status.st_mtime_ns, status.st_ctime_ns
        state = status.st_ino, written, changed, status.st_size
        # Others may write in place, and the kernel sets times when they begin, in steps of up to
        # two seconds.
        lasting = self.clock.now_ns() - max(written, changed) > _STEP
        say_state((self.identity, key), state, lasting=lasting)

    def _getsize(self, key: str) -> int:
        try:
            return self._check(self._tree.status(key)).st_size
        except OSError as error:
            self._fail(error, "getsize", key)

    def _exists(self, key: str) -> bool:
        try:
            return is_value(self._tree.status(key))
        except OSError as error:
            try:
                self._fail(error, "exists", key)
            except KeyNotFoundError:
                return False

    def _check(self, status: os.stat_result) -> os.stat_result:
        if is_value(status):
            self._seen = True
            return status
        raise OSError(errno.ENOENT, "not a regular file")

    # --- writing ----------------------------------------------------------------------------------

    def _set(self, key: str, value: Value) -> None:
        self._write(key, value, ..., "set")

    def _set_values(self, key_values: Iterable[tuple[str, Value]]) -> None:
        if self.durable:  # whoever waits for the disk saves nothing by it
            super()._set_values(key_values)
            return
        batch = Batch(self._tree, self.clock.now_ns, self._set)
        try:
            for key, value in key_values:
                batch.add(key, value)
                self._seen = True
        finally:  # what came before an error is stored
            batch.flush()

    def _set_ranges(self, key: str, changes: Sequence[tuple[int, Value]]) -> None:
        start, part = changes[0]
        if len(changes) == 1 and in_one_word(start, len(part)) and self._set_word(key, start, part):
            return
        super()._set_ranges(key, changes)

    def _set_word(self, key: str, start: int, part: Value) -> bool:
        directory, _, name = key.rpartition("/")
        try:
            folder = self._tree.open_directory(directory)
        except OSError:
            return False
        try:
            now = self.clock.now_ns
            return write_word(folder, name.encode(), start, part, now, durable=self.durable)
        except OSError as error:
            self._fail(error, "set_partial_values", key)
        finally:
            os.close(folder)

    def _erase(self, key: str) -> None:
        self._remove(key, ..., "erase")

    def _compare_and_set(
        self, key: str, value: Value | None, expected_version: str | None
    ) -> str | None:
        op = "compare_and_set"
        try:
            if value is not None:
                return self._write(key, value, expected_version, op)
            self._remove(key, expected_version, op)
        except VersionMismatchError:
            raise ConflictError(
                f"{key!r} has not the version expected", store=self, op=op, key=key
            ) from None
        return None

    def _write(self, key: str, value: Value, expected: Expected, op: str) -> str:
        directory, _, name = key.rpartition("/")
        try:
            for _ in range(_TRIES):
                try:
                    return self._write_once(directory, name.encode(), value, expected)
                except FileNotFoundError:
                    continue  # another erased the directory, or our temporary file with it
                except IsADirectoryError:
                    if not self._clear(key):
                        self._conflict(key, "there are keys under it", op)
        except NotADirectoryError as error:
            if not os.path.isdir(self.path):
                raise StoreError("the root is no directory", store=self, op=op, key=key) from error
            self._conflict(key, "one of its prefixes is a key", op)
        except OSError as error:
            self._tree.prune(directory)
            self._fail(error, op, key)
        raise StoreError(f"{key!r} is erased by others all the time", store=self, op=op, key=key)

    def _write_once(self, directory: str, name: bytes, value: Value, expected: Expected) -> str:
        if isinstance(expected, str):
            try:
                folder = self._tree.open_directory(directory)
            except (FileNotFoundError, NotADirectoryError):
                raise VersionMismatchError from None
        else:
            folder = self._tree.make_directory(directory, absent=expected is None)
        try:
            now = self.clock.now_ns
            version = replace(folder, name, value, expected, now, durable=self.durable)
        finally:
            os.close(folder)
        self._seen = True
        if self.durable:
            self._tree.settle(directory)
        return version

    def _remove(self, key: str, expected: Expected, op: str) -> None:
        directory, _, name = key.rpartition("/")
        try:
            folder = self._tree.open_directory(directory)
            try:
                removed = remove(folder, name.encode(), expected, durable=self.durable)
            finally:
                os.close(folder)
        except (FileNotFoundError, NotADirectoryError):
            if isinstance(expected, str):
                raise VersionMismatchError from None
            return
        except OSError as error:
            self._fail(error, op, key)
        if removed:
            self._tree.prune(directory)

    def _erase_prefix(self, prefix: str) -> int:
        directory = prefix[:-1]
        try:
            removed = self._tree.remove(directory)
        except OSError as error:
            self._fail(error, "erase_prefix", prefix)
        self._tree.prune(directory.rpartition("/")[0])
        return removed

    def _clear(self, path: str) -> bool:
        """Remove a directory without any key in it; False if there is one, or it resists."""
        if self._tree.holds_value(path):
            return False
        self._tree.remove(path, values=False)
        try:
            os.close(self._tree.open_directory(path))
        except (FileNotFoundError, NotADirectoryError):
            return True
        return False

    # --- listing ----------------------------------------------------------------------------------

    def _list_prefix(self, prefix: str) -> Iterable[str]:
        try:
            return set(self._tree.walk(prefix[:-1]))  # tmpfs names some twice while others write
        except OSError as error:
            self._fail(error, "list_prefix", prefix)

    def _list_dir(self, prefix: str) -> Iterable[str]:
        try:
            return set(self._tree.children(prefix[:-1]))
        except OSError as error:
            self._fail(error, "list_dir", prefix)

    # --- errors, and what all objects have --------------------------------------------------------

    def _conflict(self, key: str, reason: str, op: str) -> NoReturn:
        raise KeyConflictError(f"cannot write {key!r}: {reason}", store=self, op=op, key=key)

    def _fail(self, error: OSError, op: str, key: str) -> NoReturn:
        kind = _KINDS.get(error.errno, StoreError)
        if kind is KeyNotFoundError:
            if self._seen and not os.path.isdir(self.path):
                text = f"{key!r}: the root was there, and is gone"
                raise StoreError(text, store=self, op=op, key=key) from error
            text = f"no key {key!r}"
        elif error.errno == errno.ELOOP:
            text = f"{key!r} lies behind a symbolic link, which is not followed"
        else:
            name = errno.errorcode.get(error.errno or 0, "unknown error")
            text = f"{key!r}: {error.strerror} ({name})"
        raise kind(text, store=self, op=op, key=key) from error

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self.path, self.durable) == (other.path, other.durable)

    def __hash__(self) -> int:
        return hash((self.path, self.durable))

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), durable=self.durable), (self.path,)

    def __repr__(self) -> str:
        durable = ", durable=True" if self.durable else ""
        return f"{type(self).__name__}({self.path!r}{durable})"
