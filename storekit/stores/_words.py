"""
A few bytes of a file changed where they are: what no reader can see half done.

A part within one aligned word of 8 bytes is one store of the processor, and so is the reading of
it. Anything longer could be seen half written, and is replaced as a whole. Why this is safe, and
what it rests on: ``docs/decisions/0006-in-place-words.md``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from storekit.stores._files import is_value, lock, next_stamp, unlock
from storekit.stores._nolinks import O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK
from storekit.typing import Value

__all__ = ["in_one_word", "write_word"]

_WORD = 8
_CHANGE = os.O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
# Where it is known how the kernel copies to and from its page cache.
_KNOWN = sys.platform == "linux" and os.uname().machine in ("x86_64", "aarch64")


def in_one_word(start: int, size: int) -> bool:
    """Whether a part, not empty, lies in one aligned word, on a system that keeps words whole."""
    return _KNOWN and size > 0 and start // _WORD == (start + size - 1) // _WORD


def write_word(
    directory: int,
    name: bytes,
    start: int,
    part: Value,
    now_ns: Callable[[], int],
    *,
    durable: bool,
) -> bool:
    """
    Write a part that is `in_one_word` into a file of an open directory.

    Returns:
        False if that could not be done, or not safely; nothing has happened then.

    Raises:
        OSError: If the disk fails while it is done.
    """
    try:
        locked = lock(directory)
    except OSError:
        return False
    try:
        if not locked:
            return False
        try:
            fd = os.open(name, _CHANGE, dir_fd=directory)
        except OSError:  # absent, a link, read-only: the ordinary way knows what to do
            return False
        try:
            return _change(fd, start, part, now_ns, durable)
        finally:
            os.close(fd)
    finally:
        unlock(directory)


def _change(fd: int, start: int, part: Value, now_ns: Callable[[], int], durable: bool) -> bool:
    status = os.fstat(fd)
    if (
        not is_value(status)
        or status.st_nlink != 1  # other names of the file must not change with it
        or status.st_uid != os.geteuid()  # only the owner may set times
        # Perhaps rounded, by a file system whose times would not tell two changes apart.
        or status.st_mtime_ns % 100 == 0
    ):
        return False
    place, inside = start & -_WORD, start % _WORD
    word = os.pread(fd, _WORD, place)
    if len(word) < _WORD:  # less than a word is copied byte by byte
        return False
    os.pwrite(fd, b"".join((word[:inside], part, word[inside + len(part) :])), place)
    # The data first, then the time: who has read old data with the old time, or with the one that
    # the kernel has set in between, finds another one when comparing.
    after = max(status.st_mtime_ns, os.fstat(fd).st_mtime_ns)
    stamp = next_stamp(now_ns(), after)
    os.utime(fd, ns=(stamp, stamp))
    if durable:
        os.fsync(fd)
    return True
