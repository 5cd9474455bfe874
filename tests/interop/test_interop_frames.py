"""Chunks of the default codecs are .b2nd files, whoever wrote them and whoever reads them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest
from interop_case import Case
from interop_kinds import FILLS, KINDS, same
from interop_parts import build, codec
from interop_peers import STOREKIT

import storekit
from storekit.typing import AnyArray

imagecodecs = pytest.importorskip("imagecodecs")
NO_B2ND = "imagecodecs has no b2nd before 2026.6, which needs Python 3.12"
ABSENT = pytest.param(None, marks=pytest.mark.skip(NO_B2ND))
HAS_B2ND = hasattr(imagecodecs, "b2nd_decode")

TYPES = [kind for kind in KINDS.values() if not kind.variable and kind.dtype.kind in "biufcMmSUV"]
GEOMETRIES = ("0-d", "1-d", "2-d", "3-d", "4-d", "chunk larger", "single elements")
NAMES = ("storekit.b2nd", "imagecodecs_b2nd")


def house(kind: str | Any, geometry: str = "2-d", name: str = "storekit.b2nd", **more: Any) -> Case:
    """A case whose chunks are frames."""
    kind = KINDS[kind] if isinstance(kind, str) else kind
    settings = " ".join(f"{key}={value}" for key, value in more.items())
    label = " ".join([name, str(kind), geometry, settings]).strip()
    chain = [codec(name, **more.pop("configuration", {}))]
    return build(label, kind, geometry=geometry, chain=chain, **more)


SMALL = [
    *(house(kind) for kind in TYPES),
    *(house("float32", geometry) for geometry in GEOMETRIES),
    *(house(kind, content="holes") for kind in FILLS if kind in TYPES or not kind.variable),
    *(house("int16", "3-d", name) for name in NAMES),
    *(
        house("float64", "3-d", configuration={"cname": cname, "clevel": level, "shuffle": shuffle})
        for cname, level, shuffle in product(
            ("blosclz", "lz4", "lz4hc", "zlib", "zstd"),
            (1, 9),
            ("noshuffle", "shuffle", "bitshuffle"),
        )
    ),
    house("float64", configuration={"clevel": 0}),
    house("uint16", "3-d", configuration={"blocks": [1, 2, 2]}),
]


def whole_cells(case: Case) -> dict[str, AnyArray]:
    """What every chunk of an array holds, by key; the fill value beyond the edge."""
    cells = {}
    grid = tuple(-(-n // c) for n, c in zip(case.shape, case.chunks, strict=True))
    padded = case.kind.full(tuple(g * c for g, c in zip(grid, case.chunks, strict=True)))
    padded[tuple(slice(n) for n in case.shape)] = case.values
    for place in np.ndindex(*grid):
        part = zip(place, case.chunks, strict=True)
        key = "/".join(["c", *map(str, place)])
        cells[key] = padded[tuple(slice(i * c, (i + 1) * c) for i, c in part)]
    return cells


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_blosc2_opens_every_chunk(case: Case, tmp_path: Path) -> None:
    """Every chunk file opens with `blosc2.open`, with the shape, the dtype and the content."""
    STOREKIT.write(tmp_path, case)
    array = STOREKIT.open(tmp_path)
    cells, stored = whole_cells(case), array.stored_keys()
    assert set(stored) <= set(cells)
    for key, cell in cells.items():
        if key in stored:
            opened = blosc2.open(str(tmp_path / key), mode="r")
            assert opened.shape == cell.shape
            assert same(opened[...], cell), key
        else:
            assert same(cell, case.kind.full(cell.shape)), key


@pytest.mark.parametrize("case", SMALL if HAS_B2ND else [ABSENT], ids=str)
def test_imagecodecs_decodes_every_chunk(case: Case, tmp_path: Path) -> None:
    """`imagecodecs.b2nd_decode` makes the content of every chunk file; records it cannot read."""
    STOREKIT.write(tmp_path, case)
    cells = whole_cells(case)
    for key in STOREKIT.open(tmp_path).stored_keys():
        if case.kind.dtype.names:
            with pytest.raises(TypeError, match="not understood"):
                imagecodecs.b2nd_decode((tmp_path / key).read_bytes())
            continue
        assert same(imagecodecs.b2nd_decode((tmp_path / key).read_bytes()), cells[key]), key


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "kind", [*TYPES, *(kind for kind in FILLS if kind.label in ("NaN", "-0.0", "max"))], ids=str
)
def test_chunks_of_nothing_but_fill(kind: Any, name: str, tmp_path: Path) -> None:
    """A chunk of nothing but the fill value, if it is stored at all, opens like any other."""
    case = house(kind, name=name, content="none")
    STOREKIT.create(tmp_path, case)
    array = STOREKIT.open(tmp_path)
    full = case.kind.full(case.chunks)
    array.set_chunk(full, (0, 0), check_empty=False)
    array.set_chunk(full[:2, :1], (2, 2), check_empty=False)
    assert array.stored_keys() == ["c/0/0", "c/2/2"]
    for key in array.stored_keys():
        assert same(blosc2.open(str(tmp_path / key), mode="r")[...], full)
        if HAS_B2ND and not case.kind.dtype.names:
            assert same(imagecodecs.b2nd_decode((tmp_path / key).read_bytes()), full)
    assert same(STOREKIT.read(tmp_path), case.values)


def stock(chunk: AnyArray, **options: Any) -> bytes:
    """The frame that python-blosc2 makes by default, but for the options."""
    settings = {"chunks": chunk.shape, **options}
    frame: bytes = blosc2.asarray(np.ascontiguousarray(chunk), **settings).to_cframe()
    return frame


WRITERS: dict[str, Callable[[AnyArray], bytes]] = {
    "blosc2": stock,
    "blosc2 lz4": lambda a: stock(a, cparams={"codec": blosc2.Codec.LZ4, "clevel": 9}),
    "blosc2 stored": lambda a: stock(a, cparams={"clevel": 0}),
    "blosc2 bitshuffle": lambda a: stock(a, cparams={"filters": [blosc2.Filter.BITSHUFFLE]}),
    "blosc2 delta": lambda a: stock(
        a, cparams={"filters": [blosc2.Filter.DELTA, blosc2.Filter.SHUFFLE]}
    ),
    "blosc2 small blocks": lambda a: stock(a, blocks=(1,) * a.ndim),
    "blosc2 several chunks": lambda a: stock(a, chunks=tuple(-(-n // 2) for n in a.shape)),
}
if HAS_B2ND:
    WRITERS["imagecodecs"] = lambda a: imagecodecs.b2nd_encode(a)
    WRITERS["imagecodecs lz4"] = lambda a: imagecodecs.b2nd_encode(a, compressor="lz4", level=3)
FOREIGN = [
    *(
        house(kind)
        for kind in ("bool", "int8", "uint16", "int64", "float16", "float64", "complex64")
    ),
    *(house("float32", geometry) for geometry in GEOMETRIES if geometry != "0-d"),
    *(house("int32", "3-d", name) for name in NAMES),
]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("case", FOREIGN, ids=str)
def test_frames_of_others_are_read(case: Case, writer: str, tmp_path: Path) -> None:
    """Frames that blosc2 or imagecodecs wrote are chunks, once they lie where chunks lie."""
    STOREKIT.create(tmp_path, case)
    for key, cell in whole_cells(case).items():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(WRITERS[writer](cell))
    assert same(STOREKIT.read(tmp_path), case.values)
    part = tuple(slice(1, None, 2) for _ in case.shape)
    assert same(STOREKIT.read(tmp_path, part), case.values[part])
    array = STOREKIT.open(tmp_path)
    array[part] = case.random(case.values[part].shape, salt=1)
    after = case.values.copy()
    after[part] = case.random(case.values[part].shape, salt=1)
    assert same(STOREKIT.read(tmp_path), after)


# By imagecodecs 2026.10.10: b2nd_encode(a), and with level=3, compressor="lz4", "bitshuffle".
GOLDEN = {
    "zstd": (
        np.arange(12, dtype="f4").reshape(4, 3) / 7,
        """
        nqhiMmZyYW1lANIAAAClzwAAAAAAAAFApBIAFQPTAAAAAAAAADDTAAAAAAAAAFDSAAAABNIAAAAw0gAAADDRAADR
        AAHC2AYAAAAAAAEFAAAAAAAAAAAAk80AEd4AAaRiMm5k0gAAAGvcAAHGAAAANZcAApLTAAAAAAAAAATTAAAAAAAA
        AAOS0gAAAATSAAAAA5LSAAAABNIAAAADANsAAAADPGY0BQGXBDAAAAAwAAAAUAAAAAAAAAAAAQUAAAAAAAAAAAAA
        AAAAJUkSPiVJkj63bds+JUkSP27bNj+3bVs/AACAPyVJkj9JkqQ/btu2P5IkyT8FAQcICAAAAAgAAAAoAAAAAAAA
        AAABAAAAAAAAAAAAAAAAAAAAAAAAlAGTzQAG3gAA3AAAzgAAACPYAAAAAAAAAAAAAAAAAAAAAAA=
        """,
    ),
    "lz4": (
        np.arange(24, dtype="i2").reshape(2, 3, 4),
        """
        nqhiMmZyYW1lANIAAAC4zwAAAAAAAAFMpBIAMQPTAAAAAAAAADDTAAAAAAAAAEnSAAAAAtIAAAAw0gAAADDRAADR
        AAHC2AYAAAAAAAIBAAAAAAAAAAAAk80AEd4AAaRiMm5k0gAAAGvcAAHGAAAASJcAA5PTAAAAAAAAAALTAAAAAAAA
        AAPTAAAAAAAAAAST0gAAAALSAAAAA9IAAAAEk9IAAAAC0gAAAAPSAAAABADbAAAAAzxpMgUBNQIwAAAAMAAAAEkA
        AAAAAAAAAAIBAAAAAAAAAAAAJAAAACEAAAD/B6qqqszMzPDw8AD/AAAA/wAAAAAAAAAHAAJQAAAAAAAFAQcICAAA
        AAgAAAAoAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAlAGTzQAG3gAA3AAAzgAAACPYAAAAAAAAAAAAAAAAAAAA
        AAA=
        """,
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("codec_name", NAMES)
def test_frames_of_imagecodecs_that_are_kept_here(
    name: str, codec_name: str, tmp_path: Path
) -> None:
    """Frames that imagecodecs once wrote are read, also where imagecodecs is not installed."""
    data, text = GOLDEN[name]
    store = storekit.LocalStore(tmp_path)
    options: dict[str, Any] = {"shape": data.shape, "dtype": data.dtype, "chunks": data.shape}
    array = storekit.ZarrArray.create(store, codecs=[codec(codec_name)], **options)
    store.set("/".join("c" + "0" * data.ndim), base64.b64decode(text))
    assert same(array[...], data)
    assert same(array[1:, ::2], data[1:, ::2])


@pytest.mark.parametrize("make", [blosc2.zeros, blosc2.empty, blosc2.full, blosc2.nans])
def test_special_chunks_of_blosc2_are_read(make: Any, tmp_path: Path) -> None:
    """Frames in which blosc2 only notes that all elements are the same are read."""
    case = house("float64", content="none")
    STOREKIT.create(tmp_path, case)
    more = {"fill_value": 2.5} if make is blosc2.full else {}
    if make is blosc2.nans:
        frame = blosc2.full(case.chunks, np.nan, dtype="f8", chunks=case.chunks)
    else:
        frame = make(case.chunks, dtype="f8", chunks=case.chunks, **more)
    path = tmp_path / "c/0/0"
    path.parent.mkdir(parents=True)
    path.write_bytes(frame.to_cframe())
    found = STOREKIT.read(tmp_path)[:4, :3]
    if make is not blosc2.empty:
        expected = {blosc2.zeros: 0.0, blosc2.full: 2.5, blosc2.nans: np.nan}[make]
        assert same(found, np.full(case.chunks, expected))


def test_a_chunk_file_is_an_array_by_itself(tmp_path: Path) -> None:
    """A chunk copied to a file of its own is an array that blosc2 opens, changes and extends."""
    data = np.arange(60.0).reshape(6, 10)
    storekit.ZarrArray.create(storekit.LocalStore(tmp_path / "a"), data=data, chunks=(6, 10))
    copy = tmp_path / "copy.b2nd"
    copy.write_bytes((tmp_path / "a/c/0/0").read_bytes())
    array = blosc2.open(str(copy), mode="a")
    array[0, 0] = -1.0
    array.resize((8, 10))
    array.schunk.vlmeta["note"] = "changed"
    data = np.concatenate([data, np.zeros((2, 10))])
    data[0, 0] = -1.0
    np.testing.assert_array_equal(blosc2.open(str(copy), mode="r")[...], data)


def test_the_default_is_one_frame_a_chunk(tmp_path: Path) -> None:
    """Arrays made with nothing but data have such chunks, and so have the chunks inside shards."""
    data = np.arange(1000, dtype="u2").reshape(20, 50)
    plain = storekit.ZarrArray.create(storekit.LocalStore(tmp_path / "a"), data=data)
    np.testing.assert_array_equal(blosc2.open(str(tmp_path / "a/c/0/0"), mode="r")[...], data)
    assert [entry.name for entry in plain.codecs] == ["storekit.b2nd"]
    storekit.ZarrArray.create(
        storekit.LocalStore(tmp_path / "s"), data=data, chunks=(10, 50), shards=(20, 50)
    )
    shard = (tmp_path / "s/c/0/0").read_bytes()
    index = np.frombuffer(shard[-36:-4], "<u8").reshape(2, 2).tolist()
    for row, (offset, size) in enumerate(index):
        frame = blosc2.ndarray_from_cframe(shard[offset : offset + size], copy=False)
        np.testing.assert_array_equal(frame[...], data[10 * row : 10 * row + 10])


def test_large_chunks_in_many_blocks(tmp_path: Path) -> None:
    """Chunks of several blocks open whole and in part, on either side."""
    rng = np.random.default_rng(2)
    data = rng.integers(0, 50, (700, 900)).astype("i4")
    array = storekit.ZarrArray.create(
        storekit.LocalStore(tmp_path / "a"), data=data, chunks=(512, 512)
    )
    assert array[300:600:7, 450:700].tobytes() == data[300:600:7, 450:700].tobytes()
    opened = blosc2.open(str(tmp_path / "a/c/0/1"), mode="r")
    np.testing.assert_array_equal(opened[:, : 900 - 512], data[:512, 512:])
    assert np.prod(opened.blocks) < np.prod(opened.chunks)
    (tmp_path / "a/c/0/1").write_bytes(stock(np.ascontiguousarray(opened[...]), blocks=(64, 64)))
    np.testing.assert_array_equal(array[:], data)
    assert array[500:520, 500:800].tobytes() == data[500:520, 500:800].tobytes()
