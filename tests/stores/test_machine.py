"""No sequence of calls makes a store differ from a dict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import Phase, settings
from store_samples import ConditionalDict, FakeClock, PlainDict

from storekit.errors import MissingExtraError
from storekit.stores import LocalStore, MemoryStore, SlowStore, Store, WrapperStore, _nolinks, _tree
from storekit.testing import StoreMachine, check_store, store_machine

BRIEF = settings(max_examples=30, stateful_step_count=30, deadline=None)


@pytest.fixture
def local(tmp_path: Path) -> Callable[[], LocalStore]:
    """Make a LocalStore in a directory of its own."""
    return lambda: LocalStore(mkdtemp(dir=tmp_path))


def test_memory_store_is_a_dict() -> None:
    """A MemoryStore behaves as a dict with rules does."""
    check_store(MemoryStore, settings=settings(BRIEF, max_examples=100))


def test_local_store_is_a_dict(local: Callable[[], LocalStore]) -> None:
    """A LocalStore behaves as a dict with rules does."""
    check_store(local, settings=BRIEF)


def test_local_store_without_proc_is_a_dict(
    local: Callable[[], LocalStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does one on a system with neither openat2 nor /proc, such as macOS."""
    monkeypatch.setattr(_nolinks, "_HAS_PROC", False)
    monkeypatch.setattr(_tree, "open_nolinks", _nolinks._open_and_check)
    check_store(local, settings=settings(BRIEF, max_examples=10))


def test_durable_store_is_a_dict(tmp_path: Path) -> None:
    """So does a durable one."""
    brief = settings(BRIEF, max_examples=5, stateful_step_count=15)
    check_store(lambda: LocalStore(mkdtemp(dir=tmp_path), durable=True), settings=brief)


def test_wrappers_are_dicts(local: Callable[[], LocalStore]) -> None:
    """A wrapper, and a wrapper around it, behave as the store within."""
    clock = FakeClock()
    check_store(lambda: WrapperStore(local()), settings=settings(BRIEF, max_examples=10))
    check_store(lambda: SlowStore(WrapperStore(MemoryStore()), 1, clock=clock), settings=BRIEF)
    assert clock.slept > 0


@pytest.mark.parametrize(
    "make_store", [PlainDict, ConditionalDict, lambda: WrapperStore(PlainDict())]
)
def test_flat_stores_are_dicts(make_store: Callable[[], Store]) -> None:
    """A store with nothing but the abstract methods behaves as a dict without rules."""
    check_store(make_store, flat=True, settings=BRIEF)


def test_the_machine_finds_a_wrong_store() -> None:
    """A store that forgets to erase below a prefix is found out."""

    class Forgetful(MemoryStore):
        def _erase_prefix(self, prefix: str) -> int:
            return super()._erase_prefix(prefix) if prefix else len(self._entries)

    thorough = settings(BRIEF, max_examples=200, database=None, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        check_store(Forgetful, settings=thorough)


TestMachine = store_machine(MemoryStore).TestCase
TestMachine.settings = BRIEF


def test_a_machine_is_made_for_a_store() -> None:
    """`store_machine` gives a machine of its own, whose TestCase pytest runs."""
    machine = store_machine(PlainDict, flat=True)
    assert issubclass(machine, StoreMachine)
    assert machine.flat
    assert not StoreMachine.flat


@pytest.mark.parametrize(
    ("missing", "name"),
    [("pytest", "StoreContract"), ("pytest", "StoreMachine"), ("hypothesis", "check_store")],
)
def test_the_missing_extra_is_named(
    missing: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without pytest or hypothesis the import works, and what needs them says what to install."""
    import sys

    import storekit.testing

    monkeypatch.setitem(sys.modules, missing, None)
    for module in [m for m in sys.modules if m.startswith("storekit.testing.")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(MissingExtraError, match=r"storekit\[testing\]"):
        getattr(storekit.testing, name)
    with pytest.raises(AttributeError, match="nothing"):
        _ = storekit.testing.nothing
