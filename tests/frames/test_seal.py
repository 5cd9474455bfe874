"""Checksums in frames: damage is noticed, and so is a seal that half looks like one."""

from __future__ import annotations

from contextlib import suppress
from itertools import combinations

import blosc2
import numpy as np
import pytest

from storekit.codecs import ChunkSpec, Pipeline
from storekit.codecs.b2nd import B2ndCodec
from storekit.errors import ChecksumError, CodecError, CorruptFrameError
from storekit.frames.b2nd import B2ND
from storekit.frames.layout import (
    MIN_HEADER,
    Metalayer,
    pack_header,
    pack_metalayers,
    parse_header,
    parse_metalayers,
)
from storekit.frames.read import read_frame
from storekit.frames.seal import SEAL, empty_seal, find_seal
from storekit.typing import AnyArray

CHUNKS: dict[str, AnyArray] = {
    "compressed": np.arange(60, dtype="u2").reshape(6, 10) // 7,
    "stored as it is": np.random.default_rng(0).integers(0, 256, (6, 10), "u1"),
    "zeros": np.zeros((6, 10), "f4"),
    "a struct with misleading names": np.ones(9, [("storekit", "u1"), ("crc32c\x01", "f4")]),
}
every_chunk = pytest.mark.parametrize("chunk", CHUNKS.values(), ids=list(CHUNKS))


def sealed(chunk: AnyArray) -> bytes:
    """A frame with checksums."""
    blocks = (2, *chunk.shape[1:])
    spec = ChunkSpec(chunk.shape, chunk.dtype, np.zeros((), chunk.dtype)[()])
    return bytes(Pipeline([B2ndCodec("lz4", blocks=blocks)]).bind(spec).encode(chunk) or b"")


def opened(frame: bytes, chunk: AnyArray) -> AnyArray:
    """A frame read by what it says of itself, not by what the array says."""
    return read_frame(frame, chunk.shape, chunk.dtype)


@every_chunk
def test_any_flipped_bit_is_noticed(chunk: AnyArray) -> None:
    """No bit of a sealed frame can change unnoticed by a reader that knows nothing beforehand."""
    frame = sealed(chunk)
    assert opened(frame, chunk).tobytes() == chunk.tobytes()
    for bit in range(8 * len(frame)):
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError):
            opened(bytes(damaged), chunk)


@every_chunk
def test_any_changed_byte_is_noticed(chunk: AnyArray) -> None:
    """No byte can become another one; two that change places at least leave the chunk right."""
    frame = sealed(chunk)
    rng = np.random.default_rng(0)
    for place in range(len(frame)):
        damaged = bytearray(frame)
        damaged[place] ^= int(rng.integers(1, 256))
        with pytest.raises(CodecError):
            opened(bytes(damaged), chunk)
    for left, right in combinations(range(0, len(frame), 3), 2):
        damaged = bytearray(frame)
        damaged[left], damaged[right] = damaged[right], damaged[left]
        # Damage to both marks of the seal makes it a metalayer of other software.
        with suppress(CodecError):
            assert opened(bytes(damaged), chunk).tobytes() == chunk.tobytes()


@every_chunk
def test_any_cut_is_noticed(chunk: AnyArray) -> None:
    """No byte can be missing at the end, or be too many."""
    frame = sealed(chunk)
    for end in range(len(frame)):
        with pytest.raises(CodecError):
            opened(frame[:end], chunk)
    with pytest.raises(CodecError):
        opened(frame + b"\0", chunk)


def test_mixed_frames_are_noticed() -> None:
    """Parts of two frames of one array do not make a frame."""
    one, two = np.random.default_rng(1).integers(0, 256, (2, 6, 10), "u1")
    frames = [sealed(chunk) for chunk in (one, two)]
    assert len(frames[0]) == len(frames[1])
    for cut in range(1, len(frames[0])):
        mixed = frames[0][:cut] + frames[1][cut:]
        if mixed not in frames:
            with pytest.raises(CodecError):
                opened(mixed, one)


def layers(**contents: bytes) -> dict[str, Metalayer]:
    """Metalayers, wherever they begin."""
    return {name: Metalayer(100, content) for name, content in contents.items()}


def test_one_mark_is_not_enough() -> None:
    """A frame is sealed if name and content say so; if only one does, it is damaged."""
    seal = empty_seal(3)
    assert find_seal(layers(b2nd=b"x")) is None
    assert find_seal(layers(b2nd=b"x", storekit=seal)) == (100, seal)
    for wrong in (
        layers(b2nd=b"x", storekiu=seal),
        layers(b2nd=seal),
        layers(b2nd=b"x", storekit=b"y" + seal[1:]),
        layers(b2nd=b"x", storekit=b""),
    ):
        with pytest.raises(CorruptFrameError):
            find_seal(wrong)


def test_newer_versions_are_not_misread() -> None:
    """A seal of another version is refused as that."""
    with pytest.raises(CorruptFrameError, match="version"):
        find_seal(layers(storekit=b"crc32c\x02" + bytes(16)))


def test_seals_of_other_frames() -> None:
    """A seal of too many blocks, or in a frame of several chunks, is none."""
    array = np.arange(60, dtype="u2").reshape(6, 10)
    for size, chunks in ((3, (6, 10)), (1, (3, 10)), (2, (3, 10)), (-1, (6, 10))):
        seal = empty_seal(size) if size >= 0 else empty_seal(0)[:-1]
        made = blosc2.asarray(array, chunks=chunks, blocks=(3, 10), meta={SEAL: b""})
        frame = made.to_cframe()
        header = parse_header(frame)
        content = parse_metalayers(frame[MIN_HEADER : header.header_len])
        assert set(content) == {SEAL, B2ND}
        section = frame[MIN_HEADER : header.header_len]
        # blosc2 puts msgpack into metalayers, so the header must be built anew around ours.
        rebuilt = pack_metalayers({B2ND: content[B2ND].content, SEAL: seal})
        grown = len(rebuilt) - len(section)
        longer = header._replace(frame_len=header.frame_len + grown)
        with pytest.raises((CorruptFrameError, ChecksumError)):
            opened(pack_header(longer, rebuilt) + frame[header.header_len :], array)
