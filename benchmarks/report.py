"""The table, and the same in JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.adapters.registry import LIMIT, PEERS, SUBJECT, ZARR_PEERS
from benchmarks.measure import Cell, Row

__all__ = ["failures", "line", "machine", "resources", "table_head", "to_json", "versions"]

_SCALE = {"ms": 1e3, "us": 1e6}


def machine() -> str:
    """What the figures depend on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"Python {platform.python_version()}, {platform.machine()}, {cores} cores"


def versions(names: Iterable[str]) -> dict[str, str]:
    """The released versions behind the columns."""
    distributions = {"zarr-python": "zarr"}
    result = {}
    for name in names:
        try:
            result[name] = version(distributions.get(name, name))
        except PackageNotFoundError:
            continue
    return result


def table_head(columns: Sequence[str]) -> str:
    """The first two lines of the table."""
    titles = ["workload (unit)", *columns, "/ best Zarr", "/ best of all", "/ limit"]
    return "\n".join([_markdown(titles), _markdown(["---", *["---:"] * (len(titles) - 1)])])


def line(row: Row, columns: Sequence[str]) -> str:
    """
    One row of the table: medians, with the spread behind them, and what storekit takes relative to
    the best Zarr library, the best of all libraries, and the limit: below 1, it is the faster one.
    """
    cells = [_time(row.cells.get(name), row.unit) for name in columns]
    return _markdown(
        [
            f"{row.name} ({row.unit})",
            *cells,
            _best(row, ZARR_PEERS),
            _best(row, PEERS),
            _ratio(row, LIMIT),
        ]
    )


def resources(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """A second table: processor time of an operation, and growth of the process."""
    head = ["workload (cpu, peak MiB)", *columns]
    lines = [_markdown(head), _markdown(["---", *["---:"] * len(columns)])]
    for row in rows:
        cells = [_cpu_and_peak(row.cells.get(name), row.unit) for name in columns]
        lines.append(_markdown([f"{row.name} ({row.unit})", *cells]))
    return "\n".join(lines)


def failures(rows: Iterable[Row]) -> list[str]:
    """One line for each cell that failed."""
    return [
        f"{row.name}: {name}: {cell.failure}"
        for row in rows
        for name, cell in row.cells.items()
        if cell.failure
    ]


def to_json(path: Path, rows: Iterable[Row], about: Mapping[str, Any]) -> None:
    """Every sample, so that a later program can ask other questions."""
    document = {**about, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(document, indent=1) + "\n")


def _markdown(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _time(cell: Cell | None, unit: str) -> str:
    return _cell(cell, lambda c: f"{_number(c.median * _SCALE[unit])} ±{c.spread:.0%}")


def _cpu_and_peak(cell: Cell | None, unit: str) -> str:
    def text(cell: Cell) -> str:
        cpu = _number(sorted(cell.cpu)[len(cell.cpu) // 2] * _SCALE[unit])
        return f"{cpu}, {max(cell.peak) >> 20}" if cell.peak else cpu

    return _cell(cell, text)


def _cell(cell: Cell | None, text: Callable[[Cell], str]) -> str:
    if cell is None:
        return "-"
    return "FAILED" if cell.failure else text(cell)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _best(row: Row, names: Sequence[str]) -> str:
    peers = [name for name in names if _good(row, name)]
    if not peers:
        return "-"
    best = min(peers, key=lambda name: row.cells[name].median)
    return f"{_ratio(row, best)} ({best})"


def _ratio(row: Row, other: str) -> str:
    if not (_good(row, SUBJECT) and _good(row, other)):
        return "-"
    return f"{row.cells[SUBJECT].median / row.cells[other].median:.2f}"


def _good(row: Row, name: str) -> bool:
    return name in row.cells and row.cells[name].failure is None
