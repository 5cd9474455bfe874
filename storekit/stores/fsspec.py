"""Files of any file system that fsspec knows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any
from uuid import uuid4

from storekit.errors import InvalidKeyError, KeyNotFoundError
from storekit.keys import RESERVED, check_key
from storekit.pool import run
from storekit.stores._forklock import fork_lock
from storekit.stores._fsspec_reads import FsspecReads
from storekit.stores._fsspec_s3 import entries, erase
from storekit.stores._fsspec_system import System
from storekit.stores._object_names import key_of, path_of
from storekit.stores.base import Latency, ListableStore, ReadableStore, WritableStore
from storekit.typing import Value

__all__ = ["FsspecStore"]

_TRIES = 8  # to move a file to where others remove directories meanwhile
_BATCH = 1000  # objects that one request erases

_guard = fork_lock()  # for the disk and the memory of this machine: directories come and go


class FsspecStore(FsspecReads):
    """
    A store of files in a file system of fsspec: s3fs, gcsfs, sftp, a chain of URLs, your own.

    Values of object stores, of the local disk and of ``memory`` appear whole. Elsewhere they do if
    the file system can move a file at once, and has it moved; if it cannot, a reader may see half
    of a value. Several ranges of one key are of one version of it, as far as the file system tells
    versions apart. There is no compare-and-set, and parts of values are written by reading and
    writing the whole.

    In object stores a key may be the prefix of another. Elsewhere that is a `KeyConflictError`;
    among writers in different processes it is found by looking first, and can be overtaken.

    What fsspec has listed before is never trusted: before each question it is forgotten.
    Directories without files, and files whose name cannot be a key, are not shown. Over HTTP, from
    archives, and through what keeps copies, such as ``simplecache``, it only reads; a copy is not
    compared with what it was made of. A missing bucket is a `StoreError`, a missing directory an
    empty store.

    Over HTTP each answer is looked at before fsspec takes it; of a chain that was given as an
    object it is not. Of an s3fs that is made from a URL as many connections are used as
    `concurrency` says, unless its options say otherwise.

    Args:
        fs: A file system, or a URL, also a chain such as ``"slow::s3://bucket/data"``.

        path: Where in the file system, or below the URL. Defaults to its root.

        concurrency: How many requests at once still help. Defaults to 64.

        storage_options: With a URL, for the file system.

    Raises:
        TypeError: If `fs` is neither.

        ValueError: If no file system is known for the URL, a URL of HTTP has a query, or a
            parameter makes no sense.

        MissingExtraError: If fsspec needs a package for it; the message names it.

        StoreError: If the file system cannot be made, as of an archive that is not there.

    Threads: as safe as the file system, as fsspec's are. A forked process makes itself another file
    system of the same options. A pickle holds these, secrets included; the repr does not.
    """

    def __init__(
        self,
        fs: Any,
        path: str = "",
        *,
        storage_options: Mapping[str, Any] | None = None,
        concurrency: int = 64,
    ) -> None:
        if type(concurrency) is not int or concurrency < 1:
            raise ValueError(f"concurrency must be an int of at least 1, found {concurrency!r}")
        system: System = self._backend
        self._system, self._concurrency = system, concurrency
        self._base = system.base
        if system.is_memory:
            self.latency = Latency.MEMORY
        elif not system.is_local:
            self.latency = Latency.NETWORK
        self.clock = getattr(system.fs, "clock", self.clock)
        self.page_size = _BATCH if system.is_flat else None
        # Nothing waits there: the lock is held for no longer than a look and a change.
        self._changing: Any = _guard if system.is_memory or system.is_local else nullcontext()

    @classmethod
    def _connect(
        cls,
        fs: Any,
        path: str = "",
        *,
        storage_options: Mapping[str, Any] | None = None,
        concurrency: int = 64,
    ) -> System:
        if isinstance(fs, System):
            return fs
        if isinstance(fs, str):
            url = f"{fs.rstrip('/')}/{path}" if path else fs
            return System.open(url, storage_options or {}, concurrency)
        if not hasattr(fs, "cat_file"):
            raise TypeError(f"fs must be a file system or a URL, found {type(fs).__name__}")
        if storage_options:
            raise ValueError("storage_options go with a URL; this file system has its own")
        return System(fs, path)

    @classmethod
    def _abilities(cls, backend: System) -> frozenset[type]:
        able: set[type] = {ReadableStore}
        if backend.lists:
            able.add(ListableStore)
            if backend.writes:
                able.add(WritableStore)
        return frozenset(able)

    @property
    def concurrency(self) -> int:
        """As it was given."""
        return self._concurrency

    @property
    def identity(self) -> Hashable:
        """The file system and the path; secrets as a hash."""
        return "fsspec", self._system.place

    # --- writing ----------------------------------------------------------------------------------

    def _set(self, key: str, value: Value) -> None:
        system, own = self._system, value if type(value) is bytes else bytes(value)
        if system.is_flat:
            self._ask("set", key, lambda fs, path: fs.pipe_file(path, own))
        elif system.renames and not system.in_memory:
            self._ask("set", key, lambda fs, path: self._move_in(fs, path, own))
        else:
            self._ask("set", key, lambda fs, path: self._pipe(fs, path, own))
        self._system.fs.invalidate_cache()

    def _pipe(self, fs: Any, path: str, value: bytes) -> None:
        with self._changing:
            self._make_way(fs, path)
            fs.pipe_file(path, value)

    def _move_in(self, fs: Any, path: str, value: bytes) -> None:
        """Write a file under a name that nobody sees, and move it to its place."""
        hidden = f"{self._base}{RESERVED}{uuid4().hex}"
        fs.makedirs(self._base.rstrip("/") or "/", exist_ok=True)
        try:
            fs.pipe_file(hidden, value)
            for tries in range(_TRIES):
                try:
                    with self._changing:
                        self._make_way(fs, path)
                        fs.mv(hidden, path)
                    return
                except FileNotFoundError:
                    # Another one removed the directory, which was empty, before the file was there.
                    if tries + 1 == _TRIES:
                        raise
        except BaseException:
            with suppress(Exception):
                fs.rm_file(hidden)
            raise

    def _make_way(self, fs: Any, path: str) -> None:
        """Make the directories of a path, unless there is something in its place."""
        parent = path[: path.rfind("/")]
        if self._system.in_memory:
            while len(parent) > len(self._base.rstrip("/")):
                if fs.isfile(parent):
                    raise FileExistsError(parent)
                parent = parent[: parent.rfind("/")]
        elif len(parent) > len(self._base.rstrip("/")):
            fs.makedirs(parent, exist_ok=True)
        if fs.isdir(path):
            if self._holds(fs, path):
                raise IsADirectoryError(path)
            fs.rm(path, recursive=True)

    def _erase(self, key: str) -> None:
        self._erase_one(key, "erase")

    def _erase_values(self, keys: Sequence[str]) -> None:
        keys = list(dict.fromkeys(keys))
        if not self._system.is_s3:
            work = self._eraser("erase_values")
            workers = 1 if self.latency is not Latency.NETWORK else self._concurrency
            workers = min(len(keys), workers)
            run(keys, work, clock=self.clock, workers=workers, crew=self._concurrency)
            return

        def request(fs: Any, _: str, paths: Sequence[str]) -> None:
            erase(fs, paths)

        for start in range(0, len(keys), _BATCH):
            paths = [self._base + path_of(key) for key in keys[start : start + _BATCH]]
            self._ask("erase_values", keys[start], partial(request, paths=paths))
        self._system.fs.invalidate_cache()

    def _eraser(self, op: str) -> Callable[[Iterable[str]], None]:
        def work(batch: Iterable[str]) -> None:
            for key in batch:
                self._erase_one(key, op)

        return work

    def _erase_one(self, key: str, op: str) -> None:
        def ask(fs: Any, path: str) -> None:
            with self._changing:
                try:
                    fs.rm_file(path)
                except PermissionError:  # what some systems say of directories
                    if not fs.isdir(path):
                        raise
                if not self._system.is_flat:
                    self._prune(fs, path)

        with suppress(KeyNotFoundError):
            self._ask(op, key, ask)
        self._system.fs.invalidate_cache()

    def _prune(self, fs: Any, path: str) -> None:
        """Remove the directories of a path that hold nothing any more."""
        root = len(self._base.rstrip("/"))
        parent = path[: path.rfind("/")]
        with suppress(OSError, NotImplementedError):
            while len(parent) > root:
                fs.rmdir(parent)
                parent = parent[: parent.rfind("/")]

    # --- listing ----------------------------------------------------------------------------------

    def _list_prefix(self, prefix: str) -> list[str]:
        def ask(fs: Any, path: str) -> list[str]:
            if self._system.is_s3:
                return self._keys(entries(fs, path, ""), prefix)
            fs.invalidate_cache()
            # A walk through directories would leave out those that it fails to list.
            options = {} if self._system.finds else {"on_error": _raise}
            return self._keys(fs.find(path.rstrip("/") or path, **options), prefix)

        try:
            return self._ask("list_prefix", prefix, ask)
        except KeyNotFoundError:
            return []

    def _list_dir(self, prefix: str) -> list[str]:
        def ask(fs: Any, path: str) -> list[str]:
            if self._system.is_s3:
                return self._level(entries(fs, path, "/"), prefix)
            fs.invalidate_cache()
            names = []
            for entry in fs.ls(path.rstrip("/") or path, detail=True):
                names += self._names(fs, entry, prefix)
            return names

        try:
            return list(dict.fromkeys(self._ask("list_dir", prefix, ask)))
        except KeyNotFoundError:
            return []

    def _level(self, paths: Iterable[str], prefix: str) -> list[str]:
        """The keys and prefixes of the entries of one level."""
        names = []
        for path in paths:
            end = "/" if path.endswith("/") else ""
            keys = self._keys([path.removesuffix("/")], prefix)
            names += [key + end for key in keys]
        return names

    def _names(self, fs: Any, entry: Any, prefix: str) -> list[str]:
        """The key or prefix of an entry of a directory, if it is one."""
        keys = self._keys([entry["name"].rstrip("/")], prefix)
        if entry["type"] != "directory":
            return keys if not entry["name"].endswith("/") else []
        if self._system.is_flat or self._holds(fs, entry["name"]):
            return [f"{key}/" for key in keys]
        return []

    def _holds(self, fs: Any, path: str) -> bool:
        """Whether there is a key under a directory."""
        pending = [path]
        while pending:
            try:
                entries = fs.ls(pending.pop(), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in entries:
                if entry["type"] == "directory":
                    pending.append(entry["name"])
                elif self._keys([entry["name"]], ""):
                    return True
        return False

    def _keys(self, paths: Iterable[str], prefix: str) -> list[str]:
        """The keys of paths; what cannot be one, or is not under the prefix, is not ours."""
        return [key for key in self._valid(paths) if key.startswith(prefix)]

    def _valid(self, paths: Iterable[str]) -> Iterator[str]:
        for path in paths:
            if path.startswith(self._base):
                name = path[len(self._base) :]
                key = key_of(name) if self._system.is_flat else name
                with suppress(InvalidKeyError):
                    yield check_key(key)

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self._declared, self._system, self._concurrency)

    def __repr__(self) -> str:
        return f"{self._declared.__name__}({self._system.shown!r})"


def _make(declared: Any, system: System, concurrency: int) -> FsspecStore:
    store: FsspecStore = declared(system, concurrency=concurrency)
    return store


def _raise(error: Exception) -> None:
    """Of a walk: what has gone while it went on is left out, all other errors are passed on."""
    if not isinstance(error, FileNotFoundError):
        raise error
