"""
Where the processor's time goes in a bulk read: `perf` samples it, leaf by leaf, all threads.

Linux's `perf` sees what no profiler inside Python can: which shared library is running, and the
kernel below it. It samples only while a read is going on. Without `perf` this part says so.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.adapters import Adapter
from benchmarks.env import Env
from benchmarks.measure import Cell, run_round
from benchmarks.workloads import WORKLOADS, Trial

__all__ = ["INSIDE", "KINDS", "measure_profile", "shares"]

KINDS = ("codec", "copy", "system", "locks", "Python")
"""The last is the rest: the interpreter, and what numpy does around its copies."""

INSIDE = KINDS[:3]

_CODEC = re.compile(r"blosc|zstd|deflate|libz\b|libz[.-]|zlib|lz4|crc32c|isal|backend_c")
_COPY = re.compile(r"mem(cpy|move|set|cmp)|(contig|strided|aligned)\w*_to_|array_assign_array")
_FRAME = re.compile(r"\s+[0-9a-f]+ (?P<symbol>.*) \((?P<library>.*)\)$")


def measure_profile(adapter: Adapter, env: Env) -> dict[str, dict[str, float]] | str:
    """For each bulk read the share of each of `KINDS`, or why there is none."""
    if shutil.which("perf") is None:
        return "perf is not installed"
    result = {}
    for workload in WORKLOADS:
        if workload.name.startswith("bulk read"):
            trial = workload.prepare(env, adapter)
            run_round(trial, Cell())
            try:
                result[workload.name] = _profile(trial, env.sizes.sampled)
            except (OSError, subprocess.CalledProcessError) as error:
                return f"perf cannot be used here: {error}"
    return result


def shares(script: str) -> dict[str, float]:
    """Of each of `KINDS` in what `perf script -F ip,sym,dso` prints."""
    kinds = Counter(map(_kind, _stacks(script.splitlines())))
    return {kind: kinds[kind] / max(1, kinds.total()) for kind in KINDS}


def _stacks(lines: Iterable[str]) -> Iterator[list[tuple[str, str]]]:
    """For each sample its frames, the innermost first: a symbol and the library it is in."""
    stack: list[tuple[str, str]] = []
    for line in [*lines, ""]:
        match = _FRAME.match(line)
        if match:
            stack.append((match["symbol"], Path(match["library"]).name))
        elif stack:
            yield stack
            stack = []


def _kind(stack: list[tuple[str, str]]) -> str:
    symbol, library = stack[0]
    if any("futex" in outer for outer, _ in stack):
        return "locks"
    if library.startswith("["):
        return "system"
    if _CODEC.search(library):
        return "codec"
    if _COPY.search(symbol):
        return "copy"
    return "Python"


def _profile(trial: Trial, seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/perf.data"
        with _perf(folder, data) as tell:
            spent = 0.0
            while spent < seconds:
                given = trial.setup()
                tell("enable")
                start = time.perf_counter()
                trial.run(given)
                spent += time.perf_counter() - start
                tell("disable")
        script = ["perf", "script", "-i", data, "-F", "ip,sym,dso"]
        return shares(subprocess.run(script, capture_output=True, text=True, check=True).stdout)


@contextmanager
def _perf(folder: str, data: str) -> Iterator[Callable[[str], None]]:
    """A `perf record` of this process that does what it is told, and waits before."""
    pipes = [f"{folder}/control", f"{folder}/answers"]
    for pipe in pipes:
        os.mkfifo(pipe)
    # Opened in both directions, so that neither side has to wait for the other.
    control, answers = (os.open(pipe, os.O_RDWR) for pipe in pipes)
    command = ["perf", "record", "-q", "-g", "-F", "997", "-p", str(os.getpid()), "-o", data]
    child = subprocess.Popen(
        [*command, "--delay=-1", f"--control=fifo:{pipes[0]},{pipes[1]}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def tell(word: str) -> None:
        os.write(control, f"{word}\n".encode())
        if not select.select([answers], [], [], 10)[0]:
            raise OSError("it does not answer")
        os.read(answers, 64)

    try:
        yield tell
    finally:
        child.send_signal(signal.SIGINT)
        child.wait()
        os.close(control)
        os.close(answers)
