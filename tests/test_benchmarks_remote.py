"""The remote part of the benchmark program, without latency and on data too small to measure."""

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

pytest.importorskip("deflate", reason="the benchmarks need the `bench` extra")
pytest.importorskip("obstore", reason="the benchmarks need the `bench` extra")
pytest.importorskip("s3fs", reason="the benchmarks need the `bench` extra")

from benchmarks.env import QUICK, Env, environment
from benchmarks.remote import client, rows, table
from benchmarks.remote.measure import measure_remote
from benchmarks.remote.place import Counts, serving
from storekit.clock import RealClock


@pytest.fixture
def env() -> Iterator[Env]:
    """Folders for a very small run."""
    with environment(QUICK) as env:
        yield env


REMOTE = dataclasses.replace(
    rows.QUICK,
    latency=0.0,
    chunks=16,
    arrays=3,
    field=(64, 64, 64),
    chunk=32,
    one_by_one=1,
    in_flight=2,
    share=0.0,
    rounds=1,
)


def test_a_server_counts_what_storekit_asks_of_it(env: Env) -> None:
    """A chunk is a request, a document is one, and a consolidated group is one for all arrays."""
    http = next(c for c in client.load(["storekit"])[0] if c.name == "storekit, HTTPStore")
    measured = measure_remote([http], rows.ROWS, env, REMOTE)
    assert table.failures(measured) == []
    counts = {name: cells[http.name]["counts"] for name, cells in measured["rows"].items()}
    assert [count["requests"] for count in counts["read all chunks of 64 KiB"]] == [16]
    assert all(count["sent"] > 16 << 16 for count in counts["read all chunks of 64 KiB"])
    assert [count["requests"] for count in counts["open the arrays of an open group"]] == [3]
    assert [count["requests"] for count in counts["open a consolidated group and its arrays"]] == [
        1
    ]


def test_storekit_and_the_limit_read_what_was_stored(env: Env) -> None:
    """Each way to the network finds the right values in every row that it has."""
    found, absent = client.load(["storekit", "limit"])
    measured = measure_remote(found, rows.ROWS, env, REMOTE)
    assert table.failures(measured) == []
    assert not absent
    text = table.tables({"machine": "", "versions": {}, "absent": {}, "quick": True, **measured})
    assert all(f"| {one.name} |" in text.replace("**", "") for one in found)


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        (None, 200, b"0123456789"),
        ("bytes=2-3", 206, b"23"),
        ("bytes=8-20", 206, b"89"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=-20", 206, b"0123456789"),
        ("bytes=10-", 416, b""),
    ],
)
def test_the_server_answers_ranges(
    tmp_path: Path, asked: str | None, status: int, body: bytes
) -> None:
    """A range, an open one and a suffix are answered as HTTP says, and HEAD without a body."""
    (tmp_path / "key").write_bytes(b"0123456789")
    sent = []
    with serving(tmp_path, 0.0) as place:
        for method, wanted in (("HEAD", b""), ("GET", body)):
            with closing(HTTPConnection("127.0.0.1", place.port)) as connection:
                headers = {} if asked is None else {"Range": asked}
                connection.request(method, place.path("key"), headers=headers)
                reply = connection.getresponse()
                assert (reply.status, reply.read()) == (status, wanted)
                assert reply.headers["content-length"] == str(len(body))
            counts = place.counts()
            assert (counts.requests, counts.connections) == (1, 1)
            sent.append(counts.sent)
        assert sent[1] - sent[0] == len(body)
        assert place.counts() == Counts()


def test_the_server_answers_no_sooner_than_it_should(tmp_path: Path) -> None:
    """Between a request and its answer lies the latency, also for what is absent."""
    clock = RealClock()
    with (
        serving(tmp_path, 0.02) as place,
        closing(HTTPConnection("127.0.0.1", place.port)) as connection,
    ):
        start = clock.now()
        connection.request("GET", place.path("absent"))
        assert connection.getresponse().status == 404
        assert clock.now() - start >= 0.02
