"""Web servers by others, each in a process of its own, over a directory."""

from __future__ import annotations

import os
import re
import shutil
import socket
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

__all__ = [
    "FileServer",
    "nginx_dav_server",
    "nginx_server",
    "python_server",
    "rclone_server",
    "webdav_server",
]

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


_NGINX = """
daemon off;
{user}
pid {temp}/pid;
error_log stderr error;
events {{}}
http {{
    access_log off;
    client_body_temp_path {temp}/body;
    proxy_temp_path {temp}/proxy;
    fastcgi_temp_path {temp}/fastcgi;
    scgi_temp_path {temp}/scgi;
    uwsgi_temp_path {temp}/uwsgi;
    client_max_body_size 0;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port};
        root {root};
        autoindex on;
        {more}
    }}
}}
"""
_DAV = "autoindex_format json; dav_methods PUT DELETE MKCOL; create_full_put_path on;"


@contextmanager
def _nginx(temp: Path, more: str) -> Iterator[FileServer]:
    """nginx, on a socket that it inherits: it cannot look for a free port by itself."""
    if shutil.which("nginx") is None:
        pytest.skip("there is no nginx in PATH")
    root = temp / "root"
    root.mkdir()
    file = temp / "conf"
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        port, number = listener.getsockname()[1], listener.fileno()
        # Who is not root cannot choose; root's temporary directories are for root only.
        user = "" if os.getuid() else "user root;"
        file.write_text(_NGINX.format(temp=temp, root=root, port=port, user=user, more=more))
        command = ["nginx", "-p", str(temp), "-e", "stderr", "-c", str(file)]
        tested = subprocess.run([*command, "-t"], capture_output=True, text=True)
        if 'unknown directive "dav_methods"' in tested.stderr:
            pytest.skip("nginx was built without its DAV module")
        if tested.returncode:
            raise AssertionError(tested.stderr)
        # Connections wait in the socket until it is up.
        inherited = {**os.environ, "NGINX": f"{number};"}
        process = subprocess.Popen(command, env=inherited, pass_fds=[number])
    with process:
        try:
            yield FileServer(f"http://127.0.0.1:{port}", root)
        finally:
            process.terminate()  # kill would leave its workers


@pytest.fixture(scope="session")
def nginx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """nginx, which shows files, and indexes in HTML."""
    with _nginx(tmp_path_factory.mktemp("nginx"), "") as server:
        yield server


@pytest.fixture(scope="session")
def nginx_dav_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """nginx, which takes files, too, and has indexes in JSON."""
    with _nginx(tmp_path_factory.mktemp("nginx"), _DAV) as server:
        yield server
