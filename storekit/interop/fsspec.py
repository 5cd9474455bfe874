"""
fsspec file systems that are slow, or fail, like networks.

Installed with storekit they are known to fsspec by the protocols ``slow`` and ``faulty``, and go in
front of any other::

    fsspec.open("slow::https://host/data.csv", slow={"profile": "lte"})
    fsspec.filesystem("faulty", target_protocol="memory", rules=[{"op": "get", "nth": 2}])
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, TypeAlias

from storekit import errors
from storekit.clock import Clock
from storekit.draws import Draws
from storekit.interop._fsspec_wrapper import WrapperFileSystem
from storekit.stores._checks import check_clock
from storekit.stores._network import Trip
from storekit.stores.fault import READS, Fault
from storekit.stores.faults import Faults, Fired
from storekit.stores.link import Link
from storekit.stores.profiles import by_name
from storekit.stores.wrapper import Call

__all__ = ["FaultyFileSystem", "SlowFileSystem"]

Rules: TypeAlias = Iterable[Fault | Mapping[str, Any]] | Faults

_LINK_FIELDS = {field.name for field in fields(Link) if field.init}
_LISTINGS = {"list_dir", "list_prefix"}
_WITH_VALUES = {"get", "get_partial_values", "set"}
_OPS = _LISTINGS | _WITH_VALUES
_OPS |= {"erase", "erase_prefix", "erase_values", "exists", "getsize", "set_values"}
"""What calls of a file system become."""


class SlowFileSystem(WrapperFileSystem):
    """
    A file system whose every operation takes time, like one behind a network.

    What takes which time says the `Link`; it is given as one, by the name of a profile, or by its
    fields. What is written has been sent before anybody sees it; what is read arrives after it was
    read. An operation is as many requests as a plain server would need, one after the other.

    File systems made with equal options are one, and share one link; those of one profile, or given
    one `Link`, share it, too.

    Args:
        profile: The name of a link in `storekit.stores.profiles`, such as ``"lte"``.

        link: A link.

        clock: Whose time passes. Defaults to that of the inner file system if it has one, else to
            the machine's.

        seed: Of latencies that vary, and of losses. They depend on the operation, the path and how
            often it was asked for.

        options: The fields of a link, such as ``latency`` in seconds or ``down`` in bytes a second;
            and those of `WrapperFileSystem`, such as ``target_protocol``.

    Raises:
        ValueError: If there is no link or more than one, or a setting makes no sense.

        TypeError: If there is no inner file system, or `clock` is none, or an option is unknown.

    Threads: as safe as the inner file system. Threads wait side by side.
    """

    protocol = "slow"

    def __init__(
        self,
        *args: Any,
        profile: str | None = None,
        link: Link | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        settings = {name: options.pop(name) for name in _LINK_FIELDS & options.keys()}
        super().__init__(*args, **options)
        if (profile is not None) + (link is not None) + bool(settings) != 1:
            raise ValueError(
                "SlowFileSystem needs one of: a profile, a link, settings of a link such as latency"
            )
        if profile is not None:
            link = by_name(profile)
        elif settings:
            link = Link(**settings)
        if not isinstance(link, Link):
            raise ValueError(f"link must be a Link, found {link!r}")
        self.link, self.seed = link, seed
        self.clock = check_clock(clock) or self.clock
        self._draws = Draws(seed)

    def _around(self, call: Call, proceed: Callable[[Call], Any]) -> Any:
        def weigh(answer: Any) -> tuple[int, int]:
            if call.op in _LISTINGS:
                return self._pages(len(answer)), sum(map(_name_size, answer))
            return 1, len(answer) if call.op in READS else 0

        trip = Trip(self.link.network(self.clock), self.clock, self._draws)
        return trip.carry_out(call, self._requests(call), lambda: proceed(call), weigh)

    def _requests(self, call: Call) -> Iterator[str]:
        """The path of each request that a call needs before it has its effect."""
        if call.prefix is not None:
            yield from [call.prefix] * self._pages(len(call.keys))
        yield from call.keys

    def _pages(self, names: int) -> int:
        return max(-(-names // (self.link.page_size or names or 1)), 1)


class FaultyFileSystem(WrapperFileSystem):
    """
    A file system that loses requests or answers, reads too little, or flips bits, as rules say.

    Rules see operations by the names that stores have for them, and paths without protocol and
    without slashes at their ends. (See the how-to about fsspec for which operation is which.)

    File systems made with equal options are one, and count together.

    Args:
        rules: Of `Fault`, or of dicts with the fields of one, in which an error is named by a text:
            a class of `storekit.errors`, or one of Python's, such as ``"PermissionError"``. Or
            `Faults`, whose counts and log others may share.

        seed: Of probabilities and flipped bits. `Faults` have their own.

        options: Those of `WrapperFileSystem`, such as ``target_protocol``.

    Raises:
        ValueError: If a rule makes no sense, or can never take effect here; or the seed is no int.

        TypeError: If a rule is none, or there is no inner file system, or an option is unknown.

    Threads: as safe as the inner file system.
    """

    protocol = "faulty"

    def __init__(self, *args: Any, rules: Rules = (), seed: int = 0, **options: Any) -> None:
        super().__init__(*args, **options)
        if isinstance(rules, Faults):
            if seed:
                raise ValueError(f"seed is that of the Faults, found another one: {seed!r}")
            self.faults = rules
        else:
            self.faults = Faults([_fault(rule) for rule in rules], seed=seed)

    @property
    def fired(self) -> list[Fired]:
        """What the rules did so far, in the order of the effects."""
        return self.faults.fired

    def _around(self, call: Call, proceed: Callable[[Call], Any]) -> Any:
        keys = call.keys if call.prefix is None else (call.prefix,)
        due = self.faults.due(call.op, keys)
        due.before(store=self)
        if call.values:
            (key,), (value,) = call.keys, call.values
            call = replace(call, values=(None if value is None else due.damaged(key, value),))
        try:
            answer = proceed(call)
        except Exception:
            due.after(store=self)
            raise
        due.after(store=self)
        return due.damaged(call.keys[0], answer) if call.op in READS else answer


def _fault(rule: Any) -> Fault:
    """A rule, which may be written as a dict."""
    if isinstance(rule, Mapping):
        settings = dict(rule)
        if isinstance(settings.get("error"), str):
            settings["error"] = _error(settings["error"])
        rule = Fault(**settings)
    if not isinstance(rule, Fault):
        raise TypeError(f"rules must be of Fault or of dict, found {rule!r}")
    everywhere = replace(rule, key="*")
    if not any(everywhere.matches(op, "") for op in (_WITH_VALUES if rule.damages else _OPS)):
        raise ValueError(f"rules: no effect on a file system has {rule!r}")
    return rule


def _error(name: str) -> Any:
    """What raises the error of a name."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.StoreError):
        return kind
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            kind("")
        except TypeError:
            raise ValueError(f"error: {name} cannot be made of one text") from None
        return lambda op, key: kind(f"a fault: {op} of {key!r}")
    raise ValueError(f"error: there is no error {name!r} in storekit.errors, nor in Python")


def _name_size(entry: Any) -> int:
    return len((entry if isinstance(entry, str) else entry["name"]).encode())
