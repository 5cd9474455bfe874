"""Where the clients find what is served, and how the counts are asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.remote.server import BUCKET, CONTROL, Counts

__all__ = ["BUCKET", "Counts", "Place", "serving"]

_ROOT = Path(__file__).parent.parent.parent


class Place:
    """
    A running server.

    Args:
        folder: What it serves.

        port: On the loopback address.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self.port = folder, port
        self.origin = f"http://127.0.0.1:{port}"
        self._control = HTTPConnection("127.0.0.1", port)

    def url(self, path: str = "") -> str:
        """Of a key, or of a folder."""
        return f"{self.origin}{self.path(path)}"

    def path(self, path: str) -> str:
        """The part of a URL that is sent with a request."""
        return f"/{BUCKET}/{path}"

    def key_of(self, file: Path) -> str:
        """The key of a file, or of a folder."""
        return str(file.relative_to(self._folder))

    def counts(self) -> Counts:
        """What has been asked since the last time; from now on it is counted anew."""
        self._control.request("GET", CONTROL)
        return Counts(**json.load(self._control.getresponse()))

    def close(self) -> None:
        """Hang up; the server goes on."""
        self._control.close()


@contextmanager
def serving(folder: Path, latency: float) -> Iterator[Place]:
    """A server in a process of its own, which answers after so many seconds."""
    variables = os.environ | {
        "PYTHONPATH": f"{_ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    }
    command = [sys.executable, "-m", "benchmarks.remote.server", str(folder), str(latency)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=variables) as process:
        assert process.stdout is not None
        place = Place(folder, int(process.stdout.readline()))
        try:
            place.counts()  # by a connection that is made now
            yield place
        finally:
            place.close()
            # Leaving `with` closes its input, by which it ends.
