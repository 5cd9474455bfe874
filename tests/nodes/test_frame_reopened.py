"""What may be chosen when a frame is opened; and sparse frames from all that makes frames."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest

from storekit import errors, frames
from storekit.frames import Codec, CParams, Filter
from storekit.frames.frame import trimmed

RAMP = np.arange(1000, dtype="i4")


def codecs_of(array: frames.FrameArray) -> list[tuple[int, int]]:
    """The compressor and the first filter of each stored chunk, as blosc2 writes them."""
    snapshot = array.home.snapshot()
    offsets = snapshot.frame.offsets.tolist()
    chunks = [bytes(trimmed(chunk)) for chunk in snapshot.read([(n, (0, None)) for n in offsets])]
    return [(chunk[22], max(chunk[16:22])) for chunk in chunks]


@pytest.mark.parametrize("plain", [False, True])
def test_settings_for_what_is_written_from_now_on(tmp_path: Path, plain: bool) -> None:
    """
    Chunks that are written after opening are compressed as was said then; others, and what the
    frame states, stay.
    """
    path = tmp_path / "a.b2nd"
    if plain:
        storage = {"urlpath": str(path), "contiguous": True, "mode": "w"}
        blosc2.SChunk(chunksize=400, data=RAMP[:950], cparams={"typesize": 4}, **storage)
    else:
        frames.save(RAMP[:950], path, chunks=100, blocks=50, clevel=5)
    stated, first = frames.open(path).cparams, codecs_of(frames.open(path))[0]
    params = {"codec": blosc2.Codec.LZ4, "clevel": 9, "filters": [blosc2.Filter.BITSHUFFLE]}
    array = frames.open(path, "a", cparams={**params, "typesize": 4})
    assert array.cparams == CParams(codec=Codec.LZ4, clevel=9, filters=(Filter.BITSHUFFLE,))
    values = array.read()
    for start in (200, 900):
        values[start : start + 50] = values[start : start + 50][::-1]
        array[start : start + 50] = values[start : start + 50]
    again = frames.open(path)
    changed = (Codec.LZ4, Filter.BITSHUFFLE)
    expected = [changed if n in (2, 9) else first for n in range(10)]
    assert codecs_of(again) == expected
    assert again.cparams == stated
    assert np.array_equal(again[...], values)
    stock = blosc2.open(str(path), mode="r")
    found = np.frombuffer(stock[:], again.dtype) if plain else stock[...]
    assert np.array_equal(found, values)
    assert pickle.loads(pickle.dumps(array)).cparams == array.cparams


def test_settings_of_a_copy_in_memory(tmp_path: Path) -> None:
    """`load` takes them, too; the file does not change."""
    frames.save(RAMP, tmp_path / "a.b2nd", chunks=100)
    before = (tmp_path / "a.b2nd").read_bytes()
    array = frames.load(tmp_path / "a.b2nd", cparams={"codec": "LZ4"}, dparams={"nthreads": 2})
    array[:100] = RAMP[:100]
    assert [codec for codec, _ in codecs_of(array)] == [Codec.LZ4] + [Codec.ZSTD] * 9
    assert (tmp_path / "a.b2nd").read_bytes() == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"typesize": 8}, "typesize: expected 4, which cannot be changed, found 8"),
        ({"blocksize": 3}, "blocksize: expected .*, which cannot be changed, found 3"),
        ({"clevel": 10}, "clevel"),
        ({"colour": 1}, "cparams"),
        ({"filters": [Filter.TRUNC_PREC], "filters_meta": [60]}, "filtersmeta"),
    ],
)
def test_settings_that_are_impossible(tmp_path: Path, given: Any, message: str) -> None:
    """They are refused when the frame is opened, not when something is written."""
    frames.save(RAMP, tmp_path / "a.b2nd")
    with pytest.raises(errors.MetadataError, match=message):
        frames.open(tmp_path / "a.b2nd", "a", cparams=given)


def test_settings_are_for_frames(tmp_path: Path) -> None:
    """What is no array in a frame takes none."""
    store = blosc2.EmbedStore(urlpath=str(tmp_path / "a.b2e"), mode="w")
    store["/a"] = RAMP
    with pytest.raises(errors.NodeTypeError):
        frames.open(tmp_path / "a.b2e", cparams={"clevel": 1})


MAKERS: dict[str, Callable[..., Any]] = {
    "zeros": lambda **to: frames.zeros(1000, dtype="i4", **to),
    "empty": lambda **to: frames.empty(1000, dtype="i4", **to),
    "nans": lambda **to: frames.nans(1000, **to),
    "full": lambda **to: frames.full(1000, 7, dtype="i4", **to),
    "from_buffer": lambda **to: frames.from_buffer(RAMP, 1000, dtype="i4", **to),
    "asarray": lambda **to: frames.asarray(RAMP, **to),
    "copy": lambda **to: frames.asarray(RAMP).copy(**to),
    "slice": lambda **to: frames.asarray(RAMP).slice(slice(3, None), **to),
    "save": lambda **to: frames.save(RAMP, **to),
    "save_array": lambda **to: frames.save_array(RAMP, **to),
    "save_tensor": lambda **to: frames.save_tensor(RAMP, **to),
}


@pytest.mark.parametrize("name", MAKERS)
def test_all_frames_may_be_sparse(tmp_path: Path, name: str) -> None:
    """With contiguous=False there is a directory with the same array, which blosc2 opens, too."""
    path = tmp_path / "a"
    MAKERS[name](urlpath=tmp_path / "whole")
    MAKERS[name](urlpath=path, contiguous=False)
    assert "chunks.b2frame" in os.listdir(path)
    expected = frames.open(tmp_path / "whole")[...]
    assert np.array_equal(frames.open(path)[...], expected, equal_nan=name == "nans")
    stock = blosc2.open(str(path), mode="r")
    found = stock[...] if hasattr(stock, "shape") else np.frombuffer(stock[:], expected.dtype)
    assert np.array_equal(found.reshape(-1), expected, equal_nan=name == "nans")
    frames.remove(path)
    assert not path.exists()
