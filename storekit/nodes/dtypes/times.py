"""
numpy's points in time and durations.

Source: the registered extensions ``numpy.datetime64`` and ``numpy.timedelta64``: 64-bit counts of a
unit, of which the least means "not a time".
"""

from __future__ import annotations

import datetime
import re
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from storekit.codecs.base import check_keys
from storekit.errors import MetadataError
from storekit.nodes.documents import inside
from storekit.nodes.dtypes.base import DataType, positive
from storekit.nodes.fill import cast_int, int_from_json
from storekit.typing import JSON, DType

__all__ = ["TIMES", "Datetime", "Timedelta"]

UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic")
# Two characters look like the micro sign; both are in use.
_MICRO = ("\N{GREEK SMALL LETTER MU}s", "\N{MICRO SIGN}s")
_INT64 = np.dtype("i8")
# What numpy reads, less "now", "today" and time zones.
_ISO = re.compile(r"[+-]?[0-9]+(-[0-9]{2}(-[0-9]{2}([T ][0-9]{2}(:[0-9]{2}){0,2}(\.[0-9]+)?)?)?)?")


@dataclass(frozen=True)
class _Time(DataType, ABC):
    unit: str
    scale: int = 1

    code: ClassVar[str]
    python: ClassVar[tuple[type, ...]]

    @classmethod
    def from_numpy(cls, dtype: DType) -> Self:
        """The data type of a numpy dtype of this kind."""
        return cls(*np.datetime_data(dtype))

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The data type that metadata describes."""
        with inside("configuration"):
            check_keys(configuration, required=("unit", "scale_factor"))
        unit = "us" if configuration["unit"] in _MICRO else configuration["unit"]
        if unit not in UNITS:
            raise MetadataError(
                field="configuration.unit", expected=f"one of {', '.join(UNITS)}", found=unit
            )
        return cls(unit, positive(configuration, "scale_factor"))

    def to_json(self) -> JSON:
        """The object with unit and scale factor."""
        return {
            "name": self.name,
            "configuration": {"unit": self.unit, "scale_factor": self.scale},
        }

    def _numpy(self) -> DType:
        unit = "" if self.unit == "generic" else f"[{self.scale}{self.unit}]"
        return np.dtype(f"{self.code}8{unit}")

    def _scalar(self, count: Any) -> Any:
        return np.array(count, _INT64).view(self.numpy)[()]

    @property
    def default_fill(self) -> Any:
        """Not a time."""
        return self._scalar(np.iinfo(_INT64).min)

    def fill_to_json(self, value: Any) -> JSON:
        """The count of units, or ``"NaT"``."""
        return "NaT" if np.isnat(value) else int(value.view(_INT64))

    def fill_from_json(self, json: JSON) -> Any:
        """The count of units, or ``"NaT"``."""
        if json == "NaT":
            return self.default_fill
        try:
            return self._scalar(int_from_json(json, _INT64))
        except MetadataError:
            raise MetadataError(expected='a 64-bit integer or "NaT"', found=json) from None

    def cast_fill(self, value: object) -> Any:
        """A time that the unit can express, its text, or a count of units."""
        if isinstance(value, np.generic) and value.dtype == self.numpy:
            return value
        if isinstance(value, str) and value == "NaT":  # from text it has no unit: numpy 2.5 warns
            return self.default_fill
        if isinstance(value, self.python) or (isinstance(value, str) and self._reads(value)):
            return self._converted(value)
        try:
            return self._scalar(cast_int(value, _INT64))
        except MetadataError:
            raise MetadataError(
                expected=f"a value that {self.numpy} can hold", found=value
            ) from None

    def _reads(self, text: str) -> bool:
        return text == "NaT"

    def _converted(self, value: Any) -> Any:
        try:
            if getattr(value, "tzinfo", None) is not None:
                raise ValueError  # numpy knows no time zones and would warn
            given = np.array(value, None if isinstance(value, np.generic) else self.code)
            if np.isnat(given):
                return self.default_fill
            if self.unit == "generic":
                raise ValueError
            result = given.astype(self.numpy)
            if result.astype(given.dtype) != given:
                raise ValueError
        except (ValueError, OverflowError, TypeError):
            raise MetadataError(
                expected=f"a value that {self.numpy} can hold", found=value
            ) from None
        return result[()]


class Datetime(_Time):
    """``numpy.datetime64``."""

    code = "M"
    python = (np.datetime64, datetime.date)

    def _name(self) -> str:
        return "numpy.datetime64"

    def _reads(self, text: str) -> bool:
        return text == "NaT" or _ISO.fullmatch(text) is not None


class Timedelta(_Time):
    """``numpy.timedelta64``."""

    code = "m"
    python = (np.timedelta64, datetime.timedelta)

    def _name(self) -> str:
        return "numpy.timedelta64"


TIMES = {"numpy.datetime64": Datetime, "numpy.timedelta64": Timedelta}
"""The classes of times by the name in metadata."""
