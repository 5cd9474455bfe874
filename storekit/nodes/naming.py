"""
Paths of nodes: how they are spelled, which names are allowed, and the keys of their documents.
"""

from __future__ import annotations

from storekit.errors import InvalidKeyError
from storekit.keys import check_key

__all__ = ["check_name", "document_key", "hidden", "join_path", "normal_path"]

DOCUMENT = "zarr.json"


def normal_path(path: str) -> str:
    """
    A path without slashes at its ends; ``""`` for the root.

    Raises:
        InvalidKeyError: If it cannot be the path of a node.
    """
    stripped = path.strip("/") if isinstance(path, str) else path
    return check_key(stripped) if stripped != "" else ""


def check_name(path: str) -> str:
    """
    The path, if a node may be created there: every name in it is fit for a node.

    Raises:
        InvalidKeyError: If a name begins with ``__`` or is ``zarr.json``.

    Source: Zarr v3 core specification, "Node names".
    """
    path = normal_path(path)
    for name in path.split("/"):
        if name.startswith("__") or name == DOCUMENT:
            raise InvalidKeyError(
                f"invalid node name {name!r}: it must not be {DOCUMENT!r} nor begin with '__'",
                key=path,
            )
    return path


def hidden(name: str) -> bool:
    """Whether a name found in a store is reserved, and so no node."""
    return name.startswith("__")


def document_key(path: str) -> str:
    """The key of the metadata document of a node."""
    return f"{path}/{DOCUMENT}" if path else DOCUMENT


def join_path(parent: str, child: str) -> str:
    """The path of a child."""
    return f"{parent}/{child}" if parent else child
