"""
What frames and Zarr arrays say beside their elements, each in the words of the other.

Metalayers of variable length are attributes, where they are JSON packed by msgpack. What one side
has and the other has not is kept in one place, so that a copy of a copy has all of it: the
attribute ``b2nd`` holds other metalayers, as base64; the metalayer ``zarr`` holds, as JSON, the
fill value, the names of the dimensions, and attributes that cannot be metalayers.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgpack

from storekit.errors import MetadataError
from storekit.frames.b2nd import B2ND, CATERVA
from storekit.frames.frame import Frame
from storekit.frames.layout import pack_name
from storekit.frames.seal import SEAL
from storekit.frames.trailer import MAX_CONTENT
from storekit.typing import JSON

__all__ = ["FrameWords", "ZarrWords", "from_frame", "from_zarr", "users_layers"]

_B2ND, _ZARR = "b2nd", "zarr"
_OWN = (B2ND, CATERVA, SEAL)


class ZarrWords(NamedTuple):
    """
    Args:
        attributes: JSON by name.

        dimension_names: A name, or None, for every dimension; None if there are no names.

        fill_value: As JSON; None for zero.
    """

    attributes: Mapping[str, JSON] = MappingProxyType({})
    dimension_names: list[str | None] | None = None
    fill_value: JSON = None


class FrameWords(NamedTuple):
    """
    Args:
        meta: The metalayers of fixed length.

        vlmeta: Those of variable length.
    """

    meta: dict[str, bytes]
    vlmeta: dict[str, bytes]


def users_layers(frame: Frame) -> dict[str, bytes]:
    """The metalayers of fixed length that say nothing of the shape or of checksums."""
    return {name: layer.content for name, layer in frame.layers.items() if name not in _OWN}


def from_frame(frame: Frame) -> ZarrWords:
    """
    What a frame says, for a Zarr array.

    Raises:
        CorruptFrameError: If a metalayer is damaged.
    """
    attributes: dict[str, JSON] = {}
    words = ZarrWords()
    other: dict[str, bytes] = {}
    for name, content in frame.trailer.layers.items():
        known, value = _unpack(content)
        if name == _ZARR and known and (found := _parse_words(value, len(frame.meta.shape))):
            words = found
        elif known and name != _B2ND:
            attributes[name] = value
        else:
            other[name] = content
    kept = {"meta": users_layers(frame), "vlmeta": other}
    attributes.update(words.attributes)
    if any(kept.values()):
        attributes[_B2ND] = {
            kind: {name: b64encode(content).decode() for name, content in layers.items()}
            for kind, layers in kept.items()
            if layers
        }
    return words._replace(attributes=attributes)


def from_zarr(words: ZarrWords) -> FrameWords:
    """What a Zarr array says, for a frame."""
    layers = FrameWords({}, {})
    kept: dict[str, JSON] = {}
    for name, value in words.attributes.items():
        if name == _B2ND and (found := _parse_kept(value)):
            layers.meta.update(found.meta)
            layers.vlmeta.update(found.vlmeta)
        elif name not in (_B2ND, _ZARR) and (packed := _pack(name, value)) is not None:
            layers.vlmeta[name] = packed
        else:
            kept[name] = value
    rest = {
        "attributes": kept,
        "dimension_names": words.dimension_names,
        "fill_value": words.fill_value,
    }
    said = {name: value for name, value in rest.items() if value not in (None, {})}
    if said:
        layers.vlmeta[_ZARR] = msgpack.packb(json.dumps(said))
    return layers


def _unpack(content: bytes) -> tuple[bool, Any]:
    """Whether a metalayer is JSON packed by msgpack, and what it says."""
    try:
        value = msgpack.unpackb(content)
        same = msgpack.packb(value) == content
        return same and json.loads(json.dumps(value, allow_nan=False)) == value, value
    except (RecursionError, TypeError, ValueError, msgpack.UnpackException):
        return False, None


def _pack(name: str, value: JSON) -> bytes | None:
    """The content of a metalayer; None if there can be none of this name, or that says this."""
    try:
        pack_name(name)
        packed: bytes = msgpack.packb(value)
    except (MetadataError, OverflowError, RecursionError, TypeError, ValueError):
        return None
    return packed if len(packed) <= MAX_CONTENT and _unpack(packed)[0] else None


def _parse_words(text: Any, ndim: int) -> ZarrWords | None:
    """What the metalayer ``zarr`` says; None if it was made by somebody else."""
    try:
        found = json.loads(text)
    except (RecursionError, TypeError, ValueError):
        return None
    if not isinstance(found, dict) or not found or not found.keys() <= set(ZarrWords._fields):
        return None
    words = ZarrWords(**found)
    names = words.dimension_names
    if names is not None and not (isinstance(names, list) and len(names) == ndim):
        return None
    return words if isinstance(words.attributes, Mapping) else None


def _parse_kept(value: JSON) -> FrameWords | None:
    """The metalayers in the attribute ``b2nd``; None if it was made by somebody else."""
    if not isinstance(value, Mapping) or not value or not value.keys() <= set(FrameWords._fields):
        return None
    kinds = {"meta": {}, "vlmeta": {}, **value}
    try:
        found = FrameWords(
            *({name: b64decode(text, validate=True) for name, text in layers.items()}
              for layers in kinds.values())
        )  # fmt: skip
        for name in (*found.meta, *found.vlmeta):
            pack_name(name)
    except (AttributeError, Base64Error, MetadataError, TypeError, ValueError):
        return None
    return None if _ZARR in found.vlmeta or set(found.meta) & set(_OWN) else found
