"""A server that speaks as much of S3 as stores need, and misbehaves as it is told."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

from servers.raw_server import Answer, Behaviour, Exchange, RawServer, changed, running

__all__ = [
    "BadS3",
    "bad_s3",
    "broken_xml",
    "done_but_failed",
    "empty",
    "error",
    "other_etags",
    "refuse",
    "refuse_keys",
    "without",
]

_DATE = "Sat, 21 Nov 2026 12:00:00 GMT"
_META = "x-amz-meta-"
_XML = {"Content-Type": "application/xml"}


@dataclass
class BadS3(RawServer):
    """
    One bucket, ``bucket``: objects with their ETags and metadata, conditions, pages of listings.

    Attributes:
        page: How many keys one page of a listing has at most.
    """

    page: int = 1000
    meta: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def obstore(self) -> dict[str, Any]:
        """Options of obstore for this server."""
        return {
            "endpoint": self.url,
            "region": "us-east-1",
            "access_key_id": "a key of the tests",
            "secret_access_key": "the secret of the tests",
            "allow_http": True,
        }

    @property
    def s3fs(self) -> dict[str, Any]:
        """Options of s3fs for this server; it is none that others of one address have used."""
        return {
            "endpoint_url": self.url,
            "key": "a key of the tests",
            "secret": "the secret of the tests",
            "client_kwargs": {"region_name": "us-east-1"},
        }

    def right(self, exchange: Exchange) -> Answer:
        """What should be answered."""
        parts = urlsplit(exchange.target)
        asked = {name: values[0] for name, values in parse_qs(parts.query, True).items()}
        bucket, _, name = unquote(parts.path)[1:].partition("/")
        with self._lock:
            if bucket != "bucket":
                return 404, *error("NoSuchBucket")
            if name:
                return self._object(exchange, name)
            if exchange.method == "GET":
                return self._listing(asked)
            if exchange.method == "POST" and "delete" in asked:
                return self._erase_several(exchange.body.decode())
            if exchange.method == "HEAD":
                return 200, {}, b""
        return 405, *error("MethodNotAllowed")

    def etag(self, name: str) -> str | None:
        """The hash of a value."""
        value = self.contents.get(name)
        return None if value is None else f'"{hashlib.md5(value).hexdigest()}"'

    def _object(self, exchange: Exchange, name: str) -> Answer:
        etag = self.etag(name)
        match = exchange.headers.get("if-match")
        if exchange.headers.get("if-none-match") == "*" and etag is not None:
            return 412, *error("PreconditionFailed")
        if match is not None and etag is None:
            return 404, *error("NoSuchKey")
        if match is not None and match != etag:
            return 412, *error("PreconditionFailed")
        if exchange.method == "PUT":
            self.contents[name] = exchange.body
            sent = exchange.headers.items()
            self.meta[name] = {head: text for head, text in sent if head.startswith(_META)}
            return 200, {"ETag": self.etag(name) or ""}, b""
        if exchange.method == "DELETE":
            self.contents.pop(name, None)
            return 204, {}, b""
        if etag is None:
            return 404, *error("NoSuchKey")
        return self._part(exchange, name, etag)

    def _part(self, exchange: Exchange, name: str, etag: str) -> Answer:
        value = self.contents[name]
        headers = {"ETag": etag, "Last-Modified": _DATE, **self.meta.get(name, {})}
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", exchange.headers.get("range", ""))
        if asked is None:
            return 200, headers, value
        size = len(value)
        first = int(asked[1]) if asked[1] else max(size - int(asked[2]), 0)
        last = min(int(asked[2]) + 1, size) if asked[1] and asked[2] else size
        if first >= last:
            return 416, *error("InvalidRange")
        headers["Content-Range"] = f"bytes {first}-{last - 1}/{size}"
        return 206, headers, value[first:last]

    def _listing(self, asked: dict[str, str]) -> Answer:
        prefix, mark = asked.get("prefix", ""), asked.get("delimiter", "")
        after = asked.get("continuation-token", asked.get("start-after", ""))
        entries: dict[str, str] = {}
        for name in sorted(self.contents):
            end = name.find(mark, len(prefix)) if mark else -1
            shown = name[: end + 1] if end >= 0 else name
            if name.startswith(prefix) and shown > after:
                entries[shown] = name if shown == name else ""
        page = list(entries)[: self.page]
        more = len(entries) > len(page)
        rows = "".join(self._row(shown, entries[shown], asked) for shown in page)
        if more:
            rows += f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>"
        rows += f"<IsTruncated>{str(more).lower()}</IsTruncated><KeyCount>{len(page)}</KeyCount>"
        about = f"<Name>bucket</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>1000</MaxKeys>"
        return 200, _XML, _document("ListBucketResult", about + rows)

    def _row(self, shown: str, name: str, asked: dict[str, str]) -> str:
        text = escape(quote(shown) if asked.get("encoding-type") == "url" else shown)
        if not name:
            return f"<CommonPrefixes><Prefix>{text}</Prefix></CommonPrefixes>"
        about = (
            f"<LastModified>2026-11-21T12:00:00.000Z</LastModified><ETag>{self.etag(name)}</ETag>"
        )
        size = f"<Size>{len(self.contents[name])}</Size><StorageClass>STANDARD</StorageClass>"
        return f"<Contents><Key>{text}</Key>{about}{size}</Contents>"

    def _erase_several(self, document: str) -> Answer:
        names = [unescape(text) for text in re.findall("<Key>(.*?)</Key>", document)]
        for name in names:
            self.contents.pop(name, None)
        gone = "".join(f"<Deleted><Key>{escape(name)}</Key></Deleted>" for name in names)
        return 200, _XML, _document("DeleteResult", gone)


@contextmanager
def bad_s3() -> Iterator[BadS3]:
    """A server on a free port of loopback."""
    with running(kind=BadS3) as server:
        yield server


def _document(root: str, content: str) -> bytes:
    space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} {space}>{content}</{root}>'.encode()


def error(code: str, about: str = "It is so.", **headers: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of an error of S3."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    body = f"<Error><Code>{code}</Code><Message>{about}</Message><RequestId>1</RequestId></Error>"
    return {**_XML, **named}, body.encode()


# --- how to misbehave; more in raw_server


def refuse(status: int, code: str, **headers: str) -> Behaviour:
    """Answer with an error as S3 does."""
    sent, body = error(code, **headers)
    return lambda exchange: exchange.answer(status, sent, body)


def without(*names: str) -> Behaviour:
    """Leave out headers."""
    return changed(
        lambda answer: (
            answer[0],
            {name: text for name, text in answer[1].items() if name not in names},
            answer[2],
        )
    )


def other_etags(exchange: Exchange) -> None:
    """Say with each answer that the object is another one."""
    status, headers, body = exchange.server.right(exchange)
    if "ETag" in headers:
        headers["ETag"] = f'"{len(exchange.server.requests)}"'
    exchange.answer(status, headers, body)


def empty(exchange: Exchange) -> None:
    """Answer that all is well, and nothing else."""
    exchange.server.right(exchange)
    exchange.answer(200, {}, b"")


def broken_xml(exchange: Exchange) -> None:
    """Cut documents off in the middle."""
    status, headers, body = exchange.server.right(exchange)
    cut = body[: len(body) // 2] if body.startswith(b"<?xml") else body
    exchange.answer(status, headers, cut)


def refuse_keys(exchange: Exchange) -> None:
    """Answer to the removal of several that none may be removed."""
    if exchange.method != "POST":
        exchange.answer(403, *error("AccessDenied"))
        return
    names = re.findall("<Key>.*?</Key>", exchange.body.decode())
    about = "<Code>AccessDenied</Code><Message>Access Denied</Message>"
    rows = "".join(f"<Error>{name}{about}</Error>" for name in names)
    exchange.answer(200, _XML, _document("DeleteResult", rows))


def done_but_failed(exchange: Exchange) -> None:
    """Do what is asked, and say that it failed."""
    exchange.server.right(exchange)
    exchange.answer(500, *error("InternalError"))
