"""No link leads out of a store on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_samples import files

from storekit.errors import (
    AccessDeniedError,
)
from storekit.stores import LocalStore


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory next to the root with something worth protecting."""
    directory = tmp_path / "outside"
    (directory / "empty").mkdir(parents=True)
    (directory / "secret").write_bytes(b"secret")
    return directory


def test_a_link_to_a_file_is_not_followed(store: LocalStore, root: Path, outside: Path) -> None:
    """A link in place of a value is refused when read, not listed, and replaced when written."""
    store.set("a/b", b"1")
    (root / "a" / "link").symlink_to(outside / "secret")
    (root / "a" / "inner").symlink_to("b")
    for key in ("a/link", "a/inner"):
        for read in (store.get, store.getsize, store.exists, store.get_versioned):
            with pytest.raises(AccessDeniedError, match="link"):
                read(key)
        with pytest.raises(AccessDeniedError):
            store.get_partial_values([(key, 0, 1)])
    assert store.list() == ["a/b"]
    assert store.list_dir("a/") == ["a/b"]
    store.set("a/link", b"mine")
    assert store.get("a/link") == b"mine"
    assert (outside / "secret").read_bytes() == b"secret"


def test_a_link_to_a_directory_is_not_followed(
    store: LocalStore, root: Path, outside: Path
) -> None:
    """Below a link nothing is read, written, erased or listed."""
    store.set("a", b"1")
    (root / "link").symlink_to(outside)
    for call in (
        lambda: store.get("link/secret"),
        lambda: store.set("link/secret", b"new"),
        lambda: store.set("link/new", b"new"),
        lambda: store.set("link/new/deep", b"new"),
        lambda: store.set("link/empty/new", b"new"),
        lambda: store.compare_and_set("link/new", b"new", None),
        lambda: store.erase("link/secret"),
        lambda: store.list_prefix("link/"),
        lambda: store.list_dir("link/empty/"),
        lambda: store.erase_prefix("link/"),
        lambda: store.erase_prefix("link/empty/"),
    ):
        with pytest.raises(AccessDeniedError):
            call()
    assert store.list() == ["a"]
    assert store.list_dir("") == ["a"]
    assert store.erase_prefix("") == 1
    assert files(outside) == ["empty", "secret"]
    assert (outside / "secret").read_bytes() == b"secret"


def test_a_link_put_in_after_use_is_not_followed(
    store: LocalStore, root: Path, outside: Path
) -> None:
    """A directory that was used, and is then replaced by a link, leads nowhere."""
    store.set("a/secret", b"mine")
    assert store.get("a/secret") == b"mine"
    (root / "a").rename(root / "moved")
    (root / "a").symlink_to(outside)
    with pytest.raises(AccessDeniedError):
        store.get("a/secret")
    with pytest.raises(AccessDeniedError):
        store.set("a/secret", b"new")
    with pytest.raises(AccessDeniedError):
        store.erase("a/secret")
    assert (outside / "secret").read_bytes() == b"secret"
    assert store.get("moved/secret") == b"mine"


def test_a_circle_of_links_is_no_trap(store: LocalStore, root: Path) -> None:
    """A link to its own directory neither hangs a listing nor shows keys twice."""
    store.set("a/b", b"1")
    (root / "a" / "self").symlink_to(root / "a")
    (root / "dangling").symlink_to(root / "nowhere")
    assert store.list() == ["a/b"]
    assert store.list_dir("a/") == ["a/b"]
    assert store.list_dir("") == ["a/"]
