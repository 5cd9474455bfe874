"""Arrays in stores read and write what numpy arrays do, whatever the layout and the path taken."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_layouts import LAYOUTS, PlainStore, ReadOnly, eager
from hypothesis import given, settings
from hypothesis import strategies as st
from index_samples import index_expressions, numbered, orthogonal, outer, shapes, slices

from storekit import LocalStore, MemoryStore, ZarrArray
from storekit.errors import ReadOnlyError, SelectionError, ShapeError, StoreError

some = settings(max_examples=25, deadline=None)
few = settings(max_examples=12, deadline=None)  # for each of many layouts and paths

PATHS = {
    "inline": {"ranges": False, "threads": False},
    "threads": {"ranges": False, "threads": True},
    "ranges": {"ranges": True, "threads": False},
}


@st.composite
def cases(draw: st.DrawFn, selections: Any) -> tuple[np.ndarray, Any, Any]:
    """An array, the least unit of a chunk, and a selection that numpy takes."""
    shape = draw(shapes)
    chunks = draw(st.tuples(*(st.integers(1, max(size, 1) + 1) for size in shape)))
    array = numbered(shape)
    selection = draw(selections(shape))
    try:
        array[selection]
    except IndexError:
        selection = ...
    return array, chunks, selection


def stored(layout: str, data: np.ndarray, chunks: Any, store: Any = None) -> ZarrArray:
    """An array in a store with these elements."""
    options = LAYOUTS[layout](chunks)
    made = ZarrArray.create(
        MemoryStore() if store is None else store,
        shape=data.shape,
        dtype=data.dtype,
        fill_value=-1 if data.dtype.kind in "if" else None,
        **options,
    )
    made.write(data)
    return made


def refused(array: ZarrArray, selection: Any) -> bool:
    """Whether we refuse indices out of bounds that select nothing, at which numpy does not look."""
    try:
        array[selection]
    except SelectionError:
        return True
    return False


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("layout", LAYOUTS)
@given(case=cases(index_expressions))
@few
def test_reading_is_numpy_s(layout: str, path: str, case: Any) -> None:
    """``array[selection]`` is what numpy gives: the same type, dtype, shape and elements."""
    data, chunks, selection = case
    with eager(**PATHS[path]):
        array = stored(layout, data, chunks)
        expected = data[selection]
        if not np.size(expected) and refused(array, selection):
            return
        found = array[selection]
        assert type(found) is type(expected)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        assert (found == expected).all()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("layout", LAYOUTS)
@given(case=cases(index_expressions), seen=st.booleans())
@few
def test_writing_is_numpy_s(layout: str, path: str, case: Any, seen: bool) -> None:
    """After ``array[selection] = values`` the array is what numpy's would be."""
    data, chunks, selection = case
    with eager(**PATHS[path]):
        array = stored(layout, data if seen else np.full_like(data, -1), chunks)
        expected = data.copy() if seen else np.full_like(data, -1)
        if not np.size(expected[selection]) and refused(array, selection):
            return
        values = -100 - numbered(np.shape(expected[selection]))
        expected[selection] = values
        array[selection] = values
        assert (array[...] == expected).all()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("layout", LAYOUTS)
@given(case=cases(orthogonal))
@few
def test_orthogonal_reading_and_writing(layout: str, path: str, case: Any) -> None:
    """`oindex` reads and writes each axis by itself."""
    data, chunks, selection = case
    if not isinstance(selection, tuple):
        selection = ()
    expected = outer(data, selection)
    with eager(**PATHS[path]):
        array = stored(layout, data, chunks)
        assert (array.oindex[selection] == expected).all()
        values = -100 - numbered(np.shape(expected))
        array.oindex[selection] = values
        places = np.asarray(outer(np.arange(data.size).reshape(data.shape), selection))
        flat = data.reshape(-1).copy()
        flat[places] = values
        assert (array[...].reshape(-1) == flat).all()


@pytest.mark.slow
@given(
    case=cases(index_expressions),
    layout=st.sampled_from(sorted(LAYOUTS)),
    path=st.sampled_from(sorted(PATHS)),
)
@settings(max_examples=4000, deadline=None)
def test_reading_and_writing_at_length(case: Any, layout: str, path: str) -> None:
    """The laws of reading and writing, for many more cases."""
    data, chunks, selection = case
    with eager(**PATHS[path]):
        array = stored(layout, data, chunks)
        if not np.size(data[selection]) and refused(array, selection):
            return
        assert (array[selection] == data[selection]).all()
        values = -100 - numbered(np.shape(data[selection]))
        data[selection] = values
        array[selection] = values
        assert (array[...] == data).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@given(data=st.data())
@few
def test_points_and_blocks(layout: str, data: st.DataObject) -> None:
    """`vindex` reads and writes points, `blocks` whole chunks."""
    shape = data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=3).map(tuple))
    chunks = data.draw(st.tuples(*(st.integers(1, size) for size in shape)))
    count = data.draw(st.integers(0, 6))
    points = tuple(
        np.array(data.draw(st.lists(st.integers(-n, n - 1), min_size=count, max_size=count)), int)
        for n in shape
    )
    expected = numbered(shape)
    with eager():
        array = stored(layout, expected, chunks)
        assert (array.vindex[points] == expected[points]).all()
        array.vindex[points] = 7
        expected[points] = 7
        assert (array[...] == expected).all()
        place = tuple(data.draw(st.integers(0, n - 1)) for n in array.cdata_shape)
        box = tuple(slice(i * c, (i + 1) * c) for i, c in zip(place, array.chunks, strict=True))
        assert (array.blocks[place] == expected[box]).all()
        array.blocks[place] = -5
        expected[box] = -5
        assert (array[...] == expected).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@given(case=cases(index_expressions), kind=st.sampled_from(["f8", ">i8", "i8", "c16", "i2"]))
@few
def test_out_is_filled(layout: str, case: Any, kind: str) -> None:
    """Whatever the layout and the dtype of `out`, it is filled, and it is what is returned."""
    data, chunks, selection = case
    array = stored(layout, data, chunks)
    expected = np.asarray(data[selection])
    if not expected.size and refused(array, selection):
        return
    whole = np.zeros(tuple(2 * n + 1 for n in expected.shape), kind, order="F")
    for out in (
        np.zeros(expected.shape, kind),
        np.zeros(expected.shape, kind, order="F"),
        whole[(*(slice(None, 2 * n, 2) for n in expected.shape), ...)],
        np.zeros(expected.shape, kind)[(*[slice(None, None, -1)] * expected.ndim, ...)],
    ):
        assert array.read(selection, out=out) is out
        assert (out == expected).all()


@given(case=cases(index_expressions))
@some
def test_nothing_but_out_is_written(case: Any) -> None:
    """Reading into a view leaves the elements between its own alone."""
    data, chunks, selection = case
    array = stored("zstd", data, chunks)
    expected = np.asarray(data[selection])
    if not expected.size and refused(array, selection):
        return
    whole = np.full(tuple(2 * n for n in expected.shape), -9)
    view = (*(slice(None, None, 2) for _ in expected.shape), ...)
    array.read(selection, out=whole[view])
    again = np.full(whole.shape, -9)
    again[view] = expected
    assert (whole == again).all()


KINDS: dict[str, tuple[Any, Any]] = {
    # what `create` is given, and what makes an element of a number
    "bool": ("bool", lambda i: i % 2 == 0),
    "half": ("f2", lambda i: i / 4),
    "complex": ("c8", lambda i: complex(i, -i)),
    "string": (str, lambda i: "ż" * (i % 5) + str(i)),
    "bytes": (bytes, lambda i: b"\0" * (i % 5) + bytes([i % 256])),
    "date": ("M8[h]", lambda i: np.datetime64(i, "h") if i % 3 else np.datetime64("NaT", "h")),
    "struct": ([("x", ">f4"), ("y", "i1")], lambda i: (i / 2, i % 100)),
    "nested": ([("p", [("a", "i2"), ("s", "U2")]), ("q", "f8")], lambda i: ((i, str(i)[:2]), -i)),
    "text": ("U3", lambda i: str(i % 1000)),
    "bits": ("V3", lambda i: bytes([i % 256, 1, 0])),
}


def exact(values: np.ndarray) -> Any:
    """The elements to the bit."""
    return values.tolist() if values.dtype.kind in "OT" else values.tobytes()


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), ranges=st.booleans())
@some
def test_every_data_type_is_indexed(kind: str, ranges: bool, data: st.DataObject) -> None:
    """Reading and writing of any selection does not depend on the data type."""
    dtype, element = KINDS[kind]
    shape = data.draw(st.lists(st.integers(1, 6), max_size=3).map(tuple))
    chunks = data.draw(st.tuples(*(st.integers(1, n + 1) for n in shape)))
    codecs = data.draw(st.sampled_from(["none", "zstd", "b2nd"]))
    shards = data.draw(st.sampled_from([None, tuple(2 * n for n in chunks)]))
    array = ZarrArray.create(
        MemoryStore(), shape=shape, dtype=dtype, chunks=chunks, shards=shards, codecs=codecs
    )
    serial = iter(range(10**6))

    def elements(shape: Any) -> np.ndarray:
        made = np.empty(shape, array.dtype)
        for place in np.ndindex(*made.shape):
            made[place] = element(next(serial))
        return made

    expected = np.empty(shape, array.dtype)
    expected[...] = array.fill_value
    with eager(ranges=ranges, threads=False):
        for _ in range(3):
            selection = data.draw(index_expressions(shape))
            try:
                values = elements(np.shape(expected[selection]))
                array[selection] = values
            except IndexError:
                continue
            expected[selection] = values if values.shape else values[()]
            assert exact(array[...]) == exact(expected)
            out = np.empty(shape, array.dtype, order="F")
            assert exact(array.read(out=out)) == exact(expected)
            assert exact(np.asarray(array[selection])) == exact(np.asarray(expected[selection]))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 1)])
def test_arrays_of_no_or_one_element(layout: str, shape: tuple[int, ...]) -> None:
    """Arrays without axes and arrays of no elements are read and written like any other."""
    data = numbered(shape)
    array = stored(layout, data, tuple(max(1, n) for n in shape))
    assert array.shape == shape
    assert array[...].shape == shape
    assert (array[...] == data).all()
    array[...] = 5
    assert (array.read() == 5).all()


def test_elements_of_an_array_without_axes() -> None:
    """Of a 0-d array ``[()]`` is a scalar and ``[...]`` a 0-d array, as with numpy."""
    array = ZarrArray.create(MemoryStore(), data=np.float32(2.5), codecs="zstd")
    assert isinstance(array[()], np.float32)
    assert isinstance(array[...], np.ndarray)
    assert array[()] == 2.5
    array[()] = 3
    assert array[()] == 3
    assert array[None].shape == (1,)


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ((1, 2), np.int64),
        ((1, 2, ...), np.ndarray),
        ((..., 1, 2), np.ndarray),
        ((np.int8(1), np.array(2)), np.int64),
        (([1], [2]), np.ndarray),
        (1, np.ndarray),
    ],
)
def test_scalars_come_where_numpy_gives_them(expression: Any, kind: type) -> None:
    """Ints for all axes select a scalar; with an ellipsis beside them, a 0-d array."""
    data = numbered((3, 4))
    array = ZarrArray.create(MemoryStore(), data=data, codecs="none")
    assert type(data[expression]) is kind
    assert type(array[expression]) is kind
    assert type(array.oindex[0, 1]) is np.int64
    assert type(array.vindex[0, 1]) is np.int64
    assert type(array.blocks[0]) is np.ndarray


def test_read_gives_an_array_even_of_one_element() -> None:
    """`read` always returns an array, 0-d for a single element."""
    array = ZarrArray.create(MemoryStore(), data=numbered((3, 4)), codecs="none")
    found = array.read((1, 2))
    assert isinstance(found, np.ndarray)
    assert found.shape == ()
    assert found == 7


VALUES: dict[str, Any] = {
    "a scalar": 5,
    "a float": 2.7,
    "a bool": True,
    "a numpy scalar": np.int16(-3),
    "a 0-d array": np.array(4.0),
    "lists": [[1], [2], [3]],
    "a row": [1, 2, 3, 4],
    "leading ones": np.arange(4)[None, None, :],
    "floats": np.linspace(-1, 1, 12).reshape(3, 4),
    "big-endian": np.arange(12, dtype=">i4").reshape(3, 4),
    "strided": np.arange(48)[::2].reshape(3, 8)[:, ::2],
    "backwards": np.arange(12).reshape(3, 4)[::-1, ::-1],
    "Fortran": np.asfortranarray(np.arange(12).reshape(3, 4)),
    "broadcast": np.broadcast_to(np.arange(4), (3, 4)),
    "a range": range(4),
    "a buffer": memoryview(b"abcd"),
}


@pytest.mark.parametrize("layout", ["none", "zstd shards"])
@pytest.mark.parametrize("name", VALUES)
def test_values_are_broadcast_and_cast_as_numpy_does(name: str, layout: str) -> None:
    """Whatever numpy takes on the right of an assignment has the same effect."""
    expected = numbered((3, 4))
    array = stored(layout, expected, (2, 2))
    array[...] = VALUES[name]
    expected[...] = VALUES[name]
    assert (array[...] == expected).all()
    array[1:, ::2] = -8
    expected[1:, ::2] = -8
    assert (array[...] == expected).all()


def test_another_array_may_be_assigned() -> None:
    """An array in a store is written to another like a numpy array."""
    source = ZarrArray.create(MemoryStore(), data=numbered((3, 4)), codecs="zstd")
    target = ZarrArray.create(MemoryStore(), shape=(3, 4), dtype="f4", codecs="zstd", chunks=(2, 3))
    target[...] = source
    assert (target[...] == source[...]).all()
    target.write(source, np.s_[::-1])
    assert (target[::-1] == source[...]).all()


def test_values_that_do_not_fit_are_refused() -> None:
    """Values of a wrong shape, or that numpy cannot cast, change nothing."""
    array = stored("zstd", numbered((3, 4)), (2, 2))
    with pytest.raises(ShapeError):
        array[...] = [1, 2, 3]
    with pytest.raises(ShapeError):
        array[0] = np.zeros((2, 4))
    with pytest.raises(ValueError, match="invalid literal"):
        array[0] = "text"
    small = ZarrArray.create(MemoryStore(), shape=3, dtype="u1", codecs="none")
    with pytest.raises(OverflowError):
        small[:] = [1, 2, 300]
    assert (array[...] == numbered((3, 4))).all()
    assert (small[:] == 0).all()


@pytest.mark.parametrize(
    ("out", "said"),
    [
        (np.zeros((3, 3)), r"selection's shape \(3, 4\), found \(3, 3\)"),
        ([[0] * 4] * 3, "found list"),
        (np.broadcast_to(np.zeros(4), (3, 4)), "writeable|writable"),
    ],
)
def test_an_out_that_does_not_fit_is_refused(out: Any, said: str) -> None:
    """`out` must be a writable array of the selection's shape."""
    array = stored("none", numbered((3, 4)), (2, 2))
    with pytest.raises(ShapeError, match=said):
        array.read(out=out)


def test_selections_that_do_not_fit_are_refused() -> None:
    """A selection out of bounds is an error for reading, writing and in a future."""
    array = stored("none", numbered((3, 4)), (2, 2))
    with pytest.raises(SelectionError):
        array[3]
    with pytest.raises(SelectionError):
        array[0, 4] = 1
    with pytest.raises(SelectionError):
        array.read_future((0, 0, 0)).result()
    with pytest.raises(SelectionError):
        array.write_future(1, -4).result()


@pytest.mark.parametrize("indexer", ["array", "oindex", "vindex"])
def test_futures_read_and_write(indexer: str) -> None:
    """The futures do what the methods do, in another thread."""
    expected = numbered((6, 7))
    array = stored("zstd", expected, (2, 3))
    index: Any = array if indexer == "array" else getattr(array, indexer)
    selection = np.s_[1:5, ::2]
    reads = [index.read_future(selection) for _ in range(4)]
    assert all((future.result() == expected[selection]).all() for future in reads)
    out = np.zeros((4, 4), order="F")
    assert index.read_future(selection, out).result() is out
    assert (out == expected[selection]).all()
    assert index.write_future(9, selection).result() is None
    expected[selection] = 9
    assert (array[...] == expected).all()


def test_blocks_can_be_read_and_written_in_futures() -> None:
    """Whole chunks can be read to an array and written by futures."""
    expected = numbered((6, 7))
    array = stored("shards", expected, (2, 3))
    assert (array.blocks.read_future((1, 2)).result() == expected[2:4, 6:]).all()
    array.blocks.write_future([[1], [2]], (1, 2)).result()
    expected[2:4, 6:] = [[1], [2]]
    assert (array[...] == expected).all()


def test_arrays_behave_like_sequences() -> None:
    """Length, iteration, truth and conversion follow numpy."""
    data = numbered((5, 3))
    array = stored("zstd", data, (2, 2))
    assert len(array) == 5
    assert [row.tolist() for row in array] == data.tolist()
    assert (np.asarray(array) == data).all()
    assert np.asarray(array, "f4").dtype == "f4"
    assert np.sum(array) == data.sum()
    with pytest.raises(ValueError, match="copy"):
        np.asarray(array, copy=False)
    with pytest.raises(ValueError, match="truth value"):
        bool(array)
    scalar = ZarrArray.create(MemoryStore(), data=np.int8(1), codecs="none")
    assert bool(scalar)
    assert list(stored("zstd shards", numbered((5,)), (2,))) == [1, 2, 3, 4, 5]
    with pytest.raises(TypeError, match="0-d"):
        len(scalar)
    with pytest.raises(TypeError, match="0-d"):
        iter(scalar).__next__()


def test_an_array_says_what_it_is() -> None:
    """Sizes, grid and text follow from shape, dtype and chunks."""
    array = stored("shards", numbered((5, 3)), (2, 2))
    assert (array.ndim, array.size, array.nbytes) == (2, 15, 120)
    assert (array.chunks, array.shards) == ((2, 2), (4, 4))
    assert (array.cdata_shape, array.nchunks) == ((3, 2), 6)
    assert repr(array) == "<ZarrArray '' (5, 3) int64>"
    assert array.summary == "  5 x 3  int64  (chunks 2 x 2, shards 4 x 4)"
    assert stored("none", numbered(()), ()).summary.endswith("(chunks scalar)")


@pytest.mark.parametrize("layout", ["zstd", "shards", "b2nd"])
def test_a_local_store_holds_arrays(layout: str, tmp_path: Path) -> None:
    """What is written to a directory is read by whoever opens it, by whole values and by ranges."""
    expected = numbered((20, 30))
    array = stored(layout, expected, (7, 5), LocalStore(tmp_path))
    array[3:9, ::-3] = -4
    expected[3:9, ::-3] = -4
    for ranges in (False, True):
        with eager(ranges=ranges):
            again = ZarrArray(LocalStore(tmp_path))
            assert (again[...] == expected).all()
            assert (again.vindex[[1, 19, 4], [2, 0, 29]] == expected[[1, 19, 4], [2, 0, 29]]).all()


def test_stores_without_compare_and_set_are_written() -> None:
    """A part of a chunk is written to any store, whole or erased as need be."""
    array = stored("zstd", np.full((6,), -1), (4,), PlainStore())
    assert array.stored_keys() == []
    array[1] = 5
    array[5] = -1
    assert array.stored_keys() == ["c/0"]
    array[1] = -1
    assert array.stored_keys() == []


def test_a_store_that_cannot_be_written_refuses() -> None:
    """Every write through a read-only store raises ReadOnlyError, which is a PermissionError."""
    store = MemoryStore()
    ZarrArray.create(store, "a", data=numbered((6,)), chunks=4, codecs="zstd")
    array = ZarrArray(ReadOnly(store), "a")
    assert array[5] == 6
    actions = [
        lambda: array.write(0),
        lambda: array.set_chunk(0, 0),
        lambda: array.resize(3),
        lambda: array.append([1]),
        lambda: array.attributes.update(a=1),
        lambda: ZarrArray.create(ReadOnly(store), "new", shape=1, dtype="i1", codecs="none"),
    ]
    for action in actions:
        with pytest.raises(ReadOnlyError) as caught:
            action()
        assert isinstance(caught.value, PermissionError)
    with pytest.raises(StoreError, match="cannot list"):
        array.stored_keys()
    assert (array[...] == numbered((6,))).all()


def test_the_repeated_index_written_last_wins() -> None:
    """Where an index occurs twice, the element has the last of its values, as with numpy."""
    array = stored("zstd", np.zeros(6, int), (4,))
    array[[1, 5, 1, 5]] = [1, 2, 3, 4]
    assert array[...].tolist() == [0, 3, 0, 0, 0, 4]
    array.oindex[[0, 0, 5, 0],] = [1, 2, 3, 4]
    assert array[...].tolist() == [4, 3, 0, 0, 0, 3]


def test_values_may_change_after_a_write() -> None:
    """The store keeps what was written, not the caller's memory."""
    values = numbered((4, 4))
    array = ZarrArray.create(MemoryStore(), shape=(4, 4), dtype="i8", chunks=(4, 4), codecs="none")
    array[...] = values
    values[...] = 0
    assert (array[...] == numbered((4, 4))).all()


def test_what_was_read_may_be_changed() -> None:
    """A result is the caller's own: changing it changes neither store nor later results."""
    array = stored("none", numbered((4, 4)), (4, 4))
    array[...][...] = 0
    array.get_chunk((0, 0))[...] = 0
    assert (array[...] == numbered((4, 4))).all()


def test_arrays_are_compared_by_their_place() -> None:
    """Two objects for one array are equal; arrays of equal content elsewhere are not."""
    store = MemoryStore()
    array = stored("none", numbered((4,)), (4,), store)
    assert array == ZarrArray(store)
    assert hash(array) == hash(ZarrArray(store))
    assert array != stored("none", numbered((4,)), (4,))
    assert array != 5


@pytest.mark.parametrize("layout", ["b2nd", "zstd shards"])
def test_arrays_pickle_after_use(layout: str) -> None:
    """An array pickles after reads and writes, with what it holds in memory."""
    array = stored(layout, numbered((5, 6)), (2, 2))
    array[1:3] = 0
    array.read_future().result()
    again = pickle.loads(pickle.dumps(array))
    assert (again[...] == array[...]).all()
    assert again.metadata == array.metadata


def test_a_slice_may_have_an_enormous_step() -> None:
    """A step of more than any array's length selects the first element, also beside arrays."""
    data = numbered((3, 3, 3))
    array = stored("none", data, (2, 2, 2))
    assert (array.oindex[[0, 2], :: 10**20, [1, 2]] == data[np.ix_([0, 2], [0], [1, 2])]).all()


@given(st.data())
@some
def test_slices_of_large_strides(data: st.DataObject) -> None:
    """Slices that skip whole chunks read only what they name."""
    expected = numbered((200,))
    array = ZarrArray.create(MemoryStore(), data=expected, chunks=7, codecs="none")
    selection = data.draw(slices(200))
    assert (array[selection] == expected[selection]).all()
