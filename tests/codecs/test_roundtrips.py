"""
What is encoded is decoded again: all codecs, types, shapes, layouts in memory, and kinds of parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from codec_samples import (
    CHAINS,
    FIXED,
    Fetcher,
    bound,
    chunks,
    layouts,
    parts,
    random_chunk,
    same,
    spec_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from storekit.codecs import Pipeline
from storekit.codecs.b2nd import B2ndCodec
from storekit.selection.part import part_shape, take
from storekit.typing import AnyArray, DType

every_chain = pytest.mark.parametrize("codecs", CHAINS, ids=str)


@every_chain
@pytest.mark.parametrize("dtype", FIXED, ids=str)
def test_every_type_survives_every_chain(codecs: list[Any], dtype: DType) -> None:
    """A chunk of any type comes back to the bit, through any chain."""
    chunk = random_chunk(dtype, (5, 4, 3), span=3)
    coder = bound(codecs, chunk)
    data = coder.encode(chunk)
    assert data is not None
    assert same(coder.decode(data), chunk)


@every_chain
@settings(max_examples=25)
@given(chunk=chunks(), data=st.data())
def test_round_trip(codecs: list[Any], chunk: AnyArray, data: st.DataObject) -> None:
    """
    The layout in memory of neither the chunk nor the output matters; parts are what numpy takes.
    """
    if chunk.ndim and data.draw(st.booleans(), label="transposed"):
        order = data.draw(st.permutations(range(chunk.ndim)), label="order")
        codecs = [{"name": "transpose", "configuration": {"order": order}}, *codecs]
    coder = bound(codecs, chunk)
    encoded = bytes(coder.encode(chunk) or b"")
    assert coder.encoded_size in (None, len(encoded))
    for array in layouts(chunk).values():
        assert bytes(coder.encode(array) or b"") == encoded
        array[...] = np.zeros((), chunk.dtype)
        coder.decode_into(encoded, array)
        assert same(array, chunk)
    part = data.draw(parts(chunk.shape), label="part")
    expected = np.asarray(take(chunk, part), chunk.dtype)
    for out in layouts(np.zeros_like(expected)).values():
        coder.decode_into(memoryview(encoded), out, part)
        assert same(out, expected)
        if coder.ranges:
            out[...] = np.zeros((), chunk.dtype)
            coder.read_part(Fetcher(encoded), out, part)
            assert same(out, expected)


@settings(max_examples=150)
@given(chunk=chunks(), data=st.data())
def test_blocks_of_any_shape(chunk: AnyArray, data: st.DataObject) -> None:
    """
    A frame may be cut into blocks of any shape, and any part of it read by those that it needs.
    """
    blocks = tuple(data.draw(st.integers(1, n)) for n in chunk.shape)
    cname = data.draw(st.sampled_from(("zstd", "lz4", "zlib")))
    coder = Pipeline([B2ndCodec(cname, blocks=blocks)]).bind(spec_of(chunk))
    encoded = coder.encode(chunk)
    assert encoded is not None
    assert same(coder.decode(encoded), chunk)
    part = data.draw(parts(chunk.shape), label="part")
    expected = np.asarray(take(chunk, part), chunk.dtype)
    for read in (True, False):
        out = np.zeros(part_shape(part), chunk.dtype)
        if read:
            coder.read_part(Fetcher(encoded), out, part)
        else:
            coder.decode_into(encoded, out, part)
        assert same(out, expected)


@every_chain
@settings(max_examples=10)
@given(chunk=chunks(), data=st.data())
def test_update(codecs: list[Any], chunk: AnyArray, data: st.DataObject) -> None:
    """Writing a part over a chunk's bytes is writing it over the chunk."""
    coder = bound(codecs, chunk)
    part = data.draw(parts(chunk.shape), label="part")
    values = random_chunk(chunk.dtype, part_shape(part), seed=1, span=2)
    expected = chunk.copy()
    for before in (coder.encode(chunk), None):
        if before is None:
            expected = coder.spec.full()
        updated = coder.update(before, part, values)
        _put(expected, part, values)
        if updated is None:
            assert coder.spec.is_fill(expected)
        else:
            assert same(coder.decode(updated), expected)


def _put(array: AnyArray, part: Any, values: AnyArray) -> None:
    places = take(np.arange(array.size).reshape(array.shape), part)
    array.reshape(-1)[places.reshape(-1)] = values.reshape(-1)
