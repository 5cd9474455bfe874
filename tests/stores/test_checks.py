"""Parameters without sense are refused when a store is made, and named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from storekit.clock import REAL_CLOCK, RealClock
from storekit.simulation import VirtualClock
from storekit.stores import MemoryStore, SlowStore
from storekit.stores.faults import Faults
from storekit.stores.faulty import FaultyStore
from storekit.stores.limit import LimitStore
from storekit.stores.record import Recording, RecordStore
from storekit.stores.replay import ReplayStore
from storekit.stores.retry import RetryStore
from storekit.stores.timeout import TimeoutStore
from storekit.stores.trace import TraceStore
from storekit.testing import HandlerStore

RECORDING = Recording()
RecordStore(MemoryStore(), RECORDING)

WITH_A_CLOCK: dict[str, Callable[..., Any]] = {
    "slow": lambda **given: SlowStore(MemoryStore(), 0, **given),
    "retry": lambda **given: RetryStore(MemoryStore(), **given),
    "trace": lambda **given: TraceStore(MemoryStore(), **given),
    "timeout": lambda **given: TimeoutStore(MemoryStore(), 1, **given),
    "limit": lambda **given: LimitStore(MemoryStore(), 1, **given),
    "replay": lambda **given: ReplayStore(RECORDING, **given),
    "handler": lambda **given: HandlerStore(print, **given),
}
WITH_A_SEED: dict[str, Callable[..., Any]] = {
    "slow": WITH_A_CLOCK["slow"],
    "retry": WITH_A_CLOCK["retry"],
    "faulty": lambda **given: FaultyStore(MemoryStore(), **given),
    "faults": Faults,
}


@pytest.mark.parametrize("clock", [3, "x", VirtualClock, RealClock, 0])
@pytest.mark.parametrize("kind", WITH_A_CLOCK)
def test_what_is_no_clock_is_refused(kind: str, clock: Any) -> None:
    """Not at the first call, but at once."""
    with pytest.raises(TypeError, match=r"clock must be a Clock, found"):
        WITH_A_CLOCK[kind](clock=clock)


@pytest.mark.parametrize("kind", WITH_A_CLOCK)
def test_clocks_are_taken(kind: str) -> None:
    """The real one, a virtual one, or that of the inner store."""
    for clock in (REAL_CLOCK, VirtualClock()):
        assert WITH_A_CLOCK[kind](clock=clock).clock is clock
    assert WITH_A_CLOCK[kind](clock=None).clock is REAL_CLOCK


@pytest.mark.parametrize("seed", ["x", 1.5, True, None])
@pytest.mark.parametrize("kind", WITH_A_SEED)
def test_what_is_no_seed_is_refused(kind: str, seed: Any) -> None:
    """A seed is an int of any kind."""
    with pytest.raises(ValueError, match=r"seed must be an int, found"):
        WITH_A_SEED[kind](seed=seed)
    WITH_A_SEED[kind](seed=np.int64(3))


@pytest.mark.parametrize("name", ["readable", "writable", "listable", "conditional"])
def test_a_capability_is_there_or_not(name: str) -> None:
    """What is neither True nor False is refused."""
    for value in ("no", 1, None):
        with pytest.raises(TypeError, match=f"{name} must be True or False, found {value!r}"):
            HandlerStore(print, **{name: value})  # type: ignore[arg-type]
