"""Whose turn it is: first those that can run now, then, as time passes, those that sleep."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from itertools import count
from typing import Protocol

from storekit.draws import Draws

__all__ = ["Member", "Source", "Turns", "Wait"]

_LISTEN = 0.5
"""
Real seconds after which the main thread looks for signals: Ctrl-C in the very moment in which it
begins to wait does not wake it.
"""

_PILE = 4096
"""Numbers that are hashed at once."""


class Member:
    """A thread that takes turns."""

    __slots__ = ("gate", "give_up", "number", "thread")

    def __init__(self, number: int, thread: int | None) -> None:
        self.number, self.thread = number, thread
        self.gate = threading.Lock()  # open when the member is given the baton
        self.gate.acquire()
        self.give_up: Callable[[], None] | None = None
        """Called if the member is stuck: to tell those who wait for it by other means."""

    def wait(self) -> None:
        """Wait for the baton."""
        if self.thread == threading.main_thread().ident:
            while not self.gate.acquire(timeout=_LISTEN):
                pass
        else:
            self.gate.acquire()


class Wait:
    """One time that a member waits: over when its moment comes, or what it waits for."""

    __slots__ = ("has_alarm", "is_over", "member", "source", "timed_out")

    def __init__(self, member: Member, source: Source | None) -> None:
        self.member, self.source = member, source
        self.has_alarm = self.is_over = self.timed_out = False


class Source(Protocol):
    """What members wait for."""

    waits: deque[Wait]

    def take(self, member: Member) -> bool:
        """Whether a member need not wait; then it has what it wanted. With `mutex` held."""
        ...


class Turns:
    """
    Who can run, and who sleeps until when.

    Args:
        draws: Choose among those that can run, or wake at the same moment; without them it is first
            come, first served.

    Threads: used with the baton's `mutex` held.
    """

    def __init__(self, draws: Draws | None) -> None:
        self.now = 0  # nanoseconds
        self._draws = draws
        self._runnable: deque[Member] = deque()
        self._sleepers: list[tuple[int, float, int, Wait]] = []
        self._stale = 0  # sleepers whose wait is over
        self._order = count()
        self._taken: list[int] = []  # when, and by whom; what is not yet in the hash
        self._hash = blake2b(digest_size=16)

    @property
    def fingerprint(self) -> str:
        """A text that tells by whom turns have been taken, and when."""
        self._hash_pile()
        return self._hash.hexdigest()

    def can_run(self, member: Member) -> None:
        """Let a member have a turn at the present moment."""
        self._runnable.append(member)

    def wake_at(self, moment: int, wait: Wait) -> None:
        """Let a wait be over at a moment, if it is not before."""
        wait.has_alarm = True
        tie = self._draws.uniform("tie") if self._draws else 0.0
        heapq.heappush(self._sleepers, (moment, tie, next(self._order), wait))

    def wake(self, wait: Wait) -> None:
        """Let a wait that is in no queue any more be over now."""
        wait.is_over = True
        self._runnable.append(wait.member)
        if wait.has_alarm:
            self._stale += 1
            if self._stale > 100 and 2 * self._stale > len(self._sleepers):
                self._sleepers = [entry for entry in self._sleepers if not entry[-1].is_over]
                heapq.heapify(self._sleepers)
                self._stale = 0

    def next(self) -> Member | None:
        """Take out whose turn it is, and let time pass until then. None if nobody ever has one."""
        member = self._next_runnable() if self._runnable else self._next_sleeper()
        if member is not None:
            self._taken += (self.now, member.number)
            if len(self._taken) >= _PILE:
                self._hash_pile()
        return member

    def withdraw(self, member: Member) -> bool:
        """Let a member that can run have no turn; whether it could."""
        if member not in self._runnable:
            return False
        self._runnable.remove(member)
        return True

    def clear(self) -> None:
        """Let nobody have a turn."""
        self._runnable.clear()
        self._sleepers.clear()
        self._stale = 0

    def _next_runnable(self) -> Member:
        if not self._draws:
            return self._runnable.popleft()
        which = int(self._draws.uniform("next") * len(self._runnable))
        member = self._runnable[which]
        del self._runnable[which]
        return member

    def _next_sleeper(self) -> Member | None:
        while self._sleepers:
            moment, _, _, wait = heapq.heappop(self._sleepers)
            if not wait.is_over:
                self.now = moment
                wait.is_over = wait.timed_out = True
                if wait.source is not None:
                    wait.source.waits.remove(wait)
                return wait.member
            self._stale -= 1
        return None

    def _hash_pile(self) -> None:
        self._hash.update("".join(f"{number} " for number in self._taken).encode())
        self._taken.clear()
