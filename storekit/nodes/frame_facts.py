"""What a frame says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from math import prod
from typing import TypeVar

from storekit.frames.frame import Frame
from storekit.frames.home import Change
from storekit.frames.params import CParams
from storekit.nodes.frame_info import FrameInfo
from storekit.nodes.frame_meta import FrameAttributes, FrameMeta, VLMeta
from storekit.typing import JSON

__all__ = ["FrameFacts"]

T = TypeVar("T")


class FrameFacts(ABC):
    """The attributes of an array in a frame that other arrays do not have."""

    _nthreads = 1
    _chosen: CParams | None = None

    @property
    @abstractmethod
    def _frame(self) -> Frame:
        """The frame as it is now."""

    @abstractmethod
    def _change(self, edit: Callable[[Change], T]) -> T:
        """Change the frame."""

    def _cparams(self, frame: Frame) -> CParams:
        if self._chosen is not None:
            return self._chosen
        stated = CParams.from_header(frame.header)
        return stated if self._nthreads == 1 else replace(stated, nthreads=self._nthreads)

    @property
    def attributes(self) -> MutableMapping[str, JSON]:
        """
        The user's attributes: the metalayers of variable length, to which JSON values are written.
        """
        return FrameAttributes(self)

    @property
    def vlmeta(self) -> VLMeta:
        """The metalayers of variable length: values by name, of all kinds that msgpack has."""
        return VLMeta(self)

    @property
    def meta(self) -> FrameMeta:
        """The metalayers of fixed length: bytes by name, made together with the frame."""
        return FrameMeta(self)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self._frame.meta.dtype.itemsize

    @property
    def cparams(self) -> CParams:
        """How chunks are compressed that are written from now on."""
        return self._cparams(self._frame)

    @property
    def codec(self) -> int:
        """The compressor: a `Codec`, or the number of a plugin."""
        return self.cparams.codec

    @property
    def clevel(self) -> int:
        """The level of the compressor, from 0 to 9."""
        return self.cparams.clevel

    @property
    def filters(self) -> tuple[int, ...]:
        """What is done to blocks before they are compressed: of `Filter`."""
        return self.cparams.filters

    @property
    def filtersmeta(self) -> tuple[int, ...]:
        """A setting for each of the filters."""
        return self.cparams.filtersmeta

    @property
    def cbytes(self) -> int:
        """Bytes of the stored chunks."""
        frame = self._frame
        return frame.header.cbytes - frame.dead

    @property
    def cratio(self) -> float:
        """Bytes of the elements for each byte that is stored; infinite if no chunk is."""
        frame = self._frame
        nbytes = prod(frame.meta.shape) * frame.meta.dtype.itemsize
        stored = frame.header.cbytes - frame.dead
        return nbytes / stored if stored > 0 else float("inf")

    @property
    def info(self) -> FrameInfo:
        """A table of all this."""
        return FrameInfo(self._frame, self.cratio)
