"""Reading the chunks of a frame that is far away: those that lie near to each other as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import partial

from storekit.frames.chunks import FrameChunks
from storekit.nodes.chunkio import ChunkIO, Step
from storekit.selection.parse import Selection
from storekit.stores.base import Latency
from storekit.stores.coalesce import coalesce, side_by_side
from storekit.typing import AnyArray, Fetch, Value

__all__ = ["FrameIO"]

_MOST = 32 << 20
"""Bytes that are decoded of one request at most, which is what one thread does."""


class FrameIO(ChunkIO):
    """
    As `ChunkIO`; but from a network, chunks that lie near to each other in the frame come by one
    request, as far as that is quicker than several side by side.
    """

    _store: FrameChunks

    def _fill(self, selection: Selection, work: AnyArray) -> None:
        if self._store.latency < Latency.NETWORK:
            super()._fill(selection, work)
            return
        groups = self._groups(self._plan(selection))
        largest = max(map(len, groups), default=0)
        self._run(groups, partial(self._read_groups, work), largest * self._spec.nbytes)

    def _bound(self, fetch: Fetch) -> Fetch:
        """As it is: all that is read is of one snapshot of the frame."""
        return fetch

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
