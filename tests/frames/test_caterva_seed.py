"""
The tutorial of python-caterva, step by step, with the results that it shows.

Compression ratios are bounds: those of the tutorial, less what checksums take. Where blosc2 itself
compresses otherwise today, the bound is what it makes of the same elements in the same run.
"""

from __future__ import annotations

import os
from pathlib import Path

import blosc2
import numpy as np
import pytest
from caterva_samples import ARRAY, CONTIGUOUS
from msgpack import packb, unpackb

import storekit
import storekit.frames as cat
from storekit.errors import MetadataError
from storekit.frames import SplitMode

LEAST = 0.98
"""Checksums take two percent of small chunks at most."""


def test_the_version() -> None:
    """The module has a version, which is that of storekit."""
    assert cat.__version__ == storekit.__version__
    assert "__version__" in dir(cat)


def test_creating_an_array() -> None:
    """An array of a hundred million zeros is made at once."""
    c = cat.zeros((10000, 10000), itemsize=4, chunks=(1000, 1000), blocks=(100, 100))
    assert repr(c) == "<FrameArray '' (10000, 10000) |V4>"
    assert c.cbytes == 0


def test_reading_and_writing() -> None:
    """Rows and columns are written, and come back as bytes that numpy is told the type of."""
    c = cat.zeros((10000, 10000), itemsize=4, chunks=(1000, 1000), blocks=(100, 100))
    dtype = np.int32
    c[0, :] = np.arange(10000, dtype=dtype)
    c[:, 0] = np.arange(10000, dtype=dtype)
    assert np.array(c[0, 0]).view(dtype) == 0
    assert np.array(c[0, -1]).view(dtype) == 9999
    assert np.array_equal(np.array(c[0, :]).view(dtype), np.arange(10000))
    assert np.array_equal(np.array(c[:, 0]).view(dtype), np.arange(10000))
    whole = np.array(c[:]).view(dtype)
    assert whole.shape == (10000, 10000)
    assert whole.sum(dtype="i8") == 2 * np.arange(10000).sum()
    assert np.array_equal(whole[-1, :3], [9999, 0, 0])


def test_persistent_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array is made in a file, opened, shown and removed."""
    monkeypatch.chdir(tmp_path)
    cat.full(
        (1000, 1000),
        fill_value=b"pepe",
        chunks=(100, 100),
        blocks=(50, 50),
        urlpath="cat_tutorial.caterva",
    )
    c2 = cat.open("cat_tutorial.caterva")
    shown = [line.split(" : ") for line in repr(c2.info).splitlines()]
    assert [(label.strip(), value) for label, value in shown[:-1]] == [
        ("Type", "NDArray (Blosc)"),
        ("Itemsize", "4"),
        ("Shape", "(1000, 1000)"),
        ("Chunks", "(100, 100)"),
        ("Blocks", "(50, 50)"),
        ("Comp. codec", "LZ4"),
        ("Comp. level", "5"),
        ("Comp. filters", "[SHUFFLE]"),
    ]
    assert shown[-1][0].strip() == "Comp. ratio"
    assert float(shown[-1][1]) >= 588.24
    assert np.array(c2[0, 20:30]).view("S4").tolist() == [b"pepe"] * 10
    if os.path.exists("cat_tutorial.caterva"):
        cat.remove("cat_tutorial.caterva")
    assert not os.listdir()


def test_compression_params() -> None:
    """An array is made from a buffer, and copied with another compressor and another filter."""
    b = np.arange(1000000).tobytes()
    c1 = cat.from_buffer(b, shape=(1000, 1000), itemsize=8, chunks=(500, 10), blocks=(50, 10))
    params = {"codec": blosc2.Codec.LZ4, "clevel": 5, "nthreads": 1}
    params |= {"filters": [blosc2.Filter.SHUFFLE], "filters_meta": [0]}
    peer = blosc2.asarray(
        np.frombuffer(b, "V8").reshape(1000, 1000),
        chunks=(500, 10),
        blocks=(50, 10),
        cparams=params,
    )
    assert c1.cratio >= LEAST * peer.schunk.cratio  # 5.46; it was 6.64 for the tutorial
    c2 = c1.copy(
        chunks=(500, 10),
        blocks=(50, 10),
        codec=cat.Codec.ZSTD,
        clevel=9,
        filters=[cat.Filter.BITSHUFFLE],
    )
    found = dict(c2.info)
    assert found.pop("Comp. ratio") >= LEAST * 20.83
    assert found == {
        "Type": "NDArray (Blosc)",
        "Itemsize": 8,
        "Shape": (1000, 1000),
        "Chunks": (500, 10),
        "Blocks": (50, 10),
        "Comp. codec": "ZSTD",
        "Comp. level": 9,
        "Comp. filters": ["BITSHUFFLE"],
    }
    assert c2.to_buffer() == b


def test_metalayers() -> None:
    """Metalayers are made with the array, listed, and written over."""
    meta = {"dtype": packb("i8"), "coords": packb([5.14, 23.0])}
    c = cat.zeros((1000, 1000), 5, chunks=(100, 100), blocks=(50, 50), meta=meta)
    assert len(c.meta) == 3
    assert c.meta.keys() == ["caterva", "dtype", "coords"]
    shapes = [0, 2, [1000, 1000], [100, 100], [50, 50]]
    expected = {"caterva": shapes, "dtype": "i8", "coords": [5.14, 23.0]}
    assert {key: unpackb(c.meta[key]) for key in c.meta} == expected
    c.meta["coords"] = packb([0.0, 23.0])
    expected["coords"] = [0.0, 23.0]
    assert {key: unpackb(c.meta[key]) for key in c.meta} == expected


def test_example_of_use() -> None:
    """A picture is saved with its type in a metalayer; a part of it is a picture again."""
    y, x, _ = np.ogrid[:70, :128, :4]
    image = np.where((y - 35) ** 2 + (x - 64) ** 2 < 900, 255, 0) + np.zeros((1, 1, 4))
    im = image.astype("u1")
    meta = {"dtype": b"|u1"}
    c = cat.asarray(np.array(im), chunks=(50, 50, 4), blocks=(10, 10, 4), meta=meta)
    assert {**c.info, "Comp. ratio": c.cratio > 2.68} == {
        "Type": "NDArray (Blosc)",
        "Itemsize": 1,
        "Data type": "uint8",
        "Shape": (70, 128, 4),
        "Chunks": (50, 50, 4),
        "Blocks": (10, 10, 4),
        "Comp. codec": "ZSTD",
        "Comp. level": 1,
        "Comp. filters": ["SHUFFLE"],
        "Comp. ratio": True,
        "Meta": ["dtype"],
    }
    im2 = c[15:55, 10:35]
    assert np.array_equal(np.array(im2).view(c.meta["dtype"]), im[15:55, 10:35])


# --- the reference --------------------------------------------------------------------------------


def test_codecs_and_filters_have_their_numbers() -> None:
    """Codecs and filters are numbered as the reference says."""
    codecs = {"BLOSCLZ": 0, "LZ4": 1, "LZ4HC": 2, "ZLIB": 4, "ZSTD": 5}
    filters = {"NOFILTER": 0, "SHUFFLE": 1, "BITSHUFFLE": 2, "DELTA": 3, "TRUNC_PREC": 4}
    assert {member.name: member.value for member in cat.Codec} == codecs
    assert {name: cat.Filter[name].value for name in filters} == filters


@pytest.mark.parametrize("name", ["urlpath", "filename"])
def test_every_keyword(tmp_path: Path, name: str) -> None:
    """Every keyword of the constructors is taken, and does what it says."""
    c = cat.empty(
        (20, 30),
        4,
        chunks=[10, 10],
        blocks=(5, 5),
        memframe=True,
        meta={"x": packb(1)},
        codec=cat.Codec.LZ4HC,
        clevel=9,
        filters=[cat.Filter.DELTA, cat.Filter.BITSHUFFLE],
        filtersmeta=[0, 0],
        nthreads=2,
        usedict=False,
        **{name: str(tmp_path / "c.caterva")},
    )
    c[...] = np.arange(600, dtype="f4").reshape(20, 30)
    again = cat.open(tmp_path / "c.caterva")
    assert (again.itemsize, again.ndim, again.shape) == (4, 2, (20, 30))
    assert (again.chunks, again.blocks) == ((10, 10), (5, 5))
    assert (again.codec, again.clevel) == (cat.Codec.LZ4HC, 9)
    assert again.filters == (cat.Filter.DELTA, cat.Filter.BITSHUFFLE)
    assert unpackb(again.meta["x"]) == 1
    assert c.cparams.nthreads == 2
    assert np.array_equal(again[:].view("f4").ravel(), np.arange(600))


def test_slices_are_arrays() -> None:
    """`slice` makes a new frame of a part, compressed as one likes."""
    c = cat.from_buffer(bytes(range(200)) * 2, (20, 10), 2, chunks=(5, 5), blocks=(5, 5))
    part = c.slice((slice(3, 9), 2), chunks=3, blocks=2, codec="zlib")
    assert isinstance(part, cat.FrameArray)
    assert (part.shape, part.chunks, part.blocks) == ((6,), (3,), (2,))
    assert part.codec == cat.Codec.ZLIB
    assert part.tobytes() == c[3:9, 2].tobytes()
    assert part.meta.keys() == ["caterva"]


def test_the_length_of_a_metalayer_cannot_change() -> None:
    """Content of another length is refused, and so is a metalayer that is not there."""
    c = cat.zeros(9, 1, meta={"a": b"12"})
    with pytest.raises(ValueError, match="2 bytes, as many as it has, found 3"):
        c.meta["a"] = b"123"
    with pytest.raises(MetadataError, match=r"expected one of .*caterva, a.*, found 'b'"):
        c.meta["b"] = b"12"
    assert "a" in c.meta
    assert "b" not in c.meta
    assert c.meta.get("b") is None
    assert c.meta.get("b", 5) == 5


def test_files_of_caterva_are_changed_and_stay_what_they_are(tmp_path: Path) -> None:
    """A file that caterva made is opened with its shape, written to and resized."""
    path = tmp_path / "c.caterva"
    path.write_bytes(CONTIGUOUS)
    c = cat.open(path, mode="a")
    assert np.array_equal(c[:].view("<i4"), ARRAY)
    c[3] = np.arange(10, dtype="<i4")
    c.append(np.ones((2, 10), "<i4"))
    expected = np.concatenate([ARRAY, np.ones((2, 10), "<i4")])
    expected[3] = np.arange(10)
    again = cat.open(path)
    assert np.array_equal(again[:].view("<i4"), expected)
    assert again.meta.keys() == ["caterva", "dtype"]
    assert unpackb(again.meta["caterva"]) == [0, 2, [15, 10], [5, 10], [2, 5]]
    copied = again.copy()
    assert copied.meta == again.meta
    assert copied.cparams == again.cparams
    assert again.cparams.splitmode == SplitMode.ALWAYS_SPLIT
    # What is good for LZ4 costs Zstandard a third of its ratio.
    assert again.copy(codec="zstd").cparams.splitmode == SplitMode.AUTO_SPLIT
