"""A PrefixStore is a part of a store, and a store."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_samples import DictStore, ListableDict

import storekit as sk
from storekit.errors import InvalidKeyError, KeyConflictError, KeyNotFoundError
from storekit.nodes.locks import value_lock
from storekit.simulation import VirtualClock
from storekit.stores import LocalStore, MemoryStore, SlowStore, Store, WrapperStore
from storekit.stores.prefix import PrefixStore
from storekit.testing import StoreContract


class TestStoresWithoutAPrefix(StoreContract):
    many = 1000

    @pytest.fixture(params=["memory", "local", "restored"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Store:
        """Prefix stores that change nothing."""
        inner = LocalStore(tmp_path / "root") if request.param == "local" else MemoryStore()
        store = PrefixStore(inner, "")
        return pickle.loads(pickle.dumps(store)) if request.param == "restored" else store


class TestStoresInsideAPrefix(StoreContract):
    many = 1000
    # These look at the key of an error, which is that of the inner store; see below.
    test_an_error_says_where = test_an_error_survives_pickling = None  # type: ignore[assignment]
    test_a_stale_version_changes_nothing = None  # type: ignore[assignment]

    @pytest.fixture(params=["memory", "local", "nested"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Store:
        """Prefix stores that have neighbours."""
        inner: Any = LocalStore(tmp_path / "root") if request.param == "local" else MemoryStore()
        inner.set_values([("aside", b"0"), ("p/b", b"1"), ("p/q-", b"2")])
        if request.param == "nested":
            return PrefixStore(PrefixStore(inner, "p/"), "q/")
        return PrefixStore(inner, "p/q/")


@pytest.fixture
def whole() -> MemoryStore:
    """A store with keys inside and outside of `p/`."""
    return MemoryStore({"p/a": b"1", "p/b/c": b"23", "pa": b"4", "q/a": b"5"})


def test_it_shows_what_is_under_the_prefix(whole: MemoryStore) -> None:
    """Keys lose the prefix on the way out and get it on the way in, in every listing."""
    part = PrefixStore(whole, "p/")
    assert part.list() == ["a", "b/c"]
    assert part.list_dir("") == ["a", "b/"]
    assert part.list_prefix("b/") == ["b/c"]
    assert part.list_dir("b/") == ["b/c"]
    assert part.get_partial_values([("b/c", 1, 1), ("pa", 0, 1)]) == [b"3", None]
    part.set_values([("d", b"6"), ("e/f", b"7")])
    assert whole.get("p/e/f") == b"7"


def test_it_erases_only_what_is_under_the_prefix(whole: MemoryStore) -> None:
    """Erasing everything in it leaves what lies beside it."""
    assert PrefixStore(whole, "p/").erase_prefix("") == 2
    assert whole.list() == ["pa", "q/a"]


@pytest.mark.parametrize("key", ["../q/a", "..", "/q/a", "", "b/../../q/a", "./a"])
def test_no_key_leads_out(whole: MemoryStore, key: str) -> None:
    """Keys that would climb out are no keys."""
    part = PrefixStore(whole, "p/")
    for ask in (part.get, part.erase, part.exists, lambda key: part.set(key, b"")):
        with pytest.raises(InvalidKeyError):
            ask(key)


@pytest.mark.parametrize("prefix", ["p", "/", "/p/", "p//", "../", "p/../", None, 5])
def test_what_is_no_prefix_is_refused(prefix: Any) -> None:
    """A prefix that is none is found when the store is made."""
    with pytest.raises(InvalidKeyError, match=r"prefix|key"):
        PrefixStore(MemoryStore(), prefix)


def test_errors_name_the_inner_key(whole: MemoryStore) -> None:
    """What the inner store raises says where it looked."""
    with pytest.raises(KeyNotFoundError) as caught:
        PrefixStore(whole, "p/").get("x")
    assert caught.value.key == "p/x"


def test_the_rules_of_the_whole_store_hold(whole: MemoryStore) -> None:
    """A prefix that is a key has nothing under it and takes nothing; a key may get too long."""
    under_a_key = PrefixStore(whole, "q/a/")
    assert under_a_key.list() == []
    with pytest.raises(KeyConflictError):
        under_a_key.set("b", b"")
    with pytest.raises(InvalidKeyError):
        PrefixStore(whole, "p/").exists("/".join(["x" * 255] * 4))


def test_without_a_prefix_calls_go_through_unchanged() -> None:
    """The no-op asks the inner store the same."""
    seen: list[str] = []

    class Listing(ListableDict):
        def _list(self) -> list[str]:
            seen.append("list")
            return ["a"]

    assert PrefixStore(Listing(), "").list() == ["a"]
    assert seen == ["list"]


def test_what_shares_data_has_one_identity(tmp_path: Path) -> None:
    """Two ways to the same part are one place; parts and the whole are different ones."""
    whole = LocalStore(tmp_path)
    one = PrefixStore(whole, "a/b/")
    other = PrefixStore(WrapperStore(PrefixStore(LocalStore(tmp_path), "a/")), "b/")
    assert one.identity == other.identity
    assert one.identity not in (whole.identity, PrefixStore(whole, "a/").identity)
    assert PrefixStore(whole, "").identity == whole.identity
    assert one == PrefixStore(whole, "a/b/")
    assert one != PrefixStore(whole, "a/")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda whole: (PrefixStore(whole, "a/"), "x"),
        lambda whole: (WrapperStore(PrefixStore(WrapperStore(whole), "a/")), "x"),
        lambda whole: (PrefixStore(PrefixStore(whole, "a/"), ""), "x"),
        lambda whole: (PrefixStore(whole, ""), "a/x"),
    ],
)
def test_a_value_has_one_lock(wrap: Any) -> None:
    """Who changes a value through a part excludes who changes it through the whole."""
    clock = VirtualClock()
    whole = SlowStore(MemoryStore(), 0, clock=clock)
    part, key = wrap(whole)

    def change(store: Store, key: str) -> float:
        with value_lock(store, key):
            clock.sleep(1)
        return clock.now()

    pool = clock.executor(4)
    places = (whole, "a/x"), (part, key), (part, "other"), (whole, "x")
    assert clock.gather([pool.submit(change, *place) for place in places]) == [1, 2, 1, 1]


def test_an_array_lives_in_a_part(whole: MemoryStore) -> None:
    """Array code does not notice where it is, and the whole store sees its keys."""
    array = sk.ZarrArray.create(PrefixStore(whole, "p/"), "x", data=np.arange(6), chunks=(2,))
    array[1] = 9
    assert sk.open_zarr(whole, "p/x")[:].tolist() == [0, 9, 2, 3, 4, 5]


def test_a_part_of_a_store_that_cannot_be_listed() -> None:
    """It takes no more than the inner store has."""
    part: Any = PrefixStore(DictStore({"p/a": b"1"}), "p/")
    assert part.get("a") == b"1"
    assert not isinstance(part, sk.ListableStore)
    assert not isinstance(part, sk.WritableStore)


@pytest.mark.parametrize("path", ["", "b"])
def test_a_node_is_one_node(whole: MemoryStore, path: str) -> None:
    """A node that is opened in a part of a store is equal to that of the whole store."""
    sk.ZarrGroup.create(whole, "p/b")
    one = sk.ZarrGroup(PrefixStore(whole, "p/"), path)
    other = sk.ZarrGroup(whole, f"p/{path}".rstrip("/"))
    assert one == other
    assert hash(one) == hash(other)
    assert one != sk.ZarrGroup(PrefixStore(whole, "p/"), "b" if path == "" else "")
