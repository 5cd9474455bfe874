"""Give a file a name that nothing has, in one step: renaming that refuses to replace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from errno import EEXIST

__all__ = ["rename_exclusive"]

_NOREPLACE = 1


def _make() -> Callable[[int, bytes, bytes], bool | None] | None:
    if sys.platform != "linux":
        return None
    try:
        import ctypes

        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (ImportError, AttributeError, OSError, TypeError):
        return None

    def rename(directory: int, old: bytes, new: bytes) -> bool | None:
        if renameat2(directory, old, directory, new, _NOREPLACE) == 0:
            return True
        return False if ctypes.get_errno() == EEXIST else None

    return rename


_rename = _make()  # Linux 3.15 and glibc 2.28


def rename_exclusive(directory: int, old: bytes, new: bytes) -> bool | None:
    """
    Rename a file within an open directory, if there is nothing of the new name.

    Returns:
        Whether there was nothing. None if that could not be done: not every system and file system
        (NFS) can; or there is no such file any more.
    """
    return None if _rename is None else _rename(directory, old, new)
