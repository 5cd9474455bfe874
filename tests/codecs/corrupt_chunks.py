"""
Feed damaged chunks to every decoder. A crash ends the process; the test that runs it notices.

Usage: corrupt_chunks.py SEED ROUNDS
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import blosc2
import numpy as np
from codec_samples import CHAINS, bound, configured, random_chunk

from storekit.codecs import ChunkCoder
from storekit.codecs.b2nd import FrameCoder
from storekit.errors import CodecError
from storekit.frames.seal import pack_seal
from storekit.typing import AnyArray

CANARY = 0xA5
MARGIN = 4096


def damage(data: bytes, rng: np.random.Generator, first: int = 0) -> bytes:
    """Change a few bytes, most of them near the beginning; sometimes cut the end off."""
    damaged = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        room = len(damaged) - first if rng.random() < 0.5 else min(len(damaged) - first, 60)
        place = first + int(rng.integers(room))
        if rng.random() < 0.5:
            damaged[place] ^= 1 << int(rng.integers(8))
        else:
            damaged[place] = int(rng.integers(256))
    if rng.random() < 0.1:
        del damaged[int(rng.integers(first + 1, len(damaged) + 1)) :]
    return bytes(damaged)


def forge(coder: FrameCoder, data: bytes, rng: np.random.Generator) -> bytes:
    """Damage the chunk in a frame, and give the frame the checksums that go with the damage."""
    frames = coder._frames
    if data == frames.zeros:
        return data
    base, end = frames._base, len(data) - 75
    damaged = bytearray(damage(data[:end], rng, base))
    chunk = bytes(damaged[base:])
    try:
        starts = frames._starts(chunk, 0, chunk[2], len(chunk))
        prefix = bytes(damaged[: frames._sums_at])
        seal = pack_seal(prefix, np.frombuffer(chunk, np.uint8), starts)
    except (CodecError, IndexError):
        return bytes(damaged) + data[end:]
    return prefix + seal + chunk + data[end:]


def decode(coder: ChunkCoder, data: bytes, chunk: AnyArray) -> None:
    """Decode to memory whose surroundings must not change."""
    memory = np.full(chunk.nbytes + 2 * MARGIN, CANARY, np.uint8)
    out = memory[MARGIN:-MARGIN].view(chunk.dtype).reshape(chunk.shape)
    part = tuple(slice(0, -(-n // 2), 1) for n in chunk.shape)
    some = np.empty([s.stop for s in part], chunk.dtype)
    for target, which in ((out, None), (some, part)):
        with suppress(CodecError):
            coder.decode_into(data, target, which)
    if (memory[:MARGIN] != CANARY).any() or (memory[-MARGIN:] != CANARY).any():
        raise SystemExit(f"written beyond the output: {data.hex()}")


def stock_frame(chunk: AnyArray, rng: np.random.Generator) -> bytes:
    """The chunk in a frame of blosc2's, with any settings."""
    filters = [
        [blosc2.Filter.NOFILTER],
        [blosc2.Filter.BITSHUFFLE],
        [blosc2.Filter.DELTA, blosc2.Filter.SHUFFLE],
        [blosc2.Filter.SHUFFLE, blosc2.Filter.BYTEDELTA],
    ][rng.integers(4)]
    codecs = [blosc2.Codec.BLOSCLZ, blosc2.Codec.LZ4, blosc2.Codec.ZLIB, blosc2.Codec.ZSTD]
    cparams = {
        "codec": codecs[rng.integers(4)],
        "clevel": int(rng.choice([0, 1, 9])),
        "filters": filters,
        "filters_meta": [0] * len(filters),
        "nthreads": 1,
    }
    chunks = tuple(int(rng.integers(1, n + 1)) for n in chunk.shape)
    blocks = tuple(int(rng.integers(1, n + 1)) for n in chunks)
    frame: bytes = blosc2.asarray(chunk, chunks=chunks, blocks=blocks, cparams=cparams).to_cframe()
    return frame


def chain(rng: np.random.Generator, dtype: Any, shape: tuple[int, ...]) -> list[Any]:
    """A chain of codecs with any settings."""
    cname = str(rng.choice(["blosclz", "lz4", "lz4hc", "zlib", "zstd"]))
    shuffle = str(rng.choice(["noshuffle", "shuffle", "bitshuffle"]))
    level = int(rng.choice([0, 1, 9]))
    blocks = [int(rng.integers(1, n + 1)) for n in shape]
    settings = {"cname": cname, "clevel": level, "shuffle": shuffle}
    chains: list[list[Any]] = [
        *CHAINS,
        ["bytes", configured("blosc", **settings, typesize=np.dtype(dtype).itemsize)],
        ["bytes", configured("imagecodecs_blosc2", compressor=cname.upper(), level=level)],
        *[[configured("storekit.b2nd", **settings, blocks=blocks)]] * 4,
    ]
    return chains[rng.integers(len(chains))]


def main(seed: int, rounds: int) -> None:
    """Try chains with chunks of all sorts, each damaged in many ways."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        dtype = np.dtype(rng.choice(["u1", "i2", "f4", "f8", "V3"]))
        shape = tuple(rng.integers(1, 40, rng.integers(1, 4)).tolist())
        span = int(rng.choice([1, 2, 50, 256]))
        chunk = random_chunk(dtype, shape, int(rng.integers(1 << 30)), span)
        coder = bound(chain(rng, dtype, shape), chunk)
        data = bytes(coder.encode(chunk) or b"")
        for _ in range(100):
            decode(coder, damage(data, rng), chunk)
            inner = getattr(coder, "inner", None)
            if isinstance(inner, FrameCoder) and data.startswith(b"\x9e\xa8b2frame"):
                decode(coder, forge(inner, data, rng), chunk)
        stock, coder = stock_frame(chunk, rng), bound(["storekit.b2nd"], chunk)
        for _ in range(100):
            decode(coder, damage(stock, rng), chunk)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
