"""The order of codecs, and what becomes of their errors."""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import zstandard
from codec_samples import CHAINS, Fetcher, bound, configured, random_chunk, same, spec_of

from storekit.codecs import (
    ArrayArrayCodec,
    ArrayBytesCodec,
    BytesBytesCodec,
    ChunkCoder,
    ChunkSpec,
    Pipeline,
)
from storekit.codecs.coder import GIL_HELD
from storekit.errors import CodecError, ConnectionLostError, KeyNotFoundError, MetadataError
from storekit.selection.part import Part, Points, take
from storekit.typing import JSON, AnyArray, ByteRange, Value

FLIP = configured("transpose", order=[1, 0])
ARRAY = np.arange(6, dtype="f4").reshape(2, 3)


class _Plain:
    """What the codecs below share: no configuration."""

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Any:
        """The codec."""
        return cls()

    def to_config(self) -> dict[str, JSON]:
        """Nothing."""
        return {}


class Negate(_Plain, ArrayArrayCodec):
    """An array->array codec that is no view."""

    name = "test.negate"

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """The same."""
        return ChunkSpec(spec.shape, spec.dtype, -spec.fill_value)

    def encode(self, chunk: AnyArray) -> AnyArray:
        """The negative."""
        return -chunk

    def decode(self, chunk: AnyArray) -> AnyArray:
        """The negative of the negative."""
        return -chunk


class Broken(_Plain, BytesBytesCodec):
    """A codec that fails as backends do."""

    name = "test.broken"

    def __init__(self, error: Exception | None = None, extra: bytes = b"") -> None:
        self.error, self.extra = error, extra

    def encode(self, data: Value) -> Value:
        """The bytes as they are."""
        return data

    def decode(self, data: Value, size: int | None) -> Value:
        """The error, or too many bytes."""
        if self.error is not None:
            raise self.error
        return bytes(data) + self.extra


class Lazy(_Plain, ArrayBytesCodec):
    """An array->bytes codec whose coder knows nothing of storekit's errors."""

    name = "test.lazy"

    def bind(self, spec: ChunkSpec) -> ChunkCoder:
        """Its coder."""
        return _LazyCoder(spec)


class _LazyCoder(ChunkCoder):
    ranges = True

    def __init__(self, spec: ChunkSpec) -> None:
        self.spec = spec

    def encode(self, chunk: AnyArray) -> Value:
        raise struct.error("too late")

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        raise IndexError("too early")

    def read_part(self, fetch: Any, out: AnyArray, part: Part) -> None:
        fetch([(0, 1)])
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("codecs", "field"),
    [
        ([], "codecs"),
        (["crc32c"], "codecs"),
        ([FLIP], "codecs"),
        ([FLIP, "crc32c"], "codecs"),
        (["bytes", FLIP], "codecs[1]"),
        (["bytes", "bytes"], "codecs[1]"),
        (["gzip", "bytes"], "codecs[1]"),
        (["bytes", "gzip", FLIP], "codecs[2]"),
        (["storekit.b2nd", "bytes"], "codecs[1]"),
    ],
    ids=str,
)
def test_order(codecs: list[Any], field: str) -> None:
    """Array->array codecs come first, then one array->bytes codec, then bytes->bytes codecs."""
    with pytest.raises(MetadataError) as caught:
        Pipeline.from_json(codecs)
    assert caught.value.field == field


def test_names_of_lists() -> None:
    """A chain under another name, such as a shard's, says so in its errors."""
    with pytest.raises(MetadataError) as caught:
        Pipeline.from_json(["bytes", "bytes"], field="index_codecs")
    assert caught.value.field == "index_codecs[1]"
    for wrong in ("bytes", {"name": "bytes"}, None):
        with pytest.raises(MetadataError):
            Pipeline.from_json(wrong)
    with pytest.raises(MetadataError):
        Pipeline.of(7, spec_of(ARRAY))  # type: ignore[arg-type]
    with pytest.raises(MetadataError):
        Pipeline(["bytes"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("codecs", "field"),
    [
        (["bytes"], "[0].configuration.endian"),
        ([FLIP, "bytes"], "[1].configuration.endian"),
        ([configured("transpose", order=[0]), "bytes"], "[0].configuration.order"),
        (["vlen-utf8"], "[0]"),
        (["vlen-bytes"], "[0]"),
        ([configured("storekit.b2nd", blocks=[3, 3])], "[0].configuration.blocks"),
        ([configured("storekit.b2nd", blocks=[1])], "[0].configuration.blocks"),
    ],
    ids=str,
)
def test_chunks_that_do_not_fit(codecs: list[Any], field: str) -> None:
    """A chain that cannot take an array's chunks is refused when it is bound, by the field."""
    with pytest.raises(MetadataError) as caught:
        Pipeline.from_json(codecs).bind(spec_of(ARRAY))
    assert caught.value.field == f"codecs{field}"


@pytest.mark.parametrize("codecs", [["bytes"], ["storekit.b2nd"]], ids=str)
@pytest.mark.parametrize("dtype", [np.dtypes.StringDType(), np.dtype(object)], ids=str)
def test_elements_without_a_size(codecs: list[Any], dtype: Any) -> None:
    """Codecs for elements of one size refuse others."""
    with pytest.raises(MetadataError):
        Pipeline.from_json(codecs).bind(ChunkSpec((2,), dtype, ""))


@pytest.mark.parametrize("codecs", [c for c in CHAINS if "crc32c" in c or "zstd" in c], ids=str)
def test_mixed_arguments(codecs: list[Any]) -> None:
    """A chain may be given as names, metadata and codecs, mixed."""
    made = Pipeline.of(codecs, spec_of(ARRAY))
    mixed = [made.codecs[0], *codecs[1:]]
    assert Pipeline.of(mixed, spec_of(ARRAY)) == made
    assert repr(made).startswith("Pipeline([")
    assert len({made, Pipeline.of(mixed, spec_of(ARRAY))}) == 1


def test_codecs_that_are_no_views() -> None:
    """Chunks go through array->array codecs that compute, whole and in parts."""
    spec = spec_of(ARRAY)
    for codecs in ([Negate(), "bytes", "zstd"], [FLIP, Negate(), FLIP, "storekit.b2nd"]):
        coder = Pipeline.of(codecs, spec).bind(spec)
        assert not coder.ranges
        data = coder.encode(ARRAY)
        assert data is not None
        assert same(coder.decode(data), ARRAY)
        part = (slice(0, 2, 1), slice(1, 3, 1))
        out = np.empty((2, 2), "f4")
        coder.decode_into(data, out, part)
        assert same(out, ARRAY[part].copy())


@pytest.mark.parametrize(
    "error",
    [
        zlib.error("bad"),
        zstandard.ZstdError("bad"),
        struct.error("bad"),
        RuntimeError("bad"),
        ValueError("bad"),
        MemoryError("bad"),
        KeyError("bad"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_backends(error: Exception) -> None:
    """Whatever a backend raises becomes a CodecError that names the codec, and is its cause."""
    spec = spec_of(ARRAY)
    coder = Pipeline.of(["bytes", "crc32c", Broken(error), "gzip"], spec).bind(spec)
    data = coder.encode(ARRAY)
    assert data is not None
    with pytest.raises(CodecError, match=r"test\.broken.*bad") as caught:
        coder.decode(data)
    assert caught.value.codec == "test.broken"
    assert caught.value.__cause__ is error


def test_errors_of_other_coders() -> None:
    """The same holds for array->bytes codecs, in all that they do."""
    spec = spec_of(ARRAY)
    coder = Pipeline.of([Lazy()], spec).bind(spec)
    part = (slice(0, 1, 1), slice(0, 1, 1))
    calls = {
        "too late": lambda: coder.encode(ARRAY),
        "too early": lambda: coder.decode(b""),
        "ZeroDivisionError": lambda: coder.read_part(Fetcher(b"x"), ARRAY[:1, :1].copy(), part),
    }
    for reason, call in calls.items():
        with pytest.raises(CodecError, match=rf"test\.lazy.*{reason}"):
            call()


@pytest.mark.parametrize(
    "error", [KeyNotFoundError("gone"), ConnectionLostError("gone"), OSError("gone")]
)
@pytest.mark.parametrize(
    "codecs", [[Lazy()], ["bytes"], ["storekit.b2nd"], [FLIP, "bytes"]], ids=str
)
def test_errors_of_the_store(codecs: list[Any], error: Exception) -> None:
    """What goes wrong while ranges are fetched is the store's error, not the codec's."""
    chunk = random_chunk(np.dtype("f4"), (300, 300))
    coder = bound(codecs, chunk)

    def fetch(ranges: Any) -> list[Value]:
        raise error

    out = np.empty((1, 1), "f4")
    with pytest.raises(type(error)) as caught:
        coder.read_part(fetch, out, (slice(0, 1, 1), slice(0, 1, 1)))
    assert caught.value is error


@pytest.mark.parametrize("codecs", CHAINS, ids=str)
@pytest.mark.parametrize("shape", [(2, 4), (2, 2), (3, 2), (6,)], ids=str)
def test_other_shapes(codecs: list[Any], shape: tuple[int, ...]) -> None:
    """A chunk of another shape than the spec's is not encoded, nor decoded."""
    coder = bound(codecs, ARRAY)
    other = np.zeros(shape, "f4")
    with pytest.raises(CodecError):
        coder.encode(other)
    data = bound(codecs, other).encode(other)
    assert data is not None
    if other.nbytes != ARRAY.nbytes or "b2nd" in str(codecs):
        with pytest.raises(CodecError):
            coder.decode(data)


def test_wrong_sizes_say_so() -> None:
    """An error about a length says which was expected, and which found."""
    spec = spec_of(ARRAY)
    with pytest.raises(CodecError, match=r"24 bytes.*23"):
        bound(["bytes"], ARRAY).decode(bytes(23))
    with pytest.raises(CodecError, match=r"28 bytes.*24"):
        bound(["bytes", "crc32c"], ARRAY).decode(bytes(24))
    for extra in (b"x", b"xyz"):
        coder = Pipeline.of(["bytes", Broken(extra=extra)], spec).bind(spec)
        with pytest.raises(CodecError, match=rf"{24 + len(extra)} bytes.*24"):
            coder.decode(bytes(24))


def test_bytes_are_not_copied() -> None:
    """A chunk that is stored as it is is encoded to its own memory."""
    chunk = np.arange(1000)
    data = bound(["bytes"], chunk).encode(chunk)
    assert data is not None
    assert np.shares_memory(np.frombuffer(data, "u1"), chunk)
    assert memoryview(data).readonly
    assert np.shares_memory(bound(["bytes"], chunk).decode(data), chunk)


class Ranges:
    """How many bytes a part takes."""

    chunk = np.arange(64**3, dtype="f4").reshape(64, 64, 64)

    @classmethod
    def read(cls, codecs: list[Any], part: Part) -> Fetcher:
        """Read a part, see that it is right, and say what was fetched."""
        coder = bound(codecs, cls.chunk)
        data = coder.encode(cls.chunk)
        assert data is not None
        fetch = Fetcher(data)
        expected = np.ascontiguousarray(take(cls.chunk, part))
        out = np.empty_like(expected)
        coder.read_part(fetch, out, part)
        assert same(out, expected)
        return fetch


@pytest.mark.parametrize(
    ("part", "calls", "runs", "nbytes"),
    [
        ((slice(3, 4, 1), slice(5, 6, 1), slice(7, 8, 1)), 1, 1, 4),
        ((slice(3, 5, 1), slice(0, 64, 1), slice(0, 64, 1)), 1, 1, 2 * 64 * 64 * 4),
        ((slice(0, 64, 1), slice(0, 1, 1), slice(0, 64, 1)), 1, 64, 64 * 64 * 4),
        ((slice(0, 64, 1), slice(0, 2, 1), slice(0, 2, 1)), 1, 64, 64 * (256 + 8)),
        (Points((0, 1, 2), (np.array([1, 60]),) * 3, ()), 1, 2, 8),
        (Points((0, 1, 2), (np.array([60, 1, 1, 60]),) * 3, ()), 1, 2, 8),
        ((slice(0, 0, 1), slice(0, 1, 1), slice(0, 1, 1)), 0, 0, 0),
    ],
)
def test_parts_of_plain_bytes(part: Part, calls: int, runs: int, nbytes: int) -> None:
    """A part of a chunk of plain bytes is read in one call, with little more than its own bytes."""
    fetch = Ranges.read(["bytes"], part)
    assert len(fetch.calls) == calls
    assert sum(map(len, fetch.calls)) == runs
    assert fetch.nbytes == nbytes


def test_transposed_parts() -> None:
    """Ranges are there behind a transposition, too."""
    order = {"name": "transpose", "configuration": {"order": [2, 0, 1]}}
    box = (slice(0, 64, 1), slice(0, 64, 1), slice(9, 10, 1))  # one contiguous slab, transposed
    fetch = Ranges.read([order, "bytes"], box)
    assert fetch.nbytes == 64 * 64 * 4
    points = Points((0,), (np.array([3, 9]),), (slice(0, 9, 2), slice(1, 2, 1)))
    assert Ranges.read([order, "bytes"], points).nbytes < Ranges.chunk.nbytes / 4
    Ranges.read([order, "bytes"], Points((1,), (np.array([], int),), (slice(0, 9, 2),) * 2))


def test_ranges_cut_off() -> None:
    """A value that ends before a range does is damaged."""
    coder = bound(["bytes"], Ranges.chunk)

    def fetch(ranges: list[ByteRange]) -> list[Value]:
        return [b"x" for _ in ranges]

    for part in ((slice(0, 1, 1),) * 3, Points((0, 1, 2), (np.array([1]),) * 3, ())):
        with pytest.raises(CodecError, match="expected 4 bytes"):
            coder.read_part(fetch, np.empty((1, 1, 1) if part != Points else 1, "f4"), part)  # type: ignore[arg-type]


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("codecs", CHAINS, ids=str)
def test_threads(codecs: list[Any]) -> None:
    """One coder serves many threads at once."""
    chunks = [random_chunk(np.dtype("i4"), (32, 48), seed, span=1 + seed) for seed in range(8)]
    coder = bound(codecs, chunks[0])
    part = (slice(3, 30, 2), slice(1, 40, 3))
    wrong: list[object] = []

    def work(chunk: AnyArray) -> None:
        out, some = np.empty_like(chunk), np.empty((14, 13), "i4")
        try:
            for _ in range(40):
                data = coder.encode(chunk)
                assert data is not None
                coder.decode_into(bytes(data), out)
                coder.decode_into(bytes(data), some, part)
                assert same(out, chunk)
                assert same(some, chunk[part].copy())
        except BaseException as error:
            wrong.append(error)
            raise

    threads = [threading.Thread(target=work, args=[chunk]) for chunk in chunks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_rate_of_a_chain() -> None:
    """Each codec makes a chain slower; one that holds the GIL makes threads useless."""
    chunk = np.zeros((4, 4), "f4")
    shard = configured("sharding_indexed", chunk_shape=[2, 2], codecs=["bytes", "zstd"])
    shard["configuration"]["index_codecs"] = [configured("bytes", endian="little"), "crc32c"]
    plain, zstd = bound(["bytes"], chunk).rate, bound(["bytes", "zstd"], chunk).rate
    assert zstd < plain
    assert bound(["bytes", "zstd", "crc32c"], chunk).rate < zstd
    assert bound([FLIP, "bytes", "zstd"], chunk).rate == zstd
    assert bound([shard], chunk).rate == zstd
    text = np.array(["a"], object)
    assert bound(["vlen-utf8", "zstd"], text, "").rate == GIL_HELD
