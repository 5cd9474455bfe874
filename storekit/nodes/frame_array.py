"""Arrays in frames of blosc2, wherever these are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from storekit.codecs.frame_chunk import FrameChunkCoder, PlainChunkCoder
from storekit.codecs.spec import ChunkSpec
from storekit.errors import ConflictError, SelectionError, ShapeError
from storekit.frames.b2nd import laid_out
from storekit.frames.chunks import ChangingChunks, FrameChunks
from storekit.frames.frame import Frame
from storekit.frames.home import Change, Home, Snapshot
from storekit.frames.params import CParams
from storekit.nodes.array import Array, as_values, check_elements
from storekit.nodes.chunkio import ChunkIO
from storekit.nodes.dtypes.base import unshared
from storekit.nodes.frame_io import FrameIO
from storekit.nodes.frame_parts import FrameParts
from storekit.nodes.frame_shape import append, resize
from storekit.nodes.layout import check_shape
from storekit.nodes.locks import value_lock
from storekit.pool import submit
from storekit.selection.parse import Selection
from storekit.typing import AnyArray, DType, Shape

__all__ = ["FrameArray"]

T = TypeVar("T")

_TRIES = 5
"""How often a frame is read that others replace meanwhile."""

_MOST_CHANGES = 100  # of a change that loses against others; then the store must be wrong

_Settings: TypeAlias = tuple[ChunkSpec, Shape, CParams, bool]


class _State(NamedTuple):
    """One state of the frame, and how its chunks are read."""

    snapshot: Snapshot
    chunks: FrameChunks
    io: ChunkIO


class FrameArray(FrameParts):
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

        nthreads: Threads that compress one chunk. Frames do not say how many there should be.

        cparams: How chunks are compressed that are written through this object. Defaults to what
            the frame states, and goes on stating.

    Threads: safe.
    """

    def __init__(
        self, home: Home, path: str = "", *, nthreads: int = 1, cparams: CParams | None = None
    ) -> None:
        self._home, self._path, self._nthreads, self._chosen = home, path, nthreads, cparams
        self._made_coder: tuple[_Settings, FrameChunkCoder] | None = None
        self._state = self._made(home.snapshot())

    def __reduce__(self) -> tuple[Any, ...]:
        make = partial(type(self), nthreads=self._nthreads, cparams=self._chosen)
        return make, (self._home, self._path)

    def _made(self, snapshot: Snapshot) -> _State:
        chunks = FrameChunks(self._home, snapshot)
        return _State(snapshot, chunks, self._io(chunks, snapshot.frame.meta.shape))

    def _io(self, chunks: FrameChunks, shape: Shape) -> ChunkIO:
        return FrameIO(chunks, shape, self._coder(chunks.frame))

    def _coder(self, frame: Frame) -> FrameChunkCoder:
        meta = frame.meta
        spec = ChunkSpec(meta.chunks, meta.dtype, np.zeros((), meta.dtype)[()])
        settings = spec, meta.blocks, self._cparams(frame), frame.plain
        made = self._made_coder
        if made is None or made[0] != settings:
            header = self._as_written(frame).header
            plain = PlainChunkCoder(spec, header) if frame.plain else None
            made = self._made_coder = settings, plain or FrameChunkCoder(*settings[:3])
        return made[1]

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
    def urlpath(self) -> str | None:
        """The path of the file or directory; None of a frame that is in none."""
        return self._home.path

    @property
    def home(self) -> Home:
        """Where the frame lives."""
        return self._home

    @property
    def _frame(self) -> Frame:
        return self._now().snapshot.frame

    @property
    def _place(self) -> Hashable:
        return self._home.identity

    @property
    def shape(self) -> Shape:
        """The length of every dimension."""
        return self._frame.meta.shape

    @property
    def dtype(self) -> DType:
        """
        The numpy dtype of the elements, in the byte order that they are stored in. Frames of
        caterva have none: their elements are bytes, of a type such as ``V4``.
        """
        return unshared(self._state.snapshot.frame.meta.dtype)

    @property
    def chunks(self) -> Shape:
        """The shape of a chunk."""
        return self._state.snapshot.frame.meta.chunks

    @property
    def blocks(self) -> Shape:  # type: ignore[override]
        """
        The shape of the blocks that chunks are cut into, and that are decoded by themselves. (Other
        arrays have an indexer of this name, which no frame of caterva or blosc2 has.)
        """
        return self._state.snapshot.frame.meta.blocks

    def refresh(self) -> None:
        """
        Look whether others have changed the frame. Of a local file that is seen without it.
        """
        self._home.refresh()
        self._now()

    def _read(self, selection: Selection) -> AnyArray:
        return self._settled(lambda: self._io_for(selection).read(selection))

    def _read_into(self, selection: Selection, out: AnyArray) -> None:
        self._settled(lambda: self._io_for(selection).read_into(selection, out))

    def _is_brief(self, selection: Selection) -> bool:
        return self._io_for(selection).is_brief(selection)

    def _settled(self, read: Callable[[], T]) -> T:
        """Read; again if the frame was replaced meanwhile, then while no thread of ours does it."""
        for _ in range(_TRIES):
            try:
                return read()
            except ConflictError:
                with value_lock(self._state.chunks, "frame"):
                    self.refresh()
        with value_lock(self._state.chunks, "frame"):
            return read()

    def _io_for(self, selection: Selection) -> ChunkIO:
        state = self._state
        _check_fits(selection, state.snapshot.frame.meta.shape)
        return state.io

    def _set(self, selection: Selection, values: Any) -> None:
        self._write(selection, self._elements(values))

    def _elements(self, values: Any) -> AnyArray:
        """
        What is to be written, as an array; of elements without a data type the bytes as they are.
        """
        dtype = self._state.snapshot.frame.meta.dtype
        if dtype.kind != "V" or dtype.names is not None:
            return laid_out(as_values(values, self), dtype)
        check_elements(values)
        array = values.read() if isinstance(values, Array) else np.asarray(values)
        if array.dtype.hasobject or array.dtype.itemsize != dtype.itemsize:
            raise ShapeError(
                f"elements have {dtype.itemsize} bytes and no other type, found {array.dtype}"
            )
        return array.view(dtype)

    def _write(self, selection: Selection, values: AnyArray) -> None:
        def write(change: Change) -> None:
            _check_fits(selection, change.meta.shape)
            self._io_of(change).write(selection, values)

        self._change(write)

    def _io_of(self, change: Change) -> ChunkIO:
        chunks = ChangingChunks(self._home, change)
        chunks.frame = self._as_written(chunks.frame)
        return self._io(chunks, change.meta.shape)

    def _as_written(self, frame: Frame) -> Frame:
        return frame if self._chosen is None else frame.compressed(self._chosen)

    def resize(self, shape: int | Iterable[int]) -> None:
        """
        Change the shape. Elements that are cut off are gone: growing again gives zeros.

        Args:
            shape: The new length of every dimension.

        Raises:
            MetadataError: If it is no shape of this rank, or takes too many chunks.

            ReadOnlyError: If the frame cannot be written.
        """
        sides = check_shape(shape, "shape", least=0, ndim=self.ndim)
        self._change(partial(resize, sides, self._io_of))

    def append(self, data: Any, axis: int = 0) -> Shape:
        """
        Add data at the end of a dimension. Appends at the same time, from wherever, follow each
        other.

        Args:
            data: With the array's lengths in all other dimensions.

            axis: The dimension that grows.

        Returns:
            The new shape.

        Raises:
            ShapeError: If the data does not fit.

            ReadOnlyError: If the frame cannot be written.
        """
        values = self._elements(data)
        return self._change(partial(append, values, axis, self._io_of))

    def to_cframe(self) -> bytes:
        """The frame as bytes: what a file of it has, without bytes that are not used any more."""
        return self._settled(lambda: self._now().snapshot.pack())

    def _change(self, edit: Callable[[Change], T]) -> T:
        """
        Change the frame, again if others do so at the same time.

        Raises:
            ConflictError: If they were faster a hundred times.
        """
        tries = 1
        while True:
            with value_lock(self._state.chunks, "frame"):
                try:
                    with self._home.change() as change:
                        result = edit(change)
                        change.commit()
                    return result
                except ConflictError:
                    if tries == _MOST_CHANGES:
                        raise
                    tries += 1

    def _submit(self, task: Callable[..., T], *args: Any) -> Future[T]:
        return submit(self._home.clock, self._home.concurrency, task, *args)


def _check_fits(selection: Selection, shape: Shape) -> None:
    """Refuse what was selected when the array was larger."""
    axes = selection.axes
    if len(axes) != len(shape) or any(map(_is_beyond, axes, shape)):
        raise SelectionError(f"the array has become smaller meanwhile: {shape}")


def _is_beyond(axis: range | AnyArray, length: int) -> bool:
    if not len(axis):
        return False
    return bool((axis[-1] if isinstance(axis, range) else axis.max()) >= length)
