"""The rows: what is read from afar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from benchmarks.adapters import Handle, Selection
from benchmarks.adapters.limit import Limit
from benchmarks.adapters.storekit import Storekit
from benchmarks.data import Array, field
from benchmarks.env import Env
from benchmarks.layout import Layout, group_document, write_json
from benchmarks.remote.client import Client, Opener
from benchmarks.remote.place import Place
from benchmarks.workloads.base import Trial, expect
from benchmarks.workloads.parts import in_flight, one_by_one, windows
from benchmarks.workloads.tree import Members, expect_members, members

__all__ = ["FULL", "QUICK", "ROWS", "RemoteRow", "RemoteSizes"]

Read: TypeAlias = Callable[[Handle, Sequence[Selection]], list[Array]]
Choose: TypeAlias = Callable[["RemoteSizes", Client], Layout]


@dataclass(frozen=True)
class RemoteSizes:
    """How much work there is."""

    latency: float
    """Seconds from a request to its answer."""
    chunks: int
    """Of 64 KiB, to be read at once; a multiple of 16."""
    arrays: int
    field: tuple[int, int, int]
    """Of which windows are read."""
    chunk: int
    """The edge of a shard, and of a chunk that is a `.b2nd` file."""
    one_by_one: int
    in_flight: int
    """Windows."""
    share: float
    """Seconds that the rounds of one client in one row may take, its openings included."""
    rounds: int
    """The most for one row."""


FULL = RemoteSizes(
    latency=0.05,
    chunks=256,
    arrays=100,
    field=(256, 512, 512),
    chunk=128,
    one_by_one=4,
    in_flight=32,
    share=0.5,
    rounds=5,
)
QUICK = RemoteSizes(
    latency=0.05,
    chunks=64,
    arrays=20,
    field=(128, 128, 128),
    chunk=64,
    one_by_one=2,
    in_flight=16,
    share=0.2,
    rounds=3,
)


@dataclass(frozen=True)
class RemoteRow:
    """
    One row.

    Args:
        name: What stands above its table.

        prepare: Makes the trial of one client, or raises `UnsupportedError`.
    """

    name: str
    prepare: Callable[[RemoteSizes, Env, Place, Client], Trial]


def _chunks(sizes: RemoteSizes, _: Client) -> Layout:
    return Layout((sizes.chunks // 16 * 16, 4 * 32, 4 * 32), (16, 32, 32))


def _shards(sizes: RemoteSizes, _: Client) -> Layout:
    return Layout(sizes.field, (32, 32, 32), "zstd-1", (sizes.chunk,) * 3)


def _frames(sizes: RemoteSizes, client: Client) -> Layout:
    codec = "b2nd" if client.b2nd else "zstd-3 bitshuffle"
    return Layout(sizes.field, (sizes.chunk,) * 3, codec)


def _whole(warm: bool, sizes: RemoteSizes, env: Env, place: Place, client: Client) -> Trial:
    layout = _chunks(sizes, client)
    path = place.key_of(env.stored(Limit(), layout))
    kept = client.open(place, path, layout) if warm else None
    return Trial(
        setup=lambda: kept or client.open(place, path, layout),
        run=lambda handle: handle.read(...),
        check=lambda result: expect(result, field(layout.shape)),
    )


def _windows(
    choose: Choose, read: Read, sizes: RemoteSizes, env: Env, place: Place, client: Client
) -> Trial:
    layout = choose(sizes, client)
    path = place.key_of(env.stored(Limit(), layout))
    count = sizes.one_by_one if read is one_by_one else sizes.in_flight
    selections = windows(32, count, layout)
    wanted = np.stack([field(layout.shape)[selection] for selection in selections])
    return Trial(
        setup=lambda: client.open(place, path, layout),
        run=lambda handle: read(handle, selections),
        check=lambda results: expect(np.stack(results), wanted),
    )


def _single(sizes: RemoteSizes) -> Layout:
    return Layout(sizes.field, (sizes.chunk,) * 3, "b2nd")


def _single_windows(
    read: Read, sizes: RemoteSizes, env: Env, place: Place, client: Client
) -> Trial:
    layout = _single(sizes)
    path = place.key_of(env.framed(Storekit(), layout))
    count = sizes.one_by_one if read is one_by_one else sizes.in_flight
    selections = windows(32, count, layout)
    wanted = np.stack([field(layout.shape)[selection] for selection in selections])
    return Trial(
        setup=lambda: client.open_frame(place, path),
        run=lambda handle: read(handle, selections),
        check=lambda results: expect(np.stack(results), wanted),
    )


def _single_whole(sizes: RemoteSizes, env: Env, place: Place, client: Client) -> Trial:
    layout = _single(sizes)
    path = place.key_of(env.framed(Storekit(), layout))
    return Trial(
        setup=lambda: None,
        run=lambda _: client.open_frame(place, path).read(...),
        check=lambda result: expect(result, field(layout.shape)),
    )


def _group(env: Env, wanted: Members, consolidated: bool) -> Path:
    path = env.disk / f"{'consolidated' if consolidated else 'plain'}-{len(wanted)}"
    if not path.exists():
        Limit().create_tree(path, wanted)
        if consolidated:
            write_json(path, group_document(wanted))
    return path


def _open(consolidated: bool, sizes: RemoteSizes, env: Env, place: Place, client: Client) -> Trial:
    wanted = members(sizes.arrays)
    path = place.key_of(_group(env, wanted, consolidated))

    def group() -> Opener:
        return client.group(place, path, consolidated=consolidated)

    return Trial(
        setup=lambda: None if consolidated else group(),
        run=lambda opener: (opener or group())(list(wanted)),
        check=lambda found: expect_members(found, wanted),
    )


ROWS = [
    RemoteRow("read all chunks of 64 KiB", partial(_whole, False)),
    RemoteRow("read all chunks of 64 KiB, by connections that are there", partial(_whole, True)),
    RemoteRow("open the arrays of an open group", partial(_open, False)),
    RemoteRow("open a consolidated group and its arrays", partial(_open, True)),
    RemoteRow("32^3 windows of shards, one by one", partial(_windows, _shards, one_by_one)),
    RemoteRow("32^3 windows of shards, in flight", partial(_windows, _shards, in_flight)),
    RemoteRow("32^3 windows of large chunks, one by one", partial(_windows, _frames, one_by_one)),
    RemoteRow("32^3 windows of large chunks, in flight", partial(_windows, _frames, in_flight)),
    RemoteRow("32^3 windows of a b2nd file, one by one", partial(_single_windows, one_by_one)),
    RemoteRow("32^3 windows of a b2nd file, in flight", partial(_single_windows, in_flight)),
    RemoteRow("open a b2nd file and read all of it", _single_whole),
]
