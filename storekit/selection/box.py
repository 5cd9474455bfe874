"""
Parts of a chunk seen from another place: from the box around them, or from inside it.

Pure functions, no I/O.
"""

from __future__ import annotations

import numpy as np

from storekit.selection.part import Box, Mesh, Part, Points
from storekit.typing import AnyArray, Shape

__all__ = ["bounding_box", "box_shape", "inside"]


def bounding_box(part: Part) -> Box | None:
    """The smallest box of step 1 that holds a part; None if the part is empty."""
    if isinstance(part, Points):
        rest = iter(part.rest)
        coords = dict(zip(part.axes, part.coords, strict=True))
        ndim = len(part.axes) + len(part.rest)
        axes: tuple[slice | AnyArray, ...] = tuple(
            coords[i] if i in coords else next(rest) for i in range(ndim)
        )
    else:
        axes = part.axes if isinstance(part, Mesh) else part
    bounds = [_bounds(axis) for axis in axes]
    return None if None in bounds else tuple(slice(*b, 1) for b in bounds if b is not None)


def inside(part: Part, box: Box) -> Part:
    """The same elements, counted from the beginning of the box that holds them."""
    if isinstance(part, Points):
        corner = [axis.start for axis in box]
        others = [i for i in range(len(box)) if i not in part.axes]
        return Points(
            part.axes,
            tuple(c - corner[i] for i, c in zip(part.axes, part.coords, strict=True)),
            tuple(_shifted(r, corner[i]) for i, r in zip(others, part.rest, strict=True)),
        )
    if isinstance(part, Mesh):
        return Mesh(
            tuple(
                _shifted(axis, b.start) if isinstance(axis, slice) else axis - b.start
                for axis, b in zip(part.axes, box, strict=True)
            )
        )
    return tuple(_shifted(axis, b.start) for axis, b in zip(part, box, strict=True))


def box_shape(box: Box) -> Shape:
    """The lengths of a box of step 1."""
    return tuple(axis.stop - axis.start for axis in box)


def _bounds(axis: slice | AnyArray) -> tuple[int, int] | None:
    if isinstance(axis, np.ndarray):
        return (int(axis.min()), int(axis.max()) + 1) if axis.size else None
    picked = range(axis.start, axis.stop, axis.step or 1)
    return (picked[0], picked[-1] + 1) if picked else None


def _shifted(axis: slice, start: int) -> slice:
    return slice(axis.start - start, axis.stop - start, axis.step)
