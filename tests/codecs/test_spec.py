"""What counts as a chunk of nothing but the fill value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from codec_samples import FIXED, layouts, random_chunk

from storekit.codecs import ChunkSpec
from storekit.typing import DType


@pytest.mark.parametrize("dtype", FIXED, ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (300, 17, 31)], ids=str)
def test_full_is_fill(dtype: DType, shape: tuple[int, ...]) -> None:
    """A chunk full of the fill value is one in any layout, and is not once one bit is another."""
    fill = random_chunk(dtype, (), seed=3)[()]
    spec = ChunkSpec(shape, dtype, fill)
    for name, chunk in layouts(spec.full()).items():
        assert spec.is_fill(chunk), name
        for place in {(0,) * len(shape), tuple(n // 2 for n in shape), tuple(n - 1 for n in shape)}:
            item = chunk[(*place, ...)]
            before = item.copy()
            raw = bytearray(item.tobytes())
            raw[-1] ^= 1
            item[...] = np.frombuffer(bytes(raw), dtype)[0]
            if item.tobytes() != before.tobytes():  # a boolean, for one, does not have all bits
                assert not spec.is_fill(chunk), name
            item[...] = before


@pytest.mark.parametrize(
    ("fill", "other"),
    [
        (np.float32(0.0), np.float32(-0.0)),
        (np.float64("nan"), np.uint64(0x7FF8000000000001).view("f8")),
        (np.complex64(complex(0, 0.0)), np.complex64(complex(0, -0.0))),
    ],
    ids=["negative zero", "payload of NaN", "negative zero, imaginary"],
)
def test_equal_is_not_enough(fill: Any, other: Any) -> None:
    """Values that compare equal, or are both NaN, are told apart by their bits."""
    spec = ChunkSpec((4, 4), fill.dtype, fill)
    assert spec.is_fill(np.full((4, 4), fill))
    assert not spec.is_fill(np.full((4, 4), other))


def test_not_a_time() -> None:
    """NaT equals NaT."""
    spec = ChunkSpec((5,), np.dtype("M8[s]"), np.datetime64("NaT", "s"))
    assert spec.is_fill(spec.full())


@pytest.mark.parametrize(
    ("dtype", "fill", "other"),
    [
        (np.dtypes.StringDType(), "a", "b"),
        (np.dtype(object), b"", b"x"),
        (np.dtype(object), "é", ""),
    ],
    ids=str,
)
def test_elements_of_variable_size(dtype: DType, fill: Any, other: Any) -> None:
    """Strings and bytes are compared as they are."""
    spec = ChunkSpec((2, 3), dtype, fill)
    assert spec.variable
    chunk = spec.full()
    assert spec.is_fill(chunk)
    chunk[1, 2] = other
    assert not spec.is_fill(chunk)


def test_no_big_temporary() -> None:
    """Asking about a large chunk takes little memory, whatever its layout."""
    import tracemalloc

    spec = ChunkSpec((64, 512, 512), np.dtype("u1"), np.uint8(7))
    for chunk in (
        spec.full(),
        np.asfortranarray(spec.full()),
        spec.full()[:, ::2],
        spec.full()[::-1],
    ):
        tracemalloc.start()
        assert spec.is_fill(chunk)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 20


@pytest.mark.parametrize("place", [(0, 0), (20, 30), (39, 59), (1, 2), (39, 0)])
def test_one_element_is_enough(place: tuple[int, int]) -> None:
    """A chunk of the fill value but for one element, wherever it is, is not one of it."""
    spec = ChunkSpec((40, 60), np.dtype("f4"), np.float32(0))
    for name, chunk in layouts(spec.full()).items():
        chunk[place] = 1
        assert not spec.is_fill(chunk), name
        assert spec.is_fill(chunk[:0]), name
        chunk[place] = 0
        assert spec.is_fill(chunk), name
