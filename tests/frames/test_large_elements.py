"""Elements that are larger than a chunk can say, and sizes of elements that nobody has."""

from __future__ import annotations

import resource
from pathlib import Path

import blosc2
import numpy as np
import pytest
from forking import in_child

import storekit as sk
from storekit import frames
from storekit.codecs.b2nd import FrameCoder
from storekit.codecs.spec import ChunkSpec
from storekit.errors import CorruptFrameError, MetadataError
from storekit.frames.b2nd import B2ND, MAX_ITEMSIZE, B2ndMeta, pack_b2nd
from storekit.frames.chunk import BLOSC2_HEADER
from storekit.frames.index import pack_offsets
from storekit.frames.layout import (
    MIN_HEADER,
    TRAILER,
    ZEROS,
    FrameHeader,
    pack_header,
    pack_metalayers,
    parse_header,
    parse_metalayers,
)
from storekit.frames.packed import Packed, check_packed, pack
from storekit.frames.seal import SEAL, pack_seal

ROOM = 256 << 20
"""How much the address space of the process may grow."""

HUGE = (
    ("S2147483000", 2147483000),
    ("<U500000000", 2000000000),
    ("[('a', '<f8', (200000000,))]", 1600000000),
    ("[('a', [('b', '|S999999999')]), ('c', '|S999999999')]", 1999999998),
)
TEXTS = np.array([[f"{i}/{j}".encode() * 40 for j in range(8)] for i in range(10)], "S300")


def frame_of_type(text: str, itemsize: int, length: int) -> bytes:
    """A frame of zeros whose elements are said to be of a type."""
    shape, chunks = (length,), (1,)
    content = pack_b2nd(B2ndMeta(shape, chunks, chunks, np.dtype("S1")))
    content = content[: -4 - len("|S1")] + len(text).to_bytes(4, "big") + text.encode()
    layers = pack_metalayers({B2ND: content})
    index = pack_offsets(np.full(length, ZEROS, np.int64))
    size = MIN_HEADER + len(layers) + len(index) + len(TRAILER)
    nbytes = itemsize * length
    fields = FrameHeader(0, size, nbytes, 0, 1, itemsize, itemsize, 0x15, 2, bytes(16))
    return pack_header(fields, layers) + index + TRAILER


def test_the_frames_below_are_frames() -> None:
    """With a type that there is, a frame made in this way is read."""
    for length in (0, 3):
        array = frames.from_cframe(frame_of_type("|S5", 5, length))
        assert (array.dtype, array[...].tolist()) == ("S5", [b""] * length)


@pytest.mark.parametrize("length", [0, 1])
@pytest.mark.parametrize(("text", "itemsize"), HUGE)
def test_sizes_that_nobody_has(tmp_path: Path, text: str, itemsize: int, length: int) -> None:
    """What a frame says of its elements takes no memory before it is refused."""
    path = tmp_path / "a.b2nd"
    path.write_bytes(frame_of_type(text, itemsize, length))

    def work() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        for read in (sk.open, frames.open, frames.load):
            with pytest.raises(CorruptFrameError, match=f"{itemsize} bytes"):
                read(path)
        described = [("a", f"|S{itemsize}")]
        with pytest.raises(CorruptFrameError, match=f"{itemsize} bytes"):
            check_packed(("numpy", (0,), described), 0)

    assert in_child(work) == 0


def test_the_largest_elements(tmp_path: Path) -> None:
    """Elements of 16 MiB are written and read; larger ones are refused when a frame is made."""
    values = np.array([b"last" * (MAX_ITEMSIZE // 4)], f"S{MAX_ITEMSIZE}")
    frames.save(values, tmp_path / "a.b2nd")
    assert (frames.open(tmp_path / "a.b2nd")[...] == values).all()
    larger = np.dtype(f"S{MAX_ITEMSIZE + 1}")
    with pytest.raises(MetadataError, match="at most 16777216 bytes"):
        frames.zeros(2, dtype=larger)
    with pytest.raises(MetadataError, match="at most 16777216 bytes"):
        pack(Packed("numpy", (2,), larger))


def test_chunks_of_zarr_arrays_are_read_by_blosc2(tmp_path: Path) -> None:
    """A chunk of elements of any size is a file that blosc2 reads, with the size in its header."""
    store = sk.LocalStore(tmp_path)
    for size in (5, 255, 256, 300):
        texts = TEXTS.astype(f"S{size}")
        sk.ZarrArray.create(store, f"a{size}", data=texts, chunks=(10, 8), codecs="b2nd")
        path = tmp_path / f"a{size}" / "c" / "0" / "0"
        assert (blosc2.open(str(path), mode="r")[...] == texts).all()
        assert parse_header(path.read_bytes()).typesize == size
        assert (frames.open(path)[3:5] == texts[3:5]).all()


@pytest.mark.parametrize("zeros", [False, True])
def test_chunks_that_state_one_byte(zeros: bool) -> None:
    """Chunks of large elements that were written before their size was stated are read, too."""
    texts = np.zeros_like(TEXTS) if zeros else TEXTS
    spec = ChunkSpec(texts.shape, texts.dtype, np.bytes_(b""))
    coder = FrameCoder(spec, (5, 4), 5, 1, 1)
    old = bytes(coder.encode(texts))
    header = parse_header(old)
    assert header.typesize == 300
    layers = parse_metalayers(old[MIN_HEADER : header.header_len])
    chunk = np.frombuffer(old, np.uint8)[header.header_len : header.index_start]
    sums_at = layers[SEAL].start + 7
    prefix = pack_header(header._replace(typesize=1), old[MIN_HEADER : header.header_len])[:sums_at]
    count = (header.header_len - sums_at) // 4
    starts = [0] * count
    if header.cbytes:
        table = np.frombuffer(chunk, "<i4", count - 1, BLOSC2_HEADER)
        starts = [*table.tolist(), header.cbytes]
    old = prefix + pack_seal(prefix, chunk, starts) + old[header.header_len :]
    for part in (None, (slice(2, 4), slice(1, 2))):
        out = np.empty_like(texts if part is None else texts[part])
        coder.decode_into(old, out, part)
        assert (out == (texts if part is None else texts[part])).all()


@pytest.mark.parametrize("codec", [blosc2.Codec.ZSTD, blosc2.Codec.LZ4])
def test_what_should_have_had_a_dictionary(tmp_path: Path, codec: blosc2.Codec) -> None:
    """
    Chunks that blosc2 could not compress, with a dictionary or without, and then cannot decode, are
    read here: all of them, and parts.
    """
    noise = np.frombuffer(np.random.default_rng(0).bytes(4 * 128 * 128), "i4").reshape(128, 128)
    params = {"codec": codec, "clevel": 5, "use_dict": True}
    path = tmp_path / "a.b2nd"
    stock = blosc2.asarray(
        noise, chunks=(128, 128), blocks=(32, 128), cparams=params, urlpath=str(path)
    )
    with pytest.raises(RuntimeError):
        stock[...]
    array = frames.open(path, "a")
    assert (array[...] == noise).all()
    assert (array[30:70, 5] == noise[30:70, 5]).all()
    array[0, 0] = 7
    assert (array[...].ravel()[1:] == noise.ravel()[1:]).all()
    assert blosc2.open(str(path), mode="r")[0, 0] == 7
