"""
The server: `python -m benchmarks.remote.server FOLDER SECONDS` prints its port and answers.

It speaks as much HTTP/1.1 and S3 as reading needs: GET and HEAD with ranges, connections that are
kept, and ListObjectsV2. Each answer begins so many seconds after its request (and up to a
millisecond more, the resolution of the system's timer), however many there are. Files are read once
and then kept. It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import socket
import sys
import threading
from dataclasses import asdict, dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

__all__ = ["BUCKET", "CONTROL", "Counts"]

BUCKET = "bench"
"""The first part of each path, as S3 has it."""

CONTROL = "/-/counts"
"""Answers at once with the counts since it was last asked, and is not counted."""

_RANGE = re.compile(rb"\r\nrange: *bytes=(\d*)-(\d*) *(?:\r|$)", re.IGNORECASE)
_DATE = formatdate(0, usegmt=True)
_BACKLOG = 1024
_BUFFER = 1 << 20  # bytes that the system takes of an answer before it has been received


@dataclass
class Counts:
    """
    What has been asked of a server.

    Args:
        requests: How many.

        connections: How many have been made.

        sent: Bytes of the answers, headers included.

        at_once: The most requests that waited for their answers at one time.
    """

    requests: int = 0
    connections: int = 0
    sent: int = 0
    at_once: int = 0


class _Service:
    def __init__(self, folder: Path, latency: float) -> None:
        self._folder, self._latency = folder, latency
        self._loop = asyncio.get_running_loop()
        self._values: dict[str, bytes | None] = {}
        self.counts, self._waiting = Counts(), 0

    def take(self, head: bytes, transport: asyncio.Transport) -> None:
        """Answer a request when it is time."""
        now = self._loop.time()
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if target == CONTROL:
            counts, self.counts = self.counts, Counts()
            transport.write(b"".join(_answer(200, json.dumps(asdict(counts)).encode())))
            return
        self.counts.requests += 1
        self._waiting += 1
        self.counts.at_once = max(self.counts.at_once, self._waiting)
        found = _RANGE.search(head)
        answer = self._answer(target, found and (found[1], found[2]))
        answer = answer[:1] if method == "HEAD" else answer
        if self._latency:
            self._loop.call_at(now + self._latency, self._send, answer, transport)
        else:
            self._send(answer, transport)

    def _send(self, answer: tuple[bytes, ...], transport: asyncio.Transport) -> None:
        self._waiting -= 1
        if not transport.is_closing():
            self.counts.sent += sum(map(len, answer))
            transport.writelines(answer)

    def _answer(self, target: str, span: tuple[bytes, bytes] | None) -> tuple[bytes, ...]:
        path, _, query = target.partition("?")
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        if bucket != BUCKET:
            return _answer(404, b"")
        if "list-type" in query:
            return _answer(200, self._listing(parse_qs(query)), "Content-Type: application/xml\r\n")
        value = self._value(key)
        if value is None:
            return _answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        return _ranged(value, *span) if span else _answer(200, value)

    def _value(self, key: str) -> bytes | None:
        if key not in self._values:
            path = self._folder / key
            safe = ".." not in path.parts and path.is_file()
            self._values[key] = path.read_bytes() if safe else None
        return self._values[key]

    def _listing(self, query: dict[str, list[str]]) -> bytes:
        prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
        keys, prefixes = [], set()
        paths = (Path(at, name) for at, _, names in os.walk(self._folder) for name in names)
        for path in sorted(paths):
            key = str(path.relative_to(self._folder))
            if key.startswith(prefix):
                name, found, _ = key[len(prefix) :].partition(delimiter or "\0")
                if found:
                    prefixes.add(f"{prefix}{name}{found}")
                else:
                    keys.append((key, path.stat().st_size))
        objects = (
            f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><ETag>&quot;0&quot;</ETag>"
            "<LastModified>1970-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, size in keys
        )
        common = (
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            for name in sorted(prefixes)
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>1000</MaxKeys>"
            f"<KeyCount>{len(keys) + len(prefixes)}</KeyCount><IsTruncated>false</IsTruncated>"
            f"{''.join(objects)}{''.join(common)}</ListBucketResult>"
        ).encode()


class _Connection(asyncio.Protocol):
    def __init__(self, service: _Service) -> None:
        self._service, self._pending = service, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._service.counts.connections += 1
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._pending = (self._pending + data).split(b"\r\n\r\n")
        for head in heads:
            self._service.take(head, self._transport)


def _ranged(value: bytes, first: bytes, last: bytes) -> tuple[bytes, ...]:
    size = len(value)
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        return _answer(416, b"", f"Content-Range: bytes */{size}\r\n")
    more = f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n"
    return _answer(206, value[start:stop], more)


_REASONS = {200: "OK", 206: "Partial Content", 404: "Not Found", 416: "Range Not Satisfiable"}


def _answer(status: int, body: bytes, more: str = "") -> tuple[bytes, bytes]:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Length: {len(body)}\r\n"
        f'ETag: "0"\r\nLast-Modified: {_DATE}\r\nAccept-Ranges: bytes\r\n{more}\r\n'
    )
    return head.encode(), body


async def _serve(folder: Path, latency: float) -> None:
    loop = asyncio.get_running_loop()
    service = _Service(folder, latency)
    server = await loop.create_server(
        lambda: _Connection(service), "127.0.0.1", 0, backlog=_BACKLOG
    )
    (listening,) = server.sockets
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    print(listening.getsockname()[1], flush=True)
    await server.serve_forever()


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    gc.disable()
    threading.Thread(target=_end_with_input, daemon=True).start()
    asyncio.run(_serve(Path(sys.argv[1]), float(sys.argv[2])))
