"""Chunks of frames: any part of them, whoever has written them."""

from __future__ import annotations

from typing import Any

import blosc2
import numpy as np
import pytest
from codec_samples import FIXED, Fetcher, chunks, parts, random_chunk, same, spec_of
from hypothesis import given, settings
from hypothesis import strategies as st

from storekit.codecs.frame_chunk import FrameChunkCoder
from storekit.codecs.spec import ChunkSpec
from storekit.errors import ChecksumError, CodecError, CorruptFrameError, MetadataError
from storekit.frames.params import Codec, CParams, Filter
from storekit.selection.part import Mesh, Part, Points, part_shape, put, take
from storekit.typing import AnyArray, Shape

FILTERS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "none": ((), ()),
    "shuffle": ((Filter.SHUFFLE,), (0,)),
    "bitshuffle": ((Filter.BITSHUFFLE,), (0,)),
    "delta": ((Filter.DELTA, Filter.SHUFFLE), (0, 0)),
    "bytedelta": ((Filter.SHUFFLE, Filter.BYTEDELTA), (0, 0)),
}
LZ4 = CParams(codec=Codec.LZ4)
CUBE = random_chunk(np.dtype("f4"), (32, 64, 64), span=5)
CUBE_CODER = FrameChunkCoder(spec_of(CUBE), (1, 32, 64), LZ4)


def part_of(coder: FrameChunkCoder, data: bytes, part: Part) -> AnyArray:
    """A part of a chunk, in both ways in which it can be read."""
    out, again = (np.empty(part_shape(part), coder.spec.dtype) for _ in range(2))
    coder.decode_into(data, out, part)
    fetch = Fetcher(data)
    coder.read_part(fetch, again, part)
    assert len(fetch.calls) <= 2
    assert same(out, again)
    return out


@st.composite
def params(draw: st.DrawFn) -> CParams:
    """Settings of all kinds that lose nothing."""
    filters, metas = draw(st.sampled_from(list(FILTERS.values())))
    return CParams(
        draw(st.sampled_from(list(Codec))), draw(st.sampled_from((0, 1, 5, 9))), filters, metas
    )


@settings(max_examples=150)
@given(st.data(), chunks(), params())
def test_any_part_of_any_chunk(data: Any, chunk: AnyArray, cparams: CParams) -> None:
    """What is written is what is read, whole and in parts, at once and by ranges."""
    blocks = tuple(data.draw(st.integers(1, n)) for n in chunk.shape)
    coder = FrameChunkCoder(spec_of(chunk), blocks, cparams)
    encoded = bytes(coder.encode(chunk))
    assert same(coder.decode(encoded), chunk)
    part = data.draw(parts(chunk.shape))
    assert same(part_of(coder, encoded, part), np.array(take(chunk, part), chunk.dtype))


@settings(max_examples=60)
@given(st.data(), st.integers(0, 1 << 32), params())
def test_any_part_of_a_large_chunk(data: Any, seed: int, cparams: CParams) -> None:
    """Of chunks that are more than the first read, parts are made of blocks alone."""
    chunk = random_chunk(np.dtype("i4"), (20, 6, 100), seed, data.draw(st.sampled_from((3, 256))))
    blocks = data.draw(st.sampled_from(((5, 6, 100), (7, 4, 30), (1, 6, 50))))
    coder = FrameChunkCoder(spec_of(chunk), blocks, cparams)
    part = data.draw(parts(chunk.shape))
    assert same(
        part_of(coder, bytes(coder.encode(chunk)), part), np.array(take(chunk, part), chunk.dtype)
    )


@pytest.mark.parametrize("codec", list(Codec), ids=str)
@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("clevel", [0, 1, 9])
def test_chunks_of_blosc2(codec: Codec, filters: str, clevel: int) -> None:
    """Chunks of blosc2's own arrays are read, whole and in parts, as blosc2 reads them."""
    array = np.arange(20 * 600, dtype="f8").reshape(20, 600) // 7
    names, metas = FILTERS[filters]
    made = blosc2.asarray(
        array,
        chunks=(10, 600),
        blocks=(3, 200),
        cparams={
            "codec": blosc2.Codec(codec),
            "clevel": clevel,
            "filters": [blosc2.Filter(f) for f in names] or [blosc2.Filter.NOFILTER],
            "filters_meta": list(metas) or [0],
        },
    )
    coder = FrameChunkCoder(spec_of(array[:10]), (3, 200), CParams())
    part = (slice(4, 9, 2), slice(150, 220, 1))
    for number in (0, 1):
        chunk = array[number * 10 : number * 10 + 10]
        data = bytes(made.schunk.get_chunk(number))
        assert same(coder.decode(data), chunk)
        assert same(part_of(coder, data, part), chunk[part].copy())
        assert same(part_of(coder, data, (slice(9, 10, 1), slice(599, 600, 1))), chunk[9:, 599:])


@pytest.mark.parametrize("dtype", [d for d in FIXED if d.itemsize < 256], ids=str)
@pytest.mark.parametrize("span", [1, 3, 256])
def test_blosc2_reads_what_is_written(dtype: Any, span: int) -> None:
    """In place of its own chunks blosc2 takes ours: it reads, and changes, arrays made of them."""
    array = random_chunk(dtype, (8, 10), span=span)
    made = blosc2.zeros(array.shape, dtype, chunks=(4, 10), blocks=(3, 4))
    coder = FrameChunkCoder(spec_of(array[:4]), (3, 4), LZ4)
    for number in (0, 1):
        chunk = array[4 * number : 4 * number + 4]
        made.schunk.update_chunk(number, bytes(coder.encode(chunk)))
    assert same(np.asarray(made[...], dtype), array)
    assert same(np.asarray(made[3:6, 2:9], dtype), array[3:6, 2:9].copy())
    made[:2] = array[6:]
    assert same(np.asarray(made[:4], dtype), np.concatenate([array[6:], array[2:4]]))
    data = bytes(made.schunk.get_chunk(0))
    assert same(coder.decode(data), np.concatenate([array[6:], array[2:4]]))


def test_truncated_precision() -> None:
    """Of a filter that loses something, what is left is what blosc2 says is left."""
    chunk = np.random.default_rng(0).normal(size=(40, 50)).astype("f4")
    cparams = CParams(filters=(Filter.TRUNC_PREC, Filter.SHUFFLE), filtersmeta=(10, 0))
    coder = FrameChunkCoder(spec_of(chunk), (7, 50), cparams)
    data = bytes(coder.encode(chunk))
    expected = np.empty((42, 50), "f4")
    blosc2.decompress2(data, expected, nthreads=1)
    assert same(coder.decode(data), expected[:40].copy())
    part = (slice(8, 20, 3), slice(0, 9, 1))
    assert same(part_of(coder, data, part), expected[part].copy())
    assert 0 < np.abs(expected[:40] - chunk).max() < 0.01


def test_chunks_that_threads_have_compressed() -> None:
    """Blocks may be stored in any order, by us as well as by blosc2."""
    coder = FrameChunkCoder(spec_of(CUBE), (1, 32, 64), CParams(nthreads=4))
    stock = blosc2.asarray(CUBE, chunks=CUBE.shape, blocks=(1, 32, 64), cparams={"nthreads": 4})
    part = Mesh((np.array([30, 2]), slice(3, 60, 2), np.array([9])))
    for data in (bytes(coder.encode(CUBE)), bytes(stock.schunk.get_chunk(0))):
        assert same(coder.decode(data), CUBE)
        assert same(part_of(coder, data, part), take(CUBE, part))


def test_dictionaries() -> None:
    """Chunks whose blocks share a dictionary are read in parts."""
    chunk = (np.arange(20000, dtype="i4") * 7919 % 10007).reshape(20, 1000)
    coder = FrameChunkCoder(spec_of(chunk), (1, 1000), CParams(clevel=5, usedict=True))
    data = bytes(coder.encode(chunk))
    assert data[31] & 1
    assert same(coder.decode(data), chunk)
    part = (slice(3, 9, 5), slice(10, 20, 1))
    assert same(part_of(coder, data, part), chunk[part].copy())


@pytest.mark.parametrize(
    ("part", "blocks"),
    [
        ((slice(9, 10, 1), slice(40, 41, 1), slice(5, 6, 1)), 1),
        ((slice(9, 11, 1), slice(0, 64, 1), slice(5, 6, 1)), 4),
        (Points((0, 1), (np.array([3, 20]), np.array([3, 40])), (slice(0, 4, 1),)), 2),
    ],
    ids=["element", "neighbours", "points"],
)
def test_parts_take_their_blocks(part: Part, blocks: int) -> None:
    """A part is read in two steps: the head, and no more than the blocks that it is in."""
    data = bytes(CUBE_CODER.encode(CUBE))
    out, fetch = np.empty(part_shape(part), "f4"), Fetcher(data)
    CUBE_CODER.read_part(fetch, out, part)
    assert same(out, take(CUBE, part).copy())
    assert fetch.calls[0] == [(0, 4096)]
    assert len(fetch.calls) == 2
    assert fetch.nbytes - 4096 < 1.2 * blocks * len(data) / 64


def test_differences_take_the_first_block_too() -> None:
    """What is stored as a difference to the first block is read with it, and verified."""
    cparams = CParams(filters=(Filter.DELTA,), filtersmeta=(0,), codec=Codec.LZ4)
    coder = FrameChunkCoder(spec_of(CUBE), (1, 32, 64), cparams)
    data = bytearray(coder.encode(CUBE))
    part = (slice(9, 10, 1), slice(40, 41, 1), slice(5, 6, 1))
    fetch, out = Fetcher(data), np.empty((1, 1, 1), "f4")
    coder.read_part(fetch, out, part)
    assert same(out, CUBE[part].copy())
    assert [len(call) for call in fetch.calls] == [1, 2]
    data[int.from_bytes(data[32:36], "little") + 9] ^= 1
    with pytest.raises(CodecError, match="block 0"):
        coder.read_part(Fetcher(data), out, part)


def test_all_and_nothing() -> None:
    """All of a chunk is one request; nothing of it is no more than its head."""
    data = bytes(CUBE_CODER.encode(CUBE))
    fetch, out = Fetcher(data), np.empty_like(CUBE)
    CUBE_CODER.read_part(fetch, out, tuple(slice(0, n, 1) for n in CUBE.shape))
    assert same(out, CUBE)
    assert len(fetch.calls) == 1
    nothing = (slice(3, 3, 1), slice(0, 64, 1), slice(0, 64, 1))
    none = Fetcher(data)
    CUBE_CODER.read_part(none, np.empty((0, 64, 64), "f4"), nothing)
    assert len(none.calls) == 1


def test_zeros_are_32_bytes() -> None:
    """A chunk of zeros says no more than that; so do those of other values of blosc2's."""
    zeros = np.zeros((6, 50), "f4")
    coder = FrameChunkCoder(spec_of(zeros), (4, 20), LZ4)
    part = (slice(5, 6, 1), slice(0, 50, 7))
    data = bytes(coder.encode(zeros))
    assert len(data) == 32
    full = blosc2.full((6, 50), 7, np.dtype("f4"), chunks=(6, 50), blocks=(4, 20))
    nans = blosc2.nans((6, 50), np.dtype("f4"), chunks=(6, 50), blocks=(4, 20))
    for value, chunk in (
        (0, data),
        (0, data[:31] + b"\x40"),
        (7, bytes(full.schunk.get_chunk(0))),
        (np.nan, bytes(nans.schunk.get_chunk(0))),
    ):
        assert same(coder.decode(chunk), np.full((6, 50), value, "f4"))
        assert same(part_of(coder, chunk, part), np.full((1, 8), value, "f4"))


@pytest.mark.parametrize("dtype", [">f8", ">i2"])
def test_big_endian(dtype: str) -> None:
    """Elements are stored in the byte order of the array."""
    chunk = np.arange(60, dtype=dtype).reshape(6, 10)
    coder = FrameChunkCoder(spec_of(chunk), (2, 10), LZ4)
    data = bytes(coder.encode(chunk))
    assert same(coder.decode(data), chunk)
    expected = np.empty(chunk.nbytes, "u1")
    blosc2.decompress2(data, expected, nthreads=1)
    assert expected.tobytes() == chunk.tobytes()


def test_any_damage_is_noticed() -> None:
    """Of no byte that matters to a part can a bit change unnoticed; nor one of the whole."""
    chunk = random_chunk(np.dtype("i2"), (6, 8), span=3)
    coder = FrameChunkCoder(spec_of(chunk), (2, 3), LZ4)
    data = bytes(coder.encode(chunk))
    part = (slice(3, 4, 1), slice(2, 3, 1))
    noticed = 0
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError):
            coder.decode(bytes(damaged))
        try:
            assert same(part_of(coder, bytes(damaged), part), chunk[part].copy())
        except CodecError:
            noticed += 1
    assert 0 < noticed < 8 * len(data)


@pytest.mark.parametrize("shape", [(6, 8), (60, 80)], ids=["small", "large"])
def test_cut_off(shape: Shape) -> None:
    """A chunk that ends before the blocks of a part is an error, never data."""
    chunk = random_chunk(np.dtype("i4"), shape)
    coder = FrameChunkCoder(spec_of(chunk), (2, shape[1]), LZ4)
    stored = blosc2.asarray(chunk, chunks=shape, blocks=(2, shape[1]))
    part = (slice(shape[0] - 1, shape[0], 1), slice(2, 3, 1))
    out = np.empty((1, 1), "i4")
    for data in (bytes(coder.encode(chunk)), bytes(stored.schunk.get_chunk(0))):
        for end in (0, 16, 31, 32, 40, len(data) // 2, len(data) - 1):
            with pytest.raises(CodecError):
                coder.decode(data[:end])
            with pytest.raises(CodecError):
                coder.decode_into(data[:end], out, part)
            with pytest.raises(CodecError):
                coder.read_part(Fetcher(data[:end]), out, part)
        with pytest.raises(CorruptFrameError):
            coder.decode(data + b"\0")


def test_what_cannot_be() -> None:
    """Blocks that do not fit, chunks too large, other shapes and types are refused by name."""
    spec = spec_of(np.zeros((6, 8), "f4"))
    for blocks in ((6,), (7, 8), (6, 8, 1)):
        with pytest.raises(MetadataError, match="blocks"):
            FrameChunkCoder(spec, blocks, LZ4)
    huge = ChunkSpec((1 << 20, 1 << 12), np.dtype("i1"), np.int8(0))
    with pytest.raises(MetadataError, match="too large"):
        FrameChunkCoder(huge, (1, 1), LZ4)
    with pytest.raises(CodecError, match="shape"):
        FrameChunkCoder(spec, (2, 8), LZ4).encode(np.zeros((8, 6), "f4"))


def test_settings_that_cannot_be_written_can_be_read() -> None:
    """A frame may name a plugin, and yet have chunks that were made without it."""
    chunk = CUBE[0]
    spec = spec_of(chunk)
    data = FrameChunkCoder(spec, (32, 64), LZ4).encode(chunk)
    coder = FrameChunkCoder(spec, (32, 64), CParams(codec=37))
    assert same(coder.decode(data), chunk)
    with pytest.raises(MetadataError, match="codec: expected one of"):
        coder.encode(chunk)


@settings(max_examples=150)
@given(st.data(), chunks(), params())
def test_any_part_of_any_chunk_is_written_over(
    data: Any, chunk: AnyArray, cparams: CParams
) -> None:
    """What is written over a part is there, all else is as it was; None is all zeros."""
    blocks = tuple(data.draw(st.integers(1, n)) for n in chunk.shape)
    coder = FrameChunkCoder(spec_of(chunk), blocks, cparams)
    part = data.draw(parts(chunk.shape))
    zeros = data.draw(st.booleans())
    other = chunk[::-1] if chunk.ndim else chunk
    values = np.zeros((), chunk.dtype) if zeros else np.array(take(other, part), chunk.dtype)
    expected = chunk.copy()
    put(expected, part, values)
    encoded: Any = bytes(coder.encode(chunk))
    for _ in range(2):  # what was put together of blocks is written over like any other
        encoded = coder.update(encoded, part, values)
        if encoded is None:
            assert same(expected, np.zeros_like(expected))
            return
        assert same(coder.decode(encoded), expected)


@pytest.mark.parametrize("codec", list(Codec), ids=str)
@pytest.mark.parametrize("filters", ["none", "shuffle", "bitshuffle", "bytedelta"])
def test_blosc2_reads_chunks_of_old_and_new_blocks(codec: Codec, filters: str) -> None:
    """Blocks that were encoded at different times make one chunk to blosc2."""
    coder = FrameChunkCoder(spec_of(CUBE), (1, 32, 64), CParams(codec, 5, *FILTERS[filters]))
    part = (slice(3, 30, 9), slice(2, 3, 1), slice(0, 64, 1))
    expected = CUBE.copy()
    expected[part] = 0.25
    old = bytes(coder.encode(CUBE))
    new = coder.update(old, part, np.array(0.25, "f4"))
    assert new is not None
    assert blosc2.decompress2(bytes(new)) == expected.tobytes()


def test_blocks_that_stay_are_not_touched() -> None:
    """Damage to a block neither hinders that another is written over, nor is it made good."""
    data = bytearray(CUBE_CODER.encode(CUBE))
    data[-1] ^= 1
    one = (slice(9, 10, 1), slice(40, 41, 1), slice(5, 6, 1))
    changed = CUBE_CODER.update(data, one, np.array(0.25, "f4"))
    assert changed is not None
    out = np.zeros((1, 1, 1), "f4")
    CUBE_CODER.decode_into(changed, out, one)
    assert out == 0.25
    with pytest.raises(ChecksumError, match="block 63"):
        CUBE_CODER.decode(changed)


def test_damage_is_not_written_back() -> None:
    """Where the block that is written over, or the head, is damaged, or bytes are missing, nothing
    is made of the chunk."""
    data = bytes(CUBE_CODER.encode(CUBE))
    last = (slice(31, 32, 1), slice(40, 41, 1), slice(5, 6, 1))
    value = np.array(0.25, "f4")
    for place in (-1, 33, 400):
        damaged = bytearray(data)
        damaged[place] ^= 1
        with pytest.raises(CodecError):
            CUBE_CODER.update(damaged, last, value)
    with pytest.raises(CodecError):
        CUBE_CODER.update(data[:-1], (slice(0, 1, 1),) * 3, value)


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.LZ4HC, Codec.BLOSCLZ], ids=str)
def test_settings_may_have_changed_meanwhile(codec: Codec) -> None:
    """Chunks in which the new blocks cannot stand beside the old ones are encoded as a whole."""
    coder = FrameChunkCoder(
        spec_of(CUBE), (1, 32, 64), CParams(codec, 1, (Filter.BITSHUFFLE,), (0,))
    )
    expected = CUBE.copy()
    expected[0, 0, 0] = 0.25
    changed = coder.update(CUBE_CODER.encode(CUBE), (slice(0, 1, 1),) * 3, np.array(0.25, "f4"))
    assert changed is not None
    assert same(coder.decode(changed), expected)


@pytest.mark.parametrize(
    "cparams",
    [CParams(Codec.LZ4, 5, *FILTERS["delta"]), CParams(Codec.ZSTD, 5, usedict=True)],
    ids=["delta", "dictionary"],
)
def test_blocks_that_depend_on_others_are_not_replaced(cparams: CParams) -> None:
    """Where blocks need the first one, or a dictionary, the chunk is encoded as a whole."""
    coder = FrameChunkCoder(spec_of(CUBE), (1, 32, 64), cparams)
    expected = CUBE.copy()
    expected[:2, :5] = 0.25
    part = (slice(0, 2, 1), slice(0, 5, 1), slice(0, 64, 1))
    changed = coder.update(coder.encode(CUBE), part, np.array(0.25, "f4"))
    assert changed is not None
    assert same(coder.decode(changed), expected)
    assert bytes(changed) == bytes(coder.encode(expected))


def test_chunks_of_blocks_do_not_grow_beyond_what_is_stored() -> None:
    """What has become as large as without compression is stored so, as if encoded at once."""
    chunk = np.random.default_rng(0).integers(0, 256, (64, 8192), "u1")
    coder = FrameChunkCoder(spec_of(chunk), (1, 8192), CParams(Codec.LZ4, 5, (), ()))
    last = chunk[63:].copy()
    last[:, :256] = 0
    chunk[63] = 0
    data = coder.encode(chunk)
    assert len(data) < chunk.nbytes
    changed = coder.update(data, (slice(63, 64, 1), slice(0, 8192, 1)), last)
    chunk[63] = last
    assert changed is not None
    assert bytes(changed) == bytes(coder.encode(chunk))
