"""zarr-python over obstore and over fsspec: with its defaults, and told to ask for more at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import fsspec
import obstore.store
import zarr
import zarr.core.sync
import zarr.storage

from benchmarks.adapters import Handle, Selection
from benchmarks.adapters.base import Shape
from benchmarks.adapters.zarr_python import ZarrHandle
from benchmarks.data import Array
from benchmarks.layout import Layout
from benchmarks.remote.client import Client, Opener
from benchmarks.remote.place import BUCKET, Place

__all__ = ["CLIENTS"]

_MANY = 256


class _TunedHandle(ZarrHandle):
    def read(self, selection: Selection) -> Array:
        with zarr.config.set({"async.concurrency": _MANY}):
            return super().read(selection)

    def read_many(self, selections: Sequence[Selection]) -> list[Array]:
        with zarr.config.set({"async.concurrency": _MANY}):
            return super().read_many(selections)


class _ZarrPython(Client):
    """With its defaults: arrays of a group are opened by `group[name]`, one after the other."""

    library = "zarr-python"

    def __init__(self, name: str, connect: Callable[[Place], Any]) -> None:
        self.name, self._connect = name, connect

    def open(self, place: Place, path: str, layout: Layout) -> Handle:
        return ZarrHandle(zarr.open_array(self._connect(place), path=path, mode="r"))

    def group(self, place: Place, path: str, *, consolidated: bool) -> Opener:
        group = zarr.open_group(self._connect(place), path=path, mode="r")
        return lambda names: {name: group[name].shape for name in names}


class _Tuned(_ZarrPython):
    """With 256 requests at once; arrays of a group are opened by `AsyncGroup.getitem`, gathered."""

    def open(self, place: Place, path: str, layout: Layout) -> Handle:
        return _TunedHandle(zarr.open_array(self._connect(place), path=path, mode="r"))

    def group(self, place: Place, path: str, *, consolidated: bool) -> Opener:
        where = zarr.storage.StorePath(self._connect(place), path)
        group: Any = zarr.core.sync.sync(zarr.AsyncGroup.open(where))

        async def gather(names: Sequence[str]) -> list[Any]:
            return await asyncio.gather(*(group.getitem(name) for name in names))

        def opener(names: Sequence[str]) -> dict[str, Shape]:
            with zarr.config.set({"async.concurrency": _MANY}):
                arrays = zarr.core.sync.sync(gather(names))
            return {name: array.shape for name, array in zip(names, arrays, strict=True)}

        return opener


def _s3(place: Place) -> Any:
    store = obstore.store.S3Store(
        BUCKET,
        endpoint=place.origin,
        region="us-east-1",
        skip_signature=True,
        client_options={"allow_http": True},
    )
    return zarr.storage.ObjectStore(store, read_only=True)


def _http(place: Place) -> Any:
    store = obstore.store.HTTPStore(place.url().rstrip("/"), client_options={"allow_http": True})
    return zarr.storage.ObjectStore(store, read_only=True)


def _fsspec_http(place: Place) -> Any:
    fs = fsspec.filesystem("http", asynchronous=True, skip_instance_cache=True)
    return zarr.storage.FsspecStore(fs, path=place.url().rstrip("/"), read_only=True)


def _s3fs(place: Place) -> Any:
    fs = fsspec.filesystem(
        "s3",
        anon=True,
        endpoint_url=place.origin,
        config_kwargs={"max_pool_connections": _MANY},
        asynchronous=True,
        skip_instance_cache=True,
    )
    return zarr.storage.FsspecStore(fs, path=BUCKET, read_only=True)


CLIENTS = [
    _ZarrPython("zarr-python, obstore (s3)", _s3),
    _Tuned("zarr-python, obstore (s3), tuned", _s3),
    _Tuned("zarr-python, obstore (http), tuned", _http),
    _ZarrPython("zarr-python, fsspec (http)", _fsspec_http),
    _Tuned("zarr-python, fsspec (http), tuned", _fsspec_http),
    _Tuned("zarr-python, fsspec (s3fs), tuned", _s3fs),
]
