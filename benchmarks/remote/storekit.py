"""storekit over its three stores for the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import storekit as sk
from benchmarks.adapters import Handle
from benchmarks.adapters.base import Shape
from benchmarks.adapters.storekit import StorekitHandle
from benchmarks.layout import Layout
from benchmarks.remote.client import Client, Opener
from benchmarks.remote.place import BUCKET, Place
from storekit.frames.stored import StoredHome
from storekit.nodes.frame_array import FrameArray

__all__ = ["CLIENTS"]


class _Storekit(Client):
    library = "storekit"
    b2nd = True

    def __init__(self, name: str, connect: Callable[[Place], sk.ReadableStore]) -> None:
        self.name, self._connect = name, connect

    def open(self, place: Place, path: str, layout: Layout) -> Handle:
        return StorekitHandle(sk.open_zarr(self._connect(place), path))

    def open_frame(self, place: Place, path: str) -> Handle:
        return StorekitHandle(FrameArray(StoredHome(self._connect(place), path)))

    def group(self, place: Place, path: str, *, consolidated: bool) -> Opener:
        group = sk.open_zarr(self._connect(place), path)

        def opener(names: Sequence[str]) -> dict[str, Shape]:
            nodes = group.get_nodes(names)
            return {name: node.shape for name, node in zip(names, nodes, strict=True)}

        return opener


def _http(place: Place) -> sk.ReadableStore:
    return sk.HTTPStore(place.url())


def _object(place: Place) -> sk.ReadableStore:
    return sk.ObjectStore(
        f"s3://{BUCKET}",
        endpoint=place.origin,
        region="us-east-1",
        skip_signature=True,
        allow_http=True,
    )


def _fsspec_http(place: Place) -> sk.ReadableStore:
    return sk.FsspecStore(place.url(), storage_options={"skip_instance_cache": True})


def _s3fs(place: Place) -> sk.ReadableStore:
    options = {"anon": True, "endpoint_url": place.origin, "skip_instance_cache": True}
    return sk.FsspecStore(f"s3://{BUCKET}", storage_options=options)


CLIENTS = [
    _Storekit("storekit, HTTPStore", _http),
    _Storekit("storekit, ObjectStore", _object),
    _Storekit("storekit, FsspecStore (http)", _fsspec_http),
    _Storekit("storekit, FsspecStore (s3fs)", _s3fs),
]
