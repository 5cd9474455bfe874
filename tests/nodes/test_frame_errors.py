"""What is missing, and what is no frame: errors that code written for blosc2 catches, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest

import storekit
from storekit import errors, frames
from storekit.frames.stored import StoredHome
from storekit.stores import MemoryStore
from storekit.typing import Value


@pytest.mark.parametrize(
    "read", [frames.open, frames.load, frames.load_array, frames.load_tensor, storekit.open]
)
def test_what_is_missing(tmp_path: Path, read: Callable[..., object]) -> None:
    """A path or URL with nothing is a FileNotFoundError, and never the absence of a key."""
    names = ("a", "a.b2nd", "a.b2e", "a.b2z", "a.zarr", "none/a")
    far = [f"memory://missing/{name}" for name in names]
    for place in (*far, *(tmp_path / name for name in (*names, "a.zip"))):
        with pytest.raises(FileNotFoundError) as caught:
            read(place)
        assert isinstance(caught.value, errors.PathNotFoundError)
        assert isinstance(caught.value, errors.NodeNotFoundError)
    frames.remove(tmp_path / "a.b2nd")


@pytest.mark.parametrize("more", [{"offset": 5}, {"mmap_mode": "r"}])
def test_what_is_missing_in_part(tmp_path: Path, more: dict[str, Any]) -> None:
    """So it is if the frame was to be mapped, or is said to begin somewhere in a file."""
    with pytest.raises(errors.PathNotFoundError):
        frames.open(tmp_path / "a.b2nd", **more)
    if "offset" in more:
        with pytest.raises(errors.PathNotFoundError):
            frames.open("memory://missing/a.b2nd", **more)


@pytest.mark.parametrize("content", [b"", b"text", b"text" * 100])
def test_what_is_no_frame(tmp_path: Path, content: bytes) -> None:
    """A file that is something else is a TypeError, as in blosc2; a frame cut off is none."""
    path = tmp_path / "a.b2nd"
    path.write_bytes(content)
    for read in (frames.open, frames.load, frames.load_array, frames.load_tensor, storekit.open):
        with pytest.raises(TypeError) as caught:
            read(path)
        assert isinstance(caught.value, errors.NotAFrameError)
    with pytest.raises(errors.NotAFrameError):
        frames.open(path, mmap_mode="r")
    with pytest.raises(errors.NotAFrameError):
        frames.from_cframe(content)
    path.write_bytes(frames.zeros(3, dtype="i4").to_cframe()[:50])
    for read in (frames.open, frames.load_array):
        with pytest.raises(RuntimeError) as caught:
            read(path)
        assert not isinstance(caught.value, TypeError)


class BusyStore(MemoryStore):
    """A store in which somebody else is always faster, so many times."""

    rest = 0

    def _compare_and_set(
        self, key: str, value: Value | None, expected_version: str | None
    ) -> str | None:
        if self.rest:
            self.rest -= 1
            raise errors.ConflictError("somebody was faster", store=self, key=key)
        return super()._compare_and_set(key, value, expected_version)


@pytest.mark.parametrize("lost", [99, 100])
def test_a_change_is_not_tried_for_ever(lost: int) -> None:
    """A change that loses against others is tried a hundred times, and then an error."""
    store = BusyStore({"a": frames.zeros(3, dtype="i4").to_cframe()})
    array = frames.FrameArray(StoredHome(store, "a", writable=True))
    store.rest = lost
    if lost == 100:
        with pytest.raises(errors.ConflictError):
            array[0] = 1
    array[1] = 2
    assert array[...].tolist() == [0, 2, 0]
    assert store.rest == 0


PLUGINS = {
    "ZFP_PREC": {"codec": blosc2.Codec.ZFP_PREC, "codec_meta": 16, "filters": []},
    "INT_TRUNC": {"filters": [blosc2.Filter.INT_TRUNC], "filters_meta": [-4]},
}


@pytest.mark.parametrize("name", PLUGINS)
def test_plugins(name: str, tmp_path: Path) -> None:
    """A frame that takes a plugin is not called damaged: it is shown, and an error names it."""
    values = np.arange(600, dtype="f4" if name == "ZFP_PREC" else "i4").reshape(20, 30)
    given = {"filters_meta": [], **PLUGINS[name]}
    blosc2.asarray(values, urlpath=str(tmp_path / "a.b2nd"), cparams=given)
    array = frames.open(tmp_path / "a.b2nd", "a")
    assert name in str(array.info)
    for use in (
        lambda: array[...],
        lambda: array[1, 2],
        lambda: array.read_future((1, 2)).result(),
        lambda: array.get_chunk(0),
        lambda: array.copy(codec="zstd", filters=[]),
        lambda: array.__setitem__(0, 1),
        lambda: storekit.copy(array, tmp_path / "b.zarr"),
    ):
        with pytest.raises(errors.UnsupportedError, match=name):
            use()


@pytest.mark.parametrize("more", [{"codec": 3}, {"codec": 99}, {"filters": [99]}])
def test_what_cannot_be_written_is_not_made(more: dict[str, Any], tmp_path: Path) -> None:
    """What nothing is compressed with is refused; the compressors or filters known are named."""
    path = tmp_path / "a.b2nd"
    for make in (
        lambda: frames.zeros(3, dtype="i4", urlpath=path, **more),
        lambda: frames.save(np.arange(3), path, **more),
        lambda: frames.save_array(np.arange(3), path, cparams=more),
        lambda: frames.zeros(3, dtype="i4").copy(urlpath=path, **more),
    ):
        with pytest.raises(errors.MetadataError, match=r"SHUFFLE|ZSTD"):
            make()
        assert not path.exists()


@pytest.mark.parametrize("offset", [-1, 1 << 63, 10**20, 0.5, True])
def test_offsets_that_no_file_has(offset: Any, tmp_path: Path) -> None:
    """An offset that no file can have is refused as any argument that is not possible."""
    frames.save(np.arange(3), tmp_path / "a.b2nd")
    for read in (frames.open, frames.load):
        with pytest.raises(ValueError, match="offset must be"):
            read(tmp_path / "a.b2nd", offset=offset)
