"""Objects in the stores of clouds, through obstore."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from storekit.errors import (
    ConflictError,
    InvalidKeyError,
    KeyNotFoundError,
    StoreError,
    UnsupportedError,
)
from storekit.keys import check_key, check_prefix
from storekit.stores._object_client import Client
from storekit.stores._object_names import key_of, path_of
from storekit.stores._object_reads import CLOUDS, STAMP, ObjectReads, version_of
from storekit.stores.base import (
    ConditionalStore,
    Latency,
    ListableStore,
    ReadableStore,
    WritableStore,
)
from storekit.typing import Value

__all__ = ["ObjectStore"]

_CONDITIONAL = {*CLOUDS, "Memory"}
_LATENCY = {"Memory": Latency.MEMORY, "Local": Latency.DISK}
_BATCH = 1000  # objects that one request lists or erases
_TRIES = 5  # to write a file whose directory others remove meanwhile
_ANY_KIND = frozenset({ReadableStore, WritableStore, ListableStore, ConditionalStore})


class ObjectStore(ObjectReads):
    """
    A store of objects: S3, Google Cloud Storage, Azure, and what talks like them.

    A key may be the prefix of another. Over S3, GCS, Azure and memory it is a `ConditionalStore`,
    which refuses only to remove a key on a condition; over a directory it has no compare-and-set.
    Several ranges of one key are read side by side, and are of
    one version.

    To tell equal values apart, whose ETag is the same in S3, each object written gets an attribute
    ``storekit`` (in S3 the header ``x-amz-meta-storekit``). Objects of others need none.

    obstore repeats requests that fail on the way, up to 10 times; what fails 45 seconds after the
    first attempt is not repeated. A connection may take 10 seconds to be made, each piece of an
    answer 30, a whole request 10 minutes. ``retry_config`` and ``client_options`` say otherwise. A
    `RetryStore` around it comes on top of that. ``Retry-After`` is not told.

    A missing bucket or container is a `StoreError`. Control characters in keys are stored as rclone
    stores them: by the symbols that Unicode has for them.

    Args:
        location: A URL such as ``s3://bucket/prefix``, or a store of obstore.

        prefix: What all keys begin with, besides the prefix in the URL; with or without a slash at
            its end.

        allow_http: Whether requests may go over plain HTTP. Defaults to False.

        concurrency: How many requests at once still help. Defaults to 256.

        options: With a URL, for `obstore.store.from_url`: what the backend is configured by, such
            as ``endpoint``, ``region``, ``access_key_id`` and ``secret_access_key``; and
            ``client_options``, ``retry_config``, ``credential_provider``.

    Raises:
        ValueError: If obstore cannot make a store of that, a parameter makes no sense, or it is of
            a web server: an `HTTPStore` reads these.

        MissingExtraError: Without obstore; the extra is ``object``.

    Threads: safe. Equal are stores of one place. A pickle holds the credentials that were given, as
    the other process needs them; no repr and no message does. In a forked process it raises
    `UnsupportedError`, since obstore would hang there.
    """

    page_size = _BATCH

    def __init__(
        self,
        location: Any,
        *,
        prefix: str = "",
        allow_http: bool = False,
        concurrency: int = 256,
        **options: Any,
    ) -> None:
        if type(concurrency) is not int or concurrency < 1:
            raise ValueError(f"concurrency must be an int of at least 1, found {concurrency!r}")
        client: Client = self._backend
        self._client, self._kind, self._url = client.client, client.kind, client.url
        self._root = check_prefix(f"{prefix.strip('/')}/")
        self._concurrency = concurrency
        self.latency = _LATENCY.get(self._kind, Latency.NETWORK)

    @classmethod
    def _connect(cls, location: Any, *, allow_http: bool = False, **options: Any) -> Client:
        options.pop("prefix", None)
        options.pop("concurrency", None)
        if isinstance(location, str):
            return Client.open(location, allow_http, options)
        if options or allow_http:
            names = ", ".join([*options, *["allow_http"] * allow_http])
            raise ValueError(f"options go with a URL; this store of obstore has its own: {names}")
        return location if isinstance(location, Client) else Client(location)

    @classmethod
    def _abilities(cls, backend: Client) -> frozenset[type]:
        if backend.kind in _CONDITIONAL:
            return _ANY_KIND
        return _ANY_KIND - {ConditionalStore}

    @property
    def concurrency(self) -> int:
        """As it was given."""
        return self._concurrency

    @property
    def identity(self) -> Hashable:
        """The backend, its endpoint and the place there; of a store in memory, which one it is."""
        where = id(self._client) if self._kind == "Memory" else self._backend.endpoint
        return "object", self._kind, where, self._url, self._root

    # --- writing ----------------------------------------------------------------------------------

    def _set(self, key: str, value: Value) -> None:
        self._ask("set", key, lambda path: self._put(path, value, "overwrite", uuid4().hex))

    def _put(self, path: str, value: Value, mode: Any, stamp: str) -> Any:
        attributes = {STAMP: stamp} if self._kind in _CONDITIONAL else None
        if self._kind == "Memory" and type(value) is not bytes:
            value = bytes(value)  # it would keep the buffer of the caller
        if self._kind == "Local":
            return self._put_file(path, value)
        return self._client.put(path, value, mode=mode, attributes=attributes)

    def _put_file(self, path: str, value: Value) -> None:
        for tries in range(_TRIES):
            try:
                self._client.put(path, value)
            except Exception as error:
                # Another one removed the directory, which was empty, before the file was in it.
                if tries + 1 == _TRIES or "(os error 2)" not in str(error).replace(path, ""):
                    raise
            else:
                return

    def _compare_and_set(
        self, key: str, value: Value | None, expected_version: str | None
    ) -> str | None:
        op = "compare_and_set"
        # Equal values have one ETag in S3: what the backend compares is not enough there.
        if value is None or (self._kind == "S3" and expected_version is not None):
            if self._version(key) != expected_version:
                self._refuse(key)
            if value is None:
                if expected_version is not None:
                    text = "obstore cannot remove a key on the condition that it has a version"
                    raise UnsupportedError(text, store=self, op=op, key=key)
                return None
        new, stamp, mode = value, uuid4().hex, _mode(expected_version)
        if mode is None:
            self._refuse(key)
        try:
            put = self._ask(op, key, lambda path: self._put(path, new, mode, stamp))
        except ConflictError:
            # obstore may have repeated a request that was carried out, but whose answer got lost.
            current = self._version(key)
            if current is not None and current.startswith(stamp):
                return current
            raise
        return version_of(put, {STAMP: stamp})

    def _refuse(self, key: str) -> None:
        text = f"{key!r} has another version, or is absent"
        raise ConflictError(text, store=self, op="compare_and_set", key=key)

    def _version(self, key: str) -> str | None:
        def ask(path: str) -> str:
            found = self._client.get(path, options={"head": True})
            return version_of(found.meta, found.attributes)

        try:
            return self._ask("get_versioned", key, ask)
        except KeyNotFoundError:
            return None

    def _erase(self, key: str) -> None:
        self._erase_all([key], "erase")

    def _erase_values(self, keys: Sequence[str]) -> None:
        self._erase_all(list(dict.fromkeys(keys)), "erase_values")

    def _erase_all(self, keys: Sequence[str], op: str) -> None:
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            paths = [self._root + path_of(key) for key in batch]
            try:
                self._translated(op, batch[0], ",".join(paths), partial(self._client.delete, paths))
            except KeyNotFoundError:  # backends without a request for several stop there
                if self._kind == "S3":
                    text = "the server knows no request to erase several"
                    raise StoreError(text, store=self, op=op, key=batch[0]) from None
                if len(batch) > 1:
                    for key in batch:
                        self._erase_all([key], op)

    # --- listing ----------------------------------------------------------------------------------

    def _list_prefix(self, prefix: str) -> list[str]:
        def ask(path: str) -> list[tuple[str, int]]:
            pages = self._client.list(path.rstrip("/") or None, chunk_size=_BATCH)
            return [(found["path"], found["size"]) for page in pages for found in page]

        try:
            found = self._ask("list_prefix", prefix, ask)
        except KeyNotFoundError:  # where the prefix leads through a file
            return []
        markers = self._markers([path for path, size in found if not size])
        return self._keys((path for path, _ in found if path not in markers), prefix)

    def _list_dir(self, prefix: str) -> list[str]:
        if self._kind == "Local":  # shows directories that hold nothing
            return list(super()._list_dir(prefix))
        found = self._ask("list_dir", prefix, self._level)
        names = self._keys((entry["path"] for entry in found["objects"]), prefix)
        return names + [f"{name}/" for name in self._keys(found["common_prefixes"], prefix)]

    def _level(self, path: str) -> Any:
        return self._client.list_with_delimiter(path.rstrip("/") or None)

    def _markers(self, paths: Sequence[str]) -> set[str]:
        """
        Which of the paths of empty objects end with a slash in truth: others mark directories so.

        obstore shows them without the slash, but keeps them apart in a listing of one level.
        """
        markers = set(paths) if self._kind in CLOUDS else set()
        for parent in {path[: path.rfind("/") + 1] for path in markers}:
            key = key_of(parent.removeprefix(self._root))
            level = self._translated("list_prefix", key, parent, partial(self._level, parent))
            markers.difference_update(
                entry["path"] for entry in level["objects"] if entry["path"] + "/" != parent
            )
        return markers

    def _keys(self, paths: Iterable[str], prefix: str) -> list[str]:
        """The keys of paths; what cannot be one, or is not under the prefix, is not ours."""
        keys = []
        for path in paths:
            key = key_of(path.removeprefix(self._root))
            try:
                check_key(key)
            except InvalidKeyError:
                continue
            if key.startswith(prefix) and path.startswith(self._root):
                keys.append(key)
        return keys

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self._declared, self._backend, self._root, self._concurrency)

    def __repr__(self) -> str:
        joint = "/" if self._root and not self._url.endswith("/") else ""
        shown = f"{self._url}{joint}{self._root}"
        endpoint = f", endpoint={self._backend.endpoint!r}" if self._backend.endpoint else ""
        return f"{self._declared.__name__}({shown!r}{endpoint})"


def _make(declared: Any, client: Client, prefix: str, concurrency: int) -> ObjectStore:
    store: ObjectStore = declared(client, prefix=prefix, concurrency=concurrency)
    return store


def _mode(version: str | None) -> Any:
    """How obstore is told which version must be there; None if the text is no version."""
    if version is None:
        return "create"
    parts = version.split(" ", 2)
    if len(parts) != 3:
        return None
    told = {"version": parts[1], "e_tag": parts[2]}
    return {name: part for name, part in told.items() if part != "-"}
