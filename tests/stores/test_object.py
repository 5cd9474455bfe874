"""Objects through obstore: in moto's S3 server, in memory and in a directory."""

from __future__ import annotations

import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import obstore.store
import pytest
from forking import in_child
from servers.moto_server import Moto

import storekit as sk
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
from storekit.stores import ConditionalStore, ListableStore, Store, WritableStore
from storekit.stores.object import ObjectStore
from storekit.testing import StoreContract
from storekit.testing.laws.keys import VALID_KEYS


class ConditionalObjects(StoreContract):
    """The contract, but for what no object store has."""

    flat = True

    def test_a_value_is_removed_by_its_version(self, store: Any) -> None:
        """Removing on a condition is refused, and the version is looked at before."""
        version = store.compare_and_set("a/b", b"1", None)
        with pytest.raises(UnsupportedError):
            store.compare_and_set("a/b", None, version)
        with pytest.raises(ConflictError):
            store.compare_and_set("a/b", None, version + "0")
        with pytest.raises(ConflictError):
            store.compare_and_set("a/b", None, None)
        assert store.exists("a/b")
        assert store.compare_and_set("c", None, None) is None


class TestS3(ConditionalObjects):
    many = 1010  # two pages
    batch = 20
    rounds = 3

    @pytest.fixture
    def store(self, moto: Moto) -> Store:
        """A store under a prefix, in a bucket of its own."""
        return ObjectStore(f"s3://{moto.bucket()}/some/where", prefix="deeper/", **moto.obstore)


class TestMemory(ConditionalObjects):
    many = 500
    batch = 20

    @pytest.fixture
    def store(self) -> Store:
        """A store in memory."""
        return ObjectStore("memory:///", prefix="a")


class TestDirectory(StoreContract):
    many = 200
    batch = 20
    rounds = 6

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """A store in a directory that is not yet there."""
        return ObjectStore(f"file://{tmp_path}/root")

    @pytest.mark.parametrize("key", VALID_KEYS, ids=lambda key: ascii(key)[:30])
    def test_every_valid_key_can_be_used(self, store: Any, key: str) -> None:
        """obstore needs room for ``#1`` in the names of files; longer ones are an error."""
        if len(key.encode()) + 2 <= 255 or "/" in key:
            super().test_every_valid_key_can_be_used(store, key)
        else:
            with pytest.raises(StoreError, match="Unable to open"):
                store.set(key, b"")


# --- what the contract does not say ---------------------------------------------------------------


@pytest.fixture
def s3(moto: Moto) -> Any:
    """A store of a whole bucket."""
    return ObjectStore(f"s3://{moto.bucket()}", **moto.obstore)


READS: dict[str, Callable[[Any], object]] = {
    "get": lambda store: store.get("a"),
    "exists": lambda store: store.exists("a"),
    "getsize": lambda store: store.getsize("a"),
    "ranges": lambda store: store.get_partial_values([("a", 0, 1), ("a", -1, None)]),
    "get_versioned": lambda store: store.get_versioned("a"),
    "list": lambda store: store.list(),
    "list_dir": lambda store: store.list_dir(""),
}
WRITES: dict[str, Callable[[Any], object]] = {
    "set": lambda store: store.set("a", b""),
    "erase": lambda store: store.erase("a"),
    "erase_values": lambda store: store.erase_values(["a", "b"]),
    "create": lambda store: store.compare_and_set("a", b"", None),
}
OPERATIONS = READS | WRITES


@pytest.mark.parametrize("ask", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_a_missing_bucket_is_an_error(moto: Moto, ask: Callable[[Any], object]) -> None:
    """A bucket that is not there is no absence of keys, for no operation."""
    store = ObjectStore("s3://not-there", **moto.obstore)
    with pytest.raises(StoreError) as caught:
        ask(store)
    assert not isinstance(caught.value, KeyNotFoundError)


ANSWERS: dict[int, tuple[type[StoreError], bool]] = {
    400: (StoreError, False),
    401: (AccessDeniedError, False),
    403: (AccessDeniedError, False),
    408: (TimeoutError, True),
    429: (RateLimitedError, True),
    500: (ServerError, True),
    502: (ServerError, True),
    503: (RateLimitedError, True),
}


def once(timeout: str) -> dict[str, Any]:
    """Settings of a store that tries once, and waits so long."""
    return {"retry_config": {"max_retries": 0}, "client_options": {"timeout": timeout}}


@contextmanager
def answering(moto: Moto, answer: bytes | None) -> Iterator[Any]:
    """A store at a server that answers each request so and closes; with None it never answers."""
    timeout = "60s" if answer is not None else "500ms"
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                if answer is None:
                    held.append(connection)
                    continue
                with connection, suppress(OSError):
                    connection.recv(1 << 16)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            yield ObjectStore("s3://bucket", **{**moto.obstore, **once(timeout), "endpoint": url})
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


@pytest.mark.parametrize("status", ANSWERS)
@pytest.mark.parametrize("ask", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_an_answer_that_is_none_is_an_error(
    moto: Moto, ask: Callable[[Any], object], status: int
) -> None:
    """What the server refuses is an error of its kind in each operation, and no absence."""
    kind, retryable = ANSWERS[status]
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    with answering(moto, answer) as store, pytest.raises(kind) as caught:
        ask(store)
    assert caught.value.retryable is retryable
    assert not isinstance(caught.value, KeyNotFoundError)
    assert moto.secret not in str(caught.value)


@pytest.mark.parametrize("ask", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_a_connection_that_ends_is_lost(moto: Moto, ask: Callable[[Any], object]) -> None:
    """Without an answer, or with half of one, the connection is lost."""
    head = "HTTP/1.1 200 OK\r\nETag: x\r\nLast-Modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
    by_head = WRITES["set"], WRITES["create"], READS["exists"], READS["getsize"]  # says it all
    for answer in ("", head, f"{head}Content-Length: 100\r\n\r\nhalf"):
        with answering(moto, answer.encode()) as store:
            if answer and ask in by_head:
                continue
            with pytest.raises(StoreError) as caught:
                ask(store)
            assert not isinstance(caught.value, KeyNotFoundError)


@pytest.mark.parametrize("ask", [READS["get"], WRITES["set"]], ids=["get", "set"])
def test_silence_is_a_timeout(moto: Moto, ask: Callable[[Any], object]) -> None:
    """A server that says nothing is given up after the timeout of the client."""
    with answering(moto, None) as store, pytest.raises(TimeoutError):
        ask(store)


def test_nobody_there_is_a_lost_connection(moto: Moto) -> None:
    """An endpoint that nobody listens at is a lost connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    options = {**moto.obstore, **once("60s"), "endpoint": f"http://127.0.0.1:{port}"}
    with pytest.raises(ConnectionLostError):
        ObjectStore("s3://bucket", **options).get("a")


def test_secrets_are_not_shown(moto: Moto, s3: Any) -> None:
    """Neither the repr nor a message has the secrets, and a pickle works without their repr."""
    assert moto.secret not in repr(s3)
    assert repr(s3).startswith("ObjectStore('s3://bucket-")
    endpoint = {"endpoint": "http://user:topsecret@127.0.0.1:1", "retry_config": {"max_retries": 0}}
    store = ObjectStore("s3://bucket", **{**moto.obstore, **endpoint})
    with pytest.raises(ConnectionLostError) as caught:
        store.get("a")
    assert "topsecret" not in f"{store!r}{store.identity}{caught.value}"
    for url in ("nothing://user:topsecret@host/x", "https://user:topsecret@host/x?sig=topsecret"):
        with pytest.raises(ValueError) as refused:
            ObjectStore(url)
        assert "topsecret" not in str(refused.value)


def test_web_servers_are_refused() -> None:
    """obstore would take a refusal of a web server for absence: an `HTTPStore` reads these."""
    for location in ("https://example.org/x", obstore.store.HTTPStore("https://example.org/x")):
        with pytest.raises(ValueError, match="HTTPStore"):
            ObjectStore(location)


def test_capabilities_are_those_of_the_backend(tmp_path: Path) -> None:
    """A directory has no compare-and-set, and what lacks is refused."""
    directory = ObjectStore(f"file://{tmp_path}")
    assert isinstance(directory, WritableStore | ListableStore)
    assert not isinstance(directory, ConditionalStore)
    with pytest.raises(UnsupportedError):
        directory.get_versioned("a")
    assert isinstance(ObjectStore("gs://bucket", skip_signature=True), ConditionalStore)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"concurrency": 0}, ValueError),
        ({"prefix": "a//b"}, ValueError),
        ({"nonsense": 1}, Exception),
    ],
)
def test_bad_parameters_are_refused(options: dict[str, Any], kind: type[Exception]) -> None:
    """A parameter that makes no sense is refused at once."""
    with pytest.raises(kind):
        ObjectStore("s3://bucket", **options)
    with pytest.raises(TypeError):
        ObjectStore(5)
    with pytest.raises(ValueError, match="region"):
        ObjectStore(ObjectStore("memory:///")._backend.client, region="x")


def test_stores_of_one_place_are_equal(moto: Moto) -> None:
    """Equal are stores of one bucket and prefix, however they were told of it."""
    made = ObjectStore("s3://bucket/a/b", **moto.obstore)
    assert made != ObjectStore("s3://bucket/a", **moto.obstore)
    client = obstore.store.MemoryStore()
    assert ObjectStore(client) == ObjectStore(client)
    assert ObjectStore(client) != ObjectStore(obstore.store.MemoryStore())
    assert hash(pickle.loads(pickle.dumps(made))) == hash(made)


def test_ranges_need_few_requests(moto: Moto, s3: Any) -> None:
    """Ranges that lie close are one request, others one each; a size is not asked for first."""
    s3.set("a", bytes(5 << 20))
    s3.request_cost = 1 << 20
    for ranges, expected in [
        ([(0, 1), (10, 1)], 1),
        ([(0, 1), (3 << 20, 1)], 2),
        ([(0, 10), (-10, None)], 2),
        ([(-10, 3), (-5, None)], 1),
        ([(1 << 30, 1)], 2),
    ]:
        moto.requests.clear()
        values = s3.get_partial_values([("a", *part) for part in ranges])
        assert len(moto.requests) == expected, ranges
        assert len(values) == len(ranges)


def test_markers_of_directories_are_no_keys(moto: Moto, s3: Any) -> None:
    """Empty objects whose names end with a slash are not listed as keys; empty values are."""
    bucket = s3.identity[3].removeprefix("s3://")
    s3.set("a/empty", b"")
    s3.set("a/full", b"1")
    for marker in ("a/", "b/", "c/d/"):
        moto.request("PUT", f"/{bucket}/{marker}")
    assert s3.list() == ["a/empty", "a/full"]
    assert s3.list_prefix("a/") == s3.list_dir("a/") == ["a/empty", "a/full"]


def test_control_characters_are_stored_as_symbols(moto: Moto, s3: Any) -> None:
    """A control character is stored by its symbol, and a key with the symbol is another one."""
    keys = ["a\tb", "a\u2409b", "a\u201bb", "a\u201b\u2409b", "\x7f", "a\nb/c\td"]
    for key in keys:
        s3.set(key, key.encode())
    assert s3.list() == sorted(keys)
    assert [bytes(s3.get(key)).decode() for key in keys] == keys
    assert s3.list_prefix("a\nb/") == ["a\nb/c\td"]


def test_a_value_written_again_has_another_version(s3: Any) -> None:
    """S3 gives equal values one ETag; whoever knows an older version is refused all the same."""
    s3.set("a", b"same")
    stale = s3.get_versioned("a")[1]
    fresh = s3.compare_and_set("a", b"same", stale)
    assert fresh != stale
    with pytest.raises(ConflictError):
        s3.compare_and_set("a", b"other", stale)


def test_an_object_of_others_has_a_version(moto: Moto, s3: Any) -> None:
    """What another client wrote can be compared and set, too."""
    moto.request("PUT", f"/{s3.identity[3].removeprefix('s3://')}/a", body=b"theirs")
    value, version = s3.get_versioned("a")
    assert bytes(value) == b"theirs"
    s3.compare_and_set("a", b"ours", version)
    assert bytes(s3.get("a")) == b"ours"


def test_a_forked_process_is_told(s3: Any) -> None:
    """In a child of a process where obstore was at work, it says so and does not hang."""
    s3.set("a", b"")

    def work() -> None:
        with pytest.raises(UnsupportedError, match="fork"):
            s3.get("a")

    assert in_child(work) == 0
    assert s3.exists("a")


@pytest.mark.parametrize("shards", [None, (8, 8)])
def test_arrays_on_s3(moto: Moto, s3: Any, shards: tuple[int, int] | None) -> None:
    """An array on S3 is written, read, written in part, and grows."""
    numbers = np.arange(400, dtype="i4").reshape(20, 20)
    array = sk.ZarrArray.create(s3, "a", shape=(20, 20), dtype="i4", chunks=(4, 4), shards=shards)
    array[:] = numbers
    assert np.array_equal(array[3:17:2, 5], numbers[3:17:2, 5])
    array[2:5, 2:5] = 0
    numbers[2:5, 2:5] = 0
    array.append(numbers)
    assert np.array_equal(sk.open_zarr(s3, "a")[:], np.concatenate([numbers, numbers]))
