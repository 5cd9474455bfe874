"""
The blosc2 contiguous frame: its layout in bytes, the chunks inside, arrays in files of their own.

The names below are loaded when they are first used; wherever in storekit they live, here is where
users of caterva and blosc2 look for them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from storekit.lazy import loader

if TYPE_CHECKING:
    from storekit.frames.params import Codec as Codec
    from storekit.frames.params import CParams as CParams
    from storekit.frames.params import Filter as Filter
    from storekit.frames.params import SplitMode as SplitMode
    from storekit.nodes.containers import ContainerGroup as ContainerGroup
    from storekit.nodes.frame_array import FrameArray as FrameArray
    from storekit.nodes.frame_create import asarray as asarray
    from storekit.nodes.frame_create import copy as copy
    from storekit.nodes.frame_create import empty as empty
    from storekit.nodes.frame_create import from_buffer as from_buffer
    from storekit.nodes.frame_create import full as full
    from storekit.nodes.frame_create import nans as nans
    from storekit.nodes.frame_create import remove as remove
    from storekit.nodes.frame_create import zeros as zeros
    from storekit.nodes.frame_files import from_cframe as from_cframe
    from storekit.nodes.frame_files import load as load
    from storekit.nodes.frame_files import open as open
    from storekit.nodes.frame_files import save as save
    from storekit.nodes.frame_options import FrameOptions as FrameOptions
    from storekit.nodes.frame_tensors import load_array as load_array
    from storekit.nodes.frame_tensors import load_tensor as load_tensor
    from storekit.nodes.frame_tensors import save_array as save_array
    from storekit.nodes.frame_tensors import save_tensor as save_tensor
    from storekit.nodes.unread import UnreadNode as UnreadNode

_HOMES = {
    "CParams": "frames.params",
    "Codec": "frames.params",
    "ContainerGroup": "nodes.containers",
    "Filter": "frames.params",
    "FrameArray": "nodes.frame_array",
    "FrameOptions": "nodes.frame_options",
    "SplitMode": "frames.params",
    "UnreadNode": "nodes.unread",
    "asarray": "nodes.frame_create",
    "copy": "nodes.frame_create",
    "empty": "nodes.frame_create",
    "from_buffer": "nodes.frame_create",
    "from_cframe": "nodes.frame_files",
    "full": "nodes.frame_create",
    "load": "nodes.frame_files",
    "load_array": "nodes.frame_tensors",
    "load_tensor": "nodes.frame_tensors",
    "nans": "nodes.frame_create",
    "open": "nodes.frame_files",
    "remove": "nodes.frame_create",
    "save": "nodes.frame_files",
    "save_array": "nodes.frame_tensors",
    "save_tensor": "nodes.frame_tensors",
    "zeros": "nodes.frame_create",
}

__all__ = ["__version__", *_HOMES]

__version__: str = sys.modules["storekit"].__version__
"""That of storekit. caterva has it here."""

__getattr__ = loader(globals(), _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
