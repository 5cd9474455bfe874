"""The demo of networks tells the truth."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storekit.clock import REAL_CLOCK
from storekit.demo.network import IN_FLIGHT, PROFILES, read, terrain
from storekit.simulation import VirtualClock
from storekit.stores import MemoryStore


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("in_flight", IN_FLIGHT)
def test_a_read_takes_what_the_formula_says(profile: str, in_flight: int) -> None:
    """In virtual time a read takes the latencies and the bytes that a pencil finds."""
    reading = read(terrain(MemoryStore()), profile, in_flight, VirtualClock())
    assert reading.seconds == pytest.approx(reading.expected, rel=1e-6)


@pytest.mark.slow
def test_a_read_in_real_time_takes_as_long() -> None:
    """By a real clock the best of a few reads is within 5 % of the formula."""
    array = terrain(MemoryStore())
    readings = [read(array, "cross_continent", 8, REAL_CLOCK) for _ in range(3)]
    ratios = [reading.seconds / reading.expected for reading in readings]
    assert 0.95 < min(ratios) < 1.05


def test_the_program_prints_and_draws(tmp_path: Path) -> None:
    """As a user runs it: a table, the picture, and no warnings."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "storekit.demo", "network", "--no-real"],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[2:7]] == list(PROFILES)
    assert all(line.endswith(" 0.000%") for line in lines[2:7])
    assert (tmp_path / "network.svg").read_text().count("<path") > 20


def test_without_matplotlib_the_extra_is_named(tmp_path: Path) -> None:
    """The error says what to install, without a traceback."""
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.argv = ['demo', 'network'];"
        "from storekit.demo.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "the demo needs matplotlib: pip install 'storekit[demo]'"
