"""What processes of the tests do; imports little, because every new process imports it."""

from __future__ import annotations

from multiprocessing.synchronize import Barrier

import numpy as np

from storekit import LocalStore, ZarrArray, ZarrGroup, open_zarr


def increment(array: ZarrArray, mine: slice, rounds: int) -> None:
    """Add one to every element of one's own, again and again."""
    for _ in range(rounds):
        array[mine] = array[mine] + 1


def increment_stored(start: Barrier, path: str, mine: slice, rounds: int) -> None:
    """As `increment`, for the array in a directory, together with the others."""
    start.wait()
    increment(open_zarr(LocalStore(path), "a"), mine, rounds)


def append(array: ZarrArray, name: int, rounds: int) -> None:
    """Append rows that carry one's name and a serial number."""
    for serial in range(rounds):
        array.append(np.array([[name, serial, name]]))


def append_stored(start: Barrier, path: str, name: int, rounds: int) -> None:
    """As `append`, for the array in a directory, together with the others."""
    start.wait()
    append(open_zarr(LocalStore(path), "a"), name, rounds)


def annotate(node: ZarrArray | ZarrGroup, name: str, rounds: int) -> None:
    """Set attributes of one's own, and remove every other one again."""
    for serial in range(rounds):
        node.attributes[f"{name}{serial}"] = serial
        if serial % 2:
            del node.attributes[f"{name}{serial}"]


def annotate_stored(start: Barrier, path: str, name: str, rounds: int) -> None:
    """As `annotate`, for the array in a directory, together with the others."""
    start.wait()
    annotate(open_zarr(LocalStore(path), "a"), name, rounds)


def total(array: ZarrArray) -> int:
    """The sum of an array, read in another thread of this process."""
    return int(array.read_future().result().sum())


def names(group: ZarrGroup) -> list[str]:
    """The paths of all nodes below a group."""
    return [node.path for node in group.walk()]
