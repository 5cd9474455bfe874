"""Bodies that a server encoded though it was not asked to: the Content-Encoding of RFC 9110."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from storekit.errors import ServerError, StoreError, UnsupportedError
from storekit.stores._http_answers import Place

__all__ = ["MOST", "decoded"]

MOST = 1 << 30
"""Bytes that an encoded value may become. A body of a thousandth of that can."""

_PIECE = 1 << 20
_ENCODINGS = 2  # one on the other; each can make a thousand times as much of the last one


def decoded(place: Place, pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """
    The pieces of the value, of those of its body. The last has come when the end was checked.

    Args:
        place: For errors.

        pieces: Of the body. No more are taken than are needed.

        encoding: What the server calls it.

    Raises:
        ServerError: If the body is broken, or ends too early.

        StoreError: If there would be more than `MOST` bytes.

        UnsupportedError: If the encoding is not known, or is one of too many.
    """
    names = [part.strip().lower() for part in encoding.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    unknown = [name for name in names if name not in ("gzip", "x-gzip", "deflate")]
    if unknown or len(names) > _ENCODINGS:
        text = f"the server insists on the encoding {', '.join(unknown or names)[:40]!r}"
        raise place.error(UnsupportedError, text)
    for name in reversed(names):
        pieces = _bounded(place, _inflated(place, pieces, name))
    return pieces


def _bounded(place: Place, pieces: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MOST:
            text = f"the server compressed a value of more than {MOST} bytes"
            raise place.error(StoreError, text)
        yield piece


def _inflated(place: Place, pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    stream = None  # of the member that has begun
    is_empty = True
    for piece in pieces:
        rest, data = piece, b""
        while rest or len(data) == _PIECE:  # some may be held back that did not fit
            if stream is None:
                stream, is_empty = zlib.decompressobj(_bits(name, rest)), False
            try:
                data = stream.decompress(rest, _PIECE)
            except zlib.error as error:
                raise place.error(ServerError, f"the body cannot be inflated: {error}") from None
            if data:
                yield data
            rest = stream.unused_data if stream.eof else stream.unconsumed_tail
            if stream.eof:
                stream, data = None, b""
    if is_empty or stream is not None:
        raise place.error(ServerError, "the body ends too early to be inflated")


def _bits(name: str, body: bytes) -> int:
    if name != "deflate":
        return 31
    return 15 if body[0] & 15 == 8 else -15  # zlib's format by the RFC; some servers send it bare
