"""A store that answers what was recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from difflib import get_close_matches
from itertools import islice
from numbers import Real
from typing import Any, NoReturn
from zlib import crc32

from storekit.clock import Clock
from storekit.errors import UnsupportedError
from storekit.shared import Shared
from storekit.stores._answering import AnsweringStore
from storekit.stores._answers import READS, owned
from storekit.stores._checks import check_clock
from storekit.stores._forklock import fork_lock
from storekit.stores._forward import Call
from storekit.stores._recorded import Recorded, RecordedError
from storekit.stores.base import ListableStore
from storekit.stores.record import Recording

__all__ = ["ReplayStore"]

_COMPARED = 2000  # recorded calls that a message is looked for in


class ReplayStore(AnsweringStore):
    """
    A store without a backend, which answers calls as they were answered when they were recorded.

    A call is the same as a recorded one if the operation and all arguments are, values included.
    The n-th time it gets the n-th answer (or error), counted from when the calls began, whatever
    other calls there are between, and takes the time that it took. A read that was recorded less
    often gets its last answer again, unless a change has been replayed since. Everything else is an
    `UnsupportedError`, which names the recorded calls that are most like it.

    It can do what the recorded store could, and tells array code the same about itself. Copies of
    it, pickled ones too, go on where it is; in another process they begin anew.

    Args:
        recording: What was recorded until now.

        clock: Whose time passes. Defaults to the real clock.

        speed: How many times faster than recorded it answers; infinite for at once. Defaults to 1.

    Raises:
        TypeError: If the recording is no `Recording`, or `clock` no clock.

        ValueError: If nothing was ever recorded with it, or the speed is not greater than zero.

    Threads: safe. They wait side by side.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        clock: Clock | None = None,
        speed: float = 1.0,
        _position: Position | None = None,
    ) -> None:
        self.recording, self.speed = recording, _checked_speed(speed)
        self._clock = check_clock(clock)
        if clock is not None:
            self.clock = clock
        traits = recording.traits
        self.latency, self._concurrency = traits.latency, traits.concurrency
        if isinstance(self, ListableStore):
            self.page_size = traits.page_size
        self._position = Position() if _position is None else _position
        self._answers: dict[Call, list[Recorded]] = {}
        for recorded in recording.calls:
            self._answers.setdefault(recorded.call, []).append(recorded)

    @property
    def concurrency(self) -> int:
        """That of the recorded store."""
        return self._concurrency

    @property
    def identity(self) -> Hashable:
        """The recording."""
        return "replay", self.recording

    @classmethod
    def _abilities(cls, recording: Any, **kwargs: Any) -> frozenset[type]:
        if not isinstance(recording, Recording):
            raise TypeError(f"recording must be a Recording, found {type(recording).__name__}")
        return recording.traits.abilities

    def _do(self, call: Call) -> Any:
        call = owned(call)
        answers = self._answers.get(call)
        if answers is None:
            self._refuse(call, f"{_text(call)} was never recorded; {self._nearest(call)}")
        use = self._position.next(call, len(answers))
        if use is None:
            self._refuse(call, f"{_text(call)} was recorded no more than {len(answers)} times")
        recorded = answers[use]
        self.clock.sleep(recorded.nanoseconds / 1e9 / self.speed)
        if isinstance(recorded.answer, RecordedError):
            raise recorded.answer.restored(call.op)
        return list(recorded.answer) if isinstance(recorded.answer, list) else recorded.answer

    def _refuse(self, call: Call, text: str) -> NoReturn:
        key = call.keys[0] if call.keys else call.prefix
        raise UnsupportedError(text, store=self, op=call.op, key=key)

    def _nearest(self, call: Call) -> str:
        same = (_text(other) for other in self._answers if other.op == call.op)
        texts = list(islice(same, _COMPARED))
        if not texts:
            return f"no {call.op} was"
        near = get_close_matches(_text(call), texts, n=3, cutoff=0.5)
        return f"most like it: {', '.join(near)}" if near else f"no {call.op} like it was"

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"recording": self.recording}
        if self._clock is not None:
            config["clock"] = self._clock
        if self.speed != 1:
            config["speed"] = self.speed
        return config

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self._declared, {**self._config(), "_position": self._position})


class Position(Shared):
    """How often each call of a replay has been made."""

    def __init__(self) -> None:
        self._uses: Counter[Call] = Counter()
        self._changes = 0
        self._seen: dict[Call, int] = {}  # how many changes there had been when it was made last
        self._lock = fork_lock()

    def next(self, call: Call, recorded: int) -> int | None:
        """Which of so many recorded answers is the next; None if there is no further one."""
        with self._lock:
            use = self._uses[call]
            if use == recorded:
                fresh = call.op in READS and self._seen[call] == self._changes
                return use - 1 if fresh else None
            self._uses[call] += 1
            self._changes += call.op not in READS
            self._seen[call] = self._changes
            return use


def _make(declared: type[ReplayStore], config: dict[str, Any]) -> ReplayStore:
    return declared(**config)


def _checked_speed(speed: object) -> float:
    if isinstance(speed, bool) or not isinstance(speed, Real) or not float(speed) > 0:
        raise ValueError(f"speed must be a number greater than zero, found {speed!r}")
    return float(speed)


def _text(call: Call) -> str:
    """A call as one would write it, with sizes and checksums in place of values."""
    ranges = call.ranges or [None] * len(call.keys)
    values = call.values or [b""] * len(call.keys)
    parts = []
    for key, part, value in islice(zip(call.keys, ranges, values, strict=True), 4):
        text = repr(key) if part is None else f"{key!r} [{part[0]}, {part[1]}]"
        if call.values:
            crc = "" if value is None else f", crc {crc32(value):08x}"
            text += ": None" if value is None else f": {len(value)} bytes{crc}"
        parts.append(text)
    if len(call.keys) > len(parts):
        parts.append(f"{len(call.keys) - len(parts)} more")
    if call.prefix is not None and call.op != "list":
        parts.append(repr(call.prefix))
    if call.op == "compare_and_set":
        parts.append(f"version {call.expected_version!r}")
    return f"{call.op}({', '.join(parts)})"
