"""Frames in a buffer that somebody else has: bytes, or a file that is mapped into memory."""

from __future__ import annotations

import mmap
import os
from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np

from storekit.errors import NotAFrameError, ReadOnlyError
from storekit.frames.ends import pack_ends
from storekit.frames.frame import Frame
from storekit.frames.home import Change, Home, Piece, Snapshot
from storekit.frames.loading import load_frame, parse_ends
from storekit.frames.logfile import file_errors
from storekit.frames.memory import MemoryHome
from storekit.stores.base import Latency
from storekit.stores.values import parts_of
from storekit.typing import ByteRange, Value

__all__ = ["BufferHome", "in_memory", "mapped"]


class _BufferSnapshot(Snapshot):
    def __init__(self, frame: Frame, view: memoryview) -> None:
        super().__init__(frame)
        object.__setattr__(self, "view", view)

    view: memoryview

    def read(self, pieces: Sequence[Piece]) -> list[Value]:
        return [self._read(*piece) for piece in pieces]

    def _read(self, offset: int, byte_range: ByteRange) -> Value:
        first, last = self.frame.span(offset, byte_range)
        return self.view[first:last]


class BufferHome(Home):
    """
    A frame in a buffer, which is not copied, and must not change. It can only be read.

    Args:
        buffer: Bytes, of which the first are those of the frame.

        file: The path of the file that it is, and where in it the frame begins; None if it is none.

    Raises:
        CorruptFrameError: If there is no frame.
    """

    latency = Latency.MEMORY

    def __init__(self, buffer: Value, file: tuple[str, int] | None = None) -> None:
        view = memoryview(buffer).cast("B").toreadonly()
        self.file, self.path = file, file and file[0]
        self._snapshot = _BufferSnapshot(load_frame(partial(parts_of, view)), view)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.file:
            return mapped, self.file
        snapshot = self._snapshot
        return type(self), (bytes(snapshot.view[: snapshot.frame.header.frame_len]),)

    @property
    def identity(self) -> Hashable:
        """The place of the buffer."""
        return ("frame", *self.file) if self.file else ("frame", id(self))

    def snapshot(self) -> Snapshot:
        """The frame as it was from the beginning."""
        return self._snapshot

    def refresh(self) -> None:
        """Nothing: it does not change."""

    def change(self) -> AbstractContextManager[Change]:
        """
        Raises:
            ReadOnlyError: Always.
        """
        raise ReadOnlyError("the frame is in a buffer, which can only be read", op="set")


def mapped(path: str, offset: int = 0) -> BufferHome:
    """
    A frame in a local file, mapped into memory: chunks are decoded from where they lie, without
    being read first.

    It is the frame as it was at this moment. Programs other than storekit may write over what is
    mapped, or cut it off, which ends this process.

    Args:
        path: Of the file.

        offset: Where in the file the frame begins.

    Raises:
        PathNotFoundError: If there is no file.

        CorruptFrameError: If there is no frame in it.
    """
    path = os.path.realpath(path)
    with file_errors(path, "get"):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not os.fstat(fd).st_size:
                raise NotAFrameError(f"{path!r} is empty")
            content = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        finally:
            os.close(fd)
    return BufferHome(memoryview(content)[offset:], (path, offset))


def in_memory(snapshot: Snapshot) -> MemoryHome:
    """A copy of a frame, in memory. It may be changed."""
    frame = snapshot.frame
    stored = np.unique(frame.offsets[frame.offsets >= 0]).tolist()
    values = snapshot.read([(offset, (0, None)) for offset in stored])
    chunks: dict[int, Value] = {
        offset: bytes(frame.exact(value)) for offset, value in zip(stored, values, strict=True)
    }
    if frame.header.sparse:
        contents = {name: layer.content for name, layer in frame.layers.items()}
        header, vlmeta = frame.header._replace(sparse=False), frame.trailer.layers
        size = sum(map(len, chunks.values()))
        ends = pack_ends(header, frame.meta, contents, vlmeta, frame.offsets, size)
        frame = parse_ends(*ends, names=True)
    return MemoryHome(frame, chunks)
