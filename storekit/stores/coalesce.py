"""Several byte ranges of one value as few requests."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import TypeAlias, TypeVar

from storekit.typing import Value

__all__ = ["coalesce", "read_spans", "side_by_side"]

N = TypeVar("N", int, float)
Span: TypeAlias = tuple[int, int]


def side_by_side(gap: float) -> float:
    """
    With how many bytes a span ends, if the next one can be fetched side by side with it.

    A further request costs what `gap` bytes do. Spans of eight times as much make reading an eighth
    dearer at most, and as many times as quick as there are of them, where a connection and not the
    line limits it.
    """
    return 8 * gap or inf


def coalesce(spans: Iterable[tuple[N, N]], gap: N, most: float = inf) -> list[tuple[N, N]]:
    """
    The fewest spans that cover all given ones, reading no more than `gap` needless bytes between
    two.

    Args:
        spans: Half-open, in any order; they may overlap. Empty ones need nothing.

        gap: In bytes. Worth its while up to what the transport moves during one request.

        most: In bytes. What has so many is merged only with what overlaps it.

    Returns:
        Spans in rising order. Each of those given lies in one of them.
    """
    merged: list[tuple[N, N]] = []
    for first, last in sorted(span for span in spans if span[0] < span[1]):
        if merged:
            begin, end = merged[-1]
            if first < end or (first - end <= gap and end - begin < most):
                merged[-1] = begin, max(end, last)
                continue
        merged.append((first, last))
    return merged


def read_spans(spans: Sequence[Span], gap: int, read: Callable[[int, int], Value]) -> list[Value]:
    """
    The bytes of each span, in the order given.

    Args:
        spans: As in `coalesce`.

        gap: As in `coalesce`.

        read: Called with the start and the end of what to fetch; may answer with less at the end of
            the value.
    """
    if len(spans) == 1:
        first, last = spans[0]
        return [read(first, last) if first < last else b""]
    merged = coalesce(spans, gap)
    starts = [first for first, _ in merged]
    pieces = [memoryview(read(first, last)) for first, last in merged]

    def cut(first: int, last: int) -> Value:
        if first >= last:
            return b""
        index = bisect_right(starts, first) - 1
        return pieces[index][first - starts[index] : last - starts[index]]

    return [cut(first, last) for first, last in spans]
