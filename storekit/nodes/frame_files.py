"""
Whole frames: saved, opened, loaded into memory, made of bytes; the functions of blosc2.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeAlias

from storekit.errors import (
    CorruptFrameError,
    KeyNotFoundError,
    MetadataError,
    NodeNotFoundError,
    NodeTypeError,
    NotAFrameError,
    PathNotFoundError,
)
from storekit.frames.buffer import BufferHome, in_memory, mapped
from storekit.frames.home import Home
from storekit.frames.kinds import check_kind
from storekit.frames.layout import chunk_typesize
from storekit.frames.log import LogHome
from storekit.frames.params import CParams
from storekit.frames.stored import StoredHome
from storekit.nodes.containers import is_embedding, open_embedding
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.frame_create import copy as copy_frame
from storekit.nodes.frame_opening import kind_of_file
from storekit.nodes.opening import open as open_node
from storekit.stores._url_parts import local_path
from storekit.stores.base import ReadableStore
from storekit.stores.urls import open_parent

__all__ = ["check_dparams", "from_cframe", "load", "open", "save"]

Where: TypeAlias = str | os.PathLike[str] | tuple[ReadableStore, str]
"""A path, a URL, or a store and a key."""


def open(
    urlpath: Where,
    mode: str = "r",
    offset: int = 0,
    *,
    mmap_mode: str | None = None,
    initial_mapping_size: int | None = None,
    cparams: object = None,
    dparams: Mapping[str, Any] | None = None,
) -> Any:
    """
    Open what blosc2 has in a file, in a directory, or at a URL.

    Unlike blosc2's function this one takes no keyword and no mode that it does not know. It creates
    nothing, so there is no mode ``"w"``.

    An array over a local file, mapped or not, keeps the file open until the array is let go; see
    "Open files" in the page on frames for thousands of them.

    Args:
        urlpath: Of a file, of the directory of a sparse frame, a URL as in `storekit.open`, or a
            store and a key as a tuple.

        mode: ``"r"`` to read; ``"a"`` to change it, too.

        offset: Where in the file the frame begins, in bytes. There it can only be read.

        mmap_mode: ``"r"`` to map a local file into memory instead of reading from it. As with any
            map, reading what another program has cut off from the file since then is no exception:
            the system ends this program (SIGBUS). storekit cuts nothing off.

        initial_mapping_size: Only together with `mmap_mode`, and of no use: all of the file is
            mapped.

        cparams: How chunks are compressed that are written through the array that is returned:
            `CParams`, or a mapping with settings of blosc2. Defaults to what the frame states. The
            sizes of elements and blocks cannot be changed.

        dparams: A mapping with ``nthreads``, which is of no use: chunks are decoded by as many
            threads as there are cores.

    Returns:
        A `FrameArray`; of a super-chunk, which has no shape, one of a single dimension: of ``u1``,
        or of ``V`` with the size of its elements. Of others what `storekit.open` returns.

    Raises:
        PathNotFoundError: If there is nothing.

        NotAFrameError: If it is no frame.

        CorruptFrameError, ChecksumError: If it is a damaged one.

        ValueError, MetadataError: If an argument is not possible.

        NodeTypeError: If there are `cparams`, and it is no frame with an array.

        ReadOnlyError: If it is to be changed, and cannot be.

        UnsupportedError: If it holds no array.
    """
    _check_mode(mode, offset, mmap_mode, initial_mapping_size)
    check_dparams(dparams)
    path = None if isinstance(urlpath, tuple) else local_path(urlpath)
    if offset or mmap_mode is not None:
        node = _node(_part(urlpath, offset, mmap_mode), _name(urlpath))
    elif isinstance(urlpath, tuple):
        node = _open_key(urlpath, mode)
    elif path is not None and path.is_file() and not kind_of_file(str(path)):
        raise NotAFrameError(f"{str(path)!r} is not in the format of blosc2's frames")
    else:
        node = open_node(urlpath, mode=mode)
    return node if cparams is None else _compressed(node, cparams)


def load(
    urlpath: Where,
    offset: int = 0,
    *,
    cparams: object = None,
    dparams: Mapping[str, Any] | None = None,
) -> FrameArray:
    """
    A copy of a frame in memory, which may be changed. The chunks stay compressed.

    Args:
        urlpath: As in `open`.

        offset: As in `open`.

        cparams: As in `open`.

        dparams: As in `open`.

    Raises:
        NodeTypeError: If it is no single array, but a group.

        Exception: As `open`.
    """
    node = open(urlpath, "r", offset, dparams=dparams)
    if not isinstance(node, FrameArray):
        raise NodeTypeError(f"{_name(urlpath)!r} holds no frame, but {node!r}")
    array = FrameArray(in_memory(node.home.snapshot()))
    return array if cparams is None else _compressed(array, cparams)


def save(
    array: Any,
    urlpath: Where,
    contiguous: bool = True,
    *,
    mode: str = "a",
    **options: Any,
) -> None:
    """
    Save an array to a frame. It appears when all of it is there.

    Args:
        array: Of numpy, or anything that it makes one of; or one of storekit, such as `FrameArray`
            or `ZarrArray`, which is copied in parts. The settings and metalayers of a `FrameArray`
            are kept.

        urlpath: A path, a URL as in `storekit.open`, or a store and a key as a tuple. Directories
            above a path are made where they are missing.

        contiguous: Whether it is one file; else a directory with a file for each chunk.

        mode: ``"a"`` to fail if there is something already, ``"w"`` to replace it. A directory is
            replaced only if it is a sparse frame, and holds nothing else.

        options: Others of `FrameOptions`, such as ``chunks``, ``blocks``, ``cparams``, ``meta``.

    Raises:
        MetadataError: If an option is not possible, or elements have no fixed size.

        NodeExistsError: If there is something already.

        ReadOnlyError: If nothing can be written there.
    """
    if mode not in ("a", "w"):
        raise ValueError(f"mode must be 'a' or 'w', found {mode!r}")
    copy_frame(array, urlpath=urlpath, contiguous=contiguous, mode=mode, **options)


def from_cframe(cframe: bytes | bytearray | memoryview, copy: bool = True) -> Any:
    """
    The array in a frame that is there as bytes.

    Args:
        cframe: The bytes of a contiguous frame, all of them.

        copy: Whether they are copied. Otherwise they must not change, and the array can only be
            read.

    Returns:
        As `open`.

    Raises:
        TypeError: If these are no bytes.

        CorruptFrameError: If they are no frame, or a damaged one, or there are more of them.

        UnsupportedError: If it holds no array.
    """
    if not isinstance(cframe, bytes | bytearray | memoryview):
        raise TypeError(f"cframe must be bytes, found {type(cframe).__name__}")
    given = BufferHome(memoryview(cframe))
    size, stated = memoryview(cframe).nbytes, given.snapshot().frame.header.frame_len
    if size != stated:
        raise CorruptFrameError(f"{size} bytes, the frame states {stated}")
    return _node(in_memory(given.snapshot()) if copy else given, "")


def check_dparams(dparams: Mapping[str, Any] | None) -> None:
    """
    See that these are settings for decompression.

    Raises:
        ValueError: If they are not.
    """
    for name, value in (dparams or {}).items():
        if name != "nthreads" or type(value) is not int or value < 1:
            raise ValueError(f"dparams may have nthreads, 1 or more; found {name}={value!r}")


def _compressed(node: Any, cparams: object) -> FrameArray:
    """The array, as one that compresses so what is written to it."""
    if not isinstance(node, FrameArray):
        raise NodeTypeError(f"cparams are for an array in a frame, found {node!r}")
    chosen, header = CParams.of(cparams), node.home.snapshot().frame.header
    for name in ("typesize", "blocksize"):
        given = cparams.get(name) if isinstance(cparams, Mapping) else None
        if given not in (None, 0, getattr(header, name)):
            expected = f"{getattr(header, name)}, which cannot be changed"
            raise MetadataError(field=name, expected=expected, found=given)
    chosen.compress_args(chunk_typesize(header.typesize), header.blocksize)  # or they are refused
    return FrameArray(node.home, node.path, cparams=chosen)


def _check_mode(mode: str, offset: int, mmap_mode: str | None, mapping_size: int | None) -> None:
    if mode not in ("r", "a"):
        raise ValueError(f"mode must be 'r' or 'a', since nothing is created; found {mode!r}")
    if type(offset) is not int or not 0 <= offset < 1 << 63:
        raise ValueError(f"offset must be an integer from 0 to 2**63 - 1; found {offset!r}")
    if offset and mode != "r":
        raise ValueError("a frame at an offset can only be read: mode must be 'r'")
    if mmap_mode not in (None, "r"):
        raise ValueError(f"mmap_mode must be 'r' or None, found {mmap_mode!r}")
    if mmap_mode is not None and mode != "r":
        raise ValueError("a mapped file can only be read: mode must be 'r'")
    if mapping_size is not None and mmap_mode is None:
        raise ValueError("initial_mapping_size is for mapped files: set mmap_mode")


def _open_key(place: tuple[ReadableStore, str], mode: str) -> Any:
    try:
        return open_node(*place, mode=mode)
    except NodeNotFoundError as error:
        raise PathNotFoundError(str(error)) from error


def _name(urlpath: Where) -> str:
    return urlpath[1] if isinstance(urlpath, tuple) else os.fspath(urlpath)


def _part(urlpath: Where, offset: int, mmap_mode: str | None) -> Home:
    """The home of a frame that is not all of a value, or is mapped."""
    path = None if isinstance(urlpath, tuple) else local_path(urlpath)
    if path is None:
        if mmap_mode is not None:
            raise ValueError(f"only local files can be mapped, found {urlpath!r}")
        store, key = urlpath if isinstance(urlpath, tuple) else open_parent(str(urlpath))
        if not isinstance(store, ReadableStore):
            raise TypeError(f"{store!r} cannot be read")
        try:
            return StoredHome(store, key, start=offset)
        except KeyNotFoundError as error:
            raise PathNotFoundError(str(error)) from error
    return LogHome(str(path), start=offset) if mmap_mode is None else mapped(str(path), offset)


def _node(home: Home, path: str) -> Any:
    if is_embedding(home):
        return open_embedding(home)
    check_kind(home.snapshot().frame, path)
    return FrameArray(home, path)
