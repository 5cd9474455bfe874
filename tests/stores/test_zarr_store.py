"""zarr-python's own laws of stores hold for ours, and its arrays live in them."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_samples import DictStore, FakeClock, ListableDict, PlainDict

import storekit.interop
from storekit.errors import MissingExtraError
from storekit.stores import (
    LocalStore,
    MemoryStore,
    SlowStore,
    Trace,
    TraceStore,
    WrapperStore,
)

zarr = pytest.importorskip("zarr")

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest  # noqa: E402
from zarr.core.buffer import Buffer, cpu, default_buffer_prototype  # noqa: E402
from zarr.core.sync import sync  # noqa: E402
from zarr.testing.store import StoreTests  # noqa: E402

from storekit.interop.zarr import ZarrStore  # noqa: E402

CPU = default_buffer_prototype()


class Suite(StoreTests[ZarrStore, cpu.Buffer]):
    """zarr-python's suite, with fixtures that need no plugin, and what it leaves to each store."""

    store_cls = ZarrStore
    buffer_cls = cpu.Buffer

    async def set(self, store: ZarrStore, key: str, value: Buffer) -> None:
        """Write past the adapter."""
        store.store.set(key, value.to_bytes())

    async def get(self, store: ZarrStore, key: str) -> Buffer:
        """Read past the adapter."""
        return self.buffer_cls.from_bytes(store.store.get(key))

    @pytest.fixture
    def store(self, open_kwargs: dict[str, Any]) -> ZarrStore:
        """An open adapter."""
        return sync(self.store_cls.open(**open_kwargs))

    @pytest.fixture
    def store_not_open(self, store_kwargs: dict[str, Any]) -> ZarrStore:
        """An adapter that is not open."""
        return self.store_cls(**store_kwargs)

    def test_store_repr(self, store: ZarrStore) -> None:
        """The repr shows the adapter and the store."""
        assert repr(store) == f"ZarrStore({store.store!r})"

    def test_store_supports_writes(self, store: ZarrStore) -> None:
        """A writable store is said to be one."""
        assert store.supports_writes

    def test_store_supports_listing(self, store: ZarrStore) -> None:
        """A listable store is said to be one."""
        assert store.supports_listing


class TestZarrMemoryStore(Suite):
    @pytest.fixture
    def store_kwargs(self) -> dict[str, Any]:
        """A store in memory."""
        return {"store": MemoryStore()}


class TestZarrLocalStore(Suite):
    @pytest.fixture
    def store_kwargs(self, tmp_path: Path) -> dict[str, Any]:
        """A store on disk."""
        return {"store": LocalStore(tmp_path)}


class TestZarrWrappedStore(Suite):
    @pytest.fixture
    def store_kwargs(self, tmp_path: Path) -> dict[str, Any]:
        """A store behind a network, by a clock that does not wait."""
        return {"store": SlowStore(WrapperStore(LocalStore(tmp_path)), 1, clock=FakeClock())}


def test_the_adapter_is_found_where_adapters_are() -> None:
    """`storekit.interop` has the adapter, and nothing that it does not have."""
    assert storekit.interop.ZarrStore is ZarrStore
    with pytest.raises(AttributeError, match="nothing"):
        _ = storekit.interop.nothing


def test_arrays_of_zarr_live_in_our_stores(tmp_path: Path) -> None:
    """zarr-python writes groups and arrays into an adapted store, and reads them again."""
    data = np.arange(600, dtype="f4").reshape(20, 30)
    for store in (MemoryStore(), LocalStore(tmp_path)):
        root = zarr.create_group(ZarrStore(store), attributes={"a": 1})
        array = root.create_array("x/y", shape=data.shape, dtype=data.dtype, chunks=(7, 8))
        array[...] = data
        array[3:5] = -1
        again = zarr.open_group(ZarrStore(store, read_only=True), mode="r")
        expected = data.copy()
        expected[3:5] = -1
        np.testing.assert_array_equal(again["x/y"][...], expected)
        assert dict(again.attrs) == {"a": 1}
        assert sorted(again["x"].array_keys()) == ["y"]
        assert store.list_dir("") == ["x/", "zarr.json"]
        del root["x"]
        assert store.list() == ["zarr.json"]


def test_a_suffix_of_nothing_is_empty() -> None:
    """The last 0 bytes are none, and not all."""
    store = ZarrStore(MemoryStore({"a": b"0123"}))
    parts = [SuffixByteRequest(0), SuffixByteRequest(9), RangeByteRequest(1, 1), None]
    values = sync(store.get_partial_values(CPU, [("a", part) for part in parts]))
    assert [value.to_bytes() for value in values] == [b"", b"0123", b"", b"0123"]
    assert sync(store.get_partial_values(CPU, [("no", OffsetByteRequest(1))])) == [None]
    assert sync(store.get("no", CPU, OffsetByteRequest(1))) is None


def test_successive_parts_of_one_key_are_one_request() -> None:
    """The parts of one key go to the store together."""
    trace = Trace()
    traced = TraceStore(MemoryStore({"a": b"0123", "b": b"4567"}), trace)
    asked = [("a", RangeByteRequest(0, 1)), ("a", OffsetByteRequest(3)), ("b", None)]
    values = sync(ZarrStore(traced).get_partial_values(CPU, asked))
    assert [value.to_bytes() for value in values] == [b"0", b"3", b"4567"]
    assert [record.keys for record in trace.calls()] == [("a", "a"), ("b",)]


@pytest.mark.parametrize("store", [MemoryStore(), PlainDict()], ids=repr)
def test_a_value_is_set_only_if_absent(store: Any) -> None:
    """`set_if_not_exists` keeps what is there, with and without compare-and-set."""
    adapter = ZarrStore(store)
    for value in (b"first", b"second"):
        sync(adapter.set_if_not_exists("a", cpu.Buffer.from_bytes(value)))
    assert store.get("a") == b"first"


def test_only_buffers_can_be_set() -> None:
    """What is no Buffer of zarr-python is a TypeError."""
    with pytest.raises(TypeError, match="Buffer"):
        sync(ZarrStore(MemoryStore()).set("a", b"bytes"))


def test_a_store_that_cannot_write_is_read_only() -> None:
    """An adapter of a readable store reads, and refuses the rest as zarr-python does."""
    adapter = ZarrStore(DictStore({"a/b": b"1"}))
    assert adapter.read_only
    assert adapter.with_read_only(False).read_only
    assert not adapter.supports_writes
    assert not adapter.supports_deletes
    assert not adapter.supports_listing
    assert sync(adapter.get("a/b", CPU)).to_bytes() == b"1"
    with pytest.raises(ValueError, match="read-only"):
        sync(adapter.set("a", cpu.Buffer.from_bytes(b"")))
    with pytest.raises(NotImplementedError, match="list"):
        sync(adapter.is_empty(""))


def test_adapters_are_equal_by_store_and_mode() -> None:
    """Equal stores, equally writable, make equal adapters; the repr tells the mode."""
    store = ListableDict({"a": b"1"})
    assert ZarrStore(store) == pickle.loads(pickle.dumps(ZarrStore(store)))
    assert ZarrStore(MemoryStore()) != ZarrStore(MemoryStore(), read_only=True)
    assert ZarrStore(store) != store
    assert repr(ZarrStore(MemoryStore(), read_only=True)).endswith(", read_only=True)")


def test_without_zarr_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where zarr-python is missing, `storekit.interop` can be imported, and says what it lacks."""
    for module in [m for m in sys.modules if m == "zarr" or m.startswith("zarr.")]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "storekit.interop.zarr")
    with pytest.raises(MissingExtraError, match=r"storekit\[zarr\]"):
        _ = storekit.interop.ZarrStore
