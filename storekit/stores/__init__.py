"""Stores: what maps keys to bytes, and what wraps such a thing. Each is loaded when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storekit.lazy import loader

if TYPE_CHECKING:
    from storekit.stores import profiles as profiles
    from storekit.stores.base import ConditionalStore as ConditionalStore
    from storekit.stores.base import Latency as Latency
    from storekit.stores.base import ListableStore as ListableStore
    from storekit.stores.base import ReadableStore as ReadableStore
    from storekit.stores.base import Store as Store
    from storekit.stores.base import WritableStore as WritableStore
    from storekit.stores.cache import CacheStats as CacheStats
    from storekit.stores.cache import CacheStore as CacheStore
    from storekit.stores.distributions import Constant as Constant
    from storekit.stores.distributions import Distribution as Distribution
    from storekit.stores.distributions import LogNormal as LogNormal
    from storekit.stores.distributions import Normal as Normal
    from storekit.stores.distributions import Pareto as Pareto
    from storekit.stores.distributions import Uniform as Uniform
    from storekit.stores.fault import Fault as Fault
    from storekit.stores.faults import Faults as Faults
    from storekit.stores.faults import Fired as Fired
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
    from storekit.stores.retry import RetryEvent as RetryEvent
    from storekit.stores.retry import RetryStore as RetryStore
    from storekit.stores.slow import SlowStore as SlowStore
    from storekit.stores.timeout import TimeoutStore as TimeoutStore
    from storekit.stores.trace import Trace as Trace
    from storekit.stores.trace import TraceStore as TraceStore
    from storekit.stores.trace_records import TraceRecord as TraceRecord
    from storekit.stores.urls import open_store as open_store
    from storekit.stores.urls import register_scheme as register_scheme
    from storekit.stores.wrapper import Call as Call
    from storekit.stores.wrapper import WrapperStore as WrapperStore
    from storekit.stores.zip import ZipStore as ZipStore

_HOMES = {
    "CacheStats": "stores.cache",
    "CacheStore": "stores.cache",
    "Call": "stores.wrapper",
    "ConditionalStore": "stores.base",
    "Constant": "stores.distributions",
    "Distribution": "stores.distributions",
    "Fault": "stores.fault",
    "Faults": "stores.faults",
    "FaultyStore": "stores.faulty",
    "Fired": "stores.faults",
    "FsspecStore": "stores.fsspec",
    "HTTPStore": "stores.http",
    "Latency": "stores.base",
    "LimitStore": "stores.limit",
    "Link": "stores.link",
    "ListableStore": "stores.base",
    "LocalStore": "stores.local",
    "LogNormal": "stores.distributions",
    "MemoryStore": "stores.memory",
    "MirrorStore": "stores.mirror",
    "Normal": "stores.distributions",
    "ObjectStore": "stores.object",
    "Outages": "stores.outages",
    "Pareto": "stores.distributions",
    "PrefixStore": "stores.prefix",
    "QuotaStore": "stores.quota",
    "ReadOnlyStore": "stores.read_only",
    "ReadableStore": "stores.base",
    "RecordStore": "stores.record",
    "Recording": "stores.record",
    "ReplayStore": "stores.replay",
    "RetryEvent": "stores.retry",
    "RetryStore": "stores.retry",
    "SlowStore": "stores.slow",
    "Store": "stores.base",
    "TimeoutStore": "stores.timeout",
    "Trace": "stores.trace",
    "TraceRecord": "stores.trace_records",
    "TraceStore": "stores.trace",
    "Uniform": "stores.distributions",
    "WrapperStore": "stores.wrapper",
    "WritableStore": "stores.base",
    "ZipStore": "stores.zip",
    "open_store": "stores.urls",
    "profiles": ":stores.profiles",
    "register_scheme": "stores.urls",
}

__all__ = [*_HOMES]

__getattr__ = loader(globals(), _HOMES)
