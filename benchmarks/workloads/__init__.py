"""The rows of the table: one file for each kind of work."""

from benchmarks.workloads import changes, files, frames, imports, parts, tree, whole
from benchmarks.workloads.base import Trial, Workload, WrongResultError

__all__ = ["WORKLOADS", "Trial", "Workload", "WrongResultError"]

WORKLOADS: list[Workload] = [
    *whole.WORKLOADS,
    *parts.WORKLOADS,
    *changes.WORKLOADS,
    *frames.WORKLOADS,
    *files.WORKLOADS,
    *tree.WORKLOADS,
    *imports.WORKLOADS,
]
