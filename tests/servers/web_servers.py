"""Web servers by others, each in a process of its own, over a directory."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

__all__ = ["FileServer", "python_server", "rclone_server", "webdav_server"]

_RCLONE = Path(sys.executable).with_name("rclone")


@dataclass
class FileServer:
    """
    A server of the files in a directory.

    Attributes:
        url: Its address.

        root: The directory.
    """

    url: str
    root: Path
    _serial: Any = field(default_factory=lambda: count(1))

    def address(self) -> str:
        """The URL of a directory that is not there yet."""
        return f"{self.url}/{next(self._serial)}"

    def folder(self) -> tuple[str, Path]:
        """The URL and the path of a new directory in it."""
        path = self.root / str(next(self._serial))
        path.mkdir()
        return f"{self.url}/{path.name}", path


def put_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write values as files."""
    for key, value in contents.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value)


@contextmanager
def _serving(command: list[str], root: Path) -> Iterator[FileServer]:
    """A server that says where it listens, in one of its first lines."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            if process.stdout is None:
                raise AssertionError
            for line in process.stdout:
                found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
                if found:
                    break
            else:
                raise AssertionError(f"{command[0]} did not start")
            # Somebody must read what else it says, or it waits for that when the pipe is full.
            reader = threading.Thread(target=process.stdout.read, daemon=True)
            reader.start()
            yield FileServer(f"http://127.0.0.1:{found[1]}", root)
            process.kill()
            reader.join()
        finally:
            process.kill()


def _fixture(command: Callable[[Path], list[str]]) -> Any:
    @pytest.fixture(scope="session")
    def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
        root = tmp_path_factory.mktemp("served")
        with _serving(command(root), root) as running:
            yield running

    return server


def _rclone(kind: str, root: Path) -> list[str]:
    quiet = ["--config", "/dev/null"]
    return [str(_RCLONE), "serve", kind, str(root), "--addr", "127.0.0.1:0", *quiet]


_PYTHON = """
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass

class Server(ThreadingHTTPServer):
    request_queue_size = 100  # else connections beyond 5 may be reset

server = Server(("127.0.0.1", 0), partial(Quiet, directory=sys.argv[1]))
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
"""

python_server = _fixture(lambda root: [sys.executable, "-c", _PYTHON, str(root)])
rclone_server = _fixture(lambda root: [*_rclone("http", root), "--dir-cache-time", "0"])
webdav_server = _fixture(lambda root: [*_rclone("webdav", root), "--etag-hash", "MD5"])
