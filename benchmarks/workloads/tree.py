"""Many nodes: making, listing and opening arrays that hold nothing."""

from __future__ import annotations

from pathlib import Path

from benchmarks.adapters import Adapter, UnsupportedError
from benchmarks.adapters.base import Shape
from benchmarks.env import Env, reference
from benchmarks.layout import Layout, group_document, write_json
from benchmarks.workloads.base import Trial, Workload, WrongResultError

__all__ = ["WORKLOADS"]


def _members(env: Env) -> dict[str, Layout]:
    """Arrays that differ in shape, so that an array taken for another one shows."""
    return {f"a{i:05}": Layout((64, 1 + i), (64, 64)) for i in range(env.sizes.nodes)}


def _check(env: Env, found: dict[str, Shape]) -> None:
    wanted = {name: layout.shape for name, layout in _members(env).items()}
    if found != wanted:
        raise WrongResultError(f"{len(found)} nodes instead of {len(wanted)}, or other shapes")


def _create(env: Env, adapter: Adapter) -> Trial:
    members = _members(env)
    path = env.fresh()
    return Trial(
        setup=lambda: env.remove(path),
        run=lambda _: adapter.create_tree(path, members),
        check=lambda _: _check(env, reference(adapter).list_tree(path)),
        count=len(members),
    )


def _list_tree(path: Path, env: Env, adapter: Adapter) -> Trial:
    return Trial(
        setup=lambda: path,
        run=adapter.list_tree,
        check=lambda found: _check(env, found),
        count=env.sizes.nodes,
    )


def _list(env: Env, adapter: Adapter) -> Trial:
    path = env.fresh()
    reference(adapter).create_tree(path, _members(env))
    return _list_tree(path, env, adapter)


def _list_consolidated(env: Env, adapter: Adapter) -> Trial:
    if not adapter.reads_consolidated:
        raise UnsupportedError
    path = env.fresh()
    members = _members(env)
    reference(adapter).create_tree(path, members)
    write_json(path, group_document(members))
    return _list_tree(path, env, adapter)


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


WORKLOADS = [
    Workload("tree of arrays: create", "us", _create),
    Workload("tree of arrays: list", "us", _list),
    Workload("tree of arrays: list, consolidated", "us", _list_consolidated),
    Workload("open one array", "us", _open),
]
