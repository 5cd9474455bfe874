"""
The order of threads in a simulation: real threads, of which one at a time holds the baton.

Who waits passes the baton to the next one that can run. When nobody can, time jumps to the moment
when the first sleeper wakes. So what happens depends on nothing but what the threads do: not on the
machine, its load or its scheduler.

A simulation ends once and for all when it is stuck, or when somebody who waits is interrupted,
since then nothing says any more who is to run. From there on every call raises.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from weakref import WeakSet

from storekit.draws import Draws
from storekit.errors import SimulationError, SimulationStalledError
from storekit.simulation.places import is_alive, place
from storekit.simulation.turns import Member, Source, Turns, Wait
from storekit.simulation.watch import watch

__all__ = ["Baton"]

_CHECK = 1.0
"""Real seconds between two looks for a thread that has died, if patience is endless."""

_batons: WeakSet[Baton] = WeakSet()


class Baton:
    """
    Who holds the baton, and who wants it.

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
        self.error: str | None = None
        self._turns, self._patience, self._numbers = Turns(draws), patience, count()
        self._local = threading.local()
        self._local.member = Member(next(self._numbers), threading.get_ident())
        self._holder: Member | None = self._local.member
        self._members: set[Member] = {self._local.member}
        self._outside: set[Member] = set()  # gave the baton away to wait for something else
        self._uses = self._seen = 0
        self._is_watched = False
        _batons.add(self)

    @property
    def fingerprint(self) -> str:
        """A text that two simulations share if the same threads ran at the same moments."""
        with self.mutex:
            return self._turns.fingerprint

    @property
    def now(self) -> int:
        """The time, in nanoseconds."""
        return self._turns.now

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
                wait = Wait(member, source)
                if source is not None:
                    source.waits.append(wait)
                if moment is not None:
                    self._turns.wake_at(moment, wait)
                goes_on = self._pass() is member
            if not goes_on:
                member.wait()
        except BaseException:
            self._interrupted(member)
            raise
        if self.error is not None:
            raise SimulationStalledError(self.error)
        return not wait.timed_out

    def wake(self, wait: Wait) -> None:
        """Let a wait that is in no queue any more be over. With `mutex` held."""
        self._turns.wake(wait)
        self._offer()

    # --- coming and going -------------------------------------------------------------------------

    def new_member(self) -> Member:
        """A member that can run from now on, in a thread that calls `enter`. With `mutex` held."""
        self._watch()
        member = Member(next(self._numbers), None)
        self._members.add(member)
        self._turns.can_run(member)
        self._offer()
        return member

    def dismiss(self, member: Member) -> None:
        """Do without a new member, for which there is no thread. With `mutex` held."""
        self._members.discard(member)
        if not self._turns.withdraw(member) and self._holder is member:
            self._pass()

    def join(self) -> None:
        """Make the calling thread a new member, and wait for its turn."""
        self._watch()
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
            self._turns.can_run(member)
            self._offer()
        self._await(member)

    def _await(self, member: Member) -> None:
        """Wait for the first turn."""
        try:
            if self.error is None:  # a member that is new now is known to `_fail`
                member.wait()
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

    def _offer(self) -> None:
        """Give the baton to somebody who can run, if nobody has it. With `mutex` held."""
        self._uses += 1
        if self._holder is None:
            self._pass()

    def _pass(self) -> Member | None:
        """Give the baton to the next one, who is returned. With `mutex` held."""
        if self.error is not None:
            return None
        before, holder = self._holder, self._turns.next()
        self._holder = holder
        self._uses += 1
        if holder is not None and holder is not before:
            holder.gate.release()
        if holder is None and self._members and not self._outside:
            places = "; ".join(sorted(place(member.thread) for member in self._members))
            self._fail(f"every thread waits for another one: {places}")
        return holder

    # --- the end ----------------------------------------------------------------------------------

    def look(self) -> None:
        """Fail if the baton has been held since the last look, while others wait for it."""
        with self.mutex:
            holder, was_used = self._holder, self._uses != self._seen
            self._seen = self._uses
            is_alone = len(self._members) == 1 and not self._outside
            if holder is None or was_used or is_alone or self.error is not None:
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
            self._turns.clear()

    def forget_threads(self) -> None:
        """In a forked child only the thread that forked is left."""
        self.mutex = threading.RLock()
        here = threading.get_ident()
        self._members = {member for member in self._members if member.thread == here}
        self._outside = {member for member in self._outside if member.thread == here}
        self._holder = next(iter(self._members), None)
        self._turns.clear()
        self._is_watched = False


def _forget_threads() -> None:
    for baton in _batons:
        baton.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
