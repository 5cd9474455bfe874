"""The picture of the demo: what was read, and how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LightSource, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from examples.demo.terrain import IntArray, Terrain, Window

COLOURS = ("#e63946", "#f4a261", "#7b2cbf", "#1d3557", "#0a9396")
INK, FAINT = "#2b2b2b", "#777777"


def draw(
    file: Path, terrain: Terrain, windows: Sequence[Window], chunk: int, seconds: dict[str, float]
) -> None:
    """Save the picture: the finest level with the windows in it, the windows, the times."""
    figure = Figure(figsize=(11.6, 7.6), facecolor="white")
    grid = figure.add_gridspec(
        1, 2, width_ratios=(1.33, 1), left=0.03, right=0.97, top=0.835, bottom=0.045, wspace=0.05
    )
    shade = Shade(terrain)
    draw_map(figure.add_subplot(grid[0]), shade, terrain, windows, chunk)
    side = grid[1].subgridspec(2, 1, height_ratios=(3.1, 1), hspace=0.24)
    columns = -(-len(windows) // 2)
    small = side[0].subgridspec(2, columns, hspace=0.16, wspace=0.05)
    for i, window in enumerate(windows):
        draw_window(figure.add_subplot(small[i // columns, i % columns]), shade, window)
    draw_times(figure.add_subplot(side[1]), seconds)
    low, high = terrain.elevation.min(), terrain.elevation.max()
    figure.text(0.03, 0.935, "Terrain as a pyramid of chunked arrays", size=19, color=INK)
    subtitle = f"Jacksboro fault, Tennessee: {low} to {high} m above the sea"
    figure.text(0.03, 0.895, subtitle, size=11.5, color=FAINT)
    figure.savefig(file, dpi=120)


class Shade:
    """Elevations as colours under one light, the same for every level."""

    def __init__(self, terrain: Terrain) -> None:
        self._light = LightSource(azdeg=315, altdeg=40)
        low, high = int(terrain.elevation.min()), int(terrain.elevation.max())
        self._norm = Normalize(low - (high - low) // 2, high)  # the blue end of the map is for seas
        self._pixel_size = terrain.pixel_size
        self.aspect = self._pixel_size[0] / self._pixel_size[1]

    def __call__(self, elevation: IntArray, level: int) -> npt.NDArray[Any]:
        """The picture of a part of a level."""
        dy, dx = (size * 2**level for size in self._pixel_size)
        shaded = self._light.shade(
            elevation.astype(float),
            colormaps["gist_earth"],
            self._norm,
            blend_mode="soft",
            vert_exag=3,
            dx=dx,
            dy=dy,
        )
        return np.asarray(shaded)


def draw_map(
    axes: Axes, shade: Shade, terrain: Terrain, windows: Sequence[Window], chunk: int
) -> None:
    """The finest level, its chunks, and where the windows lie."""
    rows, columns = terrain.elevation.shape
    axes.imshow(shade(terrain.elevation, 0), interpolation="bilinear", aspect=shade.aspect)
    for line, size in ((axes.axhline, rows), (axes.axvline, columns)):
        for edge in range(chunk, size, chunk):
            line(edge - 0.5, color="white", lw=0.6, alpha=0.5)
    for window in windows:
        axes.add_patch(outline(window, (rows, columns)))
    title(axes, f"Level 0: {rows} x {columns}; thin lines: its chunks of {chunk} x {chunk}")
    bare(axes, "none")


def outline(window: Window, shape: tuple[int, int]) -> Rectangle:
    """The frame of a window in level 0, kept inside of the map."""
    top, left = (part.start * 2**window.level for part in (window.rows, window.columns))
    height, width = (n * 2**window.level for n in window.data.shape)
    height, width = min(height, shape[0] - top - 2), min(width, shape[1] - left - 2)
    corner = (left + 0.5, top + 0.5)
    return Rectangle(corner, width, height, fill=False, lw=2.4, ec=colour(window), zorder=3)


def draw_window(axes: Axes, shade: Shade, window: Window) -> None:
    """One window, in a frame of the colour that it has on the map."""
    picture = shade(window.data, window.level)
    axes.imshow(picture, interpolation="nearest", aspect=shade.aspect)
    rows, columns = window.data.shape
    title(axes, f"Window of level {window.level}: {rows} x {columns}", colour(window))
    bare(axes, colour(window))


def draw_times(axes: Axes, seconds: dict[str, float]) -> None:
    """A bar for every way of reading."""
    values = [value * 1000 for value in seconds.values()]
    axes.barh(range(len(values)), values, color=["#8d99a6", "#2a9d8f", "#2a9d8f"], height=0.66)
    for i, (way, value) in enumerate(zip(seconds, values, strict=True)):
        gain = f", {values[0] / value:.0f} times as fast" if i else ""
        longest = value == max(values)
        axes.annotate(
            f"{way}: {value:.0f} ms{gain}",
            (0 if longest else value, i),
            (6, 0),
            textcoords="offset points",
            va="center",
            size=10,
            color="white" if longest else INK,
        )
    axes.set_xlim(0, max(values))
    axes.invert_yaxis()
    axes.xaxis.set_visible(False)
    axes.yaxis.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    title(axes, "Level 0 from a slow store, read in three ways")


def colour(window: Window) -> str:
    """The colour that stands for the level of a window."""
    return COLOURS[window.level % len(COLOURS)]


def title(axes: Axes, text: str, ink: str = INK) -> None:
    """A title at the left."""
    axes.set_title(text, size=10.5, color=ink, loc="left", pad=6)


def bare(axes: Axes, frame: str) -> None:
    """No ticks; a frame of the colour given."""
    axes.set_anchor("NW")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(frame)
        spine.set_linewidth(2.4)
