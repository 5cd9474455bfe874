"""The line on which an answer comes, and which is cut when nobody wants the answer any more."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

__all__ = ["Line"]


class Line:
    """
    The connection of a request, until the next request has it.

    Threads: `cut` may be called by any.
    """

    def __init__(self) -> None:
        self._connection: Any = None
        self._socket: socket.socket | None = None
        self._is_cut = False

    def reach(self, connection: Any) -> None:
        """Say which connection it is, when there is one; its `line` is this one."""
        self._connection, self._socket = connection, connection.sock
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        """Let whoever waits for something on this line find that it has broken."""
        self._is_cut = True
        if self._socket is not None and self._connection.line is self:
            with suppress(OSError):  # it is closed already
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # below TLS, if there is TLS
