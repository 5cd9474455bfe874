"""Timing the rows: all clients in turns, with what the server saw of each round."""

from __future__ import annotations

import dataclasses
import gc
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.adapters import UnsupportedError
from benchmarks.env import Env
from benchmarks.measure import Cell, describe, run_round, shuffled
from benchmarks.remote.client import Client
from benchmarks.remote.place import Counts, Place, serving
from benchmarks.remote.rows import RemoteRow, RemoteSizes
from benchmarks.workloads import Trial

__all__ = ["RemoteCell", "measure_remote"]

_LEAST = 3  # rounds, unless one is too long


@dataclass
class RemoteCell(Cell):
    """
    One client in one row.

    Args:
        counts: What the server saw, for each round.
    """

    counts: list[Counts] = field(default_factory=list)


def measure_remote(
    clients: Sequence[Client], rows: Iterable[RemoteRow], env: Env, sizes: RemoteSizes
) -> dict[str, Any]:
    """The sizes, and by row the cells of the clients."""
    result = {}
    # fsspec leaves the connections of a file system that is gone to aiohttp, which complains.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    with serving(env.disk, sizes.latency) as place:
        for row in rows:
            cells = _measure(row, clients, env, sizes, place)
            result[row.name] = {n: dataclasses.asdict(cell) for n, cell in cells.items()}
    return {"sizes": dataclasses.asdict(sizes), "rows": result}


def _measure(
    row: RemoteRow, clients: Sequence[Client], env: Env, sizes: RemoteSizes, place: Place
) -> dict[str, RemoteCell]:
    """
    Run the trials in turns until each client has spent its share of time, and at least three times.

    The first round warms up and is not counted, unless it took more than the share: then it is all.
    """
    cells: dict[str, RemoteCell] = {}
    trials: dict[str, Trial] = {}
    spent: dict[str, float] = {}
    for client in clients:
        cell = RemoteCell()
        try:
            trial = row.prepare(sizes, env, place, client)
            _round(trial, cell, place)
        except UnsupportedError:
            continue
        except Exception as error:  # noqa: BLE001 - one library's failure is not the run's
            cell.failure = describe(error)
        else:
            if sum(cell.seconds) <= sizes.share:
                cell, trials[client.name], spent[client.name] = RemoteCell(), trial, 0.0
        cells[client.name] = cell
    for number in range(sizes.rounds):
        for name in shuffled(list(trials), number):
            try:
                spent[name] += _round(trials[name], cells[name], place)
            except Exception as error:  # noqa: BLE001
                cells[name].failure = describe(error)
            if cells[name].failure or (number >= _LEAST - 1 and spent[name] > sizes.share):
                del trials[name]
    trials.clear()
    gc.collect()  # with their connections
    return cells


def _round(trial: Trial, cell: RemoteCell, place: Place) -> float:
    """Run a trial once, and return the seconds that this took, opening and checking included."""
    start = time.perf_counter()

    def setup() -> Any:
        given = trial.setup()
        place.counts()
        return given

    def check(result: Any) -> None:
        cell.counts.append(place.counts())
        trial.check(result)

    run_round(dataclasses.replace(trial, setup=setup, check=check), cell)
    return time.perf_counter() - start
