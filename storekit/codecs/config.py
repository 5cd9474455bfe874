"""Reading values out of a codec's configuration, with errors that name the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from storekit.errors import MetadataError
from storekit.typing import JSON

__all__ = ["get_bool", "get_choice", "get_int", "get_shape"]

D = TypeVar("D")


def get_int(
    configuration: Mapping[str, JSON], key: str, low: int, high: int, default: D
) -> int | D:
    """The integer under a key, from `low` to `high`; `default` if the key is absent."""
    if key not in configuration:
        return default
    value = configuration[key]
    if type(value) is not int or not low <= value <= high:
        raise MetadataError(field=key, expected=f"an integer from {low} to {high}", found=value)
    return value


def get_bool(configuration: Mapping[str, JSON], key: str, default: D) -> bool | D:
    """The truth value under a key; `default` if the key is absent."""
    if key not in configuration:
        return default
    value = configuration[key]
    if type(value) is not bool:
        raise MetadataError(field=key, expected="true or false", found=value)
    return value


def get_choice(
    configuration: Mapping[str, JSON], key: str, choices: Sequence[str], default: D
) -> str | D:
    """One of several strings under a key; `default` if the key is absent."""
    if key not in configuration:
        return default
    value = configuration[key]
    if not isinstance(value, str) or value not in choices:
        raise MetadataError(field=key, expected=f"one of {', '.join(choices)}", found=value)
    return value


def get_shape(configuration: Mapping[str, JSON], key: str, default: D) -> tuple[int, ...] | D:
    """The list of positive integers under a key; `default` if the key is absent."""
    if key not in configuration:
        return default
    value = configuration[key]
    if not isinstance(value, list | tuple) or not all(type(n) is int and n > 0 for n in value):
        raise MetadataError(field=key, expected="a list of positive integers", found=value)
    return tuple(value)
