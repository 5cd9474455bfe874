"""
What may be a key, a prefix or a byte range: the one place where it is decided.

A key is one or more segments joined by ``/``. A segment is not empty, is not made of dots alone,
holds no NUL, does not begin with `RESERVED` and takes at most 255 bytes in UTF-8; a key takes at
most 1024. These are the limits that every backend can hold (a POSIX file name; an S3 object key),
so that a key is valid everywhere or nowhere. A prefix is the empty text (everything) or a key and a
``/``.
"""

from __future__ import annotations

import operator
import re
from typing import SupportsIndex

from storekit.errors import InvalidKeyError, InvalidRangeError

__all__ = ["RESERVED", "check_key", "check_prefix", "check_range", "resolve_range"]

RESERVED = ".storekit-"
"""No segment may begin so: stores keep their temporary files and locks under such names."""

# Looks ahead only behind a dot, and never back.
_SEGMENT = r"(?:[^/\0.]|\.(?!\.*(?:/|\Z)|storekit-))[^/\0]{0,254}+"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*+\Z")
MAX_SEGMENT, MAX_KEY = 255, 1024


def check_key(key: str, *, store: object = None, op: str | None = None) -> str:
    """
    Return `key` if it is valid.

    Raises:
        InvalidKeyError: With the rule that it breaks.
    """
    try:
        # ASCII, the usual case: as many bytes as characters, so the pattern has checked every
        # limit.
        if _KEY.match(key) and len(key) <= MAX_KEY and (key.isascii() or _fits(key)):
            return key
    except TypeError:
        pass
    raise InvalidKeyError(
        f"invalid key {key!r:.120}: {_broken_rule(key)}", store=store, op=op, key=key
    )


def check_prefix(prefix: str, *, store: object = None, op: str | None = None) -> str:
    """
    Return `prefix` if it is valid: ``""``, or a key followed by ``/``. A lone ``/`` means ``""``.

    Raises:
        InvalidKeyError: With the rule that it breaks.
    """
    if prefix in ("", "/"):
        return ""
    if isinstance(prefix, str) and prefix.endswith("/"):
        check_key(prefix[:-1], store=store, op=op)
        return prefix
    raise InvalidKeyError(
        f"invalid prefix {prefix!r:.120}: it must be empty or end with '/'",
        store=store,
        op=op,
        key=prefix,
    )


def check_range(
    start: SupportsIndex,
    length: SupportsIndex | None,
    *,
    store: object = None,
    op: str | None = None,
    key: object = None,
) -> tuple[int, int | None]:
    """
    Return the byte range as plain ints.

    Raises:
        InvalidRangeError: If one of the two is not an int, or the length is negative.
    """
    try:
        if isinstance(start, bool) or isinstance(length, bool):
            raise TypeError
        first = operator.index(start)
        count = None if length is None else operator.index(length)
    except TypeError:
        raise InvalidRangeError(
            f"byte range of {key!r}: start and length must be ints (the length may be None),"
            f" found start={start!r}, length={length!r}",
            store=store,
            op=op,
            key=key,
        ) from None
    if count is not None and count < 0:
        raise InvalidRangeError(
            f"byte range of {key!r}: the length must not be negative, found {count}",
            store=store,
            op=op,
            key=key,
        )
    return first, count


def resolve_range(start: int, length: int | None, size: int) -> tuple[int, int]:
    """
    The half-open span of a checked byte range in a value of `size` bytes, clamped to the value.
    """
    first = max(size + start, 0) if start < 0 else min(start, size)
    return first, size if length is None else min(first + length, size)


def _fits(key: str) -> bool:
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        return False
    return len(encoded) <= MAX_KEY and all(len(part) <= MAX_SEGMENT for part in encoded.split(b"/"))


def _broken_rule(key: object) -> str:
    if not isinstance(key, str):
        return f"a key must be a str, not {type(key).__name__}"
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "it must be encodable as UTF-8"
    rules = (
        (not key, "it must not be empty"),
        ("\0" in key, "it must not contain NUL"),
        (key.startswith("/"), "it must not start with '/'"),
        (key.endswith("/"), "it must not end with '/'"),
        ("//" in key, "no segment may be empty"),
        (size > MAX_KEY, f"it must not take more than {MAX_KEY} bytes"),
        (any(not s.strip(".") for s in key.split("/")), "no segment may consist of dots only"),
        (
            any(s.startswith(RESERVED) for s in key.split("/")),
            f"no segment may begin with {RESERVED!r}",
        ),
    )
    broken = (text for found, text in rules if found)
    return next(broken, f"no segment may take more than {MAX_SEGMENT} bytes")
