"""What groups and arrays have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, MutableMapping

from storekit.typing import JSON

__all__ = ["Node"]


class Node(ABC):
    """A group or an array, at a path in a hierarchy."""

    @property
    @abstractmethod
    def path(self) -> str:
        """The path from the root of the hierarchy, without a leading slash; ``""`` for the root."""

    @property
    def name(self) -> str:
        """The last part of the path; ``""`` for the root."""
        return self.path.rpartition("/")[2]

    @property
    @abstractmethod
    def attributes(self) -> MutableMapping[str, JSON]:
        """The user's attributes. Where the backing can be written, changes persist at once."""

    @property
    def attrs(self) -> MutableMapping[str, JSON]:
        """The attributes, by the name that h5py and zarr-python give them."""
        return self.attributes

    @property
    @abstractmethod
    def _place(self) -> Hashable:
        """What names the place of the node: equal for two objects that stand for one node."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._place == other._place

    def __hash__(self) -> int:
        return hash(self._place)

    @property
    @abstractmethod
    def summary(self) -> str:
        """The node in one line, as trees show it."""
