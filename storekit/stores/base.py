"""
The contract of every store.

A store maps keys to bytes. Its public methods, here, check what they are given and say what they
answer; a backend implements the methods with an underscore, which see only valid keys, prefixes and
ranges.

| case | answer |
|---|---|
| `get`, `getsize`, `get_versioned` of a missing key | `KeyNotFoundError` |
| a missing key in `get_partial_values` | ``None`` in its place |
| `erase` of a missing key | nothing happens |
| a range past the end, a start beyond the end, a length of zero | clamped, ``b""``, ``b""`` |
| a negative start | counts from the end; before the beginning it means the beginning |
| a negative length, a start or length that is not an int | `InvalidRangeError` |
| a key or prefix against the rules of `storekit.keys` | `InvalidKeyError` |
| a key that is a prefix of another, or the reverse | `KeyConflictError` (object stores: accepted) |
| any bytes-like value | its bytes in C order; later changes by the caller are not seen |
| what is read | read-only; never a value that was half written |
| `set_values` when a value cannot be stored | an error; those before it are stored, no others |
| listings | sorted; nothing but keys, and in `list_dir` prefixes that hold keys |

Threads: every method of every store may be called from any thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from enum import IntEnum
from itertools import groupby
from typing import Self, TypeAlias

from storekit.clock import REAL_CLOCK, Clock
from storekit.errors import (
    ConflictError,
    InvalidRangeError,
    KeyNotFoundError,
    UnsupportedError,
)
from storekit.keys import check_key, check_prefix, check_range
from storekit.pool import available_cores
from storekit.stores.values import as_value, parts_of, splice
from storekit.typing import ByteRange, BytesLike, KeyRange, KeyValue, Value

__all__ = [
    "ConditionalStore",
    "Latency",
    "ListableStore",
    "ReadableStore",
    "Store",
    "WritableStore",
    "as_value",
]

_REFUSALS = 16  # of one version, before that is not taken for the work of others
Keys: TypeAlias = list[str]  # inside ListableStore, `list` is the method


class Latency(IntEnum):
    """What one request to a store costs, roughly; array code chooses by it how to ask."""

    MEMORY = 0  # about a microsecond: never worth a thread of its own
    DISK = 1  # tens of microseconds: threads help as far as there are cores
    NETWORK = 2  # milliseconds: many requests at once, few of them, and no round trip for nothing


class Store(ABC):
    """What all stores have in common, whatever they can do."""

    latency: Latency = Latency.DISK
    """The class of cost of a request."""

    request_cost: float = 1 << 20
    """
    Bytes that are moved in the time that one more request takes; so much is worth reading for
    nothing to save one. Asked for in stores of the network class.
    """

    durable: bool = False
    """Whether a write waits until it is on the disk for good."""

    clock: Clock = REAL_CLOCK
    """Whose time this store lives in; arrays take their threads and locks from it."""

    @property
    def concurrency(self) -> int:
        """How many requests at once still help. Defaults to the cores of this process."""
        return available_cores()

    @property
    @abstractmethod
    def identity(self) -> Hashable:
        """What names the place of the data: equal for two stores of this process that share it."""

    def _place(self, key: str) -> tuple[Hashable, str]:
        """
        The name of a value for the whole process: equal for two stores and keys that share it.

        A store that hands its keys on under other names asks the one that it hands them to.
        """
        return self.identity, key

    def close(self) -> None:  # noqa: B027 - not abstract: most stores hold nothing
        """Give back what the store holds on to. Stores that hold nothing stay usable."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class ReadableStore(Store):
    """A store that can be read."""

    def get(self, key: str) -> Value:
        """
        The whole value of a key.

        Raises:
            KeyNotFoundError: If the key is absent.

            InvalidKeyError: If it cannot be a key.
        """
        return self._get(check_key(key, store=self, op="get"))

    def get_partial_values(self, key_ranges: Iterable[KeyRange]) -> list[Value | None]:
        """
        Parts of values, in the order asked for; None where the key is absent.

        Successive ranges of one key are one request to the backend.

        Args:
            key_ranges: Of ``(key, start, length)`` in bytes. A negative start counts from the end,
                a length of None reaches to the end. Ranges are clamped to the value. May be an
                iterator.

        Raises:
            InvalidRangeError: Before anything is read, if a start or length is not an int, or the
                length is negative.

            InvalidKeyError: Likewise, if a key cannot be one.
        """
        op = "get_partial_values"
        checked = [
            (
                check_key(key, store=self, op=op),
                check_range(start, length, store=self, op=op, key=key),
            )
            for key, start, length in key_ranges
        ]
        return self._get_partial_values(checked)

    def exists(self, key: str) -> bool:
        """Whether the key holds a value."""
        return self._exists(check_key(key, store=self, op="exists"))

    def getsize(self, key: str) -> int:
        """
        The size of a value in bytes.

        Raises:
            KeyNotFoundError: If the key is absent.
        """
        return self._getsize(check_key(key, store=self, op="getsize"))

    @abstractmethod
    def _get(self, key: str) -> Value: ...

    def _get_ranges(self, key: str, ranges: Sequence[ByteRange]) -> list[Value]:
        return parts_of(self._get(key), ranges)

    def _get_partial_values(self, asked: Sequence[tuple[str, ByteRange]]) -> list[Value | None]:
        values: list[Value | None] = []
        for key, group in groupby(asked, key=lambda pair: pair[0]):
            ranges = [byte_range for _, byte_range in group]
            try:
                values.extend(self._get_ranges(key, ranges))
            except KeyNotFoundError:
                values.extend([None] * len(ranges))
        return values

    def _exists(self, key: str) -> bool:
        try:
            self._getsize(key)
        except KeyNotFoundError:
            return False
        return True

    def _getsize(self, key: str) -> int:
        return len(self._get(key))


class WritableStore(Store):
    """A store that can be written."""

    def set(self, key: str, value: BytesLike) -> None:
        """
        Store a value under a key, in place of any there was. Readers see the old value or the new.

        Raises:
            KeyConflictError: If the key is a prefix of another, or the reverse.

            TypeError: If the value has no buffer of bytes.
        """
        self._set(check_key(key, store=self, op="set"), as_value(value))

    def set_values(self, key_values: Iterable[tuple[str, BytesLike]]) -> None:
        """
        Store several values, each as `set` would; many small ones may cost less than one by one.

        They are taken from the iterable one after the other, and written meanwhile: a generator may
        make them on the way, in a buffer that it uses again, and only a few are held at a time.
        Readers see the old value or the new of each key, in no order among the keys; all are stored
        when this returns. Of a key that comes twice the last value stays.

        If the iterable raises, or one of the values cannot be stored, the error is passed on. What
        came before it is stored, nothing of what comes behind it is.

        Args:
            key_values: Of ``(key, value)``.

        Raises:
            KeyConflictError: If a key is a prefix of another, or the reverse.

            InvalidKeyError: If a key cannot be one; found when its turn comes.

            TypeError: Likewise, if a value has no buffer of bytes.
        """
        op = "set_values"
        self._set_values(
            (check_key(key, store=self, op=op), as_value(value)) for key, value in key_values
        )

    def set_partial_values(self, key_start_values: Iterable[KeyValue]) -> None:
        """
        Write parts of existing values.

        Everything asked of one key appears at once. A part may reach beyond the end, which makes
        the value longer, but may not begin beyond it. Where the store has compare-and-set, no
        concurrent change of the same value is lost.

        Args:
            key_start_values: Of ``(key, start, value)``, start in bytes from the beginning.

        Raises:
            KeyNotFoundError: If a key is absent.

            InvalidRangeError: If a start is negative, not an int or leaves a gap, or parts of a key
                overlap.
        """
        op = "set_partial_values"
        parts: dict[str, list[tuple[int, Value]]] = {}
        for key, start, value in key_start_values:
            check_key(key, store=self, op=op)
            first, _ = check_range(start, None, store=self, op=op, key=key)
            parts.setdefault(key, []).append((first, as_value(value)))
        for key, changes in parts.items():
            self._check_parts(key, changes)
        self._set_partial_values(parts)

    def erase(self, key: str) -> None:
        """Remove a key; nothing happens if it is absent."""
        self._erase(check_key(key, store=self, op="erase"))

    def erase_values(self, keys: Iterable[str]) -> None:
        """Remove several keys, absent or not. Nothing is removed if one of them cannot be a key."""
        self._erase_values([check_key(key, store=self, op="erase_values") for key in keys])

    def erase_prefix(self, prefix: str) -> int:
        """Remove all keys under a prefix (``""``: all keys) and return how many there were."""
        return self._erase_prefix(check_prefix(prefix, store=self, op="erase_prefix"))

    @abstractmethod
    def _set(self, key: str, value: Value) -> None: ...

    def _set_values(self, key_values: Iterable[tuple[str, Value]]) -> None:
        for key, value in key_values:
            self._set(key, value)

    def _set_partial_values(self, parts: Mapping[str, Sequence[tuple[int, Value]]]) -> None:
        for key, changes in parts.items():
            self._set_ranges(key, changes)

    def _set_ranges(self, key: str, changes: Sequence[tuple[int, Value]]) -> None:
        if not isinstance(self, ReadableStore):
            text = "values that cannot be read cannot be changed in part"
            raise UnsupportedError(text, store=self, op="set_partial_values", key=key)
        self._set(key, splice(self._get(key), changes, store=self, key=key))

    @abstractmethod
    def _erase(self, key: str) -> None: ...

    def _erase_values(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._erase(key)

    def _erase_prefix(self, prefix: str) -> int:
        if not isinstance(self, ListableStore):
            text = "the keys under a prefix are not known to a store that cannot list"
            raise UnsupportedError(text, store=self, op="erase_prefix", key=prefix)
        keys = list(self._list_prefix(prefix))
        self._erase_values(keys)
        return len(keys)

    def _check_parts(self, key: str, changes: list[tuple[int, Value]]) -> None:
        """Sort the parts by their start, and refuse those that make no sense together."""
        op, end = "set_partial_values", 0
        changes.sort(key=lambda change: change[0])
        for start, value in changes:
            if start < 0:
                raise InvalidRangeError(
                    f"part of {key!r}: the start must not be negative, found {start}",
                    store=self,
                    op=op,
                    key=key,
                )
            if start < end and len(value):
                raise InvalidRangeError(
                    f"parts of {key!r} overlap at byte {start}", store=self, op=op, key=key
                )
            end = max(end, start + len(value))


class ListableStore(Store):
    """A store that knows its keys."""

    page_size: int | None = None
    """How many keys one request of a listing brings, where listing is paged."""

    def list(self) -> Keys:
        """All keys, sorted."""
        return sorted(self._list())

    def list_prefix(self, prefix: str) -> Keys:
        """All keys under a prefix (``""``: all keys), sorted. A key is not under itself."""
        return sorted(self._list_prefix(check_prefix(prefix, store=self, op="list_prefix")))

    def list_dir(self, prefix: str) -> Keys:
        """The keys directly under a prefix and the prefixes there, which end with ``/``; sorted."""
        return sorted(self._list_dir(check_prefix(prefix, store=self, op="list_dir")))

    def _list(self) -> Iterable[str]:
        return self._list_prefix("")

    @abstractmethod
    def _list_prefix(self, prefix: str) -> Iterable[str]: ...

    def _list_dir(self, prefix: str) -> Iterable[str]:
        start = len(prefix)
        return {key[: key.find("/", start) + 1] or key for key in self._list_prefix(prefix)}


class ConditionalStore(ReadableStore, WritableStore):
    """A store that can replace a value on the condition that nobody else has."""

    def get_versioned(self, key: str) -> tuple[Value, str]:
        """
        A value, and the version it has: a text that changes whenever the value is written.

        Raises:
            KeyNotFoundError: If the key is absent.
        """
        return self._get_versioned(check_key(key, store=self, op="get_versioned"))

    def compare_and_set(
        self, key: str, value: BytesLike | None, expected_version: str | None
    ) -> str | None:
        """
        Store a value if the key still has the version expected, and return the new version.

        Of several calls with one version only one succeeds, among all threads and processes.

        Args:
            key: The key.

            value: The new value, or None to remove the key.

            expected_version: As `get_versioned` or this method returned it; None for "the key is
                absent".

        Raises:
            ConflictError: If the version is another. Nothing was written.
        """
        check_key(key, store=self, op="compare_and_set")
        new = None if value is None else as_value(value)
        return self._compare_and_set(key, new, expected_version)

    @abstractmethod
    def _get_versioned(self, key: str) -> tuple[Value, str]: ...

    @abstractmethod
    def _compare_and_set(
        self, key: str, value: Value | None, expected_version: str | None
    ) -> str | None: ...

    def _set_ranges(self, key: str, changes: Sequence[tuple[int, Value]]) -> None:
        seen, times = "", 0
        while True:
            value, version = self._get_versioned(key)
            seen, times = version, times + 1 if version == seen else 1
            try:
                self._compare_and_set(key, splice(value, changes, store=self, key=key), version)
                return
            except ConflictError:
                if times == _REFUSALS:  # nobody else has written: the backend just refuses
                    raise
