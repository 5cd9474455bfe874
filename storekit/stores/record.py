"""A store that remembers what it was asked, and what it answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import Any

from storekit.shared import Shared
from storekit.stores import _recording_file
from storekit.stores._answers import owned
from storekit.stores._forklock import fork_lock
from storekit.stores._recorded import Recorded, RecordedError, Traits
from storekit.stores.base import Store
from storekit.stores.wrapper import Call, WrapperStore

__all__ = ["RecordStore", "Recording"]


class Recording(Shared):
    """
    Calls of a store with their answers or errors, and how long each took.

    `RecordStore` writes to it, `ReplayStore` answers from it. It holds the values that were read
    and written, and the messages of errors, in which the store that raised it is named by its class
    alone; nothing else about the store. A recording that is pickled takes its calls to the other
    process, where it goes on by itself.

    Threads: safe.
    """

    def __init__(self, traits: Traits | None = None, calls: Iterable[Recorded] = ()) -> None:
        self._traits = traits
        self._calls = dict(enumerate(calls))  # by the order in which they began
        self._begun = len(self._calls)
        self._lock = fork_lock()

    def save(self, path: str | PathLike[str]) -> None:
        """
        Write it to a file, which holds a checksum and no code; calls under way are left out.

        Args:
            path: Of the file, which is replaced.

        Raises:
            ValueError: If nothing was ever recorded with it, or a call took more than 31 years.

            TypeError: If a store gave an answer that is none, or listed names that are none.
        """
        if self._traits is None:
            raise ValueError("the recording has no store: it was never given to a RecordStore")
        Path(path).write_bytes(_recording_file.pack(self._traits, self.calls))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Recording:
        """
        Read it from a file.

        Raises:
            MetadataError: If the file is none that `save` writes; it says what is wrong with which
                record.

            OSError: If there is no such file, or it cannot be read.
        """
        traits, calls = _recording_file.unpack(Path(path).read_bytes(), str(path))
        return cls(traits, calls)

    @property
    def calls(self) -> list[Recorded]:
        """The calls that have ended, in the order in which they began."""
        with self._lock:
            return [self._calls[number] for number in sorted(self._calls)]

    @property
    def traits(self) -> Traits:
        """
        What the recorded store could do.

        Raises:
            ValueError: If nothing was ever recorded with it.
        """
        if self._traits is None:
            raise ValueError("the recording has no store: it was never given to a RecordStore")
        return self._traits

    def __len__(self) -> int:
        return len(self._calls)

    def __bool__(self) -> bool:
        return True  # an empty recording is a recording

    def _describe(self, store: Store) -> None:
        """Note what the store that is to be recorded is like."""
        traits = Traits.of(store)
        with self._lock:
            if self._traits is None:
                self._traits = traits
            elif self._traits.abilities != traits.abilities:
                raise ValueError("the recording is one of a store with other capabilities")

    def _begin(self) -> int:
        with self._lock:
            self._begun += 1
            return self._begun - 1

    def _end(self, number: int, recorded: Recorded) -> None:
        with self._lock:
            self._calls[number] = recorded

    def _arguments(self) -> dict[str, Any]:
        return {"traits": self._traits, "calls": self.calls}

    def __repr__(self) -> str:
        return f"Recording({len(self)} call{'s' * (len(self) != 1)})"


class RecordStore(WrapperStore):
    """
    A store whose calls are recorded, with their answers or errors and their durations.

    Interrupts, such as Ctrl-C, are not recorded.

    Args:
        store: The inner store.

        recording: Where to. A recording is of one store; several `RecordStore` around the same one
            may share it.

    Raises:
        TypeError: If the recording is no `Recording`.

        ValueError: If it was begun with a store of other capabilities.

    Threads: as safe as the inner store.
    """

    def __init__(self, store: Store, recording: Recording) -> None:
        super().__init__(store)
        if not isinstance(recording, Recording):
            raise TypeError(f"recording must be a Recording, found {type(recording).__name__}")
        recording._describe(store)
        self.recording = recording

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        kept, number = owned(call), self.recording._begin()
        start = self.clock.now()
        try:
            answer = proceed()
        except Exception as error:
            self._end(number, kept, RecordedError.of(error), start)
            raise
        self._end(number, kept, _copied(answer), start)
        return answer

    def _end(self, number: int, call: Call, answer: Any, start: float) -> None:
        seconds = self.clock.now() - start
        self.recording._end(number, Recorded(call, answer, round(seconds * 1e9)))

    def _config(self) -> dict[str, Any]:
        return {"recording": self.recording}


def _copied(answer: Any) -> Any:
    """An answer that nobody else can change."""
    if isinstance(answer, list):
        return [_copied(part) for part in answer]
    if isinstance(answer, tuple):
        return tuple(_copied(part) for part in answer)
    return bytes(answer) if isinstance(answer, memoryview) else answer
