"""What can be asked of a new array, what it is then, and what is refused."""

from __future__ import annotations

import json
from math import prod
from typing import Any

import numpy as np
import pytest
from array_layouts import PlainStore, UnlistedStore
from hypothesis import given, settings
from hypothesis import strategies as st
from index_samples import numbered

from storekit import MemoryStore, ZarrArray, ZarrGroup, open_zarr
from storekit.codecs.bytes import BytesCodec
from storekit.codecs.crc32c import Crc32cCodec
from storekit.codecs.gzip import GzipCodec
from storekit.codecs.sharding import ShardingCodec
from storekit.codecs.transpose import TransposeCodec
from storekit.codecs.zstd import ZstdCodec
from storekit.errors import InvalidKeyError, KeyConflictError, MetadataError, NodeExistsError


def create(path: str = "", store: Any = None, **options: Any) -> ZarrArray:
    """A new array of three by four integers, unless told otherwise."""
    settings = {"shape": (3, 4), "dtype": "i4", "codecs": "none", **options}
    return ZarrArray.create(MemoryStore() if store is None else store, path, **settings)


# --- shape, chunks, shards ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (5, (5,)),
        (np.int8(5), (5,)),
        ((), ()),
        ([2, np.int64(0)], (2, 0)),
        (np.array([2, 3]), (2, 3)),
        ((n for n in (2, 3)), (2, 3)),
        ((2**62, 2**62), (2**62, 2**62)),
    ],
)
def test_a_shape_is_an_int_or_ints(shape: Any, expected: Any) -> None:
    """Any iterable of integers is a shape, and an integer one of one dimension."""
    array = create(shape=shape)
    assert array.shape == expected
    assert all(type(n) is int for n in array.shape)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 10**7) | st.integers(0, 2**62), max_size=6), st.integers(1, 2**21))
def test_auto_chunks_are_at_most_a_mebibyte(shape: list[int], itemsize: int) -> None:
    """``"auto"`` gives chunks of at most 1 MiB, unless one element has more, and none is empty."""
    array = create(shape=shape, dtype=f"V{itemsize}", chunks="auto")
    assert len(array.chunks) == len(shape)
    assert all(1 <= c <= max(n, 1) for c, n in zip(array.chunks, shape, strict=True))
    assert prod(array.chunks) == 1 or prod(array.chunks) * itemsize <= 1 << 20
    assert prod(array.chunks) == prod(max(n, 1) for n in shape) or (
        prod(array.chunks) * itemsize * 4 >= 1 << 20 or max(array.chunks) == 1
    )


def test_chunks_are_automatic_by_default() -> None:
    """A small array is one chunk, a large one is cut along its longest sides."""
    assert create(shape=(3, 4)).chunks == (3, 4)
    assert create(shape=(10, 1000, 1000), dtype="f8").chunks == (10, 63, 125)


@pytest.mark.parametrize("shards", [(1000, 512), (96, 1024), (1009, 1013), (1, 7), (2048, 2048)])
def test_auto_chunks_divide_the_shards(shards: tuple[int, int]) -> None:
    """With shards, ``"auto"`` chooses chunks that divide them."""
    array = create(shape=(5000, 7000), dtype="f8", shards=shards)
    assert array.shards == shards
    assert not any(n % c for n, c in zip(shards, array.chunks, strict=True))
    assert prod(array.chunks) * 8 <= 1 << 20


def test_chunks_and_shards_are_kept() -> None:
    """`chunks` is the least that is decoded, `shards` the least that is stored."""
    array = create(chunks=(2, 1), shards=[4, 4])
    assert (array.chunks, array.shards) == ((2, 1), (4, 4))
    assert array.metadata["chunk_grid"]["configuration"]["chunk_shape"] == [4, 4]
    assert [codec.name for codec in array.codecs] == ["sharding_indexed"]
    plain = create(shape=7, chunks=3)
    assert (plain.chunks, plain.shards) == ((3,), None)


# --- data types -----------------------------------------------------------------------------------

TYPES: dict[str, Any] = {
    **{name: name for name in ("bool", "int8", "uint64", "float16", "complex64")},
    "int32": "<i4",
    "float64": float,
    "float32": ">f4",
    "string": str,
    "bytes": bytes,
    "numpy.datetime64": "M8[ns]",
    "numpy.timedelta64": "m8[25s]",
    "fixed_length_utf32": "U3",
    "null_terminated_bytes": "S5",
    "r24": "V3",
    "r16": "r16",
    "struct": [("a", "i2"), ("b", "f8")],
}

SAMPLES: dict[str, Any] = {
    "bool": [True, False, True],
    "string": ["", "a", "śród\0"],
    "bytes": [b"", b"a", b"\0\xff"],
    "numpy.datetime64": np.array(["2020-01-01", "NaT", "1969-12-31"], "M8[ns]"),
    "numpy.timedelta64": np.array([1, "NaT", -5], "m8[25s]"),
    "fixed_length_utf32": ["abc", "", "ß"],
    "null_terminated_bytes": [b"abc", b"", b"\xff"],
    "r24": np.array([b"abc", b"\0\0\0", b"x"], "V3"),
    "r16": np.array([b"ab", b"\0\0", b"x"], "V2"),
    "struct": np.array([(1, 2.5), (0, 0.0), (-1, np.inf)], [("a", "i2"), ("b", "f8")]),
}


def exact(values: np.ndarray) -> Any:
    """The elements to the bit: NaN and NaT equal themselves."""
    return values.tolist() if values.dtype.kind in "OT" else values.tobytes()


@pytest.mark.parametrize("codecs", ["none", "zstd", "b2nd"])
@pytest.mark.parametrize("name", TYPES)
def test_every_data_type_is_stored(name: str, codecs: str) -> None:
    """Arrays of every data type hold what is written, after being opened again, too."""
    store = MemoryStore()
    array = create(store=store, shape=5, chunks=2, dtype=TYPES[name], codecs=codecs)
    assert array.data_type == name
    sample = np.array(SAMPLES.get(name, [0, 1, 2]), array.dtype)
    array[1:4] = sample
    again = open_zarr(store)
    assert again.dtype == array.dtype
    assert exact(again[1:4]) == exact(sample)
    fill = np.empty(1, array.dtype)
    fill[0] = array.fill_value
    assert exact(again[:1]) == exact(again[4:]) == exact(fill)
    again[...] = fill[0]
    assert again.stored_keys() == []


def test_the_dtype_is_numpy_s_in_native_order() -> None:
    """`dtype` is a numpy dtype in native byte order, `data_type` the name in the document."""
    array = create(dtype=">u2")
    assert array.dtype == np.dtype("u2")
    assert array.data_type == "uint16"
    assert create(dtype=array.dtype).dtype == array.dtype
    assert create(dtype="float32").data_type == "float32"


# --- data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        numbered((5, 7)),
        np.asfortranarray(numbered((5, 7)).astype(">f4")),
        np.float32(2.5),
        [[1, 2], [3, 4]],
        5,
        True,
        np.zeros((0, 3), "u1"),
        np.array(["2020", "2021"], "M8[Y]"),
        np.array([(1, 2.0)], [("x", "i4"), ("y", "f8")]),
    ],
)
def test_data_gives_shape_dtype_and_content(data: Any) -> None:
    """From `data` alone comes an array of its shape, its dtype and its elements."""
    expected = np.asarray(data)
    array = ZarrArray.create(MemoryStore(), data=data, codecs="zstd")
    assert array.shape == expected.shape
    assert array.dtype == expected.dtype.newbyteorder("=")
    assert (array[...] == expected).all()


def test_data_is_cast_and_broadcast_to_what_is_asked() -> None:
    """A shape or dtype beside `data` wins, and the data is written to it."""
    array = ZarrArray.create(MemoryStore(), data=[1.5, 2], shape=(3, 2), dtype="i2", codecs="none")
    assert array[...].tolist() == [[1, 2]] * 3
    source = create(data=numbered((2, 3)), shape=None, dtype=None)
    copy = ZarrArray.create(MemoryStore(), data=source, codecs="zstd")
    assert (copy[...] == numbered((2, 3))).all()


def test_text_is_stored_as_text() -> None:
    """`dtype=str` takes text of any length, from lists and from numpy's fixed-length arrays."""
    array = ZarrArray.create(MemoryStore(), data=["a", "long text"], dtype=str, codecs="zstd")
    assert array[1] == "long text"
    array[0] = "longer than all that was there before"
    assert array[:].tolist() == ["longer than all that was there before", "long text"]


# --- fill values, names, attributes, keys ---------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "fill", "json"),
    [
        ("f4", np.nan, "NaN"),
        ("f8", -np.inf, "-Infinity"),
        ("f8", -0.0, -0.0),
        ("i2", -7, -7),
        ("i2", None, 0),
        ("bool", True, True),
        ("c8", 1 + 2j, [1.0, 2.0]),
        (str, "none", "none"),
        (bytes, b"\x00\x01", "AAE="),
        ("M8[D]", "NaT", None),
        ("M8[D]", np.datetime64("1970-01-03"), 2),
    ],
)
def test_fill_values_are_what_unwritten_elements_are(dtype: Any, fill: Any, json: Any) -> None:
    """The fill value is recorded in the document, and is what reads give where nothing is."""
    store = MemoryStore()
    array = create(store=store, shape=3, dtype=dtype, fill_value=fill, codecs="zstd")
    if json is not None:
        assert repr(array.metadata["fill_value"]) == repr(json)
    for opened in (array, open_zarr(store)):
        assert repr(opened[1]) == repr(opened.fill_value)
    assert array.stored_keys() == []


def test_dimension_names_and_attributes_are_kept() -> None:
    """Names of dimensions, some of them None, and attributes are there after opening."""
    store = MemoryStore()
    create(store=store, dimension_names=["y", None], attributes={"a": [1, {"b": None}]})
    array = open_zarr(store)
    assert array.dimension_names == ("y", None)
    assert array.attributes == {"a": [1, {"b": None}]}
    assert create().dimension_names is None
    assert create(attributes={}).attributes == {}


@pytest.mark.parametrize(
    ("encoding", "keys", "scalar"),
    [
        ("/", ["c/0/0", "c/1/0"], "c"),
        (".", ["c.0.0", "c.1.0"], "c"),
        ("v2", ["0.0", "1.0"], "0"),
        ({"name": "v2", "configuration": {"separator": "/"}}, ["0/0", "1/0"], "0"),
        ({"name": "default"}, ["c/0/0", "c/1/0"], "c"),
        ("default", ["c/0/0", "c/1/0"], "c"),
    ],
)
def test_keys_are_spelled_as_asked(encoding: Any, keys: list[str], scalar: str) -> None:
    """The key encoding decides how the keys of chunks are spelled, below the path of the array."""
    array = create("a/b", chunks=(2, 4), key_encoding=encoding)
    array[...] = 1
    assert array.stored_keys() == [f"a/b/{key}" for key in keys]
    assert array.stored_nbytes() == 2 * 32
    assert (open_zarr(array.store, "a/b")[...] == 1).all()
    lone = create(shape=(), key_encoding=encoding)
    lone[...] = 1
    assert lone.stored_keys() == [scalar]


# --- codecs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "names"),
    [
        ("none", ["bytes"]),
        ("zstd", ["bytes", "zstd"]),
        ("gzip", ["bytes", "gzip"]),
        ("blosc", ["bytes", "blosc"]),
        ("b2nd", ["storekit.b2nd"]),
        ("imagecodecs_b2nd", ["imagecodecs_b2nd"]),
    ],
)
def test_presets_are_chains_of_codecs(preset: str, names: list[str]) -> None:
    """Every preset, alone and within shards, writes what it reads."""
    if preset == "imagecodecs_b2nd":
        pytest.importorskip("storekit.codecs.imagecodecs")
    if preset == "blosc":
        pytest.importorskip("numcodecs")
    array = create(codecs=preset)
    assert [codec.name for codec in array.codecs] == names
    assert [codec["name"] for codec in array.metadata["codecs"]] == names
    for made in (array, create(codecs=preset, chunks=(1, 2), shards=(2, 4))):
        made[...] = numbered((3, 4))
        assert (made[...] == numbered((3, 4))).all()


def test_the_default_codec_is_b2nd() -> None:
    """Without `codecs`, every chunk is a blosc2 frame."""
    array = ZarrArray.create(MemoryStore(), data=numbered((3, 4)))
    assert [codec.name for codec in array.codecs] == ["storekit.b2nd"]
    assert array.store.get("c/0/0")[2:9] == b"b2frame"


@pytest.mark.parametrize(
    "codecs",
    [
        [BytesCodec("big")],
        ["bytes", ZstdCodec(3, checksum=False)],
        [TransposeCodec("F"), {"name": "bytes"}, {"name": "gzip", "configuration": {"level": 1}}],
        ("bytes", Crc32cCodec(), GzipCodec(2), "crc32c"),
        [ShardingCodec((1, 2), [BytesCodec(), ZstdCodec(1)]), Crc32cCodec()],
    ],
)
def test_codecs_may_be_objects_json_and_names(codecs: Any) -> None:
    """A list of codecs may mix objects, metadata entries and names, and is written in full."""
    array = create(chunks=(2, 4), codecs=codecs)
    array[...] = numbered((3, 4))
    again = open_zarr(array.store)
    assert again.codecs == array.codecs
    assert all(isinstance(entry, dict) for entry in again.metadata["codecs"])
    assert (again[...] == numbered((3, 4))).all()


def test_what_is_left_open_is_filled_in() -> None:
    """A `bytes` codec without byte order gets one where elements have more than a byte."""
    assert create(codecs=["bytes"], dtype="i4").codecs == (BytesCodec("little"),)
    assert create(codecs=["bytes"], dtype="i1").codecs == (BytesCodec(),)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"shape": None}, "shape"),
        ({"dtype": None}, "dtype"),
        ({"shape": (-1, 4)}, "shape"),
        ({"shape": 1.5}, "shape"),
        ({"shape": "ab"}, "shape"),
        ({"shape": (2**63,)}, "shape"),
        ({"shape": (1,) * 33}, "shape"),
        ({"dtype": "no such"}, "data_type"),
        ({"dtype": object}, "data_type"),
        ({"chunks": (0, 1)}, "chunks"),
        ({"chunks": 0}, "chunks"),
        ({"chunks": (1, 2, 3)}, "chunks"),
        ({"chunks": (1.5, 1)}, "chunks"),
        ({"chunks": "some"}, "chunks"),
        ({"chunks": None}, "chunks"),
        ({"shape": (2**40, 2**40), "chunks": (2**40, 2**40)}, "chunk_shape"),
        ({"chunks": (2, 2), "shards": (3, 4)}, "chunk_shape"),
        ({"chunks": (2, 2), "shards": (0, 4)}, "shards"),
        ({"chunks": (2, 2), "shards": 3}, "chunk_shape"),
        ({"shards": "auto"}, "shards"),
        ({"codecs": "no such"}, "codecs"),
        ({"codecs": []}, "codecs"),
        ({"codecs": None}, "codecs"),
        ({"codecs": ["zstd", "bytes"]}, "codecs"),
        ({"codecs": ["bytes", "bytes"]}, "codecs[1]"),
        ({"codecs": ["bytes", "no such"]}, "codecs[1].name"),
        ({"codecs": ["bytes", {"name": "gzip", "configuration": {"level": 11}}]}, "codecs[1]"),
        ({"codecs": [TransposeCodec((0,)), "bytes"]}, "codecs[0]"),
        ({"codecs": ["vlen-utf8"]}, "codecs[0]"),
        ({"dtype": str, "codecs": ["bytes"]}, "codecs[0]"),
        ({"codecs": [5]}, "codecs[0]"),
        ({"fill_value": "x"}, "fill_value"),
        ({"fill_value": 2**40}, "fill_value"),
        ({"fill_value": [1, 2]}, "fill_value"),
        ({"dimension_names": ["x"]}, "dimension_names"),
        ({"dimension_names": [1, 2]}, "dimension_names"),
        ({"dimension_names": 5}, "dimension_names"),
        ({"attributes": [1]}, "attributes"),
        ({"attributes": {1: 2}}, "attributes"),
        ({"attributes": {"a": {1}}}, "attributes"),
        ({"attributes": {"a": np.nan}}, "attributes"),
        ({"key_encoding": ";"}, "chunk_key_encoding"),
        ({"key_encoding": None}, "chunk_key_encoding"),
        ({"key_encoding": {"name": "v3"}}, "chunk_key_encoding"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options: Any, field: str) -> None:
    """What cannot be an array raises MetadataError, names the field, and writes nothing."""
    store = MemoryStore()
    with pytest.raises(MetadataError) as caught:
        create("a/b", store=store, **options)
    assert field in str(caught.value.field)
    assert isinstance(caught.value, ValueError)
    assert store.list() == []


def test_a_codec_may_be_skipped_if_it_says_so() -> None:
    """An unknown codec that need not be understood is left out."""
    array = create(codecs=["bytes", {"name": "unheard-of", "must_understand": False}])
    assert [codec.name for codec in array.codecs] == ["bytes"]


@pytest.mark.parametrize("path", ["__x", "a/__x/b", "zarr.json", "a/zarr.json/b", "a/../b", "a//b"])
def test_names_that_no_node_may_have_are_refused(path: str) -> None:
    """Reserved names and names that are no keys raise InvalidKeyError, and nothing is written."""
    store = MemoryStore()
    with pytest.raises(InvalidKeyError):
        create(path, store=store)
    with pytest.raises(InvalidKeyError):
        ZarrGroup.create(store, path)
    assert store.list() == []


@pytest.mark.parametrize("path", [None, 5, b"a"])
def test_a_path_is_a_text(path: Any) -> None:
    """A path of another type raises InvalidKeyError, which is a ValueError."""
    with pytest.raises(InvalidKeyError):
        create(path)


def test_slashes_around_a_path_are_no_part_of_it() -> None:
    """``"/a/b/"`` is the path ``"a/b"``, and ``"/"`` the root."""
    assert create("/a/b/").path == "a/b"
    assert create("/").path == ""
    assert create("a/b").name == "b"


# --- what is there already ------------------------------------------------------------------------


def test_missing_parents_are_made_groups() -> None:
    """Creating an array creates the groups above it, and leaves those that are there alone."""
    store = MemoryStore()
    ZarrGroup.create(store, "a", attributes={"kept": True})
    create("a/b/c/d", store=store)
    assert [key for key in store.list() if key.endswith("zarr.json")] == [
        "a/b/c/d/zarr.json",
        "a/b/c/zarr.json",
        "a/b/zarr.json",
        "a/zarr.json",
        "zarr.json",
    ]
    assert json.loads(store.get("a/b/zarr.json"))["node_type"] == "group"
    assert open_zarr(store, "a").attributes == {"kept": True}


def test_all_groups_up_to_the_root_are_made() -> None:
    """Where nothing is, the root becomes a group, too."""
    store = MemoryStore()
    create("a", store=store)
    assert isinstance(open_zarr(store), ZarrGroup)


@pytest.mark.parametrize("path", ["a/b", "a/b/c", "a/c/0"])
def test_there_is_nothing_below_an_array(path: str) -> None:
    """Neither arrays nor groups are created below an array, however far, and it stays whole."""
    store = MemoryStore()
    array = create("a", store=store, data=numbered((3, 4)))
    before = store.list()
    for make in (create, lambda path, store: ZarrGroup.create(store, path)):
        with pytest.raises(NodeExistsError, match="'a' is an array"):
            make(path, store=store)
    assert store.list() == before
    assert (array[...] == numbered((3, 4))).all()


@pytest.mark.parametrize(
    "make_store", [MemoryStore, PlainStore, lambda: UnlistedStore(MemoryStore())]
)
@pytest.mark.parametrize("there", ["array", "group"])
def test_a_node_is_not_overwritten_unasked(there: str, make_store: Any) -> None:
    """Where a node is, creating another raises NodeExistsError and changes nothing."""
    store = make_store()
    if there == "array":
        create("a", store=store, data=numbered((3, 4)))
    else:
        ZarrGroup.create(store, "a", attributes={"kept": True})
    before = open_zarr(store, "a").metadata
    with pytest.raises(NodeExistsError, match="'a' already"):
        create("a", store=store)
    with pytest.raises(NodeExistsError, match="'a' already"):
        ZarrGroup.create(store, "a")
    assert open_zarr(store, "a").metadata == before


@pytest.mark.parametrize(
    "make_store", [MemoryStore, PlainStore, lambda: UnlistedStore(MemoryStore())]
)
def test_overwriting_removes_what_was_there(make_store: Any) -> None:
    """`overwrite` removes the old node with all its chunks and children, and nothing else."""
    store = make_store()
    create("a/old", store=store, data=np.ones((3, 4)))
    create("ab", store=store, data=np.ones((3, 4)))
    array = create("a", store=store, overwrite=True)
    assert (array[...] == 0).all()
    assert not store.exists("a/old/zarr.json")
    array[...] = 1
    group = ZarrGroup.create(store, "a", overwrite=True)
    assert group.attributes == {}
    assert not store.exists("a/c/0/0")
    assert (open_zarr(store, "ab")[...] == 1).all()
    assert create("new", store=store, overwrite=True).shape == (3, 4)


def test_the_root_can_be_overwritten() -> None:
    """Overwriting the root empties the store."""
    store = MemoryStore()
    create("a/b", store=store, data=numbered((3, 4)))
    create("", store=store, overwrite=True)
    assert store.list() == ["zarr.json"]


def test_left_over_keys_are_refused() -> None:
    """An array is not made where keys lie that it would take for its chunks."""
    store = MemoryStore({"a/c/0/0": b"foreign"})
    with pytest.raises(NodeExistsError, match="'a/c/'"):
        create("a", store=store)
    array = create("a", store=store, overwrite=True)
    assert array.stored_keys() == []
    ZarrGroup.create(MemoryStore({"a/b/c": b"foreign"}), "a")


def test_a_key_where_a_node_should_be_is_a_conflict() -> None:
    """A value whose key is the path itself is in the way, and stays."""
    store = MemoryStore({"a": b"foreign"})
    with pytest.raises(KeyConflictError):
        create("a", store=store)
    assert store.get("a") == b"foreign"


def test_a_failure_to_write_the_data_is_seen() -> None:
    """Data that does not fit what was asked raises the error of the write."""
    with pytest.raises(ValueError, match="cannot write values"):
        create(data=numbered((5,)))
