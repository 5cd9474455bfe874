"""
Stores around another store.

Every operation of a wrapper, the derived ones included, passes through one method, `_around`. A
wrapper that overrides it sees all there is, and one that does not is transparent.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from storekit.stores._forward import (
    Call,
    Compares,
    Lists,
    Reads,
    Waist,
    Writes,
    abilities,
    mixins,
)
from storekit.stores._variant import declared_class, variant
from storekit.stores.base import ListableStore, Store

__all__ = ["Call", "WrapperStore"]

# What a wrapper can do shows when it is made. Type checkers do not know that, and let it do all.
if TYPE_CHECKING:

    class _Base(Reads, Writes, Lists, Compares):
        """All that a wrapper may be."""

else:
    _Base = Waist


class WrapperStore(_Base):
    """
    A store that passes everything on to another one.

    It can do what the inner store can: it is, for one, an instance of `WritableStore` if and only
    if the inner store is. Asked for what the inner store cannot do, it raises `ReadOnlyError` for
    changes and `UnsupportedError` for the rest.

    Subclasses override `_around`, which may be called by several threads at once and must hold no
    lock while it calls `proceed`; and `_config`, if they have parameters. They may set `latency`
    and `clock` after `__init__`.

    Args:
        store: The inner store.

    Threads: as safe as the inner store.
    """

    _declared: type[WrapperStore]

    def __new__(cls, store: Store, *args: Any, **kwargs: Any) -> Self:
        """Make an instance of a subclass of `cls` with the capabilities of `store`."""
        if not isinstance(store, Store):
            raise TypeError(f"{cls.__name__} wraps a store, found {type(store).__name__}")
        made = object.__new__(_with_capabilities(declared_class(cls), cls._abilities(store)))
        if not isinstance(made, cls):  # `cls` came from another wrapper, of other capabilities
            made.__init__(store, *args, **kwargs)  # type: ignore[misc]
        return made  # type: ignore[return-value]

    def __init__(self, store: Store) -> None:
        self._inner: Any = store
        self.latency = store.latency
        self.request_cost, self.durable = store.request_cost, store.durable
        self.clock = store.clock
        if isinstance(store, ListableStore):
            self.page_size = store.page_size

    @property
    def inner(self) -> Store:
        """The store that is wrapped."""
        inner: Store = self._inner
        return inner

    @property
    def concurrency(self) -> int:
        """That of the inner store."""
        return self.inner.concurrency

    @property
    def identity(self) -> Hashable:
        """That of the inner store, for the data is the same."""
        return self.inner.identity

    def _place(self, key: str) -> tuple[Hashable, str]:
        return self.inner._place(key)

    def close(self) -> None:
        """Close the inner store."""
        self.inner.close()

    @classmethod
    def _abilities(cls, store: Store) -> frozenset[type]:
        """The capabilities of a wrapper around that store; no more than the store has."""
        return abilities(store)

    def _config(self) -> dict[str, Any]:
        """The keyword arguments which, after the inner store, make an equal wrapper."""
        return {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WrapperStore) or other._declared is not self._declared:
            return NotImplemented
        return self._config() == other._config() and bool(self.inner == other.inner)

    def __hash__(self) -> int:
        return hash((self._declared, self.inner, *self._config().items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self._declared, self.inner, self._config())

    def __repr__(self) -> str:
        config = "".join(f", {name}={value!r}" for name, value in self._config().items())
        return f"{self._declared.__name__}({self.inner!r}{config})"


def _make(declared: type[WrapperStore], store: Store, config: dict[str, Any]) -> WrapperStore:
    return declared(store, **config)


@cache
def _with_capabilities(cls: type[WrapperStore], able: frozenset[type]) -> type[WrapperStore]:
    return variant(cls, mixins(able))
