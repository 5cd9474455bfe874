"""
How a wrapper passes on each operation: one class per capability, of which a wrapper gets those
that its inner store has, and for the others one whose methods refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

from storekit.errors import ReadOnlyError, StoreError, UnsupportedError
from storekit.stores.base import (
    ConditionalStore,
    ListableStore,
    ReadableStore,
    Store,
    WritableStore,
)
from storekit.typing import ByteRange, Value

__all__ = [
    "Call",
    "Compares",
    "Lists",
    "Reads",
    "Waist",
    "Writes",
    "abilities",
    "mixins",
    "refusing",
]


@dataclass(frozen=True, slots=True)
class Call:
    """
    One call of a public method of a store, its arguments checked.

    A call of `set_values` with many or large values comes as several, with some of them each.

    Attributes:
        op: The name of the method.

        keys: The keys concerned, in the order given; repeated where several parts of one are.

        ranges: For `get_partial_values` what is read of each of `keys`, for `set_partial_values`
            what is written; as ``(start, length)`` in bytes.

        values: What is written, one for each of `keys`; None where `compare_and_set` removes.

        prefix: The prefix concerned; for `list` it is ``""``.

        expected_version: That of `compare_and_set`.
    """

    op: str
    keys: tuple[str, ...] = ()
    ranges: tuple[ByteRange, ...] = ()
    values: tuple[Value | None, ...] = ()
    prefix: str | None = None
    expected_version: str | None = None

    @property
    def upload(self) -> int:
        """How many bytes of values are written."""
        return sum(len(value) for value in self.values if value is not None)

    def on(self, store: Any) -> Any:
        """Ask the same of a store, which must be able to do it."""
        return getattr(store, self.op)(*self._arguments())

    def _arguments(self) -> tuple[Any, ...]:
        match self.op:
            case "get_partial_values":
                return ([(key, *part) for key, part in zip(self.keys, self.ranges, strict=True)],)
            case "set_partial_values":
                starts = (start for start, _ in self.ranges)
                return (list(zip(self.keys, starts, self.values, strict=True)),)
            case "set_values":
                return (zip(self.keys, self.values, strict=True),)
            case "erase_values":
                return (self.keys,)
            case "compare_and_set":
                return (*self.keys, *self.values, self.expected_version)
            case "list":
                return ()
        return (*self.keys, *self.values) if self.keys else (self.prefix,)


class Waist(Store):
    """What has an inner store, and one method through which every operation on it passes."""

    _inner: Any  # a Store; which methods it has is known to those who call them

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        """
        Do one call.

        Args:
            call: What is asked.

            proceed: Asks the inner store and returns its answer. May be called any number of times.
        """
        return proceed()

    def _do(self, call: Call) -> Any:
        return self._around(call, lambda: call.on(self._inner))


class Reads(ReadableStore, Waist):
    """Forwards what a `ReadableStore` can do."""

    def _get(self, key: str) -> Value:
        value: Value = self._do(Call("get", (key,)))
        return value

    def _get_partial_values(self, asked: Sequence[tuple[str, ByteRange]]) -> list[Value | None]:
        keys, ranges = tuple(key for key, _ in asked), tuple(part for _, part in asked)
        values: list[Value | None] = self._do(Call("get_partial_values", keys, ranges))
        return values

    def _exists(self, key: str) -> bool:
        found: bool = self._do(Call("exists", (key,)))
        return found

    def _getsize(self, key: str) -> int:
        size: int = self._do(Call("getsize", (key,)))
        return size


class Writes(WritableStore, Waist):
    """Forwards what a `WritableStore` can do."""

    def _set(self, key: str, value: Value) -> None:
        self._do(Call("set", (key,), values=(value,)))

    def _set_values(self, key_values: Iterable[tuple[str, Value]]) -> None:
        for group in _groups(key_values):
            keys, values = zip(*group, strict=True)
            self._do(Call("set_values", keys, values=values))

    def _set_partial_values(self, parts: Mapping[str, Sequence[tuple[int, Value]]]) -> None:
        flat = [(key, start, value) for key, changes in parts.items() for start, value in changes]
        call = Call(
            "set_partial_values",
            tuple(key for key, _, _ in flat),
            tuple((start, len(value)) for _, start, value in flat),
            tuple(value for _, _, value in flat),
        )
        self._do(call)

    def _set_ranges(self, key: str, changes: Sequence[tuple[int, Value]]) -> None:
        self._set_partial_values({key: changes})

    def _erase(self, key: str) -> None:
        self._do(Call("erase", (key,)))

    def _erase_values(self, keys: Sequence[str]) -> None:
        self._do(Call("erase_values", tuple(keys)))

    def _erase_prefix(self, prefix: str) -> int:
        count: int = self._do(Call("erase_prefix", prefix=prefix))
        return count


class Lists(ListableStore, Waist):
    """Forwards what a `ListableStore` can do."""

    def _list(self) -> Iterable[str]:
        keys: Iterable[str] = self._do(Call("list", prefix=""))
        return keys

    def _list_prefix(self, prefix: str) -> Iterable[str]:
        keys: Iterable[str] = self._do(Call("list_prefix", prefix=prefix))
        return keys

    def _list_dir(self, prefix: str) -> Iterable[str]:
        names: Iterable[str] = self._do(Call("list_dir", prefix=prefix))
        return names


class Compares(ConditionalStore, Waist):
    """Forwards what a `ConditionalStore` can do besides reading and writing."""

    def _get_versioned(self, key: str) -> tuple[Value, str]:
        found: tuple[Value, str] = self._do(Call("get_versioned", (key,)))
        return found

    def _compare_and_set(
        self, key: str, value: Value | None, expected_version: str | None
    ) -> str | None:
        call = Call("compare_and_set", (key,), values=(value,), expected_version=expected_version)
        version: str | None = self._do(call)
        return version


_FORWARDS: dict[type, type] = {
    ReadableStore: Reads,
    WritableStore: Writes,
    ListableStore: Lists,
    ConditionalStore: Compares,
}
_GROUP_KEYS, _GROUP_SIZE = 64, 1 << 20  # of `set_values`: what one call has at most, and about
_CHANGES = {name for name in vars(WritableStore) if not name.startswith("_")} | {"compare_and_set"}


def _groups(key_values: Iterable[tuple[str, Value]]) -> Iterator[list[tuple[str, Value]]]:
    """
    Values that can be passed on together, and again: no more of them than memory should hold.

    What came before an error of the iterable is handed out before the error.
    """
    group: list[tuple[str, Value]] = []
    size = 0
    pending = iter(key_values)
    while True:
        try:
            key, value = next(pending)
        except StopIteration:
            break
        except BaseException:
            if group:
                yield group
            raise
        # A copy of what is no bytes: the caller may use its buffer again for the next one.
        group.append((key, value if type(value) is bytes else bytes(value)))
        size += len(value)
        if size >= _GROUP_SIZE or len(group) == _GROUP_KEYS:
            yield group
            group, size = [], 0
    if group:
        yield group


def abilities(store: Store) -> frozenset[type]:
    """The capabilities that a store has."""
    return frozenset(capability for capability in _FORWARDS if isinstance(store, capability))


def mixins(able: frozenset[type]) -> tuple[type, ...]:
    """The base classes, besides the wrapper, of a wrapper over a store with these capabilities."""
    return tuple(
        forward if capability in able else refusing(capability, WritableStore in able)
        for capability, forward in _FORWARDS.items()
    )


@cache
def refusing(capability: type, writable: bool) -> type:
    """A class that has the methods of a capability, and refuses each call."""
    names = [name for name, what in vars(capability).items() if callable(what) and name[0] != "_"]
    return type(
        f"No{capability.__name__}",
        (),
        {name: _refusal(name, name in _CHANGES and not writable) for name in names},
    )


def _refusal(op: str, read_only: bool) -> Callable[..., NoReturn]:
    kind: type[StoreError] = ReadOnlyError if read_only else UnsupportedError
    text = "the store can only be read" if read_only else "the store cannot do this"

    def refuse(self: Store, *args: object, **kwargs: object) -> NoReturn:
        raise kind(text, store=self, op=op, key=args[0] if args else None)

    refuse.__name__ = op
    refuse.__doc__ = f"Raises `{kind.__name__}`, since the inner store cannot do this."
    return refuse
