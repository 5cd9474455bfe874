"""
Whatever is in a frame: it is read, or it is an error of ours. Never a crash, never memory without
bound; and where there are checksums, or others say the same, never other data.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken_frames import Case, Sample, damages, forged, samples
from forking import in_child

from storekit.errors import StorekitError
from storekit.frames.buffer import BufferHome, in_memory
from storekit.frames.home import Home
from storekit.frames.log import LogHome
from storekit.frames.stored import StoredHome
from storekit.nodes.frame_array import FrameArray
from storekit.stores import MemoryStore
from storekit.stores.base import Latency
from storekit.typing import AnyArray

MOST = 1 << 22
"""Larger arrays are not read as a whole: that is what the caller asks for, not the frame."""

ROOM = 1 << 30
"""
How much the address space of the process may grow: a chunk that decodes to 2 GiB does not fit.
"""


class FarStore(MemoryStore):
    """A store from which ranges pay."""

    latency = Latency.NETWORK
    request_cost = 1.0


def homes(frame: bytes, folder: Path) -> Iterator[tuple[str, Callable[[], Home]]]:
    """All kinds of places in which a frame can be."""
    path = folder / "a.b2nd"
    path.write_bytes(frame)
    yield "file", lambda: LogHome(str(path), writable=True)
    yield "store", lambda: StoredHome(MemoryStore({"a": frame}), "a", writable=True)
    yield "far store", lambda: StoredHome(FarStore({"a": frame}), "a", writable=True)
    yield "memory", lambda: in_memory(BufferHome(frame).snapshot())
    yield "buffer", lambda: BufferHome(frame)


def faults(sample: Sample, case: Case, folder: Path) -> Iterator[str]:
    """What goes wrong with a broken frame that must not."""
    for name, home in homes(case.frame, folder):
        try:
            fault = _use(sample, case, home)
        except StorekitError:
            continue
        except BaseException as error:  # noqa: BLE001 - whatever it is
            fault = repr(error)
        if fault:
            yield f"{sample.name}, {case.label}, {name}: {fault}"


def _use(sample: Sample, case: Case, home: Callable[[], Home]) -> str:
    """Open, read, write and resize a frame; what is wrong about that."""
    array = FrameArray(home())
    same = array.shape == sample.array.shape and array.dtype == sample.array.dtype
    known = sample.sealed and not case.label.startswith("forged")
    # Of an array, all that these fields say stands elsewhere, too.
    known |= case.fixed and sample.name != "super-chunk"
    if known and not same:
        return f"another array, {array.shape} of {array.dtype}"
    frame = array.home.snapshot().frame
    for layer in frame.trailer.layers:
        _try(lambda: frame.trailer.layers[layer])  # noqa: B023
    window = tuple(slice(n // 3, n // 3 + 2) for n in array.shape)
    for key in (window, ...):
        if prod(array.shape) * array.dtype.itemsize > MOST and key is ...:
            continue
        found = _try(lambda: array[key])  # noqa: B023
        if known and found is not None and not _equal(found, sample.array[key]):
            return f"other data at {key}"
    # What is not damaged can be changed, and nothing else changes.
    zero = np.zeros((), array.dtype)[()]
    _write(array, window, zero)
    expected = sample.array.copy()
    if known:
        expected[window] = zero
        found = _try(lambda: array[...])
        if found is not None and not any(_equal(found, each) for each in (expected, sample.array)):
            return "other data after writing"
    _try(lambda: array.resize(tuple(n + 1 for n in array.shape)))
    _try(lambda: array[window])
    _try(lambda: array.resize(tuple(n // 2 for n in array.shape)))
    _try(lambda: array[window])
    return ""


def _write(array: FrameArray, key: Any, value: Any) -> None:
    def write() -> None:
        array[key] = value

    _try(write)


def _try(do: Callable[[], Any]) -> Any:
    """The result of what may be refused."""
    try:
        return do()
    except StorekitError:
        return None


def _equal(found: AnyArray, expected: AnyArray) -> bool:
    return found.tobytes() == np.ascontiguousarray(expected).tobytes()


def check(cases: Iterable[tuple[Sample, Case]], folder: Path) -> int:
    """Use broken frames in processes that may not use much memory; how many there were."""
    rest, count = iter(cases), 0
    now, report = folder / "now", folder / "report"
    report.touch()
    while some := list(islice(rest, 100)):
        count += len(some)

        def work(some: list[tuple[Sample, Case]] = some) -> None:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            most = pages * resource.getpagesize() + ROOM
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            with report.open("a") as file:
                for sample, case in some:
                    now.write_text(f"{sample.name}, {case.label}")
                    for fault in faults(sample, case, folder):
                        print(fault, file=file, flush=True)

        assert in_child(work) == 0, now.read_text()
    assert report.read_text() == ""
    return count


def all_cases(seed: int) -> Iterator[tuple[Sample, Case]]:
    """Every sample, with everything that may happen to it."""
    for sample in samples():
        for case in (*damages(sample), *forged(sample, seed)):
            yield sample, case


def test_a_sample_of_broken_frames(tmp_path: Path) -> None:
    """Of everything that can be broken, a little of each kind."""
    assert check(islice(all_cases(0), 0, None, 307), tmp_path) > 300


@pytest.mark.slow
def test_all_broken_frames(tmp_path: Path) -> None:
    """A quarter of all that can be broken, in every kind of place."""
    assert check(islice(all_cases(1), 3, None, 4), tmp_path) >= 20_000


def test_samples_are_whole(tmp_path: Path) -> None:
    """Nothing is wrong with the frames before they are broken."""
    for sample in samples():
        for name, home in homes(sample.frame, tmp_path):
            array = FrameArray(home())
            assert _equal(array[...], sample.array), (sample.name, name)
            assert array.home.snapshot().frame.sealed == sample.sealed
