"""How objects are read through obstore."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from storekit.errors import ConnectionLostError, KeyNotFoundError, ServerError
from storekit.pool import run
from storekit.stores._capable import CapableStore
from storekit.stores._object_client import Client, check_process
from storekit.stores._object_errors import Report, translate
from storekit.stores._object_names import path_of
from storekit.stores._object_ranges import (
    ChangedError,
    NoRangesError,
    Piece,
    Request,
    read_ranges,
)
from storekit.stores.base import Latency
from storekit.stores.states import say_state
from storekit.typing import ByteRange, Value

__all__ = ["CLOUDS", "STAMP", "ObjectReads", "version_of"]

T = TypeVar("T")

CLOUDS = {"S3", "GCS", "Azure"}
STAMP = "storekit"
"""The attribute that tells writes of equal values apart."""

_TRIES = 5  # to read parts of one version, before the whole is read


class ObjectReads(CapableStore):
    """The part of `ObjectStore` that makes requests, and reads."""

    _backend: Client
    _client: Any
    _kind: str
    _root: str
    _concurrency: int

    def _get(self, key: str) -> Value:
        def ask(path: str) -> Value:
            found = self._client.get(path)
            self._check("get", key, found.meta)
            return memoryview(found.bytes())

        return self._ask("get", key, ask)

    def _get_versioned(self, key: str) -> tuple[Value, str]:
        def ask(path: str) -> tuple[Value, str]:
            found = self._client.get(path)
            self._check("get_versioned", key, found.meta)
            return memoryview(found.bytes()), version_of(found.meta, found.attributes)

        return self._ask("get_versioned", key, ask)

    def _getsize(self, key: str) -> int:
        return self._meta(key, "getsize")["size"]  # type: ignore[no-any-return]

    def _exists(self, key: str) -> bool:
        try:
            self._meta(key, "exists")
        except KeyNotFoundError:
            return False
        return True

    def _meta(self, key: str, op: str) -> Any:
        """Size, tag and the like."""
        if self._kind in CLOUDS:
            # A byte and not a HEAD: the answer that there is nothing says then what is missing, the
            # key or the bucket.
            piece = self._ask(op, key, lambda path: self._fetch(path, (0, 1)))
            if piece is not None:
                self._check(op, key, piece)
                return piece
        return self._head(key, op)

    def _head(self, key: str, op: str) -> Any:
        meta = self._ask(op, key, self._client.head)
        self._check(op, key, meta)
        return meta

    def _check(self, op: str, key: str, meta: Any) -> None:
        """Refuse what no cloud answers, but somebody in between: an object without an ETag."""
        if self._kind in CLOUDS and not meta.get("e_tag"):
            text = "the answer has no ETag: it is not that of an object store"
            raise ServerError(text, store=self, op=op, key=key)

    def _fetch(self, path: str, request: Request) -> Any:
        """
        The metadata of an object of which a part can be read, and that part; None where the request
        has no answer, since the object is too short or the backend knows no such requests.
        """
        from obstore.exceptions import GenericError, NotSupportedError

        try:
            found = self._client.get(path, options={"range": request})
            return {**found.meta, "part": memoryview(found.bytes()), "span": found.range}
        except NotSupportedError:
            return None
        except GenericError as error:
            report = Report(error, path)
            if report.status == 416 or not (report.status or report.kinds or report.in_the_way):
                return None
            raise

    def _get_ranges(self, key: str, ranges: Sequence[ByteRange]) -> list[Value]:
        gap = int(self.request_cost) if self.latency is Latency.NETWORK else 0

        def fetch(requests: Sequence[Request], strict: bool) -> list[Piece]:
            pieces: list[Any] = [None] * len(requests)

            def work(batch: Iterable[tuple[int, Request]]) -> None:
                for place, request in batch:
                    pieces[place] = self._piece(key, request, strict)

            run(
                enumerate(requests),
                work,
                clock=self.clock,
                workers=min(len(requests), self._concurrency),
                crew=self._concurrency,
            )
            return pieces

        for _ in range(_TRIES):
            try:
                values, tag = read_ranges(ranges, gap, fetch)
            except ChangedError:
                continue
            except NoRangesError:
                break
            say_state((self.identity, key), tag, lasting=self._kind in CLOUDS)
            return values
        return super()._get_ranges(key, ranges)

    def _piece(self, key: str, request: Request, strict: bool) -> Piece:
        op = "get_partial_values"
        meta = self._ask(op, key, lambda path: self._fetch(path, request))
        if meta is None:
            meta = self._head(key, op)
            if meta["size"] > (request[0] if isinstance(request, tuple) else 0):
                raise NoRangesError
            if strict:
                raise ChangedError
            return Piece(memoryview(b""), 0, meta["size"], _tag(meta))
        self._check(op, key, meta)
        first, last = meta["span"]
        if len(meta["part"]) != last - first:
            text = f"{len(meta['part'])} bytes came of {last - first}"
            raise ConnectionLostError(text, store=self, op=op, key=key)
        return Piece(meta["part"], first, meta["size"], _tag(meta))

    def _ask(self, op: str, key: str, request: Callable[[str], T]) -> T:
        """Make a request for a key or prefix, with its path."""
        path = self._root + path_of(key)
        return self._translated(op, key, path, lambda: request(path))

    def _translated(self, op: str, key: str, path: str, request: Callable[[], T]) -> T:
        """Make a request whose errors become ours."""
        from obstore.exceptions import BaseError

        check_process(self, op, key)
        try:
            return request()
        except (BaseError, OSError, NotImplementedError, ValueError) as error:
            secrets = self._backend.secrets
            # Its text may show what must not be shown, so it is not the cause.
            raise translate(error, store=self, op=op, key=key, path=path, secrets=secrets) from None


def version_of(meta: Any, attributes: Any) -> str:
    """The version of an object: what was stamped on it, and what the backend calls it."""
    parts = attributes.get(STAMP), meta.get("version"), meta.get("e_tag")
    return " ".join(part or "-" for part in parts)


def _tag(meta: Any) -> object:
    return meta.get("e_tag") or meta.get("last_modified")
