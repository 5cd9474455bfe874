"""What storekit encodes, numcodecs decodes, and the reverse."""

from __future__ import annotations

from itertools import product
from typing import Any

import numcodecs
import numcodecs.blosc
import numpy as np
import pytest
from codec_samples import bound, configured, random_chunk
from numcodecs.vlen import VLenBytes, VLenUTF8

from storekit.typing import AnyArray

CNAMES = ("blosclz", "lz4", "lz4hc", "zlib", "zstd")
SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")


SAMPLES: dict[str, AnyArray] = {
    "one byte": np.ones(1, "u1"),
    "few values": random_chunk(np.dtype("i4"), (20, 30), span=3),
    "random": random_chunk(np.dtype("f8"), (41, 7)),
    "zeros": np.zeros((64, 65), "f4"),
    "odd size": random_chunk(np.dtype("V3"), (333,), span=2),
    "large": np.arange(300_000, dtype="i4") // 7,
}
CODECS = [
    *((configured("gzip", level=level), numcodecs.GZip(level)) for level in (0, 1, 9)),
    *(
        (configured("zstd", level=level, checksum=check), numcodecs.Zstd(level, check))
        for level, check in product((-3, 0, 1, 9), (False, True))
    ),
    *(
        (
            configured("blosc", cname=cname, clevel=level, shuffle=shuffle, typesize=4),
            numcodecs.Blosc(cname, level, SHUFFLES.index(shuffle), typesize=4),
        )
        for cname, level, shuffle in product(CNAMES, (0, 1, 9), SHUFFLES)
    ),
    (configured("crc32c"), numcodecs.CRC32C(location="end")),
]


@pytest.mark.parametrize(("codec", "peer"), CODECS, ids=str)
def test_compressors(codec: dict[str, Any], peer: Any) -> None:
    """Both decode what the other has encoded."""
    for name, chunk in SAMPLES.items():
        coder = bound(["bytes", codec], chunk)
        data = coder.encode(chunk)
        assert data is not None
        assert bytes(peer.decode(bytes(data))) == chunk.tobytes(), name
        theirs = bytes(peer.encode(chunk.tobytes()))
        assert coder.decode(theirs).tobytes() == chunk.tobytes(), name


@pytest.mark.parametrize("blocksize", [0, 64, 4096, 1 << 20])
def test_blosc_blocks(blocksize: int) -> None:
    """Blosc buffers with blocks of any size are read."""
    chunk = SAMPLES["large"]
    codec = configured("blosc", cname="lz4", shuffle="shuffle", typesize=4, blocksize=blocksize)
    coder = bound(["bytes", codec], chunk)
    data = coder.encode(chunk)
    assert data is not None
    assert (coder.decode(data) == chunk).all()


@pytest.mark.parametrize("dtype", [np.dtypes.StringDType(), np.dtype(object)], ids=str)
def test_strings(dtype: Any) -> None:
    """Strings are encoded as numcodecs does."""
    items = ["", "a", "naïve", "\U0001f40d" * 9, "a\0b", "x" * 70_000]
    chunk = np.array(items, dtype).reshape(2, 3)
    coder = bound(["vlen-utf8"], chunk, "")
    data = coder.encode(chunk)
    assert data is not None
    assert bytes(data) == bytes(VLenUTF8().encode(chunk.astype(object).ravel()))
    assert VLenUTF8().decode(bytes(data)).tolist() == items
    assert coder.decode(data).dtype == chunk.dtype
    assert coder.decode(data).ravel().tolist() == items


def test_byte_strings() -> None:
    """Byte strings are encoded as numcodecs does."""
    items = [b"", b"a", b"\0", bytes(range(256)) * 300]
    chunk = np.array(items, object).reshape(2, 2)
    coder = bound(["vlen-bytes"], chunk, b"")
    data = coder.encode(chunk)
    assert data is not None
    assert bytes(data) == bytes(VLenBytes().encode(chunk.ravel()))
    assert coder.decode(data).ravel().tolist() == items


@pytest.mark.parametrize("cname", CNAMES)
@pytest.mark.parametrize("typesize", [1, 2, 3, 8, 17, 200])
def test_blosc_buffers_of_every_size(cname: str, typesize: int) -> None:
    """Blosc1 buffers are read whose content is no whole number of elements, or of blocks."""
    sizes = (1, 2, 7, 16, 127, 128, 129, 150, 999, 1000, 40_000, 300_001)
    for size, shuffle, blocksize in product(sizes, (0, 1, 2), (0, 128)):
        content = (np.arange(size) // 3).astype("u1")
        coder = bound(["bytes", "blosc"], content)
        data = numcodecs.blosc.compress(
            content, cname.encode(), 5, shuffle, blocksize, typesize=typesize
        )
        out = np.full(size, 99, "u1")
        coder.decode_into(data, out)
        assert (out == content).all(), (size, shuffle, blocksize)
