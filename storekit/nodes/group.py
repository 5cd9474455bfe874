"""Groups of nodes, whatever lies behind them: a mapping, and how it looks as text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from storekit.errors import InvalidKeyError, NodeNotFoundError, StorekitError
from storekit.nodes.array import Array
from storekit.nodes.node import Node

__all__ = ["Group"]


class Group(Node, Mapping[str, Node]):
    """
    A group: a mapping from the names of its children to nodes.

    Looking up ``group["a/b"]`` goes down several levels at once. Opening a group reads none of its
    children.
    """

    @abstractmethod
    def _child(self, name: str) -> Node:
        """
        One child.

        Raises:
            NodeNotFoundError: If there is none of this name.
        """

    @property
    def summary(self) -> str:
        """The name and a slash."""
        return f"{self.name}/"

    @property
    def children(self) -> dict[str, Node]:
        """The nodes directly in this group, by name, sorted."""
        return {name: self._child(name) for name in self}

    def __getitem__(self, path: str) -> Any:
        """
        The node at a path relative to this group.

        Raises:
            NodeNotFoundError: If there is no such node.
        """
        if not isinstance(path, str) or not path.strip("/"):
            raise NodeNotFoundError(
                f"group {self.path!r}: a child is named by a text, found {path!r}"
            )
        node: Node = self
        for name in path.strip("/").split("/"):
            if not isinstance(node, Group):
                raise NodeNotFoundError(
                    f"no node {path!r} in group {self.path!r}: {node.path!r} is an array"
                )
            try:
                node = node._child(name)
            except InvalidKeyError as error:
                raise NodeNotFoundError(
                    f"no node {path!r} in group {self.path!r}: {error}"
                ) from None
        return node

    def get_nodes(self, paths: Iterable[str]) -> list[Any]:
        """
        The nodes at several paths relative to this group, in the order asked for.

        From a network they are read side by side, where a loop over ``group[path]`` would wait for
        each.

        Raises:
            NodeNotFoundError: If one of them is missing.
        """
        return [self[path] for path in paths]

    def __contains__(self, path: object) -> bool:
        try:
            self[path]  # type: ignore[index]
        except NodeNotFoundError:
            return False
        return True

    def __len__(self) -> int:
        return sum(1 for _ in self)

    # Not the views of `Mapping`, which would look every child up once more, and all of them for the
    # length that `list` asks for.

    def keys(self) -> KeysView[str]:
        """The names of the children as they are now, sorted."""
        return self.children.keys()

    def values(self) -> ValuesView[Node]:
        """The children as they are now, sorted by name."""
        return self.children.values()

    def items(self) -> ItemsView[str, Node]:
        """The children as they are now with their names, sorted."""
        return self.children.items()

    @property
    def groups(self) -> dict[str, Group]:
        """The groups directly in this group, by name."""
        return {name: node for name, node in self.children.items() if isinstance(node, Group)}

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays directly in this group, by name."""
        return {name: node for name, node in self.children.items() if isinstance(node, Array)}

    def walk(self) -> Iterator[Node]:
        """All nodes below this group, parents before their children."""
        for node in self.children.values():
            yield node
            if isinstance(node, Group):
                yield from node.walk()

    def tree(self) -> str:
        """The nodes below this group as an indented text: names, shapes, dtypes, chunks."""
        return "\n".join([f"/{self.path}", *_branches(self, "")])

    def print_tree(self) -> None:
        """Print the tree."""
        print(self.tree())

    def __repr__(self) -> str:
        title = f"<{type(self).__name__} {self.path!r}"
        try:
            lines = [f"  {node.summary}" for node in self.children.values()]
        except StorekitError as error:
            # A repr that raises would hide what a debugger or a failing test is about to show.
            return f"{title}, children unknown: {error}>"
        number = f"{len(lines)} child{'' if len(lines) == 1 else 'ren'}"
        return "\n".join([f"{title}, {number}>", *lines])


def _branches(group: Group, indent: str) -> Iterator[str]:
    children = list(group.children.values())
    for i, node in enumerate(children):
        last = i == len(children) - 1
        yield f"{indent}{'└── ' if last else '├── '}{node.summary}"
        if isinstance(node, Group):
            yield from _branches(node, indent + ("    " if last else "│   "))
