"""Stores without an inner store, all of whose calls are answered in one place."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

from storekit.stores._forward import Call, Compares, Lists, Reads, Waist, Writes
from storekit.stores._variant import declared_class
from storekit.stores.wrapper import _with_capabilities

__all__ = ["AnsweringStore"]

# What such a store can do shows when it is made. Type checkers do not know, and let it do all.
if TYPE_CHECKING:

    class _Base(Reads, Writes, Lists, Compares):
        """All that such a store may be."""

else:
    _Base = Waist


class AnsweringStore(_Base):
    """
    A store that can do what `_abilities` says for its arguments, and answers each call by `_do`.

    What it cannot do it refuses as a `WrapperStore` does. Subclasses say in `_config` which keyword
    arguments make an equal store.
    """

    _declared: type[AnsweringStore]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make an instance of a subclass of `cls` with its capabilities."""
        declared = declared_class(cls)
        made: Any = object.__new__(
            _with_capabilities(declared, declared._abilities(*args, **kwargs))
        )
        if not isinstance(made, cls):  # `cls` came from another store, of other capabilities
            made.__init__(*args, **kwargs)
        answering: Self = made
        return answering

    @classmethod
    @abstractmethod
    def _abilities(cls, *args: Any, **kwargs: Any) -> frozenset[type]:
        """The capabilities of a store with these arguments, which have not been checked yet."""

    @abstractmethod
    def _do(self, call: Call) -> Any:
        """Answer a call."""

    @abstractmethod
    def _config(self) -> dict[str, Any]: ...

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AnsweringStore) or other._declared is not self._declared:
            return NotImplemented
        return self._config() == other._config()

    def __hash__(self) -> int:
        return hash((self._declared, *self._config().items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self._declared, self._config())

    def __repr__(self) -> str:
        config = ", ".join(f"{name}={value!r}" for name, value in self._config().items())
        return f"{self._declared.__name__}({config})"


def _make(declared: type[AnsweringStore], config: dict[str, Any]) -> AnsweringStore:
    return declared(**config)
