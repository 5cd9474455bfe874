"""Chunks, parts and chains of codecs to try laws on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from storekit.codecs import ChunkCoder, ChunkSpec, Pipeline
from storekit.selection.part import Mesh, Part, Points
from storekit.typing import AnyArray, ByteRange, DType, Shape, Value

# A busy machine is no error.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

FIXED: list[DType] = [
    np.dtype(kind)
    for kind in chain(
        ("?", "i1", "u1", "i2", "u4", "i8", "f2", "f4", "f8", "c8", "c16", "M8[ns]", "m8[s]"),
        ("S5", "U3", "V7", "S300"),
        ([("a", "u1"), ("b", "f8"), ("c", "i2", (3,))], [("x", [("y", "c8"), ("z", "?")])]),
    )
]


def configured(name: str, **configuration: Any) -> dict[str, Any]:
    """The metadata of a codec."""
    return {"name": name, "configuration": configuration}


CHAINS: list[list[Any]] = [
    ["bytes"],
    [{"name": "bytes", "configuration": {"endian": "big"}}],
    ["bytes", "crc32c"],
    ["bytes", "gzip"],
    ["bytes", {"name": "gzip", "configuration": {"level": 0}}],
    ["bytes", "zstd"],
    ["bytes", {"name": "zstd", "configuration": {"level": -5, "checksum": False}}],
    ["bytes", "zstd", "crc32c"],
    ["bytes", "gzip", "zstd"],
    ["bytes", "blosc"],
    ["bytes", "blosc", "crc32c"],
    [{"name": "bytes", "configuration": {"endian": "big"}}, "zstd", "crc32c"],
    ["bytes", "imagecodecs_blosc2"],
    ["storekit.b2nd"],
    ["storekit.b2nd", "crc32c"],
    ["imagecodecs_b2nd"],
]


def spec_of(chunk: AnyArray, fill: Any = None) -> ChunkSpec:
    """The spec of chunks like this one."""
    fill = np.zeros((), chunk.dtype)[()] if fill is None else fill
    return ChunkSpec(chunk.shape, chunk.dtype, fill)


def bound(codecs: str | Sequence[Any], chunk: AnyArray, fill: Any = None) -> ChunkCoder:
    """The coder that a chain becomes for chunks like this one."""
    spec = spec_of(chunk, fill)
    return Pipeline.of(codecs, spec).bind(spec)


def random_chunk(dtype: DType, shape: Shape, seed: int = 0, span: int = 256) -> AnyArray:
    """
    A chunk of random bits; the fewer values `span` allows for a byte, the better it compresses.
    """
    rng = np.random.default_rng(seed)
    count = int(np.prod(shape))
    if dtype.kind == "U":  # any bits will not do
        letters = rng.integers(0, min(span, 90), count * dtype.itemsize // 4, dtype="u4")
        return letters.view(dtype).reshape(shape)
    chunk = rng.integers(0, span, count * dtype.itemsize, dtype="u1").view(dtype).reshape(shape)
    return _with_true_booleans(chunk)


def _with_true_booleans(chunk: AnyArray) -> AnyArray:
    """The same, with 0 or 1 in the bytes of every boolean."""
    if chunk.dtype.fields is not None:
        for name in chunk.dtype.names or ():
            chunk[name] = _with_true_booleans(chunk[name].copy())
    elif chunk.dtype.kind == "b":
        chunk = np.asarray(chunk.view("u1") % 2).view("?")
    return chunk


def same(left: AnyArray, right: AnyArray) -> bool:
    """Whether two arrays are equal to the bit."""
    return (
        left.shape == right.shape
        and left.dtype == right.dtype
        and np.ascontiguousarray(left).tobytes() == np.ascontiguousarray(right).tobytes()
    )


def layouts(chunk: AnyArray) -> dict[str, AnyArray]:
    """The same chunk in memory in several ways, each writable."""
    wide = np.empty((*(2 * n for n in chunk.shape), 2), chunk.dtype)
    strided = wide[(*(slice(None, None, 2) for _ in chunk.shape), 0, ...)]
    flipped = np.empty_like(chunk)[(*(slice(None, None, -1) for _ in chunk.shape), ...)]
    ways = {
        "C": np.empty(chunk.shape, chunk.dtype),
        "Fortran": np.empty(chunk.shape, chunk.dtype, order="F"),
        "strided": strided,
        "flipped": flipped,
    }
    for array in ways.values():
        array[...] = chunk
    return ways


class Fetcher:
    """Reads ranges of a value as a store does, and notes which."""

    def __init__(self, data: Value) -> None:
        self.data = bytes(data)
        self.calls: list[list[ByteRange]] = []

    def __call__(self, ranges: Sequence[ByteRange]) -> list[Value]:
        """The ranges, cut off at the end of the value."""
        self.calls.append(list(ranges))
        return [
            self.data[start:] if length is None else self.data[start : start + length]
            for start, length in ranges
        ]

    @property
    def nbytes(self) -> int:
        """How many bytes were read."""
        ranges = chain.from_iterable(self.calls)
        return sum(len(self.data[s:]) if n is None else n for s, n in ranges)


def shapes(max_dims: int = 4, max_side: int = 7) -> st.SearchStrategy[Shape]:
    """Shapes of small chunks."""
    return st.lists(st.integers(1, max_side), max_size=max_dims).map(tuple)


@st.composite
def chunks(draw: st.DrawFn, dtypes: Sequence[DType] = FIXED) -> AnyArray:
    """Small chunks, from all zeros to incompressible."""
    seed, span = draw(st.integers(0, 1 << 32)), draw(st.sampled_from((1, 2, 256)))
    return random_chunk(draw(st.sampled_from(dtypes)), draw(shapes()), seed, span)


@st.composite
def boxes(draw: st.DrawFn, shape: Shape) -> tuple[slice, ...]:
    """Boxes with a step, never empty."""
    axes = []
    for n in shape:
        start = draw(st.integers(0, n - 1))
        axes.append(slice(start, draw(st.integers(start + 1, n)), draw(st.integers(1, 3))))
    return tuple(axes)


@st.composite
def parts(draw: st.DrawFn, shape: Shape) -> Part:
    """Parts of all kinds, some of them empty."""
    kinds = ["box", "mesh", "points", "nothing"] if shape else ["box", "mesh"]
    kind = draw(st.sampled_from(kinds))
    box = draw(boxes(shape))
    if kind == "nothing":
        axis = draw(st.integers(0, len(shape) - 1))
        return (*box[:axis], slice(0, 0, 1), *box[axis + 1 :])
    if kind == "mesh":
        index = {i: draw(_indices(n)) for i, n in enumerate(shape) if draw(st.booleans())}
        return Mesh(tuple(index.get(i, axis) for i, axis in enumerate(box)))
    if kind == "points":
        axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
        count = draw(st.integers(0, 5))
        coords = tuple(draw(_indices(shape[i], count)) for i in axes)
        return Points(tuple(axes), coords, tuple(s for i, s in enumerate(box) if i not in axes))
    return box


def _indices(length: int, count: int | None = None) -> st.SearchStrategy[AnyArray]:
    sizes = (
        {"min_size": 1, "max_size": 5} if count is None else {"min_size": count, "max_size": count}
    )
    return st.lists(st.integers(0, length - 1), **sizes).map(lambda n: np.array(n, np.intp))
