"""Several ranges become few requests, and each still gets its bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storekit.stores.coalesce import coalesce, read_spans

VALUE = bytes(range(200))
SPANS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=12)


@pytest.mark.parametrize(
    ("spans", "gap", "merged"),
    [
        ([], 0, []),
        ([(3, 3)], 10, []),
        ([(0, 2), (2, 4)], 0, [(0, 4)]),
        ([(0, 2), (3, 4)], 0, [(0, 2), (3, 4)]),
        ([(0, 2), (3, 4)], 1, [(0, 4)]),
        ([(5, 9), (0, 6), (7, 8)], 0, [(0, 9)]),
        ([(90, 99), (0, 1), (40, 41)], 10, [(0, 1), (40, 41), (90, 99)]),
    ],
)
def test_near_spans_are_merged(
    spans: list[tuple[int, int]], gap: int, merged: list[tuple[int, int]]
) -> None:
    """Spans that touch, overlap or are no more than the gap apart become one."""
    assert coalesce(spans, gap) == merged


@given(SPANS, st.integers(0, 50), st.integers(0, 100))
def test_what_is_fetched_side_by_side_is_bounded(
    spans: list[tuple[int, int]], gap: int, most: int
) -> None:
    """Each span lies in one that is fetched; and what has enough bytes is not made larger."""
    merged = coalesce(spans, gap, most)
    for first, last in spans:
        assert first >= last or any(begin <= first and last <= end for begin, end in merged)
    for (begin, end), (first, _) in pairwise(merged):
        assert end <= first
        assert first - end > gap or end - begin >= most
    for begin, end in merged:
        inside = coalesce((span for span in spans if begin <= span[0] < end), 0, 0)
        assert inside[-1][0] - begin < most + gap + 1 or len(inside) == 1


@given(SPANS, st.integers(0, 50))
def test_every_span_gets_its_bytes(spans: list[tuple[int, int]], gap: int) -> None:
    """In whatever way they are merged, each span is answered by the bytes there, in order."""
    requests: list[tuple[int, int]] = []

    def read(first: int, last: int) -> bytes:
        requests.append((first, last))
        return VALUE[first:last]

    values = read_spans(spans, gap, read)
    assert [bytes(value) for value in values] == [VALUE[first:last] for first, last in spans]
    assert all(first < last for first, last in requests)
    assert all(b[0] - a[1] > gap for a, b in pairwise(requests))


def test_a_single_span_is_passed_on_as_it_is() -> None:
    """One span is one request, whose answer is handed out without a copy."""
    answer = bytes(10)
    assert read_spans([(3, 13)], 0, lambda first, last: answer)[0] is answer
    assert read_spans([(3, 3)], 0, lambda first, last: answer) == [b""]
