"""Frames as blosc2 itself makes them."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import blosc2
import numpy as np
from blosc2 import Codec, Filter
from hypothesis import settings

from storekit.typing import AnyArray

# A busy machine is no error.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

CODECS = (Codec.BLOSCLZ, Codec.LZ4, Codec.LZ4HC, Codec.ZLIB, Codec.ZSTD)
FILTERS: dict[str, list[Filter]] = {
    "none": [Filter.NOFILTER],
    "shuffle": [Filter.SHUFFLE],
    "bitshuffle": [Filter.BITSHUFFLE],
    "delta": [Filter.DELTA, Filter.SHUFFLE],
    "bytedelta": [Filter.SHUFFLE, Filter.BYTEDELTA],
    "truncated": [Filter.TRUNC_PREC, Filter.SHUFFLE],
}


class Stock(NamedTuple):
    """A frame of blosc2's, and what blosc2 reads from it."""

    frame: bytes
    array: AnyArray


def stock(
    array: AnyArray,
    codec: Codec = Codec.LZ4,
    filters: str = "shuffle",
    clevel: int = 5,
    **more: Any,
) -> Stock:
    """An array in a frame."""
    return _saved(blosc2.asarray(array, cparams=cparams(codec, filters, clevel), **more))


def cparams(codec: Codec, filters: str, clevel: int, **more: Any) -> dict[str, Any]:
    """Compression settings; precision is truncated to ten bits."""
    chosen = FILTERS[filters]
    meta = [10 if f is Filter.TRUNC_PREC else 0 for f in chosen]
    return {"codec": codec, "clevel": clevel, "filters": chosen, "filters_meta": meta, **more}


def patched(array: AnyArray, seed: int = 0, **more: Any) -> Stock:
    """An array of which some boxes were written over, one after the other."""
    rng = np.random.default_rng(seed)
    made = blosc2.asarray(array, cparams=cparams(Codec.LZ4, "shuffle", 5), **more)
    for _ in range(10):
        box = tuple(slice(*sorted(rng.integers(0, n + 1, 2).tolist())) for n in array.shape)
        made[box] = rng.integers(0, 3)
    return _saved(made)


def special(shape: tuple[int, ...], chunks: tuple[int, ...]) -> dict[str, Stock]:
    """Arrays whose chunks blosc2 need not store."""
    more = {"chunks": chunks}
    made = {
        "zeros": blosc2.zeros(shape, np.dtype("i4"), **more),
        "uninit": blosc2.uninit(shape, np.dtype("f4"), **more),
        "full": blosc2.full(shape, 7, np.dtype("i4"), **more),
        "nans": blosc2.nans(shape, np.dtype("f4"), **more),
        "double nans": blosc2.nans(shape, np.dtype("f8"), **more),
    }
    half = blosc2.zeros(shape, np.dtype("i4"), **more)
    half[: chunks[0]] = 5
    resized = blosc2.full(chunks, 3, np.dtype("i2"), **more)
    resized.resize(shape)
    made |= {"half": half, "resized": resized}
    return {name: _saved(array) for name, array in made.items()}


def _saved(array: Any) -> Stock:
    return Stock(array.to_cframe(), array[...])


def all_settings() -> list[tuple[Codec, str, int]]:
    """All compressors with all filters at some levels."""
    return list(product(CODECS, FILTERS, (0, 1, 9)))
