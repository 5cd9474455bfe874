"""A HandlerStore is what its function makes of it, and nothing that is no answer gets out."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from storekit.errors import (
    ConnectionLostError,
    KeyNotFoundError,
    ReadOnlyError,
    UnsupportedError,
)
from storekit.nodes.zarr_array import ZarrArray
from storekit.nodes.zarr_group import open_zarr
from storekit.simulation import VirtualClock
from storekit.stores import (
    Call,
    ConditionalStore,
    ListableStore,
    MemoryStore,
    ReadableStore,
    SlowStore,
    Store,
    WritableStore,
)
from storekit.testing import HandlerStore, StoreContract


@dataclass
class Passing:
    """A function, which can be pickled, that asks a store."""

    store: Any

    def __call__(self, call: Call) -> Any:
        """Ask it."""
        return call.on(self.store)


STORES: dict[str, Callable[[], Store]] = {
    "plain": lambda: HandlerStore(Passing(MemoryStore())),
    "conditional": lambda: HandlerStore(Passing(MemoryStore()), conditional=True),
    "without listing": lambda: HandlerStore(Passing(MemoryStore()), listable=False),
    "restored": lambda: pickle.loads(pickle.dumps(HandlerStore(Passing(MemoryStore())))),
}


class TestHandlerStores(StoreContract):
    many = 1500

    @pytest.fixture(params=STORES.values(), ids=STORES.keys())
    def store(self, request: pytest.FixtureRequest) -> Store:
        """A store whose function asks a MemoryStore."""
        store: Store = request.param()
        return store


class TestReadOnlyHandlerStores(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        """A store that can be read, but not written."""
        return HandlerStore(Passing(MemoryStore()), writable=False)

    @pytest.fixture
    def read_only_store(self, store: Store) -> Store:
        """The same."""
        return store

    def fill(self, store: Any, contents: Any) -> None:
        """Put the contents into the store that the function asks."""
        for key, value in contents.items():
            store.handle.store.set(key, value)


def test_five_lines_make_a_server_that_ignores_ranges() -> None:
    """Whatever part is asked for, the whole value comes; the caller gets what the function says."""
    memory = MemoryStore({"a": b"12345"})

    def handle(call: Call) -> Any:
        if call.op == "get_partial_values":
            return [memory.get(key) for key in call.keys]
        return call.on(memory)

    store: Any = HandlerStore(handle)
    assert store.get_partial_values([("a", 1, 2), ("a", 0, 1)]) == [b"12345", b"12345"]
    assert store.getsize("a") == 5


def test_five_lines_make_a_store_that_fails_once() -> None:
    """An error on the third get reaches the reader of an array, the next attempt succeeds."""
    memory, gets = MemoryStore(), []
    ZarrArray.create(memory, "a", data=np.arange(4), chunks=(1,))

    def handle(call: Call) -> Any:
        gets.extend([call] * (call.op == "get"))
        if call.op == "get" and len(gets) == 3:
            raise ConnectionLostError("cut")
        return call.on(memory)

    array: Any = open_zarr(HandlerStore(handle), "a")
    with pytest.raises(ConnectionLostError, match="cut"):
        array[:]
    assert array[:].tolist() == [0, 1, 2, 3]


def test_calls_are_checked_before_the_function_sees_them() -> None:
    """Bad keys, ranges and values never arrive; values that do are bytes, which can be kept."""
    calls: list[Call] = []
    store: Any = HandlerStore(calls.append)
    for bad in (
        lambda: store.get("/a"),
        lambda: store.get_partial_values([("a", 0, -1)]),
        lambda: store.list_dir("a"),
    ):
        with pytest.raises(ValueError):
            bad()
    assert calls == []
    buffer = bytearray(b"old")
    store.set("a", buffer)
    buffer[:] = b"new"
    assert calls == [Call("set", ("a",), values=(b"old",))]


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "get": ("a",),
    "get_partial_values": ([("a", 0, 1), ("b", 0, 1)],),
    "exists": ("a",),
    "getsize": ("a",),
    "get_versioned": ("a",),
    "set": ("a", b""),
    "set_values": ([("a", b"")],),
    "set_partial_values": ([("a", 0, b"")],),
    "erase": ("a",),
    "erase_values": (["a"],),
    "erase_prefix": ("a/",),
    "compare_and_set": ("a", b"", None),
    "list": (),
    "list_prefix": ("a/",),
    "list_dir": ("a/",),
}
NOTHING = "answers with None"
WRONG: dict[str, tuple[str, list[Any]]] = {
    "get": ("a bytes-like value", [None, "text", 5, [b"1"], np.array(["x"], dtype=object)]),
    "get_partial_values": (
        "a list of 2, each bytes-like or None",
        [None, b"12", [b"1"], [b"1", "2"], [b""] * 3, {"a": b"1", "b": b"2"}],
    ),
    "exists": ("a bool", [None, 1, b"", "yes"]),
    "getsize": ("an int that is not negative", [None, -1, True, 1.0, b"1"]),
    "get_versioned": ("its version, a str", [None, b"1", (b"1",), (b"1", 1), ("1", "1"), "12"]),
    "set": (NOTHING, [b"", True]),
    "set_values": (NOTHING, [[]]),
    "set_partial_values": (NOTHING, [0]),
    "erase": (NOTHING, [True]),
    "erase_values": (NOTHING, [1]),
    "erase_prefix": ("an int that is not negative", [None, -1, "1"]),
    "compare_and_set": ("the new version, a str", [None, 1, b"1"]),
    "list": ("names, each a str", [None, "ab", b"ab", [b"a"], [1], 5]),
    "list_prefix": ("names, each a str", [None]),
    "list_dir": ("names, each a str", ["a/b"]),
}


@pytest.mark.parametrize(
    ("op", "answer"),
    [(op, answer) for op, (_, answers) in WRONG.items() for answer in answers],
    ids=lambda value: repr(value)[:20],
)
def test_an_answer_of_another_type_is_refused(op: str, answer: Any) -> None:
    """The TypeError names the operation, what it answers with, and what came."""
    store = HandlerStore(lambda call: answer, conditional=True)
    with pytest.raises(TypeError, match=f"^{op} answers with ") as caught:
        getattr(store, op)(*ARGUMENTS[op])
    assert WRONG[op][0] in str(caught.value)
    assert "; found " in str(caught.value)


@pytest.mark.parametrize(
    ("op", "answer", "expected"),
    [
        ("get", bytearray(b"12"), b"12"),
        ("get", np.array([1, 2], "u1"), b"\1\2"),
        ("get_partial_values", (None, memoryview(b"1")), [None, b"1"]),
        ("get_versioned", [b"1", "v"], (b"1", "v")),
        ("list", iter(["b", "a"]), ["a", "b"]),
        ("list_dir", {"a/c", "a/b/"}, ["a/b/", "a/c"]),
        ("compare_and_set", "v", "v"),
    ],
)
def test_answers_come_out_as_from_any_store(op: str, answer: Any, expected: Any) -> None:
    """Values of any bytes-like type are read-only, names of any iterable are sorted."""
    store = HandlerStore(lambda call: answer, conditional=True)
    found = getattr(store, op)(*ARGUMENTS[op])
    assert found == expected
    if op == "get":
        assert memoryview(found).readonly


def test_a_removal_has_no_version() -> None:
    """`compare_and_set` that removes answers with None, and with nothing else."""
    store: Any = HandlerStore(lambda call: None, conditional=True)
    assert store.compare_and_set("a", None, "v") is None
    with pytest.raises(TypeError, match="None if it removed"):
        HandlerStore(lambda call: "v", conditional=True).compare_and_set("a", None, "v")


def test_errors_of_the_function_pass_through() -> None:
    """What the function raises is what the caller gets."""
    error = KeyNotFoundError("gone")

    def handle(call: Call) -> Any:
        raise error

    with pytest.raises(KeyNotFoundError) as caught:
        HandlerStore(handle).get("a")
    assert caught.value is error


FLAGS = {
    "readable": ReadableStore,
    "writable": WritableStore,
    "listable": ListableStore,
    "conditional": ConditionalStore,
}


@pytest.mark.parametrize(
    "able",
    [
        {"readable"},
        {"writable"},
        {"listable"},
        {"readable", "listable"},
        {"readable", "writable", "listable"},
        {"readable", "writable", "conditional"},
    ],
    ids=sorted,
)
def test_a_store_can_do_what_it_is_told(able: set[str]) -> None:
    """The store has just the capabilities asked for, restored as well; others are refused."""
    store: Any = HandlerStore(Passing(MemoryStore()), **{name: name in able for name in FLAGS})
    for again in (store, pickle.loads(pickle.dumps(store))):
        assert {name for name, kind in FLAGS.items() if isinstance(again, kind)} == able
    assert store == pickle.loads(pickle.dumps(store))
    if "writable" not in able:
        with pytest.raises(ReadOnlyError):
            store.set("a", b"")
    if "listable" not in able:
        with pytest.raises(UnsupportedError):
            store.list()


def test_the_class_of_a_store_makes_others() -> None:
    """`type(store)` makes stores with capabilities of their own."""
    reading: Any = type(HandlerStore(print))(Passing(MemoryStore({"a": b"1"})), writable=False)
    assert not isinstance(reading, WritableStore)
    assert reading.get("a") == b"1"


def test_impossible_stores_are_refused() -> None:
    """No function, no capability, and comparing without reading or writing are errors at once."""
    with pytest.raises(TypeError, match="handle must be a function"):
        HandlerStore(MemoryStore())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="could do nothing"):
        HandlerStore(print, readable=False, writable=False, listable=False)
    for name in ("readable", "writable"):
        with pytest.raises(ValueError, match="conditional"):
            HandlerStore(print, conditional=True, **{name: False})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        HandlerStore(print, seekable=True)  # type: ignore[call-arg]


def test_the_time_of_a_store_can_be_given() -> None:
    """Wrappers around the store live in its time; a function may let it pass."""
    clock = VirtualClock()

    def handle(call: Call) -> bool:
        clock.sleep(3)
        return True

    store: Any = SlowStore(HandlerStore(handle, clock=clock), 2)
    assert store.exists("a")
    assert clock.now() == 5


def test_handler_stores_compare_by_function_and_settings() -> None:
    """Equal are those of one function with the same settings; the repr shows what differs."""
    store = HandlerStore(print, listable=False)
    assert store == HandlerStore(print, listable=False)
    assert hash(store) == hash(HandlerStore(print, listable=False))
    assert store.identity == HandlerStore(print).identity
    assert store != HandlerStore(print)
    assert store != HandlerStore(repr, listable=False)
    assert repr(store) == "HandlerStore(handle=<built-in function print>, listable=False)"


def test_no_pytest_is_needed() -> None:
    """The store can be used where pytest and hypothesis are not installed."""
    code = (
        "import sys; sys.modules['pytest'] = sys.modules['hypothesis'] = None\n"
        "from storekit.testing import HandlerStore; HandlerStore(print)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
