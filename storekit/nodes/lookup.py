"""
Finding a node: at its document of Zarr v3, or else at those of v2.

What is there as v3 costs one request. Within a hierarchy nothing is looked for but its own format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from storekit.errors import KeyNotFoundError, NodeNotFoundError
from storekit.nodes.metadata import ArrayMetadata, GroupMetadata, parse_node
from storekit.nodes.naming import document_key
from storekit.stores.base import ReadableStore
from storekit.typing import JSON

__all__ = [
    "Metadata",
    "check_store",
    "child_exists",
    "child_loader",
    "find_document",
    "load_document",
    "parse_document",
]

Metadata: TypeAlias = ArrayMetadata | GroupMetadata


def load_document(store: ReadableStore, path: str) -> Metadata:
    """
    The parsed metadata document of a node of Zarr v3.

    Raises:
        NodeNotFoundError: If there is none.

        MetadataError: If it is malformed.
    """
    check_store(store)
    key = document_key(path)
    try:
        data = store.get(key)
    except KeyNotFoundError:
        raise NodeNotFoundError(f"no node at {path!r}: {store!r} has no key {key!r}") from None
    return parse_node(data, key)


def check_store(store: object) -> None:
    """Refuse what is no store, before it is asked for a key."""
    if not isinstance(store, ReadableStore):
        raise TypeError(
            "expected a store that can be read, such as LocalStore(path) or MemoryStore(),"
            f" found {type(store).__name__}: {store!r:.80}"
        )


def find_document(store: ReadableStore, path: str) -> Metadata:
    """
    The parsed metadata of a node of Zarr v3 or, if there is none, of v2: of a group of v2 with what
    is consolidated.

    Raises:
        NodeNotFoundError: If there is neither, after three requests.

        MetadataError: If a document is malformed.
    """
    try:
        return load_document(store, path)
    except NodeNotFoundError:
        pass
    from storekit.nodes.v2.load import load_v2  # few hierarchies need it

    return load_v2(store, path, whole=True)


def child_loader(zarr_format: int) -> Callable[[ReadableStore, str], Metadata]:
    """`load_document` for what is in a group of this format."""
    if zarr_format == 3:
        return load_document
    from storekit.nodes.v2.load import load_v2

    return load_v2


def child_exists(zarr_format: int) -> Callable[[ReadableStore, str], bool]:
    """Whether, in a store, a path in a group of this format has a node."""
    if zarr_format == 3:
        return lambda store, path: store.exists(document_key(path))
    from storekit.nodes.v2.load import exists_v2

    return exists_v2


def parse_document(document: Mapping[str, JSON], path: str, zarr_format: object) -> Metadata:
    """
    The node that a document describes.

    Args:
        document: As `to_json` of the metadata makes it.

        path: The path of the node, for errors.

        zarr_format: The format that it must have.

    Raises:
        MetadataError: If it is malformed.
    """
    if zarr_format != 2:
        return parse_node(document, document_key(path))
    from storekit.nodes.v2.load import parse_v2

    return parse_v2(document, path)
