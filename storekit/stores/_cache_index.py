"""What a cache holds, who is fetching what, and which keys are being changed."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from storekit.clock import Event
from storekit.stores._cache_entries import CacheStats, Entry, Flight, Plan, Question, Slot

__all__ = ["Index"]


class Index:
    """
    The state of a cache, of which each method is one step.

    Args:
        max_bytes: The budget.

    Threads: safe. The lock is held for a few steps of Python, never across a call of a store.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Slot, Entry] = OrderedDict()  # least recently used first
        self._slots: dict[str, set[Slot]] = {}  # by key
        self._flights: dict[str, dict[Question, Flight]] = {}  # by key
        self._changing: Counter[str] = Counter()
        self._sweeping: Counter[str] = Counter()  # prefixes that are being erased
        self._unsure: set[str] = set()  # keys, and prefixes, of which a change may still arrive
        self._bytes = self._hits = self._misses = self._evictions = 0
        self._lock = threading.Lock()

    @property
    def stats(self) -> CacheStats:
        """The numbers so far."""
        with self._lock:
            return CacheStats(self._hits, self._misses, self._evictions, self._bytes)

    def count(self, hits: int, misses: int) -> None:
        """Note how many questions were answered here, and how many not."""
        with self._lock:
            self._hits += hits
            self._misses += misses

    # --- reading ----------------------------------------------------------------------------------

    def plan(self, questions: Iterable[Question], make_event: Callable[[], Event]) -> Plan:
        """
        What is held, if anything is; otherwise whom to wait for, and what to ask oneself.

        A key that is being changed is asked for by each reader alone.
        """
        plan = Plan()
        with self._lock:
            for question in questions:
                if entry := self._find(question):
                    plan.held[question] = entry
            if plan.held:
                return plan
            for question in questions:
                flight = self._flights.get(question.key, {}).get(question)
                if flight is None:
                    plan.mine[question] = self._take_off(question)
                    continue
                if not flight.landed and flight.event is None:
                    flight.event = make_event()
                plan.joined[question] = flight
        return plan

    def _find(self, question: Question) -> Entry | None:
        slots = (question.key, None), question.slot
        for slot in slots if question.part else slots[:1]:
            entry = self._entries.get(slot)
            if entry is not None and entry.ready:
                self._entries.move_to_end(slot)
                return entry
        return None

    def _take_off(self, question: Question) -> Flight:
        flight = Flight(current=not self._is_unsettled(question.key))
        if flight.current:
            self._flights.setdefault(question.key, {})[question] = flight
        return flight

    def _is_unsettled(self, key: str) -> bool:
        if key in self._changing or key in self._unsure:
            return True
        if not self._sweeping and not self._unsure:
            return False
        # The prefixes of a key end with one of its slashes; "" is the prefix of all.
        ends = (place + 1 for place, letter in enumerate(key) if letter == "/")
        prefixes = ("", *(key[:end] for end in ends))
        return any(each in self._sweeping or each in self._unsure for each in prefixes)

    def land(self, flight: Flight, answer: Any, error: BaseException | None = None) -> None:
        """Give those who wait for a flight the answer or the error."""
        with self._lock:
            flight.answer, flight.error, flight.landed = answer, error, True
        if flight.event is not None:
            flight.event.set()

    def leave(self, flights: dict[Question, Flight]) -> None:
        """Forget flights; who asks from now on finds what was kept."""
        with self._lock:
            for question, flight in flights.items():
                if flight.current:
                    flight.current = False
                    self._forget_flight(question)

    def _forget_flight(self, question: Question) -> None:
        flights = self._flights[question.key]
        del flights[question]
        if not flights:
            del self._flights[question.key]

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
                self._remove(entry)

    def _remove(self, entry: Entry) -> None:
        key = entry.slot[0]
        del self._entries[entry.slot]
        self._slots[key].remove(entry.slot)
        if not self._slots[key]:
            del self._slots[key]
        self._bytes -= entry.weight

    # --- changes ----------------------------------------------------------------------------------

    def begin(self, keys: Iterable[str], prefix: str | None) -> list[Entry]:
        """
        Forget all about keys that are going to be changed; nothing of them is kept until `end`.

        Returns:
            The entries that are gone.
        """
        gone: list[Entry] = []
        with self._lock:
            self._changing.update(keys)
            doomed = set(keys)
            if prefix is not None:
                self._sweeping[prefix] += 1
                for known in (self._slots, self._flights):
                    doomed.update(key for key in known if key.startswith(prefix))
            for key in doomed:
                for flight in self._flights.pop(key, {}).values():
                    flight.current = False
                gone += [self._entries[slot] for slot in self._slots.get(key, ())]
            for entry in gone:
                self._remove(entry)
        return gone

    def end(
        self,
        keys: Iterable[str],
        prefix: str | None,
        *,
        done: bool = False,
        arriving: bool = False,
    ) -> None:
        """
        Keep again what is read of these keys from now on, unless a change of them may still arrive.

        Args:
            keys: Of the change.

            prefix: Of the change.

            done: Whether it succeeded, and ends all doubt; one that was refused ends none.

            arriving: Whether it got lost, and may still arrive: a doubt.
        """
        with self._lock:
            _count_down(self._changing, keys)
            prefixes = () if prefix is None else (prefix,)
            _count_down(self._sweeping, prefixes)
            if arriving:
                self._unsure.update(keys, prefixes)
            if not done:
                return
            self._unsure.difference_update(keys)
            if prefix is not None:
                self._unsure = {each for each in self._unsure if not each.startswith(prefix)}


def _count_down(counter: Counter[str], names: Iterable[str]) -> None:
    for name in names:
        counter[name] -= 1
        if not counter[name]:
            del counter[name]
