"""
Where the documents of Zarr v2 are: beside each other, or all of them in one.

Source: Zarr v2 specification, "Storage"; consolidated metadata as zarr-python writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storekit.errors import KeyNotFoundError, MetadataError, NodeNotFoundError
from storekit.nodes.documents import load_document
from storekit.nodes.group_metadata import check_consolidated
from storekit.nodes.naming import document_key
from storekit.nodes.v2.metadata import ArrayV2, GroupV2, check_format
from storekit.stores.base import ReadableStore
from storekit.typing import JSON

__all__ = ["exists_v2", "load_v2", "parse_v2"]

ARRAY, GROUP, ATTRIBUTES, CONSOLIDATED = ".zarray", ".zgroup", ".zattrs", ".zmetadata"


def load_v2(store: ReadableStore, path: str, *, whole: bool = False) -> ArrayV2 | GroupV2:
    """
    The parsed metadata of a node.

    Args:
        store: Where it lives.

        path: The path in it.

        whole: Whether to look for consolidated metadata, if it is a group.

    Raises:
        NodeNotFoundError: If there is none.

        MetadataError: If a document is malformed.
    """
    head = f"{path}/" if path else ""
    array = _load(store, head + ARRAY)
    group = _load(store, head + GROUP) if array is None else None
    if array is None and group is None:
        keys = f"{head + ARRAY!r} or {head + GROUP!r}"
        if whole:  # as whoever comes here without a group has found out
            keys = f"{document_key(path)!r}, {keys}"
        raise NodeNotFoundError(f"no node at {path!r}: {store!r} has no key {keys}")
    found = _load(store, head + CONSOLIDATED) if group is not None and whole else None
    if found is not None:
        return _consolidated(found, group or {}, head)
    attributes = _load(store, head + ATTRIBUTES) or {}
    if array is not None:
        return _array(array, attributes, path)
    return _group(group or {}, attributes, path)


def exists_v2(store: ReadableStore, path: str) -> bool:
    """Whether there is a node."""
    head = f"{path}/" if path else ""
    return store.exists(head + ARRAY) or store.exists(head + GROUP)


def parse_v2(document: Mapping[str, JSON], path: str) -> ArrayV2 | GroupV2:
    """
    What `metadata` of a node of Zarr v2 says, read again.

    Raises:
        MetadataError: If it is malformed.
    """
    fields = dict(document)
    kind, attributes = fields.pop("node_type", None), fields.pop("attributes", {})
    if not isinstance(attributes, Mapping):
        raise MetadataError(document=_key(path, ATTRIBUTES), expected="an object", found=attributes)
    if kind == "array":
        return _array(fields, attributes, path)
    if kind == "group":
        return _group(fields, attributes, path)
    raise MetadataError(document=path, field="node_type", expected='"array" or "group"', found=kind)


def _load(store: ReadableStore, key: str) -> dict[str, JSON] | None:
    """The document under a key; None if there is none."""
    try:
        data = store.get(key)
    except KeyNotFoundError:
        return None
    try:
        return load_document(data, finite=False)
    except MetadataError as error:
        raise error.located(key) from error.__cause__


def _array(found: Mapping[str, JSON], attributes: Mapping[str, JSON], path: str) -> ArrayV2:
    key = _key(path, ARRAY)
    try:
        return ArrayV2.read_v2(found, attributes)
    except MetadataError as error:
        raise error.located(key) from error.__cause__
    except RecursionError:
        raise MetadataError("the document is nested too deeply", document=key) from None


def _group(found: Mapping[str, JSON], attributes: Mapping[str, JSON], path: str) -> GroupV2:
    try:
        check_format(found)
        below = check_consolidated(found.get("consolidated_metadata"))
        return GroupV2(attributes=attributes, consolidated=below)
    except MetadataError as error:
        raise error.located(_key(path, GROUP)) from error.__cause__


def _key(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _consolidated(whole: Mapping[str, JSON], group: Mapping[str, JSON], head: str) -> GroupV2:
    """The group with the documents of all nodes below, none of which is looked into."""
    try:
        check_format(group)
    except MetadataError as error:
        raise error.located(head + GROUP) from None
    key = head + CONSOLIDATED
    version, documents = whole.get("zarr_consolidated_format"), whole.get("metadata")
    if type(version) is not int or version != 1:
        raise MetadataError(
            document=key, field="zarr_consolidated_format", expected="1", found=version
        )
    if not isinstance(documents, Mapping):
        raise MetadataError(document=key, field="metadata", expected="an object", found=documents)
    nodes: dict[str, dict[str, JSON]] = {}
    attributes: dict[str, Any] = {}
    for place, document in documents.items():
        path, _, name = place.rpartition("/")
        if name not in (ARRAY, GROUP, ATTRIBUTES):
            continue
        if not isinstance(document, Mapping):
            raise MetadataError(
                document=key, field=f"metadata.{place}", expected="a document", found=document
            )
        if name == ATTRIBUTES:
            attributes[path] = document
        elif name == ARRAY or path not in nodes:
            nodes[path] = {**document, "node_type": "array" if name == ARRAY else "group"}
    for path, node in nodes.items():
        node["attributes"] = attributes.get(path, {})
    nodes.pop("", None)
    below = {"kind": "inline", "must_understand": False, "metadata": nodes}
    return GroupV2(attributes=attributes.get("", {}), consolidated=below)
