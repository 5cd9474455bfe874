"""Chunks one by one: `get_chunk`, `set_chunk`, their futures, and what is stored of empty ones."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from array_layouts import LAYOUTS, CountingStore
from hypothesis import given, settings
from hypothesis import strategies as st
from index_samples import numbered

from storekit import MemoryStore, ZarrArray, open_zarr
from storekit.errors import SelectionError, ShapeError


def make(store: Any = None, **options: Any) -> ZarrArray:
    """Five by seven integers in chunks of two by three."""
    settings = {"shape": (5, 7), "dtype": "i4", "chunks": (2, 3), "codecs": "zstd", **options}
    return ZarrArray.create(MemoryStore() if store is None else store, **settings)


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_chunk_is_a_part_of_the_array(layout: str) -> None:
    """`get_chunk` gives the elements of one cell of the grid of `chunks`."""
    data = numbered((8, 12))
    array = ZarrArray.create(MemoryStore(), shape=(8, 12), dtype="i8", **LAYOUTS[layout]((2, 3)))
    array[...] = data
    rows, columns = array.chunks
    chunk = array.get_chunk((1, 0))
    assert chunk.shape == array.chunks
    assert (chunk[: 8 - rows] == data[rows : 2 * rows, :columns][: 8 - rows]).all()


def test_a_chunk_at_the_edge_is_whole() -> None:
    """Beyond the edge of the array a chunk holds the fill value."""
    array = make(fill_value=-1)
    array[...] = numbered((5, 7))
    assert array.get_chunk((2, 2)).tolist() == [[35, -1, -1], [-1, -1, -1]]
    assert array.get_chunk((0, 2)).tolist() == [[7, -1, -1], [14, -1, -1]]


def test_a_chunk_that_was_never_written_is_fill_value() -> None:
    """Where nothing is stored, a chunk is the fill value."""
    assert (make(fill_value=7).get_chunk((0, 0)) == 7).all()
    assert (make(fill_value=7).get_chunk((2, 2)) == 7).all()


@pytest.mark.parametrize(
    "index", [(2, 1), [2, 1], np.array([2, 1]), (np.int8(2), np.array(1)), (-1, -2), (2, -2)]
)
def test_an_index_is_a_sequence_of_ints(index: Any) -> None:
    """An index may be any sequence of integers, which count from the end if they are negative."""
    array = make()
    array[...] = numbered((5, 7))
    expected = [[32, 33, 34], [0, 0, 0]]
    assert array.get_chunk(index).tolist() == expected
    assert array.get_chunk_future(index).result().tolist() == expected
    array.set_chunk(9, index)
    assert (array[4:, 3:6] == 9).all()


def test_of_one_dimension_an_int_is_an_index() -> None:
    """The chunks of a 1-d array are numbered; the only one of a 0-d array has the empty index."""
    line = make(shape=5, chunks=2)
    line.set_chunk([1, 2], 1)
    assert line.get_chunk(-2).tolist() == [1, 2]
    assert line[...].tolist() == [0, 0, 1, 2, 0]
    point = make(shape=(), chunks=())
    point.set_chunk(5, ())
    assert point.get_chunk(()) == 5
    assert point.get_chunk([]).shape == ()


@pytest.mark.parametrize(
    "index",
    [
        *[(3, 0), (0, 3), (-4, 0), (0,), (0, 0, 0), 0, (0.0, 1), "ab", None, True, (2**70, 0)],
        *[(slice(2), 0), ([0, 1], 0), (None, 0), (..., 0), [[0, 1]], [[0], [0, 1]], np.array(1)],
    ],
)
def test_an_index_outside_the_grid_is_an_error(index: Any) -> None:
    """No such chunk: SelectionError, which is an IndexError, for reading and for writing."""
    array = make()
    with pytest.raises(SelectionError):
        array.get_chunk(index)
    with pytest.raises(IndexError):
        array.set_chunk(0, index)
    with pytest.raises(IndexError):
        array.get_chunk_future(index).result()
    with pytest.raises(IndexError):
        array.set_chunk_future(0, index).result()


def test_an_array_of_no_elements_has_no_chunks() -> None:
    """Where a dimension has length zero, every index is outside."""
    array = make(shape=(0, 7))
    assert (array.cdata_shape, array.nchunks) == ((0, 3), 0)
    with pytest.raises(IndexError):
        array.get_chunk((0, 0))


def test_a_whole_chunk_is_one_request() -> None:
    """Reading or writing one chunk touches one key, once, and asks for nothing else."""
    store = CountingStore(MemoryStore())
    array = make(store)
    assert store.seen[-1] == ("compare_and_set", "zarr.json")
    array.set_chunk(numbered((2, 3)), (1, 1))
    assert store.seen == [("set", "c/1/1")]
    array.get_chunk((1, 1))
    assert store.seen == [("get", "c/1/1")]
    array.set_chunk(0, (1, 1))
    assert store.seen == [("erase", "c/1/1")]


# --- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        numbered((2, 3)),
        numbered((2, 3)).tolist(),
        np.asfortranarray(numbered((2, 3)).astype(">f8")),
        5,
        np.float32(5.5),
        np.array(5),
    ],
)
def test_a_chunk_is_written_whole(data: Any) -> None:
    """Data of the shape of a chunk, or a scalar, becomes the chunk, as far as the array goes."""
    array = make()
    for index in ((0, 0), (2, 2), (1, 2)):
        array.set_chunk(data, index)
        expected = np.zeros((2, 3), "i4")
        inside = {(0, 0): np.s_[:, :], (2, 2): np.s_[:1, :1], (1, 2): np.s_[:, :1]}[index]
        expected[inside] = np.broadcast_to(data, (2, 3))[inside]
        assert (array.get_chunk(index) == expected).all()


def test_a_chunk_at_the_edge_may_be_written_without_what_lies_beyond() -> None:
    """At the edge, data may have the shape of the part within the array."""
    array = make()
    array.set_chunk([[8]], (2, 2))
    array.set_chunk([[1, 2, 3]], (2, 0))
    assert array[4].tolist() == [1, 2, 3, 0, 0, 0, 8]


@pytest.mark.parametrize("shape", [(3, 2), (2,), (1, 3), (2, 3, 1), (1, 2, 3), (5, 7)])
def test_data_of_another_shape_is_refused(shape: Any) -> None:
    """A chunk is not broadcast, except from a scalar."""
    array = make()
    with pytest.raises(ShapeError, match="a chunk has the shape"):
        array.set_chunk(np.ones(shape), (0, 0))
    assert array.stored_keys() == []


def test_what_lies_beyond_the_edge_is_never_seen() -> None:
    """Data given beyond the edge is not stored: growing the array shows the fill value."""
    array = make(fill_value=3)
    array.set_chunk(np.full((2, 3), 9), (2, 2))
    array.resize((6, 9))
    assert array.get_chunk((2, 2)).tolist() == [[9, 3, 3], [3, 3, 3]]


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_chunk_by_chunk_is_the_array(data: st.DataObject) -> None:
    """Writing every chunk writes the array, and reading every chunk reads it."""
    shape = data.draw(st.lists(st.integers(1, 6), max_size=3).map(tuple))
    chunks = data.draw(st.tuples(*(st.integers(1, n + 1) for n in shape)))
    expected = numbered(shape)
    array = ZarrArray.create(MemoryStore(), shape=shape, dtype="i8", chunks=chunks, codecs="none")
    for index in np.ndindex(*array.cdata_shape):
        place = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, chunks, strict=True))
        array.set_chunk(expected[(*place, ...)], index)
    assert (array[...] == expected).all()
    for index in np.ndindex(*array.cdata_shape):
        place = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, chunks, strict=True))
        inside = expected[(*place, ...)]
        assert (array.get_chunk(index)[tuple(slice(n) for n in inside.shape)] == inside).all()


# --- empty chunks ---------------------------------------------------------------------------------

EMPTY: dict[str, tuple[Any, Any, list[Any]]] = {
    # data type, fill value, values that are not the fill value though they may look like it
    "int": ("i4", 7, [8]),
    "float": ("f8", 0.0, [-0.0, 5e-324]),
    "negative zero": ("f4", -0.0, [0.0]),
    "NaN": ("f8", np.nan, [0.0, np.array(0x7FF8000000000001).view("f8")]),
    "infinity": ("f2", np.inf, [-np.inf]),
    "complex": ("c16", complex(0, np.nan), [complex(np.nan, 0), 0]),
    "complex zero": ("c8", 0j, [complex(-0.0, 0)]),
    "bool": ("bool", True, [False]),
    "string": (str, "none", ["", "None"]),
    "bytes": (bytes, b"\0", [b"", b"\0\0"]),
    "date": ("M8[s]", "NaT", ["1970-01-01"]),
    "struct": ([("x", "f4"), ("y", "i2")], (np.nan, 3), [(np.nan, 4), (0.0, 3)]),
    "bits": ("V2", b"ab", [b"aa"]),
    "fixed text": ("U2", "ab", ["a"]),
}


def typed(value: Any, dtype: np.dtype) -> np.ndarray:
    """A value as a 0-d array."""
    array = np.empty((), dtype)
    array[()] = value
    return array


@pytest.mark.parametrize("codecs", ["none", "b2nd"])
@pytest.mark.parametrize("name", EMPTY)
def test_chunks_of_fill_value_are_not_stored(name: str, codecs: str) -> None:
    """A chunk of nothing but the fill value, bit for bit, is removed; any other is stored."""
    dtype, fill, others = EMPTY[name]
    array = make(shape=5, chunks=2, dtype=dtype, fill_value=fill, codecs=codecs)
    array.set_chunk(typed(others[0], array.dtype), 0)
    assert array.stored_keys() == ["c/0"]
    array.set_chunk(array.get_chunk(1), 0)
    assert array.stored_keys() == []
    for other in others:
        for index in (1, 2):
            array.set_chunk(typed(other, array.dtype), index)
            assert array.stored_keys() == [f"c/{index}"]
            found = array.get_chunk(index)[:1]
            assert found.tolist() == typed(other, array.dtype).reshape(1).tolist() or (
                found.tobytes() == typed(other, array.dtype).tobytes()
            )
            array[2 * index : 2 * index + 2] = typed(array.fill_value, array.dtype)
            assert array.stored_keys() == []


@pytest.mark.parametrize("name", EMPTY)
def test_unless_that_is_not_wanted(name: str) -> None:
    """With ``check_empty=False`` a chunk is stored whatever it holds, at the edge, too."""
    dtype, fill, _ = EMPTY[name]
    array = make(shape=5, chunks=2, dtype=dtype, fill_value=fill)
    array.set_chunk(array.get_chunk(0), 0, check_empty=False)
    array.set_chunk_future(array.get_chunk(2)[:1], 2, check_empty=False).result()
    assert array.stored_keys() == ["c/0", "c/2"]
    array.set_chunk(array.get_chunk(0), 0, False)
    assert array.stored_keys() == ["c/0", "c/2"]
    array.set_chunk(array.get_chunk(0), 0)
    assert array.stored_keys() == ["c/2"]


def test_the_sign_of_zero_is_kept() -> None:
    """-0.0 in an array whose fill value is 0.0 is read as -0.0."""
    array = make(dtype="f4")
    array[...] = -0.0
    assert np.signbit(array[...]).all()
    array[0] = 0.0
    assert not np.signbit(array[0]).any()
    assert np.signbit(array[1:]).all()


def test_an_empty_part_of_a_shard_is_not_stored() -> None:
    """Within shards, inner chunks of fill value take no room, and a shard of them is removed."""
    array = make(shape=(8, 8), chunks=(2, 2), shards=(4, 4), codecs="none")
    array.set_chunk(1, (0, 0))
    one = array.stored_nbytes()
    array.set_chunk(1, (1, 1))
    assert array.stored_nbytes() == one + 16
    array.set_chunk(0, (0, 0))
    assert array.stored_nbytes() == one
    array.set_chunk(0, (1, 1))
    assert array.stored_keys() == []


def test_a_chunk_that_was_erased_is_fill_value() -> None:
    """A key that somebody has removed is a chunk that was never written."""
    array = make(fill_value=4)
    array[...] = 1
    array.store.erase("c/1/1")
    assert (array.get_chunk((1, 1)) == 4).all()
    assert (array[2:4, 3:6] == 4).all()
    array[2, 3] = 9
    assert array[2:4, 3:6].tolist() == [[9, 4, 4], [4, 4, 4]]


# --- futures --------------------------------------------------------------------------------------


def test_many_chunks_are_read_and_written_by_futures() -> None:
    """Futures of many chunks give what the chunks one after the other would."""
    array = make(shape=(40, 40))
    places = list(np.ndindex(*array.cdata_shape))
    writes = [array.set_chunk_future(i, place) for i, place in enumerate(places)]
    assert [future.result() for future in writes] == [None] * len(places)
    reads = [array.get_chunk_future(place) for place in places]
    assert [future.result()[0, 0] for future in reads] == list(range(len(places)))
    assert all((f.result() == array.get_chunk(p)).all() for f, p in zip(reads, places, strict=True))


def test_futures_can_be_awaited() -> None:
    """Futures become awaitables by `asyncio.wrap_future`."""
    array = make()

    async def main() -> list[np.ndarray]:
        await asyncio.wrap_future(array.set_chunk_future(numbered((2, 3)), (0, 0)))
        wanted = [array.get_chunk_future((0, 0)), array.read_future(np.s_[0, :2])]
        return await asyncio.gather(*map(asyncio.wrap_future, wanted))

    chunk, row = asyncio.run(main())
    assert (chunk == numbered((2, 3))).all()
    assert row.tolist() == [1, 2]


def test_a_future_carries_the_error() -> None:
    """What a method would raise, its future raises."""
    array = make()
    assert isinstance(array.set_chunk_future([1], (0, 0)).exception(), ShapeError)
    assert isinstance(array.get_chunk_future((9, 9)).exception(), SelectionError)


# --- resize and append, by chunks -----------------------------------------------------------------


def test_shrinking_clears_what_is_cut_off() -> None:
    """Elements that were cut off are fill value when the array grows again; others are kept."""
    for layout in ("zstd", "shards", "nested", "b2nd"):
        array = ZarrArray.create(
            MemoryStore(), shape=(9, 9), dtype="i8", fill_value=-1, **LAYOUTS[layout]((2, 2))
        )
        data = numbered((9, 9))
        array[...] = data
        array.resize((4, 7))
        assert (array[...] == data[:4, :7]).all()
        array.resize((12, 12))
        expected = np.full((12, 12), -1)
        expected[:4, :7] = data[:4, :7]
        assert (array[...] == expected).all()


def test_shrinking_removes_chunks() -> None:
    """Chunks that lie beyond the new shape are no longer stored."""
    array = make()
    array[...] = 1
    array.resize((2, 7))
    assert array.stored_keys() == ["c/0/0", "c/0/1", "c/0/2"]
    array.shape = (0, 7)
    assert array.stored_keys() == []
    assert array.shape == (0, 7)


def test_a_huge_array_shrinks_at_once() -> None:
    """What shrinking costs depends on what is stored, not on how much the shape could hold."""
    for encoding in ("/", "v2"):
        array = make(shape=(10**12, 10**9), key_encoding=encoding, fill_value=-1)
        array[10**11 : 10**11 + 3, 5] = 1
        array[1, 2] = 5
        array.store.set("c/note", b"foreign")
        array.resize((3, 10**9))
        assert array[1, 2] == 5
        assert len(array.stored_keys()) == 1
        array.resize((3, 2))
        array.resize((10**12, 7))
        assert array.store.list() == ["c/note", "zarr.json"]
        assert (array[:3] == -1).all()


@pytest.mark.parametrize("shape", [(5,), (5, 7, 1), (-1, 7), (1.5, 7), "ab", (2**63, 7), None])
def test_a_resize_must_keep_the_rank(shape: Any) -> None:
    """What is no shape of this rank raises ValueError and changes nothing."""
    array = make()
    array[...] = 1
    with pytest.raises(ValueError, match="shape"):
        array.resize(shape)
    assert (array.shape, open_zarr(array.store).shape) == ((5, 7), (5, 7))
    assert (array[...] == 1).all()


def test_resize_is_seen_by_others_when_they_look() -> None:
    """Another object for the array keeps its shape until `refresh`."""
    array = make()
    other = ZarrArray(array.store)
    array.resize(np.array([6, 8]))
    assert (array.shape, other.shape) == ((6, 8), (5, 7))
    other.refresh()
    assert other.shape == (6, 8)


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_append_adds_at_the_end(axis: int) -> None:
    """Appended data follows what is there, along any axis, and the new shape is returned."""
    data = numbered((5, 7))
    array = make(data=data)
    expected = np.concatenate([data, data, data], axis)
    assert array.append(data, axis) == np.concatenate([data, data], axis).shape
    assert array.append(data.tolist(), axis) == expected.shape
    assert (array[...] == expected).all()
    assert (open_zarr(array.store)[...] == expected).all()


def test_nothing_may_be_appended() -> None:
    """Appending no rows changes nothing."""
    array = make()
    assert array.append(np.zeros((0, 7))) == (5, 7)


@pytest.mark.parametrize(
    ("data", "axis"), [(np.zeros((2, 6)), 0), (np.zeros(7), 0), (np.zeros((5, 7)), 2), (3, 0)]
)
def test_an_append_that_does_not_fit_is_refused(data: Any, axis: int) -> None:
    """Data of other lengths raises ShapeError and the array stays as it is."""
    array = make()
    with pytest.raises(ShapeError, match="cannot append"):
        array.append(data, axis)
    assert open_zarr(array.store).shape == (5, 7)


def test_nothing_is_appended_to_an_array_without_axes() -> None:
    """A 0-d array has no end."""
    with pytest.raises(ShapeError):
        make(shape=(), chunks=()).append(1)


def test_append_goes_to_the_end_that_others_have_made() -> None:
    """Two objects for one array append after each other, though they know only their own shape."""
    one = make(shape=(0, 2), chunks=(3, 2))
    two = ZarrArray(one.store)
    one.append([[1, 1]])
    two.append([[2, 2]])
    one.append([[3, 3]])
    two.refresh()
    assert two[:, 0].tolist() == one[:, 0].tolist() == [1, 2, 3]
