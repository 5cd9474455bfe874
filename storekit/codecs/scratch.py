"""Memory that a thread uses again for the next chunk instead of asking the system for more."""

from __future__ import annotations

import threading

import numpy as np

from storekit.typing import AnyArray

__all__ = ["MAX_BYTES", "borrow", "give_back"]

MAX_BUFFERS = 4
MAX_BYTES = 64 << 20
"""Larger buffers are not kept."""


class _Free(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[int, AnyArray] = {}


_free = _Free()


def borrow(size: int) -> AnyArray:
    """
    A buffer of `size` bytes, holding anything. Nobody else has it until it is given back.

    A buffer that is never given back is not lost; it only is not used again.
    """
    buffer = _free.buffers.pop(size, None)
    return np.empty(size, np.uint8) if buffer is None else buffer


def give_back(buffer: AnyArray) -> None:
    """Let the thread use a borrowed buffer again; nobody may keep a view of it."""
    size = buffer.size
    if size > MAX_BYTES:
        return
    buffers = _free.buffers
    buffers[size] = buffer
    if len(buffers) > MAX_BUFFERS:
        del buffers[next(iter(buffers))]  # the one unused for longest
