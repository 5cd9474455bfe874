"""One file for each library: how it does what the workloads ask for."""

from benchmarks.adapters.base import Adapter, Handle, Selection, UnsupportedError
from benchmarks.adapters.registry import PEERS, load

__all__ = ["PEERS", "Adapter", "Handle", "Selection", "UnsupportedError", "load"]
