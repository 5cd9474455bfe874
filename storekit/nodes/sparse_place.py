"""Where sparse frames are made: a directory, or a prefix of a store."""

from __future__ import annotations

import os
import re
from contextlib import suppress

from storekit.errors import MetadataError, NodeExistsError, ReadOnlyError
from storekit.frames.sparse import SPARSE_INDEX, SparseHome
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.frame_place import FilePlace, Fill, KeyPlace, Place
from storekit.stores.base import ListableStore, ReadableStore, WritableStore
from storekit.stores.local import LocalStore

__all__ = ["SparsePlace", "sparse_place"]

_CHUNK = re.compile(r"[0-9A-F]{8}\.chunk")


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
        home = SparseHome(self.store, self.prefix, writable=True, new=blank, replace=replace)
        name = os.path.basename(self.path) or self.prefix
        array = FrameArray(home, name, nthreads=nthreads)
        fill(array)
        home.appear()
        return array

    def _check_free(self, replace: bool) -> None:
        """See that there is no file, and no directory with something else."""
        path = self.path
        if not path or not os.path.lexists(path):
            return
        if os.path.isdir(path):
            if not os.listdir(path) or os.path.exists(os.path.join(path, SPARSE_INDEX)):
                return
        elif replace:
            os.unlink(path)
            return
        raise NodeExistsError(f"there is something at {path!r} that is no sparse frame")

    def remove(self) -> None:
        """Remove the frame, if there is one: its index first, then the chunks."""
        store = self.store
        if not isinstance(store, WritableStore):
            raise ReadOnlyError("the store cannot be written", store=store, op="erase")
        base = f"{self.prefix}/" if self.prefix else ""
        store.erase(base + SPARSE_INDEX)
        if isinstance(store, ListableStore):
            keys = store.list_dir(base)
            store.erase_values([key for key in keys if _CHUNK.fullmatch(key[len(base) :])])
        if self.path:
            with suppress(OSError):  # somebody has put something else there
                os.rmdir(self.path)


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
