"""
The table of cases.

One axis after the other around a plain array, then combinations in which every two settings of any
two axes meet at least once, then whole products, which are slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from interop_case import Case
from interop_kinds import FILLS, KINDS
from interop_parts import (
    CHAINS,
    CONTENTS,
    GEOMETRIES,
    KEYS,
    SHARDINGS,
    blosc,
    build,
    codec,
    gzip,
    serial,
    shard,
    transpose,
    zstd,
)

CNAMES = ("lz4", "lz4hc", "blosclz", "zstd", "zlib", "snappy")
SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")


def _kinds() -> Iterator[Case]:
    for kind in KINDS.values():
        yield build(f"kind {kind.name}", kind, chain="zstd", content="holes")
        if kind.ordered:
            yield build(f"kind {kind.name}, big-endian", kind, chain="big", geometry="1-d")
        if not kind.dtype.isbuiltin or kind.dtype.kind in "mM":
            yield build(f"kind {kind.name}, sharded", kind, chain="gzip", sharding="end")

    for name in ("string", "bytes"):
        yield build(f"kind {name}, transposed", KINDS[name], chain="transpose")


def _fills() -> Iterator[Case]:
    for kind in FILLS:
        name = f"fill {kind.name} {kind.label}"
        yield build(name, kind, chain="little", content="part")
        if kind.label in ("NaN", "-0.0", "min", "max", "text", "bytes", "values"):
            yield build(f"{name}, sharded", kind, sharding="end", content="holes")
    negative = next(kind for kind in FILLS if kind.name == "float32" and kind.label == "-0.0")
    yield build("zeros over -0.0", negative, content="zero")
    for name in ("float32", "complex64"):
        yield build(f"-0.0 over zeros {name}", KINDS[name], content="minus")
        yield build(
            f"-0.0 over zeros {name}, sharded", KINDS[name], content="minus", sharding="end"
        )


def _codecs() -> Iterator[Case]:
    u2, f4 = KINDS["uint16"], KINDS["float32"]
    for name in CHAINS:
        yield build(f"codecs {name}", u2, chain=name, geometry="3-d")
    for cname, shuffle in product(CNAMES, SHUFFLES):
        yield build(f"blosc {cname} {shuffle}", f4, chain=[serial(f4), blosc(f4, cname, shuffle)])
    for clevel in (0, 9):
        yield build(f"blosc level {clevel}", f4, chain=[serial(f4), blosc(f4, clevel=clevel)])
    for level in (0, 9):
        yield build(f"gzip level {level}", f4, chain=[serial(f4), gzip(level)])
    for level in (-5, 0, 19):
        yield build(f"zstd level {level}", f4, chain=[serial(f4), zstd(level)])
    for axes in ([0, 1, 2], [2, 0, 1], [2, 1, 0]):
        chain = [codec("transpose", order=axes), serial(u2), gzip(1)]
        yield build(f"transpose {axes}", u2, chain=chain, geometry="3-d", content="holes")


def _sharding() -> Iterator[Case]:
    i4 = KINDS["int32"]
    for name in SHARDINGS:
        for content in ("full", "holes"):
            yield build(f"sharding {name} {content}", sharding=name, chain="zstd", content=content)
    for name in ("gzip", "blosc", "crc32c", "transpose", "big"):
        yield build(
            f"sharding of {name}", KINDS["float64"], sharding="end", chain=name, geometry="3-d"
        )
    yield build("sharding, empty", sharding="end", content="none")
    yield build("sharding, beyond the edge", sharding="nested", geometry="chunk larger")
    location = shard((4, 3), [serial(i4)], None)
    yield Case("sharding, location by default", i4, (10, 7), (8, 6), tuple(location))
    behind = (*shard((4, 3), [serial(i4)]), gzip())
    yield Case("gzip of shards", i4, (10, 7), (8, 6), behind)
    square = (*transpose(2), *shard((4, 4), [serial(i4)]))
    yield Case("transpose before square shards", i4, (10, 9), (8, 8), square)
    oblong = (*transpose(2), *shard((3, 4), [serial(i4)]))
    yield Case("transpose before oblong shards", i4, (10, 7), (8, 6), oblong)


def _keys_and_shapes() -> Iterator[Case]:
    for key in KEYS:
        for geometry in ("3-d", "0-d"):
            yield build(f"keys {key} {geometry}", key=key, geometry=geometry)
    for geometry in GEOMETRIES:
        for content in ("full", "part"):
            yield build(f"shape {geometry} {content}", geometry=geometry, content=content)
        yield build(f"shape {geometry} sharded", geometry=geometry, sharding="end", chain="zstd")


ATTRIBUTES = {
    "title": "naïve \N{GRINNING FACE}",
    "number": 1.5,
    "whole": -(2**53),
    "list": [1, [2, None], {"deep": {"deeper": []}}],
    "none": None,
    "flag": True,
    "": "empty name",
}


def _names() -> Iterator[Case]:
    yield build("attributes", attributes=ATTRIBUTES)
    yield build("dimension names", names=("y", "x"))
    yield build("dimension names, some", names=(None, "x"))
    yield build("dimension names, none", names=(None, None))
    yield build("dimension names, twice", names=("x", "x"))
    yield build("dimension names, empty", names=("", "ü"))


def _house() -> Iterator[Case]:
    f4 = KINDS["float32"]
    yield build("house codec", f4, chain=[codec("storekit.b2nd")])
    yield build("house codec, sharded", f4, chain=[codec("storekit.b2nd")], sharding="end")
    for geometry in ("1-d", "2-d", "3-d"):
        chain = [codec("imagecodecs_b2nd")]
        yield build(f"imagecodecs_b2nd {geometry}", f4, chain=chain, geometry=geometry)
    for name in ("bool", "int64", "float16", "complex64", "datetime64[1s]", "fixed_length_utf32"):
        chain = [codec("imagecodecs_b2nd")]
        yield build(f"imagecodecs_b2nd {name}", KINDS[name], chain=chain, content="holes")
    yield build("imagecodecs_b2nd struct", KINDS["struct"], chain=[codec("imagecodecs_b2nd")])
    for config in (
        {"level": 0},
        {"level": 9, "compressor": "LZ4HC", "shuffle": "BITSHUFFLE"},
        {"compressor": "ZLIB", "shuffle": "NOFILTER", "blockshape": [1, 3]},
        {"chunkshape": [4, 3], "blockshape": [2, 3]},
    ):
        words = " ".join(map(str, config.values()))
        chain = [codec("imagecodecs_b2nd", **config)]
        yield build(f"imagecodecs_b2nd {words}", f4, chain=chain, content="part")
    chain = [*transpose(3), codec("imagecodecs_b2nd"), codec("crc32c")]
    yield build("imagecodecs_b2nd in shards", f4, chain=chain, sharding="end", geometry="3-d")
    delta = [codec("imagecodecs_b2nd", shuffle="DELTA")]
    yield build("imagecodecs_b2nd DELTA", KINDS["int32"], chain=delta)
    for config in (
        {},
        {"level": 5, "compressor": "LZ4", "shuffle": "SHUFFLE", "typesize": 4},
        {"compressor": "BLOSCLZ", "splitmode": "ALWAYS", "shuffle": "BITSHUFFLE", "typesize": 4},
    ):
        words = " ".join(map(str, config.values()))
        chain = [serial(f4), codec("imagecodecs_blosc2", **config)]
        yield build(f"imagecodecs_blosc2 {words}", f4, chain=chain, geometry="3-d")


@dataclass(frozen=True)
class Axis:
    """Something that varies, for combinations."""

    name: str
    levels: tuple[Any, ...]


def _axes() -> list[Axis]:
    names = ("bool", "int16", "uint64", "float16", "float64", "complex64")
    odd = [("int64", "min"), ("float32", "NaN"), ("float32", "-0.0"), ("uint8", "max")]
    special = [kind for kind in FILLS if (kind.name, kind.label) in odd]
    return [
        Axis("kind", (*(KINDS[name] for name in names), *special)),
        Axis("chain", tuple(name for name in CHAINS if name not in ("gzip", "zstd", "crc32c"))),
        Axis("sharding", tuple(SHARDINGS)),
        Axis("geometry", tuple(GEOMETRIES)),
        Axis("key", tuple(KEYS)),
        Axis("content", CONTENTS),
    ]


def _pairs(axes: list[Axis]) -> Iterator[dict[str, Any]]:
    """Combinations of levels in which any two levels of two axes meet, chosen greedily."""
    sizes = [len(axis.levels) for axis in axes]
    rng = np.random.default_rng(5)
    missing = {
        (i, a, j, b)
        for i, j in combinations(range(len(axes)), 2)
        for a, b in product(range(sizes[i]), range(sizes[j]))
    }

    def gain(row: Any) -> int:
        return sum((i, row[i], j, row[j]) in missing for i, j in combinations(range(len(axes)), 2))

    while missing:
        seed = min(missing)
        rows = rng.integers(0, sizes, (60, len(axes)))
        rows[:, seed[0]], rows[:, seed[2]] = seed[1], seed[3]
        best = max(rows.tolist(), key=gain)
        missing -= {(i, best[i], j, best[j]) for i, j in combinations(range(len(axes)), 2)}
        yield {axis.name: axis.levels[level] for axis, level in zip(axes, best, strict=True)}


def _combined() -> Iterator[Case]:
    for number, row in enumerate(_pairs(_axes())):
        kind = row["kind"]
        words = [
            kind.name,
            kind.label,
            *(str(value) for key, value in row.items() if key != "kind"),
        ]
        yield build(f"pair {number} " + " ".join(filter(None, words)), **row)


def _products() -> Iterator[Case]:
    for cname, shuffle, name in product(
        CNAMES, SHUFFLES, ("uint8", "int16", "float64", "complex64")
    ):
        kind = KINDS[name]
        chain = [serial(kind), blosc(kind, cname, shuffle, 7)]
        yield build(f"slow blosc {cname} {shuffle} {name}", kind, chain=chain, slow=True)
    for chain, sharding, geometry in product(CHAINS, SHARDINGS, ("1-d", "3-d", "4-d")):
        name = f"slow {chain} {sharding} {geometry}"
        yield build(
            name,
            KINDS["float32"],
            chain=chain,
            sharding=sharding,
            geometry=geometry,
            content="holes",
            slow=True,
        )
    for kind, sharding, chain in product(
        KINDS.values(), ("none", "end", "nested"), ("blosc", "transpose-big-zstd-crc32c")
    ):
        name = f"slow {kind.name} {sharding} {chain}"
        yield build(name, kind, chain=chain, sharding=sharding, geometry="3-d", slow=True)


CASES = [
    *_kinds(),
    *_fills(),
    *_codecs(),
    *_sharding(),
    *_keys_and_shapes(),
    *_names(),
    *_house(),
    *_combined(),
    *_products(),
]
"""All of them."""
