"""Values in a zip archive: a local file, or a value of another store."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from storekit.errors import KeyNotFoundError, StoreError
from storekit.keys import check_key, resolve_range
from storekit.stores._forward import refusing
from storekit.stores._variant import declared_class, variant
from storekit.stores._zip_archive import Archive
from storekit.stores._zip_changes import ZipChanges
from storekit.stores._zip_directory import Entry
from storekit.stores._zip_errors import FAILURES, translate
from storekit.stores._zip_source import FileSource, StoreSource
from storekit.stores._zip_writer import Writer
from storekit.stores.base import (
    ConditionalStore,
    Latency,
    ListableStore,
    ReadableStore,
    Store,
    WritableStore,
)
from storekit.typing import ByteRange, Value

__all__ = ["ZipStore"]

T = TypeVar("T")

_MODES = ("r", "w", "a", "x")
_LIMIT = 1 << 30


# What a zip store can do shows when it is made. Type checkers do not know that, and let it do all.
if TYPE_CHECKING:

    class _Base(ReadableStore, ListableStore, ZipChanges):
        """All that a zip store may be."""

else:

    class _Base(ReadableStore, ListableStore):
        """All that every zip store is."""


class ZipStore(_Base):
    """
    A store in a zip archive: each key a member.

    A store opened to read is no `WritableStore`; its writing methods raise `ReadOnlyError`. It
    stays on the file that it has opened when that is replaced.

    A store opened to write changes a copy of the archive beside it, which takes its place in
    `flush` and in `close`: so the archive under `path` is whole at every moment, for every program,
    and after every crash. What is not flushed is seen through this store alone, and lost without
    `close`. Of an archive there is one such store at a time; pickled and restored in its process it
    is the same archive, in other processes it can be read after the fork, not written.

    Whole values are checked by their CRC-32, parts of stored ones cannot be. What is damaged raises
    `CorruptArchiveError`, and is never absent. Members that are compressed otherwise than by
    deflate, or encrypted, and whole archives with a name that cannot be a key, raise
    `UnsupportedError`.

    Args:
        path: The file.

        mode: ``"r"`` to read, ``"a"`` to change the archive, or make it if it is absent, ``"w"`` to
            put a new one in the place of any there is, ``"x"`` to make one that must be absent.

        level: How much values are deflated, from 1, fast, to 9, small. None, the default, stores
            them as they are: chunks are compressed already, and parts of stored values can be read
            alone.

        max_member_bytes: How big a deflated value may be that is read; bigger ones are refused
            before they are inflated. Defaults to 1 GiB.

    Raises:
        StoreError: If the file is absent, or written by another store.

        CorruptArchiveError: If it is no whole zip archive, or contradicts itself.

        UnsupportedError: If a name in it cannot be a key, or it is one of several parts.

        KeyConflictError: If a name in the archive is the prefix of another.

        ValueError: If a parameter is not one of those.

    Threads: safe. Reading takes no lock; one writes at a time.
    """

    latency = Latency.DISK
    _below: Store | None = None
    _archive: Archive | None = None
    _writer: Writer

    def __new__(cls, path: str | os.PathLike[str], mode: str = "r", **options: Any) -> Self:
        """Make an instance of a subclass of `cls` which has the capabilities of the mode."""
        if mode not in _MODES:
            raise ValueError(f"mode must be one of {', '.join(_MODES)}, found {mode!r}")
        made: Any = object.__new__(_variant(declared_class(cls), mode != "r"))
        if not isinstance(made, cls):  # `cls` came from a store of another mode
            made.__init__(path, mode, **options)
        return cast("Self", made)

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: str = "r",
        *,
        level: int | None = None,
        max_member_bytes: int = _LIMIT,
    ) -> None:
        if level is not None and (type(level) is not int or not 1 <= level <= 9):
            raise ValueError(f"level must be None or an int from 1 to 9, found {level!r}")
        self._set_up(os.path.realpath(os.fsdecode(path)), max_member_bytes)
        if mode == "r":
            self._archive = self._attempt("open", None, self._open_file)
        else:
            writing = (self.path, mode, level, max_member_bytes)
            self._writer = self._attempt("open", None, Writer, *writing)

    def _set_up(self, path: str, max_member_bytes: int) -> None:
        if type(max_member_bytes) is not int or max_member_bytes < 0:
            raise ValueError(
                f"max_member_bytes must be an int of at least 0, found {max_member_bytes!r}"
            )
        self.path, self.max_member_bytes = path, max_member_bytes

    def _open_file(self) -> Archive:
        return Archive.opened(FileSource(self.path), self.max_member_bytes)

    @classmethod
    def over(cls, store: Store, key: str, *, max_member_bytes: int = _LIMIT) -> Self:
        """
        A read-only store in an archive that is a value of another store.

        The archive is not fetched: opening it takes one call of the other store, or two if the
        directory takes more than 128 KiB, and reading a value one; a deflated value that is read in
        part may take a few more. Names, sizes and listings take none. The value should not be
        replaced meanwhile; if it is, whole reads notice it.

        Args:
            store: The other store; it is closed with this one.

            key: The key of the archive.

            max_member_bytes: As above.

        Raises:
            StoreError: If the value is absent.

            CorruptArchiveError, UnsupportedError, KeyConflictError: As above.

            TypeError: If the store cannot be read.
        """
        if not isinstance(store, ReadableStore):
            raise TypeError(f"an archive is read from a ReadableStore, found {store!r}")
        made: Self = object.__new__(_variant(declared_class(cls), False))
        made._set_up(check_key(key, store=store, op="over"), max_member_bytes)
        made._below = store
        made.latency, made.request_cost = store.latency, store.request_cost
        made.clock = store.clock
        source = StoreSource(store, key)
        made._archive = made._attempt("open", None, Archive.opened, source, max_member_bytes)
        return made

    @property
    def identity(self) -> Hashable:
        """The resolved path; or what the other store names the place of the archive."""
        return "zip", self.path if self._below is None else self._below._place(self.path)

    @property
    def concurrency(self) -> int:
        """How many requests at once still help; that of the other store, if there is one."""
        return super().concurrency if self._below is None else self._below.concurrency

    def close(self) -> None:
        """Flush, if the store can be written, and close the file or the other store."""
        if self._writable:
            self._attempt("close", None, self._writer.close)
        self._archive = None
        if self._below is not None:
            self._below.close()

    # --- reading ----------------------------------------------------------------------------------

    def _get(self, key: str) -> Value:
        archive, entry = self._find(key, "get")
        return self._attempt("get", key, archive.members.whole, entry)

    def _get_ranges(self, key: str, ranges: Sequence[ByteRange]) -> list[Value]:
        archive, entry = self._find(key, "get_partial_values")
        spans = [resolve_range(start, length, entry.size) for start, length in ranges]
        return self._attempt("get_partial_values", key, archive.members.ranges, entry, spans)

    def _getsize(self, key: str) -> int:
        return self._find(key, "getsize")[1].size

    def _exists(self, key: str) -> bool:
        return key in self._current("exists").entries

    def _list_prefix(self, prefix: str) -> Iterable[str]:
        return list(self._current("list_prefix").tree.under(prefix))

    def _list_dir(self, prefix: str) -> Iterable[str]:
        return self._current("list_dir").tree.directly(prefix)

    def _find(self, key: str, op: str) -> tuple[Archive, Entry]:
        archive = self._current(op)
        entry = archive.entries.get(key)
        if entry is None:
            raise KeyNotFoundError(f"no key {key!r}", store=self, op=op, key=key)
        return archive, entry

    def _current(self, op: str) -> Archive:
        archive = self._writer.archive if self._writable else self._archive
        if archive is None:
            raise StoreError("the store is closed", store=self, op=op)
        return archive

    # --- errors, and what all objects have --------------------------------------------------------

    def _attempt(self, op: str, key: str | None, do: Callable[..., T], *arguments: Any) -> T:
        try:
            return do(*arguments)
        except StoreError:  # of the store below, say; some are OSErrors
            raise
        except FAILURES as error:
            raise translate(error, self, op, key) from error

    @property
    def _writable(self) -> bool:
        return isinstance(self, ZipChanges)

    def _options(self) -> dict[str, Any]:
        return {"max_member_bytes": self.max_member_bytes}

    def _facts(self) -> tuple[Any, ...]:
        declared = declared_class(type(self))
        return declared, self._writable, self._below, self.path, *self._options().values()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ZipStore):
            return NotImplemented
        return self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self._facts())

    def __reduce__(self) -> tuple[Any, ...]:
        declared = declared_class(type(self))
        if self._writable:
            return _rejoin, (declared, self._writer)
        if self._below is not None:
            return partial(declared.over, **self._options()), (self._below, self.path)
        return partial(declared, **self._options()), (self.path,)

    def __repr__(self) -> str:
        if self._below is not None:
            return f"{type(self).__name__}.over({self._below!r}, {self.path!r})"
        mode = ", writable" if self._writable else ""
        return f"{type(self).__name__}({self.path!r}{mode})"


def _rejoin(declared: type[ZipStore], writer: Writer) -> ZipStore:
    made: ZipStore = object.__new__(_variant(declared, True))
    made._set_up(writer.path, writer.max_member_bytes)
    made._writer = writer
    return made


@cache
def _variant(cls: type[ZipStore], writable: bool) -> Any:
    refusals = refusing(WritableStore, False), refusing(ConditionalStore, False)
    return variant(cls, (ZipChanges,) if writable else refusals)
