"""Arrays in frames of blosc2, wherever these are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, MutableMapping
from concurrent.futures import Future
from math import prod
from typing import Any, NamedTuple, TypeVar

import numpy as np

from storekit.codecs.frame_chunk import FrameChunkCoder, PlainChunkCoder
from storekit.codecs.spec import ChunkSpec
from storekit.errors import ConflictError
from storekit.frames.chunks import ChangingChunks, FrameChunks
from storekit.frames.home import Change, Home, Snapshot
from storekit.frames.params import CParams
from storekit.nodes.array import Array
from storekit.nodes.chunkio import ChunkIO
from storekit.nodes.locks import value_lock
from storekit.pool import submit
from storekit.selection.parse import Selection
from storekit.typing import JSON, AnyArray, DType, Shape

__all__ = ["FrameArray"]

T = TypeVar("T")


class _State(NamedTuple):
    """One state of the frame, and how its chunks are read."""

    snapshot: Snapshot
    chunks: FrameChunks
    io: ChunkIO


class FrameArray(Array):
    """
    An array in a frame of blosc2: a ``.b2nd`` file, a file of caterva, or the same in memory or
    under a key of any store.

    Chunks are cut into blocks, and where only some of these are needed only they are read, by
    ranges. Chunks that storekit wrote are verified by the checksums in them.

    What a statement writes appears at once, and nothing of it if it fails. Frames in local files
    are changed where they lie, under a lock that other processes keep to which use storekit; frames
    under a key of a store are written as a whole.

    Args:
        home: Where the frame lives.

        path: A name for it, as in a hierarchy.

    Threads: safe.
    """

    def __init__(self, home: Home, path: str = "") -> None:
        self._home, self._path = home, path
        self._coder: FrameChunkCoder | None = None
        self._settings: tuple[ChunkSpec, Shape, CParams]
        self._state = self._made(home.snapshot())

    def _made(self, snapshot: Snapshot) -> _State:
        chunks = FrameChunks(self._home, snapshot)
        return _State(snapshot, chunks, self._io(chunks, snapshot.frame.meta.shape))

    def _io(self, chunks: FrameChunks, shape: Shape) -> ChunkIO:
        frame = chunks.frame
        meta = frame.meta
        spec = ChunkSpec(meta.chunks, meta.dtype, np.zeros((), meta.dtype)[()])
        settings = spec, meta.blocks, CParams.from_header(frame.header)
        if self._coder is None or self._settings != settings:
            self._settings = settings
            if frame.plain:
                self._coder = PlainChunkCoder(spec, frame.header)
            else:
                self._coder = FrameChunkCoder(*settings)
        return ChunkIO(chunks, shape, self._coder, _numbering(shape, meta.chunks))

    def _now(self) -> _State:
        """The state as it is now."""
        state, snapshot = self._state, self._home.snapshot()
        if snapshot is not state.snapshot:
            state = self._state = self._made(snapshot)
        return state

    @property
    def path(self) -> str:
        """The name that it was opened by."""
        return self._path

    @property
    def attributes(self) -> MutableMapping[str, JSON]:
        """The metalayers of variable length."""
        return {}

    @property
    def _place(self) -> Hashable:
        return self._home.identity

    @property
    def shape(self) -> Shape:
        """The length of every dimension."""
        return self._now().snapshot.frame.meta.shape

    @property
    def dtype(self) -> DType:
        """The numpy dtype of the elements, in the byte order that they are stored in."""
        return self._state.snapshot.frame.meta.dtype

    @property
    def chunks(self) -> Shape:
        """The shape of a chunk."""
        return self._state.snapshot.frame.meta.chunks

    def _read(self, selection: Selection) -> AnyArray:
        return self._state.io.read(selection)

    def _read_into(self, selection: Selection, out: AnyArray) -> None:
        self._state.io.read_into(selection, out)

    def _is_brief(self, selection: Selection) -> bool:
        return self._state.io.is_brief(selection)

    def _write(self, selection: Selection, values: AnyArray) -> None:
        def write(change: Change) -> None:
            chunks = ChangingChunks(self._home, change)
            self._io(chunks, change.meta.shape).write(selection, values)

        self._change(write)

    def _change(self, edit: Callable[[Change], T]) -> T:
        """Change the frame, again as long as others do so at the same time."""
        while True:
            with value_lock(self._state.chunks, "frame"):
                try:
                    with self._home.change() as change:
                        result = edit(change)
                        change.commit()
                    return result
                except ConflictError:
                    continue

    def _submit(self, task: Callable[..., T], *args: Any) -> Future[T]:
        return submit(self._home.clock, self._home.concurrency, task, *args)


def _numbering(shape: Shape, chunks: Shape) -> Callable[[tuple[str, ...]], str]:
    """From the place of a chunk in the grid to its number, both as texts."""
    counts = [-(-n // c) if c else 0 for n, c in zip(shape, chunks, strict=True)]
    strides = [prod(counts[i + 1 :]) for i in range(len(counts))]

    def number(place: tuple[str, ...]) -> str:
        return str(sum(int(label) * stride for label, stride in zip(place, strides, strict=True)))

    return number
