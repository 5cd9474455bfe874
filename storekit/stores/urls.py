"""
From a URL to a store.

| URL | store | driver |
|---|---|---|
| ``memory://`` | a new `MemoryStore` | ``"memory"`` |
| ``memory://name/path`` | of the `MemoryStore` of that name in this process | ``"memory"`` |
| a path, ``file:///path`` | `LocalStore` | ``"local"`` |
| ``http://``, ``https://`` | `HTTPStore` | ``"http"`` |
| ``s3://``, ``gs://``, ``az://`` and the like | `ObjectStore` | ``"object"`` |
| one of these that ends with ``.zip``, ``zip::`` and any URL | `ZipStore` | ``"zip"`` |
| ``zip://path::`` and any URL | of that `ZipStore`, what is under the path | ``"zip"`` |
| any other that fsspec knows, chains with ``::`` | `FsspecStore` | ``"fsspec"`` |

A directory on this disk stays one, also if its name ends with ``.zip``. An archive that is not on
this disk is read-only, and the options are for the store that it lies in, but `max_member_bytes`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from storekit.stores._url_parts import (
    SCHEME,
    inside_of,
    links_of,
    name_in,
    parent_of,
    path_of,
    scheme_of,
)
from storekit.stores.base import Store

__all__ = ["open_parent", "open_store", "register_scheme"]

Opener: TypeAlias = Callable[..., Store]

_memories: dict[str, Store] = {}


def open_store(url: str | os.PathLike[str], *, driver: str | None = None, **options: Any) -> Store:
    """
    The store at a URL or a path.

    Args:
        url: Where; see the table of `storekit.stores.urls`. Secrets in it are never shown.

        driver: What opens it, if not what its scheme says: ``"memory"``, ``"local"``, ``"zip"``,
            ``"http"``, ``"object"``, ``"fsspec"``, or a scheme that was registered.

        options: For the store's class.

    Raises:
        ValueError: If nothing is known to open it, or it cannot be meant so.

        TypeError: If it is neither text nor a path, or the class does not know an option.

        MissingExtraError: If a package is not installed; the message names it.

        StoreError: If it is a file where a directory should be, or no whole archive, or if fsspec
            cannot make its file system. Otherwise what is absent, or cannot be reached, shows only
            when it is used.

    Threads: safe.
    """
    text = os.fspath(url)
    if not isinstance(text, str):
        raise TypeError(f"a URL must be a str or a path, found {type(url).__name__}")
    if not text:
        raise ValueError("a URL or a path must not be empty; the current directory is '.'")
    name = driver
    if name is None:
        name = _driver_of(text) if isinstance(url, str) else _driver_of_path(text)
    opener = _OPENERS.get(name)
    if opener is None:
        raise ValueError(f"no driver {name!r}; there are {', '.join(sorted(_OPENERS))}")
    return opener(text, **options)


def open_parent(url: str, *, driver: str | None = None, **options: Any) -> tuple[Store, str]:
    """
    The store that the value at a URL is in, and the key of the value there.

    Args:
        url: Such as ``"https://host/folder/x.b2nd?signature=..."``.

        driver: As in `open_store`.

        options: As in `open_store`.

    Raises:
        ValueError: If it is the URL of a store alone, such as a bucket; and as `open_store`.

        TypeError, ImportError, StoreError: As `open_store`.
    """
    if not name_in(url):
        raise ValueError("expected the URL of a value in a store, found that of a store")
    first, *others = links_of(url)
    if others and (inside := inside_of(first)) is not None:
        folder, _, name = inside.rpartition("/")
        return open_store("::".join([f"zip://{folder}", *others]), driver=driver, **options), name
    folder, query, name = parent_of(url.rstrip("/"))
    return open_store(f"{folder}{query}", driver=driver, **options), name


def register_scheme(scheme: str, opener: Opener) -> None:
    """
    Let a function open the URLs of a scheme, also one that is known already.

    Args:
        scheme: What stands before ``://``.

        opener: Called with the URL and the options.
    """
    if not SCHEME.fullmatch(scheme):
        raise ValueError(f"a scheme has letters, digits, '_', '+', '-' and '.', found {scheme!r}")
    _OPENERS[scheme.lower()] = opener
    _SCHEMES[scheme.lower()] = scheme.lower()


def _driver_of(url: str) -> str:
    links, scheme = links_of(url), scheme_of(url)
    if len(links) > 1:
        return "zip" if inside_of(links[0]) is not None else "fsspec"
    if not scheme:
        return _driver_of_path(url)
    driver = _SCHEMES.get(scheme, "fsspec")
    if driver == "local":
        return _driver_of_path(str(path_of(url)))
    archive = _OPENERS[driver] in _MAY_BE_ZIP and urlsplit(url).path.lower().endswith(".zip")
    return "zip" if archive else driver


def _driver_of_path(path: str) -> str:
    # Of a URL `Path` leaves one slash. Such a directory is hardly meant, and must not be made.
    scheme, colon, rest = path.partition(":")
    if colon and rest.startswith("/") and scheme.lower() in _SCHEMES:
        raise ValueError(
            f"{scheme}:/ begins no URL but a path, {scheme}:// a URL, which must be a str; if the"
            " path is meant, say driver='local'"
        )
    return "zip" if path.lower().endswith(".zip") and not os.path.isdir(path) else "local"


def _open_memory(url: str, **options: Any) -> Store:
    from storekit.stores.memory import MemoryStore
    from storekit.stores.prefix import PrefixStore

    if scheme_of(url) != "memory":
        raise ValueError("driver 'memory' needs a URL such as memory://name")
    name, _, path = url.partition("://")[2].strip("/").partition("/")
    if not name:
        return MemoryStore(**options)
    store = _memories.get(name)
    if store is None or options:
        made = MemoryStore(**options)
        store = _memories.setdefault(name, made)  # one step: of two threads, one comes first
        if options and store is not made:
            raise ValueError(f"the store memory://{name} is there already; it takes no options")
    return PrefixStore(store, f"{path}/") if path else store


def _open_local(url: str, **options: Any) -> Store:
    from storekit.stores.local import LocalStore

    return LocalStore(path_of(url), **options)


def _open_zip(url: str, **options: Any) -> Store:
    from storekit.stores.prefix import PrefixStore

    links = links_of(url)
    inside = inside_of(links[0]) if len(links) > 1 else None
    if inside is None:
        return _open_archive(url, options)
    store = _open_archive("::".join(links[1:]), options)
    return PrefixStore(store, f"{inside}/") if inside else store


def _open_archive(url: str, options: dict[str, Any]) -> Store:
    from storekit.stores.zip import ZipStore

    links = links_of(url)
    if not url or (len(links) > 1 and inside_of(links[0]) is not None):
        raise ValueError("behind zip:: stands the URL or the path of one archive")
    if len(links) == 1 and scheme_of(url) in ("", "file"):
        return ZipStore(path_of(url), **options)
    if options.pop("mode", "r") != "r":
        raise ValueError("mode must be 'r' for an archive that is not on a disk")
    own = {name: options.pop(name) for name in ("max_member_bytes",) if name in options}
    folder, query, name = parent_of(url)
    inner = open_store(f"{folder}{query}", **options)
    try:
        return ZipStore.over(inner, name, **own)
    except BaseException:
        inner.close()
        raise


def _open_http(url: str, **options: Any) -> Store:
    from storekit.stores.http import HTTPStore

    return HTTPStore(url, **options)


def _open_object(url: str, **options: Any) -> Store:
    from storekit.stores.object import ObjectStore

    if scheme_of(url) == "gcs":  # as Google's packages for Python say; obstore does not know it
        url = f"gs{url[len('gcs') :]}"
    return ObjectStore(url, **options)


def _open_fsspec(url: str, **options: Any) -> Store:
    from storekit.stores._fsspec_system import schemes_of
    from storekit.stores.fsspec import FsspecStore

    try:
        schemes_of(url)
    except ValueError as error:
        known = ", ".join(sorted(_SCHEMES))
        raise ValueError(f"{error}; there are {known}, and those of fsspec") from None
    own = {name: options.pop(name) for name in ("path", "concurrency") if name in options}
    return FsspecStore(url, storage_options=options or None, **own)


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
_MAY_BE_ZIP = (_open_memory, _open_http, _open_object)
