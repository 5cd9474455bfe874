"""A frame is an array, wherever it lives and whoever changes it."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import blosc2
import numpy as np
import pytest
from frame_files import empty_frame
from frame_samples import stock

from storekit.errors import StorekitError
from storekit.frames import log
from storekit.frames.buffer import BufferHome, in_memory, mapped
from storekit.frames.ends import pack_ends
from storekit.frames.home import Home
from storekit.frames.log import LogHome
from storekit.frames.sparse import SparseHome
from storekit.frames.stored import StoredHome
from storekit.nodes.frame_array import FrameArray
from storekit.stores import LocalStore, MemoryStore

SHAPE, CHUNKS, BLOCKS = (7, 9), (4, 3), (2, 3)
EMPTY = empty_frame(SHAPE, CHUNKS, BLOCKS)


def homes(folder: Path, frame: bytes) -> dict[str, Home]:
    """A frame in all kinds of places."""
    path = folder / "a.b2nd"
    path.write_bytes(frame)
    return {
        "file": LogHome(str(path), writable=True),
        "store": StoredHome(MemoryStore({"a": frame}), "a", writable=True),
        "memory": in_memory(BufferHome(frame).snapshot()),
        "buffer": BufferHome(frame),
        "map": mapped(str(path)),
    }


def empty_homes(folder: Path, frame: bytes) -> dict[str, Home]:
    """A frame without chunks in all places in which it can be changed."""
    sparse = SparseHome(LocalStore(folder / "sparse"), "a", writable=True, new=frame)
    with sparse.change() as change:
        change.commit()
    return {**homes(folder, frame), "sparse": sparse}


KINDS = ("file", "store", "memory", "buffer", "map")


@pytest.mark.parametrize("kind", KINDS)
def test_pickles(tmp_path: Path, kind: str) -> None:
    """What was pickled reads the same; a frame in a file or under a key is pickled by its place."""
    values = np.arange(63, dtype="i4").reshape(SHAPE)
    frame = stock(values, chunks=CHUNKS, blocks=BLOCKS).frame
    array = FrameArray(homes(tmp_path, frame)[kind])
    again = pickle.loads(pickle.dumps(array))
    assert (again[...] == values).all()
    if kind == "file":
        array[0, 0] = 99
        assert again[0, 0] == 99
    if kind == "memory":
        again[0, 0] = 99
        assert array[0, 0] == 0


@pytest.mark.parametrize("kind", ["file", "store"])
def test_one_chunk_in_many_places(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame of which many chunks are one and the same does not get larger when it is changed."""
    monkeypatch.setattr(log, "_SPARE", -(1 << 30))
    noise = np.random.default_rng(0).integers(0, 1 << 30, 300, "i4")
    data = stock(noise, chunks=(300,), blocks=(300,)).frame
    whole = BufferHome(data).snapshot().frame
    chunk = data[whole.header.header_len :][: whole.header.cbytes]
    meta = whole.meta._replace(shape=(300_000,))
    layers = {name: layer.content for name, layer in whole.layers.items()}
    offsets = np.zeros(1000, np.int64)
    head, tail = pack_ends(whole.header, meta, layers, whole.trailer.layers, offsets, len(chunk))
    home = homes(tmp_path, head + chunk + tail)[kind]
    array = FrameArray(home)
    array[0] = 1
    assert home.snapshot().frame.header.frame_len < 3 * len(chunk) + 1000
    assert array[0] == 1
    assert array[300] == noise[0]
    assert (array[1:300] == noise[1:]).all()


@pytest.mark.parametrize("kind", ["file", "store", "memory", "sparse"])
def test_readers_and_a_writer_in_threads(tmp_path: Path, kind: str) -> None:
    """
    Threads that read one array while another one writes see each statement as a whole or not at
    all, none after a later one, and no error.
    """
    array = FrameArray(empty_homes(tmp_path, empty_frame((40, 40), (10, 10), (5, 5)))[kind])
    rng = np.random.default_rng(0)
    states = [np.zeros((40, 40), "i4"), *rng.integers(0, 1 << 30, (60, 40, 40), "i4")]
    states[1::2] = [
        np.where(np.arange(40) < 10 * (n % 4), 0, s) for n, s in enumerate(states[1::2])
    ]
    done = threading.Event()

    def read() -> list[int]:
        seen = []
        while not done.is_set():
            found = array[...]
            seen.append(next(n for n, state in enumerate(states) if (state == found).all()))
        return seen

    with ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(read) for _ in range(2)]
        try:
            for state in states[1:]:
                array[...] = state
        finally:
            done.set()
        for reader in readers:
            assert reader.result() == sorted(reader.result())
    assert (array[...] == states[-1]).all()


@pytest.mark.parametrize("kind", ["file", "store", "memory", "sparse"])
def test_writers_in_threads(tmp_path: Path, kind: str) -> None:
    """Of threads that change elements of one chunk, none undoes what another one wrote."""
    array = FrameArray(empty_homes(tmp_path, EMPTY)[kind])

    def count_up(number: int) -> None:
        for value in range(1, 51):
            array[0, number] = value
            assert array[0, number] == value

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count_up, range(4)))
    assert (array[0] == [50] * 4 + [0] * 5).all()


@pytest.mark.parametrize("kind", ["file", "store", "sparse", "map"])
@pytest.mark.parametrize("how", ["gone", "shorter"])
def test_what_is_lost_is_never_zero(tmp_path: Path, kind: str, how: str) -> None:
    """If a frame, or a chunk, is removed or cut off while it is open, reading is an error."""
    values = np.arange(1, 64, dtype="i4").reshape(SHAPE)
    path = tmp_path / ("a.b2nd" if kind != "sparse" else "a")
    params = {"chunks": CHUNKS, "blocks": BLOCKS, "contiguous": kind != "sparse"}
    blosc2.asarray(values, urlpath=str(path), **params)
    part = path / "00000001.chunk" if kind == "sparse" else path
    made: dict[str, Callable[[], Home]] = {
        "file": lambda: LogHome(str(path)),
        "store": lambda: StoredHome(LocalStore(tmp_path), "a.b2nd"),
        "sparse": lambda: SparseHome(LocalStore(tmp_path), "a"),
        "map": lambda: mapped(str(path)),
    }
    array = FrameArray(made[kind]())
    assert (array[...] == values).all()
    if how == "gone":
        part.unlink()
    else:
        shorter = part.read_bytes()[: part.stat().st_size // 2]
        part.unlink()
        part.write_bytes(shorter)
    if kind == "map":
        assert (array[...] == values).all()
        return
    for key in (..., (slice(0, 5), slice(2, 5))):
        with pytest.raises(StorekitError):
            array[key]
