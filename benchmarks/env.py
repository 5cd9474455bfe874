"""Where the workloads find their data: sizes, folders, and arrays that are already stored."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import data
from benchmarks.adapters import Adapter
from benchmarks.adapters.limit import Limit
from benchmarks.adapters.storekit import Storekit
from benchmarks.layout import B2ND, Layout

__all__ = ["FULL", "QUICK", "Env", "Sizes", "environment", "reference"]


@dataclass(frozen=True)
class Sizes:
    """How much work a run does. Times are per operation, so the rows keep their meaning."""

    bulk: tuple[int, int, int]
    gzip: tuple[int, int, int]
    small: tuple[int, int, int]
    shards: tuple[int, int, int]
    points: int
    windows: int
    updates: int
    frames: int
    nodes: int
    edge: int
    """Of the chunks in the memory table, in elements."""
    grown: int
    """The most chunks or nodes of the growth plots."""
    share: float
    """Seconds that one count may take a peer in the growth plots."""
    sampled: float
    """Seconds of each bulk read that the profile sees."""
    seconds: float
    """For all rounds of one row; at least five rounds are run."""
    rounds: int
    """The most for one row."""


FULL = Sizes(
    bulk=(256, 512, 512),
    gzip=(256, 256, 256),
    small=(256, 256, 256),
    shards=(256, 256, 256),
    points=1000,
    windows=200,
    updates=50,
    frames=50,
    nodes=1000,
    edge=96,
    grown=1_000_000,
    share=2.0,
    sampled=1.0,
    seconds=4.0,
    rounds=11,
)
QUICK = Sizes(
    bulk=(64, 256, 512),
    gzip=(64, 128, 256),
    small=(64, 128, 128),
    shards=(64, 128, 128),
    points=100,
    windows=20,
    updates=10,
    frames=10,
    nodes=100,
    edge=64,
    grown=1_000,
    share=1.0,
    sampled=0.2,
    seconds=0.3,
    rounds=5,
)


@dataclass(frozen=True)
class Env:
    """
    One run's folders and stored arrays.

    Args:
        sizes: How much work.

        disk: A folder on a real disk, for reading.

        fast: A folder in memory if the machine has one, for writing.
    """

    sizes: Sizes
    disk: Path
    fast: Path
    _stored: dict[tuple[str, Layout], Path] = field(default_factory=dict)
    _files: dict[Layout, dict[str, bytes]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def fresh(self) -> Path:
        """A path in memory that nothing uses yet."""
        return self.fast / f"{next(self._numbers):05}"

    def stored(self, adapter: Adapter, layout: Layout) -> Path:
        """
        The source data on disk, to be read only.

        All Zarr libraries read the same files; the others wrote their own.
        """
        writer = reference(adapter)
        if layout.codec in B2ND and not adapter.own_format:
            writer = Storekit()  # with the checksums that the readers have to verify
        key = (writer.name, layout)
        if key not in self._stored:
            path = self.disk / f"{next(self._numbers):05}"
            writer.create(path, layout).write(..., data.field(layout.shape))
            self._stored[key] = path
        return self._stored[key]

    def framed(self, adapter: Adapter, layout: Layout) -> Path:
        """
        The source data in a `.b2nd` file on disk, to be read only.

        Each library reads what it wrote itself, in blocks that it chose; `limit` reads storekit's.
        """
        writer = adapter if adapter.own_format else Storekit()
        key = (f"{writer.name}, one file", layout)
        if key not in self._stored:
            path = self.disk / f"{next(self._numbers):05}.b2nd"
            writer.create_frame(path, layout).write(..., data.field(layout.shape))
            self._stored[key] = path
        return self._stored[key]

    def files(self, layout: Layout) -> dict[str, bytes]:
        """The same files, by their keys."""
        if layout not in self._files:
            root = self.stored(Limit(), layout)
            paths = (path for path in root.rglob("*") if path.is_file())
            self._files[layout] = {str(p.relative_to(root)): p.read_bytes() for p in paths}
        return self._files[layout]

    def remove(self, path: Path) -> None:
        """Remove what is at a path, if anything."""
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Give back the memory behind all `fresh` paths."""
        for path in self.fast.iterdir():
            self.remove(path)


def reference(adapter: Adapter) -> Adapter:
    """Who writes what a library is to read, and reads what it wrote: `limit` if it can."""
    return adapter if adapter.own_format else Limit()


@contextmanager
def environment(sizes: Sizes, folder: str | None = None) -> Iterator[Env]:
    """An environment whose folders vanish at the end."""
    shm = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(prefix="storekit-bench-", dir=folder) as disk,
        tempfile.TemporaryDirectory(
            prefix="storekit-bench-", dir=shm if shm.is_dir() else folder
        ) as fast,
    ):
        yield Env(sizes, Path(disk), Path(fast))
