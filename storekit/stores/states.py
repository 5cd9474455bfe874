"""
The states of values: so that what is read of one value by several calls is of one state of it.

Some stores know the state of what they have just read: an ETag, an inode. They say so here, and
whoever reads one value by several calls listens. Wrappers need not know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextvars import ContextVar
from typing import NamedTuple, ParamSpec, TypeVar

__all__ = ["ChangedError", "Heard", "Said", "States", "say_state"]

P = ParamSpec("P")
T = TypeVar("T")


class Said(NamedTuple):
    """What a store says; see `say_state`."""

    place: Hashable
    state: Hashable
    lasting: bool


class ChangedError(Exception):
    """A value was replaced between two readings."""


class States:
    """
    The states in which a value was read, in one place or several: of copies, of what is cached.

    Args:
        known: What was read before, and must not have changed.

    Threads: not safe.
    """

    def __init__(self, known: States | None = None) -> None:
        self._known: dict[Hashable, Hashable] = dict(known._known) if known else {}
        self.heard = False  # whether any store has said a state since
        self.lasting = True  # whether all of them said that it lasts

    def __len__(self) -> int:
        """In how many places."""
        return len(self._known)

    def listen_to(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Do something during which stores say what the states are, and return what it returns.

        Raises:
            ChangedError: If one is another than before.
        """
        # No context manager: Ctrl-C may come when it begins or ends, and one would listen on.
        before = _listener.get()
        try:
            _listener.set(self)
            return work(*args, **kwargs)
        finally:
            _listener.set(before)

    def hear(self, place: Hashable, state: Hashable, lasting: bool) -> None:
        """
        Learn the state of the value at a place; the arguments are those of `say_state`.

        Raises:
            ChangedError: If it is another than before.
        """
        if self._known.setdefault(place, state) != state:
            raise ChangedError
        self.heard, self.lasting = True, self.lasting and lasting


class Heard(States):
    """What is said while others shall not listen; who has heard it may say it again."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[Said] = set()

    def hear(self, place: Hashable, state: Hashable, lasting: bool) -> None:
        """Learn the state of the value at a place, whatever it is."""
        self._said.add(Said(place, state, lasting))

    @property
    def said(self) -> Said | None:
        """What was said, if it was about one state of one value."""
        return next(iter(self._said)) if len(self._said) == 1 else None


# Of the context, not of the thread: `TimeoutStore` hands it on to a thread of its own.
_listener: ContextVar[States | None] = ContextVar("storekit.states", default=None)


def say_state(place: Hashable, state: Hashable, *, lasting: bool = False) -> None:
    """
    Say in which state a value was read; by a store, in the thread that was asked for it.

    Args:
        place: What names the value, in this process.

        state: Whatever is another one after the value was replaced.

        lasting: Whether that holds for any later time. It does not for the time stamp of what was
            written a moment ago: another value may get the same one.

    Raises:
        ChangedError: If somebody listens, and it is another than before.
    """
    listener = _listener.get()
    if listener is not None:
        listener.hear(place, state, lasting)
