"""Arrays of Zarr v2, written by the book with numcodecs, and by zarr-python."""

from __future__ import annotations

import base64
import itertools
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr

from storekit import MemoryStore

ZLIB = {"id": "zlib", "level": 1}


def zarray(**changes: Any) -> dict[str, Any]:
    """A valid ``.zarray``; a change to `...` removes the field."""
    document: dict[str, Any] = {
        "zarr_format": 2,
        "shape": [4, 6],
        "chunks": [2, 3],
        "dtype": "<i4",
        "compressor": ZLIB,
        "fill_value": 0,
        "order": "C",
        "filters": None,
        **changes,
    }
    return {name: value for name, value in document.items() if value is not ...}


def dumped(document: Any) -> bytes:
    """The bytes of a document."""
    return json.dumps(document).encode()


def documents(path: str = "", attributes: Any = None, **changes: Any) -> dict[str, bytes]:
    """The keys and values of the documents of an array without chunks."""
    head = f"{path}/" if path else ""
    values = {f"{head}.zarray": dumped(zarray(**changes))}
    if attributes is not None:
        values[f"{head}.zattrs"] = dumped(attributes)
    return values


def stored(values: dict[str, bytes]) -> MemoryStore:
    """A store with these values."""
    store = MemoryStore()
    for key, value in values.items():
        store.set(key, value)
    return store


def written(
    data: Any,
    *,
    chunks: Sequence[int],
    order: str = "C",
    compressor: dict[str, Any] | None = None,
    filters: Sequence[dict[str, Any]] | None = None,
    separator: str | None = ".",
    fill_value: Any = None,
    path: str = "",
) -> dict[str, bytes]:
    """The keys and values of an array, encoded as the specification says, by numcodecs."""
    data = np.asarray(data)
    dtype: Any = data.dtype.descr if data.dtype.names else data.dtype.str
    changes = {} if separator is None else {"dimension_separator": separator}
    values = documents(
        path,
        shape=list(data.shape),
        chunks=list(chunks),
        dtype=dtype,
        order=order,
        compressor=compressor,
        filters=None if filters is None else list(filters),
        fill_value=fill_value,
        **changes,
    )
    head = f"{path}/" if path else ""
    steps = [*(filters or ()), *([compressor] if compressor else [])]
    codecs = [numcodecs.get_codec(dict(step)) for step in steps]
    if not data.dtype.hasobject:
        data = data.view(f"V{data.dtype.itemsize}")  # of which numpy moves the bytes as they are
    grid = [range(-(-n // c)) for n, c in zip(data.shape, chunks, strict=True)]
    for place in itertools.product(*grid):
        chunk = np.zeros(chunks, data.dtype)
        if data.dtype.hasobject:
            chunk[...] = "" if isinstance(data.flat[0], str) else b""
        part = data[tuple(slice(i * c, i * c + c) for i, c in zip(place, chunks, strict=True))]
        chunk[tuple(slice(n) for n in part.shape)] = part
        encoded: Any = chunk.reshape(-1, order=order)  # type: ignore[call-overload]
        if not data.dtype.hasobject:
            encoded = encoded.view(np.uint8)  # numcodecs takes no times
        for codec in codecs:
            encoded = codec.encode(encoded)
        name = (separator or ".").join(map(str, place)) or "0"
        values[head + name] = encoded.tobytes() if hasattr(encoded, "tobytes") else bytes(encoded)
    return values


def base64_of(data: bytes) -> str:
    """How v2 spells the fill values of bytes."""
    return base64.b64encode(data).decode()


def by_zarr(path: Path, data: Any, **options: Any) -> Any:
    """An array of v2 that zarr-python has written; `...` for no data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # data types without a specification in v3
        array = zarr.create_array(str(path), zarr_format=2, **options)
        if data is not ...:
            array[...] = data
    return array


def sample(dtype: Any, shape: tuple[int, ...], seed: int = 0) -> Any:
    """Elements of every kind, the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    if dtype is str:
        words = np.array(["", "é", "zarr", "\N{SNOWMAN} snow", "x" * 40])
        return words[rng.integers(0, len(words), shape)]
    dtype = np.dtype(dtype)
    if dtype.kind == "U":
        words = np.array(["", "a", "é", "ab", "\N{SNOWMAN}"]).astype(dtype)
        return words[rng.integers(0, len(words), shape)]
    if dtype.names:
        data = np.empty(shape, dtype)
        for name in dtype.names:
            data[name] = sample(dtype[name], shape, seed + 1)
        return data
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "fc":
        return (rng.standard_normal(shape) * 10).astype(dtype)
    raw = rng.integers(0, 120, (*shape, dtype.itemsize), np.uint8)
    return raw.view(dtype).reshape(shape)
