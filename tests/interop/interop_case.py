"""What is exchanged: an array described apart from any library."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from interop_kinds import Kind

from storekit.typing import JSON, AnyArray, Shape

Window = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Case:
    """
    An array: its metadata and its content.

    Args:
        name: The test's id.

        kind: The data type and the fill value.

        shape: Of the array.

        chunks: Of the cells of the grid: of the shards, where there are shards.

        codecs: As metadata spells them.

        keys: The chunk key encoding, likewise.

        names: The names of the dimensions.

        attributes: The user's.

        content: ``full``; ``holes``, with every other cell nothing but the fill value; ``part``,
            with nothing written but the beginning; ``none``; ``zero`` or ``minus`` for nothing but
            0.0 or -0.0, whatever the fill value.

        slow: Whether only `make test-slow` runs it.
    """

    name: str
    kind: Kind
    shape: Shape
    chunks: Shape
    codecs: tuple[dict[str, Any], ...]
    keys: dict[str, Any] = field(default_factory=lambda: keys("default", "/"))
    names: tuple[str | None, ...] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    content: str = "full"
    slow: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def document(self) -> dict[str, Any]:
        """The metadata document as the specification has it."""
        document = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.kind.json,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(self.chunks)}},
            "chunk_key_encoding": self.keys,
            "fill_value": self.kind.fill_json,
            "codecs": list(self.codecs),
            "attributes": self.attributes,
        }
        return document if self.names is None else {**document, "dimension_names": list(self.names)}

    @property
    def window(self) -> Window | None:
        """The part that is written; None if nothing is."""
        if self.content == "none" or not prod(self.shape):
            return None
        if self.content != "part":
            return tuple(slice(0, n) for n in self.shape)
        return tuple(slice(0, -(-n // 2)) for n in self.shape)

    @cached_property
    def values(self) -> AnyArray:
        """What a reader must find."""
        out = self.kind.full(self.shape)
        if self.window is not None:
            out[self.window] = self._content()[self.window]
        out.flags.writeable = False
        return out

    def _content(self) -> AnyArray:
        content = self.random(self.shape)
        if self.content == "holes" and self.shape:
            for place in np.ndindex(
                *(-(-n // c) for n, c in zip(self.shape, self.cell, strict=True))
            ):
                if sum(place) % 2:
                    cell = zip(place, self.cell, strict=True)
                    content[tuple(slice(i * c, (i + 1) * c) for i, c in cell)] = self.kind.fill
        if self.content == "zero":
            content[...] = 0
        if self.content == "minus":
            content.view(f"f{self.kind.dtype.alignment}")[...] = -0.0
        return content

    def random(self, shape: Shape, salt: int = 0) -> AnyArray:
        """Content of the data type, always the same for one case, shape and salt."""
        return self.kind.random(
            shape, np.random.default_rng([zlib.crc32(self.name.encode()), salt])
        )

    @property
    def cell(self) -> Shape:
        """The shape of the innermost chunks."""
        cell = self.chunks
        for codec in flat(self.codecs):
            if codec["name"] == "sharding_indexed":
                cell = tuple(codec["configuration"]["chunk_shape"])
        return cell

    def uses(self, name: str, **configuration: JSON) -> bool:
        """Whether a codec occurs, however deep, with at least this configuration."""
        return any(
            codec["name"] == name
            and configuration.items() <= codec.get("configuration", {}).items()
            for codec in flat(self.codecs)
        )

    @property
    def sharded(self) -> bool:
        """Whether there are shards."""
        return self.uses("sharding_indexed")

    @property
    def sharding(self) -> dict[str, Any]:
        """The configuration of the outermost shards."""
        for codec in self.codecs:
            if codec["name"] == "sharding_indexed":
                return codec["configuration"]
        return {}


def flat(codecs: Any) -> Iterator[dict[str, Any]]:
    """All codecs of chunks, those inside of shards too, but not those of the index."""
    for codec in codecs:
        yield codec
        yield from flat(codec.get("configuration", {}).get("codecs", ()))


def keys(name: str, separator: str) -> dict[str, Any]:
    """A chunk key encoding."""
    return {"name": name, "configuration": {"separator": separator}}
