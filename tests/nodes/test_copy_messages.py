"""What is said of copies and of frames that cannot be: where, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import storekit as sk
from storekit import errors, frames
from storekit.cli import main

DATA = np.arange(12.0).reshape(3, 4)


@pytest.fixture
def array() -> sk.ZarrArray:
    """An array in memory."""
    return sk.ZarrArray.create(sk.MemoryStore(), "a", data=DATA)


@pytest.mark.parametrize("name", ["x.zarr", "x.b2nd"])
def test_what_is_in_the_way_is_named(array: sk.ZarrArray, tmp_path: Path, name: str) -> None:
    """A copy onto something says where that is, and how it is overwritten."""
    place = tmp_path / name
    sk.copy(array, place)
    with pytest.raises(errors.NodeExistsError, match="already; overwrite=True re"):
        sk.copy(array, place)
    with pytest.raises(errors.NodeExistsError, match=str(place)):
        sk.copy(array, place)
    sk.copy(array, place, overwrite=True)


@pytest.mark.parametrize("key", ["x", "x.b2nd"])
def test_the_store_of_what_is_in_the_way_is_named(array: sk.ZarrArray, key: str) -> None:
    """A copy onto something in a store names the store and the path in it."""
    store = sk.MemoryStore()
    sk.copy(array, store, target_path=key)
    with pytest.raises(errors.NodeExistsError) as caught:
        sk.copy(array, store, target_path=key)
    assert str(caught.value).startswith(f"{store!r}: there is ")
    assert f"at {key!r} already" in str(caught.value)


def test_a_directory_is_never_replaced_by_a_frame(array: sk.ZarrArray, tmp_path: Path) -> None:
    """Where a directory is in the way of a file, nobody is told to overwrite it."""
    (tmp_path / "x.b2nd").mkdir()
    for overwrite in (False, True):
        with pytest.raises(errors.NodeExistsError, match="which is no file and not replaced"):
            sk.copy(array, tmp_path / "x.b2nd", overwrite=overwrite)


@pytest.mark.parametrize("name", ["x.zarr", "x.b2nd"])
def test_places_within_each_other_are_named(array: sk.ZarrArray, tmp_path: Path, name: str) -> None:
    """A copy into itself names both places."""
    source, store = tmp_path / name, sk.LocalStore(tmp_path)
    sk.copy(array, source)
    with pytest.raises(errors.NodeExistsError, match="lie within each other") as caught:
        sk.copy(source, store, target_path=f"{name}/b", overwrite=True)
    assert f"{name}/b" in str(caught.value)
    assert str(source) in str(caught.value)


@pytest.mark.parametrize("target", ["memory://", "memory:///", "MEMORY://"])
@pytest.mark.parametrize("path", ["", "x", "x.b2nd"])
def test_a_copy_that_would_be_lost(array: sk.ZarrArray, target: str, path: str) -> None:
    """A store in memory that has no name is no target, for nobody could open the copy."""
    with pytest.raises(ValueError, match="memory://name"):
        sk.copy(array, target, target_path=path)


def test_a_key_is_the_target_path(array: sk.ZarrArray) -> None:
    """Who gives a tuple as the target is told how a key is given."""
    with pytest.raises(TypeError, match="a key in a store is the target_path"):
        sk.copy(array, (sk.MemoryStore(), "x"))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["x.zarr", "x.b2nd"])
def test_the_command_line_speaks_of_its_options(
    array: sk.ZarrArray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """What is said of arguments of functions, `storekit copy` says of its options."""
    monkeypatch.chdir(tmp_path)
    sk.copy(array, name)
    assert main(["copy", name, name.replace("x", "y")]) == 0
    assert main(["copy", name, name.replace("x", "y")]) == 1
    assert "already; --overwrite " in capsys.readouterr().err
    sk.ZarrGroup.create(sk.LocalStore("g.zarr"))
    assert main(["copy", "g.zarr", "z.b2nd"]) == 1
    assert capsys.readouterr().err.endswith("choose one of the group with --source-path\n")


@pytest.mark.parametrize("content", [b"", b"something else " * 9, b"\x9e\xa8b2frame\0" + bytes(99)])
def test_a_file_that_is_no_frame_is_named(tmp_path: Path, content: bytes) -> None:
    """A file, or a value, with the name of a frame that holds none is named in the error."""
    file = tmp_path / "foreign.b2nd"
    file.write_bytes(content)
    store = sk.LocalStore(tmp_path)
    for opened in (sk.open, lambda _: sk.open(store, "foreign.b2nd")):
        with pytest.raises(errors.CorruptFrameError, match=str(file.name)) as caught:
            opened(file)
        assert isinstance(caught.value, errors.NotAFrameError) is (b"b2frame" not in content)


@pytest.mark.parametrize("read", [frames.open, frames.load], ids=["open", "load"])
def test_a_frame_is_opened_where_it_was_saved(read: Any) -> None:
    """`frames.open` and `frames.load` take a store and a key, as `frames.save` does."""
    store = sk.MemoryStore()
    frames.save(DATA, (store, "folder/x.b2nd"))
    assert np.array_equal(read((store, "folder/x.b2nd"))[...], DATA)
    store.set("later", b"12345" + bytes(store.get("folder/x.b2nd")))
    assert np.array_equal(read((store, "later"), offset=5)[...], DATA)
    with pytest.raises(errors.PathNotFoundError, match="nothing"):
        read((store, "nothing"))
    with pytest.raises(errors.PathNotFoundError, match="nothing"):
        read((store, "nothing"), offset=5)


def test_a_frame_in_a_store_is_changed_and_not_mapped() -> None:
    """With mode "a" a frame in a store can be changed; there is no file to map."""
    store = sk.MemoryStore()
    frames.save(DATA, (store, "x.b2nd"))
    frames.open((store, "x.b2nd"), mode="a")[0, 0] = 7
    assert frames.open((store, "x.b2nd"))[0, 0] == 7
    with pytest.raises(ValueError, match="only local files can be mapped"):
        frames.open((store, "x.b2nd"), mmap_mode="r")
