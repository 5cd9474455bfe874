"""Which operations there are, and what each may answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from storekit.stores._forward import Call
from storekit.stores.values import as_value
from storekit.typing import Value

__all__ = ["OPERATIONS", "READS", "checked_answer", "download", "owned"]


def checked_answer(call: Call, answer: Any) -> Any:
    """
    The answer to a call, values in the form in which stores hand them out.

    Raises:
        TypeError: If the call cannot have such an answer; it says what was expected.
    """
    expected, convert = _ANSWERS[call.op]
    try:
        return convert(answer, call)
    except TypeError as error:
        found = f"{len(answer)} of them" if _is_list(answer) else type(answer).__name__
        if answer == "" or isinstance(answer, int | str):
            found = repr(answer)[:80]
        text = expected.format(count=len(call.keys))
        raise TypeError(f"{call.op} answers with {text}; found {found}") from error


def download(call: Call, answer: Any) -> int:
    """How many bytes of values an answer brings."""
    match call.op:
        case "get":
            return len(answer)
        case "get_versioned":
            return len(answer[0])
        case "get_partial_values":
            return sum(len(value) for value in answer if value is not None)
    return 0


def owned(call: Call) -> Call:
    """The same call with values that nobody else can change, so that it can be kept and hashed."""
    if all(value is None or type(value) is bytes for value in call.values):
        return call
    values = tuple(None if value is None else bytes(value) for value in call.values)
    return replace(call, values=values)


def _is_list(answer: object) -> bool:
    return isinstance(answer, Sequence) and not isinstance(answer, str | bytes | memoryview)


def _value(answer: Any, call: Call) -> Value:
    return as_value(answer)


def _values(answer: Any, call: Call) -> list[Value | None]:
    if not _is_list(answer) or len(answer) != len(call.keys):
        raise TypeError
    return [None if value is None else as_value(value) for value in answer]


def _versioned(answer: Any, call: Call) -> tuple[Value, str]:
    if not _is_list(answer) or len(answer) != 2 or not isinstance(answer[1], str):
        raise TypeError
    return as_value(answer[0]), answer[1]


def _version(answer: Any, call: Call) -> str | None:
    removed = call.values == (None,)
    if answer is not None if removed else not isinstance(answer, str):
        raise TypeError
    version: str | None = answer
    return version


def _truth(answer: Any, call: Call) -> bool:
    if not isinstance(answer, bool):
        raise TypeError
    return answer


def _count(answer: Any, call: Call) -> int:
    if isinstance(answer, bool) or not isinstance(answer, int) or answer < 0:
        raise TypeError
    return answer


def _names(answer: Any, call: Call) -> list[str]:
    if isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
        raise TypeError
    names = list(answer)
    if not all(isinstance(name, str) for name in names):
        raise TypeError
    return names


def _nothing(answer: Any, call: Call) -> None:
    if answer is not None:
        raise TypeError


_NAMES = "names, each a str", _names
_NOTHING = "None", _nothing
_COUNT = "an int that is not negative", _count

READS: dict[str, tuple[str, Callable[[Any, Call], Any]]] = {
    "get": ("a bytes-like value", _value),
    "get_partial_values": ("a list of {count}, each bytes-like or None", _values),
    "exists": ("a bool", _truth),
    "getsize": _COUNT,
    "get_versioned": ("a bytes-like value and its version, a str", _versioned),
    "list": _NAMES,
    "list_prefix": _NAMES,
    "list_dir": _NAMES,
}
_ANSWERS = READS | {
    "set": _NOTHING,
    "set_values": _NOTHING,
    "set_partial_values": _NOTHING,
    "erase": _NOTHING,
    "erase_values": _NOTHING,
    "erase_prefix": _COUNT,
    "compare_and_set": ("the new version, a str (None if it removed the key)", _version),
}

OPERATIONS = frozenset(_ANSWERS)
"""The names of all public methods of stores that ask for data or change it."""
