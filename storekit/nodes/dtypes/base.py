"""What a data type is: the meaning of an array's elements, apart from how they are encoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from storekit.errors import MetadataError
from storekit.typing import JSON, DType

__all__ = ["DataType", "unshared"]

MAX_ITEM = 2**31 - 1
"""The bytes that one element may take; numpy's own limit."""


class DataType(ABC):
    """
    The data type of an array. Immutable and equal by value.

    Byte order is no part of it: it belongs to the codecs; in memory everything is in native order.
    """

    variable: ClassVar[bool] = False
    """Whether elements have no fixed size in bytes."""

    @cached_property
    def name(self) -> str:
        """The name in metadata."""
        return self._name()

    @cached_property
    def numpy(self) -> DType:
        """The dtype in memory: `StringDType` for string, object for variable-length bytes."""
        return self._numpy()

    @abstractmethod
    def _name(self) -> str: ...

    @abstractmethod
    def _numpy(self) -> DType: ...

    def to_json(self) -> JSON:
        """The data type as metadata spells it."""
        return self.name

    @property
    def default_fill(self) -> Any:
        """The fill value where the user names none."""
        return self.numpy.type(0)

    @abstractmethod
    def fill_to_json(self, value: Any) -> JSON:
        """A fill value, as metadata spells it; any scalar of the data type has a spelling."""

    @abstractmethod
    def fill_from_json(self, json: JSON) -> Any:
        """
        The fill value that metadata spells.

        Raises:
            MetadataError: If it is of another kind or out of range.
        """

    @abstractmethod
    def cast_fill(self, value: object) -> Any:
        """
        The scalar that a user means by `value`; see `storekit.nodes.fill.cast_fill`.

        Raises:
            MetadataError: If it does not fit.
        """

    def __str__(self) -> str:
        return self.name


def positive(configuration: Mapping[str, JSON], key: str, *, limit: int = MAX_ITEM) -> int:
    """A whole number of at least 1 from a configuration."""
    value = configuration.get(key)
    if type(value) is not int or not 0 < value <= limit:
        raise MetadataError(
            field=f"configuration.{key}", expected=f"an integer from 1 to {limit}", found=value
        )
    return value


def fixed_size(data: bytes, size: int, found: object) -> np.void:
    """The bytes as a numpy scalar, if there are as many as needed."""
    if len(data) != size:
        raise MetadataError(expected=f"exactly {size} bytes", found=found)
    return np.void(data)


def unshared(dtype: DType) -> DType:
    """
    A dtype to hand out: the fields of one can be renamed in place (``dtype.names = ...``), and what
    a user does to his must not be felt by others.
    """
    return dtype if dtype.names is None else deepcopy(dtype)
