"""Limits as parameters."""

from __future__ import annotations

import operator

__all__ = ["check_limit"]


def check_limit(name: str, value: object) -> int:
    """
    The value as an int.

    Raises:
        ValueError: If it is none, or negative.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if isinstance(value, bool) or number < 0:
        raise ValueError(f"{name} must be an int, not negative; found {value!r}")
    return number
