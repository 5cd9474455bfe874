"""A frame in a file that several processes and threads read and change."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from forking import in_child
from frame_files import create, empty_frame, opened, stock_reads

from storekit.errors import (
    CorruptFrameError,
    MetadataError,
    PathNotFoundError,
    ShapeError,
    StoreError,
)
from storekit.frames import log
from storekit.frames.home import Snapshot
from storekit.frames.log import LogHome
from storekit.nodes.frame_array import FrameArray

WRITERS = 4
ROUNDS = 40


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written anew every few changes."""
    monkeypatch.setattr(log, "_SPARE", 2000)


def children(work: Callable[[int], None], count: int) -> list[int]:
    """Do something in some processes at once, each with its number; their exit codes."""
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(lambda number: in_child(lambda: work(number)), range(count)))


def count_up(path: Path, number: int) -> None:
    """Write the numbers from 1 into two elements, of which others share the chunks."""
    array = opened(path)
    for value in range(1, ROUNDS + 1):
        array[[0, 9], [number, number]] = value
        assert array[0, number] == array[9, number] == value


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("how", ["processes", "threads"])
def test_no_write_is_lost(tmp_path: Path, how: str) -> None:
    """Of writers that change elements of the same chunks, none undoes what another one wrote."""
    path = tmp_path / "a.b2nd"
    create(path, np.zeros((10, 10), "i4"), (5, 10), (5, 5))
    if how == "processes":
        assert children(lambda number: count_up(path, number), WRITERS) == [0] * WRITERS
    else:
        with ThreadPoolExecutor(WRITERS) as threads:
            list(threads.map(lambda number: count_up(path, number), range(WRITERS)))
    expected = np.zeros((10, 10), "i4")
    expected[[0, 9], :WRITERS] = ROUNDS
    assert (stock_reads(path) == expected).all()
    assert os.listdir(tmp_path) == ["a.b2nd"]


@pytest.mark.usefixtures("small")
def test_readers_see_whole_states_in_their_order(tmp_path: Path) -> None:
    """
    Who reads while another process writes sees each statement as a whole or not at all, none after
    a later one, and no error; the last one when it is done.
    """
    path = tmp_path / "a.b2nd"
    create(path, np.zeros((20, 30), "i4"), (5, 10), (5, 5))

    def write() -> None:
        array = opened(path)
        for value in range(1, 150):
            array[...] = value

    array, seen = FrameArray(LogHome(str(path))), [0]
    with ThreadPoolExecutor(1) as threads:
        writer = threads.submit(in_child, write)
        while not writer.done():
            for reader in (array, FrameArray(LogHome(str(path)))):
                found = reader[...]
                assert (found == found[0, 0]).all()
                seen.append(int(found[0, 0]))
        assert writer.result() == 0
    assert seen == sorted(seen)
    assert (array[...] == 149).all()


class OldHome(LogHome):
    """A file of which one state is read for ever."""

    def snapshot(self) -> Snapshot:
        """That state."""
        return self._state[1]


@pytest.mark.usefixtures("small")
def test_an_old_state_stays_readable(tmp_path: Path) -> None:
    """Whoever reads a state can do so while the frame is changed, made smaller and written anew."""
    path = tmp_path / "a.b2nd"
    values = np.arange(200, dtype="i4").reshape(10, 20)
    create(path, values, (5, 10), (5, 5))
    old = FrameArray(OldHome(str(path)))
    array = opened(path)
    inodes = set()
    for value in range(50):
        array[...] = value + values
        inodes.add(path.stat().st_ino)
        assert (old[...] == values).all()
        assert (old[3:7, 8:12] == values[3:7, 8:12]).all()
    array[...] = 0
    assert (old[...] == values).all()
    assert len(inodes) > 1


def churn(path: Path, times: int) -> list[int]:
    """Write an element many times; the size of the file after each."""
    array, sizes = opened(path), []
    for value in range(times):
        array[3, 4] = value
        sizes.append(path.stat().st_size)
    return sizes


@pytest.mark.usefixtures("small")
def test_a_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    """However often an element is written, the file is at most twice what it must be, and spare."""
    path = tmp_path / "a.b2nd"
    values = np.random.default_rng(0).integers(0, 1 << 30, (40, 40), "i4")
    create(path, values, (10, 10), (5, 5))
    least = path.stat().st_size
    sizes = churn(path, 500)
    assert max(sizes) < 2 * least + 2000 + 2000
    assert sum(a > b for a, b in pairwise(sizes)) > 3


@pytest.mark.slow
def test_a_file_stays_small_for_long(tmp_path: Path) -> None:
    """The same with the spare bytes that are left for real."""
    path = tmp_path / "a.b2nd"
    create(path, np.zeros((1000, 1000), "i4"), (100, 100), (50, 50))
    assert max(churn(path, 10_000)) < 1.1 * (1 << 20)


def test_a_child_and_its_parent(tmp_path: Path) -> None:
    """A forked child reads and writes by what its parent opened, and both see it."""
    path = tmp_path / "a.b2nd"
    create(path, np.ones((10, 10), "i4"), (5, 5), (5, 5))
    array = opened(path)
    assert array[0, 0] == 1

    def child() -> None:
        assert (array[...] == 1).all()
        array[0, 0] = 2
        assert array[0, 0] == 2

    assert in_child(child) == 0
    assert array[0, 0] == 2
    array[0, 1] = 3
    assert (array[0, :2] == (2, 3)).all()


def test_a_change_that_looks_like_none(tmp_path: Path) -> None:
    """A change is seen also if the time stamp and the size of the file are what they were."""
    path = tmp_path / "a.b2nd"
    path.write_bytes(empty_frame((10,), (10,), (10,)))
    reader, writer = FrameArray(LogHome(str(path))), opened(path)
    writer[0] = 1
    before = path.stat()
    with path.open("ab") as file:  # as a writer leaves it that was killed before the header
        file.write(bytes(1000))
    now = path.stat()
    os.utime(path, ns=(now.st_atime_ns, before.st_mtime_ns))
    assert reader[0] == 1
    writer[0] = 2
    os.truncate(path, now.st_size)
    os.utime(path, ns=(now.st_atime_ns, before.st_mtime_ns))
    assert reader[0] == 2


def test_nothing_stays_open(tmp_path: Path) -> None:
    """
    A thousand arrays that were opened, read and changed leave no descriptor; nor do those that were
    damaged, not there, or could not be changed.
    """
    path, damaged = tmp_path / "a.b2nd", tmp_path / "b.b2nd"
    create(path, np.ones((10, 10), "i4"), (5, 5), (5, 5))
    damaged.write_bytes(path.read_bytes()[:-1])
    gc.collect()  # errors refer to each other, and to what they happened to
    before = len(os.listdir("/proc/self/fd"))
    for number in range(1000):
        array = opened(path)
        assert array[0, 0] == 1
        if number % 20 == 0:
            array[0, 1] = number
    for _ in range(20):
        with pytest.raises(CorruptFrameError):
            opened(damaged)
        with pytest.raises(PathNotFoundError):
            opened(tmp_path / "c.b2nd")
        with pytest.raises(StoreError):
            opened(tmp_path)
        with pytest.raises(ShapeError):
            array[0] = np.ones(3)
        with pytest.raises(MetadataError):
            array.resize((1 << 40, 1 << 40))
    del array
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before
    assert os.listdir(tmp_path) in (["a.b2nd", "b.b2nd"], ["b.b2nd", "a.b2nd"])


@pytest.mark.parametrize("kind", ["directory", "pipe", "device"])
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    """What is no regular file is refused at once, also a pipe that nobody writes to."""
    path = tmp_path / "a"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path = Path("/dev/zero")
    with pytest.raises(StoreError, match="not a regular file"):
        LogHome(str(path))
