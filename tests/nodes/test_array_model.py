"""An array in a store and a numpy array, step by step beside each other."""

from __future__ import annotations

import pickle
import shutil
import tempfile
from typing import Any

import numpy as np
import pytest
from array_layouts import LAYOUTS, PlainStore, eager
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from index_samples import index_expressions, orthogonal, outer

from storekit import LocalStore, MemoryStore, ZarrArray, open_zarr
from storekit.errors import SelectionError

FILL = -1


class ArrayBesideNumpy(RuleBasedStateMachine):
    """Whatever is done to both, both are the same."""

    make_store: Any = MemoryStore
    picklable = True

    def __init__(self) -> None:
        super().__init__()
        self.store = self.make_store()
        self.count = 0

    @initialize(
        shape=st.lists(st.integers(0, 6), max_size=3).map(tuple),
        layout=st.sampled_from(sorted(LAYOUTS)),
        unit=st.lists(st.integers(1, 3), min_size=3, max_size=3),
        ranges=st.booleans(),
    )
    def create(self, shape: Any, layout: str, unit: list[int], ranges: bool) -> None:
        """An array of fill value."""
        options = LAYOUTS[layout](tuple(unit[: len(shape)]))
        self.context = eager(ranges=ranges, threads=ranges)
        self.context.__enter__()
        self.array = ZarrArray.create(
            self.store, "a", shape=shape, dtype="i8", fill_value=FILL, **options
        )
        self.model = np.full(shape, FILL)
        self.attributes: dict[str, Any] = {}

    def values(self, shape: Any) -> np.ndarray:
        """Numbers that nobody has had before."""
        size = int(np.prod(shape, dtype=int))
        self.count += size
        return np.arange(self.count - size, self.count).reshape(shape)

    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        """Any assignment that numpy takes."""
        selection = data.draw(index_expressions(self.model.shape))
        try:
            values = self.values(np.shape(self.model[selection]))
            self.array[selection] = values
        except IndexError:
            return
        self.model[selection] = values

    @rule(data=st.data())
    def write_mesh(self, data: st.DataObject) -> None:
        """An assignment by `oindex`."""
        selection = data.draw(orthogonal(self.model.shape))
        places = np.arange(self.model.size).reshape(self.model.shape)
        places = np.asarray(outer(places, selection))
        values = self.values(places.shape)
        self.array.oindex[selection] = values
        self.model.reshape(-1)[places] = values

    @rule(data=st.data())
    def fill(self, data: st.DataObject) -> None:
        """Parts become fill value again."""
        selection = data.draw(index_expressions(self.model.shape))
        try:
            self.array[selection] = FILL
        except SelectionError:
            return
        self.model[selection] = FILL

    @rule(data=st.data(), check_empty=st.booleans(), future=st.booleans())
    def set_chunk(self, data: st.DataObject, check_empty: bool, future: bool) -> None:
        """A chunk is written, of values or of nothing."""
        if not self.model.size:
            return
        index = tuple(data.draw(st.integers(-n, n - 1)) for n in self.array.cdata_shape)
        values = data.draw(st.sampled_from([FILL, self.values(self.array.chunks)]))
        if future:
            self.array.set_chunk_future(values, index, check_empty).result()
        else:
            self.array.set_chunk(values, index, check_empty)
        grid, chunks = self.array.cdata_shape, self.array.chunks
        place = tuple(
            slice(i % n * c, (i % n + 1) * c) for i, n, c in zip(index, grid, chunks, strict=True)
        )
        inside = self.model[(*place, ...)]
        inside[...] = np.broadcast_to(values, chunks)[tuple(slice(n) for n in inside.shape)]

    @rule(data=st.data())
    def resize(self, data: st.DataObject) -> None:
        """Dimensions grow and shrink."""
        shape = tuple(data.draw(st.integers(0, 7)) for _ in self.model.shape)
        self.array.resize(shape)
        common = tuple(slice(min(a, b)) for a, b in zip(shape, self.model.shape, strict=True))
        kept = self.model[(*common, ...)]
        self.model = np.full(shape, FILL)
        self.model[(*common, ...)] = kept

    @precondition(lambda self: self.model.ndim and self.model.size < 500)
    @rule(data=st.data(), count=st.integers(0, 3))
    def append(self, data: st.DataObject, count: int) -> None:
        """Data is added at an end."""
        axis = data.draw(st.integers(-self.model.ndim, self.model.ndim - 1))
        shape = list(self.model.shape)
        shape[axis] = count
        values = self.values(shape)
        self.model = np.concatenate([self.model, values], axis)
        assert self.array.append(values, axis) == self.model.shape

    @rule(name=st.sampled_from("abc"), value=st.integers() | st.none() | st.text(max_size=3))
    def set_attribute(self, name: str, value: Any) -> None:
        """An attribute is set through an object of its own."""
        ZarrArray(self.store, "a").attributes[name] = value
        self.attributes[name] = value
        self.array.refresh()

    @rule(name=st.sampled_from("abc"))
    def delete_attribute(self, name: str) -> None:
        """An attribute is removed, if it is there."""
        assert self.array.attributes.pop(name, ...) == self.attributes.pop(name, ...)

    @rule()
    def reopen(self) -> None:
        """The array is opened again."""
        self.array = open_zarr(self.store, "a")

    @precondition(lambda self: self.picklable)
    @rule()
    def pickle(self) -> None:
        """The array goes through a pickle, and its store with it."""
        self.array = pickle.loads(pickle.dumps(self.array))
        self.store = self.array.store

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """Any selection is what numpy's is."""
        selection = data.draw(index_expressions(self.model.shape))
        try:
            expected = self.model[selection]
            found = self.array[selection]
        except IndexError:
            return
        assert np.shape(found) == np.shape(expected)
        assert (found == expected).all()

    @invariant()
    def same(self) -> None:
        """Shape, elements and attributes agree."""
        if hasattr(self, "array"):
            assert self.array.shape == self.model.shape
            assert (self.array[...] == self.model).all()
            assert self.array.attributes == self.attributes

    @invariant()
    def tidy(self) -> None:
        """No chunk is stored that lies beyond the array."""
        if hasattr(self, "array"):
            shards = self.array.shards or self.array.chunks
            grid = tuple(-(-n // c) for n, c in zip(self.model.shape, shards, strict=True))
            assert len(self.array.stored_keys()) <= int(np.prod(grid, dtype=int))

    def teardown(self) -> None:
        """Small work is small work again."""
        if hasattr(self, "context"):
            self.context.__exit__(None, None, None)


class WithoutCompareAndSet(ArrayBesideNumpy):
    """The same in a store that has no compare-and-set."""

    make_store = PlainStore
    picklable = False


class InFiles(ArrayBesideNumpy):
    """The same in a directory."""

    def make_store(self) -> Any:
        """A store in a directory that is removed afterwards."""
        self.directory = tempfile.mkdtemp()
        return LocalStore(self.directory)

    def teardown(self) -> None:
        """The directory goes."""
        super().teardown()
        shutil.rmtree(self.directory)


few = settings(max_examples=60, stateful_step_count=20, deadline=None)
many = settings(max_examples=400, stateful_step_count=40, deadline=None)

TestInMemory = ArrayBesideNumpy.TestCase
TestInMemory.settings = few
TestWithoutCompareAndSet = WithoutCompareAndSet.TestCase
TestWithoutCompareAndSet.settings = few
TestInFiles = InFiles.TestCase
TestInFiles.settings = settings(few, max_examples=25)


@pytest.mark.slow
class TestLong(ArrayBesideNumpy.TestCase):
    """Many long histories."""

    settings = many
