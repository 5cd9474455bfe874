"""What a recording consists of: calls with their answers, and what the store was like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from storekit import errors
from storekit.errors import RateLimitedError, StoreError, StorekitError
from storekit.stores._forward import Call, abilities
from storekit.stores.base import Latency, ListableStore, Store

__all__ = ["Recorded", "RecordedError", "Traits"]

_CLASSES: dict[str, type[StorekitError]] = {
    name: getattr(errors, name)
    for name in errors.__all__
    if issubclass(getattr(errors, name), StorekitError)
}


@dataclass(frozen=True, slots=True)
class RecordedError:
    """
    An error, without the objects that belong to it.

    Attributes:
        name: Of its class; if that is not one of storekit's, of the nearest base that is.

        message: What it said, of the store that raised it the class alone.

        key: The key or prefix that it named, if any.

        retryable: Whether the same call might have succeeded later.

        retry_after: The wish of a `RateLimitedError`, in seconds.
    """

    name: str
    message: str
    key: str | None = None
    retryable: bool = False
    retry_after: float | None = None

    @classmethod
    def of(cls, error: Exception) -> RecordedError:
        """What is kept of an error."""
        bases = [base.__name__ for base in type(error).__mro__ if base in _CLASSES.values()]
        key, after = getattr(error, "key", None), getattr(error, "retry_after", None)
        message, store = str(error), getattr(error, "store", None)
        if isinstance(store, str) and store:  # its repr, which says where it is
            message = message.replace(store, store.partition("(")[0])
        return cls(
            name=bases[0] if bases else type(error).__name__,
            message=_encodable(message),
            key=_encodable(key) if isinstance(key, str) else None,
            retryable=bool(getattr(error, "retryable", False)),
            retry_after=after if after is None else float(after),
        )

    def restored(self, op: str) -> StorekitError:
        """An error of that class, or a `StoreError` if storekit has no such class."""
        kind = _CLASSES.get(self.name)
        error = StoreError(f"{self.name}: {self.message}") if kind is None else kind(self.message)
        if isinstance(error, StoreError):
            error.op, error.key = op, self.key
            if error.retryable != self.retryable:
                error.retryable = self.retryable
        if isinstance(error, RateLimitedError):
            error.retry_after = self.retry_after
        return error


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    A call that was recorded.

    Attributes:
        call: What was asked.

        answer: The answer, or the error in its place.

        nanoseconds: How long it took, by the clock of the store.
    """

    call: Call
    answer: Any
    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Traits:
    """
    What array code asks a store about itself.

    Attributes:
        abilities: Its capabilities.

        latency: As in `Store`.

        concurrency: As in `Store`.

        page_size: As in `ListableStore`.
    """

    abilities: frozenset[type]
    latency: Latency
    concurrency: int
    page_size: int | None

    @classmethod
    def of(cls, store: Store) -> Traits:
        """Those of a store."""
        page_size = store.page_size if isinstance(store, ListableStore) else None
        return cls(abilities(store), store.latency, store.concurrency, page_size)


def _encodable(text: str) -> str:
    """The text, with what is not Unicode written out."""
    return text.encode(errors="backslashreplace").decode()
