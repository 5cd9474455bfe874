"""What file systems of fsspec raise, as errors of storekit."""

from __future__ import annotations

import asyncio
import builtins
import errno
import re
from collections.abc import Collection
from typing import Any

from storekit.errors import (
    AccessDeniedError,
    ConnectionLostError,
    KeyConflictError,
    KeyNotFoundError,
    RateLimitedError,
    ServerError,
    StoreError,
    TimeoutError,
    UnsupportedError,
)
from storekit.stores._fsspec_http import AnswerError

__all__ = ["is_past_the_end", "status_of", "translate"]

_CONTAINERS = {"NoSuchBucket", "ContainerNotFound"}
_CONTAINER = re.compile(r"(bucket|container) (does not|doesn't) exist", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY = re.compile(r"\?[^\s'\"]*")
_MOST = 300  # characters of a message

# Of aiohttp and of botocore, which are not imported for this; none of them is an OSError always.
_BROKEN = {
    "ClientConnectionError",
    "ClientPayloadError",
    "ConnectionError",
    "HTTPClientError",
    "IncompleteReadError",
    "ResponseStreamingError",
}
_ABSENT = (404, 410)
_MISSING = re.compile("NotFound|NoSuchKey|NoSuchFile")  # in the names of errors of other packages
_VALUES = {"get", "exists", "getsize", "get_partial_values"}
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_BY_STATUS: dict[int, type[StoreError]] = {
    401: AccessDeniedError,
    403: AccessDeniedError,
    407: AccessDeniedError,
    408: TimeoutError,
    429: RateLimitedError,
    503: RateLimitedError,
}


def translate(
    error: Exception,
    *,
    store: object,
    op: str,
    key: str | None = None,
    writes: bool,
    secrets: Collection[str] = (),
) -> StoreError:
    """
    The error of storekit for one of a file system.

    Args:
        error: That of the file system.

        store: For the new error, as `op` and `key`.

        op: The operation.

        key: The key or prefix.

        writes: Whether it was to write a value; then nothing can be absent but where it goes.

        secrets: Texts that must not be shown.
    """
    if isinstance(error, FileNotFoundError):
        error = _fault_behind(error) or error
    kind = _kind(error, writes)
    if status_of(error) == 410 and op in _VALUES:
        kind = KeyNotFoundError
    where: Any = {"store": store, "op": op, "key": key}
    if kind is KeyNotFoundError:
        return KeyNotFoundError(f"no key {key!r}", **where)
    made = kind(_shown(error, secrets), **where)
    if isinstance(made, RateLimitedError):
        made.retry_after = _retry_after(error)
    return made


def is_past_the_end(error: Exception) -> bool:
    """Whether a file system refuses a range because the file ends before it."""
    return status_of(error) == 416 or (
        isinstance(error, OSError) and error.errno == errno.EINVAL and "range" in str(error)
    )


def status_of(error: BaseException) -> int | None:
    """The status of the HTTP answer behind an error, if there is one."""
    for each in (error, error.__cause__):
        response = getattr(each, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:
            status = getattr(each, "status", None)
            if status is None:
                status = getattr(each, "status_code", getattr(each, "code", None))
        if isinstance(status, int):
            return status
    return None


def _kind(error: Exception, writes: bool) -> type[StoreError]:
    names = {each.__name__ for each in type(error).__mro__}
    if isinstance(error, AnswerError):
        return error.kind
    if isinstance(error, FileNotFoundError):
        return StoreError if writes or _is_of_container(error) else KeyNotFoundError
    if isinstance(error, NotADirectoryError | IsADirectoryError):
        return KeyConflictError if writes else KeyNotFoundError
    if isinstance(error, FileExistsError) and writes:
        return KeyConflictError
    if isinstance(error, PermissionError):
        return AccessDeniedError
    if isinstance(error, NotImplementedError):
        return UnsupportedError
    if _UNTRUSTED in str(error):
        return StoreError
    timeouts = builtins.TimeoutError, asyncio.TimeoutError
    if isinstance(error, timeouts) or any("Timeout" in name for name in names):
        return TimeoutError
    if isinstance(error, ConnectionError) or names & _BROKEN:
        return ConnectionLostError
    if "ResponseParserError" in names:
        return ServerError
    status = status_of(error)
    if status is not None:
        return _BY_STATUS.get(status) or (ServerError if status >= 500 else StoreError)
    return StoreError


def _fault_behind(error: FileNotFoundError) -> Exception | None:
    """What went wrong, where a file system says of any failure that there is nothing."""
    cause = error.__cause__
    nothing = LookupError, FileNotFoundError, NotADirectoryError, IsADirectoryError
    if not isinstance(cause, Exception) or isinstance(cause, nothing):
        return None
    status = status_of(cause)
    if status is None:
        return None if _MISSING.search(type(cause).__name__) else cause
    return None if status in _ABSENT else cause


def _is_of_container(error: FileNotFoundError) -> bool:
    """Whether what is not there is the bucket or container, and not the file."""
    cause = type(error.__cause__).__name__
    return cause in _CONTAINERS or _CONTAINER.search(str(error)) is not None


def _retry_after(error: BaseException) -> float | None:
    """How many seconds the server wants to be left alone."""
    for each in (error, error.__cause__):
        response = getattr(each, "response", None)
        if isinstance(response, dict):
            headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        else:
            headers = getattr(each, "headers", None) or {}
        found = headers.get("retry-after") or headers.get("Retry-After")
        if found is not None and str(found).isdecimal():
            return float(found)
    return None


def _shown(error: Exception, secrets: Collection[str]) -> str:
    text = _QUERY.sub("?***", _USER.sub("***@", f"{type(error).__name__}: {error}"))
    for secret in secrets:
        text = text.replace(secret, "***")
    text = " ".join(text.split())
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."
