"""A file is free for others, whenever Ctrl-C came in a change of it."""

from __future__ import annotations

import fcntl
import gc
import os
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frame_files import create, opened
from signal_points import in_time, interrupted

from storekit.frames import log

OLD = np.arange(8)
FILES = "frames/log.py", "frames/logfile.py", "stores/_open_file.py", "contextlib.py"


def is_free(path: Path) -> bool:
    """Whether nobody has a lock on a file."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@pytest.mark.parametrize("spare", [1 << 20, -(1 << 20)], ids=["appended", "anew"])
def test_an_interrupted_write_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: int
) -> None:
    """The lock ends with the write, although the array goes on to read from the same file."""
    monkeypatch.setattr(log, "_SPARE", spare)
    path = tmp_path / "a.b2nd"
    create(path, OLD, (8,), (4,))
    whole = path.read_bytes()
    for moment in count():
        path.write_bytes(whole)
        array: Any = opened(path)
        through = not interrupted(
            lambda array=array: array.__setitem__(slice(1, 3), 7), moment, *FILES
        )
        assert is_free(path)
        assert array[1:3].tolist() in ([1, 2], [7, 7])
        if through:
            break
        if moment % 10 == 0:
            in_time(lambda array=array: array.__setitem__(slice(4, 6), 5))
            assert array[3:].tolist() == [3, 5, 5, 6, 7]
    assert moment > 50


def test_an_interrupt_where_a_file_is_closed_is_not_lost(tmp_path: Path) -> None:
    """A file that nobody reads any more is closed, and Ctrl-C that comes just then interrupts."""
    path = tmp_path / "a.b2nd"
    create(path, OLD, (8,), (4,))
    held: list[Any] = []
    for moment in count():
        held.append(opened(path))
        if interrupted(held.clear, moment) is None:
            break
        held.clear()
    assert moment < 5
    gc.collect()
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    assert not [link for link in links if os.path.realpath(link) == os.path.realpath(path)]
