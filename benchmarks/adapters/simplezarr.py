"""simplezarr, the relative that storekit grew out of (its releases need Python 3.12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import simplezarr

from benchmarks.adapters.base import Adapter, Handle, Selection, Shape, UnsupportedError
from benchmarks.data import Array
from benchmarks.layout import Layout, array_document

__all__ = ["SimpleZarr"]


class _Handle(Handle):
    def __init__(self, array: Any) -> None:
        self._array = array

    @property
    def shape(self) -> Shape:
        return tuple(self._array.shape)

    def read(self, selection: Selection) -> Array:
        result: Array = self._array[selection].get_now()
        return result

    def read_many(self, selections: Sequence[Selection]) -> list[Array]:
        futures = [self._array[selection].get_soon() for selection in selections]
        return [future.result() for future in futures]

    def write(self, selection: Selection, value: Array | float) -> None:
        self._array[selection].set_now(value)


class SimpleZarr(Adapter):
    """simplezarr as `pip install simplezarr` gives it."""

    name = "simplezarr"
    first_read = "import simplezarr as s; a = s.open_zarr(s.LocalStore(path))[...].get_now()"

    def open(self, path: Path, layout: Layout) -> Handle:
        """Open read-write; it has no shards."""
        if layout.shards:
            raise UnsupportedError
        return _Handle(simplezarr.open_zarr(simplezarr.LocalStore(path)))

    def load(self, files: Mapping[str, bytes], layout: Layout) -> Handle:
        """Open what a `MemoryStore` holds."""
        if layout.shards:
            raise UnsupportedError
        store = simplezarr.MemoryStore()
        for key, value in files.items():
            store.set(key, value)
        return _Handle(simplezarr.open_zarr(store))

    def create_tree(self, path: Path, members: Mapping[str, Layout]) -> None:
        """A group, and one `ZarrArray.create` for each member."""
        store = simplezarr.LocalStore(path)
        simplezarr.ZarrGroup.create(store, "")
        for name, layout in members.items():
            codecs = array_document(layout)["codecs"]
            simplezarr.ZarrArray.create(
                store, name, layout.shape, "float32", chunk_shape=layout.chunks, codecs=codecs
            )

    def list_tree(self, path: Path) -> dict[str, Shape]:
        """Through `ZarrGroup.children`."""
        group = simplezarr.open_zarr(simplezarr.LocalStore(path))
        return {child.name: tuple(child.shape) for child in group.children}
