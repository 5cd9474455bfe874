"""blosc2 over fsspec: its arrays that stay remote, and its cache of what has been fetched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import blosc2

from benchmarks.adapters import Handle
from benchmarks.adapters.blosc2 import Blosc2Handle
from benchmarks.remote.client import Client
from benchmarks.remote.place import Place

__all__ = ["CLIENTS"]


class _Blosc2(Client):
    """With its defaults. It offers nothing to read several selections at once."""

    library = "blosc2"

    def __init__(self, name: str, connect: Callable[[str], Any]) -> None:
        self.name, self._connect = name, connect

    def open_frame(self, place: Place, path: str) -> Handle:
        return Blosc2Handle(self._connect(place.url(path)))


def _remote(url: str) -> Any:
    return blosc2.open(url, mode="r", lazy=True)


def _proxy(url: str) -> Any:
    return blosc2.Proxy(blosc2.FsspecNDSource(url))


CLIENTS = [_Blosc2("blosc2, RemoteArray", _remote), _Blosc2("blosc2, Proxy", _proxy)]
