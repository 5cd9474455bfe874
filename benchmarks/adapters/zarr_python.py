"""zarr-python with its defaults."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
import zarr.core.sync
import zarr.storage
from zarr.core.buffer import default_buffer_prototype

from benchmarks.adapters.base import Adapter, Handle, Selection, Shape
from benchmarks.data import Array
from benchmarks.layout import DTYPE, Layout

__all__ = ["ZarrHandle", "ZarrPython", "first_read_with"]


def first_read_with(pipeline: Mapping[str, str]) -> str:
    """`Adapter.first_read` where zarr-python is told to use another pipeline."""
    return f"""
import zarr
zarr.config.set({pipeline})
a = zarr.open_array(path, mode="r")[...]
"""


class ZarrHandle(Handle):
    """A `zarr.Array`, whatever its pipeline."""

    def __init__(self, array: Any) -> None:
        self._array = array

    @property
    def shape(self) -> Shape:
        return tuple(self._array.shape)

    def read(self, selection: Selection) -> Array:
        return np.asarray(self._array[selection])

    def read_many(self, selections: Sequence[Selection]) -> list[Array]:
        array = self._array.async_array

        async def gather() -> list[Any]:
            return await asyncio.gather(*(array.getitem(selection) for selection in selections))

        return list(zarr.core.sync.sync(gather()))

    def points(self, coords: tuple[npt.NDArray[np.intp], ...]) -> Array:
        return np.asarray(self._array.vindex[coords])

    def write(self, selection: Selection, value: Array | float) -> None:
        self._array[selection] = value

    def append(self, rows: Array) -> None:
        self._array.append(rows)


class ZarrPython(Adapter):
    """zarr-python as `pip install zarr` gives it."""

    name = "zarr-python"
    first_read = "import zarr; a = zarr.open_array(path, mode='r')[...]"
    reads_consolidated = True

    def open(self, path: Path, layout: Layout) -> Handle:
        """Open read-write."""
        return ZarrHandle(zarr.open_array(path, mode="r+"))

    def load(self, files: Mapping[str, bytes], layout: Layout) -> Handle:
        """Open what a `MemoryStore` holds."""
        buffer = default_buffer_prototype().buffer
        store = zarr.storage.MemoryStore({k: buffer.from_bytes(v) for k, v in files.items()})
        return ZarrHandle(zarr.open_array(store, mode="r+"))

    def create_tree(self, path: Path, members: Mapping[str, Layout]) -> None:
        """A group, and one `create_array` for each member."""
        group = zarr.create_group(path)
        for name, layout in members.items():
            group.create_array(
                name, shape=layout.shape, chunks=layout.chunks, dtype=DTYPE, compressors=None
            )

    def list_tree(self, path: Path) -> dict[str, Shape]:
        """Through `Group.arrays`."""
        return {name: array.shape for name, array in zarr.open_group(path, mode="r").arrays()}
