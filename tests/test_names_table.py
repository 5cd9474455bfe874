"""
The table of names in `docs/how-to/move-from-caterva-and-blosc2.md`.

Each row has a test here that does the same with blosc2 and with storekit. Names of caterva stand
for its frames, of which `tests/frames/test_caterva_files.py` reads some that it wrote itself.
"""

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import blosc2
import msgpack
import numpy as np
import pytest

import storekit as sk
from storekit import frames

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "how-to" / "move-from-caterva-and-blosc2.md"
LINK = re.compile(r"\[(?P<name>\w+)\]\((?P<file>[^)]*tests/[^)]*)\) \|$", re.MULTILINE)

SHAPE, CHUNKS, BLOCKS = (10, 12), (4, 6), (2, 3)
GRID = {"chunks": CHUNKS, "blocks": BLOCKS}
SETTINGS = {"codec": blosc2.Codec.LZ4, "clevel": 7, "filters": [blosc2.Filter.BITSHUFFLE]}
DATA = np.arange(120, dtype="f4").reshape(SHAPE)


def same(ours: frames.FrameArray, theirs: blosc2.NDArray) -> None:
    """The two are equal, and blosc2 finds in the frame of ours what it has itself."""
    read = blosc2.ndarray_from_cframe(ours.to_cframe(), copy=True)
    for found in (ours, read):
        assert (found.shape, found.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_array_equal(found[...], theirs[...])


@pytest.fixture
def pair(tmp_path: Path) -> tuple[frames.FrameArray, blosc2.NDArray]:
    """The same array in a file by each library."""
    ours = frames.asarray(DATA, urlpath=tmp_path / "ours.b2nd", **GRID)
    return ours, blosc2.asarray(DATA, urlpath=str(tmp_path / "theirs.b2nd"), **GRID)


def test_every_row_has_its_test() -> None:
    """Each row of the table names a test of this file, and each test is named by one row."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    links = [LINK.search(row) for row in rows]
    assert all(links), "each row ends with a link to a test"
    named = [link["name"] for link in links if link]
    assert {(PAGE.parent / link["file"]).resolve() for link in links if link} == {Path(__file__)}
    tests = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert sorted(named) == sorted(tests - {"every_row_has_its_test"})


def test_version() -> None:
    """Each says its version."""
    assert isinstance(blosc2.__version__, str)
    assert frames.__version__ == sk.__version__


def test_zeros() -> None:
    """All elements are zero."""
    same(frames.zeros(SHAPE, dtype="i8", **GRID), blosc2.zeros(SHAPE, dtype="i8", **GRID))
    assert not any(frames.zeros(SHAPE, itemsize=3, **GRID).to_buffer())


def test_empty() -> None:
    """Shape and type are those asked for."""
    ours, theirs = frames.empty(SHAPE, dtype="i8", **GRID), blosc2.empty(SHAPE, "i8", **GRID)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)


def test_full() -> None:
    """All elements are the value; bytes are elements of caterva."""
    same(frames.full(SHAPE, 2.5, **GRID), blosc2.full(SHAPE, 2.5, **GRID))
    assert frames.full((2, 2), b"ab", chunks=(1, 2), blocks=(1, 1)).to_buffer() == b"ab" * 4


def test_nans() -> None:
    """All elements are NaN."""
    same(frames.nans(SHAPE, **GRID), blosc2.nans(SHAPE, dtype="f8", **GRID))


def test_from_buffer() -> None:
    """The elements are those of the buffer."""
    buffer = DATA.tobytes()
    ours = frames.from_buffer(buffer, SHAPE, dtype="f4", **GRID)
    same(ours, blosc2.frombuffer(buffer, SHAPE, dtype="f4", **GRID))


def test_asarray() -> None:
    """The elements are those of the array."""
    same(frames.asarray(DATA, **GRID), blosc2.asarray(DATA, **GRID))


def test_copy(pair: tuple[frames.FrameArray, blosc2.NDArray]) -> None:
    """A copy has the elements, and the settings that were asked for, however they are spelled."""
    ours, theirs = pair
    copies = [
        frames.copy(ours, chunks=(5, 5), codec=frames.Codec.LZ4, clevel=9),
        ours.copy(chunks=(5, 5), cparams={"codec": blosc2.Codec.LZ4, "clevel": 9}),
    ]
    wanted = theirs.copy(chunks=(5, 5), cparams={"codec": blosc2.Codec.LZ4, "clevel": 9})
    codec = wanted.cparams.codec.value
    for copied in copies:
        same(copied, wanted)
        assert (copied.chunks, copied.codec, copied.clevel) == ((5, 5), codec, 9)


def test_open(pair: tuple[frames.FrameArray, blosc2.NDArray], tmp_path: Path) -> None:
    """Each opens what either wrote, and changes it."""
    for name in ("ours.b2nd", "theirs.b2nd"):
        path = tmp_path / name
        frames.open(path, mode="a")[0, 0] = 5
        blosc2.open(str(path), mode="a")[0, 1] = 6
        same(frames.open(path), blosc2.open(str(path), mode="r"))
        same(sk.open(str(path)), blosc2.open(str(path), mode="r"))
        assert frames.open(path)[0, :2].tolist() == [5, 6]


def test_open_offset(pair: tuple[frames.FrameArray, blosc2.NDArray], tmp_path: Path) -> None:
    """A frame in the midst of a file is opened by where it begins."""
    path = tmp_path / "embedded"
    path.write_bytes(bytes(333) + pair[0].to_cframe())
    same(frames.open(path, offset=333), blosc2.open(str(path), mode="r", offset=333))


def test_open_mapped(pair: tuple[frames.FrameArray, blosc2.NDArray], tmp_path: Path) -> None:
    """A file that is mapped into memory reads as any other."""
    path = tmp_path / "ours.b2nd"
    theirs = blosc2.open(str(path), mode="r", mmap_mode="r")
    same(frames.open(path, mmap_mode="r"), theirs)


def test_remove(pair: tuple[frames.FrameArray, blosc2.NDArray], tmp_path: Path) -> None:
    """A file is gone, and nothing happens if it was not there."""
    for remove, name in ((frames.remove, "ours.b2nd"), (blosc2.remove_urlpath, "theirs.b2nd")):
        for _ in range(2):
            remove(str(tmp_path / name))
            assert not (tmp_path / name).exists()


def test_urlpath(tmp_path: Path) -> None:
    """The same frame in a file, under another name of the argument, and under a key of a store."""
    store = sk.LocalStore(tmp_path)
    same(frames.asarray(DATA, urlpath=tmp_path / "a", **GRID), blosc2.asarray(DATA, **GRID))
    frames.asarray(DATA, filename=tmp_path / "b", **GRID)
    frames.asarray(DATA, store=store, key="c", **GRID)
    for name in ("a", "b", "c"):
        same(frames.open(tmp_path / name), blosc2.open(str(tmp_path / name), mode="r"))


def test_contiguous(tmp_path: Path) -> None:
    """A frame that is not contiguous is a directory, for both."""
    paths = [tmp_path / "ours.b2nd", tmp_path / "theirs.b2nd"]
    frames.asarray(DATA, urlpath=paths[0], contiguous=False, **GRID)
    blosc2.asarray(DATA, urlpath=str(paths[1]), contiguous=False, **GRID)
    for path in paths:
        assert path.is_dir()
        same(frames.open(path), blosc2.open(str(path), mode="r"))


def test_chunks() -> None:
    """Chunks and blocks are those asked for; whoever asks for nothing gets some that fit."""
    ours, theirs = frames.asarray(DATA, **GRID), blosc2.asarray(DATA, **GRID)
    assert (ours.chunks, ours.blocks) == (theirs.chunks, theirs.blocks) == (CHUNKS, BLOCKS)
    same(frames.asarray(DATA), blosc2.asarray(DATA))


def test_cparams() -> None:
    """What is compressed by one setting is so by the other, however it is spelled."""
    theirs = blosc2.asarray(DATA, cparams=SETTINGS, **GRID)
    for ours in (
        frames.asarray(DATA, cparams=SETTINGS, **GRID),
        frames.asarray(DATA, cparams=blosc2.CParams(**SETTINGS), **GRID),
        frames.asarray(DATA, cparams=frames.CParams(**SETTINGS), **GRID),
        frames.asarray(DATA, **SETTINGS, **GRID),
    ):
        same(ours, theirs)
        read = blosc2.ndarray_from_cframe(ours.to_cframe(), copy=True).cparams
        assert (read.codec, read.clevel) == (theirs.cparams.codec, theirs.cparams.clevel)
        assert read.filters == theirs.cparams.filters


@pytest.mark.parametrize("name", ["Codec", "Filter", "SplitMode"])
def test_numbers(name: str) -> None:
    """Names have the numbers that they have in blosc2."""
    ours, theirs = getattr(frames, name), getattr(blosc2, name)
    assert {member.name: member.value for member in ours} == {
        member.name: theirs[member.name].value for member in ours
    }


def test_shapes(pair: tuple[frames.FrameArray, blosc2.NDArray]) -> None:
    """What is said of the shape is the same."""
    ours, theirs = pair
    for name in ("shape", "ndim", "chunks", "blocks", "dtype"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.itemsize == theirs.dtype.itemsize


def test_nchunks(pair: tuple[frames.FrameArray, blosc2.NDArray]) -> None:
    """So many chunks there are."""
    assert pair[0].nchunks == pair[1].schunk.nchunks == 6


def test_settings() -> None:
    """An array says how it is compressed."""
    ours = frames.asarray(DATA, **SETTINGS, **GRID)
    theirs = blosc2.asarray(DATA, cparams=SETTINGS, **GRID).cparams
    assert (ours.codec, ours.clevel) == (theirs.codec.value, theirs.clevel)
    assert [*ours.filters] == [f.value for f in theirs.filters if f != blosc2.Filter.NOFILTER]
    assert (ours.cparams.codec, ours.cparams.clevel) == (ours.codec, ours.clevel)


def test_cratio() -> None:
    """What is said of the size is the same, but for the checksums."""
    data = np.arange(1 << 16, dtype="i4")
    given = {"chunks": (1 << 14,), "blocks": (1 << 12,)}
    ours = frames.asarray(data, **SETTINGS, **given)
    theirs = blosc2.asarray(data, cparams=SETTINGS, **given)
    assert ours.nbytes == theirs.schunk.nbytes == data.nbytes
    assert ours.cbytes == pytest.approx(theirs.schunk.cbytes, rel=0.05)
    assert ours.cratio == pytest.approx(theirs.cratio, rel=0.05)


def test_info(pair: tuple[frames.FrameArray, blosc2.NDArray]) -> None:
    """The table shows shapes, and is a mapping."""
    text = str(pair[0].info)
    for name in ("shape", "chunks", "blocks"):
        assert str(getattr(pair[1], name)) in text
    assert tuple(pair[0].info["Shape"]) == SHAPE


def test_meta(tmp_path: Path) -> None:
    """Each reads the other's metalayers; their length stays."""
    path = tmp_path / "a.b2nd"
    ours = frames.asarray(DATA, meta={"units": "kelvin", "raw": b"\x03"}, urlpath=path, **GRID)
    theirs = blosc2.open(str(path), mode="a")
    assert (theirs.schunk.meta["units"], theirs.schunk.meta["raw"]) == ("kelvin", 3)
    theirs.schunk.meta["units"] = "pascal"
    assert (ours.meta["units"], ours.meta["raw"]) == (msgpack.packb("pascal"), b"\x03")
    ours.meta["raw"] = 4
    theirs = blosc2.open(str(path), mode="r")  # its metalayers do not keep it alive
    assert theirs.schunk.meta["raw"] == 4
    with pytest.raises(ValueError, match="7 bytes"):
        ours.meta["units"] = "degrees Celsius"


def test_vlmeta(pair: tuple[frames.FrameArray, blosc2.NDArray], tmp_path: Path) -> None:
    """Each reads what the other has added."""
    ours, _ = pair
    ours.vlmeta["history"] = ["made", {"by": "storekit"}]
    theirs = blosc2.open(str(tmp_path / "ours.b2nd"), mode="a")
    theirs.schunk.vlmeta["more"] = 1.5
    assert theirs.schunk.vlmeta["history"] == ["made", {"by": "storekit"}]
    assert dict(ours.attributes) == {"history": ["made", {"by": "storekit"}], "more": 1.5}


@pytest.mark.parametrize(
    "key", [(3, 4), (slice(2, 9), 5), slice(1, 8), (slice(None, None, 3), -1), ...]
)
def test_getitem(pair: tuple[frames.FrameArray, blosc2.NDArray], key: object) -> None:
    """A selection is an array of numpy."""
    found = [np.asarray(array[key]) for array in pair]  # type: ignore[index]
    np.testing.assert_array_equal(found[0], found[1])


def test_setitem(pair: tuple[frames.FrameArray, blosc2.NDArray]) -> None:
    """A selection is replaced, by values or by one value."""
    for array in pair:
        array[3:7, 2:11] = np.arange(36, dtype="f4").reshape(4, 9)
        array[9] = -1
    same(*pair)


def test_points(pair: tuple[frames.FrameArray, blosc2.NDArray]) -> None:
    """Points, and rows and columns across each other."""
    rows, columns = np.array([1, 9, 4]), np.array([11, 0, 5])
    ours, theirs = pair
    np.testing.assert_array_equal(ours.vindex[rows, columns], theirs[rows, columns])
    np.testing.assert_array_equal(ours.oindex[rows, columns], theirs.oindex[rows, columns])


def test_slice(pair: tuple[frames.FrameArray, blosc2.NDArray]) -> None:
    """A selection as a frame of its own."""
    key = (slice(2, 7), slice(1, 12))
    same(pair[0].slice(key, chunks=(3, 3)), pair[1].slice(key, chunks=(3, 3)))


def test_tobytes(pair: tuple[frames.FrameArray, blosc2.NDArray]) -> None:
    """All elements in C order."""
    assert pair[0].to_buffer() == pair[0].tobytes() == pair[1].tobytes()


def test_resize(pair: tuple[frames.FrameArray, blosc2.NDArray]) -> None:
    """Growing adds zeros."""
    for array in pair:
        array.resize((13, 15))
    same(*pair)


def test_append() -> None:
    """Elements are added at the end."""
    arrays = [make(DATA[0], chunks=(5,)) for make in (frames.asarray, blosc2.asarray)]
    for array in arrays:
        array.append(DATA[1])
    same(*arrays)


def test_chunk() -> None:
    """A chunk as bytes, and as an array."""
    data = np.arange(20, dtype="i4")
    ours, theirs = frames.asarray(data, chunks=(5,)), blosc2.asarray(data, chunks=(5,))
    assert ours.decompress_chunk(2) == theirs.schunk.decompress_chunk(2)
    assert ours.get_chunk(2).tolist() == [10, 11, 12, 13, 14]


def test_cframe(pair: tuple[frames.FrameArray, blosc2.NDArray]) -> None:
    """A frame as bytes is read by the other."""
    ours, theirs = pair
    same(frames.from_cframe(theirs.to_cframe()), theirs)
    same(ours, blosc2.ndarray_from_cframe(ours.to_cframe(), copy=True))


def test_save(tmp_path: Path) -> None:
    """An array is put into a file."""
    frames.save(frames.asarray(DATA, **GRID), tmp_path / "ours.b2nd")
    blosc2.save(blosc2.asarray(DATA, **GRID), str(tmp_path / "theirs.b2nd"))
    for name in ("ours.b2nd", "theirs.b2nd"):
        same(frames.open(tmp_path / name), blosc2.open(str(tmp_path / name), mode="r"))


def test_load(pair: tuple[frames.FrameArray, blosc2.NDArray], tmp_path: Path) -> None:
    """A copy in memory is in no file any more."""
    path = tmp_path / "theirs.b2nd"
    ours, theirs = frames.load(path), blosc2.load(str(path))
    same(ours, theirs)
    assert ours.urlpath is theirs.urlpath is None


def test_save_array(tmp_path: Path) -> None:
    """Each loads what the other saved."""
    paths = [tmp_path / "ours.b2", tmp_path / "theirs.b2"]
    frames.save_array(DATA, paths[0])
    blosc2.save_array(DATA, str(paths[1]))
    for path in paths:
        np.testing.assert_array_equal(frames.load_array(path), DATA)
        np.testing.assert_array_equal(blosc2.load_array(str(path)), DATA)


def test_save_tensor(tmp_path: Path) -> None:
    """Each loads what the other saved; arrays of numpy are tensors, too."""
    paths = [tmp_path / "ours.b2", tmp_path / "theirs.b2"]
    frames.save_tensor(DATA, paths[0])
    blosc2.save_tensor(DATA, str(paths[1]))
    for path in paths:
        np.testing.assert_array_equal(frames.load_tensor(path), DATA)
        np.testing.assert_array_equal(blosc2.load_tensor(str(path)), DATA)


def test_schunk(tmp_path: Path) -> None:
    """A super-chunk without shapes has one dimension."""
    path = tmp_path / "a.b2frame"
    schunk = blosc2.SChunk(1000, bytes(range(250)) * 10, urlpath=str(path), cparams={"typesize": 1})
    assert frames.open(path)[...].tobytes() == schunk[:]


def test_tree(tmp_path: Path) -> None:
    """The containers of blosc2 are groups."""
    path = tmp_path / "tree.b2d"
    with blosc2.TreeStore(str(path), mode="w") as tree:
        tree["/field/height"] = blosc2.asarray(DATA, **GRID)
    np.testing.assert_array_equal(sk.open(str(path))["field/height"][...], DATA)


def test_remote(pair: tuple[frames.FrameArray, blosc2.NDArray], tmp_path: Path) -> None:
    """A file on a web server is read where it is."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            array = sk.open(f"http://127.0.0.1:{server.server_port}/theirs.b2nd")
            same(array, pair[1])
        finally:
            server.shutdown()
