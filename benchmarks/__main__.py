"""The command line: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import gc
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.adapters import Adapter, load
from benchmarks.adapters.registry import NAMES, SUBJECT
from benchmarks.env import FULL, QUICK, Env, environment
from benchmarks.growth import measure_growth
from benchmarks.measure import Row, measure
from benchmarks.memory import measure_memory
from benchmarks.profile import measure_profile
from benchmarks.remote import rows as remote
from benchmarks.remote import table
from benchmarks.remote.client import load as load_clients
from benchmarks.remote.measure import measure_remote
from benchmarks.workloads import WORKLOADS, Workload

PARTS = ("times", "memory", "growth", "profile", "remote")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen parts; 1 if a library failed or gave a wrong result."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        workloads = [w for w in WORKLOADS if re.search(options.rows, w.name)]
        remote_rows = [row for row in remote.ROWS if re.search(options.rows, row.name)]
    except re.error as error:
        parser.error(f"--rows {options.rows!r} is no regular expression: {error}")
    if not (workloads or remote_rows):
        parser.error(f"no row matches {options.rows!r}; --list names them")
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"--json {options.json}: there is no such folder")
    if options.list:
        print(*(w.name for w in workloads), *(row.name for row in remote_rows), sep="\n")
        return 0
    adapters, absent = load(options.adapters)
    columns = [adapter.name for adapter in adapters]
    about = {"machine": report.machine(), "versions": report.versions(columns), "absent": absent}
    document: dict[str, Any] = {**about, "columns": columns, "quick": options.quick}
    print(report.about(document))
    # The libraries are here to stay: spare the collector walking them before each measurement.
    gc.freeze()
    failures = []
    with environment(QUICK if options.quick else FULL, options.folder) as env:
        if "times" in options.parts:
            rows = _times(workloads, adapters, env)
            if options.resources:
                print("", report.resources(rows, columns), sep="\n")
            document["rows"] = report.as_json(rows)
            failures += report.failures(rows)
        if "memory" in options.parts:
            document["memory"] = measure_memory(adapters, env)
            print("", report.memory(document["memory"], columns), sep="\n")
            failures += report.memory_failures(document["memory"])
        if "growth" in options.parts:
            document["growth"] = measure_growth(adapters, env)
            print("", report.growth(document["growth"]), sep="\n")
            failures += report.growth_failures(document["growth"])
        if "remote" in options.parts:
            document["remote"] = _remote(remote_rows, options, env)
            print("", table.tables(document["remote"]), sep="\n")
            failures += table.failures(document["remote"])
        if "profile" in options.parts and SUBJECT in columns:
            document["profile"] = measure_profile(adapters[columns.index(SUBJECT)], env)
            print("", report.profile(document["profile"]), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    for failure in failures:
        print(f"\nFAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _times(workloads: Sequence[Workload], adapters: Sequence[Adapter], env: Env) -> list[Row]:
    columns = [adapter.name for adapter in adapters]
    print("", report.table_head(columns), sep="\n")
    rows = []
    for workload in workloads:
        rows.append(measure(workload, adapters, env))
        print(report.line(rows[-1], columns), flush=True)
    return rows


def _remote(
    rows: Sequence[remote.RemoteRow], options: argparse.Namespace, env: Env
) -> dict[str, Any]:
    clients, absent = load_clients(options.adapters)
    libraries = {client.library for client in clients}
    versions = report.versions([*sorted(libraries), "obstore", "s3fs", "aiohttp", "urllib3"])
    about = {"machine": report.machine(), "versions": versions, "absent": absent}
    sizes = remote.QUICK if options.quick else remote.FULL
    return {**about, "quick": options.quick, **measure_remote(clients, rows, env, sizes)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--parts", nargs="+", default=PARTS[:1], choices=PARTS, metavar="PART", help=_PARTS_HELP)
    add("--quick", action="store_true", help="small data: under a minute instead of under ten")
    add(
        "--rows",
        default="",
        metavar="REGEX",
        help="of the times and remote, only rows whose name matches",
    )
    add("--adapters", nargs="+", default=NAMES, choices=NAMES, metavar="NAME", help="only these")
    add("--resources", action="store_true", help="with the times: processor time and memory")
    add("--json", type=Path, metavar="FILE", help="write every sample")
    add("--folder", help="where data on disk goes; default: the system's temporary folder")
    add("--list", action="store_true", help="name these rows and stop")
    return parser


_PARTS_HELP = f"what to measure, of: {', '.join(PARTS)}; default: times"

if __name__ == "__main__":
    sys.exit(main())
