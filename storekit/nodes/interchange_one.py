"""One chunk of a Zarr array, to a frame of its own and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from storekit.errors import KeyNotFoundError, NodeTypeError, SelectionError, ShapeError
from storekit.frames.transfer import unwrap_chunk, wrap_chunk
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.interchange_chunks import coder_of, name_of_chunks, source_of
from storekit.nodes.interchange_frame import FramePlace
from storekit.nodes.node import Node
from storekit.nodes.placing import writable
from storekit.nodes.zarr_array import ZarrArray
from storekit.typing import Shape, Value

__all__ = ["get_chunk", "set_chunk"]


def get_chunk(node: Node, index: Sequence[int], place: FramePlace) -> None:
    """
    Copy a chunk, which is a frame, to a place for frames.

    Raises:
        NodeTypeError: If chunks of the node are no frames.

        SelectionError: If there is no such chunk.

        ChecksumError, CorruptFrameError: If it is damaged.
    """
    if not isinstance(node, ZarrArray) or (coder := coder_of(node)) is None:
        raise NodeTypeError("only a Zarr array with the codec storekit.b2nd has frames for chunks")
    where = _checked(node, index)
    place.check()
    try:
        value: Value = node.store.get(name_of_chunks(node)(where))
        meta = source_of(node).meta
        if meta is not None:
            unwrap_chunk(value, meta)
    except KeyNotFoundError:
        fill = np.full(coder.spec.shape, coder.spec.fill_value, coder.spec.dtype)
        value = coder.encode(fill)
    place.put(value)


def set_chunk(node: Node, array: Any, index: Sequence[int]) -> None:
    """
    Put a frame in the place of a chunk.

    Raises:
        NodeTypeError: If the node is no frame, or the target no Zarr array.

        SelectionError: If there is no such chunk.

        ShapeError: If the frame is not of the shape of a chunk, or of other elements.
    """
    if not isinstance(node, FrameArray) or not isinstance(array, ZarrArray):
        raise NodeTypeError("a chunk is copied from a Zarr array to a frame, or the other way")
    where = _checked(array, index)
    shape = array._metadata.chunk_shape
    if node.shape != shape or node.dtype != array.dtype:
        raise ShapeError(
            f"chunks are {shape} elements of {array.dtype}, the frame has {node.shape} of"
            f" {node.dtype}"
        )
    source = source_of(node)
    value = None
    if coder_of(array) and source.meta and source.meta.shape == shape and shape:
        found = source.raw(0, (0,) * len(shape))
        if not isinstance(found, int | None):
            value = wrap_chunk(found, source.meta, node._now().snapshot.frame.header.codec >> 4)
    if value is None:
        corners = zip(where, shape, array.shape, strict=True)
        box = tuple(slice(i * n, min(i * n + n, end)) for i, n, end in corners)
        array[box] = node[tuple(slice(side.stop - side.start) for side in box)]
    else:
        writable(array.store, "set").set(name_of_chunks(array)(where), value)


def _checked(array: ZarrArray, index: Sequence[int]) -> Shape:
    """The place of a chunk (or shard) in the grid."""
    place = tuple(index)
    unit = array._metadata.chunk_shape
    counts = [-(-n // c) for n, c in zip(array.shape, unit, strict=True)]
    if len(place) != len(counts) or not all(
        0 <= i < n for i, n in zip(place, counts, strict=False)
    ):
        raise SelectionError(f"there is no chunk {list(place)} in a grid of {counts}")
    return place
