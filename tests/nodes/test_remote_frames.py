"""Frames from afar: what is asked for, how long that takes, and what comes of it."""

from __future__ import annotations

from typing import Any

import blosc2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.raw_server import ignore_ranges, running
from servers.web_servers import FileServer
from servers.web_servers import python_server as python_server
from servers.web_servers import rclone_server as rclone_server

import storekit as sk
from storekit.errors import CodecError, ConnectionLostError
from storekit.frames.loading import FIRST_READ, LAST_READ
from storekit.frames.log import LogHome
from storekit.nodes.frame_array import FrameArray
from storekit.simulation import VirtualClock
from storekit.stores import CacheStore, Fault, FaultyStore, Link, MemoryStore, SlowStore, TraceStore

DELAY, RATE = 0.05, 1e8
DATA = np.random.default_rng(3).integers(0, 1000, (400, 600)).astype("i4")


def stock(data: Any = DATA, **options: Any) -> bytes:
    """A frame of blosc2's, of 24 chunks in 16 blocks each."""
    settings = {"chunks": (100, 100), "blocks": (25, 25), **options}
    made: bytes = blosc2.asarray(data, **settings).to_cframe()
    return made


def sealed(frame: bytes) -> bytes:
    """The same frame, written by storekit."""
    store = MemoryStore({"x.b2nd": frame})
    array = sk.open(store, "x.b2nd", mode="a")
    array[...] = array[...]
    return bytes(store.get("x.b2nd"))


FRAMES = {"stock": stock(), "sealed": sealed(stock())}


class Far:
    """A store a round trip away; an array in it; what is asked, and how long that takes."""

    def __init__(self, frame: bytes, key: str = "deep/x.b2nd", *, rate: float = RATE) -> None:
        self.clock = VirtualClock()
        link = Link(latency=DELAY, down=rate)
        self.slow = SlowStore(MemoryStore({key: frame}), link=link, clock=self.clock)
        self.store = TraceStore(self.slow)
        self.array = sk.open(self.store, key)
        self.opened = self.spent()

    def spent(self) -> tuple[int, float, int]:
        """Calls of the store, round trips with what they brought, and bytes; since last asked."""
        records = self.store.trace.records
        self.store.trace.clear()
        start = min((record.start for record in records), default=0.0)
        end = max((record.end for record in records), default=0.0)
        return len(records), end - start, sum(record.down for record in records)


@pytest.mark.parametrize("kind", FRAMES)
def test_opening_takes_one_call(kind: str) -> None:
    """The head and the end of a frame are asked for at once, and nothing else."""
    frame = FRAMES[kind]
    assert len(frame) > FIRST_READ + LAST_READ
    far = Far(frame)
    calls, _, size = far.opened
    assert (calls, size) == (1, FIRST_READ + LAST_READ)
    assert far.array.shape == DATA.shape
    assert far.array[0:0].size == 0
    assert far.spent()[0] == 0


def test_a_long_index_takes_a_second_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame whose header or index do not fit what is read at first takes calls for the rest."""
    for first, last, calls in ((150, 1000, 2), (1000, 100, 2), (150, 100, 3)):
        monkeypatch.setattr("storekit.frames.loading.FIRST_READ", first)
        monkeypatch.setattr("storekit.frames.loading.LAST_READ", last)
        far = Far(FRAMES["sealed"])
        assert far.opened[0] == calls
        assert (far.array[5:9] == DATA[5:9]).all()


@pytest.mark.parametrize("kind", FRAMES)
def test_a_window_takes_one_round_trip(kind: str) -> None:
    """Where a chunk is soon there, those that a window touches are read whole, at once."""
    far = Far(FRAMES[kind])
    assert (far.array[90:110, 95:205] == DATA[90:110, 95:205]).all()
    _, seconds, size = far.spent()
    assert DELAY < seconds < 1.2 * DELAY + size / RATE


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("start", [(95, 110), (110, 95)])
@pytest.mark.parametrize("rate", [1e4, 1e5])
def test_single_blocks_take_two_round_trips(kind: str, start: Any, rate: float) -> None:
    """Where bytes are dear, a window costs the tables of its chunks, and then its blocks alone."""
    far = Far(FRAMES[kind], rate=rate)
    box = tuple(slice(first, first + 10) for first in start)
    assert (far.array[box] == DATA[box]).all()
    calls, seconds, size = far.spent()
    assert calls == 4
    assert size < 2 * (4096 + 1000)
    assert seconds < 2 * DELAY + 1.1 * size / rate


@pytest.mark.parametrize("kind", FRAMES)
def test_all_of_an_array_is_one_request(kind: str) -> None:
    """Chunks that follow each other in the frame come together."""
    far = Far(FRAMES[kind])
    assert (far.array[...] == DATA).all()
    calls, seconds, size = far.spent()
    assert calls == 1
    assert size < len(FRAMES[kind])
    assert seconds < DELAY + 1.1 * size / RATE


def test_a_large_array_comes_side_by_side() -> None:
    """Requests do not grow beyond what a connection brings in some round trips; others help."""
    far = Far(FRAMES["stock"], rate=2e5)
    most = 8 * far.store.request_cost
    assert (far.array[...] == DATA).all()
    records = far.store.trace.records
    calls, seconds, size = far.spent()
    assert calls > 2
    assert max(record.down for record in records) < most + size / 24
    assert max(record.start for record in records) - min(record.start for record in records) == 0
    assert seconds < DELAY + 1.1 * size / 2e5


@pytest.mark.parametrize("most", [30_000, 1])
def test_no_request_grows_beyond_a_bound(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """No more is decoded of one request than a bound, or a chunk; all are made at once."""
    monkeypatch.setattr("storekit.nodes.frame_io._MOST", most)
    far = Far(FRAMES["stock"])
    assert (far.array[...] == DATA).all()
    records = far.store.trace.records
    assert len(records) == 24
    assert max(record.start for record in records) == min(record.start for record in records)


def test_what_lies_apart_comes_side_by_side() -> None:
    """Chunks between which others lie are requests of their own, at one time."""
    far = Far(FRAMES["stock"], rate=2e5)
    assert (far.array[:, 100:200] == DATA[:, 100:200]).all()
    calls, seconds, size = far.spent()
    assert calls == 4
    assert size < len(FRAMES["stock"]) / 5
    assert seconds < DELAY + 1.1 * size / 2e5


def test_chunks_of_zeros_cost_nothing() -> None:
    """What is not stored is not asked for."""
    data = DATA.copy()
    data[100:300] = 0
    far = Far(stock(data))
    assert not far.array[100:300].any()
    assert far.spent()[0] == 0
    assert (far.array[...] == data).all()
    assert far.spent()[0] == 1


@pytest.mark.parametrize("kind", FRAMES)
def test_a_cache_of_compressed_bytes(kind: str) -> None:
    """With a `CacheStore` around, what was read once costs nothing, nor does opening it again."""
    clock = VirtualClock()
    trace = TraceStore(SlowStore(MemoryStore({"x.b2nd": FRAMES[kind]}), clock=clock))
    store = CacheStore(trace)
    for rows in (slice(90, 110), slice(None)):
        for again in range(3):
            array = sk.open(store, "x.b2nd")
            assert (array[rows, 95:205] == DATA[rows, 95:205]).all()
            assert bool(trace.trace.records) == (again == 0)
            trace.trace.clear()


def test_sparse_frames(tmp_path: Any) -> None:
    """A sparse frame costs what looks for it, its index, and a request for each chunk at once."""
    path = tmp_path / "x"
    blosc2.asarray(DATA, chunks=(100, 100), urlpath=str(path), contiguous=False, mode="w")
    values = {f"x.b2nd/{file.name}": file.read_bytes() for file in path.iterdir()}
    clock = VirtualClock()
    store = TraceStore(SlowStore(MemoryStore(values), DELAY, clock=clock))
    array = sk.open(store, "x.b2nd")
    store.trace.clear()
    before = clock.now()
    assert (array[50:150, 50:150] == DATA[50:150, 50:150]).all()
    assert len(store.trace) == 4
    assert clock.now() - before < 1.1 * DELAY


@st.composite
def changed_frames(draw: Any) -> tuple[bytes, Any]:
    """A frame with chunks in any order and dead bytes between them, and what is in it."""
    seed = draw(st.integers(0, 1 << 20))
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 4, (30, 40)).astype("u2")
    array = blosc2.asarray(data, chunks=(7, 9), blocks=(4, 5), cparams={"nthreads": 1})
    for _ in range(draw(st.integers(0, 6))):
        rows, columns = (slice(*sorted(rng.integers(0, n + 1, 2))) for n in data.shape)
        fill = rng.integers(0, [1, 60000][rng.integers(2)] + 1, data[rows, columns].shape)
        array[rows, columns] = fill.astype("u2")
    return array.to_cframe(), array[...]


@settings(deadline=None, max_examples=60)
@given(
    made=changed_frames(),
    windows=st.lists(
        st.tuples(*(st.tuples(st.integers(0, n), st.integers(0, n)) for n in (30, 40))),
        min_size=1,
        max_size=4,
    ),
    rate=st.sampled_from([1e2, 1e3, 1e4, 1e8]),
)
def test_windows_are_those_of_numpy(made: Any, windows: Any, rate: float) -> None:
    """Whatever the order of the chunks, and whatever is merged, a window has its elements."""
    frame, data = made
    far = Far(frame, rate=rate)
    for window in windows:
        box = tuple(slice(*sorted(side)) for side in window)
        assert (far.array[box] == data[box]).all()
        rows = sorted({*window[0], 0} - {30})
        assert (far.array.oindex[rows, box[1]] == data[np.ix_(rows, range(40)[box[1]])]).all()


def test_frames_that_are_logs(tmp_path: Any) -> None:
    """A file that was written many times, with much that is not used in it, is read from afar."""
    path = tmp_path / "x.b2nd"
    path.write_bytes(FRAMES["stock"])
    array = FrameArray(LogHome(str(path), writable=True))
    data = DATA.copy()
    for number in range(7):
        array[50 * number : 50 * number + 80, :350] = data[50 * number : 50 * number + 80, :350] = (
            number
        )
    for rate in (1e4, 2e5, RATE):
        far = Far(path.read_bytes(), rate=rate)
        assert (far.array[...] == data).all()
        assert (far.array[120:130, 340:360] == data[120:130, 340:360]).all()


def test_damage_is_found_where_it_is() -> None:
    """A damaged chunk among others that come with it is an error, which names it."""
    frame = bytearray(FRAMES["sealed"])
    frame[len(frame) // 2] ^= 1
    far = Far(bytes(frame))
    with pytest.raises(CodecError, match=r"chunk '1[0-3]'"):
        far.array[...]
    assert (far.array[:100] == DATA[:100]).all()


def test_failures_never_become_elements() -> None:
    """A request that fails is an error of all that was read by it."""
    store = FaultyStore(MemoryStore({"x.b2nd": FRAMES["stock"]}), [Fault(nth=2, times=1)])
    array = sk.open(SlowStore(store, clock=VirtualClock()), "x.b2nd")
    with pytest.raises(ConnectionLostError):
        array[...]
    assert (array[...] == DATA).all()


@pytest.mark.parametrize("name", ["python_server", "rclone_server"])
def test_web_servers(name: str, request: Any, tmp_path: Any) -> None:
    """A frame, a container and a sparse frame behind a server that knows nothing of them."""
    server: FileServer = request.getfixturevalue(name)
    url, folder = server.folder()
    (folder / "a b.b2nd").write_bytes(FRAMES["sealed"])
    (folder / "plain").write_bytes(FRAMES["stock"])
    blosc2.asarray(DATA, chunks=(200, 200), urlpath=str(folder / "s"), contiguous=False, mode="w")
    for suffix in ("b2d", "b2z"):
        with blosc2.TreeStore(str(folder / f"t.{suffix}"), mode="w", threshold=1000) as tree:
            tree["/g/big"] = DATA
            tree["/g/small"] = DATA[:3, :4]
    for leaf in ("a b.b2nd", "a%20b.b2nd", "plain", "s"):
        array = sk.open(f"{url}/{leaf}")
        assert (array[90:110, 95:205] == DATA[90:110, 95:205]).all()
        assert (array[...] == DATA).all()
    for leaf in ("t.b2d", "t.b2z"):
        group = sk.open(f"{url}/{leaf}")
        assert (group["g/big"][...] == DATA).all()
        assert (group["g/small"][...] == DATA[:3, :4]).all()
        assert list(sk.open(f"{url}/{leaf}", "g")) == ["big", "small"]
    with pytest.raises(sk.errors.NodeNotFoundError):
        sk.open(f"{url}/nothing.b2nd")


def test_what_a_web_server_is_asked() -> None:
    """The query goes along; opening takes two requests of one file, a window one."""
    with running() as server:
        server.contents["d/x.b2nd"] = FRAMES["stock"]
        array = sk.open(f"{server.url}/d/x.b2nd?signature=s")
        assert sorted(server.lines()) == [
            f"GET /d/x.b2nd?signature=s bytes=-{LAST_READ}",
            f"GET /d/x.b2nd?signature=s bytes=0-{FIRST_READ - 1}",
        ]
        server.requests.clear()
        assert (array[90:110, 95:205] == DATA[90:110, 95:205]).all()
        assert len(server.lines()) == 1
        server.misbehave(ignore_ranges)
        assert (sk.open(f"{server.url}/d/x.b2nd")[...] == DATA).all()
