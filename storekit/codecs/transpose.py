"""
``transpose``: the axes of a chunk in another order.

Source: Zarr v3, codec ``transpose``: ``order`` is a permutation; axis i of the encoded chunk is
axis ``order[i]`` of the chunk. ``"C"`` and ``"F"``, which drafts of the specification allowed, are
read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from storekit.codecs.base import ArrayArrayCodec, check_keys
from storekit.codecs.spec import ChunkSpec
from storekit.errors import MetadataError
from storekit.selection.part import Mesh, Part, Points
from storekit.typing import JSON, AnyArray

__all__ = ["TransposeCodec"]


class TransposeCodec(ArrayArrayCodec):
    """
    Permute axes.

    Args:
        order: The permutation; or ``"C"`` for none, ``"F"`` for all axes reversed.
    """

    name = "transpose"
    views = True

    def __init__(self, order: Sequence[int] | str) -> None:
        if isinstance(order, str):
            valid = order in ("C", "F")
        else:
            valid = all(type(axis) is int for axis in order)
            valid = valid and sorted(order) == list(range(len(order)))
            order = tuple(order)
        if not valid:
            raise MetadataError(field="order", expected="a permutation of the axes", found=order)
        self.order = order
        self._axes = order if isinstance(order, tuple) else None

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec of a metadata document."""
        check_keys(configuration, required=("order",))
        order = configuration["order"]
        if not isinstance(order, str | list | tuple):
            raise MetadataError(field="order", expected="a list of axes", found=order)
        return cls(order)

    def to_config(self) -> dict[str, JSON]:
        """``order``."""
        return {"order": self.order if isinstance(self.order, str) else list(self.order)}

    def evolved(self, spec: ChunkSpec) -> Self:
        """With ``"C"`` and ``"F"`` spelled out."""
        if self._axes is not None:
            return self
        axes = range(len(spec.shape))
        return type(self)(tuple(axes if self.order == "C" else reversed(axes)))

    def encoded_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """A chunk of the permuted shape."""
        if self._axes is not None and len(self._axes) != len(spec.shape):
            raise MetadataError(
                field="configuration.order",
                expected=f"a permutation of {len(spec.shape)} axes",
                found=list(self._axes),
            )
        shape = spec.shape[::-1] if self.order == "F" else spec.shape
        if self._axes is not None:
            shape = tuple(spec.shape[axis] for axis in self._axes)
        return ChunkSpec(shape, spec.dtype, spec.fill_value)

    def encode(self, chunk: AnyArray) -> AnyArray:
        """A view."""
        return chunk if self.order == "C" else chunk.transpose(self._axes)

    def decode(self, chunk: AnyArray) -> AnyArray:
        """A view."""
        if self._axes is None:
            return self.encode(chunk)
        return chunk.transpose(np.argsort(self._axes).tolist())

    def encoded_part(self, part: Part) -> Part | None:
        """The part with its axes permuted, if it has kept them."""
        if isinstance(part, Points):
            return None
        axes = part.axes if isinstance(part, Mesh) else part
        order = self._axes or (
            range(len(axes)) if self.order == "C" else reversed(range(len(axes)))
        )
        permuted = tuple(axes[axis] for axis in order)
        return Mesh(permuted) if isinstance(part, Mesh) else permuted  # type: ignore[return-value]
