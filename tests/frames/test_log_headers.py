"""When the header of a file is written over, and when the file is written anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from frame_files import create, empty_frame, opened, stock_reads

from storekit.frames import log
from storekit.frames.frame import Frame
from storekit.frames.layout import NANS
from storekit.frames.loading import Read, load_frame
from storekit.frames.log import LogHome
from storekit.keys import resolve_range
from storekit.typing import ByteRange, Value

OLD = np.arange(600, dtype="i4").reshape(30, 20)


@pytest.mark.parametrize("changed", [True, False])
def test_a_header_of_many_pages(tmp_path: Path, changed: bool) -> None:
    """
    A header is written over only within its first page; if more of it changes, the file is written
    anew.
    """
    path = tmp_path / "a.b2nd"
    path.write_bytes(empty_frame((30, 20), (10, 10), (5, 5), layers={"mine": bytes(10_000)}))
    opened(path)[0, 0] = 5
    home, before = LogHome(str(path), writable=True), path.stat().st_ino
    content = bytes(9_999) + b"x" if changed else bytes(10_000)
    with home.change() as change:
        change.layers["mine"] = content
        change.commit()
    assert (path.stat().st_ino != before) == changed
    assert LogHome(str(path)).snapshot().frame.layers["mine"].content == content


def test_the_new_file_is_like_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is written anew has the permissions of the old one, and links lead to it."""
    monkeypatch.setattr(log, "_SPARE", -(1 << 20))
    path, link = tmp_path / "a.b2nd", tmp_path / "link"
    create(path, OLD, (10, 10), (5, 5))
    path.chmod(0o606)
    link.symlink_to("a.b2nd")
    before = path.stat().st_ino
    opened(link)[0, 0] = 5
    assert link.is_symlink()
    assert path.stat().st_ino != before
    assert path.stat().st_mode & 0o777 == 0o606
    assert stock_reads(path)[0, 0] == 5


@pytest.mark.parametrize("point", range(0, 160, 7))
def test_a_header_that_is_read_while_it_is_written(
    tmp_path: Path, point: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that finds one part of the header new and the rest old reads it once more."""
    path = tmp_path / "a.b2nd"
    path.write_bytes(empty_frame((30, 20), (10, 10), (5, 5), layers={"mine": b"old"}))
    reader = LogHome(str(path))
    opened(path)[0, 0] = 5  # which the reader has not seen yet
    old = path.read_bytes()

    def torn(read: Read, offset: int = 0) -> Frame:
        monkeypatch.setattr(log, "load_frame", load_frame)
        home = LogHome(str(path), writable=True)
        with home.change() as change:
            change.layers["mine"] = b"new"
            change.drop(1, NANS)
            change.commit()
        first = path.read_bytes()[:point] + old[point : home.snapshot().frame.header.header_len]
        values = iter([[first]])
        return load_frame(lambda ranges: next(values, None) or read(ranges), offset=offset)

    monkeypatch.setattr(log, "load_frame", torn)
    frame = reader.snapshot().frame
    assert frame.offsets[1] == NANS
    assert frame.layers["mine"].content == b"new"


def test_what_follows_a_frame_is_not_its_end() -> None:
    """From afar the last bytes of a value are tried first; those of another frame do no harm."""
    data, other = empty_frame((30, 20), (10, 10), (5, 5)), empty_frame((29, 20), (10, 10), (5, 5))
    value = data + other
    assert len(data) == len(other)

    def read(ranges: Sequence[ByteRange]) -> list[Value]:
        spans = (resolve_range(*each, len(value)) for each in ranges)
        return [value[first:last] for first, last in spans]

    assert load_frame(read, far=True).meta.shape == (30, 20)
