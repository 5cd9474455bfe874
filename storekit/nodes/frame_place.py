"""Where frames are made: in memory, in a local file, or under a key of a store."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

from storekit.errors import (
    ConflictError,
    MetadataError,
    NodeExistsError,
    ReadOnlyError,
)
from storekit.frames.log import LogHome
from storekit.frames.logfile import file_errors
from storekit.frames.memory import MemoryHome
from storekit.frames.sparse import SPARSE_INDEX
from storekit.frames.stored import StoredHome
from storekit.keys import RESERVED, check_key
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.sparse_files import erase_sparse, is_sparse, remove_sparse, replace_sparse
from storekit.stores._url_parts import local_path
from storekit.stores.base import ConditionalStore, ReadableStore, WritableStore
from storekit.stores.urls import open_parent

__all__ = ["FilePlace", "KeyPlace", "MemoryPlace", "Place", "find_place"]

Fill: TypeAlias = Callable[[FrameArray], object]
"""Writes to a frame that nobody else sees yet."""


class Place(ABC):
    """Where a frame can be made."""

    @abstractmethod
    def make(self, blank: bytes, fill: Fill, *, replace: bool, nthreads: int = 1) -> FrameArray:
        """
        Make a frame, which appears when all of it is there.

        Args:
            blank: The frame before it is written to.

            fill: What writes to it.

            replace: Whether something may be there already, which is then gone.

            nthreads: Threads that compress one chunk.

        Raises:
            NodeExistsError: If something is there already.

            ReadOnlyError: If nothing can be written there.
        """

    @abstractmethod
    def remove(self) -> None:
        """Remove the frame, if there is one."""


class MemoryPlace(Place):
    """Nowhere but in memory."""

    def make(self, blank: bytes, fill: Fill, *, replace: bool, nthreads: int = 1) -> FrameArray:
        """See `Place.make`; nothing can be there."""
        array = FrameArray(MemoryHome.of(blank), nthreads=nthreads)
        fill(array)
        return array

    def remove(self) -> None:
        """Nothing."""


class FilePlace(Place):
    """
    A local file. Folders above it are made where they are missing.

    Args:
        path: Of the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(path)

    def make(self, blank: bytes, fill: Fill, *, replace: bool, nthreads: int = 1) -> FrameArray:
        """See `Place.make`: written beside the path, and renamed."""
        with file_errors(self.path, "create"):
            folder, name = os.path.split(self.path)
            self._check_free(replace)
            os.makedirs(folder, exist_ok=True)
            own = f"{RESERVED}{name}.{os.getpid()}-{threading.get_ident()}.part"
            temporary = os.path.join(folder, own)
            try:
                with open(temporary, "wb") as file:
                    file.write(blank)
                fill(FrameArray(LogHome(temporary, writable=True), nthreads=nthreads))
                self._rename(temporary, replace)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary)
        home = LogHome(self.path, writable=True)
        return FrameArray(home, os.path.basename(self.path), nthreads=nthreads)

    def _check_free(self, replace: bool) -> None:
        if self._is_directory() and not is_sparse(self.path):
            raise NodeExistsError(f"there is a directory {self.path!r}, which is no sparse frame")
        if not replace and os.path.lexists(self.path):
            raise self._exists()

    def _rename(self, temporary: str, replace: bool) -> None:
        if replace:
            if self._is_directory():
                replace_sparse(self.path, temporary)
            else:
                os.replace(temporary, self.path)
            return
        try:
            os.link(temporary, self.path)  # which, unlike a renaming, fails if it is there
        except FileExistsError:
            raise self._exists() from None

    def _exists(self) -> NodeExistsError:
        return NodeExistsError(f"there is something at {self.path!r} already; mode='w' replaces it")

    def remove(self) -> None:
        """Remove the file, if there is one."""
        with file_errors(self.path, "erase"), suppress(FileNotFoundError):
            if self._is_directory():
                remove_sparse(self.path)
            else:
                os.unlink(self.path)

    def _is_directory(self) -> bool:
        """Whether a directory is there itself, and no link to one, which can be replaced."""
        return os.path.isdir(self.path) and not os.path.islink(self.path)


class KeyPlace(Place):
    """
    A key of a store.

    Args:
        store: Any that can be read and written.

        key: Of the frame.
    """

    def __init__(self, store: ReadableStore, key: str) -> None:
        if not isinstance(store, ReadableStore):
            raise MetadataError(field="store", expected="a store that can be read", found=store)
        self.store, self.key = store, check_key(key)

    def make(self, blank: bytes, fill: Fill, *, replace: bool, nthreads: int = 1) -> FrameArray:
        """See `Place.make`: made in memory, and stored as one value."""
        target = self._writable("set")
        sparse = self.store.exists(f"{self.key}/{SPARSE_INDEX}")
        if not replace and (sparse or self.store.exists(self.key)):
            raise self._exists()
        data = MemoryPlace().make(blank, fill, replace=replace, nthreads=nthreads).to_cframe()
        if sparse:
            erase_sparse(self.store, self.key)
        if replace or not isinstance(target, ConditionalStore):
            target.set(self.key, data)
        else:
            try:
                target.compare_and_set(self.key, data, None)
            except ConflictError:
                raise self._exists() from None
        return FrameArray(
            StoredHome(self.store, self.key, writable=True), self.key, nthreads=nthreads
        )

    def _writable(self, op: str) -> WritableStore:
        if not isinstance(self.store, WritableStore):
            raise ReadOnlyError("the store cannot be written", store=self.store, op=op)
        return self.store

    def _exists(self) -> NodeExistsError:
        return NodeExistsError(f"there is a frame {self.key!r} already; mode='w' replaces it")

    def remove(self) -> None:
        """Erase the key."""
        self._writable("erase").erase(self.key)


def find_place(urlpath: Any = None, store: ReadableStore | None = None, key: Any = None) -> Place:
    """
    The place that is meant.

    Args:
        urlpath: A path; the URL of a file or of a value in a store; a store and a key as a tuple;
            or None for memory.

        store: Where to, in place of `urlpath`.

        key: In the store.

    Raises:
        MetadataError: If it is none of these, or two of them.

        ValueError: If nothing is known to open the URL.
    """
    if isinstance(urlpath, tuple) and len(urlpath) == 2 and store is None and key is None:
        (store, key), urlpath = urlpath, None
    if urlpath is None:
        if store is None and key is None:
            return MemoryPlace()
        if store is None or not isinstance(key, str):
            raise MetadataError(field="key", expected="a store and a key in it", found=key)
        return KeyPlace(store, key)
    if store is not None or key is not None:
        raise MetadataError("either urlpath or store and key")
    if not isinstance(urlpath, str | os.PathLike) or not os.fspath(urlpath):
        raise MetadataError(field="urlpath", expected="a path or a URL", found=urlpath)
    path = local_path(urlpath)
    if path is not None:
        return FilePlace(path)
    found, name = open_parent(os.fspath(urlpath))
    return KeyPlace(found, name)  # type: ignore[arg-type]  # which checks it
