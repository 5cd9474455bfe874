"""Sparse frames: in directories beside blosc2, in stores, and with several who change them."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest

import storekit
from storekit import errors, frames
from storekit.frames import FrameArray
from storekit.frames.home import Change
from storekit.frames.sparse import SPARSE_INDEX, SparseHome
from storekit.simulation.clock import VirtualClock
from storekit.stores.base import ReadableStore
from storekit.stores.local import LocalStore
from storekit.stores.memory import MemoryStore
from storekit.stores.read_only import ReadOnlyStore
from storekit.stores.slow import SlowStore
from storekit.stores.wrapper import Call, WrapperStore
from storekit.typing import AnyArray

GRID = np.arange(1, 1201).reshape(40, 30)


def made(store: ReadableStore, prefix: str = "a", data: AnyArray = GRID, **more: Any) -> FrameArray:
    """A sparse frame of twelve chunks."""
    frames.save(data, (store, prefix), False, chunks=(10, 10), blocks=(5, 5), **more)
    return at(store, prefix)


def at(store: ReadableStore, prefix: str = "a") -> FrameArray:
    """The frame in a store."""
    return FrameArray(SparseHome(store, prefix, writable=True), prefix)


def chunk_files(path: Path) -> list[str]:
    """The names of the chunks in a directory."""
    return sorted(name for name in os.listdir(path) if name != SPARSE_INDEX)


def test_we_and_blosc2_change_a_frame_in_turns(tmp_path: Path) -> None:
    """
    Whoever changes a sparse frame, the other one sees the change; neither leaves chunks behind that
    are not used any more.
    """
    path, expected = tmp_path / "a.b2nd", GRID.copy()
    frames.save(GRID, path, False, chunks=(10, 10), blocks=(5, 5))
    ours = frames.open(path, mode="a")
    rng = np.random.default_rng(0)
    for turn in range(20):
        (a, b), (c, d) = sorted(rng.integers(0, 41, 2)), sorted(rng.integers(0, 31, 2))
        writer = ours if turn % 2 else blosc2.open(str(path), mode="a")
        expected[a:b, c:d] = writer[a:b, c:d] = rng.integers(0, 3) * turn
        assert np.array_equal(ours[...], expected)
        assert np.array_equal(blosc2.open(str(path), mode="r")[...], expected)
        offsets = ours.home.snapshot().frame.offsets
        assert chunk_files(path) == [f"{n:08X}.chunk" for n in sorted(offsets[offsets >= 0])]
        assert ours.cbytes == sum(os.path.getsize(path / name) for name in chunk_files(path))


def test_what_blosc2_has_made(tmp_path: Path) -> None:
    """Sparse frames of blosc2 are read: special chunks, metalayers, resized, and super-chunks."""
    path = str(tmp_path / "a.b2nd")
    array: Any = blosc2.zeros(
        (40, 30), dtype="i8", chunks=(10, 10), urlpath=path, contiguous=False, meta={"m": b"x"}
    )
    array[:15] = GRID[:15]
    array.schunk.vlmeta["note"] = "text"
    array.resize((50, 35))
    found = frames.open(path)
    assert np.array_equal(found[...], array[...])
    assert found.vlmeta["note"] == "text"
    data = np.arange(9001, dtype="i4")
    path = str(tmp_path / "b.b2frame")
    blosc2.SChunk(8000, data.tobytes(), urlpath=path, contiguous=False, cparams={"typesize": 4})
    assert frames.open(path)[...].tobytes() == data.tobytes()


def test_resize_and_metalayers(tmp_path: Path) -> None:
    """Shape and metalayers change as with a contiguous frame, and blosc2 sees it."""
    path = tmp_path / "a.b2nd"
    frames.save(GRID, path, False, chunks=(10, 10), meta={"m": b"12"})
    array = frames.open(path, mode="a")
    array.resize((25, 50))
    array.append(np.ones((5, 50), int))
    array.vlmeta["note"] = [1, 2]
    array.meta["m"] = b"34"
    expected = np.zeros((30, 50), int)
    expected[:25, :30], expected[25:] = GRID[:25], 1
    stock = blosc2.open(str(path), mode="r")
    assert np.array_equal(stock[...], expected)
    assert stock.schunk.vlmeta["note"] == [1, 2]
    assert frames.open(path).meta["m"] == b"34"
    assert np.array_equal(blosc2.from_cframe(array.to_cframe())[...], expected)


def test_a_change_appears_at_once_or_not_at_all() -> None:
    """Before the index is written nobody sees anything of a change; a failed one leaves nothing."""
    store = MemoryStore()
    array, keys = made(store), store.list()

    def fail(change: Change) -> None:
        for number in range(12):
            change.put(number, change.chunk(0))
        assert np.array_equal(at(store)[...], GRID)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        array._change(fail)
    assert store.list() == keys
    assert np.array_equal(array[...], GRID)


def test_a_new_frame_appears_when_it_is_written() -> None:
    """A frame that is being made is not there before; one without a stored chunk is, in the end."""
    store = MemoryStore()
    blank = frames.zeros((4, 4), dtype="i4", chunks=(2, 2)).to_cframe()
    home = SparseHome(store, "a", writable=True, new=blank)
    assert FrameArray(home).shape == (4, 4)
    assert store.list() == []
    home.appear()
    assert store.list() == [f"a/{SPARSE_INDEX}"]
    assert not at(store, "a")[...].any()
    home.appear()
    late = SparseHome(store, "b", writable=True, new=blank)
    made(store, "b")
    with pytest.raises(errors.NodeExistsError):
        late.appear()
    assert np.array_equal(at(store, "b")[...], GRID)


def test_one_frame_in_place_of_another() -> None:
    """A replaced frame is erased when the new one is there; one that exists is not replaced so."""
    store = MemoryStore()
    made(store, "a")
    with pytest.raises(errors.NodeExistsError):
        made(store, "a", GRID + 1)
    assert np.array_equal(at(store, "a")[...], GRID)
    reading = at(store, "a")
    assert reading.shape
    made(store, "a", GRID[:15] + 1, mode="w")
    assert np.array_equal(at(store, "a")[...], GRID[:15] + 1)
    assert len(store.list()) == 1 + 6


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_no_change_is_lost(where: str, tmp_path: Path) -> None:
    """Of what several write at once, through objects of their own, nothing is lost."""
    store = MemoryStore() if where == "memory" else LocalStore(tmp_path)
    data = np.zeros((8, 8), int)
    frames.save(data, (store, "a"), False, chunks=(4, 4))

    def work(number: int) -> None:
        mine = FrameArray(SparseHome(store, "a", writable=True))
        for value in range(1, 6):
            mine[number] = value
            mine[:, number] += 100

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = at(store, "a")[...]
    assert (found[4:, :4] == 500).all()
    used = at(store, "a").home.snapshot().frame.offsets
    assert len(store.list()) == 1 + np.count_nonzero(used >= 0)


def test_who_comes_second_does_not_write() -> None:
    """
    A change that began before another one was committed is a conflict, and leaves nothing; a
    statement is then done again.
    """
    store = MemoryStore()
    array, other = made(store), at(store).home
    with array.home.change() as late:
        with other.change() as early:
            early.put(0, early.chunk(1))
            early.commit()
        late.put(0, late.chunk(2))
        with pytest.raises(errors.ConflictError):
            late.commit()
    assert np.array_equal(at(store)[:10, :10], GRID[:10, 10:20])
    assert len(store.list()) == 1 + 12
    turns: list[int] = []

    def edit(change: Change) -> None:
        if not turns:
            with other.change() as early:
                early.put(11, early.chunk(1))
                early.commit()
        turns.append(1)
        change.put(0, change.chunk(2))

    array._change(edit)
    assert len(turns) == 2
    assert np.array_equal(array[:10, :10], GRID[:10, 20:])
    assert np.array_equal(array[30:, 20:], GRID[:10, 10:20])
    assert len(store.list()) == 1 + 12


class Unheard(WrapperStore):
    """Its next write of an index is answered by an error."""

    error: BaseException | None = None
    arrives = True

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        error = self.error
        if error is None or call.op not in ("set", "compare_and_set") or not is_index(call):
            return proceed()
        self.error = None
        if self.arrives:
            proceed()
        raise error

    def _config(self) -> dict[str, Any]:
        return {}


def is_index(call: Call) -> bool:
    """Whether a call is about the index."""
    return call.keys[0].endswith(SPARSE_INDEX)


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("kind", [errors.ConnectionLostError, KeyboardInterrupt])
@pytest.mark.parametrize("make", [MemoryStore, LocalStore], ids=["memory", "local"])
def test_nobody_knows_whether_an_index_has_arrived(
    make: Any, kind: type[BaseException], arrives: bool, tmp_path: Path
) -> None:
    """Then no chunk is erased, of neither state; the next change goes by what is there."""
    inner = make(tmp_path) if make is LocalStore else make()
    store = Unheard(inner)
    array = made(store)
    store.error, store.arrives = kind("nothing was heard"), arrives
    with pytest.raises(kind):
        array.append(GRID[:10])
    expected = np.concatenate([GRID, GRID[:10]]) if arrives else GRID
    assert np.array_equal(at(inner)[...], expected)
    array.append(GRID[10:20])
    expected = np.concatenate([expected, GRID[10:20]])
    assert np.array_equal(array[...], expected)
    assert np.array_equal(at(inner)[...], expected)


def test_who_meets_himself_has_succeeded() -> None:
    """An index that was written again, since its answer got lost, is no conflict with itself."""
    inner = MemoryStore()
    store = Unheard(inner)
    array = made(store)
    store.error = errors.ConflictError("another version", store=store, op="set", key="")
    array.append(GRID[:10])
    assert np.array_equal(at(inner)[...], np.concatenate([GRID, GRID[:10]]))
    assert len(inner.list()) == 1 + 15


def test_numbers_that_others_took_are_passed_over() -> None:
    """
    A chunk of a writer that is gone, or still at work, is not written over; it is erased by a
    change that succeeds, after which that writer would fail.
    """
    store = MemoryStore()
    array = made(store)
    for number in range(12, 15):
        store.set(f"a/{number:08X}.chunk", b"somebody else's")
    with array.home.change() as change:
        change.put(0, change.chunk(1))
        found = {bytes(store.get(f"a/{n:08X}.chunk")) for n in range(12, 15)}
        assert found == {b"somebody else's"}
    assert len(store.list()) == 1 + 12 + 3
    array[...] = -GRID
    assert np.array_equal(at(store)[...], -GRID)
    assert len(store.list()) == 1 + 12


def test_a_chunk_that_was_erased_before_the_commit_is_a_conflict() -> None:
    """A writer whose chunk another one took for that of a killed one begins again."""
    store = MemoryStore()
    array, other = made(store), at(store).home
    turns: list[int] = []

    def edit(change: Change) -> None:
        change.put(0, change.chunk(int(change.offsets[1])))
        if not turns:
            turns.append(1)
            with other.change() as early:
                early.put(11, early.chunk(4))
                early.commit()
        change.put(2, change.chunk(int(change.offsets[0])))

    array._change(edit)
    found = at(store)
    for place in (np.s_[:10, :10], np.s_[:10, 20:]):
        assert np.array_equal(found[place], GRID[:10, 10:20])
    assert np.array_equal(found[30:, 20:], GRID[10:20, 10:20])
    assert len(store.list()) == 1 + 12


def test_numbers_are_not_used_again() -> None:
    """The numbers of chunks grow, also when those with the highest ones are gone."""
    store = MemoryStore()
    array, seen = made(store), set(store.list())
    for value in range(1, 5):
        array[30:, 20:] = value
        (name,) = {name for name in store.list() if name.endswith("chunk")} - seen
        seen.add(name)
        array[30:, 20:] = 0
        assert name not in store.list()
    assert len(seen) == 1 + 12 + 4


def test_states_are_never_mixed_up() -> None:
    """
    From a distance the frame is as it was when it was opened. A chunk of that which is gone is
    neither zeros nor that of another state: all that was asked for is read anew.
    """
    store = SlowStore(MemoryStore(), 0.05, clock=VirtualClock())
    reading, writing = made(store), at(store)
    state = reading.home.snapshot()
    writing[:10] = 7
    assert np.array_equal(reading[10:], GRID[10:])
    assert reading.home.snapshot() is state
    with pytest.raises(errors.ConflictError):
        state.read([(0, (0, None))])
    assert np.array_equal(reading[...], [*[[7] * 30] * 10, *GRID[10:]])
    writing[:10] = 8
    reading.refresh()
    assert (reading[:10] == 8).all()


def test_a_chunk_that_is_missing_is_no_zeros(tmp_path: Path) -> None:
    """A chunk that the index names and nobody finds is an error, also of a part; so is no index."""
    path = tmp_path / "a"
    frames.save(GRID, path, False, chunks=(10, 10), blocks=(5, 5))
    (path / chunk_files(path)[4]).unlink()
    array = frames.open(path, mode="a")
    for part in (..., np.s_[15, 15]):
        with pytest.raises(errors.CorruptFrameError, match="00000004"):
            array[part]
    assert np.array_equal(array[20:], GRID[20:])
    array[10:20] = 3
    assert np.array_equal(array[10:], [*[[3] * 30] * 10, *GRID[20:]])
    (path / SPARSE_INDEX).unlink()
    with pytest.raises(errors.NodeNotFoundError):
        array[...]


def test_damage_is_noticed() -> None:
    """Each byte of index and chunks is covered by a checksum, or means nothing."""
    store = MemoryStore()
    made(store, data=GRID.astype("i2"))
    for key in (f"a/{SPARSE_INDEX}", "a/00000001.chunk"):
        good = bytes(store.get(key))
        for place in range(len(good)):
            bad = bytearray(good)
            bad[place] ^= 0x15
            store.set(key, bad)
            with suppress(errors.CodecError):
                assert np.array_equal(at(store)[...], GRID)
            store.set(key, good)


@pytest.mark.parametrize("value", [0, -1, (1 << 31) - 1, 1 << 62])
def test_hostile_numbers(value: int, tmp_path: Path) -> None:
    """
    Whatever number stands anywhere in the index of a frame of blosc2's, which has no checksums, it
    is an error of ours or an array of about its size.
    """
    path = str(tmp_path / "a")
    blosc2.asarray(GRID, chunks=(10, 10), urlpath=path, contiguous=False)
    local, store = LocalStore(path), MemoryStore()
    for key in local.list():
        store.set(f"a/{key}", local.get(key))
    good = bytes(local.get(SPARSE_INDEX))
    for place in range(len(good) - 8):
        bad = bytearray(good)
        bad[place : place + 8] = value.to_bytes(8, "big", signed=True)
        store.set(f"a/{SPARSE_INDEX}", bad)
        with suppress(errors.StorekitError):
            array = at(store)
            if array.nbytes < 1 << 20:
                assert array[...].shape == array.shape


@pytest.mark.parametrize("cut", [0, 50, 100, 200, -1])
def test_an_index_that_is_cut_off(cut: int) -> None:
    """Half an index is none; nor is a contiguous frame in its place, or one with more behind it."""
    store = MemoryStore()
    made(store)
    whole = bytes(store.get(f"a/{SPARSE_INDEX}"))
    for content in (whole[:cut], frames.asarray(GRID).to_cframe(), whole + b"x"):
        store.set(f"a/{SPARSE_INDEX}", content)
        with pytest.raises(errors.CorruptFrameError):
            at(store)


def test_who_may_write() -> None:
    """A frame that was opened to be read, or in a store that only reads, cannot be changed."""
    store = MemoryStore()
    made(store, "a")
    reading = FrameArray(SparseHome(store, "a"))
    with pytest.raises(errors.ReadOnlyError):
        reading[0] = 1
    with pytest.raises(errors.ReadOnlyError):
        SparseHome(ReadOnlyStore(store), "a", writable=True)
    found = FrameArray(SparseHome(ReadOnlyStore(store), "a"))
    assert np.array_equal(found[...], GRID)
    with pytest.raises(KeyError):
        SparseHome(store, "b")


def test_pickles(tmp_path: Path) -> None:
    """A pickled array is one of the same frame, equal to it."""
    array = made(LocalStore(tmp_path), "a")
    again = pickle.loads(pickle.dumps(array))
    array[0] = 5
    assert np.array_equal(again[...], array[...])
    assert again == array
    again[1] = 6
    assert (array[1] == 6).all()
    assert array.urlpath == str(tmp_path / "a")


def test_what_is_in_the_way(tmp_path: Path) -> None:
    """A directory with something else stays as it is, whatever the mode; a file can be replaced."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("something")
    for mode in ("a", "w"):
        with pytest.raises(errors.NodeExistsError):
            frames.save(GRID, tmp_path / "folder", False, mode=mode)
    with pytest.raises(errors.NodeExistsError):
        frames.save(GRID, tmp_path / "file", False)
    frames.save(GRID, tmp_path / "file", False, mode="w")
    assert os.listdir(tmp_path / "folder") == ["thesis.txt"]
    assert np.array_equal(frames.open(tmp_path / "file")[...], GRID)
    frames.remove(tmp_path / "file")
    assert not (tmp_path / "file").exists()


def leavings(path: Path) -> None:
    """What killed writers leave in a directory."""
    for name in ("00000050.chunk", "00000007.chunk", ".storekit-1f-2", ".storekit-9-1"):
        (path / name).touch()


@pytest.mark.parametrize("index", [True, False])
def test_a_frame_of_killed_writers_is_removed_whole(tmp_path: Path, index: bool) -> None:
    """Chunks that are in no frame and temporary files go with it, also if the index is gone."""
    path = tmp_path / "a"
    frames.save(GRID[:20], path, False, chunks=(10, 10))
    leavings(path)
    if not index:
        (path / SPARSE_INDEX).unlink()
    frames.remove(path)
    assert not path.exists()
    store = LocalStore(tmp_path / "store")
    made(store)
    leavings(tmp_path / "store" / "a")
    frames.remove(store=store, key="a")
    assert not (tmp_path / "store" / "a").exists()


@pytest.mark.parametrize("name", ["notes.txt", "0000000c.chunk", "00000050.chunk/x"])
def test_a_directory_with_something_else_is_not_removed(tmp_path: Path, name: str) -> None:
    """Nothing of it goes, not even the frame; nor does a contiguous one take its place."""
    path = tmp_path / "a"
    frames.save(GRID, path, False, chunks=(10, 10))
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).touch()
    for remove in (frames.remove, lambda path: frames.save(GRID, path, mode="w")):
        with pytest.raises(errors.StorekitError, match="no sparse frame"):
            remove(path)
    assert (path / name).exists()
    assert np.array_equal(frames.open(path)[...], GRID)


def test_what_killed_writers_left_is_cleared_away(tmp_path: Path) -> None:
    """A frame that takes the place of another one, or of the rest of one, is all that is left."""
    path = tmp_path / "a"
    frames.save(GRID, path, False, chunks=(10, 10))
    for _ in range(2):
        leavings(path)
        frames.save(GRID + 1, path, False, chunks=(10, 10), mode="w")
        assert np.array_equal(frames.open(path)[...], GRID + 1)
        assert len(os.listdir(path)) == 1 + 12
        (path / SPARSE_INDEX).unlink()
        with pytest.raises(errors.NodeExistsError, match="no sparse frame"):
            frames.save(GRID, path, False)


def test_a_chunk_that_appears_meanwhile_is_not_cleared_away() -> None:
    """Only what was there when a frame began to take the place of another one is erased with it."""
    store = MemoryStore()
    made(store)
    blank = frames.zeros((4, 4), dtype="i4", chunks=(2, 2)).to_cframe()
    home = SparseHome(store, "a", writable=True, new=blank, replace=True)
    with home.change() as change:
        store.set("a/00000099.chunk", b"of one who comes later")
        change.commit()
    assert store.list() == ["a/00000099.chunk", f"a/{SPARSE_INDEX}"]


@pytest.mark.parametrize("where", ["path", "disk", "memory"])
def test_either_kind_takes_the_place_of_the_other(where: str, tmp_path: Path) -> None:
    """With mode ``"w"`` nothing of the old frame stays, whichever it was; else it is an error."""
    store = LocalStore(tmp_path) if where == "disk" else MemoryStore()
    place: Any = tmp_path / "a.b2nd" if where == "path" else (store, "a.b2nd")
    for turn, contiguous in enumerate((False, True, False, True)):
        if turn:
            with pytest.raises(errors.NodeExistsError):
                frames.save(GRID, place, contiguous)
        frames.save(GRID + turn, place, contiguous, chunks=(10, 10), mode="w")
        array = frames.open(place) if where == "path" else storekit.open(store, "a.b2nd")
        assert np.array_equal(array[...], GRID + turn)
        files = LocalStore(tmp_path).list() if where == "path" else store.list()
        assert len(files) == (1 if contiguous else 1 + 12)
    assert where == "memory" or os.listdir(tmp_path) == ["a.b2nd"]


def test_a_frame_stays_if_the_next_one_fails(tmp_path: Path) -> None:
    """A contiguous frame that is not finished leaves the sparse one that it was to replace."""
    frames.save(GRID, tmp_path / "a", False, chunks=(10, 10))
    store = MemoryStore()
    broken = made(store)
    store.erase("a/00000005.chunk")
    with pytest.raises(errors.CorruptFrameError):
        frames.save(broken, tmp_path / "a", mode="w")
    assert np.array_equal(frames.open(tmp_path / "a")[...], GRID)
    assert os.listdir(tmp_path) == ["a"]


def test_a_frame_in_a_store_is_removed() -> None:
    """Nothing of a removed frame stays, and nothing else goes."""
    store = MemoryStore()
    made(store, "a/b")
    store.set("a/b/note.txt", b"something else")
    frames.remove(store=store, key="a/b")
    assert store.list() == ["a/b/note.txt"]
    frames.remove(store=store, key="a/b")


def test_one_chunk_in_many_places() -> None:
    """A frame whose index names one chunk twice loses it only when nobody names it any more."""
    store = MemoryStore()
    array = made(store)

    def share(change: Change) -> None:
        change.offsets[1] = change.offsets[0]

    array._change(share)
    array[:10, :10] = 1
    assert np.array_equal(at(store)[:10, 10:20], GRID[:10, :10])
