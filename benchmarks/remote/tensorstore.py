"""tensorstore over its `http` driver: with its defaults, and told to ask for more at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorstore as ts

from benchmarks.adapters import Handle, UnsupportedError
from benchmarks.adapters.base import Shape
from benchmarks.adapters.tensorstore import TensorStoreHandle
from benchmarks.layout import Layout
from benchmarks.remote.client import Client, Opener
from benchmarks.remote.place import Place

__all__ = ["CLIENTS"]


class _TensorStore(Client):
    """Connections are the process's, and stay from one array to the next."""

    library = "tensorstore"

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.name, self._settings = name, settings

    def _opened(self, context: ts.Context, place: Place, path: str) -> Any:
        kvstore = {"driver": "http", "base_url": place.url(f"{path}/")}
        return ts.open({"driver": "zarr3", "kvstore": kvstore}, context=context, open=True)

    def open(self, place: Place, path: str, layout: Layout) -> Handle:
        return TensorStoreHandle(self._opened(ts.Context(self._settings), place, path).result())

    def group(self, place: Place, path: str, *, consolidated: bool) -> Opener:
        if consolidated:
            raise UnsupportedError
        context = ts.Context(self._settings)

        def opener(names: Sequence[str]) -> dict[str, Shape]:
            futures = {name: self._opened(context, place, f"{path}/{name}") for name in names}
            return {name: tuple(future.result().shape) for name, future in futures.items()}

        return opener


CLIENTS = [
    _TensorStore("tensorstore", {}),
    _TensorStore("tensorstore, tuned", {"http_request_concurrency": {"limit": 256}}),
]
