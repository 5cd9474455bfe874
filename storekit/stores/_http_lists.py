"""How an HTTP store lists: by the indexes that a server makes of its directories."""

from __future__ import annotations

from collections.abc import Iterable

from storekit.errors import (
    InvalidKeyError,
    KeyNotFoundError,
    ServerError,
    StoreError,
    UnsupportedError,
)
from storekit.keys import check_key
from storekit.stores._http_answers import Place
from storekit.stores._http_index import BrokenIndexError, names_in
from storekit.stores._http_reads import HTTPReads
from storekit.stores._http_reply import Reply
from storekit.stores.base import ListableStore

__all__ = ["HTTPLists"]

_PAGE = 1 << 26  # bytes of an index: about half a million names
_DIRECTORIES = 1 << 20
_HEADERS = {"Accept": "application/json, text/html;q=0.9, */*;q=0.1"}


class HTTPLists(HTTPReads, ListableStore):
    """An HTTP store that knows its keys."""

    def _list_prefix(self, prefix: str) -> Iterable[str]:
        return self._walk("list_prefix", [prefix])

    def _list_dir(self, prefix: str) -> Iterable[str]:
        names = self._names("list_dir", prefix)
        directories = [name for name in names if name.endswith("/")]
        hold = self._side_by_side(directories, self._holds_keys)
        empty = {name for name, holds in zip(directories, hold, strict=True) if not holds}
        return [name for name in names if name not in empty]

    def _holds_keys(self, prefix: str) -> bool:
        """Whether there is a key, at whatever depth; most often there is one at the first."""
        pending, seen = [prefix], 0
        while pending:
            seen += 1
            self._check(prefix, seen)
            names = self._names("list_dir", pending.pop())
            if any(not name.endswith("/") for name in names):
                return True
            pending += names
        return False

    def _walk(self, op: str, level: list[str]) -> list[str]:
        """All keys, one level of directories after the other."""
        keys: list[str] = []
        seen, root = 0, level[0]
        while level:
            seen += len(level)
            self._check(root, seen)
            found = self._side_by_side(level, lambda prefix: self._names(op, prefix))
            names = [name for some in found for name in some]
            keys += [name for name in names if not name.endswith("/")]
            level = [name for name in names if name.endswith("/")]
        return keys

    def _check(self, prefix: str, seen: int) -> None:
        """Links on a server may lead round in circles, of which each turn makes longer keys."""
        if seen > _DIRECTORIES:
            text = f"there are more than {_DIRECTORIES} directories"
            raise Place(self, "list_prefix", prefix).error(StoreError, text)

    def _names(self, op: str, prefix: str) -> list[str]:
        """The keys and prefixes in a directory; none if it is absent."""
        place = Place(self, op, prefix)
        root = self._client.root

        def take(reply: Reply) -> set[str] | None:
            page = reply.value(_PAGE + 1)
            if len(page) > _PAGE:
                raise place.error(StoreError, f"the index is larger than {_PAGE} bytes")
            kind = reply.headers.get("content-type", "")
            try:
                return names_in(page, kind, f"{root.origin}{reply.path}")
            except BrokenIndexError as error:
                raise place.error(ServerError, f"the index cannot be right: {error}") from None

        try:
            names = self._ask(place, "GET", take, headers=_HEADERS, path=root.path_of(prefix))
        except KeyNotFoundError:
            return []
        if names is None:
            text = "the server has a page here that is no index of a directory"
            raise place.error(UnsupportedError, text)
        found = [prefix + name for name in names]
        valid = [name for name in found if _is_name(name)]
        if any(name.endswith("/") for name in set(found).difference(valid)):
            text = "directories are nested deeper than a key can be long, as in a circle"
            raise place.error(StoreError, text)
        return valid


def _is_name(name: str) -> bool:
    try:
        check_key(name.removesuffix("/"))
    except InvalidKeyError:  # too long
        return False
    return True
