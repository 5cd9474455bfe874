"""The terrain, and how it becomes a pyramid."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.cbook import get_sample_data

IntArray = npt.NDArray[np.int16]
METRES_PER_DEGREE = 111_320


@dataclass(frozen=True)
class Terrain:
    """The source: elevations in metres, on a grid of geographic degrees, the north first."""

    elevation: IntArray
    west: float
    north: float
    step: float  # degrees from one sample to the next

    @property
    def pixel_size(self) -> tuple[float, float]:
        """The size of a sample in metres: from north to south, and from west to east."""
        middle = self.north - self.step * len(self.elevation) / 2
        return self.step * METRES_PER_DEGREE, self.step * METRES_PER_DEGREE * cos(radians(middle))


@dataclass(frozen=True)
class Window:
    """A part of one level, as it was read."""

    level: int
    rows: slice
    columns: slice
    data: IntArray


def load_terrain() -> Terrain:
    """The digital elevation model of the Jacksboro fault that ships with matplotlib."""
    dem: Any = get_sample_data("jacksboro_fault_dem.npz")
    with dem:
        return Terrain(dem["elevation"], float(dem["xmin"]), float(dem["ymin"]), float(dem["dy"]))


def halved(data: IntArray) -> IntArray:
    """Every 2 x 2 samples as their mean; an odd last row or column is left out."""
    rows, columns = (n // 2 * 2 for n in data.shape)
    blocks = data[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2)
    means: IntArray = blocks.mean(axis=(1, 3)).round().astype(data.dtype)
    return means


def pyramid(data: IntArray, smallest: int) -> list[IntArray]:
    """The data, and halved copies of it down to at most `smallest` samples a side."""
    levels = [data]
    while max(levels[-1].shape) > smallest:
        levels.append(halved(levels[-1]))
    return levels
