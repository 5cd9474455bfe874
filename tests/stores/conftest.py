"""Fixtures of the tests of stores on a disk, and a runner for coroutines."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest
from servers.moto_server import moto as moto

from storekit.stores import LocalStore, _nolinks, _tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The directory of the store; not yet there."""
    return tmp_path / "root"


@pytest.fixture(params=["openat2", "proc", "realpath"])
def store(
    root: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> LocalStore:
    """A store, by each of the ways to open a file without following links."""
    if request.param == "openat2" and _nolinks._openat2 is None:
        pytest.skip("the kernel has no openat2")
    if request.param != "openat2":
        monkeypatch.setattr(_tree, "open_nolinks", _nolinks._open_and_check)
        monkeypatch.setattr(_nolinks, "_HAS_PROC", request.param == "proc")
    return LocalStore(root)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run tests that are coroutines, as those of zarr-python are, each in a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
