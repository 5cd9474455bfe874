"""storekit with its defaults, and its store in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import storekit as sk
from benchmarks.adapters.base import (
    Adapter,
    FrameCoder,
    Handle,
    Selection,
    Shape,
    UnsupportedError,
)
from benchmarks.adapters.frames import frame_ends
from benchmarks.data import Array
from benchmarks.layout import DTYPE, Layout, array_document, group_document
from storekit.codecs import ChunkSpec, Pipeline
from storekit.frames.loading import parse_ends
from storekit.frames.log import LogHome
from storekit.frames.memory import MemoryHome
from storekit.nodes.frame_array import FrameArray

__all__ = ["Storekit", "StorekitHandle", "StorekitMemory"]


class StorekitHandle(Handle):
    """An array, whatever its store."""

    def __init__(self, array: Any) -> None:
        self._array = array

    @property
    def shape(self) -> Shape:
        shape: Shape = self._array.shape
        return shape

    def read(self, selection: Selection) -> Array:
        return np.asarray(self._array[selection])

    def read_many(self, selections: Sequence[Selection]) -> list[Array]:
        futures = [self._array.read_future(selection) for selection in selections]
        return [future.result() for future in futures]

    def points(self, coords: tuple[npt.NDArray[np.intp], ...]) -> Array:
        return np.asarray(self._array.vindex[coords])

    def write(self, selection: Selection, value: Array | float) -> None:
        self._array[selection] = value

    def append(self, rows: Array) -> None:
        self._array.append(rows)


class Storekit(Adapter):
    """storekit as this folder has it."""

    name = "storekit"
    first_read = "import storekit; a = storekit.open_zarr(storekit.LocalStore(path))[...]"
    reads_consolidated = True
    b2nd = True

    def open(self, path: Path, layout: Layout) -> Handle:
        return StorekitHandle(sk.open_zarr(sk.LocalStore(path)))

    def load(self, files: Mapping[str, bytes], layout: Layout) -> Handle:
        store = sk.MemoryStore()
        for key, value in files.items():
            store.set(key, value)
        return StorekitHandle(sk.open_zarr(store))

    def frames(self, layout: Layout) -> FrameCoder:
        """Through the codec that arrays have by default, bound to one chunk."""
        codecs = Pipeline.from_json(array_document(layout)["codecs"])
        coder = codecs.bind(ChunkSpec(layout.chunks, DTYPE, DTYPE.type(0)))
        return FrameCoder(coder.encode, coder.decode)  # type: ignore[arg-type]

    def open_frame(self, path: Path, layout: Layout) -> Handle:
        """Over the file as it lies there."""
        return StorekitHandle(FrameArray(LogHome(str(path), writable=True)))

    def create_frame(self, path: Path | None, layout: Layout) -> Handle:
        """Without chunks at first."""
        head, tail = frame_ends(layout)
        if path is None:
            return StorekitHandle(FrameArray(MemoryHome(parse_ends(head, tail, names=True))))
        path.write_bytes(head + tail)
        return self.open_frame(path, layout)

    def create_tree(self, path: Path, members: Mapping[str, Layout]) -> None:
        """A group, and one `create_array` for each member."""
        _create_tree(sk.LocalStore(path), members)

    def list_tree(self, path: Path) -> dict[str, Shape]:
        """Through `ZarrGroup.children`."""
        return _list_tree(sk.LocalStore(path))


class StorekitMemory(Adapter):
    """storekit with a `MemoryStore` behind each path, for trees of nodes only."""

    name = "storekit, memory"
    own_format = True

    def __init__(self) -> None:
        self._stores: dict[Path, sk.MemoryStore] = {}

    def open(self, path: Path, layout: Layout) -> Handle:
        raise UnsupportedError

    def open_member(self, path: Path, name: str, layout: Layout) -> Handle:
        """By its path in the store."""
        return StorekitHandle(sk.open_zarr(self._stores[path], name))

    def create_tree(self, path: Path, members: Mapping[str, Layout]) -> None:
        """In a new store."""
        self._stores[path] = sk.MemoryStore()
        _create_tree(self._stores[path], members)

    def plant_tree(self, path: Path, members: Mapping[str, Layout]) -> None:
        """Documents in a new store; whoever creates a node has parsed its document."""
        store = self._stores[path] = sk.MemoryStore()
        store.set("zarr.json", json.dumps(group_document()).encode())
        for name, layout in members.items():
            store.set(f"{name}/zarr.json", json.dumps(array_document(layout)).encode())

    def list_tree(self, path: Path) -> dict[str, Shape]:
        """Through `ZarrGroup.children`."""
        return _list_tree(self._stores[path])


def _create_tree(store: sk.ReadableStore, members: Mapping[str, Layout]) -> None:
    group = sk.ZarrGroup.create(store)
    for name, layout in members.items():
        group.create_array(
            name, shape=layout.shape, chunks=layout.chunks, dtype=DTYPE, codecs="none"
        )


def _list_tree(store: sk.ReadableStore) -> dict[str, Shape]:
    group = sk.open_zarr(store)
    return {name: child.shape for name, child in group.children.items()}
