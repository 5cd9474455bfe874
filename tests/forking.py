"""Forked children in tests, out of sight of what measures coverage."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable


def in_child(work: Callable[[], object]) -> int:
    """
    Run something in a forked child, and return its exit code: 0, 1 if it raised, and negative if it
    hung for 20 seconds and was killed.

    What measures coverage has locks of its own, which other threads may hold at the moment of the
    fork, and which the child would wait for in vain. So it is not shown the child at all: neither
    its beginning nor its end.
    """
    trace = sys.gettrace()
    sys.settrace(None)
    child = os.fork()
    if child:
        sys.settrace(trace)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    end = "false"
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        work()
        end = "true"
    finally:
        os.execvp(end, [end])
