"""
Arrays that are read and written like numpy's, whatever lies behind them.

A backing implements the abstract members; indexing, futures and iteration are here, once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from storekit.errors import SelectionError, ShapeError
from storekit.nodes.node import Node
from storekit.pool import completed, failed
from storekit.selection.parse import (
    Selection,
    select,
    select_blocks,
    select_orthogonal,
    select_vectorised,
)
from storekit.typing import AnyArray, DType, Shape

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Array", "Indexer"]

T = TypeVar("T")


class Indexer:
    """
    Another way of indexing an array: `array.oindex[...]`, `array.vindex[...]`,
    `array.blocks[...]`.

    Args:
        array: What is indexed.

        resolve: From an index expression and the shape of the array to a selection.
    """

    def __init__(self, array: Array, resolve: Callable[[Any, Shape], Selection]) -> None:
        self._array, self._resolve = array, resolve

    def __getitem__(self, selection: Any) -> Any:
        return _as_numpy(self.read(selection), selection)

    def __setitem__(self, selection: Any, values: Any) -> None:
        self.write(values, selection)

    def read(self, selection: Any = ..., out: AnyArray | None = None) -> AnyArray:
        """As `Array.read`."""
        return self._array._get(self._resolve(selection, self._array.shape), out)

    def write(self, values: Any, selection: Any = ...) -> None:
        """As `Array.write`."""
        self._array._set(self._resolve(selection, self._array.shape), values)

    def read_future(self, selection: Any = ..., out: AnyArray | None = None) -> Future[AnyArray]:
        """As `Array.read_future`."""
        return self._array._get_future(self._resolve, selection, out)

    def write_future(self, values: Any, selection: Any = ...) -> Future[None]:
        """As `Array.write_future`."""
        return self._array._submit(self.write, values, selection)


class Array(Node):
    """
    An n-dimensional array in chunks.

    Threads: any number may read and write at once. Writes to separate elements never undo each
    other.
    """

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """The length of every dimension."""

    @property
    @abstractmethod
    def dtype(self) -> DType:
        """The numpy dtype of the elements, in native byte order."""

    @property
    @abstractmethod
    def chunks(self) -> Shape:
        """The shape of a chunk: the least that is decoded at once."""

    @property
    def shards(self) -> Shape | None:
        """The shape of what is stored as one value, where it holds many chunks; else None."""
        return None

    @property
    def fill_value(self) -> Any:
        """What elements are that were never written."""
        return self.dtype.type()

    @property
    def dimension_names(self) -> tuple[str | None, ...] | None:
        """A name for every dimension, where there are names."""
        return None

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The size of all elements in memory, in bytes."""
        return self.size * self.dtype.itemsize

    @property
    def cdata_shape(self) -> Shape:
        """The number of chunks along every dimension."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True))

    @property
    def nchunks(self) -> int:
        """The number of chunks, stored or not."""
        return prod(self.cdata_shape)

    @abstractmethod
    def _read(self, selection: Selection) -> AnyArray: ...

    @abstractmethod
    def _read_into(self, selection: Selection, out: AnyArray) -> None: ...

    @abstractmethod
    def _write(self, selection: Selection, values: AnyArray) -> None: ...

    @abstractmethod
    def _submit(self, task: Callable[..., T], *args: Any) -> Future[T]: ...

    def _get(self, selection: Selection, out: AnyArray | None) -> AnyArray:
        if out is None:
            return self._read(selection)
        if not isinstance(out, np.ndarray) or not out.flags.writeable:
            raise ShapeError(f"out must be a writable numpy array, found {type(out).__name__}")
        if out.shape != selection.shape:
            raise ShapeError(
                f"out must have the selection's shape {selection.shape}, found {out.shape}"
            )
        self._read_into(selection, out)
        return out

    def _get_future(
        self, resolve: Callable[[Any, Shape], Selection], selection: Any, out: AnyArray | None
    ) -> Future[AnyArray]:
        try:
            resolved = resolve(selection, self.shape)
        except SelectionError as error:
            return failed(error)
        start = completed if self._is_brief(resolved) else self._submit
        return start(partial(self._get, resolved, out))

    def _is_brief(self, selection: Selection) -> bool:
        """Whether reading it takes less time than to wake a thread for it."""
        return False

    def _set(self, selection: Selection, values: Any) -> None:
        self._write(selection, as_values(values, self))

    @property
    def oindex(self) -> Indexer:
        """
        Index every axis by itself, by ints, slices and 1-d arrays: ``array.oindex[[0, 2], [1, 5]]``
        is 2 x 2.
        """
        return Indexer(self, select_orthogonal)

    @property
    def vindex(self) -> Indexer:
        """Index points: ``array.vindex[[0, 2], [1, 5]]`` is the elements (0, 1) and (2, 5)."""
        return Indexer(self, select_vectorised)

    @property
    def blocks(self) -> Indexer:
        """Index whole chunks by their place in the grid: ``array.blocks[0, 1:3]``."""
        return Indexer(self, partial(select_blocks, chunks=self.chunks))

    def __getitem__(self, selection: Any) -> Any:
        """
        The selected elements as a numpy array, or as a scalar where numpy would give one.

        Ints, slices with any step, ``...``, ``None``, integer and boolean arrays mean what they
        mean to numpy.

        Raises:
            SelectionError: If the selection does not fit the array.
        """
        return _as_numpy(self._read(select(selection, self.shape)), selection)

    def __setitem__(self, selection: Any, values: Any) -> None:
        """Write the selected elements; values are broadcast and cast as numpy does."""
        self._set(select(selection, self.shape), values)

    def read(self, selection: Any = ..., out: AnyArray | None = None) -> AnyArray:
        """
        Read a selection.

        Args:
            selection: As in ``array[selection]``. Defaults to everything.

            out: Filled and returned, instead of a new array. Any memory layout and any dtype that
                the elements can be cast to; without copies if the dtype is the array's.

        Returns:
            An array, 0-d for a single element.

        Raises:
            SelectionError: If the selection does not fit the array.

            ShapeError: If `out` does not fit the selection.

            StoreError: If a chunk could not be read. Only absent chunks are fill values.

            CodecError: If a chunk could not be decoded, with its key.
        """
        return self._get(select(selection, self.shape), out)

    def read_future(self, selection: Any = ..., out: AnyArray | None = None) -> Future[AnyArray]:
        """
        Read a selection in another thread; at once and in this one, where that takes less time than
        to wake another (a small chunk or two, from memory or a disk).

        With asyncio, await ``asyncio.wrap_future(...)``. Errors are those of `read`, and come with
        the result. A future that is cancelled reads no further chunk, and is done when those that
        it has begun are.
        """
        return self._get_future(select, selection, out)

    def write(self, values: Any, selection: Any = ...) -> None:
        """
        Write values, broadcast and cast as numpy does.

        Args:
            values: An array, a scalar or nested lists.

            selection: As in ``array[selection] = values``. Defaults to everything.

        Raises:
            ReadOnlyError: If the store cannot be written.

            SelectionError: If the selection does not fit the array.

            ShapeError: If the values cannot be broadcast to the selection.
        """
        self._set(select(selection, self.shape), values)

    def write_future(self, values: Any, selection: Any = ...) -> Future[None]:
        """
        Write values in another thread; they must not change until it is done.

        A future that is cancelled in the midst of it writes no further chunk. Each chunk is then
        written or as it was, never half of it. When the future is done nothing is written any more.
        """
        return self._submit(self.write, values, selection)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        if copy is False:
            raise ValueError("an array in a store cannot become a numpy array without a copy")
        data = self.read()
        return data if dtype is None else data.astype(dtype, copy=False)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        """Over the first dimension; a row of chunks is read at a time."""
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        step = (self.shards or self.chunks)[0]
        for start in range(0, self.shape[0], step):
            yield from self[start : start + step]

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError("the truth value of an array with other than one element is ambiguous")
        return bool(self.read())

    @property
    def summary(self) -> str:
        """Name, shape, dtype and chunks."""
        shards = f", shards {_times(self.shards)}" if self.shards else ""
        chunks = f"(chunks {_times(self.chunks)}{shards})"
        return f"{self.name}  {_times(self.shape)}  {self.dtype}  {chunks}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r} {self.shape} {self.dtype}>"


def check_elements(values: object) -> None:
    """
    Refuse what numpy would take for a sequence of its keys: a dict, a group.

    Raises:
        ShapeError: If it is a mapping.
    """
    if isinstance(values, Mapping):
        raise ShapeError(f"elements come as an array or in lists, found {type(values).__name__}")


def as_values(values: Any, array: Array) -> AnyArray:
    """
    What is to be written to an array, as one of numpy: as it is if it is one, else of its dtype.
    """
    if isinstance(values, np.ndarray):
        return values
    if isinstance(values, Array):
        return values.read()
    check_elements(values)
    if isinstance(values, np.generic):
        scalar = np.empty((), array.dtype)
        scalar[()] = values  # refuses what is out of range, as numpy does, and `asarray` does not
        return scalar
    return np.asarray(values, array.dtype)


def _as_numpy(result: AnyArray, selection: Any) -> Any:
    """What numpy gives: a scalar for a single element, unless the selection has an ellipsis."""
    if result.shape:
        return result
    items = selection if isinstance(selection, tuple) else (selection,)
    return result if any(item is Ellipsis for item in items) else result[()]


def _times(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "scalar"
