"""What s3fs and fsspec's HTTP make of servers that misbehave is no absence, and no other data."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import numpy as np
import pytest
import s3fs
import trustme
from fault_samples import (
    CONTENTS,
    GAP,
    READS,
    WRITES,
    Expected,
    after,
    body,
    every,
    in_time,
    outcome,
)
from fsspec.implementations.http import HTTPFileSystem
from servers import bad_s3 as bad
from servers import raw_server as raw
from servers.bad_s3 import BadS3, bad_s3, refuse
from servers.raw_server import Behaviour, RawServer, always, running

from storekit import ZarrArray, open_zarr
from storekit.errors import (
    AccessDeniedError,
    ConnectionLostError,
    KeyNotFoundError,
    RateLimitedError,
    ServerError,
    StoreError,
    TimeoutError,
    UnsupportedError,
)
from storekit.stores.fsspec import FsspecStore

LOST, LATE, BAD = ConnectionLostError, TimeoutError, ServerError
BUSY, DENIED, OTHER = RateLimitedError, AccessDeniedError, StoreError
HTML = b"<html><h1>Bad gateway</h1></html>"
STALLS = 0.1  # seconds after which a stalling server is given up
LONG = 60


class Site(NamedTuple):
    """A server, and the place of its values with a file system that waits long, and with one that
    does not."""

    server: Any
    place: str
    patient: Any
    hasty: Any

    def open(self, hasty: bool = False) -> Any:
        """A store of the values."""
        store = FsspecStore(self.hasty if hasty else self.patient, self.place)
        store.request_cost = GAP
        return store


def s3_system(server: BadS3, seconds: float) -> Any:
    """An s3fs that tries once."""
    waits = {"connect_timeout": LONG, "read_timeout": seconds, "retries": {"max_attempts": 0}}
    fs = s3fs.S3FileSystem(skip_instance_cache=True, config_kwargs=waits, **server.s3fs)
    fs.retries = 1
    return fs


def http_system(seconds: float) -> Any:
    """fsspec's HTTP."""
    timeout = aiohttp.ClientTimeout(total=LONG, sock_read=seconds)
    return HTTPFileSystem(skip_instance_cache=True, client_kwargs={"timeout": timeout})


@pytest.fixture(scope="module")
def s3_site() -> Iterator[Site]:
    """An S3 server, for all tests here: to make an s3fs takes long."""
    with bad_s3() as server:
        yield Site(server, "bucket", s3_system(server, LONG), s3_system(server, STALLS))


@pytest.fixture(scope="module")
def http_site() -> Iterator[Site]:
    """A web server, for all tests here."""
    with running(kind=RawServer) as server:
        yield Site(server, server.url, http_system(LONG), http_system(STALLS))


@pytest.fixture
def site(request: pytest.FixtureRequest, kind: str) -> Site:
    """The server of a kind, as new."""
    site: Site = request.getfixturevalue(f"{kind}_site")
    site.server.behave()
    site.server.contents.clear()
    site.server.contents.update(CONTENTS)
    for hasty in (False, True):  # connections that broke are left behind by this
        assert in_time(READS["exists"][1], site.open(hasty))
    site.server.requests.clear()
    return site


class Fault(NamedTuple):
    """How a server misbehaves, and what comes of it over S3 and over HTTP; None if it is not tried
    there."""

    behaviour: Behaviour
    s3: Expected | None
    http: Expected | None


def both(behaviour: Behaviour, error: type[StoreError]) -> Fault:
    """The same error of each operation over both."""
    return Fault(behaviour, every(error), every(error))


def part_as_the_whole(exchange: Any) -> None:
    """Send the beginning, whatever was asked for, and say so."""
    _, headers, body = exchange.server.right(exchange)
    span = {"Content-Range": f"bytes 0-4/{len(body)}"}
    exchange.answer(206, {**headers, **span}, body[:5])


def grown(exchange: Any) -> None:
    """Send more than the part that the headers say it is."""
    status, headers, body = exchange.server.right(exchange)
    exchange.answer(status, headers, body + b"!" if status == 206 else body)


def zipped_parts(exchange: Any) -> None:
    """Send parts compressed, in a chunk, which tells no length."""
    status, headers, body = exchange.server.right(exchange)
    if status != 206:
        exchange.answer(status, headers, body)
        return
    body = gzip.compress(body)
    coded = {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"}
    exchange.send(raw.head(status, {**headers, **coded}))
    exchange.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))


S3_BODY = Expected(LOST, LOST, LOST, None, LOST)
FAULTS: dict[str, Fault] = {
    "ignores ranges": Fault(raw.ignore_ranges, Expected(), Expected()),
    "shifts ranges": Fault(raw.shift_ranges, Expected(), Expected(part=BAD, end=BAD)),
    "no Content-Range": Fault(
        bad.without("Content-Range"), Expected(), Expected(part=BAD, end=BAD)
    ),
    "part as the whole": Fault(part_as_the_whole, None, every(OTHER)),
    "more than the part": Fault(grown, None, Expected(part=BAD, end=BAD)),
    "compressed": Fault(raw.zip_up, None, Expected()),
    "compressed parts": Fault(zipped_parts, None, Expected(part=BAD, end=BAD)),
    "cuts short": Fault(raw.cut_short, S3_BODY, body(LOST)),
    "chunked": Fault(raw.chunked, None, Expected()),
    "no length": Fault(raw.without_length, None, every(UnsupportedError)),
    "reset before": both(raw.reset_before, LOST),
    "closed before": both(raw.close_before, LOST),
    "reset inside": Fault(raw.reset_inside, S3_BODY, body(LOST)),
    "closes behind": Fault(raw.close_behind, Expected(), Expected()),
    "500": both(refuse(500, "InternalError"), BAD),
    "502": both(always(502, HTML), BAD),
    "501": both(refuse(501, "NotImplemented"), BAD),
    "503": both(always(503), BUSY),
    "503 SlowDown": both(refuse(503, "SlowDown", Retry_After="7"), BUSY),
    "429": both(always(429, Retry_After="7"), BUSY),
    "408": both(always(408), LATE),
    "407": both(always(407), DENIED),
    "401": both(always(401), DENIED),
    "403": both(refuse(403, "AccessDenied"), DENIED),
    "400": both(refuse(400, "InvalidArgument"), OTHER),
    "409": both(refuse(409, "OperationAborted"), OTHER),
    "418": both(always(418), OTHER),
    "301 to a region": Fault(
        refuse(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1"), every(OTHER), None
    ),
    "redirect in circles": Fault(raw.redirect_to_itself, None, every(OTHER)),
    "redirect to ftp": Fault(always(302, Location="ftp://host/x"), None, every(OTHER)),
    "redirect to a file": Fault(always(302, Location="file:///etc/hosts"), None, every(OTHER)),
    "redirect to nothing": Fault(always(302, Location="about:blank"), None, every(OTHER)),
    "redirect to no URL": Fault(always(302, Location="http://[/x"), None, every(OTHER)),
    "202": Fault(always(202, b"soon"), None, every(OTHER)),
    "203": Fault(always(203, HTML), None, every(OTHER)),
    "300": Fault(always(300, HTML), None, every(OTHER)),
    "304": Fault(always(304), None, every(OTHER)),
    "no bucket": Fault(refuse(404, "NoSuchBucket"), every(OTHER), None),
    "other ETags": Fault(bad.other_etags, Expected(), Expected()),
    "broken XML": Fault(bad.broken_xml, Expected(index=BAD), None),
}
KINDS = {
    "s3": [name for name in FAULTS if FAULTS[name].s3 is not None],
    "http": [name for name in FAULTS if FAULTS[name].http is not None],
}
ASKED = {"s3": set(READS) - {"get_versioned"}, "http": {*READS} - {"get_versioned"}}
ASKED["http"] -= {read for read in READS if READS[read][0] == "index"}
CASES = [
    (kind, read, fault) for kind in KINDS for read in sorted(ASKED[kind]) for fault in KINDS[kind]
]


def expected(fault: str, kind: str) -> Expected:
    """What comes of a fault over a kind."""
    return getattr(FAULTS[fault], kind)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("kind", "read", "fault"), CASES)
def test_a_read_is_right_or_fails_as_documented(
    site: Site, kind: str, read: str, fault: str
) -> None:
    """While a server misbehaves, each read gives what is there or the documented error."""
    of, ask, answer = READS[read]
    error = getattr(expected(fault, kind), of)
    store = site.open()
    site.server.misbehave(FAULTS[fault].behaviour)
    if error is None:
        assert ask(store) == answer
    else:
        with pytest.raises(StoreError) as caught:
            ask(store)
        assert type(caught.value) is error
        if isinstance(caught.value, RateLimitedError) and "429" in fault and of != "index":
            assert caught.value.retry_after == 7
    site.server.behave()
    assert ask(store) == answer


@pytest.mark.parametrize("behaviour", [raw.stall_before, raw.stall_inside])
@pytest.mark.parametrize(("kind", "read"), sorted({(kind, read) for kind, read, _ in CASES}))
def test_a_read_that_stalls_is_late(site: Site, kind: str, read: str, behaviour: Behaviour) -> None:
    """A server that goes silent is given up after the timeout of the file system."""
    silent = behaviour is raw.stall_before or READS[read][0] != "head"
    site.server.misbehave(behaviour)
    if silent:
        with pytest.raises(TimeoutError):
            READS[read][1](site.open(hasty=True))
    else:
        assert in_time(READS[read][1], site.open(hasty=True)) == READS[read][2]


@pytest.mark.parametrize("kind", ["s3", "http"])
@pytest.mark.parametrize("behaviour", [refuse(404, "NoSuchKey"), refuse(410, "Gone")])
def test_only_this_means_absence(site: Site, kind: str, behaviour: Behaviour) -> None:
    """What the server knows no key of, or has no more, is absent; that is no empty listing."""
    site.server.misbehave(behaviour)
    store = site.open()
    for ask in (store.get, store.getsize):
        with pytest.raises(KeyNotFoundError):
            ask("a/b")
    assert not store.exists("a/b")
    assert store.get_partial_values([("a/b", 0, 1)]) == [None]
    assert store.get_partial_values([("a/b", 0, 1), ("a/b", -1, None)]) == [None, None]
    if kind == "s3":
        with pytest.raises(StoreError):
            store.list()


@pytest.mark.parametrize("kind", ["http"])
@pytest.mark.parametrize("behaviour", [always(202, HTML), raw.without_length, part_as_the_whole])
@pytest.mark.parametrize("cache", ["simplecache", "filecache", "slow"])
def test_answers_are_looked_at_in_chains(
    site: Site, kind: str, behaviour: Behaviour, cache: str, tmp_path: Path
) -> None:
    """What comes over HTTP is looked at, too, where other file systems are around it."""
    options = {"latency": 0} if cache == "slow" else {"cache_storage": str(tmp_path)}
    options["skip_instance_cache"] = True
    store: Any = FsspecStore(f"{cache}::{site.place}", storage_options={cache: options})
    site.server.misbehave(behaviour)
    for read in ("get", "exists", "one part", "both ends"):
        with pytest.raises(StoreError) as caught:
            READS[read][1](store)
        assert not isinstance(caught.value, KeyNotFoundError)
    site.server.behave()
    assert store.get("a/b") == CONTENTS["a/b"]


@pytest.mark.parametrize("kind", ["http"])
@pytest.mark.parametrize("encoding", ["gzip, gzip", "x-gzip", "secret"])
def test_an_encoding_that_stays_is_refused(site: Site, kind: str, encoding: str) -> None:
    """What aiohttp would hand on as it came is no value."""

    def encode(exchange: Any) -> None:
        status, headers, body = exchange.server.right(exchange)
        exchange.answer(status, {**headers, "Content-Encoding": encoding}, gzip.compress(body))

    site.server.misbehave(encode)
    for read in ("get", "getsize", "one part"):
        with pytest.raises(UnsupportedError, match=encoding):
            READS[read][1](site.open())


def test_an_unknown_authority_is_no_lost_connection() -> None:
    """That a certificate is not trusted will not pass, over HTTP and over S3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with running(context) as server:
        s3 = s3_system(BadS3(server.url), LONG)
        for store in (FsspecStore(server.url), FsspecStore(s3, "bucket")):
            for read in ("get", "exists", "one part"):
                with pytest.raises(StoreError, match="CERTIFICATE") as caught:
                    READS[read][1](store)
                assert type(caught.value) is StoreError
                assert not caught.value.retryable


@pytest.mark.parametrize("kind", ["s3"])
@pytest.mark.parametrize("behaviour", [bad.empty, always(200, HTML), always(299, b"what?")])
@pytest.mark.parametrize("read", ["list", "list_dir", "exists", "getsize", "far parts"])
def test_an_answer_that_is_none_is_an_error(
    site: Site, kind: str, behaviour: Behaviour, read: str
) -> None:
    """An empty answer is no empty listing, and a page of somebody else no object."""
    site.server.misbehave(behaviour)
    with pytest.raises(StoreError) as caught:
        READS[read][1](site.open())
    assert not isinstance(caught.value, KeyNotFoundError)


@pytest.mark.parametrize("kind", ["s3"])
@pytest.mark.parametrize("late", [bad.empty, bad.broken_xml, always(200, HTML)])
def test_a_listing_is_whole(
    site: Site, kind: str, late: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages of a listing are read; one that is none is an error of the whole."""
    monkeypatch.setattr(site.server, "page", 1)
    store = site.open()
    assert store.list() == sorted(CONTENTS)
    assert store.list_dir("") == ["a/", "d"]
    for ask in (store.list, lambda: store.list_dir("")):
        site.server.misbehave(_after_one(late))
        with pytest.raises(StoreError):
            ask()


def _after_one(behaviour: Behaviour) -> Behaviour:
    """Answer the first request as it should be, and misbehave then."""
    answered: list[bool] = []

    def behave(exchange: Any) -> None:
        if answered:
            behaviour(exchange)
        else:
            answered.append(True)
            exchange.answer(*exchange.server.right(exchange))

    return behave


# --- writes

CHANGES = ("PUT", "POST", "DELETE")
DONE = sorted(WRITES.keys() - {"compare_and_set", "create"})


@pytest.mark.parametrize("kind", ["s3"])
@pytest.mark.parametrize("fault", [name for name in KINDS["s3"] if expected(name, "s3").write])
@pytest.mark.parametrize("write", DONE)
def test_a_write_fails_as_documented(site: Site, kind: str, fault: str, write: str) -> None:
    """While a server refuses changes, each write is the documented error, and nothing has
    changed."""
    site.server.misbehave(FAULTS[fault].behaviour, float("inf"), *CHANGES)
    with pytest.raises(StoreError) as caught:
        WRITES[write][0](site.open())
    assert type(caught.value) is expected(fault, "s3").write
    assert site.server.contents == CONTENTS


@pytest.mark.parametrize("kind", ["s3"])
@pytest.mark.parametrize("write", DONE)
def test_a_write_that_stalls_is_late(site: Site, kind: str, write: str) -> None:
    """A server that does not answer is given up, and nothing has changed."""
    site.server.misbehave(raw.stall_before, float("inf"), *CHANGES)
    with pytest.raises(TimeoutError):
        WRITES[write][0](site.open(hasty=True))
    assert site.server.contents == CONTENTS


@pytest.mark.parametrize("kind", ["s3"])
@pytest.mark.parametrize(
    ("behaviour", "error"),
    [(bad.empty, OTHER), (bad.refuse_keys, DENIED), (bad.broken_xml, BAD), (raw.cut_short, LOST)],
)
@pytest.mark.parametrize("write", ["erase_values", "erase_prefix"])
def test_keys_that_may_have_stayed_are_an_error(
    site: Site, kind: str, write: str, behaviour: Behaviour, error: type[StoreError]
) -> None:
    """A server that refuses to erase single keys, or does not say that they are gone, is not taken
    to have erased them."""
    site.server.misbehave(behaviour, float("inf"), *CHANGES)
    with pytest.raises(StoreError) as caught:
        WRITES[write][0](site.open())
    assert type(caught.value) is error


@pytest.mark.parametrize("kind", ["s3"])
@pytest.mark.parametrize("write", DONE)
def test_writes_are_done(site: Site, kind: str, write: str) -> None:
    """While the server behaves, each write has its effect."""
    WRITES[write][0](site.open())
    assert site.server.contents == after(write)


@pytest.mark.parametrize("name", ["get", "set"])
def test_s3fs_makes_requests_again(name: str) -> None:
    """With its own settings s3fs tries again after a failure."""
    with bad_s3() as server:
        server.contents.update(CONTENTS)
        fs = s3fs.S3FileSystem(skip_instance_cache=True, **server.s3fs)
        server.misbehave(always(500), 1)
        ask, answer = (WRITES[name][0], None) if name == "set" else READS[name][1:]
        assert ask(FsspecStore(fs, "bucket")) == answer


# --- arrays


@pytest.mark.parametrize(
    ("kind", "fault"),
    [(kind, fault) for kind in KINDS for fault in [*KINDS[kind], "stalls before", "stalls inside"]],
)
def test_no_fault_becomes_fill_values(site: Site, kind: str, fault: str) -> None:
    """An array over a server that misbehaves reads its data or raises; no fill values appear."""
    data = np.arange(1, 65, dtype="u2").reshape(8, 8)
    memory: dict[str, bytes] = {}
    source = FsspecStore("memory://faults")
    ZarrArray.create(source, "x", data=data, chunks=(4, 4), fill_value=0, codecs="none")
    memory.update({key: bytes(source.get(key)) for key in source.list()})
    source.erase_prefix("")
    site.server.contents.update(memory)
    stalls = {"stalls before": raw.stall_before, "stalls inside": raw.stall_inside}
    errors = every(LATE) if fault in stalls else expected(fault, kind)
    store = site.open(hasty=fault in stalls)
    array: Any = in_time(lambda store: open_zarr(store, "x"), store)
    site.server.misbehave(stalls[fault] if fault in stalls else FAULTS[fault].behaviour)
    for selection in (np.s_[...], np.s_[2:7, 3:5], np.s_[1, 1]):
        found = outcome(array, selection)
        if isinstance(found, StoreError):
            assert type(found) in (errors.get, errors.part)
        else:
            assert errors.get is None or errors.part is None
            assert (found == data[selection]).all()
