"""All libraries at once: they take turns at one array, and each sees what all have written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from interop_case import Case, Window
from interop_exclusions import READ, WRITE, excluded
from interop_kinds import FILLS, KINDS, same
from interop_parts import CHAINS, KEYS, SHARDINGS
from interop_peers import PEERS, STOREKIT, Peer

TURNS = 6
KIND_POOL = [*KINDS.values(), *FILLS]


def random_case(rng: np.random.Generator) -> Case:
    """A case of random parts, in a random shape."""
    ndim = int(rng.integers(1, 4))
    cell = tuple(rng.integers(1, 5, ndim).tolist())
    shape = tuple(rng.integers(0, 14, ndim).tolist())
    kind = KIND_POOL[rng.integers(len(KIND_POOL))]
    chain = CHAINS[str(rng.choice(list(CHAINS)))](kind, ndim)
    chunks, codecs = SHARDINGS[str(rng.choice(list(SHARDINGS)))](cell, chain)
    key = KEYS[str(rng.choice(list(KEYS)))]
    name = f"turns {rng.integers(2**32)}"
    return Case(name, kind, shape, chunks, tuple(codecs), key, content="none")


def random_window(shape: tuple[int, ...], rng: np.random.Generator) -> Window:
    """A part of an array, at times none of it or all of it."""
    ends = (np.sort(rng.integers(0, n + 1, 2)).tolist() for n in shape)
    return tuple(slice(start, stop) for start, stop in ends)


def take_turns(seed: int, folder: Path) -> None:
    """Let everyone who writes and reads a random case change a part of it, one after the other."""
    rng = np.random.default_rng(seed)
    case = random_case(rng)
    players: list[Peer] = [
        peer
        for peer in (STOREKIT, *PEERS)
        if peer.name != "simplezarr"  # which does not read the documents of tensorstore
        and (peer is STOREKIT or (peer.missing is None and peer.meant_for(case)))
        and not any(excluded(peer, case, verb) for verb in (READ, WRITE))
    ]
    if STOREKIT not in players:
        return
    expected = case.values.copy()
    players[rng.integers(len(players))].create(folder, case)
    story = []
    for turn in range(TURNS):
        writer, reader = (players[i] for i in rng.integers(0, len(players), 2))
        window = random_window(expected.shape, rng)
        story.append(f"{writer.name} writes {window}")
        if expected[window].size or writer is STOREKIT:
            values = case.random(expected[window].shape, turn + 1)
            if rng.random() < 0.3:
                values[...] = case.kind.fill
            elif case.kind.dtype.kind == "c":
                # zarr-python takes -0.0 for 0.0 and NaN+1j for NaN+2j, and may not store them.
                values[(values == 0) | ~np.isfinite(values)] = 1
            expected[window] = values
            writer.update(folder, window, values)
        if expected.size and rng.random() < 0.2:
            more = case.random((2, *expected.shape[1:]), turn + 50)
            STOREKIT.open(folder).append(more)
            expected = np.concatenate([expected, more])
            story.append("storekit appends 2")
        for player in {reader, STOREKIT}:
            story.append(f"{player.name} reads")
            assert same(player.read(folder), expected), (case.document, story)
            part = random_window(expected.shape, rng)
            assert same(player.read(folder, part), expected[part]), (case.document, story, part)


@pytest.mark.parametrize("seed", range(60))
def test_taking_turns(seed: int, tmp_path: Path) -> None:
    """Whoever writes to an array, all others read what a numpy array would hold."""
    take_turns(seed, tmp_path / "a")


@pytest.mark.slow
def test_taking_many_turns(tmp_path: Path) -> None:
    """The same for a thousand arrays."""
    for seed in range(1000, 2000):
        take_turns(seed, tmp_path / str(seed))


def test_turns_are_varied() -> None:
    """The random arrays have shards and none, dimensions of length 0, and most data types."""
    cases = [random_case(np.random.default_rng(seed)) for seed in range(60)]
    assert {case.sharded for case in cases} == {True, False}
    assert {case.keys["name"] for case in cases} == {"default", "v2"}
    assert any(0 in case.shape for case in cases)
    assert len({case.kind.name for case in cases}) > 15
