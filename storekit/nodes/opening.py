"""From a URL to a node, whatever it lives in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from storekit.errors import (
    CorruptFrameError,
    KeyNotFoundError,
    NodeNotFoundError,
    NotAFrameError,
    PathNotFoundError,
)
from storekit.nodes.naming import normal_path
from storekit.nodes.zarr_group import open_zarr
from storekit.stores._url_parts import local_path, name_in
from storekit.stores.base import ReadableStore, Store, WritableStore
from storekit.stores.urls import open_parent, open_store

__all__ = ["open"]

_MODES = (None, "r", "a")
_FILES = frozenset((".b2nd", ".b2frame", ".b2f", ".b2e", ".bl2", ".b2z", ".h5", ".hdf5"))
_DIRECTORY = ".b2d"


def open(
    url: str | os.PathLike[str] | Store,
    path: str = "",
    *,
    mode: str | None = None,
    driver: str | None = None,
    **options: Any,
) -> Any:
    """
    Open the group or array at a URL, a path, or in a store, whatever its format.

    | what is there | becomes |
    |---|---|
    | a Zarr group or array | `ZarrGroup`, `ZarrArray` |
    | a frame of blosc2 or caterva (``.b2nd``), also a sparse one | `FrameArray` |
    | a container of blosc2 (``.b2e``, ``.b2d``, ``.b2z``) | `ContainerGroup` |

    What it is shows in the content; the name only says what is looked for first. From afar a URL
    that ends with ``.b2nd`` costs one request, a Zarr node one, too, and what is neither some more.

    Args:
        url: Of a store, as in `open_store`, or of a frame or a container; or the store.

        path: In the store, or in the container; the root by default.

        mode: ``"r"`` to read, ``"a"`` to change what is there, too. By default frames are opened to
            be read, and Zarr nodes can be changed if the store can. Containers can only be read.

        driver: As in `open_store`.

        options: As in `open_store`.

    Returns:
        A `ZarrGroup`, `ZarrArray`, `FrameArray` or `ContainerGroup`.

    Raises:
        NodeNotFoundError: If there is none; if no `path` in it was asked for, and no store, a
            `PathNotFoundError`, which is a `FileNotFoundError`, too.

        NotAFrameError: If it is a file, and none of what can be opened.

        ValueError: If nothing is known to open the URL, or the mode is none of these.

        UnsupportedError: If it is HDF5, or a frame that holds no array, but objects or a lazy
            expression; nothing of it was evaluated.

        CorruptFrameError, MetadataError: If it is damaged.

        ReadOnlyError: If it is to be changed, and cannot be.
    """
    if mode not in _MODES:
        raise ValueError(f"mode must be 'r' or 'a', found {mode!r}")
    if isinstance(url, Store):
        if driver is not None or options:
            raise ValueError("driver and options are for URLs, not for a store that is open")
        return _in_store(url, path, mode)
    try:
        return _at(url, path, mode, driver, options)
    except NodeNotFoundError as error:
        if path:
            raise
        raise PathNotFoundError(str(error)) from error


def _at(
    url: str | os.PathLike[str],
    path: str,
    mode: str | None,
    driver: str | None,
    options: dict[str, Any],
) -> Any:
    """What is at a URL, or at a path in it."""
    if driver in (None, "local") and url and (file := local_path(url)) is not None:
        return _local(url, file, path, mode, driver, options)
    if isinstance(url, str) and driver != "zip" and (name := name_in(url)):
        return _far(url, name, path, mode, driver, options)
    return _in_store(open_store(url, driver=driver, **options), path, mode)


def _local(
    url: str | os.PathLike[str],
    file: Path,
    path: str,
    mode: str | None,
    driver: str | None,
    options: dict[str, Any],
) -> Any:
    """What is on this machine: a file is looked into first."""
    if not file.exists():
        raise PathNotFoundError(f"there is no file and no directory {str(file)!r}")
    if file.is_file():
        from storekit.nodes import frame_opening as frames

        kind = frames.kind_of_file(str(file))
        if kind == "frame" or (not kind and file.suffix.lower() in _FILES):
            if options:
                raise TypeError(f"a frame in a file takes no options, found {', '.join(options)}")
            return frames.open_file(str(file), path, mode)
        if kind == "zip" and driver is None:
            store = open_store(url, driver="zip", mode=mode or "r", **options)
            return _in_store(store, path, mode, _DIRECTORY if file.suffix.lower() != ".zip" else "")
        if driver is None and file.suffix.lower() != ".zip":
            raise NotAFrameError(f"the file {str(file)!r} is no frame, no archive and no hierarchy")
    return _in_store(open_store(url, driver=driver, **options), path, mode, file.suffix.lower())


def _far(
    url: str, name: str, path: str, mode: str | None, driver: str | None, options: dict[str, Any]
) -> Any:
    """What is at a URL of one value, or of a store."""
    suffix, absent = Path(name).suffix.lower(), ""
    if suffix in _FILES:
        store, key = open_parent(url, driver=driver, **options)
        try:
            return _value(store, key, path, mode)
        except KeyNotFoundError as error:
            absent = str(error)
            store.close()
    store = open_store(url, driver=driver, **options)
    try:
        return _in_store(store, path, mode, suffix)
    except NodeNotFoundError as missing:
        if absent:
            raise NodeNotFoundError(f"{absent}, and no node below it") from missing
        if path or suffix == ".zip":
            raise
        parent, key = open_parent(url, driver=driver, **options)
        try:
            return _value(parent, key, "", mode)
        except (KeyNotFoundError, CorruptFrameError):
            parent.close()
            raise missing from None


def _in_store(store: Store, path: str, mode: str | None, suffix: str = "") -> Any:
    """
    Args:
        store: Where to look.

        path: In it.

        mode: As in `open`.

        suffix: Of the name of the store itself.
    """
    if not isinstance(store, ReadableStore):
        raise TypeError(f"{store!r} cannot be read")
    path = normal_path(path)
    own = Path(path).suffix.lower()
    if own in _FILES:
        try:
            return _value(store, path, "", mode)
        except KeyNotFoundError:
            pass  # a directory may have such a name
    elif _DIRECTORY in (own, suffix):
        from storekit.nodes import frame_opening as frames

        place, inside = (f"{path}/", "") if own == _DIRECTORY else ("", path)
        try:
            return frames.open_container(store, place, inside, mode)
        except KeyNotFoundError:
            pass
    try:
        return open_zarr(_kept(store, mode), path)
    except NodeNotFoundError:
        from storekit.nodes import frame_opening as frames

        node = frames.find(store, path, mode)
        if node is None:
            if own in _FILES:
                missing = f"{store!r} has no key {path!r}, and no node below it"
                raise NodeNotFoundError(missing) from None
            raise
        return node


def _value(store: Store, key: str, inside: str, mode: str | None) -> Any:
    """What is under a key."""
    from storekit.nodes import frame_opening as frames

    if not isinstance(store, ReadableStore):
        raise TypeError(f"{store!r} cannot be read")
    return frames.open_value(store, key, inside, mode)


def _kept(store: ReadableStore, mode: str | None) -> ReadableStore:
    """The store as one that is not written, if that is the mode."""
    if mode != "r" or not isinstance(store, WritableStore):
        return store
    from storekit.stores.read_only import ReadOnlyStore

    kept: Any = ReadOnlyStore(store)
    able: ReadableStore = kept
    return able
