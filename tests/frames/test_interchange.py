"""Copies between Zarr arrays and frames: equal to the last bit, and compressed only once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest
import zarr
from blosc2 import Codec
from frame_samples import FILTERS, cparams, special, stock
from hypothesis import given, settings
from hypothesis import strategies as st

import storekit as sk
from storekit.errors import (
    ChecksumError,
    CodecError,
    KeyNotFoundError,
    MetadataError,
    NodeExistsError,
    NodeNotFoundError,
    NodeTypeError,
    ReadOnlyError,
    SelectionError,
    ShapeError,
    StoreError,
)
from storekit.frames import chunk as frames_chunk
from storekit.frames.params import CParams
from storekit.nodes.interchange import copy
from storekit.nodes.interchange_chunks import in_flight, source_of
from storekit.nodes.interchange_frame import FramePlace
from storekit.typing import AnyArray

DTYPES = ["?", "i1", "u2", "i4", "f2", "f4", "f8", "c16", "M8[s]", "S5", "U3", "i2,f8"]
SHAPES = [((70,), (30,), (20,)), ((9, 10), (4, 5), (2, 5)), ((5, 6, 7), (5, 3, 7), (1, 3, 7))]


def sample(shape: tuple[int, ...], dtype: Any = "f4") -> AnyArray:
    """Elements that compress."""
    count = int(np.prod(shape))
    if np.dtype(dtype).names:
        array = np.zeros(shape, dtype)
        for name in np.dtype(dtype).names or ():
            array[name] = sample(shape, array.dtype[name])
        return array
    return (np.arange(count) % 97).astype(dtype).reshape(shape)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the chunks that are decoded; an index of one chunk is of 8 bytes."""
    sizes: list[int] = []
    backend = frames_chunk.backend()
    original = backend.decompress2

    def spy(chunk: Any, *args: Any, **kwargs: Any) -> Any:
        sizes.append(int.from_bytes(bytes(chunk[4:8]), "little"))
        return original(chunk, *args, **kwargs)

    monkeypatch.setattr(backend, "decompress2", spy)
    return sizes


def zarr_array(data: AnyArray, **options: Any) -> sk.ZarrArray:
    """A Zarr array in memory."""
    return sk.ZarrGroup.create(sk.MemoryStore()).create_array("a", data=data, **options)


def frame_file(folder: Path, array: AnyArray, **more: Any) -> str:
    """A file of blosc2's own."""
    path = str(folder / "stock.b2nd")
    blosc2.asarray(np.ascontiguousarray(array), urlpath=path, mode="w", **more)
    return path


def same(found: Any, expected: AnyArray) -> None:
    """Compare elements bit by bit."""
    values = np.asarray(found[...])
    assert (values.shape, values.dtype) == (expected.shape, expected.dtype)
    assert values.tobytes() == expected.tobytes()


# --- chunks as they are ---------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "chunks", "blocks"), SHAPES)
def test_a_zarr_array_becomes_a_frame_without_being_decoded(
    tmp_path: Path,
    decoded: list[int],
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    blocks: tuple[int, ...],
) -> None:
    """Frames of one chunk become one of many; blosc2 and storekit read the elements from it."""
    data = sample(shape, "f8")
    codec = {"name": "storekit.b2nd", "configuration": {"blocks": list(blocks), "cname": "lz4"}}
    source = zarr_array(data, chunks=chunks, codecs=[codec])
    copied = copy(source, tmp_path / "x.b2nd")
    assert set(decoded) <= {8, 8 * copied.nchunks}
    assert (copied.chunks, copied._frame.meta.blocks) == (chunks, blocks)
    same(copied, data)
    other = blosc2.open(str(tmp_path / "x.b2nd"))
    assert (other.chunks, other.blocks) == (chunks, blocks)
    same(other, data)


@pytest.mark.parametrize(("shape", "chunks", "blocks"), SHAPES)
def test_a_frame_becomes_a_zarr_array_without_being_decoded(
    tmp_path: Path,
    decoded: list[int],
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    blocks: tuple[int, ...],
) -> None:
    """Each chunk of a frame becomes a frame that blosc2 opens, with the same compressed blocks."""
    data = sample(shape, "f8")
    path = frame_file(tmp_path, data, chunks=chunks, blocks=blocks)
    copied = copy(path, tmp_path / "x.zarr")
    assert set(decoded) <= {8, 8 * copied.nchunks}
    same(copied, data)
    assert copied.codecs[0].to_config()["blocks"] == list(blocks)
    for key in copied.stored_keys():
        one = blosc2.from_cframe(bytes(copied.store.get(key)))
        assert (one.shape, one.blocks) == (chunks, blocks)


def test_compressed_blocks_stay_what_they_are(tmp_path: Path) -> None:
    """The compressed bytes of the blocks of a file of blosc2's are those in the Zarr array."""
    data = np.random.default_rng(0).integers(0, 50, (64, 64)).astype("i4")
    made = blosc2.asarray(data, chunks=(32, 64), blocks=(8, 64), cparams={"nthreads": 1})
    path = tmp_path / "x.b2nd"
    path.write_bytes(made.to_cframe())
    copied = copy(path, tmp_path / "x.zarr")
    for number, key in enumerate(copied.stored_keys()):
        chunk = made.schunk.get_chunk(number)
        first = min(np.frombuffer(chunk, "<i4", 4, 32))
        assert chunk[first:] in bytes(copied.store.get(key))


def test_there_and_back_every_chunk_has_the_same_bytes(tmp_path: Path) -> None:
    """A Zarr array that was a frame in between has the documents and the chunks that it had."""
    data = sample((70, 90))
    data[:32, :40] = 0
    names, attributes = ["y", None], {"units": "K", "many": [1, 2.5, None], "n" * 40: {"a": True}}
    source = zarr_array(
        data, chunks=(32, 40), attributes=attributes, dimension_names=names, fill_value=2
    )
    copy(source, tmp_path / "x.b2nd")
    back = copy(tmp_path / "x.b2nd", tmp_path / "x.zarr")
    assert back.metadata == source.metadata
    old, new = (array.store for array in (source, back))
    assert {f"a/{key}": bytes(new.get(key)) for key in back.stored_keys()} == {
        key: bytes(old.get(key)) for key in source.stored_keys()
    }


def test_parts_of_copied_chunks_are_read_by_blocks(tmp_path: Path, decoded: list[int]) -> None:
    """Chunks of a frame of blosc2's are, in a Zarr array, read block by block."""
    data = sample((400, 400))
    path = frame_file(tmp_path, data, chunks=(200, 400), blocks=(10, 400))
    copied = copy(path, sk.MemoryStore())
    decoded.clear()
    same(copied[205:206], data[205:206])
    assert decoded == [16_000]


@pytest.mark.parametrize("codec", [Codec.BLOSCLZ, Codec.LZ4, Codec.LZ4HC, Codec.ZLIB, Codec.ZSTD])
@pytest.mark.parametrize("filters", FILTERS)
def test_every_compressor_and_filter_survives(tmp_path: Path, codec: Codec, filters: str) -> None:
    """What blosc2 wrote with any settings is, copied twice, what it was."""
    made = stock(sample((30, 40)), codec, filters, chunks=(16, 40), blocks=(4, 40))
    path = tmp_path / "x.b2nd"
    path.write_bytes(made.frame)
    there = copy(path, tmp_path / "x.zarr")
    same(there, made.array)
    back = copy(there, tmp_path / "y.b2nd")
    same(back, made.array)
    same(blosc2.open(str(tmp_path / "y.b2nd")), made.array)


@pytest.mark.parametrize("name", special((20, 30), (10, 12)))
def test_chunks_that_are_not_stored_survive(tmp_path: Path, name: str) -> None:
    """Chunks of only zeros, NaN or one value are, copied twice, what they were."""
    made = special((20, 30), (10, 12))[name]
    path = tmp_path / "x.b2nd"
    path.write_bytes(made.frame)
    expected = np.zeros_like(made.array) if name == "uninit" else made.array
    there = copy(path, tmp_path / "x.zarr")
    same(there, expected)
    same(copy(there, tmp_path / "y.b2nd"), expected)
    same(copy(path, tmp_path / "z.b2nd"), expected)


@pytest.mark.parametrize(
    "more", [{"use_dict": True}, {"nthreads": 4}, {"clevel": 0}, {"clevel": 9}]
)
@pytest.mark.parametrize("kind", ["smooth", "noise"])
def test_unusual_chunks_survive(tmp_path: Path, more: dict[str, Any], kind: str) -> None:
    """Dictionaries, blocks in no order and chunks that did not shrink are carried over."""
    data = np.random.default_rng(0).integers(0, 1 << 31, (256, 64)).astype("i4")
    if kind == "smooth":
        data = sample((256, 64), "i4")
    settings = {**cparams(Codec.ZSTD, "shuffle", 5), **more}
    path = frame_file(tmp_path, data, chunks=(128, 64), blocks=(16, 64), cparams=settings)
    there = copy(path, tmp_path / "x.zarr")
    same(there, data)
    same(there[130:133, 5:9], data[130:133, 5:9])
    for again in (copy(there, tmp_path / "y.b2nd"), copy(path, tmp_path / "z.b2nd")):
        same(again, data)
        same(blosc2.open(again.urlpath), data)


def test_chunks_that_others_wrote_are_decoded_where_they_differ(tmp_path: Path) -> None:
    """Chunks of a Zarr array may be frames with other blocks, chunks or byte order."""
    data = sample((40, 30), "i4")
    array = sk.ZarrArray.create(sk.MemoryStore(), data=data, chunks=(10, 30))
    others: list[tuple[Any, dict[str, Any]]] = [
        ("i4", {"chunks": (10, 30), "blocks": (3, 30)}),
        ("i4", {"chunks": (5, 30)}),
        (">i4", {"chunks": (10, 30), "blocks": (10, 30)}),
    ]
    for number, (dtype, more) in enumerate(others):
        made = blosc2.asarray(data[number * 10 :][:10].astype(dtype), **more)
        array.store.set(f"c/{number}/0", made.to_cframe())
    same(array, data)
    same(copy(array, tmp_path / "x.b2nd"), data)
    same(copy(array, tmp_path / "x.zarr", clevel=3), data)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_survives(dtype: str) -> None:
    """Elements of every type of fixed size are, as frame and back, what they were."""
    data = sample((9, 10), dtype)
    source = zarr_array(data, chunks=(4, 5))
    store = sk.MemoryStore()
    same(copy(source, store, target_path="x.b2nd"), data)
    same(copy(store, store, source_path="x.b2nd", target_path="z"), data)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1, 1)])
def test_arrays_of_few_elements_survive(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Scalars and arrays without elements are copied like others."""
    source = zarr_array(sample(shape, "i4"))
    same(copy(source, tmp_path / "x.b2nd"), sample(shape, "i4"))
    same(copy(tmp_path / "x.b2nd", tmp_path / "x.zarr"), sample(shape, "i4"))


@pytest.mark.parametrize("fill", [0, -0.0, 7, float("nan"), float("inf")])
def test_absent_chunks_are_the_fill_value(tmp_path: Path, fill: float) -> None:
    """A frame has the fill value where the Zarr array has no chunks, and gives it back."""
    group = sk.ZarrGroup.create(sk.MemoryStore())
    source = group.create_array("a", shape=(20, 20), dtype="f4", chunks=(5, 20), fill_value=fill)
    source[5:7] = 3
    expected = source[...]
    copied = copy(source, tmp_path / "x.b2nd")
    same(copied, expected)
    back = copy(copied, tmp_path / "x.zarr")
    same(back, expected)
    assert np.float32(back.fill_value).tobytes() == np.float32(fill).tobytes()


# --- chunks made anew -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wishes",
    [
        {"chunks": (7, 3)},
        {"chunks": 5},
        {"blocks": (2, 4)},
        {"codec": "lz4", "clevel": 9},
        {"filters": "bitshuffle"},
        {"chunks": (40, 50), "blocks": (1, 50), "codec": "zlib"},
    ],
    ids=str,
)
@pytest.mark.parametrize("target", ["y.b2nd", "y.zarr"])
def test_what_is_wished_is_done(tmp_path: Path, wishes: dict[str, Any], target: str) -> None:
    """Chunks, blocks and compression are what is asked for, and elements stay the same."""
    data = sample((40, 50))
    path = frame_file(tmp_path, data, chunks=(20, 25), blocks=(5, 25))
    copied = copy(path, tmp_path / target, **wishes)
    same(copied, data)
    meta = source_of(copied).meta
    assert meta is not None
    chunks = wishes.get("chunks", (20, 25))
    assert meta.chunks == ((chunks,) * 2 if isinstance(chunks, int) else chunks)
    if "blocks" in wishes:
        assert meta.blocks == wishes["blocks"]
    back = copy(copied, sk.MemoryStore(), target_path="back")
    settings = back.codecs[0].to_config()
    assert settings["cname"] == wishes.get("codec", "zstd")
    assert settings["clevel"] == wishes.get("clevel", 5)
    assert settings["shuffle"] == wishes.get("filters", "shuffle")


def test_settings_of_filters_go_with_the_filters(tmp_path: Path) -> None:
    """Other filters are wished for without the settings of those before."""
    made = stock(sample((30, 40)), Codec.ZSTD, "truncated", chunks=(16, 40), blocks=(4, 40))
    (tmp_path / "x.b2nd").write_bytes(made.frame)
    copied = copy(tmp_path / "x.b2nd", tmp_path / "y.b2nd", filters=["bitshuffle"])
    same(copied, made.array)
    params = CParams.from_header(copied._frame.header)
    assert (params.filters, params.filtersmeta) == ((2,), (0,))


def test_chunks_of_too_many_blocks_are_cut_anew(tmp_path: Path) -> None:
    """A Zarr array has no chunks of more than 65,536 blocks; a frame may."""
    data = sample((70_000, 8), "i4")
    path = frame_file(tmp_path, data, chunks=data.shape, blocks=(1, 8))
    copied = copy(path, tmp_path / "x.zarr")
    assert copied.chunks == data.shape
    same(copied, data)
    with pytest.raises(MetadataError, match="blocks"):
        copy(path, tmp_path / "y.zarr", blocks=(1, 8))


@pytest.mark.parametrize("codecs", ["zstd", "blosc", "gzip", "none"])
def test_copies_for_every_reader_are_read_by_zarr_python(tmp_path: Path, codecs: str) -> None:
    """zarr-python opens a copy of a frame with one of the portable presets."""
    data = sample((40, 50))
    path = frame_file(tmp_path, data, chunks=(20, 25))
    copy(path, tmp_path / "x.zarr", codecs=codecs)
    same(zarr.open_array(str(tmp_path / "x.zarr"), mode="r"), data)


def test_zarr_python_arrays_become_frames(tmp_path: Path) -> None:
    """What zarr-python wrote, of v3 with shards or of v2, becomes a frame that blosc2 opens."""
    data = sample((40, 50))
    for name, more in (("v3", {"zarr_format": 3, "shards": (20, 50)}), ("v2", {"zarr_format": 2})):
        made = zarr.create_array(
            str(tmp_path / name), shape=data.shape, chunks=(10, 25), dtype="f4", **more
        )
        made[...] = data
        made.attrs["units"] = "K"
        copied = copy(tmp_path / name, tmp_path / f"{name}.b2nd")
        assert copied.chunks == (10, 25)
        other = blosc2.open(str(tmp_path / f"{name}.b2nd"))
        same(other, data)
        assert other.schunk.vlmeta["units"] == "K"


# --- Zarr to Zarr ---------------------------------------------------------------------------------


def test_zarr_arrays_are_copied_value_by_value(decoded: list[int]) -> None:
    """A group is copied with all that is in it, and no value of it is decoded."""
    store, other = sk.MemoryStore(), sk.MemoryStore()
    group = sk.ZarrGroup.create(store, attributes={"title": "all"})
    group.create_group("empty", attributes={"n": 1})
    group.create_array("a/b", data=sample((30, 30)), chunks=(10, 10), attributes={"x": [1]})
    group.create_array("s", data=sample((30, 30)), chunks=(5, 5), shards=(15, 15), codecs="gzip")
    group.create_array("text", data=np.array(["a", "bc"], dtype="T"), dtype=str)
    decoded.clear()
    copied = copy(store, other, target_path="sub/way")
    assert decoded == []
    assert copied.tree().splitlines()[1:] == group.tree().splitlines()[1:]
    inside = {key: bytes(other.get(f"sub/way/{key}")) for key in store.list()}
    assert {k: json.loads(v) if k.endswith(".json") else v for k, v in inside.items()} == {
        k: json.loads(bytes(store.get(k))) if k.endswith(".json") else bytes(store.get(k))
        for k in store.list()
    }


def test_groups_take_wishes_for_all_arrays() -> None:
    """The arrays of a group that is copied get the codecs that are asked for."""
    group = sk.ZarrGroup.create(sk.MemoryStore())
    for name in "ab":
        group.create_array(name, data=sample((30, 30)), chunks=(10, 10))
    copied = copy(group, sk.MemoryStore(), codecs="zstd", chunks=15)
    for name in "ab":
        assert (copied[name].chunks, copied[name].codecs[-1].name) == ((15, 15), "zstd")
        same(copied[name], sample((30, 30)))


def test_a_store_that_cannot_list_is_copied_chunk_by_chunk() -> None:
    """Where keys are not listed every chunk is asked for, and absent ones stay absent."""

    class Unlisted(sk.ReadableStore):
        identity = "unlisted"

        def __init__(self, inner: sk.MemoryStore) -> None:
            self.inner = inner

        def _get(self, key: str) -> Any:
            return self.inner._get(key)

    store = sk.MemoryStore()
    array = sk.ZarrArray.create(store, shape=(20, 20), dtype="i4", chunks=(5, 5))
    array[:5, :7] = 3
    copied = copy(Unlisted(store), sk.MemoryStore())
    assert copied.stored_keys() == ["c/0/0", "c/0/1"]
    same(copied, array[...])


# --- one chunk ------------------------------------------------------------------------------------


def test_a_chunk_is_a_file_and_a_file_a_chunk(tmp_path: Path) -> None:
    """A chunk is copied to a file byte by byte, and from one to its place in another array."""
    data = sample((20, 20))
    source = zarr_array(data, chunks=(10, 20))
    one = copy(source, tmp_path / "one.b2nd", chunk=(1, 0))
    assert (tmp_path / "one.b2nd").read_bytes() == bytes(source.store.get("a/c/1/0"))
    same(one, data[10:])
    target = zarr_array(np.zeros((20, 20), "f4"), chunks=(10, 20))
    copy(tmp_path / "one.b2nd", target.store, target_path="a", chunk=(0, 0))
    assert bytes(target.store.get("a/c/0/0")) == bytes(source.store.get("a/c/1/0"))
    same(target[:10], data[10:])


def test_a_chunk_that_is_absent_is_a_file_all_the_same(tmp_path: Path) -> None:
    """A chunk that is not stored becomes a frame of the fill value."""
    group = sk.ZarrGroup.create(sk.MemoryStore())
    source = group.create_array("a", shape=(20, 20), dtype="f4", chunks=(10, 20), fill_value=4)
    same(copy(source, tmp_path / "one.b2nd", chunk=(0, 0)), np.full((10, 20), 4, "f4"))


def test_a_file_of_a_chunk_may_be_changed_and_put_back(tmp_path: Path) -> None:
    """What is written to the file of a chunk does not leave checksums that are wrong in it."""
    array = sk.ZarrArray.create(sk.LocalStore(tmp_path), data=sample((20, 20)), chunks=(10, 20))
    changed = sk.open(tmp_path / "c" / "1" / "0", mode="a")
    changed[3, 4:6] = 7
    expected = sample((20, 20))
    expected[13, 4:6] = 7
    same(array, expected)
    same(copy(array, sk.MemoryStore(), target_path="x.b2nd"), expected)


@pytest.mark.parametrize("codecs", ["b2nd", "zstd"])
def test_a_frame_of_any_cut_becomes_a_chunk(tmp_path: Path, codecs: str) -> None:
    """A frame of several chunks, or an array with other codecs: then the elements are encoded."""
    data = sample((10, 20))
    path = frame_file(tmp_path, data, chunks=(5, 7))
    target = zarr_array(np.zeros((20, 20), "f4"), chunks=(10, 20), codecs=codecs)
    copy(path, target.store, target_path="a", chunk=(1, 0))
    same(target[10:], data)


def test_what_is_no_chunk_is_refused(tmp_path: Path) -> None:
    """Other shapes, other types, other places and other kinds of nodes are errors."""
    source = zarr_array(sample((20, 20)), chunks=(10, 20))
    path = frame_file(tmp_path, sample((10, 20), "f8"))
    cases: list[tuple[Any, Any, Any, str, type[Exception]]] = [
        (source, tmp_path / "x.b2nd", (2, 0), "", SelectionError),
        (source, tmp_path / "x.b2nd", (0,), "", SelectionError),
        (source, tmp_path / "x.b2nd", (-1, 0), "", SelectionError),
        (path, source.store, (0, 0), "a", ShapeError),
        (source, source.store, (0, 0), "a", NodeTypeError),
        (zarr_array(sample((4,)), codecs="zstd"), tmp_path / "x.b2nd", (0,), "", NodeTypeError),
    ]
    for node, target, chunk, target_path, error in cases:
        with pytest.raises(error):
            copy(node, target, target_path=target_path, chunk=chunk)
    with pytest.raises(ValueError, match="no settings"):
        copy(source, tmp_path / "x.b2nd", chunk=(0, 0), clevel=3)
    assert [entry.name for entry in tmp_path.iterdir()] == ["stock.b2nd"]


# --- attributes and metalayers --------------------------------------------------------------------


def test_metalayers_of_blosc2_survive(tmp_path: Path) -> None:
    """Metalayers become attributes where they are JSON, and all come back bit by bit."""
    meta = {"mine": b"\x01\x02", "other": {"a": 1}}
    made = blosc2.asarray(sample((9, 9)), meta=meta, urlpath=str(tmp_path / "x.b2nd"), mode="w")
    values = {"units": "K", "list": [1, 2.5, None], "raw": b"\xff", "zarr": "mine", "b2nd": 3}
    for name, value in values.items():
        made.schunk.vlmeta[name] = value
    there = copy(tmp_path / "x.b2nd", tmp_path / "x.zarr")
    assert {name: there.attributes[name] for name in ("units", "list")} == {
        "units": "K",
        "list": [1, 2.5, None],
    }
    for name in ("y.b2nd", "z.b2nd"):
        copy(there if name == "y.b2nd" else tmp_path / "x.b2nd", tmp_path / name)
        back = blosc2.open(str(tmp_path / name))
        assert back.schunk.vlmeta[:] == {**values, "zarr": back.schunk.vlmeta["zarr"]}
        assert {key: back.schunk.meta[key] for key in meta} == meta


def test_metalayers_come_back_bit_by_bit() -> None:
    """What msgpack could say in another way, or is none, has the same bytes after two copies."""
    contents = {"single": b"\xca?\x80\0\0", "long": b"\xcd\0\1", "none": b"\xc1", "empty": b""}
    store = sk.MemoryStore()
    copy(zarr_array(sample((4,))), store, target_path="x.b2nd")
    home = sk.open(store, "x.b2nd", mode="a")._home
    with home.change() as change:
        change.vlmeta = change.vlmeta.changed(contents)
        change.commit()
    copy(store, store, source_path="x.b2nd", target_path="z")
    back = copy(store, store, source_path="z", target_path="y.b2nd")
    assert dict(back._frame.trailer.layers) == contents


names = st.text(min_size=1, max_size=40).filter(lambda s: s.isprintable())
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
leaves = leaves.filter(lambda v: not isinstance(v, float) or abs(v) != float("inf"))
json_values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(names, inner))


@settings(max_examples=30)
@given(st.dictionaries(names | st.sampled_from(["zarr", "b2nd", "storekit"]), json_values))
def test_attributes_survive(attributes: dict[str, Any]) -> None:
    """Any attributes, of any name and any JSON, are what they were after a frame in between."""
    store = sk.MemoryStore()
    source = sk.ZarrArray.create(store, shape=(2,), dtype="i1")
    try:
        source.attributes.update(attributes)
    except (MetadataError, UnicodeEncodeError):
        return  # not JSON that a document can hold
    kept = dict(source.attributes)
    copy(source, store, target_path="x.b2nd", overwrite=True)
    back = copy(store, sk.MemoryStore(), source_path="x.b2nd")
    assert json.dumps(dict(back.attributes), sort_keys=True) == json.dumps(kept, sort_keys=True)


def test_metalayers_that_only_look_like_ours_are_kept() -> None:
    """An attribute ``b2nd`` and a metalayer ``zarr`` of somebody else are carried as they are."""
    store = sk.MemoryStore()
    kept = [{"meta": {"b2nd": "AAAA"}}, {"vlmeta": {"zarr": "AAAA"}}, {"vlmeta": {"x": "-"}}]
    for value in ({"meta": 3}, *kept, [1], {}):
        source = sk.ZarrArray.create(
            store,
            "a",
            data=sample((4,)),
            attributes={"b2nd": value},
            dimension_names=["x"],
            overwrite=True,
        )
        copy(source, store, target_path="x.b2nd", overwrite=True)
        back = copy(store, store, source_path="x.b2nd", target_path="z", overwrite=True)
        assert (dict(back.attributes), back.dimension_names) == ({"b2nd": value}, ("x",))
    for text in ("[", "[]", '{"dimension_names": ["a", "b"]}', '{"attributes": 3}', '{"x": 1}'):
        frame = sk.open(store, "x.b2nd", mode="a")
        frame.vlmeta["zarr"] = text
        back = copy(store, store, source_path="x.b2nd", target_path="z", overwrite=True)
        copy(back, store, target_path="y.b2nd", overwrite=True)
        again = copy(store, store, source_path="y.b2nd", target_path="z", overwrite=True)
        assert dict(again.attributes) == dict(back.attributes)


# --- places ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["memory://copies/{}/x.b2nd", "{tmp}/deep/er/x.b2nd"])
def test_frames_are_made_at_urls_and_paths(tmp_path: Path, place: str) -> None:
    """A frame is made wherever a store can be written, folders included."""
    url = place.format(tmp_path.name, tmp=tmp_path)
    data = sample((20, 20))
    same(copy(zarr_array(data), url), data)
    same(sk.open(url), data)


@pytest.mark.parametrize("path", ["", "in/x.b2nd", "in/a"])
def test_copies_are_made_in_archives(tmp_path: Path, path: str) -> None:
    """A zip archive takes frames and nodes, and is whole when the copy is done."""
    data = sample((20, 20))
    for _ in range(2):
        copied = copy(zarr_array(data), tmp_path / "x.zip", target_path=path, overwrite=True)
        same(copied, data)
    with sk.ZipStore(tmp_path / "x.zip") as store:
        same(sk.open(store, path), data)


@pytest.mark.parametrize("kind", ["super-chunk", "sparse", "bytes"])
def test_frames_of_other_kinds_become_zarr_arrays(tmp_path: Path, kind: str) -> None:
    """Frames without an array, without a type, and with chunks in files of their own are copied."""
    data = sample((50, 30))
    path = str(tmp_path / "x.b2nd")
    if kind == "sparse":
        blosc2.asarray(data, chunks=(20, 30), urlpath=path, mode="w", contiguous=False)
        expected = data
    else:
        size = 1 if kind == "bytes" else 4
        settings = {"typesize": size}
        blosc2.SChunk(chunksize=2000, data=data, urlpath=path, mode="w", cparams=settings)
        expected = data.reshape(-1).view("u1" if kind == "bytes" else "V4")
    same(copy(path, tmp_path / "x.zarr"), expected)
    same(copy(path, tmp_path / "y.b2nd"), expected)


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    """What is at the target stays, whatever it is; with `overwrite` it goes."""
    source, store = zarr_array(sample((20, 20))), sk.MemoryStore()
    store.set("x.b2nd", b"mine")
    store.set("left/over", b"mine")
    (tmp_path / "x.b2nd").write_bytes(b"mine")
    places: list[tuple[Any, str]] = [(store, "x.b2nd"), (tmp_path / "x.b2nd", ""), (store, "left")]
    for target, path in places:
        with pytest.raises(NodeExistsError):
            copy(source, target, target_path=path)
    assert [bytes(store.get("x.b2nd")), bytes(store.get("left/over"))] == [b"mine"] * 2
    assert (tmp_path / "x.b2nd").read_bytes() == b"mine"
    for target, path in places:
        same(copy(source, target, target_path=path, overwrite=True), sample((20, 20)))


def test_what_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame that somebody else has made since the place was looked at stays."""
    store = sk.MemoryStore()
    (tmp_path / "x.b2nd").write_bytes(b"mine")
    store.set("x.b2nd", b"mine")
    monkeypatch.setattr(FramePlace, "check", lambda place: None)
    for target, path in ((tmp_path / "x.b2nd", ""), (store, "x.b2nd")):
        with pytest.raises(NodeExistsError):
            copy(zarr_array(sample((4,))), target, target_path=path)
    assert (tmp_path / "x.b2nd").read_bytes() == bytes(store.get("x.b2nd")) == b"mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.b2nd"]


def test_documents_come_last_and_that_of_the_root_after_all() -> None:
    """A group that is copied can be opened when all in it is there, not before."""
    group = sk.ZarrGroup.create(sk.MemoryStore())
    group.create_array("b/a", data=sample((20, 20)), chunks=(10, 20))
    target = sk.TraceStore(sk.MemoryStore())
    copy(group, target, target_path="x")
    written = [r.keys[0] for r in target.trace if r.op in ("set", "compare_and_set")]
    documents = ["x/b/a/zarr.json", "x/b/zarr.json", "x/zarr.json"]
    assert written[0] == "zarr.json"
    assert sorted(written[1:3]) == ["x/b/a/c/0/0", "x/b/a/c/1/0"]
    assert written[3:] == documents


def test_a_directory_is_not_taken_for_a_file(tmp_path: Path) -> None:
    """A frame does not take the place of a directory, not even with `overwrite`."""
    (tmp_path / "x.b2nd").mkdir()
    with pytest.raises(NodeExistsError):
        copy(zarr_array(sample((4,))), tmp_path / "x.b2nd", overwrite=True)


def test_a_node_is_not_copied_into_itself(tmp_path: Path) -> None:
    """A target within the source, or around it, is refused before anything is removed."""
    store = sk.LocalStore(tmp_path / "s")
    group = sk.ZarrGroup.create(store)
    group.create_array("a/b", data=sample((4,)))
    copy(group["a/b"], tmp_path / "s" / "a" / "x.b2nd")
    cases: list[tuple[Any, str]] = [
        (group["a"], "a/c"),
        (group["a"], ""),
        (group["a/b"], "a"),
        (group["a/b"], "a/b"),
        (sk.open(tmp_path / "s" / "a" / "x.b2nd"), "a"),
    ]
    for node, path in cases:
        with pytest.raises(NodeExistsError, match="within each other"):
            copy(node, store, target_path=path, overwrite=True)
    assert "a/b/zarr.json" in store.list()
    same(copy(group["a/b"], store, target_path="a/bc"), sample((4,)))


def test_a_frame_may_take_its_own_place(tmp_path: Path) -> None:
    """A file is cut anew where it lies: the old one is read until the new one is there."""
    path = frame_file(tmp_path, sample((40, 40)), chunks=(10, 40))
    same(copy(path, path, chunks=(20, 20), overwrite=True), sample((40, 40)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["stock.b2nd"]


# --- errors ---------------------------------------------------------------------------------------


def test_what_cannot_be_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    """Missing sources, groups as frames, elements of no fixed size, impossible settings."""
    array = zarr_array(sample((20, 20)))
    group = sk.ZarrGroup.create(sk.MemoryStore())
    text = zarr_array(np.array(["a", "bc"], dtype="T"), dtype=str)
    bad: list[tuple[Any, dict[str, Any], type[Exception]]] = [
        (tmp_path / "no.b2nd", {}, NodeNotFoundError),
        (sk.MemoryStore(), {}, NodeNotFoundError),
        (group, {}, NodeTypeError),
        (text, {}, MetadataError),
        (array, {"codecs": "zstd"}, MetadataError),
        (array, {"codecs": "zstd", "clevel": 3}, MetadataError),
        (array, {"codec": "nix"}, MetadataError),
        (array, {"clevel": 10}, MetadataError),
        (array, {"chunks": (0, 5)}, MetadataError),
        (array, {"chunks": (5,)}, MetadataError),
        (array, {"chunks": (5, 5), "blocks": (6, 5)}, MetadataError),
        (array, {"source_path": "b"}, NodeTypeError),
    ]
    for source, options, error in bad:
        with pytest.raises(error):
            copy(source, tmp_path / "x.b2nd", **options)
    with pytest.raises(MetadataError, match="filters"):
        copy(array, tmp_path / "x.zarr", filters=["delta", "shuffle"])
    assert [*tmp_path.iterdir()] == []


def test_targets_that_cannot_be_written_are_errors(tmp_path: Path) -> None:
    """A read-only store refuses frames and nodes."""
    array, store = zarr_array(sample((4,))), sk.ReadOnlyStore(sk.MemoryStore())
    for path in ("x.b2nd", "x"):
        with pytest.raises(ReadOnlyError):
            copy(array, store, target_path=path)


@pytest.mark.parametrize("target", ["x.b2nd", "x.zarr"])
def test_a_copy_that_fails_does_not_appear(tmp_path: Path, target: str) -> None:
    """Requests that fail in the midst leave no node, and the next attempt succeeds."""
    array = zarr_array(sample((100, 20)), chunks=(5, 20), codecs="zstd")
    faulty = sk.FaultyStore(array.store, [sk.Fault("get", "a/c/7/*")])
    broken = sk.ZarrArray(faulty, "a")
    with pytest.raises(StoreError):
        copy(broken, tmp_path / target)
    with pytest.raises((NodeNotFoundError, KeyNotFoundError)):
        sk.open(tmp_path / target)
    if target == "x.b2nd":
        assert [*tmp_path.iterdir()] == []
    same(copy(array, tmp_path / target, overwrite=True), sample((100, 20)))


@pytest.mark.parametrize("target", ["x.b2nd", "x.zarr"])
def test_damage_is_not_copied(tmp_path: Path, target: str) -> None:
    """A chunk that does not match its checksum is an error with its key, though never decoded."""
    array = zarr_array(sample((20, 20)), chunks=(10, 20))
    key = "a/c/1/0"
    if target == "x.zarr":
        array = copy(array, tmp_path / "s.b2nd")
        path = tmp_path / "s.b2nd"
        broken = bytearray(path.read_bytes())
        broken[array._frame.header.header_len + array._frame.header.cbytes - 9] ^= 1
        path.write_bytes(broken)
        array, key = sk.open(path), f"'{array._frame.offsets.argmax()}'"
    else:
        value = bytearray(array.store.get(key))
        value[-130] ^= 1
        array.store.set(key, value)
    with pytest.raises(CodecError) as caught:
        copy(array, tmp_path / target)
    assert isinstance(caught.value, ChecksumError)
    assert key in str(caught.value)
    assert not (tmp_path / target / "zarr.json").exists()
    assert not (tmp_path / "x.b2nd").exists()


# --- memory ---------------------------------------------------------------------------------------


def test_few_large_chunks_are_on_their_way_at_once() -> None:
    """Of chunks of a gigabyte no more than four are held, however many requests would help."""
    store = sk.SlowStore(sk.MemoryStore(), link=sk.profiles.LTE, clock=sk.VirtualClock())
    lock, active, most = threading.Lock(), 0, 0

    def work(items: Iterable[int]) -> None:
        nonlocal active, most
        for _ in items:
            with lock:
                active += 1
                most = max(most, active)
            store.clock.sleep(1)
            with lock:
                active -= 1

    in_flight(range(40), work, store, store, 1 << 30)
    assert most == 4
