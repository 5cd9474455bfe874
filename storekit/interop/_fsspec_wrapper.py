"""
fsspec file systems around another one.

Every operation that reaches the inner file system passes through one method, `_around`, as a `Call`
of the store operation that is most like it. All others fsspec makes out of these.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractFileSystem

from storekit.clock import REAL_CLOCK, Clock
from storekit.interop._fsspec_file import WrapperFile
from storekit.interop._fsspec_instances import OneForEqual
from storekit.interop._fsspec_paths import InnerPaths
from storekit.interop._fsspec_ranges import within
from storekit.stores.values import as_value
from storekit.stores.wrapper import Call

__all__ = ["WrapperFileSystem"]

_IGNORED = {"asynchronous", "loop", "use_listings_cache", "listings_expiry_time", "max_paths"}
"""What fsspec gives any file system; `FsspecStore` of zarr-python the first two."""


def _one_request(method: str, op: str) -> Any:
    """A method that asks the inner file system the same."""

    @wraps(getattr(AbstractFileSystem, method))
    def ask(self: WrapperFileSystem, path: Any, *args: Any, **kwargs: Any) -> Any:
        return self._on(op, method, path, *args, **kwargs)

    return ask


class WrapperFileSystem(InnerPaths, metaclass=OneForEqual):
    """
    A file system that passes everything on to another one.

    Subclasses override `_around`, which may be called by several threads at once.

    Args:
        fs: The inner file system.

        target_protocol: The protocol of the inner file system, if `fs` is not given.

        target_options: Its options.

        options: Those that fsspec gives any file system.

    Raises:
        TypeError: If there is no inner file system, or `fs` is none, or an option is unknown.

    Threads: as safe as the inner file system.
    """

    def __init__(
        self,
        fs: Any = None,
        *,
        target_protocol: str | None = None,
        target_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        unknown = options.keys() - _IGNORED
        if unknown:
            raise TypeError(f"{type(self).__name__} has no option {', '.join(sorted(unknown))}")
        if fs is None and target_protocol is None:
            raise TypeError(f"{type(self).__name__} wraps a file system: fs or target_protocol")
        if fs is None:
            fs = fsspec.filesystem(target_protocol, **(target_options or {}))
        elif not isinstance(fs, AbstractFileSystem):
            raise TypeError(f"fs must be a file system of fsspec, found {fs!r}")
        super().__init__(fs, **options)
        self.clock: Clock = self.fs.clock if self._is_outer else REAL_CLOCK

    @property
    def _is_outer(self) -> bool:
        return isinstance(self.fs, WrapperFileSystem)

    def _around(self, call: Call, proceed: Callable[[Call], Any]) -> Any:
        """
        Do one call.

        Args:
            call: What is asked. Its keys are paths without protocol and outer slashes, of URLs only
                the host and the path; its prefixes such paths with a slash behind.

            proceed: Asks the inner file system and returns its answer. Of the call given it takes
                the values that are written.
        """
        return proceed(call)

    # --- one request each -------------------------------------------------------------------------

    def _on(self, op: str, method: str, path: Any, *args: Any, **kwargs: Any) -> Any:
        path = self._strip_protocol(path)
        ask = getattr(self.fs, method)
        return self._around(Call(op, (self._key(path),)), lambda _: ask(path, *args, **kwargs))

    info = _one_request("info", "getsize")
    checksum = _one_request("checksum", "getsize")
    ukey = _one_request("ukey", "getsize")
    created = _one_request("created", "getsize")
    modified = _one_request("modified", "getsize")
    exists = _one_request("exists", "exists")  # of fsspec it takes an error for an absence
    lexists = _one_request("lexists", "exists")
    isfile = _one_request("isfile", "exists")
    isdir = _one_request("isdir", "exists")
    mkdir = _one_request("mkdir", "set")
    makedirs = _one_request("makedirs", "set")
    touch = _one_request("touch", "set")
    rmdir = _one_request("rmdir", "erase")
    rm_file = _one_request("rm_file", "erase")

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> Any:
        """Let the inner file system copy a file; its bytes do not travel."""
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        call = Call("set", (self._key(path2),))
        return self._around(call, lambda _: self.fs.cp_file(path1, path2, **kwargs))

    # --- bytes ------------------------------------------------------------------------------------

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> Any:
        """
        The bytes of a file, or those of a range.

        Raises:
            ValueError: If the whole file came in place of a range that is not its beginning.
        """
        path = self._strip_protocol(path)
        key = self._key(path)
        op = "get" if start is None and end is None else "get_partial_values"

        def read(_: Call) -> Any:
            answer = self.fs.cat_file(path, start=start, end=end, **kwargs)
            return within(answer, start, end, key)

        return self._around(Call(op, (key,)), read)

    def pipe_file(self, path: str, value: Any, mode: str = "overwrite", **kwargs: Any) -> Any:
        """Write a file; it is seen when all bytes are there."""
        if mode != "overwrite":
            kwargs["mode"] = mode
        path = self._strip_protocol(path)
        call = Call("set", (self._key(path),), values=(bytes(as_value(value)),))
        return self._around(call, lambda sent: self.fs.pipe_file(path, sent.values[0], **kwargs))

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: Any = None,
        **kwargs: Any,
    ) -> Any:
        details = None
        if mode == "rb" and kwargs.get("size") is None:
            details = self.info(path)
            if details["type"] == "directory":
                raise IsADirectoryError(path)
            # A server that does not say the size, or that it has no ranges: no blocks to ask for.
            if details["size"] is None or not details.get("partial", True):
                return io.BytesIO(self.cat_file(path))
            kwargs["size"] = details["size"]
        file = WrapperFile(
            self, path, mode, block_size, autocommit, cache_options=cache_options, **kwargs
        )
        file._details = details
        return file

    def _write(self, path: str, mode: str, value: bytes, **kwargs: Any) -> None:
        def write(sent: Call) -> None:
            with self.fs.open(path, mode, **kwargs) as file:
                file.write(sent.values[0])

        self._around(Call("set", (self._key(path),), values=(value,)), write)

    # --- listings, and what needs them ------------------------------------------------------------

    @property
    def _is_flat(self) -> bool:
        """Whether the inner file system finds all files by one listing, as object stores do."""
        if self._is_outer:
            flat: bool = self.fs._is_flat
            return flat
        if isinstance(self.fs, AsyncFileSystem):
            return type(self.fs)._find is not AsyncFileSystem._find
        return type(self.fs).find is not AbstractFileSystem.find

    def ls(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """What is in a directory."""
        path = self._strip_protocol(path)
        call = Call("list_dir", prefix=self._prefix(path))
        return self._around(call, lambda _: self.fs.ls(path, *args, **kwargs))

    def find(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """All files under a path: by one listing if the inner file system can, else by many."""
        if not self._is_flat:
            return super().find(path, *args, **kwargs)
        path = self._strip_protocol(path)
        call = Call("list_prefix", prefix=self._prefix(path))
        return self._around(call, lambda _: self.fs.find(path, *args, **kwargs))

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove files; a directory or a pattern is listed, and each file in it removed."""
        for each in path if isinstance(path, list) else [path]:
            self._rm_one(self._strip_protocol(each), recursive, maxdepth)

    def _rm_one(self, path: str, recursive: bool, maxdepth: int | None) -> None:
        names = self._names(path, recursive, maxdepth)
        call = Call("erase", (self._key(path),))
        if names != [path]:
            call = Call("erase_prefix", tuple(map(self._key, names)), prefix=self._prefix(path))
        kwargs = {} if maxdepth is None else {"maxdepth": maxdepth}
        self._around(call, lambda _: self.fs.rm(path, recursive=recursive, **kwargs))

    def mv(
        self,
        path1: str,
        path2: str,
        recursive: bool = False,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Move files: for each a request to copy it, and one to remove it."""
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        names = self._names(path1, recursive, maxdepth)
        made = Call("set_values", tuple(self._key(path2 + name[len(path1) :]) for name in names))
        gone = Call("erase_values", tuple(map(self._key, names)))
        kwargs |= {"recursive": recursive, "maxdepth": maxdepth}

        def move(_: Call) -> None:
            self.fs.mv(path1, path2, **kwargs)

        self._around(made, lambda _: self._around(gone, move))

    def _names(self, path: str, recursive: bool, maxdepth: int | None) -> Any:
        """What an operation on a path concerns."""
        try:
            return self.fs.expand_path(path, recursive=recursive, maxdepth=maxdepth)
        except FileNotFoundError:
            return [path]

    # --- what needs no network --------------------------------------------------------------------

    def invalidate_cache(self, path: str | None = None) -> None:
        """Let the inner file system forget what it has listed."""
        self.fs.invalidate_cache(path and self._strip_protocol(path))

    def sign(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """A URL of the inner file system that carries its own permission."""
        return self.fs.sign(self._strip_protocol(path), *args, **kwargs)

    def __repr__(self) -> str:
        inner = repr(self.fs) if self._is_outer else type(self.fs).__name__
        return f"{type(self).__name__}({inner})"
