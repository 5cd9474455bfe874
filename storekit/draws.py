"""Random numbers that depend on what they are for, not on who asks first."""

from __future__ import annotations

from hashlib import blake2b
from itertools import count
from operator import index
from typing import SupportsIndex

__all__ = ["Draws"]


class Draws:
    """
    Random numbers, each named by words and by how often these words have been used.

    A thread that is faster, or one more request somewhere else, changes no number of another name.
    (A generator that threads share gives each run numbers of its own.)

    Args:
        seed: Other seeds, other numbers.

    Raises:
        ValueError: If the seed is no int.

    Threads: safe. Remembers each name, which is a few hundred bytes for each.
    """

    def __init__(self, seed: int = 0) -> None:
        if isinstance(seed, bool) or not isinstance(seed, SupportsIndex):
            raise ValueError(f"seed must be an int, found {seed!r}")
        self.seed = index(seed)
        self._uses: dict[tuple[object, ...], count[int]] = {}

    def uniform(self, *name: object) -> float:
        """A number from the open interval of 0 and 1, for the next use of a name."""
        # Two single steps of the interpreter, so that there is no lock for a fork to come across.
        use = next(self._uses.setdefault(name, count(1)))
        digest = blake2b(repr((self.seed, name, use)).encode(), digest_size=8).digest()
        # 52 bits, in the middle of their step, so that neither 0 nor 1 ever comes: logarithms are
        # taken of it. Of 53 bits the last ones would be rounded to 1.
        return ((int.from_bytes(digest) >> 12) + 0.5) / (1 << 52)
