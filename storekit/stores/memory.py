"""Values in the memory of this process."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NoReturn

from storekit.errors import ConflictError, KeyConflictError, KeyNotFoundError
from storekit.stores._forklock import fork_lock
from storekit.stores.base import ConditionalStore, Latency, ListableStore
from storekit.stores.states import say_state
from storekit.stores.values import parts_of
from storekit.typing import ByteRange, BytesLike, Value

__all__ = ["MemoryStore"]

# Counted for the whole process: no two stores share an identity, and no two writes a version.
_serial = count(1)


class MemoryStore(ConditionalStore, ListableStore):
    """
    A store in a dict.

    Like a dict it is compared and pickled by its contents, and cannot be hashed. After a fork,
    parent and child have a store each.

    Args:
        fields: The first contents, which are copied.

    Raises:
        KeyConflictError: If a key of `fields` is a prefix of another.

        InvalidKeyError: If a key of `fields` cannot be one.

    Threads: safe. Reading values takes no lock.
    """

    latency = Latency.MEMORY
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, fields: Mapping[str, BytesLike] | None = None) -> None:
        self._identity = ("memory", next(_serial))
        self._lock = fork_lock()  # for changes of the two dicts
        self._entries: dict[str, tuple[bytes, int]] = {}  # by key: value, version
        self._children: dict[str, dict[str, None]] = {}  # by prefix: the keys and prefixes in it
        for key, value in (fields or {}).items():
            self.set(key, value)

    @property
    def identity(self) -> Hashable:
        """A name that no other store of this process has had or will have."""
        return self._identity

    def get(self, key: str) -> bytes:
        """
        The whole value of a key.

        Raises:
            KeyNotFoundError: If the key is absent.

            InvalidKeyError: If it cannot be a key.
        """
        # What is found needs no check: only valid keys got in.
        try:
            return self._entries[key][0]
        except (KeyError, TypeError):
            pass
        return super().get(key)  # type: ignore[return-value]

    def _get(self, key: str) -> bytes:
        return self._entry(key, "get")[0]

    def _get_ranges(self, key: str, ranges: Sequence[ByteRange]) -> list[Value]:
        entry, version = self._entry(key, "get_partial_values")
        say_state((self.identity, key), version, lasting=True)
        return parts_of(entry, ranges)

    def _getsize(self, key: str) -> int:
        return len(self._entry(key, "getsize")[0])

    def _exists(self, key: str) -> bool:
        return key in self._entries

    def _get_versioned(self, key: str) -> tuple[Value, str]:
        value, version = self._entry(key, "get_versioned")
        return value, str(version)

    def _entry(self, key: str, op: str) -> tuple[bytes, int]:
        try:
            return self._entries[key]
        except KeyError:
            pass
        raise KeyNotFoundError(f"no key {key!r}", store=self, op=op, key=key)

    def _set(self, key: str, value: Value) -> None:
        entry = _own(value), next(_serial)
        with self._lock:
            if key not in self._entries:
                self._link(key, "set")
            self._entries[key] = entry

    def _erase(self, key: str) -> None:
        with self._lock:
            if self._entries.pop(key, None) is not None:
                self._unlink(key)

    def _erase_prefix(self, prefix: str) -> int:
        with self._lock:
            keys = list(self._walk(prefix))
            for key in keys:
                del self._entries[key]
                self._unlink(key)
        return len(keys)

    def _compare_and_set(
        self, key: str, value: Value | None, expected_version: str | None
    ) -> str | None:
        entry = None if value is None else (_own(value), next(_serial))
        with self._lock:
            current = self._entries.get(key)
            if (None if current is None else str(current[1])) != expected_version:
                self._refuse(key, current is not None)
            if entry is None:
                self._erase(key)
                return None
            if current is None:
                self._link(key, "compare_and_set")
            self._entries[key] = entry
        return str(entry[1])

    def _list(self) -> list[str]:
        return list(self._entries)  # one step of the interpreter, so no lock is needed

    def _list_prefix(self, prefix: str) -> list[str]:
        with self._lock:
            return list(self._walk(prefix))

    def _list_dir(self, prefix: str) -> list[str]:
        with self._lock:
            return list(self._children.get(prefix, ()))

    def _walk(self, prefix: str) -> Iterator[str]:
        pending = [prefix]
        while pending:
            for child in self._children.get(pending.pop(), ()):
                if child.endswith("/"):
                    pending.append(child)
                else:
                    yield child

    def _link(self, key: str, op: str) -> None:
        """Put a new key into the index of prefixes; raise if it cannot live beside the others."""
        if key + "/" in self._children:
            self._conflict(key, f"there are keys under {key + '/'!r}", op)
        missing = []
        child, prefix = key, _parent(key)
        while prefix not in self._children and prefix:
            if prefix[:-1] in self._entries:
                self._conflict(key, f"{prefix[:-1]!r} is a key", op)
            missing.append((prefix, child))
            child, prefix = prefix, _parent(prefix[:-1])
        self._children.setdefault(prefix, {})[child] = None
        for directory, only in missing:
            self._children[directory] = {only: None}

    def _unlink(self, key: str) -> None:
        """Take a key out of the index, and the prefixes that hold nothing then."""
        child = key
        while child:
            prefix = _parent(child.removesuffix("/"))
            siblings = self._children[prefix]
            del siblings[child]
            if siblings:
                return
            del self._children[prefix]
            child = prefix

    def _conflict(self, key: str, reason: str, op: str) -> NoReturn:
        raise KeyConflictError(f"cannot write {key!r}: {reason}", store=self, op=op, key=key)

    def _refuse(self, key: str, present: bool) -> NoReturn:
        state = "has another version" if present else "is absent"
        raise ConflictError(f"{key!r} {state}", store=self, op="compare_and_set", key=key)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MemoryStore):
            return NotImplemented
        return self is other or self._contents() == other._contents()

    def _contents(self) -> dict[str, bytes]:
        with self._lock:
            return {key: value for key, (value, _) in self._entries.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._contents(),)

    def __repr__(self) -> str:
        count = len(self._entries)
        return f"{type(self).__name__}({count} key{'s' * (count != 1)})"


def _own(value: Value) -> bytes:
    """The value as bytes that nobody else can change."""
    return value if type(value) is bytes else bytes(memoryview(value))


def _parent(path: str) -> str:
    """The prefix in which a key, or a prefix without its slash, lies."""
    return path[: path.rfind("/") + 1]
