"""What a cache remembers: questions, the entries that answer them, and how to find the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from storekit.clock import Event
from storekit.stores.states import Said
from storekit.typing import ByteRange

__all__ = ["CacheStats", "Entry", "Flight", "Plan", "Question", "Slot"]

Slot: TypeAlias = tuple[str, ByteRange | None]
"""A key, and a range of it; None for the whole value, or its absence."""


class Question(NamedTuple):
    """One thing that a reader asks."""

    op: str
    key: str
    part: ByteRange | None = None

    @property
    def slot(self) -> Slot:
        """Where in the cache the bytes are that answer it."""
        return self.key, None if self.part == (0, None) else self.part


@dataclass(slots=True, eq=False)
class Entry:
    """
    Something that the cache holds.

    Attributes:
        slot: What it is.

        name: Under which key of the cache store it lies; None for an absence, which needs none.

        size: In bytes.

        weight: What it takes of the budget.

        said: In which state the value was, if the inner store said so.

        ready: Whether the cache store has it.
    """

    slot: Slot
    name: str | None
    size: int
    weight: int
    said: Said | None = None
    ready: bool = False


@dataclass(slots=True, eq=False)
class Flight:
    """
    A question on its way to the inner store, and who waits for the answer.

    Attributes:
        current: Whether the answer may be kept and shared: no change has begun since it was asked.

        said: In which state the value was, if the inner store said so.
    """

    current: bool = True
    landed: bool = False
    answer: Any = None
    said: Said | None = None
    error: BaseException | None = None
    event: Event | None = None

    def wait(self) -> None:
        """Wait until there is an answer or an error."""
        if not self.landed and self.event is not None:
            self.event.wait()


@dataclass(slots=True)
class Plan:
    """How to find the answers to some questions: held, asked by others, or to be asked."""

    held: dict[Question, Entry] = field(default_factory=dict)
    joined: dict[Question, Flight] = field(default_factory=dict)
    mine: dict[Question, Flight] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CacheStats:
    """
    What a `CacheStore` has done so far.

    Attributes:
        hits: How many questions it has answered itself: a key, or a range of one, each.

        misses: How many it has not.

        evictions: How many entries had to go because others needed their room.

        bytes: What its entries take of the budget now.
    """

    hits: int
    misses: int
    evictions: int
    bytes: int
