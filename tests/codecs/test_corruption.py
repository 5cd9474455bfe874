"""Damaged bytes: always noticed where there is a checksum, never worse than wrong elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_samples import Fetcher, bound, configured, random_chunk, same

from storekit.codecs import ChunkCoder, Pipeline
from storekit.codecs.b2nd import B2ndCodec
from storekit.codecs.spec import ChunkSpec
from storekit.errors import CodecError
from storekit.typing import AnyArray

CHECKED: dict[str, list[Any]] = {
    "crc32c": ["bytes", "crc32c"],
    "zstd in crc32c": ["bytes", configured("zstd", level=1, checksum=False), "crc32c"],
    "gzip": ["bytes", "gzip"],
    "zstd": ["bytes", "zstd"],
    "blosc in crc32c": ["bytes", "blosc", "crc32c"],
    "b2nd": ["storekit.b2nd"],
    "b2nd of blocks": [configured("storekit.b2nd", blocks=[2, 6])],
    "b2nd in crc32c": ["storekit.b2nd", "crc32c"],
    "imagecodecs_b2nd": ["imagecodecs_b2nd"],
}
CHUNKS: dict[str, AnyArray] = {
    "few values": random_chunk(np.dtype("i4"), (10, 6), span=2),
    "random": random_chunk(np.dtype("f8"), (5, 6)),
    "zeros": np.zeros((6, 6), "i2"),
}
PART = (slice(2, 4, 1), slice(1, 3, 1))

every_check = pytest.mark.parametrize("codecs", CHECKED.values(), ids=list(CHECKED))
every_chunk = pytest.mark.parametrize("chunk", CHUNKS.values(), ids=list(CHUNKS))


def encoded(codecs: list[Any], chunk: AnyArray) -> tuple[ChunkCoder, bytes]:
    """The coder and the bytes of a chunk."""
    coder = bound(codecs, chunk)
    data = coder.encode(chunk)
    assert data is not None
    return coder, bytes(data)


@every_check
@every_chunk
def test_any_flipped_bit_is_noticed(codecs: list[Any], chunk: AnyArray) -> None:
    """Of an encoded chunk with a checksum, no bit can change unnoticed, unless it means nothing."""
    coder, data = encoded(codecs, chunk)
    out = np.empty_like(chunk)
    for bit in range(8 * len(data)):
        damaged = flipped(data, bit)
        try:
            coder.decode_into(damaged, out)
        except CodecError as error:
            codec = error.codec
        else:
            codec = "none"
            # Bits of headers that gzip and zstd do not use change nothing; frames have none.
            assert "gzip" in codecs or "zstd" in codecs, f"bit {bit}"
            assert same(out, chunk), f"bit {bit}"
        assert codec is not None


@every_check
@every_chunk
def test_any_cut_is_noticed(codecs: list[Any], chunk: AnyArray) -> None:
    """An encoded chunk that is cut off, or longer than it was, is refused."""
    coder, data = encoded(codecs, chunk)
    for end in range(len(data)):
        with pytest.raises(CodecError):
            coder.decode(data[:end])
    with pytest.raises(CodecError):
        coder.decode(data + b"!")


@every_chunk
@pytest.mark.parametrize("whole", [True, False], ids=["decoded", "read"])
def test_blocks_are_checked_one_by_one(chunk: AnyArray, whole: bool) -> None:
    """A part read from a damaged frame is right, or an error."""
    codec = B2ndCodec("lz4", blocks=(2, chunk.shape[1]))
    coder = Pipeline([codec]).bind(_spec(chunk))
    data = coder.encode(chunk)
    assert data is not None
    out = np.empty((2, 2), chunk.dtype)
    good = 0
    for bit in range(8 * len(data)):
        damaged = flipped(bytes(data), bit)
        try:
            if whole:
                coder.decode_into(damaged, out, PART)
            else:
                coder.read_part(Fetcher(damaged), out, PART)
        except CodecError:
            continue
        good += 1
        assert same(out, chunk[PART].copy()), f"bit {bit}"
    if chunk.any():
        assert good  # damage to other blocks does no harm


def test_cut_while_reading_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that is cut off is noticed by readers of parts that need what is missing."""
    monkeypatch.setattr("storekit.codecs.blocks.FIRST_READ", 0)
    chunk = random_chunk(np.dtype("f8"), (40, 6))
    coder, data = encoded([configured("storekit.b2nd", blocks=[2, 6])], chunk)
    out = np.empty((2, 2))
    for end in range(len(data)):
        try:
            coder.read_part(Fetcher(data[:end]), out, PART)
        except CodecError:
            continue
        assert same(out, chunk[PART].copy())


@pytest.mark.parametrize("codecs", [["bytes"], ["vlen-utf8"], ["vlen-bytes"]], ids=str)
def test_damage_is_an_error_or_other_values(codecs: list[Any]) -> None:
    """Without a checksum damage gives a CodecError or other values, nothing else."""
    chunk, fill = np.array(["a", "bcd", "", "é"], object), ""
    if codecs == ["vlen-bytes"]:
        chunk, fill = np.array([b"a", b"bcd", b"", b"\0"], object), b""
    elif codecs == ["bytes"]:
        chunk, fill = np.arange(6, dtype="u1"), 0
    coder = bound(codecs, chunk, fill)
    data = bytes(coder.encode(chunk) or b"")
    for damaged in (*(flipped(data, bit) for bit in range(8 * len(data))), *_cuts(data)):
        try:
            assert coder.decode(damaged).shape == chunk.shape
        except CodecError:
            assert len(damaged) != len(data) or codecs != ["bytes"]


@pytest.mark.parametrize("seed", range(2))
def test_nothing_crashes(seed: int) -> None:
    """Decoders of C libraries, given damage of all kinds, write nowhere but to the output."""
    script = Path(__file__).parent / "corrupt_chunks.py"
    command = [sys.executable, "-X", "faulthandler", str(script), str(seed), "25"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 18))
def test_nothing_crashes_in_the_long_run(seed: int) -> None:
    """The same, with more of it."""
    script = Path(__file__).parent / "corrupt_chunks.py"
    command = [sys.executable, "-X", "faulthandler", str(script), str(seed), "400"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def flipped(data: bytes, bit: int) -> bytes:
    """The same bytes, but for one bit."""
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def _cuts(data: bytes) -> list[bytes]:
    return [data[:end] for end in range(len(data))]


def _spec(chunk: AnyArray) -> ChunkSpec:
    return ChunkSpec(chunk.shape, chunk.dtype, np.zeros((), chunk.dtype)[()])
