"""Where a LocalStore is: its path, resolved once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storekit.errors import StoreError
from storekit.stores import LocalStore, _nolinks


@pytest.fixture(params=[True, False], ids=["proc", "no proc"])
def _proc(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_nolinks, "_HAS_PROC", request.param and _nolinks._HAS_PROC)


@pytest.mark.usefixtures("_proc")
@pytest.mark.parametrize(
    "name", ["there", "not yet", "a link", "a (deleted)", "um\u00e4", "a/../there"]
)
def test_the_path_is_the_real_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links and dots in the path of the root are resolved, whether or not anything is there."""
    (tmp_path / "there").mkdir()
    (tmp_path / "a (deleted)").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "a link").symlink_to("there")
    monkeypatch.chdir(tmp_path)
    for path in (name, tmp_path / name):
        store = LocalStore(path)
        assert store.path == os.path.realpath(path)
        assert store == LocalStore(store.path)


@pytest.mark.usefixtures("_proc")
def test_a_file_is_no_root(tmp_path: Path) -> None:
    """A store cannot be where a file is."""
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StoreError, match="not a directory"):
        LocalStore(tmp_path / "file")


@pytest.mark.usefixtures("_proc")
def test_a_directory_that_may_not_be_read_has_a_path(tmp_path: Path) -> None:
    """To know where a store is, nobody needs permission to read it."""
    (tmp_path / "closed").mkdir(mode=0)
    try:
        assert LocalStore(tmp_path / "closed").path == os.path.realpath(tmp_path / "closed")
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_path_does_not_end_at_a_nul(tmp_path: Path) -> None:
    """What the kernel would take for a shorter path is refused."""
    with pytest.raises(ValueError, match="null"):
        LocalStore(f"{tmp_path}\0/below")
