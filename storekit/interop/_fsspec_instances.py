"""Which file systems of fsspec are one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsspec.registry import get_filesystem_class
from fsspec.spec import AbstractFileSystem
from fsspec.utils import tokenize

from storekit.shared import Shared

__all__ = ["OneForEqual"]

_Cached: Any = type(AbstractFileSystem)


class OneForEqual(_Cached):  # type: ignore[misc] # fsspec has no types
    """
    Makes one file system for equal options, whatever URL and thread they come with.

    fsspec makes another one for each thread, and one for all options that look alike. Threads are
    to share a link, and two links are two even if they look alike.
    """

    def __call__(self, *args: Any, **options: Any) -> Any:
        options = _without_path(options)
        skip = options.pop("skip_instance_cache", False)
        name = tokenize(self, args, _told_apart(options))
        made = None if skip else self._cache.get(name)
        if made is None:
            made = super().__call__(*args, skip_instance_cache=True, **options)
            made._fs_token_ = name
            if not skip:
                made = self._cache.setdefault(name, made)
                self._latest = name
        return made


def _without_path(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without the path that fsspec adds to those of a chain of URLs."""
    kept = {name: value for name, value in options.items() if name != "fo"}
    protocol = kept.get("target_protocol")
    if protocol is not None:
        inner = kept.get("target_options") or {}
        is_ours = isinstance(get_filesystem_class(protocol), OneForEqual)
        kept["target_options"] = _without_path(inner) if is_ours else inner
    return kept


def _told_apart(value: Any) -> Any:
    """The options, in the order of their names, with numbers for links, clocks and the like."""
    if isinstance(value, Mapping):
        return [(name, _told_apart(value[name])) for name in sorted(value)]
    return id(value) if isinstance(value, Shared) else value
