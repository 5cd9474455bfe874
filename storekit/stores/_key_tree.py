"""Keys as a tree of prefixes: which keys can live together, and what lies where."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

__all__ = ["KeyTree"]


class KeyTree:
    """
    A set of keys, of which none is the prefix of another.

    Threads: one may change it at a time. Others may list meanwhile: a key that stays is listed.
    """

    def __init__(self) -> None:
        self._children: dict[str, dict[str, None]] = {"": {}}  # by prefix: keys and prefixes in it

    def __contains__(self, key: str) -> bool:
        return key in self._children.get(_parent(key), ())

    def add(self, key: str) -> str | None:
        """Add a key that is not there; or return the reason why it cannot live here."""
        if key + "/" in self._children:
            return f"there are keys under {key + '/'!r}"
        missing = {}
        child, prefix = key, _parent(key)
        while prefix not in self._children:
            if prefix[:-1] in self:
                return f"{prefix[:-1]!r} is a key"
            missing[prefix] = {child: None}
            child, prefix = prefix, _parent(prefix[:-1])
        # The new branch is whole before it can be found. No loop, nor a call: after them Ctrl-C may
        # come, and half a branch would stay.
        self._children |= missing
        self._children[prefix][child] = None
        return None

    def remove(self, key: str) -> None:
        """Remove a key that is there, and the prefixes that hold nothing then."""
        empty = []
        child, prefix = key, _parent(key)
        while prefix and len(self._children[prefix]) == 1:
            empty.append(prefix)
            child, prefix = prefix, _parent(prefix[:-1])
        deletions = map(self._children.__delitem__, empty)
        del self._children[prefix][child]
        deque(deletions, 0)  # no loop, either

    def under(self, prefix: str) -> Iterator[str]:
        """All keys under a prefix."""
        pending = [prefix]
        while pending:
            for child in self.directly(pending.pop()):
                if child.endswith("/"):
                    pending.append(child)
                else:
                    yield child

    def directly(self, prefix: str) -> list[str]:
        """The keys directly under a prefix, and the prefixes there."""
        return list(self._children.get(prefix, ()))  # one step of the interpreter


def _parent(path: str) -> str:
    return path[: path.rfind("/") + 1]
