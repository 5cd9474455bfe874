"""
The names in a directory, from the page that a web server makes of it.

Known are the HTML pages of Python's ``http.server``, nginx, Apache, lighttpd, rclone and the like,
and the JSON of nginx and Caddy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from storekit.errors import InvalidKeyError
from storekit.keys import check_key

__all__ = ["BrokenIndexError", "names_in"]

_INDEX = re.compile(r"\s*(index of|directory listing)\b", re.IGNORECASE)
_PARENT = ("..", "../", "./..", "./../")
_AROUND = ("html", "pre", "table", "ul")  # what servers put a list into, and close behind it


class BrokenIndexError(ValueError):
    """A page that is an index, and cannot be right or whole."""


def names_in(page: bytes, kind: str, url: str) -> set[str] | None:
    """
    The names that a page lists, those of directories with a ``/`` behind.

    Whatever is not directly in the directory, or could be no part of a key, is left out. In JSON
    there are no links to elsewhere, so there a name with a slash is an error.

    Args:
        page: What the server sent.

        kind: Its content type.

        url: Of the directory, percent-encoded, with a ``/`` behind and without a query.

    Returns:
        None if the page is no index of a directory.

    Raises:
        BrokenIndexError: If the page ends too early, or has a name that cannot be.
    """
    if kind.partition(";")[0].strip().lower() == "application/json":
        names = _names_in_json(page)
    else:
        names = _names_in_html(page, url)
    return None if names is None else {name for name in names if _is_valid(name)}


def _is_valid(name: str) -> bool:
    try:
        return "/" not in check_key(name.removesuffix("/"))
    except InvalidKeyError:
        return False


def _names_in_json(page: bytes) -> list[str] | None:
    try:
        entries: Any = json.loads(page)
        if entries is None:  # Caddy, of an empty directory
            return []
        names = [_name_of(entry) for entry in entries] if isinstance(entries, list) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    for name in names or ():
        if name in ("", "/") or "/" in name[:-1]:
            raise BrokenIndexError(f"it has an entry of the name {name[:80]!r}")
    return names


def _name_of(entry: dict[str, Any]) -> str:
    name = entry["name"]
    if not isinstance(name, str):
        raise TypeError
    if "is_dir" in entry:  # Caddy
        is_directory = entry["is_dir"]
    else:  # nginx; there is a third type, "other"
        is_directory = entry["type"] == "directory"
    return f"{name.removesuffix('/')}/" if is_directory else name


def _names_in_html(page: bytes, url: str) -> list[str] | None:
    reader = _Page()
    reader.feed(page.decode("utf-8", "replace"))
    reader.close()
    base = urlsplit(url)
    if not reader.is_index(unquote(base.path)):
        return None
    if reader.is_cut:
        raise BrokenIndexError("it ends too early")
    return list(_names_of(reader.links, url))


def _names_of(links: list[str], url: str) -> Iterator[str]:
    base = urlsplit(url)
    for link in links:
        try:
            target = urlsplit(urljoin(url, link))
            inside = target.path.removeprefix(base.path)
            name = unquote(inside.removesuffix("/"), errors="strict")
        except ValueError:  # no URL, or no UTF-8
            continue
        # What is elsewhere still begins with a slash. Links that sort or download carry a query.
        if target[:2] != base[:2] or "?" in link or "/" in name:
            continue
        yield f"{name}/" if inside.endswith("/") else name


class _Page(HTMLParser):
    """What a page links to, and what it calls itself."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self._names = {"title": "", "h1": ""}
        self._open = ""
        self._around: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links, and where names and lists begin."""
        if tag in self._names:
            self._open = tag
        if tag in _AROUND:
            self._around.append(tag)
        if tag == "a":
            self.links += [value.strip() for name, value in attrs if name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        """Note where names and lists end."""
        if tag == self._open:
            self._open = ""
        if tag in self._around:
            self._around.remove(tag)

    def handle_data(self, data: str) -> None:
        """Note names."""
        if self._open:
            self._names[self._open] += data

    @property
    def is_cut(self) -> bool:
        """Whether something is not closed that should be."""
        return bool(self._around)

    def is_index(self, path: str) -> bool:
        """
        Whether this is the index of a directory: it says so, or it is named by the end of the path
        and leads to the parent.
        """
        if any(_INDEX.match(name) for name in self._names.values()):
            return True
        title = self._names["title"].strip()
        named = title.startswith("/") and path.rstrip("/").endswith(title.rstrip("/"))
        return named and any(link in _PARENT for link in self.links)
