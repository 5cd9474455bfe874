"""What a row may ask of a library with a certain way to the network."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import ClassVar, TypeAlias

from benchmarks.adapters import Handle, UnsupportedError
from benchmarks.adapters.base import Shape
from benchmarks.layout import Layout
from benchmarks.remote.place import Place

__all__ = ["Client", "Opener", "load"]

Opener: TypeAlias = Callable[[Sequence[str]], dict[str, Shape]]
"""Opens the arrays of these names, and says which shapes they have."""


class Client(ABC):
    """One library, one way to the network and its settings."""

    library: ClassVar[str]
    """Its name in `benchmarks.adapters.registry`."""

    name: str
    """What stands in the table."""

    b2nd: ClassVar[bool] = False
    """Whether it reads chunks that are `.b2nd` files."""

    def open(self, place: Place, path: str, layout: Layout) -> Handle:
        """Open an array for reading, by connections of its own as far as the library lets us."""
        raise UnsupportedError

    def open_frame(self, place: Place, path: str) -> Handle:
        """Open an array in a `.b2nd` file, likewise."""
        raise UnsupportedError

    def group(self, place: Place, path: str, *, consolidated: bool) -> Opener:
        """Open a group; its arrays are then opened as many at once as the library can."""
        raise UnsupportedError


_MODULES = {
    "storekit": "benchmarks.remote.storekit",
    "limit": "benchmarks.remote.limit",
    "zarr-python": "benchmarks.remote.zarr_python",
    "tensorstore": "benchmarks.remote.tensorstore",
    "blosc2": "benchmarks.remote.blosc2",
}


def load(names: Iterable[str]) -> tuple[list[Client], dict[str, str]]:
    """The clients of the libraries that are installed, and why the others are absent."""
    present: list[Client] = []
    absent: dict[str, str] = {}
    for name in names:
        if name in _MODULES:
            try:
                present += import_module(_MODULES[name]).CLIENTS
            except ImportError as error:
                absent[name] = str(error)
    return present, absent
