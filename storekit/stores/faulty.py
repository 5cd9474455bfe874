"""A store that fails by rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from storekit.errors import StoreError
from storekit.stores.base import Store
from storekit.stores.fault import Fault
from storekit.stores.faults import Due, Faults, Fired
from storekit.stores.wrapper import Call, WrapperStore

__all__ = ["FaultyStore"]


class FaultyStore(WrapperStore):
    """
    A store that loses requests or answers, reads too little, or flips bits, as rules say.

    Each rule is a `Fault`. First come the rules that raise before the call; what is written is then
    damaged on its way in. After the call come the rules that lose the answer, which may be an error
    such as `KeyNotFoundError`; what is read is damaged last. The errors carry this store, the
    operation, and the first key that matches.

    A call of `set_values` with many or large values counts as several, with some of them each.

    Args:
        store: The inner store.

        rules: The rules; or `Faults`, whose counts and log several stores then share, and which a
            pickled store keeps in one process. Other stores have counts of their own, which begin
            anew in a copy.

        seed: Of probabilities and flipped bits. `Faults` have their own.

    Raises:
        TypeError: If a rule is none.

        ValueError: If the seed is no int, or is given beside `Faults`.

    Threads: as safe as the inner store. Rules count the calls of all threads in the order in which
    they begin.
    """

    def __init__(
        self, store: Store, rules: Iterable[Fault] | Faults = (), *, seed: int = 0
    ) -> None:
        super().__init__(store)
        self._shares = isinstance(rules, Faults)
        if isinstance(rules, Faults):
            if seed:
                raise ValueError(f"seed is that of the Faults, found another one: {seed!r}")
            self.faults = rules
        else:
            self.faults = Faults(rules, seed=seed)

    @property
    def fired(self) -> list[Fired]:
        """What the rules did so far, in the order of the effects."""
        return self.faults.fired

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        keys = call.keys if call.prefix is None else (call.prefix,)
        due = self.faults.due(call.op, keys)
        if not due:
            return proceed()
        due.before(store=self)
        if call.values:
            proceed = partial(_sent(call, due).on, self._inner)
        try:
            answer = proceed()
        except StoreError:
            due.after(store=self)
            raise
        due.after(store=self)
        return _received(call, answer, due)

    def _config(self) -> dict[str, Any]:
        if self._shares:
            return {"rules": self.faults}
        config: dict[str, Any] = {"rules": self.faults.rules}
        if self.faults.seed:
            config["seed"] = self.faults.seed
        return config


def _sent(call: Call, due: Due) -> Call:
    """The call as it arrives."""
    values = tuple(
        None if value is None else due.damaged(key, value)
        for key, value in zip(call.keys, call.values, strict=True)
    )
    return replace(call, values=values)


def _received(call: Call, answer: Any, due: Due) -> Any:
    """The answer as it arrives."""
    match call.op:
        case "get":
            return due.damaged(call.keys[0], answer)
        case "get_versioned":
            value, version = answer
            return due.damaged(call.keys[0], value), version
        case "get_partial_values":
            return [
                None if part is None else due.damaged(key, part)
                for key, part in zip(call.keys, answer, strict=True)
            ]
    return answer
