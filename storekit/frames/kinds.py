"""What frames of blosc2 hold that is no array, and by what they say so."""

from __future__ import annotations

from storekit.errors import UnsupportedError
from storekit.frames.frame import Frame
from storekit.typing import Value

__all__ = ["ENOUGH", "check_kind", "kind_of"]

ENOUGH = 32
"""So many of the first bytes of a file tell what it is."""

_MAGIC = {
    b"\x9e\xa8b2frame\0": "frame",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x89HDF\r\n\x1a\n": "hdf5",
}
_FLAGS, _VARIOUS = 25, 0xC0

_KINDS = {
    "b2o": "an expression, or a reference to something elsewhere, and storekit evaluates none",
    "LazyArray": "an expression, and storekit evaluates none",
    "proxy-source": "what a proxy has fetched of an array elsewhere, and zeros for all else",
    "b2remote_store": "a reference to a store elsewhere, which is not followed",
    "vlarray": "objects, not an array",
    "batcharray": "batches of objects, not an array",
    "listarray": "lists, not an array",
}


def check_kind(frame: Frame, path: str) -> None:
    """
    Refuse what must not be taken for an array.

    Raises:
        UnsupportedError: If the frame holds something else. Nothing of it was evaluated.
    """
    for layer, what in _KINDS.items():
        if layer in frame.layers:
            raise UnsupportedError(f"the frame {path!r} holds {what}", op="open", key=path)


def kind_of(head: Value, path: str, *, refused: bool = False) -> str:
    """
    What a file is that begins so: ``"frame"``, ``"zip"``; ``""`` if it is nothing known.

    Args:
        head: `ENOUGH` bytes, or all if there are fewer.

        path: A name for it.

        refused: Whether it was found not to be the frame of an array.

    Raises:
        UnsupportedError: If it is HDF5; or, if it was refused, a frame of chunks or blocks of
            various sizes, as blosc2 has for objects.
    """
    found = bytes(head)
    kind = next((kind for magic, kind in _MAGIC.items() if found.startswith(magic)), "")
    if kind == "hdf5":
        raise UnsupportedError(f"{path!r} is HDF5, which h5py reads", op="open", key=path)
    if refused and kind == "frame" and len(found) > _FLAGS and found[_FLAGS] & _VARIOUS:
        raise UnsupportedError(
            f"the frame {path!r} holds chunks or blocks of various sizes, not an array",
            op="open",
            key=path,
        )
    return kind
