"""
From a URL to a store.

| URL | store | driver |
|---|---|---|
| ``memory://`` | a new `MemoryStore` | ``"memory"`` |
| ``memory://name/path`` | of the `MemoryStore` of that name in this process | ``"memory"`` |
| a path, ``file:///path`` | `LocalStore` | ``"local"`` |
| a path that ends with ``.zip``, ``zip::`` and any URL | `ZipStore` | ``"zip"`` |
| ``http://``, ``https://`` | `HTTPStore` | ``"http"`` |
| ``s3://``, ``gs://``, ``az://`` and the like | `ObjectStore` | ``"object"`` |
| any other that fsspec knows, chains with ``::`` | `FsspecStore` | ``"fsspec"`` |
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit, urlunsplit

from storekit.stores.base import Store

__all__ = ["open_store", "register_scheme"]

Opener: TypeAlias = Callable[..., Store]

_memories: dict[str, Store] = {}
_guard = threading.Lock()


def open_store(url: str | os.PathLike[str], *, driver: str | None = None, **options: Any) -> Store:
    """
    The store at a URL or a path.

    Args:
        url: Where; see the table of `storekit.stores.urls`. Secrets in it are never shown.

        driver: What opens it, if not what its scheme says: ``"memory"``, ``"local"``, ``"zip"``,
            ``"http"``, ``"object"``, ``"fsspec"``, or a scheme that was registered.

        options: For the store's class.

    Raises:
        ValueError: If nothing is known to open it.

        MissingExtraError: If an optional dependency is not installed; it names the extra.

    Threads: safe.
    """
    text = os.fspath(url)
    if not isinstance(text, str):
        raise TypeError(f"a URL must be a str or a path, found {type(url).__name__}")
    name = _driver_of(text) if driver is None else driver
    opener = _OPENERS.get(name)
    if opener is None:
        raise ValueError(f"no driver {name!r}; there are {', '.join(sorted(_OPENERS))}")
    return opener(text, **options)


def register_scheme(scheme: str, opener: Opener) -> None:
    """
    Let a function open the URLs of a scheme, also one that is known already.

    Args:
        scheme: What stands before ``://``.

        opener: Called with the URL and the options.
    """
    if not scheme or not scheme.replace("+", "").replace("-", "").replace(".", "").isalnum():
        raise ValueError(f"a scheme has letters, digits, '+', '-' and '.', found {scheme!r}")
    _OPENERS[scheme.lower()] = opener
    _SCHEMES[scheme.lower()] = scheme.lower()


def _driver_of(url: str) -> str:
    chained, chain, _ = url.partition("::")
    if chain:
        return "zip" if chained == "zip" else "fsspec"
    scheme, found, _ = url.partition("://")
    if found:
        return _SCHEMES.get(scheme.lower(), "fsspec")
    return "zip" if url.lower().endswith(".zip") else "local"


def _open_memory(url: str, **options: Any) -> Store:
    from storekit.stores.memory import MemoryStore
    from storekit.stores.prefix import PrefixStore

    name, _, path = url.partition("://")[2].strip("/").partition("/")
    if not name:
        return MemoryStore(**options)
    with _guard:
        store = _memories.setdefault(name, MemoryStore(**options))
    return PrefixStore(store, f"{path}/") if path else store


def _open_local(url: str, **options: Any) -> Store:
    from storekit.stores.local import LocalStore

    return LocalStore(_path(url), **options)


def _open_zip(url: str, **options: Any) -> Store:
    from storekit.stores.zip import ZipStore

    url = url.removeprefix("zip::")
    if _driver_of(url) in ("local", "zip"):
        return ZipStore(_path(url), **options)
    parts = urlsplit(url)
    folder, _, name = parts.path.rpartition("/")
    inner = open_store(urlunsplit(parts._replace(path=folder)), **options)
    return ZipStore.over(inner, unquote(name))


def _open_http(url: str, **options: Any) -> Store:
    from storekit.stores.http import HTTPStore

    return HTTPStore(url, **options)


def _open_object(url: str, **options: Any) -> Store:
    from storekit.stores.object import ObjectStore

    return ObjectStore(url, **options)


def _open_fsspec(url: str, **options: Any) -> Store:
    from storekit.stores.fsspec import FsspecStore

    own = {name: options.pop(name) for name in ("path", "concurrency") if name in options}
    return FsspecStore(url, storage_options=options or None, **own)


def _path(url: str) -> Path:
    """The path of a ``file:`` URL; any other text is one."""
    if not url.lower().startswith("file://"):
        return Path(url)
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"file URLs are of this machine; found the host {parts.netloc!r}")
    return Path(unquote(parts.path))


_SCHEMES = {
    "memory": "memory",
    "file": "local",
    "http": "http",
    "https": "http",
    **dict.fromkeys(("s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "adl"), "object"),
}
_OPENERS: dict[str, Opener] = {
    "memory": _open_memory,
    "local": _open_local,
    "zip": _open_zip,
    "http": _open_http,
    "object": _open_object,
    "fsspec": _open_fsspec,
}
