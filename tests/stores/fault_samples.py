"""Values, and what is done with them while a server misbehaves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from storekit.errors import StoreError, TimeoutError

__all__ = [
    "CONTENTS",
    "FAR",
    "GAP",
    "READS",
    "VALUE",
    "WRITES",
    "Expected",
    "after",
    "body",
    "every",
    "in_time",
    "outcome",
    "parts",
]

T = TypeVar("T")
Range = tuple[str, int, int | None]

VALUE = np.random.default_rng(1).bytes(20_000)
CONTENTS = {"a/b": VALUE, "a/c": b"c", "d": b"0123456789"}
GAP = 1000  # bytes that are worth reading for nothing


class Expected(NamedTuple):
    """The error of each kind of operation; None if it gives the right answer all the same."""

    get: type[StoreError] | None = None
    part: type[StoreError] | None = None
    end: type[StoreError] | None = None  # a part that is counted from the end, or cut there
    head: type[StoreError] | None = None
    index: type[StoreError] | None = None
    write: type[StoreError] | None = None


def every(error: type[StoreError]) -> Expected:
    """The same error of each operation."""
    return Expected(*[error] * 6)


def body(error: type[StoreError]) -> Expected:
    """An error of what needs a body."""
    return Expected(get=error, part=error, end=error, index=error)


NEAR: list[Range] = [("a/b", 100, 50), ("a/b", 300, 50)]
FAR: list[Range] = [("a/b", 19_000, 50), ("a/b", 5_000, 50), ("a/b", 10, 20)]
ENDS: list[Range] = [("a/b", -50, None), ("a/b", 0, 10), ("a/b", -50, 20)]
SUFFIX: list[Range] = [("a/b", -50, None)]
KEYS: list[Range] = [("d", 1, 2), ("a/c", 0, None), ("no", 0, 1)]
BEYOND: list[Range] = [("d", 4, 100), ("d", 100, 1), ("d", 7, None)]


def parts(asked: list[Range], store: Any) -> list[bytes | None]:
    """What a store has of ranges."""
    values = store.get_partial_values(asked)
    return [None if value is None else bytes(value) for value in values]


def right(asked: list[Range]) -> list[bytes | None]:
    """What it should have."""
    answer: list[bytes | None] = []
    for key, start, length in asked:
        value = CONTENTS.get(key)
        tail = None if value is None else value[start:]
        answer.append(tail if tail is None or length is None else tail[:length])
    return answer


# The kind of an operation, how it is done, and its answer.
READS: dict[str, tuple[str, Callable[[Any], Any], Any]] = {
    "get": ("get", lambda store: bytes(store.get("a/b")), VALUE),
    "get_versioned": ("get", lambda store: bytes(store.get_versioned("a/b")[0]), VALUE),
    "one part": ("part", partial(parts, NEAR[:1]), right(NEAR[:1])),
    "near parts": ("part", partial(parts, NEAR), right(NEAR)),
    "far parts": ("part", partial(parts, FAR), right(FAR)),
    "beyond the end": ("end", partial(parts, BEYOND), right(BEYOND)),
    "part beyond the end": ("end", partial(parts, BEYOND[:1]), right(BEYOND[:1])),
    "rest": ("end", partial(parts, BEYOND[2:]), right(BEYOND[2:])),
    "both ends": ("end", partial(parts, ENDS), right(ENDS)),
    "suffix": ("end", partial(parts, SUFFIX), right(SUFFIX)),
    "several keys": ("part", partial(parts, KEYS), right(KEYS)),
    "exists": ("head", lambda store: store.exists("a/b"), True),
    "getsize": ("head", lambda store: store.getsize("a/b"), len(VALUE)),
    "list": ("index", lambda store: store.list(), sorted(CONTENTS)),
    "list_dir": ("index", lambda store: store.list_dir(""), ["a/", "d"]),
}


def _count_up(store: Any) -> None:
    """Replace a value on the condition of its version."""
    version = store.get_versioned("d")[1]
    store.compare_and_set("d", b"new", version)


# How a write is done, and what it changes.
WRITES: dict[str, tuple[Callable[[Any], Any], dict[str, bytes | None]]] = {
    "set": (lambda store: store.set("d", b"new"), {"d": b"new"}),
    "set a new one": (lambda store: store.set("e/f", b"new"), {"e/f": b"new"}),
    "set_values": (
        lambda store: store.set_values([("d", b"1"), ("e", b"2")]),
        {"d": b"1", "e": b"2"},
    ),
    "set_partial_values": (
        lambda store: store.set_partial_values([("d", 2, b"ab")]),
        {"d": b"01ab456789"},
    ),
    "erase": (lambda store: store.erase("d"), {"d": None}),
    "erase_values": (lambda store: store.erase_values(["d", "a/c"]), {"d": None, "a/c": None}),
    "erase_prefix": (lambda store: store.erase_prefix("a/"), {"a/b": None, "a/c": None}),
    "compare_and_set": (_count_up, {"d": b"new"}),
    "create": (lambda store: store.compare_and_set("e", b"new", None), {"e": b"new"}),
}


def after(write: str) -> dict[str, bytes]:
    """What there is after a write."""
    changed = CONTENTS | WRITES[write][1]
    return {key: value for key, value in changed.items() if value is not None}


def in_time(ask: Callable[[Any], T], store: Any) -> T:
    """What a store answers that gives up soon: a busy machine may be late, but not for ever."""
    for _ in range(100):
        with suppress(TimeoutError):
            return ask(store)
    raise AssertionError("late a hundred times")


def outcome(array: Any, selection: Any) -> Any:
    """What is read of an array, or the error."""
    try:
        return array[selection]
    except StoreError as error:
        return error
