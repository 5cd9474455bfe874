"""The directories of sparse frames: told from others, cleared, replaced and removed."""

from __future__ import annotations

import os
from contextlib import suppress

from storekit.errors import NodeTypeError, ReadOnlyError
from storekit.frames.sparse import SPARSE_INDEX, chunk_number
from storekit.keys import RESERVED
from storekit.stores.base import ListableStore, ReadableStore, WritableStore

__all__ = ["erase_sparse", "is_sparse", "remove_leftovers", "remove_sparse", "replace_sparse"]


def is_sparse(path: str) -> bool:
    """
    Whether there is a directory with a sparse frame and nothing else, or with what is left of one
    whose writer was killed.
    """
    try:
        _files(path)
    except (NodeTypeError, OSError):
        return False
    return True


def remove_leftovers(path: str) -> None:
    """Remove the temporary files of killed writers. One that is alive writes its file again."""
    for name in os.listdir(path):
        if name.startswith(RESERVED):
            _unlink(path, name)


def remove_sparse(path: str) -> None:
    """
    Remove a sparse frame. The index goes first: a removal that breaks off leaves no frame that
    looks whole, and can be repeated.

    Raises:
        NodeTypeError: If anything else is there. Then nothing is removed.
    """
    for name in _files(path):
        _unlink(path, name)
    os.rmdir(path)


def replace_sparse(path: str, file: str) -> None:
    """
    Put a file in the place of a sparse frame.

    No call of the system does that at once: who looks in between finds nothing. If we are killed
    there, the old frame is left beside, under the name of the file and ``.old``.

    Raises:
        NodeTypeError: If anything else is there.
    """
    _files(path)
    aside = f"{file}.old"
    os.rename(path, aside)
    try:
        os.rename(file, path)
    except BaseException:
        os.rename(aside, path)
        raise
    remove_sparse(aside)


def erase_sparse(store: ReadableStore, prefix: str) -> None:
    """
    As `remove_sparse`, in a store. What else is there stays.

    Args:
        store: Where the frame is. If it cannot list its keys, the chunks stay.

        prefix: Of the frame, without a slash at the end.

    Raises:
        ReadOnlyError: If the store cannot be written.
    """
    if not isinstance(store, WritableStore):
        raise ReadOnlyError("the store cannot be written", store=store, op="erase")
    base = f"{prefix}/" if prefix else ""
    store.erase(base + SPARSE_INDEX)
    if isinstance(store, ListableStore):
        keys = store.list_dir(base)
        chunks = [key for key in keys if chunk_number(key[len(base) :]) is not None]
        if len(chunks) == len(keys):
            store.erase_prefix(base)  # temporary files, too
        else:
            store.erase_values(chunks)


def _files(path: str) -> list[str]:
    """The names of all files in the directory, the index first."""
    with os.scandir(path) as entries:
        files = {entry.name: not entry.is_dir(follow_symlinks=False) for entry in entries}
    own = [name for name in files if name == SPARSE_INDEX or chunk_number(name) is not None]
    known = {name for name in files if name in own or name.startswith(RESERVED)}
    others = sorted(name for name, is_file in files.items() if name not in known or not is_file)
    if others or not own:
        detail = f", it holds {others[0]!r}" if others else ""
        raise NodeTypeError(f"the directory {path!r} is no sparse frame{detail}")
    return sorted(files, key=lambda name: (name != SPARSE_INDEX, name))


def _unlink(path: str, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(path, name))
