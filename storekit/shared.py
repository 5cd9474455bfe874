"""Objects with a state that several stores share, and keep sharing when they are pickled."""

from __future__ import annotations

import os
import threading
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

__all__ = ["Shared"]

_guard = threading.Lock()
_known: WeakValueDictionary[str, Shared] = WeakValueDictionary()


class Shared:
    """
    An object that is one and the same wherever it is unpickled in one process.

    In the process where it was pickled that is the object itself, as long as it lives; in another
    one it is made anew from `_arguments`, once, so that stores which share it here share it there.
    Such objects are equal to nothing but themselves.

    Threads: safe.
    """

    _token: str | None = None

    def _arguments(self) -> dict[str, Any]:
        """The keyword arguments that make such an object elsewhere, without its state."""
        return {}

    def __reduce__(self) -> tuple[Any, ...]:
        with _guard:
            if self._token is None:
                # Around `__setattr__`: frozen dataclasses are shared, too.
                object.__setattr__(self, "_token", uuid4().hex)
                _known[str(self._token)] = self
        return _restore, (type(self), self._token, self._arguments())


def _restore(cls: type[Shared], token: str, arguments: dict[str, Any]) -> Shared:
    with _guard:
        known = _known.get(token)
    if known is not None:
        return known
    made = cls(**arguments)
    with _guard:
        known = _known.get(token)
        if known is None:
            object.__setattr__(made, "_token", token)
            known = _known[token] = made
        return known


def _open_the_guard() -> None:
    """In a forked child nobody holds the parent's locks."""
    global _guard
    _guard = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_the_guard)
