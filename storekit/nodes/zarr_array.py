"""Zarr arrays: chunks as values in a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from storekit.codecs.base import Codec
from storekit.codecs.sharding import ShardingCodec
from storekit.errors import SelectionError, ShapeError, UnsupportedError
from storekit.nodes.appending import append
from storekit.nodes.array import Array, as_values, check_elements
from storekit.nodes.casting import storable
from storekit.nodes.chunkio import ChunkIO
from storekit.nodes.dtypes.base import unshared
from storekit.nodes.layout import check_shape, new_metadata
from storekit.nodes.metadata import ArrayMetadata
from storekit.nodes.naming import check_name, document_key
from storekit.nodes.placing import Mark, create_document, remove_document, undo_after, writable
from storekit.nodes.shrink import cells, cut_away, worth_listing
from storekit.nodes.zarr_node import ZarrNode
from storekit.pool import submit
from storekit.selection.parse import Selection, select, select_blocks
from storekit.selection.part import view
from storekit.stores.base import ListableStore, ReadableStore
from storekit.typing import JSON, AnyArray, DType, Shape

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["ZarrArray"]

T = TypeVar("T")


class ZarrArray(ZarrNode, Array):
    """
    An array whose chunks are values in a store, described by a ``zarr.json``. One that is described
    by a ``.zarray``, of Zarr v2, can only be read.

    The object holds no elements: every read asks the store. The shape and the attributes are those
    of the moment it was opened (see `refresh`), but for changes made through it.

    Threads: safe. Writes to separate elements never undo each other, not even within one chunk;
    among processes likewise, where the store has compare-and-set.

    Source: Zarr v3 core specification.
    """

    _kind = ArrayMetadata
    _metadata: ArrayMetadata

    _made: tuple[ArrayMetadata, ChunkIO] | None = None

    def _install(self, metadata: ArrayMetadata) -> None:
        _ = metadata.coder  # fails here, not at the first read
        self._metadata = metadata

    @property
    def _io(self) -> ChunkIO:
        """The chunks. Resolved when first asked for: of most arrays only the shape is looked at."""
        metadata, made = self._metadata, self._made
        # With the metadata that it was made of, which another thread may be about to replace.
        if made is None or made[0] is not metadata:
            prefix = f"{self._path}/" if self._path else ""
            name_of = metadata.key_encoding.namer(prefix)
            made = metadata, ChunkIO(self._store, metadata.shape, metadata.coder, name_of)
            self._made = made
        return made[1]

    @classmethod
    def create(
        cls,
        store: ReadableStore,
        path: str = "",
        *,
        shape: int | Iterable[int] | None = None,
        dtype: Any = None,
        data: Any = None,
        chunks: int | Iterable[int] | str = "auto",
        shards: int | Iterable[int] | None = None,
        codecs: str | Sequence[Codec | JSON] = "b2nd",
        fill_value: Any = None,
        dimension_names: Sequence[str | None] | None = None,
        attributes: Mapping[str, JSON] | None = None,
        key_encoding: JSON = "/",
        overwrite: bool = False,
    ) -> Self:
        """
        Create an array, and the groups above it that are missing.

        Args:
            store: Where to.

            path: The path of the array; the root by default.

            shape: The length of every dimension; may be empty, and lengths may be 0. Defaults to
                that of `data`.

            dtype: Anything that numpy takes for a dtype, `str` for text and `bytes` for bytes of
                any length, or a Zarr data type by its name or as JSON. Defaults to that of `data`.

            data: What to write at once.

            chunks: The shape of a chunk, the least that is decoded at once; an int for all
                dimensions; ``"auto"`` for at most 1 MiB.

            shards: The shape of what is stored as one value: a multiple of `chunks`. None to store
                every chunk by itself.

            codecs: ``"b2nd"`` (every chunk a genuine ``.b2nd`` file, with checksums), or, for every
                reader of Zarr v3, ``"zstd"``, ``"blosc"``, ``"gzip"`` or ``"none"``, or
                ``"imagecodecs_b2nd"``; or a list of codecs, as objects or as JSON.

            fill_value: What elements are that were never written. Defaults to zero, empty or NaT.

            dimension_names: A name, or None, for every dimension.

            attributes: JSON values by name.

            key_encoding: How chunk keys are spelled: ``"/"`` for ``c/0/1``, ``"."`` for ``c.0.1``,
                ``"v2"`` for ``0.1``; or as in metadata.

            overwrite: Whether to remove what is at the path; otherwise that is an error.

        If the data cannot be written the new array is removed again, unless that fails, too. What
        was overwritten does not come back.

        Raises:
            NodeExistsError: If something is at the path, or an array lies above it.

            MetadataError: If the arguments do not fit together.

            ShapeError: If the data cannot be broadcast to the shape.

            TypeError, ValueError, CodecError: If it cannot be cast to the dtype.

            ReadOnlyError: If the store cannot be written.
        """
        path = check_name(path)
        if data is not None:
            check_elements(data)
            data = np.asarray(data)
            shape, dtype = (
                data.shape if shape is None else shape,
                data.dtype if dtype is None else dtype,
            )
        metadata = new_metadata(
            document_key(path),
            shape=shape,
            dtype=dtype,
            chunks=chunks,
            shards=shards,
            codecs=codecs,
            fill_value=fill_value,
            dimension_names=dimension_names,
            attributes=attributes,
            key_encoding=key_encoding,
        )
        if data is not None:
            data = storable(data, metadata)
            select(..., metadata.shape).arrange(data)  # fails here, before anything is removed
        mark = create_document(store, path, metadata, overwrite=overwrite)
        array = cls(store, path, metadata)
        if data is not None:
            try:
                array.write(data)
            except BaseException as error:
                undo_after(error, lambda: array._unmake(mark), f"the new array {path!r}")
                raise
        return array

    def _unmake(self, mark: Mark) -> None:
        """Remove the array, if its document is still that of a mark."""
        # The document goes first, so that nothing is left that looks whole.
        remove_document(self._store, self._path, mark)
        if isinstance(self._store, ListableStore):
            writable(self._store, "erase_values").erase_values(self._stored())
        else:
            self[...] = self.fill_value

    @property
    def shape(self) -> Shape:
        """The length of every dimension. Assign to it, or call `resize`, to change it."""
        return self._metadata.shape

    @shape.setter
    def shape(self, shape: Iterable[int]) -> None:
        self.resize(shape)

    @property
    def dtype(self) -> DType:
        """The numpy dtype of the elements. (The seed's `dtype`, a name, is `data_type`.)"""
        return unshared(self._metadata.data_type.numpy)

    @property
    def data_type(self) -> str:
        """The name of the Zarr data type, such as ``"float32"``."""
        return self._metadata.data_type.name

    @property
    def chunks(self) -> Shape:
        """
        The shape of a chunk: the least that is decoded at once. Within shards, that of the inner
        chunks.
        """
        sharding = self._sharding
        return sharding.chunk_shape if sharding else self._metadata.chunk_shape

    @property
    def shards(self) -> Shape | None:
        """The shape of a shard: many chunks stored as one value. None without sharding."""
        return self._metadata.chunk_shape if self._sharding else None

    @property
    def _sharding(self) -> ShardingCodec | None:
        codec = self._metadata.codecs[0]
        return codec if isinstance(codec, ShardingCodec) else None

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """The codecs, in the order of encoding."""
        return self._metadata.codecs

    @property
    def fill_value(self) -> Any:
        """What elements are that were never written."""
        value = self._metadata.fill_value
        if not isinstance(value, np.void):
            return value
        own = np.empty((), self.dtype)  # a record can be changed, and arrays share theirs
        own[()] = value
        return own[()]

    @property
    def dimension_names(self) -> tuple[str | None, ...] | None:
        """A name, or None, for every dimension; None if there are no names."""
        return self._metadata.dimension_names

    def _read(self, selection: Selection) -> AnyArray:
        return self._io.read(selection)

    def _read_into(self, selection: Selection, out: AnyArray) -> None:
        self._io.read_into(selection, out)

    def _is_brief(self, selection: Selection) -> bool:
        return self._io.is_brief(selection)

    def _write(self, selection: Selection, values: AnyArray) -> None:
        self._check_format("set")
        self._io.write(selection, values)

    def _submit(self, task: Callable[..., T], *args: Any) -> Future[T]:
        return submit(self._store.clock, self._store.concurrency, task, *args)

    def get_chunk(self, index: int | Sequence[int]) -> AnyArray:
        """
        Read one chunk.

        Args:
            index: Its place in the grid of `chunks`; may be negative.

        Returns:
            A new array of the shape `chunks`. Beyond the edge of the array it holds the fill value.

        Raises:
            SelectionError: If there is no such chunk.
        """
        place = self._chunk_selection(index)
        inside = place.shape
        if inside == self.chunks:
            return self._read(place)
        chunk = np.empty(self.chunks, self.dtype)
        chunk[...] = self._metadata.fill_value
        self._read_into(place, chunk[tuple(slice(n) for n in inside)])
        return chunk

    def get_chunk_future(self, index: int | Sequence[int]) -> Future[AnyArray]:
        """
        Read one chunk in another thread.

        Wait with ``future.result()``, for several with `concurrent.futures.wait`, or in asyncio
        with ``await asyncio.wrap_future(future)``.
        """
        return self._submit(self.get_chunk, index)

    def set_chunk(self, data: Any, index: int | Sequence[int], check_empty: bool = True) -> None:
        """
        Write one chunk.

        Args:
            data: Of the shape `chunks`, or of the part of it that lies within the array; or a
                scalar.

            index: The chunk's place in the grid; may be negative.

            check_empty: Whether a chunk that holds nothing but the fill value is removed instead of
                stored. Within shards it always is.

        Raises:
            SelectionError: If there is no such chunk.

            ShapeError: If the data has another shape.
        """
        self._check_format("set")
        place = self._chunk_selection(index)
        values = as_values(data, self)
        if values.shape == self.chunks:
            values = view(values, (slice(n) for n in place.shape))
        elif values.shape not in ((), place.shape):
            raise ShapeError(f"a chunk has the shape {self.chunks}, found {values.shape}")
        self._io.write(place, values, check_empty=check_empty)

    def set_chunk_future(
        self, data: Any, index: int | Sequence[int], check_empty: bool = True
    ) -> Future[None]:
        """
        Write one chunk in another thread; the data must not change until it is done.

        Cancelled in the midst of it, the chunk is written or as it was, never half of it.
        """
        return self._submit(self.set_chunk, data, index, check_empty)

    def _chunk_selection(self, index: int | Sequence[int]) -> Selection:
        several = isinstance(index, Sequence) or np.ndim(index)
        place: Any = tuple(index) if several else (index,)  # type: ignore[arg-type]
        if len(place) != self.ndim or not all(hasattr(i, "__index__") for i in place):
            raise SelectionError(f"a chunk's index is {self.ndim} ints, found {index!r}")
        spans = select_blocks(place, self.shape, self.chunks).axes
        return select(tuple(slice(axis[0], axis[-1] + 1) for axis in spans), self.shape)

    def resize(self, shape: int | Iterable[int]) -> None:
        """
        Change the shape. Elements that are cut off are gone: growing again gives the fill value.

        Args:
            shape: The new length of every dimension.

        Raises:
            MetadataError: If it is no shape of this rank.

            ReadOnlyError: If the store cannot be written.
        """
        sides = check_shape(shape, "shape", least=0, ndim=self.ndim)
        before: list[ArrayMetadata] = []

        def change(metadata: ArrayMetadata) -> ArrayMetadata:
            before[:] = [metadata]
            return metadata.reshaped(sides)

        self._edit(change)
        ZarrArray(self._store, self._path, before[0])._clear_beyond(sides)

    def _clear_beyond(self, now: Shape) -> None:
        """Give everything the fill value that does not lie within a shape."""
        chunks, boxes = self._metadata.chunk_shape, [tuple(slice(0, n) for n in self.shape)]
        if isinstance(self._store, ListableStore) and worth_listing(self.shape, now, chunks):
            boxes = list(cells(self._stored().values(), chunks, self.shape))
        for part in cut_away(boxes, now):
            self[part] = self.fill_value

    def append(self, data: Any, axis: int = 0) -> Shape:
        """
        Add data at the end of a dimension. Appends at the same time, from wherever, follow each
        other.

        The array grows first. If the data then cannot be written it gets its old shape again,
        unless others have changed it meanwhile, or a write was given up (`TimeoutError`) that may
        still arrive: a note on the error says so.

        Args:
            data: With the array's lengths in all other dimensions.

            axis: The dimension that grows.

        Returns:
            The new shape.

        Raises:
            ShapeError: If the data does not fit.

            TypeError, ValueError, CodecError: If it cannot be cast to the dtype.
        """
        return append(self, as_values(data, self), axis)

    def stored_keys(self) -> list[str]:
        """
        The keys of the chunks (or shards) that are stored, sorted.

        Raises:
            UnsupportedError: If the store cannot list its keys.
        """
        return list(self._stored())

    def _stored(self) -> dict[str, Shape]:
        """By the keys of all stored chunks (or shards) their places in the grid."""
        if not isinstance(self._store, ListableStore):
            raise UnsupportedError(
                "the store cannot list its keys", store=self._store, op="list_prefix"
            )
        prefix = f"{self._path}/" if self._path else ""
        place_of = self._metadata.key_encoding.indices
        places = (
            (key, place_of(key[len(prefix) :], self.ndim))
            for key in self._store.list_prefix(prefix)
        )
        return {key: place for key, place in places if place is not None}

    def stored_nbytes(self) -> int:
        """The size of all stored chunks, in bytes."""
        return sum(self._side_by_side(self.stored_keys(), self._store.getsize).values())
