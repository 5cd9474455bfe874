"""
What Python reaches when a library adds nothing: threads with urllib3, and one loop over sockets.

Both know what they want before they begin: whole chunks of an array, or documents of a group.
"""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import urllib3

from benchmarks.adapters import Handle, Selection, UnsupportedError
from benchmarks.adapters.base import Shape
from benchmarks.adapters.plan import bounds, plan, split
from benchmarks.data import Array
from benchmarks.layout import DTYPE, Layout
from benchmarks.remote.client import Client, Opener
from benchmarks.remote.place import Place

__all__ = ["CLIENTS"]

_MANY = 256


class _Fetcher:
    """Connections to one server."""

    @abstractmethod
    def fetch(self, urls: Sequence[str]) -> list[bytes]:
        """All values, at once as far as there are connections."""


class _Threads(_Fetcher):
    _executor = ThreadPoolExecutor(_MANY)

    def __init__(self, place: Place) -> None:
        self._pool = urllib3.HTTPConnectionPool("127.0.0.1", place.port, maxsize=_MANY)

    def fetch(self, urls: Sequence[str]) -> list[bytes]:
        def get(url: str) -> bytes:
            return self._pool.urlopen("GET", url).data

        return list(self._executor.map(get, urls))


class _Loop(_Fetcher):
    def __init__(self, place: Place) -> None:
        self._port = place.port
        self._idle: list[_Connection] = []
        self._loop = asyncio.new_event_loop()

    def fetch(self, urls: Sequence[str]) -> list[bytes]:
        return self._loop.run_until_complete(self._gather(urls))

    async def _gather(self, urls: Sequence[str]) -> list[bytes]:
        pending = enumerate(urls)
        results = [b""] * len(urls)

        async def worker() -> None:
            connection = self._idle.pop() if self._idle else None
            for number, url in pending:
                if connection is None:
                    _, connection = await self._loop.create_connection(
                        _Connection, "127.0.0.1", self._port
                    )
                results[number] = await connection.get(url)
            if connection is not None:
                self._idle.append(connection)

        await asyncio.gather(*(worker() for _ in range(min(_MANY, len(urls)))))
        return results

    def __del__(self) -> None:
        for connection in self._idle:
            connection.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get(self, url: str) -> asyncio.Future[bytes]:
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pieces: list[bytes] = []
        self._missing = -1
        self._transport.write(f"GET {url} HTTP/1.1\r\nHost: limit\r\n\r\n".encode())
        return self._answer

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            head, _, data = data.partition(b"\r\n\r\n")  # the server sends it as a whole
            length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
            self._missing = int(length)
        self._pieces.append(data)
        self._missing -= len(data)
        if not self._missing:
            self._answer.set_result(b"".join(self._pieces))

    def close(self) -> None:
        self._transport.abort()


class _Array(Handle):
    def __init__(self, fetcher: _Fetcher, folder: str, layout: Layout) -> None:
        self._fetcher, self._folder, self._layout = fetcher, folder, layout

    def read(self, selection: Selection) -> Array:
        return self.read_many([selection])[0]

    def read_many(self, selections: Sequence[Selection]) -> list[Array]:
        layout, urls, places, results = self._layout, [], [], []
        for selection in selections:
            box = bounds(selection, layout.shape)
            out = np.empty([s.stop - s.start for s in box], DTYPE)
            results.append(out)
            for step in plan(box, layout.chunks)[0]:
                index, part, where = split(step)
                urls.append(f"{self._folder}/c/{'/'.join(map(str, index))}")
                places.append((out, part, where))
        for value, (out, part, where) in zip(self._fetcher.fetch(urls), places, strict=True):
            out[where] = np.frombuffer(value, DTYPE).reshape(layout.chunks)[part]
        return results


class _Limit(Client):
    library = "limit"

    def __init__(self, name: str, kind: type[_Threads] | type[_Loop]) -> None:
        self.name, self._kind = name, kind

    def open(self, place: Place, path: str, layout: Layout) -> Handle:
        if layout.shards or layout.codec != "none":
            raise UnsupportedError
        fetcher = self._kind(place)
        fetcher.fetch([place.path(f"{path}/zarr.json")])
        return _Array(fetcher, place.path(path), layout)

    def group(self, place: Place, path: str, *, consolidated: bool) -> Opener:
        fetcher = self._kind(place)
        (root,) = fetcher.fetch([place.path(f"{path}/zarr.json")])

        def opener(names: Sequence[str]) -> dict[str, Shape]:
            if consolidated:
                documents = json.loads(root)["consolidated_metadata"]["metadata"]
                return {name: tuple(documents[name]["shape"]) for name in names}
            values = fetcher.fetch([place.path(f"{path}/{name}/zarr.json") for name in names])
            return {n: tuple(json.loads(v)["shape"]) for n, v in zip(names, values, strict=True)}

        return opener


CLIENTS = [_Limit("limit, threads", _Threads), _Limit("limit, loop", _Loop)]
