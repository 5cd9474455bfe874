"""Each run of a simulation is the same, in this process and in others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from simulated_runs import Order, run_all, run_array, run_threads

from storekit.simulation import VirtualClock


@pytest.mark.parametrize("runs", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_runs_here_and_elsewhere_are_one(runs: int) -> None:
    """Threads that wait for each other, and an array with 64 requests at once: one fingerprint."""
    command = [sys.executable, simulated_runs_file()]
    variables = {**os.environ, "PYTHONHASHSEED": "random", "PYTHONPATH": os.pathsep.join(sys.path)}
    prints = set()
    for _ in range(runs):
        elsewhere = subprocess.run(
            command, env=variables, capture_output=True, text=True, check=True, timeout=100
        )
        prints |= {elsewhere.stdout.strip(), run_all()}
    assert len(prints) == 1
    assert len(set(prints.pop().split())) == 4


def test_ten_runs_are_one() -> None:
    """However often a simulation is repeated, threads are used again, and nothing changes."""
    assert len({run_all() for _ in range(10)}) == 1


def simulated_runs_file() -> str:
    """Where the programs are."""
    return sys.modules["simulated_runs"].__file__ or ""


@pytest.mark.parametrize("order", ["fifo", "random"])
@pytest.mark.parametrize("run", [run_threads, run_array])
def test_the_scheduler_of_the_machine_does_not_matter(
    run: object, order: Order, restless: None
) -> None:
    """With threads that are switched a thousand times as often the run is the same."""
    assert callable(run)
    assert len({run(order, 3) for _ in range(3)}) == 1


def test_other_seeds_are_other_runs() -> None:
    """A random order differs by its seed; the order of coming has no use for it."""
    assert len({run_threads("random", seed) for seed in range(5)}) == 5
    assert len({run_threads("fifo", seed) for seed in range(5)}) == 1


def test_a_fingerprint_tells_runs_apart() -> None:
    """Another time, another order, another thread: another fingerprint; asking changes nothing."""

    def run(*programs: tuple[float, ...], asks: bool = False) -> str:
        clock = VirtualClock()

        def work(program: tuple[float, ...]) -> None:
            for seconds in program:
                clock.sleep(seconds)
                if asks:
                    _ = clock.fingerprint

        with clock.executor(9) as executor:
            clock.gather([executor.submit(work, program) for program in programs])
        return clock.fingerprint

    base = run((1, 2), (2, 1))
    assert run((1, 2), (2, 1)) == base
    assert run((1, 2), (2, 1), asks=True) == base
    others = [run((2, 1), (1, 2)), run((1, 2), (2, 2)), run((1, 2)), run((1, 2), (2, 1), (1,))]
    assert len({base, *others}) == 5
    assert run(*[(1,) * 3000] * 2) == run(*[(1,) * 3000] * 2, asks=True)
