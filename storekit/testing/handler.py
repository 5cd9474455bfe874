"""A store whose backend is a function."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from storekit.clock import Clock
from storekit.stores._answering import AnsweringStore
from storekit.stores._answers import checked_answer, owned
from storekit.stores._checks import check_clock, check_flag
from storekit.stores._forward import Call
from storekit.stores.base import (
    ConditionalStore,
    Latency,
    ListableStore,
    ReadableStore,
    WritableStore,
)

__all__ = ["HandlerStore"]

_USUAL = {"readable": True, "writable": True, "listable": True, "conditional": False}
_CAPABILITIES = {
    "readable": ReadableStore,
    "writable": WritableStore,
    "listable": ListableStore,
    "conditional": ConditionalStore,
}


class HandlerStore(AnsweringStore):
    """
    A store that hands each call to a function, which answers as a backend would.

    The function sees calls whose arguments are valid, with values that are bytes. It returns what
    the method of that name does, or raises; often it changes little and ends with
    ``return call.on(memory)``. An answer of another type is a `TypeError`.

    Args:
        handle: Is given a `Call` and returns the answer.

        readable: Whether it is a `ReadableStore`. Defaults to True.

        writable: Whether it is a `WritableStore`. Defaults to True.

        listable: Whether it is a `ListableStore`. Defaults to True.

        conditional: Whether it is a `ConditionalStore`. Defaults to False.

        clock: Whose time passes for those who use the store. Defaults to the real clock.

    Raises:
        TypeError: If `handle` cannot be called, a capability is not True or False, or `clock` is no
            clock.

        ValueError: If the store could do nothing, or is conditional but cannot be read and written.

    Threads: as safe as the function, which any thread may call. It can be pickled if the function
    can.
    """

    latency = Latency.MEMORY

    def __init__(
        self,
        handle: Callable[[Call], Any],
        *,
        readable: bool = True,
        writable: bool = True,
        listable: bool = True,
        conditional: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.handle = handle
        self._flags = {
            "readable": readable,
            "writable": writable,
            "listable": listable,
            "conditional": conditional,
        }
        self._clock = check_clock(clock)
        if clock is not None:
            self.clock = clock

    @property
    def identity(self) -> Hashable:
        """That of the function."""
        return "handler", id(self.handle)

    @classmethod
    def _abilities(cls, handle: Any, **settings: Any) -> frozenset[type]:
        if not callable(handle):
            raise TypeError(f"handle must be a function of a call, found {type(handle).__name__}")
        wanted = _USUAL | {
            name: check_flag(name, settings[name]) for name in _USUAL & settings.keys()
        }
        able = {kind for name, kind in _CAPABILITIES.items() if wanted[name]}
        if not able:
            raise ValueError("the store could do nothing: all of its capabilities are False")
        if wanted["conditional"] and not (wanted["readable"] and wanted["writable"]):
            raise ValueError("conditional: a store that compares and sets is read and written")
        return frozenset(able)

    def _do(self, call: Call) -> Any:
        call = owned(call)
        return checked_answer(call, self.handle(call))

    def _config(self) -> dict[str, Any]:
        changed = {name: flag for name, flag in self._flags.items() if flag != _USUAL[name]}
        config: dict[str, Any] = {"handle": self.handle, **changed}
        if self._clock is not None:
            config["clock"] = self._clock
        return config
