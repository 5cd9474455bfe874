"""Hierarchies, attributes and consolidated metadata pass between storekit and zarr-python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interop_table import ATTRIBUTES

from storekit import LocalStore, ZarrArray, ZarrGroup, open_zarr

zarr = pytest.importorskip("zarr")

DATA = np.arange(42, dtype="i4").reshape(6, 7)
PATHS = ["a", "empty", "sub", "sub/deep", "sub/deep/b", "sub/ü ñ"]


def by_storekit(folder: Path) -> None:
    """A hierarchy of groups and arrays."""
    root = ZarrGroup.create(LocalStore(folder), attributes=ATTRIBUTES)
    options: dict[str, Any] = {"data": DATA, "chunks": (4, 3), "codecs": "zstd"}
    root.create_array("a", attributes={"unit": "m"}, dimension_names=("y", None), **options)
    root.create_group("empty")
    root.create_array("sub/deep/b", shards=(8, 6), **options)
    root.create_array("sub/ü ñ", **options)
    root["sub/deep"].attributes = {"deep": True}


def by_zarr_python(folder: Path) -> None:
    """The same."""
    root = zarr.create_group(folder, attributes=ATTRIBUTES)
    options: dict[str, Any] = {"chunks": (4, 3), "shape": DATA.shape, "dtype": DATA.dtype}
    names = {"attributes": {"unit": "m"}, "dimension_names": ("y", None)}
    root.create_array("a", **names, **options)[...] = DATA
    root.create_group("empty")
    root.create_array("sub/deep/b", shards=(8, 6), **options)[...] = DATA
    root.create_array("sub/ü ñ", **options)[...] = DATA
    root["sub/deep"].attrs["deep"] = True


def check_storekit(root: ZarrGroup) -> None:
    """The hierarchy is there for storekit."""
    found = {}

    def walk(group: ZarrGroup, prefix: str) -> None:
        for name, node in group.children.items():
            found[prefix + name] = node
            if isinstance(node, ZarrGroup):
                walk(node, f"{prefix}{name}/")

    walk(root, "")
    assert sorted(found) == sorted(PATHS)
    assert dict(root.attributes) == ATTRIBUTES
    assert dict(found["a"].attributes) == {"unit": "m"}
    assert dict(found["sub/deep"].attributes) == {"deep": True}
    assert found["a"].dimension_names == ("y", None)
    assert found["sub/deep/b"].shards == (8, 6)
    for path in ("a", "sub/deep/b", "sub/ü ñ"):
        np.testing.assert_array_equal(found[path][...], DATA)


def check_zarr_python(root: Any) -> None:
    """The hierarchy is there for zarr-python."""
    found = dict(root.members(max_depth=None))
    assert sorted(found) == sorted(PATHS)
    assert root.attrs.asdict() == ATTRIBUTES
    assert found["a"].attrs.asdict() == {"unit": "m"}
    assert found["sub/deep"].attrs.asdict() == {"deep": True}
    assert tuple(found["a"].metadata.dimension_names) == ("y", None)
    assert found["sub/deep/b"].shards == (8, 6)
    for path in ("a", "sub/deep/b", "sub/ü ñ"):
        np.testing.assert_array_equal(found[path][...], DATA)


def below(folder: Path) -> list[Path]:
    """The documents of all nodes below the root."""
    return [path for path in folder.rglob("zarr.json") if path.parent != folder]


def test_zarr_python_reads_hierarchies(tmp_path: Path) -> None:
    """zarr-python finds every group, array and attribute that storekit has written."""
    by_storekit(tmp_path)
    check_zarr_python(zarr.open_group(tmp_path, mode="r"))


def test_storekit_reads_hierarchies(tmp_path: Path) -> None:
    """storekit finds every group, array and attribute that zarr-python has written."""
    by_zarr_python(tmp_path)
    check_storekit(open_zarr(LocalStore(tmp_path)))


def test_zarr_python_trusts_our_consolidated_metadata(tmp_path: Path) -> None:
    """From metadata that storekit has consolidated, zarr-python needs no other document."""
    by_storekit(tmp_path)
    open_zarr(LocalStore(tmp_path)).consolidate()
    for path in below(tmp_path):
        path.unlink()
    root = zarr.open_consolidated(tmp_path, mode="r")
    check_zarr_python(root)
    check_storekit(open_zarr(LocalStore(tmp_path)))


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
def test_storekit_trusts_their_consolidated_metadata(tmp_path: Path) -> None:
    """From metadata that zarr-python has consolidated, storekit needs no other document."""
    by_zarr_python(tmp_path)
    zarr.consolidate_metadata(tmp_path)
    for path in below(tmp_path):
        path.unlink()
    check_storekit(open_zarr(LocalStore(tmp_path)))


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
def test_consolidated_metadata_is_the_same(tmp_path: Path) -> None:
    """What storekit consolidates says what zarr-python says when it consolidates the same nodes."""
    by_storekit(tmp_path)
    open_zarr(LocalStore(tmp_path)).consolidate()
    ours = json.loads((tmp_path / "zarr.json").read_text())["consolidated_metadata"]
    zarr.consolidate_metadata(tmp_path)
    theirs = json.loads((tmp_path / "zarr.json").read_text())["consolidated_metadata"]
    assert {**ours, "metadata": 0} == {**theirs, "metadata": 0}
    assert sorted(ours["metadata"]) == sorted(theirs["metadata"])
    for path, node in theirs["metadata"].items():
        node.pop("consolidated_metadata", None)
        assert node.pop("storage_transformers", []) == []
        ours["metadata"][path].pop("consolidated_metadata", None)
        assert ours["metadata"][path] == node


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
def test_a_change_is_seen_by_those_who_trust_the_root(tmp_path: Path) -> None:
    """After a change below it, zarr-python does not read the old state from the root."""
    by_zarr_python(tmp_path)
    zarr.consolidate_metadata(tmp_path)
    root = open_zarr(LocalStore(tmp_path))
    root["a"].append(DATA)
    root["sub/deep"].attributes["more"] = [1]
    root.create_array("new", data=DATA, codecs="none")
    del root["empty"]
    seen = zarr.open_group(tmp_path, mode="r")
    np.testing.assert_array_equal(seen["a"][...], np.concatenate([DATA, DATA]))
    assert seen["sub/deep"].attrs.asdict() == {"deep": True, "more": [1]}
    np.testing.assert_array_equal(seen["new"][...], DATA)
    assert "empty" not in seen


def test_attributes_change_on_either_side(tmp_path: Path) -> None:
    """Attributes that one side changes or removes are so for the other, on arrays and groups."""
    by_storekit(tmp_path)
    for path in ("", "a", "sub"):
        ours = open_zarr(LocalStore(tmp_path), path)
        theirs = zarr.open(tmp_path, path=path, mode="r+")
        before = dict(ours.attributes)
        theirs.attrs["new"] = {"list": [1, None, "ü"]}
        ours.refresh()
        assert dict(ours.attributes) == {**before, "new": {"list": [1, None, "ü"]}}
        del ours.attributes["new"]
        ours.attributes["number"] = 2.5
        theirs = zarr.open(tmp_path, path=path, mode="r")
        assert theirs.attrs.asdict() == {**before, "number": 2.5}


def test_odd_floats_in_attributes_are_kept(tmp_path: Path) -> None:
    """NaN and Infinity in attributes of zarr-python are still there after a change by storekit."""
    root = zarr.create_group(tmp_path, attributes={"x": [float("nan"), float("-inf")], "y": 1})
    root.create_array("a", data=DATA, attributes={"_FillValue": float("nan")})
    ours = open_zarr(LocalStore(tmp_path))
    ours.attributes["y"] = 2
    ours["a"].append(DATA)
    ours.consolidate()
    for found in (open_zarr(LocalStore(tmp_path)), zarr.open_group(tmp_path, mode="r")):
        assert np.isnan(found.attrs["x"][0])
        assert (found.attrs["x"][1], found.attrs["y"]) == (float("-inf"), 2)
        assert np.isnan(found["a"].attrs["_FillValue"])
        assert found["a"].shape[0] == 2 * len(DATA)


def test_consolidated_metadata_of_zarr_python_3_0(tmp_path: Path) -> None:
    """A group that says `"consolidated_metadata": null` has none, on either side."""
    by_storekit(tmp_path)
    document = json.loads((tmp_path / "zarr.json").read_text())
    (tmp_path / "zarr.json").write_text(json.dumps({**document, "consolidated_metadata": None}))
    check_storekit(open_zarr(LocalStore(tmp_path)))
    check_zarr_python(zarr.open_group(tmp_path, mode="r"))
    open_zarr(LocalStore(tmp_path)).attributes["new"] = 1
    assert zarr.open_group(tmp_path, mode="r").attrs["new"] == 1


def test_nodes_are_deleted_on_either_side(tmp_path: Path) -> None:
    """What one side deletes is gone for the other."""
    by_zarr_python(tmp_path)
    root = open_zarr(LocalStore(tmp_path))
    del root["sub/deep"]
    theirs = zarr.open_group(tmp_path, mode="r+")
    assert sorted(dict(theirs.members(max_depth=None))) == ["a", "empty", "sub", "sub/ü ñ"]
    del theirs["a"]
    assert sorted(root.children) == ["empty", "sub"]


PRESETS = ("zstd", "blosc", "gzip", "none")
SAMPLES = {
    "bool": DATA % 3 == 0,
    "int": DATA.astype("i8") - 20,
    "float": np.where(DATA % 5, DATA / 7, np.nan),
    "complex": DATA * (1 - 2j),
    "dates": DATA.astype("M8[D]"),
    "fixed text": DATA.astype("U3"),
    "text": DATA.astype("U").astype(np.dtypes.StringDType()),
}


@pytest.mark.filterwarnings("ignore:The data type .* does not have a Zarr V3 spec")
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_presets(sample: str, preset: str, tmp_path: Path) -> None:
    """Arrays made from nothing but data and the name of a preset are read by zarr-python."""
    data = SAMPLES[sample]
    store = LocalStore(tmp_path)
    ZarrArray.create(store, "plain", data=data, codecs=preset)
    ZarrArray.create(store, "chunked", data=data, codecs=preset, chunks=(2, 3), shards=(4, 9))
    for path in ("plain", "chunked"):
        found = zarr.open_array(tmp_path, path=path, mode="r")
        np.testing.assert_array_equal(found[...], data)


@pytest.mark.filterwarnings("ignore:The data type .* does not have a Zarr V3 spec")
@pytest.mark.parametrize("sample", SAMPLES)
def test_defaults_of_zarr_python(sample: str, tmp_path: Path) -> None:
    """Arrays that zarr-python makes from nothing but data are read by storekit."""
    data = SAMPLES[sample]
    zarr.create_array(tmp_path / "plain", data=data)
    zarr.create_array(tmp_path / "shards", data=data, chunks=(2, 3), shards=(4, 9))
    zarr.save_array(tmp_path / "saved", data, zarr_format=3)
    for name in ("plain", "shards", "saved"):
        np.testing.assert_array_equal(open_zarr(LocalStore(tmp_path / name))[...], data)


def test_tensorstore_in_our_hierarchy(tmp_path: Path) -> None:
    """tensorstore reads, extends and labels arrays in our groups, and keeps their attributes."""
    tensorstore = pytest.importorskip("tensorstore")
    by_storekit(tmp_path)
    place = {"driver": "file", "path": f"{tmp_path}/a/"}
    array = tensorstore.open({"driver": "zarr3", "kvstore": place}).result()
    assert array.domain.labels == ("y", "")
    np.testing.assert_array_equal(array.read().result(), DATA)
    array = array.resize(exclusive_max=[8, 7]).result()
    array[6:].write(DATA[:2]).result()
    ours = open_zarr(LocalStore(tmp_path))["a"]
    np.testing.assert_array_equal(ours[...], np.concatenate([DATA, DATA[:2]]))
    assert dict(ours.attributes) == {"unit": "m"}
    assert ours.dimension_names == ("y", None)


def test_zarr_python_resizes_what_storekit_writes(tmp_path: Path) -> None:
    """storekit sees the shape and the content after zarr-python has resized and appended."""
    by_storekit(tmp_path)
    array = zarr.open_array(tmp_path, path="sub/deep/b", mode="r+")
    array.append(DATA)
    array.resize((12, 5))
    ours = open_zarr(LocalStore(tmp_path), "sub/deep/b")
    np.testing.assert_array_equal(ours[...], np.concatenate([DATA, DATA])[:, :5])
