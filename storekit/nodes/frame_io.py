"""
Reading the chunks of a frame: of those that lie near to each other far away as one, of single
blocks with what is known of their chunk.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import prod

from storekit.codecs.frame_chunk import FrameChunkCoder
from storekit.errors import CodecError, CorruptFrameError
from storekit.frames.chunks import FrameChunks
from storekit.frames.frame import grid_counts
from storekit.frames.head import Head
from storekit.frames.plugins import refuse_plugins
from storekit.nodes.chunkio import ChunkIO, Step
from storekit.selection.parse import Selection
from storekit.selection.part import Part
from storekit.stopping import unless_stopped
from storekit.stores.base import Latency
from storekit.stores.coalesce import coalesce, side_by_side
from storekit.typing import AnyArray, Shape, Value

__all__ = ["FrameIO"]

_MOST = 32 << 20
"""Bytes that are decoded of one request at most, which is what one thread does."""

_KEPT = 1 << 14
"""Blocks of which is kept where they are; 100 bytes for each."""


class FrameIO(ChunkIO):
    """
    As `ChunkIO`; but from a network, chunks that lie near to each other in the frame come by one
    request, as far as that is quicker than several side by side.

    Args:
        store: The chunks.

        shape: Of the array.

        coder: That of the chunks.
    """

    _store: FrameChunks
    _coder: FrameChunkCoder

    def __init__(self, store: FrameChunks, shape: Shape, coder: FrameChunkCoder) -> None:
        super().__init__(store, shape, coder, _key, _numbering(shape, coder.spec.shape))
        self._heads: dict[str, Head] = {}

    def write(self, selection: Selection, values: AnyArray, *, check_empty: bool = True) -> None:
        """
        As `ChunkIO.write`.

        Raises:
            UnsupportedError: If chunks cannot be decoded without a plugin of blosc2.
        """
        try:
            super().write(selection, values, check_empty=check_empty)
        except CorruptFrameError:
            refuse_plugins(self._store.frame.header)
            raise

    def _fill(self, selection: Selection, work: AnyArray) -> None:
        try:
            self._fill_planned(selection, work)
        except CorruptFrameError:
            refuse_plugins(self._store.frame.header)
            raise

    def _fill_planned(self, selection: Selection, work: AnyArray) -> None:
        plan = self._plan(selection)
        if self._store.latency >= Latency.NETWORK:
            groups = self._groups(plan)
            largest = max(map(len, groups), default=0)
            self._run(groups, partial(self._read_groups, work), largest * self._spec.nbytes)
        elif len(plan) == 1:  # 7 us of asking who could help
            self._read_steps(work, unless_stopped(plan))
        else:
            self._fill_from(plan, selection, work)

    def _read_part(self, key: str, out: AnyArray, part: Part) -> None:
        # All is of one snapshot, and the plan's keys need no check.
        fetch = partial(self._store._get_ranges, key)
        known = self._heads.get(key)
        try:
            head = self._coder.read_known(fetch, out, part, known)
        except CodecError:
            if known is None:
                raise
            # blosc2 may have written where the chunk was, too soon to tell by the time stamp.
            head = self._coder.read_known(fetch, out, part)
        if head is not known:
            self._keep(key, head)

    def _keep(self, key: str, head: Head | None) -> None:
        """Keep a head for the next read: one with checksums, which tell if blocks are another's."""
        self._heads.pop(key, None)
        if head is None or head.sums is None or len(head.sums) > _KEPT:
            return
        if (len(self._heads) + 1) * len(head.sums) > _KEPT:
            self._heads.clear()
        self._heads[key] = head

    def _groups(self, plan: Iterable[Step]) -> list[list[Step]]:
        """The steps of a plan, those together that are read at once."""
        gap, groups = self._store.request_cost, []
        near: list[tuple[tuple[int, int], Step]] = []
        for step in plan:
            key, _, part, extent = step
            span = None if self._by_ranges(part, extent) else self._store.extent(key)
            if span is None:
                groups.append([step])
            else:
                near.append((span, step))
        spans = coalesce((span for span, _ in near), gap, side_by_side(gap))
        starts = [first for first, _ in spans]
        together: list[list[Step]] = [[] for _ in spans]
        for (first, _), step in near:
            together[bisect_right(starts, first) - 1].append(step)
        count = max(_MOST // max(self._spec.nbytes, 1), 1)
        cut = [steps[i : i + count] for steps in together for i in range(0, len(steps), count)]
        return cut + groups

    def _read_groups(self, work: AnyArray, groups: Iterable[Sequence[Step]]) -> None:
        for group in groups:
            if len(group) == 1:
                self._read_steps(work, group)
                continue
            values = self._store.get_stored([step[0] for step in group])
            self._read_steps(work, group, partial(self._taken, values))

    def _taken(self, values: dict[str, Value], key: str) -> Value:
        return self._store.checked(key, values.pop(key))


def _numbering(shape: Shape, chunks: Shape) -> Callable[[int, int], int]:
    """From an axis and an index along it to what this adds to the number of a chunk."""
    counts = grid_counts(shape, chunks)
    strides = [prod(counts[i + 1 :]) for i in range(len(counts))]
    return lambda axis, index: strides[axis] * index


def _key(parts: tuple[int, ...]) -> str:
    return str(sum(parts))
