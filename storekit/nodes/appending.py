"""
How a Zarr array grows by what is put behind its end.

The new shape is written first: so several who append at the same time get a place each, whoever
they are. Who then cannot write what belongs there gives the place back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storekit.errors import ShapeError
from storekit.nodes.casting import storable
from storekit.nodes.metadata import ArrayMetadata
from storekit.nodes.placing import undo_after
from storekit.typing import AnyArray, Shape

if TYPE_CHECKING:
    from storekit.nodes.zarr_array import ZarrArray

__all__ = ["append"]


def append(array: ZarrArray, values: AnyArray, axis: int) -> Shape:
    """As `ZarrArray.append`, with values of numpy."""
    if values.ndim != array.ndim or not -array.ndim <= axis < array.ndim:
        raise ShapeError(
            f"cannot append {values.ndim} dimensions to {array.ndim} along axis {axis}"
        )
    axis %= array.ndim
    values = storable(values, array._metadata)
    added = values.shape[axis]
    grown: list[ArrayMetadata] = []

    def grow(metadata: ArrayMetadata) -> ArrayMetadata:
        shape = metadata.shape
        if shape[:axis] + shape[axis + 1 :] != values.shape[:axis] + values.shape[axis + 1 :]:
            raise ShapeError(f"cannot append shape {values.shape} to {shape} along axis {axis}")
        grown[:] = [metadata.reshaped((*shape[:axis], shape[axis] + added, *shape[axis + 1 :]))]
        return grown[0]

    mark = array._rewrite(grow)
    # Not through the given object, whose shape other threads may change meanwhile.
    target = type(array)(array.store, array.path, grown[0])
    shape, end = target.shape, target.shape[axis]
    before = (*shape[:axis], end - added, *shape[axis + 1 :])

    def shrink(metadata: ArrayMetadata) -> ArrayMetadata:
        target._clear_beyond(before)  # as long as the place belongs to nobody else
        return metadata.reshaped(before)

    try:
        array._on_change()
        target[(slice(None),) * axis + (slice(end - added, end),)] = values
    except BaseException as error:
        what = f"{array.path!r}: indices {end - added} to {end - 1} of axis {axis}"
        if isinstance(error, TimeoutError):
            error.add_note(f"{what} stay: a write that was given up may still arrive there")
        else:
            undo_after(error, lambda: array._rewrite(shrink, only=mark), what)
        raise
    return shape
