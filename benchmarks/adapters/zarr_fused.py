"""zarr-python with the pipeline that newer versions offer beside the default: no coroutines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import zarr
from zarr.core.codec_pipeline import FusedCodecPipeline

from benchmarks.adapters.base import Adapter, Handle
from benchmarks.adapters.zarr_python import ZarrPython, first_read_with
from benchmarks.layout import Layout

__all__ = ["ZarrFused"]

_PIPELINE = {
    "codec_pipeline.path": f"{FusedCodecPipeline.__module__}.{FusedCodecPipeline.__qualname__}"
}


class ZarrFused(Adapter):
    """zarr-python as `pip install zarr` gives it, told to use the fused pipeline."""

    name = "zarr-python fused"
    first_read = first_read_with(_PIPELINE)

    def open(self, path: Path, layout: Layout) -> Handle:
        """Open read-write; the pipeline is chosen here and stays with the array."""
        with zarr.config.set(_PIPELINE):
            return ZarrPython().open(path, layout)

    def load(self, files: Mapping[str, bytes], layout: Layout) -> Handle:
        """Open what a `MemoryStore` holds."""
        with zarr.config.set(_PIPELINE):
            return ZarrPython().load(files, layout)
