"""A part of a store as a store of its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

from storekit.errors import InvalidKeyError
from storekit.keys import check_prefix
from storekit.stores.base import Store
from storekit.stores.wrapper import Call, WrapperStore

__all__ = ["PrefixStore"]


class PrefixStore(WrapperStore):
    """
    The keys under a prefix of another store, without the prefix.

    No key leads out of it, and listings show nothing from outside. An error raised by the inner
    store names the key that the inner store knows, prefix and all. Prefix and key together must
    not be longer than a key may be.

    Args:
        store: The inner store.

        prefix: Such as ``"experiments/7/"``. ``""``, all keys, changes nothing.

    Raises:
        InvalidKeyError: If it cannot be a prefix.

    Threads: as safe as the inner store. Read-modify-writes of arrays exclude those that go to the
    same values through the inner store.
    """

    def __init__(self, store: Store, prefix: str) -> None:
        super().__init__(store)
        if prefix == "/":  # in a listing that is everything, but a part is meant to be one
            raise InvalidKeyError(
                "invalid prefix '/': it must be empty or a key and '/'", key=prefix
            )
        self.prefix: str = check_prefix(prefix)

    @property
    def identity(self) -> Hashable:
        """The identity of the inner store and the prefix there; one without a prefix has the first
        alone."""
        place = self._place("")
        return place if place[1] else place[0]

    def _place(self, key: str) -> tuple[Hashable, str]:
        return self.inner._place(self.prefix + key)

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        if not self.prefix:
            return proceed()
        inside = replace(
            call,
            op="list_prefix" if call.op == "list" else call.op,
            keys=tuple(self.prefix + key for key in call.keys),
            prefix=None if call.prefix is None else self.prefix + call.prefix,
        )
        answer = inside.on(self._inner)
        if call.op in ("list", "list_prefix", "list_dir"):
            return [name[len(self.prefix) :] for name in answer]
        return answer

    def _config(self) -> dict[str, Any]:
        return {"prefix": self.prefix}
