"""
What Zarr groups and arrays have in common: a document in a store, read once and edited with care.

Source: Zarr v3 core specification, "Metadata" and "Hierarchy".
"""

from __future__ import annotations

import json
from collections.abc import (
    Callable,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from copy import deepcopy
from dataclasses import replace
from typing import Any, TypeVar

from storekit.errors import (
    ConflictError,
    KeyNotFoundError,
    NodeNotFoundError,
    NodeTypeError,
    ReadOnlyError,
)
from storekit.nodes.documents import check_finite
from storekit.nodes.locks import value_lock
from storekit.nodes.lookup import (
    Metadata,
    find_document,
    parse_document,
)
from storekit.nodes.metadata import ArrayMetadata, GroupMetadata, parse_node
from storekit.nodes.naming import document_key, normal_path
from storekit.nodes.node import Node
from storekit.nodes.placing import Mark, writable
from storekit.pool import run
from storekit.stores.base import ConditionalStore, Latency, ReadableStore
from storekit.typing import JSON

__all__ = ["ZarrNode"]

T = TypeVar("T")


class ZarrNode(Node):
    """
    A Zarr group or array, of v3 or, to be read only, of v2.

    Args:
        store: Where the hierarchy lives.

        path: The path in it.

        metadata: The metadata document, where it is known already. Read from the store otherwise.

    Raises:
        NodeNotFoundError: If there is no node at the path.

        NodeTypeError: If it is of the other kind.

        MetadataError: If the document is malformed.

    Threads: safe.
    """

    _kind: type[Metadata]

    def __init__(
        self,
        store: ReadableStore,
        path: str = "",
        metadata: Mapping[str, JSON] | Metadata | None = None,
    ) -> None:
        self._store, self._path = store, normal_path(path)
        if metadata is None:
            metadata = find_document(store, self._path)
        elif not isinstance(metadata, ArrayMetadata | GroupMetadata):
            metadata = parse_document(metadata, self._path, metadata.get("zarr_format"))
        if not isinstance(metadata, self._kind):
            found = "an array" if isinstance(metadata, ArrayMetadata) else "a group"
            raise NodeTypeError(
                f"{document_key(self._path)}: {type(self).__name__} cannot stand for {found}"
            )
        self._install(metadata)
        self._on_change: Callable[[], None] = _nothing

    def _install(self, metadata: Any) -> None:
        """Make `metadata` what the node goes by."""
        self._metadata: Metadata = metadata

    @property
    def store(self) -> ReadableStore:
        """The store that the node lives in."""
        return self._store

    @property
    def path(self) -> str:
        """The path in the hierarchy, without a leading slash; ``""`` for the root."""
        return self._path

    @property
    def metadata(self) -> dict[str, JSON]:
        """
        The metadata document, as a new dict. Of a node of Zarr v2: what its documents say, in one.
        """
        document: dict[str, JSON] = deepcopy(self._metadata.to_json())
        return document

    def print_metadata(self) -> None:
        """Print the metadata document."""
        print(json.dumps(self.metadata, indent=2))

    def refresh(self) -> None:
        """Read the metadata again, to see what others have changed."""
        with value_lock(self._store, document_key(self._path)):
            self._install(type(self)(self._store, self._path)._metadata)

    @property
    def attributes(self) -> MutableMapping[str, JSON]:
        """
        The user's attributes: JSON values by name. Every change is written to the store at once.
        """
        return _Attributes(self)

    @attributes.setter
    def attributes(self, attributes: Mapping[str, JSON]) -> None:
        self._edit(lambda metadata: replace(metadata, attributes=dict(attributes)))

    @property
    def _place(self) -> Hashable:
        identity, path = self._store._place(self._path)
        return identity, path.rstrip("/")  # the root of a part of a store is a node of the whole

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._store, self._path, self.metadata)

    def _side_by_side(self, names: Sequence[str], ask: Callable[[str], T]) -> dict[str, T]:
        """By name what comes of asking the store; from a network, for many at once."""
        store, found = self._store, {}

        def work(names: Iterable[str]) -> None:
            for name in names:
                found[name] = ask(name)

        workers = store.concurrency if store.latency >= Latency.NETWORK else 1
        crew = store.concurrency
        run(names, work, clock=store.clock, workers=min(workers, len(names)), crew=crew)
        return {name: found[name] for name in names}

    def _check_format(self, op: str) -> None:
        """Refuse to change what is of Zarr v2."""
        if self._metadata.zarr_format != 3:
            raise ReadOnlyError(
                f"the node {self._path!r} is of Zarr v2, which is only read: create an array of v3"
                " and assign this one to it",
                store=self._store,
                op=op,
                key=self._path,
            )

    def _edit(self, change: Callable[[Any], Any]) -> None:
        """Change the document that the store holds now, which others may have changed, too."""
        self._rewrite(change)
        self._on_change()

    def _rewrite(self, change: Callable[[Any], Any], only: Mark | None = None) -> Mark:
        """
        As `_edit`, without a word to the group.

        Args:
            change: From the metadata that there is to that which is written.

            only: The mark of the one document that is to be changed; of any if None.

        Returns:
            The mark of the document that was written.

        Raises:
            ConflictError: If others have changed the only one meanwhile.
        """
        self._check_format("set")
        store, key = writable(self._store, "set"), document_key(self._path)
        with value_lock(store, key):
            while True:
                mark: Mark
                try:
                    if isinstance(store, ConditionalStore):
                        data, mark = store.get_versioned(key)
                    else:
                        data = self._store.get(key)
                        mark = bytes(data)
                except KeyNotFoundError:
                    raise NodeNotFoundError(f"the node {self._path!r} has been deleted") from None
                if only not in (None, mark):
                    raise ConflictError("others have changed it", store=store, op="set", key=key)
                current = parse_node(data, key)
                if not isinstance(current, self._kind):
                    raise NodeTypeError(
                        f"{key}: the node has been replaced by one of the other kind"
                    )
                metadata = change(current)
                check_finite(metadata.attributes, "attributes", current.attributes)
                document = metadata.to_bytes()
                try:
                    if isinstance(store, ConditionalStore):
                        mark = store.compare_and_set(key, document, str(mark)) or ""
                    else:
                        store.set(key, document)
                        mark = document
                except ConflictError:
                    continue
                break
            # Still under the lock: threads that edit through one object leave it with the last.
            self._install(metadata)
        return mark


class _Attributes(MutableMapping[str, Any]):
    """The attributes of a node as a mapping that persists."""

    def __init__(self, node: ZarrNode) -> None:
        self._node = node

    @property
    def _now(self) -> Mapping[str, Any]:
        attributes: Mapping[str, Any] = self._node._metadata.attributes
        return attributes

    def __getitem__(self, name: str) -> Any:
        # A copy: metadata is shared and never changes; what is to persist must be assigned.
        return deepcopy(self._now[name])

    def __setitem__(self, name: str, value: Any) -> None:
        self._change(lambda old: {**old, name: value})

    def __delitem__(self, name: str) -> None:
        self[name]
        self._change(lambda old: {key: value for key, value in old.items() if key != name})

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Change several attributes in one write."""
        new = dict(*args, **kwargs)
        self._change(lambda old: {**old, **new})

    def clear(self) -> None:
        """Remove all attributes in one write."""
        self._change(lambda old: {})

    def _change(self, change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        self._node._edit(lambda metadata: replace(metadata, attributes=change(metadata.attributes)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)

    def __eq__(self, other: object) -> bool:
        return dict(self) == (dict(other) if isinstance(other, _Attributes) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(dict(self))


def _nothing() -> None:
    """What happens by default when a node changes."""
