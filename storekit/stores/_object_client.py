"""Clients of obstore: how they are made, what place they show, and what must not be shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from storekit.errors import MissingExtraError, UnsupportedError
from storekit.shared import Shared

__all__ = ["Client", "check_process"]

_SECRET = re.compile("secret|token|key|sas|password|credential")
_LEAST = 6  # characters; a shorter secret would blot out too much of a message
_USER = re.compile(r"(?<=://)[^/@]+@|[?#].*\Z")

# What passes in vain is given up about as soon as an `HTTPStore` does. A large object may take
# longer than obstore's 30 seconds for a whole answer: that no more of it comes is what counts.
_WAITS = {"connect_timeout": "10s", "read_timeout": "30s", "timeout": "10m"}
_RETRIES = {"retry_timeout": timedelta(seconds=45)}

_process: int | None = None  # in which obstore has begun to work


class Client:
    """
    A client of obstore, and what is known of it.

    Attributes:
        client: It.

        kind: ``"S3"``, ``"GCS"``, ``"Azure"``, ``"Local"`` or ``"Memory"``.

        url: Where its objects are, without anything secret.

        endpoint: Of S3, if it is not that of AWS.

        secrets: Texts that must not be shown.
    """

    def __init__(self, client: Any, memory: _Memory | None = None) -> None:
        self.client = client
        self.kind = _kind_of(client)
        config: Mapping[str, Any] = getattr(client, "config", None) or {}
        self.endpoint = _USER.sub("", str(config.get("endpoint", "")))
        self.url = _url_of(self.kind, client, config)
        self.secrets = sorted(
            {
                str(value)
                for name, value in config.items()
                if _SECRET.search(name) and len(str(value)) >= _LEAST
            },
            key=len,
            reverse=True,
        )
        self._memory = memory

    @classmethod
    def open(cls, url: str, allow_http: bool, options: dict[str, Any]) -> Client:
        """
        A new client.

        Args:
            url: Where.

            allow_http: Whether it may talk in plain text.

            options: For obstore.

        Raises:
            ValueError: If obstore cannot make one of that.
        """
        from_url, base_error = _obstore()
        told = {**_WAITS, **({"allow_http": True} if allow_http else {})}
        options = {
            **options,
            "client_options": {**told, **(options.get("client_options") or {})},
            "retry_config": {**_RETRIES, **(options.get("retry_config") or {})},
        }
        if url.lower().startswith("file:"):
            options = {"automatic_cleanup": True, "mkdir": True, **options}
        shown = _USER.sub("", url)
        try:
            return cls(from_url(url, **options))
        except (base_error, ValueError) as error:
            reason = str(error).partition("\n")[0].replace(url, shown)
            raise ValueError(f"obstore cannot open {shown!r}: {reason}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        if self.kind == "Memory":
            self._memory = self._memory or _Memory(client=self.client)
            return _in_memory, (self._memory,)
        return Client, (self.client,)


class _Memory(Shared):
    """A store in memory; another process gets a copy of its contents."""

    def __init__(self, client: Any = None, contents: Mapping[str, bytes] | None = None) -> None:
        if client is None:
            from obstore.store import MemoryStore

            client = MemoryStore()
            for path, value in (contents or {}).items():
                client.put(path, value)
        self.client = client

    def _arguments(self) -> dict[str, Any]:
        paths = [found["path"] for found in self.client.list().collect()]
        return {"contents": {path: bytes(self.client.get(path).bytes()) for path in paths}}


def _in_memory(memory: _Memory) -> Client:
    return Client(memory.client, memory)


def _obstore() -> tuple[Any, type[Exception]]:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "obstore":
            raise
        raise MissingExtraError(
            "ObjectStore needs obstore: pip install 'storekit[object]'", name=error.name
        ) from error
    return from_url, BaseError


def _kind_of(client: Any) -> str:
    name = type(client).__name__
    module = type(client).__module__.partition(".")[0]
    kind = name.removesuffix("Store")
    if module != "obstore" or kind not in ("S3", "GCS", "Azure", "HTTP", "Local", "Memory"):
        raise TypeError(f"an ObjectStore needs a URL or a store of obstore, found {name}")
    if kind == "HTTP":
        raise ValueError(
            "an ObjectStore is no store of a web server: obstore would take refusals for absence,"
            " and parts for the whole; use an HTTPStore"
        )
    return kind


def _url_of(kind: str, client: Any, config: Mapping[str, Any]) -> str:
    prefix = f"/{client.prefix}" if getattr(client, "prefix", None) else ""
    match kind:
        case "S3":
            return f"s3://{config['bucket']}{prefix}"
        case "GCS":
            return f"gs://{config['bucket']}{prefix}"
        case "Azure":
            return f"az://{config['container_name']}@{config.get('account_name', '')}{prefix}"
        case "Local":
            return f"file://{client.prefix or ''}"
    return "memory://"


def check_process(store: object, op: str, key: str | None) -> None:
    """
    Refuse to go on where obstore would hang.

    Raises:
        UnsupportedError: In a process that was forked from one where obstore was at work.
    """
    global _process
    if _process is None:
        _process = os.getpid()
    elif _process != os.getpid():
        text = (
            "obstore does not survive a fork: its threads are those of the parent. Start worker"
            " processes by 'spawn' or 'forkserver'"
        )
        raise UnsupportedError(text, store=store, op=op, key=key)
