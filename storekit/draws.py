"""Random numbers that depend on what they are for, not on who asks first."""

from __future__ import annotations

import threading
from collections import Counter
from hashlib import blake2b

__all__ = ["Draws"]


class Draws:
    """
    Random numbers, each named by words and by how often these words have been used.

    A thread that is faster, or one more request somewhere else, changes no number of another name.
    (A generator that threads share gives each run numbers of its own.)

    Args:
        seed: Other seeds, other numbers.

    Threads: safe. Remembers each name, which is a few hundred bytes for each.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._uses: Counter[tuple[object, ...]] = Counter()
        self._lock = threading.Lock()

    def uniform(self, *name: object) -> float:
        """A number from the open interval of 0 and 1, for the next use of a name."""
        with self._lock:
            self._uses[name] += 1
            use = self._uses[name]
        digest = blake2b(repr((self.seed, name, use)).encode(), digest_size=8).digest()
        # 53 bits, in the middle of their step, so that 0 never comes: logarithms are taken of it.
        return ((int.from_bytes(digest) >> 11) + 0.5) / (1 << 53)
