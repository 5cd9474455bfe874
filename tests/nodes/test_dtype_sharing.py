"""A user's dtype is the user's: what is done to it is felt nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from storekit import MemoryStore, ZarrArray, open_zarr

FIELDS = [("x", "i4"), ("y", "i4"), ("z", [("p", "i2"), ("q", "i2")])]


@pytest.mark.parametrize(
    "hand_out",
    [
        lambda array: array.dtype,
        lambda array: array[...].dtype,
        lambda array: array[0].dtype,
        lambda array: array.vindex[[0, 1]].dtype,
        lambda array: array.read_future().result().dtype,
        lambda array: array.get_chunk(0).dtype,
        lambda array: array.get_chunk(1).dtype,
        lambda array: array.fill_value.dtype,
        lambda array: np.asarray(array).dtype,
    ],
)
@pytest.mark.parametrize("codecs", ["none", "zstd", "b2nd"])
def test_renamed_fields_are_renamed_for_one_only(
    hand_out: Callable[[ZarrArray], Any], codecs: str
) -> None:
    """numpy lets fields be renamed in place; arrays that share metadata keep their names."""
    store = MemoryStore()
    data = np.array([(1, 2, (3, 4))] * 3, FIELDS)
    array = ZarrArray.create(store, "a", data=data, chunks=2, codecs=codecs)
    dtype = hand_out(array)
    dtype["z"].names = ("q", "p")
    dtype.names = ("y", "x", "z")
    for same in (
        array,
        open_zarr(store, "a"),
        ZarrArray.create(store, "b", data=data, chunks=2, codecs=codecs),
    ):
        assert same.dtype == np.dtype(FIELDS)
        assert same[...]["x"].tolist() == [1, 1, 1]
        assert same[...]["z"]["p"].tolist() == [3, 3, 3]
        assert same.fill_value.dtype == np.dtype(FIELDS)
