"""h5py: one HDF5 file for each array or tree, with the codecs that every HDF5 has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.adapters.base import Adapter, Handle, Selection, Shape, UnsupportedError
from benchmarks.data import Array
from benchmarks.layout import DTYPE, Layout

__all__ = ["H5py"]

_FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "gzip-5": {"compression": "gzip", "compression_opts": 5},
}


class _Handle(Handle):
    def __init__(self, file: Any, name: str = "data") -> None:
        self._file = file
        self._array = file[name]

    @property
    def shape(self) -> Shape:
        return tuple(self._array.shape)

    def read(self, selection: Selection) -> Array:
        return np.asarray(self._array[selection])

    def write(self, selection: Selection, value: Array | float) -> None:
        self._array[selection] = value
        self._file.flush()


class H5py(Adapter):
    """h5py as `pip install h5py` gives it."""

    name = "h5py"
    first_read = "import h5py; a = h5py.File(path)['data'][...]"
    own_format = True

    def open(self, path: Path, layout: Layout) -> Handle:
        """Open read-write."""
        return _Handle(h5py.File(path, "r+"))

    def create(self, path: Path, layout: Layout) -> Handle:
        """A file with one chunked dataset."""
        if layout.shards or layout.codec not in _FILTERS:
            raise UnsupportedError
        file = h5py.File(path, "w")
        filters = _FILTERS[layout.codec]
        file.create_dataset("data", layout.shape, DTYPE, chunks=layout.chunks, **filters)
        return _Handle(file)

    def create_tree(self, path: Path, members: Mapping[str, Layout]) -> None:
        """One file with a chunked dataset for each member."""
        with h5py.File(path, "w") as file:
            for name, layout in members.items():
                chunks = tuple(map(min, layout.shape, layout.chunks))
                file.create_dataset(name, layout.shape, DTYPE, chunks=chunks)

    def open_member(self, path: Path, name: str, layout: Layout) -> Handle:
        """Open the file, and one dataset of it."""
        return _Handle(h5py.File(path, "r"), name)

    def list_tree(self, path: Path) -> dict[str, Shape]:
        """Through the mapping that a file is."""
        with h5py.File(path, "r") as file:
            return {name: dataset.shape for name, dataset in file.items()}
