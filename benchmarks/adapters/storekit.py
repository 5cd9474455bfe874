"""storekit with its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import storekit as sk
from benchmarks.adapters.base import Adapter, Handle, Selection, Shape
from benchmarks.data import Array
from benchmarks.layout import DTYPE, Layout

__all__ = ["Storekit"]


class _Handle(Handle):
    def __init__(self, array: sk.ZarrArray) -> None:
        self._array = array

    @property
    def shape(self) -> Shape:
        return self._array.shape

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

    def open(self, path: Path, layout: Layout) -> Handle:
        return _Handle(sk.open_zarr(sk.LocalStore(path)))

    def load(self, files: Mapping[str, bytes], layout: Layout) -> Handle:
        store = sk.MemoryStore()
        for key, value in files.items():
            store.set(key, value)
        return _Handle(sk.open_zarr(store))

    def create_tree(self, path: Path, members: Mapping[str, Layout]) -> None:
        """A group, and one `create_array` for each member."""
        group = sk.ZarrGroup.create(sk.LocalStore(path))
        for name, layout in members.items():
            group.create_array(
                name, shape=layout.shape, chunks=layout.chunks, dtype=DTYPE, codecs="none"
            )

    def list_tree(self, path: Path) -> dict[str, Shape]:
        """Through `ZarrGroup.children`."""
        group = sk.open_zarr(sk.LocalStore(path))
        return {name: child.shape for name, child in group.children.items()}
