"""The connections of an HTTP store: one request and its answer, with whatever can go wrong."""

from __future__ import annotations

import builtins
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import urldefrag, urljoin, urlsplit

import urllib3
from urllib3.exceptions import (
    HTTPError,
    NewConnectionError,
    SSLError,
)
from urllib3.exceptions import (
    TimeoutError as Timeout,
)

from storekit.clock import Clock
from storekit.errors import (
    ConflictError,
    ConnectionLostError,
    KeyNotFoundError,
    ServerError,
    StoreError,
    TimeoutError,
)
from storekit.stopping import on_stop
from storekit.stores._http_answers import Place
from storekit.stores._http_auth import HTTPRequest
from storekit.stores._http_connection import OURS, BadAnswer, Ours, PlainPool, TLSPool
from storekit.stores._http_gate import Gate
from storekit.stores._http_line import Line
from storekit.stores._http_reply import Reply
from storekit.stores._http_root import Origin, Root, encoded
from storekit.typing import Value

__all__ = ["Client"]

T = TypeVar("T")

_REDIRECTS = 5
_FOLLOWED = (301, 302, 303, 307, 308)


class Client:
    """
    The connections to one root.

    Args:
        root: Where the requests go.

        headers: Sent with each of them.

        authorize: Adds credentials to a request, if there are any.

        timeout: Seconds for a connection, and for each piece of an answer.

        connections: How many are kept, and how many requests are on their way at most.

        tls: The context for ``https``.

    Threads: safe, also across a fork.
    """

    def __init__(
        self,
        root: Root,
        headers: Mapping[str, str],
        authorize: Callable[[HTTPRequest], Mapping[str, str]] | None,
        timeout: tuple[float, float],
        connections: int,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.root = root
        self._headers, self._authorize = dict(headers), authorize
        self._timeout, self._connections, self._tls = timeout, connections, tls
        self._process = 0
        self._gate: Gate
        self._manager: urllib3.PoolManager
        self._pool: urllib3.HTTPConnectionPool

    def in_turn(self, clock: Clock, request: Callable[[], T]) -> T:
        """Make a request when the server bears one more."""
        self._connect()
        return self._gate.run(clock, request)

    @contextmanager
    def reply(
        self,
        place: Place,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Value | None = None,
    ) -> Iterator[Reply]:
        """
        Send a request, and hand out the answer of whoever it leads to.

        A redirect from a path to the same with a slash is not followed: what is there is a
        directory, and its index is not the value of a key.

        The connection is kept for another request if the answer was accepted, or is that a key is
        absent or a condition not met. Who has said something else may go on to say it.

        Raises:
            TimeoutError: If nothing came for too long.

            ConnectionLostError: If the connection broke, or there is none.

            ServerError: If the answer is no HTTP.

            StoreError: If redirects lead nowhere, or the server is not who it should be.

            CancelledError: If nobody wants the answer any more. If it is on its way, the connection
                breaks; the answer to a change is awaited.
        """
        origin, query = self.root.origin, self.root.query
        for _ in range(_REDIRECTS + 1):
            with self._translated(place, origin), _line(method) as line:
                raw = self._send(method, origin, path, query, headers, body, line)
                reply = Reply(raw.status, raw.headers, path, raw, place)
                target = _target(reply, origin, method)
                if target is None:
                    try:
                        yield reply
                    except (KeyNotFoundError, ConflictError):
                        reply.give_back()
                        raise
                    except BaseException:  # broken, interrupted, or not to be trusted any more
                        raw.close()
                        raise
                    reply.give_back()
                    return
                reply.give_back()
            origin, path, query = self._next(place, origin, target)
        raise place.error(StoreError, f"there are more than {_REDIRECTS} redirects")

    def _next(self, place: Place, origin: Origin, target: str) -> tuple[Origin, str, str | None]:
        try:
            other = Origin.of(target)
        except ValueError:
            raise place.error(StoreError, "a redirect leads to no URL of HTTP") from None
        if origin.scheme == "https" and other.scheme == "http":
            raise place.error(StoreError, f"a redirect leads from TLS to {other} without")
        parts = urlsplit(target)
        return other, encoded(parts.path) or "/", encoded(parts.query) or None

    def _send(
        self,
        method: str,
        origin: Origin,
        path: str,
        query: str | None,
        headers: Mapping[str, str],
        body: Value | None,
        line: Line | None,
    ) -> urllib3.BaseHTTPResponse:
        sent: dict[str, Any] = {"Accept-Encoding": "identity", "User-Agent": "storekit", **headers}
        if self.root.origin.trusts(origin):
            sent.update(self._headers)
            if self._authorize is not None:
                url = f"{origin}{path}" + (f"?{query}" if query is not None else "")
                sent.update(self._authorize(HTTPRequest(method, url, dict(sent))))
        sent[OURS] = Ours(query, line, self._timeout[1])
        self._connect()
        if origin == self.root.origin:
            pool = self._pool
        else:
            pool = self._manager.connection_from_url(str(origin))
        return pool.urlopen(
            method,
            path,
            body=body,  # type: ignore[arg-type]  # takes every buffer
            headers=sent,
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )

    def _connect(self) -> None:
        """Make what this process needs; a child must not use the connections of its parent."""
        process = os.getpid()
        if self._process == process:
            return
        connect, read = self._timeout
        manager = urllib3.PoolManager(
            num_pools=8,
            maxsize=self._connections,
            timeout=urllib3.Timeout(connect=connect, read=read),
            ssl_context=self._tls,
        )
        manager.pool_classes_by_scheme = {"http": PlainPool, "https": TLSPool}
        self._gate, self._manager = Gate(self._connections), manager
        self._pool = manager.connection_from_url(str(self.root.origin))
        self._process = process

    def close(self) -> None:
        """Close what is idle; a later request connects again."""
        if self._process == os.getpid():
            self._process = 0
            self._manager.clear()

    @contextmanager
    def _translated(self, place: Place, origin: Origin) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except NewConnectionError as error:  # a kind of timeout to urllib3
            text = f"no connection to {origin}: {_reason(error)}"
            raise place.error(ConnectionLostError, text) from error
        except Timeout as error:
            raise place.error(TimeoutError, f"no answer from {origin} in time") from error
        except (SSLError, ssl.SSLError) as error:
            raise _untrusted(place, origin, error) from error
        except (HTTPError, HTTPException, OSError) as error:
            if isinstance(error.args[-1] if error.args else None, BadAnswer):
                text = f"{origin} answers with what is no HTTP: {error.args[-1]}"
                raise place.error(ServerError, text) from error
            if isinstance(error.__context__, builtins.TimeoutError):  # while it was sent
                raise place.error(TimeoutError, f"{origin} takes nothing in time") from error
            text = f"the connection to {origin} broke: {_reason(error)}"
            raise place.error(ConnectionLostError, text) from error


@contextmanager
def _line(method: str) -> Iterator[Line | None]:
    """The line for a request, which is cut if the answer is not wanted; none for a change."""
    if method not in ("GET", "HEAD"):
        yield None
        return
    line = Line()
    with on_stop(line.cut):
        yield line


def _target(reply: Reply, origin: Origin, method: str) -> str | None:
    """Where a redirect leads that is to be followed."""
    location = reply.headers.get("location")
    if reply.status not in _FOLLOWED or not location:
        return None
    if method not in ("GET", "HEAD") and reply.status not in (307, 308):
        return None
    try:
        target = urldefrag(urljoin(f"{origin}{reply.path}", location)).url
    except ValueError:
        return "not a URL"
    return None if urlsplit(target).path == f"{reply.path}/" else target


def _untrusted(place: Place, origin: Origin, error: Exception) -> StoreError:
    cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"the certificate of {origin} is not trusted: {cause.verify_message}"
        return place.error(StoreError, text)
    return place.error(ConnectionLostError, f"no TLS with {origin}: {cause}")


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error.__context__ or error
    return f"{type(cause).__name__}: {cause.args[0] if cause.args else ''}"[:200]
