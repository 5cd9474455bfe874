"""The documents of storekit, zarr-python and tensorstore mean the same to each of them."""

import json

import numpy as np
import pytest
from node_samples import CORE, LITTLE, ZSTD, array_document, config
from test_metadata import ACCEPTED, REJECTED, regular

from storekit.errors import MetadataError
from storekit.nodes.metadata import parse_node

KEY = "zarr.json"

SHARDS = config(
    "sharding_indexed",
    chunk_shape=[2, 5],
    codecs=[LITTLE, ZSTD],
    index_codecs=[LITTLE, {"name": "crc32c"}],
    index_location="end",
)
GZIP = config("gzip", level=5)
TRANSPOSE = config("transpose", order=[1, 0])
BLOSC = config("blosc", cname="lz4", clevel=5, shuffle="shuffle", typesize=4, blocksize=0)
WRITTEN = [
    *[
        {"data_type": name, "fill_value": 0}
        for name in CORE
        if name.endswith(("t16", "t32", "t64"))
    ],
    *[{"data_type": name, "codecs": [{"name": "bytes"}]} for name in ("int8", "uint8")],
    {"data_type": "bool", "fill_value": True, "codecs": [{"name": "bytes"}]},
    {"data_type": "float32", "fill_value": "NaN"},
    {"data_type": "float64", "fill_value": "-Infinity"},
    {"data_type": "complex128", "fill_value": [0.5, "NaN"]},
    *[{"codecs": codecs} for codecs in ([LITTLE, ZSTD], [TRANSPOSE, LITTLE, GZIP], [SHARDS])],
    {"codecs": [config("bytes", endian="big"), {"name": "crc32c"}]},
    {"codecs": [LITTLE, BLOSC]},
    {"chunk_key_encoding": config("v2", separator=".")},
    {"chunk_key_encoding": config("default", separator=".")},
    {"shape": [], "chunk_grid": regular(), "dimension_names": ...},
    {"shape": [0, 30], "attributes": {"é": [1, {"a": None}], "b": 1.5}},
    {"dimension_names": ..., "attributes": {}},
]


def tensorstore(path, **open_or_create):
    """The array at a path as tensorstore sees it."""
    ts = pytest.importorskip("tensorstore")
    place = {"driver": "file", "path": str(path)}
    metadata = open_or_create.pop("metadata", {})
    return ts.open({"driver": "zarr3", "kvstore": place, **metadata}, **open_or_create).result()


@pytest.mark.parametrize("changes", WRITTEN, ids=str)
def test_tensorstore_writes_what_we_would(changes, tmp_path):
    """tensorstore writes from our document one that is equal to it."""
    ours = parse_node(array_document(**changes), KEY)
    document = ours.to_json()
    tensorstore(tmp_path, metadata={"metadata": document}, create=True)
    assert parse_node((tmp_path / KEY).read_bytes(), KEY) == ours


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("changes", WRITTEN, ids=str)
def test_zarr_python_writes_what_we_would(changes, tmp_path):
    """zarr-python reads our document, and what it writes in its place is equal."""
    zarr = pytest.importorskip("zarr")
    ours = parse_node(array_document(**changes), KEY)
    (tmp_path / KEY).write_bytes(ours.to_bytes())
    array = zarr.open_array(tmp_path, mode="r+")
    assert (array.shape, array.dtype) == (ours.shape, ours.data_type.numpy)
    assert array.metadata.chunk_grid.chunk_shape == ours.chunk_shape
    np.testing.assert_equal(array.fill_value, ours.fill_value)
    array.attrs["new"] = 1
    theirs = parse_node((tmp_path / KEY).read_bytes(), KEY)
    array.attrs.clear()
    assert theirs.attributes == {**ours.attributes, "new": 1}
    assert {**theirs.to_json(), "attributes": 0} == {**ours.to_json(), "attributes": 0}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "options",
    [
        *[{"dtype": name} for name in CORE],
        *[{"dtype": name} for name in ("M8[ns]", "m8[10s]", "U3", "S3", "V3", "string")],
        {"dtype": "variable_length_bytes", "fill_value": b"xy"},
        {"dtype": np.dtype([("a", "i4"), ("b", "f8"), ("c", [("d", "M8[s]"), ("e", "U2")])])},
        {"dtype": "f4", "fill_value": float("nan"), "attributes": {"x": float("nan")}},
        {"dtype": "f4", "shards": (4, 6), "chunks": (2, 2)},
        {"dtype": "f4", "compressors": None},
        {"dtype": "f4", "chunk_key_encoding": {"name": "v2", "separator": "/"}},
        {"dtype": "f4", "dimension_names": ("x", None)},
        {"dtype": "f4", "shape": (), "chunks": ()},
    ],
    ids=str,
)
def test_what_zarr_python_makes_is_read(options, tmp_path):
    """Every kind of array that zarr-python makes is read as what it is."""
    zarr = pytest.importorskip("zarr")
    options = {"shape": (5, 7), "chunks": (2, 3), "config": {"write_empty_chunks": True}, **options}
    theirs = zarr.create_array(tmp_path, **options)
    ours = parse_node((tmp_path / KEY).read_bytes(), KEY)
    assert ours.shape == theirs.shape
    assert ours.chunk_shape == (theirs.shards or theirs.chunks)
    assert ours.data_type.numpy == theirs.dtype
    np.testing.assert_array_equal(
        np.asarray(ours.fill_value, theirs.dtype), np.asarray(theirs.fill_value, theirs.dtype)
    )
    if options["shape"]:
        theirs[...] = theirs.fill_value
        place = ours.key_encoding.name((0,) * len(ours.shape))
        chunk = ours.coder.decode((tmp_path / place).read_bytes())
        np.testing.assert_array_equal(chunk[:2, :3], theirs[:2, :3])


# Where tensorstore is stricter than the specification.
_STRICTER = (
    "default by name",
    "v2 by name",
    "codec by name",
    "data type as an object",
    "grid that must be understood",
    "ignorable codec",
    "one name twice",
    "huge",
    "v2 without configuration",
)
# Where it is more lenient: numbers with a fraction of zero, and names that it does not look at.
_LENIENT = ("3.0", "2.0", "5.0")


@pytest.mark.parametrize("name", [name for name in ACCEPTED if name not in _STRICTER])
def test_tensorstore_accepts_what_we_accept(name, tmp_path):
    """What the specification allows is read by tensorstore, too."""
    (tmp_path / KEY).write_text(json.dumps(array_document(**ACCEPTED[name])))
    ours = parse_node((tmp_path / KEY).read_bytes(), KEY)
    theirs = tensorstore(tmp_path, open=True)
    assert theirs.shape == ours.shape
    assert theirs.dtype.numpy_dtype == ours.data_type.numpy


@pytest.mark.parametrize(
    "changes",
    [changes for changes, _ in REJECTED if not any(x in str(changes) for x in _LENIENT)],
    ids=str,
)
def test_tensorstore_refuses_what_we_refuse(changes, tmp_path):
    """No document is refused that tensorstore finds good."""
    pytest.importorskip("tensorstore")
    document = array_document(**changes)
    (tmp_path / KEY).write_text(json.dumps(document))
    with pytest.raises(ValueError, match="zarr"):
        tensorstore(tmp_path, open=True)
    with pytest.raises(MetadataError):
        parse_node(document, KEY)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("changes", WRITTEN, ids=str)
def test_zarrs_takes_our_codecs(changes, tmp_path):
    """zarrs, the strictest reader of codecs, builds its pipeline from our document."""
    zarr = pytest.importorskip("zarr")
    zarrs = pytest.importorskip("zarrs")
    ours = parse_node(array_document(**changes), KEY)
    (tmp_path / KEY).write_bytes(ours.to_bytes())
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        array = zarr.open_array(tmp_path, mode="r")
        pipeline = array._async_array.codec_pipeline
        assert isinstance(pipeline, zarrs.ZarrsCodecPipeline)
        assert pipeline.impl is not None
        np.testing.assert_equal(
            np.asarray(array[...]), np.full(ours.shape, ours.fill_value, ours.data_type.numpy)
        )
