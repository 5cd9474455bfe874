"""Parameters that many stores have, as they must be."""

from __future__ import annotations

import operator
from math import isfinite
from numbers import Real

from storekit.clock import Clock

__all__ = ["check_clock", "check_flag", "check_limit", "positive"]

_CLOCK = [name for name in vars(Clock) if not name.startswith("_")]


def positive(name: str, value: object, *, zero: bool = True) -> float:
    """
    A parameter as a float, if it is a finite number and not negative.

    Args:
        name: Of the parameter, for the message.

        value: Of the parameter.

        zero: Whether it may be zero.

    Raises:
        ValueError: If it is anything else.
    """
    if not isinstance(value, bool) and isinstance(value, Real):
        number = float(value)
        if isfinite(number) and (number > 0 or (zero and number == 0)):
            return number
    least = "not negative" if zero else "greater than zero"
    raise ValueError(f"{name} must be a finite number, {least}; found {value!r}")


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


def check_flag(name: str, value: object) -> bool:
    """
    The value, if it is True or False.

    Raises:
        TypeError: If it is anything else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, found {value!r}")
    return value


def check_clock(clock: Clock | None) -> Clock | None:
    """
    The parameter `clock`: one, or None where there is a default.

    Raises:
        TypeError: If it is anything else.
    """
    able = all(hasattr(clock, name) for name in _CLOCK) and not isinstance(clock, type)
    if clock is not None and not able:
        raise TypeError(f"clock must be a Clock, found {clock!r}")
    return clock
