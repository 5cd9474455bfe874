"""
storekit: chunked n-dimensional arrays wherever they live.

The names below are loaded when they are first used; ``import storekit`` imports nothing but what
loads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storekit.lazy import loader

if TYPE_CHECKING:
    from storekit import errors as errors
    from storekit import frames as frames
    from storekit.clock import REAL_CLOCK as REAL_CLOCK
    from storekit.clock import Clock as Clock
    from storekit.clock import RealClock as RealClock
    from storekit.codecs.registry import register_codec as register_codec
    from storekit.nodes.array import Array as Array
    from storekit.nodes.containers import ContainerGroup as ContainerGroup
    from storekit.nodes.frame_array import FrameArray as FrameArray
    from storekit.nodes.group import Group as Group
    from storekit.nodes.interchange import copy as copy
    from storekit.nodes.node import Node as Node
    from storekit.nodes.opening import open as open
    from storekit.nodes.zarr_array import ZarrArray as ZarrArray
    from storekit.nodes.zarr_group import ZarrGroup as ZarrGroup
    from storekit.nodes.zarr_group import open_zarr as open_zarr
    from storekit.nodes.zarr_node import ZarrNode as ZarrNode
    from storekit.simulation.clock import VirtualClock as VirtualClock
    from storekit.stores import profiles as profiles
    from storekit.stores.base import ConditionalStore as ConditionalStore
    from storekit.stores.base import ListableStore as ListableStore
    from storekit.stores.base import ReadableStore as ReadableStore
    from storekit.stores.base import WritableStore as WritableStore
    from storekit.stores.cache import CacheStore as CacheStore
    from storekit.stores.distributions import Constant as Constant
    from storekit.stores.distributions import LogNormal as LogNormal
    from storekit.stores.distributions import Normal as Normal
    from storekit.stores.distributions import Pareto as Pareto
    from storekit.stores.distributions import Uniform as Uniform
    from storekit.stores.fault import Fault as Fault
    from storekit.stores.faulty import FaultyStore as FaultyStore
    from storekit.stores.fsspec import FsspecStore as FsspecStore
    from storekit.stores.http import HTTPStore as HTTPStore
    from storekit.stores.limit import LimitStore as LimitStore
    from storekit.stores.link import Link as Link
    from storekit.stores.local import LocalStore as LocalStore
    from storekit.stores.memory import MemoryStore as MemoryStore
    from storekit.stores.mirror import MirrorStore as MirrorStore
    from storekit.stores.object import ObjectStore as ObjectStore
    from storekit.stores.outages import Outages as Outages
    from storekit.stores.prefix import PrefixStore as PrefixStore
    from storekit.stores.quota import QuotaStore as QuotaStore
    from storekit.stores.read_only import ReadOnlyStore as ReadOnlyStore
    from storekit.stores.record import Recording as Recording
    from storekit.stores.record import RecordStore as RecordStore
    from storekit.stores.replay import ReplayStore as ReplayStore
    from storekit.stores.retry import RetryStore as RetryStore
    from storekit.stores.slow import SlowStore as SlowStore
    from storekit.stores.timeout import TimeoutStore as TimeoutStore
    from storekit.stores.trace import Trace as Trace
    from storekit.stores.trace import TraceStore as TraceStore
    from storekit.stores.urls import open_store as open_store
    from storekit.stores.urls import register_scheme as register_scheme
    from storekit.stores.wrapper import WrapperStore as WrapperStore
    from storekit.stores.zip import ZipStore as ZipStore

__version__ = "0.1.0"

_HOMES = {
    "Array": "nodes.array",
    "CacheStore": "stores.cache",
    "Clock": "clock",
    "ConditionalStore": "stores.base",
    "Constant": "stores.distributions",
    "ContainerGroup": "nodes.containers",
    "Fault": "stores.fault",
    "FaultyStore": "stores.faulty",
    "FrameArray": "nodes.frame_array",
    "FsspecStore": "stores.fsspec",
    "Group": "nodes.group",
    "HTTPStore": "stores.http",
    "LimitStore": "stores.limit",
    "Link": "stores.link",
    "ListableStore": "stores.base",
    "LocalStore": "stores.local",
    "LogNormal": "stores.distributions",
    "MemoryStore": "stores.memory",
    "MirrorStore": "stores.mirror",
    "Node": "nodes.node",
    "Normal": "stores.distributions",
    "ObjectStore": "stores.object",
    "Outages": "stores.outages",
    "Pareto": "stores.distributions",
    "PrefixStore": "stores.prefix",
    "QuotaStore": "stores.quota",
    "REAL_CLOCK": "clock",
    "ReadOnlyStore": "stores.read_only",
    "ReadableStore": "stores.base",
    "RealClock": "clock",
    "RecordStore": "stores.record",
    "Recording": "stores.record",
    "ReplayStore": "stores.replay",
    "RetryStore": "stores.retry",
    "SlowStore": "stores.slow",
    "TimeoutStore": "stores.timeout",
    "Trace": "stores.trace",
    "TraceStore": "stores.trace",
    "Uniform": "stores.distributions",
    "VirtualClock": "simulation.clock",
    "WrapperStore": "stores.wrapper",
    "WritableStore": "stores.base",
    "ZarrArray": "nodes.zarr_array",
    "ZarrGroup": "nodes.zarr_group",
    "ZarrNode": "nodes.zarr_node",
    "ZipStore": "stores.zip",
    "copy": "nodes.interchange",
    "errors": ":errors",
    "frames": ":frames",
    "open": "nodes.opening",
    "open_store": "stores.urls",
    "open_zarr": "nodes.zarr_group",
    "profiles": ":stores.profiles",
    "register_codec": "codecs.registry",
    "register_scheme": "stores.urls",
}

__all__ = ["__version__", *_HOMES]


__getattr__ = loader(globals(), _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
