"""How files of fsspec are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from storekit.errors import KeyNotFoundError, ServerError, StoreError
from storekit.keys import resolve_range
from storekit.stores._capable import CapableStore
from storekit.stores._fsspec_errors import is_past_the_end, translate
from storekit.stores._fsspec_system import System
from storekit.stores._object_names import path_of
from storekit.stores.base import Latency
from storekit.stores.coalesce import read_spans
from storekit.typing import ByteRange, Value

__all__ = ["FsspecReads"]

T = TypeVar("T")

_WRITES = {"set", "set_values", "set_partial_values"}
_TRIES = 8  # to read parts of one version, before the whole is read
_FAR = 1 << 62  # no file is longer
_MARGIN = 64  # bytes of white space before a page


class FsspecReads(CapableStore):
    """The part of `FsspecStore` that makes requests, and reads."""

    _backend: System
    _system: System
    _base: str

    def _get(self, key: str) -> Value:
        # By itself s3fs asks for the size first, to read large objects in several requests.
        options = {"max_concurrency": 1} if self._system.is_s3 else {}
        value = self._ask("get", key, lambda fs, path: _bytes(fs.cat_file(path, **options)))
        if self._system.is_http and bytes(value[:_MARGIN]).lstrip()[:1] in (b"<", b"["):
            self._info(key, "get")  # it may be the index of a directory
        return value

    def _getsize(self, key: str) -> int:
        info = self._info(key, "getsize")
        return info["size"] if info.get("size") is not None else len(self._get(key))

    def _exists(self, key: str) -> bool:
        try:
            self._info(key, "exists")
        except KeyNotFoundError:
            return False
        return True

    def _info(self, key: str, op: str) -> Any:
        def ask(fs: Any, path: str) -> Any:
            fs.invalidate_cache()
            if self._system.fetches and self._system.is_http:
                fs = fs.fs  # filecache would look for the name in the page of the directory
            info = fs.info(path)
            if info["type"] != "file" or (self._system.is_http and _leads_to_directory(info)):
                raise FileNotFoundError(path)
            if self._system.is_s3 and not info.get("ETag"):
                text = "the answer has no ETag: it is not that of an object store"
                raise ServerError(text, store=self, op=op, key=key)
            return info

        return self._ask(op, key, ask)

    def _get_ranges(self, key: str, ranges: Sequence[ByteRange]) -> list[Value]:
        if self.latency is not Latency.NETWORK or self._system.fetches:
            return self._read_file(key, ranges)
        # Of a web server that ignores ranges only the size tells that it sent something else.
        if len(ranges) == 1 and not self._system.is_http:
            value = self._read_one(key, *ranges[0])
            if value is not None:
                return [value]
        for _ in range(_TRIES):
            before = self._info(key, "get_partial_values")
            if before.get("size") is None:
                break
            spans = [resolve_range(start, length, before["size"]) for start, length in ranges]
            try:
                values = self._read_spans(key, spans)
            except _PastTheEndError:
                continue
            if values is None:
                break
            if len(ranges) == 1 or self._info(key, "get_partial_values") == before:
                return values
        return super()._get_ranges(key, ranges)

    def _read_file(self, key: str, ranges: Sequence[ByteRange]) -> list[Value]:
        """From what is on this machine: all ranges from one open file."""
        if self._system.is_memory:
            return super()._get_ranges(key, ranges)

        def ask(fs: Any, path: str) -> list[Value]:
            with fs.open(path, "rb") as file:
                values = []
                size = file.seek(0, 2)
                for start, length in ranges:
                    first, last = resolve_range(start, length, size)
                    file.seek(first)
                    values.append(_bytes(file.read(last - first)))
                return values

        return self._ask("get_partial_values", key, ask)

    def _read_one(self, key: str, start: int, length: int | None) -> Value | None:
        """A range in one request; None where the size must be known for it, or to check it."""
        if length == 0 or (start < 0 and length is not None) or start < -_FAR:
            return None
        if start > 0 and length is None:
            return None
        end = None if length is None else start + length
        if start > _FAR or (end is not None and end > 1 << 62):
            return None

        def ask(fs: Any, path: str) -> Value | None:
            try:
                value = _bytes(fs.cat_file(path, start=start, end=end))
            except Exception as error:
                if is_past_the_end(error):
                    return None
                raise
            # Whoever ignores ranges sends all there is, which may be less than was asked for.
            most = -start if length is None else length
            fits = len(value) <= most if start <= 0 else len(value) == most
            return value if fits or (start == 0 and length is None) else None

        return self._ask("get_partial_values", key, ask)

    def _read_spans(self, key: str, spans: Sequence[tuple[int, int]]) -> list[Value] | None:
        """The bytes of spans that lie within the file; None if more of it comes than these."""
        asked: list[tuple[int, int]] = []

        def note(first: int, last: int) -> Value:
            asked.append((first, last))
            return b""

        def ask(fs: Any, path: str) -> dict[tuple[int, int], Value]:
            starts, ends = [first for first, _ in asked], [last for _, last in asked]
            parts = fs.cat_ranges([path] * len(asked), starts, ends, on_error="return")
            for part in parts:
                if isinstance(part, Exception):
                    raise _PastTheEndError if is_past_the_end(part) else part
            return {span: _bytes(part) for span, part in zip(asked, parts, strict=True)}

        gap = int(self.request_cost)
        read_spans([*spans, (0, 0)], gap, note)
        found = self._ask("get_partial_values", key, ask) if asked else {}
        missing = [last - first - len(part) for (first, last), part in found.items()]
        if any(count < 0 for count in missing):
            return None
        if any(missing):
            raise _PastTheEndError
        return read_spans([*spans, (0, 0)], gap, lambda first, last: found[first, last])[:-1]

    def _ask(self, op: str, key: str, request: Callable[[Any, str], T]) -> T:
        """Make a request for a key or prefix, with the file system and the path."""
        path = self._base + self._name_of(key)
        try:
            return request(self._system.fs, path)
        except (StoreError, _PastTheEndError):
            raise
        except Exception as error:  # noqa: BLE001 - file systems raise anything
            # Its text may show what must not be shown, so it is not the cause.
            raise translate(error, store=self, op=op, key=key, writes=op in _WRITES) from None

    def _name_of(self, key: str) -> str:
        if self._system.is_http:
            return quote(key)
        return path_of(key) if self._system.is_flat else key


class _PastTheEndError(Exception):
    """The file has become shorter since its size was asked."""


def _bytes(value: Any) -> Value:
    return value if type(value) is bytes else memoryview(bytes(value))


def _leads_to_directory(info: Any) -> bool:
    """Whether a web server sent whoever asked on to the index of a directory."""
    return str(info.get("url", "")).partition("?")[0].endswith("/")
