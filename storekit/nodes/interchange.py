"""
Copies from one place to another: between Zarr arrays and groups, and frames of blosc2.

A chunk of a Zarr array with the codec `storekit.b2nd` is a frame of one chunk; a ``.b2nd`` file
holds the same chunks one after the other. So where both are cut into the same chunks and blocks,
these are moved as they are, their checksums are compared, and only what stands around them is made
anew. To a Zarr array with the same document the values of another are copied unread. Else chunks
are decoded and encoded. Only some are in memory at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from storekit.codecs.base import Codec
from storekit.errors import NodeTypeError
from storekit.nodes.array import Array
from storekit.nodes.group import Group
from storekit.nodes.interchange_chunks import FrameTarget, copy_chunks, source_of
from storekit.nodes.interchange_frame import FramePlace
from storekit.nodes.interchange_one import get_chunk, set_chunk
from storekit.nodes.interchange_plan import Wishes, new_frame
from storekit.nodes.interchange_zarr import ZarrPlace, copy_array, copy_group
from storekit.nodes.naming import check_name
from storekit.nodes.node import Node
from storekit.nodes.opening import open
from storekit.stores._url_parts import local_path, name_in
from storekit.stores.base import Store
from storekit.stores.urls import open_parent, open_store
from storekit.typing import JSON

__all__ = ["copy"]

SUFFIXES = (".b2nd", ".b2frame")
"""Names that end so are those of frames."""


def copy(
    source: str | os.PathLike[str] | Store | Node,
    target: str | os.PathLike[str] | Store,
    *,
    source_path: str = "",
    target_path: str = "",
    chunk: Sequence[int] | None = None,
    chunks: int | Iterable[int] | None = None,
    blocks: int | Iterable[int] | None = None,
    codec: Any = None,
    clevel: int | None = None,
    filters: Any = None,
    codecs: str | Sequence[Codec | JSON] | None = None,
    overwrite: bool = False,
) -> Any:
    """
    Copy an array or a group to another place, with its attributes and metalayers.

    What comes to be is a frame where the name of the target ends with ``.b2nd`` or ``.b2frame``,
    else a Zarr array or group. Nothing is compressed anew if both are cut into the same chunks
    and blocks and nothing else is asked for: between frames and Zarr arrays with the codec
    ``storekit.b2nd``, and between Zarr arrays of any codecs.

    From a Zarr array of v3 to another with no other settings the stored values are copied as they
    are, unread: what is damaged is damaged in the copy, and found when that is read. In all other
    copies chunks are decoded, or the checksums that they have are compared, and damage that this
    finds is an error. With `codecs`, also with those that the source has, chunks are decoded.

    The target appears when all of it is there. If copying fails, chunks of a Zarr array may be left
    that belong to no node; `overwrite` removes them the next time.

    Args:
        source: Where from, as in `open`; or a node.

        target: Where to: a URL, a path, or a store. A key in a store is the `target_path`.

        source_path: A path within the source.

        target_path: A path, or a key, within the target.

        chunk: The place in the grid of one chunk of a Zarr array. It becomes a frame of its own, as
            it is; or, if the array is the target, which then must exist, a frame becomes its chunk.

        chunks: The shape of the chunks; that of the source by default. An int for all dimensions.

        blocks: The shape of the blocks of each chunk; those of the source by default, or of about
            256 KiB if the chunks are others.

        codec: The compressor, as in `storekit.frames.CParams`; that of the source by default, as
            are `clevel` and `filters`.

        clevel: From 0 (store) to 9 (smallest).

        filters: What is done to blocks before they are compressed.

        codecs: For a Zarr array: as in `ZarrArray.create`, instead of the last four.

        overwrite: Whether to remove what is at the target; otherwise that is an error.

    Returns:
        The copy: a `FrameArray`, `ZarrArray` or `ZarrGroup`.

    Raises:
        NodeNotFoundError, KeyNotFoundError: If the source is missing.

        NodeExistsError: If something is at the target.

        NodeTypeError: If a group is to become a frame.

        MetadataError: If the target cannot hold such elements, or the settings do not go together.

        ReadOnlyError: If the target cannot be written.

        ChecksumError, CorruptFrameError: If a chunk of the source is found damaged.

        ValueError: If the target is ``memory://``, which nobody can open again; or source and
            target are stores with two clocks other than that of the machine.
    """
    wishes = Wishes.of(chunks, blocks, codec, clevel, filters, codecs)
    if chunk is not None and wishes.any:
        raise ValueError("a chunk stays as it is: no settings go together with `chunk`")
    node: Any
    if isinstance(source, Node):
        node = _below(source, source_path) if source_path else source
    else:
        node = open(source, source_path, mode="r")
    place = _place(target, target_path, overwrite)
    try:
        if chunk is not None:
            _copy_chunk(node, place, chunk)
        elif isinstance(place, ZarrPlace):
            place.check_apart(node)
            if isinstance(node, Group):
                copy_group(node, place, wishes)
            else:
                copy_array(node, place, wishes)
        else:
            _copy_to_frame(node, place, wishes)
    finally:
        if place.store is not None and place.store is not target:
            place.store.close()
    return open(target, target_path)


def _copy_chunk(node: Node, place: FramePlace | ZarrPlace, chunk: Sequence[int]) -> None:
    if isinstance(place, FramePlace):
        get_chunk(node, chunk, place)
    else:
        set_chunk(node, open(place.store, place.path, mode="a"), chunk)


def _copy_to_frame(node: Node, place: FramePlace, wishes: Wishes) -> None:
    if not isinstance(node, Array):
        raise NodeTypeError("a frame holds one array: choose one of the group with source_path")
    place.check()
    with place.create(new_frame(node, wishes)) as (frame, change):
        copy_chunks(source_of(node), FrameTarget(frame, change), raw=not wishes.any)


def _below(node: Node, path: str) -> Any:
    if not isinstance(node, Group):
        raise NodeTypeError("there is nothing below an array")
    return node[path]


def _check_target(target: object) -> None:
    """Refuse what is no place, or one that nobody finds again."""
    if not isinstance(target, str | os.PathLike | Store):
        expected = "a URL, a path or a store; a key in a store is the target_path"
        raise TypeError(f"target must be {expected}; found {target!r:.200}")
    if isinstance(target, str) and "://" in target and target.rstrip("/").lower() == "memory:":
        raise ValueError(
            "memory:// is a new store each time, and the copy would be lost: name it, as in"
            " memory://name, or pass a store"
        )


def _place(
    target: str | os.PathLike[str] | Store, path: str, overwrite: bool
) -> FramePlace | ZarrPlace:
    _check_target(target)
    file = None if isinstance(target, Store) else local_path(target)
    if not path and not isinstance(target, Store):
        name = file.name if file is not None else name_in(os.fspath(target))
        if name.lower().endswith(SUFFIXES):
            if file is not None:
                return FramePlace(None, os.fspath(file), overwrite)
            return FramePlace(*open_parent(os.fspath(target)), overwrite)
    path = check_name(path)
    if isinstance(target, Store):
        store = target
    elif file is not None and file.suffix.lower() == ".zip" and not file.is_dir():
        store = open_store(target, mode="a")
    else:
        store = open_store(target)
    kind = FramePlace if path.lower().endswith(SUFFIXES) else ZarrPlace
    return kind(store, path, overwrite)
