"""Zarr groups: nodes below a path of a store, found by listing or in consolidated metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self, TypeVar

from storekit.errors import (
    InvalidKeyError,
    NodeExistsError,
    NodeNotFoundError,
    NodeTypeError,
    UnsupportedError,
)
from storekit.nodes.documents import check_finite
from storekit.nodes.group import Group
from storekit.nodes.lookup import (
    child_exists,
    child_loader,
    find_document,
    parse_document,
)
from storekit.nodes.metadata import ArrayMetadata, GroupMetadata
from storekit.nodes.naming import check_name, document_key, hidden, join_path, normal_path
from storekit.nodes.placing import create_document, remove_node
from storekit.nodes.zarr_array import ZarrArray
from storekit.nodes.zarr_node import ZarrNode
from storekit.stores.base import ListableStore, ReadableStore
from storekit.typing import JSON

__all__ = ["ZarrGroup", "open_zarr"]

N = TypeVar("N", bound=ZarrNode)
T = TypeVar("T")


class ZarrGroup(ZarrNode, Group):
    """
    A group of a Zarr hierarchy: a mapping from names to `ZarrGroup` and `ZarrArray`. In a hierarchy
    of Zarr v2 it can only be read.

    Opening it reads its own document and nothing else. Children are looked up when they are asked
    for; all of them come without further requests if the document holds consolidated metadata.

    Threads: safe.

    Source: Zarr v3 core specification, "Groups"; consolidated metadata as zarr-python writes it.
    """

    _kind = GroupMetadata
    _metadata: GroupMetadata

    @classmethod
    def create(
        cls,
        store: ReadableStore,
        path: str = "",
        *,
        attributes: Mapping[str, JSON] | None = None,
        overwrite: bool = False,
    ) -> Self:
        """
        Create a group, and the groups above it that are missing.

        Args:
            store: Where to.

            path: The path of the group; the root by default.

            attributes: JSON values by name.

            overwrite: Whether to remove what is at the path; otherwise that is an error.

        Raises:
            NodeExistsError: If a node is at the path, or an array lies above it.

            ReadOnlyError: If the store cannot be written.
        """
        path = check_name(path)
        metadata = GroupMetadata(attributes=dict(attributes or {}))
        check_finite(metadata.attributes, "attributes")
        if metadata.attributes:  # what the user's own JSON becomes, only reading tells
            metadata = GroupMetadata.from_json(metadata.to_bytes(), document_key(path))
        create_document(store, path, metadata, overwrite=overwrite)
        return cls(store, path, metadata)

    def create_group(
        self, path: str, *, attributes: Mapping[str, JSON] | None = None, overwrite: bool = False
    ) -> ZarrGroup:
        """Create a group below this one; the arguments are those of `ZarrGroup.create`."""
        group = ZarrGroup.create(
            self._store, self._below(path), attributes=attributes, overwrite=overwrite
        )
        self._changed()
        return self._told(group)

    def require_group(self, path: str) -> ZarrGroup:
        """
        The group at a path below this one, made if it is missing.

        Raises:
            NodeTypeError: If an array is there.
        """
        try:
            return self.create_group(path)
        except NodeExistsError:
            node = self[path]
        if not isinstance(node, ZarrGroup):
            raise NodeTypeError(f"the node {node.path!r} is an array")
        return node

    def create_array(self, path: str, **options: Any) -> ZarrArray:
        """Create an array below this group; the options are those of `ZarrArray.create`."""
        array = ZarrArray.create(self._store, self._below(path), **options)
        self._changed()
        return self._told(array)

    def __setitem__(self, path: str, data: Any) -> None:
        """Create an array of the shape, dtype and content of `data`."""
        self.create_array(path, data=data)

    def __delitem__(self, path: str) -> None:
        """
        Remove the node at a path below this group, and all below it.

        Raises:
            NodeNotFoundError: If there is none.
        """
        self._check_format("erase_prefix")
        node = self[path]
        remove_node(self._store, node.path)
        self._changed()

    def __iter__(self) -> Iterator[str]:
        """
        The names of the children, sorted. They are listed, and the document of each is read.

        Of any mapping, ``list(group)`` and ``sorted(group)`` also ask for the length, which here
        takes requests of its own; ``list(group.keys())`` does not.

        Raises:
            UnsupportedError: If the store cannot list its keys and there is no consolidated
                metadata.
        """
        return iter(self._load_children())

    def __len__(self) -> int:
        """The number of the children, whose documents are looked for, but not read."""
        tree = self._metadata.tree
        if tree is not None:
            return sum("" in documents for documents in tree.values())
        exists, store = child_exists(self._metadata.zarr_format), self._store
        return sum(self._of_children(lambda path: exists(store, path)).values())

    @property
    def children(self) -> dict[str, ZarrNode]:  # type: ignore[override]
        """
        The nodes directly in this group, by name, sorted. From a network, many are read at once.
        """
        return self._load_children()

    def get_nodes(self, paths: Iterable[str]) -> list[Any]:
        """The nodes at several paths; see `Group.get_nodes`."""
        asked = list(paths)
        found = self._side_by_side(list(dict.fromkeys(asked)), self.__getitem__)
        return [found[path] for path in asked]

    def _child(self, name: str) -> ZarrNode:
        if hidden(name) and self._metadata.zarr_format == 3:
            raise NodeNotFoundError(
                f"no node {name!r} in group {self._path!r}: such names are reserved"
            )
        if not name:
            raise NodeNotFoundError(f"no node without a name in group {self._path!r}")
        path = join_path(self._path, normal_path(name))
        tree = self._metadata.tree
        if tree is None:
            load = child_loader(self._metadata.zarr_format)
            return self._told(_node(self._store, path, load(self._store, path)))
        if "" not in tree.get(name, ()):
            raise NodeNotFoundError(
                f"no node {name!r} in the consolidated metadata of group {self._path!r}"
            )
        metadata = parse_document(tree[name][""], path, self._metadata.zarr_format)
        if isinstance(metadata, GroupMetadata):
            below = {other: document for other, document in tree[name].items() if other}
            metadata = replace(metadata, consolidated=_consolidated(below))
        return self._told(_node(self._store, path, metadata))

    def _told(self, node: N) -> N:
        """The node, which tells this group when its document changes."""
        node._on_change = self._changed
        return node

    def _load_children(self) -> dict[str, ZarrNode]:
        tree = self._metadata.tree
        if tree is not None:
            return {name: self._child(name) for name in tree if "" in tree[name]}
        store, document = self._store, child_loader(self._metadata.zarr_format)

        def load(path: str) -> ZarrNode | None:
            try:
                return self._told(_node(store, path, document(store, path)))
            except NodeNotFoundError:
                return None  # a prefix that is no node, such as an array's chunks

        nodes = self._of_children(load)
        return {name: node for name, node in nodes.items() if node is not None}

    def _of_children(self, ask: Callable[[str], T]) -> dict[str, T]:
        """By name, sorted, what comes of the path of whatever may be a child."""
        head = f"{self._path}/" if self._path else ""
        return self._side_by_side(self._child_names(), lambda name: ask(head + name))

    def _child_names(self) -> list[str]:
        if not isinstance(self._store, ListableStore):
            raise UnsupportedError(
                f"group {self._path!r}: the store cannot list its keys,"
                " and there is no consolidated metadata",
                store=self._store,
                op="list_dir",
            )
        prefix = f"{self._path}/" if self._path else ""
        names = [
            entry[len(prefix) : -1] for entry in self._store.list_dir(prefix) if entry.endswith("/")
        ]
        if self._metadata.zarr_format != 3:
            return names  # only v3 has names that are reserved
        return [name for name in names if not hidden(name)]

    def _changed(self) -> None:
        """
        Consolidated metadata that a change has made false is removed: better none than a wrong one.
        """
        if self._metadata.consolidated is not None:
            self._edit(lambda metadata: replace(metadata, consolidated=None))
        else:
            self._on_change()

    def consolidate(self) -> None:
        """
        Put the documents of all nodes below into this group's own, so that one request opens the
        tree.

        Later changes through nodes that were found by way of this group remove it again; changes
        through others do not, and readers that trust it then see the old state.

        Raises:
            UnsupportedError: If the store cannot list its keys.
        """
        self._check_format("set")
        start = len(self._path) + 1 if self._path else 0
        nodes = {node.path[start:]: node.metadata for node in _walk(_live(self))}
        self._edit(lambda metadata: replace(metadata, consolidated=_consolidated(nodes)))

    def _below(self, path: str) -> str:
        """The path of a node that is to be created."""
        self._check_format("set")
        below = normal_path(path)
        if not below:
            raise InvalidKeyError(f"a node below group {self._path!r} needs a name", key=path)
        return join_path(self._path, below)


def open_zarr(store: ReadableStore, path: str = "") -> Any:
    """
    Open the group or array at a path. One of Zarr v3 costs one request; what is of v2 can be read.

    Args:
        store: Where the hierarchy lives.

        path: The path in it; the root by default.

    Returns:
        A `ZarrGroup` or a `ZarrArray`.

    Raises:
        NodeNotFoundError: If there is no node.

        MetadataError: If its document is malformed.
    """
    path = normal_path(path)
    return _node(store, path, find_document(store, path))


def _node(store: ReadableStore, path: str, metadata: ArrayMetadata | GroupMetadata) -> ZarrNode:
    kind = ZarrArray if isinstance(metadata, ArrayMetadata) else ZarrGroup
    return kind(store, path, metadata)


def _live(group: ZarrGroup) -> ZarrGroup:
    """The group without its consolidated metadata, which may be old."""
    return ZarrGroup(group._store, group._path, replace(group._metadata, consolidated=None))


def _walk(group: ZarrGroup) -> Iterator[ZarrNode]:
    for node in group.children.values():
        if isinstance(node, ZarrGroup):
            node = _live(node)
            yield node
            yield from _walk(node)
        else:
            yield node


def _consolidated(documents: Mapping[str, JSON]) -> dict[str, JSON]:
    return {"kind": "inline", "must_understand": False, "metadata": dict(documents)}
