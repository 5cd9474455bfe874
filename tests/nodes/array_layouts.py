"""Ways to lay out an array, kinds of stores, and how to make small data take the paths of large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from storekit.codecs.bytes import BytesCodec
from storekit.codecs.crc32c import Crc32cCodec
from storekit.codecs.sharding import ShardingCodec
from storekit.codecs.transpose import TransposeCodec
from storekit.codecs.zstd import ZstdCodec
from storekit.stores.base import Latency, ListableStore, ReadableStore, WritableStore
from storekit.stores.memory import MemoryStore
from storekit.stores.wrapper import Call, WrapperStore

Shape = tuple[int, ...]

_BYTES, _BIG = BytesCodec("little"), BytesCodec("big")
_CRC = Crc32cCodec()


def _times(chunks: Shape, factor: int) -> Shape:
    return tuple(factor * n for n in chunks)


def _turned(shape: Shape) -> Shape:
    """The shape behind a transposition by `_turn`."""
    return shape[1:] + shape[:1]


def _turn(ndim: int) -> TransposeCodec:
    return TransposeCodec((*range(1, ndim), 0)[:ndim])


LAYOUTS: dict[str, Callable[[Shape], dict[str, Any]]] = {
    "none": lambda c: {"chunks": c, "codecs": "none"},
    "zstd": lambda c: {"chunks": c, "codecs": "zstd"},
    "b2nd": lambda c: {"chunks": c, "codecs": "b2nd"},
    "big": lambda c: {"chunks": c, "codecs": [_BIG, ZstdCodec(1), _CRC], "key_encoding": "."},
    "turned": lambda c: {"chunks": c, "codecs": [_turn(len(c)), _BYTES], "key_encoding": "v2"},
    "shards": lambda c: {"chunks": c, "shards": _times(c, 2), "codecs": "none"},
    "zstd shards": lambda c: {"chunks": c, "shards": _times(c, 3), "codecs": "zstd"},
    "b2nd shards": lambda c: {"chunks": c, "shards": _times(c, 2), "codecs": "b2nd"},
    "index first": lambda c: {
        "chunks": _times(c, 2),
        "codecs": [ShardingCodec(c, [_BYTES, _CRC], [_BIG], "start")],
    },
    "nested": lambda c: {
        "chunks": _times(c, 4),
        "codecs": [ShardingCodec(_times(c, 2), [ShardingCodec(c, [_BYTES], None, "start")])],
    },
    "turned shards": lambda c: {
        "chunks": _times(c, 2),
        "codecs": [_turn(len(c)), ShardingCodec(_turned(c), [_turn(len(c)), _BYTES])],
    },
    "packed shards": lambda c: {
        "chunks": _times(c, 2),
        "codecs": [ShardingCodec(c, [_BYTES]), ZstdCodec(1)],
    },
}
"""For every layout the options of `ZarrArray.create`, given the least unit of a chunk."""


@contextmanager
def eager(*, ranges: bool = True, threads: bool = True) -> Iterator[None]:
    """
    Let little work take the paths of much.

    Args:
        ranges: Whether parts of chunks are read by byte ranges wherever the codecs can.

        threads: Whether several threads work on every plan of more than one chunk.
    """
    always = dict.fromkeys(Latency, -(1 << 62) if ranges else 1 << 62)
    changes = [
        patch("storekit.nodes.chunkio._MIN_SAVED", always),
        patch("storekit.codecs.shards._SUB_READ", 0),
        patch("storekit.codecs.bytes.GAP", 0),
        patch("storekit.nodes.chunkio._WAKE", 0 if threads else 1 << 62),
        patch("storekit.pool._CALL", 0),
        patch("storekit.nodes.chunkio._BATCH", 1),
    ]
    for change in changes:
        change.start()
    try:
        yield
    finally:
        for change in reversed(changes):
            change.stop()


class PlainStore(ReadableStore, WritableStore, ListableStore):
    """A `MemoryStore` without compare-and-set."""

    latency = Latency.MEMORY

    def __init__(self) -> None:
        self.memory = MemoryStore()

    @property
    def identity(self) -> Any:
        """Its own."""
        return "plain", id(self)

    def _get(self, key: str) -> Any:
        return self.memory.get(key)

    def _set(self, key: str, value: Any) -> None:
        self.memory.set(key, value)

    def _set_ranges(self, key: str, changes: Any) -> None:
        self.memory.set_partial_values([(key, *change) for change in changes])

    def _erase(self, key: str) -> None:
        self.memory.erase(key)

    def _erase_prefix(self, prefix: str) -> int:
        return self.memory.erase_prefix(prefix)

    def _list_prefix(self, prefix: str) -> list[str]:
        return self.memory.list_prefix(prefix)


class UnlistedStore(ReadableStore, WritableStore):
    """A store that cannot say which keys it has."""

    latency = Latency.MEMORY

    def __init__(self, inner: MemoryStore) -> None:
        self.inner = inner

    @property
    def identity(self) -> Any:
        """That of the inner store."""
        return self.inner.identity

    def _get(self, key: str) -> Any:
        return self.inner.get(key)

    def _set(self, key: str, value: Any) -> None:
        self.inner.set(key, value)

    def _set_ranges(self, key: str, changes: Any) -> None:
        raise NotImplementedError

    def _erase(self, key: str) -> None:
        self.inner.erase(key)

    def _erase_prefix(self, prefix: str) -> int:
        return self.inner.erase_prefix(prefix)


class ReadOnly(ReadableStore):
    """A store that can only be read."""

    latency = Latency.MEMORY

    def __init__(self, inner: MemoryStore) -> None:
        self.inner = inner

    @property
    def identity(self) -> Any:
        """That of the inner store."""
        return self.inner.identity

    def _get(self, key: str) -> Any:
        return self.inner.get(key)


class CountingStore(WrapperStore):
    """Notes every call."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.calls: list[Call] = []

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        self.calls.append(call)
        return proceed()

    @property
    def seen(self) -> list[tuple[str, str]]:
        """What was called since the last time this was asked, with the key or prefix."""
        seen = [(call.op, call.prefix if call.keys == () else call.keys[0]) for call in self.calls]
        self.calls.clear()
        return seen


class HookedStore(WrapperStore):
    """Calls a function before every call; what it raises is the answer."""

    def __init__(self, store: Any, hook: Callable[[Call], None]) -> None:
        super().__init__(store)
        self.hook = hook

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        self.hook(call)
        return proceed()
