"""What a node is, as a table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any

from storekit.codecs.registry import codec_to_json
from storekit.errors import UnsupportedError
from storekit.nodes.array import Array
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.group import Group
from storekit.nodes.interchange_chunks import coder_of
from storekit.nodes.node import Node
from storekit.nodes.zarr_array import ZarrArray
from storekit.nodes.zarr_node import ZarrNode
from storekit.stores.base import Latency, ListableStore

__all__ = ["describe"]

_WIDE = 100
"""Characters of a value that are shown."""


def describe(node: Node) -> str:
    """
    A table of what is known of a node.

    Of frames it is the one of `FrameArray.info`, with sizes and checksums. Of Zarr arrays it says
    how many chunks are stored, unless the store is on a network or cannot list its keys.
    """
    if isinstance(node, FrameArray):
        rows = _of_frame(node)
    elif isinstance(node, ZarrArray):
        rows = _of_zarr(node)
    elif isinstance(node, Group):
        rows = _of_group(node)
    else:
        rows = {"Type": type(node).__name__, "Summary": node.summary}
    width = max(map(len, rows))
    return "\n".join(f"{label:{width}} : {_text(value)}" for label, value in rows.items())


def _of_frame(array: FrameArray) -> dict[str, Any]:
    frame = array._frame
    rows: dict[str, Any] = dict(array.info)
    rows["Bytes"] = array.nbytes
    header = frame.header  # of a sparse frame, the file beside the chunks
    rows["Stored bytes"] = header.frame_len + (header.cbytes if header.sparse else 0)
    rows["Chunks in all"] = len(frame.offsets)
    sealed = frame.sealed or frame.ends is not None
    rows["Checksums"] = "yes" if sealed else "none (last written by another program)"
    return rows


def _of_zarr(array: ZarrArray) -> dict[str, Any]:
    rows: dict[str, Any] = {"Type": _format(array), "Itemsize": array.dtype.itemsize}
    rows |= {"Data type": array.data_type, "Shape": array.shape, "Chunks": array.chunks}
    if array.shards:
        rows["Shards"] = array.shards
    coder = coder_of(array)
    if coder is not None:
        rows["Blocks"] = coder._grid.blocks
    for i, codec in enumerate(array.codecs):
        rows[f"Codec {i + 1}"] = _codec(codec_to_json(codec))
    rows["Fill value"] = array.fill_value
    if array.dimension_names:
        rows["Dimensions"] = [str(name) for name in array.dimension_names]
    rows["Bytes"] = array.nbytes
    return rows | _stored(array) | _attributes(array)


def _stored(array: ZarrArray) -> dict[str, Any]:
    """What is stored of an array."""
    kind, unit = ("shards", array.shards) if array.shards else ("chunks", array.chunks)
    count = prod(-(-n // c) for n, c in zip(array.shape, unit, strict=True))
    store = array.store
    if store.latency >= Latency.NETWORK or not isinstance(store, ListableStore):
        return {f"{kind.capitalize()} in all": count}
    sizes = [store.getsize(key) for key in array.stored_keys()]
    ratio = {"Comp. ratio": array.nbytes / sum(sizes)} if sizes else {}
    return {"Stored bytes": sum(sizes), f"Stored {kind}": f"{len(sizes)} of {count}", **ratio}


def _of_group(group: Group) -> dict[str, Any]:
    kind = _format(group) if isinstance(group, ZarrNode) else type(group).__name__
    rows: dict[str, Any] = {"Type": kind, "Path": f"/{group.path}"}
    try:
        children = group.children
    except UnsupportedError as error:
        rows["Children"] = f"unknown: {error}"
    else:
        for label, sort in (("Groups", Group), ("Arrays", Array)):
            rows[label] = [name for name, node in children.items() if isinstance(node, sort)]
    return rows | _attributes(group)


def _format(node: ZarrNode) -> str:
    return f"{type(node).__name__} (Zarr v{node._metadata.zarr_format})"


def _codec(entry: Any) -> str:
    """A codec as metadata has it, in one line."""
    if not isinstance(entry, Mapping):
        return str(entry)
    configuration = entry.get("configuration")
    return f"{entry['name']} {json.dumps(configuration)}" if configuration else str(entry["name"])


def _attributes(node: Node) -> dict[str, Any]:
    names = [*node.attributes]
    return {"Attributes": names} if names else {}


def _text(value: Any) -> str:
    if isinstance(value, float):
        text = f"{value:.2f}"
    elif isinstance(value, list):
        text = f"[{', '.join(map(str, value))}]"
    else:
        text = str(value)
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 3]}..."
