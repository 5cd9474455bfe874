"""Frames of blosc2's own are read, whatever they are made of."""

from __future__ import annotations

import blosc2
import numpy as np
import pytest
from blosc2 import Codec
from frame_samples import Stock, all_settings, cparams, patched, special, stock
from hypothesis import given, settings
from hypothesis import strategies as st

from storekit.errors import CodecError, CorruptFrameError
from storekit.frames.b2nd import B2ND, B2ndMeta, pack_b2nd
from storekit.frames.layout import (
    MIN_HEADER,
    NANS,
    TRAILER,
    UNINIT,
    ZEROS,
    pack_header,
    pack_index,
    pack_metalayers,
    parse_header,
)
from storekit.frames.read import read_frame
from storekit.typing import AnyArray

SMOOTH = (np.arange(6000).reshape(30, 20, 10) // 3).astype("f4")


def read(saved: Stock) -> AnyArray:
    """The array in a frame."""
    return read_frame(saved.frame, saved.array.shape, saved.array.dtype)


def check(saved: Stock) -> None:
    """A frame is read as blosc2 reads it, to the bit."""
    array = read(saved)
    assert array.dtype == saved.array.dtype
    assert array.shape == saved.array.shape
    assert array.tobytes() == saved.array.tobytes()


@pytest.mark.parametrize(("codec", "filters", "clevel"), all_settings(), ids=str)
def test_compressors_and_filters(codec: Codec, filters: str, clevel: int) -> None:
    """All compressors, filters and levels, in one chunk and in many."""
    check(stock(SMOOTH, codec, filters, clevel))
    check(stock(SMOOTH, codec, filters, clevel, chunks=(11, 20, 3), blocks=(4, 7, 3)))


@pytest.mark.parametrize("codec", [Codec.LZ4, Codec.ZSTD])
def test_dictionaries(codec: Codec) -> None:
    """Blocks that share a dictionary."""
    params = cparams(codec, "shuffle", 5, use_dict=True)
    array = blosc2.asarray(SMOOTH, cparams=params, chunks=(30, 20, 10), blocks=(3, 20, 10))
    check(Stock(array.to_cframe(), SMOOTH))


@pytest.mark.parametrize("mode", blosc2.SplitMode)
def test_split_modes(mode: blosc2.SplitMode) -> None:
    """Blocks whose bytes are compressed apart, and those where they are not."""
    params = cparams(Codec.ZSTD, "shuffle", 5, splitmode=mode)
    check(Stock(blosc2.asarray(SMOOTH, cparams=params).to_cframe(), SMOOTH))


@pytest.mark.parametrize(
    "dtype",
    [
        *("?", "i1", "u2", ">i4", "<i8", "f2", ">f8", "c16", "M8[ns]", "m8[D]", "S5", "U3", "V7"),
        *([("a", "u1"), ("b", ">f8")], [("x", [("y", "f4")], (2,)), ("z", "S3")]),
    ],
    ids=str,
)
def test_types(dtype: object) -> None:
    """Every type that blosc2 writes, in either byte order."""
    array = np.zeros((5, 7), dtype)
    array.view("u1")[:, ::3] = 1
    if array.dtype.kind == "U":
        array[...] = "é"
    check(stock(array, chunks=(2, 7)))


@pytest.mark.parametrize("name", special((10, 9), (4, 5)))
def test_chunks_that_are_not_stored(name: str) -> None:
    """Zeros, NaN, a value, and whatever; in all chunks or in some."""
    saved = special((10, 9), (4, 5))[name]
    if name == "uninit":
        assert read(saved).shape == (10, 9)
    else:
        check(saved)


@pytest.mark.parametrize("seed", range(5))
def test_frames_that_were_changed(seed: int) -> None:
    """Frames that blosc2 has written to in place."""
    check(patched(SMOOTH, seed, chunks=(7, 20, 4), blocks=(2, 9, 4)))


def test_other_metalayers() -> None:
    """Metalayers of other software, of both kinds, are read past."""
    array = blosc2.asarray(SMOOTH, meta={"mine": {"a": 1}, "b": [1, 2]})
    array.schunk.vlmeta["theirs"] = "x" * 1000
    check(Stock(array.to_cframe(), SMOOTH))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (2,) * 8, (100_000,)], ids=str)
def test_shapes(shape: tuple[int, ...]) -> None:
    """No dimensions, no elements, many dimensions, many elements."""
    check(stock(np.arange(np.prod(shape), dtype="i4").reshape(shape)))


@settings(max_examples=100)
@given(data=st.data(), dtype=st.sampled_from(["u1", "i2", "f8"]))
def test_chunks_and_blocks_of_any_shape(data: st.DataObject, dtype: str) -> None:
    """Chunks that do not divide the array, blocks that do not divide the chunks."""
    shape = tuple(data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=4)))
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    blocks = tuple(data.draw(st.integers(1, n)) for n in chunks)
    array = np.arange(np.prod(shape)).astype(dtype).reshape(shape)
    check(stock(array, chunks=chunks, blocks=blocks))


def test_views_of_bytes() -> None:
    """A frame may be given as any bytes, of any alignment."""
    saved = stock(SMOOTH)
    for shift in range(8):
        view = memoryview(b"x" * shift + saved.frame)[shift:]
        assert (read_frame(view, SMOOTH.shape, SMOOTH.dtype) == SMOOTH).all()


def test_raw_bytes_for_structs() -> None:
    """Elements that the frame calls raw bytes are what is expected, if the size is right."""
    array = np.ones(4, [("a", "u1"), ("b", "f4")])
    saved = stock(array.view("V5"))
    assert (read_frame(saved.frame, (4,), array.dtype) == array).all()
    with pytest.raises(CodecError, match="type"):
        read_frame(saved.frame, (4,), np.dtype("V6"))


@pytest.mark.parametrize("dtype", ["<M8", [("a", "u1"), ("b", "<m8", (2,))]], ids=str)
def test_what_numpy_misreads(dtype: object) -> None:
    """Times without a unit in foreign byte order, which numpy does not swap, are refused."""
    array = np.zeros(4, dtype)
    frame = stock(array).frame
    assert read_frame(frame, (4,), array.dtype).dtype == array.dtype
    frame = frame.replace(b"<M8", b">M8").replace(b"<m8", b">m8")
    with pytest.raises(CodecError, match="byte order"):
        read_frame(frame, (4,), array.dtype)


@pytest.mark.parametrize(
    "frame",
    [
        blosc2.SChunk(data=b"x" * 1000).to_cframe(),
        b"",
        b"\x9e\xa8b2frame\0",
        bytes(1000),
        b"\x93NUMPY" + bytes(200),
    ],
    ids=["no array", "nothing", "magic bytes only", "zeros", "npy"],
)
def test_no_arrays(frame: bytes) -> None:
    """What is no frame, or one without an array, is refused."""
    with pytest.raises(CorruptFrameError):
        read_frame(frame, (10,), np.dtype("u1"))


def test_sparse_frames(tmp_path: object) -> None:
    """The head of a frame that is a directory is refused."""
    path = f"{tmp_path}/array.b2nd"
    blosc2.asarray(SMOOTH, urlpath=path, contiguous=False)
    with open(f"{path}/chunks.b2frame", "rb") as file:
        frame = file.read()
    with pytest.raises(CorruptFrameError, match="kind"):
        read_frame(frame, SMOOTH.shape, SMOOTH.dtype)


@pytest.mark.parametrize("junk", [b"!", bytes(100)], ids=len)
def test_bytes_behind(junk: bytes) -> None:
    """A frame is as long as it says."""
    with pytest.raises(CorruptFrameError):
        read_frame(stock(SMOOTH).frame + junk, SMOOTH.shape, SMOOTH.dtype)


def test_cut_off() -> None:
    """A frame that is cut off anywhere is refused."""
    saved = stock(SMOOTH[:3, :4], chunks=(2, 3, 10))
    for end in range(len(saved.frame)):
        with pytest.raises(CodecError):
            read_frame(saved.frame[:end], saved.array.shape, saved.array.dtype)


def test_plugins_are_not_run() -> None:
    """Compressors that blosc2 would load from elsewhere are refused, not run."""
    params = {"codec": Codec.NDLZ, "filters": [blosc2.Filter.NOFILTER], "filters_meta": [0]}
    array = np.zeros((64, 64), "u1") + np.arange(64, dtype="u1") // 9
    saved = blosc2.asarray(array, cparams={**params, "codec_meta": 4})
    with pytest.raises(CodecError, match="compressor"):
        read_frame(saved.to_cframe(), (64, 64), np.dtype("u1"))


PAIR = stock(SMOOTH, chunks=(20, 20, 10))
"""A frame of two chunks."""


def changed(**fields: int) -> bytes:
    """The frame with other values in its header."""
    header = parse_header(PAIR.frame)
    section = PAIR.frame[MIN_HEADER : header.header_len]
    return pack_header(header._replace(**fields), section) + PAIR.frame[header.header_len :]


def indexed(*offsets: int) -> bytes:
    """The frame with another index."""
    header = parse_header(PAIR.frame)
    body = header.header_len + header.cbytes
    index = blosc2.compress2(np.array(offsets, "<i8"), typesize=8, nthreads=1)
    size = body + len(index) + len(TRAILER)
    section = PAIR.frame[MIN_HEADER : header.header_len]
    head = pack_header(header._replace(frame_len=size), section)
    return head + PAIR.frame[header.header_len : body] + index + TRAILER


def test_another_index() -> None:
    """Chunks are where the index says, in any order."""
    header = parse_header(PAIR.frame)
    second = int.from_bytes(PAIR.frame[header.header_len + 12 :][:4], "little")
    assert (read_frame(indexed(0, second), SMOOTH.shape, SMOOTH.dtype) == SMOOTH).all()
    swapped = read_frame(indexed(second, 0), SMOOTH.shape, SMOOTH.dtype)
    assert (swapped[20:] == SMOOTH[:10]).all()


@pytest.mark.parametrize(
    "frame",
    [
        changed(chunksize=1),
        changed(blocksize=4),
        indexed(0),
        indexed(0, 0, 0),
        indexed(0, -1),
        indexed(0, 1),
        indexed(0, 1 << 40),
        indexed(0, -(1 << 63)),
        indexed(0, UNINIT + 1),
    ],
    ids=range(9),
)
def test_what_does_not_agree(frame: bytes) -> None:
    """Header, metalayer and index must say the same, and of what is there."""
    with pytest.raises(CodecError):
        read_frame(frame, SMOOTH.shape, SMOOTH.dtype)


def test_no_index() -> None:
    """A frame whose chunks leave no room for an index is refused."""
    header = parse_header(PAIR.frame)
    room = header.frame_len - header.header_len - len(TRAILER)
    with pytest.raises(CorruptFrameError, match="no index"):
        read_frame(changed(cbytes=room), SMOOTH.shape, SMOOTH.dtype)


def test_nan_of_what_is_no_float() -> None:
    """Chunks of NaN are refused where elements cannot be NaN."""
    frame = stock(np.zeros((4, 4), "V3"), chunks=(4, 4)).frame
    assert pack_index(ZEROS) in frame
    with pytest.raises(CorruptFrameError):
        read_frame(frame.replace(pack_index(ZEROS), pack_index(NANS)), (4, 4), np.dtype("V3"))


def test_little_bytes_that_state_much() -> None:
    """A small frame of a small array cannot make storekit allocate gigabytes."""
    frame = blosc2.zeros((1 << 27,), np.dtype("f8"), chunks=(1 << 27,)).to_cframe()
    header = parse_header(frame)
    content = pack_b2nd(B2ndMeta((4,), (1 << 27,), (1 << 27,), np.dtype("f8")))
    section = pack_metalayers({B2ND: content})
    forged = pack_header(
        header._replace(blocksize=1 << 30, chunksize=1 << 30, nbytes=1 << 30), section
    )
    with pytest.raises(CorruptFrameError, match="bytes in an array of shape"):
        read_frame(forged + frame[header.header_len :], (4,), np.dtype("f8"))
