"""Whatever a server does wrong is the documented error, or is made good; never other data."""

from __future__ import annotations

import gzip
import math
import socket
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from fault_samples import (
    CONTENTS,
    FAR,
    GAP,
    READS,
    VALUE,
    WRITES,
    Expected,
    after,
    body,
    every,
    in_time,
    outcome,
    parts,
)
from servers import raw_server as raw
from servers.raw_server import RawServer, always, running
from store_samples import FakeClock

from storekit import ZarrArray, open_zarr
from storekit.errors import (
    AccessDeniedError,
    ConflictError,
    ConnectionLostError,
    KeyNotFoundError,
    RateLimitedError,
    ServerError,
    StoreError,
    TimeoutError,
    UnsupportedError,
)
from storekit.stores import _http_encoding
from storekit.stores.http import HTTPStore
from storekit.stores.retries import RetryPolicy

LOST, LATE, BAD = ConnectionLostError, TimeoutError, ServerError
BUSY, DENIED, OTHER, CANNOT = RateLimitedError, AccessDeniedError, StoreError, UnsupportedError

STALLS = 0.1  # seconds after which a stalling server is given up


@pytest.fixture
def server() -> Iterator[RawServer]:
    """A server with values."""
    with running() as server:
        server.contents.update(CONTENTS)
        yield server


@pytest.fixture
def clock() -> FakeClock:
    """Does not wait between attempts."""
    return FakeClock()


@contextmanager
def opened(server: RawServer, clock: FakeClock, fault: str, attempts: int) -> Iterator[Any]:
    """A store that has spoken to the server before, and has seen that it keeps conditions."""
    stalls = fault.startswith("stalls")
    store: Any = HTTPStore(
        server.url,
        writable=True,
        conditional=True,
        timeout=(30, STALLS if stalls else 30),
        concurrency=4,
        retry=RetryPolicy(attempts=attempts, budget=math.inf),
        clock=clock,
    )
    store.request_cost = GAP
    with store:
        in_time(prepare, store)
        server.requests.clear()
        yield store


def prepare(store: Any) -> None:
    """Let a store see that conditions are kept, as often as it takes."""
    store.erase("new")
    with suppress(ConflictError):  # after an answer that came late
        store.compare_and_set("new", b"", None)
    store.erase("new")


@pytest.fixture
def store(server: RawServer, clock: FakeClock) -> Iterator[Any]:
    """A store that tries twice, and waits for long."""
    with opened(server, clock, "", 2) as store:
        yield store


UNREADABLE = every(BAD)._replace(write=None)  # but done
HTML = b"<html><a href='a'>Index of nothing</a></html>"
# How a server misbehaves all the time; what comes of it, and whether it may pass.
FAULTS: dict[str, tuple[raw.Behaviour, Expected, bool]] = {
    "ignores ranges": (raw.ignore_ranges, Expected(), False),
    "shifts ranges": (raw.shift_ranges, Expected(part=BAD, end=BAD), True),
    "cuts short": (raw.cut_short, body(LOST), True),
    "goes on": (raw.go_on, Expected(), True),
    "hints before": (raw.hint_before, Expected(), False),
    "hints for ever": (raw.hint_for_ever, every(BAD), True),
    "304 with a body": (raw.go_on_without_body(304), every(OTHER), False),
    "204 with a body": (raw.go_on_without_body(204), every(OTHER)._replace(write=None), False),
    "101": (raw.go_on_without_body(101), every(OTHER), False),
    "cut head": (raw.cut_head, every(LOST), True),
    "malformed head": (raw.malformed(b"no field"), UNREADABLE, True),
    "folded first line": (raw.malformed(b" Content-Length: 1"), UNREADABLE, True),
    "bare CR in the head": (raw.malformed(b"A: b\rContent-Length: 1"), UNREADABLE, True),
    "endless length": (
        raw.changed(
            lambda answer: (answer[0], {**answer[1], "Content-Length": "9" * 4400}, answer[2])
        ),
        UNREADABLE,
        True,
    ),
    "negative chunk": (raw.chunk_of(b"-1"), body(BAD), True),
    "endless chunk": (raw.chunk_of(b"f" * 16), body(BAD), True),
    "large chunk": (raw.chunk_of(b"f" * 15), body(LOST)._replace(part=BAD, end=BAD), True),
    "cut size of a chunk": (lambda exchange: raw.chunked(exchange, end=b"0"), body(LOST), True),
    "spaces around the coding": (
        raw.changed(
            lambda answer: (answer[0], {**answer[1], "Transfer-Encoding": "chunked "}, answer[2])
        ),
        body(CANNOT),
        False,
    ),
    "chunked with a length": (raw.chunked_with_length, Expected(), False),
    "no length": (raw.without_length, body(CANNOT), False),
    "chunked": (raw.chunked, Expected(), False),
    "broken chunks": (raw.break_chunks, body(LOST), True),
    "reset before": (raw.reset_before, every(LOST), True),
    "closed before": (raw.close_before, every(LOST), True),
    "reset inside": (raw.reset_inside, body(LOST), True),
    "stalls before": (raw.stall_before, every(LATE), True),
    "stalls inside": (raw.stall_inside, body(LATE), True),
    "closes behind": (raw.close_behind, Expected(), True),
    "408": (always(408), every(LATE), True),
    "429": (always(429), every(BUSY), True),
    "429 for seconds": (always(429, Retry_After="7"), every(BUSY), True),
    "503 for seconds": (always(503, Retry_After="7"), every(BUSY), True),
    "503": (always(503), every(BAD), True),
    "500": (always(500, HTML), every(BAD), True),
    "502": (always(502, HTML), every(BAD), True),
    "501": (always(501), every(BAD), False),
    "401": (always(401), every(DENIED), False),
    "403": (always(403, HTML), every(DENIED), False),
    "400": (always(400), every(OTHER), False),
    "418": (always(418), every(OTHER), False),
    "304": (always(304), every(OTHER), False),
    "202": (always(202), every(OTHER), False),
    "299": (always(299, b"what?"), every(OTHER), False),
    "redirect in circles": (raw.redirect_to_itself, every(OTHER), False),
    "redirect nowhere": (always(302, Location="gopher://x/y"), every(OTHER), False),
    "redirect to no URL": (always(307, Location="http://[x"), every(OTHER), False),
    "compressed": (raw.zip_up, Expected(), False),
    "no HEAD": (raw.refuse_head, Expected(), False),
    "unknown encoding": (
        raw.changed(lambda answer: (answer[0], {**answer[1], "Content-Encoding": "br"}, answer[2])),
        Expected(CANNOT, CANNOT, CANNOT, CANNOT, CANNOT),
        False,
    ),
    "broken compression": (
        raw.changed(
            lambda answer: (answer[0], {**answer[1], "Content-Encoding": "gzip"}, answer[2])
        ),
        Expected(BAD, BAD, BAD, BAD, BAD),
        True,
    ),
    "endless size": (
        raw.changed(
            lambda answer: (
                answer[0],
                {k: v + "0" * 4400 if "/" in v else v for k, v in answer[1].items()},
                answer[2],
            )
        ),
        Expected(part=BAD, end=BAD),
        True,
    ),
    "no size": (
        raw.changed(
            lambda answer: (
                answer[0],
                {k: v.partition("/")[0] + "/*" if "/" in v else v for k, v in answer[1].items()},
                answer[2],
            )
        ),
        Expected(end=BAD),
        True,
    ),
}


# One key is asked for as a whole, the other in part, side by side: either may fail first.
EITHER = {("large chunk", "several keys"): {LOST, BAD}}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("read", READS)
def test_a_read_is_right_or_fails_as_documented(
    server: RawServer, clock: FakeClock, fault: str, read: str
) -> None:
    """While a server misbehaves, each read gives what is there or the documented error."""
    behaviour, expected, _ = FAULTS[fault]
    kind, ask, answer = READS[read]
    error = getattr(expected, kind)
    with opened(server, clock, fault, 1 if fault.startswith("stalls") else 2) as store:
        server.misbehave(behaviour)
        if error is None:
            assert in_time(ask, store) == answer
        else:
            with pytest.raises(StoreError) as caught:
                ask(store)
            assert type(caught.value) in EITHER.get((fault, read), {error})
        server.behave()
        assert in_time(ask, store) == answer


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if FAULTS[fault][2]])
@pytest.mark.parametrize("read", READS)
def test_a_read_is_made_again(server: RawServer, clock: FakeClock, fault: str, read: str) -> None:
    """After what may pass a read is tried again, and gives what is there."""
    _, ask, answer = READS[read]
    with opened(server, clock, fault, attempts(fault)) as store:
        server.misbehave(FAULTS[fault][0], 1)
        assert ask(store) == answer


def attempts(fault: str) -> int:
    """How many are enough after one fault: a busy machine may be late for more than one."""
    return 100 if fault.startswith("stalls") else 2


@pytest.mark.parametrize("status", [404, 410])
def test_only_these_mean_absence(server: RawServer, store: Any, status: int) -> None:
    """What is gone is absent, whatever page comes with that; at once, without another attempt."""
    server.misbehave(always(status, HTML, Content_Type="text/html"))
    for ask in (store.get, store.getsize, store.get_versioned):
        with pytest.raises(KeyNotFoundError):
            ask("a/b")
    assert not store.exists("a/b")
    assert parts(FAR, store) == [None] * 3
    assert store.list() == store.list_dir("") == []
    store.erase("a/b")
    assert len(server.requests) == 8


@pytest.mark.parametrize("status", [501, 505])
def test_what_lasts_is_not_asked_again(server: RawServer, store: Any, status: int) -> None:
    """A server that cannot do it at all is asked once."""
    server.misbehave(always(status, b"", Connection="keep-alive"))
    with pytest.raises(ServerError):
        store.get("a/b")
    targets = [each.target for each in server.requests]
    assert len(targets) == len(set(targets))


PACKED = gzip.compress(VALUE[:9000]) + gzip.compress(VALUE[9000:])
ENCODED = {
    "in two members": ("gzip", PACKED, True),
    "by another name": ("x-gzip", PACKED, True),
    "of zlib": ("deflate", zlib.compress(VALUE), True),
    "bare": ("deflate", zlib.compress(VALUE, wbits=-15), True),
    "twice": ("deflate, gzip", gzip.compress(zlib.compress(VALUE)), True),
    "cut": ("gzip", PACKED[:-100], False),
    "cut at the end": ("gzip", PACKED[:-1], False),
    "with something behind": ("gzip", PACKED + b"x", False),
    "empty": ("gzip", b"", False),
}


@pytest.mark.parametrize("kind", ENCODED)
def test_an_encoded_body_is_checked_for_its_end(server: RawServer, store: Any, kind: str) -> None:
    """What a server compressed is read as a whole, or is an error; never the beginning of it. A
    part is right, or an error if there is not all of it."""
    encoding, body, whole = ENCODED[kind]
    server.misbehave(always(200, body, Content_Encoding=encoding))
    for name in ("get", "getsize", "suffix"):
        if whole:
            assert READS[name][1](store) == READS[name][2]
        else:
            with pytest.raises(ServerError):
                READS[name][1](store)
    asked = [("a/b", 19_990, 10)]
    if whole or kind in ("cut at the end", "with something behind"):
        assert parts(asked, store) == [VALUE[-10:]]
    else:
        with pytest.raises(ServerError):
            parts(asked, store)


def test_no_more_is_inflated_than_needed(server: RawServer, store: Any) -> None:
    """For a part, the body is read and inflated to its end; what is broken behind is not seen."""
    value = np.random.default_rng(2).bytes(1 << 19)
    packed = gzip.compress(value, 1)
    broken = packed[: len(packed) // 2] + bytes(len(packed) // 2)
    server.misbehave(always(200, broken, Content_Encoding="gzip"))
    assert parts([("a/b", 5_000, 50), ("a/b", 10, 20)], store) == [value[5_000:5_050], value[10:30]]
    with pytest.raises(ServerError):
        store.get("a/b")


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
def test_a_bomb_is_refused(
    server: RawServer, store: Any, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """A value that a server compressed is no larger than the limit, at each step; a part before
    that can be had."""
    monkeypatch.setattr(_http_encoding, "MOST", 1 << 22)
    bomb = gzip.compress(bytes(1 << 26))
    if encoding != "gzip":
        bomb = gzip.compress(bomb)
    server.misbehave(always(200, bomb, Content_Encoding=encoding, ETag='"1"'))
    tracemalloc.start()
    try:
        for ask in (store.get, store.getsize, store.get_versioned):
            with pytest.raises(StoreError, match="compressed a value of more than") as caught:
                ask("a/b")
            assert not caught.value.retryable
        assert parts([("a/b", 1 << 20, 3)], store) == [bytes(3)]
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_encodings_are_few(server: RawServer, store: Any) -> None:
    """A body that was compressed more than twice is not unpacked."""
    server.misbehave(always(200, PACKED, Content_Encoding="gzip, gzip, gzip"))
    with pytest.raises(UnsupportedError, match="gzip, gzip, gzip"):
        store.get("a/b")


# --- writes


CONDITIONAL = {"set_partial_values", "compare_and_set", "create"}


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if FAULTS[fault][1].write])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_fails_as_documented(
    server: RawServer, clock: FakeClock, fault: str, write: str
) -> None:
    """While a server refuses PUT and DELETE, each write is the documented error, and nothing else
    has changed."""
    behaviour, expected, _ = FAULTS[fault]
    with opened(server, clock, fault, 1 if fault.startswith("stalls") else 2) as store:
        server.misbehave(behaviour, float("inf"), "PUT", "DELETE")
        with pytest.raises(StoreError) as caught:
            WRITES[write][0](store)
    assert type(caught.value) is expected.write
    assert server.contents == CONTENTS


@pytest.mark.parametrize("fault", [f for f in FAULTS if FAULTS[f][2] and FAULTS[f][1].write])
@pytest.mark.parametrize("write", sorted(WRITES.keys() - CONDITIONAL))
def test_a_write_is_made_again(server: RawServer, clock: FakeClock, fault: str, write: str) -> None:
    """After what may pass a write is tried again, and has its effect."""
    with opened(server, clock, fault, attempts(fault)) as store:
        server.misbehave(FAULTS[fault][0], 1, "PUT", "DELETE")
        WRITES[write][0](store)
    assert server.contents == after(write)


@pytest.mark.parametrize("write", sorted(CONDITIONAL))
def test_a_conditional_write_is_made_again_only_if_nothing_was_done(
    server: RawServer, store: Any, write: str
) -> None:
    """A condition is sent again after the server was busy; not after a lost answer, since it may
    have been met by the first request."""
    do, changes = WRITES[write]
    server.misbehave(always(429), 1, "PUT")
    do(store)
    assert {key: server.contents[key] for key in changes} == changes
    server.contents.update(CONTENTS)
    server.contents.pop("e", None)
    server.requests.clear()
    server.misbehave(raw.reset_behind, 1, "PUT")
    with pytest.raises(ConnectionLostError):
        do(store)
    assert [each.method for each in server.requests].count("PUT") == 1


@pytest.mark.parametrize("write", sorted(WRITES.keys() - CONDITIONAL))
def test_a_write_whose_answer_is_lost_is_made_again(
    server: RawServer, store: Any, write: str
) -> None:
    """A write that was done though its answer was lost is done again, to the same effect."""
    server.misbehave(raw.reset_behind, 1, "PUT", "DELETE")
    WRITES[write][0](store)
    assert server.contents == after(write)


def test_a_server_that_takes_nothing_is_late(clock: FakeClock) -> None:
    """A value that nobody reads is a timeout, by the seconds for an answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        once = RetryPolicy(attempts=1)
        waits = (1000.0, STALLS)
        store: Any = HTTPStore(url, writable=True, timeout=waits, retry=once, clock=clock)
        with store, pytest.raises(TimeoutError):
            store.set("a", bytes(1 << 25))


@pytest.mark.parametrize("status", [404, 405, 409])
def test_a_place_that_is_refused_is_no_absence(server: RawServer, store: Any, status: int) -> None:
    """A server without a place for a key is an error, and not that of an absent key."""
    server.misbehave(always(status), float("inf"), "PUT")
    with pytest.raises(StoreError) as caught:
        store.set("e/f", b"")
    assert type(caught.value) is StoreError


# --- arrays


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_becomes_fill_values(server: RawServer, clock: FakeClock, fault: str) -> None:
    """An array over a server that misbehaves reads its data or raises; no fill values appear."""
    server.contents.clear()
    data = np.arange(1, 65, dtype="u2").reshape(8, 8)
    behaviour, expected, _ = FAULTS[fault]
    with (
        opened(server, clock, "", 2) as patient,
        opened(server, clock, fault, 1 if fault.startswith("stalls") else 2) as store,
    ):
        ZarrArray.create(patient, "x", data=data, chunks=(4, 4), fill_value=0, codecs="none")
        array: Any = in_time(lambda store: open_zarr(store, "x"), store)
        server.misbehave(behaviour)
        if expected.get is None and expected.part is None:
            assert (array[...] == data).all()
        for selection in (np.s_[...], np.s_[2:7, 3:5], np.s_[1, 1]):
            found = outcome(array, selection)
            if isinstance(found, StoreError):
                assert type(found) in (expected.get, expected.part)
            else:
                assert (found == data[selection]).all()


# --- waits


def test_a_wish_to_wait_is_respected(server: RawServer, store: Any, clock: FakeClock) -> None:
    """Retry-After, in seconds or as a date, is waited for at least."""
    wishes = {
        "7": 7.0,
        "Sat, 01 Jan 2000 00:00:09 GMT": 9.0,
        "Fri, 31 Dec 1999 00:00:00 GMT": 0.1,  # over already
        "soon": 0.1,
        "-5": 0.1,
        "Sat, 01 Jan 2000 00:00:09 +99999999999999999999": 0.1,
        "Sat, 01 Jan 99999 00:00:09 GMT": 0.1,
    }
    for wish, seconds in wishes.items():
        clock.sleeps.clear()
        busy = always(503, Retry_After=wish, Date="Sat, 01 Jan 2000 00:00:00 GMT")
        server.misbehave(busy, 1)
        assert bytes(store.get("d")) == CONTENTS["d"]
        assert clock.sleeps == [seconds]


def test_waits_grow_and_end(server: RawServer, clock: FakeClock) -> None:
    """Attempts are as many as the policy says, and the error tells of them."""
    server.misbehave(always(500))
    policy = RetryPolicy(attempts=4, jitter="none")
    with (
        HTTPStore(server.url, clock=clock, retry=policy) as store,
        pytest.raises(ServerError) as caught,
    ):
        store.get("d")
    assert len(server.requests) == 4
    assert clock.sleeps == [0.1, 0.2, 0.4]
    assert "HTTPStore: attempt 4 of 4" in caught.value.__notes__[0]


def test_a_wish_that_is_over_is_none(server: RawServer) -> None:
    """A date that has passed is a wish of zero seconds."""
    gone = "Fri, 31 Dec 1999 00:00:00 GMT"
    server.misbehave(always(429, Retry_After=gone))
    with (
        HTTPStore(server.url, retry=RetryPolicy(attempts=1)) as store,
        pytest.raises(RateLimitedError) as caught,
    ):
        store.get("d")
    assert caught.value.retry_after == 0


def test_a_wish_beyond_the_budget_is_not_waited_for(server: RawServer, clock: FakeClock) -> None:
    """A server that asks for an hour is an error at once."""
    server.misbehave(always(429, Retry_After="3600"))
    with (
        HTTPStore(server.url, clock=clock) as store,
        pytest.raises(RateLimitedError) as caught,
    ):
        store.get("d")
    assert caught.value.retry_after == 3600
    assert clock.sleeps == []
