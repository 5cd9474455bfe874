"""Whole arrays in `.b2nd` files by a bare loop, behind `limit`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import EllipsisType
from typing import Any

import blosc2
import numpy as np

from benchmarks.adapters.bare import two_threads
from benchmarks.adapters.base import Bytes, Handle, Selection, Shape, UnsupportedError
from benchmarks.adapters.plan import Step, bounds, plan, split
from benchmarks.data import Array
from benchmarks.layout import CPARAMS, DTYPE, Layout
from storekit.frames.b2nd import B2ndMeta
from storekit.frames.ends import new_ends, pack_ends
from storekit.frames.frame import Frame
from storekit.frames.grid import default_blocks
from storekit.frames.loading import load_frame
from storekit.frames.params import CParams
from storekit.keys import resolve_range
from storekit.nodes.frame_options import block_bytes
from storekit.typing import ByteRange, Value

__all__ = ["BareFrame", "FrameFile", "FrameMemory", "frame_ends"]


def frame_ends(layout: Layout) -> tuple[bytes, bytes]:
    """What stands before and behind the chunks of a frame without any."""
    cparams = CParams.of(CPARAMS[layout.codec])
    meta = B2ndMeta(layout.shape, layout.chunks, _blocks(layout), DTYPE)
    return new_ends(meta, cparams)


def _blocks(layout: Layout) -> Shape:
    """Those that storekit chooses."""
    target = block_bytes(CParams.of(CPARAMS[layout.codec]))
    return default_blocks(layout.chunks, DTYPE.itemsize, target)


class BareFrame(Handle):
    """
    An array whose chunks are blosc2's. Subclasses say where these are.

    Args:
        layout: How it is cut and compressed; the blocks are what storekit chooses.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        settings = CPARAMS[layout.codec]
        self._options: dict[str, Any] = {
            "codec": blosc2.Codec[settings["codec"]],
            "clevel": settings["clevel"],
            "filters": [blosc2.Filter[name] for name in settings["filters"]],
            "typesize": DTYPE.itemsize,
            "blocksize": int(np.prod(_blocks(layout))) * DTYPE.itemsize,
            "nthreads": 1,
        }

    def fetch(self, number: int, buffer: memoryview) -> Bytes:
        """A chunk, perhaps in the buffer."""
        raise NotImplementedError

    def store(self, number: int, value: bytes) -> None:
        """Keep a chunk, in whatever order they come."""
        raise NotImplementedError

    def finish(self) -> None:
        """All chunks have come."""

    def read(self, selection: Selection) -> Array:
        """Of whole arrays only."""
        self._whole(selection)
        out = np.empty(self._layout.shape, DTYPE)

        def work(steps: Iterator[tuple[int, Step]]) -> None:
            scratch = np.empty(self._layout.chunks, DTYPE)
            buffer = memoryview(bytearray(scratch.nbytes * 9 // 8 + 4096))
            for number, step in steps:
                blosc2.decompress2(self.fetch(number, buffer), dst=scratch, nthreads=1)
                out[split(step)[2]] = scratch

        two_threads(work, self._steps())
        return out

    def write(self, selection: Selection, value: Array | float) -> None:
        """Of whole arrays only."""
        self._whole(selection)
        source = np.asarray(value)

        def work(steps: Iterator[tuple[int, Step]]) -> None:
            for number, step in steps:
                chunk = np.ascontiguousarray(source[split(step)[2]])
                self.store(number, blosc2.compress2(chunk, **self._options))

        two_threads(work, self._steps())
        self.finish()

    def _steps(self) -> Iterator[tuple[int, Step]]:
        return enumerate(plan(bounds(..., self._layout.shape), self._layout.chunks)[0])

    def _whole(self, selection: Selection) -> None:
        if not isinstance(selection, EllipsisType):
            raise UnsupportedError


class FrameMemory(BareFrame):
    """Chunks in a dict."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._chunks: dict[int, bytes] = {}

    def fetch(self, number: int, buffer: memoryview) -> Bytes:
        return self._chunks[number]

    def store(self, number: int, value: bytes) -> None:
        self._chunks[number] = value


class FrameFile(BareFrame):
    """A file that has been opened, or made, with the frame in it."""

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(layout)
        self._fd = os.open(path, os.O_RDWR)
        self._frame: Frame = load_frame(self._ranges)
        self._offsets = self._frame.offsets.copy()
        self._end = self._frame.header.cbytes
        self._lock = threading.Lock()

    def __del__(self) -> None:
        os.close(self._fd)

    def fetch(self, number: int, buffer: memoryview) -> Bytes:
        begin, end = self._frame.extent(int(self._offsets[number]))
        os.preadv(self._fd, [buffer[: end - begin]], begin)
        return buffer[: int.from_bytes(buffer[12:16], "little")]

    def store(self, number: int, value: bytes) -> None:
        with self._lock:
            place, self._end = self._end, self._end + len(value)
        self._offsets[number] = place
        os.pwrite(self._fd, value, self._frame.header.header_len + place)

    def finish(self) -> None:
        frame = self._frame
        layers = {name: layer.content for name, layer in frame.layers.items()}
        head, tail = pack_ends(
            frame.header, frame.meta, layers, frame.trailer.layers, self._offsets, self._end
        )
        os.pwrite(self._fd, tail, len(head) + self._end)
        os.pwrite(self._fd, head, 0)

    def _ranges(self, ranges: Sequence[ByteRange]) -> list[Value]:
        size = os.fstat(self._fd).st_size
        spans = (resolve_range(*each, size) for each in ranges)
        return [os.pread(self._fd, last - first, first) for first, last in spans]
