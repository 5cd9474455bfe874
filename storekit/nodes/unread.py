"""What is shown of containers, and can be neither read nor changed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, MutableMapping

from storekit.errors import ReadOnlyError
from storekit.nodes.node import Node
from storekit.typing import JSON

__all__ = ["FixedAttributes", "UnreadNode"]


class UnreadNode(Node):
    """
    What is in a container, and is nothing that storekit reads.

    Args:
        path: In the container.

        reason: What it is.
    """

    def __init__(self, path: str, reason: str) -> None:
        self._path, self.reason = path, reason

    @property
    def path(self) -> str:
        """The path in the container."""
        return self._path

    @property
    def attributes(self) -> MutableMapping[str, JSON]:
        """None."""
        return FixedAttributes({})

    @property
    def _place(self) -> Hashable:
        return self._path, self.reason

    @property
    def summary(self) -> str:
        """The name, and what it is."""
        return f"{self.name}: {self.reason}"


class FixedAttributes(MutableMapping[str, JSON]):
    """Attributes that cannot be changed."""

    def __init__(self, values: Mapping[str, JSON]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> JSON:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __setitem__(self, name: str, value: JSON) -> None:
        raise ReadOnlyError("containers of blosc2 can only be read", op="set")

    def __delitem__(self, name: str) -> None:
        raise ReadOnlyError("containers of blosc2 can only be read", op="erase")

    def __repr__(self) -> str:
        return repr(self._values)
