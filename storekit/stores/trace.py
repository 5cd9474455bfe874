"""What a store was asked, one record for each call."""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from os import PathLike
from pathlib import Path
from typing import Any

from storekit.clock import Clock
from storekit.shared import Shared
from storekit.stores import _trace_views
from storekit.stores._answers import OPERATIONS, download
from storekit.stores._checks import check_clock
from storekit.stores._forklock import fork_lock
from storekit.stores.base import Store
from storekit.stores.trace_records import OpTotal, TraceRecord
from storekit.stores.wrapper import Call, WrapperStore

__all__ = ["Trace", "TraceStore"]


class Trace(Shared):
    """
    Records of calls, in the order in which they ended. One or several `TraceStore` write to it.

    Stores whose trace is one should have one clock, or their times cannot be compared. A trace that
    is unpickled in another process begins empty there.

    Args:
        limit: How many records are kept, the newest ones. None: all.

    Raises:
        ValueError: If the limit is no positive int.

    Threads: safe.
    """

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and (type(limit) is not int or limit < 1):
            raise ValueError(f"limit must be a positive int or None, found {limit!r}")
        self.limit = limit
        self._records: deque[TraceRecord] = deque(maxlen=limit)
        self._dropped = 0
        # By process and thread, of those that have a call under way: a forked one has others.
        self._slots: dict[tuple[int, int], int] = {}
        self._lock = fork_lock()

    # --- what is there ----------------------------------------------------------------------------

    @property
    def records(self) -> tuple[TraceRecord, ...]:
        """Those that are kept."""
        with self._lock:
            return tuple(self._records)

    @property
    def dropped(self) -> int:
        """How many were not kept, because of the limit."""
        return self._dropped

    def __len__(self) -> int:
        return len(self._records)

    def __bool__(self) -> bool:
        return True  # an empty trace is a trace

    def __iter__(self) -> Iterator[TraceRecord]:
        return iter(self.records)

    def clear(self) -> None:
        """Forget all records. Calls that are under way are noted when they end."""
        with self._lock:
            self._records.clear()
            self._dropped = 0

    def calls(self, op: str | None = None, key: str | None = None) -> list[TraceRecord]:
        """
        Some of the records.

        Args:
            op: Only those of this operation.

            key: Only those with a key, or a prefix, that matches the pattern, such as ``"a/c/*"``;
                ``*`` stands for any text, ``/`` too, ``?`` for a character, ``[ab]`` for one of
                several.

        Raises:
            ValueError: If there is no such operation.
        """
        if op is not None:
            _check_operations([op])
        return [
            record
            for record in self.records
            if op in (None, record.op) and (key is None or record.concerns(key))
        ]

    def summary(self) -> dict[str, OpTotal]:
        """The totals of each operation that came, by name."""
        found: dict[str, list[TraceRecord]] = {}
        for record in self.records:
            found.setdefault(record.op, []).append(record)
        return {op: OpTotal.of(found[op]) for op in sorted(found)}

    # --- what should be there ---------------------------------------------------------------------

    def assert_calls(self, *, exactly: bool = False, **counts: int) -> None:
        """
        Raise unless each operation was called as often as said: ``assert_calls(get=3, list=0)``.

        Args:
            exactly: Whether operations that are not named must not have been called.

            counts: By operation. Those that are not named are not looked at.

        Raises:
            AssertionError: With a table of what came instead; also if the trace was too short to
                keep all records.

            ValueError: If there is no such operation.
        """
        _check_operations(counts)
        records = self.records
        found = Counter(record.op for record in records)
        looked_at = sorted({*counts, *found} if exactly else counts)
        wrong = [op for op in looked_at if found[op] != counts.get(op, 0)]
        if wrong or self.dropped:
            text = ", ".join(
                f"{op}: expected {counts.get(op, 0)}, found {found[op]}" for op in wrong
            )
            if self.dropped:
                text = f"{self.dropped} records were dropped, so calls cannot be counted"
            raise AssertionError(f"{text}\n{_trace_views.table(records)}")

    # --- how it looks -----------------------------------------------------------------------------

    def table(self) -> str:
        """The records as a text, a line each, by the time when they began, from the first on."""
        return _trace_views.table(self.records)

    def to_chrome(self, path: str | PathLike[str]) -> None:
        """
        Write a JSON file of trace events, which Perfetto (ui.perfetto.dev) and Chrome open.

        Args:
            path: Of the file. Each slot is a thread there; time begins with the first call.
        """
        Path(path).write_text(_trace_views.chrome(self.records), encoding="utf-8")

    def draw(self, path: str | PathLike[str]) -> None:
        """
        Write a picture of the calls over time: a lane for each slot, a colour for each operation.

        Args:
            path: Of the file, an SVG. Time begins with the first call.
        """
        Path(path).write_text(_trace_views.svg(self.records), encoding="utf-8")

    # --- who writes to it -------------------------------------------------------------------------

    @contextmanager
    def _slot(self) -> Iterator[int]:
        """A context with the slot of a call of this thread; that of the call around it, if any."""
        here = os.getpid(), threading.get_ident()
        nested = here in self._slots
        try:
            if not nested:
                with self._lock:
                    taken = {
                        slot for (process, _), slot in self._slots.items() if process == here[0]
                    }
                    self._slots[here] = next(number for number in count() if number not in taken)
            yield self._slots[here]
        finally:
            if not nested:
                with self._lock:
                    self._slots.pop(here, None)

    def _add(self, record: TraceRecord) -> None:
        with self._lock:
            self._dropped += len(self._records) == self.limit
            self._records.append(record)

    def _arguments(self) -> dict[str, Any]:
        return {"limit": self.limit}

    def __repr__(self) -> str:
        return f"Trace({len(self)} record{'s' * (len(self) != 1)})"


class TraceStore(WrapperStore):
    """
    A store that notes each call of the inner store, when it ends, however it ends.

    Args:
        store: The inner store.

        trace: Where to. Defaults to a new one, the attribute `trace`.

        on_call: Is given each record after it was noted, in the thread of the call; what it raises
            goes to the caller.

        clock: Whose time is noted. Defaults to the clock of the inner store.

    Raises:
        TypeError: If the trace is no `Trace`, `clock` no clock, or `on_call` cannot be called.

    Threads: as safe as the inner store.
    """

    def __init__(
        self,
        store: Store,
        trace: Trace | None = None,
        *,
        on_call: Callable[[TraceRecord], object] | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(store)
        if trace is not None and not isinstance(trace, Trace):
            raise TypeError(f"trace must be a Trace, found {type(trace).__name__}")
        if on_call is not None and not callable(on_call):
            raise TypeError(f"on_call must be callable, found {type(on_call).__name__}")
        self.trace = Trace() if trace is None else trace
        self.on_call, self._clock = on_call, check_clock(clock)
        if clock is not None:
            self.clock = clock

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        answer, outcome = None, "ok"
        with self.trace._slot() as slot:
            start = self.clock.now()
            try:
                answer = proceed()
            except BaseException as error:
                outcome = type(error).__name__
                raise
            finally:
                end = self.clock.now()
                down = download(call, answer) if outcome == "ok" else 0
                self._note(call, down, start, end, outcome, slot)
        return answer

    def _note(
        self, call: Call, down: int, start: float, end: float, outcome: str, slot: int
    ) -> None:
        record = TraceRecord(
            call.op,
            call.keys,
            call.prefix,
            call.ranges,
            call.upload,
            down,
            start,
            end,
            outcome,
            threading.current_thread().name,
            slot,
        )
        self.trace._add(record)
        if self.on_call is not None:
            self.on_call(record)

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"trace": self.trace}
        if self.on_call is not None:
            config["on_call"] = self.on_call
        if self._clock is not None:
            config["clock"] = self._clock
        return config


def _check_operations(names: Any) -> None:
    unknown = sorted(set(names) - OPERATIONS)
    if unknown:
        raise ValueError(f"there is no operation {unknown[0]!r}; there are {sorted(OPERATIONS)}")
