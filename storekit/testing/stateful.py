"""A store beside a dict: hypothesis looks for a sequence of calls after which they differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from storekit.errors import ConflictError, InvalidRangeError, KeyConflictError, KeyNotFoundError
from storekit.keys import resolve_range
from storekit.stores.base import ConditionalStore, ListableStore, Store
from storekit.testing.strategies import byte_ranges, keys, prefixes, values

__all__ = ["StoreMachine", "check_store", "store_machine"]

KEYS, PREFIXES, VALUES, RANGES = keys(), prefixes(), values(), byte_ranges()


class StoreMachine(RuleBasedStateMachine):
    """
    Random calls of a readable and writable store and of a dict, after each of which both agree.

    Made into a machine for a store by `store_machine`.

    Attributes:
        make_store: Called at the beginning of each run, for an empty store.

        flat: Whether a key may be the prefix of another.
    """

    make_store: ClassVar[Callable[[], Store]]
    flat: ClassVar[bool] = False

    @initialize()
    def open(self) -> None:
        """Begin with nothing."""
        self.store: Any = type(self).make_store()
        self.model: dict[str, bytes] = {}

    # --- changes ----------------------------------------------------------------------------------

    def _conflicts(self, key: str) -> bool:
        return not self.flat and any(
            key.startswith(f"{other}/") or other.startswith(f"{key}/") for other in self.model
        )

    @rule(key=KEYS, value=VALUES)
    def set(self, key: str, value: bytes) -> None:
        """`set` stores, unless a key would be the prefix of another."""
        if self._conflicts(key):
            _raises(KeyConflictError, self.store.set, key, value)
        else:
            self.store.set(key, value)
            self.model[key] = value

    @rule(pairs=st.lists(st.tuples(KEYS, VALUES), max_size=4))
    def set_values(self, pairs: list[tuple[str, bytes]]) -> None:
        """`set_values` stores one after the other, as far as it comes."""
        for key, value in pairs:
            if self._conflicts(key):
                _raises(KeyConflictError, self.store.set_values, pairs)
                return
            self.model[key] = value
        self.store.set_values(iter(pairs))

    @rule(key=KEYS)
    def erase(self, key: str) -> None:
        """`erase` removes a key, present or not."""
        self.store.erase(key)
        self.model.pop(key, None)

    @rule(keys=st.lists(KEYS, max_size=4))
    def erase_values(self, keys: list[str]) -> None:
        """`erase_values` removes several."""
        self.store.erase_values(iter(keys))
        for key in keys:
            self.model.pop(key, None)

    @rule(prefix=PREFIXES)
    def erase_prefix(self, prefix: str) -> None:
        """`erase_prefix` removes what is under the prefix, and counts."""
        doomed = [key for key in self.model if key.startswith(prefix)]
        assert self.store.erase_prefix(prefix) == len(doomed)
        for key in doomed:
            del self.model[key]

    @rule(key=KEYS, start=st.integers(-1, 45), part=VALUES)
    def set_partial_values(self, key: str, start: int, part: bytes) -> None:
        """`set_partial_values` writes into an existing value, and leaves no gap."""
        old = self.model.get(key)
        change = self.store.set_partial_values, [(key, start, part)]
        if start < 0:
            _raises(InvalidRangeError, *change)
        elif old is None:
            _raises(KeyNotFoundError, *change)
        elif start > len(old):
            _raises(InvalidRangeError, *change)
        else:
            self.store.set_partial_values([(key, start, part)])
            self.model[key] = old[:start] + part + old[start + len(part) :]

    @precondition(lambda self: isinstance(self.store, ConditionalStore))
    @rule(key=KEYS, value=st.none() | VALUES, stale=st.booleans())
    def compare_and_set(self, key: str, value: bytes | None, stale: bool) -> None:
        """`compare_and_set` changes what has the version expected, and nothing else."""
        version = self.store.get_versioned(key)[1] if key in self.model else None
        if stale:
            wrong = "stale" if version is None else None
            _raises(ConflictError, self.store.compare_and_set, key, value, wrong)
        elif value is None:
            assert self.store.compare_and_set(key, None, version) is None
            self.model.pop(key, None)
        elif self._conflicts(key):
            _raises(KeyConflictError, self.store.compare_and_set, key, value, version)
        else:
            new = self.store.compare_and_set(key, value, version)
            assert new != version
            assert self.store.get_versioned(key) == (value, new)
            self.model[key] = value

    # --- questions --------------------------------------------------------------------------------

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        """`get`, `getsize` and `exists` agree with the dict, also about what is missing."""
        assert self.store.exists(key) == (key in self.model)
        if key in self.model:
            assert bytes(self.store.get(key)) == self.model[key]
            assert self.store.getsize(key) == len(self.model[key])
        else:
            _raises(KeyNotFoundError, self.store.get, key)
            _raises(KeyNotFoundError, self.store.getsize, key)

    @rule(parts=st.lists(st.tuples(KEYS, RANGES), max_size=6))
    def get_partial_values(self, parts: list[tuple[str, tuple[int, int | None]]]) -> None:
        """`get_partial_values` gives slices, in order, and None for what is missing."""
        asked = [(key, *part) for key, part in parts]
        found = self.store.get_partial_values(iter(asked))
        expected = [self._slice(*part) for part in asked]
        assert [value if value is None else bytes(value) for value in found] == expected

    def _slice(self, key: str, start: int, length: int | None) -> bytes | None:
        value = self.model.get(key)
        if value is None:
            return None
        first, last = resolve_range(start, length, len(value))
        return value[first:last]

    @precondition(lambda self: isinstance(self.store, ListableStore))
    @rule(prefix=PREFIXES)
    def list_prefix(self, prefix: str) -> None:
        """`list_prefix` and `list_dir` show what begins with the prefix."""
        under = sorted(key for key in self.model if key.startswith(prefix))
        assert self.store.list_prefix(prefix) == under
        start = len(prefix)
        names = {key[: key.find("/", start) + 1] or key for key in under}
        assert self.store.list_dir(prefix) == sorted(names)

    @invariant()
    def same(self) -> None:
        """Store and dict have the same keys and values."""
        if isinstance(self.store, ListableStore):
            assert self.store.list() == sorted(self.model)
        found = self.store.get_partial_values([(key, 0, None) for key in self.model])
        assert [bytes(value) for value in found] == list(self.model.values())

    def teardown(self) -> None:
        """Close the store."""
        self.store.close()


def store_machine(make_store: Callable[[], Store], *, flat: bool = False) -> type[StoreMachine]:
    """
    The state machine of a store; its attribute `TestCase` is a test that pytest collects.

    Args:
        make_store: Called for each run, for an empty store that can be read and written.

        flat: Whether a key may be the prefix of another, as in object stores.
    """
    return type("Machine", (StoreMachine,), {"make_store": staticmethod(make_store), "flat": flat})


def check_store(
    make_store: Callable[[], Store], *, flat: bool = False, settings: settings | None = None
) -> None:
    """
    Run the state machine of a store, and raise if the store ever differs from a dict.

    Args:
        make_store: As in `store_machine`.

        flat: As in `store_machine`.

        settings: How long and how hard hypothesis tries. Defaults to hypothesis's profile.
    """
    run_state_machine_as_test(store_machine(make_store, flat=flat), settings=settings)


def _raises(kind: type[Exception], call: Callable[..., object], *args: object) -> None:
    try:
        call(*args)
    except kind:
        return
    raise AssertionError(f"{call.__name__}{args!r} did not raise {kind.__name__}")
