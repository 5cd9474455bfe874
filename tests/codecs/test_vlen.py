"""Elements of any length."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from codec_samples import bound, parts
from hypothesis import given
from hypothesis import strategies as st

from storekit.codecs import ChunkSpec, Pipeline
from storekit.errors import CodecError, MetadataError
from storekit.selection.part import part_shape, take

STRING = np.dtypes.StringDType()
CODECS = {"vlen-utf8": "", "vlen-bytes": b""}


@given(
    items=st.lists(st.text(st.characters(codec="utf-8")), min_size=6, max_size=6),
    dtype=st.sampled_from([STRING, np.dtype(object)]),
    data=st.data(),
)
def test_strings_survive(items: list[str], dtype: Any, data: st.DataObject) -> None:
    """Strings of all characters come back, whole and in parts, from either type of array."""
    chunk = np.array(items, dtype).reshape(2, 3)
    for codecs in (["vlen-utf8"], ["vlen-utf8", "zstd", "crc32c"], ["vlen-utf8", "gzip"]):
        coder = bound(codecs, chunk, "")
        encoded = coder.encode(chunk)
        assert encoded is not None
        assert coder.encode(np.asfortranarray(chunk)) == encoded
        assert coder.decode(encoded).tolist() == chunk.tolist()
        part = data.draw(parts((2, 3)))
        out = np.empty(part_shape(part), dtype)
        coder.decode_into(encoded, out, part)
        assert out.tolist() == np.asarray(take(chunk, part)).tolist()


@given(items=st.lists(st.binary(), min_size=4, max_size=4))
def test_byte_strings_survive(items: list[bytes]) -> None:
    """Byte strings come back, trailing zeros and all."""
    chunk = np.empty(4, object)
    chunk[:] = items
    for codecs in (["vlen-bytes"], ["vlen-bytes", "blosc"]):
        coder = bound(codecs, chunk, b"")
        encoded = coder.encode(chunk)
        assert encoded is not None
        decoded = coder.decode(encoded)
        assert decoded.tolist() == items
        assert {type(item) for item in decoded} == {bytes}


@pytest.mark.parametrize("item", [bytearray(b"ab"), memoryview(b"ab"), np.bytes_(b"ab")])
def test_all_that_holds_bytes(item: Any) -> None:
    """Elements may be any objects that hold bytes."""
    chunk = np.empty(1, object)
    chunk[0] = item
    coder = bound(["vlen-bytes"], chunk, b"")
    assert coder.decode(coder.encode(chunk) or b"").tolist() == [b"ab"]


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("vlen-utf8", None),
        ("vlen-utf8", b"x"),
        ("vlen-utf8", 1),
        ("vlen-utf8", "\udc80"),
        ("vlen-bytes", "x"),
        ("vlen-bytes", None),
        ("vlen-bytes", 1),
    ],
)
def test_other_elements(name: str, item: Any) -> None:
    """Whatever is no string, or not to be encoded, is refused by name."""
    chunk = np.array([item, item], object)
    coder = bound([name], chunk, CODECS[name])
    with pytest.raises(CodecError, match=name):
        coder.encode(chunk)


def counted(*items: bytes, count: int | None = None) -> bytes:
    """Encoded elements."""
    body = b"".join(struct.pack("<I", len(item)) + item for item in items)
    return struct.pack("<I", len(items) if count is None else count) + body


DAMAGED = {
    "nothing": b"",
    "no count": b"\1\0",
    "too few": counted(b"a"),
    "too many": counted(b"a", b"b", b"c"),
    "count too small": counted(b"a", b"b", count=1),
    "count too large": counted(b"a", b"b", count=3),
    "absurd count": counted(b"a", b"b", count=(1 << 32) - 1),
    "length too small": struct.pack("<III", 2, 0, 0) + b"b",
    "length too large": struct.pack("<II", 2, 3) + b"a",
    "absurd length": struct.pack("<II", 2, (1 << 32) - 1) + b"abc",
    "last length too large": counted(b"a") + struct.pack("<I", 5) + b"b",
    "cut in a length": counted(b"a", b"")[:-2],
    "bytes behind": counted(b"a", b"b") + b"!",
}


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("data", DAMAGED.values(), ids=list(DAMAGED))
def test_lengths_are_not_believed(name: str, data: bytes) -> None:
    """Counts and lengths that do not fit what is there are errors."""
    coder = bound([name], np.empty(2, object), CODECS[name])
    with pytest.raises(CodecError, match=name):
        coder.decode(data)


@pytest.mark.parametrize("data", [b"\xff", b"\xed\xa0\x80", b"\xc3", b"\xc0\x80"], ids=str)
def test_only_utf8(data: bytes) -> None:
    """What is no UTF-8 (surrogates and overlong forms are none) is refused."""
    coder = bound(["vlen-utf8"], np.empty(1, object), "")
    with pytest.raises(CodecError, match="UTF-8"):
        coder.decode(counted(data))


@pytest.mark.parametrize("shape", [(), (1,), (2, 0)], ids=str)
def test_few_elements(shape: tuple[int, ...]) -> None:
    """A single element, or none, is fine."""
    for dtype in (STRING, np.dtype(object)):
        chunk = np.full(shape, "é", dtype)
        coder = bound(["vlen-utf8"], chunk, "")
        decoded = coder.decode(coder.encode(chunk) or b"")
        assert decoded.shape == shape
        assert decoded.tolist() == chunk.tolist()


@pytest.mark.parametrize(
    ("name", "dtype", "fill"),
    [
        ("vlen-utf8", np.dtype("f4"), np.float32(0)),
        ("vlen-utf8", np.dtype("U3"), np.str_("")),
        ("vlen-utf8", np.dtype(object), b""),
        ("vlen-bytes", np.dtype(object), ""),
        ("vlen-bytes", STRING, ""),
    ],
    ids=str,
)
def test_types_of_other_codecs(name: str, dtype: Any, fill: Any) -> None:
    """A codec of variable-length elements refuses other types when it is bound."""
    with pytest.raises(MetadataError):
        Pipeline.from_json([name]).bind(ChunkSpec((2,), dtype, fill))
