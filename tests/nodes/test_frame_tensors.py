"""Arrays and tensors in files; beside blosc2, with the examples of its docs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest

from storekit import errors, frames
from storekit.frames.packed import PACKED, Packed, check_packed, pack
from storekit.nodes.frame_meta import VLMeta
from storekit.typing import AnyArray

STRUCT = np.dtype([("a", "i4"), ("b", "S3", (2,)), ("c", [("d", "f8")])])
ARRAYS: dict[str, AnyArray] = {
    "long": np.arange(50_000.0),
    "square": np.arange(3000, dtype="i4").reshape(30, 100),
    "zeros": np.zeros(1000),
    "scalar": np.array(5),
    "empty": np.empty((0, 3)),
    "struct": np.frombuffer(np.random.default_rng(0).bytes(180), STRUCT),
    "aligned": np.ones(4, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "text": np.array(["ab", "c"] * 5),
    "long text": np.array(["ab", "c"] * 5, "U100"),
    "bytes": np.array([b"ab"]),
    "no bytes": np.zeros(3, "S0"),
    "void": np.frombuffer(bytes(range(42)), "V7").reshape(2, 3),
    "bool": np.array([True, False]),
    "big-endian": np.arange(5, dtype=">i2"),
    "complex": np.arange(5) * 1j,
    "dates": np.array(["2020-01-01", "NaT"], "M8[D]"),
    "noise": np.frombuffer(np.random.default_rng(0).bytes(30_001), "u1"),
}


def assert_same(found: AnyArray, expected: AnyArray) -> None:
    """Equal in all that a file keeps."""
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()


# The examples of blosc2's documentation.


def test_seed_save_and_load_array(tmp_path: Path) -> None:
    """The examples of `save_array` and `load_array`: smaller than in memory, and equal."""
    a = np.arange(1e6)
    serial_size = frames.save_array(a, tmp_path / "test.bl2", mode="w")
    assert serial_size < a.size * a.itemsize
    assert serial_size == os.path.getsize(tmp_path / "test.bl2")
    a2 = frames.load_array(tmp_path / "test.bl2")
    assert np.array_equal(a, a2)


def test_seed_save_and_load_tensor(tmp_path: Path) -> None:
    """The examples of `save_tensor` and `load_tensor`, with an array of numpy."""
    th = np.arange(1e6, dtype=np.float32)
    size = frames.save_tensor(th, tmp_path / "test.bl2", mode="w")
    assert size < th.size * th.itemsize
    th2 = frames.load_tensor(tmp_path / "test.bl2")
    assert np.array_equal(th, th2)


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("chunksize", [None, 1000])
@pytest.mark.parametrize("name", ARRAYS)
def test_blosc2_and_we_read_each_other(
    tmp_path: Path, name: str, chunksize: int | None, contiguous: bool
) -> None:
    """What one of the two saves both load, with type and shape; and the size is what is there."""
    ours, theirs, array = tmp_path / "ours", tmp_path / "theirs", ARRAYS[name]
    size = frames.save_tensor(array, ours, chunksize, contiguous=contiguous)
    blosc2.save_tensor(array, str(theirs), chunksize, contiguous=contiguous)
    files = [ours] if contiguous else list(ours.iterdir())
    assert size == sum(path.stat().st_size for path in files)
    assert_same(blosc2.load_tensor(str(ours)), array)
    for path in (ours, theirs):
        assert_same(frames.load_tensor(path), array)
        assert_same(frames.load_array(path), array)


def test_any_layout_in_memory() -> None:
    """Arrays that are not in C order, subclasses and scalars are saved by their elements."""
    array = np.arange(24).reshape(2, 3, 4)
    masked: Any = np.ma.masked_array(array, False)
    for number, given in enumerate((array.T, array[:, ::-2], masked, np.float32(3))):
        frames.save_array(given, f"memory://frame-tensors/{number}")
        assert_same(frames.load_array(f"memory://frame-tensors/{number}"), np.asarray(given))


def test_options_of_save_tensor(tmp_path: Path) -> None:
    """Compression can be chosen; what is there stays, unless it is to be replaced."""
    path = tmp_path / "array"
    frames.save_array(ARRAYS["long"], path, cparams={"codec": "lz4", "clevel": 9})
    assert blosc2.open(str(path), mode="r").cparams.codec == blosc2.Codec.LZ4
    with pytest.raises(errors.NodeExistsError):
        frames.save_array(ARRAYS["square"], path)
    assert_same(frames.load_array(path), ARRAYS["long"])
    frames.save_array(ARRAYS["square"], path, mode="w")
    assert_same(frames.load_array(path, dparams={"nthreads": 1}), ARRAYS["square"])
    for options in ({"mode": "r"}, {"clevel": 5}, {"dparams": {"x": 1}}, {"cparams": {"x": 1}}):
        with pytest.raises((ValueError, TypeError)):
            frames.save_array(ARRAYS["long"], path, **options)
    for chunksize in (0, -1, 1 << 31):
        with pytest.raises((errors.CodecError, ValueError)):
            frames.save_array(ARRAYS["long"], path, chunksize, mode="w")
    assert_same(frames.load_array(path), ARRAYS["square"])


def test_nothing_is_pickled(tmp_path: Path) -> None:
    """Objects, and what is neither array nor tensor, are refused, and nothing is written."""
    objects = np.array([{}, None])
    for array in (objects, np.zeros(2, [("a", "O")]), np.array(["a"], np.dtypes.StringDType())):
        with pytest.raises(errors.MetadataError, match="dtype"):
            frames.save_array(array, tmp_path / "array")
    for other in ([1, 2], "text", 3, None):
        with pytest.raises(TypeError):
            frames.save_array(other, tmp_path / "array")  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []


def test_what_holds_no_packed_array(tmp_path: Path) -> None:
    """
    Another frame is a `TypeError`, as blosc2 documents it; other files and damaged ones are corrupt
    frames; and nothing is a `KeyError`.
    """
    frames.save(np.arange(3), tmp_path / "array")
    (tmp_path / "other").write_bytes(b"garbage")
    frames.save_array(np.arange(1000), tmp_path / "short")
    os.truncate(tmp_path / "short", 500)
    for load in (frames.load_array, frames.load_tensor):
        with pytest.raises(TypeError, match="no packed array"):
            load(tmp_path / "array")
        for name in ("other", "short"):
            with pytest.raises(errors.CorruptFrameError):
                load(tmp_path / name)
        with pytest.raises(KeyError):
            load(tmp_path / "missing")


DEEP: Any = "i4"
for _ in range(2000):
    DEEP = [("a", DEEP)]

HOSTILE: list[Any] = [
    None,
    (),
    "numpy",
    ("numpy", (2,)),
    ("numpy", (2,), "i4", 0),
    (b"numpy", (2,), "i4"),
    ("numpy", 2, "i4"),
    ("numpy", (-2,), "i4"),
    ("numpy", (2.0,), "i4"),
    ("numpy", (True, 2), "i4"),
    ("numpy", (3,), "i4"),
    ("numpy", (1 << 62, 0), "i4"),
    ("numpy", (1,) * 65 + (2,), "i4"),
    ("numpy", (1,), "O"),
    ("numpy", (8,), "T"),
    ("numpy", (1,), "i4,i4"),
    ("numpy", (1,), "__import__('os')"),
    ("numpy", (1,), "(2,)i4"),
    ("numpy", (2,), "m8[x]"),
    ("numpy", (1,), 8),
    ("numpy", (1,), [("a", "O")]),
    ("numpy", (1,), [("a", "i4"), ("a", "i4")]),
    ("numpy", (1,), [("a", "i4", (1 << 40,))]),
    ("numpy", (1,), [("a", "i4", 2)]),
    ("numpy", (1,), [(("t", 3), "i8")]),
    ("numpy", (1,), [("a", {"names": ["b"], "formats": ["O"]})]),
    ("numpy", (2,), DEEP),
]


@pytest.mark.parametrize("found", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_descriptions(found: Any) -> None:
    """What a file says of its type and shape is believed only if it can be true of eight bytes."""
    with pytest.raises(errors.CorruptFrameError):
        check_packed(found, 8)


def test_descriptions_come_back() -> None:
    """Kind, shape and type are read as they were packed, also from what blosc2 has packed."""
    for array in ARRAYS.values():
        packed = Packed("torch", array.shape, array.dtype)
        made = frames.empty(1, dtype="u1")
        made.vlmeta[PACKED] = None

        def edit(change: Any, content: bytes = pack(packed)) -> None:
            change.vlmeta = change.vlmeta.changed({PACKED: content})

        made._change(edit)
        assert isinstance(made.vlmeta, VLMeta)
        assert check_packed(made.vlmeta[PACKED], array.nbytes) == packed


def test_descriptions_without_tuples() -> None:
    """Older blosc2 did not tell tuples from lists; what it wrote is read."""
    assert check_packed(["numpy", [2], "<i4"], 8) == ("numpy", (2,), np.dtype("<i4"))
    assert check_packed(["numpy", [1], [["a", "<i8"]]], 8).dtype == np.dtype([("a", "<i8")])


def test_a_library_that_is_not_known(tmp_path: Path) -> None:
    """A tensor of some other library, or of one that is missing here, is an error that says so."""
    frames.save_array(np.arange(3), tmp_path / "array")
    frame = frames.open(tmp_path / "array", mode="a")
    frame.vlmeta[PACKED] = ("jax", (3,), "<i8")
    with pytest.raises(errors.CorruptFrameError, match="jax"):
        frames.load_tensor(tmp_path / "array")


def test_a_library_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor of a library that is not installed is no array of numpy, but an error."""
    for library in ("torch", "tensorflow"):
        monkeypatch.setitem(__import__("sys").modules, library, None)
        frames.save_array(np.arange(3), tmp_path / "array", mode="w")
        frames.open(tmp_path / "array", mode="a").vlmeta[PACKED] = (library, (3,), "<i8")
        with pytest.raises(errors.MissingExtraError, match=library):
            frames.load_tensor(tmp_path / "array")


def test_tensors_of_pytorch(tmp_path: Path) -> None:
    """Tensors come back as tensors, from what blosc2 wrote and to it, whatever their layout was."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "tensor"
    tensors = [
        torch.arange(10),
        torch.ones(3, 4, requires_grad=True).t(),
        torch.tensor(3.5),
        torch.empty(0, 2),
        torch.ones(3, dtype=torch.complex64).conj(),
        torch.ones(3, dtype=torch.bool),
    ]
    for tensor in tensors:
        frames.save_tensor(tensor, path, mode="w")
        plain = tensor.detach().resolve_conj().contiguous()
        for load in (frames.load_tensor, blosc2.load_tensor):
            assert torch.equal(load(str(path)), plain)
        blosc2.save_tensor(plain, str(path), mode="w")
        assert torch.equal(frames.load_tensor(path), plain)
    with pytest.raises(TypeError, match="bfloat16"):
        frames.save_tensor(torch.ones(2, dtype=torch.bfloat16), path, mode="w")


def test_tensors_of_tensorflow(tmp_path: Path) -> None:
    """Tensors come back as tensors, from what blosc2 wrote and to it."""
    tensorflow = pytest.importorskip("tensorflow")
    path = tmp_path / "tensor"
    tensor = tensorflow.constant(np.arange(12.0).reshape(3, 4))
    frames.save_tensor(tensor, path)
    assert np.array_equal(blosc2.load_tensor(str(path)).numpy(), tensor.numpy())
    assert tensorflow.is_tensor(frames.load_tensor(path))
    blosc2.save_tensor(tensor, str(path), mode="w")
    assert np.array_equal(frames.load_tensor(path).numpy(), tensor.numpy())
