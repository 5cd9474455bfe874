"""Timing one row: all libraries in turns, so that a machine's mood strikes them alike."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.adapters import Adapter, UnsupportedError
from benchmarks.env import Env
from benchmarks.workloads import Trial, Workload

__all__ = [
    "Cell",
    "Row",
    "cores",
    "describe",
    "measure",
    "process_memory",
    "reset_peak",
    "run_round",
    "shuffled",
]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass
class Cell:
    """
    One library in one row.

    Args:
        seconds: Of one operation, for each round.

        cpu: Seconds of processor time of one operation, all threads together, for each round.

        peak: Bytes by which the process grew at most, for each round; empty where the system does
            not say.

        failure: What went wrong, if anything did.
    """

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: list[int] = field(default_factory=list)
    failure: str | None = None

    @property
    def median(self) -> float:
        """Of the seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """The range of the middle half, relative to the median."""
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (high - low) / self.median


@dataclass(frozen=True)
class Row:
    """One measured workload, with a cell for each library that has it."""

    name: str
    unit: str
    cells: dict[str, Cell]


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def measure(workload: Workload, adapters: Iterable[Adapter], env: Env) -> Row:
    """
    Prepare every library's trial, then run them in turns until the row's time is spent.

    A library that fails, or whose result is wrong, keeps the reason in its cell and is left out of
    the remaining rounds. The first round warms up and is only checked.
    """
    cells: dict[str, Cell] = {}
    trials: dict[str, Trial] = {}
    for adapter in adapters:
        try:
            trials[adapter.name] = workload.prepare(env, adapter)
            run_round(trials[adapter.name], Cell())
            cells[adapter.name] = Cell()
        except UnsupportedError:
            trials.pop(adapter.name, None)
        except Exception as error:  # noqa: BLE001 - one library's failure is not the run's
            trials.pop(adapter.name, None)
            cells[adapter.name] = Cell(failure=describe(error))
    deadline = time.perf_counter() + env.sizes.seconds
    for done in range(env.sizes.rounds):
        if done >= 5 and time.perf_counter() > deadline:
            break
        for name in shuffled(list(trials), done):
            try:
                run_round(trials[name], cells[name])
            except Exception as error:  # noqa: BLE001
                del trials[name]
                cells[name].failure = describe(error)
    env.clear()
    return Row(workload.name, workload.unit, cells)


def run_round(trial: Trial, cell: Cell) -> None:
    """Run a trial once, check the result, and add to the cell what it took."""
    given = trial.setup()
    gc.collect()
    size = reset_peak()
    cpu, start = time.process_time(), time.perf_counter()
    result = trial.run(given)
    elapsed, cpu = time.perf_counter() - start, time.process_time() - cpu
    if size is not None:
        cell.peak.append(process_memory("VmHWM") - size)
    trial.check(result)
    cell.seconds.append((trial.seconds(result) if trial.seconds else elapsed) / trial.count)
    cell.cpu.append(cpu / trial.count)


def reset_peak() -> int | None:
    """Let the peak start here, and return the size of the process; None where that is not known."""
    try:
        _CLEAR.write_text("5")
        return process_memory("VmRSS")
    except OSError:
        return None


def process_memory(field: str) -> int:
    """Bytes of this process: `VmRSS` for now, `VmHWM` for the most since `reset_peak`."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) << 10


def shuffled(names: list[str], round_: int) -> list[str]:
    """
    The names in an order of its own for each round, the same in every run.

    Rotating is not enough: how a library leaves the memory and the caches of the machine is felt by
    the one that comes next (up to a third of the time in writing files to memory).
    """
    return [names[i] for i in np.random.default_rng(round_).permutation(len(names))]


def describe(error: Exception) -> str:
    """What stands in a cell that failed."""
    return f"{type(error).__name__}: {error}"
