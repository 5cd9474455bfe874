"""What an HTTP store takes out of the body of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from storekit.errors import ServerError
from storekit.stores._http_answers import Place, content_range, etag_lasts
from storekit.stores._http_parts import END, Part, Wanted
from storekit.stores._http_reply import Reply

__all__ = ["all_of", "most_of", "nothing_of", "some_of"]


class _State(NamedTuple):
    version: tuple[str | None, ...]
    lasting: bool


def _state(reply: Reply) -> _State:
    headers = reply.headers
    return _State((headers.get("etag"), headers.get("last-modified")), etag_lasts(headers))


def all_of(reply: Reply) -> Part:
    """The whole value."""
    value = reply.value()
    return Part(value, 0, len(value), *_state(reply), whole=True)


def most_of(reply: Reply, requests: Sequence[Wanted]) -> Part:
    """What all requests need, of an answer with the whole value; no more of it is read."""
    size = reply.length
    if size is None or reply.is_encoded:
        return _beginning(reply, requests)
    spans = [request.span(size) for request in requests]
    first, last = min(first for first, _ in spans), max(last for _, last in spans)
    reply.skip(first)
    return Part(reply.read(last - first), first, size, *_state(reply), whole=True)


def _beginning(reply: Reply, requests: Sequence[Wanted]) -> Part:
    """The same, of a value of which nobody knows the size before it has been read."""
    last = max(END if request.first < 0 else request.last for request in requests)
    value = reply.value(None if last == END else last)
    size = None if len(value) == last else len(value)
    return Part(value, 0, size, *_state(reply), whole=True)


def nothing_of(reply: Reply, request: Wanted) -> Part | None:
    """The answer to a range in which the server says there is nothing; None if that is doubtful."""
    found = content_range(reply.headers.get("content-range"))
    if found is None or found[2] is None:
        return None
    first, last = request.span(found[2])
    return None if first < last else Part(b"", first, found[2], ())


def some_of(place: Place, reply: Reply, request: Wanted) -> Part:
    """
    The part that was asked for.

    Raises:
        ServerError: If it is another one, or is not all that there is of it.
    """
    found = content_range(reply.headers.get("content-range"))
    if found is not None:
        first, last, size = found
        if size is not None:
            right = (first, last) == request.span(size)
        else:
            right = (first, last) == (request.first, request.last)
        if right and reply.length in (None, last - first):
            data = reply.read(last - first + 1)  # which must find the end
            if len(data) == last - first:
                return Part(data, first, size, *_state(reply))
    raise place.error(ServerError, "the server answered with other bytes than were asked for")
