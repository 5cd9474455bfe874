"""
storekit: chunked n-dimensional arrays wherever they live.

The names below are loaded when they are first used; ``import storekit`` imports nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storekit.clock import REAL_CLOCK as REAL_CLOCK
    from storekit.clock import Clock as Clock
    from storekit.clock import RealClock as RealClock
    from storekit.codecs.registry import register_codec as register_codec
    from storekit.nodes.array import Array as Array
    from storekit.nodes.group import Group as Group
    from storekit.nodes.node import Node as Node
    from storekit.nodes.zarr_array import ZarrArray as ZarrArray
    from storekit.nodes.zarr_group import ZarrGroup as ZarrGroup
    from storekit.nodes.zarr_group import open_zarr as open_zarr
    from storekit.nodes.zarr_node import ZarrNode as ZarrNode
    from storekit.stores.base import ConditionalStore as ConditionalStore
    from storekit.stores.base import ListableStore as ListableStore
    from storekit.stores.base import ReadableStore as ReadableStore
    from storekit.stores.base import WritableStore as WritableStore
    from storekit.stores.local import LocalStore as LocalStore
    from storekit.stores.memory import MemoryStore as MemoryStore
    from storekit.stores.slow import SlowStore as SlowStore
    from storekit.stores.wrapper import WrapperStore as WrapperStore

__version__ = "0.1.0"

_HOMES = {
    "Array": "nodes.array",
    "Clock": "clock",
    "ConditionalStore": "stores.base",
    "Group": "nodes.group",
    "ListableStore": "stores.base",
    "LocalStore": "stores.local",
    "MemoryStore": "stores.memory",
    "Node": "nodes.node",
    "REAL_CLOCK": "clock",
    "ReadableStore": "stores.base",
    "RealClock": "clock",
    "SlowStore": "stores.slow",
    "WrapperStore": "stores.wrapper",
    "WritableStore": "stores.base",
    "ZarrArray": "nodes.zarr_array",
    "ZarrGroup": "nodes.zarr_group",
    "ZarrNode": "nodes.zarr_node",
    "open_zarr": "nodes.zarr_group",
    "register_codec": "codecs.registry",
}

__all__ = ["__version__", "errors", *_HOMES]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("storekit.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'storekit' has no attribute {name!r}")
    value = getattr(import_module(f"storekit.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
