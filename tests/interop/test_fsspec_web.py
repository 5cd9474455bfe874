"""``slow::`` and ``faulty::`` in front of web servers: ranges, queries, what is secret."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.http import HTTPFileSystem

from storekit.errors import ConnectionLostError, StoreError
from storekit.interop.fsspec import FaultyFileSystem, SlowFileSystem
from storekit.stores.fault import Fault

LINES = b"".join(b"%07d\n" % number for number in range(1000))
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Ignoring(SimpleHTTPRequestHandler):
    """Sends the whole file whatever range is asked for, as Python's own server does."""

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class Telling(Ignoring):
    """Says that it has no ranges."""

    def end_headers(self) -> None:
        """End them with one more."""
        self.send_header("Accept-Ranges", "none")
        super().end_headers()


class Ranging(Ignoring):
    """Has ranges."""

    def do_GET(self) -> None:  # the name that http.server asks for
        """Send the range, or all."""
        asked = RANGE.fullmatch(self.headers.get("Range", ""))
        if asked is None:
            return super().do_GET()
        first, last = asked.groups()
        part = LINES[int(first) : int(last or len(LINES)) + 1] if first else LINES[-int(last) :]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        return self.wfile.write(part)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Any], str]]:
    """Starts a server that has one file, and gives the file's URL."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a.csv").write_bytes(LINES)
    servers = []

    def start(handler: Any) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/a.csv"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def http() -> Iterator[Any]:
    """A plain file system of the web."""
    fs = fsspec.filesystem("http", skip_instance_cache=True)
    yield fs
    if fs._session is not None:
        fs.close_session(fs.loop, fs._session)


@pytest.fixture(params=["slow", "faulty"])
def wrapped(request: pytest.FixtureRequest, http: Any) -> Any:
    """The same with a wrapper around it that does nothing."""
    return SlowFileSystem(http, latency=0) if request.param == "slow" else FaultyFileSystem(http)


def _from_the_middle(fs: Any, url: str) -> bytes:
    with fs.open(url, block_size=100) as file:
        file.seek(800)
        part: bytes = file.read(8)
        return part


READS: dict[str, tuple[Callable[[Any, str], Any], bytes]] = {
    "whole": (lambda fs, url: fs.cat_file(url), LINES),
    "head": (lambda fs, url: fs.head(url, 8), LINES[:8]),
    "first block": (lambda fs, url: fs.open(url, block_size=100).read(8), LINES[:8]),
    "tail": (lambda fs, url: fs.tail(url, 8), LINES[-8:]),
    "block": (lambda fs, url: fs.read_block(url, 800, 8), LINES[800:808]),
    "middle": (_from_the_middle, LINES[800:808]),
}


@pytest.mark.parametrize("how", READS)
def test_ranges_are_served(serve: Any, wrapped: Any, how: str) -> None:
    """From a server with ranges each way to read gives its bytes."""
    read, expected = READS[how]
    assert read(wrapped, serve(Ranging)) == expected


@pytest.mark.parametrize("how", READS)
def test_without_ranges_nothing_is_wrong(serve: Any, http: Any, wrapped: Any, how: str) -> None:
    """What a server without ranges can give is right; else it is the error of plain ``http``."""
    url, (read, expected) = serve(Ignoring), READS[how]
    for fs in (http, wrapped):
        if how in ("whole", "head", "first block"):
            assert read(fs, url) == expected
        else:
            with pytest.raises(ValueError, match="range requests"):
                read(fs, url)


def test_ranges_of_a_whole_file_are_noticed(serve: Any, wrapped: Any) -> None:
    """More bytes than a range has are an error, or cut if the range is the beginning."""
    url = serve(Ignoring)
    for start, end in ((8, 16), (-8, None), (-16, -8)):
        with pytest.raises(ValueError, match="range requests"):
            wrapped.cat_file(url, start, end)
    assert wrapped.cat_file(url, 0, 8) == wrapped.cat_file(url, None, 8) == LINES[:8]
    assert wrapped.cat_file(url, 0, 10**6) == LINES
    with pytest.raises(ValueError, match="range requests"):
        list(wrapped.open(url, block_size=100))


def test_too_much_is_noticed_before_it_is_damaged(serve: Any, http: Any) -> None:
    """A read that a fault makes short hides no bytes of another place."""
    fs = FaultyFileSystem(http, rules=[Fault("get*", truncate=4)])
    with pytest.raises(ValueError, match="range requests"):
        fs.cat_file(serve(Ignoring), 800, 808)


def test_a_server_that_tells_it_is_read_at_once(serve: Any, http: Any) -> None:
    """Where a server says that it has no ranges, an open file came whole, by one request."""
    fs = FaultyFileSystem(http, rules=[Fault("get_partial_values")])
    assert _from_the_middle(fs, serve(Telling)) == LINES[800:808]


@pytest.mark.parametrize("handler", [Ignoring, Ranging])
def test_queries_belong_to_the_url(
    serve: Any, http: Any, wrapped: Any, handler: Any, tmp_path: Path
) -> None:
    """A URL with a query, such as a signed one, is a file, to each method as with plain http."""
    url = f"{serve(handler)}?sig=a&b"
    assert wrapped.cat(url) == LINES
    assert wrapped.cat([url]) == {url: LINES}
    assert wrapped.exists(url)
    with wrapped.open(url) as file:
        assert file.read() == LINES
    for fs, folder in ((http, tmp_path / "plain"), (wrapped, tmp_path / "wrapped")):
        folder.mkdir()
        fs.get(url, str(folder / "there"))
    assert _files(tmp_path / "wrapped") == _files(tmp_path / "plain") != {}


def _files(folder: Path) -> dict[str, bytes]:
    found = folder.rglob("*")
    return {str(each.relative_to(folder)): each.read_bytes() for each in found if each.is_file()}


def test_patterns_of_urls(serve: Any, http: Any, wrapped: Any) -> None:
    """In a URL ``?`` alone makes no pattern; elsewhere it does."""
    url = serve(Ranging)
    assert wrapped.glob(f"{url[:-5]}*.csv") == [url]
    for end in ("a.csv", "a.csv?q", "x?q", "*", "*?csv", "?.csv", "[a]?csv"):
        pattern = url[:-5] + end
        for detail in (False, True):
            assert wrapped.glob(pattern, detail=detail) == http.glob(pattern, detail=detail)
    memory = fsspec.filesystem("memory")
    memory.pipe("/patterns/ab", b"")
    assert FaultyFileSystem(memory).glob("/patterns/a?") == ["/patterns/ab"]
    memory.rm("/patterns", recursive=True)


# --- what is secret -------------------------------------------------------------------------------

SECRET = "http://user:pw@127.0.0.1:1/d/x?token=abc#part"


@pytest.mark.parametrize("error", [None, "OSError", "RateLimitedError"])
@pytest.mark.parametrize("op", ["get", "getsize", "set", "erase*", "list_dir", "exists"])
def test_faults_tell_no_secrets(op: str, error: str | None) -> None:
    """Users, passwords and queries are in no key and no text of a fault, whatever was asked."""
    rule = {"op": op} if error is None else {"op": op, "error": error}
    fs = FaultyFileSystem(fsspec.filesystem("http"), rules=[rule])
    ask = {
        "get": fs.cat_file,
        "getsize": fs.info,
        "set": lambda url: fs.pipe_file(url, b""),
        "erase*": fs.rm,
        "list_dir": fs.ls,
        "exists": fs.exists,
    }[op]
    with pytest.raises((OSError, StoreError)) as caught:
        ask(SECRET)
    told = f"{caught.value!r} {vars(caught.value)} {fs.fired}"
    assert not re.search("user|pw|token|abc|part", told)
    assert [fired.keys[0].rstrip("/") for fired in fs.fired] == ["127.0.0.1:1/d/x"]


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (SECRET, "127.0.0.1:1/d/x"),
        ("http://us@er:p@w@host/a@1?b/c", "host/a@1"),
        ("http://host?token=a/b", "host"),
        ("http://user:pw@host", "host"),
        ("http://[::1]:80//a/", "[::1]:80/a"),
        ("http://host/a?next=https://other/b", "host/a"),
    ],
)
def test_keys_of_urls(url: str, key: str) -> None:
    """The key of a URL is its host and its path."""
    fs = FaultyFileSystem(HTTPFileSystem(), rules=[Fault("get")])
    with pytest.raises(ConnectionLostError):
        fs.cat_file(url)
    assert fs.fired[0].keys == (key,)


def test_secrets_below_a_folder_of_the_web() -> None:
    """A query is none of the key where the folder of a URL is the root, in a chain as well."""
    folder = DirFileSystem("https://user:pw@host/d", fsspec.filesystem("http"))
    fs = FaultyFileSystem(SlowFileSystem(folder, latency=0), rules=[Fault("get")])
    with pytest.raises(ConnectionLostError):
        fs.cat_file("x?token=abc")
    assert fs.fired[0].keys == ("x",)


def test_a_lost_request_tells_no_secret() -> None:
    """Neither does a link that loses a request."""
    fs = SlowFileSystem(fsspec.filesystem("http"), loss=1)
    with pytest.raises(ConnectionLostError) as caught:
        fs.cat_file(SECRET)
    assert not re.search("user|pw|token|abc|part", f"{caught.value!r} {vars(caught.value)}")


def test_elsewhere_all_of_a_name_is_its_key() -> None:
    """Where names are no URLs a question mark is a part of one."""
    memory = fsspec.filesystem("memory")
    fs = FaultyFileSystem(memory, rules=[Fault("get", "a@b[?]c#d")])
    with pytest.raises(ConnectionLostError):
        fs.cat_file("/a@b?c#d")
