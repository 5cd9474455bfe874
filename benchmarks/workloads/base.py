"""What a row is, and what it times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.adapters import Adapter
from benchmarks.data import Array
from benchmarks.env import Env

__all__ = ["Trial", "Workload", "WrongResultError", "expect"]


class WrongResultError(Exception):
    """A library's result is not the source data."""


@dataclass(frozen=True)
class Trial:
    """
    One row for one library: what is timed, and what surrounds it.

    Args:
        setup: Called before each `run`, untimed.

        run: The timed call; it is given what `setup` returned.

        check: Compares what `run` returned, or left behind, with the source, untimed; raises
            `WrongResultError`.

        count: How many operations one call of `run` does.

        seconds: Where `run` takes the time itself: how its result says so.
    """

    setup: Callable[[], Any]
    run: Callable[[Any], Any]
    check: Callable[[Any], None]
    count: int = 1
    seconds: Callable[[Any], float] | None = None


@dataclass(frozen=True)
class Workload:
    """
    One row.

    Args:
        name: What stands in the table.

        unit: Of one operation.

        prepare: Makes the trial of one library, or raises `UnsupportedError`.
    """

    name: str
    unit: Literal["ms", "us"]
    prepare: Callable[[Env, Adapter], Trial]


def expect(found: object, source: Array) -> None:
    """Raise `WrongResultError` unless an array equals the source, shape and type included."""
    array = np.asarray(found)
    if array.shape != source.shape or array.dtype != source.dtype:
        text = f"{array.shape} {array.dtype} instead of {source.shape} {source.dtype}"
        raise WrongResultError(text)
    if not np.array_equal(array, source):
        raise WrongResultError(
            f"{np.count_nonzero(array != source)} of {source.size} values differ"
        )
