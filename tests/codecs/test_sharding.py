"""``sharding_indexed``: its format, byte for byte, what is read of it, and what is not believed."""

from __future__ import annotations

import pickle
import struct
import threading
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from math import prod
from typing import Any, TypeVar
from unittest import mock

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_samples import index_expressions, numbered, orthogonal, outer
from numpy.dtypes import StringDType

from storekit.clock import REAL_CLOCK
from storekit.codecs.base import BytesBytesCodec, Codec
from storekit.codecs.bytes import BytesCodec
from storekit.codecs.coder import ChunkCoder
from storekit.codecs.crc32c import Crc32cCodec
from storekit.codecs.gzip import GzipCodec
from storekit.codecs.pipeline import Pipeline
from storekit.codecs.sharding import ShardingCodec
from storekit.codecs.spec import ChunkSpec
from storekit.codecs.transpose import TransposeCodec
from storekit.codecs.vlen import VlenUtf8Codec
from storekit.codecs.zstd import ZstdCodec
from storekit.errors import CodecError, MetadataError
from storekit.keys import resolve_range
from storekit.pool import run
from storekit.selection.parse import select, select_orthogonal
from storekit.selection.part import part_shape, put, take
from storekit.selection.plan import GridPlan

T = TypeVar("T")
EMPTY = 2**64 - 1
LITTLE, BIG, CRC = BytesCodec("little"), BytesCodec("big"), Crc32cCodec()


def spec_of(shape: Any, dtype: str = "i2", fill: int = -1) -> ChunkSpec:
    """The spec of a shard."""
    return ChunkSpec(tuple(shape), np.dtype(dtype), np.dtype(dtype).type(fill))


def bind(codec: ShardingCodec, spec: ChunkSpec) -> ChunkCoder:
    """The coder, as an array has it."""
    return Pipeline([codec]).bind(spec)


def crc(data: bytes) -> bytes:
    """The bytes with their CRC32C."""
    return data + struct.pack("<I", google_crc32c.value(data))


def index_of(*entries: tuple[int, int]) -> bytes:
    """An index, as the default index codecs encode it."""
    return crc(b"".join(struct.pack("<QQ", *entry) for entry in entries))


def ints(*values: int) -> bytes:
    """16-bit integers, as they are stored."""
    return struct.pack(f"<{len(values)}h", *values)


# --- the format -----------------------------------------------------------------------------------

SPEC = spec_of((4, 2))
CHUNK = np.array([[1, 2], [3, 4], [-1, -1], [7, -1]], "i2")  # in inner chunks of 2 x 1


def test_the_index_is_at_the_end() -> None:
    """Inner chunks in C order, then for each its offset and size; the empty one has all ones."""
    data = bind(ShardingCodec((2, 1), [LITTLE]), SPEC).encode(CHUNK)
    index = index_of((0, 4), (4, 4), (8, 4), (EMPTY, EMPTY))
    assert data == ints(1, 3) + ints(2, 4) + ints(-1, 7) + index


def test_the_index_is_at_the_start() -> None:
    """At the start, offsets count from the beginning of the shard, the index included."""
    data = bind(ShardingCodec((2, 1), [LITTLE], index_location="start"), SPEC).encode(CHUNK)
    index = index_of((68, 4), (72, 4), (76, 4), (EMPTY, EMPTY))
    assert data == index + ints(1, 3) + ints(2, 4) + ints(-1, 7)


def test_the_index_goes_through_its_codecs() -> None:
    """Other index codecs, without checksum and in another byte order, are used as they are."""
    data = bind(ShardingCodec((4, 2), [LITTLE], [BIG]), SPEC).encode(CHUNK)
    assert data == ints(*CHUNK.ravel()) + struct.pack(">QQ", 0, 16)


def test_a_shard_of_fill_value_is_not_stored() -> None:
    """Without any inner chunk there is no shard."""
    for location in ("start", "end"):
        coder = bind(ShardingCodec((2, 1), [LITTLE], index_location=location), SPEC)
        assert coder.encode(SPEC.full()) is None
        assert coder.update(None, (slice(0, 1), slice(0, 1)), np.array([[-1]])) is None
        data = coder.encode(CHUNK)
        assert coder.update(data, (slice(0, 4), slice(0, 2)), np.array(-1)) is None


def test_order_and_gaps_are_free() -> None:
    """Inner chunks may lie in any order, with anything between them, also twice the same."""
    body = b"junk" + ints(7, 8) + b"more junk" + ints(1, 3)
    data = body + index_of((17, 4), (EMPTY, EMPTY), (4, 4), (4, 4))
    coder = bind(ShardingCodec((2, 1), [LITTLE]), SPEC)
    assert coder.decode(data).tolist() == [[1, -1], [3, -1], [7, 7], [8, 8]]
    again = coder.update(data, (slice(0, 1), slice(0, 1)), np.array([[5]]))
    assert again is not None
    assert coder.decode(again).tolist() == [[5, -1], [3, -1], [7, 7], [8, 8]]


# --- round trips ----------------------------------------------------------------------------------


@st.composite
def codings(draw: st.DrawFn) -> tuple[ShardingCodec, ChunkSpec]:
    """A sharding codec of any sort, and a shard that it divides."""
    ndim = draw(st.integers(0, 3))
    inner = tuple(draw(st.integers(1, 3)) for _ in range(ndim))
    times = tuple(draw(st.integers(1, 3)) for _ in range(ndim))
    deep = tuple(draw(st.integers(1, 2)) for _ in range(ndim))
    shape = tuple(map(prod, zip(inner, times, deep, strict=True)))
    middle = tuple(map(prod, zip(inner, deep, strict=True)))
    order = tuple(draw(st.permutations(range(ndim))))
    codecs: list[Codec] = draw(
        st.sampled_from(
            [
                [LITTLE],
                [BIG, CRC],
                [LITTLE, ZstdCodec(1)],
                [TransposeCodec(order), LITTLE],
                [ShardingCodec(inner, [LITTLE], index_location="start")],
                [ShardingCodec(inner, [LITTLE, GzipCodec(1)], [BIG, CRC, CRC])],
            ]
        )
    )
    index = draw(st.sampled_from([None, [LITTLE], [BIG, CRC]]))
    location = draw(st.sampled_from(["start", "end"]))
    return ShardingCodec(middle, codecs, index, location), spec_of(shape)


@st.composite
def chunks(draw: st.DrawFn, spec: ChunkSpec) -> np.ndarray:
    """A shard, parts of which are fill value."""
    chunk = numbered(spec.shape, "i2").copy()
    places = np.arange(chunk.size).reshape(chunk.shape)
    for selection in draw(st.lists(orthogonal(spec.shape), max_size=2)):
        chunk.reshape(-1)[np.asarray(outer(places, selection))] = -1
    return chunk


@st.composite
def parts(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """A part of a chunk of any kind: a box, a mesh or points."""
    if draw(st.booleans()):
        selection = select_orthogonal(draw(orthogonal(shape)), shape)
    else:
        try:
            selection = select(draw(index_expressions(shape)), shape)
        except IndexError:
            selection = select(..., shape)
    plan = GridPlan(selection.axes, selection.points, shape, shape, lambda _, i: i, tuple)
    for _, _, part, _ in plan:
        return part
    return tuple(slice(0, n, 1) for n in shape)


class Value:
    """A stored value that is read by ranges, and notes them."""

    def __init__(self, data: Any) -> None:
        self.data = bytes(data)
        self.asked: list[list[tuple[int, int | None]]] = []

    def __call__(self, ranges: Sequence[tuple[int, int | None]]) -> list[Any]:
        """The ranges of the value, clamped as a store does."""
        self.asked.append(list(ranges))
        spans = [resolve_range(*one, len(self.data)) for one in ranges]
        return [memoryview(self.data)[first:last] for first, last in spans]


some = settings(max_examples=150, deadline=None)


@some
@given(codings(), st.data())
def test_what_is_encoded_is_decoded(coding: Any, data: st.DataObject) -> None:
    """A shard is decoded to what was encoded, whole and in part, from all bytes and by ranges."""
    codec, spec = coding
    chunk = data.draw(chunks(spec))
    coder = bind(codec, spec)
    stored = coder.encode(chunk)
    if stored is None:
        assert (chunk == -1).all()
        return
    assert (coder.decode(stored) == chunk).all()
    part = data.draw(parts(spec.shape))
    for read in (
        lambda out: coder.decode_into(stored, out, part),
        lambda out: coder.read_part(Value(stored), out, part),
    ):
        out = np.zeros(part_shape(part), "i2", order="F")
        read(out)
        assert (out == take(chunk, part)).all()


@some
@given(codings(), st.data())
def test_an_update_is_a_decoding_and_an_encoding(coding: Any, data: st.DataObject) -> None:
    """Writing over a part gives the shard that encoding the changed chunk gives."""
    codec, spec = coding
    coder = bind(codec, spec)
    chunk = data.draw(chunks(spec) | st.just(spec.full()))
    part = data.draw(parts(spec.shape))
    values = data.draw(
        st.sampled_from([np.array(-1), np.array(5.0), -5 - numbered(part_shape(part))])
    )
    expected = chunk.copy()
    put(expected, part, values)
    updated = coder.update(coder.encode(chunk), part, values)
    assert updated == coder.encode(expected)
    assert (updated is None) == (expected == -1).all()


# --- many workers ---------------------------------------------------------------------------------


def in_crew(task: Callable[[], T], crew: int = 2) -> T:
    """Do something as the only item of a plan, while other workers are idle."""
    results: list[T] = []

    def work(items: Iterable[int]) -> None:
        results.extend(task() for _ in items)

    run([0], work, clock=REAL_CLOCK, workers=1, crew=crew)
    return results[0]


@contextmanager
def all_hands() -> Iterator[None]:
    """Let threads share the smallest inner chunks."""
    with (
        mock.patch("storekit.pool._CALL", 0),
        mock.patch.multiple("storekit.codecs.shards", _WORTH=0, _BATCH=0),
    ):
        yield


class Meeting(BytesBytesCodec):
    """Codes nothing before two threads have met in it."""

    name, rate = "meeting", 1

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2, timeout=60)

    @classmethod
    def from_config(cls, configuration: Any) -> Any:
        """The codec."""
        return cls()

    def to_config(self) -> Any:
        """Nothing."""
        return {}

    def encode(self, data: Any) -> Any:
        """As it is."""
        self.barrier.wait()
        return data

    def decode(self, data: Any, size: int | None) -> Any:
        """As it is."""
        self.barrier.wait()
        return data


def test_idle_workers_take_part() -> None:
    """Whatever is done with the inner chunks of a shard is done by several workers at once."""
    spec = spec_of((4, 128))
    coder = bind(ShardingCodec((1, 128), [LITTLE, Meeting()]), spec)
    chunk, part = numbered(spec.shape, "i2"), (slice(0, 2, 1), slice(0, 128, 1))
    data = in_crew(lambda: coder.encode(chunk))
    assert data is not None
    assert (in_crew(lambda: coder.decode(data)) == chunk).all()
    out = np.zeros((2, 128), "i2")
    in_crew(lambda: coder.read_part(Value(data), out, part))
    assert (out == chunk[:2]).all()
    half = part[0], slice(0, 64, 1)
    changed = in_crew(lambda: coder.update(data, half, np.array(7)))
    assert changed is not None
    chunk[half] = 7
    assert (in_crew(lambda: coder.decode(changed)) == chunk).all()


@some
@given(codings(), st.data())
def test_many_workers_make_the_same_shard(coding: Any, data: st.DataObject) -> None:
    """A shard is the same, and is read and changed as well, whoever does it."""
    codec, spec = coding
    coder = bind(codec, spec)
    chunk, part = data.draw(chunks(spec)), data.draw(parts(spec.shape))
    stored, updated = coder.encode(chunk), coder.update(None, part, take(chunk, part))
    with all_hands():
        assert in_crew(lambda: coder.encode(chunk), 3) == stored
        assert in_crew(lambda: coder.update(None, part, take(chunk, part)), 3) == updated
        if stored is not None:
            assert (in_crew(lambda: coder.decode(stored), 3) == chunk).all()
            out = np.zeros(part_shape(part), "i2", order="F")
            in_crew(lambda: coder.read_part(Value(stored), out, part), 3)
            assert (out == take(chunk, part)).all()


def test_text_of_many_workers() -> None:
    """Shards of text are the same, too."""
    chunk = np.array([["a", "bc"], ["", "é"], ["d" * 100, ""]], StringDType())
    spec = ChunkSpec(chunk.shape, chunk.dtype, "")
    coder = bind(ShardingCodec((1, 1), [VlenUtf8Codec(), ZstdCodec()]), spec)
    stored = coder.encode(chunk)
    assert stored is not None
    with all_hands():
        assert in_crew(lambda: coder.encode(chunk)) == stored
        assert (in_crew(lambda: coder.decode(stored)) == chunk).all()


def test_damage_that_another_worker_finds() -> None:
    """A damaged inner chunk is an error that names the codec, whoever decodes it."""
    coder = bind(ShardingCodec((1,), [LITTLE, CRC]), spec_of((40,)))
    chunk = np.arange(40, dtype="i2")
    good = bytes(coder.encode(chunk) or b"")
    with all_hands():
        for number in range(40):
            data = bytearray(good)
            data[6 * number] ^= 1
            with pytest.raises(CodecError) as caught:
                in_crew(lambda data=data: coder.decode(bytes(data)))
            assert caught.value.codec == "crc32c"


def test_a_shard_is_in_memory_once() -> None:
    """Encoded inner chunks are not kept beside the shard that they have become part of."""
    spec = spec_of((128, 1 << 14), fill=0)
    chunk = np.ones((128, 1 << 15), "i2")[:, ::2]
    coder = bind(ShardingCodec((1, 1 << 14), [LITTLE]), spec)
    tracemalloc.start()
    try:
        data = coder.encode(chunk)
        assert data is not None
        assert tracemalloc.get_traced_memory()[1] < 1.3 * len(data)
    finally:
        tracemalloc.stop()


def test_untouched_inner_chunks_are_copied() -> None:
    """An update decodes the inner chunks that it touches in part, and no others."""
    coder = bind(ShardingCodec((1,), [LITTLE, CRC]), spec_of((4,)))
    data = bytearray(coder.encode(np.array([1, 2, 3, 4], "i2")) or b"")
    data[0] ^= 1  # the first one is damaged
    again = coder.update(data, (slice(2, 3),), np.array([9]))
    assert again is not None
    assert bytes(again[:6]) == bytes(data[:6])
    with pytest.raises(CodecError):
        coder.decode(again)


# --- what is asked --------------------------------------------------------------------------------


@pytest.mark.parametrize(("location", "index"), [("end", (-36, None)), ("start", (0, 36))])
def test_a_part_is_two_requests(location: str, index: Any) -> None:
    """One request for the index, by its place, and one for all inner chunks that are needed."""
    coder = bind(ShardingCodec((2,), [LITTLE], index_location=location), spec_of((4,)))
    value = Value(coder.encode(np.array([1, 2, 3, 4], "i2")))
    coder.read_part(value, out := np.zeros(2, "i2"), (slice(1, 3, 1),))
    start = 0 if location == "end" else 36
    assert value.asked == [[index], [(start, 4), (start + 4, 4)]]
    assert out.tolist() == [2, 3]


def test_empty_inner_chunks_are_not_asked_for() -> None:
    """What the index says is empty costs nothing but the index."""
    coder = bind(ShardingCodec((2,), [LITTLE]), spec_of((4,)))
    value = Value(coder.encode(np.array([-1, -1, 3, 4], "i2")))
    out = np.zeros(2, "i2")
    coder.read_part(value, out, (slice(0, 2, 1),))
    assert len(value.asked) == 1
    assert out.tolist() == [-1, -1]


def test_large_inner_shards_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a shard within a shard only the index and the innermost chunks are read."""
    monkeypatch.setattr("storekit.codecs.shards._SUB_READ", 100)
    inner = ShardingCodec((5,), [LITTLE], index_location="start")
    coder = bind(ShardingCodec((50,), [inner]), spec_of((100,)))
    data = numbered((100,), "i2")
    value = Value(coder.encode(data))
    size = 10 * 16 + 4 + 100
    out = np.zeros(2, "i2")
    coder.read_part(value, out, (slice(71, 73, 1),))
    assert out.tolist() == [72, 73]
    # The inner index comes once more with the chunk, so that both are of one state.
    assert value.asked == [[(-36, None)], [(size, 164)], [(size, 164), (size + 164 + 40, 10)]]


# --- what is not believed -------------------------------------------------------------------------

BODY = ints(1, 2, 3, 4)

WRONG: dict[str, bytes] = {
    "nothing": b"",
    "a byte": b"\0",
    "only half an index": index_of((0, 4), (4, 4))[18:],
    "no checksum": BODY + index_of((0, 4), (4, 4))[:-4],
    "a wrong checksum": BODY + index_of((0, 4), (4, 4))[:-1] + b"\0",
    "cut off": (BODY + index_of((0, 4), (4, 4)))[:-1],
    "an offset beyond the end": BODY + index_of((0, 4), (100, 4)),
    "a size beyond the end": BODY + index_of((0, 4), (4, 2**40)),
    "an enormous size": BODY + index_of((0, 4), (4, 2**62)),
    "an enormous offset": BODY + index_of((0, 4), (2**62, 4)),
    "negative as signed": BODY + index_of((0, 4), (2**63, 4)),
    "both negative": BODY + index_of((0, 4), (EMPTY - 1, EMPTY - 1)),
    "half empty": BODY + index_of((0, 4), (EMPTY, 4)),
    "the other half": BODY + index_of((0, 4), (4, EMPTY)),
    "a sum beyond 64 bits": BODY + index_of((0, 4), (2**63 - 1, 2**63 - 1)),
    "too small": BODY + index_of((0, 4), (4, 3)),
    "too large": BODY + index_of((0, 4), (4, 5)),
    "no size": BODY + index_of((0, 4), (4, 0)),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("deep", [False, True])
def test_a_wrong_shard_is_an_error(name: str, deep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whatever an index says that cannot be is a CodecError, for all ways of reading, also when the
    shard lies within another; and no memory is taken on its word.
    """
    monkeypatch.setattr("storekit.codecs.shards._SUB_READ", 0)
    data, codec, spec = WRONG[name], ShardingCodec((2,), [LITTLE]), spec_of((4,))
    if deep:
        codec, spec = ShardingCodec((4,), [codec]), spec_of((8,))
        data = data + index_of((EMPTY, EMPTY), (0, len(data)))
    coder = bind(codec, spec)
    last = (slice(spec.shape[0] - 1, spec.shape[0], 1),)
    out = np.zeros(1, "i2")
    actions: list[Callable[[], Any]] = [
        lambda: coder.decode(data),
        lambda: coder.decode_into(data, out, last),
        lambda: coder.read_part(Value(data), out, last),
        lambda: coder.update(data, last, np.array([5])),
    ]
    tracemalloc.start()
    try:
        for action in actions:
            with pytest.raises(CodecError) as caught:
                action()
            assert caught.value.codec in ("sharding_indexed", "bytes", "crc32c")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_what_lies_in_the_index_is_no_chunk() -> None:
    """An inner chunk that would begin or end within the index is an error."""
    spec = spec_of((4,))
    at_end = BODY + index_of((0, 4), (6, 4))
    with pytest.raises(CodecError, match="chunks end at 8"):
        bind(ShardingCodec((2,), [LITTLE]), spec).decode(at_end)
    at_start = index_of((36, 4), (34, 4)) + BODY
    coder = bind(ShardingCodec((2,), [LITTLE], index_location="start"), spec)
    with pytest.raises(CodecError, match="inner chunk 1 has an absurd place"):
        coder.decode(at_start)
    with pytest.raises(CodecError, match="inner chunk 1 has an absurd place"):
        coder.read_part(Value(at_start), np.zeros(1, "i2"), (slice(3, 4, 1),))


def test_the_others_can_still_be_read() -> None:
    """A wrong entry of the index harms nobody who does not ask for it."""
    coder = bind(ShardingCodec((2,), [LITTLE]), spec_of((4,)))
    data, out = BODY + index_of((0, 4), (100, 4)), np.zeros(2, "i2")
    coder.decode_into(data, out, (slice(0, 2, 1),))
    assert out.tolist() == [1, 2]
    coder.read_part(Value(data), out[::-1], (slice(0, 2, 1),))
    assert out.tolist() == [2, 1]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 60), min_size=8, max_size=8))
def test_any_index_is_an_error_or_read_within_the_shard(numbers: list[int]) -> None:
    """Whatever the index holds, a shard is read, or it is a CodecError."""
    entries = list(zip(numbers[::2], numbers[1::2], strict=True))
    data = ints(*range(20)) + index_of(*entries)
    coder = bind(ShardingCodec((2,), [LITTLE]), spec_of((8,)))
    good = all(a == b == EMPTY or (a + b <= 40 and b == 4) for a, b in entries)
    try:
        found = coder.decode(data)
    except CodecError:
        assert not good
        return
    assert good
    assert found.shape == (8,)


# --- configuration --------------------------------------------------------------------------------

CONFIG: dict[str, Any] = {
    "chunk_shape": [2, 1],
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
    "index_location": "end",
}


def test_a_configuration_goes_there_and_back() -> None:
    """All four keys are written, and mean the same codec; the location may be left out."""
    codec = ShardingCodec((2, 1), [LITTLE])
    assert codec.to_config() == CONFIG
    assert ShardingCodec.from_config(CONFIG) == codec
    short = {key: value for key, value in CONFIG.items() if key != "index_location"}
    assert ShardingCodec.from_config(short) == codec
    assert codec.codecs == (LITTLE,)
    assert codec.index_codecs == (LITTLE, CRC)
    assert hash(codec) == hash(ShardingCodec.from_config(CONFIG))
    assert codec != ShardingCodec((2, 1), [LITTLE], index_location="start")
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert repr(codec).startswith("ShardingCodec(chunk_shape=[2, 1], codecs=[{'name': 'bytes'")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"chunk_shape": ...}, "chunk_shape"),
        ({"codecs": ...}, "codecs"),
        ({"index_codecs": ...}, "index_codecs"),
        ({"more": 1}, "more"),
        ({"chunk_shape": 2}, "chunk_shape"),
        ({"chunk_shape": [2, 0]}, "chunk_shape"),
        ({"chunk_shape": [2, -1]}, "chunk_shape"),
        ({"chunk_shape": [2, 1.0]}, "chunk_shape"),
        ({"chunk_shape": [2, True]}, "chunk_shape"),
        ({"chunk_shape": [2, 2**63]}, "chunk_shape"),
        ({"codecs": []}, "codecs"),
        ({"codecs": "bytes"}, "codecs"),
        ({"codecs": [{"name": "no such"}]}, "codecs[0].name"),
        ({"codecs": [{"name": "gzip"}]}, "codecs"),
        ({"index_codecs": [{"name": "crc32c"}]}, "index_codecs"),
        ({"index_location": "middle"}, "index_location"),
        ({"index_location": None}, "index_location"),
    ],
)
def test_a_wrong_configuration_is_refused(change: dict[str, Any], field: str) -> None:
    """A configuration that cannot be raises MetadataError with the path of the field."""
    fields = {**CONFIG, **change}
    config = {key: value for key, value in fields.items() if value is not ...}
    with pytest.raises(MetadataError) as caught:
        ShardingCodec.from_config(config)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("codec", "field"),
    [
        (ShardingCodec((3, 1), [LITTLE]), "codecs[0].chunk_shape"),
        (ShardingCodec((2,), [LITTLE]), "codecs[0].chunk_shape"),
        (ShardingCodec((2, 1, 1), [LITTLE]), "codecs[0].chunk_shape"),
        (ShardingCodec((8, 2), [LITTLE]), "codecs[0].chunk_shape"),
        (ShardingCodec((2, 1), [LITTLE], [LITTLE, GzipCodec(1)]), "codecs[0].index_codecs"),
        (ShardingCodec((2, 1), [LITTLE], [BytesCodec()]), "codecs[0].index_codecs[0]"),
        (ShardingCodec((2, 1), [BytesCodec()]), "codecs[0].codecs[0]"),
        (ShardingCodec((2, 1), [TransposeCodec((0,)), LITTLE]), "codecs[0].codecs[0]"),
    ],
)
def test_a_codec_that_does_not_fit_the_shard_is_refused(codec: ShardingCodec, field: str) -> None:
    """Inner chunks divide the shard, the index has a fixed size, and inner codecs fit."""
    with pytest.raises(MetadataError) as caught:
        bind(codec, SPEC)
    assert (caught.value.field or "").startswith(field)


def test_inner_codecs_are_completed() -> None:
    """What is left open in the inner codecs is filled in for the inner chunk."""
    codec = ShardingCodec((2, 1), [TransposeCodec("F"), BytesCodec()])
    evolved = codec.evolved(SPEC)
    assert evolved.codecs == (TransposeCodec((1, 0)), LITTLE)
    assert (evolved.chunk_shape, evolved.index_location) == (codec.chunk_shape, "end")


def test_giant_shards_are_bound_at_once() -> None:
    """A shard of more chunks than can be counted in memory costs nothing until it is written."""
    tracemalloc.start()
    try:
        coder = bind(ShardingCodec((1, 1), [LITTLE]), spec_of((2**31, 2**30)))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(CodecError, match="at least 36893488147419103236 bytes"):
        coder.decode_into(b"", np.zeros((1, 1), "i2"), (slice(0, 1), slice(0, 1)))


def test_every_inner_chunk_has_its_place_in_the_index() -> None:
    """The place in the index is that of C order, in any number of dimensions."""
    shape = (2, 3, 4)
    coder = bind(ShardingCodec((1, 1, 1), [LITTLE], [LITTLE], "start"), spec_of(shape))
    for number, place in enumerate(product(*map(range, shape))):
        chunk = np.full(shape, -1, "i2")
        chunk[place] = 7
        data = coder.encode(chunk)
        assert data is not None
        index = np.frombuffer(data, "<u8", 48).reshape(24, 2)
        assert np.flatnonzero(index[:, 1] == 2).tolist() == [number]


@given(st.data())
@settings(max_examples=60)
def test_what_a_part_may_hold_is_known_before(data: st.DataObject) -> None:
    """No more bytes of inner chunks, or of elements, are read than is said from the box around."""
    shape = (40, 30)
    chunk = numbered(shape, "i4")
    part = tuple(
        slice(first, data.draw(st.integers(first + 1, n)), data.draw(st.integers(1, n)))
        for n in shape
        for first in [data.draw(st.integers(0, n - 1))]
    )
    spans = [range(a.start, a.stop, a.step)[-1] - a.start + 1 for a in part]
    for codec in (ShardingCodec((8, 10), [LITTLE]), LITTLE):
        coder = bind(codec, spec_of(shape, "i4"))
        value = Value(coder.encode(chunk))
        out = np.zeros([len(range(a.start, a.stop, a.step)) for a in part], "i4")
        coder.read_part(value, out, part)
        assert (out == chunk[part]).all()
        read = sum(
            length for call in value.asked for start, length in call if length and start >= 0
        )
        assert read <= coder.reach(spans) <= 2 * chunk.nbytes
