"""
Shapes, chunk grids and the names of axes, as documents and users spell them.

Source: Zarr v3 core specification, "shape", "Regular chunk grids" and "dimension_names".
"""

from __future__ import annotations

import operator
from typing import Any

from storekit.codecs.base import check_keys
from storekit.errors import MetadataError
from storekit.nodes.documents import inside, named
from storekit.typing import JSON, Shape

__all__ = ["CHUNK_SHAPE", "MAX_LENGTH", "check_lengths", "check_list", "check_names", "read_grid"]

CHUNK_SHAPE = "chunk_grid.configuration.chunk_shape"
MAX_LENGTH = 2**63 - 1
MAX_RANK = 32  # tensorstore's limit; numpy's was the same for long, and codecs may add axes


def check_list(json: JSON, field: str) -> Any:
    """The list or tuple, if it is one."""
    if not isinstance(json, list | tuple):
        raise MetadataError(field=field, expected="a list", found=json)
    return json


def check_lengths(lengths: Any, field: str, *, least: int) -> Shape:
    """The lengths of the axes as plain ints, each a whole number from `least` to the limit."""
    result = []
    for index, length in enumerate(check_list(lengths, field)):
        number = length if type(length) is int else _whole(length)
        if not least <= number <= MAX_LENGTH:
            raise MetadataError(
                field=f"{field}[{index}]",
                expected=f"an integer from {least} to {MAX_LENGTH}",
                found=length,
            )
        result.append(number)
    if len(result) > MAX_RANK:
        raise MetadataError(field=field, expected=f"at most {MAX_RANK} axes", found=len(result))
    return tuple(result)


def _whole(length: Any) -> int:
    """The whole number that another type stands for; -1 if it is none."""
    try:
        return -1 if isinstance(length, bool) else operator.index(length)
    except TypeError:
        return -1


def check_names(names: Any, ndim: int) -> tuple[str | None, ...] | None:
    """The names of `ndim` axes, if they are that; None where there are none."""
    if names is None:
        return None
    if not isinstance(names, list | tuple) or len(names) != ndim:
        raise MetadataError(
            field="dimension_names", expected=f"a list of {ndim} names", found=names
        )
    for index, name in enumerate(names):
        if not (name is None or isinstance(name, str)):
            raise MetadataError(
                field=f"dimension_names[{index}]", expected="a string or null", found=name
            )
    return tuple(names)


def read_grid(json: JSON) -> Any:
    """The chunk shape of a regular grid, not checked further."""
    with inside("chunk_grid"):
        name, configuration = named(json, what="a chunk grid")
        if name != "regular":
            raise MetadataError(expected='"regular"', found=name)
        with inside("configuration"):
            check_keys(configuration, required=("chunk_shape",))
            return check_list(configuration["chunk_shape"], "chunk_shape")
