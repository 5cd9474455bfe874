"""
What Python reaches when a library adds nothing.

Its arrays are genuine Zarr, so it also writes what the libraries read, and reads what they wrote.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import blosc2
import numpy as np

from benchmarks.adapters.bare import FileArray, MemoryArray, ShardArray
from benchmarks.adapters.base import Adapter, Bytes, FrameCoder, Handle, Shape
from benchmarks.adapters.frames import FrameFile, FrameMemory, frame_ends
from benchmarks.adapters.native import Codec
from benchmarks.data import Array
from benchmarks.layout import DTYPE, Layout, array_document, group_document, write_json

__all__ = ["Limit"]


class Limit(Adapter):
    """No library at all."""

    name = "limit"
    reads_consolidated = True
    b2nd = True

    def open(self, path: Path, layout: Layout) -> Handle:
        """Read the document, which is what opening costs."""
        shape = json.loads((path / "zarr.json").read_bytes())["shape"]
        kind = ShardArray if layout.shards else FileArray
        return kind(replace(layout, shape=tuple(shape)), path)

    def load(self, files: Mapping[str, bytes], layout: Layout) -> Handle:
        """The dict itself."""
        return MemoryArray(layout, files)

    def frames(self, layout: Layout) -> FrameCoder:
        """The chunk alone, without a frame."""

        def decode(value: Bytes) -> Array:
            out = np.empty(layout.chunks, DTYPE)
            blosc2.decompress2(value, dst=out, nthreads=1)
            return out

        return FrameCoder(Codec(layout.codec, layout.chunks).encode, decode)

    def open_frame(self, path: Path, layout: Layout) -> Handle:
        """Read header, index and trailer."""
        return FrameFile(path, layout)

    def create_frame(self, path: Path | None, layout: Layout) -> Handle:
        """A frame without chunks, or the dict for these."""
        if path is None:
            return FrameMemory(layout)
        path.write_bytes(b"".join(frame_ends(layout)))
        return FrameFile(path, layout)

    def create_tree(self, path: Path, members: Mapping[str, Layout]) -> None:
        """One folder with one document for each node."""
        write_json(path, group_document())
        for name, layout in members.items():
            folder = f"{path}/{name}"
            os.mkdir(folder)
            with open(f"{folder}/zarr.json", "wb", buffering=0) as file:
                file.write(json.dumps(array_document(layout)).encode())

    def list_tree(self, path: Path) -> dict[str, Shape]:
        """Read every document, or the one that holds the others."""
        root = json.loads((path / "zarr.json").read_bytes())
        if "consolidated_metadata" in root:
            documents = root["consolidated_metadata"]["metadata"]
        else:
            names = [entry.name for entry in os.scandir(path) if entry.is_dir()]
            documents = {name: _document(f"{path}/{name}/zarr.json") for name in names}
        return {name: tuple(document["shape"]) for name, document in documents.items()}


def _document(file: str) -> dict[str, Shape]:
    with open(file, "rb", buffering=0) as stream:
        document: dict[str, Shape] = json.loads(stream.read())
    return document
