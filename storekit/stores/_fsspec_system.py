"""File systems of fsspec: what kind they are, and how they outlive a fork."""

from __future__ import annotations

import os
import pickle
from collections.abc import Hashable
from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem
from fsspec.utils import tokenize

from storekit.stores._fsspec_s3 import is_s3

__all__ = ["System"]

_READ_ONLY = {"http", "https", "reference", "github", "git", "zip", "tar", "libarchive", "data"}
_HTTP = {"http", "https"}
_FETCHING = {"simplecache", "filecache"}


class System:
    """
    A file system, and the path of a store in it.

    Attributes:
        root: The path, without a slash at its end.

        is_local: Whether it is the disk of this machine, with nothing in between.

        is_memory: Likewise for fsspec's memory.

        is_flat: Whether it is of objects: without directories, and with values that appear whole.

        is_s3: Whether it is s3fs, with nothing around it.

        is_http: Whether its paths are URLs, whose pages may have links, but are no listings.

        fetches: Whether it brings whole files here before it reads them.

        renames: Whether it can move a file at once.

        finds: Whether it finds all files under a path by itself, and not directory by directory.

        writes: Whether it can be written.

        lists: Whether it can be listed.
    """

    def __init__(self, fs: Any, path: str) -> None:
        self._fs, self._process = fs, os.getpid()
        self.root: str = fs._strip_protocol(path).rstrip("/")
        inner = _innermost(fs)
        kinds = (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
        inner_kinds = (inner.protocol,) if isinstance(inner.protocol, str) else inner.protocol
        self.kind = kinds[0]
        names = {*kinds, *inner_kinds}
        self.is_local = type(fs) is LocalFileSystem
        self.is_memory = type(fs) is MemoryFileSystem
        self.in_memory = isinstance(inner, MemoryFileSystem)
        self.is_s3 = is_s3(fs)
        self.is_http = bool(names & _HTTP)
        self.fetches = bool(names & _FETCHING)
        # Whoever writes in one step, and lists without directories, is an object store.
        self.is_flat = (
            isinstance(inner, AsyncFileSystem)
            and _overrides(inner, "_find")
            and _overrides(inner, "_pipe_file")
            and not self.is_http
        )
        self.renames = not self.is_flat and _overrides(inner, "mv", "mv_file", "_mv_file")
        self.finds = _finds(fs)
        able = all(_overrides(each, "rm", "rm_file", "_rm", "_rm_file") for each in (fs, inner))
        self.writes = able and not names & _READ_ONLY
        self.lists = not self.is_http

    @classmethod
    def open(cls, url: str, options: dict[str, Any]) -> System:
        """The file system of a URL, which may be a chain."""
        fs, path = fsspec.core.url_to_fs(url, **options)
        return cls(fs, path)

    @property
    def base(self) -> str:
        """What all paths of the store begin with."""
        return f"{self.root}/" if self.root else str(self._fs.root_marker)

    @property
    def fs(self) -> Any:
        """
        The file system: in a forked process one of its own, for the loop and the connections of
        the other one stayed behind.
        """
        if self._process != os.getpid():
            self._fs, self._process = pickle.loads(pickle.dumps(self._fs)), os.getpid()
        return self._fs

    @property
    def place(self) -> Hashable:
        """What is equal for two file systems that reach the same files."""
        inner = _innermost(self._fs)
        kinds = tuple(type(each).__qualname__ for each in (self._fs, inner))
        if isinstance(inner, MemoryFileSystem):
            return kinds, id(inner.store)
        return kinds, tokenize(inner.storage_args, inner.storage_options)

    def __getstate__(self) -> tuple[Any, str]:
        return self._fs, self.base

    def __setstate__(self, state: tuple[Any, str]) -> None:
        fs, base = state
        System.__init__(self, fs, base)


def _innermost(fs: Any) -> Any:
    """The file system at the end of a chain."""
    while isinstance(getattr(fs, "fs", None), AbstractFileSystem):
        fs = fs.fs
    return fs


def _overrides(fs: Any, *names: str) -> bool:
    """Whether a file system has one of these methods of its own."""
    return any(
        method is not None
        and method is not getattr(AbstractFileSystem, name, None)
        and method is not getattr(AsyncFileSystem, name, None)
        for name in names
        for method in [getattr(type(fs), name, None)]
    )


def _finds(fs: Any) -> bool:
    flat = getattr(fs, "_is_flat", None)  # storekit's own, which walk where the inner one does
    return bool(flat) if isinstance(flat, bool) else _overrides(fs, "find", "_find")
