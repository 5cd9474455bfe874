"""The clock of the machine."""

from __future__ import annotations

import ast
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import storekit.clock
from storekit.clock import REAL_CLOCK, Clock, RealClock


def test_time_does_not_run_backwards() -> None:
    """Successive moments are in order."""
    moments = [REAL_CLOCK.now() for _ in range(1000)]
    assert moments == sorted(moments)


def test_stamps_are_nanoseconds_since_the_epoch() -> None:
    """`now_ns` is an int, and after the year 2020."""
    stamp = REAL_CLOCK.now_ns()
    assert isinstance(stamp, int)
    assert stamp > 50 * 365 * 24 * 3600 * 10**9


def test_sleep_waits_as_long_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread sleeps for the seconds given, and for zero or less not at all."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    for seconds in (0, 0.25, -1, 0.0, 3):
        REAL_CLOCK.sleep(seconds)
    assert slept == [0.25, 3]


def test_a_lock_excludes_others() -> None:
    """While one holds the lock, another waits."""
    lock = REAL_CLOCK.lock()
    count = 0

    def work() -> None:
        nonlocal count
        for _ in range(1000):
            with lock:
                seen = count
                count = seen + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 4000


def test_an_executor_runs_tasks() -> None:
    """The executor has no more threads than asked for, and its futures have results."""
    with REAL_CLOCK.executor(2) as executor:
        assert isinstance(executor, ThreadPoolExecutor)
        assert list(executor.map(abs, range(-5, 0))) == [5, 4, 3, 2, 1]
        assert len(executor._threads) <= 2


def test_all_real_clocks_are_equal() -> None:
    """Real clocks are equal and hash alike, also after pickling; they are clocks."""
    assert RealClock() == REAL_CLOCK == pickle.loads(pickle.dumps(REAL_CLOCK))
    assert len({RealClock(), RealClock()}) == 1
    assert RealClock() != object()
    assert repr(REAL_CLOCK) == "RealClock()"
    clock: Clock = REAL_CLOCK
    assert clock is REAL_CLOCK


def test_no_other_module_asks_for_the_time() -> None:
    """Only `clock.py` imports `time`, and nothing imports `random`."""
    package = Path(storekit.clock.__file__).parent
    offenders = []
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").partition(".")[0]}
            else:
                continue
            if names & {"time", "random"} and path.name != "clock.py":
                offenders.append(str(path))
    assert offenders == []
