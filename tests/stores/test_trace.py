"""A TraceStore notes each call of what is inside of it, once, with its time and its outcome."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from store_samples import DictStore
from test_contract import over, restored

from storekit.errors import ConnectionLostError, KeyNotFoundError
from storekit.nodes.zarr_array import ZarrArray
from storekit.nodes.zarr_group import open_zarr
from storekit.simulation import VirtualClock
from storekit.stores import LocalStore, MemoryStore, SlowStore, Store, WrapperStore
from storekit.stores._answers import OPERATIONS
from storekit.stores._trace_views import _COLOURS
from storekit.stores.link import Link
from storekit.stores.trace import Trace, TraceStore
from storekit.stores.trace_records import TraceRecord
from storekit.testing import StoreContract


class TestTraceStores(StoreContract):
    many = 1500
    store = over(
        {
            "memory": lambda _: TraceStore(MemoryStore()),
            "limited": lambda _: TraceStore(MemoryStore(), Trace(limit=3)),
            "restored": lambda _: restored(TraceStore(MemoryStore())),
            "local": lambda root: TraceStore(LocalStore(root)),
        }
    )


@pytest.fixture
def clock() -> VirtualClock:
    """Time that costs nothing."""
    return VirtualClock()


CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "get": (("a",), {"keys": ("a",), "down": 10}),
    "get_partial_values": (
        ([("a", 2, 4), ("no", 0, 1), ("b/c", -3, None)],),
        {"keys": ("a", "no", "b/c"), "ranges": ((2, 4), (0, 1), (-3, None)), "down": 7},
    ),
    "exists": (("a",), {"keys": ("a",)}),
    "getsize": (("a",), {"keys": ("a",)}),
    "set": (("d", b"12345"), {"keys": ("d",), "up": 5}),
    "set_values": (([("d", b"123"), ("e", b"45")],), {"keys": ("d", "e"), "up": 5}),
    "set_partial_values": (
        ([("a", 1, b"12")],),
        {"keys": ("a",), "ranges": ((1, 2),), "up": 2},
    ),
    "erase": (("a",), {"keys": ("a",)}),
    "erase_values": ((["a", "no"],), {"keys": ("a", "no")}),
    "erase_prefix": (("b/",), {"prefix": "b/"}),
    "list": ((), {"prefix": ""}),
    "list_prefix": (("b/",), {"prefix": "b/"}),
    "list_dir": (("b/",), {"prefix": "b/"}),
    "get_versioned": (("a",), {"keys": ("a",), "down": 10}),
    "compare_and_set": (("d", b"12", None), {"keys": ("d",), "up": 2}),
}


@pytest.mark.parametrize("op", CALLS)
def test_a_call_is_one_record(clock: VirtualClock, op: str) -> None:
    """A record holds what was asked, the bytes both ways, both times, and the thread."""
    inner = SlowStore(MemoryStore({"a": bytes(10), "b/c": bytes(10)}), 0.5, clock=clock)
    store = TraceStore(inner)
    clock.sleep(1)
    arguments, expected = CALLS[op]
    getattr(store, op)(*arguments)
    fields = {"keys": (), "prefix": None, "ranges": (), "up": 0, "down": 0} | expected
    record = TraceRecord(
        op=op,
        **fields,
        start=1.0,
        end=clock.now(),
        outcome="ok",
        thread="MainThread",
        slot=0,
    )
    assert store.trace.records == (record,)
    assert record.seconds >= 0.5


def test_the_examples_are_all_operations() -> None:
    """The operations that can be asked for, and have a colour, are those of the contract."""
    assert CALLS.keys() == OPERATIONS == _COLOURS.keys()


@pytest.mark.parametrize("kind", [KeyNotFoundError, ConnectionLostError, ZeroDivisionError])
def test_a_call_that_fails_is_noted(kind: type[Exception]) -> None:
    """Whatever class the error has, it is noted by name, and passed on as it is."""
    error = kind("no")
    store = TraceStore(failing(error))
    with pytest.raises(kind) as caught:
        store.get("a")
    assert caught.value is error
    assert [(record.outcome, record.down) for record in store.trace] == [(kind.__name__, 0)]


def test_an_interrupt_is_noted() -> None:
    """Ctrl-C leaves a record as well, and the thread gives its slot back."""
    store = TraceStore(failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        store.get("a")
    assert [record.outcome for record in store.trace] == ["KeyboardInterrupt"]
    assert store.trace._slots == {}


def failing(error: BaseException) -> Store:
    """A store that raises when it is read."""

    class Failing(DictStore):
        def _get(self, key: str) -> bytes:
            raise error

    return Failing()


def test_each_record_is_handed_out() -> None:
    """`on_call` gets each record after it was noted; what it raises reaches the caller."""
    trace, seen = Trace(), []

    def look(record: TraceRecord) -> None:
        seen.append((record, trace.records[-1]))
        if record.op == "exists":
            raise RuntimeError("enough")

    store = TraceStore(MemoryStore({"a": b"1"}), trace, on_call=look)
    store.get("a")
    with pytest.raises(RuntimeError, match="enough"):
        store.exists("a")
    assert [first is last for first, last in seen] == [True, True]
    assert [record.op for record in trace] == ["get", "exists"]


def test_a_trace_shows_what_reaches_its_place(clock: VirtualClock) -> None:
    """Around a slow store times are long; inside of it they are when requests arrive."""
    trace = Trace()
    inner = TraceStore(MemoryStore({"a": b"1"}), trace, clock=clock)
    outer = TraceStore(SlowStore(inner, 2, clock=clock), trace)
    outer.get("a")
    found = [(record.start, record.end, record.slot) for record in trace]
    assert found == [(2, 2, 0), (0, 2, 0)]


def test_slots_number_what_happens_at_once(clock: VirtualClock) -> None:
    """A call takes the lowest slot that no other thread is using."""
    store = TraceStore(SlowStore(MemoryStore(), 0, 8, clock=clock))
    pool = clock.executor(3)

    def write(key: str, wait: float, size: int) -> None:
        clock.sleep(wait)
        store.set(key, bytes(size))

    tasks = [("a", 0.0, 2), ("b", 1.0, 9), ("c", 5.0, 1)]
    clock.gather([pool.submit(write, *task) for task in tasks])
    assert {record.keys[0]: record.slot for record in store.trace} == {"a": 0, "b": 1, "c": 0}


def run_in_virtual_time() -> tuple[TraceRecord, ...]:
    """A part of an array, read and changed by several threads over a slow link."""
    clock, memory = VirtualClock(), MemoryStore()
    ZarrArray.create(memory, "a", data=np.arange(400).reshape(20, 20), chunks=(5, 5))
    link = Link(latency=0.01, down=1e5, up=1e5)
    store = TraceStore(SlowStore(memory, link=link, clock=clock))
    array: Any = open_zarr(store, "a")
    array[2:18, 3:17] = array[:16, :14]
    return store.trace.records


def test_runs_in_virtual_time_are_the_same() -> None:
    """Each run of a simulation has the same records, threads and slots included."""
    first = run_in_virtual_time()
    assert len(first) > 20
    assert max(record.slot for record in first) > 3
    for _ in range(9):
        assert run_in_virtual_time() == first


def test_real_threads_lose_no_record() -> None:
    """Eight threads at once leave one record for each call, and no slot taken."""
    store = TraceStore(MemoryStore({"a": b"1"}))
    threads = [
        threading.Thread(target=lambda: [store.get("a") for _ in range(200)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.trace) == 1600
    assert store.trace._slots == {}
    assert max(record.slot for record in store.trace) < 8


# --- the trace


def test_a_limit_keeps_the_newest() -> None:
    """Of more records than the limit the oldest are dropped, and counted; clearing begins anew."""
    trace = Trace(limit=2)
    store = TraceStore(MemoryStore(), trace)
    for key in "abcde":
        store.exists(key)
    assert [record.keys for record in trace] == [("d",), ("e",)]
    assert (len(trace), trace.dropped) == (2, 3)
    trace.clear()
    assert (len(trace), trace.dropped) == (0, 0)
    store.exists("f")
    assert (len(trace), trace.dropped) == (1, 0)


@pytest.fixture
def trace() -> Trace:
    """What a few calls leave."""
    clock = VirtualClock()
    store = TraceStore(SlowStore(MemoryStore({"a/b": b"123", "c": b"1"}), 0.25, 16, clock=clock))
    store.get("a/b")
    store.get("c")
    store.set("d", b"1")
    store.list_prefix("a/")
    store.get_partial_values([("a/b", 0, 2), ("a/b", 2, 1), ("no", 0, None)])
    with pytest.raises(KeyNotFoundError):
        store.get("no")
    return store.trace


def test_records_are_found_by_operation_and_key(trace: Trace) -> None:
    """`calls` filters by operation, by a pattern for keys and prefixes, or by both."""
    assert len(trace.calls()) == 6
    assert [record.keys for record in trace.calls("get")] == [("a/b",), ("c",), ("no",)]
    assert [record.op for record in trace.calls(key="a/*")] == [
        "get",
        "list_prefix",
        "get_partial_values",
    ]
    assert [record.op for record in trace.calls(op="get", key="[ac]*")] == ["get", "get"]
    with pytest.raises(ValueError, match="no operation 'read'"):
        trace.calls("read")


def test_the_summary_counts_by_operation(trace: Trace) -> None:
    """Calls, errors, bytes and times are added up for each operation."""
    summary = trace.summary()
    assert list(summary) == ["get", "get_partial_values", "list_prefix", "set"]
    get = summary["get"]
    assert (get.calls, get.errors, get.up, get.down) == (3, 1, 0, 4)
    assert (get.total, get.longest) == (pytest.approx(0.75 + 2.0), pytest.approx(1.75))
    assert summary["set"].up == 1


def test_the_table_shows_each_call(trace: Trace) -> None:
    """The table has a line for each record, by the time when it began."""
    assert trace.table() == TABLE
    assert Trace().table().split() == TABLE.split("\n")[0].split()


TABLE = """\
   start   seconds  slot  op                  key or prefix   bytes            up  down  outcome
0.000000  1.750000     0  get                 a/b                               0     3  ok
1.750000  0.750000     0  get                 c                                 0     1  ok
2.500000  0.750000     0  set                 d                                 1     0  ok
3.250000  1.750000     0  list_prefix         a/                                0     0  ok
5.000000  2.000000     0  get_partial_values  a/b and 1 more  0:+2 and 2 more   0     3  ok
7.000000  0.250000     0  get                 no                                0     0  KeyNotFoundError"""  # noqa: E501


def test_the_table_goes_by_when_calls_began(clock: VirtualClock) -> None:
    """What began first is the first line, though it ended last."""
    trace = Trace()
    inner = TraceStore(SlowStore(MemoryStore(), 1, clock=clock), trace)
    TraceStore(SlowStore(inner, 2), trace).exists("a")
    assert [line.split()[:2] for line in trace.table().splitlines()[1:]] == [
        ["0.000000", "3.000000"],
        ["2.000000", "1.000000"],
    ]
    assert [record.start for record in trace] == [2, 0]


def test_calls_can_be_asserted(trace: Trace) -> None:
    """What came as often as said passes; what is not named is not looked at, unless asked for."""
    trace.assert_calls(get=3, list=0)
    trace.assert_calls(get=3, set=1, list_prefix=1, get_partial_values=1, exactly=True)
    trace.assert_calls()


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"get": 2}, "get: expected 2, found 3"),
        ({"get": 3, "exists": 1}, "exists: expected 1, found 0"),
        ({"get": 3, "exactly": True}, "set: expected 0, found 1"),
    ],
)
def test_wrong_counts_show_what_came(trace: Trace, counts: dict[str, Any], message: str) -> None:
    """Another number of calls is an AssertionError with the table."""
    with pytest.raises(AssertionError) as caught:
        trace.assert_calls(**counts)
    assert message in str(caught.value)
    assert str(caught.value).endswith(TABLE)


def test_what_cannot_be_counted_is_no_success(trace: Trace) -> None:
    """A name that is no operation is a ValueError, and dropped records cannot be counted."""
    with pytest.raises(ValueError, match="no operation 'gets'"):
        trace.assert_calls(gets=0)
    short = Trace(limit=1)
    store = TraceStore(MemoryStore(), short)
    store.exists("a")
    short.assert_calls(exists=1)
    store.exists("a")
    with pytest.raises(AssertionError, match="1 records were dropped"):
        short.assert_calls(exists=1)


def test_chrome_can_open_a_trace(trace: Trace, tmp_path: Path) -> None:
    """The file of trace events has an event for each record, in microseconds from the first."""
    trace.to_chrome(tmp_path / "t.json")
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert [event["args"] for event in events if event["ph"] == "M"] == [{"name": "slot 0"}]
    events = [event for event in events if event["ph"] == "X"]
    assert [(event["name"], event["tid"]) for event in events] == [
        (record.op, record.slot) for record in trace
    ]
    times = [(event["ts"], event["dur"]) for event in events]
    assert times[:2] == [(0, pytest.approx(1.75e6)), (pytest.approx(1.75e6), pytest.approx(0.75e6))]
    assert events[4]["args"]["ranges"] == [[0, 2], [2, 1], [0, None]]
    assert events[5]["args"]["outcome"] == "KeyNotFoundError"


SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_shows_each_call(trace: Trace, tmp_path: Path) -> None:
    """The picture is well-formed and has a bar for each record, as wide as it took time."""
    trace.draw(tmp_path / "t.svg")
    root = ElementTree.fromstring((tmp_path / "t.svg").read_text())
    bars = [bar for bar in root.iter(f"{SVG}rect") if bar.find(f"{SVG}title") is not None]
    assert len(bars) == 6
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert widths[0] / widths[1] == pytest.approx(1.75 / 0.75, rel=1e-3)
    assert float(bars[1].attrib["x"]) == pytest.approx(60 + widths[0], abs=0.02)
    assert [bar.attrib["stroke"] for bar in bars] == ["white"] * 5 + ["#c00000"]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"get", "failed", "slot 0", "seconds", "7"} <= set(texts)


@pytest.mark.parametrize("key", ["<&>'\"", "\x01\x1b", "\ufffe", "a\nb", "日本"])
def test_strange_keys_break_no_view(tmp_path: Path, key: str) -> None:
    """Keys with markup, control characters or line breaks leave tables and files well-formed."""
    store = TraceStore(MemoryStore())
    store.exists(key)
    assert len(store.trace.table().splitlines()) == 2
    store.trace.draw(tmp_path / "t.svg")
    ElementTree.fromstring((tmp_path / "t.svg").read_text(encoding="utf-8"))
    store.trace.to_chrome(tmp_path / "t.json")
    events = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))["traceEvents"]
    assert events[-1]["args"]["keys"] == [key]


@pytest.mark.parametrize("view", [Trace.draw, Trace.to_chrome])
def test_an_empty_trace_can_be_seen(view: Callable[..., None], tmp_path: Path) -> None:
    """A trace without records, or with one that took no time, has a file like any other."""
    trace = Trace()
    view(trace, tmp_path / "empty")
    TraceStore(MemoryStore(), trace, clock=VirtualClock()).list()
    view(trace, tmp_path / "moment")
    assert (tmp_path / "moment").stat().st_size > (tmp_path / "empty").stat().st_size > 0


# --- the objects


def test_stores_share_a_trace() -> None:
    """Stores given one trace write to it, restored ones too; a trace of its own is one's own."""
    trace = Trace()
    one, other = TraceStore(MemoryStore(), trace), TraceStore(MemoryStore(), trace)
    one.list()
    restored(other).list()
    assert len(trace) == 2
    assert TraceStore(MemoryStore()).trace is not TraceStore(MemoryStore()).trace


def test_a_trace_store_compares_by_its_trace() -> None:
    """Equal stores have one trace, and all other settings the same."""
    trace, clock, memory = Trace(), VirtualClock(), MemoryStore()
    store = TraceStore(memory, trace, on_call=print, clock=clock)
    assert store == TraceStore(memory, trace, on_call=print, clock=clock)
    assert store != TraceStore(memory, trace, on_call=print)
    assert TraceStore(memory) != TraceStore(memory)
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert (again.trace, again.on_call, again.clock) == (trace, print, clock)
    assert repr(TraceStore(WrapperStore(memory))) == (
        "TraceStore(WrapperStore(MemoryStore(0 keys)), trace=Trace(0 records))"
    )


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "3"])
def test_impossible_limits_are_refused(limit: Any) -> None:
    """A limit is a positive int."""
    with pytest.raises(ValueError, match="limit must be"):
        Trace(limit)


@pytest.mark.parametrize("settings", [{"trace": []}, {"on_call": "print"}])
def test_what_is_no_trace_is_refused(settings: dict[str, Any]) -> None:
    """A trace that is none, and a callback that cannot be called, are named at once."""
    (name,) = settings
    with pytest.raises(TypeError, match=name):
        TraceStore(MemoryStore(), **settings)
