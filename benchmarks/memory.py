"""
The most memory that a bulk read or write takes, each in a process of its own.

`python -m benchmarks.memory LIBRARY ROW PATH SOURCE` is such a process. First it does a small piece
of the same work, so that what is made once is there (imports, threads), and gives memory that was
freed back to the system. Then it measures by how much it grows at most, with Linux's high-water
mark: a process that reuses what it freed long ago would show too little.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from benchmarks.adapters import Adapter, UnsupportedError, load
from benchmarks.data import Array, field
from benchmarks.env import Env, reference
from benchmarks.layout import DTYPE, Layout
from benchmarks.measure import cores, describe, process_memory, reset_peak
from benchmarks.workloads.base import expect

__all__ = ["ROWS", "MemoryRow", "measure_memory"]

_ROOT = Path(__file__).parent.parent
_SMALL = 16
"""The edge of the chunks of the small piece of work."""


@dataclass(frozen=True)
class MemoryRow:
    """
    One row: an array that is read or written as a whole.

    Args:
        name: What stands in the table.

        writes: Whether it is written.

        codec: Of the layout.

        sharded: Whether there are shards of many chunks in place of chunks.
    """

    name: str
    writes: bool
    codec: str
    sharded: bool = False

    def layout(self, edge: int) -> Layout:
        """Sixteen cubes of this edge: more than there are workers."""
        shape = (2 * edge, 2 * edge, 4 * edge)
        cube = (edge, edge, edge)
        if self.sharded:
            return Layout(shape, (edge // 4,) * 3, self.codec, cube)
        return Layout(shape, cube, self.codec)


_CODECS = {
    "uncompressed": "none",
    "blosc lz4 shuffle": "lz4",
    "zstd-1": "zstd-1",
    "b2nd (the default)": "b2nd",
}
ROWS = [
    *(MemoryRow(f"read, {name}", False, codec) for name, codec in _CODECS.items()),
    MemoryRow("read, shards, zstd-1", False, "zstd-1", True),
    *(MemoryRow(f"write, {name}", True, codec) for name, codec in _CODECS.items()),
    MemoryRow("write, shards, zstd-1", True, "zstd-1", True),
]


def measure_memory(adapters: Iterable[Adapter], env: Env) -> dict[str, dict[str, object]]:
    """
    By row: the bytes of a chunk (of a shard, where there are shards), the number of cores, and by
    how many bytes each library grew beyond its output.
    """
    result: dict[str, dict[str, object]] = {}
    for row in ROWS:
        layout = row.layout(env.sizes.edge)
        source = env.disk / "source.npy"
        if not source.exists():
            np.save(source, field(layout.shape))
        cells = {}
        for adapter in adapters:
            path = env.fresh() if row.writes else _stored(env, adapter, layout)
            if path is not None:
                cells[adapter.name] = _in_process(adapter.name, row, path, source)
            env.clear()
        unit = prod(layout.shards or layout.chunks) * DTYPE.itemsize
        result[row.name] = {
            "unit": unit,
            "cores": cores(),
            "cells": {name: grown for name, grown in cells.items() if grown is not None},
        }
    return result


def _stored(env: Env, adapter: Adapter, layout: Layout) -> Path | None:
    try:
        return env.stored(adapter, layout) if adapter.supports(layout) else None
    except UnsupportedError:
        return None


def _in_process(name: str, row: MemoryRow, path: Path, source: Path) -> int | str | None:
    """The growth in bytes, what went wrong, or None where the library does not do this."""
    variables = os.environ | {
        "PYTHONPATH": f"{_ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    }
    command = [sys.executable, "-m", "benchmarks.memory", name, row.name, str(path), str(source)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    grown: int | str | None = json.loads(done.stdout)
    return grown


def child(name: str, row: MemoryRow, path: Path, source: Path) -> int | str | None:
    """What `_in_process` returns, measured here."""
    (adapter,), _ = load([name])
    values = np.load(source)
    layout = row.layout(values.shape[0] // 2)
    if not adapter.supports(layout):
        return None
    try:
        with tempfile.TemporaryDirectory() as folder:
            small = row.layout(_SMALL)
            _work(adapter, row, Path(folder) / "array", small, field(small.shape), create=True)
        return _work(adapter, row, path, layout, values, create=row.writes)
    except UnsupportedError:
        return None
    except Exception as error:  # noqa: BLE001 - one library's failure is not the run's
        return describe(error)


def _work(
    adapter: Adapter, row: MemoryRow, path: Path, layout: Layout, values: Array, *, create: bool
) -> int:
    handle = adapter.create(path, layout) if create else adapter.open(path, layout)
    if create and not row.writes:
        handle.write(..., values)
        handle = adapter.open(path, layout)
    _give_back()
    before = reset_peak()
    if before is None:
        raise OSError("the system does not say how much memory a process has had")
    result = None
    if row.writes:
        handle.write(..., values)
    else:
        result = handle.read(...)
    grown = process_memory("VmHWM") - before
    if result is None:
        result = reference(adapter).open(path, layout).read(...)
    else:
        grown -= result.nbytes
    expect(result, values)
    return grown


def _give_back() -> None:
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


if __name__ == "__main__":
    rows = {row.name: row for row in ROWS}
    print(json.dumps(child(sys.argv[1], rows[sys.argv[2]], Path(sys.argv[3]), Path(sys.argv[4]))))
