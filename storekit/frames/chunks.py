"""The chunks of a frame as a store: keys are their numbers, and chunks of only zeros are absent."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from storekit.errors import CorruptFrameError, KeyNotFoundError
from storekit.frames.chunk import special_chunk
from storekit.frames.frame import Frame
from storekit.frames.home import Change, Home, Snapshot
from storekit.frames.layout import MAX_TYPESIZE, NANS, UNINIT, ZEROS
from storekit.frames.plain import check_length, shortened
from storekit.stores.base import ReadableStore, WritableStore
from storekit.stores.values import parts_of
from storekit.typing import AnyArray, ByteRange, Value

__all__ = ["ChangingChunks", "FrameChunks"]


class FrameChunks(ReadableStore):
    """
    The chunks of one state of a frame.

    Args:
        home: Where the frame lives.

        source: The state; or a change of it.
    """

    def __init__(self, home: Home, source: Snapshot | Change) -> None:
        self.latency, self.request_cost, self.clock = home.latency, home.request_cost, home.clock
        self._home, self._source = home, source
        frame = source.frame if isinstance(source, Snapshot) else source.snapshot.frame
        self.frame: Frame = frame

    @property
    def _offsets(self) -> AnyArray:
        source = self._source
        return source.frame.offsets if isinstance(source, Snapshot) else source.offsets

    @property
    def concurrency(self) -> int:
        """That of where the frame lives."""
        return self._home.concurrency

    @property
    def identity(self) -> Hashable:
        """That of the frame."""
        return self._home.identity

    def extent(self, key: str) -> tuple[int, int] | None:
        """Where in the frame a chunk begins and ends at most; None if it is not among others."""
        offset = int(self._offsets[int(key)])
        return None if self.frame.header.sparse or offset < 0 else self.frame.extent(offset)

    def get_stored(self, keys: Sequence[str]) -> dict[str, Value]:
        """Several chunks that have an extent, in one call; each as `checked` takes it."""
        values = self._source.read([(self._offset(key), (0, None)) for key in keys])
        return dict(zip(keys, values, strict=True))

    def checked(self, key: str, value: Value) -> Value:
        """A chunk exactly, of one that may come with bytes behind it that are not used any more."""
        return self._measured(key, self.frame.exact(value))

    def _measured(self, key: str, value: Value) -> Value:
        """A chunk, as long as its place."""
        if self.frame.plain:
            check_length(self.frame, int(key), value)
        return value

    def _get(self, key: str) -> Value:
        offset = self._offset(key)
        if offset < 0:
            return self._special(key, offset)
        return self._measured(key, self._source.chunk(offset))

    def _get_ranges(self, key: str, ranges: Sequence[ByteRange]) -> list[Value]:
        offset = self._offset(key)
        if offset < 0:
            whole = self._special(key, offset)
        elif self.frame.ends is not None:  # its checksums are those of all of it
            whole = self._source.chunk(offset)
        else:
            return self._source.read([(offset, each) for each in ranges])
        return parts_of(whole, ranges)

    def _getsize(self, key: str) -> int:
        return len(self._get(key))

    def _offset(self, key: str) -> int:
        offsets = self._offsets
        number = int(key)
        if number >= len(offsets) or (offset := int(offsets[number])) in (ZEROS, UNINIT):
            raise KeyNotFoundError(f"chunk {key} is not stored", store=self, op="get", key=key)
        return offset

    def _special(self, key: str, offset: int) -> Value:
        header = self.frame.header
        if offset != NANS:
            raise CorruptFrameError(f"chunk {key} is special in an unknown way: {offset:#x}")
        if header.typesize > MAX_TYPESIZE:
            raise CorruptFrameError(
                f"chunk {key} is of NaN, in elements of {header.typesize} bytes"
            )
        return special_chunk(header.typesize, header.chunksize, header.blocksize)


class ChangingChunks(FrameChunks, WritableStore):
    """The chunks of a frame that is being changed."""

    _source: Change

    def _set(self, key: str, value: Value) -> None:
        if self.frame.plain:
            value = shortened(self.frame, int(key), value)
        self._source.put(int(key), value)

    def _erase(self, key: str) -> None:
        self._source.drop(int(key))
