"""
What fsspec's HTTP takes for granted: that an answer is the one that was asked for, and whole.

It takes any status below 400 for success, and whatever comes for the part that was asked for.
aiohttp lets each answer be looked at before that, also where the file system is part of a chain.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from storekit.errors import ServerError, StoreError, UnsupportedError
from storekit.stores._http_answers import content_range

__all__ = ["AnswerError", "checked", "checking", "hide_secrets"]

_OPTION = "raise_for_status"  # of a request of aiohttp
_ENCODINGS = ("", "identity", "gzip", "deflate")  # that aiohttp makes good
_ASKED = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_USER = re.compile(r"(?<=://)[^/\s]+@")
_QUERY = re.compile(r"\?[^\s'\">]*")


class AnswerError(Exception):
    """
    An answer that cannot be used.

    Args:
        text: Why.

        kind: The error of storekit for it.
    """

    def __init__(self, text: str, kind: type[StoreError]) -> None:
        super().__init__(text)
        self.kind = kind


class _Check:
    """Looks at each answer; an object, so that options with it look alike in every process."""

    async def __call__(self, response: Any) -> None:
        """
        Refuse an answer that is not what was asked for.

        Raises:
            AnswerError: If it is not. Statuses from 400 on are left to fsspec.
        """
        asked = response.request_info.headers.get("Range")
        if response.status >= 400:
            return
        if response.status not in ((200, 206) if asked else (200,)):
            raise AnswerError(f"the server answered {response.status}", StoreError)
        if response.method == "HEAD":
            return
        headers = response.headers
        coding = headers.get("Transfer-Encoding", "").strip().lower()
        if "Content-Length" not in headers and coding != "chunked":
            text = "the server does not say how long the body is, so its end could not be told"
            raise AnswerError(text, UnsupportedError)
        encoding = headers.get("Content-Encoding", "").strip().lower()
        if encoding not in _ENCODINGS:
            text = f"the server insists on the encoding {encoding[:40]!r}"
            raise AnswerError(text, UnsupportedError)
        if response.status == 206 and not _is_part(asked, headers):
            raise AnswerError("the server answered with other bytes than asked for", ServerError)

    def __repr__(self) -> str:
        return "storekit"

    def __reduce__(self) -> str:
        return "_CHECK"


_CHECK = _Check()


def checking(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of an `HTTPFileSystem`, with which it looks at answers and asks for no other form."""
    headers = {"Accept-Encoding": "identity", **(options.get("headers") or {})}
    return {**options, _OPTION: _CHECK, "headers": headers}


def checked(fs: Any) -> Any:
    """An `HTTPFileSystem` like another one that looks at answers; others as they are."""
    from fsspec.implementations.http import HTTPFileSystem

    if not isinstance(fs, HTTPFileSystem) or fs.kwargs.get(_OPTION) is _CHECK:
        return fs
    return type(fs)(*fs.storage_args, **checking(fs.storage_options))


def hide_secrets() -> None:
    """Keep users, passwords and queries out of what fsspec logs of URLs."""
    for name in ("fsspec", "fsspec.http"):
        logging.getLogger(name).addFilter(_hide)


def _hide(record: logging.LogRecord) -> bool:
    record.msg = _QUERY.sub("?***", _USER.sub("***@", record.getMessage()))
    record.args = ()
    return True


def _is_part(asked: str, headers: Any) -> bool:
    """Whether an answer is the whole of the part that was asked for."""
    found, wanted = content_range(headers.get("Content-Range")), _ASKED.fullmatch(asked)
    if found is None or wanted is None:
        return False
    (first, last, size), (begin, end) = found, wanted.groups()
    if begin:
        most = int(end) + 1 if end else size
        due = int(begin), most if size is None or most is None else min(most, size)
    else:
        due = None if size is None else (max(size - int(end), 0), size)  # type: ignore[assignment]
    length = headers.get("Content-Length", str(last - first))
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    return (first, last) == due and length == str(last - first) and encoding in ("identity", "")
