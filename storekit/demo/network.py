"""
One real array, read over five networks by 1, 8 and 64 requests at once.

Each read is the same line of code, ``array[...]``, over a `SlowStore` with a profile as its link.
Its time is virtual. It is compared with what a pencil finds, and one of them with real time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from storekit.clock import REAL_CLOCK, Clock
from storekit.errors import MissingExtraError
from storekit.nodes.zarr_array import ZarrArray
from storekit.simulation import VirtualClock
from storekit.stores import profiles
from storekit.stores.link import Link
from storekit.stores.memory import MemoryStore
from storekit.stores.slow import SlowStore

__all__ = ["IN_FLIGHT", "PROFILES", "Reading", "expected_seconds", "read", "run", "terrain"]

PROFILES = ("devtools_slow_4g", "lte", "cable", "cross_continent", "s3_express")
IN_FLIGHT = (1, 8, 64)
_REAL = ("cross_continent", 8)
"""What is read in real time, too; it takes 1.2 s."""

_SHAPE, _CHUNK = (320, 384), (40, 48)
_CHUNKS = math.prod(_SHAPE) // math.prod(_CHUNK)
_CHUNK_SIZE = 4 * math.prod(_CHUNK)  # bytes; uncompressed, so that all chunks take the same time


@dataclass(frozen=True)
class Reading:
    """
    One read of the array.

    Attributes:
        profile: The name of the link's profile.

        in_flight: How many requests at once.

        seconds: How long it took, by its clock.

        expected: How long it should take, in seconds.
    """

    profile: str
    in_flight: int
    seconds: float
    expected: float

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return _CHUNKS * _CHUNK_SIZE / self.seconds


def terrain(store: MemoryStore) -> ZarrArray:
    """
    The elevations around the Jacksboro fault, which ship with matplotlib, as 64 chunks of 7680
    bytes.

    Raises:
        MissingExtraError: Without matplotlib.
    """
    try:
        from matplotlib.cbook import get_sample_data
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "the demo needs matplotlib: pip install 'storekit[demo]'", name="matplotlib"
        ) from error
    source: Any = get_sample_data("jacksboro_fault_dem.npz")
    with source as dem:
        data = dem["elevation"][: _SHAPE[0], : _SHAPE[1]].astype("f4")
    return ZarrArray.create(store, "terrain", data=data, chunks=_CHUNK, codecs="none")


def expected_seconds(link: Link, in_flight: int) -> float:
    """
    How long the array takes by hand.

    Rounds of requests follow each other. Each takes the latency, and the time of a chunk by the
    bandwidth of a connection, or by its share of the link if that is less.
    """
    rounds = math.ceil(_CHUNKS / in_flight)
    together = min(in_flight, _CHUNKS)
    slowest = max(1 / (link.per_connection or math.inf), together / (link.down or math.inf))
    return rounds * (link.delay.mean + _CHUNK_SIZE * slowest)


def read(array: ZarrArray, profile: str, in_flight: int, clock: Clock) -> Reading:
    """Read the whole array over the link of a profile, and look whether it is what it was."""
    link = replace(profiles.by_name(profile), max_connections=in_flight)
    far = ZarrArray(SlowStore(array.store, link=link, clock=clock), array.path)
    begin = clock.now()
    data = far[...]
    seconds = clock.now() - begin
    if not np.array_equal(data, array[...]):
        raise ValueError(f"what came over {profile} is not what was stored")
    return Reading(profile, in_flight, seconds, expected_seconds(link, in_flight))


def run(picture: Path, *, real: bool) -> None:
    """Read, print a table, and draw it."""
    array = terrain(MemoryStore())
    begin = REAL_CLOCK.now()
    readings = [
        read(array, profile, in_flight, VirtualClock())
        for profile in PROFILES
        for in_flight in IN_FLIGHT
    ]
    took = REAL_CLOCK.now() - begin
    print(table(readings))
    simulated = sum(reading.seconds for reading in readings)
    print(f"\n{simulated:.1f} simulated seconds took {took:.2f} s.")
    check = None
    if real:
        read(array, "lan", _REAL[1], REAL_CLOCK)  # so that the threads are there
        check = read(array, *_REAL, REAL_CLOCK)
        off = check.seconds / check.expected - 1
        print(
            f"In real time {check.profile} with {check.in_flight} in flight took "
            f"{check.seconds:.3f} s, {off:+.1%} from the formula."
        )
    draw(readings, check, picture)
    print(f"Picture: {picture}")


def table(readings: Sequence[Reading]) -> str:
    """Throughput in kB/s, a line for each profile, and the greatest distance from the formula."""
    lines = [
        f"{_CHUNKS} chunks of {_CHUNK_SIZE} bytes, kB/s by requests in flight",
        f"{'':18}{''.join(f'{n:>10}' for n in IN_FLIGHT)}   from formula",
    ]
    for profile in PROFILES:
        mine = [reading for reading in readings if reading.profile == profile]
        rates = "".join(f"{reading.rate / 1000:10.1f}" for reading in mine)
        off = max(abs(reading.seconds / reading.expected - 1) for reading in mine)
        lines.append(f"{profile:18}{rates}   {off:.3%}")
    return "\n".join(lines)


def draw(readings: Sequence[Reading], real: Reading | None, path: Path) -> None:
    """Throughput against requests in flight: lines by the formula, dots as simulated."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes: Any = figure.add_subplot()
    counts = 2 ** np.arange(7)
    for profile in PROFILES:
        link = profiles.by_name(profile)
        size = _CHUNKS * _CHUNK_SIZE
        rates = [size / expected_seconds(link, int(count)) / 1000 for count in counts]
        (line,) = axes.plot(counts, rates, label=profile)
        mine = [reading for reading in readings if reading.profile == profile]
        dots = [reading.rate / 1000 for reading in mine]
        axes.plot(IN_FLIGHT, dots, "o", color=line.get_color())
    if real is not None:
        axes.plot(real.in_flight, real.rate / 1000, "kx", markersize=10, label="in real time")
    axes.set(xscale="log", yscale="log", xlabel="requests in flight", ylabel="kB/s")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set_title("A terrain over five networks: lines by the formula, dots as simulated")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)
