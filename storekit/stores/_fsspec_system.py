"""File systems of fsspec: what kind they are, and how they outlive a fork."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Hashable, Mapping
from hashlib import blake2b
from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem
from fsspec.utils import tokenize

from storekit.errors import MissingExtraError
from storekit.stores._fsspec_errors import translate
from storekit.stores._fsspec_http import checked, checking, hide_secrets
from storekit.stores._fsspec_s3 import is_s3
from storekit.stores._url_parts import LINK, links_of, scheme_of

__all__ = ["System", "schemes_of"]

_READ_ONLY = {"http", "https", "reference", "github", "git", "zip", "tar", "libarchive", "data"}
_HTTP = {"http", "https"}
_FETCHING = {"simplecache", "filecache"}
_S3 = {"s3", "s3a"}
_PASSWORD = re.compile(r"://[^/?#:]*:([^/?#]+)@")
_SECRET = re.compile(r"(?<=://)[^/?#]*@|\?.*\Z")


class System:
    """
    A file system, and the path of a store in it.

    Attributes:
        root: The path, without a slash at its end.

        shown: What it is, without anything secret.

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

    def __init__(self, fs: Any, path: str, shown: str = "") -> None:
        inner = _innermost(fs)
        kinds = (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
        inner_kinds = (inner.protocol,) if isinstance(inner.protocol, str) else inner.protocol
        names = {*kinds, *inner_kinds}
        if names & _HTTP:
            fs = checked(fs)
            hide_secrets()
        self._fs, self._process = fs, os.getpid()
        self.root: str = fs._strip_protocol(path).rstrip("/")
        url = self.root if "://" in self.root else f"{kinds[0]}://{self.root}"
        self.shown = shown or _SECRET.sub("", url)
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
        if self.is_http and "?" in self.root:
            raise ValueError(
                f"{self.shown!r} has a query, behind which keys would go; an HTTPStore"
                " sends it with each of them"
            )

    @classmethod
    def open(cls, url: str, options: Mapping[str, Any], concurrency: int) -> System:
        """
        The file system of a URL, which may be a chain.

        Raises:
            TypeError: If it does not know an option.

            ValueError: If none is known.

            MissingExtraError: If a package is missing.

            StoreError: If it cannot be made.
        """
        schemes, links = schemes_of(url), [_SECRET.sub("", link) for link in links_of(url)]
        told = dict(options)
        for scheme in _HTTP.intersection(schemes[1:]):
            told[scheme] = checking(told.get(scheme) or {})
            hide_secrets()
        if schemes[0] in _S3:  # it would have 10 connections
            config = {"max_pool_connections": concurrency, **(told.get("config_kwargs") or {})}
            told["config_kwargs"] = config
        shown, secrets = "::".join(links), _PASSWORD.findall(url)
        try:
            fs, path = fsspec.core.url_to_fs(url, **told)
        except ImportError as error:
            raise _missing(schemes, error) from error
        except TypeError:
            raise
        except Exception as error:  # noqa: BLE001 - file systems raise anything
            # Its text may show what must not be shown, so it is not the cause.
            raise translate(error, store=shown, op="open", writes=True, secrets=secrets) from None
        return cls(fs, path, shown if len(links) > 1 else "")

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
        """What is equal for two stores of the same files; of secrets it has hashes."""
        inner = _innermost(self._fs)
        kinds = tuple(type(each).__qualname__ for each in (self._fs, inner))
        base = _SECRET.sub("", self.base), blake2b(self.base.encode(), digest_size=16).hexdigest()
        if isinstance(inner, MemoryFileSystem):
            return kinds, id(inner.store), *base
        options = {**inner.storage_options}
        options.pop("config_kwargs", None)  # how s3fs asks, not whom
        return kinds, tokenize(inner.storage_args, options), *base

    def __getstate__(self) -> tuple[Any, str, str]:
        return self._fs, self.base, self.shown

    def __setstate__(self, state: tuple[Any, str, str]) -> None:
        System.__init__(self, *state)


def schemes_of(url: str) -> list[str]:
    """
    The schemes of a URL, or of the links of a chain.

    Raises:
        ValueError: If fsspec does not know one.

        MissingExtraError: If it needs a package for one.
    """
    schemes = []
    for link in links_of(url):
        alone = link if link != url and LINK.fullmatch(link) else "file"
        scheme = scheme_of(link) or alone
        try:
            fsspec.get_filesystem_class(scheme)
        except ValueError:
            raise ValueError(f"nothing is known to open {scheme!r}") from None
        except ImportError as error:
            raise _missing([scheme], error) from error
        schemes.append(scheme)
    return schemes


def _missing(schemes: list[str], error: ImportError) -> MissingExtraError:
    text = f"fsspec needs a package for {'::'.join(schemes)}: {error}"
    return MissingExtraError(text, name=error.name)


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
