"""Frames in files, made and looked at from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import blosc2
import numpy as np

from storekit.frames.b2nd import B2ndMeta
from storekit.frames.ends import new_ends
from storekit.frames.log import LogHome
from storekit.frames.params import CParams
from storekit.nodes.frame_array import FrameArray
from storekit.typing import AnyArray

__all__ = ["create", "empty_frame", "opened", "stock_reads"]


def empty_frame(
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    blocks: tuple[int, ...],
    dtype: Any = "i4",
    layers: dict[str, bytes] | None = None,
) -> bytes:
    """A frame of only zeros."""
    meta = B2ndMeta(shape, chunks, blocks, np.dtype(dtype))
    return b"".join(new_ends(meta, CParams(), layers))


def create(path: Path, values: AnyArray, chunks: tuple[int, ...], blocks: tuple[int, ...]) -> None:
    """Write a frame that has been changed twice since it was made."""
    path.write_bytes(empty_frame(values.shape, chunks, blocks, values.dtype))
    array = opened(path)
    array[...] = 1
    array[...] = values


def opened(path: Path) -> FrameArray:
    """A frame that can be written."""
    return FrameArray(LogHome(str(path), writable=True))


def stock_reads(path: Path) -> AnyArray:
    """What blosc2 itself reads."""
    array: AnyArray = blosc2.open(str(path), mode="r")[...]
    return array
