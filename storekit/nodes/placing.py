"""How nodes appear in a hierarchy, and how they go: documents and the keys below them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from storekit.errors import ConflictError, NodeExistsError, NodeNotFoundError, ReadOnlyError
from storekit.nodes.locks import value_lock
from storekit.nodes.lookup import Metadata, check_store, load_document
from storekit.nodes.metadata import ArrayMetadata, GroupMetadata
from storekit.nodes.naming import document_key
from storekit.stores.base import ConditionalStore, ListableStore, ReadableStore, WritableStore

__all__ = [
    "Mark",
    "check_vacant",
    "create_document",
    "make_parents",
    "node_exists",
    "put_document",
    "remove_document",
    "remove_node",
    "undo_after",
    "writable",
]

Mark: TypeAlias = str | bytes
"""What tells whether a document is still that which was written: its version, where it has one."""


def create_document(
    store: ReadableStore, path: str, metadata: Metadata, *, overwrite: bool
) -> Mark:
    """
    Write the document of a new node, and groups above it where there are none.

    Returns:
        The mark of the document.

    Raises:
        NodeExistsError: If something is at the path and must not be overwritten, or an array lies
            above it.

        ReadOnlyError: If the store cannot be written.
    """
    check_store(store)
    document = metadata.to_bytes()
    make_parents(store, path)
    if overwrite:
        remove_node(store, path)
    elif isinstance(metadata, ArrayMetadata):
        check_vacant(store, path)
    return put_document(store, path, document)


def make_parents(store: ReadableStore, path: str) -> None:
    """
    Write a group document at every ancestor below the nearest one that is a node.

    Raises:
        NodeExistsError: If that is an array.

        ReadOnlyError: If the store cannot be written.
    """
    missing: list[str] = []
    parent = path
    while parent:
        parent = parent.rpartition("/")[0]
        try:
            found = load_document(store, parent)
        except NodeNotFoundError:
            missing.append(parent)
            continue
        if isinstance(found, ArrayMetadata):
            raise NodeExistsError(f"cannot create {path!r}: {parent!r} is an array")
        break
    for parent in reversed(missing):
        try:
            put_document(store, parent, GroupMetadata().to_bytes())
        except NodeExistsError:
            if isinstance(load_document(store, parent), ArrayMetadata):
                raise  # somebody else was faster, and made it an array


def put_document(store: ReadableStore, path: str, document: bytes) -> Mark:
    """
    Let a node appear.

    Returns:
        The mark of its document.

    Raises:
        NodeExistsError: If there is one already.

        ReadOnlyError: If the store cannot be written.
    """
    target, key = writable(store, "set"), document_key(path)
    try:
        if isinstance(target, ConditionalStore):
            return target.compare_and_set(key, document, None) or ""
        taken = store.exists(key)
    except ConflictError:
        taken = True
    if taken:
        raise node_exists(store, path)
    target.set(key, document)
    return document


def remove_document(store: ReadableStore, path: str, mark: Mark) -> None:
    """
    Let a node disappear again.

    Args:
        store: Where it is.

        path: The path in it.

        mark: That of its document.

    Raises:
        ConflictError: If others have changed the document meanwhile.
    """
    target, key = writable(store, "erase"), document_key(path)
    if isinstance(target, ConditionalStore):
        target.compare_and_set(key, None, str(mark))
        return
    with value_lock(target, key):
        if bytes(store.get(key)) != mark:
            raise ConflictError("others have changed it", store=store, op="erase", key=key)
        target.erase(key)


def undo_after(error: BaseException, undo: Callable[[], object], what: str) -> None:
    """
    Take back what was begun, after an error that is to be raised, whatever comes of this.

    Args:
        error: What went wrong. It gets a note if nothing can be taken back.

        undo: What takes it back.

        what: For the note.
    """
    try:
        undo()
    except Exception as second:  # noqa: BLE001 - the first error must not be hidden
        error.add_note(f"{what} cannot be taken back: {type(second).__name__}: {second}")


def remove_node(store: ReadableStore, path: str) -> None:
    """
    Remove a node and all below it; nothing happens if there is none.

    The document goes first: a removal that breaks off leaves no node that looks whole.
    """
    target = writable(store, "erase_prefix")
    target.erase(document_key(path))
    target.erase_prefix(f"{path}/" if path else "")


def check_vacant(store: ReadableStore, path: str) -> None:
    """
    Check that there are no keys below a path, as far as the store can list them: an array made
    where some are left over would take them for its chunks.

    Raises:
        NodeExistsError: If there are.
    """
    if isinstance(store, ListableStore):
        found = store.list_dir(f"{path}/" if path else "")
        if document_key(path) in found:
            raise node_exists(store, path)
        if found:
            raise NodeExistsError(
                f"{store!r}: {path!r} has no node, but keys below it, such as {found[0]!r};"
                " overwrite=True removes them"
            )


def node_exists(store: ReadableStore, path: str) -> NodeExistsError:
    """The error for a node that is in the way."""
    text = f"there is a node at {path!r} already; overwrite=True removes it"
    return NodeExistsError(f"{store!r}: {text}")


def writable(store: ReadableStore, op: str) -> WritableStore:
    """
    The store, as one that can be written.

    Raises:
        ReadOnlyError: If it is none.
    """
    if not isinstance(store, WritableStore):
        raise ReadOnlyError("the store cannot be written", store=store, op=op)
    return store
