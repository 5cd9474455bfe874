"""What an HTTPStore asks for, whom it trusts, and what it never shows."""

from __future__ import annotations

import copy
import http.client
import logging
import pickle
import threading
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from forking import in_child
from servers import raw_server as raw
from servers.raw_server import Exchange, RawServer, always, running
from store_samples import FakeClock, count_up

from storekit.errors import (
    AccessDeniedError,
    ConflictError,
    ConnectionLostError,
    KeyNotFoundError,
    ReadOnlyError,
    ServerError,
    StoreError,
    UnsupportedError,
)
from storekit.stores import (
    ConditionalStore,
    Latency,
    ListableStore,
    WrapperStore,
    WritableStore,
    _http_lists,
    _http_reply,
)
from storekit.stores.http import HTTPRequest, HTTPStore
from storekit.stores.retries import RetryPolicy

ONCE = RetryPolicy(attempts=1)
SECRETS = ("s3cr3t", "passw0rd", "t0k3n", "s1gn4ture")


@pytest.fixture
def server() -> Iterator[RawServer]:
    """A server with one value."""
    with running() as server:
        server.contents["a/b"] = bytes(range(256)) * 40
        yield server


@pytest.fixture
def other() -> Iterator[RawServer]:
    """Another one."""
    with running() as server:
        server.contents["a/b"] = b"elsewhere"
        yield server


def near(url: str, **options: Any) -> Any:
    """A store that gives up at once."""
    return HTTPStore(url, **{"retry": ONCE, **options})


# --- what it is


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({}, {ListableStore}),
        ({"listable": False}, set()),
        ({"writable": True}, {ListableStore, WritableStore}),
        (
            {"writable": True, "conditional": True, "listable": False},
            {WritableStore, ConditionalStore},
        ),
    ],
)
def test_capabilities_show_in_the_class(options: Any, kinds: set[type]) -> None:
    """A store is an instance of what it can do, also as a copy, and in a wrapper."""
    store: Any = HTTPStore("http://host/x", **options)
    for each in (
        store,
        copy.deepcopy(store),
        pickle.loads(pickle.dumps(store)),
        WrapperStore(store),
    ):
        for kind in (ListableStore, WritableStore, ConditionalStore):
            assert isinstance(each, kind) == (kind in kinds)
    assert isinstance(store, HTTPStore)
    assert type(store).__name__ == "HTTPStore"
    if WritableStore not in kinds:
        with pytest.raises(ReadOnlyError):
            store.set("a", b"")
    if ListableStore not in kinds:
        with pytest.raises(UnsupportedError):
            store.list()


def test_it_is_far_away() -> None:
    """Array code learns that requests take long, and how many at once help."""
    store = HTTPStore("http://host/x", concurrency=7)
    assert (store.latency, store.concurrency) == (Latency.NETWORK, 7)


def test_stores_are_equal_by_their_arguments() -> None:
    """Another URL, credential or ability makes another store; the identity is that of the place."""
    store = HTTPStore("http://host/x")
    assert store == HTTPStore("http://host/x")
    assert hash(store) == hash(HTTPStore("http://host/x"))
    for options in ({"auth": "t"}, {"headers": {"A": "b"}}, {"writable": True}):
        assert store != HTTPStore("http://host/x", **options)
        assert store.identity == HTTPStore("http://host/x/", **options).identity
    for url in ("http://host/y", "http://host/x?q", "http://host:81/x", "https://host/x"):
        assert store.identity != HTTPStore(url).identity


BAD_ARGUMENTS: list[tuple[Any, dict[str, Any], str]] = [
    ("ftp://host", {}, "http://"),
    ("host/path", {}, "http://"),
    ("http://", {}, "host"),
    ("http:///path", {}, "host"),
    ("http://host:port", {}, "port"),
    ("http://[::1", {}, "host"),
    ("http://ho st", {}, "white space"),
    ("http://host/a\nb", {}, "white space"),
    ("http://host/a#b", {}, "fragment"),
    ("http://host/a/../b", {}, "dots"),
    ("http://host/%2e%2e/b", {}, "dots"),
    (5, {}, "str"),
    ("http://host", {"timeout": 5}, "timeout"),
    ("http://host", {"timeout": (0, 1)}, "timeout"),
    ("http://host", {"timeout": (1, float("nan"))}, "timeout"),
    ("http://host", {"concurrency": 0}, "concurrency"),
    ("http://host", {"concurrency": True}, "concurrency"),
    ("http://host", {"retry": 3}, "retry"),
    ("http://host", {"headers": {"Range": "x"}}, "Range"),
    ("http://host", {"headers": {"A b": "x"}}, "name"),
    ("http://host", {"headers": {"A": "passw0rd\r\nB: c"}}, "printable"),
    ("http://host", {"headers": {"A": 5}}, "int"),
    ("http://host", {"auth": 5}, "auth"),
    ("http://host", {"auth": ("passw0rd",)}, "auth"),
    ("http://host", {"auth": ("us:er", "passw0rd")}, "auth"),
    ("http://host", {"auth": "passw0rd\n"}, "printable"),
    ("http://user:passw0rd@host", {"auth": "t0k3n"}, "auth"),
    ("http://host", {"auth": "t0k3n", "headers": {"authorization": "x"}}, "auth"),
    ("http://host", {"conditional": True}, "writable"),
    ("http://host", {"writable": 1}, "writable"),
    ("https://host", {"ca": "/nowhere/ca.pem"}, "ca"),
]


@pytest.mark.parametrize(("url", "options", "word"), BAD_ARGUMENTS)
def test_bad_arguments_are_refused(url: Any, options: dict[str, Any], word: str) -> None:
    """What makes no sense is an error when the store is made; it names the parameter, no secret."""
    with pytest.raises((ValueError, TypeError), match=word) as caught:
        HTTPStore(url, **options)
    assert not any(secret in str(caught.value) for secret in SECRETS)


# --- requests


def test_near_ranges_are_one_request(server: RawServer) -> None:
    """Ranges nearer than a request is worth come with one; those further apart with one each."""
    with near(server.url) as store:
        store.request_cost = 100
        asked = [("a/b", 5000, 10), ("a/b", 0, 10), ("a/b", 50, 10), ("a/b", -10, None)]
        values = store.get_partial_values(asked)
    assert [len(value) for value in values] == [10] * 4
    assert sorted(server.lines()) == [
        "GET /a/b bytes=-10",
        "GET /a/b bytes=0-59",
        "GET /a/b bytes=5000-5009",
    ]


def test_a_range_behind_the_end_costs_one_request(server: RawServer) -> None:
    """What begins behind the end is nothing; that is no reason to read the value again."""
    with near(server.url) as store:
        store.request_cost = 0
        asked = [("a/b", 0, 5), ("a/b", 1 << 20, 5), ("a/b", 1 << 70, 5)]
        assert [len(value) for value in store.get_partial_values(asked)] == [5, 0, 0]
    assert len(server.requests) == 2


def test_a_whole_value_is_asked_for_without_a_range(server: RawServer) -> None:
    """A range of all of a value is a plain request, which every cache knows."""
    with near(server.url) as store:
        for start in (0, -(1 << 70)):
            (value,) = store.get_partial_values([("a/b", start, None)])
            assert bytes(value) == server.contents["a/b"]
    assert server.lines() == ["GET /a/b"] * 2


def test_no_more_is_read_than_needed(server: RawServer) -> None:
    """From a server that ignores ranges, the answer is read to the last byte that is needed."""

    def send_for_ever(exchange: Exchange) -> None:
        exchange.send(raw.head(200, {"Content-Length": str(1 << 50)}))
        exchange.send(bytes(range(256)) * 8)
        exchange.hang()

    server.misbehave(send_for_ever)
    with near(server.url, timeout=(5, 100)) as store:  # longer than a test may take
        store.request_cost = 0
        one, two = store.get_partial_values([("a/b", 1000, 3), ("a/b", 10, 2)])
    assert (bytes(one), bytes(two)) == (bytes([232, 233, 234]), bytes([10, 11]))
    assert len(server.requests) == 1


def test_ranges_are_sent_side_by_side(server: RawServer) -> None:
    """When a server is known to answer ranges, all ranges of a value are under way at once."""
    barrier = threading.Barrier(3, timeout=10)

    def meet(exchange: Exchange) -> None:
        barrier.wait()
        exchange.answer(*server.right(exchange))

    with near(server.url, timeout=(5, 20)) as store:
        store.request_cost = 0
        store.get_partial_values([("a/b", 0, 1)])
        server.misbehave(meet)
        store.get_partial_values([("a/b", start, 1) for start in (0, 2, 4)])
    assert len(server.requests) == 4


def test_keys_are_asked_for_side_by_side(server: RawServer) -> None:
    """Parts of several keys are under way at once."""
    barrier = threading.Barrier(3, timeout=10)

    def meet(exchange: Exchange) -> None:
        barrier.wait()
        exchange.answer(*server.right(exchange))

    server.misbehave(meet)
    with near(server.url, timeout=(5, 20)) as store:
        assert store.get_partial_values([(key, 0, 1) for key in "xyz"]) == [None] * 3


def test_parts_are_of_one_state(server: RawServer) -> None:
    """A value that is replaced between two requests for its parts is read again, as a whole."""
    with near(server.url) as store:
        store.request_cost = 0

        def replace(exchange: Exchange) -> None:
            exchange.answer(*server.right(exchange))
            server.contents["a/b"] = b"n" * 5000
            server._versions.clear()

        server.misbehave(replace, 1)
        values = store.get_partial_values([("a/b", 0, 2), ("a/b", 4000, 2)])
    assert [bytes(value) for value in values] == [b"nn", b"nn"]
    assert server.lines()[-1] == "GET /a/b"


def test_connections_are_used_again(server: RawServer) -> None:
    """Requests one after the other, also for what is absent, take one connection."""
    with near(server.url, writable=True) as store:
        for _ in range(3):
            store.get("a/b")
            store.get_partial_values([("a/b", 5, 5), ("a/b", 5, 0)])
            assert not store.exists("missing")
            assert store.get_partial_values([("missing", 0, 1)]) == [None]
            store.list()
            store.set("c", b"x")
            store.erase("c")
    assert server.connections == 1


def test_a_server_without_head_is_asked_once(server: RawServer) -> None:
    """Whoever refuses HEAD is asked for one byte instead, from then on."""
    server.misbehave(raw.refuse_head)
    with near(server.url) as store:
        for _ in range(2):
            assert store.getsize("a/b") == 10240
            assert store.exists("a/b")
        assert not store.exists("missing")
    methods = [each.method for each in server.requests]
    assert methods == ["HEAD", *["GET"] * 5]


def test_encoded_values_have_the_size_of_their_bytes(server: RawServer) -> None:
    """A length that is that of a compressed body is not taken for the size of the value."""
    server.misbehave(raw.zip_up)
    with near(server.url) as store:
        assert store.getsize("a/b") == 10240
    assert {each.headers["accept-encoding"] for each in server.requests} == {"identity"}


def test_keys_and_queries_are_quoted(server: RawServer) -> None:
    """Keys are sent as they are, whatever they look like; the query of the URL goes with each."""
    server.contents["x y/a?b#c%2F&é"] = b"1"
    with near(f"{server.url}/x%20y/?sig=a/b%2Bc") as store:
        assert bytes(store.get("a?b#c%2F&é")) == b"1"
        assert store.list() == ["a?b#c%2F&é"]
    assert server.requests[0].target == "/x%20y/a%3Fb%23c%252F%26%C3%A9?sig=a/b%2Bc"
    assert server.requests[1].target == "/x%20y/?sig=a/b%2Bc"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_makes_connections_of_its_own(server: RawServer) -> None:
    """A store that was used goes on to work on both sides of a fork."""
    with near(server.url) as store:
        store.get("a/b")

        def work() -> None:
            assert len(store.get("a/b")) == 10240
            assert [len(part) for part in store.get_partial_values([("a/b", 0, 1)])] == [1]

        assert in_child(work) == 0
        store.get("a/b")
    assert server.connections == 2


def test_a_closed_store_connects_again(server: RawServer) -> None:
    """After `close` a store can still be used."""
    store = near(server.url)
    for _ in range(2):
        store.get("a/b")
        store.close()
    assert server.connections == 2


def test_nobody_listens() -> None:
    """A host without a server, and a name without a host, are lost connections, not absence."""
    with running() as server:
        url = server.url
    for gone in (url, "http://no-such-host.invalid"):
        with near(gone) as store, pytest.raises(ConnectionLostError, match="no connection to"):
            store.exists("a")


@pytest.mark.parametrize("headers", [{}, {"Content_Range": "bytes */10240"}])
def test_a_part_is_not_believed_to_be_missing(server: RawServer, headers: dict[str, str]) -> None:
    """A server that refuses a range of what it has, or does not say what it has, is asked for all
    of it."""
    for start in (5, -5):
        server.misbehave(always(416, **headers), 1)
        with near(server.url) as store:
            (part,) = store.get_partial_values([("a/b", start, 3)])
        assert bytes(part) == server.contents["a/b"][start:][:3]


def test_a_collection_that_cannot_be_seen_is_no_absence(server: RawServer) -> None:
    """If it cannot be found out whether a name without GET is a directory, that is the error."""

    def refuse(exchange: Exchange) -> None:
        if exchange.target.endswith("/"):
            exchange.reset()
        exchange.answer(405, {}, b"")

    server.misbehave(refuse)
    with near(server.url) as store:
        for ask in (store.exists, store.get):
            with pytest.raises(ConnectionLostError):
                ask("a")


# --- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: RawServer, other: RawServer, status: int) -> None:
    """Reads go where a server sends them."""
    server.misbehave(raw.redirect_to(other.url, status))
    with near(server.url) as store:
        assert bytes(store.get("a/b")) == b"elsewhere"
        assert [bytes(p) for p in store.get_partial_values([("a/b", -4, None)])] == [b"here"]
        assert store.getsize("a/b") == 9


@pytest.mark.parametrize("status", [307, 308])
def test_writes_are_redirected_as_they_are(
    server: RawServer, other: RawServer, status: int
) -> None:
    """A redirect that keeps the method is followed by a PUT, with its value."""
    server.misbehave(raw.redirect_to(other.url, status))
    with near(server.url, writable=True) as store:
        store.set("c", b"value")
    assert other.contents["c"] == b"value"
    assert "c" not in server.contents


@pytest.mark.parametrize("status", [301, 302, 303])
def test_writes_are_not_turned_into_reads(server: RawServer, other: RawServer, status: int) -> None:
    """A redirect that would make a GET of a PUT is an error."""
    server.misbehave(raw.redirect_to(other.url, status))
    with near(server.url, writable=True) as store, pytest.raises(StoreError) as caught:
        store.set("c", b"value")
    assert not isinstance(caught.value, KeyNotFoundError)
    assert other.requests == []


def test_a_directory_is_no_value(server: RawServer) -> None:
    """A redirect to the same name with a slash means a directory, whose index is no value."""
    server.misbehave(
        lambda exchange: exchange.answer(301, {"Location": f"{exchange.target}/"}, b"")
    )
    with near(server.url) as store:
        assert not store.exists("a")
        assert store.get_partial_values([("a", 0, 1)]) == [None]
        with pytest.raises(KeyNotFoundError, match="directory"):
            store.get("a")
    assert not any(line.endswith("/") for line in server.lines())


# --- trust


def sign(request: HTTPRequest) -> Mapping[str, str]:
    """A signature of a request."""
    return {"X-Signature": f"s1gn4ture of {request.method} {request.url.partition('?')[2]}"}


CREDENTIALS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "basic": ("", {"auth": ("user", "passw0rd")}, "authorization", "Basic dXNlcjpwYXNzdzByZA=="),
    "in the url": ("user:passw0rd@", {}, "authorization", "Basic dXNlcjpwYXNzdzByZA=="),
    "escaped": ("us%40er:p%3Aw@", {}, "authorization", "Basic dXNAZXI6cDp3"),
    "token": ("", {"auth": "t0k3n"}, "authorization", "Bearer t0k3n"),
    "function": ("", {"auth": sign}, "x-signature", "s1gn4ture of GET sig=s3cr3t"),
    "header": ("", {"headers": {"X-Key": "s3cr3t"}}, "x-key", "s3cr3t"),
}


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_credentials_are_sent_to_one_host_only(
    server: RawServer, other: RawServer, kind: str
) -> None:
    """Each request has them; one that another host redirects to has none, nor the query."""
    user, options, header, expected = CREDENTIALS[kind]
    url = f"http://{user}{server.url.removeprefix('http://')}/?sig=s3cr3t"
    with near(url, **options) as store:
        store.get("a/b")
        restored = pickle.loads(pickle.dumps(store))
        server.misbehave(
            lambda exchange: exchange.answer(302, {"Location": f"{other.url}/a/b"}, b"")
        )
        assert bytes(restored.get("a/b")) == b"elsewhere"
        restored.close()
    assert [each.headers.get(header) for each in server.requests] == [expected] * 2
    (request,) = other.requests
    assert header not in request.headers
    assert request.target == "/a/b"


@pytest.mark.parametrize("kind", CREDENTIALS)
@pytest.mark.parametrize(
    "behaviour", ["403", "reset", "gone", "redirect", "stall", "malformed", "both lengths"]
)
def test_secrets_are_never_shown(
    server: RawServer,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    behaviour: str,
) -> None:
    """No text that a user may get to see, of store, error or log, has a credential in it."""
    caplog.set_level(logging.DEBUG)
    user, options, _, expected = CREDENTIALS[kind]
    wrong = {
        "403": always(403),
        "reset": raw.reset_before,
        "gone": always(404),
        "redirect": always(302, Location="/x?sig=s3cr3t"),
        "stall": raw.stall_before,
        "malformed": raw.malformed(b"no field"),
        "both lengths": always(403, Transfer_Encoding="chunked"),
    }
    server.misbehave(wrong[behaviour])
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)  # prints what is sent
    url = f"http://{user}{server.url.removeprefix('http://')}/?sig=s3cr3t"
    with near(url, timeout=(5, 0.05), **options) as store, pytest.raises(StoreError) as caught:
        store.get("a/b")
    error = pickle.loads(pickle.dumps(caught.value))
    shown = [repr(store), str(store.identity), repr(error), caplog.text, *capsys.readouterr()]
    shown += traceback.format_exception(caught.value)
    for text in shown:
        for secret in (*SECRETS, expected.split()[-1], "p%3Aw", "us%40er"):
            assert secret not in text
    assert repr(store).startswith(f"HTTPStore('{server.url}/?...'")


def test_a_bad_answer_of_a_signing_function_is_refused(server: RawServer) -> None:
    """What a function returns is checked like headers, and not shown."""
    with (
        near(server.url, auth=lambda request: {"A": "s3cr3t\r\n"}) as store,
        pytest.raises(ValueError, match="printable") as caught,
    ):
        store.get("a/b")
    assert "s3cr3t" not in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("found", [None, "s3cr3t", ["s3cr3t"]])
def test_a_signing_function_must_return_headers(server: RawServer, found: Any) -> None:
    """What is no mapping is an error that says so, and does not show it."""
    with (
        near(server.url, auth=lambda request: found) as store,
        pytest.raises(TypeError, match=f"auth must return .* found {type(found).__name__}$"),
    ):
        store.get("a/b")
    assert server.requests == []


# --- connections


@pytest.mark.parametrize("ask", ["get", "getsize", "list", "get_partial_values"])
def test_what_is_behind_an_answer_is_not_another(server: RawServer, ask: str) -> None:
    """A connection on which more came than the answer is not used again."""
    server.misbehave(raw.go_on, 1)
    with near(server.url) as store:
        if ask == "get_partial_values":
            store.get_partial_values([("a/b", 5, 5)])
        else:
            getattr(store, ask)(*(["a/b"] if ask != "list" else []))
        assert server.connections == (1 if ask != "list" else 2)  # its second request
        assert bytes(store.get("a/b")) == server.contents["a/b"]
    assert server.connections == 2


@pytest.mark.parametrize("status", [202, 204, 206, 299, 304, 400, 403, 429, 500, 503])
def test_a_connection_ends_with_a_surprise(server: RawServer, status: int) -> None:
    """Where another status came than those asked for, more may follow; nothing else is asked
    there."""
    with near(server.url) as store:
        server.misbehave(always(status), 1)
        with pytest.raises(StoreError):
            store.get("a/b")
        assert bytes(store.get("a/b")) == server.contents["a/b"]
    assert server.connections == 2


def test_values_come_in_pieces(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more memory is taken on a server's word than a limit; what is larger is read in pieces."""
    monkeypatch.setattr(_http_reply, "_LARGE", 1000)
    for behaviour in (raw.changed(lambda answer: answer), raw.chunked):
        server.misbehave(behaviour)
        with near(server.url) as store:
            assert bytes(store.get("a/b")) == server.contents["a/b"]
            (part,) = store.get_partial_values([("a/b", 100, 3000)])
            assert bytes(part) == server.contents["a/b"][100:3100]


def test_values_are_sent_in_pieces(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than 1 MiB is given to a socket at once: its timeout is for all of that."""
    sent: list[int] = []
    send = http.client.HTTPConnection.send

    def watched(connection: http.client.HTTPConnection, data: Any) -> None:
        sent.append(len(data))
        send(connection, data)

    monkeypatch.setattr(http.client.HTTPConnection, "send", watched)
    with near(server.url, writable=True) as store:
        for size in (0, 1, 5 << 19):
            store.set("c", bytes(range(256)) * (size >> 8) or b"x" * size)
            assert len(server.contents["c"]) == size
        assert server.contents["c"] == bytes(range(256)) * (5 << 11)
    assert max(sent) == 1 << 20
    assert {each.headers.get("content-length") for each in server.requests} == {
        "0",
        "1",
        str(5 << 19),
    }


def test_a_length_is_not_believed(server: RawServer) -> None:
    """A value of which a server says that it has more bytes than there is memory is read as far as
    it goes, and was cut."""
    length = {"Content-Length": str(10**18 - 1)}

    def boast(exchange: Exchange) -> None:
        exchange.send(raw.head(200, length) + b"short")
        raise ConnectionAbortedError

    server.misbehave(boast)
    with near(server.url) as store:
        assert store.getsize("a/b") == 10**18 - 1
        with pytest.raises(ConnectionLostError):
            store.get("a/b")


# --- conditions


def test_threads_lose_no_update(server: RawServer) -> None:
    """Threads with stores of their own count up together by compare-and-set."""
    server.contents["n"] = b"0"
    url = server.url
    stores = [near(url, writable=True, conditional=True) for _ in range(4)]
    threads = [threading.Thread(target=count_up, args=(store, "n", 10)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert server.contents["n"] == b"40"


@pytest.mark.parametrize("header", ["if-match", "if-none-match"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_server_that_ignores_conditions_is_found_out(
    server: RawServer, header: str, method: str
) -> None:
    """Before anything is lost, `compare_and_set` refuses a server that writes against a condition,
    and leaves nothing behind."""

    def ignore(exchange: Exchange) -> None:
        if exchange.method == method:
            exchange.headers.pop(header, None)
        exchange.answer(*server.right(exchange))

    server.misbehave(ignore)
    before = dict(server.contents)
    with near(server.url, writable=True, conditional=True) as store:
        if (method, header) == ("DELETE", "if-none-match"):  # nobody sends that
            store.compare_and_set("n", b"", None)
            return
        for _ in range(2):
            with pytest.raises(UnsupportedError, match="ignores"):
                store.compare_and_set("n", b"", None)
        assert server.contents == before


def test_conditions_are_tested_once(server: RawServer) -> None:
    """The test takes five requests, and no listing shows what it writes."""
    with near(server.url, writable=True, conditional=True) as store:
        version = store.compare_and_set("n", b"1", None)
        assert len(server.requests) == 6
        store.compare_and_set("n", b"2", version)
        assert len(server.requests) == 7
        server.contents[".storekit-left"] = b""
        assert store.list() == ["a/b", "n"]


def test_a_key_is_removed_if_absent_only_if_it_is(server: RawServer) -> None:
    """Nothing is removed, nor said to be absent, on the condition that it is not there."""
    with near(server.url, writable=True, conditional=True) as store:
        assert store.compare_and_set("n", None, None) is None
        with pytest.raises(ConflictError):
            store.compare_and_set("a/b", None, None)
    assert "a/b" in server.contents


@pytest.mark.parametrize("etag", ['W/"1"', "", "1"])
def test_a_weak_etag_is_no_version(server: RawServer, etag: str) -> None:
    """Without a strong ETag there is no version, and so no compare-and-set."""
    server.misbehave(
        raw.changed(lambda answer: (answer[0], {**answer[1], "ETag": etag}, answer[2])), 1
    )
    with (
        near(server.url, writable=True, conditional=True) as store,
        pytest.raises(UnsupportedError, match="ETag"),
    ):
        store.get_versioned("a/b")


def test_a_server_may_keep_the_etag_of_a_write_to_itself(server: RawServer) -> None:
    """If PUT brings no ETag it is asked for; if somebody was faster, what came matches nothing."""

    def silent(exchange: Exchange) -> None:
        status, headers, body = server.right(exchange)
        if exchange.method == "PUT":
            headers = {}
        exchange.answer(status, headers, body)

    server.misbehave(silent)
    with near(server.url, writable=True, conditional=True) as store:
        version = store.compare_and_set("n", b"1", None)
        assert store.get_versioned("n") == (b"1", version)

        def faster(exchange: Exchange) -> None:
            silent(exchange)
            if exchange.method == "PUT":
                server._write("n", b"by another")

        server.misbehave(faster)
        version = store.compare_and_set("n", b"2", version)
        server.behave()
        with pytest.raises(ConflictError):
            store.compare_and_set("n", b"3", version)
        assert server.contents["n"] == b"by another"


# --- listings


def test_a_page_that_is_no_index_is_refused(server: RawServer) -> None:
    """A web page in place of an index raises, whatever it links to."""
    page = b"<html><title>Welcome</title><a href='a'>a</a><a href='../'>up</a></html>"
    server.misbehave(always(200, page, Content_Type="text/html"))
    with near(server.url) as store:
        for ask in (store.list, lambda: store.list_dir(""), lambda: store.list_prefix("a/")):
            with pytest.raises(UnsupportedError, match="no index"):
                ask()


def test_a_refused_index_is_no_empty_one(server: RawServer) -> None:
    """A server that does not show its directories is an error."""
    server.misbehave(always(403))
    with near(server.url) as store, pytest.raises(AccessDeniedError):
        store.list()


def test_directories_without_keys_are_not_listed(server: RawServer) -> None:
    """A prefix is listed if there is a key under it, at whatever depth."""
    pages = {
        "": ["full/", "empty/", "deep/", "key"],
        "full/": ["key"],
        "empty/": ["nothing/"],
        "empty/nothing/": [],
        "deep/": ["er/", "nothing/"],
        "deep/er/": ["key"],
        "deep/nothing/": [],
    }

    def show(exchange: Exchange) -> None:
        links = "".join(f"<a href='{name}'>{name}</a>" for name in pages[exchange.name])
        exchange.answer(200, {}, f"<title>Index of /</title>{links}".encode())

    server.misbehave(show)
    with near(server.url) as store:
        assert store.list_dir("") == ["deep/", "full/", "key"]
        assert store.list() == ["deep/er/key", "full/key", "key"]


def test_a_walk_has_an_end(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories without number are an error, and not walked for ever."""
    monkeypatch.setattr(_http_lists, "_DIRECTORIES", 100)
    links = b"".join(b"<a href='%d/'>" % number for number in range(10))
    server.misbehave(always(200, b"<title>Index of /</title>" + links))
    with near(server.url) as store:
        for ask in (store.list, lambda: store.list_dir(""), lambda: store.list_prefix("a/")):
            with pytest.raises(StoreError, match="more than 100 directories"):
                ask()


def test_circles_end(server: RawServer) -> None:
    """A directory that has itself in it is an error when keys would be too long."""
    server.misbehave(always(200, b"<title>Index of /</title><a href='%s/'>" % (b"x" * 200)))
    with near(server.url, clock=FakeClock()) as store:
        for ask in (store.list, lambda: store.list_dir("")):
            with pytest.raises(StoreError, match="nested deeper"):
                ask()


def test_what_is_too_long_for_a_key_is_not_listed(server: RawServer) -> None:
    """A name that is no key is left out; only of directories nobody knows what is in them."""
    server.contents[f"{'x' * 200}/" * 5 + "y" * 200] = b""
    with near(server.url, clock=FakeClock()) as store:
        assert store.list() == ["a/b"]


def test_an_index_that_cannot_be_right_is_asked_for_again(server: RawServer) -> None:
    """A page that ends too early, or has names that cannot be, is an error if it stays so."""
    clock = FakeClock()
    for page, kind in (
        (b"<html><title>Index of /</title><pre><a href='a'>a</a>", "text/html"),
        (b'[{"name": "../a", "type": "file"}]', "application/json"),
    ):
        with near(server.url, clock=clock, retry=RetryPolicy(attempts=2)) as store:
            server.misbehave(always(200, page, Content_Type=kind), 1)
            assert store.list() == ["a/b"]
            server.misbehave(always(200, page, Content_Type=kind))
            with pytest.raises(ServerError, match="the index cannot be right"):
                store.list_dir("")
