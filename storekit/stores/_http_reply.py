"""The answer of a web server, while it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException

import urllib3
from urllib3.exceptions import HTTPError

from storekit.errors import UnsupportedError
from storekit.stores._http_answers import Place

__all__ = ["Reply"]

_SMALL = 1 << 16  # bytes: what is left of an answer is read up to this, to keep the connection
_PIECE = 1 << 20


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
        """The bytes of the body, as the headers tell."""
        text = self.headers.get("content-length", "").strip()
        return int(text) if text.isascii() and text.isdecimal() else None

    def read(self, limit: int | None = None) -> bytes:
        """
        The body, or its first bytes.

        Raises:
            ConnectionLostError: If it ends earlier than it should.

            UnsupportedError: If nobody could tell whether it does.
        """
        coding = self.headers.get("transfer-encoding", "").strip().lower()
        if coding not in ("", "chunked"):
            text = f"the server sends with the transfer encoding {coding[:40]!r}"
            raise self._place.error(UnsupportedError, text)
        if not coding and self.length is None:
            text = "the server does not say how long the body is, so its end could not be told"
            raise self._place.error(UnsupportedError, text)
        if limit is None:
            return self._raw.read(decode_content=False)
        return b"".join(self._pieces(limit))

    def skip(self, count: int) -> None:
        """Read so many bytes of the body for nothing."""
        for _ in self._pieces(count):
            pass

    def _pieces(self, count: int) -> Iterator[bytes]:
        while count and (piece := self._raw.read(min(count, _PIECE), decode_content=False)):
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
