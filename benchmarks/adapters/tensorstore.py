"""tensorstore: its `zarr3` driver on files and in memory, without fsync, as the others do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorstore as ts

from benchmarks.adapters.base import Adapter, Handle, Selection, Shape
from benchmarks.data import Array
from benchmarks.layout import Layout, array_document, group_document, write_json

__all__ = ["TensorStore", "TensorStoreHandle"]


class TensorStoreHandle(Handle):
    """A `tensorstore.TensorStore`, whatever its driver."""

    def __init__(self, array: Any) -> None:
        self._array = array

    @property
    def shape(self) -> Shape:
        return tuple(self._array.shape)

    def read(self, selection: Selection) -> Array:
        return np.asarray(self._array[selection].read().result())

    def read_many(self, selections: Sequence[Selection]) -> list[Array]:
        futures = [self._array[selection].read() for selection in selections]
        return [future.result() for future in futures]

    def points(self, coords: tuple[npt.NDArray[np.intp], ...]) -> Array:
        return np.asarray(self._array.vindex[coords].read().result())

    def write(self, selection: Selection, value: Array | float) -> None:
        self._array[selection].write(value).result()

    def append(self, rows: Array) -> None:
        first, *rest = self._array.shape
        self._array = self._array.resize(exclusive_max=[first + len(rows), *rest]).result()
        self._array[first : first + len(rows)].write(rows).result()


def _open(kvstore: Any, context: Any, **options: Any) -> Any:
    return ts.open({"driver": "zarr3", "kvstore": kvstore}, context=context, **options)


class TensorStore(Adapter):
    """tensorstore as `pip install tensorstore` gives it."""

    name = "tensorstore"
    first_read = """
import tensorstore
spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": path + "/"}}
a = tensorstore.open(spec).result().read().result()
"""

    def __init__(self) -> None:
        self._context = ts.Context({"file_io_sync": False})

    def open(self, path: Path, layout: Layout) -> Handle:
        """Open read-write."""
        return TensorStoreHandle(_open(_file(path), self._context, open=True).result())

    def load(self, files: Mapping[str, bytes], layout: Layout) -> Handle:
        """Open what a `memory` store holds."""
        context = ts.Context()
        store = ts.KvStore.open("memory://", context=context).result()
        for key, value in files.items():
            store.write(key, value).result()
        return TensorStoreHandle(_open("memory://", context, open=True).result())

    def create_tree(self, path: Path, members: Mapping[str, Layout]) -> None:
        """The arrays, all in flight at once, and a bare document for the group it does not know."""
        write_json(path, group_document())
        futures = [
            _open(_file(path / name), self._context, create=True, schema=_schema(layout))
            for name, layout in members.items()
        ]
        for future in futures:
            future.result()

    def list_tree(self, path: Path) -> dict[str, Shape]:
        """By listing keys and opening what they name."""
        keys = ts.KvStore.open(_file(path), context=self._context).result().list().result()
        names = [key.decode().removesuffix("/zarr.json") for key in keys if b"/zarr.json" in key]
        futures = {name: _open(_file(path / name), self._context) for name in names}
        return {name: tuple(future.result().shape) for name, future in futures.items()}


def _file(path: Path) -> dict[str, str]:
    return {"driver": "file", "path": f"{path}/"}


def _schema(layout: Layout) -> Any:
    codecs = array_document(layout)["codecs"]
    return ts.Schema(
        dtype=ts.float32,
        shape=layout.shape,
        chunk_layout=ts.ChunkLayout(chunk_shape=layout.chunks),
        codec=ts.CodecSpec({"driver": "zarr3", "codecs": codecs}),
    )
