"""
The engine of faults: it counts calls, and says what befalls each of them.

It knows no store. Whoever carries out calls asks it what is due for each of them::

    due = faults.due("get", ["a/c/0"])
    due.before()                          # raises if the request gets lost
    value = fetch("a/c/0")
    due.after()                           # raises if the answer gets lost
    value = due.damaged("a/c/0", value)   # cut, or with bits flipped
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from storekit.draws import Draws
from storekit.shared import Shared
from storekit.stores.fault import READS, Fault
from storekit.typing import Value

__all__ = ["Due", "Fault", "Faults", "Fired"]


@dataclass(frozen=True, slots=True)
class Fired:
    """
    One effect of a rule.

    Attributes:
        rule: The rule.

        op: The operation.

        keys: Those of its keys that match, each once; or its prefix.

        nth: Which of the calls that match it was, beginning with 1.

        when: Whether the call was hit ``"before"`` or ``"after"`` it reached the store.
    """

    rule: Fault
    op: str
    keys: tuple[str, ...]
    nth: int
    when: Literal["before", "after"]


class Faults(Shared):
    """
    Rules, how often each has matched and taken effect, and what they did.

    Args:
        rules: Of several that would raise at one moment the first does.

        seed: Of the probabilities and of the bits flipped. They depend on the rule's place in
            `rules`, the operation, the keys that match and how often these came together, not on
            the order of threads.

    Raises:
        TypeError: If a rule is none.

        ValueError: If the seed is no int.

    Threads: safe. Pickled, it stays one object in each process (see `storekit.shared`); in another
    one it counts from the beginning.
    """

    def __init__(self, rules: Iterable[Fault] = (), *, seed: int = 0) -> None:
        self.rules, self.seed = tuple(rules), seed
        for rule in self.rules:
            if not isinstance(rule, Fault):
                raise TypeError(f"rules must be of Fault, found {rule!r}")
        self._draws = Draws(seed)
        self._matched, self._effects = [0] * len(self.rules), [0] * len(self.rules)
        self._fired: list[Fired] = []
        self._lock = threading.Lock()

    @property
    def fired(self) -> list[Fired]:
        """What the rules did so far, in the order of the effects."""
        with self._lock:
            return list(self._fired)

    def due(self, op: str, keys: Iterable[str]) -> Due:
        """
        Count a call that begins, and say what befalls it.

        Args:
            op: The operation, by the name of the method.

            keys: Its keys, or its prefix.
        """
        asked = tuple(dict.fromkeys(keys))
        hits = []
        for number, rule in enumerate(self.rules):
            matching = tuple(key for key in asked if rule.matches(op, key))
            if matching:
                with self._lock:
                    self._matched[number] += 1
                    nth = self._matched[number]
                if self._is_due(number, rule, op, matching, nth):
                    late = op in READS if rule.damages else rule.when == "after"
                    when: Literal["before", "after"] = "after" if late else "before"
                    hits.append((number, Fired(rule, op, matching, nth, when)))
        return Due(self, hits)

    def _is_due(self, number: int, rule: Fault, op: str, keys: tuple[str, ...], nth: int) -> bool:
        if rule.nth is not None:
            return nth == rule.nth
        if rule.every is not None:
            return nth % rule.every == 0
        if rule.p is not None:
            return self._draws.uniform("due", number, op, keys) < rule.p
        return True

    def _claim(self, number: int, what: Fired) -> bool:
        """Note an effect, unless the rule has had as many as it may."""
        with self._lock:
            if self._effects[number] == what.rule.times:
                return False
            self._effects[number] += 1
            self._fired.append(what)
            return True

    def _arguments(self) -> dict[str, Any]:
        return {"rules": self.rules, "seed": self.seed}

    def __repr__(self) -> str:
        seed = f", seed={self.seed}" if self.seed else ""
        return f"Faults({list(self.rules)!r}{seed})"


class Due:
    """
    What befalls one call; false if nothing does.

    Args:
        faults: Where effects are counted.

        hits: The rules that are due, by their number.
    """

    def __init__(self, faults: Faults, hits: Sequence[tuple[int, Fired]]) -> None:
        self._faults, self._hits = faults, hits
        self._claimed: dict[int, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._hits)

    def before(self, store: object = None) -> None:
        """
        Raise the error, if there is one, that keeps the call from happening.

        Args:
            store: What the error names.
        """
        self._raise("before", store)

    def after(self, store: object = None) -> None:
        """Raise the error, if there is one, that takes the place of the answer."""
        self._raise("after", store)

    def damaged(self, key: str, value: Value) -> Value:
        """A value on its way: as it is, or what arrives of it."""
        for number, hit in self._hits:
            rule = hit.rule
            size = len(value) if rule.truncate is None else min(len(value), rule.truncate)
            changes = rule.damages and (size < len(value) or (rule.flip and size))
            if changes and key in hit.keys and self._claim(number, hit):
                value = value[:size]
                if rule.flip:
                    value = _flip(value, self._bits(number, hit.op, key, rule.flip, size * 8))
        return value

    def _raise(self, when: str, store: object) -> None:
        for number, hit in self._hits:
            if not hit.rule.damages and hit.when == when and self._claim(number, hit):
                raise hit.rule.exception(hit.op, hit.keys[0], store)

    def _claim(self, number: int, hit: Fired) -> bool:
        """Once for all the values of a call."""
        if number not in self._claimed:
            self._claimed[number] = self._faults._claim(number, hit)
        return self._claimed[number]

    def _bits(self, number: int, op: str, key: str, count: int, total: int) -> set[int]:
        """So many of the bits, all equally likely, by Floyd's algorithm."""
        chosen: set[int] = set()
        for last in range(max(total - count, 0), total):
            bit = int(self._faults._draws.uniform("flip", number, op, key) * (last + 1))
            chosen.add(last if bit in chosen else bit)
        return chosen


def _flip(value: Value, bits: Iterable[int]) -> bytes:
    changed = bytearray(value)
    for bit in bits:
        changed[bit >> 3] ^= 1 << (bit & 7)
    return bytes(changed)
