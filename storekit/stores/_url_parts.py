"""The parts of URLs, of paths, and of chains of URLs as fsspec has them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = [
    "LINK",
    "SCHEME",
    "inside_of",
    "links_of",
    "local_path",
    "name_in",
    "parent_of",
    "path_of",
    "scheme_of",
]

SCHEME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]*")
LINK = re.compile(r"[a-z]+")  # of a chain: a scheme alone, as fsspec reads it


def scheme_of(url: str) -> str:
    """In small letters; empty of a path."""
    scheme, found, _ = url.partition("://")
    if found and SCHEME.fullmatch(scheme):
        return scheme.lower()
    return "file" if url.lower().startswith("file:/") else ""


def links_of(url: str) -> list[str]:
    """The links of a chain; of all else it is one."""
    links = url.split("::")
    return links if scheme_of(links[0]) or LINK.fullmatch(links[0]) else [url]


def inside_of(link: str) -> str | None:
    """The path in an archive, of the link of a chain that asks for that; None of others."""
    scheme, _, path = link.partition("://")
    return path.strip("/") if scheme == "zip" else None


def parent_of(url: str) -> tuple[str, str, str]:
    """The URL of what a value is in, its query, and the name of the value there."""
    query = ""
    if scheme_of(url) in ("http", "https"):
        url, mark, rest = url.partition("?")
        query = mark + rest
    folder, _, name = url.rpartition("/")
    return folder, query, unquote(name)


def path_of(url: str) -> Path:
    """The path of a ``file:`` URL; any other text is one, unless it is a URL."""
    scheme = scheme_of(url)
    if scheme not in ("", "file"):
        raise ValueError(f"expected a path or a file URL, found a URL of {scheme!r}")
    if not scheme:
        return Path(url)
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"file URLs are of this machine; found the host {parts.netloc!r}")
    return Path(unquote(parts.path))


def name_in(url: str) -> str:
    """The last segment of the path in a URL, as it is; empty if it is of a store alone."""
    first, *others = links_of(url)
    if others and (inside := inside_of(first)) is not None:
        return inside.rpartition("/")[2]
    path = urlsplit(others[-1] if others else url).path
    return path.rstrip("/").rpartition("/")[2]


def local_path(url: str | os.PathLike[str]) -> Path | None:
    """The path that a URL or a path stands for, if it is one of this machine."""
    if not isinstance(url, str):
        return Path(url)
    if len(links_of(url)) > 1 or scheme_of(url) not in ("", "file"):
        return None
    return path_of(url)
