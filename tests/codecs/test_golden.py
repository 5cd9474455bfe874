"""Bytes worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from codec_samples import bound

from storekit.typing import AnyArray

LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
BIG = {"name": "bytes", "configuration": {"endian": "big"}}
STRUCT = np.dtype([("a", "u1"), ("b", "u2"), ("c", "u4", (2,))])


def transpose(*order: int) -> dict[str, Any]:
    """The metadata of a transposition."""
    return {"name": "transpose", "configuration": {"order": list(order)}}


GOLDEN = [
    ([LITTLE], np.array([[1, 2], [256, -1]], "i2"), "0100 0200 0001 ffff"),
    ([BIG], np.array([[1, 2], [256, -1]], "i2"), "0001 0002 0100 ffff"),
    ([LITTLE], np.array(1.5, "f4"), "0000c03f"),
    ([BIG], np.array(1.5 - 2j, "c8"), "3fc00000 c0000000"),
    ([BIG], np.array(["ab"], "U2"), "00000061 00000062"),
    (["bytes"], np.array([True, False]), "01 00"),
    (["bytes"], np.array([b"ab", b"c"], "S3"), "616200 630000"),
    ([LITTLE], np.array([(1, 2, [3, 4])], STRUCT), "01 0200 03000000 04000000"),
    ([BIG], np.array([(1, 2, [3, 4])], STRUCT), "01 0002 00000003 00000004"),
    ([BIG], np.array([2], "M8[s]"), "0000000000000002"),
    ([transpose(1, 0), "bytes"], np.array([[1, 2, 3], [4, 5, 6]], "u1"), "01 04 02 05 03 06"),
    (
        # B[i, j, k] = A[k, i, j]: the encoded shape is (3, 2, 2) for a chunk of (2, 3, 2)
        [transpose(1, 2, 0), "bytes"],
        np.arange(12, dtype="u1").reshape(2, 3, 2),
        "00 06 01 07 02 08 03 09 04 0a 05 0b",
    ),
    # "123456789" has the CRC32C 0xe3069283 (RFC 3720, B.4 has others).
    (["bytes", "crc32c"], np.frombuffer(b"123456789", "u1"), b"123456789".hex() + "839206e3"),
    (["bytes", "crc32c"], np.zeros(32, "u1"), "00" * 32 + "aa36918a"),
    (["bytes", "crc32c"], np.full(32, 255, "u1"), "ff" * 32 + "43aba862"),
    (
        ["vlen-utf8"],
        np.array([["a", ""], ["é", "\U0001f40d"]], np.dtypes.StringDType()),
        "04000000 01000000 61 00000000 02000000 c3a9 04000000 f09f908d",
    ),
    (["vlen-bytes"], np.array([b"", b"\0\0"], object), "02000000 00000000 02000000 0000"),
    (["vlen-utf8"], np.array("x", np.dtypes.StringDType()), "01000000 01000000 78"),
]


@pytest.mark.parametrize(("codecs", "chunk", "expected"), GOLDEN)
def test_bytes_are_those_of_the_specification(
    codecs: list[Any], chunk: AnyArray, expected: str
) -> None:
    """Chunks become the bytes that the specification says, and these become the chunk."""
    fill = {"T": "", "O": b""}.get(chunk.dtype.kind)
    coder = bound(codecs, chunk, fill)
    data = coder.encode(chunk)
    assert data is not None
    assert bytes(data) == bytes.fromhex(expected)
    assert (coder.decode(bytes.fromhex(expected)) == chunk).all()


def test_transposition_is_the_specifications() -> None:
    """Axis i of the encoded chunk is axis order[i] of the chunk."""
    chunk = np.arange(24).reshape(2, 3, 4)
    data = bound([transpose(2, 0, 1), "bytes"], chunk).encode(chunk)
    assert data is not None
    encoded = np.frombuffer(data, chunk.dtype).reshape(4, 2, 3)
    assert all(encoded[k, i, j] == chunk[i, j, k] for i, j, k in np.ndindex(2, 3, 4))


@pytest.mark.parametrize(("order", "letter"), [((0, 1, 2), "C"), ((2, 1, 0), "F")])
def test_letters_of_older_drafts(order: tuple[int, ...], letter: str) -> None:
    """An order of "C" or "F" is read, and written as the permutation that it stands for."""
    chunk = np.arange(24, dtype="u1").reshape(2, 3, 4)
    named = {"name": "transpose", "configuration": {"order": letter}}
    spelled_out = bound([transpose(*order), "bytes"], chunk)
    data = spelled_out.encode(chunk)
    assert data is not None
    from storekit.codecs import Pipeline

    coder = Pipeline.from_json([named, "bytes"]).bind(spelled_out.spec)
    assert bytes(coder.encode(chunk) or b"") == bytes(data)
    part = (slice(1, 2, 1), slice(0, 3, 2), slice(1, 4, 1))
    out = np.empty((1, 2, 3), "u1")
    coder.decode_into(data, out, part)
    assert (out == chunk[part]).all()
    evolved = Pipeline.from_json([named, "bytes"]).evolved(spelled_out.spec)
    assert evolved.to_json()[0] == transpose(*order)


def test_gzip_has_no_time_stamp() -> None:
    """Equal chunks are equal bytes, whenever they are written: bytes 4 to 8 of gzip are zero."""
    chunk = np.arange(100)
    data = bound(["bytes", "gzip"], chunk).encode(chunk)
    assert data is not None
    assert bytes(data[:8]) == bytes.fromhex("1f8b0800 00000000")
