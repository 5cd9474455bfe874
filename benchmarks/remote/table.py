"""The tables of the remote rows, of a run that goes on and of one that was kept as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks import report
from benchmarks.adapters.registry import SUBJECT
from benchmarks.measure import Cell

__all__ = ["failures", "tables"]

_TITLES = ("library", "ms", "/ fastest", "CPU ms", "requests", "connections", "at once", "MiB")


def tables(run: Mapping[str, Any]) -> str:
    """Where it was run, and a table for each row, with a line for each client."""
    sizes = run["sizes"]
    lines = [
        report.about(run),
        "",
        (
            f"{sizes['latency'] * 1e3:.0f} ms from a request to its answer;"
            f" {sizes['chunks']} chunks of 64 KiB, {sizes['arrays']} arrays, windows of"
            f" {'x'.join(map(str, sizes['field']))}: {sizes['one_by_one']} one by one,"
            f" {sizes['in_flight']} in flight."
        ),
    ]
    for name, cells in run["rows"].items():
        lines += ["", f"### {name[0].upper()}{name[1:]}", "", _table(cells)]
    return "\n".join(lines)


def failures(run: Mapping[str, Any]) -> list[str]:
    """One line for each cell that failed."""
    return [
        f"{name}: {client}: {cell['failure']}"
        for name, cells in run["rows"].items()
        for client, cell in cells.items()
        if cell["failure"]
    ]


def _table(cells: Mapping[str, Mapping[str, Any]]) -> str:
    medians = {
        name: statistics.median(cell["seconds"])
        for name, cell in cells.items()
        if not cell["failure"]
    }
    fastest = min(medians.values(), default=0.0)
    lines = [report.head(_TITLES)]
    for name, cell in cells.items():
        shown = f"**{name}**" if name.startswith(SUBJECT) else name
        if cell["failure"]:
            lines.append(report.markdown([shown, "FAILED", *["-"] * (len(_TITLES) - 2)]))
            continue
        last = cell["counts"][-1]
        spread = f" ±{Cell(cell['seconds']).spread:.0%}" if len(cell["seconds"]) > 1 else ""
        lines.append(
            report.markdown(
                [
                    shown,
                    f"{report.number(medians[name] * 1e3)}{spread}",
                    f"{medians[name] / fastest:.2f}",
                    report.number(statistics.median(cell["cpu"]) * 1e3),
                    str(last["requests"]),
                    str(last["connections"]),
                    str(last["at_once"]),
                    report.number(last["sent"] / (1 << 20)),
                ]
            )
        )
    return "\n".join(lines)
