"""A rule of what goes wrong, and when."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from storekit.errors import ConnectionLostError, InvalidKeyError, StoreError
from storekit.keys import check_key, check_prefix
from storekit.stores._checks import positive

__all__ = ["READS", "Fault"]

Errors: TypeAlias = type[StoreError] | StoreError | Callable[[str, str], BaseException]

READS = frozenset({"get", "get_partial_values", "get_versioned"})
"""Operations whose answers hold values."""

_SENDS = {"set", "set_values", "set_partial_values", "compare_and_set"}
_BY_PREFIX = {"erase_prefix", "list", "list_prefix", "list_dir"}
_OPS = READS | _SENDS | _BY_PREFIX | {"exists", "getsize", "erase", "erase_values"}


@dataclass(frozen=True, repr=False)
class Fault:
    """
    A rule: which calls go wrong, and how.

    A call matches by its operation and its key. One with several keys matches if any of them does;
    one with a prefix (`list` has ``""``) if the pattern matches the prefix itself, such as
    ``"a/"``. The rule counts the calls that match, of all threads together, whatever becomes of
    them by other rules. With none of `nth`, `every` and `p` it concerns each of them.

    A rule raises an error, or damages values without a word. Damage concerns matching keys only;
    where one call reads several parts of a value, each part.

    Attributes:
        op: The name of a method of the store's contract or a pattern of such names, such as
            ``"get*"``; or several.

        key: A pattern of keys, in which ``*`` stands for any text, also with ``/``.

        error: What is raised: a class of `StoreError`; one such error, of which a copy is raised;
            or a function of operation and key that returns an exception. Defaults to
            `ConnectionLostError`.

        nth: Only the n-th call that matches, beginning with 1.

        every: Only each n-th call that matches.

        p: Only this share of the calls that match, from 0 to 1; 0 is exactly never.

        times: How often the rule takes effect at most.

        when: ``"before"`` the call, which then does not happen; or ``"after"`` it: the call had its
            effect, and its answer, be it an error of the store, got lost.

        truncate: Cut the values read to so many bytes.

        flip: Flip so many bits of each value that is read or written; all, if it has fewer.

    Raises:
        ValueError: If a field makes no sense, or the rule can never take effect.
    """

    op: str | Iterable[str] = "*"
    key: str = "*"
    error: Errors | None = field(default=None, compare=False)
    _: KW_ONLY
    nth: int | None = None
    every: int | None = None
    p: float | None = None
    times: int | None = None
    when: Literal["before", "after"] = "before"
    truncate: int | None = None
    flip: int | None = None
    _ops: frozenset[str] = field(init=False, compare=False)
    _error_as_value: object = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.op, str):
            if not isinstance(self.op, Iterable):
                raise ValueError(f"op must be a name or several, found {self.op!r}")
            object.__setattr__(self, "op", tuple(self.op))
        for name, least in (("nth", 1), ("every", 1), ("times", 1), ("flip", 1), ("truncate", 0)):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < least):
                raise ValueError(f"{name} must be an int of at least {least}, found {value!r}")
        if sum(value is not None for value in (self.nth, self.every, self.p)) > 1:
            raise ValueError("only one of nth, every and p can say which calls go wrong")
        if self.p is not None and positive("p", self.p) > 1:
            raise ValueError(f"p must be a number from 0 to 1, found {self.p!r}")
        if self.when not in ("before", "after"):
            raise ValueError(f"when must be 'before' or 'after', found {self.when!r}")
        self._check_error()
        object.__setattr__(self, "_ops", self._resolve_ops())
        self._check_key()

    def _check_error(self) -> None:
        error = self.error
        if self.damages and (error is not None or self.when == "after"):
            raise ValueError("truncate and flip damage values in silence: no error, no when")
        if isinstance(error, type):
            known = issubclass(error, StoreError)
        else:
            known = error is None or isinstance(error, StoreError) or callable(error)
        if not known:
            raise ValueError(
                f"error must be a StoreError, a class of it or a function, found {error!r}"
            )
        # Errors are equal to nothing but themselves; rules that were pickled should be equal.
        same: object = error
        if isinstance(error, StoreError):
            same = type(error), repr(error.args), repr(vars(error))
        object.__setattr__(self, "_error_as_value", same)

    def _resolve_ops(self) -> frozenset[str]:
        able = _OPS
        if self.damages:
            able = READS if self.truncate is not None else READS | _SENDS
        found: set[str] = set()
        for pattern in (self.op,) if isinstance(self.op, str) else self.op:
            if not isinstance(pattern, str) or not any(fnmatchcase(op, pattern) for op in _OPS):
                raise ValueError(f"op: there is no {pattern!r} among {sorted(_OPS)}")
            matching = {op for op in able if fnmatchcase(op, pattern)}
            if not matching:
                what = "flip: no value" if self.truncate is None else "truncate: no value read"
                raise ValueError(f"{what} passes through {pattern!r}")
            found |= matching
        if not found:
            raise ValueError(f"op must name an operation, found {self.op!r}")
        return frozenset(found)

    def _check_key(self) -> None:
        if not isinstance(self.key, str):
            raise ValueError(f"key must be a pattern of keys, found {self.key!r}")
        examples = _examples(self.key)
        if self._ops - _BY_PREFIX and any(_is_valid(check_key, key) for key in examples):
            return
        if self._ops & _BY_PREFIX - {"list"} and any(
            key != "/" and _is_valid(check_prefix, key) for key in examples
        ):
            return
        if "list" in self._ops and fnmatchcase("", self.key):
            return
        raise ValueError(f"key: no key and no prefix can match {self.key!r} in these operations")

    @property
    def damages(self) -> bool:
        """Whether the rule damages values, instead of raising an error."""
        return self.truncate is not None or self.flip is not None

    def matches(self, op: str, key: str) -> bool:
        """Whether the rule concerns an operation on a key, or on a prefix."""
        return op in self._ops and fnmatchcase(key, self.key)

    def exception(self, op: str, key: str, store: object = None) -> BaseException:
        """A new exception to raise."""
        kind = ConnectionLostError if self.error is None else self.error
        if isinstance(kind, StoreError):
            error = copy.deepcopy(kind)  # each has notes and a traceback of its own
            error.store, error.op, error.key = None if store is None else repr(store), op, key
            return error
        if isinstance(kind, type):
            made_by: type[StoreError] = kind
            return made_by(f"a fault {self.when} the call", store=store, op=op, key=key)
        made: object = kind(op, key)
        if not isinstance(made, BaseException):
            raise TypeError(f"the error function of {self!r} must return an exception: {made!r}")
        return made

    def __repr__(self) -> str:
        shown = [(each.name, getattr(self, each.name), each.default) for each in fields(self)]
        given = (f"{n}={_show(v)}" for n, v, usual in shown if n[0] != "_" and v != usual)
        return f"Fault({', '.join(given)})"


def _show(value: object) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)


def _examples(pattern: str) -> list[str]:
    """Some short texts that match a pattern: if one can be a key, the pattern can match a key."""
    parts = re.findall(r"\[!?\]?[^\]]*\]|.", pattern, re.DOTALL)
    found = []
    for star in ("x", ""):
        letters = [star if part == "*" else _letter(part) for part in parts]
        found.append("".join(letters))
        if parts and fnmatchcase("/", parts[-1]):
            found.append("".join(letters[:-1]) + (star if parts[-1] == "*" else "") + "/")
    return [text for text in found if fnmatchcase(text, pattern)]


def _letter(part: str) -> str:
    """A letter that a part of a pattern stands for: one that can be a key, if there is any."""
    if len(part) == 1:
        return "x" if part == "?" else part
    # The usual ones, and those at the ends of a range or, if it is to be left out, beside them.
    near = (ord(each) + step for each in part for step in (-1, 0, 1))
    usual = "x", *map(chr, range(33, 127))
    for each in (*usual, *(chr(code) for code in near if 0 <= code <= sys.maxunicode)):
        if fnmatchcase(each, part) and _is_valid(check_key, each):
            return each
    return next((each for each in "./" if fnmatchcase(each, part)), part)


def _is_valid(check: Callable[[str], object], text: str) -> bool:
    try:
        check(text)
    except InvalidKeyError:
        return False
    return True
