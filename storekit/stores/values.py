"""Values as stores take and make them: the bytes of any buffer, and parts, read or written over."""

from __future__ import annotations

from collections.abc import Sequence

from storekit.errors import InvalidRangeError
from storekit.keys import resolve_range
from storekit.typing import ByteRange, BytesLike, Value

__all__ = ["as_value", "parts_of", "splice"]


def parts_of(value: Value, ranges: Sequence[ByteRange]) -> list[Value]:
    """Checked ranges of a value, clamped to it; without copies."""
    view = memoryview(value)
    spans = (resolve_range(start, length, len(view)) for start, length in ranges)
    return [view[first:last] for first, last in spans]


def splice(
    value: Value, changes: Sequence[tuple[int, Value]], *, store: object, key: str
) -> memoryview:
    """
    A copy of `value` with sorted parts written over it.

    Raises:
        InvalidRangeError: If a part would leave a gap behind the end.
    """
    result = bytearray(value)
    for start, part in changes:
        if start > len(result):
            raise InvalidRangeError(
                f"part of {key!r}: it starts at byte {start}, beyond the end at {len(result)}",
                store=store,
                op="set_partial_values",
                key=key,
            )
        result[start : start + len(part)] = part
    return memoryview(result).toreadonly()


def as_value(value: BytesLike) -> Value:
    """
    The bytes of any buffer, in C order: the object itself if it is bytes, a flat read-only view if
    it is contiguous, otherwise a copy.

    Raises:
        TypeError: If it has no buffer, or one of Python objects.
    """
    if isinstance(value, bytes):
        return value
    try:
        view = memoryview(value)
    except ValueError as error:  # numpy has types without a buffer, such as datetime64
        raise TypeError(f"a value must be bytes-like: {error}") from None
    if "O" in view.format:
        raise TypeError("a value must be bytes-like; a buffer of Python objects has no bytes")
    if not view.c_contiguous:
        return view.tobytes()
    # `cast` refuses views with a zero in their shape.
    return view.cast("B").toreadonly() if view.nbytes else b""
