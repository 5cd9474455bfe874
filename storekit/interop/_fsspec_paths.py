"""Paths of a file system around another one, and what is told of them."""

from __future__ import annotations

import re
from typing import Any

from fsspec.implementations.chained import ChainedFileSystem
from fsspec.utils import stringify_path

__all__ = ["InnerPaths"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class InnerPaths(ChainedFileSystem):  # type: ignore[misc] # fsspec has no types
    """
    A file system whose paths are those of the inner one.

    Args:
        fs: The inner file system.

        options: Those that fsspec gives any file system.
    """

    def __init__(self, fs: Any, **options: Any) -> None:
        super().__init__(**options)
        self.fs: Any = fs
        self._is_web = _is_web(fs)
        # fsspec asks the class where it knows no inner file system yet, and else the instance.
        self._strip_protocol = self._strip_all  # type: ignore[method-assign]
        self._parent = self._inner_parent

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        text: str = stringify_path(path)
        return text.removeprefix(f"{cls.protocol}::").removeprefix(f"{cls.protocol}://")

    def _strip_all(self, path: Any) -> Any:
        if isinstance(path, list):
            return [self._strip_all(each) for each in path]
        return self.fs._strip_protocol(type(self)._strip_protocol(path))

    def _inner_parent(self, path: Any) -> Any:
        return self.fs._parent(self._strip_protocol(path))

    def unstrip_protocol(self, name: str) -> str:
        """The URL of a path, which leads through this file system."""
        return f"{self.protocol}::{self.fs.unstrip_protocol(name)}"

    @property
    def sep(self) -> str:
        """What separates the parts of a path."""
        sep: str = self.fs.sep
        return sep

    @property
    def fsid(self) -> str:
        """What names the inner file system."""
        return f"{self.protocol}_{self.fs.fsid}"

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """What matches a pattern. A URL of the web is none by a ``?`` alone: a query begins."""
        path = stringify_path(path)
        if self._is_web and not re.search(r"[*[]", path):
            return self._glob_one(self._strip_protocol(path), **kwargs)
        return super().glob(path, maxdepth=maxdepth, **kwargs)

    def _glob_one(self, path: str, detail: bool = False, **kwargs: Any) -> Any:
        found = [path] if self.exists(path, **kwargs) else []
        return {each: self.info(each, **kwargs) for each in found} if detail else found

    def _key(self, path: str) -> str:
        """
        A path without outer slashes, and of a URL only the host and the path.

        Keys get into messages and logs, where users, passwords and queries must not be.
        """
        scheme = _SCHEME.match(path)
        if scheme or self._is_web:
            path = re.split("[?#]", path, maxsplit=1)[0]
        parts = path[scheme.end() if scheme else 0 :].split("/")
        if scheme:
            parts[0] = parts[0].rpartition("@")[2]
        return "/".join(part for part in parts if part)

    def _prefix(self, path: str) -> str:
        """The key of a directory, with a slash behind."""
        return f"{key}/" if (key := self._key(path)) else ""


def _is_web(fs: Any) -> bool:
    """Whether the paths of a file system become URLs of the web, with queries."""
    while True:
        names = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
        if "http" in names or not hasattr(fs, "fs"):
            return "http" in names
        fs = fs.fs
