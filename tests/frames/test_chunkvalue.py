"""Chunks of one value: what blosc2 makes of them, and that no damage goes unnoticed."""

from __future__ import annotations

import blosc2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import storekit.frames as cat
from storekit.codecs.frame_chunk import FrameChunkCoder
from storekit.codecs.spec import ChunkSpec
from storekit.errors import CodecError
from storekit.frames.chunkvalue import check_value, value_chunk


@given(element=st.binary(min_size=1, max_size=255), count=st.integers(1, 50))
def test_blosc2_decodes_them(element: bytes, count: int) -> None:
    """blosc2 fills a chunk with the element, of whatever size."""
    size = len(element) * count
    chunk = value_chunk(element, size, size)
    check_value(chunk)
    out = np.empty(size, "u1")
    blosc2.decompress2(chunk, out, nthreads=1)
    assert out.tobytes() == element * count


CHUNK = value_chunk(b"pepe", 4000, 1000)


@pytest.mark.parametrize("place", range(len(CHUNK)))
def test_any_damage_is_noticed(place: int) -> None:
    """With any other value in any byte the chunk is refused, read as a whole or in part."""
    coder = FrameChunkCoder(ChunkSpec((1000,), np.dtype("S4"), b""), (250,), cat.CParams())
    out = np.empty(1000, "S4")
    coder.decode_into(CHUNK, out)
    assert (out == b"pepe").all()
    for value in range(256):
        damaged = bytearray(CHUNK)
        damaged[place] = value
        if damaged != CHUNK:
            with pytest.raises(CodecError):
                coder.decode_into(bytes(damaged), out)
            with pytest.raises(CodecError):
                coder.decode_into(bytes(damaged), out[:5], (slice(5, 10),))


def test_those_of_blosc2_are_read() -> None:
    """A chunk of one value that blosc2 made has no checksum, and is read without one."""
    peer = blosc2.full((20, 20), 2.5, chunks=(7, 7), blocks=(3, 3))
    array = cat.from_cframe(peer.to_cframe())
    assert (array[...] == 2.5).all()
    assert peer.schunk.get_chunk(0)[24:30] == bytes(6)
