"""What came for a range of a file."""

from __future__ import annotations

from typing import Any

__all__ = ["within"]


def within(answer: Any, start: int | None, end: int | None, key: str) -> Any:
    """
    The bytes of a range, if it is they that came.

    fsspec's HTTP passes on what a server sends, and one without ranges sends the whole file.

    Args:
        answer: What came.

        start: Where the range begins, from the end if negative.

        end: Where it ends.

        key: Of the file, for the message.

    Raises:
        ValueError: If more came than the range has, and the range is not the beginning.
    """
    start = start or 0
    if end is None:
        most = -start if start < 0 else None
    else:
        most = end - start if (start < 0) == (end < 0) and start <= end else None
    if most is None or len(answer) <= most:
        return answer
    if start:
        raise ValueError(
            f"{len(answer)} bytes of {key!r} came instead of {most}: "
            "the server doesn't appear to support range requests"
        )
    return answer[:most]
