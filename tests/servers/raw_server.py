"""A web server that answers as it should, or misbehaves as it is told, down to single bytes."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from html import escape
from itertools import count
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote, unquote, urlsplit

__all__ = ["Answer", "Exchange", "RawServer", "running"]

Answer: TypeAlias = tuple[int, dict[str, str], bytes]


@dataclass
class Exchange:
    """
    A request, and the way back.

    Attributes:
        method: Of HTTP.

        target: The path with the query, as it was sent.

        headers: By names in lower case.

        body: All of it.
    """

    server: RawServer
    connection: Any
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def name(self) -> str:
        """The decoded path, without its first slash."""
        return unquote(urlsplit(self.target).path)[1:]

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.connection.sendall(data)

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Send a whole answer; without a body to HEAD."""
        self.send(head(status, {"Content-Length": str(len(body)), **headers}))
        if self.method != "HEAD":
            self.send(body)

    def reset(self) -> None:
        """Break the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionAbortedError

    def hang(self) -> None:
        """Do nothing until the client gives up."""
        while self.connection.recv(1024):
            pass
        raise ConnectionAbortedError


Behaviour: TypeAlias = Callable[[Exchange], None]


def head(status: int, headers: dict[str, str]) -> bytes:
    """The first lines of an answer."""
    lines = [f"HTTP/1.1 {status} As it is", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass
class RawServer:
    """
    Values in a dict behind HTTP: GET, HEAD, PUT, DELETE, ranges, ETags, conditions, indexes.

    Attributes:
        url: Its address.

        contents: The values.

        requests: Those so far.

        connections: How many there were.

        behaviour: What to do in place of the right thing; None for that.

        times: How often, before it does the right thing again.

        methods: On which methods.
    """

    url: str = ""
    contents: dict[str, bytes] = field(default_factory=dict)
    requests: list[Exchange] = field(default_factory=list)
    connections: int = 0
    behaviour: Behaviour | None = None
    times: float = 0
    methods: tuple[str, ...] = ()
    _versions: dict[str, str] = field(default_factory=dict)
    _serial: Any = field(default_factory=lambda: count(1))
    _lock: Any = field(default_factory=threading.RLock)

    def misbehave(self, behaviour: Behaviour, times: float = float("inf"), *methods: str) -> None:
        """From now on, so often, on these methods (all, if none is named)."""
        self.behaviour, self.times, self.methods = behaviour, times, methods

    def behave(self) -> None:
        """From now on."""
        self.times = 0

    def replace(self, name: str, value: bytes) -> None:
        """Store a value, with an ETag of its own."""
        with self._lock:
            self.contents[name] = value
            self._versions.pop(name, None)

    def lines(self) -> list[str]:
        """The requests so far, each as its method, its path and its range."""
        return [
            " ".join(filter(None, (each.method, each.target, each.headers.get("range"))))
            for each in self.requests
        ]

    def handle(self, exchange: Exchange) -> None:
        """Answer, or misbehave."""
        with self._lock:
            self.requests.append(exchange)
            fits = not self.methods or exchange.method in self.methods
            wrong = self.behaviour if fits and self.times > 0 else None
            self.times -= wrong is not None
        if wrong is None:
            exchange.answer(*self.right(exchange))
        else:
            wrong(exchange)

    def right(self, exchange: Exchange) -> Answer:
        """What should be answered."""
        with self._lock:
            name = exchange.name
            failed = self._unmet(exchange)
            if exchange.method in ("GET", "HEAD"):
                return failed or self._read(exchange, name)
            if exchange.method == "PUT":
                return failed or self._write(name, exchange.body)
            if exchange.method == "DELETE":
                return failed or self._erase(name)
        return 405, {}, b"what?"

    def etag(self, name: str) -> str | None:
        """The version of a value."""
        if name not in self.contents:
            return None
        return self._versions.setdefault(name, f'"v{next(self._serial)}"')

    def _unmet(self, exchange: Exchange) -> Answer | None:
        etag = self.etag(exchange.name)
        match = exchange.headers.get("if-match")
        if match is not None and match != etag:
            return 412, {}, b"another version"
        if exchange.headers.get("if-none-match") == "*" and etag is not None:
            return 412, {}, b"it is there"
        return None

    def _read(self, exchange: Exchange, name: str) -> Answer:
        if name == "" or name.endswith("/"):
            return self._index(name)
        if name not in self.contents:
            return 404, {"Content-Type": "text/html"}, b"<html><h1>Not found</h1></html>"
        value, headers = self.contents[name], {"ETag": self.etag(name) or ""}
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", exchange.headers.get("range", ""))
        if asked is None:
            return 200, headers, value
        first, last = _span(asked[1], asked[2], len(value))
        if first >= last:
            return 416, {"Content-Range": f"bytes */{len(value)}"}, b""
        headers["Content-Range"] = f"bytes {first}-{last - 1}/{len(value)}"
        return 206, headers, value[first:last]

    def _index(self, folder: str) -> Answer:
        below = [name[len(folder) :] for name in self.contents if name.startswith(folder)]
        if folder and not below:
            return 404, {}, b""
        names = sorted({name[: name.find("/") + 1] or name for name in below})
        links = "".join(f'<a href="{escape(quote(name))}">{escape(name)}</a>\n' for name in names)
        page = f"<html><title>Index of /{escape(folder)}</title>{links}</html>"
        return 200, {"Content-Type": "text/html"}, page.encode()

    def _write(self, name: str, value: bytes) -> Answer:
        self.contents[name] = value
        self._versions.pop(name, None)
        return 201, {"ETag": self.etag(name) or ""}, b""

    def _erase(self, name: str) -> Answer:
        if self.contents.pop(name, None) is None:
            return 404, {}, b""
        del self._versions[name]
        return 204, {}, b""

    def serve(self, connection: Any, tls: ssl.SSLContext | None) -> None:
        """Answer the requests of one connection, until somebody closes it."""
        self.connections += 1
        with suppress(OSError, ValueError), connection:  # also for what is no HTTP
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as file:
                while (exchange := self._next(connection, file)) is not None:
                    self.handle(exchange)

    def _next(self, connection: Any, file: Any) -> Exchange | None:
        line = file.readline()
        if not line:
            return None
        method, target, _ = line.decode().split()
        headers = {}
        while (text := file.readline().decode("latin-1").strip()) != "":
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("expect") == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = file.read(int(headers.get("content-length", 0)))
        return Exchange(self, connection, method, target, headers, body)


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size


S = TypeVar("S", bound=RawServer)


@contextmanager
def running(
    tls: ssl.SSLContext | None = None,
    kind: type[S] = RawServer,  # type: ignore[assignment]
) -> Iterator[S]:
    """A server on a free port of loopback, with a thread for each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = kind(f"http{'s' if tls else ''}://127.0.0.1:{port}")
    threads: list[threading.Thread] = []
    sockets: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sockets.append(connection)
                thread = threading.Thread(target=server.serve, args=(connection, tls), daemon=True)
                threads.append(thread)
                thread.start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()
        for connection in sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


# --- how to misbehave


_JUNK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\njunk"


def always(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer so, whatever was asked."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda exchange: exchange.answer(status, named, body)


def changed(change: Callable[[Answer], Answer]) -> Behaviour:
    """Answer as it should be, but for a change."""
    return lambda exchange: exchange.answer(*change(exchange.server.right(exchange)))


def ignore_ranges(exchange: Exchange) -> None:
    """Send all of the value, whatever part was asked for."""
    exchange.headers.pop("range", None)
    exchange.answer(*exchange.server.right(exchange))


def shift_ranges(exchange: Exchange) -> None:
    """Send another part than was asked for."""
    status, headers, body = exchange.server.right(exchange)
    if status == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers["Content-Range"])
        if found is None:
            raise AssertionError(headers)
        first, last, size = map(int, found.groups())
        headers["Content-Range"] = f"bytes {first + 1}-{last + 1}/{size}"
    exchange.answer(status, headers, body)


def cut_short(exchange: Exchange) -> None:
    """Promise a body, and send the first half of it."""
    status, headers, body = exchange.server.right(exchange)
    exchange.send(head(status, {**headers, "Content-Length": str(len(body))}))
    if exchange.method != "HEAD":
        exchange.send(body[: len(body) // 2])
    raise ConnectionAbortedError


def go_on(exchange: Exchange) -> None:
    """Send more than was promised, at once: what comes later can be taken for another answer."""
    status, headers, body = exchange.server.right(exchange)
    first = head(status, {"Content-Length": str(len(body)), **headers})
    exchange.send(first + body * (exchange.method != "HEAD") + _JUNK)


def hint_before(exchange: Exchange) -> None:
    """Send interim answers before the one that counts."""
    for status in (100, 102, 103):
        exchange.send(head(status, {"Link": "</style.css>; rel=preload"}))
    exchange.answer(*exchange.server.right(exchange))


def hint_for_ever(exchange: Exchange) -> None:
    """Send nothing but interim answers."""
    while True:
        exchange.send(head(103, {"Link": "</style.css>; rel=preload"}))


def go_on_without_body(status: int) -> Behaviour:
    """Answer with a status that has no body, and send one."""
    return lambda exchange: exchange.send(head(status, {"Content-Length": "4"}) + b"junk" + _JUNK)


def without_length(exchange: Exchange) -> None:
    """Do not say how long the body is, and close the connection behind it."""
    status, headers, body = exchange.server.right(exchange)
    exchange.send(head(status, {**headers, "Connection": "close"}))
    if exchange.method != "HEAD":
        exchange.send(body)
    raise ConnectionAbortedError


def chunked(exchange: Exchange, end: bytes = b"0\r\n\r\n") -> None:
    """Send the body in chunks."""
    status, headers, body = exchange.server.right(exchange)
    exchange.send(head(status, {**headers, "Transfer-Encoding": "chunked"}))
    if exchange.method != "HEAD":
        for piece in (body[:3], body[3:]):
            if piece:
                exchange.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        exchange.send(end)
    if end != b"0\r\n\r\n":
        raise ConnectionAbortedError


def chunk_of(size: bytes) -> Behaviour:
    """Send a chunk that says it has another size than it has."""

    def behave(exchange: Exchange) -> None:
        status, headers, body = exchange.server.right(exchange)
        answer = head(status, {**headers, "Transfer-Encoding": "chunked"})
        if exchange.method != "HEAD":
            answer += size + b"\r\n" + body + b"\r\n0\r\n\r\n"
        exchange.send(answer)
        raise ConnectionAbortedError

    return behave


def chunked_with_length(exchange: Exchange) -> None:
    """Send the body in chunks, and say another length."""
    status, headers, body = exchange.server.right(exchange)
    exchange.send(head(status, {"Content-Length": "4", "Transfer-Encoding": "chunked", **headers}))
    if exchange.method != "HEAD":
        exchange.send((b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n")


def cut_head(exchange: Exchange) -> None:
    """Close the connection in the middle of the head, behind a whole line and some of the next."""
    exchange.send(b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Le")
    raise ConnectionAbortedError


def malformed(line: bytes) -> Behaviour:
    """Answer as it should be, but for a line in the head."""

    def behave(exchange: Exchange) -> None:
        status, headers, body = exchange.server.right(exchange)
        first, last = head(status, {"Content-Length": str(len(body)), **headers}).split(b"\r\n", 1)
        exchange.send(first + b"\r\n" + line + b"\r\n" + last)
        if exchange.method != "HEAD":
            exchange.send(body)

    return behave


def break_chunks(exchange: Exchange) -> None:
    """Leave out the last chunk."""
    chunked(exchange, end=b"")


def reset_before(exchange: Exchange) -> None:
    """Break the connection instead of an answer."""
    exchange.reset()


def close_before(exchange: Exchange) -> None:
    """Close the connection instead of an answer."""
    raise ConnectionAbortedError


def reset_inside(exchange: Exchange) -> None:
    """Break the connection in the middle of the body."""
    status, headers, body = exchange.server.right(exchange)
    exchange.send(head(status, {**headers, "Content-Length": str(len(body))}))
    if exchange.method != "HEAD":
        exchange.send(body[: len(body) // 2])
    exchange.reset()


def reset_behind(exchange: Exchange) -> None:
    """Do what is asked, and break the connection instead of saying so."""
    exchange.server.right(exchange)
    exchange.reset()


def stall_before(exchange: Exchange) -> None:
    """Never answer."""
    exchange.hang()


def stall_inside(exchange: Exchange) -> None:
    """Never send the second half of the body."""
    status, headers, body = exchange.server.right(exchange)
    exchange.send(head(status, {**headers, "Content-Length": str(len(body))}))
    if exchange.method != "HEAD":
        exchange.send(body[: len(body) // 2])
        exchange.hang()


def close_behind(exchange: Exchange) -> None:
    """Answer as it should be, and close the connection without saying so."""
    exchange.answer(*exchange.server.right(exchange))
    raise ConnectionAbortedError


def redirect_to_itself(exchange: Exchange) -> None:
    """Send whoever asks back to where he came from."""
    exchange.answer(302, {"Location": exchange.target}, b"")


def redirect_to(url: str, status: int = 307) -> Behaviour:
    """Send whoever asks to another server."""
    return lambda exchange: exchange.answer(status, {"Location": url + exchange.target}, b"")


def zip_up(exchange: Exchange) -> None:
    """Send the body compressed, though nobody asked for it."""

    def change(answer: Answer) -> Answer:
        status, headers, body = answer
        if status not in (200, 206):
            return answer
        return status, {**headers, "Content-Encoding": "gzip"}, gzip.compress(body, mtime=0)

    changed(change)(exchange)


def refuse_head(exchange: Exchange) -> None:
    """Answer everything but HEAD."""
    if exchange.method == "HEAD":
        exchange.answer(405, {"Allow": "GET"}, b"")
    else:
        exchange.answer(*exchange.server.right(exchange))
