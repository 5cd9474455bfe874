"""What can be chosen when a frame is made, spelled as in caterva and blosc2."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from storekit.errors import MetadataError
from storekit.frames.b2nd import B2ND, CATERVA, MAX_NDIM, B2ndMeta, stored_type
from storekit.frames.chunk import MAX_CHUNK
from storekit.frames.frame import grid_counts
from storekit.frames.grid import BLOCK_BYTES, default_blocks
from storekit.frames.index import MAX_CHUNKS
from storekit.frames.layout import MAX_TYPESIZE
from storekit.frames.params import Codec, CParams, Filter, SplitMode
from storekit.frames.seal import SEAL
from storekit.nodes.frame_meta import pack_meta
from storekit.nodes.frame_place import MemoryPlace, Place, find_place
from storekit.nodes.layout import auto_chunks, check_shape
from storekit.nodes.sparse_place import sparse_place
from storekit.stores.base import ReadableStore
from storekit.typing import DType, Shape

__all__ = ["FrameOptions"]

_CATERVA_PARAMS = CParams(codec=Codec.LZ4, clevel=5)
_MODES = ("w-", "x", "a", "w")


@dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """
    What can be chosen when a frame is made.

    Args:
        chunks: The shape of a chunk; an int for all dimensions. Defaults to at most 1 MiB, unless
            there were more than 2**24 then.

        blocks: The shape of the blocks that chunks are cut into. Defaults to about 256 KiB;
            with LZ4 to 128 KiB.

        urlpath: Where to: a path, the URL of a file or of a value in a store, or a store and a key
            as a tuple. Defaults to memory.

        filename: As `urlpath`.

        memframe: Without effect; a frame without `urlpath` is in memory.

        contiguous: False for a sparse frame: a directory, or a prefix of a store, with a value for
            each chunk. In memory there is no difference.

        meta: The metalayers of fixed length: bytes by name, or anything else that is then packed
            as msgpack. No others can be added later.

        codec: A `Codec`, its name or its number. Defaults to Zstandard at level 1 after a shuffle;
            for frames of caterva to LZ4 at level 5 after a shuffle, as in caterva.

        clevel: From 0 to 9.

        filters: Up to two of `Filter`.

        filtersmeta: A setting for each of the filters.

        nthreads: Threads that compress one chunk, as long as the object lives. Defaults to 1.

        usedict: Whether the blocks of a chunk share a dictionary. blosc2 (4.14.1) may misread
            chunks of several blocks that do, or that went through `DELTA`.

        cparams: All these at once: a `CParams`, or a mapping as in blosc2. Those above go first.

        mode: ``"w-"``, ``"x"`` or ``"a"`` to fail if there is something already, ``"w"`` to replace
            it.

        store: Where to, in place of `urlpath`.

        key: In the store.
    """

    chunks: int | Iterable[int] | None = None
    blocks: int | Iterable[int] | None = None
    urlpath: str | os.PathLike[str] | tuple[ReadableStore, str] | None = None
    filename: str | os.PathLike[str] | None = None
    memframe: bool | None = None
    contiguous: bool | None = None
    meta: Mapping[str, Any] | Mapping[bytes, Any] | None = None
    codec: Codec | str | int | None = None
    clevel: int | None = None
    filters: Iterable[Any] | None = None
    filtersmeta: Iterable[int] | None = None
    nthreads: int | None = None
    usedict: bool | None = None
    cparams: Any = None
    mode: str = "w-"
    store: ReadableStore | None = None
    key: str | None = None

    def place(self) -> Place:
        """
        Where the frame is to be.

        Raises:
            MetadataError: If that is not one place.
        """
        if self.mode not in _MODES:
            raise MetadataError(field="mode", expected=f"one of {_MODES}", found=self.mode)
        if self.filename is not None and self.urlpath is not None:
            raise MetadataError("either urlpath or filename")
        urlpath = self.filename if self.urlpath is None else self.urlpath
        place = find_place(urlpath, self.store, self.key)
        if self.contiguous is False and not isinstance(place, MemoryPlace):
            return sparse_place(place)
        return place

    @property
    def replaces(self) -> bool:
        """Whether something may be there already."""
        return self.mode == "w"

    def settings(self, default: CParams) -> CParams:
        """
        How chunks are to be compressed.

        Args:
            default: What is not said otherwise.

        Raises:
            MetadataError: If a setting is impossible.
        """
        base = default if self.cparams is None else CParams.of(self.cparams)
        names = ("codec", "clevel", "filters", "filtersmeta", "nthreads", "usedict")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if "filters" in given:
            given.setdefault("filtersmeta", ())
        if "codec" in given:  # what was good for another codec may not be for this one
            given.setdefault("splitmode", SplitMode.AUTO_SPLIT)
            given.setdefault("usedict", False)
        return replace(base, **given) if given else base

    def layout(
        self, shape: Any, dtype: DType, cparams: CParams, like: B2ndMeta | None = None
    ) -> B2ndMeta:
        """
        Shape, chunks and blocks of the frame.

        Args:
            shape: Of the array.

            dtype: Of the elements.

            cparams: How they are to be compressed.

            like: Where chunks and blocks are taken from, if nothing is said of either.

        Raises:
            MetadataError: If blosc2 does not take such an array.
        """
        if dtype.hasobject or not dtype.itemsize or dtype.kind == "T":
            expected = "elements of a fixed size, at least a byte"
            raise MetadataError(field="dtype", expected=expected, found=str(dtype))
        sides = check_shape(shape, "shape", least=0)
        if len(sides) > MAX_NDIM:
            expected = f"at most {MAX_NDIM} dimensions"
            raise MetadataError(field="shape", expected=expected, found=len(sides))
        if like is not None and self.chunks is self.blocks is None:
            return like._replace(shape=sides, dtype=dtype)
        chunks = self._chunks(sides, dtype.itemsize)
        if self.blocks is None:
            blocks = default_blocks(chunks, dtype.itemsize, block_bytes(cparams))
        else:
            blocks = check_shape(self.blocks, "blocks", least=1, ndim=len(sides))
            if any(b > c for b, c in zip(blocks, chunks, strict=True)):
                expected = f"a shape within that of the chunks, {chunks}"
                raise MetadataError(field="blocks", expected=expected, found=blocks)
        return _checked(B2ndMeta(sides, chunks, blocks, dtype))

    def _chunks(self, sides: Shape, itemsize: int) -> Shape:
        if self.chunks is not None:
            return check_shape(self.chunks, "chunks", least=1, ndim=len(sides))
        chunks, target = auto_chunks(sides, itemsize), 2 << 20
        while target < MAX_CHUNK and prod(grid_counts(sides, chunks)) > MAX_CHUNKS:
            chunks, target = auto_chunks(sides, itemsize, target), 2 * target
        if self.blocks is None:
            return chunks
        blocks = check_shape(self.blocks, "blocks", least=1, ndim=len(sides))
        return tuple(map(max, chunks, blocks))

    def layers(self, kind: str, like: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
        """
        The metalayers of fixed length.

        Args:
            kind: ``"b2nd"`` or ``"caterva"``.

            like: Those that there are if nothing is said of them.

        Raises:
            MetadataError: If there is one that the array or its checksums need.
        """
        own = pack_meta(self.meta) if self.meta is not None else dict(like or {})
        for name in (B2ND, CATERVA, SEAL):
            if name in own:
                raise MetadataError(field="meta", expected="names of other metalayers", found=name)
        return {kind: b"", **own}


def block_bytes(cparams: CParams) -> int:
    """
    About how many bytes blocks should have that are compressed so.

    With LZ4 after a shuffle, blocks of 128 KiB are as quick for whole chunks as those of 256, and
    chunks 0 to 4 % larger (25 % where they are tiny); to read one element takes 57 us in place of
    77, a cube of 16 144 in place of 173. Zstandard would encode 10 % slower.
    """
    quick = cparams.codec == Codec.LZ4 and Filter.BITSHUFFLE not in cparams.filters
    return BLOCK_BYTES // 2 if quick else BLOCK_BYTES


def default_params(kind: str) -> CParams:
    """How a frame is compressed, if nothing is said."""
    return _CATERVA_PARAMS if kind == CATERVA else CParams()


def element_type(itemsize: int | None, dtype: Any, default: Any = None) -> tuple[DType, str]:
    """
    The type of the elements, and the metalayer that states the shapes: with a data type that of
    blosc2, with no more than a size that of caterva.

    Raises:
        MetadataError: If there is both, or none, or one that is impossible or that blosc2 has no
            form for.
    """
    if itemsize is not None:
        if dtype is not None:
            raise MetadataError("either itemsize or dtype")
        known = isinstance(itemsize, int | np.integer) and not isinstance(itemsize, bool)
        if not known or not 1 <= itemsize <= MAX_TYPESIZE:
            expected = f"an int from 1 to {MAX_TYPESIZE}, or dtype="
            raise MetadataError(field="itemsize", expected=expected, found=itemsize)
        return np.dtype(f"V{int(itemsize)}"), CATERVA
    chosen = default if dtype is None else dtype
    if chosen is None:
        raise MetadataError(field="dtype", expected="dtype or itemsize", found=None)
    try:
        return stored_type(np.dtype(chosen)), B2ND
    except TypeError as error:
        raise MetadataError(f"{error}", field="dtype") from error


def _checked(meta: B2ndMeta) -> B2ndMeta:
    counts = grid_counts(meta.chunks, meta.blocks)
    size = prod(counts) * prod(meta.blocks) * meta.dtype.itemsize
    if size > MAX_CHUNK:
        expected = f"chunks of at most {MAX_CHUNK} bytes, whole blocks counted"
        raise MetadataError(field="chunks", expected=expected, found=size)
    if prod(grid_counts(meta.shape, meta.chunks)) > MAX_CHUNKS:
        expected = f"chunks so large that there are at most {MAX_CHUNKS}"
        raise MetadataError(field="chunks", expected=expected, found=meta.chunks)
    return meta
