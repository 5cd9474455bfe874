"""Descriptors that are closed when nobody needs them any more."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

__all__ = ["OpenFile"]


class OpenFile:
    """
    An open file, which stays what it is, whatever happens to its name.

    It is closed when nobody refers to it any more: so no thread reads from a descriptor that has
    become another file.

    Args:
        path: Of the file.

        flags: As of `os.open`.

        mode: Permissions of a file that is made, less the umask.

    Attributes:
        fd: The descriptor.
    """

    __slots__ = ("__del__", "__dict__", "__weakref__", "fd")

    # No method of ours: Ctrl-C at its begin would be ignored, and the file would stay open.
    __del__: Callable[[], None]

    def __init__(self, path: str, flags: int = os.O_RDONLY, mode: int = 0o666) -> None:
        # Without O_NONBLOCK one would wait for somebody at the other end of a pipe.
        self.fd = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, mode)
        self.__del__ = partial(os.close, self.fd)
