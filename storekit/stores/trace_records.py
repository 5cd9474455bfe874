"""A call that was traced, and several together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from storekit.typing import ByteRange

__all__ = ["OpTotal", "TraceRecord"]


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """
    One call of a store that has ended.

    Attributes:
        op: The name of the method.

        keys: The keys concerned, in the order given.

        prefix: The prefix concerned; None for operations on keys.

        ranges: Of `get_partial_values` and `set_partial_values`, one for each of `keys`.

        up: Bytes of values that were to be written.

        down: Bytes of values that came back; 0 if the call failed.

        start: When it began, in seconds of the store's clock.

        end: When it ended.

        outcome: ``"ok"``, or the name of the class of its error.

        thread: The name of the thread.

        slot: The lowest number, from 0 on, that no other thread had a call under way with. Unlike
            the threads of a pool it is the same in each run of a simulation.
    """

    op: str
    keys: tuple[str, ...]
    prefix: str | None
    ranges: tuple[ByteRange, ...]
    up: int
    down: int
    start: float
    end: float
    outcome: str
    thread: str
    slot: int

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start

    def concerns(self, pattern: str) -> bool:
        """Whether the prefix, or one of the keys, matches a pattern such as ``"a/*"``."""
        names = self.keys if self.prefix is None else (self.prefix,)
        return any(fnmatchcase(name, pattern) for name in names)


@dataclass(frozen=True, slots=True)
class OpTotal:
    """
    The calls of one operation together.

    Attributes:
        calls: How many there were.

        errors: How many of them failed.

        up: Bytes that were to be written.

        down: Bytes that came back.

        total: Seconds that they took, one by one; calls at the same time count each.

        longest: Seconds of the longest one.
    """

    calls: int
    errors: int
    up: int
    down: int
    total: float
    longest: float

    @classmethod
    def of(cls, records: Sequence[TraceRecord]) -> OpTotal:
        """The totals of some records, at least one."""
        return cls(
            calls=len(records),
            errors=sum(record.outcome != "ok" for record in records),
            up=sum(record.up for record in records),
            down=sum(record.down for record in records),
            total=sum(record.seconds for record in records),
            longest=max(record.seconds for record in records),
        )
