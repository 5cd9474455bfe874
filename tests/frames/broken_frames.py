"""Frames of many kinds, and what can be broken in them."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import blosc2
import msgpack
import numpy as np
from frame_files import empty_frame
from frame_samples import cparams, special, stock

from storekit.codecs.b2nd import FrameCoder
from storekit.codecs.spec import ChunkSpec
from storekit.frames.b2nd import CATERVA, B2ndMeta
from storekit.frames.ends import pack_ends
from storekit.frames.frame import Frame
from storekit.frames.layout import MIN_HEADER, NANS, UNINIT, ZEROS
from storekit.frames.loading import load_frame
from storekit.frames.log import LogHome
from storekit.nodes.frame_array import FrameArray
from storekit.typing import AnyArray

__all__ = ["Case", "Sample", "damages", "forged", "frame_of", "samples"]

RAMP = (np.arange(600) // 3).reshape(30, 20).astype("i4")
GRID: dict[str, Any] = {"chunks": (10, 10), "blocks": (5, 4)}
HOSTILE = (0, 1, -1, 127, 255, 1 << 24, (1 << 31) - 1, -1 << 31, 1 << 62, (1 << 63) - 1, -1 << 63)


class Sample(NamedTuple):
    """
    A frame and what is in it; whether all of that is covered by checksums, and whether it may be
    written.
    """

    name: str
    frame: bytes
    array: AnyArray
    sealed: bool


class Case(NamedTuple):
    """A frame that is broken: how, and whether it is so only in the fixed fields of the header."""

    label: str
    frame: bytes
    fixed: bool = False


def frame_of(data: bytes) -> Frame:
    """What is known of a frame."""

    def read(ranges: Any) -> list[bytes]:
        return [data[a : None if n is None else a + n] for a, n in ranges]

    return load_frame(read)


@cache
def samples() -> tuple[Sample, ...]:
    """Frames of ours and of blosc2's."""
    return (*_ours(), *_theirs())


def _ours() -> Iterator[Sample]:
    noise = np.random.default_rng(0).integers(0, 1 << 30, RAMP.shape, "i4")
    mixed = RAMP.copy()
    mixed[:10, :10], mixed[10:20, 10:], mixed[20:, :10] = 0, 7, noise[:10, :10]
    nans = np.full((6, 4), np.nan, "f8")
    nans[3:, 2:] = 1.5
    layers = {"mine": b"content"}
    yield _written("ramp", RAMP, empty_frame(RAMP.shape, dtype="i4", **GRID))
    yield _written("mixed", mixed, empty_frame(RAMP.shape, dtype="i4", **GRID), RAMP, noise)
    yield _written("layers", RAMP, empty_frame(RAMP.shape, dtype="i4", layers=layers, **GRID))
    yield _written("nans", nans, empty_frame((6, 4), (3, 2), (3, 1), "f8"))
    thin = np.arange(300, dtype="u2")
    yield _written("many", thin, empty_frame((300,), (3,), (2,), "u2"))
    layers = {CATERVA: b""}
    raw = RAMP.view("V4")
    yield _written("caterva", raw, empty_frame(raw.shape, dtype="V4", layers=layers, **GRID))
    # Of a chunk file all is covered, too; but not before the chunk is read.
    coder = FrameCoder(ChunkSpec(RAMP.shape, RAMP.dtype, RAMP[0, 0]), (5, 4), 5, 1, 1)
    yield Sample("chunk file", bytes(coder.encode(RAMP)), RAMP, False)


def _written(name: str, array: AnyArray, empty: bytes, *before: AnyArray) -> Sample:
    """An array in a log, in which there were others before."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.b2nd"
        path.write_bytes(empty)
        home = LogHome(str(path), writable=True)
        made = FrameArray(home)
        for values in (*before, array):
            made[...] = values
        with home.change() as change:
            packed = msgpack.packb({"a": [1, 2]})
            change.vlmeta = change.vlmeta.changed({"theirs": packed, "long": bytes(200)})
            change.commit()
        if name == "nans":
            with home.change() as change:
                change.drop(0, NANS)
                change.commit()
        return Sample(name, path.read_bytes(), array, True)


def _theirs() -> Iterator[Sample]:
    some = {f"{codec.name} {name}": (codec, name) for codec, name in SETTINGS}
    for name, (codec, filters) in some.items():
        yield Sample(name, *stock(RAMP, codec, filters, **GRID), False)
    noise = np.random.default_rng(0).integers(0, 1 << 30, (20, 20), "i4")
    yield Sample("stored", *stock(noise, **GRID), False)
    params = cparams(blosc2.Codec.ZSTD, "shuffle", 5, use_dict=True)
    made = blosc2.asarray(RAMP, cparams=params, **GRID)
    yield Sample("dictionary", made.to_cframe(), RAMP, False)
    for name, each in special((10, 9), (4, 5)).items():
        array = np.zeros_like(each.array) if name == "uninit" else each.array
        yield Sample(f"special {name}", each.frame, array, False)
    made = blosc2.asarray(RAMP, meta={"mine": {"a": 1}}, **GRID)
    made.schunk.vlmeta["theirs"] = "x" * 300
    yield Sample("stock layers", made.to_cframe(), RAMP, False)
    plain = RAMP.view("u1").reshape(-1)[:1000]
    made = blosc2.SChunk(chunksize=300, data=plain.tobytes(), cparams={"typesize": 1})
    yield Sample("super-chunk", made.to_cframe(), plain, False)


SETTINGS = (
    (blosc2.Codec.LZ4, "shuffle"),
    (blosc2.Codec.ZSTD, "bitshuffle"),
    (blosc2.Codec.BLOSCLZ, "delta"),
    (blosc2.Codec.ZLIB, "none"),
)


def damages(sample: Sample) -> Iterator[Case]:
    """Everything that may happen to a frame, most of it to what tells where other things are."""
    data, frame = sample.frame, frame_of(sample.frame)
    head, tail = frame.header.header_len, frame.header.index_start
    rng = np.random.default_rng(len(data))
    stored = np.unique(frame.offsets[frame.offsets >= 0]) + head
    heads = [place + i for place in stored.tolist()[:3] for i in range(60)]
    blocks = rng.integers(head, tail, 60).tolist() if tail > head else []
    outside = [*range(head), *range(tail, len(data))]
    for place in (*outside, *heads, *blocks):
        if place >= len(data):
            continue
        for mask in (1, 0x80, 0xFF, data[place] or 0x55):
            broken = bytearray(data)
            broken[place] ^= mask
            yield Case(f"byte {place} ^ {mask:#x}", bytes(broken), place < MIN_HEADER)
    yield from _sizes(data, frame, stored.tolist()[:2])
    for size in {*range(0, len(data), 7), *range(head), *range(tail, len(data))}:
        yield Case(f"cut to {size}", data[:size])
    for end in (b"!", bytes(100), data):
        yield Case(f"{len(end)} more bytes", data + end)


def _sizes(data: bytes, frame: Frame, stored: list[int]) -> Iterator[Case]:
    """Numbers that are replaced by those that hurt."""
    places = [(11, ">i"), (16, ">q"), (30, ">q"), (39, ">q"), (48, ">i"), (53, ">i"), (58, ">i")]
    end = len(data)
    for layer in frame.layers.values():
        places += [(i, kind) for i in range(layer.start - 4, end) for kind in (">i", ">q")][:160]
    tail = frame.header.index_start
    places += [(end - 22, ">i")]
    places += [(i, kind) for i in range(tail, tail + 40, 4) for kind in ("<i", "<q")]
    places += [(place + i, "<i") for place in stored for i in range(4, 60, 4)]
    for (place, kind), value in product(places, HOSTILE):
        size = struct.calcsize(kind)
        if place + size <= end:
            number = value.to_bytes(9, "little", signed=True)[:size]
            number = number if kind[0] == "<" else number[::-1]
            broken = data[:place] + number + data[place + size :]
            if broken != data:
                fixed = place + size <= MIN_HEADER
                yield Case(f"{value} as {kind} at {place}", broken, fixed)


def forged(sample: Sample, seed: int) -> Iterator[Case]:
    """Frames with true checksums of what is not true."""
    rng = np.random.default_rng(seed)
    frame = frame_of(sample.frame)
    header, head = frame.header, frame.header.header_len
    chunks = sample.frame[head : header.index_start]
    layers = {name: layer.content for name, layer in frame.layers.items()}
    for number in range(60):
        shape, cells, blocks, dtype = frame.meta
        offsets = frame.offsets.copy()
        kind = number % 4
        if kind == 0:
            offsets[rng.integers(len(offsets))] = rng.choice(
                [*range(-3, 40), len(chunks), len(chunks) - 32, 1 << 40, ZEROS, NANS, UNINIT]
            )
        elif kind == 1:
            offsets = rng.permutation(offsets)
        elif kind == 2:
            dtype = np.dtype(rng.choice(["f4", "u1", "S4", "M8[s]", "V3", "V70000", "?", "c16"]))
        else:
            sides = rng.choice([0, 1, 3, 1 << 20, (1 << 31) - 1, 1 << 40], (3, len(shape)))
            shape, cells, blocks = (tuple(map(int, side)) for side in sides)
            offsets = np.full(min(_count(shape, cells), 1 << 16), rng.choice([0, ZEROS]), np.int64)
        try:
            meta = B2ndMeta(shape, cells, blocks, dtype)
            dead = (0, len(chunks), (1 << 64) - 1)[number % 3]
            ends = pack_ends(header, meta, layers, frame.trailer.layers, offsets, len(chunks), dead)
        except struct.error:  # numbers that a header has no room for
            continue
        yield Case(f"forged {number}", b"".join((ends[0], chunks, ends[1])))


def _count(shape: tuple[int, ...], cells: tuple[int, ...]) -> int:
    count = 1
    for n, c in zip(shape, cells, strict=True):
        count *= -(-n // c) if c else 0
    return count
