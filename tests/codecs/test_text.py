"""Laws of text of fixed size, whose bytes may be no text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import storekit as sk
from storekit.errors import CodecError

SAMPLES = {
    "text": np.array(["ab", "c", "", "defg"]),
    "record": np.array([(1, "ab")] * 4, [("id", "i4"), ("name", "U3")]),
    "nested": np.array([(1, ("ab",))] * 4, [("id", "i4"), ("sub", [("name", "U3")])]),
}


@pytest.mark.parametrize("codecs", ["none", "zstd", "b2nd"])
@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
@pytest.mark.parametrize(
    "selection", [..., slice(3, None), ([0, 3],)], ids=["all", "part", "points"]
)
def test_bytes_that_are_no_text_are_a_codec_error(
    codecs: str, sample: np.ndarray, selection: Any
) -> None:
    """A code point beyond Unicode is an error of the chunk, in whichever way it is read."""
    damaged = sample.copy()
    damaged.view(np.uint32)[-1] = 0x110000
    array = sk.ZarrArray.create(sk.MemoryStore(), data=sample, chunks=4, codecs=codecs)
    array.write(damaged)
    with pytest.raises(CodecError, match="code points") as caught:
        array[selection]
    assert caught.value.key == "c/0"
