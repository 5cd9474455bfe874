"""
How the keys of chunks are spelled.

Source: Zarr v3 core specification, "Chunk key encoding": ``default`` is ``c/1/2``, ``v2`` ``1.2``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from storekit.codecs.base import check_keys
from storekit.errors import MetadataError
from storekit.nodes.documents import inside, named
from storekit.typing import JSON

__all__ = ["DEFAULT_KEYS", "KeyEncoding"]

_SEPARATORS = {"default": "/", "v2": "."}
_INDEX = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class KeyEncoding:
    """
    A way to spell the keys of chunks, relative to the array.

    Args:
        kind: ``"default"`` or ``"v2"``.

        separator: ``"/"`` or ``"."``; empty for the usual one of the kind.

    Raises:
        MetadataError: If it is neither.
    """

    kind: str = "default"
    separator: str = ""

    def __post_init__(self) -> None:
        if self.kind not in _SEPARATORS:
            raise MetadataError(
                field="chunk_key_encoding", expected='"default" or "v2"', found=self.kind
            )
        if not self.separator:
            object.__setattr__(self, "separator", _SEPARATORS[self.kind])
        if self.separator not in ("/", "."):
            raise MetadataError(
                field="chunk_key_encoding.configuration.separator",
                expected='"/" or "."',
                found=self.separator,
            )

    @classmethod
    def from_json(cls, json: JSON) -> KeyEncoding:
        """
        The encoding that metadata describes.

        Raises:
            MetadataError: With `field` seen from the document.
        """
        with inside("chunk_key_encoding"):
            kind, configuration = named(json, what="a chunk key encoding")
            if kind not in _SEPARATORS:
                raise MetadataError(expected='"default" or "v2"', found=kind)
            with inside("configuration"):
                check_keys(configuration, optional=("separator",))
                separator = configuration.get("separator", _SEPARATORS[kind])
                if separator not in ("/", "."):
                    raise MetadataError(field="separator", expected='"/" or "."', found=separator)
        return cls(kind, separator)

    def to_json(self) -> JSON:
        """The object for metadata."""
        return {"name": self.kind, "configuration": {"separator": self.separator}}

    @cached_property
    def prefix(self) -> str:
        """What comes before the labels."""
        return f"c{self.separator}" if self.kind == "default" else ""

    @cached_property
    def scalar(self) -> str:
        """The key of the only chunk of an array without axes."""
        return "c" if self.kind == "default" else "0"

    def name(self, indices: Iterable[int]) -> str:
        """The key of the chunk at this place in the grid."""
        labels = [str(index) for index in indices]
        return self.prefix + self.separator.join(labels) if labels else self.scalar

    def namer(self, path: str) -> Callable[[tuple[str, ...]], str]:
        """A function from a chunk's decimal labels to its key, which begins with `path`."""
        head, join = path + self.prefix, self.separator.join
        scalar = path + self.scalar
        return lambda labels: head + join(labels) if labels else scalar

    def indices(self, name: str, ndim: int) -> tuple[int, ...] | None:
        """The place in a grid of `ndim` axes that a key stands for, or None."""
        if ndim == 0:
            return () if name == self.scalar else None
        labels = name.removeprefix(self.prefix).split(self.separator)
        if not name.startswith(self.prefix) or len(labels) != ndim:
            return None
        if not all(_INDEX.fullmatch(label) for label in labels):
            return None
        return tuple(int(label) for label in labels)


DEFAULT_KEYS = KeyEncoding()
"""``c/1/2``: what new arrays use."""
