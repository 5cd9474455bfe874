"""storekit and its peers exchange every case of the table that both sides support."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interop_case import Case, Window
from interop_exclusions import EXCLUSIONS, READ, WRITE, Exclusion, excluded
from interop_kinds import same
from interop_page import PAGE, render
from interop_peers import PEERS, STOREKIT, Peer
from interop_table import CASES

from storekit.typing import AnyArray

INSTALLED = [peer for peer in PEERS if peer.missing is None]
EXACT = [peer for peer in INSTALLED if peer.name != "simplezarr"]  # which does not store -0.0
EVERYDAY = [case for case in CASES if not case.slow]
FOREIGN = {READ: WRITE, WRITE: READ}


def exchanged(peer: Peer, case: Case, *verbs: str) -> bool:
    """Whether the peer does all of this with a case, and storekit the other half of it."""
    if not peer.meant_for(case):
        return False
    ours = [FOREIGN[verb] for verb in verbs]
    return not any(excluded(peer, case, verb) for verb in verbs) and not any(
        excluded(STOREKIT, case, verb) for verb in ours
    )


def pairs(
    *verbs: str,
    quick: Callable[[int], bool] = lambda number: True,
    where: Callable[[Case], bool] = lambda case: True,
) -> pytest.MarkDecorator:
    """Every case with every peer that does all of this; slow, if its number is not a quick one."""
    rows = [
        pytest.param(
            peer,
            case,
            id=f"{peer.name}: {case}",
            marks=() if quick(number) else pytest.mark.slow,
        )
        for number, case in enumerate(EVERYDAY)
        for peer in INSTALLED
        if where(case) and exchanged(peer, case, *verbs)
    ]
    return pytest.mark.parametrize(("peer", "case"), rows)


def check(found: Any, expected: AnyArray) -> None:
    """Fail, and say how, unless two arrays hold the same bits."""
    if not same(found, expected):
        np.testing.assert_array_equal(found, expected)
        raise AssertionError(f"the values are equal, but not the bits:\n{found!r}\n{expected!r}")


def middle(case: Case) -> Window:
    """A part of the array that begins and ends within chunks."""
    return tuple(slice(n // 4, n - n // 4) for n in case.shape)


def changed(case: Case) -> tuple[Window, AnyArray, AnyArray]:
    """A part of the array, new values for it, and the array with these values."""
    window, after = middle(case), case.values.copy()
    values = case.random(after[window].shape, salt=1)
    after[window] = values
    return window, values, after


def peer_reads(peer: Peer, case: Case, folder: Path) -> None:
    """storekit writes, the peer reads all of it and a part of it."""
    STOREKIT.write(folder, case)
    check(peer.read(folder), case.values)
    check(peer.read(folder, middle(case)), case.values[middle(case)])


def storekit_reads(peer: Peer, case: Case, folder: Path) -> None:
    """The peer writes, storekit reads all of it and parts of it."""
    peer.write(folder, case)
    check(STOREKIT.read(folder), case.values)
    steps = tuple(slice(None, None, -2) for _ in case.shape)
    for window in (middle(case), steps):
        check(STOREKIT.read(folder, window), case.values[window])
    if case.values.size:
        rng = np.random.default_rng(1)
        points = tuple(rng.integers(0, n, 5) for n in case.shape)
        check(STOREKIT.read(folder, points), case.values[points])


def storekit_changes(peer: Peer, case: Case, folder: Path) -> None:
    """The peer writes, storekit changes a part, the peer reads."""
    peer.write(folder, case)
    window, values, after = changed(case)
    STOREKIT.update(folder, window, values)
    check(peer.read(folder), after)


def peer_changes(peer: Peer, case: Case, folder: Path) -> None:
    """storekit writes, the peer changes a part, storekit reads."""
    STOREKIT.write(folder, case)
    window, values, after = changed(case)
    peer.update(folder, window, values)
    check(STOREKIT.read(folder), after)


@pairs(READ)
def test_peers_read_what_storekit_writes(peer: Peer, case: Case, tmp_path: Path) -> None:
    """What storekit writes has the same content for a peer, as a whole and in part."""
    peer_reads(peer, case, tmp_path / "a")


@pairs(WRITE)
def test_storekit_reads_what_peers_write(peer: Peer, case: Case, tmp_path: Path) -> None:
    """What a peer writes has the same content for storekit, as a whole and in part."""
    storekit_reads(peer, case, tmp_path / "a")


@pairs(READ, WRITE, quick=lambda number: number % 2 == 0)
def test_storekit_changes_what_peers_write(peer: Peer, case: Case, tmp_path: Path) -> None:
    """A peer reads its own array as it should be after storekit has changed a part of it."""
    storekit_changes(peer, case, tmp_path / "a")


@pairs(READ, WRITE, quick=lambda number: number % 2 == 1)
def test_peers_change_what_storekit_writes(peer: Peer, case: Case, tmp_path: Path) -> None:
    """storekit reads its own array as it should be after a peer has changed a part of it."""
    peer_changes(peer, case, tmp_path / "a")


@pairs(READ, WRITE, quick=lambda number: number % 3 == 0, where=lambda case: bool(case.shape))
def test_storekit_resizes_what_peers_write(peer: Peer, case: Case, tmp_path: Path) -> None:
    """A peer reads its own array after storekit has appended to it, cut it off and extended it."""
    peer.write(tmp_path / "a", case)
    array = STOREKIT.open(tmp_path / "a")
    more = case.random((3, *case.shape[1:]), salt=2)
    array.append(more)
    after = np.concatenate([case.values, more])
    check(peer.read(tmp_path / "a"), after)
    *rest, last = after.shape
    array.resize((*rest, last - 1))
    array.resize((*rest, last + 2))
    expected = case.kind.full((*rest, last + 2))
    expected[..., : last - 1] = after[..., :-1]
    check(peer.read(tmp_path / "a"), expected)


@pytest.mark.slow
@pytest.mark.parametrize("law", [peer_reads, storekit_reads, storekit_changes, peer_changes])
@pytest.mark.parametrize("peer", EXACT, ids=lambda peer: peer.name)
def test_products(peer: Peer, law: Callable[[Peer, Case, Path], None], tmp_path: Path) -> None:
    """The laws hold for whole products of data types, codecs, sharding and shapes."""
    verbs = {peer_reads: (READ,), storekit_reads: (WRITE,)}.get(law, (READ, WRITE))
    failures = []
    for number, case in enumerate(case for case in CASES if case.slow):
        if exchanged(peer, case, *verbs):
            try:
                law(peer, case, tmp_path / str(number))
            except Exception as error:  # noqa: BLE001 - a peer's errors are its own
                failures.append(f"{case}: {error!r}"[:200])
    assert not failures


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_peer_takes_part(peer: Peer) -> None:
    """Every peer of the table is there, or what is missing is named."""
    if peer.missing:
        pytest.skip(f"{peer.name}: {peer.missing}")
    assert any(exchanged(peer, case, READ, WRITE) for case in EVERYDAY)


def _refusals() -> list[Any]:
    """Each exclusion with each library and verb, and its cases, the purest first."""
    rows = []
    for item in EXCLUSIONS:
        for peer in (STOREKIT, *INSTALLED):
            for verb in item.verbs:
                cases = [case for case in EVERYDAY if item.holds(peer, case, verb)]
                cases.sort(key=lambda case: sum(e.holds(peer, case, verb) for e in EXCLUSIONS))
                if cases and item.checked:
                    name = f"{peer.name} cannot {verb} {item.what}"
                    rows.append(pytest.param(peer, verb, cases, id=name))
    return rows


def fails(peer: Peer, verb: str, case: Case, folder: Path) -> bool:
    """Whether the exchange of a case ends in an error, or in other content."""
    if verb == READ:
        STOREKIT.write(folder, case)
    try:
        if verb == WRITE:
            peer.write(folder, case)
        reader = peer if verb == READ else STOREKIT
        check(reader.read(folder), case.values)
        check(reader.read(folder, middle(case)), case.values[middle(case)])
    except ImportError:
        raise
    except Exception:  # noqa: BLE001 - a peer's errors are its own
        return True
    return False


@pytest.mark.parametrize(("peer", "verb", "cases"), _refusals())
def test_exclusions_hold(peer: Peer, verb: str, cases: list[Case], tmp_path: Path) -> None:
    """What is excluded fails, or gives other content: an exclusion that is outdated must go."""
    numbered = enumerate(cases)
    assert any(fails(peer, verb, case, tmp_path / str(number)) for number, case in numbered)


@pytest.mark.parametrize("item", EXCLUSIONS, ids=lambda item: f"{item.peers}: {item.what}")
def test_exclusions_concern_cases(item: Exclusion) -> None:
    """Every exclusion is of some case in the table."""
    assert any(item.when(case) for case in EVERYDAY)


def test_page_is_up_to_date() -> None:
    """The page on compatibility says what these tables say."""
    assert PAGE.read_text() == render(), "run: python tests/interop/interop_page.py"
