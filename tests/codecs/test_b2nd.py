"""Chunks that are .b2nd files: for blosc2 itself, for imagecodecs, and for readers of parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import blosc2
import imagecodecs
import numpy as np
import pytest
from codec_samples import FIXED, Fetcher, bound, configured, random_chunk, same, spec_of

from storekit.codecs import ChunkCoder, ChunkSpec, Pipeline
from storekit.codecs.b2nd import CNAMES, SHUFFLES, B2ndCodec
from storekit.codecs.imagecodecs import ImagecodecsB2ndCodec
from storekit.errors import ChecksumError, CodecError, MetadataError
from storekit.frames.seal import SEAL
from storekit.selection.part import Mesh, Points
from storekit.typing import AnyArray, DType

with_b2nd = pytest.mark.skipif(
    not hasattr(imagecodecs, "b2nd_decode"), reason="imagecodecs of 2026.6 or newer has b2nd"
)
BLOCKS = B2ndCodec("lz4", blocks=(1, 32, 64))


def frame(chunk: AnyArray, codec: Any = "storekit.b2nd") -> tuple[ChunkCoder, bytes]:
    """The coder and the frame of a chunk."""
    coder = bound([codec], chunk)
    data = coder.encode(chunk)
    assert data is not None
    return coder, bytes(data)


@pytest.mark.parametrize("dtype", FIXED, ids=str)
@pytest.mark.parametrize("kind", ["ragged", "random", "zeros", "0-d"])
def test_blosc2_opens_the_file(dtype: DType, kind: str, tmp_path: Path) -> None:
    """A chunk in a file of its own is an array to blosc2, of the same shape, type, content."""
    shape = () if kind == "0-d" else (5, 7, 3)
    span = {"zeros": 1, "ragged": 3}.get(kind, 256)
    chunk = random_chunk(dtype, shape, span=span)
    codec = configured("storekit.b2nd", blocks=[2, 7, 3]) if kind == "ragged" else "storekit.b2nd"
    _, data = frame(chunk, codec)
    path = tmp_path / "chunk.b2nd"
    path.write_bytes(data)
    opened = blosc2.open(str(path), mode="r")
    assert opened.shape == shape
    assert opened.dtype == dtype
    assert opened.blocks == ((2, 7, 3) if kind == "ragged" else shape)
    assert SEAL in opened.schunk.meta
    if dtype.itemsize < 256:  # blosc2 cannot read back its own arrays of larger elements
        assert same(np.asarray(opened[...], dtype), chunk)
        assert same(np.asarray(blosc2.from_cframe(data)[...], dtype), chunk)


@pytest.mark.parametrize("cname", CNAMES)
@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize("clevel", [0, 1, 9])
def test_all_settings(cname: str, shuffle: str, clevel: int) -> None:
    """Every compressor, filter and level is what blosc2 understands by it."""
    for chunk in (np.arange(6000, dtype="i4").reshape(60, 100) // 7, np.eye(50)):
        blocks = (chunk.shape[0] // 3, chunk.shape[1])
        coder = Pipeline([B2ndCodec(cname, clevel, shuffle, blocks)]).bind(spec_of(chunk))
        data = coder.encode(chunk)
        assert data is not None
        assert same(coder.decode(data), chunk)
        opened = blosc2.from_cframe(data)
        assert same(opened[...], chunk)
        cparams = opened.schunk.cparams
        assert (cparams.codec.value, cparams.clevel) == (CNAMES[cname], clevel)
        assert SHUFFLES[shuffle] in [f.value for f in cparams.filters]


def test_stock_frames_are_read() -> None:
    """A chunk may be replaced by any frame of the same array, which then has no checksums."""
    chunk = random_chunk(np.dtype("f4"), (20, 30), span=3)
    coder, _ = frame(chunk)
    stock = blosc2.asarray(chunk, chunks=(7, 30), blocks=(3, 11)).to_cframe()
    assert same(coder.decode(stock), chunk)
    out, part = np.empty((2, 3), "f4"), (slice(3, 5, 1), slice(0, 9, 3))
    coder.decode_into(stock, out, part)
    assert same(out, chunk[part].copy())
    coder.read_part(Fetcher(stock), out, part)
    assert same(out, chunk[part].copy())


def test_other_settings_are_read() -> None:
    """Frames are read whatever the settings say, and verified."""
    chunk = random_chunk(np.dtype("f4"), (20, 30), span=3)
    _, data = frame(chunk, configured("storekit.b2nd", cname="lz4", clevel=9, blocks=[5, 6]))
    coder = bound([configured("storekit.b2nd", blocks=[20, 3])], chunk)
    assert same(coder.decode(data), chunk)
    out, part = np.empty((2, 3), "f4"), (slice(3, 5, 1), slice(0, 9, 3))
    coder.read_part(Fetcher(data), out, part)
    assert same(out, chunk[part].copy())
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 16
        with pytest.raises(CodecError):
            coder.decode(bytes(damaged))


def test_changed_by_blosc2(tmp_path: Path) -> None:
    """A file that blosc2 has written to since no longer matches its checksums."""
    chunk = random_chunk(np.dtype("f4"), (20, 30), span=3)
    coder, data = frame(chunk)
    path = tmp_path / "chunk.b2nd"
    path.write_bytes(data)
    opened = blosc2.open(str(path), mode="a")
    opened[3:5, :7] = 9
    del opened
    with pytest.raises(ChecksumError):
        coder.decode(path.read_bytes())


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (np.zeros((4, 6), "f4"), "shape"),
        (np.ones((6, 4), "i4"), "type"),
        (np.ones((6, 4), "f8"), "type"),
        (np.ones(24, "f4"), "shape"),
    ],
    ids=["shape", "type", "size", "dimensions"],
)
def test_frames_of_other_arrays(other: AnyArray, match: str) -> None:
    """A frame of another array than expected is refused, whoever wrote it."""
    coder, _ = frame(np.ones((6, 4), "f4"))
    for data in (frame(other)[1], blosc2.asarray(other).to_cframe()):
        with pytest.raises(CodecError, match=match):
            coder.decode(data)


def test_big_endian_frames() -> None:
    """Frames in the other byte order are read."""
    chunk = np.linspace(0, 1, 24).reshape(4, 6)
    coder, _ = frame(chunk)
    stock = blosc2.asarray(chunk.astype(">f8")).to_cframe()
    assert b">f8" in stock
    assert same(coder.decode(stock), chunk)


class Cube:
    """A chunk of 64 blocks of a known size, and what reading parts of it costs."""

    chunk = random_chunk(np.dtype("f4"), (32, 64, 64), span=5)
    coder = Pipeline([BLOCKS]).bind(spec_of(chunk))
    data = bytes(coder.encode(chunk) or b"")

    @classmethod
    def read(cls, part: Any) -> tuple[AnyArray, Fetcher]:
        """A part, and what was fetched for it."""
        from storekit.selection.part import part_shape

        out, fetch = np.empty(part_shape(part), "f4"), Fetcher(cls.data)
        cls.coder.read_part(fetch, out, part)
        return out, fetch


def test_one_element_takes_one_block() -> None:
    """One element is read in two requests: the head, and the block that it is in."""
    out, fetch = Cube.read((slice(9, 10, 1), slice(40, 41, 1), slice(5, 6, 1)))
    assert out[0, 0, 0] == Cube.chunk[9, 40, 5]
    assert [len(call) for call in fetch.calls] == [1, 1]
    assert fetch.nbytes - 4096 < 32 * 64 * 4


def test_neighbouring_blocks_are_one_range() -> None:
    """Blocks that follow each other are one range, others one each, all in one request."""
    out, fetch = Cube.read((slice(4, 7, 1), slice(0, 64, 1), slice(0, 9, 2)))
    assert same(out, Cube.chunk[4:7, :, 0:9:2].copy())
    assert [len(call) for call in fetch.calls] == [1, 1]
    out, fetch = Cube.read((slice(4, 20, 3), slice(0, 64, 1), slice(0, 9, 2)))
    assert same(out, Cube.chunk[4:20:3, :, 0:9:2].copy())
    assert [len(call) for call in fetch.calls] == [1, 6]


def test_scattered_points_take_their_blocks() -> None:
    """Points and index arrays take the blocks that they are in."""
    points = Points(
        (0, 1, 2), (np.array([9, 3, 9]), np.array([40, 2, 63]), np.array([0, 1, 2])), ()
    )
    out, fetch = Cube.read(points)
    assert out.tolist() == Cube.chunk[[9, 3, 9], [40, 2, 63], [0, 1, 2]].tolist()
    assert [len(call) for call in fetch.calls] == [1, 2]
    mesh = Mesh((np.array([9, 3]), slice(0, 20, 1), np.array([1])))
    out, fetch = Cube.read(mesh)
    assert same(out, Cube.chunk[[9, 3], :20, 1:2].copy())
    assert [len(call) for call in fetch.calls] == [1, 2]


def test_small_and_whole_chunks_take_one_request() -> None:
    """A frame of less than the first read, and one of which all is needed, is read at once."""
    _, fetch = Cube.read(tuple(slice(0, n, 1) for n in Cube.chunk.shape))
    assert len(fetch.calls) == 1
    chunk = np.arange(400, dtype="u2").reshape(20, 20)
    coder, data = frame(chunk, configured("storekit.b2nd", blocks=[1, 20]))
    small = Fetcher(data)
    coder.read_part(small, np.empty((1, 1), "u2"), (slice(1, 2, 1), slice(1, 2, 1)))
    assert small.calls == [[(0, 4096)]]


@pytest.mark.parametrize(
    ("shape", "dtype", "blocks"),
    [
        ((64, 64, 64), "f4", (16, 64, 64)),
        ((1, 721, 1440), "f4", (1, 43, 1440)),
        ((100, 100), "u1", (100, 100)),
        ((4096, 4096), "f8", (8, 4096)),
        ((10, 500, 500), "u1", (1, 500, 500)),
        ((2, 3, 1_000_000), "f8", (1, 1, 31_250)),
        ((), "f8", ()),
        ((1_000_003,), "i8", (32_259,)),
    ],
    ids=str,
)
def test_blocks_by_default(shape: tuple[int, ...], dtype: str, blocks: tuple[int, ...]) -> None:
    """Blocks have about 256 KiB, and are in C order; what little is padded is noted."""
    evolved = B2ndCodec().evolved(ChunkSpec(shape, np.dtype(dtype), 0))
    assert evolved.blocks == blocks
    assert evolved.shuffle == ("bitshuffle" if dtype == "u1" else "shuffle")
    assert evolved.evolved(ChunkSpec(shape, np.dtype(dtype), 0)) == evolved


def test_chunks_of_zeros_are_small() -> None:
    """Zeros take a header, and no more than four bytes for each block."""
    for shape, blocks in (((10,), 1), ((1000, 1000), 40)):
        _, data = frame(np.zeros(shape))
        assert len(data) < 280 + 4 * blocks
        _, data = frame(np.full(shape, -0.0))
        assert blosc2.from_cframe(data)[...].tobytes() == np.full(shape, -0.0).tobytes()


@pytest.mark.parametrize(
    "spec",
    [
        ChunkSpec((2,) * 17, np.dtype("u1"), 0),
        ChunkSpec((1 << 16, 1 << 15), np.dtype("u1"), 0),
        ChunkSpec((2,), np.dtype({"names": ["a"], "formats": ["f4"], "offsets": [4]}), 0),
    ],
    ids=["dimensions", "2 GiB", "gaps"],
)
def test_what_blosc2_cannot_hold(spec: ChunkSpec) -> None:
    """Chunks that no frame can hold are refused when the codec is bound."""
    with pytest.raises(MetadataError):
        Pipeline([B2ndCodec()]).bind(spec)


@with_b2nd
@pytest.mark.parametrize("name", ["storekit.b2nd", "imagecodecs_b2nd"])
@pytest.mark.parametrize("dtype", [d for d in FIXED if d.fields is None], ids=str)
def test_imagecodecs_reads_and_is_read(name: str, dtype: DType) -> None:
    """imagecodecs decodes storekit's frames, and the reverse."""
    chunk = random_chunk(dtype, (6, 5), span=3)
    coder, data = frame(chunk, name)
    if dtype.itemsize < 256:
        assert same(np.asarray(imagecodecs.b2nd_decode(data)), chunk)
    for settings in (
        {},
        {"compressor": "LZ4", "shuffle": "BITSHUFFLE", "level": 9},
        {"chunkshape": (4, 2)},
        {"blockshape": (3, 3)},
        {"shuffle": "DELTA"},
    ):
        theirs = bytes(imagecodecs.b2nd_encode(chunk, **settings))
        assert same(coder.decode(theirs), chunk)


def test_imagecodecs_chunks() -> None:
    """imagecodecs decodes storekit's bare chunks, and the reverse."""
    chunk = random_chunk(np.dtype("i4"), (6, 50), span=3)
    coder = bound(["bytes", "imagecodecs_blosc2"], chunk)
    data = coder.encode(chunk)
    assert data is not None
    assert imagecodecs.blosc2_decode(bytes(data)) == chunk.tobytes()
    assert same(coder.decode(bytes(imagecodecs.blosc2_encode(chunk.tobytes()))), chunk)
    for level in (0, 9):
        settings = {"level": level, "compressor": 1, "shuffle": 2, "splitmode": 1, "numthreads": 8}
        coder = bound(["bytes", configured("imagecodecs_blosc2", **settings)], chunk)
        data = coder.encode(chunk)
        assert data is not None
        assert imagecodecs.blosc2_decode(bytes(data)) == chunk.tobytes()


def test_only_imagecodecs_own_keys() -> None:
    """Under the name of imagecodecs, metadata has its keys, and none about threads."""
    spec = ChunkSpec((64, 64), np.dtype("u1"), np.uint8(0))
    entry = configured("imagecodecs_b2nd", numthreads=4, compressor=1)
    written = Pipeline.of([entry], spec).to_json()
    assert written == [
        configured(
            "imagecodecs_b2nd",
            level=1,
            compressor="LZ4",
            shuffle="BITSHUFFLE",
            blockshape=[64, 64],
        )
    ]


@pytest.mark.parametrize("shuffle", ["DELTA", "TRUNC_PREC"])
def test_filters_that_are_only_read(shuffle: str) -> None:
    """Arrays with filters that storekit does not write can be opened, but not written to."""
    chunk = np.arange(24.0).reshape(4, 6)
    coder = bound([ImagecodecsB2ndCodec(shuffle=shuffle)], chunk)
    with pytest.raises(CodecError, match="only read"):
        coder.encode(chunk)
    delta = [blosc2.Filter.DELTA, blosc2.Filter.SHUFFLE]
    stock = blosc2.asarray(chunk, cparams={"filters": delta, "filters_meta": [0, 0]}).to_cframe()
    assert same(coder.decode(stock), chunk)
