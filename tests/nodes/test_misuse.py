"""What users get wrong is refused with a message that says what would be right."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

import storekit as sk
from storekit.errors import MetadataError, ShapeError


@pytest.mark.parametrize("thing", ["/tmp/x", {}, None, 5])
def test_what_is_no_store_is_named(thing: Any) -> None:
    """Opening and creating say what they were given instead of a store."""
    for use in (
        sk.open_zarr,
        sk.ZarrArray,
        sk.ZarrGroup.create,
        lambda store: sk.ZarrArray.create(store, shape=1, dtype="i1"),
    ):
        with pytest.raises(TypeError, match=f"expected a store.*found {type(thing).__name__}"):
            use(thing)


def test_a_mapping_is_no_data() -> None:
    """A group or a dict is not taken for the list of its names."""
    group = sk.ZarrGroup.create(sk.MemoryStore())
    group.create_array("b/c", data=[1])
    for data in (group["b"], {"a": 1}):
        with pytest.raises(ShapeError, match="array or in lists"):
            group["q"] = data
        with pytest.raises(ShapeError, match="array or in lists"):
            group["b/c"][...] = data
    assert list(group) == ["b"]


@pytest.mark.parametrize("argument", ["shape", "chunks", "shards"])
@pytest.mark.parametrize("value", [True, (True,), np.True_])
def test_a_boolean_is_no_length(argument: str, value: Any) -> None:
    """True does not mean 1; what means "choose for me" is "auto"."""
    options = {"shape": 8, "dtype": "i1", argument: value}
    with pytest.raises(MetadataError) as caught:
        sk.ZarrArray.create(sk.MemoryStore(), **options)
    assert caught.value.field == argument


def test_one_length_is_for_all_dimensions() -> None:
    """A lone int for chunks or shards stands for every dimension, as in zarr-python."""
    array = sk.ZarrArray.create(sk.MemoryStore(), shape=(9, 8), dtype="i1", chunks=2, shards=4)
    assert (array.chunks, array.shards) == ((2, 2), (4, 4))


@pytest.mark.parametrize(
    ("dtype", "scalar"),
    [
        ("i2", np.int64(70000)),
        ("i2", np.float64(1e9)),
        ("i4", np.float64("nan")),
        ("i4", np.float64(1e20)),
        ("i8", np.uint64(2**64 - 1)),
        ("i2", np.datetime64("2020")),
        ("u1", np.int64(-1)),
        ("f4", np.int64(3)),
        ("U3", np.str_("ab")),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_scalar_is_assigned_as_numpy_does(dtype: str, scalar: np.generic) -> None:
    """What numpy refuses of a scalar is refused; what it takes has the same value."""
    array = sk.ZarrArray.create(sk.MemoryStore(), shape=3, dtype=dtype)
    expected = np.zeros(3, dtype)
    try:
        expected[...] = scalar
    except (OverflowError, TypeError, ValueError) as error:
        with pytest.raises(type(error)):
            array[...] = scalar
    else:
        array[...] = scalar
        assert np.array_equal(array[...], expected)


def test_indexers_pickle() -> None:
    """Every way of indexing goes to another process, as the array does."""
    array = sk.ZarrArray.create(sk.MemoryStore(), data=np.arange(6), chunks=2)
    for indexer in (array.oindex, array.vindex, array.blocks):
        assert np.array_equal(pickle.loads(pickle.dumps(indexer))[1:2], indexer[1:2])


def test_index_codecs_are_completed() -> None:
    """The codecs of a shard's index may be given by name, as all others."""
    codecs = [
        {
            "name": "sharding_indexed",
            "configuration": {
                "chunk_shape": [5],
                "codecs": ["bytes"],
                "index_codecs": ["bytes", "crc32c"],
            },
        }
    ]
    array = sk.ZarrArray.create(sk.MemoryStore(), data=np.arange(20), chunks=20, codecs=codecs)
    assert np.array_equal(array[...], np.arange(20))


@pytest.mark.parametrize(
    "entry", [300_000_000, 2**63, -1, None, 1.5, "x", [], [None], True], ids=repr
)
def test_consolidated_entries_are_documents(entry: Any) -> None:
    """An entry that is no document is a MetadataError when the group is opened."""
    store = sk.MemoryStore()
    group = sk.ZarrGroup.create(store)
    group.create_array("a", shape=3, dtype="i4")
    group.consolidate()
    document = json.loads(bytes(store.get("zarr.json")))
    document["consolidated_metadata"]["metadata"]["a"] = entry
    store.set("zarr.json", json.dumps(document).encode())
    with pytest.raises(MetadataError) as caught:
        sk.open_zarr(store)
    assert caught.value.field == "consolidated_metadata.metadata.a"


def test_consolidated_metadata_of_another_kind_is_left_alone() -> None:
    """What is not inline, and need not be understood, does not hide the nodes that are there."""
    store = sk.MemoryStore()
    sk.ZarrGroup.create(store).create_array("a", shape=3, dtype="i4")
    document = json.loads(bytes(store.get("zarr.json")))
    document["consolidated_metadata"] = {"a": 1}
    store.set("zarr.json", json.dumps(document).encode())
    assert list(sk.open_zarr(store)) == ["a"]
