"""The command line: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import gc
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.adapters.registry import NAMES, load
from benchmarks.env import FULL, QUICK, environment
from benchmarks.measure import measure
from benchmarks.workloads import WORKLOADS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen rows; 1 if a library failed or gave a wrong result."""
    options = _parser().parse_args(arguments)
    workloads = [w for w in WORKLOADS if re.search(options.rows, w.name)]
    if options.list:
        print(*(w.name for w in workloads), sep="\n")
        return 0
    adapters, absent = load(options.adapters)
    columns = [adapter.name for adapter in adapters]
    versions = report.versions(columns)
    print(f"{report.machine()}; {', '.join(f'{k} {v}' for k, v in versions.items())}\n")
    for name, reason in absent.items():
        print(f"absent: {name} ({reason})\n")
    print(report.table_head(columns))
    # The libraries are here to stay: spare the collector walking them before each measurement.
    gc.freeze()
    rows = []
    with environment(QUICK if options.quick else FULL, options.folder) as env:
        for workload in workloads:
            rows.append(measure(workload, adapters, env))
            print(report.line(rows[-1], columns), flush=True)
    if options.resources:
        print("", report.resources(rows, columns), sep="\n")
    if options.json:
        about = {"machine": report.machine(), "versions": versions, "absent": absent}
        report.to_json(options.json, rows, {**about, "quick": options.quick})
    failures = report.failures(rows)
    for failure in failures:
        print(f"\nFAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="small data: under a minute instead of under ten")
    add("--rows", default="", metavar="REGEX", help="only rows whose name matches")
    add("--adapters", nargs="+", default=NAMES, choices=NAMES, metavar="NAME", help="only these")
    add("--resources", action="store_true", help="a second table: processor time and memory")
    add("--json", type=Path, metavar="FILE", help="write every sample")
    add("--folder", help="where data on disk goes; default: the system's temporary folder")
    add("--list", action="store_true", help="name the rows and stop")
    return parser


if __name__ == "__main__":
    sys.exit(main())
