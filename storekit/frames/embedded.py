"""
Frames in the content of another one: what blosc2 calls an EmbedStore.

The frames lie end to end in the content of a super-chunk. A metalayer of variable size has a map
from their names to offset and length.

Source: python-blosc2 4.14, ``embed_store.py``, and files that it writes.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import msgpack
import numpy as np

from storekit.errors import CodecError, CorruptFrameError, KeyNotFoundError, UnsupportedError
from storekit.frames.chunk import decompress_into
from storekit.frames.frame import Frame, trimmed
from storekit.frames.home import Home
from storekit.frames.layout import UNINIT, ZEROS
from storekit.keys import resolve_range
from storekit.stores.base import ReadableStore
from storekit.typing import ByteRange, Value

__all__ = ["EMBEDDING", "EmbeddedFrames", "Place", "parse_map"]

EMBEDDING = ("b2embed", "b2dict", "b2tree")
"""The metalayers that say that a super-chunk has frames in it, and for which kind of container."""

_MAP = "estore_metadata"


class Place(NamedTuple):
    """Where in the content a frame is."""

    offset: int
    length: int


def parse_map(frame: Frame) -> dict[str, Place | None]:
    """
    The frames that are in the content of a frame, by name; None stands for a reference to
    something that is not in it.

    Raises:
        CorruptFrameError: If the map is damaged, or leads out of the content.
    """
    if _MAP not in frame.trailer.layers:
        return {}
    try:
        found: Any = msgpack.unpackb(frame.trailer.layers.content(_MAP))
    except (MemoryError, TypeError, ValueError, msgpack.UnpackException) as error:
        raise CorruptFrameError(f"the map of the frames inside is damaged: {error}") from error
    entries = found.get("embed_map") if isinstance(found, dict) else None
    if not isinstance(entries, dict):
        raise CorruptFrameError("the map of the frames inside is damaged")
    return {_name(name): _place(name, entry, frame) for name, entry in entries.items()}


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise CorruptFrameError(f"the map of the frames inside has the name {name!r:.80}")
    return name


def _place(name: str, entry: object, frame: Frame) -> Place | None:
    match entry:
        case {"urlbase": _}:
            return None
        case {"offset": int() as offset, "length": int() as length}:
            if offset >= 0 and 0 < length <= frame.header.nbytes - offset:
                return Place(offset, length)
    raise CorruptFrameError(
        f"frame {name!r:.80} is said to be at {entry!r:.80}, in {frame.header.nbytes} bytes"
    )


class EmbeddedFrames(ReadableStore):
    """
    The frames inside of another one, each the value of a key.

    Args:
        home: Where the frame around them is. It is read as it was when this was made.

        places: Where they are in its content, by key; as `parse_map` has checked it.

    Raises:
        UnsupportedError: If the frame around them is no super-chunk.
    """

    def __init__(self, home: Home, places: Mapping[str, Place]) -> None:
        self.latency, self.request_cost, self.clock = home.latency, home.request_cost, home.clock
        self._home, self._snapshot, self._places = home, home.snapshot(), dict(places)
        if not self._snapshot.frame.plain:
            raise UnsupportedError("frames inside of an array", store=self, op="get")

    @property
    def concurrency(self) -> int:
        """That of where the frame around them is."""
        return self._home.concurrency

    @property
    def identity(self) -> Hashable:
        """The place of the frame around them."""
        return "embedded", self._home.identity

    def _get(self, key: str) -> Value:
        (value,) = self._get_ranges(key, [(0, None)])
        return value

    def _getsize(self, key: str) -> int:
        return self._place_of(key, "getsize").length

    def _get_ranges(self, key: str, ranges: Sequence[ByteRange]) -> list[Value]:
        place = self._place_of(key, "get_partial_values")
        spans = []
        for asked in ranges:
            first, last = resolve_range(*asked, place.length)
            spans.append((place.offset + first, place.offset + max(first, last)))
        size = self._snapshot.frame.header.chunksize
        numbers = {n for first, last in spans for n in range(first // size, -(-last // size))}
        chunks = self._chunks(sorted(numbers))
        return [_joined(chunks, size, first, last) for first, last in spans]

    def _place_of(self, key: str, op: str) -> Place:
        try:
            return self._places[key]
        except KeyError:
            raise KeyNotFoundError(f"no frame {key!r}", store=self, op=op, key=key) from None

    def _chunks(self, numbers: Sequence[int]) -> dict[int, memoryview]:
        """The content of some chunks, which are asked for at once."""
        offsets = self._snapshot.frame.offsets
        stored = [n for n in numbers if offsets[n] >= 0]
        values = self._snapshot.read([(int(offsets[n]), (0, None)) for n in stored])
        found = dict(zip(stored, values, strict=True))
        return {n: self._content(n, found.get(n)) for n in numbers}

    def _content(self, number: int, chunk: Value | None) -> memoryview:
        frame = self._snapshot.frame
        size = min(frame.header.chunksize, frame.header.nbytes - number * frame.header.chunksize)
        if chunk is None:
            if int(frame.offsets[number]) not in (ZEROS, UNINIT):
                raise CorruptFrameError(f"chunk {number} of frames has no bytes of frames")
            return memoryview(bytes(size))
        out = np.empty(size, np.uint8)
        try:
            decompress_into(trimmed(chunk), out.data)
        except CodecError as error:
            raise error.located(str(number)) from error
        return out.data.toreadonly()


def _joined(chunks: Mapping[int, memoryview], size: int, first: int, last: int) -> Value:
    """The bytes of a span of the content, of which there are the chunks."""
    pieces = []
    while first < last:
        number, start = divmod(first, size)
        pieces.append(chunks[number][start : start + last - first])
        first += len(pieces[-1])
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
