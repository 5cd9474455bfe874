"""What an array that shrinks must clear, so that nothing old appears when it grows again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import TypeAlias

from storekit.typing import Shape

__all__ = ["cells", "cut_away", "worth_listing"]

Cell: TypeAlias = tuple[slice, ...]

_LISTED = 1000
"""More chunks than this are not visited before it is known which of them are stored."""


def worth_listing(before: Shape, now: Shape, chunks: Shape) -> bool:
    """Whether so many chunks are cut off that a listing costs less than visiting them."""
    had = [-(-n // c) for n, c in zip(before, chunks, strict=True)]
    kept = [min(was, -(-n // c)) for was, n, c in zip(had, now, chunks, strict=True)]
    return prod(had) - prod(kept) > _LISTED


def cells(places: Iterable[Shape], chunks: Shape, shape: Shape) -> Iterator[Cell]:
    """The elements of the chunks at these places of the grid that lie within a shape."""
    for place in places:
        yield tuple(
            slice(min(i * c, n), min((i + 1) * c, n))
            for i, c, n in zip(place, chunks, shape, strict=True)
        )


def cut_away(boxes: Iterable[Cell], now: Shape) -> Iterator[Cell]:
    """The parts of boxes that do not lie within a shape."""
    for box in boxes:
        if any(axis.start >= n for axis, n in zip(box, now, strict=True)):
            yield box
            continue
        for i, (axis, n) in enumerate(zip(box, now, strict=True)):
            if axis.stop > n:
                yield (*box[:i], slice(n, axis.stop), *box[i + 1 :])
