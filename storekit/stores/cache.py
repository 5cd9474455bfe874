"""A store that remembers what was read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias
from uuid import uuid4

from storekit.errors import KeyNotFoundError, StoreError
from storekit.keys import resolve_range
from storekit.stores._cache_entries import CacheStats, Entry, Flight, Plan, Question
from storekit.stores._cache_index import Index
from storekit.stores._changes import Change, is_change, may_still_arrive
from storekit.stores._checks import check_flag, check_limit
from storekit.stores.base import ReadableStore, Store, WritableStore
from storekit.stores.memory import MemoryStore
from storekit.stores.states import Heard, Said, say_state
from storekit.stores.wrapper import Call, WrapperStore
from storekit.typing import ByteRange, Value

__all__ = ["CacheStats", "CacheStore"]

Policy: TypeAlias = Callable[[str, ByteRange | None], bool]
_Ask: TypeAlias = Callable[[Sequence[Question]], Sequence[Any]]

_CACHED = {"get", "get_partial_values", "exists", "getsize"}


class CacheStore(WrapperStore):
    """
    A store that keeps what was read from it in another one, and answers from there.

    Whole values are kept, and ranges as they were asked for. A whole value answers for all ranges
    of itself, and for `exists` and `getsize`. When the budget is used up what was least recently
    used has to go; a value larger than the budget is not kept, and nothing goes for it.

    Listings are never kept, nor are versions: `get_versioned` always asks the inner store, so that
    read-modify-write by compare-and-set stays right.

    A change, also one that fails, forgets all that is kept of its keys before it begins. Until it
    has ended these keys are read from the inner store; what is read, or was being read when it
    began, is not kept. After a change that got lost on the way, and may still arrive, they are not
    kept until another change of them has succeeded; what arrives after that is not noticed, so a
    `TimeoutStore` belongs outside. Nor are changes that do not go through this object; `clear`
    forgets everything.

    Threads that miss the same thing at the same time make one call of the inner store. If that
    fails, those who waited for it get the error if the key is absent; otherwise one of them asks
    again for all. The error of a call that began after they asked is theirs.

    What the cache store has lost, or cannot give, is a miss. Its entries lie under names of this
    object alone; those of another process, or of an earlier one, are never looked at. They are
    removed when they are no longer needed and by `close`, but not when the process is killed, nor
    always when Ctrl-C comes just then.

    Args:
        store: The inner store.

        cache: Where to keep values: a store that can be read and written, which others may use,
            too; it is not closed. Defaults to a new `MemoryStore`.

        max_bytes: The budget: how many bytes the values kept may have together. An absence or an
            empty value counts as many as its key.

        policy: Called with a key and a range (None: the whole value, or its absence); whether to
            keep it. Defaults to everything.

        negative: Whether to keep also that a key is absent.

    Raises:
        TypeError: If `cache` cannot be read and written, `policy` is no function or `negative` no
            bool.

        ValueError: If `max_bytes` is negative or no int, or entries would lie among the data.

    Threads: as safe as the two stores. No lock is held while one of them is asked. It can be
    used as before when Ctrl-C has come, and in a forked child, whatever was under way.

    A restored pickle has the same parameters, and begins with nothing kept. A `MemoryStore` given
    as `cache` does not travel, and does not count when two stores are compared.
    """

    def __init__(
        self,
        store: Store,
        cache: Store | None = None,
        *,
        max_bytes: int = 1 << 28,
        policy: Policy | None = None,
        negative: bool = False,
    ) -> None:
        super().__init__(store)
        self._prefix = f"cache-{uuid4().hex}/"
        self.cache: Any = _checked(MemoryStore() if cache is None else cache, store, self._prefix)
        self.max_bytes = check_limit("max_bytes", max_bytes)
        if policy is not None and not callable(policy):
            raise TypeError(f"policy must be a function, found {policy!r}")
        self.policy, self.negative = policy, check_flag("negative", negative)
        self._index = Index(self.max_bytes)

    @property
    def stats(self) -> CacheStats:
        """Hits, misses, evictions and bytes, at this moment."""
        return self._index.stats

    def clear(self) -> None:
        """Forget everything that is kept, also what is just being read."""
        self._discard(self._index.clear())

    def close(self) -> None:
        """Remove the entries from the cache store, and close the inner store."""
        self.clear()
        super().close()

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        if is_change(call):
            return self._change(call, proceed)
        if call.op not in _CACHED:
            return proceed()
        if call.op != "get_partial_values":
            question = Question(call.op, call.keys[0])
            return self._read([question], lambda _: [proceed()])[question]

        def ask(missing: Sequence[Question]) -> list[Value | None]:
            less = replace(
                call,
                keys=tuple(question.key for question in missing),
                ranges=tuple(question.part or (0, None) for question in missing),
            )
            answers: list[Value | None] = less.on(self._inner)
            return answers

        questions = [
            Question(call.op, key, part) for key, part in zip(call.keys, call.ranges, strict=True)
        ]
        answers = self._read(questions, ask)
        return [answers[question] for question in questions]

    def _change(self, call: Call, proceed: Callable[[], Any]) -> Any:
        change = Change(call.keys, call.prefix)
        try:
            try:
                self._discard(self._index.begin(change))
                answer = proceed()
                self._index.end(change, done=True)
                return answer
            except BaseException as error:
                self._index.end(change, arriving=may_still_arrive(error))
                raise
        except BaseException:
            self._index.end(change, arriving=True)  # an interrupt came before it had ended
            raise

    # --- reading ----------------------------------------------------------------------------------

    def _read(self, questions: Sequence[Question], ask: _Ask) -> dict[Question, Any]:
        """The answers to questions, of which `ask` gets those that must be asked."""
        answers: dict[Question, Any] = {}
        waited: set[Question] = set()
        said: set[Said | None] = set()
        hits, total = 0, len(set(questions))
        try:
            while len(answers) < total:
                missing = dict.fromkeys(each for each in questions if each not in answers)
                # First what others may be waiting for: so no two wait for each other.
                plan, led = self._lead(missing, ask)
                answers |= led
                said.update(flight.said for flight in plan.mine.values())
                if plan.held:
                    found = self._recall(plan.held)
                    hits += len(found)
                    said.update(plan.held[each].said for each in found)
                    answers |= {each: _answer(self, each, value) for each, value in found.items()}
                for question, flight in plan.joined.items():
                    flight.wait()
                    if flight.error is None:
                        answers[question] = flight.answer
                        said.add(flight.said)
                    elif _is_shared(flight.error, question in waited):
                        raise flight.error
                    waited.add(question)
        finally:
            self._index.count(hits, total - hits)
        _say(said)
        return answers

    def _lead(self, questions: Collection[Question], ask: _Ask) -> tuple[Plan, dict[Question, Any]]:
        """A plan for questions, and the answers to those of them that had to be asked."""
        plan = Plan()
        try:
            try:
                self._index.plan(plan, questions, self.clock.event)
                return plan, self._fly(plan.mine, ask) if plan.mine else {}
            finally:
                self._index.leave(plan.mine)
        except BaseException:
            self._index.leave(plan.mine)  # an interrupt may have come before all had left
            raise

    def _fly(self, flights: dict[Question, Flight], ask: _Ask) -> dict[Question, Any]:
        """Ask the inner store, tell those who wait, and keep the answers."""
        heard = Heard()
        try:
            answers = dict(zip(flights, heard.listen_to(ask, list(flights)), strict=True))
        except BaseException as error:
            for question, flight in flights.items():
                self._index.land(flight, None, error)
                if isinstance(error, KeyNotFoundError) and question.part is None:
                    self._keep(question, flight, None)
            raise
        for question, flight in flights.items():
            flight.said = heard.said
            self._index.land(flight, answers[question])
        for question, flight in flights.items():
            self._keep(question, flight, answers[question])
        return answers

    # --- the cache store --------------------------------------------------------------------------

    def _recall(self, held: dict[Question, Entry]) -> dict[Question, Any]:
        """What is known about questions (None for an absence), without what has been lost."""
        found: dict[Question, Any] = {}
        stored: list[tuple[Question, Entry, ByteRange]] = []
        for question, entry in held.items():
            if entry.name is None:
                found[question] = None
            elif question.op in ("exists", "getsize"):
                found[question] = True if question.op == "exists" else entry.size
            else:
                part = question.part if entry.slot[1] is None else None
                stored.append((question, entry, part or (0, None)))
        values = self._load([(entry.name, *part) for _, entry, part in stored])
        for (question, entry, part), value in zip(stored, values, strict=True):
            first, last = resolve_range(*part, entry.size)
            if value is not None and len(value) == last - first:
                found[question] = value
            else:
                self._index.remove(entry)
                self._discard([entry])
        return found

    def _load(self, ranges: Sequence[Any]) -> Sequence[Value | None]:
        if not ranges:
            return ()
        try:
            # Unheard by others: the state of an entry is not that of the value.
            values: Sequence[Value | None]
            values = Heard().listen_to(self.cache.get_partial_values, ranges)
        except StoreError:
            return [None] * len(ranges)
        return values

    def _keep(self, question: Question, flight: Flight, answer: Any) -> None:
        """Put what a flight has brought into the cache, if it is wanted there."""
        absent = answer is None or answer is False
        if not (self.negative if absent else question.op in ("get", "get_partial_values")):
            return
        slot = (question.key, None) if absent else question.slot
        size = 0 if absent else len(answer)
        name = None if absent else f"{self._prefix}{uuid4().hex}"
        entry = Entry(slot, name, size, size or len(question.key.encode()), flight.said)
        if entry.weight > self.max_bytes or (self.policy and not self.policy(*slot)):
            return
        gone = self._index.add(entry, flight)
        if gone is None:
            return
        self._discard(gone)
        try:
            if name is not None:
                self.cache.set(name, answer)
            wanted = self._index.publish(entry)
        except BaseException as error:
            self._index.remove(entry)
            self._discard([entry])
            if isinstance(error, StoreError):
                return
            raise
        if not wanted:
            self._discard([entry])

    def _discard(self, entries: Iterable[Entry]) -> None:
        names = [entry.name for entry in entries if entry.name is not None]
        if names:
            with suppress(StoreError):
                self.cache.erase_values(names)

    # --- the object -------------------------------------------------------------------------------

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {}
        if not isinstance(self.cache, MemoryStore):
            config["cache"] = self.cache
        config["max_bytes"] = self.max_bytes
        if self.policy is not None:
            config["policy"] = self.policy
        if self.negative:
            config["negative"] = True
        return config


def _say(said: Collection[Said | None]) -> None:
    """Say in which states all of several answers were; nothing if that is not known of one."""
    known = [each for each in said if each is not None]
    if len(known) == len(said):
        for place, state, lasting in known:
            say_state(place, state, lasting=lasting)


def _answer(store: Store, question: Question, known: Any) -> Any:
    """The answer to a question of which the cache knows something, or (None) that it is absent."""
    if known is not None or question.op == "get_partial_values":
        return known
    if question.op == "exists":
        return False
    key = question.key
    raise KeyNotFoundError(f"no key {key!r}, as it remembers", store=store, op=question.op, key=key)


def _is_shared(error: BaseException, waited: bool) -> bool:
    """Whether the error of another's call is an answer to one who waited; once, or again."""
    return isinstance(error, KeyNotFoundError) or (waited and isinstance(error, StoreError))


def _checked(cache: Store, store: Store, prefix: str) -> Store:
    if not (isinstance(cache, ReadableStore) and isinstance(cache, WritableStore)):
        raise TypeError(f"cache must be a store that can be read and written, found {cache!r}")
    (place, entries), (data, start) = cache._place(prefix), store._place("")
    if place == data and entries.startswith(start):
        raise ValueError(f"cache must be another store, or lie beside the data, found {cache!r}")
    return cache
