"""
The order of threads in a simulation: real threads, of which one at a time holds the baton.

Who waits passes the baton to the next one that can run. When nobody can, time jumps to the moment
when the first sleeper wakes. So what happens depends on nothing but what the threads do: not on the
machine, its load or its scheduler.
"""

from __future__ import annotations

import heapq
import sys
import threading
import traceback
from collections import deque
from hashlib import blake2b
from itertools import count

from storekit.draws import Draws
from storekit.errors import SimulationError, SimulationStalledError

__all__ = ["Baton", "Member", "Wait"]


class Member:
    """A thread that takes turns."""

    __slots__ = ("gate", "number", "thread")

    def __init__(self, number: int, thread: int | None) -> None:
        self.number, self.thread = number, thread
        self.gate = threading.Lock()  # open when the member is given the baton
        self.gate.acquire()


class Wait:
    """One time that a member waits: over when its moment comes, or what it waits for."""

    __slots__ = ("member", "over", "timed_out")

    def __init__(self, member: Member) -> None:
        self.member, self.over, self.timed_out = member, False, False


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
        self.mutex = threading.Lock()
        self.now = 0  # nanoseconds
        self._draws, self._patience = draws, patience
        self._runnable: deque[Member] = deque()
        self._sleepers: list[tuple[int, float, int, Wait]] = []
        self._parked: set[Member] = set()  # all that wait for the baton, for whatever reason
        self._outside = 0  # members that have given the baton away to wait for something else
        self._order, self._numbers = count(), count()
        self._passes = 0
        self._hash = blake2b(digest_size=16)
        self._local = threading.local()
        self._error: str | None = None
        self._local.member = Member(next(self._numbers), threading.get_ident())
        self._holder: Member | None = self._local.member

    @property
    def fingerprint(self) -> str:
        """A text that two simulations share if the same threads ran at the same moments."""
        with self.mutex:
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
                f"thread {threading.current_thread().name!r} is not part of this simulation: it "
                f"joins with `with clock.joined():`, or its work goes to `clock.executor()`"
            )
        if self._error is not None:
            raise SimulationStalledError(self._error)
        return member

    # --- waiting ----------------------------------------------------------------------------------

    def wake_at(self, moment: int, wait: Wait) -> None:
        """Let a wait be over at a moment, if it is not before. With `mutex` held."""
        tie = self._draws.uniform("tie") if self._draws else 0.0
        heapq.heappush(self._sleepers, (moment, tie, next(self._order), wait))

    def wake(self, wait: Wait) -> None:
        """Let a wait be over now. With `mutex` held."""
        if not wait.over:
            wait.over = True
            self._can_run(wait.member)

    def park(self, member: Member) -> None:
        """
        Pass the baton on, and wait until it comes back. With `mutex` held; it is given back.

        Raises:
            SimulationStalledError: If it never will.
        """
        self._parked.add(member)
        self._pass()
        self.mutex.release()
        self._await(member)

    # --- coming and going -------------------------------------------------------------------------

    def new_member(self) -> Member:
        """A member that can run from now on, in a thread that calls `enter`. With `mutex` held."""
        member = Member(next(self._numbers), None)
        self._parked.add(member)
        self._can_run(member)
        return member

    def enter(self, member: Member) -> None:
        """Make the calling thread that member, and wait for its turn."""
        member.thread = threading.get_ident()
        self._await(member)
        self._local.member = member

    def leave(self) -> None:
        """Pass the baton on for the last time."""
        self._local.member = None
        with self.mutex:
            self._pass()

    def go_outside(self) -> Member:
        """Pass the baton on, and be none of those that it waits for."""
        member = self.member()
        self._local.member = None
        with self.mutex:
            self._outside += 1
            self._pass()
        return member

    def come_back(self, member: Member) -> None:
        """Take turns again."""
        with self.mutex:
            self._outside -= 1
            self._parked.add(member)
            self._can_run(member)
        self._await(member)
        self._local.member = member

    # --- the baton --------------------------------------------------------------------------------

    def _can_run(self, member: Member) -> None:
        self._runnable.append(member)
        if self._holder is None:
            self._pass()

    def _pass(self) -> None:
        """Give the baton to the next one, and time the value of that moment. With `mutex` held."""
        holder = self._next()
        self._holder = holder
        self._passes += 1
        if holder is not None:
            self._parked.discard(holder)
            self._hash.update(b"%d %d;" % (self.now, holder.number))
            holder.gate.release()
        elif self._parked and not self._outside and self._error is None:
            places = "; ".join(sorted(_place(member) for member in self._parked))
            self._fail(f"every thread waits for another one: {places}")

    def _next(self) -> Member | None:
        if self._runnable:
            if self._draws:
                self._runnable.rotate(-int(self._draws.uniform("next") * len(self._runnable)))
            return self._runnable.popleft()
        while self._sleepers:
            moment, _, _, wait = heapq.heappop(self._sleepers)
            if not wait.over:
                wait.over = wait.timed_out = True
                self.now = max(self.now, moment)
                return wait.member
        return None

    def _await(self, member: Member) -> None:
        """Wait for the baton."""
        patience = -1 if self._patience is None else self._patience
        seen = self._passes
        try:
            # Once the simulation has failed nobody gives the baton to those who come later.
            while self._error is None and not member.gate.acquire(timeout=patience):
                seen = self._look_for_a_stall(seen)
        except BaseException:  # Ctrl-C: the order of threads is lost
            with self.mutex:
                self._fail(f"interrupted at {_place(member)}")
            raise
        if self._error is not None:
            raise SimulationStalledError(self._error)

    def _look_for_a_stall(self, seen: int) -> int:
        """Fail if the baton was not passed since `seen`; how often it has been passed."""
        with self.mutex:
            if self._passes == seen and self._holder is not None and self._error is None:
                self._fail(
                    f"for {self._patience} s a thread has held the simulation without using its "
                    f"clock: {_place(self._holder)}. If it waits for something else there, let it "
                    f"wait inside `with clock.released():`, and for futures by `clock.wait`, "
                    f"`clock.as_completed` or `clock.gather`"
                )
            return self._passes

    def _fail(self, message: str) -> None:
        """End the simulation: whoever waits, or ever will, gets an error."""
        self._error = message
        for member in self._parked:
            member.gate.release()
        self._parked.clear()
        self._runnable.clear()
        self._sleepers.clear()


def _place(member: Member) -> str:
    """Where in its program a member is: the innermost line that is not storekit's or Python's."""
    frame = sys._current_frames().get(member.thread or 0)
    if frame is None:
        return "a thread that has ended without leaving" if member.thread else "a new thread"
    stack = traceback.extract_stack(frame)
    here, python = __name__.partition(".")[0], threading.__file__.rpartition("/")[0]
    for entry in reversed(stack):
        folder, _, _ = entry.filename.rpartition("/")
        theirs = folder.startswith(python) and "site-packages" not in folder
        if not theirs and f"/{here}/" not in entry.filename:
            break
    else:
        entry = stack[-1]
    return f"{entry.filename}:{entry.lineno} in {entry.name} ({entry.line})"
