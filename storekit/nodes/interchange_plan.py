"""What a copy will look like: chunks, blocks and compression, from the source and from wishes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple, Self

import numpy as np

from storekit.codecs.b2nd import CNAMES, MAX_BLOCKS, SHUFFLES, B2ndCodec
from storekit.codecs.base import Codec
from storekit.errors import MetadataError
from storekit.frames.b2nd import MAX_NDIM, B2ndMeta
from storekit.frames.chunk import MAX_CHUNK
from storekit.frames.frame import grid_counts
from storekit.frames.grid import default_blocks
from storekit.frames.index import MAX_CHUNKS
from storekit.frames.params import CParams
from storekit.frames.trailer import Layers
from storekit.frames.transfer import chunk_sizes
from storekit.nodes.array import Array
from storekit.nodes.dtypes import data_type_from_numpy
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.interchange_chunks import coder_of, params_of_coder, source_of
from storekit.nodes.interchange_frame import NewFrame
from storekit.nodes.interchange_meta import ZarrWords, from_frame, from_zarr, users_layers
from storekit.nodes.layout import check_shape, new_metadata
from storekit.nodes.metadata import ArrayMetadata
from storekit.nodes.zarr_array import ZarrArray
from storekit.typing import JSON, Shape

__all__ = ["Wishes", "new_frame", "new_zarr"]

_CNAMES = {number: name for name, number in CNAMES.items()}
_SHUFFLES: dict[Shape, str] = {
    (number,) if number else (): name for name, number in SHUFFLES.items()
}


class Wishes(NamedTuple):
    """
    What is to be other than in the source; the arguments of `copy`.

    Args:
        chunks: The shape of the chunks.

        blocks: The shape of the blocks.

        cparams: Fields of `CParams`.

        codecs: Of a Zarr array.
    """

    chunks: int | Iterable[int] | None
    blocks: int | Iterable[int] | None
    cparams: Mapping[str, Any]
    codecs: str | Sequence[Codec | JSON] | None

    @classmethod
    def of(
        cls, chunks: Any, blocks: Any, codec: Any, clevel: Any, filters: Any, codecs: Any
    ) -> Self:
        """
        Raises:
            MetadataError: If a setting is not possible, or they do not go together.
        """
        given = {"codec": codec, "clevel": clevel, "filters": filters}
        given = {name: value for name, value in given.items() if value is not None}
        if "filters" in given:
            given["filtersmeta"] = ()
        CParams(**given)
        if codecs is not None and (given or blocks is not None):
            raise MetadataError("either codecs, or blocks, codec, clevel and filters")
        chunks, blocks = (tuple(n) if isinstance(n, Iterable) else n for n in (chunks, blocks))
        return cls(chunks, blocks, given, codecs)

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return self != (None, None, {}, None)

    def shape_of_chunks(self, array: Array) -> Shape:
        """The shape of the chunks of the copy."""
        if self.chunks is not None:
            return check_shape(self.chunks, "chunks", least=1, ndim=array.ndim)
        return tuple(max(n, 1) for n in array.chunks)

    def shape_of_blocks(self, array: Array, chunks: Shape) -> Shape:
        """The shape of the blocks of the copy."""
        if self.blocks is not None:
            return check_shape(self.blocks, "blocks", least=1, ndim=array.ndim)
        meta = source_of(array).meta
        if meta is not None and meta.chunks == chunks:
            return meta.blocks
        return default_blocks(chunks, array.dtype.itemsize)

    def params(self, array: Array) -> CParams:
        """How the copy is compressed."""
        return replace(_params_of(array) or CParams(), **self.cparams)


def new_frame(array: Array, wishes: Wishes) -> NewFrame:
    """
    A frame for an array.

    Raises:
        MetadataError: If a frame cannot hold it.
    """
    dtype = array.dtype
    if wishes.codecs is not None:
        raise MetadataError("codecs are for Zarr arrays; a frame has codec, clevel and filters")
    if dtype.hasobject or dtype.kind == "T" or not dtype.itemsize:
        raise MetadataError(f"a frame cannot hold elements of type {dtype}, of no fixed size")
    if array.ndim > MAX_NDIM:
        raise MetadataError(f"a frame has at most {MAX_NDIM} dimensions, found {array.ndim}")
    chunks = wishes.shape_of_chunks(array)
    blocks = wishes.shape_of_blocks(array, chunks)
    meta = B2ndMeta(array.shape, chunks, blocks, dtype)
    _check_blocks(meta)
    count = prod(grid_counts(meta.shape, chunks))
    if count > MAX_CHUNKS:
        raise MetadataError(field="chunks", expected=f"at most {MAX_CHUNKS} chunks", found=count)
    params = wishes.params(array)
    if isinstance(array, FrameArray):
        frame = array._now().snapshot.frame
        return NewFrame(meta, params, users_layers(frame), frame.trailer.layers)
    words = from_zarr(_words_of(array))
    return NewFrame(meta, params, words.meta, Layers().changed(words.vlmeta))


def new_zarr(array: Array, wishes: Wishes, document: str) -> ArrayMetadata:
    """
    The document of a Zarr array for an array.

    Args:
        array: What is copied.

        wishes: What is to be different.

        document: Where the document will lie, for errors.

    Raises:
        MetadataError: If a Zarr array cannot hold it.
    """
    if isinstance(array, ZarrArray) and not wishes.any and array._metadata.zarr_format == 3:
        return array._metadata
    chunks = wishes.shape_of_chunks(array)
    words, fill = _words_of(array), None
    data_type: Any = array.dtype
    if isinstance(array, ZarrArray):
        data_type, fill = array._metadata.data_type.to_json(), array.fill_value
    elif words.fill_value is not None:
        fill = data_type_from_numpy(data_type).fill_from_json(words.fill_value)
    metadata = new_metadata(
        document,
        shape=array.shape,
        dtype=data_type,
        chunks=chunks,
        shards=None,
        codecs=_codecs(array, chunks, wishes),
        fill_value=fill,
        dimension_names=words.dimension_names,
        attributes=None,
        key_encoding="/",
    )
    # Not as the attributes of a new array, which must be finite: a copy keeps what there was.
    copied = replace(metadata, attributes=words.attributes)
    return ArrayMetadata.from_json(copied.to_bytes(), document)


def _codecs(array: Array, chunks: Shape, wishes: Wishes) -> str | Sequence[Codec | JSON]:
    if wishes.codecs is not None:
        return wishes.codecs
    if _params_of(array) is None and not wishes.cparams and wishes.blocks is None:
        return "b2nd"
    params, shuffle = wishes.params(array), _SHUFFLES.get(wishes.params(array).filters)
    if shuffle is None and "filters" in wishes.cparams:
        expected = f"one of {', '.join(SHUFFLES)} for a Zarr array"
        raise MetadataError(field="filters", expected=expected, found=list(params.filters))
    cname = _CNAMES.get(params.codec)
    blocks = wishes.shape_of_blocks(array, chunks)
    many = prod(grid_counts(chunks, blocks)) > MAX_BLOCKS
    if many and wishes.blocks is None:
        blocks = default_blocks(chunks, array.dtype.itemsize)
    return [B2ndCodec(cname or "zstd", params.clevel if cname else 1, shuffle, blocks)]


def _params_of(array: Array) -> CParams | None:
    """How the chunks of an array are compressed, if they are chunks of blosc2."""
    if isinstance(array, FrameArray):
        return CParams.from_header(array._now().snapshot.frame.header)
    if isinstance(array, ZarrArray) and (coder := coder_of(array)) is not None:
        return params_of_coder(coder)
    return None


def _words_of(array: Array) -> ZarrWords:
    if isinstance(array, FrameArray):
        return from_frame(array._now().snapshot.frame)
    fill = None
    if isinstance(array, ZarrArray):
        metadata = array._metadata
        if any(np.full((), metadata.fill_value, array.dtype).tobytes()):
            fill = metadata.data_type.fill_to_json(metadata.fill_value)
    names = array.dimension_names
    return ZarrWords(dict(array.attributes), None if names is None else list(names), fill)


def _check_blocks(meta: B2ndMeta) -> None:
    pairs = zip(meta.blocks, meta.chunks, strict=True)
    if any(block > chunk for block, chunk in pairs):
        expected = f"a shape within {meta.chunks}"
        raise MetadataError(field="blocks", expected=expected, found=meta.blocks)
    nbytes, _ = chunk_sizes(meta.chunks, meta.blocks, meta.dtype)
    if nbytes > MAX_CHUNK:
        expected = f"chunks of at most {MAX_CHUNK} bytes, blocks filled up"
        raise MetadataError(field="chunks", expected=expected, found=meta.chunks)
