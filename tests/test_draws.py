"""Random numbers that depend on what they are for."""

from __future__ import annotations

import statistics
import threading

import pytest

import storekit.draws
from storekit.draws import Draws


def test_numbers_are_those_of_their_name() -> None:
    """One seed, one name, one use: one number, whoever else draws in between."""
    alone, among_others = Draws(7), Draws(7)
    expected = [alone.uniform("get", "a") for _ in range(5)]
    found = []
    for index in range(5):
        among_others.uniform("get", "b")
        among_others.uniform("set", index)
        found.append(among_others.uniform("get", "a"))
    assert found == expected
    assert len(set(expected)) == 5


def test_other_names_and_seeds_have_other_numbers() -> None:
    """A seed, each word of a name, and how they are split all count."""
    names = [("a", "b"), ("ab",), ("a", "b", ""), ("b", "a"), (), ("a", 1), ("a", "1")]
    numbers = {Draws(seed).uniform(*name) for seed in range(10) for name in names}
    assert len(numbers) == 70


def test_numbers_are_known() -> None:
    """They are the same on every machine, in every version."""
    draws = Draws()
    assert [round(draws.uniform("get", "a/b"), 6) for _ in range(3)] == KNOWN


KNOWN = [0.316582, 0.363286, 0.857485]


def test_numbers_are_spread_evenly() -> None:
    """Ten thousand of them have the mean and the deviation of a uniform distribution."""
    draws = Draws()
    numbers = [draws.uniform("x") for _ in range(10_000)]
    assert statistics.fmean(numbers) == pytest.approx(0.5, abs=0.01)
    assert statistics.pstdev(numbers) == pytest.approx(12**-0.5, abs=0.01)


@pytest.mark.parametrize("byte", [b"\x00", b"\xff"])
def test_neither_end_is_ever_drawn(monkeypatch: pytest.MonkeyPatch, byte: bytes) -> None:
    """The interval is open: the least and the greatest hash are inside, as far from its ends."""

    class Hash:
        def __init__(self, text: bytes, digest_size: int) -> None:
            self.size = digest_size

        def digest(self) -> bytes:
            return byte * self.size

    monkeypatch.setattr(storekit.draws, "blake2b", Hash)
    number = Draws().uniform("x")
    assert 0 < number < 1
    assert min(number, 1 - number) == 2.0**-53


def test_threads_draw_each_number_once(restless: None) -> None:
    """Threads that draw by one name share its numbers out, and lose none."""
    draws, found = Draws(), []

    def work() -> None:
        found.extend([draws.uniform("x") for _ in range(500)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh = Draws()
    assert sorted(found) == sorted(fresh.uniform("x") for _ in range(2000))
