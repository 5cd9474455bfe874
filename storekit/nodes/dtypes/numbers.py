"""The core numeric data types. Their names in metadata are numpy's own."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from storekit.errors import MetadataError
from storekit.nodes.dtypes.base import DataType
from storekit.nodes.fill import (
    cast_float,
    cast_int,
    float_from_json,
    float_to_json,
    int_from_json,
)
from storekit.typing import JSON, DType

__all__ = ["NUMBERS", "Boolean", "Complex", "Float", "Integer"]


@dataclass(frozen=True)
class _Number(DataType, ABC):
    kind: str

    def _name(self) -> str:
        return self.kind

    def _numpy(self) -> DType:
        return np.dtype(self.kind)


@dataclass(frozen=True)
class Boolean(_Number):
    """``bool``."""

    kind: str = "bool"

    def fill_to_json(self, value: Any) -> JSON:
        """``true`` or ``false``."""
        return bool(value)

    def fill_from_json(self, json: JSON) -> Any:
        """``true`` or ``false``, and nothing that merely looks like it."""
        if type(json) is not bool:
            raise MetadataError(expected="true or false", found=json)
        return np.bool_(json)

    def cast_fill(self, value: object) -> Any:
        """A truth value, or the integers 0 and 1."""
        if isinstance(value, bool | np.bool_ | int | np.integer) and value in (0, 1):
            return np.bool_(value)
        raise MetadataError(expected="True or False", found=value)


class Integer(_Number):
    """``int8`` to ``int64`` and ``uint8`` to ``uint64``."""

    def fill_to_json(self, value: Any) -> JSON:
        """A number without a fraction."""
        return int(value)

    def fill_from_json(self, json: JSON) -> Any:
        """A number in range and without a fraction."""
        return int_from_json(json, self.numpy)

    def cast_fill(self, value: object) -> Any:
        """A number in range and without a fraction."""
        return cast_int(value, self.numpy)


class Float(_Number):
    """``float16``, ``float32``, ``float64``."""

    def fill_to_json(self, value: Any) -> JSON:
        """A number, ``"NaN"``, ``"Infinity"``, ``"-Infinity"``, or the bits of any other NaN."""
        return float_to_json(value)

    def fill_from_json(self, json: JSON) -> Any:
        """Each form that the specification knows; numbers are rounded."""
        return float_from_json(json, self.numpy)

    def cast_fill(self, value: object) -> Any:
        """A number that does not become infinite, or one of the texts of metadata."""
        return cast_float(value, self.numpy)


class Complex(_Number):
    """``complex64`` and ``complex128``."""

    @cached_property
    def _half(self) -> DType:
        return np.dtype(f"f{self.numpy.itemsize // 2}")

    def _joined(self, real: Any, imaginary: Any) -> Any:
        # A view, because arithmetic on the two would change NaN payloads and the sign of zero.
        return np.array([real, imaginary], self._half).view(self.numpy)[0]

    def fill_to_json(self, value: Any) -> JSON:
        """The real and the imaginary part, each as a float is spelled."""
        return [float_to_json(value.real), float_to_json(value.imag)]

    def fill_from_json(self, json: JSON) -> Any:
        """A pair of floats."""
        if not isinstance(json, list | tuple) or len(json) != 2:
            raise MetadataError(expected="a real and an imaginary part in a list", found=json)
        return self._joined(*(float_from_json(part, self._half) for part in json))

    def cast_fill(self, value: object) -> Any:
        """A number, or a pair of what a float may be."""
        if isinstance(value, complex | np.complexfloating):
            return self._joined(
                *(cast_float(part, self._half) for part in (value.real, value.imag))
            )
        if isinstance(value, list | tuple) and len(value) == 2:
            return self._joined(*(cast_float(part, self._half) for part in value))
        return self._joined(cast_float(value, self._half), 0)


_INTEGERS = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]

NUMBERS: dict[str, DataType] = {
    "bool": Boolean(),
    **{name: Integer(name) for name in _INTEGERS},
    **{f"float{bits}": Float(f"float{bits}") for bits in (16, 32, 64)},
    **{f"complex{bits}": Complex(f"complex{bits}") for bits in (64, 128)},
}
"""Every numeric data type by its name."""
