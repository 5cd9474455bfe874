"""What a frame is, as the table that caterva shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from storekit.frames.b2nd import B2ND, CATERVA
from storekit.frames.frame import Frame
from storekit.frames.params import CParams
from storekit.frames.plugins import codec_name, filter_name
from storekit.frames.seal import SEAL

__all__ = ["FrameInfo"]


class FrameInfo(Mapping[str, Any]):
    """
    A table of what a frame is: by the label of each row its value.

    Args:
        frame: What is known of it.

        ratio: Bytes of the elements to bytes of the chunks.
    """

    def __init__(self, frame: Frame, ratio: float) -> None:
        meta, cparams = frame.meta, CParams.from_header(frame.header)
        kind = "SChunk (Blosc)" if frame.plain else "NDArray (Blosc)"
        rows: dict[str, Any] = {"Type": kind, "Itemsize": meta.dtype.itemsize}
        if B2ND in frame.layers:
            rows["Data type"] = str(meta.dtype)
        rows |= {"Shape": meta.shape, "Chunks": meta.chunks, "Blocks": meta.blocks}
        rows["Comp. codec"] = codec_name(cparams.codec)
        rows["Comp. level"] = cparams.clevel
        rows["Comp. filters"] = [filter_name(number) for number in cparams.filters]
        rows["Comp. ratio"] = ratio
        for label, names in (("Meta", [*frame.layers]), ("VLMeta", [*frame.trailer.layers])):
            own = [name for name in names if name not in (B2ND, CATERVA, SEAL)]
            if own:
                rows[label] = own
        self._rows = rows

    def __getitem__(self, label: str) -> Any:
        return self._rows[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        width = max(map(len, self))
        return "\n".join(f"{label:{width}} : {_text(value)}" for label, value in self.items())

    def _repr_html_(self) -> str:
        rows = (
            f"<tr><th>{escape(label)}</th><td>{escape(_text(value))}</td></tr>"
            for label, value in self.items()
        )
        return f"<table>{''.join(rows)}</table>"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"[{', '.join(value)}]" if isinstance(value, list) else str(value)
