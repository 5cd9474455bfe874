"""What a backing must give, and what it then has: arrays and groups over anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_samples import index_expressions, numbered, shapes

from storekit import Array, Group, MemoryStore, Node, ZarrArray, ZarrGroup
from storekit.errors import NodeNotFoundError, SelectionError
from storekit.pool import submit
from storekit.selection.parse import Selection
from storekit.selection.part import part_shape, put, take
from storekit.selection.plan import GridPlan
from storekit.typing import AnyArray, DType, Shape


class Backed(Node):
    """A node that lives in memory."""

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def path(self) -> str:
        """As given."""
        return self._path

    @property
    def attributes(self) -> MutableMapping[str, Any]:
        """None."""
        return {}

    @property
    def _place(self) -> Any:
        return self._path


class NumpyBacked(Backed, Array):
    """The least that an array implements, over a numpy array."""

    def __init__(self, path: str, data: AnyArray) -> None:
        super().__init__(path)
        self.data = data

    @property
    def shape(self) -> Shape:
        """That of the data."""
        return self.data.shape

    @property
    def dtype(self) -> DType:
        """That of the data."""
        return self.data.dtype

    @property
    def chunks(self) -> Shape:
        """Two elements along every axis."""
        return (2,) * self.data.ndim

    def _steps(self, selection: Selection) -> Any:
        grid = GridPlan(
            selection.axes, selection.points, self.shape, self.shape, lambda _, i: i, tuple
        )
        return ((where, part) for _, where, part, _ in grid)

    def _read(self, selection: Selection) -> AnyArray:
        result, work = selection.result(self.dtype)
        for where, part in self._steps(selection):
            assert part_shape(where) == part_shape(part)
            put(work, where, take(self.data, part))
        return result

    def _read_into(self, selection: Selection, out: AnyArray) -> None:
        out[...] = self._read(selection)

    def _write(self, selection: Selection, values: AnyArray) -> None:
        work = selection.arrange(values)
        for where, part in self._steps(selection):
            put(self.data, part, take(work, where))

    def _submit(self, task: Callable[..., Any], *args: Any) -> Future[Any]:
        return submit(MemoryStore().clock, 1, task, *args)


class DictBacked(Backed, Group):
    """The least that a group implements, over a dict."""

    def __init__(self, path: str, nodes: dict[str, Node]) -> None:
        super().__init__(path)
        self.nodes = nodes

    def _child(self, name: str) -> Node:
        if name not in self.nodes:
            raise NodeNotFoundError(f"no node {name!r}")
        return self.nodes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.nodes))


@settings(max_examples=60, deadline=None)
@given(shapes.filter(all), st.data())
def test_an_array_over_anything_is_indexed_like_numpy(shape: Any, data: st.DataObject) -> None:
    """A backing that reads and writes resolved selections has all of numpy's indexing."""
    expected = numbered(shape)
    array = NumpyBacked("a", expected.copy())
    selection = data.draw(index_expressions(shape))
    try:
        wanted = expected[selection]
        found = array[selection]
    except IndexError:
        return
    assert type(found) is type(wanted)
    assert (found == wanted).all()
    array[selection] = 0
    expected[selection] = 0
    assert (array.read_future().result() == expected).all()
    out = np.zeros(shape, "f4")
    assert (array.read(out=out) == expected).all()
    assert (array.oindex[...] == array.vindex[...]).all()


def test_an_array_has_defaults() -> None:
    """Without more, an array has no shards and no names, and zero is its fill value."""
    array = NumpyBacked("x/a", numbered((3, 5)))
    assert (array.shards, array.dimension_names, array.fill_value) == (None, None, 0)
    assert (array.ndim, array.size, array.nbytes, array.name) == (2, 15, 120, "a")
    assert (array.cdata_shape, array.nchunks) == ((2, 3), 6)
    assert array.blocks[1, 2].tolist() == [[15]]
    assert array.attrs == {}
    assert [row.tolist() for row in array] == array.data.tolist()
    assert array == NumpyBacked("x/a", numbered((1,)))
    assert repr(array) == "<NumpyBacked 'x/a' (3, 5) int64>"
    with pytest.raises(SelectionError):
        array[9]


def test_a_group_over_anything_is_a_mapping_with_a_tree() -> None:
    """A backing that gives children by name has paths, children, walks and trees."""
    inner = DictBacked("g", {"a": NumpyBacked("g/a", numbered((3,)))})
    group = DictBacked("", {"g": inner, "b": NumpyBacked("b", numbered(()))})
    assert list(group) == ["b", "g"]
    assert len(group) == 2
    assert group["g/a"] is inner["a"]
    assert "g/b" not in group
    assert "b/c" not in group
    assert list(group.children) == ["b", "g"]
    assert (list(group.groups), list(group.arrays)) == (["g"], ["b"])
    assert [node.path for node in group.walk()] == ["b", "g", "g/a"]
    assert group.tree().splitlines() == [
        "/",
        "├── b  scalar  int64  (chunks scalar)",
        "└── g/",
        "    └── a  3  int64  (chunks 2)",
    ]
    assert repr(group).startswith("<DictBacked '', 2 children>")


def test_trees_may_be_of_several_kinds() -> None:
    """A group of one backing may hold nodes of another."""
    root = ZarrGroup.create(MemoryStore())
    root.create_array("x", data=[1, 2], codecs="none")
    mixed = DictBacked("", {"zarr": root, "numpy": NumpyBacked("numpy", numbered((2,)))})
    assert mixed["zarr/x"][1] == 2
    assert mixed.tree().count("\n") == 3
    target = ZarrArray.create(MemoryStore(), shape=2, dtype="i8", codecs="none")
    target[...] = mixed["numpy"]
    assert target[...].tolist() == [1, 2]


def test_abstract_nodes_cannot_be_made() -> None:
    """The models themselves are no nodes."""
    for kind in (Node, Array, Group):
        with pytest.raises(TypeError, match="abstract"):
            kind()
