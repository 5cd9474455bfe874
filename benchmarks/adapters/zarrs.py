"""zarr-python with the zarrs pipeline: chunks are read and written in Rust, which needs files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import zarr
import zarrs

from benchmarks.adapters.base import Adapter, Handle, UnsupportedError
from benchmarks.adapters.zarr_python import ZarrHandle, first_read_with
from benchmarks.data import Array
from benchmarks.layout import Layout

__all__ = ["Zarrs"]

_PIPELINE = {"codec_pipeline.path": f"{zarrs.__name__}.ZarrsCodecPipeline"}


class _Handle(ZarrHandle):
    def points(self, coords: tuple[npt.NDArray[np.intp], ...]) -> Array:
        # The pipeline has no such path and falls back on zarr-python's.
        raise UnsupportedError


class Zarrs(Adapter):
    """zarrs-python as `pip install zarrs` gives it."""

    name = "zarrs"
    first_read = first_read_with(_PIPELINE)

    def open(self, path: Path, layout: Layout) -> Handle:
        """Open read-write; the pipeline is chosen here and stays with the array."""
        with zarr.config.set(_PIPELINE):
            return _Handle(zarr.open_array(path, mode="r+"))
