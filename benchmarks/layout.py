"""How an array is cut and encoded, and the Zarr documents that say so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "B2ND",
    "CODECS",
    "CPARAMS",
    "DTYPE",
    "Layout",
    "array_document",
    "group_document",
    "write_json",
]

DTYPE = np.dtype("<f4")


def _blosc(cname: str, clevel: int, shuffle: str) -> dict[str, Any]:
    settings = {"cname": cname, "clevel": clevel, "shuffle": shuffle}
    return {"name": "blosc", "configuration": {**settings, "typesize": 4, "blocksize": 0}}


CODECS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "lz4": [_blosc("lz4", 5, "shuffle")],
    "zstd-3 bitshuffle": [_blosc("zstd", 3, "bitshuffle")],
    "zstd-1": [{"name": "zstd", "configuration": {"level": 1, "checksum": False}}],
    "gzip-5": [{"name": "gzip", "configuration": {"level": 5}}],
}
"""What follows the `bytes` codec, by the name used in the rows."""

B2ND: dict[str, dict[str, Any]] = {
    "b2nd": {"cname": "zstd", "clevel": 1, "shuffle": "shuffle"},
    "b2nd lz4": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle"},
}
"""The settings of codecs that make every chunk a `.b2nd` file; the first is storekit's default."""

CPARAMS: dict[str, dict[str, Any]] = {
    "none": {"clevel": 0},
    "lz4": {"codec": "LZ4", "clevel": 5, "filters": ["SHUFFLE"]},
    "zstd-3 bitshuffle": {"codec": "ZSTD", "clevel": 3, "filters": ["BITSHUFFLE"]},
    "b2nd": {"codec": "ZSTD", "clevel": 1, "filters": ["SHUFFLE"]},
}
"""The settings of frames, by the names of blosc2."""

CPARAMS["b2nd lz4"] = CPARAMS["lz4"]

_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


@dataclass(frozen=True)
class Layout:
    """
    A float32 array, its chunks and its codec.

    Args:
        shape: Of the array.

        chunks: What is decoded at a time: of a sharded array, the inner chunks.

        codec: A key of `CODECS` or of `B2ND`.

        shards: What is one object in the store, or None when that is a chunk.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    codec: str = "none"
    shards: tuple[int, ...] | None = None


def array_document(layout: Layout) -> dict[str, Any]:
    """The `zarr.json` of an array, in the form that the strictest reader accepts."""
    if layout.codec in B2ND:
        codecs = [{"name": "storekit.b2nd", "configuration": B2ND[layout.codec]}]
    else:
        codecs = [_BYTES, *CODECS[layout.codec]]
    if layout.shards is not None:
        sharding = {
            "chunk_shape": layout.chunks,
            "codecs": codecs,
            "index_codecs": [_BYTES, {"name": "crc32c"}],
            "index_location": "end",
        }
        codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    grid = {"chunk_shape": layout.shards or layout.chunks}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": layout.shape,
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": grid},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0,
        "codecs": codecs,
        "attributes": {},
    }


def group_document(members: dict[str, Layout] | None = None) -> dict[str, Any]:
    """The `zarr.json` of a group; with `members`, one that holds their documents too."""
    document: dict[str, Any] = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    if members is not None:
        document["consolidated_metadata"] = {
            "kind": "inline",
            "must_understand": False,
            "metadata": {name: array_document(layout) for name, layout in members.items()},
        }
    return document


def write_json(folder: Path, document: dict[str, Any]) -> None:
    """Make a folder a Zarr node."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zarr.json").write_text(json.dumps(document))
