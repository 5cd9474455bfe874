"""The answer of a web server, while it comes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException

import urllib3
from urllib3.exceptions import HTTPError

from storekit.errors import ServerError, UnsupportedError
from storekit.stores._http_answers import Place
from storekit.stores._http_encoding import decoded

__all__ = ["Reply"]

_SMALL = 1 << 16  # bytes: what is left of an answer is read up to this, to keep the connection
_PIECE = 1 << 20
_ENCODED = 1 << 16  # and of an encoded one, for no more of it is inflated than needed
_LARGE = 1 << 28  # bytes of memory that are taken on the server's word
_DIGITS = 18


@dataclass(frozen=True)
class Reply:
    """
    An answer, of which the headers have come.

    Attributes:
        status: Of the answer.

        headers: By names of any case.

        path: Where it came from, after redirects.
    """

    status: int
    headers: Mapping[str, str]
    path: str
    _raw: urllib3.BaseHTTPResponse
    _place: Place

    @property
    def is_encoded(self) -> bool:
        """Whether the body is something else than the bytes of the value."""
        return self.headers.get("content-encoding", "identity").strip().lower() not in (
            "identity",
            "",
        )

    @property
    def length(self) -> int | None:
        """
        The bytes of the body, as the headers tell; they do not if it comes in chunks.

        Raises:
            ServerError: If that cannot be.
        """
        text = self.headers.get("content-length", "").strip()
        if "transfer-encoding" in self.headers or not (text.isascii() and text.isdecimal()):
            return None
        if len(text) > _DIGITS:
            raise self._place.error(ServerError, "the server sends more bytes than there can be")
        return int(text)

    def read(self, limit: int | None = None) -> bytes:
        """
        The body, or its first bytes.

        Raises:
            ConnectionLostError: If it ends earlier than it should.

            ServerError: If its length cannot be.

            UnsupportedError: If nobody could tell whether it does.
        """
        return b"".join(self._pieces(self._end() if limit is None else limit, _LARGE))

    def value(self, limit: int | None = None) -> bytes:
        """
        The value in the body, which may be encoded, or its first bytes.

        Raises:
            StoreError: As `read` does, and as `decoded` does.
        """
        if not self.is_encoded:
            return self.read(limit)
        body = self._pieces(self._end(), _ENCODED)
        made: list[bytes] = []
        left = sys.maxsize if limit is None else limit
        for piece in decoded(self._place, body, self.headers["content-encoding"]):
            made.append(piece[:left])
            left -= len(made[-1])
            if not left:
                break
        return b"".join(made)

    def _end(self) -> int:
        """The bytes of the body; of one in chunks, beyond all that can come."""
        # As it stands, since spaces around it are lost on nobody but `http.client`.
        coding = self.headers.get("transfer-encoding", "").lower()
        if coding not in ("", "chunked"):
            text = f"the server sends with the transfer encoding {coding[:40]!r}"
            raise self._place.error(UnsupportedError, text)
        length = sys.maxsize if coding else self.length
        if length is None:
            text = "the server does not say how long the body is, so its end could not be told"
            raise self._place.error(UnsupportedError, text)
        return length

    def skip(self, count: int) -> None:
        """Read so many bytes of the body for nothing."""
        for _ in self._pieces(count, _PIECE):
            pass

    def _pieces(self, count: int, size: int) -> Iterator[bytes]:
        self._end()
        while count and (piece := self._raw.read(min(count, size), decode_content=False)):
            yield piece
            count -= len(piece)

    def give_back(self) -> None:
        """Let the connection be used again, if what is left of the body is little."""
        left = self._raw.length_remaining
        with suppress(HTTPError, HTTPException, OSError):
            if left is not None and left <= _SMALL:
                self._raw.read(_SMALL, decode_content=False)
        if self._raw.connection is not None:  # it goes back to the pool with the last byte
            self._raw.close()
