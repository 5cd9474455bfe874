"""The members of a zip archive, read whole or in part."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from storekit.stores._zip_directory import (
    DEFLATED,
    ENCRYPTED,
    HEADER,
    PATCHED,
    STORED,
    DamagedZip,
    Entry,
    RefusedZip,
    header_size,
)
from storekit.stores._zip_source import Source
from storekit.stores.coalesce import Span, read_spans
from storekit.typing import Value

__all__ = ["Members"]

_EXTRA = 64  # bytes that a header may have more than its entry and is still read by one request
_FED = 1 << 16  # compressed bytes that are given to zlib at once
_MADE = 1 << 18  # bytes that are skipped at once
_STEP = 1 << 16, 1 << 24  # compressed bytes that are fetched at once: at first, and at most


class Members:
    """
    Reads members from a source.

    Args:
        source: The archive.

        max_member_bytes: How big a compressed member may be, inflated.

    Threads: safe, if the source is.
    """

    def __init__(self, source: Source, max_member_bytes: int) -> None:
        self.source = source
        self.max_member_bytes = max_member_bytes
        self._starts: dict[int, int] = {}  # of the data, by the offset of the header

    def whole(self, entry: Entry) -> Value:
        """All bytes of a member, checked."""
        self._check(entry)
        (packed,) = self._packed(entry, [(0, entry.packed)])
        data = packed if entry.method == STORED else _inflate(entry, packed)
        _compare(entry, zlib.crc32(data))
        return data

    def ranges(self, entry: Entry, spans: Sequence[Span]) -> list[Value]:
        """
        Parts of a member.

        Only what is asked for is read of a stored member, and no more than what leads there of a
        compressed one. What is not read to the end cannot be checked.
        """
        self._check(entry)
        if (0, entry.size) in spans:
            data = memoryview(self.whole(entry))
            return [data[first:last] for first, last in spans]
        if entry.method == STORED:
            return self._packed(entry, spans)
        return read_spans(spans, 0, _Inflation(self, entry).read)

    def _check(self, entry: Entry) -> None:
        if entry.flags & (ENCRYPTED | PATCHED):
            raise RefusedZip("the member is encrypted, or a patch")
        if entry.method not in (STORED, DEFLATED):
            raise RefusedZip(f"the member is compressed by method {entry.method}; known is deflate")
        if entry.method == DEFLATED and entry.size > self.max_member_bytes:
            raise RefusedZip(
                f"the member would take {entry.size} bytes;"
                f" max_member_bytes allows {self.max_member_bytes}"
            )

    def _packed(self, entry: Entry, spans: Sequence[Span]) -> list[Value]:
        """Parts of what is stored of a member. The first time, the header is read along."""
        start = self._starts.get(entry.offset)
        nothing = all(first >= last for first, last in spans)
        if start is None and not nothing:
            name_end = entry.offset + HEADER.size + len(entry.name)
            slack = len(entry.extra) + _EXTRA
            asked = [(entry.offset, name_end)]
            asked += [(name_end + first, name_end + last + slack) for first, last in spans]
            header, *pieces = self.source.read(_joined(asked))
            if len(pieces) < len(spans):  # one piece, which begins with the header
                pieces = [memoryview(header)[name_end - entry.offset :]]
            start = entry.offset + header_size(entry, header)
            self._starts[entry.offset] = start
            extra = start - name_end
            if 0 <= extra <= slack:
                return [
                    _cut(piece, extra, last - first)
                    for piece, (first, last) in zip(pieces, spans, strict=True)
                ]
        if start is None:
            return [b""] * len(spans)
        pieces = self.source.read([(start + first, start + last) for first, last in spans])
        return [
            _cut(piece, 0, last - first) for piece, (first, last) in zip(pieces, spans, strict=True)
        ]


def _joined(asked: list[Span]) -> list[Span]:
    """A header and one piece that begins right behind it as one span."""
    if len(asked) == 2 and asked[1][0] == asked[0][1]:
        return [(asked[0][0], asked[1][1])]
    return asked


def _cut(piece: Value, first: int, length: int) -> Value:
    if length <= 0:
        return b""
    if first == 0 and len(piece) == length:
        return piece
    part = memoryview(piece)[first : first + length]
    if len(part) < length:
        raise DamagedZip("the archive ends within the member")
    return part


def _compare(entry: Entry, crc: int) -> None:
    if crc != entry.crc:
        raise DamagedZip("the member does not match its CRC-32")


def _inflate(entry: Entry, packed: Value) -> bytes:
    """The whole of a member; memory grows with what comes, not with what is declared."""
    stream = zlib.decompressobj(-15)
    try:
        data = stream.decompress(packed, entry.size + 1)
    except zlib.error as error:
        raise DamagedZip(f"the member cannot be inflated: {error}") from error
    if len(data) != entry.size or not stream.eof or stream.unused_data:
        raise DamagedZip("the member does not have the size that the directory says")
    return data


class _Inflation:
    """One pass over a compressed member, from its beginning to where it is needed."""

    def __init__(self, members: Members, entry: Entry) -> None:
        self._members, self._entry = members, entry
        self._stream = zlib.decompressobj(-15)
        self._crc = self._position = self._fetched = 0
        self._step = max(_STEP[0], min(members.source.gap, _STEP[1]))
        self._pending: Value = b""
        self._piece = memoryview(b"")

    def read(self, first: int, last: int) -> bytes:
        """Bytes of the member, behind all that were read before."""
        while self._position < first:
            self._more(min(first - self._position, _MADE))
        made = bytearray()
        while self._position < last:
            made += self._more(last - self._position)
        if self._position == self._entry.size:
            self._finish()
        return bytes(made)

    def _more(self, limit: int) -> bytes:
        """Some of the next bytes; none if the stream needed what it was given for others."""
        if not self._pending:
            self._pending = self._fetch()
        starved = not self._pending
        try:
            # Without input, too: a match may be held back that did not fit the last output.
            data = b"" if self._stream.eof else self._stream.decompress(self._pending, limit)
        except zlib.error as error:
            raise DamagedZip(f"the member cannot be inflated: {error}") from error
        if not data and (starved or self._stream.eof) and self._position < self._entry.size:
            raise DamagedZip("the member does not have the size that the directory says")
        self._pending = self._stream.unconsumed_tail
        self._crc = zlib.crc32(data, self._crc)
        self._position += len(data)
        return data

    def _fetch(self) -> Value:
        if not self._piece:
            last = min(self._fetched + self._step, self._entry.packed)
            (piece,) = self._members._packed(self._entry, [(self._fetched, last)])
            self._piece = memoryview(piece)
            self._fetched, self._step = last, min(2 * self._step, _STEP[1])
        fed, self._piece = self._piece[:_FED], self._piece[_FED:]
        return fed

    def _finish(self) -> None:
        while not self._stream.eof:
            starved = self._fetched == self._entry.packed and not (self._pending or self._piece)
            if self._more(1) or (starved and not self._stream.eof):
                raise DamagedZip("the member does not end where the directory says")
        if self._stream.unused_data or self._piece or self._fetched < self._entry.packed:
            raise DamagedZip("the member does not end where the directory says")
        _compare(self._entry, self._crc)
