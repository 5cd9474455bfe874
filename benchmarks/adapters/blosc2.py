"""blosc2: one contiguous `.b2nd` file for each array, with the same compressor and filter."""

from __future__ import annotations

from pathlib import Path
from types import EllipsisType
from typing import Any

import blosc2
import numpy as np
import numpy.typing as npt

from benchmarks.adapters.base import (
    Adapter,
    Bytes,
    FrameCoder,
    Handle,
    Selection,
    Shape,
    UnsupportedError,
)
from benchmarks.data import Array
from benchmarks.layout import CPARAMS, DTYPE, Layout

__all__ = ["Blosc2", "Blosc2Handle"]


def _cparams(name: str) -> Any:
    settings = dict(CPARAMS[name])
    if "codec" in settings:
        settings["codec"] = blosc2.Codec[settings["codec"]]
    if "filters" in settings:
        settings["filters"] = [blosc2.Filter[name] for name in settings["filters"]]
    return blosc2.CParams(**settings, typesize=DTYPE.itemsize)


class Blosc2Handle(Handle):
    """Its array, whatever it is in."""

    def __init__(self, array: Any, storage: dict[str, Any] | None = None) -> None:
        self._array = array
        self._storage = storage

    @property
    def shape(self) -> Shape:
        return tuple(self._array.shape)

    def read(self, selection: Selection) -> Array:
        return np.asarray(self._array[selection])

    def points(self, coords: tuple[npt.NDArray[np.intp], ...]) -> Array:
        return np.asarray(self._array[coords])

    def write(self, selection: Selection, value: Array | float) -> None:
        if isinstance(selection, EllipsisType) and self._storage is not None:
            # Its fastest way to write a whole array.
            self._array = blosc2.asarray(value, **self._storage)
        else:
            self._array[selection] = value

    def append(self, rows: Array) -> None:
        first, *rest = self._array.shape
        self._array.resize((first + len(rows), *rest))
        self._array[first:] = rows


class Blosc2(Adapter):
    """python-blosc2 as `pip install blosc2` gives it."""

    name = "blosc2"
    first_read = "import blosc2; a = blosc2.open(path)[...]"
    own_format = True
    b2nd = True

    def open(self, path: Path, layout: Layout) -> Handle:
        """Open read-write."""
        if layout.shards:
            raise UnsupportedError
        return self.open_frame(path, layout)

    def create(self, path: Path, layout: Layout) -> Handle:
        """An empty file, to be replaced when the whole array is written."""
        if layout.shards or layout.codec not in CPARAMS:
            raise UnsupportedError
        return self.create_frame(path, layout)

    def open_frame(self, path: Path, layout: Layout) -> Handle:
        return Blosc2Handle(blosc2.open(str(path), mode="a"))

    def create_frame(self, path: Path | None, layout: Layout) -> Handle:
        storage: dict[str, Any] = {"chunks": layout.chunks, "cparams": _cparams(layout.codec)}
        if path is not None:
            storage |= {"urlpath": str(path), "mode": "w"}
        return Blosc2Handle(blosc2.empty(layout.shape, DTYPE, **storage), storage)

    def frames(self, layout: Layout) -> FrameCoder:
        """An array in memory of one chunk, and its frame."""
        cparams = _cparams(layout.codec)

        def encode(chunk: Array) -> Bytes:
            array = blosc2.asarray(chunk, chunks=layout.chunks, cparams=cparams)
            value: bytes = array.to_cframe()
            return value

        return FrameCoder(encode, lambda value: np.asarray(blosc2.ndarray_from_cframe(value)[...]))
