"""Stores as others would write them, and a clock that does not wait."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

from storekit.clock import Event, RealClock
from storekit.errors import ConflictError, KeyNotFoundError
from storekit.stores.base import (
    ConditionalStore,
    ListableStore,
    ReadableStore,
    WritableStore,
)
from storekit.typing import Value

CAPABILITIES = (ReadableStore, WritableStore, ListableStore, ConditionalStore)

_ABOUT = {
    "clock",
    "close",
    "concurrency",
    "durable",
    "identity",
    "latency",
    "page_size",
    "request_cost",
}
"""What is no operation on the data, but about the store."""


def operations() -> set[str]:
    """The public methods of the contract."""
    public = {name for kind in CAPABILITIES for name in dir(kind) if not name.startswith("_")}
    return public - _ABOUT


class FakeClock(RealClock):
    """A clock that notes how long it was asked to sleep, and does not."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Note the time, and return at once."""
        self.sleeps.append(seconds)

    def event(self) -> Event:
        """An event for which nobody waits until a moment."""
        event = super().event()
        real_wait = event.wait

        def wait(timeout: float | None = None) -> bool:
            if timeout is not None:
                self.sleeps.append(timeout)
            return real_wait(None if timeout is None else 0)

        event.wait = wait  # type: ignore[method-assign]
        return event

    @property
    def slept(self) -> float:
        """All the seconds asked for."""
        return sum(self.sleeps)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FakeClock)

    def __hash__(self) -> int:
        return hash(FakeClock)


class DictStore(ReadableStore):
    """A dict that can be read, by the one method that is asked of such a store."""

    def __init__(self, fields: Mapping[str, bytes] | None = None) -> None:
        self.fields = dict(fields or {})

    @property
    def identity(self) -> Hashable:
        """That of the object."""
        return id(self)

    def _get(self, key: str) -> Value:
        try:
            return self.fields[key]
        except KeyError:
            raise KeyNotFoundError(f"no {key!r}", store=self, op="get", key=key) from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DictStore) and self.fields == other.fields

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.fields)})"


class ListableDict(DictStore, ListableStore):
    """A dict that can be read and listed."""

    def _list_prefix(self, prefix: str) -> Iterable[str]:
        return [key for key in list(self.fields) if key.startswith(prefix)]


class PlainDict(ListableDict, WritableStore):
    """A dict with all but compare-and-set, by the abstract methods alone; flat."""

    def _set(self, key: str, value: Value) -> None:
        self.fields[key] = bytes(value)

    def _erase(self, key: str) -> None:
        self.fields.pop(key, None)


class WriteOnly(WritableStore):
    """A dict that can only be written."""

    def __init__(self) -> None:
        self.fields: dict[str, bytes] = {}

    @property
    def identity(self) -> Hashable:
        """That of the object."""
        return id(self)

    def _set(self, key: str, value: Value) -> None:
        self.fields[key] = bytes(value)

    def _erase(self, key: str) -> None:
        self.fields.pop(key, None)


class ConditionalDict(ConditionalStore, ListableStore):
    """A dict with compare-and-set, by the abstract methods alone; flat."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes = 0
        self.fields: dict[str, tuple[bytes, str]] = {}

    @property
    def identity(self) -> Hashable:
        """That of the object."""
        return id(self)

    def _get(self, key: str) -> Value:
        return self._get_versioned(key)[0]

    def _get_versioned(self, key: str) -> tuple[Value, str]:
        try:
            return self.fields[key]
        except KeyError:
            raise KeyNotFoundError(f"no {key!r}", store=self, op="get", key=key) from None

    def _set(self, key: str, value: Value) -> None:
        with self._lock:
            self._put(key, value)

    def _put(self, key: str, value: Value) -> str:
        self._writes += 1
        self.fields[key] = bytes(value), f"v{self._writes}"
        return self.fields[key][1]

    def _erase(self, key: str) -> None:
        with self._lock:
            self.fields.pop(key, None)

    def _list_prefix(self, prefix: str) -> Iterable[str]:
        return [key for key in list(self.fields) if key.startswith(prefix)]

    def _compare_and_set(
        self, key: str, value: Value | None, expected_version: str | None
    ) -> str | None:
        with self._lock:
            if self.fields.get(key, (b"", None))[1] != expected_version:
                raise ConflictError("another version", store=self, op="compare_and_set", key=key)
            if value is None:
                self.fields.pop(key, None)
                return None
            return self._put(key, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConditionalDict) and self.fields == other.fields

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.fields)})"

    def __getstate__(self) -> dict[str, Any]:
        return {"fields": self.fields, "_writes": self._writes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def files(root: Path) -> list[str]:
    """All there is in a directory, temporary or not."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def fail_with(number: int) -> Callable[..., Any]:
    """A system call that always fails."""

    def call(*args: object, **kwargs: object) -> Any:
        raise OSError(number, os.strerror(number))

    return call


def count_up(store: Any, key: str, times: int) -> None:
    """Increment a number by compare-and-set, as often as told."""
    for _ in range(times):
        while True:
            value, version = store.get_versioned(key)
            try:
                store.compare_and_set(key, b"%d" % (int(bytes(value)) + 1), version)
                break
            except ConflictError:
                continue


def set_and_erase(store: Any, key: str, times: int) -> None:
    """Write, read and remove a key, as often as told."""
    for turn in range(times):
        store.set(key, b"%d" % turn)
        assert bytes(store.get(key)) == b"%d" % turn
        store.erase(key)


def count_words(store: Any, key: str, index: int, times: int) -> None:
    """Count up in one word of a value, as often as told, by writing just that word."""
    for number in range(times):
        (word,) = store.get_partial_values([(key, 8 * index, 8)])
        assert int.from_bytes(bytes(word), "big") == number
        store.set_partial_values([(key, 8 * index, (number + 1).to_bytes(8, "big"))])


def count_in_whole(store: Any, key: str, index: int, times: int) -> None:
    """Count up in one word of a value, as often as told, by compare-and-set of all of it."""
    for number in range(times):
        while True:
            value, version = store.get_versioned(key)
            changed = bytearray(value)
            assert int.from_bytes(changed[8 * index : 8 * index + 8], "big") == number
            changed[8 * index : 8 * index + 8] = (number + 1).to_bytes(8, "big")
            try:
                store.compare_and_set(key, changed, version)
                break
            except ConflictError:
                continue


def run_processes(method: str, work: Callable[..., None], *arguments: tuple[Any, ...]) -> None:
    """Run one process for each of the arguments, and see that all succeed."""
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=work, args=each) for each in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)
