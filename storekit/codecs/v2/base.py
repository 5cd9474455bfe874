"""
What codecs of Zarr v2 have in common: they are configured as numcodecs spells it, and only read.

Source: Zarr v2 specification, "compressor" and "filters"; the configurations of numcodecs.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from math import isfinite
from typing import Any, ClassVar, Self

import numpy as np

from storekit.codecs.base import BytesBytesCodec, check_keys
from storekit.errors import MetadataError, MissingExtraError, UnsupportedError
from storekit.typing import JSON, DType, Value

__all__ = ["MAX_UNKNOWN", "V2Codec", "get_dtype", "get_number", "numcodecs_class"]

MAX_UNKNOWN = 1 << 31
"""No more bytes than this come out where the size is not known beforehand."""

_NUMBER = re.compile(r"[<>|](b1|[iu]1)|[<>]([iu][248]|f[248]|c8|c16)")


class V2Codec(BytesBytesCodec):
    """
    A codec of Zarr v2, from bytes to bytes.

    Args:
        configuration: What the document says beside the ``id``. Checked.

    Raises:
        MetadataError: If a key is missing, unknown, or has a value that it cannot have.
    """

    required: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()

    def __init__(self, configuration: Mapping[str, JSON]) -> None:
        check_keys(configuration, required=self.required, optional=self.optional)
        self._configuration = dict(configuration)
        self._check(self._configuration)

    @abstractmethod
    def _check(self, configuration: Mapping[str, JSON]) -> None:
        """Look at the values."""

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec that a document describes."""
        return cls(configuration)

    def to_config(self) -> dict[str, JSON]:
        """The configuration."""
        return dict(self._configuration)

    def encode(self, data: Value) -> Value:
        """Not there: Zarr v2 is only read."""
        raise UnsupportedError(f"the codec {self.name!r} of Zarr v2 is only read")


def get_dtype(configuration: Mapping[str, JSON], key: str, default: DType | None = None) -> DType:
    """The dtype of numbers under a key; `default`, where there is one, if the key is absent."""
    value = configuration.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise MetadataError(field=key, expected='a dtype of numbers, such as "<i4"', found=value)
    return np.dtype(value)


def get_number(configuration: Mapping[str, JSON], key: str) -> float:
    """The finite number under a key."""
    value = configuration[key]
    try:
        number = float(value) if type(value) in (int, float) else np.nan
    except OverflowError:
        number = np.inf
    if not isfinite(number):
        raise MetadataError(field=key, expected="a finite number", found=value)
    return number


def numcodecs_class(name: str) -> Any:
    """
    The codec that numcodecs calls `name`.

    Raises:
        MissingExtraError: If numcodecs is not installed.
    """
    try:
        from numcodecs.registry import codec_registry
    except ImportError as error:
        raise MissingExtraError(
            f"reading {name!r} of Zarr v2 needs numcodecs: pip install 'storekit[zarr-v2]'"
        ) from error
    return codec_registry[name]
