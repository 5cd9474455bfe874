"""Many nodes: making, listing and opening arrays that hold nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from benchmarks.adapters import Adapter, UnsupportedError
from benchmarks.adapters.base import Shape
from benchmarks.env import Env, reference
from benchmarks.layout import Layout, group_document, write_json
from benchmarks.workloads.base import Trial, Workload, WrongResultError

__all__ = ["WORKLOADS", "Members", "expect_members", "members"]


Members: TypeAlias = dict[str, Layout]

_calls = itertools.count(1)


def members(count: int, *, unseen: bool = False) -> Members:
    """
    Arrays that differ in shape, so that an array taken for another one shows.

    Args:
        count: How many.

        unseen: Whether no call may have made arrays of the same shapes: a library that remembers
            what it has parsed meets new documents.
    """
    start = 1 + (next(_calls) << 20 if unseen else 0)
    return {f"a{i:05}": Layout((64, start + i), (64, 64)) for i in range(count)}


def expect_members(found: dict[str, Shape], wanted: Members) -> None:
    """Raise `WrongResultError` unless these are the names and the shapes."""
    if found != {name: layout.shape for name, layout in wanted.items()}:
        raise WrongResultError(f"{len(found)} nodes instead of {len(wanted)}, or other shapes")


def _create(env: Env, adapter: Adapter) -> Trial:
    wanted = members(env.sizes.nodes)
    path = env.fresh()
    return Trial(
        setup=lambda: env.remove(path),
        run=lambda _: adapter.create_tree(path, wanted),
        check=lambda _: expect_members(reference(adapter).list_tree(path), wanted),
        count=len(wanted),
    )


def _list_tree(path: Path, wanted: Members, adapter: Adapter) -> Trial:
    return Trial(
        setup=lambda: path,
        run=adapter.list_tree,
        check=lambda found: expect_members(found, wanted),
        count=len(wanted),
    )


def _list(env: Env, adapter: Adapter) -> Trial:
    path = env.fresh()
    wanted = members(env.sizes.nodes)
    reference(adapter).plant_tree(path, wanted)
    return _list_tree(path, wanted, adapter)


def _unseen(
    env: Env, adapter: Adapter, count: int, look: Callable[[Path, Members], dict[str, Shape]]
) -> Trial:
    """Look at a tree of so many arrays, all of them new to the library in each round."""
    path = env.fresh()

    def setup() -> Members:
        env.remove(path)
        wanted = members(count, unseen=True)
        reference(adapter).plant_tree(path, wanted)
        return wanted

    return Trial(
        setup=setup,
        run=lambda wanted: (look(path, wanted), wanted),
        check=lambda result: expect_members(*result),
        count=count,
    )


def _list_unseen(env: Env, adapter: Adapter) -> Trial:
    return _unseen(env, adapter, env.sizes.nodes, lambda path, _: adapter.list_tree(path))


def _list_consolidated(env: Env, adapter: Adapter) -> Trial:
    if not adapter.reads_consolidated:
        raise UnsupportedError
    path = env.fresh()
    wanted = members(env.sizes.nodes)
    reference(adapter).plant_tree(path, wanted)
    write_json(path, group_document(wanted))
    return _list_tree(path, wanted, adapter)


def _open(env: Env, adapter: Adapter) -> Trial:
    layout = Layout((64, 64, 64), (64, 64, 64))
    path = env.fresh()
    reference(adapter).create(path, layout)

    def check(shapes: list[Shape]) -> None:
        if set(shapes) != {layout.shape}:
            raise WrongResultError(f"the shapes are {set(shapes)}")

    return Trial(
        setup=lambda: path,
        run=lambda path: [adapter.open(path, layout).shape for _ in range(env.sizes.updates)],
        check=check,
        count=env.sizes.updates,
    )


def _open_unseen(env: Env, adapter: Adapter) -> Trial:
    def look(path: Path, wanted: Members) -> dict[str, Shape]:
        return {n: adapter.open_member(path, n, layout).shape for n, layout in wanted.items()}

    return _unseen(env, adapter, env.sizes.updates, look)


WORKLOADS = [
    Workload("tree of arrays: create", "us", _create),
    Workload("tree of arrays: list", "us", _list),
    Workload("tree of arrays: list, for the first time", "us", _list_unseen),
    Workload("tree of arrays: list, consolidated", "us", _list_consolidated),
    Workload("open one array", "us", _open),
    Workload("open one array, for the first time", "us", _open_unseen),
]
