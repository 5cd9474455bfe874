"""Checksums in blosc2 chunks: blosc2 reads past them, and no damage is overlooked."""

from __future__ import annotations

from typing import Any

import blosc2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storekit.errors import ChecksumError, CodecError, CorruptFrameError
from storekit.frames.chunk import unchecked_decompress_into
from storekit.frames.chunkseal import (
    read_head,
    repeated,
    seal_chunk,
    verify_chunk,
)
from storekit.frames.head import Head
from storekit.frames.join import MARK, head_size
from storekit.frames.params import Codec, CParams, Filter
from storekit.typing import AnyArray

SAMPLES: dict[str, AnyArray] = {
    "smooth": np.arange(256, dtype="i4") // 3,
    "random": np.random.default_rng(0).integers(0, 1 << 32, 256, "u4"),
    "half random": np.random.default_rng(0).integers(0, 1 << 16, 256, "u4"),
    "constant": np.full(256, 7, "i4"),
}
SETTINGS: dict[str, CParams] = {
    "zstd": CParams(),
    "lz4, not shuffled": CParams(codec=Codec.LZ4, filters=()),
    "delta": CParams(filters=(3, 1), filtersmeta=(0, 0)),
    "bytedelta first": CParams(codec=Codec.LZ4, filters=(35, 1), filtersmeta=(4, 0)),
    "stored": CParams(clevel=0),
    "stored differences": CParams(clevel=0, filters=(3,), usedict=True),
    "dictionary": CParams(usedict=True, clevel=5),
}
every_sample = pytest.mark.parametrize("content", SAMPLES.values(), ids=list(SAMPLES))
every_setting = pytest.mark.parametrize("cparams", SETTINGS.values(), ids=list(SETTINGS))


def compressed(content: AnyArray, cparams: CParams, blocksize: int = 256) -> bytes:
    """A chunk of blosc2's."""
    settings = cparams.compress_args(content.dtype.itemsize, blocksize)
    chunk: bytes = blosc2.compress2(content, **settings)
    return chunk


def sealed(content: AnyArray, cparams: CParams, blocksize: int = 256) -> bytes:
    """A chunk with checksums."""
    return seal_chunk(compressed(content, cparams, blocksize))


def opened(data: bytes, content: AnyArray, blocksize: int = 256) -> bytes:
    """The content of a chunk, as a careful reader finds it."""
    element = repeated(data, content.nbytes, content.dtype)
    if element is not None:
        return np.full(content.shape, element).tobytes()
    verify_chunk(data, content.nbytes, blocksize)
    out = np.empty(content.nbytes, np.uint8)
    unchecked_decompress_into(data, out)
    return out.tobytes()


def blocks_of(data: bytes, head: Head, numbers: list[int]) -> bytes:
    """Some blocks of a chunk, from their ranges."""
    needed = head.needed(numbers)
    excerpt = head.excerpt(needed, [data[a:b] for a, b in head.ranges(needed)])
    if head.memcpyed:
        return excerpt
    out = np.empty(int.from_bytes(excerpt[4:8], "little"), np.uint8)
    unchecked_decompress_into(excerpt, out)
    return out[(len(needed) - len(numbers)) * 256 :].tobytes()


def with_dictionary() -> tuple[AnyArray, bytes]:
    """Content of which blosc2 makes a chunk with a dictionary; that chunk."""
    content = np.arange(20000, dtype="i4") * 7919 % 10007
    chunk = compressed(content, SETTINGS["dictionary"], 4096)
    assert chunk[31] & 1
    assert int.from_bytes(chunk[32 + 4 * 20 : 36 + 4 * 20], "little") > 0
    return content, chunk


@every_sample
@every_setting
def test_blosc2_reads_past_the_seal(content: AnyArray, cparams: CParams) -> None:
    """Of a sealed chunk blosc2 makes what it was made of, whole and appended to an SChunk."""
    data = sealed(content, cparams)
    out = np.empty_like(content)
    blosc2.decompress2(data, out, nthreads=1)
    assert out.tobytes() == content.tobytes() == opened(data, content)
    assert data[head_size(4) - 4 * 4 - 8 :].startswith(MARK)
    schunk = blosc2.SChunk(
        chunksize=content.nbytes, data=content, cparams={"typesize": 4, "blocksize": 256}
    )
    schunk.update_chunk(0, data)
    assert bytes(schunk.get_chunk(0)) == data
    assert schunk.decompress_chunk(0) == content.tobytes()
    if 3 not in cparams.filters:  # of its own differences blosc2 reads slices wrongly, too
        assert schunk.get_slice(65, 70) == content[65:70].tobytes()


@every_sample
@every_setting
def test_some_blocks(content: AnyArray, cparams: CParams) -> None:
    """Any blocks are decoded from the head and their own ranges, sealed or not."""
    chunk = compressed(content, cparams)
    for data in (chunk, seal_chunk(chunk)):
        head = read_head(data[: head_size(4)], content.nbytes, 256)
        assert head is not None
        assert (head.sums is None) == (data is chunk)
        for numbers in ([0], [2], [1, 2], [0, 3], [0, 1, 2, 3]):
            expected = b"".join(content.tobytes()[256 * i : 256 * i + 256] for i in numbers)
            assert blocks_of(data, head, numbers) == expected


@every_sample
@every_setting
def test_any_changed_byte_is_noticed(content: AnyArray, cparams: CParams) -> None:
    """No byte of a sealed chunk can become another one, in none of eight ways."""
    data = sealed(content, cparams)
    for place in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            with pytest.raises((ChecksumError, CorruptFrameError)):
                opened(bytes(damaged), content)


def test_any_damage_to_a_head_with_a_dictionary_is_noticed() -> None:
    """No bit of the head can change, nor can the number of bytes that the dictionary has."""
    content, chunk = with_dictionary()
    data = seal_chunk(chunk)
    for place in range(int.from_bytes(data[32:36], "little")):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            with pytest.raises((ChecksumError, CorruptFrameError)):
                opened(bytes(damaged), content, 4096)


def test_stored_blocks_are_plain() -> None:
    """The header of a chunk in stored blocks speaks of no filters, and of no dictionary."""
    content = np.random.default_rng(0).integers(0, 1 << 32, 20000, "u4")
    cparams = CParams(filters=(Filter.DELTA, Filter.SHUFFLE), filtersmeta=(0, 0), usedict=True)
    chunk = compressed(content, cparams, 4096)
    assert (chunk[2] & 0xA, chunk[31] & 1) == (0xA, 1)
    data = seal_chunk(chunk)
    assert (data[2] & 0xA, data[31] & 1) == (0, 0)
    assert data[16:22] == data[24:30] == bytes(6)
    assert opened(data, content, 4096) == content.tobytes()


@every_setting
def test_cut_or_continued(cparams: CParams) -> None:
    """No byte can be missing at the end of a chunk, or be too many."""
    content = SAMPLES["half random"]
    data = sealed(content, cparams)
    for end in range(len(data)):
        with pytest.raises((ChecksumError, CorruptFrameError)):
            opened(data[:end], content)
    with pytest.raises(CorruptFrameError):
        opened(data + b"\0", content)
    head = read_head(data, content.nbytes, 256)
    assert head is not None
    pieces = [data[a:b] for a, b in head.ranges([1, 3])]
    with pytest.raises(CorruptFrameError, match="expected"):
        head.excerpt([1, 3], [pieces[0], pieces[1][:-1]])
    with pytest.raises(ChecksumError, match="block 3"):
        head.excerpt([1, 3], [pieces[0], bytes([pieces[1][0] ^ 1]) + pieces[1][1:]])


def test_stored_and_sealed_chunks_differ_in_size() -> None:
    """
    A compressed chunk that would be as large as one stored as it is, is written in stored blocks:
    otherwise one changed flag would make other data of it.
    """
    rng = np.random.default_rng(0)
    sizes = set()
    for zeros in range(300):
        content = rng.integers(0, 256, 512, "u1")
        content[:zeros] = 0
        data = sealed(content, CParams(codec=Codec.LZ4, filters=()), 256)
        sizes.add(len(data))
        assert len(data) != 32 + content.nbytes
        assert opened(data, content) == content.tobytes()
    assert min(sizes) < 32 + 512 < max(sizes)
    assert 32 + 512 - 1 in sizes or 32 + 512 + 1 in sizes


def test_dictionaries() -> None:
    """Blocks with a common dictionary are read by themselves, sealed or not; it is checked."""
    content, chunk = with_dictionary()
    first = int.from_bytes(chunk[32:36], "little")
    for data in (chunk, seal_chunk(chunk)):
        gap = len(data) - len(chunk)
        assert opened(data, content, 4096) == content.tobytes()
        assert read_head(data[: head_size(20)], content.nbytes, 4096) is None
        head = read_head(data[: first + gap], content.nbytes, 4096)
        assert head is not None
        excerpt = head.excerpt([3, 7], [data[a:b] for a, b in head.ranges([3, 7])])
        out = np.empty((2, 1024), "i4")
        blosc2.decompress2(excerpt, out, nthreads=1)
        assert (out == content[: 19 * 1024].reshape(19, 1024)[[3, 7]]).all()
    for size in (-1, 0, first, 1 << 30):
        damaged = bytearray(chunk)
        damaged[32 + 80 : 36 + 80] = size.to_bytes(4, "little", signed=True)
        with pytest.raises(CorruptFrameError, match="dictionary"):
            opened(bytes(damaged), content, 4096)


def test_blocks_in_any_order() -> None:
    """Blocks that threads have stored in another order than that of their numbers are found."""
    content = SAMPLES["smooth"]
    chunk = compressed(content, SETTINGS["zstd"])
    starts = np.frombuffer(chunk, "<i4", 4, 32)
    ends = [*starts[1:].tolist(), len(chunk)]
    body, places = b"", {}
    for number in (2, 0, 3, 1):
        places[number] = int(starts[0]) + len(body)
        body += chunk[starts[number] : ends[number]]
    table = np.array([places[i] for i in range(4)], "<i4").tobytes()
    shuffled = chunk[:32] + table + body
    for data in (shuffled, seal_chunk(shuffled)):
        assert opened(data, content) == content.tobytes()
        head = read_head(data, content.nbytes, 256)
        assert head is not None
        for numbers in ([0], [1], [0, 3], [0, 2, 3], [0, 1, 2, 3]):
            expected = b"".join(content.tobytes()[256 * i : 256 * i + 256] for i in numbers)
            assert blocks_of(data, head, numbers) == expected
        assert len(head.ranges([0, 3])) == 1
        assert len(head.ranges([0, 1])) == 2
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 4
        with pytest.raises((ChecksumError, CorruptFrameError)):
            opened(bytes(damaged), content)


def test_a_gap_of_others_is_no_seal() -> None:
    """A gap before the blocks that is not as long as a seal says nothing."""
    content = SAMPLES["smooth"]
    chunk = compressed(content, SETTINGS["zstd"])
    starts = np.frombuffer(chunk, "<i4", 4, 32)
    for gap in (1, 23, 25):
        header = chunk[:12] + (len(chunk) + gap).to_bytes(4, "little") + chunk[16:32]
        data = header + (starts + gap).astype("<i4").tobytes() + bytes(gap) + chunk[48:]
        assert opened(data, content) == content.tobytes()
        head = read_head(data, content.nbytes, 256)
        assert head is not None
        assert head.sums is None
        assert blocks_of(data, head, [1, 3]) == content[64:128].tobytes() + content[192:].tobytes()


def test_a_short_last_block() -> None:
    """Chunks that are no multiple of their blocks, as in plain SChunks, are sealed, too."""
    for content in (np.arange(200, dtype="i4"), SAMPLES["random"][:200]):
        data = sealed(content, CParams())
        assert len(content.tobytes()) % 256
        assert opened(data, content) == content.tobytes()
        schunk = blosc2.SChunk(chunksize=1024, cparams={"typesize": 4, "blocksize": 256})
        schunk.append_data(content)
        schunk.update_chunk(0, data)
        assert schunk.decompress_chunk(0) == content.tobytes()


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8", "c16", "S3"])
def test_chunks_without_blocks(dtype: str) -> None:
    """Chunks of zeros, of NaN, of one value and of any are read as what they stand for."""
    kind = np.dtype(dtype)
    made = {
        "zeros": blosc2.zeros(40, kind, chunks=40, blocks=10),
        "full": blosc2.full(40, b"abc" if kind.kind == "S" else 7, kind, chunks=40, blocks=10),
    }
    if kind.kind == "f":
        made["nans"] = blosc2.nans(40, kind, chunks=40, blocks=10)
    for array in made.values():
        data = bytes(array.schunk.get_chunk(0))
        assert opened(data, np.empty(40, kind)) == array[...].tobytes()
        assert read_head(data, kind.itemsize * 40, kind.itemsize * 10) is None
        with pytest.raises(CorruptFrameError):
            verify_chunk(data, kind.itemsize * 40, kind.itemsize * 10)
        for damaged in (data[:-1], data + b"\0"):
            with pytest.raises(CorruptFrameError):
                opened(damaged, np.empty(40, kind))
    uninit = bytearray(bytes(made["zeros"].schunk.get_chunk(0)))
    uninit[31] = 0x40
    assert opened(bytes(uninit), np.empty(40, kind)) == bytes(kind.itemsize * 40)


def test_a_sealed_chunk_is_no_repeated_value() -> None:
    """A sealed chunk as large as one that repeats a value is not one, whatever its flags say."""
    rng, kind, found = np.random.default_rng(0), np.dtype("S100"), 0
    for zeros in range(1, 160):
        content = rng.integers(1, 256, 200, "u1")
        content[:zeros] = 0
        data = bytearray(sealed(content.view(kind), CParams(codec=Codec.LZ4, filters=()), 200))
        if len(data) == 32 + 100:
            found += 1
            data[31] = 0x30
            with pytest.raises(CorruptFrameError):
                repeated(bytes(data), 200, kind)
    assert found


def test_impossible_chunks_without_blocks() -> None:
    """NaN of integers' size, a value of another size than the elements, unknown kinds: refused."""
    zeros = bytes(blosc2.compress2(np.zeros(64, "i2"), typesize=2, blocksize=64, nthreads=1))
    assert seal_chunk(zeros) == zeros
    assert repeated(zeros, 128, np.dtype("i2")) == 0
    for special in (2, 3, 5, 7):
        damaged = zeros[:31] + bytes([special << 4])
        with pytest.raises(CorruptFrameError):
            repeated(damaged, 128, np.dtype("i2"))
    value = zeros[:12] + (34).to_bytes(4, "little") + zeros[16:31] + b"\x30ab"
    assert repeated(value, 128, np.dtype("S4")) == b"abab"
    for other in ("S1", "S3"):
        with pytest.raises(CorruptFrameError, match="elements"):
            repeated(value, 128, np.dtype(other))


@pytest.mark.parametrize("size", [0, 15, 16, 31, 32, 40])
def test_too_little_of_a_chunk(size: int) -> None:
    """What is too short for a head is refused, or, if more may follow, not enough yet."""
    content = SAMPLES["smooth"]
    data = sealed(content, CParams())[:size]
    if size < 32:
        with pytest.raises(CorruptFrameError):
            read_head(data, content.nbytes, 256)
    else:
        assert read_head(data, content.nbytes, 256) is None
    with pytest.raises(CorruptFrameError):
        verify_chunk(data, content.nbytes, 256)


def test_other_sizes() -> None:
    """A chunk of other sizes than expected is refused, as is one with the header of Blosc1."""
    content = SAMPLES["smooth"]
    data = sealed(content, CParams())
    for nbytes, blocksize in ((1020, 256), (1024, 128), (1 << 30, 256)):
        with pytest.raises(CorruptFrameError, match="expected"):
            read_head(data, nbytes, blocksize)
    first = bytes(blosc2.compress(content, typesize=4))
    old = first[:2] + bytes([first[2] & ~4]) + first[3:]
    with pytest.raises(CorruptFrameError):
        read_head(old, content.nbytes, int.from_bytes(first[8:12], "little"))


@given(st.data())
def test_hostile_heads(data: Any) -> None:
    """Whatever stands in the head of a chunk without checksums, an excerpt stays in its bounds."""
    content = SAMPLES["half random"]
    chunk = bytearray(compressed(content, data.draw(st.sampled_from(list(SETTINGS.values())))))
    for _ in range(data.draw(st.integers(1, 3))):
        chunk[data.draw(st.integers(0, 63))] = data.draw(st.integers(0, 255))
    try:
        head = read_head(bytes(chunk), content.nbytes, 256, len(chunk))
        if head is not None:
            assert all(
                32 <= a < b <= len(chunk) for a, b in zip(head.starts, head.ends, strict=True)
            )
            blocks_of(bytes(chunk), head, [1, 2])
    except CodecError:
        pass
