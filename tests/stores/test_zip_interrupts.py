"""An archive goes on to be written, whenever Ctrl-C came."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from signal_points import interrupted

from storekit import ZipStore

FILES = "_zip_writer.py", "_zip_draft.py", "_zip_source.py", "_open_file.py", "_key_tree.py"
# A descriptor is lost if Ctrl-C comes when `os.open` has just returned it: nothing can help there.
CLOSING = tuple(file for file in FILES if file != "_open_file.py")


def made(path: Path, mode: str) -> Any:
    """A store in an archive that has been published once, or not yet."""
    for file in path.parent.iterdir():
        file.unlink()
    if mode == "a":
        with ZipStore(path, "w") as old:
            old.set("a/b/c", b"0")
    store: Any = ZipStore(path, mode)
    store.set("a/b/c", b"1")
    return store


def whole(path: Path) -> dict[str, bytes]:
    """The values in an archive, as others see them."""
    store = ZipStore(path)
    return {key: bytes(store.get(key)) for key in store.list()}


@pytest.mark.parametrize("mode", ["w", "a", "x"])
@pytest.mark.parametrize("name", ["flush", "compact"])
def test_all_is_published_after_an_interrupt(tmp_path: Path, mode: str, name: str) -> None:
    """The next flush publishes all that was set, also if the archive was just put in its place."""
    path = tmp_path / "a.zip"
    for moment in count():
        store = made(path, mode)
        through = interrupted(getattr(store, name), moment, *FILES) is None
        store.flush()
        assert whole(path) == {"a/b/c": b"1"}
        store.set("d", b"2")
        store.close()
        assert whole(path) == {"a/b/c": b"1", "d": b"2"}
        assert os.listdir(tmp_path) == ["a.zip"]
        if through:
            break
    assert moment > 20


CHANGES: list[Callable[[Any], object]] = [
    lambda store: store.set("a/b/d/e/f", b"2"),
    lambda store: store.set("a/b/c", b"2"),
    lambda store: store.erase("a/b/c"),
    lambda store: store.erase_prefix("a/"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_an_interrupted_change_is_done_or_not(
    tmp_path: Path, change: Callable[[Any], object]
) -> None:
    """What is listed is there; the same change can be made again, and is published then."""
    path = tmp_path / "a.zip"
    store = made(path, "w")
    before = {key: store.get(key) for key in store.list()}
    change(store)
    after = {key: store.get(key) for key in store.list()}
    store.close()
    for moment in count():
        store = made(path, "a")
        through = interrupted(lambda store=store: change(store), moment, *FILES) is None
        assert {key: store.get(key) for key in store.list()} in (before, after)
        if not through:
            change(store)
        store.close()
        assert whole(path) == after
        if through:
            break
    assert moment > 5


def test_an_interrupted_close_can_be_made_again(tmp_path: Path) -> None:
    """The archive can be written by others after that, and no descriptor stays open."""
    path = tmp_path / "a.zip"
    for moment in count():
        store = made(path, "a")
        through = interrupted(store.close, moment, *CLOSING) is None
        store.close()
        ZipStore(path, "a").close()
        assert whole(path) in ({"a/b/c": b"0"}, {"a/b/c": b"1"})
        if through:
            break
    assert moment > 20
    del store
    gc.collect()
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    targets = [os.readlink(link) for link in links if os.path.islink(link)]
    assert not [target for target in targets if target.startswith(str(tmp_path))]
