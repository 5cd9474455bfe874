"""Whatever an S3 server does wrong is the documented error, or is made good; never other data."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import pytest
import trustme
from fault_samples import (
    CONTENTS,
    FAR,
    GAP,
    READS,
    WRITES,
    Expected,
    after,
    body,
    every,
    in_time,
    outcome,
    parts,
)
from servers import bad_s3 as bad
from servers import raw_server as raw
from servers.bad_s3 import BadS3, bad_s3, refuse
from servers.raw_server import Behaviour, always, running

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
)
from storekit.stores.object import ObjectStore

LOST, LATE, BAD = ConnectionLostError, TimeoutError, ServerError
BUSY, DENIED, OTHER = RateLimitedError, AccessDeniedError, StoreError
HTML = b"<html><h1>Bad gateway</h1></html>"
SOON = timedelta(milliseconds=1)
OFTEN = 1000  # attempts that are enough for a busy machine to be in time once


class Fault(NamedTuple):
    """
    How a server misbehaves, what comes of it if it lasts, and which kinds of operation are repeated
    and right if it passes.
    """

    behaviour: Behaviour
    expected: Expected
    passes: str = ""


ALL, OBJECTS = "get part end head index write", "get part end head"
# obstore reads a byte to know about an object, so that a body concerns this, too.
BODY = body(LOST)._replace(head=LOST)
FAULTS: dict[str, Fault] = {
    "ignores ranges": Fault(raw.ignore_ranges, Expected()),
    "shifts ranges": Fault(raw.shift_ranges, Expected()),
    "no Content-Range": Fault(bad.without("Content-Range"), Expected()),
    "cuts short": Fault(raw.cut_short, BODY, OBJECTS),
    "goes on, and closes": Fault(raw.close_behind, Expected(), ALL),
    "no length": Fault(raw.without_length, Expected(OTHER, OTHER, OTHER, OTHER)),
    "broken chunks": Fault(raw.break_chunks, Expected(OTHER, OTHER, OTHER, OTHER, LOST)),
    "reset before": Fault(raw.reset_before, every(LOST), f"{OBJECTS} index"),
    "closed before": Fault(raw.close_before, every(LOST), ALL),
    "reset inside": Fault(raw.reset_inside, BODY, OBJECTS),
    "500": Fault(refuse(500, "InternalError"), every(BAD), ALL),
    "502": Fault(always(502, HTML), every(BAD), ALL),
    "504": Fault(always(504), every(BAD), ALL),
    "501": Fault(refuse(501, "NotImplemented"), every(BAD)),
    "503": Fault(always(503), every(BUSY), ALL),
    "503 SlowDown": Fault(refuse(503, "SlowDown", Retry_After="7"), every(BUSY), ALL),
    "429": Fault(always(429, Retry_After="7"), every(BUSY), ALL),
    "408": Fault(always(408), every(LATE), ALL),
    "401": Fault(always(401), every(DENIED)),
    "407": Fault(always(407), every(DENIED)),
    "403": Fault(refuse(403, "AccessDenied"), every(DENIED)),
    "400": Fault(refuse(400, "InvalidArgument"), every(OTHER)),
    "409": Fault(refuse(409, "OperationAborted"), every(OTHER)),
    "418": Fault(always(418), every(OTHER)),
    "304": Fault(always(304), every(OTHER)),
    "301 to a region": Fault(
        refuse(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1"), every(OTHER)
    ),
    "redirect in circles": Fault(raw.redirect_to_itself, every(OTHER)),
    "no bucket": Fault(refuse(404, "NoSuchBucket"), every(OTHER)),
    "299": Fault(always(299, b"what?"), Expected(BAD, BAD, BAD, BAD, OTHER)),
    "login page": Fault(always(200, HTML), Expected(BAD, BAD, BAD, BAD)),
    "no ETag": Fault(bad.without("ETag"), Expected(BAD, BAD, BAD, BAD)),
    "other ETags": Fault(bad.other_etags, Expected()),
    "no date": Fault(bad.without("Last-Modified"), Expected()),
    "nothing": Fault(bad.empty, Expected(BAD, BAD, BAD, BAD, OTHER)),
    "broken XML": Fault(bad.broken_xml, Expected(index=OTHER)),
}
# A page of a proxy is to obstore a listing without entries; the docs say so.
READ_FAULTS = [
    (read, fault)
    for read in READS
    for fault in FAULTS
    if not (fault == "login page" and READS[read][0] == "index")
]


@pytest.fixture
def server() -> Iterator[BadS3]:
    """A server with values."""
    with bad_s3() as server:
        server.contents.update(CONTENTS)
        yield server


def opened(server: BadS3, retries: int = 4, timeout: str = "60s") -> Any:
    """A store that waits little between attempts."""
    store = ObjectStore(
        "s3://bucket",
        retry_config={
            "max_retries": retries,
            "retry_timeout": timedelta(hours=1),
            "backoff": {"init_backoff": SOON, "max_backoff": SOON},
        },
        client_options={"read_timeout": timeout, "timeout": "60s"},
        **server.obstore,
    )
    store.request_cost = GAP
    return store


@pytest.fixture
def store(server: BadS3) -> Any:
    """A store that tries some times, and waits for long."""
    return opened(server)


def tried(ask: Callable[[Any], Any], store: Any) -> Any:
    """What a store answers, or the error."""
    try:
        return ask(store)
    except StoreError as error:
        return error


@pytest.mark.parametrize(("read", "fault"), READ_FAULTS)
def test_a_read_is_right_or_fails_as_documented(
    server: BadS3, store: Any, read: str, fault: str
) -> None:
    """While a server misbehaves, each read gives what is there or the documented error."""
    kind, ask, answer = READS[read]
    error = getattr(FAULTS[fault].expected, kind)
    server.misbehave(FAULTS[fault].behaviour)
    if error is None:
        assert ask(store) == answer
    else:
        with pytest.raises(StoreError) as caught:
            ask(store)
        assert type(caught.value) is error
        assert "the secret" not in str(caught.value)
    server.behave()
    assert ask(store) == answer


@pytest.mark.parametrize(
    ("read", "fault"), [pair for pair in READ_FAULTS if FAULTS[pair[1]].passes]
)
def test_a_read_is_made_again(server: BadS3, store: Any, read: str, fault: str) -> None:
    """After what passes, a read is tried again and right; or it is the error of what lasts."""
    kind, ask, answer = READS[read]
    behaviour, expected, passes = FAULTS[fault]
    server.misbehave(behaviour, 1)
    found = tried(ask, store)
    if isinstance(found, StoreError) and kind not in passes.split():
        assert type(found) is getattr(expected, kind)
    else:
        assert found == answer


def test_ranges_that_are_ignored_cost_few_requests(server: BadS3, store: Any) -> None:
    """Where ranges are ignored, the whole is read soon."""
    server.misbehave(raw.ignore_ranges)
    assert parts(FAR[:1], store) == [CONTENTS["a/b"][19_000:19_050]]
    assert len(server.requests) <= 4


@pytest.mark.parametrize("behaviour", [refuse(404, "NoSuchKey"), refuse(410, "Gone")])
def test_only_this_means_absence(server: BadS3, store: Any, behaviour: Behaviour) -> None:
    """What the server knows no key of, or has no more, is absent; at once, without another
    attempt."""
    server.misbehave(behaviour)
    for ask in (store.get, store.getsize, store.get_versioned):
        with pytest.raises(KeyNotFoundError):
            ask("a/b")
    assert not store.exists("a/b")
    assert parts(FAR, store) == [None] * 3
    assert len(server.requests) <= 9


@pytest.mark.parametrize("ask", [READS["list"][1], READS["list_dir"][1], WRITES["erase"][0]])
@pytest.mark.parametrize("status", [404, 410])
def test_a_listing_or_an_erasure_that_is_gone_is_an_error(
    server: BadS3, store: Any, ask: Callable[[Any], Any], status: int
) -> None:
    """What is not about one value is no absence: an empty listing would be other data."""
    server.misbehave(always(status))
    with pytest.raises(StoreError) as caught:
        ask(store)
    assert type(caught.value) is StoreError


def test_what_the_server_was_sent_is_not_shown(server: BadS3, store: Any) -> None:
    """Of an answer that fails the code and the message are shown, and not what it repeats."""

    def repeat(exchange: Any) -> None:
        sent = f"{exchange.headers}the+secret%20of the tests{exchange.target}" * 50
        about = "Wrong region; expecting 'eu' for the secret of the tests"
        body = f"<Error><Code>Wrong</Code><Message>{about}</Message><Sent>{sent}</Sent></Error>"
        exchange.answer(400, {}, body.encode())

    server.misbehave(repeat)
    with pytest.raises(StoreError) as caught:
        store.get("a/b")
    told = str(caught.value)
    assert "400 Bad Request: Wrong: Wrong region; expecting 'eu' for ***" in told
    assert "Signature" not in told
    assert "authorization" not in told
    server.misbehave(lambda exchange: exchange.answer(400, {}, str(exchange.headers).encode()))
    with pytest.raises(StoreError) as caught:
        store.get("a/b")
    assert str(caught.value).endswith("400 Bad Request")


def test_an_unknown_authority_is_no_lost_connection() -> None:
    """That a certificate is not trusted will not pass."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with running(context, BadS3) as server:
        store = opened(server, 0)
        for read in ("get", "exists", "far parts", "list"):
            with pytest.raises(StoreError, match="certificate") as caught:
                READS[read][1](store)
            assert type(caught.value) is StoreError
            assert not caught.value.retryable


@pytest.mark.parametrize("behaviour", [raw.stall_before, raw.stall_inside])
@pytest.mark.parametrize("read", READS)
def test_a_read_that_stalls_is_late(server: BadS3, read: str, behaviour: Behaviour) -> None:
    """A server that goes silent is given up after the timeout of the client."""
    store = opened(server, 0, "100ms")
    server.misbehave(behaviour)
    with pytest.raises(TimeoutError):
        READS[read][1](store)


@pytest.mark.parametrize("behaviour", [raw.stall_before, raw.stall_inside])
@pytest.mark.parametrize("read", [read for read in READS if READS[read][0] != "index"])
def test_a_read_that_stalled_is_made_again(server: BadS3, read: str, behaviour: Behaviour) -> None:
    """After a silence a read is tried again."""
    store = opened(server, OFTEN, "100ms")
    server.misbehave(behaviour, 1)
    assert READS[read][1](store) == READS[read][2]


# --- writes

CHANGES = ("PUT", "POST", "DELETE")
CONDITIONAL = {"set_partial_values", "compare_and_set", "create"}


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if FAULTS[fault].expected.write])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_fails_as_documented(server: BadS3, store: Any, fault: str, write: str) -> None:
    """While a server refuses changes, each write is the documented error, and nothing else has
    changed."""
    behaviour, expected, _ = FAULTS[fault]
    server.misbehave(behaviour, float("inf"), *CHANGES)
    with pytest.raises(StoreError) as caught:
        WRITES[write][0](store)
    # With a condition a refusal is a conflict, though here for ever.
    conditional = {"409": CONDITIONAL, "304": {"create"}}.get(fault, set())
    assert type(caught.value) is (ConflictError if write in conditional else expected.write)
    assert server.contents == CONTENTS


@pytest.mark.parametrize("fault", [f for f in FAULTS if "write" in FAULTS[f].passes])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_is_made_again(server: BadS3, store: Any, fault: str, write: str) -> None:
    """After what may pass a write is tried again, and has its effect."""
    server.misbehave(FAULTS[fault].behaviour, 1, *CHANGES)
    WRITES[write][0](store)
    assert server.contents == after(write)


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_stalls_is_late(server: BadS3, write: str) -> None:
    """A server that does not answer is given up, and nothing has changed."""
    store = opened(server, 0, "100ms")
    server.misbehave(raw.stall_before, float("inf"), *CHANGES)
    with pytest.raises(TimeoutError):
        WRITES[write][0](store)
    assert server.contents == CONTENTS


@pytest.mark.parametrize("behaviour", [raw.reset_behind, bad.done_but_failed])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_whose_answer_is_lost(
    server: BadS3, store: Any, write: str, behaviour: Behaviour
) -> None:
    """A write that was done though its answer was lost is right or an error, and never half done
    or a conflict with itself."""
    server.misbehave(behaviour, 1, *CHANGES)
    error = tried(WRITES[write][0], store)
    if isinstance(error, StoreError):
        assert type(error) is LOST
    else:
        assert server.contents == after(write)
    for key, value in server.contents.items():
        assert value in (CONTENTS.get(key), WRITES[write][1].get(key))


@pytest.mark.parametrize(
    "fault", ["cuts short", "reset inside", "nothing", "broken XML", "login page", "299"]
)
@pytest.mark.parametrize("write", [write for write in WRITES if write.startswith("erase")])
def test_an_erasure_without_its_answer_is_an_error(
    server: BadS3, store: Any, fault: str, write: str
) -> None:
    """A server that does not say which keys are gone is not taken at a word that it did not give.

    For `erase` of a key, too: several are removed by one request, and one as well.
    """
    server.misbehave(FAULTS[fault].behaviour, float("inf"), *CHANGES)
    with pytest.raises(StoreError):
        WRITES[write][0](store)


@pytest.mark.parametrize("write", [write for write in WRITES if write.startswith("erase")])
def test_keys_that_stay_are_an_error(server: BadS3, store: Any, write: str) -> None:
    """A server that answers to a request for several which of them it keeps has refused."""
    server.misbehave(bad.refuse_keys, float("inf"), *CHANGES)
    with pytest.raises(StoreError, match="Denied"):
        WRITES[write][0](store)
    assert server.contents == CONTENTS


# --- arrays and defaults


@pytest.mark.parametrize("fault", [*FAULTS, "stalls before", "stalls inside"])
def test_no_fault_becomes_fill_values(server: BadS3, store: Any, fault: str) -> None:
    """An array over a server that misbehaves reads its data or raises; no fill values appear."""
    data = np.arange(1, 65, dtype="u2").reshape(8, 8)
    ZarrArray.create(store, "x", data=data, chunks=(4, 4), fill_value=0, codecs="none")
    stalls = fault.startswith("stalls")
    behaviour = (
        {"stalls before": raw.stall_before, "stalls inside": raw.stall_inside}[fault]
        if stalls
        else FAULTS[fault].behaviour
    )
    expected = every(LATE) if stalls else FAULTS[fault].expected
    asked = opened(server, 0, "100ms") if stalls else store
    array: Any = in_time(lambda store: open_zarr(store, "x"), asked)
    server.misbehave(behaviour)
    for selection in (np.s_[...], np.s_[2:7, 3:5], np.s_[1, 1]):
        found = outcome(array, selection)
        if isinstance(found, StoreError):
            assert type(found) in (expected.get, expected.part)
        else:
            assert expected.get is None or expected.part is None
            assert (found == data[selection]).all()


def test_what_fails_for_long_is_given_up_soon(server: BadS3) -> None:
    """Without options a store waits less for what fails than obstore would; options go before."""
    usual: Any = ObjectStore("s3://bucket", **server.obstore)
    client = usual._backend.client
    assert client.client_options["read_timeout"] == "30s"
    assert client.retry_config["retry_timeout"] == timedelta(seconds=45)
    told = opened(server, 3, "7s")._backend.client
    assert told.client_options["read_timeout"] == "7s"
    assert told.client_options["connect_timeout"] == "10s"
    assert told.retry_config["retry_timeout"] == timedelta(hours=1)


def test_a_server_that_takes_nothing_is_late() -> None:
    """A value that nobody reads is a timeout, not a wait for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TimeoutError):
            opened(BadS3(url), 0, "100ms").set("a", bytes(4 << 20))
