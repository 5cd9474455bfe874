"""Time that is simulated: a clock, and threads that take turns by it."""

from storekit.simulation.clock import VirtualClock

__all__ = ["VirtualClock"]
