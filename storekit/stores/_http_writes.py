"""How an HTTP store writes: PUT and DELETE, and both on the condition of a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from uuid import uuid4

from storekit.errors import (
    ConflictError,
    KeyConflictError,
    KeyNotFoundError,
    ServerError,
    StoreError,
    TransportError,
    UnsupportedError,
)
from storekit.keys import RESERVED
from storekit.stores._http_answers import Place, strong_etag
from storekit.stores._http_reads import HTTPReads
from storekit.stores._http_reply import Reply
from storekit.stores.base import ConditionalStore, WritableStore
from storekit.typing import Value

__all__ = ["HTTPCompares", "HTTPWrites"]

_DONE = (200, 201, 204)  # 202 would be a promise
_NO_PLACE = (404, 405, 409)
_CONFLICT = (404, 409, 410, 412)
_NEVER = '"storekit-nobodys-version"'


class HTTPWrites(HTTPReads, WritableStore):
    """An HTTP store that can be written."""

    def _set(self, key: str, value: Value) -> None:
        self._put(Place(self, "set", key), value, {})

    def _put(self, place: Place, value: Value, condition: Mapping[str, str]) -> str | None:
        """
        PUT a value, and return its ETag if it is strong.

        WebDAV refuses it (409) until there are collections for it.
        """
        try:
            error, etag = self._try_to_put(place, value, condition)
        except ServerError:
            if "/" in place.key:  # nginx fails (500) where a value is in the way
                with suppress(TransportError):
                    self._refuse_conflict(place)
            raise
        if error is not None:
            self._refuse_conflict(place)
            self._make_collections(place)
            error, etag = self._try_to_put(place, value, condition)
        if error is not None:
            raise error
        return etag

    def _try_to_put(
        self, place: Place, value: Value, condition: Mapping[str, str]
    ) -> tuple[StoreError | None, str | None]:
        def take(reply: Reply) -> tuple[StoreError | None, str | None]:
            if reply.status in _DONE:
                return None, strong_etag(reply.headers)
            text = f"the server has no place for this key: it answered {reply.status}"
            return place.error(StoreError, text), None

        return self._ask(
            place,
            "PUT",
            take,
            headers=condition,
            body=value,
            accept=(*_DONE, *_NO_PLACE),
            repeat=not condition,
        )

    def _refuse_conflict(self, place: Place) -> None:
        parts = place.key.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts))]
        for key in above:
            if self._exists(key):
                text = f"{key!r} is a value, so there can be nothing under it"
                raise place.error(KeyConflictError, text)
        if self._is_directory(place):
            raise place.error(KeyConflictError, "there is a directory of this name")

    def _make_collections(self, place: Place) -> None:
        parts = place.key.split("/")[:-1]
        for count in range(len(parts) + 1):  # the root first
            path = self._client.root.path_of("".join(f"{part}/" for part in parts[:count]))
            made = (*_DONE, 301, 400, 403, 404, 405, 409, 501)  # there already, or never
            self._ask(place, "MKCOL", lambda reply: None, path=path, accept=made)

    def _erase(self, key: str) -> None:
        place = Place(self, "erase", key)
        # WebDAV erases a collection with all that is in it, so what is no value is left alone.
        try:
            self._size(place)
        except KeyNotFoundError:
            return
        self._ask(place, "DELETE", lambda reply: None, accept=(*_DONE, 404, 410))

    def _erase_values(self, keys: Sequence[str]) -> None:
        self._side_by_side(list(dict.fromkeys(keys)), self._erase)


class HTTPCompares(HTTPWrites, ConditionalStore):
    """An HTTP store that can be written on a condition."""

    _is_honest = False  # whether the server was seen to keep conditions

    def _get_versioned(self, key: str) -> tuple[Value, str]:
        place = Place(self, "get_versioned", key)

        def take(reply: Reply) -> tuple[Value, str]:
            etag = strong_etag(reply.headers)
            if etag is None:
                raise place.error(UnsupportedError, "the server gives this value no strong ETag")
            return reply.value(), etag

        return self._read(place, take)

    def _compare_and_set(
        self, key: str, value: Value | None, expected_version: str | None
    ) -> str | None:
        place = Place(self, "compare_and_set", key)
        if expected_version is not None and strong_etag({"etag": expected_version}) is None:
            raise place.error(ConflictError, f"nothing has the version {expected_version!r:.80}")
        if not self._is_honest:
            self._check_honesty(place)
            self._is_honest = True
        if value is None:
            self._remove(place, expected_version)
            return None
        if expected_version is None:
            etag = self._put(place, value, {"If-None-Match": "*"})
        else:
            etag = self._replace(place, value, expected_version)
        return etag or self._version_behind(place, value)

    def _replace(self, place: Place, value: Value, version: str) -> str | None:
        return self._ask(
            place,
            "PUT",
            lambda reply: self._written(place, reply),
            headers={"If-Match": version},
            body=value,
            accept=(*_DONE, *_CONFLICT),
            repeat=False,
        )

    def _remove(self, place: Place, version: str | None) -> None:
        if version is None:
            if self._exists(place.key):
                raise place.error(ConflictError, "there is a value")
            return
        self._ask(
            place,
            "DELETE",
            lambda reply: self._written(place, reply),
            headers={"If-Match": version},
            accept=(*_DONE, *_CONFLICT),
            repeat=False,
        )

    def _written(self, place: Place, reply: Reply) -> str | None:
        if reply.status in _CONFLICT:
            raise place.error(ConflictError, "the value has another version")
        return strong_etag(reply.headers)

    def _version_behind(self, place: Place, value: Value) -> str:
        """The version of what was just written, from a server that does not tell with the PUT."""
        try:
            found, version = self._get_versioned(place.key)
        except KeyNotFoundError:
            found, version = b"", ""
        # Somebody else's by now: what was written has a version that no longer is any.
        return version if version and found == value else f'"{RESERVED}{uuid4().hex}"'

    def _check_honesty(self, place: Place) -> None:
        """
        See that the server keeps conditions, by a value of a name that no key can have.

        Raises:
            UnsupportedError: If it writes or erases against one.
        """
        probe = Place(self, place.op, f"{RESERVED}{uuid4().hex}")
        tries = (
            ("PUT", {"If-None-Match": "*"}),
            ("PUT", {"If-Match": _NEVER}),
            ("DELETE", {"If-Match": _NEVER}),
        )
        self._put(probe, b"", {})
        ignored = [
            f"{next(iter(condition))} of {method}"
            for method, condition in tries
            if self._ask(
                probe,
                method,
                lambda reply: reply.status in _DONE,
                headers=condition,
                body=b"" if method == "PUT" else None,
                accept=(*_DONE, *_CONFLICT),
            )
        ]
        self._ask(probe, "DELETE", lambda reply: None, accept=(*_DONE, 404, 410))
        if ignored:
            text = f"the server ignores {', '.join(ignored)}, so updates would be lost"
            raise place.error(UnsupportedError, text)
