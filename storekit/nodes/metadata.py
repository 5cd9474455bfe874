"""From a document to what it says, whichever kind of node it describes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from storekit.codecs.registry import generation
from storekit.errors import MetadataError
from storekit.nodes.alike import read_alike
from storekit.nodes.array_metadata import ArrayMetadata
from storekit.nodes.documents import plain_json
from storekit.nodes.group_metadata import GroupMetadata, open_document
from storekit.typing import JSON, Value

__all__ = ["ArrayMetadata", "GroupMetadata", "parse_node"]

MAX_REMEMBERED = 1 << 12
"""Bytes of a document up to which its meaning is remembered."""


def parse_node(document: Value | Mapping[str, JSON], key: str) -> ArrayMetadata | GroupMetadata:
    """
    The array or the group that a document describes.

    Args:
        document: The bytes, or the JSON object.

        key: Where it lies, for errors.

    Raises:
        MetadataError: If it is neither, or malformed.
    """
    try:
        if isinstance(document, bytes) and len(document) <= MAX_REMEMBERED:
            return _own(_remembered(document, generation()))
        return _parse(document)
    except MetadataError as error:
        raise error.located(key) from error.__cause__
    except RecursionError:
        raise MetadataError("the document is nested too deeply", document=key) from None


def _parse(document: Value | Mapping[str, JSON]) -> ArrayMetadata | GroupMetadata:
    found = open_document(document)
    match found["node_type"]:
        case "array":
            return ArrayMetadata.read(found)
        case "group":
            return GroupMetadata.read(found)
    raise MetadataError(field="node_type", expected='"array" or "group"', found=found["node_type"])


@lru_cache(1024)
def _remembered(document: bytes, _: object) -> ArrayMetadata | GroupMetadata:
    """
    What the same bytes meant the last time, while the same codecs are registered. Metadata does not
    change, and one document is read over and over: by lookups that pass a group, by whatever is
    created in it. It costs 1 us instead of 8.
    """
    return read_alike(document) or _parse(document)


def _own(metadata: ArrayMetadata | GroupMetadata) -> ArrayMetadata | GroupMetadata:
    """A copy that shares nothing that can be changed: lists in attributes belong to one node."""
    copy = object.__new__(type(metadata))
    vars(copy).update(vars(metadata))
    for name in ("attributes", "extra", "consolidated"):
        if vars(copy).get(name):
            vars(copy)[name] = plain_json(vars(copy)[name], name)
    return copy
