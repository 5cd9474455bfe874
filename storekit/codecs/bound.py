"""Ranges of a stored value that are read one after the other, and must be of one state of it."""

from __future__ import annotations

from collections.abc import Sequence

from storekit.stores.states import ChangedError, States
from storekit.typing import ByteRange, Fetch, Value

__all__ = ["Bound"]


class Bound:
    """
    Reads ranges of a value, all of the state that the first were of.

    What was read first, an index or a head, says where the rest is. Where the store does not say
    which state it has read, the first ranges are read again in one call with the rest, which a
    store answers from one state.

    Args:
        fetch: Reads ranges of the value.

    Threads: not safe.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch, self._states = fetch, States()
        self._ranges: list[ByteRange] = []
        self._values: list[Value] = []

    def __call__(self, ranges: Sequence[ByteRange]) -> list[Value]:
        """
        The ranges.

        Raises:
            ChangedError: If the value was replaced.
        """
        again = [] if self._states else self._ranges
        with self._states.listening():
            values = self._fetch([*again, *ranges])
        if not self._ranges:
            self._ranges, self._values = list(ranges), values
        elif again and values[: len(again)] != self._values:
            raise ChangedError
        return values[len(again) :]
