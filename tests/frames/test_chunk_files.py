"""Chunks of Zarr arrays, opened as the files that they are."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import blosc2
import numpy as np
import pytest

import storekit as sk
from storekit import frames
from storekit.codecs.b2nd import FrameCoder
from storekit.codecs.spec import ChunkSpec
from storekit.errors import ChecksumError, CorruptFrameError, MetadataError, StorekitError
from storekit.frames.layout import parse_header
from storekit.frames.trailer import THREADS
from storekit.stores.base import Latency
from storekit.typing import AnyArray

VALUES = (np.arange(600) // 3).reshape(30, 20).astype("i4")
NOISE = np.frombuffer(np.random.default_rng(0).bytes(2400), "i4").reshape(30, 20)
WINDOW = (slice(3, 5), slice(10, 12))


class FarStore(sk.MemoryStore):
    """A store from which ranges pay."""

    latency = Latency.NETWORK
    request_cost = 1.0


def chunk_file(values: AnyArray, folder: Path) -> Path:
    """The file of a chunk of a Zarr array."""
    store = sk.LocalStore(folder)
    codec = {"name": "storekit.b2nd", "configuration": {"blocks": [5, 4]}}
    sk.ZarrArray.create(store, "a", data=values, chunks=values.shape, codecs=[codec])
    return folder / "a" / "c" / "0" / "0"


def opened_everywhere(data: bytes, path: Path) -> list[frames.FrameArray]:
    """A frame in a file, mapped, in a store, and in memory."""
    path.write_bytes(data)
    found = [frames.open(path), frames.open(path, mmap_mode="r"), frames.load(path)]
    found += [sk.open(FarStore({"a.b2nd": data}), "a.b2nd"), frames.from_cframe(data, copy=False)]
    return found


@pytest.mark.parametrize("values", [VALUES, NOISE])
def test_every_byte_is_verified(tmp_path: Path, values: AnyArray) -> None:
    """Whatever byte has changed: what is read is right, or it is an error."""
    path = chunk_file(values, tmp_path)
    data = path.read_bytes()
    for place in (*range(200), *range(200, len(data), 3)):
        broken = bytearray(data)
        broken[place] ^= 0x41
        for key in (..., WINDOW):
            try:
                found = frames.from_cframe(bytes(broken), copy=False)[key]
            except StorekitError:
                continue
            assert THREADS.start <= place < THREADS.stop
            assert np.array_equal(found, values[key])


@pytest.mark.parametrize("values", [VALUES, NOISE])
def test_damage_is_a_checksum_error(tmp_path: Path, values: AnyArray) -> None:
    """
    A block, or a checksum, that has changed is an error when the chunk is read, and when the frame
    is copied; wherever the frame is.
    """
    path = chunk_file(values, tmp_path)
    data = path.read_bytes()
    header = parse_header(data)
    for place in (header.header_len - 1, header.index_start - 5):
        broken = bytearray(data)
        broken[place] ^= 1
        path.write_bytes(broken)
        arrays = [frames.open(path), frames.open(path, mmap_mode="r")]
        arrays += [sk.open(FarStore({"a.b2nd": bytes(broken)}), "a.b2nd")]
        for array in arrays:
            part = partial(array.slice, WINDOW)
            for read in (array.read, part, array.to_cframe, array.copy):
                with pytest.raises(ChecksumError):
                    read()
        with pytest.raises(ChecksumError):
            frames.load(path)
        array = frames.open(path, "a")
        with pytest.raises(ChecksumError):
            array.vlmeta["a"] = 1
        assert path.read_bytes() == broken


def test_a_chunk_that_is_not_stored(tmp_path: Path) -> None:
    """The frame of a chunk of zeros is verified when it is opened."""
    spec = ChunkSpec(VALUES.shape, VALUES.dtype, np.int32(0))
    data = bytes(FrameCoder(spec, (5, 4), 5, 1, 1).encode(np.zeros_like(VALUES)))
    for array in opened_everywhere(data, tmp_path / "z.b2nd"):
        assert not array[...].any()
    broken = bytearray(data)
    broken[40] ^= 1
    with pytest.raises(StorekitError):
        frames.from_cframe(bytes(broken))


def test_a_frame_that_forgets_its_chunk(tmp_path: Path) -> None:
    """A frame that says that the chunk is zeros, or that there is none, is an error."""
    data = chunk_file(VALUES, tmp_path).read_bytes()
    index = bytearray(data)
    index[parse_header(data).index_start + 32 + 7] = 0x81
    with pytest.raises(ChecksumError):
        frames.from_cframe(bytes(index))
    empty = data.replace(b"\xd3" + (30).to_bytes(8, "big"), b"\xd3" + bytes(8), 1)
    assert empty != data
    with pytest.raises(CorruptFrameError, match="of 0"):
        frames.from_cframe(empty)


def test_changed_frames_lose_the_seal(tmp_path: Path) -> None:
    """A chunk file that is changed is a frame like any other, for storekit and for blosc2."""
    path = chunk_file(VALUES, tmp_path)
    array = frames.open(path, "a")
    array[0, 0] = 9
    array.append(VALUES)
    expected = np.concatenate([VALUES, VALUES])
    expected[0, 0] = 9
    assert np.array_equal(frames.open(path)[...], expected)
    assert np.array_equal(blosc2.open(str(path), mode="r")[...], expected)
    assert "storekit" not in array.meta


def test_what_blosc2_copies_is_no_damage(tmp_path: Path) -> None:
    """blosc2 copies the checksums to frames that they are not of; those are read without."""
    stock = blosc2.open(str(chunk_file(VALUES, tmp_path)), mode="r")
    stock.copy(urlpath=str(tmp_path / "b.b2nd"), cparams={"codec": blosc2.Codec.LZ4})
    array = frames.open(tmp_path / "b.b2nd")
    assert "storekit" in array.meta
    assert np.array_equal(array[...], VALUES)
    assert "storekit" not in array.copy(urlpath=tmp_path / "c.b2nd").meta
    assert np.array_equal(frames.open(tmp_path / "c.b2nd")[...], VALUES)


def test_what_blosc2_changes_in_place_is_no_damage(tmp_path: Path) -> None:
    """A chunk file that blosc2 has changed is read as what it is now, without checksums."""
    path = chunk_file(VALUES, tmp_path)
    blosc2.open(str(path), mode="a")[0, 0] = 99
    array = frames.open(path)
    assert array[0, 0] == 99
    assert np.array_equal(array[1:], VALUES[1:])


def test_the_name_is_taken() -> None:
    """No metalayer of a user's own can have the name of the seal."""
    with pytest.raises(MetadataError, match="names of other metalayers"):
        frames.zeros(3, dtype="i4", meta={"storekit": b"mine"})


def test_what_only_looks_like_a_seal(tmp_path: Path) -> None:
    """A frame with a fingerprint is no chunk file, whatever its metalayers begin with."""
    path = tmp_path / "a.b2nd"
    frames.save(VALUES, path, meta={"mine": b"crc32c\x01" * 3})
    assert np.array_equal(frames.open(path)[...], VALUES)
