"""An archive that was opened: its members by key."""

from __future__ import annotations

from storekit.stores._key_tree import KeyTree
from storekit.stores._zip_directory import DamagedZip, Entry, read_directory
from storekit.stores._zip_end import TAIL, find_end
from storekit.stores._zip_members import Members
from storekit.stores._zip_source import Source

__all__ = ["Archive", "ConflictingNames"]

_FIRST = max(TAIL, 1 << 17)  # bytes at the end that are read first: most directories, as a whole


class ConflictingNames(Exception):  # noqa: N818 - becomes a KeyConflictError
    """A name is the prefix of another."""


class Archive:
    """
    Args:
        members: What reads them.

        entries: By key; directories, too, whose keys end with a slash.

        tree: Of the keys.

        end: Where the members end and the directory begins.

        comment: Of the archive.
    """

    def __init__(
        self,
        members: Members,
        entries: dict[str, Entry],
        tree: KeyTree,
        end: int = 0,
        comment: bytes = b"",
    ) -> None:
        self.members, self.entries, self.tree = members, entries, tree
        self.end, self.comment = end, comment

    @classmethod
    def opened(cls, source: Source, max_member_bytes: int) -> Archive:
        """The archive in a source: one read if its directory is not too long, else two."""
        tail = source.tail(_FIRST)
        end = find_end(tail)
        start = end.offset if source.size is None else source.size - end.behind - end.size
        if start < end.offset:
            raise DamagedZip("it is shorter than it says")
        length = end.size + end.behind
        last = tail[-length:]
        if length > len(tail):
            last = bytes(source.read([(start, start + length)])[0])
            if len(last) != length or not last.endswith(tail):
                raise DamagedZip("its directory is not where it should be")
        entries = read_directory(last[: end.size], end.entries, start - end.offset, start)
        found: dict[str, Entry] = {}
        tree = KeyTree()
        for entry in entries:
            if entry.key not in found and not entry.key.endswith("/"):
                obstacle = tree.add(entry.key)
                if obstacle:
                    raise ConflictingNames(f"{entry.key!r}: {obstacle}")
            found[entry.key] = entry  # of a name that comes twice the last one counts
        return cls(Members(source, max_member_bytes), found, tree, start, end.comment)

    def moved(self, source: Source) -> Archive:
        """The same members in another file. The tree is shared: only one of the two may change."""
        members = Members(source, self.members.max_member_bytes)
        return Archive(members, dict(self.entries), self.tree, self.end, self.comment)
