"""An archive that is being written; those who read it by its path see nothing of that meanwhile."""

from __future__ import annotations

import os
import zlib
from typing import Any, TypeAlias

from storekit.shared import Shared
from storekit.stores._forklock import fork_lock
from storekit.stores._key_tree import KeyTree
from storekit.stores._zip_archive import Archive, ConflictingNames
from storekit.stores._zip_directory import (
    DEFLATED,
    ENCRYPTED,
    HEADER,
    STORED,
    STREAMED,
    Entry,
    RefusedZip,
    header_size,
)
from storekit.stores._zip_draft import Draft, copy_bytes, write_at
from storekit.stores._zip_members import Members
from storekit.stores._zip_records import directory, header, new_entry
from storekit.stores._zip_source import FileSource
from storekit.typing import Value

__all__ = ["ChangedMeanwhile", "Closed", "Writer"]

_State: TypeAlias = tuple[int, ...]


class Closed(Exception):  # noqa: N818 - become StoreErrors, which say where
    """The archive is closed, or belongs to another process."""


class ChangedMeanwhile(Exception):  # noqa: N818
    """Somebody else has written the archive since it was read."""


class Writer(Shared):
    """
    One archive under change.

    Members are appended to a copy of the file (on file systems that share blocks, that costs
    nothing), which takes the place of the archive when it is complete. So the archive is at every
    moment one that every program can read, also after a crash.

    Threads: safe; one writes at a time. Reading takes no lock.
    """

    def __init__(self, path: str, mode: str, level: int | None, max_member_bytes: int) -> None:
        self.path, self.level, self.max_member_bytes = path, level, max_member_bytes
        self._lock = fork_lock()
        self._draft = Draft(path)
        self._base: _State | None = None  # the file that others see, as far as we know
        self._placed: FileSource | None = None  # what we have last put there, perhaps
        self._fresh = mode != "w"  # whether there must be no such file yet, if we know of none
        self.archive: Archive | None
        try:
            if mode == "x" and os.path.lexists(path):
                raise FileExistsError("there is something already")
            if os.path.isdir(path):
                raise IsADirectoryError("it is a directory")
            if mode == "a" and os.path.lexists(path):
                self._source = FileSource(path)
                self._base = _state(self._source)
                self.archive = Archive.opened(self._source, max_member_bytes)
            else:
                self._source = self._draft.begin(None, 0)
                self.archive = Archive(Members(self._source, max_member_bytes), {}, KeyTree())
        except BaseException:
            self._draft.close()
            raise
        # Whether the source is a file of our own, and whether it differs from the base.
        self._drafting = self._changed = self._base is None

    def _arguments(self) -> dict[str, Any]:
        rest = {"level": self.level, "max_member_bytes": self.max_member_bytes}
        return {"path": self.path, "mode": "a", **rest}

    def _current(self) -> Archive:
        if self.archive is None:
            raise Closed("the store is closed")
        if os.getpid() != self._draft.pid:
            raise Closed("only the process that opened the archive can write it")
        return self.archive

    def _editable(self) -> Archive:
        archive = self._current()
        if not self._drafting:
            self._source = self._draft.begin(self._source, archive.end)
            self.archive = archive = archive.moved(self._source)
            self._drafting = True
        return archive

    # --- changes ----------------------------------------------------------------------------------

    def set(self, key: str, value: Value) -> None:
        """
        Append a member, in place of any of this key.

        Raises:
            ConflictingNames: If the key cannot live beside the others.
        """
        method, packed, crc = STORED, value, zlib.crc32(value)
        if self.level is not None:
            deflated = _deflate(value, self.level)
            if len(deflated) < len(value):
                method, packed = DEFLATED, deflated
        with self._lock:
            archive = self._editable()
            facts = (method, crc, len(packed), len(value), archive.end)
            entry = new_entry(key, *facts)
            # If this fails, the next member is written over it.
            end = write_at(self._source.fd, archive.end, header(entry), packed)
            obstacle = None if key in archive.tree else archive.tree.add(key)
            if obstacle:
                raise ConflictingNames(f"cannot write {key!r}: {obstacle}")
            archive.end, self._changed = end, True
            archive.entries[key] = entry
            archive.entries.pop(f"{key}/", None)  # an empty directory is no obstacle

    def erase(self, key: str) -> None:
        """Drop a member, if it is there."""
        with self._lock:
            self._drop(self._current(), key)

    def erase_prefix(self, prefix: str) -> int:
        """Drop all members under a prefix."""
        with self._lock:
            archive = self._current()
            keys = list(archive.tree.under(prefix))
            for key in keys:
                self._drop(archive, key)
        return len(keys)

    def _drop(self, archive: Archive, key: str) -> None:
        if key in archive.entries:
            self._changed = True
            if key in archive.tree:  # Ctrl-C may have come between this and the next
                archive.tree.remove(key)
            del archive.entries[key]

    # --- publishing -------------------------------------------------------------------------------

    def flush(self) -> None:
        """
        Let others see what has changed, all at once.

        Raises:
            ChangedMeanwhile: If the file is not the one that was read.
        """
        with self._lock:
            self._current()
            if self._changed:
                self._publish(self._editable(), self._source)

    def compact(self) -> None:
        """Flush, and write the archive anew without what was replaced or erased."""
        with self._lock:
            self.flush()
            archive = self._current()
            target = self._draft.begin(self._source, 0)
            entries, position = {}, 0
            for entry in sorted(archive.entries.values(), key=lambda each: each.offset):
                moved = self._copy(entry, target, position)
                entries[moved.key] = moved
                position = moved.offset + len(header(moved)) + moved.packed
            members = Members(target, self.max_member_bytes)
            compacted = Archive(members, entries, archive.tree, position, archive.comment)
            self._publish(compacted, target)

    def _copy(self, entry: Entry, target: FileSource, position: int) -> Entry:
        if entry.flags & ENCRYPTED:
            raise RefusedZip("an archive with encrypted members is not compacted")
        span = entry.offset, entry.offset + HEADER.size + len(entry.name)
        start = entry.offset + header_size(entry, self._source.read([span])[0])
        moved = entry._replace(offset=position, flags=entry.flags & ~STREAMED)
        position = write_at(target.fd, position, header(moved))
        copy_bytes(self._source.fd, start, target.fd, position, entry.packed)
        return moved

    def _publish(self, archive: Archive, source: FileSource) -> None:
        records = directory(archive.entries.values(), archive.end, archive.comment)
        os.ftruncate(source.fd, write_at(source.fd, archive.end, records))
        now = _state_of(self.path)
        if self._placed is not None and now == _state(self._placed):
            self._base = now  # which an interrupt has kept us from noticing
        if self._base is not None and now != self._base:
            raise ChangedMeanwhile("another program has changed the archive meanwhile")
        # From here on nothing is written to this file any more, whatever happens: if it could not
        # take its place, or we were interrupted, the next change makes a copy.
        self._drafting = False
        self._placed = source
        try:
            self._draft.publish(source, fresh=self._fresh and self._base is None)
        except FileExistsError as error:
            raise ChangedMeanwhile("another program has made the archive meanwhile") from error
        self._base = _state(source)
        self.archive, self._source = archive, source
        self._changed = False
        self._draft.settle()

    def close(self) -> None:
        """Flush, and give everything back; also if that fails."""
        with self._lock:
            try:
                if self.archive is not None and os.getpid() == self._draft.pid:
                    self.flush()
            finally:
                self.archive = None
                self._draft.close()  # again, if it is closed: Ctrl-C may have come before this


def _state(source: FileSource) -> _State:
    return _facts(source.status)


def _state_of(path: str) -> _State | None:
    try:
        return _facts(os.stat(path))
    except FileNotFoundError:
        return None


def _facts(status: os.stat_result) -> _State:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _deflate(value: Value, level: int) -> bytes:
    stream = zlib.compressobj(level, zlib.DEFLATED, -15)
    return stream.compress(value) + stream.flush()
