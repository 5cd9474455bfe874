"""
From a codec's name to its class, and from metadata to codecs.

Names are looked up among the classes given to `register_codec`, then among storekit's own (imported
when first needed), then among the entry points of the group ``storekit.codecs``.

Source: Zarr v3 core specification, "Codecs" and "Extension definition" (object form, short-hand
names, ``must_understand``).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TypeVar

from storekit.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, Codec, within
from storekit.codecs.spec import ChunkSpec
from storekit.errors import MetadataError
from storekit.typing import JSON

__all__ = [
    "PRESETS",
    "codec_class",
    "codec_from_json",
    "codec_to_json",
    "generation",
    "preset",
    "register_codec",
]

ENTRY_POINTS = "storekit.codecs"

_BUILTIN = {
    "blosc": "storekit.codecs.blosc:BloscCodec",
    "bytes": "storekit.codecs.bytes:BytesCodec",
    "crc32c": "storekit.codecs.crc32c:Crc32cCodec",
    "gzip": "storekit.codecs.gzip:GzipCodec",
    "imagecodecs_b2nd": "storekit.codecs.imagecodecs:ImagecodecsB2ndCodec",
    "imagecodecs_blosc2": "storekit.codecs.imagecodecs:ImagecodecsBlosc2Codec",
    "sharding_indexed": "storekit.codecs.sharding:ShardingCodec",
    "storekit.b2nd": "storekit.codecs.b2nd:B2ndCodec",
    "transpose": "storekit.codecs.transpose:TransposeCodec",
    "vlen-bytes": "storekit.codecs.vlen:VlenBytesCodec",
    "vlen-utf8": "storekit.codecs.vlen:VlenUtf8Codec",
    "zstd": "storekit.codecs.zstd:ZstdCodec",
}

PRESETS = {
    "b2nd": ("storekit.b2nd",),
    "zstd": ("bytes", "zstd"),
    "blosc": ("bytes", "blosc"),
    "gzip": ("bytes", "gzip"),
    "none": ("bytes",),
    "imagecodecs_b2nd": ("imagecodecs_b2nd",),
}
"""Names for whole chains of codecs, each with the settings that its codecs have by default."""

_KINDS = (ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec)

_registered: dict[str, type[Codec]] = {}

_registrations = object()

C = TypeVar("C", bound=type[Codec])


def generation() -> object:
    """What is replaced by another when a name may have come to mean another codec."""
    return _registrations


def register_codec(cls: C) -> C:
    """
    Make a codec known under its name and aliases; usable as a decorator.

    A codec registered later, or one of the user's, takes precedence over others of the same name.

    Args:
        cls: A subclass of `ArrayArrayCodec`, `ArrayBytesCodec` or `BytesBytesCodec` with a `name`.

    Raises:
        TypeError: If it is none of these.
    """
    if not (isinstance(cls, type) and issubclass(cls, _KINDS)):
        raise TypeError(f"expected a subclass of one of the three kinds of codec, found {cls!r}")
    name = getattr(cls, "name", None)
    if not (isinstance(name, str) and name):
        raise TypeError(f"{cls.__qualname__} has no name")
    for known_as in (name, *cls.aliases):
        _registered[known_as] = cls
    global _registrations
    _registrations = object()
    return cls


def codec_class(name: str) -> type[Codec]:
    """
    The class of the codecs that metadata calls `name`.

    Raises:
        MetadataError: If there is none.
    """
    if name in _registered:
        return _registered[name]
    if name in _BUILTIN:
        module, _, attribute = _BUILTIN[name].partition(":")
        cls: type[Codec] = getattr(import_module(module), attribute)
        _registered.setdefault(name, cls)
        return cls
    from importlib.metadata import entry_points  # 20 ms, for the few who have codecs of their own

    for entry in entry_points(group=ENTRY_POINTS, name=name):
        try:
            plugin: type[Codec] = register_codec(entry.load())
            return plugin
        except (AttributeError, ImportError, TypeError) as error:
            raise MetadataError(f"entry point {entry.value!r}: {error}", field="name") from error
    known = ", ".join(sorted({*_BUILTIN, *_registered}))
    raise MetadataError("unknown codec", field="name", expected=f"one of {known}", found=name)


def codec_from_json(json: JSON) -> Codec | None:
    """
    The codec that an entry of ``codecs`` in metadata describes.

    Args:
        json: An object with ``name``, and perhaps ``configuration`` and ``must_understand``; or
            only the name.

    Returns:
        None if the codec is unknown and the entry says that it may be skipped.

    Raises:
        MetadataError: With `field` relative to the entry.
    """
    if isinstance(json, str):
        json = {"name": json}
    if not isinstance(json, Mapping):
        raise MetadataError(expected="an object with a name", found=json)
    name, configuration = json.get("name"), json.get("configuration", {})
    must_understand = json.get("must_understand", True)
    if not isinstance(name, str):
        raise MetadataError(field="name", expected="a string", found=name)
    if not isinstance(configuration, Mapping):
        raise MetadataError(field="configuration", expected="an object", found=configuration)
    if type(must_understand) is not bool:
        raise MetadataError(
            field="must_understand", expected="true or false", found=must_understand
        )
    for key in json:
        if key not in ("name", "configuration", "must_understand"):
            raise MetadataError("unknown key", field=str(key))
    try:
        cls = codec_class(name)
    except MetadataError:
        if must_understand:
            raise
        return None
    try:
        return cls.from_config(configuration)
    except MetadataError as error:
        raise within(error, "configuration") from error


def codec_to_json(codec: Codec) -> dict[str, JSON]:
    """
    The entry of ``codecs`` for a codec, always as an object: other readers know no other form.
    """
    configuration = codec.to_config()
    return (
        {"name": codec.name, "configuration": configuration}
        if configuration
        else {"name": codec.name}
    )


def preset(name: str, spec: ChunkSpec) -> list[Codec]:
    """
    The codecs that a preset stands for.

    Variable-length elements are encoded by ``vlen-utf8`` or ``vlen-bytes``; the presets of blosc2
    frames, which have no place for them, compress the result with zstd.

    Args:
        name: One of `PRESETS`.

        spec: The chunks to encode.

    Raises:
        MetadataError: If there is no such preset.
    """
    if name not in PRESETS:
        raise MetadataError(field="codecs", expected=f"one of {', '.join(PRESETS)}", found=name)
    first, *rest = PRESETS[name]
    if spec.variable:
        rest = ["zstd"] if first != "bytes" else rest
        first = "vlen-utf8" if isinstance(spec.fill_value, str) else "vlen-bytes"
    return [codec_class(entry).from_config({}).evolved(spec) for entry in (first, *rest)]
