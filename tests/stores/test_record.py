"""What was recorded once is answered again: the same answers, errors and times, and no others."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from store_samples import DictStore, ListableDict
from test_contract import over, restored
from test_trace import CALLS

from storekit import errors
from storekit.errors import (
    ConflictError,
    ConnectionLostError,
    KeyNotFoundError,
    MetadataError,
    RateLimitedError,
    ReadOnlyError,
    StoreError,
    UnsupportedError,
)
from storekit.nodes.zarr_array import ZarrArray
from storekit.nodes.zarr_group import open_zarr
from storekit.simulation import VirtualClock
from storekit.stores import (
    ConditionalStore,
    Latency,
    ListableStore,
    LocalStore,
    MemoryStore,
    ReadableStore,
    SlowStore,
    Store,
    WrapperStore,
    WritableStore,
)
from storekit.stores._recording_file import MAGIC
from storekit.stores.distributions import LogNormal
from storekit.stores.fault import Fault
from storekit.stores.faulty import FaultyStore
from storekit.stores.link import Link
from storekit.stores.record import Recording, RecordStore
from storekit.stores.replay import ReplayStore
from storekit.stores.retry import RetryStore
from storekit.testing import HandlerStore, StoreContract


class TestRecordStores(StoreContract):
    many = 1500
    store = over(
        {
            "memory": lambda _: RecordStore(MemoryStore(), Recording()),
            "restored": lambda _: restored(RecordStore(MemoryStore(), Recording())),
            "local": lambda root: RecordStore(LocalStore(root), Recording()),
        }
    )


@pytest.fixture
def clock() -> VirtualClock:
    """Time that costs nothing."""
    return VirtualClock()


def saved(recording: Recording, path: Path) -> Recording:
    """The recording, after a journey through a file."""
    recording.save(path / "recording")
    return Recording.load(path / "recording")


def answer(store: Any, op: str) -> Any:
    """What a store answers to an example, or the class of the error."""
    try:
        found = getattr(store, op)(*CALLS[op][0])
    except StoreError as error:
        return type(error)
    return found


@pytest.mark.parametrize(
    "contents", [{"a": bytes(10), "b/c": bytes(10)}, {}], ids=["full", "empty"]
)
@pytest.mark.parametrize("op", CALLS)
def test_every_call_is_answered_again(
    clock: VirtualClock, tmp_path: Path, op: str, contents: dict[str, bytes]
) -> None:
    """Each operation has its answer or error, and its time, from a file as well."""
    slow = SlowStore(MemoryStore(contents), 0.5, 80, clock=clock)
    recording = Recording()
    expected = answer(RecordStore(slow, recording), op)
    took = clock.now()
    for source in (recording, saved(recording, tmp_path)):
        before = clock.now()
        assert answer(ReplayStore(source, clock=clock), op) == expected
        assert clock.now() - before == pytest.approx(took, abs=1e-12)
        assert [call.call.op for call in source.calls] == [op]


def test_an_array_is_read_again_in_the_same_time(tmp_path: Path) -> None:
    """An array over a varying link, read by many threads, is read offline in just that time."""
    memory, link = MemoryStore(), Link(latency=LogNormal(0.03, 0.6), down=2e4, max_connections=6)
    data = np.random.default_rng(0).integers(0, 1000, (60, 60))
    ZarrArray.create(memory, "a", data=data, chunks=(10, 10))
    recording, clock = Recording(), VirtualClock()
    store = RecordStore(SlowStore(memory, link=link, clock=clock), recording)
    assert open_zarr(store, "a")[5:55, 5:].tolist() == data[5:55, 5:].tolist()  # type: ignore[index]
    assert clock.now() > 0.5

    offline = saved(recording, tmp_path)
    again = VirtualClock()
    replay = ReplayStore(offline, clock=again)
    assert open_zarr(replay, "a")[5:55, 5:].tolist() == data[5:55, 5:].tolist()  # type: ignore[index]
    assert again.now() == clock.now()


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_threads_does_not_matter(seed: int) -> None:
    """Threads that come in another order get the same answers."""
    contents = {f"k{i}": b"%d" % i for i in range(30)}
    recording, clock = Recording(), VirtualClock(order="random", seed=seed)
    recorder = RecordStore(SlowStore(MemoryStore(contents), 0.1, clock=clock), recording)
    clock.gather([clock.executor(8).submit(recorder.get, key) for key in contents])

    again = VirtualClock(order="random", seed=seed + 100)
    replay: Any = ReplayStore(recording, clock=again)
    pool = again.executor(5)
    futures = {key: pool.submit(replay.get, key) for key in reversed(contents)}
    assert {key: future.result() for key, future in futures.items()} == contents
    assert again.now() == pytest.approx(0.6, abs=1e-8)


def test_the_same_call_gets_one_answer_after_the_other() -> None:
    """The n-th call gets the n-th answer, whatever is asked in between."""
    memory, recording = MemoryStore({"a": b"1", "b": b"9"}), Recording()
    recorder = RecordStore(memory, recording)
    for value in (b"2", b"3"):
        recorder.get("a")
        memory.set("a", value)
    recorder.get("a")
    recorder.get("b")
    replay: Any = ReplayStore(recording)
    assert [replay.get(key) for key in "abaa"] == [b"1", b"9", b"2", b"3"]


def test_answers_go_by_when_calls_began(clock: VirtualClock) -> None:
    """Of two calls at once the first to begin has the first answer, though it ended last."""
    recording, waits = Recording(), iter([5.0, 1.0])

    class Varying(WrapperStore):
        def _around(self, call: Any, proceed: Callable[[], Any]) -> Any:
            wait = next(waits)
            clock.sleep(wait)
            return b"%d" % wait

    inner = SlowStore(Varying(MemoryStore()), 0, clock=clock)
    recorder = RecordStore(inner, recording)
    first = clock.executor(1).submit(recorder.get, "a")
    clock.sleep(1)
    assert recorder.get("a") == b"1"
    assert first.result() == b"5"
    replay: Any = ReplayStore(recording, speed=math.inf)
    assert [replay.get("a"), replay.get("a")] == [b"5", b"1"]


def test_a_read_is_repeated_until_something_changes() -> None:
    """A read gets its last answer again until a change is replayed; a change gets none again."""
    recording = Recording()
    recorder = RecordStore(MemoryStore({"a": b"1"}), recording)
    recorder.get("a")
    recorder.list()
    recorder.set("a", b"2")
    replay: Any = ReplayStore(recording)
    assert [replay.get("a") for _ in range(3)] == [b"1"] * 3
    replay.set("a", b"2")
    with pytest.raises(UnsupportedError, match="no more than 1 times"):
        replay.get("a")
    assert replay.list() == replay.list() == ["a"]
    with pytest.raises(UnsupportedError, match="set\\('a': 1 bytes"):
        replay.set("a", b"2")


def test_a_call_that_was_never_recorded_is_told() -> None:
    """The error names the call and those most like it; values count, by size and checksum."""
    recording = Recording()
    recorder = RecordStore(MemoryStore({"data/c/0": b"1", "data/c/1": b"2"}), recording)
    for key in ("data/c/0", "data/c/1"):
        recorder.get(key)
    recorder.set("x", b"secret")
    replay: Any = ReplayStore(recording)
    with pytest.raises(UnsupportedError) as caught:
        replay.get("data/c/2")
    assert (caught.value.op, caught.value.key) == ("get", "data/c/2")
    for text in ("get('data/c/2') was never", "get('data/c/0')", "get('data/c/1')"):
        assert text in str(caught.value)
    with pytest.raises(UnsupportedError, match=r"set\('x': 6 bytes, crc \w+\) was never") as caught:
        replay.set("x", b"public")
    assert "secret" not in str(caught.value)
    with pytest.raises(UnsupportedError, match="no list was"):
        replay.list()
    with pytest.raises(UnsupportedError, match="never recorded"):
        replay.get_partial_values([("data/c/0", 0, 1)])


def test_values_are_recorded_as_they_were() -> None:
    """What the caller does with its buffer, or with an answer, changes no recording."""
    recording = Recording()
    recorder: Any = RecordStore(MemoryStore({"b": b"12"}), recording)
    buffer, parts = bytearray(b"old"), [("b", 0, 1)]
    recorder.set("a", buffer)
    buffer[:] = b"new"
    recorder.get_partial_values(parts).append(b"more")
    for replay in (ReplayStore(recording), restored(ReplayStore(recording))):
        replay.set("a", memoryview(bytearray(b"old")))
        replay.get_partial_values(parts).append(b"more")
        assert replay.get_partial_values(parts) == [b"1"]


@pytest.mark.parametrize("speed", [0.5, 1, 4, math.inf])
def test_time_can_be_scaled(clock: VirtualClock, speed: float) -> None:
    """A replay is as many times faster as it is told to be; infinitely fast takes no time."""
    recording = Recording()
    RecordStore(SlowStore(MemoryStore({"a": b""}), 2, clock=clock), recording).get("a")
    before = clock.now()
    ReplayStore(recording, clock=clock, speed=speed).get("a")  # type: ignore[attr-defined]
    assert clock.now() - before == 2 / speed


# --- errors


def failing(error: BaseException) -> Any:
    """A store that raises when it is read."""

    class Failing(DictStore):
        def _get(self, key: str) -> bytes:
            raise error

    return Failing()


def replayed(error: Exception, path: Path) -> StoreError:
    """What a recorded error has become."""
    recording = Recording()
    with pytest.raises(type(error)):
        RecordStore(failing(error), recording).get("a")
    with pytest.raises(StoreError) as caught:
        ReplayStore(saved(recording, path)).get("a")  # type: ignore[attr-defined]
    return caught.value


@pytest.mark.parametrize(
    "name", [name for name in errors.__all__ if issubclass(getattr(errors, name), StoreError)]
)
def test_errors_keep_their_class_and_attributes(tmp_path: Path, name: str) -> None:
    """An error comes back as its class, with message, operation, key and whether to try again."""
    kind = getattr(errors, name)
    found = replayed(kind("it broke", op="get", key="a"), tmp_path)
    assert type(found) is kind
    assert str(found) == "get: it broke"
    assert (found.op, found.key, found.retryable) == ("get", "a", kind.retryable)


def test_errors_keep_what_is_their_own(tmp_path: Path) -> None:
    """The wish of a rate limit, and another answer about trying again, are kept."""
    limited = RateLimitedError("slow down")
    limited.retry_after = 1.5
    found = replayed(limited, tmp_path)
    assert isinstance(found, RateLimitedError)
    assert found.retry_after == 1.5
    assert replayed(StoreError("x", retryable=True), tmp_path).retryable
    assert not replayed(ConnectionLostError("x", retryable=False), tmp_path).retryable


def test_errors_of_others_become_the_nearest(tmp_path: Path) -> None:
    """A class of somebody else is its nearest base in storekit, or a StoreError that names it."""

    class GoneError(KeyNotFoundError):
        pass

    assert type(replayed(GoneError("gone"), tmp_path)) is KeyNotFoundError
    found = replayed(OSError(5, "I/O \udcff"), tmp_path)
    assert type(found) is StoreError
    assert str(found) == "OSError: [Errno 5] I/O \\udcff"


def test_an_error_does_not_say_where_the_store_is(tmp_path: Path) -> None:
    """In messages the store that raised is named by its class alone, however it is wrapped."""
    place = tmp_path / "secretdir"
    recording, again = Recording(), Recording()
    faulty = FaultyStore(LocalStore(place), [Fault("getsize")])
    store: Any = RecordStore(RetryStore(faulty, attempts=1), recording)
    for ask in (store.get, store.getsize):
        with pytest.raises(StoreError, match="secretdir"):
            ask("a")
    replay: Any = ReplayStore(saved(recording, tmp_path))
    outer: Any = RecordStore(replay, again)
    for ask, kind in ((outer.get, KeyNotFoundError), (outer.getsize, ConnectionLostError)):
        with pytest.raises(kind, match=r"^(Local|Faulty)Store\.get") as caught:
            ask("a")
        assert "secretdir" not in str(caught.value)
    again.save(tmp_path / "again")
    for name in ("recording", "again"):
        assert b"secretdir" not in (tmp_path / name).read_bytes()


@pytest.mark.parametrize(
    "answer", [["../a"], ["a", "b//"], ["a\0"]], ids=["climbing", "empty", "nul"]
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, answer: list[str]) -> None:
    """A listing with names that are none, and a call longer than any wait, make no file."""
    recording = Recording()
    RecordStore(HandlerStore(lambda call: answer), recording).list()  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="list answers with keys"):
        recording.save(tmp_path / "file")
    clock = VirtualClock()
    recording = Recording()
    RecordStore(SlowStore(MemoryStore(), 1.1e9, clock=clock), recording).exists("a")  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="exists took longer"):
        recording.save(tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_an_interrupt_is_not_recorded() -> None:
    """Ctrl-C is nothing that a store says."""
    recording = Recording()
    with pytest.raises(KeyboardInterrupt):
        RecordStore(failing(KeyboardInterrupt()), recording).get("a")
    assert len(recording) == 0


# --- what a replay is


@pytest.mark.parametrize("inner", [DictStore(), ListableDict(), MemoryStore()], ids=repr)
def test_a_replay_can_do_what_was_recorded(inner: Store, tmp_path: Path) -> None:
    """Capabilities and hints for array code are the recorded ones; the rest is refused."""
    recording = Recording()
    RecordStore(SlowStore(inner, link=Link(latency=1, max_connections=7, page_size=5)), recording)
    replay: Any = ReplayStore(saved(recording, tmp_path))
    for capability in (ReadableStore, WritableStore, ListableStore, ConditionalStore):
        assert isinstance(replay, capability) == isinstance(inner, capability)
    assert (replay.latency, replay.concurrency) == (Latency.NETWORK, 7)
    assert getattr(replay, "page_size", None) == (5 if isinstance(inner, ListableStore) else None)
    if not isinstance(inner, WritableStore):
        with pytest.raises(ReadOnlyError):
            replay.set("a", b"")


def test_a_copy_of_a_replay_goes_on() -> None:
    """A restored or copied replay is equal, and continues where the other one is."""
    memory, recording = MemoryStore({"a": b"1"}), Recording()
    recorder = RecordStore(memory, recording)
    recorder.get("a")
    memory.set("a", b"2")
    recorder.get("a")
    replay: Any = ReplayStore(recording, speed=2)
    assert replay.get("a") == b"1"
    for again in (restored(replay), copy.deepcopy(replay)):
        assert again == replay
        assert (again.recording, again.identity) == (recording, replay.identity)
        assert again.get("a") == b"2"
    assert ReplayStore(recording) != replay
    assert ReplayStore(recording).get("a") == b"1"  # type: ignore[attr-defined]
    assert repr(replay) == "ReplayStore(recording=Recording(2 calls), speed=2.0)"
    assert type(replay)(recording).get("a") == b"1"


def test_another_process_replays_as_well(tmp_path: Path) -> None:
    """A pickled replay takes its recording to another process."""
    recording = Recording()
    RecordStore(MemoryStore({"a": b"1"}), recording).get("a")
    (tmp_path / "replay").write_bytes(pickle.dumps(ReplayStore(recording)))
    code = "import pickle; print(pickle.load(open('replay', 'rb')).get('a'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout == "b'1'\n"


def test_a_recording_is_of_one_store() -> None:
    """A store of other capabilities cannot go on with a recording; a recording needs a store."""
    recording = Recording()
    RecordStore(MemoryStore(), recording)
    with pytest.raises(ValueError, match="other capabilities"):
        RecordStore(DictStore(), recording)
    for use in (ReplayStore, lambda recording: recording.save("nowhere")):
        with pytest.raises(ValueError, match="never given to a RecordStore"):
            use(Recording())
    for made in (lambda: RecordStore(MemoryStore(), []), lambda: ReplayStore("file")):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="must be a Recording"):
            made()


@pytest.mark.parametrize("speed", [0, -1, math.nan, "fast", True, None])
def test_impossible_speeds_are_refused(speed: Any) -> None:
    """A speed is a number greater than zero."""
    recording = Recording()
    RecordStore(MemoryStore(), recording)
    with pytest.raises(ValueError, match="speed must be"):
        ReplayStore(recording, speed=speed)


# --- files that are none


def file_of(content: Any) -> bytes:
    """A file with any content, and a checksum that fits."""
    body = content if isinstance(content, bytes) else msgpack.packb(content)
    return MAGIC + blake2b(body, digest_size=16).digest() + body


STORE = {"abilities": ["ReadableStore"], "latency": 1, "concurrency": 2, "page_size": None}
CALL = {"op": "get", "keys": ["a"], "nanoseconds": 1, "answer": b"1"}
ERROR = {"name": "StoreError", "message": "", "key": None, "retryable": False, "retry_after": None}


def changed(**fields: Any) -> dict[str, Any]:
    """The file's content with another second call; a field that is None is left out."""
    call = {name: value for name, value in (CALL | fields).items() if value is not None}
    return {"store": STORE, "calls": [CALL, call]}


def listed(op: str, prefix: str, *names: str) -> dict[str, Any]:
    """The same with a listing."""
    return changed(op=op, keys=None, prefix=prefix, answer=list(names))


def with_error(**fields: Any) -> dict[str, Any]:
    """The same with an error."""
    return changed(answer=None, error=ERROR | fields)


def with_store(**fields: Any) -> dict[str, Any]:
    """The same with another store."""
    return {"store": STORE | fields, "calls": []}


def test_the_samples_of_files_are_read(tmp_path: Path) -> None:
    """What the cases below spoil is a recording before."""
    good = (
        changed(),
        changed(nanoseconds=10**18),
        with_error(),
        with_store(),
        listed("list", "", "a", "b/c"),
        listed("list_prefix", "a/", "a/b", "a/b/c"),
        listed("list_dir", "a/", "a/b", "a/c/"),
        listed("list_dir", "", "b", "c/"),
    )
    for content in good:
        (tmp_path / "file").write_bytes(file_of(content))
        assert len(Recording.load(tmp_path / "file")) == len(content["calls"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "map of store and calls"),
        ({"store": STORE}, "map of store and calls"),
        ({"store": STORE, "calls": {}}, "calls: expected a list"),
        (b"", "no MessagePack"),
        (b"\xc1", "no MessagePack"),
        (msgpack.packb(changed())[:-1], "no MessagePack"),
        (msgpack.packb(changed()) + b"\0", "no MessagePack"),
        (b"\xdd\xff\xff\xff\xff" * 2000, "no MessagePack"),
        (b"\x91" * 100_000, "no MessagePack"),
        (with_store(abilities=[]), "store.abilities"),
        (with_store(abilities=["SlowStore"]), "store.abilities"),
        (with_store(abilities=["ConditionalStore"]), "store.abilities"),
        (with_store(abilities=[[]]), "store.abilities"),
        (with_store(latency=3), "store.latency"),
        (with_store(latency=True), "store.latency"),
        (with_store(concurrency=0), "store.concurrency"),
        (with_store(page_size=-1), "store.page_size"),
        (with_store(more=1), "store: expected a map"),
        ({"store": STORE, "calls": [CALL, 5]}, r"calls\[1\]: expected a map"),
        (changed(op="steal"), r"calls\[1\].op: expected one of"),
        (changed(op=["get"]), r"calls\[1\].op"),
        (changed(keys=["../a"]), r"calls\[1\]: invalid key"),
        (changed(keys=[b"a"]), r"calls\[1\]: invalid key"),
        (changed(keys="a"), "keys must be a list"),
        (changed(keys=["a", "b"]), "the arguments of get"),
        (changed(keys=[]), "the arguments of get"),
        (changed(values=[b"1"]), "the arguments of get"),
        (changed(ranges=[[0, 1]]), "the arguments of get"),
        (changed(prefix="a/"), "the arguments of get"),
        (changed(expected_version="1"), "the arguments of get"),
        (
            changed(op="compare_and_set", values=[b"1"], expected_version=1, answer="2"),
            "the arguments of compare_and_set",
        ),
        (changed(op="list", keys=None, prefix="a/", answer=[]), "the arguments of list"),
        (changed(op="set", values=["1"]), "the arguments of set"),
        (changed(op="set", values=[b"1"]), "set answers with None"),
        (changed(op="get_partial_values", ranges=[[0]], answer=[b""]), "a range must be"),
        (changed(op="get_partial_values", ranges=[[0, -1]], answer=[b""]), "negative"),
        (changed(op="get_partial_values", ranges=[[0, 1]], answer=[]), "a list of 1"),
        (changed(values="xyz"), r"calls\[1\]: values must be a list, found str"),
        (changed(values={}), r"calls\[1\]: values must be a list, found dict"),
        (listed("list", "", "../../etc/passwd"), r"calls\[1\].answer: .*'../../etc/passwd'"),
        (listed("list", "", "/a"), r"calls\[1\].answer: list answers with keys"),
        (listed("list", "", "a//b"), r"calls\[1\].answer"),
        (listed("list", "", "a/"), r"calls\[1\].answer"),
        (listed("list_prefix", "a/", "a/b\0"), r"calls\[1\].answer"),
        (listed("list_prefix", "a/", "elsewhere"), r"calls\[1\].answer: .*under 'a/'"),
        (listed("list_prefix", "a/", "a/"), r"calls\[1\].answer"),
        (listed("list_dir", "a/", "a/b/c"), r"calls\[1\].answer: list_dir answers with keys"),
        (listed("list_dir", "a/", "a/b/c/"), r"calls\[1\].answer"),
        (listed("list_dir", "a/", "b"), r"calls\[1\].answer"),
        (listed("list_dir", "a/", "a/"), r"calls\[1\].answer"),
        (listed("list_dir", "", "/"), r"calls\[1\].answer"),
        (changed(nanoseconds=2**64 - 1), r"calls\[1\].nanoseconds"),
        (changed(nanoseconds=10**18 + 1), r"calls\[1\].nanoseconds: expected an int from 0 to"),
        (changed(nanoseconds=-1), r"calls\[1\].nanoseconds"),
        (changed(nanoseconds=1.0), r"calls\[1\].nanoseconds"),
        (changed(answer="text"), r"calls\[1\].answer: get answers with a bytes-like value"),
        (changed(answer=None), "either an answer or an error"),
        (changed(error=ERROR), "either an answer or an error"),
        (changed(more=1), "no other fields, found"),
        (with_error(name=1), "error.name: expected str"),
        (with_error(key=1), "error.key"),
        (with_error(retryable=1), "error.retryable"),
        (with_error(retry_after=math.nan), "error.retry_after"),
        (with_error(more=1), "error: expected a map"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    """The error names the file, the record, what was expected and what was found."""
    path = tmp_path / "file"
    path.write_bytes(file_of(content))
    with pytest.raises(MetadataError, match=message) as caught:
        Recording.load(path)
    assert caught.value.document == str(path)


def test_no_answer_is_kept_as_one(tmp_path: Path) -> None:
    """Changes answer with nothing, which a file must say, and values must be bytes."""
    for call in (
        {"op": "set", "keys": ["a"], "values": [b"1"], "answer": None, "nanoseconds": 0},
        {"op": "compare_and_set", "keys": ["a"], "values": [None], "answer": None}
        | {"nanoseconds": 0, "expected_version": "1"},
    ):
        path = tmp_path / "file"
        path.write_bytes(file_of({"store": STORE, "calls": [call]}))
        assert len(Recording.load(path)) == 1
        path.write_bytes(file_of({"store": STORE, "calls": [call | {"values": ["1"]}]}))
        with pytest.raises(MetadataError, match="the arguments of"):
            Recording.load(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """A file that was cut, or in which any byte changed, is none."""
    recording = Recording()
    recorder = RecordStore(MemoryStore({"a": b"12345"}), recording)
    recorder.get("a")
    path = tmp_path / "file"
    recording.save(path)
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place])
        with pytest.raises(MetadataError):
            Recording.load(path)
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(MetadataError):
            Recording.load(path)


def test_a_conflict_is_replayed() -> None:
    """Compare-and-set by the recorded versions answers as it did, conflicts included."""
    recording = Recording()

    def use(store: Any) -> list[Any]:
        store.set("a", b"1")
        _, version = store.get_versioned("a")
        changed = store.compare_and_set("a", b"2", version)
        with pytest.raises(ConflictError):
            store.compare_and_set("a", b"3", version)
        return [version, changed, store.compare_and_set("a", None, changed)]

    assert use(RecordStore(MemoryStore(), recording)) == use(ReplayStore(recording))
