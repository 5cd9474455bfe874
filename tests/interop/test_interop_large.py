"""Arrays so large that parts of chunks are read, and peers do what they do with large ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interop_case import Case
from interop_kinds import KINDS, Kind, same
from interop_parts import CHAINS, Chain, codec, serial, shard, zstd
from interop_peers import STOREKIT, Peer, TensorStore, ZarrPython, Zarrs

PEERS = [peer for peer in (ZarrPython(), Zarrs(), TensorStore()) if peer.missing is None]
I4, F8 = KINDS["int32"], KINDS["float64"]


def large(name: str, kind: Kind, chunks: tuple[int, ...], chain: Chain, **more: Any) -> Case:
    """A case of a few megabytes."""
    return Case(name, kind, (900, 1100), chunks, tuple(chain), **more)


CASES = [
    large("one chunk, bare", I4, (1000, 1200), [serial(I4)]),
    large("one chunk, bare, transposed", I4, (1000, 1200), CHAINS["transpose"](I4, 2)),
    large("one chunk, big-endian", F8, (1000, 1200), [serial(F8, "big")]),
    large("one chunk, compressed", I4, (1000, 1200), CHAINS["blosc"](I4, 2)),
    large("small chunks", I4, (100, 90), CHAINS["zstd-checksum"](I4, 2)),
    large("shards", I4, (512, 640), shard((64, 64), CHAINS["crc32c"](I4, 2))),
    large("shards of bare chunks", F8, (900, 1200), shard((450, 600), [serial(F8)], "start")),
    large(
        "nested shards",
        F8,
        (1024, 1280),
        shard((512, 640), shard((64, 80), [serial(F8, "big"), zstd()]), "start"),
    ),
    large(
        "shards with a bare index",
        I4,
        (1024, 1280),
        shard((32, 32), [serial(I4)], "end", (codec("bytes", endian="big"),)),
        content="holes",
    ),
]
PARTS = {
    "a point": np.s_[417:418, 650:651],
    "a row": np.s_[512:513, :],
    "a column": np.s_[:, 1001:1002],
    "a window": np.s_[100:700, 333:999],
    "the last corner": np.s_[895:, 1090:],
}
MORE_PARTS = {
    "steps": np.s_[::97, 5::131],
    "backwards": np.s_[880:20:-53, ::-200],
    "rows": (np.array([899, 3, 3, 450]), slice(10, 700)),
    "points": (np.array([899, 0, 512, 450]), np.array([0, 1099, 640, 7])),
}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_parts_of_large_arrays(case: Case, peer: Peer, tmp_path: Path) -> None:
    """Every part of what a peer wrote is read, and every part that storekit changes is seen."""
    peer.write(tmp_path, case)
    for name, part in {**PARTS, **MORE_PARTS}.items():
        assert same(STOREKIT.read(tmp_path, part), case.values[part]), name
    after = case.values.copy()
    for salt, part in enumerate(PARTS.values()):
        after[part] = case.random(after[part].shape, salt)
        STOREKIT.update(tmp_path, part, after[part])
    assert same(peer.read(tmp_path), after)
    for salt, part in enumerate(PARTS.values()):
        after[part] = case.random(after[part].shape, 10 + salt)
        peer.update(tmp_path, part, after[part])
    assert same(STOREKIT.read(tmp_path), after)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_parts_of_our_large_arrays(case: Case, peer: Peer, tmp_path: Path) -> None:
    """Every part of what storekit wrote is read by a peer."""
    STOREKIT.write(tmp_path, case)
    for name, part in PARTS.items():
        assert same(peer.read(tmp_path, part), case.values[part]), name
