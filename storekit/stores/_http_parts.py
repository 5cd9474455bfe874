"""Which requests bring several ranges of one value, and what of the answers belongs to which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from storekit.stores.coalesce import coalesce, side_by_side
from storekit.typing import ByteRange, Value

__all__ = ["END", "Part", "Wanted", "cut", "same_value", "wanted"]

END = 1 << 62
"""Beyond the end of every value; servers refuse numbers of more than 63 bits."""


@dataclass(frozen=True)
class Wanted:
    """
    What one request asks for.

    Attributes:
        first: Where it begins; negative if that is counted from the end.

        last: Where it ends, which is `END` if it is the end of the value.
    """

    first: int
    last: int = END

    @property
    def header(self) -> dict[str, str]:
        """The header of the request; none for the whole value."""
        if (self.first, self.last) == (0, END):
            return {}
        if self.first < 0:
            return {"Range": f"bytes={self.first}"}
        last = "" if self.last == END else self.last - 1
        return {"Range": f"bytes={self.first}-{last}"}

    def span(self, size: int) -> tuple[int, int]:
        """What that is of a value of so many bytes."""
        first = max(size + self.first, 0) if self.first < 0 else min(self.first, size)
        return first, min(self.last, size)


@dataclass(frozen=True)
class Part:
    """
    Some bytes of a value.

    Attributes:
        data: The bytes.

        first: Where they begin.

        size: Of the value, if that is known.

        version: What tells one state of the value from another, as far as the server says.

        lasting: Whether no later state of the value can have the same version.

        whole: Whether the server ignored the range. Then this has everything that was wanted.
    """

    data: Value
    first: int
    size: int | None
    version: tuple[str | None, ...] = ()
    lasting: bool = False
    whole: bool = False


def wanted(ranges: Sequence[ByteRange], gap: int) -> list[Wanted]:
    """
    The requests for all ranges of a value.

    Args:
        ranges: Checked.

        gap: Needless bytes that are worth reading to save a request.
    """
    some = [(start, length) for start, length in ranges if length != 0]
    spans = [  # empty, and so left out, if they begin behind every end
        (start, END if length is None else min(start + length, END))
        for start, length in some
        if start >= 0
    ]
    suffix = min((start for start, _ in some if start < 0), default=0)
    if suffix <= -END:
        return [Wanted(0)]
    merged = coalesce(spans, gap, side_by_side(gap))
    if merged and merged[0] == (0, END):
        return [Wanted(0)]
    return [Wanted(*span) for span in merged] + ([Wanted(suffix)] if suffix else [])


def same_value(parts: Iterable[Part]) -> bool:
    """Whether nothing says that the value changed from one part to another."""
    known = list(parts)
    sizes = {part.size for part in known if part.size is not None}
    return len(sizes) <= 1 and len({part.version for part in known if part.data}) <= 1


def cut(ranges: Sequence[ByteRange], parts: Sequence[Part]) -> list[Value]:
    """The bytes of each range, of parts that have all of them."""
    size = next((part.size for part in parts if part.size is not None), None)
    return [_cut(start, length, parts, size) for start, length in ranges]


def _cut(start: int, length: int | None, parts: Sequence[Part], size: int | None) -> Value:
    if length == 0:
        return b""
    if start < 0:
        start = max((size or 0) + start, 0)
    last = END if length is None else start + length
    # A range that counts from the end may begin in a part for others, which ends too early for it.
    around = [part for part in parts if part.first <= start < part.first + len(part.data)]
    if not around:
        return b""
    part = max(around, key=lambda part: part.first + len(part.data))
    return memoryview(part.data)[start - part.first : last - part.first]
