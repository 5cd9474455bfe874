"""Whole frames: saved, opened, loaded, made of bytes; with the examples of blosc2's docs."""

from __future__ import annotations

import os
import pickle
import resource
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest

import storekit
from storekit import errors, frames
from storekit.frames import FrameArray
from storekit.nodes.zarr_group import ZarrGroup
from storekit.stores.local import LocalStore
from storekit.stores.memory import MemoryStore
from storekit.typing import AnyArray

GRID = np.arange(600, dtype="i4").reshape(30, 20)

linux = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="counts open files")


def super_chunk(path: Path, data: AnyArray, chunksize: int, **cparams: Any) -> Any:
    """A super-chunk of blosc2's in a file."""
    return blosc2.SChunk(
        chunksize=chunksize,
        data=data.tobytes(),
        urlpath=str(path),
        mode="w",
        contiguous=True,
        cparams=cparams,
    )


@linux
def test_files_are_open_while_arrays_are_there(tmp_path: Path) -> None:
    """An array over a file keeps it open, mapped or not; one over a key, or a sparse one, none."""
    frames.save(GRID, tmp_path / "a.b2nd")
    frames.save(GRID, tmp_path / "sparse", contiguous=False)

    def opened(array: Any) -> bool:
        assert np.array_equal(array[...], GRID)
        links = Path("/proc/self/fd")
        return any(
            tmp_path in link.readlink().parents for link in links.iterdir() if link.is_file()
        )

    assert opened(frames.open(tmp_path / "a.b2nd"))
    assert opened(frames.open(tmp_path / "a.b2nd", mmap_mode="r"))
    assert not opened(storekit.open(LocalStore(tmp_path), "a.b2nd"))
    assert not opened(frames.open(tmp_path / "sparse"))


@linux
def test_too_many_files_is_an_error_of_ours(tmp_path: Path) -> None:
    """When a process has all the files that it may have, this is a `StoreError`, and no absence."""
    frames.save(GRID, tmp_path / "a.b2nd")
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))
    many: list[Any] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 8, most))
        for mmap_mode in ("r", None):
            with pytest.raises(errors.StoreError, match="Too many open files"):
                many.extend(
                    frames.open(tmp_path / "a.b2nd", mmap_mode=mmap_mode) for _ in range(used + 9)
                )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (now, most))
    assert np.array_equal(many[0][...], GRID)


# The examples of blosc2's documentation.


def test_seed_save(tmp_path: Path) -> None:
    """The example of `save`: an array is written over whatever is there, and blosc2 opens it."""
    array = np.arange(0, 100, dtype=np.int64).reshape(10, 10)
    for _ in range(2):
        frames.save(array, tmp_path / "array.b2", mode="w")
    assert np.array_equal(blosc2.open(str(tmp_path / "array.b2"), mode="r")[...], array)


def test_seed_open(tmp_path: Path) -> None:
    """The examples of `open`: the chunks of a super-chunk, read from a file and from a mapping."""
    nelem, nchunks = 20 * 1000, 5
    chunksize = nelem * 4 // nchunks
    data = np.arange(nelem, dtype="int32")
    schunk = super_chunk(tmp_path / "b2frame", data, chunksize)
    sc_open = frames.open(urlpath=str(tmp_path / "b2frame"), mode="r")
    for i in range(nchunks):
        dest = np.empty(nelem // nchunks, dtype=data.dtype)
        schunk.decompress_chunk(i, dest)
        dest1 = np.empty(nelem // nchunks, dtype=data.dtype)
        sc_open.decompress_chunk(i, dest1)
        assert np.array_equal(dest, dest1)
    sc_open_mmap = frames.open(urlpath=str(tmp_path / "b2frame"), mode="r", mmap_mode="r")
    assert sc_open.nchunks == sc_open_mmap.nchunks == nchunks
    for i in range(nchunks):
        assert sc_open.decompress_chunk(i) == sc_open_mmap.decompress_chunk(i)
    assert all(
        sc_open.decompress_chunk(i, dest1) == sc_open_mmap.decompress_chunk(i, dest1)
        for i in range(nchunks)
    )


def test_seed_load(tmp_path: Path) -> None:
    """The example of `load`: a copy in memory, that needs the file no more."""
    path = tmp_path / "example.b2nd"
    arr = blosc2.asarray(np.arange(10), urlpath=str(path), mode="w")
    loaded = frames.load(path)
    assert loaded.urlpath is None
    assert np.array_equal(loaded[:], arr[:])
    frames.remove(path)
    assert not path.exists()
    loaded[3] = 7
    assert loaded[3] == 7


# What is saved.


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("kind", ["numpy", "list", "frame", "zarr", "fortran", "empty", "scalar"])
def test_what_can_be_saved(tmp_path: Path, kind: str, contiguous: bool) -> None:
    """Arrays of numpy and of storekit are saved as frames that blosc2 opens, in both forms."""
    expected = {"empty": GRID[:0], "scalar": np.array(5.5)}.get(kind, GRID)
    zarr = ZarrGroup.create(MemoryStore()).create_array("a", shape=(30, 20), dtype="i4")
    zarr[...] = GRID
    sources: dict[str, Any] = {
        "list": GRID.tolist(),
        "frame": frames.asarray(GRID, chunks=(7, 8), blocks=(3, 4)),
        "zarr": zarr,
        "fortran": np.asfortranarray(GRID),
    }
    path = tmp_path / "saved.b2nd"
    assert frames.save(sources.get(kind, expected), path, contiguous) is None  # type: ignore[func-returns-value]
    assert path.is_dir() is not contiguous
    found = frames.open(path)
    assert np.array_equal(found[...], expected)
    assert np.array_equal(blosc2.open(str(path), mode="r")[...], expected)
    assert found.urlpath == str(path)


def test_options_of_save(tmp_path: Path) -> None:
    """Chunks, blocks, compression and metalayers can be chosen, and are kept by a further copy."""
    first, second = tmp_path / "first.b2nd", tmp_path / "second.b2nd"
    options: dict[str, Any] = {
        "chunks": (10, 10),
        "blocks": (5, 2),
        "cparams": {"codec": blosc2.Codec.LZ4, "clevel": 9},
        "meta": {"unit": b"metre"},
    }
    frames.save(GRID, first, **options)
    frames.open(first, mode="a").vlmeta["note"] = (1, "x")
    frames.save(frames.open(first), second, contiguous=False)
    for path in (first, second):
        stock = blosc2.open(str(path), mode="r")
        assert (stock.chunks, stock.blocks) == ((10, 10), (5, 2))
        assert (stock.cparams.codec, stock.cparams.clevel) == (blosc2.Codec.LZ4, 9)
        assert frames.open(path).meta["unit"] == b"metre"
        assert stock.schunk.vlmeta["note"] == (1, "x")


def test_save_does_not_write_over_anything_unasked(tmp_path: Path) -> None:
    """What is there stays, unless the mode is "w"; and then also if saving fails halfway."""
    for contiguous in (True, False):
        path = tmp_path / f"array{contiguous}"
        frames.save(GRID, path, contiguous)
        with pytest.raises(errors.NodeExistsError):
            frames.save(GRID + 1, path, contiguous)
        with pytest.raises(errors.MetadataError):
            frames.save(np.array([None]), path, contiguous, mode="w")
        broken = ZarrGroup.create(store := MemoryStore()).create_array(
            "a", shape=(4, 4), chunks=(2, 2), dtype="i4"
        )
        broken[...] = 1
        store.set("a/c/1/1", b"no chunk")
        with pytest.raises(errors.CodecError):
            frames.save(broken, path, contiguous, mode="w")
        assert np.array_equal(frames.open(path)[...], GRID)
        frames.save(GRID + 1, path, contiguous, mode="w")
        assert np.array_equal(frames.open(path)[...], GRID + 1)
        assert [name for name in os.listdir(tmp_path) if "part" in name] == []


@pytest.mark.parametrize("mode", ["r", "x", "r+", "", None, 1])
def test_modes_of_save(tmp_path: Path, mode: Any) -> None:
    """Other modes of saving are refused, before anything is written."""
    with pytest.raises(ValueError, match="mode"):
        frames.save(GRID, tmp_path / "array", mode=mode)
    assert os.listdir(tmp_path) == []


# What is opened.


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "w"},
        {"mode": "x"},
        {"mode": "rb"},
        {"mode": None},
        {"offset": -1},
        {"offset": "3"},
        {"offset": True},
        {"offset": 1, "mode": "a"},
        {"mmap_mode": "r+"},
        {"mmap_mode": "c"},
        {"mode": "a", "mmap_mode": "r"},
        {"initial_mapping_size": 1 << 20},
        {"dparams": {"nthreads": 0}},
        {"dparams": {"threads": 2}},
    ],
)
def test_options_of_open_are_strict(tmp_path: Path, options: dict[str, Any]) -> None:
    """What `open` cannot do as it is told it does not do, and the file stays."""
    path = tmp_path / "array.b2nd"
    frames.save(GRID, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=next(iter(options))):
        frames.open(path, **options)
    assert path.read_bytes() == before


def test_open_takes_no_unknown_keywords(tmp_path: Path) -> None:
    """Unlike with blosc2, a misspelt keyword is an error."""
    frames.save(GRID, tmp_path / "array.b2nd")
    with pytest.raises(TypeError):
        frames.open(tmp_path / "array.b2nd", mmapmode="r")  # type: ignore[call-arg]
    options: dict[str, Any] = {"mmap_mode": "r", "initial_mapping_size": 1 << 20}
    found = frames.open(tmp_path / "array.b2nd", **options, dparams={"nthreads": 2})
    assert np.array_equal(found[...], GRID)


def test_modes_of_open(tmp_path: Path) -> None:
    """In mode "r", which is the default, nothing can be changed; in mode "a" it can."""
    for contiguous in (True, False):
        path = tmp_path / f"array{contiguous}"
        frames.save(GRID, path, contiguous)
        for reading in (frames.open(path), frames.open(path, mode="r")):
            with pytest.raises(errors.ReadOnlyError):
                reading[0] = 1
        frames.open(path, mode="a")[0] = 1
        assert (frames.open(path)[0] == 1).all()


def test_a_frame_in_the_midst_of_a_file(tmp_path: Path) -> None:
    """A frame at an offset is read, by `open` in both ways and by `load`; also from a store."""
    path = tmp_path / "mixed"
    path.write_bytes(b"x" * 333 + frames.asarray(GRID, chunks=(7, 8)).to_cframe() + b"behind")
    for found in (
        frames.open(path, offset=333),
        frames.open(path, offset=333, mmap_mode="r"),
        frames.open(f"file://{path}", offset=333),
        frames.load(path, 333),
    ):
        assert np.array_equal(found[...], GRID)
    with pytest.raises(errors.ReadOnlyError):
        frames.open(path, offset=333)[0] = 1
    for offset in (0, 332, 334, 1 << 40):
        with pytest.raises(errors.CorruptFrameError):
            frames.open(path, offset=offset)
        with pytest.raises(errors.CorruptFrameError):
            frames.open(path, offset=offset, mmap_mode="r")


def test_frames_at_urls() -> None:
    """`open`, `load` and `save` take URLs, where nothing can be mapped."""
    frames.save(GRID, "memory://frame-files/a/x.b2nd")
    frames.save(GRID + 1, "memory://frame-files/a/sparse", contiguous=False)
    assert np.array_equal(frames.open("memory://frame-files/a/x.b2nd")[...], GRID)
    assert np.array_equal(frames.load("memory://frame-files/a/sparse")[...], GRID + 1)
    with pytest.raises(ValueError, match="mapped"):
        frames.open("memory://frame-files/a/x.b2nd", mmap_mode="r")


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_what_is_no_frame(tmp_path: Path, mmap_mode: str | None) -> None:
    """Nothing, and files that hold something else or half a frame, are errors of their own."""
    whole = frames.asarray(GRID).to_cframe()
    for content in (b"", b"garbage" * 100, whole[:50], whole[:-1]):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(errors.CorruptFrameError):
            frames.open(tmp_path / "file", mmap_mode=mmap_mode)
    with pytest.raises(KeyError):
        frames.open(tmp_path / "missing.b2nd", mmap_mode=mmap_mode)


def test_a_mapped_frame_stays_as_it_was(tmp_path: Path) -> None:
    """Who has mapped a file reads on what there was, while storekit changes it; also pickled."""
    path = tmp_path / "array.b2nd"
    frames.save(GRID, path, chunks=(10, 10))
    mapped = frames.open(path, mmap_mode="r")
    assert mapped.urlpath == str(path)
    writing = frames.open(path, mode="a")
    for value in range(20):
        writing[...] = value
    assert np.array_equal(mapped[...], GRID)
    assert (pickle.loads(pickle.dumps(mapped))[...] == 19).all()
    with pytest.raises(errors.ReadOnlyError):
        mapped[0] = 1


@pytest.mark.parametrize("typesize", [1, 4])
@pytest.mark.parametrize("content", ["range", "noise", "zeros", "mixed"])
@pytest.mark.parametrize("codec", [blosc2.Codec.LZ4, blosc2.Codec.ZSTD])
def test_super_chunks(tmp_path: Path, typesize: int, content: str, codec: blosc2.Codec) -> None:
    """
    A super-chunk is an array of bytes or records, to the end of the last chunk, which is short;
    blosc2 reads what is written to it.
    """
    rng = np.random.default_rng(0)
    data = {
        "range": np.arange(20003, dtype="i4"),
        "noise": rng.integers(-(1 << 31), 1 << 31, 20003).astype("i4"),
        "zeros": np.zeros(20003, "i4"),
        "mixed": np.where(np.arange(20003) < 7000, 0, np.arange(20003)).astype("i4"),
    }[content]
    path = tmp_path / "super.b2frame"
    super_chunk(path, data, 16000, typesize=typesize, codec=codec)
    array, each = frames.open(path, mode="a"), 4 // typesize
    assert array.dtype == np.dtype("u1" if typesize == 1 else "V4")
    assert (array.shape, array.chunks) == ((20003 * each,), (4000 * each,))
    assert np.array_equal(array[...].view("i4"), data)
    assert array[19990 * each :].tobytes() == data[19990:].tobytes()
    data = data.copy()
    data[100:4100], data[19500:] = 0, rng.integers(0, 9, 503)
    array[100 * each : 4100 * each] = data[100:4100].view(array.dtype)
    array[19500 * each :] = data[19500:].view(array.dtype)
    assert np.array_equal(array[...].view("i4"), data)
    stock = blosc2.open(str(path), mode="r")
    assert b"".join(stock.decompress_chunk(i) for i in range(stock.nchunks)) == data.tobytes()
    assert array.decompress_chunk(5) == data[20000:].tobytes()
    array[20000 * each :] = np.zeros(3 * each, array.dtype)
    assert array.home.snapshot().frame.offsets[5] < 0  # all of it, so that it is not stored
    assert array[19990 * each :].tobytes() == data[19990:20000].tobytes() + bytes(12)


def test_a_super_chunk_whose_chunks_are_too_short(tmp_path: Path) -> None:
    """A chunk that is shorter than it must be is an error, and not followed by zeros."""
    path = tmp_path / "super.b2frame"
    super_chunk(path, np.arange(9000, dtype="i4"), 16000, typesize=4)
    array = frames.open(path, mode="a")
    last = blosc2.open(str(path), mode="r").get_chunk(2)

    def edit(change: Any) -> None:
        change.put(1, last)

    array._change(edit)
    with pytest.raises(errors.CorruptFrameError, match="chunk '1'"):
        array[...]
    assert array[:4000].tobytes() == np.arange(4000, dtype="i4").tobytes()


# What is loaded.


def test_what_is_loaded_does_not_change(tmp_path: Path) -> None:
    """A loaded frame is a copy: neither does it follow the file, nor the file the frame."""
    for contiguous in (True, False):
        path = tmp_path / f"array{contiguous}"
        frames.save(GRID, path, contiguous, chunks=(10, 10))
        loaded = frames.load(path)
        frames.open(path, mode="a")[...] = 5
        assert np.array_equal(loaded[...], GRID)
        loaded[...] = 6
        assert (frames.open(path)[...] == 5).all()
        assert np.array_equal(blosc2.from_cframe(loaded.to_cframe())[...], loaded[...])
        assert np.array_equal(pickle.loads(pickle.dumps(loaded))[...], loaded[...])


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    """A group is no frame, and what is missing is missing."""
    store = blosc2.EmbedStore(urlpath=str(tmp_path / "many.b2e"), mode="w")
    store["/a"] = np.arange(3)
    del store
    with pytest.raises(errors.NodeTypeError):
        frames.load(tmp_path / "many.b2e")
    with pytest.raises(KeyError):
        frames.load(tmp_path / "missing")


# Frames as bytes.


def test_from_cframe() -> None:
    """Bytes of blosc2's become an array: a copy may be changed, what was not copied may not."""
    cframe = blosc2.asarray(GRID, chunks=(10, 10)).to_cframe()
    for given in (cframe, bytearray(cframe), memoryview(cframe)):
        copied, shared = frames.from_cframe(given), frames.from_cframe(given, copy=False)
        assert np.array_equal(copied[...], GRID)
        assert np.array_equal(shared[...], GRID)
        copied[0] = 1
        with pytest.raises(errors.ReadOnlyError):
            shared[0] = 1
        assert np.array_equal(pickle.loads(pickle.dumps(shared))[...], GRID)
        assert bytes(given) == cframe
    assert np.array_equal(blosc2.from_cframe(copied.to_cframe())[...], copied[...])
    given = bytearray(cframe)
    copied = frames.from_cframe(given)
    given[:] = bytes(len(given))
    assert np.array_equal(copied[...], GRID)


def test_bytes_that_are_no_frame() -> None:
    """All else than the bytes of one frame is refused."""
    cframe = frames.asarray(GRID).to_cframe()
    for copy in (True, False):
        for bad in (b"", b"garbage", cframe + b"x", cframe[:-1], cframe[1:]):
            with pytest.raises(errors.CorruptFrameError):
                frames.from_cframe(bad, copy)
        for other in (None, "text", 3, GRID):
            with pytest.raises(TypeError):
                frames.from_cframe(other, copy)  # type: ignore[arg-type]


def test_what_a_frame_holds_is_seen_in_bytes_too() -> None:
    """A container in a frame is a group, and a lazy expression is nothing that is evaluated."""
    store = blosc2.EmbedStore()
    store["/a"] = GRID
    for copy in (True, False):
        found = frames.from_cframe(store.to_cframe(), copy)
        assert not isinstance(found, FrameArray)
        assert np.array_equal(found["a"][...], GRID)
