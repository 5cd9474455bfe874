"""What the answers of HTTP servers mean: RFC 9110."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from storekit.errors import (
    AccessDeniedError,
    ConflictError,
    KeyNotFoundError,
    RateLimitedError,
    ServerError,
    StoreError,
    TimeoutError,
)

__all__ = ["Place", "content_range", "etag_lasts", "failure", "strong_etag"]

_NUMBER = "([0-9]{1,18})"
_CONTENT_RANGE = re.compile(rf"bytes (?:{_NUMBER}-{_NUMBER}|\*)/(?:{_NUMBER}|\*)\s*\Z", re.ASCII)
_STEP = 2  # seconds
_LASTING = (501, 505, 510, 511)


@dataclass(frozen=True)
class Place:
    """What an error is about."""

    store: object
    op: str
    key: str

    def error(self, kind: type[StoreError], text: str, **more: Any) -> StoreError:
        """An error that says so."""
        return kind(f"{text} ({self.key!r})", store=self.store, op=self.op, key=self.key, **more)


def failure(place: Place, status: int, headers: Mapping[str, str], now_ns: int) -> StoreError:
    """The error for a status that is no success. Only 404 and 410 are absence."""
    text = f"the server answered {status}{_phrase(status)}"
    if status == 202:
        return place.error(StoreError, f"{text}: it may be done later, or never")
    if status in (404, 410):
        return place.error(KeyNotFoundError, f"no such key: {text}")
    if status in (401, 403, 407):
        return place.error(AccessDeniedError, text)
    if status == 408:
        return place.error(TimeoutError, text)
    if status == 412:
        return place.error(ConflictError, text)
    if status == 423:  # WebDAV: another request is at it
        return place.error(StoreError, text, retryable=True)
    wish = _retry_after(headers, now_ns)
    if status == 429 or (status == 503 and wish is not None):
        return place.error(RateLimitedError, text, retry_after=wish)
    if status >= 500:
        return place.error(ServerError, text, retryable=status not in _LASTING)
    return place.error(StoreError, text)


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _retry_after(headers: Mapping[str, str], now_ns: int) -> float | None:
    """The seconds that a server asks to wait, or None."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else None
    except (ValueError, OverflowError):
        return None
    now = now or datetime.fromtimestamp(now_ns / 1e9, UTC)
    if moment.tzinfo is None or now.tzinfo is None:
        return None
    return max((moment - now).total_seconds(), 0.0)


def content_range(text: str | None) -> tuple[int, int, int | None] | None:
    """
    The half-open span of a part of a value, and the size of the value if the header says it; None
    if the header says neither. Where nothing could be sent the span is empty.
    """
    found = _CONTENT_RANGE.match(text or "")
    if not found:
        return None
    first, last, size = found.groups()
    total = None if size is None else int(size)
    if first is None:
        return None if total is None else (0, 0, total)
    return int(first), int(last) + 1, total


def strong_etag(headers: Mapping[str, str]) -> str | None:
    """The ETag, if two values with it are the same byte by byte."""
    etag = headers.get("etag", "").strip()
    return etag if len(etag) > 1 and etag[0] == etag[-1] == '"' else None


def etag_lasts(headers: Mapping[str, str]) -> bool:
    """
    Whether no later value can have the same ETag.

    Many servers make it of size and time. If these are whole seconds, another value may have been
    written within the same one: nginx shows that it is so, and of others it is assumed.

    Source: RFC 9110, section 8.8.2.2, on what makes a time stamp a strong validator.
    """
    if strong_etag(headers) is None:
        return False
    modified = headers.get("last-modified")
    if modified is None:
        return True
    written, sent = _seconds(modified), _seconds(headers.get("date", ""))
    if written is None or sent is None or headers["etag"].strip().startswith(f'"{int(written):x}-'):
        return False
    return sent - written >= _STEP


@lru_cache(256)  # 20 us; most answers of a second have one date, and all of a value the other
def _seconds(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
