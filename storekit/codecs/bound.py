"""Ranges of a stored value that are read one after the other, and must be of one state of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from storekit.stores.states import ChangedError, States
from storekit.typing import ByteRange, Fetch, Value

__all__ = ["Bound", "FirstRead"]


class FirstRead(NamedTuple):
    """
    What was read first of a value, an index or a head: it says where the rest is.

    Args:
        ranges: Which ranges that were.

        values: Their bytes.

        states: In which state the value was.
    """

    ranges: list[ByteRange]
    values: list[Value]
    states: States


class Bound:
    """
    Reads ranges of a value, all of the state that the first were of.

    Where the store does not say which state it has read, the first ranges are read again in one
    call with the rest, which a store answers from one state.

    Args:
        fetch: Reads ranges of the value.

        first: What an earlier reader has read first. It is taken for granted until the next call of
            the store says that it is still so.

        together: Whether the first ranges are read again with the rest, so that what the store says
            need hold for that call alone: of copies any may answer it.

    Threads: not safe.
    """

    def __init__(
        self, fetch: Fetch, first: FirstRead | None = None, *, together: bool = False
    ) -> None:
        self._fetch, self._given, self._together = fetch, first, together
        self._states = States()
        self._ranges: list[ByteRange] = []
        self._values: list[Value] = []
        self._further = False  # whether anything was read after the first ranges

    def __call__(self, ranges: Sequence[ByteRange]) -> list[Value]:
        """
        The ranges.

        Raises:
            ChangedError: If the value was replaced.
        """
        if not self._ranges:
            self._ranges = list(ranges)
            self._values = self._first()
            return self._values
        self._further = True
        again = [] if self._states and not self._together else self._ranges
        values = self._listen([*again, *ranges])
        if again and values[: len(again)] != self._values:
            raise ChangedError
        return values[len(again) :]

    def _first(self) -> list[Value]:
        if self._given is not None and self._given.ranges == self._ranges:
            self._states = States(self._given.states)
            return self._given.values
        self._given = None
        return self._listen(self._ranges)

    def _listen(self, ranges: Sequence[ByteRange]) -> list[Value]:
        if self._together:
            self._states = States()
        values = self._states.listen_to(self._fetch, ranges)
        unheard = self._given is not None and not self._states.heard
        if unheard or len(self._states) > 1:
            raise ChangedError  # or nobody says that it was not; or it is that of a copy
        return values

    @property
    def assumed(self) -> bool:
        """Whether something was taken for granted."""
        return self._given is not None

    def confirm(self) -> None:
        """
        Make sure of what was taken for granted, if no later call has.

        Raises:
            ChangedError: If the value was replaced.
        """
        if self._given is not None and not self._states.heard:
            self._listen(self._ranges)

    @property
    def first(self) -> FirstRead | None:
        """What the next reader may take for granted; None if that saves nothing, or is not safe."""
        if self._given is not None:
            return self._given
        if not (self._further and self._states and self._states.lasting):
            return None
        # Copies, because they may be small parts of all that was read.
        return FirstRead(self._ranges, [bytes(value) for value in self._values], self._states)
