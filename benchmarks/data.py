"""The source data: a smooth field with a little quantised noise, as sensors and models give it."""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks.layout import DTYPE

__all__ = ["Array", "field"]

Array: TypeAlias = npt.NDArray[np.float32]


@cache
def field(shape: tuple[int, int, int]) -> Array:
    """
    A read-only field without a single zero, so that no chunk is empty.

    zstd alone shrinks it to about 0.4 of its size, zstd behind a byte shuffle to 0.24.
    """
    steps = 64
    rng = np.random.default_rng(20)
    x, y, z = (np.linspace(0, 0.037 * n, n) for n in shape)
    plane = np.sin(x)[:, None] * np.cos(y)[None, :]
    result = np.empty(shape, DTYPE)
    for sheet, row in zip(result, plane, strict=True):
        smooth = np.round((row[:, None] + np.sin(1.7 * z) + 30) * (10 * steps))
        sheet[...] = (smooth + rng.integers(-1, 2, smooth.shape)) / steps
    result.flags.writeable = False
    return result
