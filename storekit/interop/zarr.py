"""storekit's stores as stores of zarr-python."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from itertools import groupby
from typing import Any, ParamSpec, TypeAlias, TypeVar

from storekit.errors import ConflictError, KeyNotFoundError, MissingExtraError
from storekit.pool import submit
from storekit.stores.base import ConditionalStore, Latency, ListableStore, Store, WritableStore
from storekit.typing import ByteRange

try:
    from zarr.abc.store import (
        ByteRequest,
        OffsetByteRequest,
        RangeByteRequest,
        SuffixByteRequest,
    )
    from zarr.abc.store import Store as _ZarrStore
    from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "zarr":
        raise
    raise MissingExtraError(
        "ZarrStore needs zarr-python: pip install 'storekit[zarr]'", name=error.name
    ) from error

__all__ = ["ZarrStore"]

P = ParamSpec("P")
T = TypeVar("T")
Names: TypeAlias = AsyncIterator[str]
_ALL: ByteRange = (0, None)


class ZarrStore(_ZarrStore):  # type: ignore[misc]
    """
    A storekit store in the form that zarr-python expects.

    Where zarr-python leaves the meaning to each store, this one has that of storekit: prefixes are
    directories, with or without their slash, and a key cannot be a prefix of another.

    Stores in memory are called directly, all others in the threads of their clock, as many at once
    as the store finds useful.

    Args:
        store: What is adapted. It is not closed with the adapter.

        read_only: Whether writes are refused. True in any case for a store that cannot be written.

    Threads: as safe as the store.
    """

    def __init__(self, store: Store, *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only or not isinstance(store, WritableStore))
        self.store: Any = store

    async def _ask(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._ensure_open()
        if self.store.latency is Latency.MEMORY:
            return method(*args, **kwargs)
        future = submit(self.store.clock, self.store.concurrency, method, *args, **kwargs)
        return await asyncio.wrap_future(future)

    def with_read_only(self, read_only: bool = False) -> ZarrStore:
        """The same store, made writable or read-only; not open yet."""
        return type(self)(self.store, read_only=read_only)

    # --- reading

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """A value or a part of it; None if the key is absent."""
        return await self._ask(self.get_sync, key, prototype=prototype, byte_range=byte_range)

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """As `get`, in the thread of the caller."""
        if byte_range is not None:
            return self._get_parts(key, [byte_range], prototype)[0]
        try:
            return _buffer(self.store.get(key), prototype)
        except KeyNotFoundError:
            return None

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Parts of values, in the order asked for; one request for successive parts of one key."""
        groups = [
            (key, [part for _, part in group])
            for key, group in groupby(key_ranges, key=lambda pair: pair[0])
        ]
        answers = await asyncio.gather(
            *(self._ask(self._get_parts, key, parts, prototype) for key, parts in groups)
        )
        return [value for values in answers for value in values]

    def _get_parts(
        self,
        key: str,
        parts: Iterable[ByteRequest | None],
        prototype: BufferPrototype | None,
    ) -> list[Buffer | None]:
        asked = [(key, *_byte_range(part)) for part in parts]
        values = self.store.get_partial_values(asked)
        return [None if value is None else _buffer(value, prototype) for value in values]

    async def exists(self, key: str) -> bool:
        """Whether the key holds a value."""
        return bool(await self._ask(self.store.exists, key))

    async def getsize(self, key: str) -> int:
        """
        The size of a value in bytes.

        Raises:
            FileNotFoundError: If the key is absent.
        """
        try:
            return int(await self._ask(self.store.getsize, key))
        except KeyNotFoundError as error:
            raise FileNotFoundError(key) from error

    # --- writing

    @property
    def supports_writes(self) -> bool:
        """Whether the store can be written, if the adapter is not read-only."""
        return isinstance(self.store, WritableStore)

    @property
    def supports_deletes(self) -> bool:
        """Whether keys can be removed."""
        return isinstance(self.store, WritableStore)

    async def set(self, key: str, value: Buffer) -> None:
        """Store a value under a key."""
        await self._ask(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """As `set`, in the thread of the caller."""
        self._check_writable()
        self.store.set(key, _bytes_of(value))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Store a value if the key is absent; at once, if the store has compare-and-set."""
        self._check_writable()
        if not isinstance(self.store, ConditionalStore):
            await super().set_if_not_exists(key, value)
            return
        with suppress(ConflictError):
            await self._ask(self.store.compare_and_set, key, _bytes_of(value), None)

    async def delete(self, key: str) -> None:
        """Remove a key, absent or not."""
        await self._ask(self.delete_sync, key)

    def delete_sync(self, key: str) -> None:
        """As `delete`, in the thread of the caller."""
        self._check_writable()
        self.store.erase(key)

    async def delete_dir(self, prefix: str) -> None:
        """Remove all keys under a prefix."""
        self._check_writable()
        await self._ask(self.store.erase_prefix, _directory(prefix))

    async def clear(self) -> None:
        """Remove all keys."""
        await self.delete_dir("")

    # --- listing

    @property
    def supports_listing(self) -> bool:
        """Whether the store knows its keys."""
        return isinstance(self.store, ListableStore)

    async def is_empty(self, prefix: str) -> bool:
        """Whether there is no key under a prefix."""
        return not await self._names("list_dir", _directory(prefix))

    async def list(self) -> Names:
        """All keys."""
        for key in await self._names("list"):
            yield key

    async def list_prefix(self, prefix: str) -> Names:
        """All keys under a prefix."""
        for key in await self._names("list_prefix", _directory(prefix)):
            yield key

    async def list_dir(self, prefix: str) -> Names:
        """The last names of the keys and prefixes directly under a prefix."""
        directory = _directory(prefix)
        for name in await self._names("list_dir", directory):
            yield name[len(directory) :].removesuffix("/")

    async def _names(self, method: str, *args: str) -> Iterable[str]:
        if not self.supports_listing:
            raise NotImplementedError(f"{self.store!r} cannot list its keys")
        names: Iterable[str] = await self._ask(getattr(self.store, method), *args)
        return names

    # --- what all objects have

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ZarrStore):
            return NotImplemented
        return self.read_only == other.read_only and bool(self.store == other.store)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        read_only = ", read_only=True" if self.read_only and self.supports_writes else ""
        return f"{type(self).__name__}({self.store!r}{read_only})"


def _directory(prefix: str) -> str:
    stripped = prefix.strip("/")
    return f"{stripped}/" if stripped else ""


def _byte_range(request: ByteRequest | None) -> ByteRange:
    if request is None:
        return _ALL
    if isinstance(request, RangeByteRequest):
        return request.start, request.end - request.start
    if isinstance(request, OffsetByteRequest):
        return request.offset, None
    if isinstance(request, SuffixByteRequest):
        # -0 would be the beginning.
        return (-request.suffix, None) if request.suffix else (0, 0)
    raise ValueError(f"Unexpected byte_range, got {request!r}.")


def _buffer(value: Any, prototype: BufferPrototype | None) -> Buffer:
    return (prototype or default_buffer_prototype()).buffer.from_bytes(value)


def _bytes_of(value: Buffer) -> Any:
    if not isinstance(value, Buffer):
        raise TypeError(f"the value must be a zarr Buffer, not {type(value).__name__}")
    return value.as_numpy_array()
