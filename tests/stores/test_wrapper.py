"""A wrapper is what it wraps, and every operation passes its waist."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from store_samples import (
    CAPABILITIES,
    ConditionalDict,
    DictStore,
    FakeClock,
    ListableDict,
    PlainDict,
    WriteOnly,
    operations,
)

from storekit.errors import KeyNotFoundError, ReadOnlyError, StoreError, UnsupportedError
from storekit.stores import (
    Call,
    Latency,
    LocalStore,
    MemoryStore,
    SlowStore,
    Store,
    WrapperStore,
    WritableStore,
)


class Recorder(WrapperStore):
    """Notes the calls that come through the waist."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.calls: list[Call] = []

    def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
        self.calls.append(call)
        return proceed()


class Inner(MemoryStore):
    """Notes which public methods are called from outside."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__({"a": b"0123", "b/c": b"4567"})
        self.asked.clear()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name in EXAMPLES:
            self.asked.append(name)
        return super().__getattribute__(name)


def part(key: str, start: int, value: Any) -> Iterator[tuple[str, int, Any]]:
    """One part of a value, from an iterator that can be used once."""
    yield key, start, value


EXAMPLES: dict[str, tuple[Callable[[], tuple[Any, ...]], Call]] = {
    "get": (lambda: ("a",), Call("get", ("a",))),
    "get_partial_values": (
        lambda: (iter([("a", 1, 2), ("b/c", -1, None), ("a", 0, 1)]),),
        Call("get_partial_values", ("a", "b/c", "a"), ((1, 2), (-1, None), (0, 1))),
    ),
    "exists": (lambda: ("a",), Call("exists", ("a",))),
    "getsize": (lambda: ("a",), Call("getsize", ("a",))),
    "set": (lambda: ("a", bytearray(b"xy")), Call("set", ("a",), values=(b"xy",))),
    "set_values": (
        lambda: (iter([("a", bytearray(b"xy")), ("d/e", b"z")]),),
        Call("set_values", ("a", "d/e"), values=(b"xy", b"z")),
    ),
    "set_partial_values": (
        lambda: (part("a", 2, bytearray(b"xyz")),),
        Call("set_partial_values", ("a",), ((2, 3),), (b"xyz",)),
    ),
    "erase": (lambda: ("a",), Call("erase", ("a",))),
    "erase_values": (
        lambda: (iter(["a", "d"]),),
        Call("erase_values", ("a", "d")),
    ),
    "erase_prefix": (lambda: ("b/",), Call("erase_prefix", prefix="b/")),
    "list": (lambda: (), Call("list", prefix="")),
    "list_prefix": (lambda: ("b/",), Call("list_prefix", prefix="b/")),
    "list_dir": (lambda: ("/",), Call("list_dir", prefix="")),
    "get_versioned": (lambda: ("a",), Call("get_versioned", ("a",))),
    "compare_and_set": (
        lambda: ("new", b"xy", None),
        Call("compare_and_set", ("new",), values=(b"xy",)),
    ),
}


def test_every_operation_of_the_contract_has_an_example() -> None:
    """The list of examples here is the list of public operations of the contract."""
    assert operations() == EXAMPLES.keys()


@pytest.mark.parametrize("op", EXAMPLES)
def test_every_operation_passes_the_waist(op: str) -> None:
    """A public method is one call of `_around`, and one of the same method of the inner store."""
    arguments, call = EXAMPLES[op]
    plain, inner = MemoryStore({"a": b"0123", "b/c": b"4567"}), Inner()
    recorder = Recorder(inner)
    expected = getattr(plain, op)(*arguments())
    answer = getattr(recorder, op)(*arguments())
    if not op.startswith(("get_versioned", "compare")):
        assert answer == expected
    assert recorder.calls == [call]
    assert inner.asked == [op]
    assert inner == plain


@pytest.mark.parametrize("op", EXAMPLES)
def test_the_waist_may_do_otherwise(op: str) -> None:
    """What `_around` raises, or answers without asking, is what the caller gets."""

    class Refusing(WrapperStore):
        def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
            raise StoreError("no", op=call.op)

    inner = Inner()
    with pytest.raises(StoreError, match="no") as caught:
        getattr(Refusing(inner), op)(*EXAMPLES[op][0]())
    assert caught.value.op == op
    assert inner.asked == []


@pytest.mark.parametrize("op", EXAMPLES)
def test_the_waist_may_proceed_twice(op: str) -> None:
    """`proceed` can be called again, as a retry does, though the arguments were iterators."""

    class Twice(WrapperStore):
        def _around(self, call: Call, proceed: Callable[[], Any]) -> Any:
            proceed()
            if call.op == "compare_and_set":
                self.inner.erase("new")  # type: ignore[attr-defined]
            if call.op == "erase_prefix":
                self.inner.set("b/c", b"")  # type: ignore[attr-defined]
            return proceed()

    once, twice = MemoryStore({"a": b"0123", "b/c": b"4567"}), Inner()
    expected = getattr(once, op)(*EXAMPLES[op][0]())
    answer = getattr(Twice(twice), op)(*EXAMPLES[op][0]())
    if not op.startswith(("get_versioned", "compare")):
        assert answer == expected
    assert twice == once


def test_a_call_knows_its_upload() -> None:
    """The bytes that a call writes are counted, those that it reads are not."""
    recorder = Recorder(MemoryStore({"a": b"0123"}))
    recorder.set("b", b"12345")
    recorder.set_partial_values([("a", 0, b"1"), ("b", 0, b"12")])
    recorder.get("a")
    recorder.compare_and_set("b", None, recorder.get_versioned("b")[1])
    assert [call.upload for call in recorder.calls] == [5, 3, 0, 0, 0]


def test_a_call_cannot_be_changed() -> None:
    """A call is a value: comparable, hashable, frozen."""
    call = Call("get", ("a",))
    assert call == Call("get", ("a",))
    assert hash(call) == hash(Call("get", ("a",)))
    with pytest.raises(FrozenInstanceError):
        call.op = "set"  # type: ignore[misc]


def test_bad_arguments_do_not_reach_the_waist() -> None:
    """Invalid keys, ranges and values are refused before anything is asked."""
    recorder = Recorder(MemoryStore())
    for call in (
        lambda: recorder.get("/a"),
        lambda: recorder.get_partial_values([("a", 0, -1)]),
        lambda: recorder.set("a", "text"),  # type: ignore[arg-type]
        lambda: recorder.list_prefix("a"),
        lambda: recorder.erase_values(["a", ""]),
    ):
        with pytest.raises((ValueError, TypeError)):
            call()
    assert recorder.calls == []


def test_errors_pass_through_unchanged() -> None:
    """The error of the inner store arrives as the same object."""
    error = KeyNotFoundError("gone", op="get", key="a")

    class Failing(DictStore):
        def _get(self, key: str) -> bytes:
            raise error

    with pytest.raises(KeyNotFoundError) as caught:
        WrapperStore(WrapperStore(Failing())).get("a")
    assert caught.value is error


# --- capabilities


@pytest.mark.parametrize(
    "inner", [DictStore(), ListableDict(), PlainDict(), ConditionalDict(), MemoryStore()], ids=repr
)
def test_a_wrapper_can_do_what_its_inner_store_can(inner: Store) -> None:
    """A wrapper, and a wrapper of it, are instances of just the capabilities of what is inside."""
    for wrapper in (WrapperStore(inner), SlowStore(Recorder(inner), 0)):
        for capability in CAPABILITIES:
            assert isinstance(wrapper, capability) == isinstance(inner, capability)
        assert isinstance(wrapper, WrapperStore)
        assert isinstance(pickle.loads(pickle.dumps(wrapper)), type(wrapper))


def test_what_the_inner_store_cannot_do_is_refused() -> None:
    """Changes of a store that cannot be written are read-only errors, the rest unsupported."""
    expected = {
        DictStore: {
            "set": ReadOnlyError,
            "list": UnsupportedError,
            "get_versioned": UnsupportedError,
        },
        ListableDict: {"compare_and_set": ReadOnlyError, "erase": ReadOnlyError},
        PlainDict: {"compare_and_set": UnsupportedError, "get_versioned": UnsupportedError},
    }
    for kind, ops in expected.items():
        recorder = Recorder(kind())
        for op, error in ops.items():
            with pytest.raises(error) as caught:
                getattr(recorder, op)(*EXAMPLES[op][0]())
            assert type(caught.value) is error
            assert caught.value.op == op
        assert recorder.calls == []


def test_a_store_that_can_only_be_written_is_wrapped() -> None:
    """A wrapper over a store without reading writes, and refuses reading as unsupported."""
    inner = WriteOnly()
    wrapper = WrapperStore(inner)
    wrapper.set("a", b"1")
    wrapper.erase_values(["b"])
    assert inner.fields == {"a": b"1"}
    with pytest.raises(UnsupportedError):
        wrapper.get("a")


@pytest.mark.parametrize("store", [WriteOnly(), WrapperStore(WriteOnly())])
def test_what_needs_reading_or_listing_is_not_offered_without(store: Any) -> None:
    """A store that cannot be read changes no parts, and one that cannot list erases no prefix."""
    with pytest.raises(UnsupportedError, match="read"):
        store.set_partial_values([("a", 0, b"1")])
    with pytest.raises(UnsupportedError, match="list"):
        store.erase_prefix("a/")


def test_a_single_change_of_parts_is_a_call() -> None:
    """Also what a wrapper hands on to its own underscore method for parts passes the waist."""
    recorder = Recorder(MemoryStore({"a": b"0123"}))
    recorder._set_ranges("a", [(1, b"x"), (3, b"y")])
    assert recorder.calls == [
        Call("set_partial_values", ("a", "a"), ((1, 1), (3, 1)), (b"x", b"y"))
    ]
    assert recorder.get("a") == b"0x2y"


@pytest.mark.parametrize("what", [None, "path", {}, MemoryStore])
def test_only_a_store_can_be_wrapped(what: Any) -> None:
    """What is no store is refused when the wrapper is made."""
    with pytest.raises(TypeError, match="wraps a store"):
        WrapperStore(what)


def test_the_class_of_a_wrapper_makes_wrappers() -> None:
    """`type(wrapper)` wraps other stores, too, with their own capabilities."""
    kind = type(Recorder(MemoryStore()))
    assert kind(MemoryStore()).calls == []
    reading = kind(DictStore({"a": b"1"}))
    assert not isinstance(reading, WritableStore)
    assert reading.get("a") == b"1"
    assert [call.op for call in reading.calls] == ["get"]


def test_the_generated_class_looks_like_the_declared_one() -> None:
    """Name, module and docstring of a wrapper's class are those that its author wrote."""
    slow = SlowStore(MemoryStore(), 0)
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        assert getattr(type(slow), name) == getattr(SlowStore, name)
    assert type(SlowStore(MemoryStore(), 0)) is type(slow)


# --- what else a store is


def test_a_wrapper_takes_after_its_inner_store() -> None:
    """Latency, clock, concurrency, identity and page size come from within."""

    class Far(ListableDict):
        latency = Latency.NETWORK
        clock = FakeClock()
        page_size = 1000
        concurrency = 17  # type: ignore[assignment]
        identity = ("far", 1)

    inner = Far()
    wrapper = WrapperStore(WrapperStore(inner))
    for name in ("latency", "clock", "page_size", "concurrency", "identity"):
        assert getattr(wrapper, name) == getattr(inner, name)
    assert not hasattr(WrapperStore(DictStore()), "page_size")


def test_closing_a_wrapper_closes_what_is_inside() -> None:
    """`close`, and leaving a `with` block, reach the inner store."""

    class Closing(DictStore):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    inner = Closing()
    with WrapperStore(WrapperStore(inner)) as wrapper:
        assert inner.closed == 0
    assert inner.closed == 1
    wrapper.close()
    assert inner.closed == 2


def test_the_repr_shows_the_chain() -> None:
    """The repr names every wrapper with its parameters, and the store within."""
    chain = SlowStore(WrapperStore(LocalStore("/nowhere")), 0.5, clock=FakeClock())
    expected = "SlowStore(WrapperStore(LocalStore('/nowhere')), base_delay=0.5, clock="
    assert repr(chain).startswith(expected)


def test_wrappers_are_equal_by_class_parameters_and_inner_store(tmp_path: Any) -> None:
    """Two wrappers are equal, and hash alike, if class, parameters and inner stores are equal."""
    local = LocalStore(tmp_path)
    assert SlowStore(local, 1) == SlowStore(LocalStore(tmp_path), 1.0)
    assert hash(SlowStore(local, 1)) == hash(SlowStore(LocalStore(tmp_path), 1))
    assert SlowStore(local, 1) != SlowStore(local, 2)
    assert SlowStore(local, 1) != SlowStore(local, 1, clock=FakeClock())
    assert SlowStore(local, 1) != WrapperStore(local)
    assert WrapperStore(local) != local
    assert WrapperStore(local) != WrapperStore(MemoryStore())
    with pytest.raises(TypeError, match="unhashable"):
        hash(WrapperStore(MemoryStore()))


def test_a_copy_of_a_wrapper_keeps_its_parameters() -> None:
    """Copying and pickling go through the declared class, and keep the parameters."""
    slow = SlowStore(Recorder(MemoryStore({"a": b"1"})), 0.25, 1e6)
    for other in (copy.copy(slow), copy.deepcopy(slow), pickle.loads(pickle.dumps(slow))):
        assert other == slow
        assert (other.base_delay, other.bits_per_second) == (0.25, 1e6)
    assert copy.copy(slow).inner is slow.inner
