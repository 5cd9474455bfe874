"""
Plugins of blosc2: compressors and filters that storekit knows by name, and does not run.

Source: python-blosc2 4.14, ``Codec`` and ``Filter``.
"""

from __future__ import annotations

from storekit.errors import UnsupportedError
from storekit.frames.layout import FrameHeader
from storekit.frames.params import Codec, CParams, Filter

__all__ = ["codec_name", "filter_name", "refuse_plugins"]

_CODECS = {
    32: "NDLZ",
    33: "ZFP_ACC",
    34: "ZFP_PREC",
    35: "ZFP_RATE",
    36: "OPENHTJ2K",
    37: "GROK",
    38: "OPENZL",
    39: "J2K",
    40: "HTJ2K",
}
_FILTERS = {32: "NDCELL", 33: "NDMEAN", 36: "INT_TRUNC"}


def codec_name(number: int) -> str:
    """The name of a compressor; of one that is not known, its number."""
    return Codec(number).name if number in tuple(Codec) else _CODECS.get(number, str(number))


def filter_name(number: int) -> str:
    """The name of a filter; of one that is not known, its number."""
    return Filter(number).name if number in tuple(Filter) else _FILTERS.get(number, str(number))


def refuse_plugins(header: FrameHeader) -> None:
    """
    Say why a chunk is not understood, if the frame states that it takes a plugin.

    Args:
        header: Of the frame.

    Raises:
        UnsupportedError: If so; it names the plugins.
    """
    cparams = CParams.from_header(header)
    codec = [] if cparams.codec in tuple(Codec) else [f"codec {codec_name(cparams.codec)}"]
    filters = [f"filter {filter_name(n)}" for n in cparams.filters if n not in tuple(Filter)]
    if codec or filters:
        text = ", ".join(codec + filters)
        raise UnsupportedError(f"storekit does not run plugins of blosc2: {text}")
