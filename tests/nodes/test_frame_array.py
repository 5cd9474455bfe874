"""Arrays in frames: shapes that change, metalayers, chunks, what they say of themselves."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import blosc2
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storekit.frames as cat
from storekit import MemoryStore
from storekit.errors import (
    CorruptFrameError,
    MetadataError,
    ReadOnlyError,
    SelectionError,
    ShapeError,
    UnsupportedError,
)
from storekit.frames import FrameArray
from storekit.selection.parse import select
from storekit.typing import AnyArray

SIDES = st.integers(0, 17)
SHAPES = st.tuples(SIDES, SIDES)


def stock(array: FrameArray) -> AnyArray:
    """What blosc2 reads of a frame."""
    elements: AnyArray = blosc2.ndarray_from_cframe(array.to_cframe(), copy=True)[...]
    return elements


def placed(kind: str, tmp_path: Path) -> dict[str, Any]:
    """Where to make a frame."""
    if kind == "file":
        return {"urlpath": tmp_path / "a.b2nd"}
    return {"store": MemoryStore(), "key": "a/b.b2nd"} if kind == "key" else {}


KINDS = pytest.mark.parametrize("kind", ["memory", "file", "key"])


# --- shapes ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(SHAPES, min_size=2, max_size=4), st.sampled_from([0, 1, 2]))
def test_resizing_keeps_what_stays_and_gives_zeros(shapes: list[Any], made: int) -> None:
    """
    Whatever shapes an array goes through, elements that were always inside are kept, and all others
    are zero: also those of chunks of one value, and of chunks of NaN, which have it beyond the edge
    of the array.
    """
    first, *others = shapes
    layout = {"chunks": (5, 4), "blocks": (3, 2)}
    expected = [np.arange(1.0, 1 + np.prod(first)).reshape(first), np.full(first, 7.5)]
    expected.append(np.full(first, np.nan))
    makers: list[Callable[[], FrameArray]] = [
        lambda: cat.asarray(expected[0], **layout),
        lambda: cat.full(first, 7.5, **layout),
        lambda: cat.nans(first, **layout),
    ]
    array, values = makers[made](), expected[made]
    for shape in others:
        array.resize(shape)
        now = np.zeros(shape)
        kept = tuple(slice(min(pair)) for pair in zip(shape, values.shape, strict=True))
        now[kept] = values[kept]
        values = now
        assert array.shape == shape
        assert np.array_equal(array[...], values, equal_nan=True)
        if 0 not in shape:
            assert np.array_equal(stock(array), values, equal_nan=True)


def test_what_blosc2_left_beyond_the_edge_does_not_appear(tmp_path: Path) -> None:
    """Chunks of one value that blosc2 made have it beyond the edge, too; growing gives zeros."""
    path = tmp_path / "a.b2nd"
    blosc2.full((7, 7), 3.0, chunks=(5, 5), blocks=(2, 2), urlpath=str(path))
    array = cat.open(path, mode="a")
    array.resize((9, 12))
    expected = np.zeros((9, 12))
    expected[:7, :7] = 3
    assert np.array_equal(array[...], expected)
    assert np.array_equal(blosc2.open(str(path))[...], expected)


def test_what_was_cut_off_does_not_appear_in_blosc2(tmp_path: Path) -> None:
    """An array that was made smaller here and larger again by blosc2 has zeros there."""
    path = str(tmp_path / "a.b2nd")
    array = cat.full((9, 9), 3.0, chunks=(5, 5), blocks=(2, 2), urlpath=path)
    array.resize((7, 6))
    peer = blosc2.open(path, mode="a")
    peer.resize((9, 8))
    expected = np.zeros((9, 8))
    expected[:7, :6] = 3
    assert np.array_equal(peer[...], expected)
    assert np.array_equal(array[...], expected)


def test_dropped_chunks_take_no_room(tmp_path: Path) -> None:
    """Chunks that are cut off are counted as unused at once, and are not in the packed frame."""
    array = cat.asarray(np.random.default_rng(1).random((64, 8)), chunks=(8, 8))
    before = array.cbytes
    array.resize((8, 8))
    assert array.cbytes * 8 == before
    in_file = array.copy(urlpath=tmp_path / "a.b2nd", chunks=(2, 8))
    in_file.resize((2, 8))
    assert in_file.cbytes < array.cbytes / 2
    assert len(in_file.to_cframe()) < (tmp_path / "a.b2nd").stat().st_size


@KINDS
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_appending(kind: str, axis: int, tmp_path: Path) -> None:
    """Data is added at the end of an axis, as `numpy.concatenate` does."""
    values = np.arange(42).reshape(6, 7)
    array = cat.asarray(values, chunks=(4, 4), blocks=(2, 4), **placed(kind, tmp_path))
    more = np.flip(values, axis)[:5, :3] if axis == 0 else values[:, 2:5]
    more = np.ones((3, 7), int) if axis == 0 else more
    assert array.append(more, axis) == np.concatenate([values, more], axis).shape
    assert np.array_equal(array[...], np.concatenate([values, more], axis))
    assert np.array_equal(stock(array), array[...])


@pytest.mark.parametrize(
    ("data", "axis"), [([1, 2], 0), ([[1, 2]], 0), ([[1, 2, 3]], 2), ([[1, 2, 3]], -3)]
)
def test_what_does_not_fit_is_not_appended(data: Any, axis: int) -> None:
    """Data of other lengths, or along an axis that is not there, is refused."""
    array = cat.zeros((4, 3), dtype="i4")
    with pytest.raises(ShapeError, match="cannot append"):
        array.append(data, axis)
    assert array.shape == (4, 3)


def test_appends_of_threads_follow_each_other(tmp_path: Path) -> None:
    """What several threads append, through objects of their own, is all there."""
    path = tmp_path / "a.b2nd"
    cat.zeros(0, dtype="i8", chunks=7, urlpath=path)

    def work(number: int) -> None:
        array = cat.open(path, mode="a")
        for _ in range(5):
            array.append([number] * 3)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(1, 5)))
    rows = cat.open(path)[...].reshape(-1, 3)
    assert sorted(rows[:, 0].tolist()) == [1] * 5 + [2] * 5 + [3] * 5 + [4] * 5
    assert (rows == rows[:, :1]).all()


@pytest.mark.parametrize(
    "shape", [(3,), (3, 3, 3), (-1, 3), (2.5, 3), ("a", 3), (1 << 40, 1 << 30)]
)
def test_impossible_shapes(shape: Any) -> None:
    """A shape of another rank, of what is no length, or of too many chunks is refused."""
    array = cat.zeros((4, 3), dtype="i4")
    with pytest.raises(MetadataError):
        array.resize(shape)
    assert array.shape == (4, 3)


def test_super_chunks_keep_their_shape() -> None:
    """Bytes without the metalayer of an array cannot be resized."""
    plain = cat.from_cframe(blosc2.SChunk(data=bytes(100)).to_cframe())
    with pytest.raises(UnsupportedError, match="no array"):
        plain.resize(50)
    with pytest.raises(UnsupportedError, match="no array"):
        plain.append([1, 2, 3])


def test_selections_of_a_larger_array() -> None:
    """A selection that was resolved before the array became smaller writes and reads nothing."""
    array = cat.asarray(np.arange(40).reshape(8, 5), chunks=(2, 5))
    late = select((slice(2, 6), [1, 4, 1, 4]), array.shape)
    beyond = select((slice(2, 6), 4), array.shape)
    array.resize((8, 4))
    assert array.shape == (8, 4)
    for selection in (late, beyond):
        with pytest.raises(SelectionError, match="become smaller"):
            array._read(selection)
        with pytest.raises(SelectionError, match="become smaller"):
            array._write(selection, np.array(1))
    assert np.array_equal(array[...], np.arange(40).reshape(8, 5)[:, :4])


# --- elements -------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [b"abc", 5, [1.5], {"a": 1}, None, np.zeros(3, "i8")])
def test_elements_without_a_type_are_bytes(values: Any) -> None:
    """Only elements of as many bytes can be written where there is no data type."""
    array = cat.zeros((2, 3), 4)
    with pytest.raises(ShapeError):
        array[1] = values
    assert array.cbytes == 0


def test_bytes_of_any_type_are_written(tmp_path: Path) -> None:
    """Arrays of any type with elements of that size are taken as bytes, also from other arrays."""
    array = cat.zeros((2, 3), 4)
    array[0] = np.arange(6, dtype="f4")[::2]
    array[1, 1:] = b"ab\0\0"
    array[1, 0] = cat.asarray(np.arange(3, dtype="<u4"))[2]
    assert np.array_equal(array[0].view("f4"), [0, 2, 4])
    assert array[1].view("S4").tolist() == [b"\2", b"ab", b"ab"]
    copied = cat.zeros((2, 3), 4)
    copied[...] = array
    assert copied.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", ["?", "<U3", "S5", "M8[s]", "c16", ">f8", "i1,>f4", "V7", "S300"])
def test_stock_blosc2_reads_every_dtype(dtype: str, tmp_path: Path) -> None:
    """An array of any type that blosc2 has is read by it, and the other way round."""
    values = np.random.default_rng(3).integers(0, 2, (9, 8))
    values = values.astype(dtype) if dtype != "V7" else values.astype("S7").view(dtype)
    array = cat.asarray(values, chunks=(4, 5), blocks=(2, 3), urlpath=tmp_path / "a.b2nd")
    opened = blosc2.open(str(tmp_path / "a.b2nd"))
    assert opened.dtype == values.dtype
    assert opened[...].tobytes() == values.tobytes()
    blosc2.asarray(values, chunks=(4, 5), blocks=(2, 3), urlpath=str(tmp_path / "b.b2nd"))
    again = cat.open(tmp_path / "b.b2nd")
    named = np.dtype([("f0", dtype)]) if dtype == "V7" else array.dtype  # blosc2 names it
    assert (again.dtype, again.shape) == (named, array.shape)
    assert again.tobytes() == values.tobytes()


def test_chunks_one_by_one() -> None:
    """A chunk is read by its number or its place: whole with zeros, or what is in the array."""
    values = np.arange(35, dtype="i2").reshape(5, 7)
    array = cat.asarray(values, chunks=(3, 4), blocks=(2, 2))
    assert np.array_equal(array.get_chunk(3), np.pad(values[3:, 4:], ((0, 1), (0, 1))))
    assert np.array_equal(array.get_chunk((0, -1)), array.get_chunk(1))
    assert np.array_equal(array.get_chunk(-4), values[:3, :4])
    assert array.decompress_chunk(3) == values[3:, 4:].tobytes()
    dst = bytearray(20)
    assert array.decompress_chunk(3, dst) is None
    assert dst == values[3:, 4:].tobytes() + bytes(8)
    out = np.zeros((2, 3), "i2")
    array.decompress_chunk(3, out)
    assert np.array_equal(out, values[3:, 4:])


@pytest.mark.parametrize("index", [4, -5, (0, 2), (0,), (0, 0, 0), "a", None, (0.5, 0)])
def test_chunks_that_are_not_there(index: Any) -> None:
    """A chunk outside of the grid is an error that names it."""
    with pytest.raises(SelectionError, match=r"no chunk .* in a grid of \(2, 2\)"):
        cat.zeros((5, 7), 1, chunks=(3, 4)).get_chunk(index)


@pytest.mark.parametrize("dst", [bytearray(11), bytes(20), "text", np.zeros((4, 6), "i2")[:, ::2]])
def test_buffers_for_a_chunk(dst: Any) -> None:
    """A buffer that is too small, cannot be written or has gaps is refused."""
    array = cat.asarray(np.arange(35, dtype="i2").reshape(5, 7), chunks=(3, 4))
    with pytest.raises(ShapeError, match="dst must be a writable buffer"):
        array.decompress_chunk(3, dst)


def test_arrays_of_no_elements(tmp_path: Path) -> None:
    """An array that blosc2 made without elements is counted, iterated, and grows."""
    blosc2.zeros((0, 4), dtype="i4", urlpath=str(tmp_path / "a.b2nd"))
    array = cat.open(tmp_path / "a.b2nd", mode="a")
    assert (array.shape, array.nchunks, list(array)) == ((0, 4), 0, [])
    assert array.append([[1, 2, 3, 4]]) == (1, 4)
    assert blosc2.open(str(tmp_path / "a.b2nd"))[...].tolist() == [[1, 2, 3, 4]]


# --- metalayers -----------------------------------------------------------------------------------

VALUES: list[Any] = [
    None,
    True,
    -5,
    2**63,
    1.5,
    "é",
    b"\0x",
    [1, [2]],
    (1, (2, [])),
    {"a": {"b": 1}},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@KINDS
def test_values_come_back(kind: str, value: Any, tmp_path: Path) -> None:
    """What msgpack can say is kept behind the chunks, and blosc2 reads it, too."""
    array = cat.zeros(5, dtype="i4", **placed(kind, tmp_path))
    array.vlmeta["name"] = value
    assert array.vlmeta["name"] == value
    assert type(array.vlmeta["name"]) is type(value)
    peer = blosc2.ndarray_from_cframe(array.to_cframe(), copy=True)
    assert peer.vlmeta["name"] == value
    peer.vlmeta["other"] = value
    assert cat.from_cframe(peer.to_cframe()).vlmeta == {"name": value, "other": value}


def test_vlmeta_is_a_mapping() -> None:
    """Metalayers of variable length are a mapping like a dict."""
    array = cat.zeros(5, dtype="i4")
    layers, plain = array.vlmeta, dict[str, Any]()
    for mapping in (layers, plain):
        mapping.update({"a": 1, "b": [2]}, c="x" * 10000)
        mapping["a"] = np.int64(3) if mapping is layers else 3
        del mapping["b"]
        mapping.setdefault("d", 4)
        assert mapping.pop("d") == 4
    assert layers == plain == dict(layers)
    assert layers == array.vlmeta
    assert (list(layers), len(layers), "b" in layers) == (["a", "c"], 2, False)
    assert repr(array.vlmeta).startswith("{'a': 3, 'c': 'xxx")
    with pytest.raises(KeyError):
        del layers["b"]
    with pytest.raises(KeyError):
        layers["b"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", object()),
        ("a", {1, 2}),
        ("a", 2**64),
        ("a", 1j),
        ("a", {1: 2}),
        ("a", [{(1, 2): 3}]),
        (5, 1),
        ("", 1),
        ("x" * 32, 1),
        ("a", b"x" * (1 << 24)),
    ],
    ids=[
        "object",
        "set",
        "integer",
        "complex",
        "keys",
        "tuples",
        "number",
        "empty",
        "long",
        "large",
    ],
)
def test_values_that_cannot_be_kept(name: Any, value: Any) -> None:
    """What msgpack has no form for, impossible names and 16 MiB are refused; nothing changes."""
    array = cat.zeros(5, dtype="i4")
    with pytest.raises(MetadataError):
        array.vlmeta[name] = value
    assert not array.vlmeta


def test_recursion_is_refused() -> None:
    """A list that holds itself cannot be kept."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(MetadataError):
        cat.zeros(5, dtype="i4").vlmeta["a"] = loop


def test_extensions_are_not_decoded() -> None:
    """What blosc2 keeps in forms of its own is handed out as it is, and nothing of it is run."""
    peer = blosc2.zeros(5, dtype="i4")
    peer.vlmeta["a"] = np.arange(3)
    found = cat.from_cframe(peer.to_cframe()).vlmeta["a"]
    assert isinstance(found, msgpack.ExtType)


def test_damaged_values() -> None:
    """A metalayer that is no msgpack is an error that names it."""
    array = cat.zeros(5, dtype="i4")

    def edit(change: Any) -> None:
        change.vlmeta = change.vlmeta.changed({"a": b"\xc1", "b": b"\x91" * 5000})

    array._change(edit)
    for name in "ab":
        with pytest.raises(CorruptFrameError, match=f"metalayer '{name}'"):
            array.vlmeta[name]


def test_attributes_are_json() -> None:
    """Attributes are metalayers to which only what JSON can say is written."""
    array = cat.zeros(5, dtype="i4")
    array.attrs["units"] = ("K", np.float32(1.5), [np.arange(2)])
    assert array.attributes == {"units": ["K", 1.5, [[0, 1]]]}
    assert array.vlmeta["units"] == ["K", 1.5, [[0, 1]]]
    with pytest.raises(MetadataError, match=r"attributes\.raw"):
        array.attrs["raw"] = b"x"


def test_meta_beside_blosc2(tmp_path: Path) -> None:
    """Metalayers of fixed length are read by blosc2, and its own here; each may write over them."""
    path = str(tmp_path / "a.b2nd")
    array = cat.zeros(9, dtype="i4", urlpath=path, meta={"a": [1, 2], "b": msgpack.packb("x")})
    peer = blosc2.open(path, mode="a")
    assert (peer.schunk.meta["a"], peer.schunk.meta["b"]) == ([1, 2], "x")
    peer.schunk.meta["a"] = [3, 4]
    assert msgpack.unpackb(array.meta["a"]) == [3, 4]
    array.meta["b"] = "y"
    peer = blosc2.open(path)
    assert peer.schunk.meta["b"] == "y"
    assert array.meta == {name: array.meta[name] for name in ("b2nd", "a", "b")}


def test_names_of_metalayers_may_be_bytes() -> None:
    """The name of a metalayer may be given as bytes, and is the same as that in text."""
    array = cat.zeros(9, itemsize=4, meta={b"a": b"1", "b": b"2"})
    assert array.meta.keys() == ["caterva", "a", "b"]
    assert b"b" in array.meta
    assert b"c" not in array.meta
    array.meta[b"b"] = b"3"
    assert (array.meta[b"a"], array.meta["b"], array.meta.get(b"b")) == (b"1", b"3", b"3")
    assert b"\xff" not in array.meta
    for name in (b"\xff", 1, None):
        with pytest.raises(MetadataError, match="names that are text"):
            cat.zeros(9, itemsize=4, meta={name: b""})


def test_the_metalayer_of_the_array_is_its_own() -> None:
    """Shapes cannot be written over as a metalayer, nor given when the array is made."""
    array = cat.zeros(9, dtype="i4")
    with pytest.raises(MetadataError, match="changes with the array"):
        array.meta["b2nd"] = array.meta["b2nd"]
    for name in ("b2nd", "caterva"):
        with pytest.raises(MetadataError, match="other metalayers"):
            cat.zeros(9, dtype="i4", meta={name: b""})


# --- what a frame says of itself ------------------------------------------------------------------


@KINDS
def test_pickled_frames(kind: str, tmp_path: Path) -> None:
    """A frame is pickled by its location; one in memory by its content."""
    array = cat.asarray(np.arange(40.0), chunks=10, meta={"a": 1}, **placed(kind, tmp_path))
    array.vlmeta["b"] = 2
    again = pickle.loads(pickle.dumps(array))
    assert np.array_equal(again[...], array[...])
    assert (again.meta, again.vlmeta) == (array.meta, array.vlmeta)
    again[3] = -1.0
    if kind == "file":
        assert again == array
        assert array[3] == -1
    else:
        assert array[3] == 3


def test_what_others_changed_is_seen(tmp_path: Path) -> None:
    """Changes of a file are seen at once; those under a key after `refresh`."""
    store = MemoryStore()
    for place in ({"urlpath": tmp_path / "a.b2nd"}, {"store": store, "key": "k"}):
        array = cat.zeros(5, dtype="i4", **place)
        other = pickle.loads(pickle.dumps(array)) if "urlpath" in place else None
        if other is None:
            other = FrameArray(type(array.home)(store, "k", writable=True))
        other.append([7])
        array.refresh()
        assert array[...].tolist() == [0, 0, 0, 0, 0, 7]


def test_settings_are_attributes(tmp_path: Path) -> None:
    """A frame says where it is, and how it is compressed."""
    path = tmp_path / "a.b2nd"
    settings = {"codec": "lz4", "clevel": 3, "filters": ["trunc_prec", "shuffle"]}
    array = cat.zeros(9, dtype="f4", urlpath=path, filtersmeta=[10, 0], **settings)
    assert array.urlpath == str(path)
    assert (array.codec, array.clevel) == (cat.Codec.LZ4, 3)
    assert (array.filters, array.filtersmeta) == ((4, 1), (10, 0))
    assert array.cparams == cat.CParams(**settings, filtersmeta=(10, 0))
    assert (array.itemsize, array.nbytes, array.cbytes, array.nchunks) == (4, 36, 0, 1)
    assert array.cratio == float("inf")
    assert cat.zeros(9, dtype="f4").urlpath is None


def test_info_is_a_table() -> None:
    """The table has a row for each fact, as text, as HTML, and as a mapping."""
    array = cat.asarray(np.zeros((3, 4), "f4") + 1, meta={"<m>": 1})
    array.vlmeta["v"] = 1
    info = array.info
    assert list(info) == [line.split(" : ")[0].strip() for line in repr(info).splitlines()]
    assert (info["Data type"], info["Meta"], info["VLMeta"]) == ("float32", ["<m>"], ["v"])
    assert "Meta          : [<m>]" in repr(info)
    assert "<tr><th>Meta</th><td>[&lt;m&gt;]</td></tr>" in info._repr_html_()


def test_frames_opened_to_be_read(tmp_path: Path) -> None:
    """Nothing of a frame that was opened to be read can be changed."""
    cat.asarray(np.arange(9), urlpath=tmp_path / "a.b2nd", meta={"m": 1})
    array = cat.open(tmp_path / "a.b2nd", mode="r")
    changes: list[Callable[[], Any]] = [
        lambda: array.resize(3),
        lambda: array.append([1]),
        lambda: array.write(1),
        lambda: array.vlmeta.update(a=1),
        lambda: array.meta.__setitem__("m", 2),
    ]
    for change in changes:
        with pytest.raises(ReadOnlyError):
            change()
    assert np.array_equal(array[...], np.arange(9))


def test_frames_in_files_are_closed(tmp_path: Path) -> None:
    """Whoever opens, changes and drops arrays keeps no file open."""
    cat.asarray(np.arange(9), urlpath=tmp_path / "a.b2nd")
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        cat.open(tmp_path / "a.b2nd", mode="a").append([1])
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
