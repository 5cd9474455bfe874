"""Only absence is fill value: any failure of a store or of a chunk's bytes reaches the caller."""

from __future__ import annotations

import builtins
import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from array_layouts import LAYOUTS, HookedStore, PlainStore, eager
from hypothesis import given, settings
from hypothesis import strategies as st
from index_samples import numbered

from storekit import MemoryStore, ZarrArray, ZarrGroup, errors, open_zarr
from storekit.errors import (
    ChecksumError,
    CodecError,
    KeyNotFoundError,
    MetadataError,
    StorekitError,
)
from storekit.stores.wrapper import Call

SHAPE, UNIT = (24, 18), (3, 4)
READS = {"get", "get_partial_values", "get_versioned"}


def make(layout: str, store: Any = None) -> ZarrArray:
    """An array of which every chunk is stored."""
    array = ZarrArray.create(
        MemoryStore() if store is None else store,
        "a",
        shape=SHAPE,
        dtype="i8",
        fill_value=-1,
        **LAYOUTS[layout](UNIT),
    )
    array[...] = numbered(SHAPE)
    return array


# --- errors of the store --------------------------------------------------------------------------

ERRORS: dict[str, Callable[[], BaseException]] = {
    "transport": lambda: errors.TransportError("lost"),
    "timeout": lambda: errors.TimeoutError("late"),
    "connection": lambda: errors.ConnectionLostError("gone"),
    "rate": lambda: errors.RateLimitedError("slowly"),
    "server": lambda: errors.ServerError("500"),
    "access": lambda: errors.AccessDeniedError("403"),
    "store": lambda: errors.StoreError("some other"),
    "os": lambda: OSError(5, "Input/output error"),
    "no file": lambda: FileNotFoundError(2, "a file, but not the key"),
    "permission": lambda: PermissionError(13, "no"),
    "key": lambda: KeyError("a bug of the store"),
    "memory": lambda: MemoryError("full"),
    "value": lambda: ValueError("a bug of the store"),
    "cancelled": lambda: builtins.TimeoutError("late"),
}

ACTIONS: dict[str, Callable[[ZarrArray], Any]] = {
    "all": lambda a: a[...],
    "a box": lambda a: a[1:5, 3:9],
    "steps": lambda a: a[::5, ::-3],
    "an element": lambda a: a[7, 5],
    "out": lambda a: a.read(np.s_[2:9], out=np.zeros((7, 18), "f4")),
    "points": lambda a: a.vindex[[0, 13, 13], [1, 7, 17]],
    "mesh": lambda a: a.oindex[[0, 13, 5], [1, 7]],
    "an index array": lambda a: a[:, [3, 17, 3]],
    "a block": lambda a: a.blocks[0, 0],
    "a chunk": lambda a: a.get_chunk((0, 0)),
    "a future": lambda a: a.read_future(np.s_[1:5]).result(),
    "a part written": lambda a: a.__setitem__(np.s_[1:5, 3:9], 0),
    "points written": lambda a: a.vindex.__setitem__(([0, 13], [1, 7]), 0),
    "iteration": lambda a: list(a),
    "numpy": lambda a: np.asarray(a),
    "a shrink": lambda a: a.resize((23, 17)),
}


@pytest.mark.parametrize("ranges", [False, True], ids=["whole", "ranges"])
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("layout", ["none", "zstd", "shards", "nested", "turned shards", "b2nd"])
def test_an_error_of_the_store_is_raised_as_it_is(layout: str, action: str, ranges: bool) -> None:
    """Whatever a store raises for a chunk, that very error is raised: never fill values."""
    array = make(layout)
    raised: list[BaseException] = []
    kind = [ERRORS["os"]]

    def fail(call: Call) -> None:
        if call.op in READS and not call.keys[0].endswith("zarr.json"):
            raised.append(kind[0]())
            raise raised[-1]

    broken = ZarrArray(HookedStore(array.store, fail), "a")
    with eager(ranges=ranges, threads=False):
        for kind[0] in ERRORS.values():
            if action == "a shrink":
                broken.resize(SHAPE)
            raised.clear()
            with pytest.raises(type(kind[0]())) as caught:
                ACTIONS[action](broken)
            assert caught.value in raised
    assert action == "a shrink" or (array[...] == numbered(SHAPE)).all()


@pytest.mark.parametrize("layout", ["shards", "index first", "nested", "turned shards"])
@pytest.mark.parametrize("good", range(4))
def test_an_error_after_the_index_was_read(layout: str, good: int) -> None:
    """A shard whose index can be read, but not its inner chunks, raises the store's error."""
    array = make(layout)
    left = [good]

    def fail(call: Call) -> None:
        if call.op == "get_partial_values":
            left[0] -= 1
            if left[0] < 0:
                raise MemoryError("full")

    broken = ZarrArray(HookedStore(array.store, fail), "a")
    with eager(threads=False):
        try:
            found = broken[4:7, 5:6]
        except MemoryError:
            return
    assert left[0] >= 0
    assert (found == numbered(SHAPE)[4:7, 5:6]).all()


@pytest.mark.parametrize("ranges", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_absence_is_fill_value(layout: str, ranges: bool) -> None:
    """A chunk that is absent, also one that vanishes while it is read, is fill value."""
    array = make(layout)
    keys = array.stored_keys()
    vanishing = [False]

    def vanish(call: Call) -> None:
        if call.op == "get_partial_values" and vanishing[0]:
            array.store.erase(call.keys[0])
        vanishing[0] = True

    with eager(ranges=ranges, threads=False):
        seen = ZarrArray(HookedStore(array.store, vanish), "a")[1:4, 2:3]
        assert ((seen == numbered(SHAPE)[1:4, 2:3]) | (seen == -1)).all()
        array.store.erase_values(keys)
        assert (array[...] == -1).all()
        assert (array[1:4, 2:3] == -1).all()
        assert (array.vindex[[1, 13], [2, 7]] == -1).all()


def test_absence_must_be_said_by_the_store() -> None:
    """Errors that look like absence are none: only KeyNotFoundError is."""
    assert not issubclass(KeyNotFoundError, OSError)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert [kind for kind in kinds if issubclass(kind, KeyNotFoundError)] == [KeyNotFoundError]


# --- bytes that are not the chunk -----------------------------------------------------------------


@contextmanager
def little_memory(limit: int = 4 << 20) -> Iterator[None]:
    """Whatever is done here allocates little."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def damage(layout: str, change: Callable[[bytes], bytes]) -> tuple[ZarrArray, str]:
    """An array whose first chunk has other bytes, and the key of this chunk."""
    array = make(layout)
    key = array.stored_keys()[0]
    array.store.set(key, change(bytes(array.store.get(key))))
    return array, key


FOREIGN: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: b"",
    "a byte": lambda data: data[:1],
    "a half": lambda data: data[: len(data) // 2],
    "all but one": lambda data: data[:-1],
    "all but the first": lambda data: data[1:],
    "json": lambda data: b'{"zarr_format": 3, "node_type": "group"}',
    "zeros": lambda data: bytes(len(data) + 1),
    "ones": lambda data: b"\xff" * (len(data) + 7),
    "text": lambda data: b"no such key" * 99,
}


# Where nothing has a checksum, an index may be all ones (all is empty) or be moved by a byte, and a
# part may be whole though the rest is gone.
UNSEEN = {
    ("a half", "index first"),
    ("all but one", "index first"),
    ("ones", "index first"),
    ("all but the first", "shards"),
    ("all but the first", "turned shards"),
}


@pytest.mark.parametrize(
    ("name", "layout"), [(n, i) for n in FOREIGN for i in LAYOUTS if (n, i) not in UNSEEN]
)
def test_bytes_that_are_no_chunk_are_an_error(name: str, layout: str) -> None:
    """Truncated and foreign bytes raise CodecError with the key and the codec."""
    array, key = damage(layout, FOREIGN[name])
    # Without a checksum, a part of a raw chunk may be read from bytes that are none.
    for ranges in (False,) if layout in ("none", "turned") else (False, True):
        with eager(ranges=ranges, threads=False), little_memory():
            for act in (
                lambda: array[...],
                lambda: array[1:3, 2:3],
                lambda: array.vindex[[0, 1], [2, 3]],
                lambda: array.get_chunk((0, 0)),
                lambda: array.__setitem__((0, 0), 5),
            ):
                with pytest.raises(CodecError) as caught:
                    act()
                assert caught.value.key == key
                assert caught.value.codec
                assert key in str(caught.value)
    assert (array[12:] == numbered(SHAPE)[12:]).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_damage_is_an_error_or_harmless(layout: str, data: st.DataObject) -> None:
    """
    Bytes cut off, changed or inserted anywhere raise CodecError, or do not change what is read, or
    (without a checksum) change elements: never another error, and never the memory of a giant.
    """

    def change(value: bytes) -> bytes:
        place = data.draw(st.integers(0, len(value)))
        match data.draw(st.sampled_from(["cut", "flip", "insert", "drop", "number"])):
            case "cut":
                return value[:place]
            case "flip":
                bit = data.draw(st.integers(0, 7))
                tail = value[place : place + 1] or b"\0"
                return value[:place] + bytes([tail[0] ^ (1 << bit)]) + value[place + 1 :]
            case "insert":
                return value[:place] + data.draw(st.binary(min_size=1, max_size=9)) + value[place:]
            case "drop":
                return value[:place] + value[place + data.draw(st.integers(1, 9)) :]
        number = data.draw(st.integers(0, 2**64 - 1)).to_bytes(8, "little")
        return value[:place] + number + value[place + 8 :]

    array, key = damage(layout, change)
    selection = data.draw(st.sampled_from([..., np.s_[1:3, 2:3], np.s_[::2, [1, 3]]]))
    checked = layout in ("zstd", "b2nd", "big", "zstd shards", "b2nd shards", "packed shards")
    with eager(ranges=data.draw(st.booleans()), threads=False), little_memory():
        try:
            found = array[selection]
        except CodecError as error:
            blamed = error.key, bool(error.codec)
        else:
            blamed = key, True
            assert not checked or (found == numbered(SHAPE)[selection]).all()
    assert blamed == (key, True)


@pytest.mark.parametrize("layout", ["big", "b2nd", "zstd"])
def test_a_wrong_checksum_says_so(layout: str) -> None:
    """Where there is a checksum, a flipped bit in the middle of a chunk is found."""

    def flip(value: bytes) -> bytes:
        middle = len(value) // 2
        return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]

    array, _ = damage(layout, flip)
    with pytest.raises(CodecError if layout == "zstd" else ChecksumError):
        array[...]


def test_a_chunk_of_another_array_is_an_error() -> None:
    """Chunks of another shape or data type are not taken for one's own."""
    for layout in ("none", "zstd", "b2nd"):
        small = ZarrArray.create(
            MemoryStore(), data=numbered((6,)).astype("f4"), **LAYOUTS[layout]((6,))
        )
        array, key = damage(layout, lambda data, small=small: small.store.get("c/0"))  # type: ignore[misc]
        with pytest.raises(CodecError) as caught:
            array[0, 0]
        assert caught.value.key == key


def test_writing_whole_chunks_repairs() -> None:
    """What is written over damaged chunks as a whole is there, though they could not be read."""
    for layout in ("none", "zstd", "shards", "b2nd"):
        array, _ = damage(layout, lambda data: b"damaged")
        with pytest.raises(CodecError):
            array[0, 0] = 1
        array[...] = 7
        assert (array[...] == 7).all()


def test_an_error_while_writing_leaves_the_chunk() -> None:
    """When elements cannot be encoded, CodecError says which chunk, and the old one stays."""
    array = ZarrArray.create(
        MemoryStore(), "a", shape=4, chunks=2, dtype=bytes, codecs="zstd", fill_value=b""
    )
    array[...] = np.array([b"a", b"b", b"c", b"d"], object)
    for selection in (slice(2, 4), 3):
        with pytest.raises(CodecError) as caught:
            array[selection] = np.array(5, object)
        assert caught.value.key == "a/c/1"
    assert array[...].tolist() == [b"a", b"b", b"c", b"d"]


# --- documents ------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [4],
    "data_type": "int8",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2]}},
    "chunk_key_encoding": {"name": "default"},
    "fill_value": 0,
    "codecs": [{"name": "bytes"}],
}


def changed(**changes: Any) -> bytes:
    """The good document with other fields; `...` removes one."""
    fields = {**GOOD, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


BAD = {
    "nothing": (b"", None),
    "half": (changed()[:40], None),
    "a list": (b"[]", None),
    "null": (b"null", None),
    "no text": (b"\xff\xfe{}", None),
    "another format": (changed(zarr_format=2), "zarr_format"),
    "no kind": (changed(node_type=...), "node_type"),
    "another kind": (changed(node_type="table"), "node_type"),
    **{f"no {name}": (changed(**{name: ...}), name) for name in list(GOOD)[2:]},
    "unknown field": (changed(rotation=5), "rotation"),
    "negative": (changed(shape=[-1]), "shape[0]"),
    "too long": (changed(shape=[2**64]), "shape[0]"),
    "no chunk": (
        changed(chunk_grid={"name": "regular", "configuration": {"chunk_shape": [0]}}),
        "chunk_grid.configuration.chunk_shape[0]",
    ),
    "unknown codec": (changed(codecs=[{"name": "bytes"}, {"name": "x"}]), "codecs[1].name"),
    "wrong order": (changed(codecs=[{"name": "gzip"}, {"name": "bytes"}]), "codecs"),
    "transformers": (changed(storage_transformers=[{"name": "x"}]), "storage_transformers"),
    "deep": (b'{"zarr_format":3,"node_type":"group","attributes":' + b"[" * 10**5, None),
}


@pytest.mark.parametrize("path", ["", "a/b"])
@pytest.mark.parametrize("name", BAD)
def test_a_malformed_document_names_itself(name: str, path: str) -> None:
    """Opening a node whose document is malformed raises MetadataError with its key and field."""
    document, field = BAD[name]
    key = f"{path}/zarr.json" if path else "zarr.json"
    store = MemoryStore({key: document})
    with little_memory(), pytest.raises(MetadataError) as caught:
        open_zarr(store, path)
    assert caught.value.document == key
    assert field is None or (caught.value.field or "").startswith(field)
    for kind in (ZarrArray, ZarrGroup):
        with pytest.raises(MetadataError, match=key.replace(".", r"\.")):
            kind(store, path)
    assert not isinstance(caught.value, KeyError)


@pytest.mark.parametrize("error", ["transport", "access", "os", "no file", "key", "memory"])
def test_an_error_of_the_store_is_not_a_missing_node(error: str) -> None:
    """A document that cannot be read is not taken for one that is not there."""
    made = ERRORS[error]()

    def fail(call: Call) -> None:
        raise made

    store = HookedStore(MemoryStore(), fail)
    for action in (
        lambda: open_zarr(store),
        lambda: ZarrArray.create(store, "a/b", data=[1]),
        lambda: ZarrGroup.create(store),
        lambda: ZarrGroup(store, "", {"zarr_format": 3, "node_type": "group"})["a"],
        lambda: "a" in ZarrGroup(store, "", {"zarr_format": 3, "node_type": "group"}),
    ):
        with pytest.raises(type(made)) as caught:
            action()
        assert caught.value is made


# --- giants ---------------------------------------------------------------------------------------

GIANTS: dict[str, dict[str, Any]] = {
    "none": {"chunks": 2**40, "codecs": "none"},
    "zstd": {"chunks": 2**40, "codecs": "zstd"},
    "shards": {"chunks": 2**10, "shards": 2**60, "codecs": "none"},
    "large inner chunks": {"chunks": 2**40, "shards": 2**60, "codecs": "zstd"},
}


@pytest.mark.parametrize("ranges", [False, True])
@pytest.mark.parametrize("name", GIANTS)
def test_a_giant_chunk_costs_nothing_until_it_is_written(name: str, ranges: bool) -> None:
    """
    An array of 2**62 elements in chunks of more than memory holds can be opened and read where
    nothing is stored; a write of one element fails with an error that says why.
    """
    store = MemoryStore()
    ZarrArray.create(store, shape=2**62, dtype="u1", fill_value=7, **GIANTS[name])
    with eager(ranges=ranges, threads=False), little_memory():
        array = open_zarr(store)
        assert array[2**61] == 7
        assert (array[-5:] == 7).all()
        assert (array[:: 2**60] == 7).all()
        assert (array.vindex[[0, 2**62 - 1]] == 7).all()
        assert array.nchunks == 2**62 // array.chunks[0]
        array[5] = 7
        array[1 : 2**40 - 1] = 7
        array[1 : 2**40 - 1] = np.int64(7)
        array.resize(2**62 - 5)
    for write in (
        lambda: array.__setitem__(2**61, 1),
        lambda: array.__setitem__(slice(2**61, 2**61 + 9, 3), 1),
        lambda: array.get_chunk(0) if name != "shards" else array.__setitem__(0, 1),
    ):
        with pytest.raises((CodecError, MemoryError), match="Unable to allocate"):
            write()
    assert store.list() == ["zarr.json"]


@pytest.mark.parametrize("name", GIANTS)
def test_giant_chunks_that_are_stored_are_not_believed(name: str) -> None:
    """Bytes that cannot be such a chunk are an error, and no memory is taken for it."""
    store = MemoryStore({"c/0": b"\xff" * 100})
    ZarrGroup.create(store, "other")
    document = ZarrArray.create(MemoryStore(), shape=2**62, dtype="u1", **GIANTS[name]).store.get(
        "zarr.json"
    )
    store.set("zarr.json", document)
    for ranges in (False, True):
        with eager(ranges=ranges, threads=False), little_memory():
            with pytest.raises(CodecError) as caught:
                open_zarr(store)[1000]
            assert caught.value.key == "c/0"


def test_a_selection_of_more_than_memory_is_refused_at_once() -> None:
    """Reading everything of a giant raises what numpy raises, before anything is asked."""
    array = ZarrArray.create(MemoryStore(), shape=2**62, dtype="u1", chunks=2**20, codecs="none")
    with pytest.raises((MemoryError, ValueError)):
        array[...]
    with pytest.raises((MemoryError, ValueError)):
        array.get_chunk_future(5).result()[...] = array[: 2**60]


def test_every_error_is_storekit_s() -> None:
    """CodecError and MetadataError are StorekitErrors, and neither is a KeyError or an OSError."""
    for kind in (CodecError, MetadataError):
        assert issubclass(kind, StorekitError)
        assert not issubclass(kind, KeyError | OSError)


def test_a_store_without_compare_and_set_keeps_errors_too() -> None:
    """The plain read-modify-write raises the error of the read, and writes nothing."""
    store = PlainStore()
    array = make("zstd", store)
    before = array[...]

    def fail(call: Call) -> None:
        if call.op == "get" and "/c/" in call.keys[0]:
            raise errors.ServerError("500")

    with pytest.raises(errors.ServerError):
        ZarrArray(HookedStore(store, fail), "a")[1:2, 1:2] = 0
    assert (array[...] == before).all()
