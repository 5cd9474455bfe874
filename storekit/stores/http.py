"""Values behind a web server."""

from __future__ import annotations

import os
import ssl
from collections.abc import Hashable, Mapping
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Self

from storekit.clock import Clock
from storekit.draws import Draws
from storekit.stores._checks import positive
from storekit.stores._forward import refusing
from storekit.stores._http_auth import Auth, HTTPRequest, authorization, checked_headers
from storekit.stores._http_client import Client
from storekit.stores._http_lists import HTTPLists
from storekit.stores._http_reads import HTTPReads
from storekit.stores._http_root import Root
from storekit.stores._http_writes import HTTPCompares, HTTPWrites
from storekit.stores._variant import declared_class, variant
from storekit.stores.base import ConditionalStore, Latency, ListableStore, WritableStore
from storekit.stores.retries import RetryPolicy

__all__ = ["HTTPRequest", "HTTPStore"]

# What a store can do shows when it is made. Type checkers do not know that, and let it do all.
if TYPE_CHECKING:

    class _Base(HTTPCompares, HTTPLists):
        """All that an HTTP store may be."""

else:
    _Base = HTTPReads

_USUAL: dict[str, Any] = {
    "headers": {},
    "auth": None,
    "timeout": (10.0, 30.0),
    "concurrency": 256,
    "retry": RetryPolicy(),
    "ca": None,
    "listable": True,
    "writable": False,
    "conditional": False,
    "clock": None,
}


class HTTPStore(_Base):
    """
    The values under a URL of a web server: the key ``a/b`` is what is at ``url/a/b``.

    Only the statuses 404 and 410 mean that a key is absent, and what shows that a directory is
    there. Whatever else goes wrong is an error, and what may pass is tried again. A server cannot
    tell a root that is absent from an empty one.

    Parts of values are asked for by ranges, those of one value that are near to each other by one
    request, the others side by side. From a server that ignores ranges no more is read than up to
    the last byte needed. Parts that came by several requests are of one state of the value, as far
    as the server's ETag, date and size tell; if they are not, all of it is read.

    What a server compresses without being asked is inflated, to 1 GiB at most; more is an error.

    Listings are read from the indexes that a server makes of its directories: those of Python's
    ``http.server``, nginx, Apache, lighttpd, rclone and Caddy. Each directory is a request, and
    `list_dir` looks into the directories it finds, for those without keys are not listed. Where a
    page is no index, `UnsupportedError` is raised; where it is cut, `ServerError`.

    Args:
        url: With ``http`` or ``https``. A query, such as a signature, is sent with each request. A
            user and a password in it are taken for `auth`. Neither is ever shown.

        headers: To send with each request.

        auth: ``(user, password)``, a bearer token, or a function that is given each `HTTPRequest`
            and returns a mapping of headers to add.

        timeout: Seconds to wait for a connection, and for each piece of an answer, or MiB of a
            value that is written.

        concurrency: How many requests are on their way at once at most, each on a connection that
            is kept. Defaults to 256. There are fewer where answers come quickly, and after the
            server has said that it is busy (429, 5xx).

        retry: When requests are sent again. Defaults to `RetryPolicy()`.

        ca: The file, or the directory, with the certificates of whom to trust, in place of those of
            the system.

        listable: Whether the store can list. If not, it is no `ListableStore`.

        writable: Whether values are written, by PUT, and erased, by DELETE. What others see of a
            PUT that is on its way is up to the server. WebDAV is spoken as far as it must: missing
            collections are made; they stay when their last key is erased.

        conditional: Whether, besides, there is `compare_and_set`, by If-Match and If-None-Match.
            Before it is first used the server is asked to write against a condition; if it does,
            `UnsupportedError` is raised. The version is the ETag. Where that is a hash of the
            value, as in S3, a value that comes back has its version back.

        clock: Whose time passes between attempts. Defaults to that of the machine.

    `headers` and `auth` are sent to the host of `url` only, not along with a redirect to another
    one. A redirect from ``https`` to ``http`` is refused.

    Two stores are equal if all their arguments are. A pickle holds the arguments, secrets too.

    Raises:
        ValueError: If an argument makes no sense.

    Threads: safe, also across a fork.
    """

    latency = Latency.NETWORK
    _declared: type[HTTPStore]

    def __new__(
        cls,
        url: str,
        *,
        listable: bool = True,
        writable: bool = False,
        conditional: bool = False,
        **options: Any,
    ) -> Self:
        """Make an instance of a subclass with the capabilities asked for."""
        flags = {"listable": listable, "writable": writable, "conditional": conditional}
        for name, flag in flags.items():
            if not isinstance(flag, bool):
                raise TypeError(f"{name} must be a bool, found {flag!r}")
        if conditional and not writable:
            raise ValueError("conditional must come with writable=True")
        declared = declared_class(cls)
        made: Any = object.__new__(_with_capabilities(declared, listable, writable, conditional))
        able: Self = made
        return able

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        timeout: tuple[float, float] = (10.0, 30.0),
        concurrency: int = 256,
        retry: RetryPolicy | None = None,
        ca: str | os.PathLike[str] | None = None,
        listable: bool = True,
        writable: bool = False,
        conditional: bool = False,
        clock: Clock | None = None,
    ) -> None:
        root = Root.parse(url)
        sent = checked_headers(headers or {})
        authorize = authorization(auth, root.user, sent)
        if not isinstance(timeout, tuple) or len(timeout) != 2:
            raise ValueError(f"timeout must be (connect, read) in seconds, found {timeout!r}")
        connect, read = (positive("timeout", seconds, zero=False) for seconds in timeout)
        if type(concurrency) is not int or concurrency < 1:
            raise ValueError(f"concurrency must be an int of at least 1, found {concurrency!r}")
        if retry is not None and not isinstance(retry, RetryPolicy):
            raise TypeError(f"retry must be a RetryPolicy, found {retry!r}")
        self._retry = retry or RetryPolicy()
        self._draws = Draws(self._retry.seed)
        self._connections = concurrency
        self._arguments = {
            "url": url,
            "headers": sent,
            "auth": auth,
            "timeout": (connect, read),
            "concurrency": concurrency,
            "retry": self._retry,
            "ca": None if ca is None else os.fspath(ca),
            "listable": listable,
            "writable": writable,
            "conditional": conditional,
            "clock": clock,
        }
        tls = _trust(ca) if root.origin.scheme == "https" else None
        self._client = Client(root, sent, authorize, (connect, read), concurrency, tls)
        if clock is not None:
            self.clock = clock

    @property
    def concurrency(self) -> int:
        """As many as there are connections."""
        return self._connections

    @property
    def identity(self) -> Hashable:
        """The URL, its query as a hash."""
        root = self._client.root
        query = blake2b((root.query or "").encode(), digest_size=16).hexdigest()
        return "http", str(root.origin), root.path, query

    def close(self) -> None:
        """Close the connections that are idle. The store stays usable."""
        self._client.close()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HTTPStore) and self._arguments == other._arguments

    def __hash__(self) -> int:
        return hash(self.identity)

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = {
            name: value
            for name, value in self._arguments.items()
            if name not in _USUAL or value != _USUAL[name]
        }
        return _make, (self._declared, arguments)

    def __repr__(self) -> str:
        shown = (
            f", {name}={value!r}"
            for name, value in self._arguments.items()
            if name in ("timeout", "concurrency", "retry", "listable", "writable", "conditional")
            and value != _USUAL[name]
        )
        return f"{self._declared.__name__}({str(self._client.root)!r}{''.join(shown)})"


def _make(declared: type[HTTPStore], arguments: dict[str, Any]) -> HTTPStore:
    return declared(**arguments)


def _trust(ca: str | os.PathLike[str] | None) -> ssl.SSLContext:
    if ca is None:
        return ssl.create_default_context()
    try:
        if os.path.isdir(ca):
            return ssl.create_default_context(capath=ca)
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"ca must hold certificates: {error}; found {ca!r}") from None


@cache
def _with_capabilities(
    cls: type[HTTPStore], listable: bool, writable: bool, conditional: bool
) -> type[HTTPStore]:
    able = {
        HTTPCompares: (conditional, ConditionalStore),
        HTTPLists: (listable, ListableStore),
        HTTPWrites: (writable, WritableStore),
    }
    bases = [mixin if has else refusing(kind, writable) for mixin, (has, kind) in able.items()]
    return variant(cls, bases)
