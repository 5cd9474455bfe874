"""
Put a run's tables and pictures into the page: `python -m benchmarks.page bench.json`.

The page is written by hand, but for what stands between `<!-- bench: NAME -->` and
`<!-- end: NAME -->`. Of several files, later ones replace the parts that they hold; a part that no
file holds stays as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots, report
from benchmarks.measure import Row
from benchmarks.remote import table
from benchmarks.workloads import files

__all__ = ["fill", "main"]

PAGE = Path(__file__).parent.parent / "docs" / "explanations" / "performance.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and its pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="JSON")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    options = parser.parse_args(arguments)
    run: dict[str, Any] = {}
    for file in options.runs:
        if not file.is_file():
            parser.error(f"there is no file {file}")
        run |= json.loads(file.read_text())
    options.page.write_text(fill(options.page.read_text(), _parts(run)))
    _draw(run, options.page.parent.parent / "images")
    return 0


def fill(text: str, parts: Mapping[str, str]) -> str:
    """
    The text with new content between its markers.

    Raises:
        ValueError: If it has no place for a part.
    """
    for name, content in parts.items():
        start, end = f"<!-- bench: {name} -->", f"<!-- end: {name} -->"
        place = re.compile(f"{re.escape(start)}\n.*?{re.escape(end)}", re.DOTALL)
        new = f"{start}\n\n{content}\n\n{end}"
        text, found = place.subn(new.replace("\\", r"\\"), text)
        if found != 1:
            raise ValueError(f"{found} places for {name!r} instead of one")
    return text


def _parts(run: Mapping[str, Any]) -> dict[str, str]:
    parts = {}
    rows, single = _rows(run)
    if rows or any(name in run for name in ("memory", "growth", "profile")):
        parts["about"] = report.about(run)
    if rows:
        parts["times"] = report.times(rows, run["columns"])
        parts["resources"] = report.resources(rows, run["columns"])
    if single:
        columns = [name for name in run["columns"] if any(name in row.cells for row in single)]
        parts["frames"] = f"{report.about(run)}\n\n{report.times(single, columns)}"
    if "memory" in run:
        parts["memory"] = report.memory(run["memory"], run["columns"])
    if "growth" in run:
        parts["growth"] = report.growth(run["growth"])
    if "profile" in run:
        parts["profile"] = report.profile(run["profile"])
    if "remote" in run:
        parts["remote"] = table.tables(run["remote"])
    return parts


def _rows(run: Mapping[str, Any]) -> tuple[list[Row], list[Row]]:
    """The rows of arrays in Zarr hierarchies, and those of arrays in files of their own."""
    rows = report.from_json(run.get("rows", ()))
    names = {workload.name for workload in files.WORKLOADS}
    return [row for row in rows if row.name not in names], [r for r in rows if r.name in names]


def _draw(run: Mapping[str, Any], folder: Path) -> None:
    rows, _ = _rows(run)
    if rows:
        plots.draw_ratios(rows, folder / "ratios.svg")
    if "growth" in run:
        for of in ("chunks", "nodes"):
            plots.draw_growth(run["growth"], of, folder / f"growth-{of}.svg")


if __name__ == "__main__":
    sys.exit(main())
