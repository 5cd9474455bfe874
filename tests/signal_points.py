"""Ctrl-C at every moment of a statement at which Python looks for it, but for the ends of loops."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


def interrupted(
    statement: Callable[[], object], moment: int, *files: str
) -> KeyboardInterrupt | None:
    """
    Run a statement with Ctrl-C at the n-th moment, and return that; None if it was through before.

    The moments are those when a function of Python begins and when one of C returns. There a
    profiler can raise, and what it raises takes the way of a signal: not so a tracer, whose lines
    also begin where no signal is seen, such as at the end of a `with`, before its lock is free.

    Args:
        statement: What is run, in this thread.

        moment: Counted from 0.

        files: How the names end of source files whose moments count. Defaults to all.
    """
    seen = -1
    place = ""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        nonlocal seen, place
        file = frame.f_code.co_filename
        if event in ("call", "c_return") and file.endswith(files or "") and file != __file__:
            seen += 1
            if seen == moment:
                place = f"{file}:{frame.f_lineno}"
                raise KeyboardInterrupt

    before = sys.getprofile()
    collects = gc.isenabled()
    gc.disable()  # what others have called for each collection is no moment of the statement
    sys.setprofile(profile)
    try:
        statement()
    except KeyboardInterrupt as error:
        return error
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    assert not place, f"Ctrl-C was ignored at {place}"
    return None


def in_time(statement: Callable[[], T]) -> T:
    """Run a statement in another thread, which may not take 20 seconds."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(statement())
        except BaseException as error:  # noqa: BLE001 - raised by the one who waits
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done.result(20)
