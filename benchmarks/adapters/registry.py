"""The adapters by name, imported only when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from benchmarks.adapters.base import Adapter

__all__ = ["LIMIT", "NAMES", "PEERS", "SUBJECT", "ZARR_PEERS", "load"]

SUBJECT = "storekit"
LIMIT = "limit"
ZARR_PEERS = ("zarr-python", "zarr-python fused", "zarrs", "tensorstore", "simplezarr")
PEERS = (*ZARR_PEERS, "blosc2", "h5py")

_CLASSES = {
    "storekit": ("benchmarks.adapters.storekit", "Storekit"),
    "limit": ("benchmarks.adapters.limit", "Limit"),
    "zarr-python": ("benchmarks.adapters.zarr_python", "ZarrPython"),
    "zarr-python fused": ("benchmarks.adapters.zarr_fused", "ZarrFused"),
    "zarrs": ("benchmarks.adapters.zarrs", "Zarrs"),
    "tensorstore": ("benchmarks.adapters.tensorstore", "TensorStore"),
    "simplezarr": ("benchmarks.adapters.simplezarr", "SimpleZarr"),
    "blosc2": ("benchmarks.adapters.blosc2", "Blosc2"),
    "h5py": ("benchmarks.adapters.h5py", "H5py"),
}


NAMES = tuple(_CLASSES)


def load(names: Iterable[str] = NAMES) -> tuple[list[Adapter], dict[str, str]]:
    """The adapters whose libraries are installed, and the reasons why the others are absent."""
    present: list[Adapter] = []
    absent: dict[str, str] = {}
    for name in names:
        module, cls = _CLASSES[name]
        try:
            present.append(getattr(import_module(module), cls)())
        except ImportError as error:
            absent[name] = str(error)
    return present, absent
