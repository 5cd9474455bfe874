"""
JSON documents: read with suspicion, written strictly.

Source: RFC 8259 (JSON; a parser may ignore a byte order mark); Zarr v3 core specification,
"Extensions" (an extension is a name, or an object with a name, a configuration and
``must_understand``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isfinite, isnan

import numpy as np

from storekit.codecs.base import within
from storekit.errors import MetadataError
from storekit.typing import JSON, Value

__all__ = [
    "check_finite",
    "dump_document",
    "dump_fields",
    "inside",
    "is_unique",
    "join_fields",
    "load_document",
    "named",
    "plain_json",
]

# zarr-python writes NaN and Infinity as bare words into attributes; elsewhere they have a spelling.
# There they are read and, so that a document can be changed that has some, written again.
_LENIENT = ("attributes", "consolidated_metadata")


def load_document(data: Value, *, finite: bool = True) -> dict[str, JSON]:
    """
    Parse a metadata document.

    Args:
        data: The bytes.

        finite: Whether numbers must be finite outside of attributes.

    Raises:
        MetadataError: If the bytes are not one JSON object in UTF-8, if an object holds a key
            twice, or if a number is not finite that must be.
    """
    try:
        text = bytes(data).decode().removeprefix("\ufeff")
        document = _decode(text)
        if type(document) is dict and not (is_unique(document, text) and _has_no_constants(text)):
            document = _decode_strictly(text, finite)
    except UnicodeDecodeError as error:
        raise MetadataError(f"the document is not UTF-8: {error.reason}") from None
    except RecursionError:
        raise MetadataError("the document is nested too deeply") from None
    except MetadataError:
        raise
    except ValueError as error:  # JSONDecodeError, or an integer of thousands of digits
        raise MetadataError(f"the document is not JSON: {error}") from None
    if type(document) is not dict:
        raise MetadataError(expected="a JSON object", found=document)
    return document


def dump_document(document: Mapping[str, JSON]) -> bytes:
    """
    The bytes of a metadata document: ASCII, a line a field, and valid for the strictest reader,
    unless there are numbers in the attributes that are not finite.

    Raises:
        MetadataError: With the path of what has no form in JSON.
    """
    return join_fields(dump_fields(document))


def dump_fields(fields: Mapping[str, JSON]) -> str:
    """
    A part of a metadata document: at least one field, each on a line.

    Raises:
        MetadataError: With the path of what has no form in JSON.
    """
    try:
        # Deeper indentation is for Python's own encoder, which takes ten times as long as C's.
        return ",\n".join([f"  {_encode(name)}: {_value(name, fields[name])}" for name in fields])
    except (TypeError, ValueError):
        for field, value in plain_json(fields).items():
            if field not in _LENIENT:
                check_finite(value, field)
        raise MetadataError("the document cannot be written as JSON") from None
    except RecursionError:
        raise MetadataError("the document is nested too deeply") from None


def join_fields(*parts: str) -> bytes:
    """The document that is made of these parts."""
    return "{{\n{}\n}}\n".format(",\n".join(parts)).encode()


def plain_json(value: object, field: str = "") -> JSON:
    """
    A copy of a value made of what JSON can hold: numpy scalars and arrays become numbers and lists.

    Floats are kept even if they are not finite, because zarr-python writes such attributes.

    Raises:
        MetadataError: With the path of what has no form in JSON.
    """
    try:
        return _plain(value, field)
    except RecursionError:
        raise MetadataError("nested too deeply", field=field.partition(".")[0] or None) from None


def check_finite(value: JSON, field: str, before: JSON = None) -> None:
    """
    Check that JSON holds no number that is not finite, but where it held the same before.

    Args:
        value: The JSON.

        field: Where it stands, for errors.

        before: What stood there.

    Raises:
        MetadataError: With the path of the number.
    """
    if isinstance(value, float) and not isfinite(value) and repr(value) != repr(before):
        spelled = "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
        raise MetadataError(
            field=field, expected=f'a finite number, or the text "{spelled}"', found=value
        )
    if isinstance(value, dict):
        old = before if isinstance(before, dict) else {}
        for key, item in value.items():
            check_finite(item, f"{field}.{key}", old.get(key))
    elif isinstance(value, list):
        olds = before if isinstance(before, list) else []
        for index, item in enumerate(value):
            check_finite(item, f"{field}[{index}]", olds[index] if index < len(olds) else None)


def named(
    extension: JSON, *, what: str, must_understand: bool = True
) -> tuple[str, Mapping[str, JSON]]:
    """
    The name and the configuration of an extension, in whichever form it is spelled.

    Args:
        extension: The JSON.

        what: What the name is for, as in "a data type".

        must_understand: Whether ``"must_understand": false`` is an error.

    Raises:
        MetadataError: With `field` relative to the extension.
    """
    if isinstance(extension, str):
        return extension, {}
    if not isinstance(extension, Mapping):
        raise MetadataError(
            expected=f"the name of {what} or an object with its name", found=extension
        )
    name = extension.get("name")
    if not isinstance(name, str):
        raise MetadataError(field="name", expected=f"the name of {what}", found=name)
    configuration = extension.get("configuration", {})
    if not isinstance(configuration, Mapping):
        raise MetadataError(field="configuration", expected="an object", found=configuration)
    understand = extension.get("must_understand", True)
    if understand is not True and (must_understand or understand is not False):
        raise MetadataError(field="must_understand", expected="true, or nothing", found=understand)
    for key in extension:
        if key not in ("name", "configuration", "must_understand"):
            raise MetadataError(
                field=str(key),
                expected="no keys but name, configuration and must_understand",
                found=key,
            )
    return name, configuration


class _Inside:
    # A class, because `contextlib.contextmanager` costs three times as much, ten times a document.
    __slots__ = ("_field",)

    def __init__(self, field: str) -> None:
        self._field = field

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MetadataError):
            raise within(error, self._field) from error.__cause__


def inside(field: str) -> _Inside:
    """A context that puts `field` in front of the field of a `MetadataError` that passes."""
    return _Inside(field)


def _unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise MetadataError("the key occurs twice in one object", field=twice)
    return result


_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(allow_nan=False).encode
_encode_leniently = json.JSONEncoder().encode


def _value(name: str, json: JSON) -> str:
    # Most attributes are empty, and Python sets up an encoder for each call, which takes 1 us.
    if type(json) is dict and not json:
        return "{}"
    return _encode_leniently(json) if name in _LENIENT else _encode(json)


_BARE = re.compile(r'(?<!")NaN|(?<!["-])Infinity|(?<!")-Infinity')


def is_unique(document: JSON, text: str) -> bool:
    """
    Whether no key was twice in one object of the text that a document was parsed from.

    In doubt it was. A pair has a colon, so that as many pairs as colons are all that there were;
    colons within texts are what makes for doubt. Asking so takes 1 us a document, and a hook for
    every object 2.
    """
    return _pairs(document) == text.count(":")


def _has_no_constants(text: str) -> bool:
    return not (("NaN" in text or "Infinity" in text) and _BARE.search(text))


def _decode_strictly(text: str, finite: bool) -> JSON:
    constants: list[str] = []

    def constant(word: str) -> float:
        constants.append(word)
        return float(word)

    document = json.loads(text, object_pairs_hook=_unique, parse_constant=constant)
    if constants and finite:
        for field in document.keys() - set(_LENIENT):
            check_finite(document[field], field)
    return document


def _pairs(value: JSON) -> int:
    """How many pairs of key and value there are in all objects of a parsed document."""
    items = value.values() if type(value) is dict else value
    number = len(value) if type(value) is dict else 0
    for item in items:
        if type(item) is dict or type(item) is list:
            number += _pairs(item)
    return number


def _plain(value: object, field: str) -> JSON:
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "biufUT":
        value = value.tolist()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise MetadataError(
                    field=field or None, expected="keys that are strings", found=key
                )
        return {
            str(key): _plain(item, f"{field}.{key}" if field else str(key))
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, f"{field}[{index}]") for index, item in enumerate(value)]
    raise MetadataError(field=field or None, expected="a value that JSON can hold", found=value)
