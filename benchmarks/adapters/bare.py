"""
Bare loops over Zarr arrays, behind `limit`.

Two threads pull chunks from one iterator; each opens a raw file (or looks into a dict), calls the
native codec and copies into the output. Nothing is validated, no write is atomic, and what is too
little for two threads stays in the caller's.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import EllipsisType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from benchmarks.adapters.base import Bytes, Handle, Selection, Shape
from benchmarks.adapters.native import Codec, crc32c
from benchmarks.adapters.plan import Index, Slices, Step, bounds, plan, split
from benchmarks.data import Array
from benchmarks.layout import DTYPE, Layout, array_document, write_json

__all__ = ["FileArray", "MemoryArray", "ShardArray"]

T = TypeVar("T")

INLINE = 256 << 10
"""Decoded bytes of a selection up to which a second thread costs more than it brings."""

TINY = 64 << 10
"""Decoded bytes of a chunk up to which threads mostly wait for each other."""

_helper = ThreadPoolExecutor(1)


class _Local(threading.local):
    """What each thread keeps from array to array."""

    def __init__(self) -> None:
        self.codecs: dict[tuple[str, Shape], Codec] = {}


_local = _Local()


def two_threads(work: Callable[[Iterator[T]], None], items: Iterable[T]) -> None:
    """Let the caller and one helper pull from the same iterator."""
    shared = iter(items)
    other = _helper.submit(work, shared)
    work(shared)
    other.result()


class BareArray(Handle):
    """An array whose objects are chunks. Subclasses say where the encoded bytes come from."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._shape = layout.shape
        self._chunks = layout.chunks
        self._key = (layout.codec, layout.chunks)

    @property
    def shape(self) -> Shape:
        return self._shape

    def fetch(self, index: Index) -> Bytes | None:
        """The encoded bytes of a chunk, valid until this thread's next call; None for no chunk."""
        raise NotImplementedError

    def codec(self) -> Codec:
        """This thread's own."""
        codecs = _local.codecs
        if self._key not in codecs:
            codecs[self._key] = Codec(*self._key)
        return codecs[self._key]

    def read(self, selection: Selection) -> Array:
        box = bounds(selection, self._shape)
        out = np.empty([s.stop - s.start for s in box], DTYPE)
        steps, count = plan(box, self._chunks)
        if count == 1 or count * self.codec().scratch.nbytes <= INLINE:
            self._gather(steps, out)
        else:
            two_threads(lambda shared: self._gather(shared, out), steps)
        return self._collapse(out, selection)

    def _gather(self, steps: Iterator[Step], out: Array) -> None:
        for step in steps:
            index, part, where = split(step)
            out[where] = self.decoded(index)[part]

    def decoded(self, index: Index) -> Array:
        """One whole chunk, valid until this thread's next call."""
        codec = self.codec()
        value = self.fetch(index)
        if value is not None:
            return codec.decode(value)
        codec.scratch[...] = 0
        return codec.scratch

    def read_many(self, selections: Sequence[Selection]) -> list[Array]:
        results: list[Array] = [np.empty(0, DTYPE)] * len(selections)

        def work(jobs: Iterator[tuple[int, Selection]]) -> None:
            for i, selection in jobs:
                box = bounds(selection, self._shape)
                out = np.empty([s.stop - s.start for s in box], DTYPE)
                self._gather(plan(box, self._chunks)[0], out)
                results[i] = self._collapse(out, selection)

        self._share(work, enumerate(selections))
        return results

    def points(self, coords: tuple[npt.NDArray[np.intp], ...]) -> Array:
        out = np.empty(len(coords[0]), DTYPE)
        grid = np.array(self._chunks)[:, None]
        chunk_of, inside = np.divmod(np.stack(coords), grid)
        order = np.lexsort(chunk_of[::-1])
        sorted_chunks = chunk_of[:, order]
        starts = np.flatnonzero(np.any(np.diff(sorted_chunks, prepend=-1), axis=0))
        groups = zip(sorted_chunks.T[starts].tolist(), np.split(order, starts[1:]), strict=True)

        def work(groups: Iterator[tuple[list[int], npt.NDArray[np.intp]]]) -> None:
            for index, places in groups:
                out[places] = self.decoded(tuple(index))[tuple(inside[:, places])]

        self._share(work, groups)
        return out

    def _share(self, work: Callable[[Iterator[T]], None], jobs: Iterator[T]) -> None:
        if self.codec().scratch.nbytes <= TINY:
            work(jobs)
        else:
            two_threads(work, jobs)

    @staticmethod
    def _collapse(out: Array, selection: Selection) -> Array:
        if isinstance(selection, EllipsisType):
            return out
        return out[tuple(slice(None) if isinstance(s, slice) else 0 for s in selection)]


class MemoryArray(BareArray):
    """Values in a dict."""

    def __init__(self, layout: Layout, files: Mapping[str, bytes]) -> None:
        super().__init__(layout)
        self._files = files

    def fetch(self, index: Index) -> Bytes | None:
        return self._files.get(f"c/{'/'.join(map(str, index))}")


class FileArray(BareArray):
    """One file for each chunk."""

    def __init__(self, layout: Layout, path: Path) -> None:
        super().__init__(layout)
        self._path = path
        self._prefix = f"{path}/c/"

    def file(self, index: Index) -> str:
        """Where a chunk is."""
        return self._prefix + "/".join(map(str, index))

    def fetch(self, index: Index) -> Bytes | None:
        try:
            fd = os.open(self.file(index), os.O_RDONLY)
        except FileNotFoundError:
            return None
        buffer = self.codec().buffer
        size = os.readv(fd, [buffer])
        os.close(fd)
        return buffer[:size]

    def write(self, selection: Selection, value: Array | float) -> None:
        if self._layout.codec == "none" and not isinstance(value, np.ndarray):
            self._poke(selection, value)
            return
        box = bounds(selection, self._shape)
        source = np.broadcast_to(np.asarray(value, DTYPE), [s.stop - s.start for s in box])
        steps, count = plan(box, self._chunks)

        def work(steps: Iterator[Step]) -> None:
            for step in steps:
                index, part, where = split(step)
                self.update(index, part, source[where])

        if count == 1:
            work(steps)
        else:
            two_threads(work, steps)

    def update(self, index: Index, part: Slices, value: Array) -> None:
        """Change a part of one chunk."""
        codec = self.codec()
        if value.shape != codec.scratch.shape:
            chunk = self.decoded(index)
            if chunk is not codec.scratch:
                codec.scratch[...] = chunk
        codec.scratch[part] = value
        self.store(index, codec.encode(codec.scratch))

    def _poke(self, selection: Selection, value: float) -> None:
        """Change one element where it lies, bare in its file."""
        assert not isinstance(selection, EllipsisType)
        offset, index = 0, []
        for i, size in zip(selection, self._chunks, strict=True):
            assert isinstance(i, int)
            chunk, inside = divmod(i, size)
            index.append(chunk)
            offset = offset * size + inside
        fd = os.open(self.file(tuple(index)), os.O_WRONLY)
        os.pwrite(fd, struct.pack("<f", value), offset * DTYPE.itemsize)
        os.close(fd)

    def store(self, index: Index, value: Bytes) -> None:
        """Replace a file, in a folder that may have to be made."""
        path = self.file(index)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        try:
            fd = os.open(path, flags)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            fd = os.open(path, flags)
        os.write(fd, value)
        os.close(fd)

    def append(self, rows: Array) -> None:
        first, *rest = self._shape
        self._shape = (first + len(rows), *rest)
        document = array_document(self._layout) | {"shape": self._shape}
        write_json(self._path, document)
        tail = tuple(slice(0, n) for n in rest)
        self.write((slice(first, first + len(rows)), *tail), rows)


class ShardArray(FileArray):
    """Files that hold several chunks and end in an index."""

    def __init__(self, layout: Layout, path: Path) -> None:
        super().__init__(layout, path)
        self._shards = layout.shards or layout.chunks
        self._inner = tuple(s // c for s, c in zip(self._shards, self._chunks, strict=True))
        self._index_size = int(np.prod(self._inner)) * 16 + 4
        self._index: dict[Index, npt.NDArray[np.uint64]] = {}

    def fetch(self, index: Index) -> Bytes | None:
        pairs = [divmod(i, n) for i, n in zip(index, self._inner, strict=True)]
        shard = tuple(pair[0] for pair in pairs)
        try:
            fd = os.open(self.file(shard), os.O_RDONLY)
        except FileNotFoundError:
            return None
        if shard not in self._index:
            end = os.fstat(fd).st_size
            raw = os.pread(fd, self._index_size, end - self._index_size)
            self._index[shard] = np.frombuffer(raw[:-4], "<u8").reshape(*self._inner, 2)
        offset, size = self._index[shard][tuple(pair[1] for pair in pairs)].tolist()
        buffer = self.codec().buffer[:size]
        os.preadv(fd, [buffer], offset)
        os.close(fd)
        return buffer

    def write(self, selection: Selection, value: Array | float) -> None:
        """Only whole arrays, which is what the workloads write; one thread for each shard."""
        box = bounds(selection, self._shape)
        source = np.asarray(value)

        def work(shards: Iterator[Step]) -> None:
            codec = self.codec()
            for shard in shards:
                index, _, where = split(shard)
                values = []
                for step in plan(bounds(..., self._shards), self._chunks)[0]:
                    codec.scratch[...] = source[where][split(step)[2]]
                    values.append(bytes(codec.encode(codec.scratch)))
                self.store(index, b"".join([*values, *_shard_index(values)]))

        two_threads(work, plan(box, self._shards)[0])


def _shard_index(values: Sequence[bytes]) -> tuple[bytes, bytes]:
    sizes = np.array([len(value) for value in values], "<u8")
    entries = np.stack([np.cumsum(sizes) - sizes, sizes], axis=1).tobytes()
    return entries, crc32c(entries)
