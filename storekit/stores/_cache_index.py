"""What a cache holds, who is fetching what, and which keys are being changed."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from storekit.clock import Event
from storekit.stores._cache_entries import CacheStats, Entry, Flight, Plan, Question, Slot
from storekit.stores._changes import Change
from storekit.stores._forklock import fork_lock

__all__ = ["Index"]

_GIVEN_UP = KeyboardInterrupt("the reader was interrupted")
"""The error of a flight that brings nothing: those who wait have to ask again."""


class Index:
    """
    The state of a cache, of which each method is one step.

    Args:
        max_bytes: The budget.

    Threads: safe. The lock is held for a few steps of Python, never across a call of a store. An
    interrupt may come at any of them: `leave` and `end` can be done twice, and what follows from
    the entries is found out anew.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Slot, Entry] = OrderedDict()  # least recently used first
        self._slots: dict[str, set[Slot]] = {}  # by key
        self._flights: dict[str, dict[Question, Flight]] = {}  # by key
        self._changes: set[Change] = set()  # under way
        self._unsure: set[str] = set()  # keys, and prefixes, of which a change may still arrive
        self._bytes = self._hits = self._misses = self._evictions = 0
        self._torn = False  # whether `_slots` and `_bytes` may not be those of `_entries`
        self._process = os.getpid()
        self._lock = fork_lock()

    @property
    def stats(self) -> CacheStats:
        """The numbers so far."""
        with self._lock:
            self._mend()
            return CacheStats(self._hits, self._misses, self._evictions, self._bytes)

    def count(self, hits: int, misses: int) -> None:
        """Note how many questions were answered here, and how many not."""
        with self._lock:
            self._hits += hits
            self._misses += misses

    # --- reading ----------------------------------------------------------------------------------

    def plan(
        self, plan: Plan, questions: Iterable[Question], make_event: Callable[[], Event]
    ) -> None:
        """
        Note in a plan what is held, if anything is; otherwise whom to wait for, and what to ask
        oneself.

        A key that is being changed is asked for by each reader alone. Whatever comes, an interrupt
        too, the caller must `leave` the flights that the plan then has.
        """
        with self._lock:
            if self._process != os.getpid():
                self._begin_anew()
            for question in questions:
                if entry := self._find(question):
                    plan.held[question] = entry
            if plan.held:
                return
            for question in questions:
                flight = self._flights.get(question.key, {}).get(question)
                if flight is None or not flight.current:
                    self._take_off(question, plan.mine)
                    continue
                if not flight.landed and flight.event is None:
                    flight.event = make_event()
                plan.joined[question] = flight

    def _begin_anew(self) -> None:
        """In a forked child nobody else reads, and the parent's changes may still arrive."""
        for key in tuple(self._flights):
            self._forget_flights(key)
        for change in self._changes:
            self._unsure.update(change.names)
        self._changes.clear()
        self._process = os.getpid()

    def _find(self, question: Question) -> Entry | None:
        slots = (question.key, None), question.slot
        for slot in slots if question.part else slots[:1]:
            entry = self._entries.get(slot)
            if entry is not None and entry.ready:
                self._entries.move_to_end(slot)
                return entry
        return None

    def _take_off(self, question: Question, mine: dict[Question, Flight]) -> None:
        flight = mine[question] = Flight(current=not self._is_unsettled(question.key))
        if flight.current:
            self._flights.setdefault(question.key, {})[question] = flight

    def _is_unsettled(self, key: str) -> bool:
        if key in self._unsure or any(change.touches(key) for change in self._changes):
            return True
        if not self._unsure:
            return False
        # The prefixes of a key end with one of its slashes; "" is the prefix of all.
        ends = (place + 1 for place, letter in enumerate(key) if letter == "/")
        return any(each in self._unsure for each in ("", *(key[:end] for end in ends)))

    def land(self, flight: Flight, answer: Any, error: BaseException | None = None) -> None:
        """Give those who wait for a flight the answer or the error."""
        with self._lock:
            flight.answer, flight.error, flight.landed = answer, error, True
        if flight.event is not None:
            flight.event.set()

    def leave(self, flights: dict[Question, Flight]) -> None:
        """
        Forget flights; who asks from now on finds what was kept.

        Those who wait for one that has not landed ask again.
        """
        with self._lock:
            for question, flight in flights.items():
                if not flight.landed:
                    flight.error, flight.landed = _GIVEN_UP, True
                flight.current = False
                known = self._flights.get(question.key, {})
                if known.get(question) is flight:
                    del known[question]
                if not known:
                    self._flights.pop(question.key, None)
        for flight in flights.values():
            if flight.event is not None:
                flight.event.set()

    def _forget_flights(self, key: str) -> None:
        """Let nobody join the flights of a key, nor keep what they bring."""
        for flight in self._flights.get(key, {}).values():
            flight.current = False
        self._flights.pop(key, None)

    # --- keeping ----------------------------------------------------------------------------------

    def add(self, entry: Entry, flight: Flight) -> list[Entry] | None:
        """
        Take room for what a flight has brought. It is found once it is `publish`ed.

        Returns:
            What had to go for it; or None if it may not be kept, for it may have been changed.
        """
        with self._lock:
            if not flight.current:
                return None
            self._mend()
            self._torn = True
            gone = [self._entries[entry.slot]] if entry.slot in self._entries else []
            for old in gone:
                self._remove(old)
            while self._bytes + entry.weight > self._max_bytes:
                oldest = next(iter(self._entries.values()))
                self._remove(oldest)
                self._evictions += 1
                gone.append(oldest)
            self._entries[entry.slot] = entry
            self._slots.setdefault(entry.slot[0], set()).add(entry.slot)
            self._bytes += entry.weight
            self._torn = False
        return gone

    def publish(self, entry: Entry) -> bool:
        """Let an entry be found; whether it is still wanted."""
        with self._lock:
            entry.ready = True
            return self._entries.get(entry.slot) is entry

    def remove(self, entry: Entry) -> None:
        """Give up an entry, if it is still there."""
        with self._lock:
            if self._entries.get(entry.slot) is entry:
                self._mend()
                self._torn = True
                self._remove(entry)
                self._torn = False

    def _remove(self, entry: Entry) -> None:
        key = entry.slot[0]
        del self._entries[entry.slot]
        self._slots[key].remove(entry.slot)
        if not self._slots[key]:
            del self._slots[key]
        self._bytes -= entry.weight

    def _mend(self) -> None:
        """Find out anew what follows from the entries, if an interrupt came in between."""
        if not self._torn:
            return
        self._slots = {}
        for key, part in self._entries:
            self._slots.setdefault(key, set()).add((key, part))
        self._bytes = sum(entry.weight for entry in self._entries.values())
        self._torn = False

    # --- changes ----------------------------------------------------------------------------------

    def begin(self, change: Change) -> list[Entry]:
        """
        Forget all about keys that are going to be changed; nothing of them is kept until `end`.

        Returns:
            The entries that are gone.
        """
        with self._lock:
            self._changes.add(change)
            return self._forget(change)

    def end(self, change: Change, *, done: bool = False, arriving: bool = False) -> None:
        """
        Keep again what is read of these keys from now on, unless a change of them may still arrive.

        Nothing happens if it has ended already.

        Args:
            change: The change.

            done: Whether it succeeded, and ends all doubt; one that was refused ends none.

            arriving: Whether it got lost, and may still arrive: a doubt.
        """
        with self._lock:
            if change not in self._changes:
                return
            if arriving:
                self._unsure.update(change.names)
            if done:
                self._unsure.difference_update(change.keys)
            if done and change.prefix is not None:
                self._unsure = {each for each in self._unsure if not change.touches(each)}
            self._changes.discard(change)

    def clear(self) -> list[Entry]:
        """Forget everything, doubts, too; the entries that are gone."""
        with self._lock:
            gone = self._forget(Change((), ""))
            self._unsure = set()
        return gone

    def _forget(self, change: Change) -> list[Entry]:
        self._mend()
        self._torn = True
        doomed = set(change.keys)
        if change.prefix is not None:
            for known in (self._slots, self._flights):
                doomed.update(key for key in known if key.startswith(change.prefix))
        gone: list[Entry] = []
        for key in doomed:
            self._forget_flights(key)
            gone += [self._entries[slot] for slot in self._slots.get(key, ())]
        for entry in gone:
            self._remove(entry)
        self._torn = False
        return gone
