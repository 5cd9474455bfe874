"""
Text and bytes, of variable length and padded to a fixed one.

Source: the registered extensions ``string``, ``bytes`` and ``fixed_length_utf32``, and what
zarr-python writes for numpy's ``S``: ``null_terminated_bytes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from storekit.codecs.base import check_keys
from storekit.errors import MetadataError
from storekit.nodes.documents import inside
from storekit.nodes.dtypes.base import MAX_ITEM, DataType, positive
from storekit.nodes.fill import bytes_from_json, bytes_to_json, check_text
from storekit.typing import JSON, DType

__all__ = ["FixedText", "NullTerminatedBytes", "String", "VariableBytes"]


@dataclass(frozen=True)
class String(DataType):
    """``string``: text of any length."""

    def _name(self) -> str:
        return "string"

    variable = True

    def _numpy(self) -> DType:
        return np.dtypes.StringDType()

    @property
    def default_fill(self) -> Any:
        """The empty text."""
        return ""

    def fill_to_json(self, value: Any) -> JSON:
        """The text."""
        return str(value)

    def fill_from_json(self, json: JSON) -> Any:
        """The text."""
        return check_text(json)

    def cast_fill(self, value: object) -> Any:
        """A text."""
        return check_text(value)


@dataclass(frozen=True)
class VariableBytes(DataType):
    """``bytes``: bytes of any length; zarr-python says ``variable_length_bytes``."""

    def _name(self) -> str:
        return "bytes"

    variable = True

    def _numpy(self) -> DType:
        return np.dtype(object)

    @property
    def default_fill(self) -> Any:
        """No bytes."""
        return b""

    def fill_to_json(self, value: Any) -> JSON:
        """Base64: zarr-python reads nothing else."""
        return bytes_to_json(value)

    def fill_from_json(self, json: JSON) -> Any:
        """Base64, or a list of integers."""
        return bytes_from_json(json)

    def cast_fill(self, value: object) -> Any:
        """Any bytes."""
        return as_bytes(value)


@dataclass(frozen=True)
class FixedText(DataType):
    """
    ``fixed_length_utf32``: text of at most `length` code points, padded with NUL.

    Args:
        length: The number of code points.
    """

    length: int

    def _name(self) -> str:
        return "fixed_length_utf32"

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The data type that metadata describes."""
        with inside("configuration"):
            check_keys(configuration, required=("length_bytes",))
        size = positive(configuration, "length_bytes")
        if size % 4:
            raise MetadataError(
                field="configuration.length_bytes", expected="a multiple of 4", found=size
            )
        return cls(size // 4)

    def to_json(self) -> JSON:
        """The object with the length."""
        return {"name": self.name, "configuration": {"length_bytes": 4 * self.length}}

    def _numpy(self) -> DType:
        return np.dtype(f"U{self.length}")

    @property
    def default_fill(self) -> Any:
        """The empty text."""
        return np.str_("")

    def fill_to_json(self, value: Any) -> JSON:
        """The text, without padding."""
        return str(value)

    def fill_from_json(self, json: JSON) -> Any:
        """A text that is not too long."""
        return self.cast_fill(json)

    def cast_fill(self, value: object) -> Any:
        """A text that is not too long."""
        text = check_text(value).rstrip("\0")
        if len(text) > self.length:
            raise MetadataError(expected=f"at most {self.length} code points", found=value)
        return np.str_(text)


@dataclass(frozen=True)
class NullTerminatedBytes(DataType):
    """
    ``null_terminated_bytes``: at most `length` bytes, padded with NUL.

    Args:
        length: The number of bytes.
    """

    length: int

    def _name(self) -> str:
        return "null_terminated_bytes"

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The data type that metadata describes."""
        with inside("configuration"):
            check_keys(configuration, required=("length_bytes",))
        return cls(positive(configuration, "length_bytes", limit=MAX_ITEM))

    def to_json(self) -> JSON:
        """The object with the length."""
        return {"name": self.name, "configuration": {"length_bytes": self.length}}

    def _numpy(self) -> DType:
        return np.dtype(f"S{self.length}")

    @property
    def default_fill(self) -> Any:
        """No bytes."""
        return np.bytes_(b"")

    def fill_to_json(self, value: Any) -> JSON:
        """Base64, without padding."""
        return bytes_to_json(bytes(value))

    def fill_from_json(self, json: JSON) -> Any:
        """Base64 or a list of integers, not too long."""
        return self.cast_fill(bytes_from_json(json))

    def cast_fill(self, value: object) -> Any:
        """Bytes that are not too long."""
        data = as_bytes(value).rstrip(b"\0")
        if len(data) > self.length:
            raise MetadataError(expected=f"at most {self.length} bytes", found=value)
        return np.bytes_(data)


def as_bytes(value: object) -> bytes:
    """A copy of anything that is bytes."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise MetadataError(expected="bytes", found=value)
