"""Copies of frames, of which nothing is compressed anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest

from storekit import MemoryStore, frames
from storekit.errors import ChecksumError, CodecError
from storekit.frames import FrameArray
from storekit.frames.chunkseal import read_head
from storekit.frames.stored import StoredHome
from storekit.frames.transfer import chunk_sizes

RANDOM = np.random.default_rng(6)
VALUES = np.where(np.arange(6000) < 4000, np.arange(6000) // 7, RANDOM.integers(0, 1 << 60, 6000))
LAYOUT = {"chunks": (700,), "blocks": (90,)}


def stock(**settings: Any) -> FrameArray:
    """A frame of blosc2, some chunks of which do not shrink, are of zeros, or of one value."""
    filters = settings.pop("filters", [blosc2.Filter.SHUFFLE])
    given = {"filters": filters, "filters_meta": [0] * len(filters), **settings}
    made = blosc2.zeros(VALUES.shape, VALUES.dtype, cparams=given, **LAYOUT)
    made[700:5000] = VALUES[700:5000]
    made[1400:2100] = 5
    made.vlmeta["note"] = "x" * 1000
    return frames.from_cframe(made.to_cframe())


SOURCES: dict[str, Callable[[], FrameArray]] = {
    "own": lambda: frames.asarray(VALUES, **LAYOUT),
    "caterva": lambda: frames.from_buffer(VALUES, VALUES.shape, itemsize=8, **LAYOUT),
    "sparse": lambda: frames.zeros(
        VALUES.shape, dtype="i8", contiguous=False, store=MemoryStore(), key="a", **LAYOUT
    ),
    "full": lambda: frames.full(VALUES.shape, 7, **LAYOUT),
    "nans": lambda: frames.nans(VALUES.shape, **LAYOUT),
    "blosc2 nans": lambda: frames.from_cframe(
        blosc2.nans(VALUES.shape, np.dtype("f8"), **LAYOUT).to_cframe()
    ),
    "lz4": lambda: stock(codec=blosc2.Codec.LZ4, clevel=5),
    "zlib": lambda: stock(codec=blosc2.Codec.ZLIB, clevel=1),
    "stored": lambda: stock(codec=blosc2.Codec.LZ4, clevel=0),
    "delta": lambda: stock(codec=blosc2.Codec.ZSTD, clevel=1, filters=[blosc2.Filter.DELTA]),
    "dictionary": lambda: stock(codec=blosc2.Codec.ZSTD, clevel=1, use_dict=True),
}


def chunks_of(array: FrameArray) -> list[bytes | int]:
    """The stored chunks, or what the index has in place of them."""
    snapshot = array.home.snapshot()
    offsets = snapshot.frame.offsets.tolist()
    return [bytes(snapshot.chunk(n)) if n >= 0 else n for n in offsets]


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("name", SOURCES)
def test_chunks_are_copied(
    name: str, contiguous: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is to be different, no block is compressed, and all chunks get checksums."""
    source = SOURCES[name]()
    if name == "sparse":
        source[100:900] = 1
    expected = source[...]
    compress = blosc2.compress2

    def no_chunks(content: Any, **settings: Any) -> bytes:
        assert settings["typesize"] == 1 or memoryview(content).nbytes < 90 * 8
        return bytes(compress(content, **settings))

    monkeypatch.setattr(blosc2, "compress2", no_chunks)
    path = tmp_path / "a"
    made = source.copy(urlpath=path, contiguous=contiguous, nthreads=2)
    assert made[...].tobytes() == expected.tobytes()
    assert (made.vlmeta, made.info["Comp. codec"]) == (source.vlmeta, source.info["Comp. codec"])
    meta = made.home.snapshot().frame.meta
    for old, new in zip(chunks_of(source), chunks_of(made), strict=True):
        if isinstance(new, bytes) and (head := read_head(new, *chunk_sizes(*meta[1:]), len(new))):
            assert head.sums is not None
        assert old == new or name not in ("own", "caterva", "sparse", "full")
    if contiguous and name not in ("delta", "dictionary", "caterva"):  # blosc2 misreads its own
        assert blosc2.open(str(path), mode="r")[...].tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "more",
    [
        {"chunks": (650,)},
        {"blocks": (50,), "chunks": (700,)},
        {"codec": "zlib"},
        {"clevel": 3},
        {"filters": ["bitshuffle"]},
        {"dtype": ">i8"},
    ],
)
def test_what_is_different_is_made_anew(more: dict[str, Any]) -> None:
    """Copies with other chunks, blocks, settings or type have them, and the same elements."""
    source = frames.asarray(VALUES, **LAYOUT)
    made = source.copy(**more)
    assert np.array_equal(made[...], VALUES)
    assert chunks_of(made) != chunks_of(source)


@pytest.mark.parametrize("name", ["own", "lz4"])
def test_damage_is_not_copied(name: str, tmp_path: Path) -> None:
    """A chunk that does not match its checksum, or cannot be one, is not copied; nothing is."""
    frame = bytearray(SOURCES[name]().to_cframe())
    source = frames.from_cframe(bytes(frame))
    snapshot = source.home.snapshot()
    start, end = snapshot.frame.extent(int(snapshot.frame.offsets.max()))
    frame[end - 3 if name == "own" else start + 8] ^= 1
    error = ChecksumError if name == "own" else CodecError
    with pytest.raises(error, match="chunk '"):
        frames.from_cframe(bytes(frame)).copy(urlpath=tmp_path / "a")
    assert not [*tmp_path.iterdir()]


def test_a_frame_that_was_replaced_is_copied_as_it_is_now() -> None:
    """A frame that others have replaced since it was opened is not copied in pieces of both."""
    store = MemoryStore()
    frames.save(VALUES, (store, "a"), **LAYOUT)
    source = FrameArray(StoredHome(store, "a"))
    assert source[3] == VALUES[3]
    frames.save(VALUES + 1, (store, "a"), mode="w", **LAYOUT)
    assert np.array_equal(source.copy()[...], VALUES + 1)


def test_chunks_with_gaps_are_copied() -> None:
    """A chunk with bytes before its first block that are not known stays what it is."""
    source = stock(codec=blosc2.Codec.LZ4, clevel=5)
    snapshot = source.home.snapshot()
    number = int(np.argmax(snapshot.frame.offsets))
    chunk = bytes(snapshot.chunk(int(snapshot.frame.offsets[number])))
    count = -(-700 // 90)
    starts = np.frombuffer(chunk, "<i4", count, 32) + 8
    size = (len(chunk) + 8).to_bytes(4, "little")
    gap = b"".join(
        (chunk[:12], size, chunk[16:32], starts.tobytes(), b"12345678", chunk[32 + 4 * count :])
    )
    with source.home.change() as change:
        change.put(number, gap)
        change.commit()
    made = source.copy()
    assert np.array_equal(made[...], source[...])
    assert chunks_of(made)[number] == gap
