"""No sequence of changes makes a frame differ from a numpy array."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from abc import abstractmethod
from pathlib import Path

import blosc2
import numpy as np
import pytest
from frame_files import empty_frame
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from storekit.frames import log
from storekit.frames.buffer import BufferHome, in_memory
from storekit.frames.log import LogHome
from storekit.frames.stored import StoredHome
from storekit.nodes.frame_array import FrameArray
from storekit.stores import MemoryStore, WrapperStore
from storekit.typing import AnyArray

SHAPE, CHUNKS, BLOCKS = (7, 9), (4, 3), (2, 3)
EMPTY = empty_frame(SHAPE, CHUNKS, BLOCKS)
SIDES = st.tuples(st.integers(0, 12), st.integers(0, 12))


class FrameMachine(RuleBasedStateMachine):
    """A frame and a numpy array to which the same is done."""

    array: FrameArray

    def __init__(self) -> None:
        super().__init__()
        self.expected: AnyArray = np.zeros(SHAPE, "i4")

    @abstractmethod
    def open(self) -> FrameArray:
        """The frame, opened once more."""

    @abstractmethod
    def stock(self) -> AnyArray:
        """What blosc2 reads."""

    @initialize()
    def begin(self) -> None:
        """Open the frame."""
        self.array = self.open()

    def box(self, data: st.DataObject, *, steps: bool) -> tuple[slice, ...]:
        """Some part of the array."""
        made = []
        for side in self.expected.shape:
            start, stop = sorted((data.draw(st.integers(0, side)), data.draw(st.integers(0, side))))
            made.append(slice(start, stop, data.draw(st.integers(1, 3)) if steps else None))
        return tuple(made)

    @rule(data=st.data(), value=st.integers(0, 3))
    def write(self, data: st.DataObject, value: int) -> None:
        """Write one value to many elements."""
        box = self.box(data, steps=True)
        self.array[box] = value
        self.expected[box] = value

    @rule(data=st.data(), seed=st.integers(0, 9))
    def write_noise(self, data: st.DataObject, seed: int) -> None:
        """Write values that cannot be compressed."""
        box = self.box(data, steps=False)
        shape = self.expected[box].shape
        noise = np.random.default_rng(seed).integers(0, 1 << 30, shape, "i4")
        self.array[box] = noise
        self.expected[box] = noise

    @rule(shape=SIDES)
    def resize(self, shape: tuple[int, int]) -> None:
        """Grow or shrink."""
        self.array.resize(shape)
        fresh = np.zeros(shape, "i4")
        kept = tuple(slice(min(a, b)) for a, b in zip(shape, self.expected.shape, strict=True))
        fresh[kept] = self.expected[kept]
        self.expected = fresh

    @precondition(lambda self: self.expected.shape[0] < 12)
    @rule(rows=st.integers(0, 5))
    def append(self, rows: int) -> None:
        """Grow at the end."""
        data = np.full((rows, self.expected.shape[1]), 9, "i4")
        self.array.append(data)
        self.expected = np.concatenate((self.expected, data))

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """Read a part."""
        box = self.box(data, steps=True)
        assert (self.array[box] == self.expected[box]).all()

    @rule(name=st.sampled_from("ab"), content=st.binary(max_size=100) | st.none())
    def note(self, name: str, content: bytes | None) -> None:
        """Set or delete a metalayer, which changes nothing else."""
        home = self.array.home
        with home.change() as change:
            change.vlmeta = change.vlmeta.changed({name: content})
            change.commit()
        assert home.snapshot().frame.trailer.layers.get(name) == content

    @rule()
    def reopen(self) -> None:
        """Let another object go on."""
        self.array = self.open()

    @rule()
    def carry(self) -> None:
        """Let a pickled object go on."""
        self.array = pickle.loads(pickle.dumps(self.array))

    @invariant()
    def the_same(self) -> None:
        """All elements are those of the numpy array; for blosc2, too."""
        if hasattr(self, "array"):
            assert self.array.shape == self.expected.shape
            assert (self.array[...] == self.expected).all()
            assert (self.stock() == self.expected).all()


class FileMachine(FrameMachine):
    """A frame in a file, which blosc2 changes as well."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.path = os.path.join(self.folder, "a.b2nd")
        Path(self.path).write_bytes(EMPTY)

    def teardown(self) -> None:
        """Remove the file."""
        assert os.listdir(self.folder) == ["a.b2nd"]
        shutil.rmtree(self.folder)

    def open(self) -> FrameArray:
        """The frame, opened once more."""
        return FrameArray(LogHome(self.path, writable=True))

    def stock(self) -> AnyArray:
        """What blosc2 reads."""
        array: AnyArray = blosc2.open(self.path, mode="r")[...]
        return array

    @precondition(lambda self: self.expected.size)
    @rule(data=st.data(), value=st.integers(0, 3))
    def stock_write(self, data: st.DataObject, value: int) -> None:
        """Let blosc2 write."""
        box = self.box(data, steps=False)
        if self.expected[box].size:
            blosc2.open(self.path, mode="a")[box] = value
            self.expected[box] = value

    @rule()
    def rewrite(self) -> None:
        """Have the file written anew by the next change."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(log, "_SPARE", -(1 << 30))
            self.array[...] = self.expected


class StoreMachine(FrameMachine):
    """A frame under a key of a store."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore({"a/b.b2nd": EMPTY})

    def open(self) -> FrameArray:
        """The frame, opened once more."""
        return FrameArray(StoredHome(WrapperStore(self.store), "a/b.b2nd", writable=True))

    def stock(self) -> AnyArray:
        """What blosc2 reads."""
        return _stock(bytes(self.store.get("a/b.b2nd")))

    def carry(self) -> None:
        """Memory stores pickle by content; see `test_pickles`."""


class MemoryMachine(FrameMachine):
    """A frame in memory."""

    def open(self) -> FrameArray:
        """The frame, copied."""
        old = BufferHome(EMPTY) if not hasattr(self, "array") else self.array.home
        return FrameArray(in_memory(old.snapshot()))

    def stock(self) -> AnyArray:
        """What blosc2 reads."""
        return _stock(self.array.to_cframe())


def _stock(frame: bytes) -> AnyArray:
    array: AnyArray = blosc2.ndarray_from_cframe(frame)[...]
    return array


BRIEF = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestFile = FileMachine.TestCase
TestStore = StoreMachine.TestCase
TestMemory = MemoryMachine.TestCase
for _case in (TestFile, TestStore, TestMemory):
    _case.settings = BRIEF
del _case
