"""A store that may only grow so large."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from storekit.clock import Event
from storekit.errors import (
    KeyNotFoundError,
    QuotaExceededError,
    StoreError,
    TimeoutError,
    UnsupportedError,
)
from storekit.stores._changes import Change, Changes, is_change, was_refused
from storekit.stores._checks import check_limit
from storekit.stores._ledger import Ledger
from storekit.stores.base import ListableStore, ReadableStore, Store
from storekit.stores.wrapper import Call, WrapperStore

__all__ = ["QuotaStore"]


class QuotaStore(WrapperStore):
    """
    A store that refuses what would make it larger than it may be, before anything is written.

    What is there is counted once, before the first change: a listing, and a request for the size of
    each key. After that changes through this object are counted as they come; those that others
    make are not noticed. Room is taken before a write, the larger one of the old and the new value,
    and what is left over is given back after it: threads together never exceed the limits.

    `set_values` stores the values that come before the first one for which there is no room. Every
    other call that finds too little room writes nothing.

    When it is not clear what a change has done, because its answer got lost or because others
    changed the same key at the same time, the size is asked for anew. A write that was given up
    (`TimeoutError`, Ctrl-C) may arrive at any time: its key counts as no smaller as long as this
    object lives. So a `TimeoutStore` belongs outside, where nothing is given up within.

    A store that holds too much already can be read, and may shrink.

    Args:
        store: The inner store. With a limit it must be readable and listable.

        max_bytes: How many bytes all values together may have; None for any number.

        max_keys: How many keys there may be; None for any number.

    Raises:
        ValueError: If a limit is negative or no int.

        TypeError: If the contents of the store cannot be counted.

    Threads: as safe as the inner store. While one counts what is there, others wait to write. A
    forked child counts what its parent was writing then as the larger one, too, until it writes it.
    """

    def __init__(
        self, store: Store, *, max_bytes: int | None = None, max_keys: int | None = None
    ) -> None:
        super().__init__(store)
        self.max_bytes = None if max_bytes is None else check_limit("max_bytes", max_bytes)
        self.max_keys = None if max_keys is None else check_limit("max_keys", max_keys)
        self._limited = max_bytes is not None or max_keys is not None
        if self._limited and not _can_be_counted(store):
            raise TypeError(
                f"QuotaStore counts what a store holds: it must be readable and listable, "
                f"found {store!r}"
            )
        self._changes = Changes()
        self._ledger: Ledger | None = None
        self._counting: dict[int, Event] = {}  # by process: a forked one has no other threads

    @property
    def used_bytes(self) -> int:
        """
        How many bytes the values have; those that are being written count as if they were there.

        Without a limit they are counted each time this is asked.
        """
        return self._counted().used[0]

    @property
    def used_keys(self) -> int:
        """How many keys there are; as `used_bytes`."""
        return self._counted().used[1]

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        if not self._limited or not is_change(call):
            return proceed()
        ledger = self._counted()
        look = partial(self._look, ledger)
        if unknown := ledger.unknown:
            with self._changes.change(Call("getsize", tuple(unknown)), look) as change:
                look(change)
        with self._changes.change(call, look) as change:
            change.doubtful |= change.keys & ledger.unknown
            before, count, problem = ledger.reserve(_sizes(call))
            if problem is None:
                return _carry_out(call, proceed, ledger, change, before)
            if call.op == "set_values" and count:  # what comes before an error is stored
                room = replace(call, keys=call.keys[:count], values=call.values[:count])
                _carry_out(room, lambda: room.on(self._inner), ledger, change, before)
            else:
                ledger.settle(change, before)
            key = call.keys[count]
            text = f"with {key!r} the store would hold {problem}"
            raise QuotaExceededError(text, store=self, op=call.op, key=key)

    def _counted(self) -> Ledger:
        """What there is, counted by the first who asks while the others wait."""
        if not self._limited:
            return Ledger(self._count(), None, None)
        process = os.getpid()
        while self._ledger is None:
            mine = self.clock.event()
            try:
                try:
                    counting = self._counting.setdefault(process, mine)
                    if counting is not mine:
                        counting.wait()
                    elif self._ledger is None:  # else another one has just done it
                        self._ledger = Ledger(self._count(), self.max_bytes, self.max_keys)
                finally:
                    self._stop_counting(process, mine)
            except BaseException:
                self._stop_counting(process, mine)  # an interrupt may have come in the midst of it
                raise
        return self._ledger

    def _stop_counting(self, process: int, event: Event) -> None:
        if self._counting.get(process) is event:
            del self._counting[process]
        event.set()

    def _count(self) -> dict[str, int]:
        if not _can_be_counted(self.inner):
            raise UnsupportedError("the contents of the store cannot be counted", store=self)
        sizes = {}
        for key in self._inner.list():
            with suppress(KeyNotFoundError):  # erased by others since
                sizes[key] = self._inner.getsize(key)
        return sizes

    def _look(self, ledger: Ledger, change: Change) -> None:
        """Find out the sizes of the keys of a change; if that fails, they count as before."""
        keys = sorted(change.keys)
        for number, key in enumerate(keys):
            size: int | None
            try:
                size = self._inner.getsize(key)
            except KeyNotFoundError:
                size = None
            except StoreError:
                ledger.doubt(keys[number:])
                return
            ledger.settle(change, {key: size})

    def _config(self) -> dict[str, Any]:
        limits = {"max_bytes": self.max_bytes, "max_keys": self.max_keys}
        return {name: limit for name, limit in limits.items() if limit is not None}


def _carry_out(
    call: Call,
    proceed: Callable[[], Any],
    ledger: Ledger,
    change: Change,
    before: Mapping[str, int | None],
) -> Any:
    """Do what there is room for, and give back what it did not need."""
    try:
        answer = proceed()
    except BaseException as error:
        if was_refused(call, error):
            ledger.settle(change, before)
        else:
            if isinstance(error, TimeoutError) or not isinstance(error, Exception):
                ledger.expect(_sizes(call))  # it was given up, and goes on
            change.doubtful.update(call.keys if call.prefix is None else ledger.under(call.prefix))
        raise
    sizes: dict[str, int | None] = {}
    match call.op:
        case "erase_prefix":
            sizes.update(dict.fromkeys(ledger.under(call.prefix or "")))
        case "erase" | "erase_values":
            sizes.update(dict.fromkeys(call.keys))
        case "set" | "set_values" | "compare_and_set":
            for key, value in zip(call.keys, call.values, strict=True):
                sizes[key] = None if value is None else len(value)
        case "set_partial_values":
            for key, end in _sizes(call):
                sizes[key] = max(end, before[key] or 0, sizes.get(key) or 0)
            change.doubtful.update(key for key, size in before.items() if size is None)
        case _:
            change.doubtful.update(call.keys)
    ledger.settle(change, sizes)
    return answer


def _sizes(call: Call) -> list[tuple[str, int]]:
    """How large the values of a call make their keys, at least."""
    if call.op == "set_partial_values":
        parts = zip(call.keys, call.ranges, strict=True)
        return [(key, start + (length or 0)) for key, (start, length) in parts]
    pairs = zip(call.keys, call.values, strict=False)  # those that erase have none
    return [(key, len(value)) for key, value in pairs if value is not None]


def _can_be_counted(store: Store) -> bool:
    return isinstance(store, ReadableStore) and isinstance(store, ListableStore)
