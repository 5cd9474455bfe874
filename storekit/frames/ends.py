"""What stands before and behind the chunks of a frame, made of what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from storekit.frames.b2nd import B2ND, CATERVA, B2ndMeta, pack_array_meta
from storekit.frames.frame import STATES, grid_counts, is_plain
from storekit.frames.index import pack_offsets
from storekit.frames.layout import (
    MIN_HEADER,
    ZEROS,
    FrameHeader,
    chunk_typesize,
    pack_header,
    pack_metalayers,
)
from storekit.frames.params import CParams
from storekit.frames.trailer import Layers, pack_trailer, seal_fingerprint
from storekit.typing import AnyArray

__all__ = ["new_ends", "pack_ends"]


def pack_ends(
    header: FrameHeader,
    meta: B2ndMeta,
    layers: Mapping[str, bytes],
    vlmeta: Layers,
    offsets: AnyArray,
    cbytes: int,
    dead: int = 0,
    state: int = 0,
) -> tuple[bytes, bytes]:
    """
    What stands before and behind the chunks of a frame.

    Args:
        header: The settings of the codec are taken from it.

        meta: Shape, chunks, blocks and type. Written over the metalayer that has them.

        layers: The contents of the metalayers of fixed length, in order.

        vlmeta: Those of variable length.

        offsets: As in `Frame`.

        cbytes: Bytes of all chunks, and of what lies between them.

        dead: How many of these are not used.

        state: As in `Frame`.

    Returns:
        The header; and index and trailer.
    """
    contents = {
        name: pack_array_meta(name, meta) if name in (B2ND, CATERVA) else content
        for name, content in layers.items()
    }
    itemsize = meta.dtype.itemsize
    typesize = itemsize
    if is_plain(contents):
        _, _, _, _, typesize, blocksize, chunksize, *_ = header
        nbytes = prod(meta.shape) * itemsize
    else:
        blocksize = prod(meta.blocks) * itemsize
        chunksize = prod(grid_counts(meta.chunks, meta.blocks)) * blocksize
        nbytes = chunksize * len(offsets)
    section = pack_metalayers(contents)
    index, trailer = pack_offsets(offsets), pack_trailer(vlmeta)
    shapes = contents.get(B2ND, contents.get(CATERVA, b""))
    header_len = MIN_HEADER + len(section)
    new = header._replace(
        header_len=header_len,
        frame_len=header_len + (0 if header.sparse else cbytes) + len(index) + len(trailer),
        nbytes=nbytes,
        cbytes=cbytes,
        typesize=typesize,
        blocksize=blocksize,
        chunksize=chunksize,
        has_vlmeta=bool(vlmeta),
    )
    head = pack_header(new, section)
    noted = state % (1 << 24) * STATES + dead
    seal = seal_fingerprint(head, shapes, index, trailer, noted)
    return head, index + trailer[: -len(seal)] + seal


def new_ends(
    meta: B2ndMeta,
    cparams: CParams,
    layers: Mapping[str, bytes] | None = None,
    *,
    special: int = ZEROS,
) -> tuple[bytes, bytes]:
    """
    What stands before and behind the chunks of a frame that has none yet.

    Args:
        meta: Shape, chunks, blocks and type.

        cparams: How chunks are compressed.

        layers: The user's metalayers of fixed length. One called ``caterva`` among them, with any
            content, makes it a frame of caterva's: without a data type.

        special: What all elements are: `ZEROS`, `NANS` or `UNINIT`.
    """
    typesize = meta.dtype.itemsize
    fields = cparams.header_fields(chunk_typesize(typesize))
    header = FrameHeader(0, 0, 0, 0, typesize, 0, 0, *fields)
    count = prod(grid_counts(meta.shape, meta.chunks))
    offsets = np.full(count, special, np.int64)
    contents = dict(layers or {})
    if CATERVA not in contents:
        contents = {B2ND: b"", **contents}
    return pack_ends(header, meta, contents, Layers(), offsets, 0)
