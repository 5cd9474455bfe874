"""Codecs: named steps between arrays and bytes, and the chains that they form."""

from storekit.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, Codec
from storekit.codecs.coder import ChunkCoder
from storekit.codecs.pipeline import Pipeline
from storekit.codecs.registry import PRESETS, codec_from_json, codec_to_json, preset, register_codec
from storekit.codecs.spec import ChunkSpec

__all__ = [
    "PRESETS",
    "ArrayArrayCodec",
    "ArrayBytesCodec",
    "BytesBytesCodec",
    "ChunkCoder",
    "ChunkSpec",
    "Codec",
    "Pipeline",
    "codec_from_json",
    "codec_to_json",
    "preset",
    "register_codec",
]
