"""Making frames: where to, of what, and what is refused."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest

import storekit.frames as cat
from storekit import MemoryStore, ReadOnlyStore, TraceStore, ZarrArray, open_store
from storekit.errors import (
    AccessDeniedError,
    InvalidKeyError,
    MetadataError,
    NodeExistsError,
    NodeTypeError,
    ReadOnlyError,
    ShapeError,
    StoreError,
)
from storekit.frames import CParams, FrameArray, FrameOptions
from storekit.frames.frame import grid_counts
from storekit.frames.index import MAX_CHUNKS
from storekit.frames.stored import StoredHome
from storekit.nodes import frame_draft
from storekit.typing import AnyArray


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(os.listdir(folder))


# --- of what --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), 7, (7,), (3, 0), (5, 6, 7)])
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "c8"])
def test_arrays_of_one_value(shape: Any, dtype: str) -> None:
    """`empty`, `zeros`, `full` and `nans` have the value everywhere, and so has it blosc2."""
    layout = {"chunks": 4, "blocks": 3} if shape else {}
    makers = {
        0: [cat.empty(shape, dtype=dtype, **layout), cat.zeros(shape, dtype=dtype, **layout)],
        1.5: [cat.full(shape, 1.5, dtype=dtype, **layout)],
        np.nan: [cat.nans(shape, dtype=dtype, **layout)],
    }
    for value, arrays in makers.items():
        for array in arrays:
            expected = np.full(shape, value, dtype)
            assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
            assert np.array_equal(array[...], expected, equal_nan=True)
            if expected.size:
                peer = blosc2.ndarray_from_cframe(array.to_cframe(), copy=True)
                assert np.array_equal(peer[...], expected, equal_nan=True)


@pytest.mark.parametrize(
    ("value", "dtype"), [(5, "i8"), (1.0, "f8"), (True, "?"), ("ab", "<U2"), (np.float32(2), "f4")]
)
def test_the_type_of_a_value(value: Any, dtype: str) -> None:
    """The type of a scalar that fills an array is that of the array."""
    array = cat.full(3, value)
    assert array.dtype == dtype
    assert array[...].tolist() == [value] * 3


def test_values_of_many_bytes() -> None:
    """Elements that blosc2 has no chunks of one value for fill an array, too."""
    array = cat.full((30, 2), b"x" * 299 + b"y", dtype="S300", chunks=(7, 2))
    assert (array[...] == b"x" * 299 + b"y").all()
    assert cat.full(3, 7, dtype="i4,f8")[1].tolist() == (7, 7.0)
    assert cat.full(3, b"abcd", dtype="V4")[1].tobytes() == b"abcd"


@pytest.mark.parametrize("chunks", [None, 3, (4, 2, 3)])
def test_arrays_from_elements(chunks: Any) -> None:
    """Arrays, lists, arrays of others and buffers become frames with the same elements."""
    values = np.arange(60, dtype="<i2").reshape(5, 3, 4)
    sources: list[Any] = [
        values,
        np.asfortranarray(values),
        values.tolist(),
        blosc2.asarray(values),
        ZarrArray.create(MemoryStore(), data=values, chunks=(2, 2, 2)),
    ]
    for source in sources:
        array = cat.asarray(source, chunks=chunks)
        assert array.dtype == (np.dtype("i8") if isinstance(source, list) else values.dtype)
        assert np.array_equal(array[...], values)
    for buffer in (values.tobytes(), bytearray(values.tobytes()), values):
        array = cat.from_buffer(buffer, values.shape, dtype="<i2", chunks=chunks)
        assert np.array_equal(array[...], values)


def test_large_arrays_are_copied_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an array of storekit no more than a row of chunks is in memory at once."""
    monkeypatch.setattr(frame_draft, "_SLAB", 100)
    values = np.arange(600).reshape(20, 30)
    source = cat.asarray(values, chunks=(7, 10))
    read: list[int] = []
    original = FrameArray.read

    def seen(array: FrameArray, *args: Any) -> AnyArray:
        result = original(array, *args)
        read.append(len(result))
        return result

    monkeypatch.setattr(FrameArray, "read", seen)
    copied = source.copy(chunks=(6, 30))
    assert read == [6, 6, 6, 2]
    assert np.array_equal(copied[...], values)


def test_copies_keep_what_is_not_said_otherwise(tmp_path: Path) -> None:
    """A copy has the settings and metalayers of the original, but for those that are given."""
    array = cat.asarray(
        np.arange(40.0).reshape(8, 5), chunks=(4, 5), blocks=(2, 5), codec="lz4", meta={"a": 1}
    )
    array.vlmeta["b"] = [2]
    same = array.copy()
    other = array.copy(chunks=(3, 3), clevel=7, meta={}, dtype="f4", urlpath=tmp_path / "a.b2nd")
    for copied in (same, other):
        assert np.array_equal(copied[...], array[...])
        assert copied.vlmeta == {"b": [2]}
        assert copied.codec == cat.Codec.LZ4
    assert (same.meta, same.chunks, same.blocks) == (array.meta, (4, 5), (2, 5))
    assert same.cparams == array.cparams
    assert (other.meta.keys(), other.chunks, other.clevel, other.dtype) == (
        ["b2nd"],
        (3, 3),
        7,
        "f4",
    )
    assert cat.asarray(array) is array
    assert cat.asarray(array, clevel=2).clevel == 2
    assert np.array_equal(cat.copy(array[...])[...], array[...])


def test_settings_may_come_together() -> None:
    """`cparams` has all settings of the compressor; one that is given by itself goes first."""
    params = {"codec": blosc2.Codec.ZLIB, "clevel": 4, "filters": [2], "filters_meta": [0]}
    array = cat.zeros(5, dtype="i4", cparams=params, clevel=6)
    assert (array.codec, array.clevel, array.filters) == (
        cat.Codec.ZLIB,
        6,
        (cat.Filter.BITSHUFFLE,),
    )
    assert cat.zeros(5, dtype="i4").cparams == cat.CParams()
    with_dict = cat.zeros(5, dtype="i4", usedict=True).copy(codec="blosclz")
    assert not with_dict.cparams.usedict


def test_chunks_and_blocks_that_are_not_said() -> None:
    """Chunks have at most 1 MiB, and blocks fit into them; chunks are as large as blocks that are
    given."""
    array = cat.zeros((5000, 3000), dtype="f8")
    assert np.prod(array.chunks) * 8 <= 1 << 20
    assert all(b <= c for b, c in zip(array.blocks, array.chunks, strict=True))
    assert cat.zeros(10, dtype="i1", blocks=4).chunks == (10,)
    assert cat.zeros((3000, 3000), dtype="f8", blocks=(1, 3000)).chunks[1] == 3000


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({}, 256),
        ({"codec": "lz4"}, 128),
        ({"codec": "lz4", "filters": ["bitshuffle"]}, 256),
        ({"codec": "lz4hc"}, 256),
    ],
)
def test_blocks_suit_the_codec(settings: dict[str, Any], size: int) -> None:
    """Where small blocks cost next to nothing they are smaller, unless it is said otherwise."""
    array = cat.zeros((512, 512), dtype="f4", **settings)
    assert array.chunks == (512, 512)
    assert array.blocks == (size // 2, 512)
    assert cat.zeros((512, 512), dtype="f4", blocks=(8, 512), **settings).blocks == (8, 512)


@pytest.mark.parametrize("shape", [(10**7, 10**7), (10**5,) * 3, (1 << 45,)])
def test_chunks_of_huge_arrays(shape: tuple[int, ...]) -> None:
    """Where chunks of the usual size would be too many, they are larger."""
    options = FrameOptions(urlpath="memory://huge/a.b2nd")
    meta = options.layout(shape, np.dtype("f8"), CParams())
    assert prod(grid_counts(shape, meta.chunks)) <= MAX_CHUNKS
    assert prod(meta.chunks) * 8 < 1 << 30
    with pytest.raises(MetadataError, match="chunks so large"):
        options.layout((1 << 62,), np.dtype("f8"), CParams())


PADDED = np.dtype([("a", "i1"), ("b", ">f8"), ("c", [("d", "i2"), ("e", "i4")])], align=True)


def test_structs_with_gaps() -> None:
    """Bytes between the fields of a struct are fields of raw bytes, as blosc2 has them."""
    values = np.zeros((5, 4), PADDED)
    values["a"], values["b"] = np.arange(20).reshape(5, 4), 0.5
    peer = blosc2.asarray(values)
    made = [
        cat.asarray(values, chunks=(2, 3)),
        cat.from_buffer(values, (5, 4), dtype=PADDED),
        cat.from_cframe(peer.to_cframe()),
    ]
    made.append(cat.zeros((5, 4), dtype=PADDED))
    made[-1][:, 1:] = values[:, 1:]
    made[-1][:, 0] = values[:, 0]
    for array in made:
        assert array.dtype == peer.dtype == array.copy(chunks=2).dtype
        assert np.array_equal(array[...]["a"], values["a"])
        assert array[...]["b"].tobytes() == values["b"].tobytes()
        opened = blosc2.ndarray_from_cframe(array.to_cframe(), copy=True)
        assert opened.dtype == peer.dtype
        assert np.array_equal(opened[...]["b"], values["b"])


@pytest.mark.parametrize(
    "dtype",
    [
        {"names": ["a", "b"], "formats": ["i4", "f8"], "offsets": [8, 0]},
        {"names": ["a", "b"], "formats": ["i4", "f8"], "offsets": [0, 2]},
        [(("title", "a"), "i4")],
        [("a", [(("title", "b"), "i4")])],
    ],
)
def test_structs_that_have_no_form(dtype: Any) -> None:
    """Structs whose fields overlap, are not in order or have titles are refused."""
    for make in (lambda: cat.zeros(3, dtype=dtype), lambda: cat.asarray(np.zeros(3, dtype))):
        with pytest.raises(MetadataError, match="dtype: expected a struct"):
            make()


# --- where to -------------------------------------------------------------------------------------


def test_frames_under_keys() -> None:
    """A store and a key, or the URL of a value, is a place like a path."""
    store = MemoryStore()
    values = np.arange(30)
    cat.asarray(values, store=store, key="a/b.b2nd")
    cat.asarray(values, urlpath=(store, "c.b2nd"))
    cat.asarray(values, urlpath="memory://frame-create/d/e.b2nd")
    assert store.list() == ["a/b.b2nd", "c.b2nd"]
    other: Any = open_store("memory://frame-create")
    for where, key in ((store, "a/b.b2nd"), (store, "c.b2nd"), (other, "d/e.b2nd")):
        found = blosc2.ndarray_from_cframe(bytes(where.get(key)), copy=True)
        assert np.array_equal(found[...], values)
    cat.remove((store, "c.b2nd"))
    cat.remove(store=store, key="a/b.b2nd")
    cat.remove("memory://frame-create/d/e.b2nd")
    cat.remove("memory://frame-create/d/e.b2nd")
    assert store.list() == other.list() == []


def test_a_frame_under_a_key_is_written_once() -> None:
    """What is made under a key is there at once, with all its elements, by one write."""
    store = TraceStore(MemoryStore())
    cat.asarray(np.arange(30), chunks=3, store=store, key="k")
    ops = [call.op for call in store.trace]
    assert [op for op in ops if "set" in op] == ["compare_and_set"]


@pytest.mark.parametrize("kind", ["file", "key"])
def test_what_is_there_is_not_replaced(kind: str, tmp_path: Path) -> None:
    """Something that is there stays as it is, unless the mode is to replace it."""
    where: dict[str, Any] = {"urlpath": tmp_path / "a.b2nd"}
    if kind == "key":
        where = {"store": MemoryStore(), "key": "k"}
    array = cat.full(3, 1, **where)
    for mode in ("w-", "x", "a"):
        with pytest.raises(NodeExistsError, match="mode='w' replaces it"):
            cat.zeros(5, dtype="i4", mode=mode, **where)
    assert array[...].tolist() == [1, 1, 1]
    cat.full(2, 5, mode="w", **where)
    array.refresh()
    assert array[...].tolist() == [5, 5]
    assert names(tmp_path) == (["a.b2nd"] if kind == "file" else [])


@pytest.mark.parametrize("kind", ["file", "key"])
def test_of_many_makers_one_succeeds(kind: str, tmp_path: Path) -> None:
    """Of several threads that make a frame at one place one does; all others are told."""
    where: dict[str, Any] = {"urlpath": tmp_path / "a.b2nd"}
    if kind == "key":
        where = {"store": MemoryStore(), "key": "k"}

    def make(number: int) -> int | None:
        try:
            cat.full(1000, number, chunks=10, **where)
        except NodeExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        made = [number for number in pool.map(make, range(1, 9)) if number is not None]
    assert len(made) == 1
    if kind == "file":
        again = cat.open(**where)
    else:
        again = FrameArray(StoredHome(where["store"], "k"))
    assert again[...].tolist() == made * 1000


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    """A file that another makes while the elements are read is not replaced."""
    path = tmp_path / "a.b2nd"

    class Slow(ZarrArray):
        def read(self, *args: Any) -> AnyArray:
            path.write_bytes(b"other")
            return super().read(*args)

    source = Slow.create(MemoryStore(), shape=9, dtype="i4")
    with pytest.raises(NodeExistsError):
        cat.asarray(source, urlpath=path)
    assert path.read_bytes() == b"other"
    assert names(tmp_path) == ["a.b2nd"]


@pytest.mark.parametrize("kind", ["file", "key"])
def test_what_fails_leaves_nothing(kind: str, tmp_path: Path) -> None:
    """Elements that cannot be had leave no frame, nor a part of one; what was there stays."""

    class Broken(ZarrArray):
        def read(self, *_: Any) -> AnyArray:  # type: ignore[override]
            raise StoreError("broken")

    source = Broken.create(MemoryStore(), shape=9, dtype="i4")
    store = MemoryStore()
    for mode in ("w-", "w"):
        where: dict[str, Any] = {"urlpath": tmp_path / "a.b2nd"}
        if kind == "key":
            where = {"store": store, "key": "k"}
        before = (names(tmp_path), store.list())
        with pytest.raises(StoreError, match="broken"):
            cat.asarray(source, mode=mode, **where)
        assert (names(tmp_path), store.list()) == before
        cat.full(3, 1, **where, mode="w")


def test_folders_are_made(tmp_path: Path) -> None:
    """Folders that are missing are made; a path through a file is an error of ours."""
    cat.zeros(3, dtype="i4", urlpath=tmp_path / "a" / "b" / "c.b2nd")
    assert names(tmp_path / "a" / "b") == ["c.b2nd"]
    with pytest.raises(StoreError):
        cat.zeros(3, dtype="i4", urlpath=tmp_path / "a" / "b" / "c.b2nd" / "d.b2nd")


def test_directories_are_not_replaced(tmp_path: Path) -> None:
    """A directory is in the way, also of what replaces; and is not removed for a frame."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.chunk").touch()
    with pytest.raises(NodeExistsError):
        cat.zeros(3, dtype="i4", urlpath=tmp_path / "a", mode="w")
    with pytest.raises(NodeTypeError):
        cat.remove(tmp_path / "a")
    assert names(tmp_path / "a") == ["x.chunk"]


def test_removing_files(tmp_path: Path) -> None:
    """A frame is removed, one file or many; nothing happens if there is none."""
    cat.zeros(3, dtype="i4", urlpath=tmp_path / "a.b2nd")
    blosc2.asarray(np.arange(40), chunks=(9,), urlpath=str(tmp_path / "b"), contiguous=False)
    for name in ("a.b2nd", "b", "c"):
        cat.remove(tmp_path / name)
    assert names(tmp_path) == []


def test_stores_that_cannot_be_written() -> None:
    """A store that only reads takes no frame."""
    store = ReadOnlyStore(MemoryStore())
    with pytest.raises(ReadOnlyError):
        cat.zeros(3, dtype="i4", store=store, key="k")
    with pytest.raises(ReadOnlyError):
        cat.remove(store=store, key="k")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that is closed to this user is an error that says so."""
    tmp_path.chmod(0o500)
    with pytest.raises(AccessDeniedError):
        cat.zeros(3, dtype="i4", urlpath=tmp_path / "a.b2nd")


# --- what is refused ------------------------------------------------------------------------------

STORE = MemoryStore()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "dtype or itemsize"),
        ({"itemsize": 4, "dtype": "f4"}, "either itemsize or dtype"),
        ({"itemsize": 0}, "itemsize: expected an int from 1 to 255"),
        ({"itemsize": 256}, "found 256"),
        ({"itemsize": True}, "found True"),
        ({"itemsize": "f8"}, "or dtype="),
        ({"dtype": "no such"}, "dtype: "),
        ({"dtype": "O"}, "dtype: expected elements of a fixed size"),
        ({"dtype": "S0"}, "at least a byte"),
        ({"dtype": "V0"}, "at least a byte"),
        ({"shape": (1,) * 17}, "at most 16 dimensions"),
        ({"shape": (3, -1)}, "shape: "),
        ({"shape": "ab"}, "shape: "),
        ({"chunks": 0}, "chunks: "),
        ({"chunks": (3, 3)}, "chunks: "),
        ({"chunks": 1 << 31}, "chunks: expected chunks of at most"),
        ({"blocks": 4, "chunks": 3}, "blocks: expected a shape within that of the chunks"),
        ({"blocks": (2, 2)}, "blocks: "),
        ({"shape": 1 << 40, "chunks": 9}, "chunks so large"),
        ({"codec": "lz5"}, "codec: "),
        ({"clevel": 10}, "clevel: "),
        ({"filters": [1, 2], "filtersmeta": [1, 2, 3]}, "filtersmeta: "),
        ({"nthreads": 0}, "nthreads: "),
        ({"cparams": {"no_such": 1}}, "cparams: "),
        ({"mode": "r"}, "mode: expected one of"),
        ({"mode": "b"}, "mode: expected one of"),
        ({"urlpath": "a", "filename": "b"}, "either urlpath or filename"),
        ({"urlpath": "a", "key": "b"}, "either urlpath or store and key"),
        ({"urlpath": 5}, "urlpath: expected a path or a URL"),
        ({"urlpath": ""}, "urlpath: expected a path or a URL"),
        ({"store": STORE}, "key: expected a store and a key"),
        ({"key": "k"}, "key: expected a store and a key"),
        ({"store": "text", "key": "k"}, "store: expected a store that can be read"),
        ({"meta": {"a": object()}}, "meta"),
        ({"meta": {"a" * 32: b""}}, "1 to 31 bytes"),
        ({"meta": {str(i): b"" for i in range(16)}}, "at most 16 metalayers"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, Any], words: str) -> None:
    """Each argument that is impossible is named, with what was expected and found."""
    given = {"shape": 10, **arguments}
    if not {"dtype", "itemsize"} & arguments.keys() and arguments:
        given["dtype"] = "i4"
    with pytest.raises(MetadataError) as caught:
        cat.zeros(**given)
    assert words in str(caught.value)
    assert STORE.list() == []


def test_unknown_keywords() -> None:
    """A keyword that is not known is refused, not passed over as in blosc2."""
    with pytest.raises(TypeError, match="no_such"):
        cat.zeros(5, dtype="i4", no_such=1)


def test_impossible_keys() -> None:
    """A key that no store takes is refused before anything is made."""
    with pytest.raises(InvalidKeyError):
        cat.zeros(5, dtype="i4", store=MemoryStore(), key="/a")


@pytest.mark.parametrize("value", ["text", 1 << 40, None, b"1a", [1, 2, 3]])
def test_values_that_do_not_fit(value: Any) -> None:
    """A value that is none of the elements is refused."""
    with pytest.raises(MetadataError, match="fill_value: expected an element of int32"):
        cat.full(3, value, dtype="i4")


@pytest.mark.parametrize("buffer", [bytes(11), bytes(13), 5, np.zeros((4, 4), "u1")[:, :3]])
def test_buffers_that_do_not_fit(buffer: Any) -> None:
    """A buffer of another size, with gaps, or none, is refused."""
    with pytest.raises(ShapeError):
        cat.from_buffer(buffer, (4, 3), 1)


def test_mappings_are_no_arrays() -> None:
    """A mapping is not taken for a sequence of its keys, nor are objects kept."""
    with pytest.raises(ShapeError):
        cat.asarray({"a": 1})
    with pytest.raises(MetadataError, match="fixed size"):
        cat.asarray([object()])
