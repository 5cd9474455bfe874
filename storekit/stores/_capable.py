"""Stores whose capabilities depend on what they are made of, and show in their class."""

from __future__ import annotations

from abc import abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from storekit.stores._forward import Compares, Lists, Reads, Writes, refusing
from storekit.stores._variant import declared_class, variant
from storekit.stores.base import (
    ConditionalStore,
    ListableStore,
    ReadableStore,
    Store,
    WritableStore,
)

__all__ = ["CapableStore"]

# What such a store can do shows when it is made. Type checkers do not know, and let it do all.
if TYPE_CHECKING:

    class _Base(Reads, Writes, Lists, Compares):
        """All that such a store may be."""

else:
    _Base = Store

_KINDS: tuple[type, ...] = (ConditionalStore, ListableStore, ReadableStore, WritableStore)


class CapableStore(_Base):
    """
    A store that can do what `_abilities` says of its backend.

    What it cannot do it refuses as a `WrapperStore` does. Subclasses have the methods of all
    capabilities, and find what `_connect` made in `_backend`.
    """

    _declared: type[CapableStore]
    _backend: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make an instance of a subclass of `cls` with the capabilities of the backend."""
        declared = declared_class(cls)
        backend = declared._connect(*args, **kwargs)
        made: Any = object.__new__(_with_abilities(declared, declared._abilities(backend)))
        made._backend = backend
        if not isinstance(made, cls):  # `cls` came from another store, of other capabilities
            made.__init__(*args, **kwargs)
        capable: Self = made
        return capable

    @classmethod
    @abstractmethod
    def _connect(cls, *args: Any, **kwargs: Any) -> Any:
        """The backend, from the arguments of `__init__`."""

    @classmethod
    @abstractmethod
    def _abilities(cls, backend: Any) -> frozenset[type]:
        """The capabilities of a store over this backend."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CapableStore) or other._declared is not self._declared:
            return NotImplemented
        return self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)


@cache
def _with_abilities(cls: type[CapableStore], able: frozenset[type]) -> type[CapableStore]:
    # A capability comes before those that it includes; `able` has these, too.
    kinds = (kind if kind in able else refusing(kind, WritableStore in able) for kind in _KINDS)
    return variant(cls, kinds)
