"""
A recording as a file.

A line that says what it is, 16 bytes of BLAKE2b of the rest, and the rest in MessagePack: a map of
`store`, what it was like, and `calls`, a map each of the fields of `Call` that are not empty, of
`nanoseconds`, and of `answer` or `error`. Nothing in a file is trusted.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, NoReturn

from storekit.errors import InvalidKeyError, InvalidRangeError, MetadataError
from storekit.keys import check_key, check_prefix, check_range
from storekit.stores._answers import OPERATIONS, checked_answer
from storekit.stores._forward import Call
from storekit.stores._recorded import Recorded, RecordedError, Traits
from storekit.stores.base import (
    ConditionalStore,
    Latency,
    ListableStore,
    ReadableStore,
    WritableStore,
)
from storekit.typing import ByteRange

__all__ = ["pack", "unpack"]

MAGIC = b"storekit recording 1\n"
_DIGEST = 16
_CAPABILITIES = {
    kind.__name__: kind for kind in (ReadableStore, WritableStore, ListableStore, ConditionalStore)
}
_SINGLE = {"get", "exists", "getsize", "get_versioned", "set", "erase", "compare_and_set"}
_BY_PREFIX = {"list", "list_prefix", "list_dir", "erase_prefix"}
_LISTS = _BY_PREFIX - {"erase_prefix"}
_WITH_RANGES = {"get_partial_values", "set_partial_values"}
_WITH_VALUES = {"set", "set_values", "set_partial_values", "compare_and_set"}
_ERROR_FIELDS: dict[str, Any] = {
    "name": str,
    "message": str,
    "key": str | None,
    "retryable": bool,
    "retry_after": float | None,  # not negative
}
_LONGEST = 10**18  # nanoseconds, 31 years; a real clock could not wait for 300
_FIELDS = {"op", "keys", "ranges", "values", "prefix", "expected_version"}


def pack(traits: Traits, calls: Iterable[Recorded]) -> bytes:
    """
    The bytes of a file.

    Raises:
        TypeError: If an answer is none.

        ValueError: If a call took longer than a file can say.
    """
    import msgpack

    store = {
        "abilities": sorted(kind.__name__ for kind in traits.abilities),
        "latency": int(traits.latency),
        "concurrency": traits.concurrency,
        "page_size": traits.page_size,
    }
    body: bytes = msgpack.packb({"store": store, "calls": [_packed(each) for each in calls]})
    return MAGIC + _digest(body) + body


def unpack(data: bytes, document: str) -> tuple[Traits, list[Recorded]]:
    """
    What the bytes of a file say.

    Args:
        data: The bytes.

        document: The name of the file, for errors.

    Raises:
        MetadataError: If there is anything in it that `pack` does not write.
    """
    import msgpack

    body = data[len(MAGIC) + _DIGEST :]
    if not data.startswith(MAGIC):
        _refuse(document, None, f"a file that begins with {MAGIC!r}", data[: len(MAGIC)])
    if data[len(MAGIC) : len(MAGIC) + _DIGEST] != _digest(body):
        raise MetadataError("the file is damaged: its checksum is another one", document=document)
    try:
        content = msgpack.unpackb(body)
    except (ValueError, RecursionError, MemoryError) as error:
        raise MetadataError(f"no MessagePack: {error}", document=document) from error
    if not isinstance(content, dict) or content.keys() != {"store", "calls"}:
        _refuse(document, None, "a map of store and calls", content)
    if not isinstance(content["calls"], list):
        _refuse(document, "calls", "a list", content["calls"])
    traits = _traits(content["store"], document)
    calls = [
        _recorded(call, document, f"calls[{number}]")
        for number, call in enumerate(content["calls"])
    ]
    return traits, calls


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=_DIGEST).digest()


def _refuse(document: str, field: str | None, expected: str, found: object) -> NoReturn:
    raise MetadataError(document=document, field=field, expected=expected, found=found)


# --- the store ------------------------------------------------------------------------------------


def _traits(entry: Any, document: str) -> Traits:
    fields = {"abilities", "latency", "concurrency", "page_size"}
    if not isinstance(entry, dict) or entry.keys() != fields:
        _refuse(document, "store", f"a map of {sorted(fields)}", entry)
    latency, concurrency, page_size = entry["latency"], entry["concurrency"], entry["page_size"]
    if not _is_int(latency) or latency not in set(Latency):
        _refuse(document, "store.latency", f"one of {[int(each) for each in Latency]}", latency)
    if not _is_int(concurrency) or concurrency < 1:
        _refuse(document, "store.concurrency", "a positive int", concurrency)
    if page_size is not None and (not _is_int(page_size) or page_size < 1):
        _refuse(document, "store.page_size", "a positive int or nil", page_size)
    able = _abilities(entry["abilities"])
    if able is None:
        _refuse(document, "store.abilities", f"some of {list(_CAPABILITIES)}", entry["abilities"])
    return Traits(able, Latency(latency), concurrency, page_size)


def _abilities(names: Any) -> frozenset[type] | None:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return None
    if not set(names) <= _CAPABILITIES.keys():
        return None
    able = frozenset[type](_CAPABILITIES[name] for name in names)
    needed = {ReadableStore, WritableStore} if ConditionalStore in able else set()
    return able if needed <= able else None


# --- a call ---------------------------------------------------------------------------------------


def _packed(recorded: Recorded) -> dict[str, Any]:
    call, answer = recorded.call, recorded.answer
    if recorded.nanoseconds > _LONGEST:
        raise ValueError(f"{call.op} took longer than the {_LONGEST} ns that a file can say")
    entry: dict[str, Any] = {"op": call.op, "nanoseconds": recorded.nanoseconds}
    for name in ("keys", "ranges", "values", "prefix", "expected_version"):
        value = getattr(call, name)
        if value is not None and value != ():
            entry[name] = value
    if isinstance(answer, RecordedError):
        entry["error"] = {name: getattr(answer, name) for name in _ERROR_FIELDS}
    else:
        entry["answer"] = _checked(call, answer)
    return entry


def _recorded(entry: Any, document: str, field: str) -> Recorded:
    if not isinstance(entry, dict) or not {"op", "nanoseconds"} <= entry.keys():
        _refuse(document, field, "a map with at least op and nanoseconds", entry)
    unknown = entry.keys() - _FIELDS - {"nanoseconds", "answer", "error"}
    if unknown:
        _refuse(document, field, "no other fields", sorted(map(str, unknown)))
    took = entry["nanoseconds"]
    if not _is_int(took) or not 0 <= took <= _LONGEST:
        _refuse(document, f"{field}.nanoseconds", f"an int from 0 to {_LONGEST}", took)
    call = _call(entry, document, field)
    if ("answer" in entry) == ("error" in entry):
        _refuse(document, field, "either an answer or an error", sorted(entry))
    if "error" in entry:
        return Recorded(call, _error(entry["error"], document, f"{field}.error"), took)
    try:
        return Recorded(call, _checked(call, entry["answer"]), took)
    except TypeError as error:
        raise MetadataError(str(error), document=document, field=f"{field}.answer") from error


def _call(entry: dict[str, Any], document: str, field: str) -> Call:
    op = entry["op"]
    if not isinstance(op, str) or op not in OPERATIONS:
        _refuse(document, f"{field}.op", f"one of {sorted(OPERATIONS)}", op)
    try:
        keys = tuple(check_key(key) for key in _list(entry, "keys"))
        ranges = tuple(_range(part) for part in _list(entry, "ranges"))
        values = tuple(_list(entry, "values"))
        prefix = check_prefix(entry["prefix"]) if "prefix" in entry else None
    except (InvalidKeyError, InvalidRangeError, TypeError) as error:
        raise MetadataError(str(error), document=document, field=field) from error
    call = Call(op, keys, ranges, values, prefix, entry.get("expected_version"))
    if not _fits(call):
        _refuse(document, field, f"the arguments of {op}", sorted(entry))
    return call


def _list(entry: dict[str, Any], name: str) -> list[Any]:
    found = entry.get(name, [])
    if not isinstance(found, list):
        raise TypeError(f"{name} must be a list, found {type(found).__name__}")
    return found


def _range(part: Any) -> ByteRange:
    if not isinstance(part, list) or len(part) != 2:
        raise TypeError("a range must be a start and a length")
    return check_range(*part)


def _fits(call: Call) -> bool:
    """Whether an operation is called with such arguments."""
    count = len(call.keys)
    by_prefix = call.op in _BY_PREFIX
    removable = (bytes, type(None)) if call.op == "compare_and_set" else bytes
    return (
        (call.prefix is not None) == by_prefix
        and (call.op != "list" or call.prefix == "")
        and (count == 0 if by_prefix else count == 1 or call.op not in _SINGLE)
        and len(call.ranges) == (count if call.op in _WITH_RANGES else 0)
        and len(call.values) == (count if call.op in _WITH_VALUES else 0)
        and all(isinstance(value, removable) for value in call.values)
        and (call.expected_version is None or call.op == "compare_and_set")
        and isinstance(call.expected_version, str | None)
    )


def _checked(call: Call, answer: Any) -> Any:
    """The answer, whose names are such as a store lists; else a TypeError."""
    answer = checked_answer(call, answer)
    for name in answer if call.op in _LISTS else ():
        if not _is_listed(name, call):
            what = "keys, and prefixes, directly" if call.op == "list_dir" else "keys"
            raise TypeError(f"{call.op} answers with {what} under {call.prefix!r}; found {name!r}")
    return answer


def _is_listed(name: str, call: Call) -> bool:
    prefix = call.prefix or ""
    inside = name.removeprefix(prefix)
    if call.op == "list_dir":
        inside = inside.removesuffix("/")
    try:
        check_key(prefix + inside)
    except InvalidKeyError:
        return False
    return name.startswith(prefix) and (call.op != "list_dir" or "/" not in inside)


def _error(entry: Any, document: str, field: str) -> RecordedError:
    if not isinstance(entry, dict) or entry.keys() != _ERROR_FIELDS.keys():
        _refuse(document, field, f"a map of {list(_ERROR_FIELDS)}", entry)
    for name, kind in _ERROR_FIELDS.items():
        found = entry[name]
        if not isinstance(found, kind) or (isinstance(found, float) and not found >= 0):
            _refuse(document, f"{field}.{name}", getattr(kind, "__name__", str(kind)), found)
    return RecordedError(**entry)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
