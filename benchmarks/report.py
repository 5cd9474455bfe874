"""The tables: of a run that goes on, and of one that was kept as JSON."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.adapters.registry import LIMIT, PEERS, SUBJECT, ZARR_PEERS
from benchmarks.measure import Cell, Row, cores
from benchmarks.profile import INSIDE, KINDS

__all__ = [
    "about",
    "as_json",
    "best",
    "failures",
    "from_json",
    "growth",
    "growth_failures",
    "head",
    "line",
    "machine",
    "markdown",
    "memory",
    "memory_failures",
    "number",
    "profile",
    "ratio",
    "resources",
    "table_head",
    "times",
    "versions",
]

_SCALE = {"ms": 1e3, "us": 1e6}


def machine() -> str:
    """What the figures depend on."""
    return f"Python {platform.python_version()}, {platform.machine()}, {cores()} cores"


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


def about(run: Mapping[str, Any]) -> str:
    """Where a run took place, with which versions, and who is absent."""
    named = [f"{name} {number}" for name, number in run["versions"].items() if name != SUBJECT]
    small = "; small data (`--quick`)" if run["quick"] else ""
    lines = [f"{run['machine']}; {', '.join(named)}{small}"]
    lines += [f"absent: {name} ({reason})" for name, reason in run["absent"].items()]
    return "\n\n".join(lines)


def times(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """The table of a whole run."""
    return "\n".join([table_head(columns), *(line(row, columns) for row in rows)])


def table_head(columns: Sequence[str]) -> str:
    """The first two lines of the table."""
    return head(["workload (unit)", *columns, "/ best Zarr", "/ best of all", "/ limit"])


def line(row: Row, columns: Sequence[str]) -> str:
    """
    One row of the table: medians, with the spread behind them, and what storekit takes relative to
    the best Zarr library, the best of all libraries, and the limit: below 1, it is the faster one.
    """
    cells = [_time(row.cells.get(name), row.unit) for name in columns]
    return markdown(
        [
            f"{row.name} ({row.unit})",
            *cells,
            _best(row, ZARR_PEERS),
            _best(row, PEERS),
            _text(ratio(row, LIMIT)),
        ]
    )


def resources(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """A second table: processor time of an operation, and growth of the process."""
    lines = [head(["workload (cpu, peak MiB)", *columns])]
    for row in rows:
        cells = [_cpu_and_peak(row.cells.get(name), row.unit) for name in columns]
        lines.append(markdown([f"{row.name} ({row.unit})", *cells]))
    return "\n".join(lines)


def memory(rows: Mapping[str, Any], columns: Sequence[str]) -> str:
    """
    What a bulk read or write takes beyond its output: in MiB, and in chunks (shards) for each core.
    """
    lines = [head(["workload (MiB, chunks a core)", *columns])]
    for name, row in rows.items():
        cells = [_grown(row["cells"].get(column), row["unit"] * row["cores"]) for column in columns]
        lines.append(markdown([f"{name} ({row['unit'] >> 20} MiB)", *cells]))
    return "\n".join(lines)


def growth(series: Iterable[Mapping[str, Any]]) -> str:
    """storekit's cost of one operation, by count, in microseconds."""
    series = list(series)
    counts = sorted({n for entry in series for line in entry["lines"].values() for n, _ in line})
    lines = [head(["storekit, us", *(f"{n:,}" for n in counts)])]
    for entry in series:
        for name, points in entry["lines"].items():
            if name.startswith(SUBJECT):
                costs = {n: number(seconds * 1e6) for n, seconds in points}
                title = entry["name"] + name.removeprefix(SUBJECT)
                lines.append(markdown([title, *(costs.get(n, "-") for n in counts)]))
    return "\n".join(lines)


def profile(rows: Mapping[str, Any] | str) -> str:
    """Shares of the processor's time, the sum of those that count first."""
    if isinstance(rows, str):
        return f"no profile: {rows}"
    lines = [head(["workload", " + ".join(INSIDE), *KINDS])]
    for name, row in rows.items():
        inside = sum(row[kind] for kind in INSIDE)
        lines.append(markdown([name, *(f"{n:.1%}" for n in (inside, *map(row.get, KINDS)))]))
    return "\n".join(lines)


def failures(rows: Iterable[Row]) -> list[str]:
    """One line for each cell that failed."""
    return [
        f"{row.name}: {name}: {cell.failure}"
        for row in rows
        for name, cell in row.cells.items()
        if cell.failure
    ]


def memory_failures(rows: Mapping[str, Any]) -> list[str]:
    """One line for each cell of the memory table that failed."""
    return [
        f"{row}: {name}: {found}"
        for row, entry in rows.items()
        for name, found in entry["cells"].items()
        if isinstance(found, str)
    ]


def growth_failures(series: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line for each line of a plot that ended early by a failure."""
    return [
        f"{entry['name']}: {name}: {failure}"
        for entry in series
        for name, failure in entry["failures"].items()
    ]


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Every sample, so that a later program can ask other questions."""
    return [asdict(row) for row in rows]


def from_json(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The rows again."""
    return [
        Row(row["name"], row["unit"], {name: Cell(**cell) for name, cell in row["cells"].items()})
        for row in rows
    ]


def best(row: Row, names: Sequence[str]) -> str | None:
    """The fastest of some libraries; None where none of them does this."""
    peers = [name for name in names if _good(row, name)]
    return min(peers, key=lambda name: row.cells[name].median, default=None)


def ratio(row: Row, other: str | None) -> float | None:
    """storekit's median divided by another's."""
    if other is None or not (_good(row, SUBJECT) and _good(row, other)):
        return None
    return row.cells[SUBJECT].median / row.cells[other].median


def head(titles: Sequence[str]) -> str:
    """The first two lines of a table."""
    return "\n".join([markdown(titles), markdown(["---", *["---:"] * (len(titles) - 1)])])


def markdown(cells: Sequence[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def _time(cell: Cell | None, unit: str) -> str:
    return _cell(cell, lambda c: f"{number(c.median * _SCALE[unit])} ±{c.spread:.0%}")


def _cpu_and_peak(cell: Cell | None, unit: str) -> str:
    def text(cell: Cell) -> str:
        cpu = number(sorted(cell.cpu)[len(cell.cpu) // 2] * _SCALE[unit])
        return f"{cpu}, {max(cell.peak) >> 20}" if cell.peak else cpu

    return _cell(cell, text)


def _grown(found: int | str | None, share: int) -> str:
    if found is None:
        return "-"
    if isinstance(found, str):
        return "FAILED"
    return f"{found >> 20}, {found / share:.2f}"


def _cell(cell: Cell | None, text: Callable[[Cell], str]) -> str:
    if cell is None:
        return "-"
    return "FAILED" if cell.failure else text(cell)


def number(value: float) -> str:
    """Three digits, as many as mean anything."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _best(row: Row, names: Sequence[str]) -> str:
    name = best(row, names)
    value = ratio(row, name)
    return "-" if value is None else f"{_text(value)} ({name})"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _good(row: Row, name: str) -> bool:
    return name in row.cells and row.cells[name].failure is None
