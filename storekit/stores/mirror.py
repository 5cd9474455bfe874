"""A store that is kept several times."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, Self

from storekit.errors import (
    KeyConflictError,
    KeyNotFoundError,
    StoreError,
    TransportError,
    UnsupportedError,
)
from storekit.stores._changes import Change, Changes, is_change, was_refused
from storekit.stores._forward import abilities
from storekit.stores._variant import declared_class
from storekit.stores.base import (
    ConditionalStore,
    ListableStore,
    ReadableStore,
    Store,
    WritableStore,
)
from storekit.stores.prefix import PrefixStore
from storekit.stores.wrapper import Call, WrapperStore, _with_capabilities
from storekit.typing import Value

__all__ = ["MirrorStore"]

_ATTEMPTS = 5
"""How often a copy is asked again whose old keys are in the way of what the primary has taken."""


class MirrorStore(WrapperStore):
    """
    A store with copies: changes go to all, and while it cannot be reached the copies are read.

    The primary decides. Reads are answered by it; if it fails on the way (`TransportError`, or an
    error that is retryable), the others are asked one after the other. An answer is also that a key
    is absent. If all fail the error of the primary is raised. `get_versioned` asks the primary
    alone, for versions are its own.

    A change is made in the primary and then in each of the others. If the primary fails, the others
    are not asked to make it, but get what the primary then holds, if that can be read. If others
    fail, the remaining ones are tried, and then the first error is raised. A note on the error says
    which store it came from. After any error the copies may differ until `repair`.

    Changes of one key at the same time, through this object, end with the value of the primary
    everywhere: the last one to end copies it. With `compare_and_set` that is so among several
    processes, too: after the copying the version in the primary is looked at, and the copying
    repeated until it stays.

    It can do what all of the stores can; compare-and-set is asked of the primary only.

    Args:
        store: The primary.

        others: The copies, in the order in which they are asked.

    Raises:
        TypeError: If one of them is no store.

        ValueError: If two of them are one store, or parts of it of which one holds the other.

    Threads: as safe as the stores.
    """

    def __new__(cls, store: Store, *others: Store) -> Self:
        """Make an instance with the capabilities that all of the stores have."""
        for other in (store, *others):
            if not isinstance(other, Store):
                raise TypeError(f"{cls.__name__} wraps stores, found {type(other).__name__}")
        kind = _with_capabilities(declared_class(cls), _common_abilities(store, others))
        made = object.__new__(kind)
        if not isinstance(made, cls):  # `cls` came from another mirror, of other capabilities
            made.__init__(store, *others)  # type: ignore[misc]
        return made  # type: ignore[return-value]

    def __init__(self, store: Store, *others: Store) -> None:
        super().__init__(store)
        self.others: tuple[Any, ...] = others
        _check_apart(self)
        self._changes = Changes()

    def close(self) -> None:
        """Close all of the stores."""
        with ExitStack() as stack:
            for store in (*self.others, self.inner):
                stack.callback(store.close)

    def repair(self) -> int:
        """
        Make the others hold what the primary holds, and return how many values that took.

        All values are read, one at a time.

        Raises:
            UnsupportedError: If one of the stores cannot be read and listed, or one of the others
                cannot be written.
        """
        needed = {ReadableStore, ListableStore}
        for store in (self.inner, *self.others):
            if not needed <= abilities(store):
                names = " and ".join(sorted(kind.__name__ for kind in needed))
                raise UnsupportedError(f"{store!r} is no {names}", store=self, op="repair")
            needed = {ReadableStore, ListableStore, WritableStore}
        held = set(self._inner.list())
        keys = held.union(*(other.list() for other in self.others))
        # Those that the primary lacks come first: they may be in the way of the others.
        return sum(map(self._repair, sorted(keys, key=lambda key: (key in held, key))))

    def _repair(self, key: str) -> int:
        with self._changes.change(Call("repair", (key,)), self._settle):
            value, version = self._look(key)
            differing = [other for other in self.others if _get(other, key) != value]
            if differing:
                _raise_first(self._copy(key, value, version, differing))
        return len(differing)

    # --- calls ------------------------------------------------------------------------------------

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        if not self.others or call.op == "get_versioned":
            return proceed()
        if not is_change(call):
            return self._read(call, proceed)
        with self._changes.change(call, self._settle) as change:
            return self._change(call, proceed, change)

    def _read(self, call: Call, proceed: Callable[[], Any]) -> Any:
        try:
            return proceed()
        except StoreError as error:
            if not _is_lost(error):
                raise
            for other in self.others:
                try:
                    return call.on(other)
                except KeyNotFoundError:
                    raise
                except StoreError as second:
                    error.add_note(f"{other!r} failed, too: {second}")
            raise

    def _change(self, call: Call, proceed: Callable[[], Any], change: Change) -> Any:
        try:
            answer = proceed()
        except Exception as error:
            error.add_note(f"raised by the primary, {self.inner!r}")
            if not was_refused(call, error):
                change.doubtful.update(call.keys)
            raise
        if call.op == "compare_and_set":
            (key,), (value,) = call.keys, call.values
            _raise_first(self._copy(key, value, answer, self.others))
        else:
            _raise_first(self._tell(call, self.others))
        return answer

    def _tell(self, call: Call, others: Iterable[Any]) -> list[Exception]:
        """Make a change in each of some stores; the errors that it brought."""
        errors: list[Exception] = []
        for other in others:
            try:
                self._repeat(call, other)
            except Exception as error:  # noqa: BLE001 - raised when all have been tried
                error.add_note(f"raised by {other!r}; the primary has made the change")
                errors.append(error)
        return errors

    def _repeat(self, call: Call, other: Any) -> None:
        """Make a change that the primary has made; a key that is gone there is not in its way."""
        for _ in range(_ATTEMPTS):
            try:
                call.on(other)
                return
            except KeyConflictError:
                other.erase_values(
                    [key for key in self._in_the_way(call, other) if self._lacks(key)]
                )
        call.on(other)

    def _in_the_way(self, call: Call, other: Any) -> Iterator[str]:
        for key in dict.fromkeys(call.keys):
            yield from (key[:end] for end, letter in enumerate(key) if letter == "/")
            if isinstance(other, ListableStore):
                yield from other.list_prefix(f"{key}/")

    def _lacks(self, key: str) -> bool:
        return isinstance(self.inner, ReadableStore) and not self.inner.exists(key)

    def _settle(self, change: Change) -> None:
        """Give the others what the primary holds under the keys of a change."""
        for key in sorted(change.keys):
            _raise_first(self._copy(key, *self._look(key), self.others))

    def _copy(
        self, key: str, value: Value | None, version: str | None, others: Iterable[Any]
    ) -> list[Exception]:
        """Give others a value of the primary, and its next one, until it stays; the errors."""
        while True:
            erase = value is None
            call = Call("erase", (key,)) if erase else Call("set", (key,), values=(value,))
            errors = self._tell(call, others)
            if not isinstance(self.inner, ConditionalStore):
                return errors
            value, latest = self._look(key)
            if latest == version:
                return errors
            version = latest

    def _look(self, key: str) -> tuple[Value | None, str | None]:
        """What the primary holds, and its version; None for what is absent, or has none."""
        if not isinstance(self.inner, ConditionalStore):
            return _get(self.inner, key), None
        try:
            return self.inner.get_versioned(key)
        except KeyNotFoundError:
            return None, None

    def _config(self) -> dict[str, Any]:
        return {"others": self.others}

    def __reduce__(self) -> tuple[Any, ...]:
        return self._declared, (self.inner, *self.others)

    def __repr__(self) -> str:
        stores = ", ".join(map(repr, (self.inner, *self.others)))
        return f"{self._declared.__name__}({stores})"


def _common_abilities(primary: Store, others: Iterable[Store]) -> frozenset[type]:
    able = set(abilities(primary))
    for other in others:
        able &= abilities(other) | {ConditionalStore}
    if not able >= {ReadableStore, WritableStore}:
        able.discard(ConditionalStore)
    return frozenset(able)


def _check_apart(mirror: MirrorStore) -> None:
    """Refuse stores that share data: a copy would change what it is a copy of, without end."""
    places = list(_places(mirror))
    for number, (place, start) in enumerate(places):
        for other, begin in places[:number]:
            if place == other and (start.startswith(begin) or begin.startswith(start)):
                raise ValueError(f"others must be other stores than the primary: {mirror!r}")


def _places(store: Store) -> Iterator[tuple[Hashable, str]]:
    """Where the data lies: the names of places, and a prefix in each."""
    if isinstance(store, MirrorStore):
        for each in (store.inner, *store.others):
            yield from _places(each)
    elif isinstance(store, WrapperStore) and not isinstance(store, PrefixStore):
        yield from _places(store.inner)
    else:
        yield store._place("")


def _get(store: Any, key: str) -> Value | None:
    try:
        value: Value = store.get(key)
    except KeyNotFoundError:
        return None
    return value


def _is_lost(error: StoreError) -> bool:
    return error.retryable or isinstance(error, TransportError)


def _raise_first(errors: list[Exception]) -> None:
    if errors:
        first, *more = errors
        for error in more:
            first.add_note(f"another one failed, too: {error}")
        raise first
