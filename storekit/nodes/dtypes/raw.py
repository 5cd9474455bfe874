"""
Opaque elements of a fixed number of bytes.

Source: the core data type ``r<bits>``; ``raw_bytes`` is zarr-python's name for the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from storekit.codecs.base import check_keys
from storekit.nodes.documents import inside
from storekit.nodes.dtypes.base import DataType, fixed_size, positive
from storekit.nodes.dtypes.text import as_bytes
from storekit.nodes.fill import bytes_from_json, bytes_to_json
from storekit.typing import JSON, DType

__all__ = ["RawBits", "RawBytes"]


@dataclass(frozen=True)
class RawBits(DataType):
    """
    ``r8``, ``r16``, ...: raw bits.

    Args:
        length: The number of bytes.
    """

    length: int

    def _name(self) -> str:
        return f"r{8 * self.length}"

    def _numpy(self) -> DType:
        return np.dtype(f"V{self.length}")

    @property
    def default_fill(self) -> Any:
        """Zeros."""
        return np.void(self.length)

    def fill_to_json(self, value: Any) -> JSON:
        """One integer a byte."""
        return list(value.tobytes())

    def fill_from_json(self, json: JSON) -> Any:
        """One integer a byte; base64 is read, too."""
        return fixed_size(bytes_from_json(json), self.length, json)

    def cast_fill(self, value: object) -> Any:
        """As many bytes as an element has, as bytes, as integers, or as a numpy void."""
        if isinstance(value, np.void):
            data = value.tobytes()
        elif isinstance(value, list | tuple):
            data = bytes_from_json(value)
        else:
            data = as_bytes(value)
        return fixed_size(data, self.length, value)


class RawBytes(RawBits):
    """
    ``raw_bytes``: the same, as zarr-python spells it.

    Args:
        length: The number of bytes.
    """

    def _name(self) -> str:
        return "raw_bytes"

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The data type that metadata describes."""
        with inside("configuration"):
            check_keys(configuration, required=("length_bytes",))
        return cls(positive(configuration, "length_bytes"))

    def to_json(self) -> JSON:
        """The object with the length."""
        return {"name": self.name, "configuration": {"length_bytes": self.length}}

    def fill_to_json(self, value: Any) -> JSON:
        """Base64: zarr-python reads nothing else."""
        return bytes_to_json(value.tobytes())
