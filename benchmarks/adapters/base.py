"""What a workload may ask of a library; what it does not offer raises `UnsupportedError`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks.data import Array
from benchmarks.layout import B2ND, Layout, array_document, write_json

__all__ = ["Adapter", "Bytes", "FrameCoder", "Handle", "Selection", "Shape", "UnsupportedError"]

Selection: TypeAlias = EllipsisType | tuple[int | slice, ...]
Shape: TypeAlias = tuple[int, ...]
Bytes: TypeAlias = bytes | bytearray | memoryview


class UnsupportedError(Exception):
    """The library cannot do this; its cell of the table stays empty."""


class Handle(ABC):
    """An open array of one library."""

    @property
    def shape(self) -> Shape:
        """As the library reports it."""
        raise UnsupportedError

    @abstractmethod
    def read(self, selection: Selection) -> Array:
        """One selection, as a numpy array."""

    def read_many(self, selections: Sequence[Selection]) -> list[Array]:
        """Several selections, all in flight at once."""
        raise UnsupportedError

    def points(self, coords: tuple[npt.NDArray[np.intp], ...]) -> Array:
        """Many points in one call."""
        raise UnsupportedError

    def write(self, selection: Selection, value: Array | float) -> None:
        """Replace a selection; what it holds must be in the store when this returns."""
        raise UnsupportedError

    def append(self, rows: Array) -> None:
        """Grow the first axis."""
        raise UnsupportedError


@dataclass(frozen=True)
class FrameCoder:
    """One chunk to the bytes of a `.b2nd` file, and back to a new array."""

    encode: Callable[[Array], Bytes]
    decode: Callable[[Bytes], Array]


class Adapter(ABC):
    """One library, with its defaults."""

    name: ClassVar[str]
    """The column."""

    first_read: ClassVar[str | None] = None
    """Statements that import the library and read the array at `path` as `a`."""

    own_format: ClassVar[bool] = False
    """Whether it reads and writes another format than Zarr."""

    reads_consolidated: ClassVar[bool] = False
    """Whether listing a group uses the members' documents that the group's own may hold."""

    b2nd: ClassVar[bool] = False
    """Whether it stores chunks as blosc2 does, be it in a file for each or in one for all."""

    def supports(self, layout: Layout) -> bool:
        """Whether it may be asked for arrays of this layout at all."""
        return self.b2nd or layout.codec not in B2ND

    @abstractmethod
    def open(self, path: Path, layout: Layout) -> Handle:
        """Open an array on disk, for reading and writing."""

    def create(self, path: Path, layout: Layout) -> Handle:
        """Make an empty array on disk. All Zarr libraries get the same document, so one codec."""
        write_json(path, array_document(layout))
        return self.open(path, layout)

    def load(self, files: Mapping[str, bytes], layout: Layout) -> Handle:
        """Open an array that the library's own memory store holds."""
        raise UnsupportedError

    def frames(self, layout: Layout) -> FrameCoder:
        """The coder of single chunks, for a codec of `B2ND`."""
        raise UnsupportedError

    def open_frame(self, path: Path, layout: Layout) -> Handle:
        """Open an array in a `.b2nd` file, for reading and writing."""
        raise UnsupportedError

    def create_frame(self, path: Path | None, layout: Layout) -> Handle:
        """Make an empty array in a `.b2nd` file; in memory without a path."""
        raise UnsupportedError

    def create_tree(self, path: Path, members: Mapping[str, Layout]) -> None:
        """Make a group with empty arrays in it."""
        raise UnsupportedError

    def plant_tree(self, path: Path, members: Mapping[str, Layout]) -> None:
        """Make such a group for others to read, by which the library learns as little as it can."""
        self.create_tree(path, members)

    def open_member(self, path: Path, name: str, layout: Layout) -> Handle:
        """Open one array of a group."""
        return self.open(path / name, layout)

    def list_tree(self, path: Path) -> dict[str, Shape]:
        """Open a group and name its arrays with their shapes."""
        raise UnsupportedError
