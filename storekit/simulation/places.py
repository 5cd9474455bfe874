"""Where in its program a thread is, for messages."""

from __future__ import annotations

import gc
import os
import sys
import threading
import traceback
from types import FrameType

__all__ = ["is_alive", "place"]

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_OURS = os.path.dirname(_HERE[:-1]) + os.sep
_PYTHON = os.path.dirname(os.path.abspath(threading.__file__)) + os.sep


def is_alive(thread: int) -> bool:
    """Whether a thread with this identity runs Python."""
    return thread in _frames()


def place(thread: int | None) -> str:
    """
    The innermost line of a thread that is neither storekit's nor Python's.

    If there is none, because a method of a store is the task of a thread, it is the line there.
    """
    if thread is None:
        return "a thread that has not begun"
    frame = _frames().get(thread)
    if frame is None:
        return "a thread that has ended without leaving"
    stack = traceback.extract_stack(frame)
    others = [entry for entry in stack if not _is_pythons(entry.filename)]
    theirs = [entry for entry in others if not entry.filename.startswith(_OURS)]
    entry = (theirs or [e for e in others if not e.filename.startswith(_HERE)] or stack)[-1]
    return f"{entry.filename}:{entry.lineno} in {entry.name} ({entry.line})"


def _is_pythons(file: str) -> bool:
    is_installed = f"{os.sep}site-packages{os.sep}" in file
    return file.startswith("<frozen ") or (file.startswith(_PYTHON) and not is_installed)


def _frames() -> dict[int, FrameType]:
    # Python 3.11 (gh-106883) holds a lock meanwhile, for which it would wait for ever if a garbage
    # collection came across a `threading.local`. Every simulation that is forgotten has one.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames()
    finally:
        if was_enabled:
            gc.enable()
