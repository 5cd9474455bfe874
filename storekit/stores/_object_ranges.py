"""Several byte ranges of one object, all of one version of it, in few requests side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from storekit.keys import resolve_range
from storekit.stores.coalesce import coalesce, side_by_side
from storekit.typing import ByteRange, Value

__all__ = ["ChangedError", "NoRangesError", "Piece", "Request", "read_ranges"]

Request: TypeAlias = tuple[int, int] | Mapping[str, int]
"""A half-open span, or ``{"suffix": n}`` for the last bytes; as obstore takes them."""

_END = (1 << 63) - 1  # no object is longer; obstore takes no larger number
_FIRST: Request = (0, 1)


class ChangedError(Exception):
    """The object was replaced between two requests."""


class NoRangesError(Exception):
    """The backend does not answer requests for parts."""


class Piece(NamedTuple):
    """
    A part of an object.

    Attributes:
        value: Its bytes; none if the request could not be answered by any.

        start: Where it begins.

        size: Of the object, in bytes.

        tag: What is equal for two parts of one version.
    """

    value: memoryview
    start: int
    size: int
    tag: object


def read_ranges(
    ranges: Sequence[ByteRange],
    gap: int,
    fetch: Callable[[Sequence[Request], bool], list[Piece]],
) -> tuple[list[Value], object]:
    """
    The bytes of each range, in the order given; and the tag of the version that they are of.

    Args:
        ranges: As start and length; they need not lie within the object.

        gap: Needless bytes worth reading to save a request.

        fetch: Makes requests side by side. The second argument is whether each must be answered;
            where not, a piece without bytes tells the size at least.

    Raises:
        ChangedError: If the parts are not of one version.
    """
    pieces = fetch(_requests(ranges, gap), False)
    size, tag = pieces[0].size, pieces[0].tag
    spans = [resolve_range(start, length, size) for start, length in ranges]
    missing = coalesce(
        (span for span in spans if _holder(span, pieces) is None), gap, side_by_side(gap)
    )
    if missing:
        pieces += fetch(missing, True)
    if any(piece.size != size or piece.tag != tag for piece in pieces):
        raise ChangedError
    return [_cut(span, pieces) for span in spans], tag


def _requests(ranges: Sequence[ByteRange], gap: int) -> list[Request]:
    """What can be asked for before the size is known; at least one."""
    known = (
        (min(start, _END - 1), _END if length is None else min(start + length, _END))
        for start, length in ranges
        if start >= 0
    )
    asked: list[Request] = list(coalesce(known, gap, side_by_side(gap)))
    # Of a long suffix only the beginning may be wanted: that waits until the size is known.
    suffixes = [
        min(-start, _END)
        for start, length in ranges
        if start < 0 and (length is None or -start - length <= gap)
    ]
    if suffixes:
        asked.append({"suffix": max(suffixes)})
    return asked or [_FIRST]


def _holder(span: tuple[int, int], pieces: Sequence[Piece]) -> Piece | None:
    """The piece that a span lies in."""
    first, last = span
    for piece in pieces:
        if first >= last or piece.start <= first <= last <= piece.start + len(piece.value):
            return piece
    return None


def _cut(span: tuple[int, int], pieces: Sequence[Piece]) -> Value:
    holder = _holder(span, pieces)
    if span[0] >= span[1] or holder is None:
        return b""
    return holder.value[span[0] - holder.start : span[1] - holder.start]
