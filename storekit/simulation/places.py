"""Where in its program a thread is, for messages."""

from __future__ import annotations

import os
import sys
import threading
import traceback

__all__ = ["is_alive", "place"]

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PYTHON = os.path.dirname(os.path.abspath(threading.__file__)) + os.sep


def is_alive(thread: int) -> bool:
    """Whether a thread with this identity runs Python."""
    return thread in sys._current_frames()


def place(thread: int | None) -> str:
    """The innermost line of a thread that is neither storekit's nor Python's."""
    if thread is None:
        return "a thread that has not begun"
    frame = sys._current_frames().get(thread)
    if frame is None:
        return "a thread that has ended without leaving"
    stack = traceback.extract_stack(frame)
    entry = next((entry for entry in reversed(stack) if _is_users(entry.filename)), stack[-1])
    return f"{entry.filename}:{entry.lineno} in {entry.name} ({entry.line})"


def _is_users(file: str) -> bool:
    python = file.startswith(_PYTHON) and f"{os.sep}site-packages{os.sep}" not in file
    return not python and not file.startswith((_OURS, "<frozen "))
