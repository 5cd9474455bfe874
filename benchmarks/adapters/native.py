"""The native codec calls behind `limit`: the ones that scale with threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import blosc2
import deflate
import google_crc32c
import numcodecs.blosc
import numpy as np
import zstandard

from benchmarks.adapters.base import Bytes
from benchmarks.data import Array
from benchmarks.layout import B2ND, CODECS, DTYPE

__all__ = ["Codec", "crc32c"]

Encode: TypeAlias = Callable[[Array], Bytes]
Decode: TypeAlias = Callable[[Bytes], Array]
Settings: TypeAlias = dict[str, Any]

_FRAME = 0x9E
"""The first byte of a contiguous frame; that of a chunk is a small number."""
_HEADER_SIZE = slice(11, 15)
"""Where a frame says how long its header is, behind which its first chunk lies."""

# Both are process-wide; storekit sets the first, too. The second only matters on the main thread.
blosc2.set_releasegil(True)
numcodecs.blosc.use_threads = False


def crc32c(value: Bytes) -> bytes:
    """The checksum as Zarr stores it."""
    return int(google_crc32c.value(bytes(value))).to_bytes(4, "little")


class Codec:
    """
    One chain for chunks of one size. Not for more than one thread: it owns its scratch memory.

    Args:
        name: A key of `benchmarks.layout.CODECS`, or of `B2ND`.

        chunks: The shape of what is encoded at a time.
    """

    def __init__(self, name: str, chunks: tuple[int, ...]) -> None:
        self.scratch: Array = np.empty(chunks, DTYPE)
        # For encoded bytes; those of a chunk that does not shrink are a little longer than it.
        self.buffer = memoryview(bytearray(self.scratch.nbytes * 9 // 8 + 4096))
        if name in B2ND:
            self.encode, self.decode = self._b2nd(B2ND[name])
            return
        chain = CODECS[name] or [{"name": "none", "configuration": {}}]
        make = {"none": self._none, "blosc": self._blosc, "zstd": self._zstd, "gzip": self._gzip}
        self.encode, self.decode = make[chain[0]["name"]](chain[0]["configuration"])

    encode: Encode
    """The bytes of one contiguous chunk."""

    decode: Decode
    """One chunk, valid until the next call."""

    def _none(self, _: Settings) -> tuple[Encode, Decode]:
        return lambda chunk: chunk.data.cast("B"), self._view

    def _blosc(self, settings: Settings) -> tuple[Encode, Decode]:
        cname = settings["cname"].encode()
        modes = {"shuffle": numcodecs.blosc.SHUFFLE, "bitshuffle": numcodecs.blosc.BITSHUFFLE}
        mode = modes[settings["shuffle"]]

        def encode(chunk: Array) -> Bytes:
            value: bytes = numcodecs.blosc.compress(chunk, cname, settings["clevel"], mode)
            return value

        def decode(value: Bytes) -> Array:
            blosc2.decompress2(value, dst=self.scratch, nthreads=1)
            return self.scratch

        return encode, decode

    def _b2nd(self, settings: Settings) -> tuple[Encode, Decode]:
        """Bare chunks are written: the frame around them is what a library adds. Both are read."""
        options = {
            "codec": blosc2.Codec[settings["cname"].upper()],
            "clevel": settings["clevel"],
            "filters": [blosc2.Filter[settings["shuffle"].upper()]],
            "typesize": DTYPE.itemsize,
            "nthreads": 1,
        }

        def encode(chunk: Array) -> Bytes:
            value: bytes = blosc2.compress2(chunk, **options)
            return value

        def decode(value: Bytes) -> Array:
            framed = value[0] == _FRAME
            start = int.from_bytes(value[_HEADER_SIZE], "big") if framed else 0
            blosc2.decompress2(value[start:], dst=self.scratch, nthreads=1)
            return self.scratch

        return encode, decode

    def _zstd(self, settings: Settings) -> tuple[Encode, Decode]:
        compressor = zstandard.ZstdCompressor(level=settings["level"])
        decompressor = zstandard.ZstdDecompressor()
        target = self.scratch.data.cast("B")

        def decode(value: Bytes) -> Array:
            # Memory that is there already: with two threads a fifth faster than `decompress`.
            decompressor.stream_reader(value).readinto(target)
            return self.scratch

        return lambda chunk: compressor.compress(chunk.data), decode

    def _gzip(self, settings: Settings) -> tuple[Encode, Decode]:
        size = self.scratch.nbytes
        return (
            lambda chunk: deflate.gzip_compress(chunk.data.cast("B"), settings["level"]),
            lambda value: self._view(deflate.gzip_decompress(value, size)),
        )

    def _view(self, value: Bytes) -> Array:
        return np.frombuffer(value, DTYPE).reshape(self.scratch.shape)
