"""What obstore raises, as errors of storekit."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote

from storekit.errors import (
    AccessDeniedError,
    ConflictError,
    ConnectionLostError,
    KeyConflictError,
    KeyNotFoundError,
    RateLimitedError,
    ServerError,
    StoreError,
    TimeoutError,
    UnsupportedError,
)

__all__ = ["Report", "translate"]

_SIGNS = re.compile(r"status code|<Code>|os error|kind: ")  # what is looked for, by its beginning
_STATUS = re.compile(r"status code: (\d{3})")
_NO_CONTAINER = re.compile(r"<Code>(NoSuchBucket|ContainerNotFound|NoSuchContainer)</Code>")
_KIND = re.compile(r"kind: (\w+)")
_TRANSPORT = {"Timeout", "Connect", "Request", "Interrupted", "Decode", "Body", "UnexpectedEof"}
_USER = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY = re.compile(r"\?[^\s:]*")
_IN_THE_WAY = ("(os error 17)", "(os error 20)", "(os error 21)")  # exists, no directory, is one
_WRITES = {"set", "set_values", "set_partial_values", "compare_and_set"}
_MOST = 300  # characters of a message
# Behind the status stands what the server sent, which may repeat what it was sent.
_SENT = re.compile(r"(?<=status code: )(\d{3}[\w '-]*):(.*)\Z", re.DOTALL)
_TOLD = re.compile(r"<(?:Code|Message)>([^<]*)<")
_UNTRUSTED = "InvalidCertificate("
_VALUES = {"get", "get_versioned", "exists", "getsize", "get_partial_values"}

_BY_STATUS: dict[int, type[StoreError]] = {
    401: AccessDeniedError,
    403: AccessDeniedError,
    407: AccessDeniedError,
    408: TimeoutError,
    409: ConflictError,
    412: ConflictError,
    429: RateLimitedError,
    503: RateLimitedError,
}
_BY_NAME: dict[str, type[StoreError]] = {
    "AlreadyExistsError": ConflictError,
    "PreconditionError": ConflictError,
    "PermissionDeniedError": AccessDeniedError,
    "UnauthenticatedError": AccessDeniedError,
    "NotSupportedError": UnsupportedError,
    "NotImplementedError": UnsupportedError,
}


class Report:
    """
    What an error of obstore says; it has nothing but its class and a text for that.

    Args:
        error: The error.

        path: The path concerned, which is in the text and may look like anything.
    """

    def __init__(self, error: BaseException, path: str) -> None:
        text = str(error)
        self._plain = text.replace(path, "") if _SIGNS.search(path) else text
        message = text.partition("\n\nDebug source")[0]
        self.message = _SENT.sub(
            lambda found: ": ".join([found[1], *_TOLD.findall(found[2])]), message
        )
        self.name = type(error).__name__
        found = _STATUS.search(self._plain)
        self.status = int(found[1]) if found else None

    @property
    def no_container(self) -> bool:
        """Whether it says that the bucket or container is missing."""
        return _NO_CONTAINER.search(self._plain) is not None

    @property
    def in_the_way(self) -> bool:
        """Whether a file is where a directory should be, or the reverse."""
        return any(text in self._plain for text in _IN_THE_WAY)

    @property
    def is_untrusted(self) -> bool:
        """Whether it says that the server's certificate is not trusted."""
        return self.status is None and _UNTRUSTED in self._plain

    @property
    def kinds(self) -> set[str]:
        """The kinds of failure on the way that it names."""
        return set(_KIND.findall(self._plain)) & _TRANSPORT


def translate(
    error: BaseException,
    *,
    store: object,
    op: str,
    key: str | None,
    path: str,
    secrets: Collection[str],
) -> StoreError:
    """
    The error of storekit for one of obstore.

    Args:
        error: That of obstore.

        store: For the new error, as `op` and `key`.

        op: The operation.

        key: The key or prefix.

        path: What obstore calls it.

        secrets: Texts that must not be shown.
    """
    report = Report(error, path)
    where: Any = {"store": store, "op": op, "key": key}
    kind = _kind(error, report, op)
    if kind is KeyNotFoundError:
        return KeyNotFoundError(f"no key {key!r}", **where)
    if kind is ConflictError and op != "compare_and_set":  # the backend is busy with the object
        kind = StoreError
    if report.no_container or isinstance(error, FileNotFoundError):
        return StoreError("there is no such bucket, container or directory", **where)
    if report.is_untrusted:
        return StoreError("the certificate of the server is not trusted", **where)
    return kind(_shown(report.message, secrets), **where)


def _kind(error: BaseException, report: Report, op: str) -> type[StoreError]:
    writes = op in _WRITES
    if report.in_the_way:
        return KeyConflictError if writes else KeyNotFoundError
    if isinstance(error, FileNotFoundError):
        return StoreError if writes or report.no_container else KeyNotFoundError
    if report.status is not None:
        if report.status == 410 and op in _VALUES:
            return KeyNotFoundError
        kind = _BY_STATUS.get(report.status)
        if kind is not None:
            return kind
        if report.status >= 500:
            return ServerError
    if report.name in _BY_NAME:
        return _BY_NAME[report.name]
    if report.status is None and "Timeout" in report.kinds:
        return TimeoutError
    if report.status is None and report.kinds:
        return ConnectionLostError
    return StoreError


def _shown(message: str, secrets: Collection[str]) -> str:
    for secret in secrets:
        for form in (secret, quote(secret), quote(secret, safe="")):
            message = message.replace(form, "***")
    message = " ".join(_QUERY.sub("?***", _USER.sub("***@", message)).split())
    return message if len(message) <= _MOST else f"{message[: _MOST - 3]}..."
