"""The connections of an HTTP store, where they must do more than urllib3's and `http.client`'s."""

from __future__ import annotations

import http.client
import io
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import Any, cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from storekit.stores._http_line import Line
from storekit.typing import Value

__all__ = ["OURS", "BadAnswer", "Ours", "PlainPool", "TLSPool"]

OURS = "storekit-ours"
"""The name of the header by which a connection is given an `Ours`, which is not sent."""

_PIECE = 1 << 20  # bytes
_LINES = 1000  # of all heads of an answer
_STATUS = re.compile(rb".*\n", re.DOTALL)  # `http.client` looks at it
_FIELD = re.compile(rb"[!-9;-~]+:[^\r]*\r?\n")
_MORE = re.compile(rb"([!-9;-~]+:|[ \t])[^\r]*\r?\n")  # a field, or more of the one before
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?\r?\n", re.DOTALL)
_CHUNK_LINE = 1 << 16  # bytes, with what may stand behind the size


class BadAnswer(HTTPException):
    """The server answers with what is no HTTP."""


@dataclass(frozen=True)
class Ours:
    """
    What a connection is told beside the request.

    Attributes:
        query: Of the URL, if there is one.

        line: To be told of the connection.

        timeout: Seconds to wait for the server to take a piece of the request.
    """

    query: str | None
    line: Line | None
    timeout: float


class _Stream(io.BufferedReader):
    """
    What a server sends in answer to a request: first the head, which is checked here.

    `http.client` takes a head that was cut for a whole one, and `email`, which it reads heads with,
    drops the fields behind a line that is none.
    """

    def __init__(self, raw: Any, line: socket.socket, connection: Any) -> None:
        super().__init__(raw)
        self._socket, self._connection = line, connection
        self._lines = 0
        self._next = _STATUS
        self.in_head = True

    def readline(self, size: int | None = -1, /) -> bytes:
        """The next line."""
        line = super().readline(size)
        if self.in_head and not (size and 0 < size <= len(line)):  # those raise above
            self._check(line)
        return line

    def _check(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            raise RemoteDisconnected("it ended before all of the head was there")
        self._lines += 1
        if self._lines > _LINES:
            raise BadAnswer("its head has too many lines")
        if self._next is not _STATUS and line in (b"\r\n", b"\n"):
            self._next = _STATUS
        elif self._next.fullmatch(line):
            self._next = _FIELD if self._next is _STATUS else _MORE
        else:
            raise BadAnswer("its head has a line that is no field")

    def close(self) -> None:
        """
        Close it, and the connection if more than the answer has been read: it would be taken for
        the answer to the next request. What waits in the socket urllib3 sees before it uses the
        connection again; to look for it here would be two more calls of the system, and as many
        fights for the interpreter's lock.
        """
        if not self.closed:
            self.raw._timeout_occurred = True  # type: ignore[attr-defined]  # reads no more
            with suppress(OSError, ValueError):
                if self.peek(1):
                    self._connection.close()
            with suppress(AttributeError, OSError, ValueError):
                if self._socket.pending():  # type: ignore[attr-defined]  # of TLS, decrypted
                    self._connection.close()
            self._connection = None
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer without those that come before it, and with the sizes of chunks checked."""

    def __init__(self, line: socket.socket, connection: Any, **more: Any) -> None:
        super().__init__(line, **more)
        self.fp: Any = _Stream(self.fp.detach(), line, connection)

    def begin(self) -> None:
        """Read the head of the answer, and those of interim ones before it."""
        super().begin()
        while 100 <= self.status < 200 and self.status != 101:
            self.headers = self.msg = cast(Any, None)
            super().begin()
        self.fp.in_head = False

    # `http.client` takes a sign, and what was cut.
    def _read_next_chunk_size(self) -> int:
        line = self.fp.readline(_CHUNK_LINE)
        found = _CHUNK.fullmatch(line)
        if found is not None:
            return int(found[1], 16)
        if line.endswith(b"\n") or len(line) == _CHUNK_LINE:
            raise BadAnswer("a chunk has no size")
        raise IncompleteRead(b"")


class _Connection:
    """
    A connection that takes `Ours` beside the headers.

    urllib3 logs the path of every request. The query may be a signature, and is added behind it.
    """

    debuglevel = 0  # when all connections are told to print what they send, these are not
    line: Line | None = None
    """Of the last request."""
    _query: str | None = None
    sock: socket.socket | None

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, **more: Any
    ) -> None:
        """Send a request, with its query."""
        this: Any = self
        headers = dict(headers or {})
        ours: Ours = headers.pop(OURS)
        self._query, self.line = ours.query, ours.line
        if self.sock is None:
            this.connect()
        this.timeout = ours.timeout  # was that to connect
        if body is not None:
            headers["Content-Length"] = str(memoryview(body).nbytes)
            body = _pieces(body)
        super().request(method, url, body=body, headers=headers, **more)  # type: ignore[misc]
        if self.line is not None:
            self.line.reach(self)

    def putrequest(self, method: str, url: str, *more: Any, **named: Any) -> None:
        """Send the first line."""
        url = url if self._query is None else f"{url}?{self._query}"
        super().putrequest(method, url, *more, **named)  # type: ignore[misc]

    def response_class(self, line: socket.socket, **more: Any) -> _Answer:
        """What the answer is read by."""
        return _Answer(line, self, **more)


def _pieces(body: Value) -> Iterator[memoryview]:
    """A body in pieces, for the timeout of a socket is for all that it is given at once."""
    view = memoryview(body).cast("B")
    return (view[first : first + _PIECE] for first in range(0, len(view), _PIECE))


class _PlainConnection(_Connection, HTTPConnection):  # type: ignore[misc]  # a method for a class
    pass


class _TLSConnection(_Connection, HTTPSConnection):  # type: ignore[misc]
    pass


class PlainPool(urllib3.HTTPConnectionPool):
    """Connections of ours."""

    ConnectionCls = _PlainConnection


class TLSPool(urllib3.HTTPSConnectionPool):
    """Connections of ours, with TLS."""

    ConnectionCls = _TLSConnection
