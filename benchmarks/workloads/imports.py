"""What a program waits for that only reads one small array: the import, and all that is lazy."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from benchmarks.adapters import Adapter, UnsupportedError
from benchmarks.data import field
from benchmarks.env import Env
from benchmarks.layout import DTYPE, Layout
from benchmarks.workloads.base import Trial, Workload, expect

__all__ = ["WORKLOADS"]

_SCRIPT = """
import sys, time, numpy
path = sys.argv[1]
start = time.perf_counter()
{}
print(time.perf_counter() - start, a.tobytes().hex())
"""


def _first_read(env: Env, adapter: Adapter) -> Trial:
    if adapter.first_read is None:
        raise UnsupportedError
    layout = Layout((16, 16, 16), (16, 16, 16))
    path = env.stored(adapter, layout)
    command = [sys.executable, "-c", _SCRIPT.format(adapter.first_read), str(path)]
    # The round that is not counted compiles, for the installed libraries and for this folder alike.
    variables = os.environ | {"PYTHONPYCACHEPREFIX": str(env.disk / "pycache")}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)

    def check(result: list[bytes]) -> None:
        found = np.frombuffer(bytes.fromhex(result[1].decode()), DTYPE)
        expect(found.reshape(layout.shape), field(layout.shape))

    return Trial(
        setup=lambda: command,
        run=lambda command: subprocess.check_output(command, env=variables).split(),
        check=check,
        seconds=lambda result: float(result[0]),
    )


WORKLOADS = [Workload("import and first read, beyond numpy", "ms", _first_read)]
