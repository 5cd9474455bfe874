"""Fixtures of the tests of stores on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

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
