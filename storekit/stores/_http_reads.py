"""How an HTTP store reads: requests that are tried again, and parts of values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar

from storekit.draws import Draws
from storekit.errors import (
    KeyNotFoundError,
    RateLimitedError,
    StoreError,
    TransportError,
)
from storekit.pool import run
from storekit.stores._http_answers import Place, content_range, failure
from storekit.stores._http_bodies import all_of, most_of, nothing_of, some_of
from storekit.stores._http_client import Client
from storekit.stores._http_parts import Part, Wanted, cut, same_value, wanted
from storekit.stores._http_reply import Reply
from storekit.stores.base import ReadableStore
from storekit.stores.retries import RetryPolicy
from storekit.stores.states import say_state
from storekit.typing import ByteRange, Value

__all__ = ["HTTPReads"]

S = TypeVar("S")
T = TypeVar("T")

_REFUSED = (405, 501)
_DIRECTORY = "no such key: there is a directory"


class HTTPReads(ReadableStore):
    """What an HTTP store asks a server, and how it reads."""

    _client: Client
    _retry: RetryPolicy
    _draws: Draws
    _connections: int
    _answers_ranges = False  # whether the server has answered one
    _answers_head = True  # whether it has not refused one

    def _ask(
        self,
        place: Place,
        method: str,
        take: Callable[[Reply], T],
        *,
        headers: Mapping[str, str] | None = None,
        body: Value | None = None,
        accept: Collection[int] = (200,),
        path: str | None = None,
        repeat: bool = True,
    ) -> T:
        """
        What `take` makes of the answer to a request. Both are done again if that may help.

        Args:
            place: For errors; and for the path, unless that is given.

            method: Of HTTP.

            take: Reads the answer, if its status is one of those accepted.

            headers: To send beside those of the store.

            body: To send.

            accept: The statuses that are no error.

            path: To ask for.

            repeat: Whether the request may have its effect twice.
        """
        target = self._client.root.path_of(place.key) if path is None else path

        def exchange() -> T:
            with self._client.reply(place, method, target, headers or {}, body) as reply:
                if reply.status in accept:
                    return take(reply)
                raise self._failure(place, method, reply)

        def attempt() -> T:
            return self._client.in_turn(self.clock, exchange)

        def forbidden(error: StoreError) -> str | None:
            if repeat or isinstance(error, RateLimitedError):
                return None
            return "it is not sent again, since it may have had its effect"

        return self._retry.run(
            attempt,
            who="HTTPStore",
            clock=self.clock,
            delays=self._retry.delays(self._draws, place.op, place.key),
            forbidden=forbidden,
        )

    def _read(
        self,
        place: Place,
        take: Callable[[Reply], T],
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (200,),
    ) -> T:
        """What `take` makes of the answer to GET."""

        def look(reply: Reply) -> tuple[T | None, StoreError | None]:
            if reply.status in accept:
                return take(reply), None
            return None, self._failure(place, "GET", reply)

        found, error = self._ask(place, "GET", look, headers=headers, accept=(*accept, *_REFUSED))
        if error is not None:  # WebDAV: collections have no GET
            raise place.error(KeyNotFoundError, _DIRECTORY) if self._is_directory(place) else error
        return found  # type: ignore[return-value]

    def _failure(self, place: Place, method: str, reply: Reply) -> StoreError:
        if method in ("GET", "HEAD") and 300 <= reply.status < 400 and "location" in reply.headers:
            return place.error(KeyNotFoundError, _DIRECTORY)  # other redirects were followed
        return failure(place, reply.status, reply.headers, self.clock.now_ns())

    def _is_directory(self, place: Place) -> bool:
        path = f"{self._client.root.path_of(place.key)}/"
        try:
            return self._ask(place, "GET", lambda reply: True, path=path)
        except TransportError:
            raise
        except StoreError:
            return False

    def _side_by_side(self, items: Sequence[S], work: Callable[[S], T]) -> list[T]:
        """What `work` makes of each item, by as many threads as there are connections."""
        results: dict[int, T] = {}

        def some(numbers: Any) -> None:
            for number in numbers:
                results[number] = work(items[number])

        workers = min(len(items), self._connections)
        run(range(len(items)), some, clock=self.clock, workers=workers, crew=self._connections)
        return [results[number] for number in range(len(items))]

    # --- whole values

    def _get(self, key: str) -> Value:
        return self._whole(Place(self, "get", key)).data

    def _whole(self, place: Place) -> Part:
        return self._read(place, all_of)

    def _exists(self, key: str) -> bool:
        try:
            self._size(Place(self, "exists", key))
        except KeyNotFoundError:
            return False
        return True

    def _getsize(self, key: str) -> int:
        return self._size(Place(self, "getsize", key))

    def _size(self, place: Place) -> int:
        size = self._size_by_head(place) if self._answers_head else None
        if size is None:
            size = self._size_by_get(place)
        return len(self._whole(place).data) if size is None else size

    def _size_by_head(self, place: Place) -> int | None:
        def take(reply: Reply) -> tuple[bool, int | None]:
            return reply.status == 200, None if reply.is_encoded else reply.length

        answered, size = self._ask(place, "HEAD", take, accept=(200, *_REFUSED))
        if answered:
            return size
        size = self._size_by_get(place)
        self._answers_head = False  # not before the value was found: WebDAV refuses for collections
        return size

    def _size_by_get(self, place: Place) -> int | None:
        def take(reply: Reply) -> int | None:
            if reply.is_encoded:
                return None
            if reply.status == 200:
                return reply.length
            found = content_range(reply.headers.get("content-range"))
            return None if found is None else found[2]

        return self._read(place, take, {"Range": "bytes=0-0"}, (200, 206, 416))

    # --- parts

    def _get_partial_values(self, asked: Sequence[tuple[str, ByteRange]]) -> list[Value | None]:
        groups = [
            (key, [byte_range for _, byte_range in group])
            for key, group in groupby(asked, key=lambda pair: pair[0])
        ]

        def parts(group: tuple[str, list[ByteRange]]) -> list[Value] | list[None]:
            try:
                return self._get_ranges(*group)
            except KeyNotFoundError:
                return [None] * len(group[1])

        return [value for values in self._side_by_side(groups, parts) for value in values]

    def _get_ranges(self, key: str, ranges: Sequence[ByteRange]) -> list[Value]:
        place = Place(self, "get_partial_values", key)
        requests = wanted(ranges, int(self.request_cost))
        if not requests:
            self._size(place)  # nothing of a value is something else than nothing of none
            return [b""] * len(ranges)
        parts = self._parts(place, requests)
        if not same_value(parts):
            parts = [self._whole(place)]
        known = next((part for part in parts if part.version), None)
        if known is not None and known.version[0]:
            say_state((self.identity, key), known.version[0], lasting=known.lasting)
        return cut(ranges, parts)

    def _parts(self, place: Place, requests: list[Wanted]) -> list[Part]:
        def ask(request: Wanted) -> Part:
            return self._part(place, request, requests)

        if self._answers_ranges:
            return self._side_by_side(requests, ask)
        first = ask(requests[0])
        return [first] if first.whole else [first, *self._side_by_side(requests[1:], ask)]

    def _part(self, place: Place, request: Wanted, requests: Sequence[Wanted]) -> Part:
        """The answer to one of several requests; to all of them if the server ignores ranges."""

        def take(reply: Reply) -> Part | None:
            if reply.status == 200:
                return most_of(reply, requests)
            if reply.is_encoded:
                return None
            if reply.status == 416:
                return nothing_of(reply, request)
            self._answers_ranges = True
            return some_of(place, reply, request)

        part = self._read(place, take, request.header, (200, 206, 416))
        return self._whole(place) if part is None else part
