"""Makes the helper modules beside it importable from every test; fixtures of several of them."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Iterator

import pytest

pytest_plugins = ["pytester"]  # runs pytest inside a test; only here may it be asked for


def pytest_configure() -> None:
    """Ctrl-C interrupts, also where a shell, which runs this in the background, has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """
    The tests themselves, tens of thousands of objects, are here to stay: no collection need walk
    over them. With them each takes a second.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns a thousand times more often than usual."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval)
