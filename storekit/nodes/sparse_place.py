"""Where sparse frames are made: a directory, or a prefix of a store."""

from __future__ import annotations

import os
from contextlib import suppress

from storekit.errors import MetadataError, NodeExistsError
from storekit.frames.sparse import SPARSE_INDEX, SparseHome
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.frame_place import FilePlace, Fill, KeyPlace, Place
from storekit.nodes.sparse_files import erase_sparse, is_sparse, remove_leftovers, remove_sparse
from storekit.stores.base import ReadableStore, WritableStore
from storekit.stores.local import LocalStore

__all__ = ["SparsePlace", "sparse_place"]


class SparsePlace(Place):
    """
    A prefix of a store, or a local directory.

    Args:
        store: Any that can be read and written; None if it is a directory.

        prefix: Of the frame in it; or the path of the directory.
    """

    def __init__(self, store: ReadableStore | None, prefix: str) -> None:
        self._store, self.prefix = store, "" if store is None else prefix
        self.path = prefix if store is None else ""

    @property
    def store(self) -> ReadableStore:
        """The store that the frame is in."""
        return LocalStore(self.path) if self._store is None else self._store

    def make(self, blank: bytes, fill: Fill, *, replace: bool, nthreads: int = 1) -> FrameArray:
        """See `Place.make`. What `fill` writes in several statements appears one by one."""
        self._check_free(replace)
        if replace:
            self._clear()
        home = SparseHome(self.store, self.prefix, writable=True, new=blank, replace=replace)
        name = os.path.basename(self.path) or self.prefix
        array = FrameArray(home, name, nthreads=nthreads)
        fill(array)
        home.appear()
        return array

    def _check_free(self, replace: bool) -> None:
        """See that there is no file, and no directory with something else."""
        path = self.path
        if not path and not replace and self.store.exists(self.prefix):
            raise NodeExistsError(f"there is a value {self.prefix!r} already; mode='w' replaces it")
        if not path or not os.path.lexists(path):
            return
        if os.path.isdir(path):
            if not os.listdir(path) or os.path.exists(os.path.join(path, SPARSE_INDEX)):
                return
            if replace and is_sparse(path):  # of a killed writer
                return
            raise NodeExistsError(f"there is a directory {path!r} that is no sparse frame")
        if not replace:
            raise NodeExistsError(f"there is a file {path!r} already; mode='w' replaces it")

    def _clear(self) -> None:
        """Remove what would be in the way: a contiguous frame, and temporary files."""
        if not self.path:
            if isinstance(self.store, WritableStore):
                self.store.erase(self.prefix)
        elif os.path.isdir(self.path):
            remove_leftovers(self.path)
        elif os.path.lexists(self.path):
            os.unlink(self.path)

    def remove(self) -> None:
        """Remove the frame, if there is one."""
        if self.path:
            with suppress(FileNotFoundError):
                remove_sparse(self.path)
        else:
            erase_sparse(self.store, self.prefix)


def sparse_place(place: Place) -> SparsePlace:
    """
    The place of a sparse frame.

    Args:
        place: Where a contiguous one would be.

    Raises:
        MetadataError: If that is memory, which has no directories.
    """
    if isinstance(place, FilePlace):
        return SparsePlace(None, place.path)
    if isinstance(place, KeyPlace):
        return SparsePlace(place.store, place.key)
    raise MetadataError(field="contiguous", expected="True in memory", found=False)
