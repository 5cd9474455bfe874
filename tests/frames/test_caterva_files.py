"""Files of caterva: what they say, and that they are read as they were meant."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from caterva_samples import ARRAY, CONTIGUOUS, SPARSE

from storekit.errors import CorruptFrameError
from storekit.frames.b2nd import (
    B2ND,
    CATERVA,
    B2ndMeta,
    pack_array_meta,
    pack_b2nd,
    parse_array_meta,
)
from storekit.frames.chunk import decompress_into, parse_chunk
from storekit.frames.grid import BlockGrid
from storekit.frames.index import parse_offsets
from storekit.frames.layout import (
    MIN_HEADER,
    ZEROS,
    Metalayer,
    parse_header,
    parse_metalayers,
)
from storekit.frames.params import Codec, CParams, SplitMode
from storekit.frames.trailer import trailer_size


def test_caterva() -> None:
    """A file of caterva, whose elements are bytes; its chunks decode to what was saved."""
    header = parse_header(CONTIGUOUS)
    layers = parse_metalayers(CONTIGUOUS[MIN_HEADER : header.header_len])
    meta = parse_array_meta(layers, header.typesize)
    assert meta == ((13, 10), (5, 10), (2, 5), "V4")
    assert pack_array_meta(CATERVA, meta) == layers[CATERVA].content
    assert CParams.from_header(header) == CParams(Codec.LZ4, 5, splitmode=SplitMode.ALWAYS_SPLIT)
    end = len(CONTIGUOUS) - trailer_size(CONTIGUOUS, header)
    zeros, *starts = parse_offsets(CONTIGUOUS[header.index_start : end], 3).tolist()
    assert zeros == ZEROS
    grid = BlockGrid(meta.chunks, meta.blocks, np.dtype("<i4"))
    for first, start in zip((5, 10), starts, strict=True):
        chunk = CONTIGUOUS[header.header_len + start :]
        out = np.empty(grid.nbytes, np.uint8)
        decompress_into(chunk[: parse_chunk(chunk).cbytes], out.data)
        rows = ARRAY[first : first + 5]
        assert np.array_equal(grid.unpack(out)[: len(rows)], rows)


def test_sparse_caterva() -> None:
    """A folder of caterva says the same as a file, but for where the chunks are."""
    frame = SPARSE["chunks.b2frame"]
    header = parse_header(frame, sparse=True)
    one = parse_header(CONTIGUOUS)
    assert header._replace(sparse=False, frame_len=len(CONTIGUOUS)) == one
    index = frame[header.index_start : len(frame) - trailer_size(frame, header)]
    assert parse_offsets(index, 3).tolist() == [ZEROS, 0, 1]


def test_no_array() -> None:
    """Of two metalayers of shapes that of blosc2 counts; without either there is no array."""
    meta = B2ndMeta((9,), (4,), (2,), np.dtype("i4"))
    layers = {B2ND: Metalayer(0, pack_b2nd(meta)), CATERVA: Metalayer(0, b"")}
    assert parse_array_meta(layers, 4) == meta
    assert parse_array_meta({"other": Metalayer(0, b"")}, 4) is None


SHAPES = pack_array_meta(CATERVA, B2ndMeta((9,), (4,), (2,), np.dtype("V4")))


@pytest.mark.parametrize(
    "content",
    [
        *(SHAPES[:end] for end in range(len(SHAPES))),
        SHAPES + b"\0",
        b"\x97" + SHAPES[1:],
        SHAPES[:1] + b"\1" + SHAPES[2:],
        SHAPES[:2] + b"\x11" + SHAPES[3:],
        SHAPES.replace(b"\xd3", b"\xd2"),
        SHAPES[:-4] + struct.pack(">i", 5),
        SHAPES[:-4] + struct.pack(">i", 0),
    ],
    ids=lambda content: f"{len(content)} {content[:3].hex()}",
)
def test_impossible_shapes_of_caterva(content: bytes) -> None:
    """A metalayer of caterva that is not exactly three shapes that fit is refused."""
    assert parse_array_meta({CATERVA: Metalayer(0, SHAPES)}, 4) is not None
    with pytest.raises(CorruptFrameError):
        parse_array_meta({CATERVA: Metalayer(0, content)}, 4)
