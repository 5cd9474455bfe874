"""
Give a file a name that no file has, in one step: renaming that refuses to replace.

It needs no lock: whoever checks a version under the lock checks that of a file that is there, and
then this refuses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

__all__ = ["rename_exclusive"]

_NOREPLACE = 1


def _find() -> Callable[[int, bytes, int, bytes, int], int] | None:
    """The call of the system, of Linux 3.15 and glibc 2.28; not every file system has it (NFS)."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes

        call: Callable[[int, bytes, int, bytes, int], int] = ctypes.CDLL(None).renameat2
    except (ImportError, AttributeError, OSError, TypeError):
        return None
    return call


_renameat2 = _find()


def rename_exclusive(directory: int, old: bytes, new: bytes) -> bool:
    """
    Rename a file within an open directory, if there is nothing of the new name.

    Returns:
        False if that could not be done, for whatever reason; nothing has happened then.
    """
    if _renameat2 is None:
        return False
    return _renameat2(directory, old, directory, new, _NOREPLACE) == 0
