"""New frames that appear when all is written: in a local file, or under a key of a store."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

from storekit.errors import ConflictError, NodeExistsError, ReadOnlyError
from storekit.frames.b2nd import B2ndMeta
from storekit.frames.ends import new_ends
from storekit.frames.home import Change
from storekit.frames.loading import parse_ends
from storekit.frames.log import LogHome
from storekit.frames.logfile import file_errors
from storekit.frames.memory import MemoryHome
from storekit.frames.params import CParams
from storekit.frames.trailer import Layers
from storekit.keys import RESERVED
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.placing import writable
from storekit.stores.base import ConditionalStore, ReadableStore, Store
from storekit.typing import Value

__all__ = ["FramePlace", "NewFrame"]


class NewFrame(NamedTuple):
    """
    What is known of a frame before its chunks.

    Args:
        meta: Shape, chunks, blocks and type.

        cparams: How chunks are compressed.

        layers: The user's metalayers of fixed length.

        vlmeta: Those of variable length.
    """

    meta: B2ndMeta
    cparams: CParams
    layers: Mapping[str, bytes]
    vlmeta: Layers

    def ends(self) -> tuple[bytes, bytes]:
        """The frame without chunks."""
        return new_ends(self.meta, self.cparams, self.layers)


class FramePlace(NamedTuple):
    """
    Where a frame is to be: in a store, or in a local file.

    Args:
        store: The store; None for a file.

        key: The key, or the path of the file.

        overwrite: Whether something else may be there.
    """

    store: Store | None
    key: str
    overwrite: bool

    def check(self) -> None:
        """
        Look at the place before anything is copied.

        Raises:
            NodeExistsError: If something is there that must not be overwritten.

            ReadOnlyError: If the store cannot be written.
        """
        if self.store is None:
            taken = os.path.lexists(self.key)
            taken = taken and not (self.overwrite and os.path.isfile(self.key))
        else:
            store = self._readable()
            writable(store, "set")
            taken = not self.overwrite and store.exists(self.key)
        if taken:
            raise self._taken()

    @contextmanager
    def create(self, new: NewFrame) -> Iterator[tuple[FrameArray, Change]]:
        """The frame, and the change that writes its chunks. It appears in the end, if at all."""
        make = self._in_file(new) if self.store is None else self._in_store(new)
        with make as made:
            yield made

    def put(self, value: Value) -> None:
        """Let a frame appear that is there as one."""
        if self.store is None:
            with self._temporary() as path:
                with open(path, "xb") as file:
                    file.write(value)
                self._appear(path)
            return
        store = self._readable()
        if not self.overwrite and isinstance(store, ConditionalStore):
            try:
                store.compare_and_set(self.key, value, None)
            except ConflictError:
                raise self._taken() from None
        else:
            writable(store, "set").set(self.key, value)

    @contextmanager
    def _in_file(self, new: NewFrame) -> Iterator[tuple[FrameArray, Change]]:
        with self._temporary() as path:
            with open(path, "xb") as file:
                file.write(b"".join(new.ends()))
            home = LogHome(path, writable=True)
            with home.change() as change:
                change.vlmeta = new.vlmeta
                yield FrameArray(home), change
                change.commit()
            self._appear(path)

    @contextmanager
    def _in_store(self, new: NewFrame) -> Iterator[tuple[FrameArray, Change]]:
        home = MemoryHome(parse_ends(*new.ends(), names=True))
        with home.change() as change:
            change.vlmeta = new.vlmeta
            yield FrameArray(home), change
            self.put(change.pack())

    @contextmanager
    def _temporary(self) -> Iterator[str]:
        """The path of a file beside this one that no store lists, and that is gone in the end."""
        folder = os.path.dirname(os.path.abspath(self.key))
        path = f"{folder}/{RESERVED}{os.getpid():x}-{threading.get_ident():x}.part"
        with file_errors(self.key, "create"):
            os.makedirs(folder, exist_ok=True)
            try:
                yield path
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(path)

    def _appear(self, path: str) -> None:
        if self.overwrite:
            os.replace(path, self.key)
            return
        try:
            os.link(path, self.key)
        except FileExistsError:
            raise self._taken() from None
        except OSError:  # a file system without links
            if os.path.lexists(self.key):
                raise self._taken() from None
            os.rename(path, self.key)

    def _readable(self) -> ReadableStore:
        if not isinstance(self.store, ReadableStore):
            raise ReadOnlyError("the store cannot be read", store=self.store, op="set")
        return self.store

    def _taken(self) -> NodeExistsError:
        taken = f"there is something at {self.key!r} already"
        if self.store is not None:
            taken = f"{self.store!r}: {taken}"
        elif not os.path.isfile(self.key):
            return NodeExistsError(f"{taken}, which is no file and not replaced")
        return NodeExistsError(f"{taken}; overwrite=True replaces it")
