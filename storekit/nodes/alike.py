"""
Documents of arrays that differ in nothing but shape and attributes, as those of one hierarchy do.

What the rest of such a document means is found out once, and found again by its text: a new
document then takes 4 us instead of 15. That is exact: where one JSON value stands any other can
stand, and nothing around it changes its meaning.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from json import JSONDecoder
from typing import Any

from storekit.codecs.registry import generation
from storekit.errors import MetadataError
from storekit.nodes.array_metadata import ArrayMetadata
from storekit.nodes.documents import is_unique, load_document
from storekit.nodes.group_metadata import open_document
from storekit.nodes.shapes import check_lengths

__all__ = ["read_alike"]

_SHAPE = re.compile(r'"shape"\s*:\s*(?=\[)')
_ATTRIBUTES = re.compile(r'"attributes"\s*:\s*(?=\{)')
_MARK = os.urandom(16).hex()  # not to be guessed: a document might have it in other places
_MARKS = f'["{_MARK}"]', f'{{"{_MARK}":0}}'
"""What stands in for a shape, and for attributes."""

_value_at = JSONDecoder().raw_decode


def read_alike(document: bytes) -> ArrayMetadata | None:
    """
    The array that a document describes, if it can be read so. If not, errors and all else are left
    to whoever reads it as a whole.
    """
    try:
        text = document.decode()
        shape, start, end = _find(_SHAPE, text)
        attributes, first, last = _find(_ATTRIBUTES, text)
        if end <= first:
            rest, turned = (text[:start], text[end:first], text[last:]), False
        else:
            rest, turned = (text[:first], text[last:start], text[end:]), True
        alike = _remembered(rest, turned, generation())
        if alike is None or (attributes and not is_unique(attributes, text[first:last])):
            return None
        lengths = check_lengths(shape, "shape", least=0)
        return alike.like(lengths, attributes, alike.dimension_names, alike.extra)
    except (ValueError, RecursionError, MetadataError):
        return None


def _find(name: re.Pattern[str], text: str) -> tuple[Any, int, int]:
    """The value of the first field of a name, where it begins and where it ends."""
    found = name.search(text)
    if found is None:
        raise ValueError
    value, end = _value_at(text, found.end())
    return value, found.end(), end


@lru_cache(256)
def _remembered(rest: tuple[str, str, str], turned: bool, _: object) -> ArrayMetadata | None:
    """
    An array as a document describes it that has these texts before, between and after its shape and
    its attributes, or the other way round; None if that is not what the texts go around.
    """
    one, two = reversed(_MARKS) if turned else _MARKS
    try:
        document = load_document(f"{rest[0]}{one}{rest[1]}{two}{rest[2]}".encode())
        if document.pop("shape") != [_MARK] or document.pop("attributes") != {_MARK: 0}:
            return None
        if open_document(document)["node_type"] != "array":
            return None
        shape = ArrayMetadata.read_common(document).chunk_shape
        return ArrayMetadata.read({**document, "shape": shape})
    except (KeyError, MetadataError):
        return None
