"""Every store and every wrapper keeps the contract, in whatever form it comes."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from store_samples import ConditionalDict, DictStore, FakeClock, ListableDict, PlainDict

import storekit.stores
from storekit.stores import LocalStore, MemoryStore, SlowStore, Store, WrapperStore, _nolinks, _tree
from storekit.testing import StoreContract

Makers = Mapping[str, Callable[..., Store]]


def restored(store: Store) -> Any:
    """The store, after a journey to another process."""
    return pickle.loads(pickle.dumps(store))


def over(makers: Makers) -> Any:
    """A fixture that gives a test each of the stores in turn; on disk they have a directory."""

    @pytest.fixture(params=makers.values(), ids=makers.keys())
    def store(self: StoreContract, request: pytest.FixtureRequest, tmp_path: Path) -> Store:
        return request.param(tmp_path / "root")

    return store


class TestStoresInMemory(StoreContract):
    store = over(
        {
            "memory": lambda _: MemoryStore(),
            "restored": lambda _: restored(MemoryStore()),
            "wrapped": lambda _: WrapperStore(MemoryStore()),
            "wrapped twice": lambda _: WrapperStore(WrapperStore(MemoryStore())),
            "slow": lambda _: SlowStore(MemoryStore(), base_delay=0),
            "restored wrappers": lambda _: restored(SlowStore(WrapperStore(MemoryStore()), 0)),
        }
    )


class TestStoresOnDisk(StoreContract):
    many = 1500
    store = over(
        {
            "local": LocalStore,
            "restored": lambda root: restored(LocalStore(root)),
            "wrapped": lambda root: WrapperStore(LocalStore(root)),
            "slow": lambda root: SlowStore(LocalStore(root), 0.25, 1e6, clock=FakeClock()),
        }
    )


class TestDurableStores(StoreContract):
    many = 50
    batch = 70  # wrappers pass on 64 at a time
    rounds = 6
    store = over(
        {
            "durable": lambda root: LocalStore(root, durable=True),
            "wrapped": lambda root: WrapperStore(LocalStore(root, durable=True)),
        }
    )


class TestLocalStoreWithoutOpenat2(StoreContract):
    """As on an older kernel, or in a sandbox that does not know the call."""

    many = 500
    store = over({"local": LocalStore})

    @pytest.fixture(autouse=True)
    def no_openat2(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the way that is left without the call."""
        monkeypatch.setattr(_tree, "open_nolinks", _nolinks._open_and_check)


class TestFlatStores(StoreContract):
    """Stores by others, which implement nothing but what they must."""

    flat = True
    store = over(
        {
            "plain": lambda _: PlainDict(),
            "conditional": lambda _: ConditionalDict(),
            "wrapped": lambda _: WrapperStore(PlainDict()),
            "slow": lambda _: SlowStore(ConditionalDict(), base_delay=0),
        }
    )


class TestReadOnlyStores(StoreContract):
    """Stores whose contents come from behind."""

    store = over(
        {
            "readable": lambda _: DictStore(),
            "listable": lambda _: ListableDict(),
            "wrapped": lambda _: WrapperStore(DictStore()),
            "slow": lambda _: SlowStore(WrapperStore(ListableDict()), base_delay=0),
        }
    )

    @pytest.fixture
    def read_only_store(self, store: Store) -> Store | None:
        """A wrapper has the methods that its inner store lacks, and they refuse."""
        return store if isinstance(store, WrapperStore) else None

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Put the contents into the dict at the bottom."""
        while isinstance(store, WrapperStore):
            store = store.inner
        store.fields.update(contents)


WRAPPERS = [
    found
    for name in storekit.stores.__all__
    if isinstance(found := getattr(storekit.stores, name), type) and issubclass(found, WrapperStore)
]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_wrapper_keeps_the_contract(wrapper: type[WrapperStore]) -> None:
    """The tests of each wrapper that is public run the contract: here, or in a file of its own."""
    if wrapper in (WrapperStore, SlowStore):
        return
    tests = importlib.import_module(f"test_{wrapper.__module__.rpartition('.')[2]}")
    laws = [
        each
        for each in vars(tests).values()
        if isinstance(each, type) and each.__module__ == tests.__name__
    ]
    assert any(issubclass(each, StoreContract) for each in laws)
