"""An S3 server on loopback: that of moto, in a thread of the test process."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
import urllib3

__all__ = ["Moto", "moto"]

_COLOUR = re.compile(r"\x1b\[\d+m")


@dataclass
class Moto:
    """
    A running server.

    Attributes:
        url: Its address.

        requests: The line of each request so far, such as ``"GET /bucket/key"``, with its status.
    """

    url: str
    requests: list[tuple[str, int]] = field(default_factory=list)
    _serial: Any = field(default_factory=lambda: count(1))

    key_id = "key-of-the-tests"
    secret = "secret-of-the-tests"

    def bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{next(self._serial)}"
        self.request("PUT", f"/{name}")
        return name

    def request(self, method: str, path: str, **options: Any) -> Any:
        """What the server answers to one request."""
        with urllib3.PoolManager() as pool:
            return pool.request(method, self.url + path, **options)

    @property
    def obstore(self) -> dict[str, Any]:
        """Options of obstore for this server."""
        return {
            "endpoint": self.url,
            "region": "us-east-1",
            "access_key_id": self.key_id,
            "secret_access_key": self.secret,
            "allow_http": True,
        }

    @property
    def s3fs(self) -> dict[str, Any]:
        """Options of s3fs for this server."""
        return {
            "endpoint_url": self.url,
            "key": self.key_id,
            "secret": self.secret,
            "client_kwargs": {"region_name": "us-east-1"},
        }


class _Lines(logging.Handler):
    """Takes what the server says of each request."""

    def __init__(self, server: Moto) -> None:
        super().__init__()
        self._server = server

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.args, tuple) and len(record.args) == 3:
            line, status, _ = map(str, record.args)
            plain = _COLOUR.sub("", line)
            self._server.requests.append((plain.removesuffix(" HTTP/1.1"), int(status)))


class _InTurn:
    """
    One request after the other.

    moto looks at a condition and writes in two steps, so of two writers that both should not
    succeed both may; and it closes values that others are reading.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, *args: Any) -> Iterable[bytes]:
        with self._lock:
            answer: Iterable[bytes] = self._app(*args)
            return answer


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    """The server, for all tests of this process."""
    from moto.server import ThreadedMotoServer

    thread = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    log = logging.getLogger("werkzeug")
    log.setLevel(logging.INFO)
    log.propagate = False
    thread.start()  # returns when the server listens
    running: Any = thread._server
    running.app = _InTurn(running.app)
    host, port = thread.get_host_and_port()
    server = Moto(f"http://{host}:{port}")
    lines = _Lines(server)
    log.addHandler(lines)
    try:
        yield server
    finally:
        log.removeHandler(lines)
        thread.stop()
