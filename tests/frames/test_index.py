"""The index of a frame: as blosc2 writes and reads it, and as nobody should."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import blosc2
import numpy as np
import pytest
from frame_samples import stock
from hypothesis import given
from hypothesis import strategies as st

from storekit.errors import CodecError, CorruptFrameError
from storekit.frames.index import (
    MAX_CHUNKS,
    PLAIN,
    check_offsets,
    pack_offsets,
    parse_offsets,
)
from storekit.frames.layout import NANS, UNINIT, ZEROS, pack_index, parse_header
from storekit.frames.trailer import trailer_size

SPECIALS = (ZEROS, NANS, UNINIT)
OFFSETS = np.array([0, ZEROS, 40, NANS, 2**40, UNINIT] * 40, np.int64)


def index_of(frame: bytes) -> tuple[int, int]:
    """Where the index of a frame begins, and where it ends."""
    header = parse_header(frame)
    return header.header_len + header.cbytes, len(frame) - trailer_size(frame, header)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=200))
def test_what_is_packed_is_parsed(numbers: list[int]) -> None:
    """All numbers come back, whatever follows the index."""
    offsets = np.array(numbers, np.int64)
    data = pack_offsets(offsets) + b"rest"
    assert parse_offsets(data, len(numbers)).tolist() == numbers


def test_forms() -> None:
    """One chunk is what it was before; many shrink; none is nothing."""
    assert pack_offsets(np.array([ZEROS])) == pack_index(ZEROS)
    assert len(pack_offsets(np.arange(PLAIN))) == 32 + 8 * PLAIN
    assert len(pack_offsets(np.arange(100_000) * 1000)) < 100_000
    assert pack_offsets(np.empty(0, np.int64)) == b""
    assert parse_offsets(b"", 0).size == 0


@pytest.mark.parametrize("count", [0, 1, 2, 10, 700])
@pytest.mark.parametrize("zeros", [False, True])
def test_indexes_of_blosc2(count: int, zeros: bool) -> None:
    """What blosc2 writes is read: chunks of one size behind each other, or none that are stored."""
    array = np.zeros(count * 9, "i4") if zeros else np.arange(count * 9, dtype="i4")
    # At level 0 zeros are stored, too.
    frame = stock(array, chunks=(9,), blocks=(9,), clevel=int(zeros)).frame
    start, end = index_of(frame)
    offsets = parse_offsets(frame[start:end], count)
    size = 32 + 9 * 4
    assert offsets.tolist() == [ZEROS if zeros else size * i for i in range(count)]
    check_offsets(offsets, parse_header(frame).cbytes)


@pytest.mark.parametrize("count", [1, 5, PLAIN, PLAIN + 1, 1000])
def test_blosc2_reads_ours(tmp_path: Path, count: int) -> None:
    """blosc2 opens a file with an index of ours, and writes to it; chunks may come in any order."""
    array = np.arange(count * 20, dtype="i4")
    frame = stock(array, chunks=(20,), blocks=(20,)).frame
    start, end = index_of(frame)
    offsets = parse_offsets(frame[start:end], count)[::-1].copy()
    offsets[-1] = ZEROS
    index = pack_offsets(offsets)
    size = start + len(index) + len(frame) - end
    file = tmp_path / "array.b2nd"
    file.write_bytes(frame[:16] + size.to_bytes(8, "big") + frame[24:start] + index + frame[end:])
    expected = array.reshape(count, 20)[::-1].copy()
    expected[-1] = 0
    opened = blosc2.open(str(file), mode="a")
    assert np.array_equal(opened[:], expected.reshape(-1))
    opened[:20] = 7
    expected[0] = 7
    assert np.array_equal(blosc2.open(str(file), mode="r")[:], expected.reshape(-1))


@given(st.data())
def test_damage(data: st.DataObject) -> None:
    """A damaged index is refused as such, or taken for one of as many chunks."""
    count = data.draw(st.sampled_from([1, 6, 240]))
    index = bytearray(pack_offsets(OFFSETS[:count]))
    for _ in range(data.draw(st.integers(1, 3))):
        index[data.draw(st.integers(0, len(index) - 1))] ^= data.draw(st.integers(1, 255))
    del index[data.draw(st.integers(0, len(index))) or len(index) :]
    with suppress(CorruptFrameError):
        assert parse_offsets(bytes(index), count).shape == (count,)


@pytest.mark.parametrize("count", [-1, 239, 241, MAX_CHUNKS, MAX_CHUNKS + 1, 1 << 70])
def test_another_number_of_chunks(count: int) -> None:
    """An index of another number of chunks than there must be is refused."""
    with pytest.raises(CorruptFrameError):
        parse_offsets(pack_offsets(OFFSETS), count)


def test_too_many_chunks() -> None:
    """More chunks than are read are not written."""
    offsets = np.broadcast_to(np.int64(0), (MAX_CHUNKS + 1,))
    with pytest.raises(CodecError, match="at most 16777216"):
        pack_offsets(offsets)


@pytest.mark.parametrize("offset", [-1, 100, ZEROS + 1, ZEROS - 1, -(2**63), 2**63 - 1])
def test_offsets_outside(offset: int) -> None:
    """An offset is special, or within the chunks."""
    check_offsets(np.array([0, 99, *SPECIALS]), 100)
    with pytest.raises(CorruptFrameError, match="chunk 1 at"):
        check_offsets(np.array([0, offset, *SPECIALS]), 100)
