"""From a file, a key or a directory to what blosc2 has there, recognised by its content."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from storekit.errors import (
    CodecError,
    CorruptFrameError,
    KeyNotFoundError,
    NodeNotFoundError,
    ReadOnlyError,
    StoreError,
)
from storekit.frames.home import Home
from storekit.frames.kinds import ENOUGH, check_kind, kind_of
from storekit.frames.log import LogHome
from storekit.frames.logfile import file_errors
from storekit.frames.sparse import SPARSE_INDEX, SparseHome
from storekit.frames.stored import StoredHome
from storekit.nodes.containers import EMBEDDED, is_embedding, open_directory, open_embedding
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.group import Group
from storekit.nodes.node import Node
from storekit.stores.base import ReadableStore

__all__ = ["find", "kind_of_file", "open_container", "open_file", "open_value"]


def kind_of_file(path: str, *, refused: bool = False) -> str:
    """As `kind_of`, of a local file."""
    with file_errors(path, "get"), open(path, "rb") as file:
        return kind_of(file.read(ENOUGH), os.path.basename(path), refused=refused)


def open_file(path: str, inside: str, mode: str | None) -> Any:
    """
    The frame in a local file, or the container that it is.

    Args:
        path: Of the file.

        inside: A path in the container.

        mode: ``"a"`` to change it.
    """
    try:
        with _named(path):
            home = LogHome(path, writable=mode == "a")
    except CorruptFrameError:
        kind_of_file(path, refused=True)
        raise
    return _within(_node_in(home, os.path.basename(home.path), mode), inside)


def open_value(store: ReadableStore, key: str, inside: str, mode: str | None) -> Any:
    """
    The frame under a key, or the container that it is. Opening a frame takes one request.

    Raises:
        KeyNotFoundError: If the key is absent.

        CorruptFrameError: If it is nothing of this kind.
    """
    if key.lower().endswith(".b2z"):
        return _archive(store, key, inside, mode)
    try:
        with _named(key, store):
            home = StoredHome(store, key, writable=mode == "a")
    except CorruptFrameError:
        (head,) = store.get_partial_values([(key, 0, ENOUGH)])
        if head is None or kind_of(head, key, refused=True) != "zip":
            raise
        return _archive(store, key, inside, mode)
    return _within(_node_in(home, key, mode), inside)


def open_container(store: ReadableStore, prefix: str, inside: str, mode: str | None) -> Any:
    """
    The DictStore or TreeStore in a directory, or a node in it.

    Raises:
        KeyNotFoundError: If there is none.
    """
    if mode == "a":
        raise ReadOnlyError("containers of blosc2 can only be read", store=store, op="open")
    return _within(open_directory(store, prefix), inside)


def find(store: ReadableStore, path: str, mode: str | None) -> Any:
    """
    What is at a path where no name tells what it is; None if there is nothing. One request finds
    out.
    """
    head = f"{path}/" if path else ""
    asked = [head + EMBEDDED, head + SPARSE_INDEX]
    if path:
        asked += [path, EMBEDDED]
    embedded, sparse, *more = store.get_partial_values([(key, 0, ENOUGH) for key in asked])
    value, around = more or (None, None)
    if embedded is not None:
        return open_container(store, head, "", mode)
    if sparse is not None:
        home = SparseHome(store, path, writable=mode == "a")
        return _node_in(home, path or os.path.basename(home.path or ""), mode)
    if value is not None and kind_of(value, path):
        return open_value(store, path, "", mode)
    if around is not None:
        return open_container(store, "", path, mode)
    return None


@contextmanager
def _named(path: str, store: ReadableStore | None = None) -> Iterator[None]:
    """A context in which an error about the content of a file, or of a value, says which it is."""
    try:
        yield
    except CodecError as error:
        text = f"{path!r}: {error.reason}"
        text = text if store is None else f"{store!r}: {text}"
        raise type(error)(text, codec=error.codec, key=error.key) from error


def _archive(store: ReadableStore, key: str, inside: str, mode: str | None) -> Any:
    from storekit.nodes.zarr_group import open_zarr
    from storekit.stores.zip import ZipStore

    try:
        archive = ZipStore.over(store, key)
    except StoreError:
        if store.exists(key):
            raise
        raise KeyNotFoundError(f"no key {key!r}", store=store, op="get", key=key) from None
    try:
        return open_container(archive, "", inside, mode)
    except KeyNotFoundError:
        return open_zarr(archive, inside)


def _node_in(home: Home, path: str, mode: str | None) -> Node:
    if is_embedding(home):
        if mode == "a":
            raise ReadOnlyError("containers of blosc2 can only be read", op="open", key=path)
        return open_embedding(home)
    check_kind(home.snapshot().frame, path)
    return FrameArray(home, path)


def _within(node: Node, path: str) -> Any:
    """The node at a path below one, which may be empty."""
    if not path.strip("/"):
        return node
    if not isinstance(node, Group):
        raise NodeNotFoundError(f"no node {path!r} in {node.path!r}, which is an array")
    return node[path]
