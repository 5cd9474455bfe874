"""From the compressors and filters of a document of Zarr v2 to codecs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from storekit.codecs.base import Codec, check_keys
from storekit.codecs.blosc import CNAMES, MAX_SIZE, SHUFFLES, BloscCodec
from storekit.codecs.config import get_bool, get_choice, get_int
from storekit.codecs.gzip import GzipCodec
from storekit.codecs.v2.categorize import CategorizeCodec
from storekit.codecs.v2.filters import FILTERS
from storekit.codecs.v2.streams import Bz2Codec, Lz4Codec, LzmaCodec, ZlibCodec
from storekit.codecs.vlen import VlenBytesCodec, VlenUtf8Codec
from storekit.codecs.zstd import LEVELS, ZstdCodec
from storekit.errors import MetadataError
from storekit.typing import JSON

__all__ = ["codec_from_v2"]

AUTO_SHUFFLE = -1


def _blosc(configuration: Mapping[str, JSON]) -> Codec:
    check_keys(configuration, optional=("cname", "clevel", "shuffle", "blocksize", "typesize"))
    shuffle = get_int(configuration, "shuffle", AUTO_SHUFFLE, 2, 1)
    if configuration.get("typesize") is not None:
        get_int(configuration, "typesize", 1, MAX_SIZE, None)
    return BloscCodec(
        get_choice(configuration, "cname", CNAMES, "lz4"),
        get_int(configuration, "clevel", 0, 9, 5),
        None if shuffle == AUTO_SHUFFLE else SHUFFLES[shuffle],
        blocksize=get_int(configuration, "blocksize", 0, MAX_SIZE, 0),
    )


def _gzip(configuration: Mapping[str, JSON]) -> Codec:
    check_keys(configuration, optional=("level",))
    level = get_int(configuration, "level", -1, 9, 1)
    return GzipCodec() if level < 0 else GzipCodec(level)


def _zstd(configuration: Mapping[str, JSON]) -> Codec:
    check_keys(configuration, optional=("level", "checksum"))
    level = get_int(configuration, "level", *LEVELS, 0)
    return ZstdCodec(level, get_bool(configuration, "checksum", False))


_CODECS: dict[str, Callable[[Mapping[str, JSON]], Codec]] = {
    "blosc": _blosc,
    "gzip": _gzip,
    "zstd": _zstd,
    **{kind.name: kind for kind in (ZlibCodec, Bz2Codec, LzmaCodec, Lz4Codec)},
    **FILTERS,
    "categorize": CategorizeCodec.from_config,
    "vlen-utf8": VlenUtf8Codec.from_config,
    "vlen-bytes": VlenBytesCodec.from_config,
}


def codec_from_v2(json: JSON) -> Codec:
    """
    The codec that an object with an ``id`` describes.

    Raises:
        MetadataError: With `field` relative to the object; if the codec is unknown, too.
    """
    if not isinstance(json, Mapping):
        raise MetadataError(expected="an object with an id", found=json)
    name = json.get("id")
    if name == "pickle":
        raise MetadataError("pickles can run any code, and are never read", field="id")
    if not isinstance(name, str) or name not in _CODECS:
        known = ", ".join(sorted(_CODECS))
        raise MetadataError("unknown codec", field="id", expected=f"one of {known}", found=name)
    return _CODECS[name]({key: value for key, value in json.items() if key != "id"})
