"""The pictures of the page: ratios row by row, and what growth costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from benchmarks.adapters.registry import LIMIT, PEERS, SUBJECT, ZARR_PEERS
from benchmarks.measure import Row
from benchmarks.report import best, ratio

__all__ = ["draw_growth", "draw_ratios"]

_COLOURS = {
    SUBJECT: "#c1121f",
    "storekit, memory": "#c1121f",
    LIMIT: "#222222",
    "zarr-python": "#4477aa",
    "zarr-python fused": "#66bbdd",
    "zarrs": "#228833",
    "tensorstore": "#aa3377",
    "simplezarr": "#bb9911",
    "h5py": "#888888",
}
_DASHES = {LIMIT: ":", "storekit, memory": "--"}
_GREY = "#666666"

_STYLE = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _GREY,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: small files, and the reader's own font
    "svg.hashsalt": "storekit",  # the same picture is the same file
}


def draw_ratios(rows: Sequence[Row], file: Path) -> None:
    """One line for each row: storekit's time over that of the limit and of the best peers."""
    others = {
        "the limit": ("|", "#222222", (LIMIT,)),
        "the best Zarr library": ("o", "#4477aa", ZARR_PEERS),
        "the best of all": ("D", "#bb9911", PEERS),
    }
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 1.1 + 0.21 * len(rows)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(1, color=_GREY, linewidth=1)
        places = range(len(rows))
        for title, (marker, colour, names) in others.items():
            hollow = {"facecolors": "none", "edgecolors": colour, "s": 34, "linewidths": 1.1}
            solid = {"color": colour, "s": 70 if marker == "|" else 18, "linewidths": 1.8}
            values = [ratio(row, best(row, names)) for row in rows]
            known = [(value, place) for value, place in zip(values, places, strict=True) if value]
            axes.scatter(
                *zip(*known, strict=True) if known else ((), ()),
                marker=marker,
                label=title,
                zorder=3,
                **(hollow if marker == "D" else solid),
            )
        axes.set_yticks(places, [row.name for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.grid(axis="both", color="#e5e5e5", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        axes.set_xlabel("storekit's time divided by the other's: left of 1 it is the faster one")
        figure.legend(loc="outside upper right", ncols=3)
        _save(figure, file)


def draw_growth(series: Sequence[Mapping[str, Any]], of: str, file: Path) -> None:
    """A panel for each series that counts this, with a line for each library."""
    chosen = [entry for entry in series if entry["of"] == of]
    columns = 2 if len(chosen) == 4 else len(chosen)
    lines = -(-len(chosen) // columns)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 0.7 + 2.5 * lines), layout="constrained")
        panels = figure.subplots(lines, columns, squeeze=False, sharex=True).flat
        labelled: dict[str, Any] = {}
        for axes, entry in zip(panels, chosen, strict=True):
            for name, points in entry["lines"].items():
                (labelled[name],) = axes.plot(
                    [count for count, _ in points],
                    [seconds * 1e6 for _, seconds in points],
                    _DASHES.get(name, "-"),
                    color=_COLOURS.get(name, _GREY),
                    linewidth=2 if name.startswith(SUBJECT) else 1.1,
                    marker="o",
                    markersize=3 if name.startswith(SUBJECT) else 2,
                    zorder=4 if name.startswith(SUBJECT) else 3,
                )
            axes.set(xscale="log", yscale="log", title=f"{entry['name']} (us)")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            axes.grid(color="#e5e5e5", linewidth=0.6)
            axes.tick_params(length=2, color=_GREY)
            axes.minorticks_off()
            axes.set_xlabel(of)
        names = [name for name in _COLOURS if name in labelled]
        handles = [labelled[name] for name in names]
        figure.legend(handles, names, loc="outside upper center", ncols=-(-len(names) // 2))
        _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
    # matplotlib ends lines of paths with blanks.
    text = file.read_text()
    file.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
