"""What is kept of chunks of frames between reads of their blocks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import storekit.frames as cat
from storekit.frames import FrameArray, log
from storekit.nodes import frame_io
from storekit.typing import AnyArray

CHUNK = (32, 64, 64)


def elements(seed: int, count: int = 3) -> AnyArray:
    """An array of some chunks that are compressed, though not to the size of a first read."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1 << 12, (count * CHUNK[0], *CHUNK[1:]), "i4")


def frame(path: Path, data: AnyArray) -> FrameArray:
    """A file of it."""
    return cat.asarray(data, urlpath=path, chunks=CHUNK, blocks=(1, 64, 64))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of each read of chunks from a file."""
    sizes: list[int] = []

    def pread(fd: int, first: int, last: int) -> Any:
        sizes.append(last - first)
        return real(fd, first, last)

    real = log.pread
    monkeypatch.setattr(log, "pread", pread)
    return sizes


def test_a_known_chunk_is_read_once(tmp_path: Path, reads: list[int]) -> None:
    """The first read of blocks of a chunk reads its head too; those after it only blocks."""
    data = elements(0)
    array = frame(tmp_path / "a", data)
    for z, expected in ((40, 2), (50, 1), (40, 1), (10, 2), (60, 1)):
        reads.clear()
        assert array[z, 5, 7] == data[z, 5, 7]
        assert len(reads) == expected


def test_changes_are_seen(tmp_path: Path) -> None:
    """What is known of a chunk belongs to one state of the frame, whoever changes it."""
    data = elements(1)
    array = frame(tmp_path / "a", data)
    other = cat.open(tmp_path / "a", mode="a")
    for value in range(3):
        assert array[40, 5, 7] == data[40, 5, 7]
        (array, other)[value % 2][40:42, 5] = value
        data[40:42, 5] = value
        assert (array[39:43, 5] == data[39:43, 5]).all()
        assert (other[39:43, 5] == data[39:43, 5]).all()


def test_chunks_written_in_place_are_read(tmp_path: Path) -> None:
    """A chunk in the place of another, with no sign of it elsewhere, is read all the same."""
    path, data = tmp_path / "a", elements(2, 1)
    array = frame(path, data)
    assert array[9, 5, 7] == data[9, 5, 7]
    status, snapshot = path.stat(), array.home.snapshot()
    begin, end = snapshot.frame.extent(int(snapshot.frame.offsets[0]))
    fresh = data // 16  # is smaller, and its blocks are elsewhere
    made = frame(tmp_path / "b", fresh).home.snapshot()
    (chunk,) = made.read([(int(made.frame.offsets[0]), (0, None))])
    assert len(chunk) < end - begin
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(chunk)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert array[9, 5, 7] == fresh[9, 5, 7]
    assert array.home.snapshot() is snapshot
    assert array[10, 5, 7] == fresh[10, 5, 7]


@pytest.mark.parametrize(("most", "known"), [(31, 0), (32, 1), (64, 2), (95, 2), (96, 3)])
def test_what_is_kept_is_bounded(
    most: int, known: int, tmp_path: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is kept than so many blocks, of which each chunk has 32."""
    monkeypatch.setattr(frame_io, "_KEPT", most)
    data = elements(3)
    array = frame(tmp_path / "a", data)
    for turn in range(known):
        assert array[32 * turn, 5, 7] == data[32 * turn, 5, 7]
    reads.clear()
    for turn in range(known):
        assert array[32 * turn + 1, 5, 7] == data[32 * turn + 1, 5, 7]
    assert len(reads) == known
    for turn in range(3):
        assert array[32 * turn + 2, 5, 7] == data[32 * turn + 2, 5, 7]
    assert len(array._state.io._heads) <= most // 32  # type: ignore[attr-defined]
