"""
Containers of blosc2 as groups, which can be read: EmbedStore, DictStore and TreeStore.

| container | is |
|---|---|
| EmbedStore, ``.b2e`` | one frame with others in its content |
| DictStore, TreeStore, ``.b2d`` | a directory with ``embed.b2e``, and large frames beside it |
| the same, ``.b2z`` | such a directory as a zip archive |

Source: python-blosc2 4.14, ``embed_store.py``, ``dict_store.py``, ``tree_store.py``, and files that
they write.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple, TypeAlias

from storekit.errors import (
    CorruptFrameError,
    InvalidKeyError,
    NodeNotFoundError,
    ReadOnlyError,
    UnsupportedError,
)
from storekit.frames.embedded import EMBEDDING, EmbeddedFrames, parse_map
from storekit.frames.home import Home
from storekit.frames.kinds import ENOUGH, check_kind, kind_of
from storekit.frames.stored import StoredHome
from storekit.keys import check_key
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.group import Group
from storekit.nodes.naming import join_path
from storekit.nodes.node import Node
from storekit.nodes.unread import FixedAttributes, UnreadNode
from storekit.pool import run
from storekit.stores.base import Latency, ListableStore, ReadableStore
from storekit.typing import JSON

__all__ = [
    "EMBEDDED",
    "ContainerGroup",
    "is_embedding",
    "open_directory",
    "open_embedding",
]

EMBEDDED = "embed.b2e"
"""The file that every directory of a DictStore or a TreeStore has."""

_SUFFIXES = (".b2nd", ".b2f", ".b2b")
_ATTRIBUTES = "__vlmeta__"

_Leaf: TypeAlias = tuple[ReadableStore, str] | None
"""The store and the key of a frame; None for a reference to something elsewhere."""


class _Container(NamedTuple):
    """
    What a container holds.

    Attributes:
        place: What names where it is.

        leaves: Its frames by path.

        children: The names of the children of every group, sorted, by the path of the group.
    """

    place: Hashable
    leaves: Mapping[str, _Leaf]
    children: Mapping[str, list[str]]


class ContainerGroup(Group):
    """
    A group in a container of blosc2: a mapping from names to `FrameArray` and `ContainerGroup`.

    It is the container as it was when it was opened. What is no array, such as a list of objects, a
    lazy expression or a reference to something elsewhere, is an `UnreadNode` among the children,
    and an error when it is looked up.

    An EmbedStore and a DictStore may have frames at ``a`` and at ``a/b``. Then ``a`` is an array,
    and ``a/b`` another child beside it.

    Threads: safe.
    """

    def __init__(self, container: _Container, path: str = "") -> None:
        self._container, self._path = container, path

    @property
    def path(self) -> str:
        """The path in the container, without a leading slash; ``""`` for the root."""
        return self._path

    @property
    def attributes(self) -> MutableMapping[str, JSON]:
        """The metadata that a TreeStore has of the group. Read-only."""
        path = join_path(self._path, _ATTRIBUTES)
        if path not in self._container.leaves:
            return FixedAttributes({})
        return FixedAttributes(dict(self._leaf(path).attributes))

    @property
    def _place(self) -> Hashable:
        return self._container.place, self._path

    def __iter__(self) -> Iterator[str]:
        return iter(self._container.children[self._path])

    def __len__(self) -> int:
        return len(self._container.children[self._path])

    def __getitem__(self, path: str) -> Any:
        """
        The node at a path relative to this group.

        Raises:
            NodeNotFoundError: If there is no such node.

            UnsupportedError: If it is nothing that storekit reads.
        """
        if isinstance(path, str):
            whole = join_path(self._path, path.strip("/"))
            if whole in self._container.leaves and not _is_hidden(whole):
                return self._leaf(whole)
        return super().__getitem__(path)

    def __setitem__(self, path: str, data: Any) -> None:
        """Refused, as containers can only be read."""
        raise ReadOnlyError("containers of blosc2 can only be read", op="set")

    def __delitem__(self, path: str) -> None:
        """Refused, as containers can only be read."""
        raise ReadOnlyError("containers of blosc2 can only be read", op="erase")

    def _child(self, name: str) -> Node:
        path = join_path(self._path, name)
        if path in self._container.leaves and not _is_hidden(path):
            return self._leaf(path)
        if path not in self._container.children:
            raise NodeNotFoundError(f"no node {name!r} in group {self._path!r}")
        return ContainerGroup(self._container, path)

    @property
    def children(self) -> dict[str, Node]:
        """
        The nodes directly in this group, by name, sorted; an `UnreadNode` for each that storekit
        does not read. From a network, many are read at once.
        """
        names, found = list(self), dict[str, Node]()

        def work(names: Iterable[str]) -> None:
            for name in names:
                try:
                    found[name] = self._child(name)
                except UnsupportedError as error:
                    found[name] = UnreadNode(join_path(self._path, name), str(error))

        store = next((leaf[0] for leaf in self._container.leaves.values() if leaf), None)
        if store is None or store.latency < Latency.NETWORK:
            work(names)
        else:
            many = store.concurrency
            run(names, work, clock=store.clock, workers=min(many, len(names)), crew=many)
        return {name: found[name] for name in names}

    def _leaf(self, path: str) -> FrameArray:
        leaf = self._container.leaves[path]
        if leaf is None:
            raise UnsupportedError(
                f"{path!r} is a reference to an array elsewhere, which is not followed", op="open"
            )
        try:
            home = StoredHome(*leaf)
        except CorruptFrameError:
            store, key = leaf
            for head in store.get_partial_values([(key, 0, ENOUGH)]):
                kind_of(head or b"", path, refused=True)
            raise
        check_kind(home.snapshot().frame, path)
        return FrameArray(home, path)


def open_embedding(home: Home) -> ContainerGroup:
    """
    An EmbedStore.

    Args:
        home: Where its frame lives.

    Raises:
        CorruptFrameError: If its map is damaged.

        UnsupportedError: If a name in it cannot be the path of a node.
    """
    return _grouped(home.identity, _embedded(home))


def open_directory(store: ReadableStore, prefix: str = "") -> ContainerGroup:
    """
    A DictStore or a TreeStore.

    Args:
        store: Where it is: in a directory, or in the archive that it is.

        prefix: Of the directory in the store, empty or with a slash at its end.

    Raises:
        KeyNotFoundError: If there is none.

        CorruptFrameError: If its map is damaged.

        UnsupportedError: If a name in it cannot be the path of a node, or the store cannot list.
    """
    if not isinstance(store, ListableStore):
        raise UnsupportedError(
            "the frames of a directory are found by listing; an archive (.b2z) can be read here",
            store=store,
            op="list_prefix",
        )
    leaves = _embedded(StoredHome(store, prefix + EMBEDDED))
    for key in store.list_prefix(prefix):
        name = key[len(prefix) :]
        stem, dot, suffix = name.rpartition(".")
        if dot + suffix in _SUFFIXES:
            leaves[stem] = store, key
    return _grouped((store.identity, prefix), leaves)


def is_embedding(home: Home) -> bool:
    """Whether the content of a frame are other frames."""
    return any(layer in EMBEDDING for layer in home.snapshot().frame.layers)


def _embedded(home: Home) -> dict[str, _Leaf]:
    places = parse_map(home.snapshot().frame)
    paths = {name: _path_of(name) for name in places}
    store = EmbeddedFrames(home, {paths[n]: place for n, place in places.items() if place})
    return {paths[n]: (store, paths[n]) if place else None for n, place in places.items()}


def _path_of(name: str) -> str:
    """The path of what a container calls ``/a/b``."""
    try:
        return check_key(name.removeprefix("/"))
    except InvalidKeyError as error:
        raise UnsupportedError(f"a name in the container: {error}", op="open") from None


def _grouped(place: Hashable, leaves: Mapping[str, _Leaf]) -> ContainerGroup:
    """The root of what has these frames."""
    children: dict[str, set[str]] = {"": set()}
    for path in leaves:
        group = _group_of(path, leaves)
        names = [] if _is_hidden(path) else [path[len(group) :].lstrip("/")]
        while group not in children:
            children[group] = {*names}
            group, _, name = group.rpartition("/")
            names = [name]
        children[group].update(names)
    return ContainerGroup(_Container(place, leaves, {k: sorted(v) for k, v in children.items()}))


def _group_of(path: str, leaves: Mapping[str, _Leaf]) -> str:
    """The group that a frame is a child of: what is above it, and above no other frame."""
    end = path.find("/")
    while end >= 0 and path[:end] not in leaves:
        end = path.find("/", end + 1)
    return path[:end].rpartition("/")[0] if end >= 0 else path.rpartition("/")[0]


def _is_hidden(path: str) -> bool:
    return path.rpartition("/")[2] == _ATTRIBUTES
