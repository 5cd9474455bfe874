"""A new Zarr array or group that appears when all of it is written: documents come last."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from storekit.errors import KeyNotFoundError, NodeExistsError
from storekit.frames.log import LogHome
from storekit.nodes.array import Array
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.group import Group
from storekit.nodes.interchange_chunks import (
    ZarrTarget,
    copy_chunks,
    name_of_chunks,
    source_of,
)
from storekit.nodes.interchange_plan import Wishes, new_zarr
from storekit.nodes.interchange_threads import clock_of, in_flight
from storekit.nodes.metadata import GroupMetadata
from storekit.nodes.naming import check_name, document_key, join_path
from storekit.nodes.node import Node
from storekit.nodes.placing import (
    check_vacant,
    make_parents,
    node_exists,
    put_document,
    remove_node,
    writable,
)
from storekit.nodes.zarr_array import ZarrArray
from storekit.nodes.zarr_node import ZarrNode
from storekit.stores.base import ListableStore
from storekit.typing import Shape

__all__ = ["ZarrPlace", "copy_array", "copy_group"]


class ZarrPlace(NamedTuple):
    """
    Where a node is to be.

    Args:
        store: The store.

        path: The path in it.

        overwrite: Whether something else may be there.
    """

    store: Any
    path: str
    overwrite: bool

    def check_apart(self, node: Node) -> None:
        """
        Refuse to copy a node to a place within it, or around it.

        Raises:
            NodeExistsError: If that was asked for.
        """
        own = _segments(*self.store._place(self.path))
        if isinstance(node, ZarrNode):
            other = _segments(*node.store._place(node.path))
            source = f"{node.path!r} in {node.store!r}"
        elif isinstance(node, FrameArray) and isinstance(node._home, LogHome):
            other, source = _file_segments(node._home.path), repr(node._home.path)
        else:
            return
        near = min(len(own), len(other))
        if own[:near] == other[:near]:
            target = f"{self.path!r} in {self.store!r}"
            raise NodeExistsError(f"{target} and what is copied, {source}, lie within each other")

    def claim(self) -> None:
        """
        Make room.

        Raises:
            NodeExistsError: If something is there and must not be overwritten, or an array lies
                above it.

            ReadOnlyError: If the store cannot be written.
        """
        writable(self.store, "set")
        make_parents(self.store, self.path)
        if self.overwrite:
            remove_node(self.store, self.path)
            return
        check_vacant(self.store, self.path)
        if self.store.exists(document_key(self.path)):
            raise node_exists(self.store, self.path)


def copy_array(node: Array, place: ZarrPlace, wishes: Wishes) -> None:
    """Copy an array of any kind to a Zarr array."""
    metadata = new_zarr(node, wishes, document_key(place.path))
    clock_of(source_of(node).place, place.store)  # or they are refused
    place.claim()
    _fill(node, ZarrArray(place.store, place.path, metadata), wishes)
    put_document(place.store, place.path, metadata.to_bytes())


def copy_group(group: Group, place: ZarrPlace, wishes: Wishes) -> None:
    """Copy a group with all that is in it, of whatever kind."""
    if isinstance(group, ZarrNode):
        clock_of(group.store, place.store)  # or they are refused
    place.claim()
    documents = [(place.path, _document(group))]
    pending = [(group, place.path)]
    while pending:
        above, path = pending.pop()
        for name, node in above.children.items():
            below = check_name(join_path(path, name))
            if isinstance(node, Group):
                documents.append((below, _document(node)))
                pending.append((node, below))
            elif isinstance(node, Array):
                metadata = new_zarr(node, wishes, document_key(below))
                _fill(node, ZarrArray(place.store, below, metadata), wishes)
                documents.append((below, metadata.to_bytes()))
    for path, document in reversed(documents):  # what others can find comes last
        put_document(place.store, path, document)


def _document(group: Group) -> bytes:
    return GroupMetadata(attributes=dict(group.attributes)).to_bytes()


def _fill(node: Array, array: ZarrArray, wishes: Wishes) -> None:
    if isinstance(node, ZarrArray) and node._metadata is array._metadata:
        _copy_values(node, array)
    else:
        copy_chunks(source_of(node), ZarrTarget(array), raw=not wishes.any)


def _copy_values(source: ZarrArray, target: ZarrArray) -> None:
    """Copy chunks (or shards) between arrays with the same document, whatever the codecs."""
    old, new = name_of_chunks(source), name_of_chunks(target)
    store = writable(target.store, "set")
    places: Iterable[Shape]
    if isinstance(source.store, ListableStore):
        places = source._stored().values()
    else:
        unit = source._metadata.chunk_shape
        places = np.ndindex(*(-(-n // c) for n, c in zip(source.shape, unit, strict=True)))

    def work(items: Iterable[Shape]) -> None:
        for place in items:
            try:
                value = source.store.get(old(place))
            except KeyNotFoundError:
                continue
            store.set(new(place), value)

    size = np.dtype(source.dtype).itemsize
    for side in source._metadata.chunk_shape:
        size *= side
    in_flight(places, work, source.store, target.store, size)


def _segments(identity: object, path: str) -> list[object]:
    """What places are compared by: a local one by the path of its file."""
    if isinstance(identity, tuple) and identity[:1] == ("local",):
        return _file_segments(os.path.join(str(identity[1]), path))
    return [identity, *path.strip("/").split("/")] if path.strip("/") else [identity]


def _file_segments(path: str) -> list[object]:
    return list(os.path.realpath(path).split(os.sep))
