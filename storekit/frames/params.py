"""
How the chunks of a frame are compressed: what may be chosen, and how a frame states it.

blosc2 ignores the names of settings that it does not know, and with three filters or more
(4.14.1) it writes chunks whose content is lost. So what is chosen is checked here, first.

Source: C-Blosc2, README_CFRAME_FORMAT.rst. Where it and C-Blosc2 differ, this is what C-Blosc2
does: the compressor in the header is numbered like everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import Enum, IntEnum
from functools import lru_cache
from typing import Any, Self, TypeGuard

import numpy as np

from storekit.errors import CorruptFrameError, MetadataError
from storekit.frames.layout import FrameHeader

__all__ = ["CParams", "Codec", "Filter", "SplitMode"]

MAX_CLEVEL = 9
MAX_FILTERS = 2
MAX_THREADS = 256

_PLUGIN = 6
_PLACES = 6
_MANTISSA = {4: 23, 8: 52}


class Codec(IntEnum):
    """The compressors, numbered as in blosc2 and caterva."""

    BLOSCLZ = 0
    LZ4 = 1
    LZ4HC = 2
    ZLIB = 4
    ZSTD = 5


class Filter(IntEnum):
    """What is done to a block before it is compressed, numbered as in blosc2 and caterva."""

    NOFILTER = 0
    SHUFFLE = 1
    BITSHUFFLE = 2
    DELTA = 3
    TRUNC_PREC = 4
    BYTEDELTA = 35


class SplitMode(IntEnum):
    """Whether the first bytes of all elements of a block, the second, ... are streams apart."""

    ALWAYS_SPLIT = 1
    NEVER_SPLIT = 2
    AUTO_SPLIT = 3
    FORWARD_COMPAT_SPLIT = 4


_SPELLINGS = {"filters_meta": "filtersmeta", "use_dict": "usedict"}
_OF_THE_ARRAY = frozenset(("typesize", "blocksize"))
_ONLY_ZERO = frozenset(("codec_meta", "tuner"))


@dataclass(frozen=True)
class CParams:
    """
    How chunks are compressed.

    The default is Zstandard at level 1 after a shuffle. blosc2's own, level 5, takes 8 to 17 times
    as long to compress, for 2 to 8 % less.

    Args:
        codec: The compressor: a `Codec`, its name in any case, or its number. The number of a
            plugin is kept, but nothing can be compressed with it.

        clevel: From 0 (store) to 9 (smallest).

        filters: Up to six filters in the order in which they are applied: each a `Filter`, its
            name, or its number. `NOFILTER` is left out. Nothing can be compressed with more than
            two, of which blosc2 makes chunks that cannot be decoded.

        filtersmeta: A setting for each of the filters; 0 for those without. `TRUNC_PREC` takes the
            number of bits to keep, or, negative, of bits to drop; `BYTEDELTA` the size of an
            element in bytes, 0 for that of the array.

        nthreads: Threads that compress one chunk, from 1 to 256.

        usedict: Whether the blocks of a chunk share a dictionary; for `ZSTD`, `LZ4` and `LZ4HC`.
            From chunks of several blocks that do, or that went through `DELTA`, blosc2 (4.14.1)
            may read other elements, or fail; also in files of its own.

        splitmode: A `SplitMode`, its name, or its number.

    Raises:
        MetadataError: If a setting is none of these; it names the setting.
    """

    codec: int = Codec.ZSTD
    clevel: int = 1
    filters: tuple[int, ...] = (Filter.SHUFFLE,)
    filtersmeta: tuple[int, ...] = (0,)
    nthreads: int = 1
    usedict: bool = False
    splitmode: int = SplitMode.AUTO_SPLIT

    def __post_init__(self) -> None:
        codec = _number("codec", self.codec, Codec)
        splitmode = _number("splitmode", self.splitmode, SplitMode)
        if splitmode not in tuple(SplitMode):
            raise _refused(
                "splitmode", f"one of {', '.join(SplitMode.__members__)}", self.splitmode
            )
        clevel = _integer("clevel", self.clevel, 0, MAX_CLEVEL)
        nthreads = _integer("nthreads", self.nthreads, 1, MAX_THREADS)
        filters, metas = _pipeline(self.filters, self.filtersmeta)
        if not isinstance(self.usedict, int) or self.usedict not in (0, 1):
            raise _refused("usedict", "true or false", self.usedict)
        if self.usedict and codec in (Codec.BLOSCLZ, Codec.ZLIB):
            raise _refused("usedict", f"to be false with {Codec(codec).name}", self.usedict)
        checked = (codec, clevel, filters, metas, nthreads, bool(self.usedict), splitmode)
        for field, value in zip(fields(self), checked, strict=True):
            object.__setattr__(self, field.name, value)

    @classmethod
    def of(cls, value: object) -> Self:
        """
        Settings in any of the forms in which blosc2 and caterva take them.

        Args:
            value: None for the default; a `CParams`; a mapping with the names of blosc2 or of
                caterva (``filters_meta`` or ``filtersmeta``, ``use_dict`` or ``usedict``), where
                None stands for the default; or an object with such attributes, as blosc2.CParams.
                ``typesize`` and ``blocksize`` are read past: they follow from the array.

        Raises:
            MetadataError: If there is a name of another kind, or a setting is not possible.
        """
        if value is None:
            return cls()
        if isinstance(value, cls):
            return value
        given: Any = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
        if not isinstance(value, Mapping) and "codec" not in given:
            raise _refused("cparams", "a CParams, a mapping of settings or None", value)
        known, settings = {field.name for field in fields(cls)}, {}
        for key, item in given.items():
            name = _SPELLINGS.get(key, key)
            if key in _OF_THE_ARRAY or item is None:
                continue
            if key in _ONLY_ZERO:
                _integer(key, _plain(item), 0, 0)
            elif name not in known:
                raise _refused("cparams", f"settings among {', '.join(sorted(known))}", key)
            elif name in settings:
                raise _refused("cparams", f"one of the spellings of {name}", sorted(given))
            else:
                settings[name] = item
        if "filters" in settings and "filtersmeta" not in settings:
            settings["filtersmeta"] = ()
        return cls(**settings)

    def compress_args(self, typesize: int, blocksize: int) -> dict[str, Any]:
        """
        The arguments of blosc2.compress2.

        Args:
            typesize: Bytes of an element, from 1 to 255.

            blocksize: Bytes of a block.

        Raises:
            MetadataError: If it takes a plugin, there are more than two filters, or they cannot be
                applied to elements of this size.
        """
        if len(self.filters) > MAX_FILTERS:
            raise _refused("filters", f"at most {MAX_FILTERS} filters", list(self.filters))
        for name, kind, numbers in (
            ("codec", Codec, [self.codec]),
            ("filters", Filter, self.filters),
        ):
            for number in numbers:
                if number not in tuple(kind):
                    raise _refused(name, f"one of {', '.join(kind.__members__)}", number)
        metas = self._metas(typesize)
        for number, meta in zip(self.filters, metas, strict=True):
            if number == Filter.TRUNC_PREC:
                _check_precision(meta, typesize)
        return {
            "codec": int(self.codec),
            "clevel": self.clevel,
            "filters": [int(n) for n in self.filters],
            "filters_meta": [m - 256 if m > 127 else m for m in metas],
            "nthreads": self.nthreads,
            "use_dict": self.usedict,
            "splitmode": SplitMode(self.splitmode),
            "typesize": typesize,
            "blocksize": blocksize,
        }

    def header_fields(self, typesize: int) -> tuple[int, int, bytes]:
        """
        What `FrameHeader` has as codec, splitmode and filters.

        Args:
            typesize: Bytes of an element.
        """
        rest = bytes(_PLACES - len(self.filters))
        metas = bytes(m & 0xFF for m in self._metas(typesize))
        filters = (bytes(self.filters), rest, bytes((self.codec, 0)), metas, rest)
        codec = self.clevel << 4 | min(self.codec, _PLUGIN)
        return codec, self.splitmode - 1, b"".join((*filters, bytes((self.usedict, 0))))

    @classmethod
    def from_header(cls, header: FrameHeader) -> Self:
        """
        The settings that a frame states; with one thread, which is not stated.

        Raises:
            CorruptFrameError: If they cannot be.
        """
        return cls._stated(header.codec, header.splitmode, header.filters)

    @classmethod
    @lru_cache(64)  # a frame is looked at again with each change of it
    def _stated(cls, codec_and_level: int, splitmode: int, stated: bytes) -> Self:
        nibble = codec_and_level & 0xF
        codec = stated[6] if nibble == _PLUGIN else nibble
        if min(codec, _PLUGIN) != nibble:
            raise CorruptFrameError(f"impossible settings: compressor {nibble}, {codec}")
        places = [i for i in range(_PLACES) if stated[i]]
        metas = [stated[8 + i] for i in places]
        for i, place in enumerate(places):
            if stated[place] == Filter.TRUNC_PREC and metas[i] > 127:
                metas[i] -= 256
        try:
            return cls(
                codec,
                codec_and_level >> 4,
                tuple(stated[i] for i in places),
                tuple(metas),
                usedict=bool(stated[14] & 1),
                splitmode=splitmode + 1,
            )
        except MetadataError as error:
            raise CorruptFrameError(f"impossible settings: {error}") from error

    def _metas(self, typesize: int) -> list[int]:
        pairs = zip(self.filters, self.filtersmeta, strict=True)
        return [typesize if n == Filter.BYTEDELTA and not m else m for n, m in pairs]


def _pipeline(filters: object, metas: object) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Filters that do something, and a setting for each."""
    if isinstance(filters, str | int | Enum):
        filters = (filters,)
    if not isinstance(filters, Iterable):
        raise _refused("filters", "a list of filters", filters)
    numbers = [_number("filters", item, Filter) for item in filters]
    if not isinstance(metas, Iterable) or isinstance(metas, str):
        raise _refused("filtersmeta", "a list of integers", metas)
    values = [_integer("filtersmeta", item, -128, 255) for item in metas]
    if any(values[len(numbers) :]):
        raise _refused("filtersmeta", f"settings of {len(numbers)} filters", values)
    values += [0] * (len(numbers) - len(values))
    pairs = [(n, m) for n, m in zip(numbers, values, strict=False) if n != Filter.NOFILTER]
    if len(pairs) > _PLACES:
        raise _refused("filters", f"at most {_PLACES} filters", numbers)
    return tuple(n for n, _ in pairs), tuple(m for _, m in pairs)


def _check_precision(bits: int, typesize: int) -> None:
    if typesize not in _MANTISSA:
        raise _refused("filters", "TRUNC_PREC only for elements of 4 or 8 bytes", typesize)
    most = _MANTISSA[typesize]  # the bits of a fraction
    if not (0 < bits <= most or -most < bits < 0):
        raise _refused("filtersmeta", f"bits of TRUNC_PREC from 1 to {most}, or less than 0", bits)


def _number(field: str, value: object, kind: type[IntEnum]) -> int:
    """The member of an enumeration, by name or number; or the number of a plugin."""
    found = _plain(value)
    if isinstance(found, str):
        found = kind.__members__.get(found.upper())
    if not _is_integer(found) or not 0 <= found <= 255:
        raise _refused(field, f"one of {', '.join(kind.__members__)}", value)
    return kind(found) if found in tuple(kind) else int(found)


def _plain(value: object) -> object:
    """The number of a member of blosc2's enumerations."""
    return value.value if isinstance(value, Enum) else value


def _integer(field: str, value: object, low: int, high: int) -> int:
    if not _is_integer(value) or not low <= value <= high:
        raise _refused(field, f"an integer from {low} to {high}", value)
    return int(value)


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _refused(field: str, expected: str, found: object) -> MetadataError:
    return MetadataError(field=field, expected=expected, found=found)
