"""
The order of threads in a simulation: real threads, of which one at a time holds the baton.

Who waits passes the baton to the next one that can run. When nobody can, time jumps to the moment
when the first sleeper wakes. So what happens depends on nothing but what the threads do: not on the
machine, its load or its scheduler.

A simulation ends once and for all when it is stuck, or when somebody who waits is interrupted,
since then nothing says any more who is to run. From there on every call raises.
"""

from __future__ import annotations

import heapq
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import count
from typing import Protocol
from weakref import WeakSet

from storekit.draws import Draws
from storekit.errors import SimulationError, SimulationStalledError
from storekit.simulation.places import is_alive, place
from storekit.simulation.watch import watch

__all__ = ["Baton", "Member", "Source", "Wait"]

_CHECK = 1.0
"""Real seconds between two looks for a thread that has died, where patience is endless."""

_PILE = 4096
"""Numbers that are hashed at once."""

_batons: WeakSet[Baton] = WeakSet()


class Member:
    """A thread that takes turns."""

    __slots__ = ("gate", "give_up", "number", "thread")

    def __init__(self, number: int, thread: int | None) -> None:
        self.number, self.thread = number, thread
        self.gate = threading.Lock()  # open when the member is given the baton
        self.gate.acquire()
        self.give_up: Callable[[], None] | None = None
        """Called if the member is stuck: to tell those who wait for it by other means."""


class Wait:
    """One time that a member waits: over when its moment comes, or what it waits for."""

    __slots__ = ("has_alarm", "member", "over", "source", "timed_out")

    def __init__(self, member: Member, source: Source | None, has_alarm: bool) -> None:
        self.member, self.source, self.has_alarm = member, source, has_alarm
        self.over = self.timed_out = False


class Source(Protocol):
    """What members wait for."""

    waits: deque[Wait]

    def take(self, member: Member) -> bool:
        """Whether a member need not wait; then it has what it wanted. With `mutex` held."""
        ...


class Baton:
    """
    Who runs, who can run, who sleeps until when.

    Methods that say so are called with `mutex` held, which nobody holds for longer than a few steps
    of Python.

    Args:
        draws: Choose among those that can run; without them it is first come, first served.

        patience: Real seconds after which a member that runs without using the clock is taken to be
            stuck, if others wait for the baton. None: never.
    """

    def __init__(self, draws: Draws | None, patience: float | None) -> None:
        # Reentrant, for signal handlers and finalizers, which may come in the midst of it.
        self.mutex = threading.RLock()
        self.now = 0  # nanoseconds
        self.error: str | None = None
        self._draws, self._patience = draws, patience
        self._numbers, self._order = count(), count()
        self._runnable: deque[Member] = deque()
        self._sleepers: list[tuple[int, float, int, Wait]] = []
        self._stale = 0  # sleepers that have got what they waited for
        self._local = threading.local()
        self._local.member = Member(next(self._numbers), threading.get_ident())
        self._holder: Member | None = self._local.member
        self._members: set[Member] = {self._local.member}
        self._outside: set[Member] = set()  # gave the baton away to wait for something else
        self._trace: list[int] = []  # who was given the baton, and when; not yet in the hash
        self._hash = blake2b(digest_size=16)
        self._uses = self._seen = 0
        self._is_watched = False
        _batons.add(self)

    @property
    def fingerprint(self) -> str:
        """A text that two simulations share if the same threads ran at the same moments."""
        with self.mutex:
            self._hash_trace()
            return self._hash.hexdigest()

    @property
    def is_member(self) -> bool:
        """Whether the calling thread takes turns, and is not outside."""
        return getattr(self._local, "member", None) is not None

    def member(self) -> Member:
        """
        The calling thread.

        Raises:
            SimulationError: If it is not part of the simulation.
        """
        member: Member | None = getattr(self._local, "member", None)
        if member is None:
            raise SimulationError(
                f"thread {threading.current_thread().name!r} is not part of this simulation, or is "
                f"in `released`: it joins with `with clock.joined():`, or its work goes to "
                f"`clock.executor()`"
            )
        if self.error is not None:
            raise SimulationStalledError(self.error)
        return member

    # --- waiting ----------------------------------------------------------------------------------

    def wait(self, source: Source | None, moment: int | None = None) -> bool:
        """
        Let the calling thread wait, and the others run meanwhile.

        Args:
            source: What it waits for; None for nothing.

            moment: When it has waited enough; None for never.

        Returns:
            Whether it has what it waited for.

        Raises:
            SimulationError: If the thread is not part of the simulation.

            SimulationStalledError: If it would wait for ever.
        """
        member = self.member()
        try:
            with self.mutex:
                if source is not None and source.take(member):
                    return True
                wait = Wait(member, source, moment is not None)
                if source is not None:
                    source.waits.append(wait)
                if moment is not None:
                    tie = self._draws.uniform("tie") if self._draws else 0.0
                    heapq.heappush(self._sleepers, (moment, tie, next(self._order), wait))
                goes_on = self._pass() is member
            if not goes_on:
                member.gate.acquire()
        except BaseException:
            self._interrupted(member)
            raise
        if self.error is not None:
            raise SimulationStalledError(self.error)
        return not wait.timed_out

    def wake(self, wait: Wait) -> None:
        """Let a wait that is in no queue any more be over. With `mutex` held."""
        wait.over = True
        if wait.has_alarm:
            self._stale += 1
            if self._stale > 100 and 2 * self._stale > len(self._sleepers):
                self._sleepers = [entry for entry in self._sleepers if not entry[-1].over]
                heapq.heapify(self._sleepers)
                self._stale = 0
        self._can_run(wait.member)

    # --- coming and going -------------------------------------------------------------------------

    def new_member(self) -> Member:
        """A member that can run from now on, in a thread that calls `enter`. With `mutex` held."""
        self._watch()
        member = Member(next(self._numbers), None)
        self._members.add(member)
        self._can_run(member)
        return member

    def dismiss(self, member: Member) -> None:
        """Do without a new member, for which there is no thread. With `mutex` held."""
        self._members.discard(member)
        if member in self._runnable:
            self._runnable.remove(member)
        elif self._holder is member:
            self._pass()

    def join(self) -> None:
        """Make the calling thread a new member, and wait for its turn."""
        with self._change():
            member = self.new_member()
        self.enter(member)

    def enter(self, member: Member) -> None:
        """Make the calling thread that member, and wait for its turn."""
        member.thread = threading.get_ident()
        self._await(member)
        self._local.member = member

    def leave(self) -> None:
        """Pass the baton on for the last time."""
        member, self._local.member = self._local.member, None
        with self._change():
            self._members.discard(member)
            self._pass()

    def go_outside(self) -> Member:
        """Pass the baton on, and be none of those that it waits for."""
        member = self.member()
        self._watch()
        with self._change():
            self._local.member = None
            self._members.discard(member)
            self._outside.add(member)
            self._pass()
        return member

    def come_back(self, member: Member) -> None:
        """Take turns again."""
        self._local.member = member  # also if it comes too late: then whatever it does says so
        with self._change():
            self._outside.discard(member)
            self._members.add(member)
            self._can_run(member)
        self._await(member)

    def _await(self, member: Member) -> None:
        """Wait for the first turn."""
        try:
            if self.error is None:  # a member that is new now is known to `_fail`
                member.gate.acquire()
        except BaseException:
            self._interrupted(member)
            raise
        if self.error is not None:
            raise SimulationStalledError(self.error)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """`mutex`, for a change that is made as a whole, or is the end."""
        try:
            with self.mutex:
                yield
        except BaseException:
            self._interrupted(None)
            raise

    # --- the baton --------------------------------------------------------------------------------

    def _can_run(self, member: Member) -> None:
        self._runnable.append(member)
        self._uses += 1
        if self._holder is None and self.error is None:
            self._pass()

    def _pass(self) -> Member | None:
        """Give the baton to the next one, who is returned. With `mutex` held."""
        if self.error is not None:
            return None
        before, holder = self._holder, self._next()
        self._holder = holder
        self._uses += 1
        if holder is not None:
            self._trace += (self.now, holder.number)
            if len(self._trace) >= _PILE:
                self._hash_trace()
            if holder is not before:
                holder.gate.release()
        elif self._members and not self._outside:
            places = "; ".join(sorted(place(member.thread) for member in self._members))
            self._fail(f"every thread waits for another one: {places}")
        return holder

    def _next(self) -> Member | None:
        runnable, sleepers = self._runnable, self._sleepers
        if runnable:
            if not self._draws:
                return runnable.popleft()
            which = int(self._draws.uniform("next") * len(runnable))
            member = runnable[which]
            del runnable[which]
            return member
        while sleepers:
            moment, _, _, wait = heapq.heappop(sleepers)
            if not wait.over:
                self.now = moment
                wait.over = wait.timed_out = True
                if wait.source is not None:
                    wait.source.waits.remove(wait)
                return wait.member
            self._stale -= 1
        return None

    def _hash_trace(self) -> None:
        self._hash.update("".join(f"{number} " for number in self._trace).encode())
        self._trace.clear()

    # --- the end ----------------------------------------------------------------------------------

    def look(self) -> None:
        """Fail if the baton has been held since the last look, while others wait for it."""
        with self.mutex:
            holder, used = self._holder, self._uses != self._seen
            self._seen = self._uses
            waited_for = len(self._members) > 1 or self._outside
            if holder is None or used or not waited_for or self.error is not None:
                return
            has_died = holder.thread is not None and not is_alive(holder.thread)
            if self._patience is None and not has_died:
                return
            self._fail(
                f"for {self._patience or _CHECK} s a thread has held the simulation without using "
                f"its clock: {place(holder.thread)}. If it waits for something else there, let it "
                f"wait inside `with clock.released():`, and for futures by `clock.wait`, "
                f"`clock.as_completed` or `clock.gather`"
            )
        if holder.give_up is not None:
            holder.give_up()

    def _watch(self) -> None:
        if not self._is_watched:
            watch(self, self._patience or _CHECK)
            self._is_watched = True

    def _interrupted(self, member: Member | None) -> None:
        where = place(member.thread if member else threading.get_ident())
        with self.mutex:
            self._fail(f"interrupted at {where}")

    def _fail(self, message: str) -> None:
        """End the simulation: whoever waits, or ever will, gets an error. With `mutex` held."""
        if self.error is None:
            self.error = message
            for member in self._members:
                if member is not self._holder:
                    member.gate.release()
            self._runnable.clear()
            self._sleepers.clear()

    def forget_threads(self) -> None:
        """In a forked child only the thread that forked is left."""
        self.mutex = threading.RLock()
        here = threading.get_ident()
        self._members = {member for member in self._members if member.thread == here}
        self._outside = {member for member in self._outside if member.thread == here}
        self._holder = next(iter(self._members), None)
        self._runnable.clear()
        self._sleepers.clear()
        self._stale = 0
        self._is_watched = False


def _forget_threads() -> None:
    for baton in _batons:
        baton.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
