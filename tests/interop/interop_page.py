"""
The page on compatibility, made from the table of cases and the exclusions.

``python tests/interop/interop_page.py`` writes it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from interop_case import Case
from interop_exclusions import EXCLUSIONS, READ, WRITE, Exclusion, excluded, imagecodecs
from interop_peers import PEERS, STOREKIT, Peer
from interop_table import CASES

PAGE = Path(__file__).parent.parent.parent / "docs/explanations/compatibility.md"

COLUMNS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("zarr-python", "3.1.6", (3, 1)),
    ("zarr-python", "3.4.2", (3, 4)),
    ("zarrs", "0.2.3", (0, 2)),
    ("tensorstore", "0.1.86", (0, 1)),
    ("simplezarr", "1.2.0", (1, 2)),
    ("imagecodecs-zarr", "2026.10.10", (2026, 10)),
)
"""The libraries and the versions with which the tests have passed."""


def _of_kind(kinds: str) -> Callable[[Case], bool]:
    return lambda case: case.kind.dtype.kind in kinds


def _codec(name: str, **configuration: str) -> Callable[[Case], bool]:
    return lambda case: case.uses(name, **configuration)


FEATURES: dict[str, Callable[[Case], bool]] = {
    "`bool`, integers": _of_kind("biu"),
    "`float16`, `float32`, `float64`": _of_kind("f"),
    "`complex64`, `complex128`": _of_kind("c"),
    "`numpy.datetime64`, `numpy.timedelta64`": _of_kind("mM"),
    "`string`, `bytes`": _of_kind("TO"),
    "`fixed_length_utf32`, `null_terminated_bytes`": _of_kind("US"),
    "`struct`, `structured`": lambda case: bool(case.kind.dtype.names),
    "`raw_bytes`, `r16`": lambda c: c.kind.dtype.kind == "V" and not c.kind.dtype.names,
    "fill values other than zero": lambda case: bool(case.kind.label),
    "`bytes`, little-endian": _codec("bytes", endian="little"),
    "`bytes`, big-endian": _codec("bytes", endian="big"),
    "`transpose`": _codec("transpose"),
    "`gzip`": _codec("gzip"),
    "`zstd`": _codec("zstd"),
    "`blosc`": _codec("blosc"),
    "`crc32c`": _codec("crc32c"),
    "`imagecodecs_b2nd`, `imagecodecs_blosc2`": imagecodecs,
    "`sharding_indexed`": lambda case: case.sharded,
    "chunk keys `default`": lambda case: case.keys["name"] == "default",
    "chunk keys `v2`": lambda case: case.keys["name"] == "v2",
    "names of dimensions": lambda case: case.names is not None,
    "no dimensions": lambda case: not case.shape,
    "dimensions of length 0": lambda case: 0 in case.shape,
    "chunks that were never written": lambda case: case.content in ("part", "none"),
}
"""What the rows of the page count."""

HEAD = """\
# Compatibility

<!-- Written by tests/interop/interop_page.py from the tables that the tests use. -->

storekit and the libraries below exchange arrays in every test run. storekit writes and the other
library reads; the other writes and storekit reads; each changes what the other has written, and
storekit appends to it and resizes it; all of them take turns at one array. Contents are compared
bit by bit. The table of cases is `tests/interop/interop_table.py`. `make test-slow` adds whole
products of data types, codecs and shapes to it, and a thousand random arrays.

## What is exchanged

How many cases go both ways; where some do not, how many of them the library reads from storekit,
and how many it writes for storekit.
"""

FRAMES = """\
## Chunks as files

Arrays with the default codecs are for storekit: other readers of Zarr do not know `storekit.b2nd`.
But each of their chunks is a `.b2nd` file.

* `blosc2.open` opens every chunk file, with the shape, the dtype and the content of the chunk.
* `imagecodecs.b2nd_decode` decodes every chunk but those of records, of which it cannot make out
  the dtype.
* Frames that blosc2 or imagecodecs wrote are read, once they lie where chunks lie.
* With `codecs="imagecodecs_b2nd"` the chunks are the same, and zarr-python reads the array where
  imagecodecs-zarr is installed. With `"zstd"`, `"blosc"`, `"gzip"` or `"none"` everybody reads it.

## Hierarchies

Groups, attributes and consolidated metadata pass both ways between storekit and zarr-python;
tensorstore opens the arrays in them.

JSON has no NaN and no Infinity. zarr-python writes them into attributes all the same, as bare
words: the `_FillValue` of xarray is often one. storekit reads and keeps them: when something else
changes in the node, in consolidated metadata, and in copies, also of Zarr v2. In a copy that is a
frame they are in the metalayer `zarr`, and come back from there. To set a new one is a
`MetadataError` that names the attribute, because tensorstore opens no array of Zarr v3 with a bare
NaN in its document: write the text `"NaN"`, `"Infinity"` or `"-Infinity"` instead. A NaN that an
attribute holds already may be set again.

## Zarr v2

Hierarchies of Zarr v2 are read, and never written: see
[Read Zarr v2](../how-to/read-zarr-v2.md). What zarr-python 3.1.6, tensorstore 0.1.86 and numcodecs
0.16.6 write is read bit by bit in every test run (`tests/nodes/test_v2_*.py`).

| part of v2 | read | not read |
| --- | --- | --- |
| numbers of either order | `b1`, `i1` to `i8`, `u1` to `u8`, `f2` to `f8`, `c8`, `c16` | others |
| times, text, bytes | `M8`, `m8`, `S`, `U`, `V` | |
| records | of these, nested, in mixed byte orders | fields with a shape |
| objects, that is `O` | `vlen-utf8`, `vlen-bytes`, `categorize` | others; `pickle` never |
| compressors | none, `blosc`, `zlib`, `gzip`, `zstd`, `bz2`, `lzma` | others |
| the same with numcodecs | `lz4` | |
| filters | every compressor, `categorize`, `bitround` | others |
| the same with numcodecs | `delta`, `fixedscaleoffset`, `quantize`, `astype` | |
| | `packbits`, `shuffle`, `fletcher32`, `crc32`, `crc32c`, `adler32` | |
| layout | orders `C` and `F`, separators `.` and `/` | |
| hierarchies | attributes, `.zmetadata`, `_ARRAY_DIMENSIONS` | nodes of v3 within v2 |

zarr-python and storekit differ where a fill value is the number 0 and the elements are text: there
it gives `"0"`, here the empty text.
"""


def _cell(name: str, version: tuple[int, ...], cases: list[Case]) -> str:
    """How many of the cases a library exchanges: those with its codecs, or those without."""
    peer = next(peer for peer in PEERS if peer.name == name)
    foreign = name == "imagecodecs-zarr"
    cases = [case for case in cases if imagecodecs(case) == foreign]
    read = sum(_exchanged(peer, case, READ, version) for case in cases)
    written = sum(_exchanged(peer, case, WRITE, version) for case in cases)
    if not cases:
        return ""
    if read == written == len(cases):
        return f"all {read}"
    if not read and not written:
        return "none"
    return f"{read} and {written} of {len(cases)}"


def _exchanged(peer: Peer, case: Case, verb: str, version: tuple[int, ...]) -> bool:
    ours = WRITE if verb == READ else READ
    return not excluded(peer, case, verb, version) and not excluded(STOREKIT, case, ours)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table() -> Iterator[str]:
    everyday = [case for case in CASES if not case.slow and not case.uses("storekit.b2nd")]
    yield _row("cases with", *(f"{name} {version}" for name, version, _ in COLUMNS))
    yield _row(*["---"] * (len(COLUMNS) + 1))
    for feature, has in {**FEATURES, "**any of it**": lambda case: True}.items():
        cases = [case for case in everyday if has(case)]
        yield _row(feature, *(_cell(name, version, cases) for name, _, version in COLUMNS))


def _direction(item: Exclusion) -> str:
    if len(item.verbs) == 2:
        return "read, written"
    return "read" if item.verbs == (READ,) else "written"


def _exclusions() -> Iterator[str]:
    yield _row("not exchanged", "library", "it is not", "because")
    yield _row(*["---"] * 4)
    for item in EXCLUSIONS:
        peers = ", ".join(item.peers)
        if item.before:
            peers += f" before {'.'.join(map(str, item.before))}"
        yield _row(item.what, peers, _direction(item), item.reason)


def render() -> str:
    """The page."""
    return "\n".join(
        [
            HEAD,
            *_table(),
            "\n## What is not\n",
            "A test tries what is excluded, and fails when it works.\n",
            *_exclusions(),
            "",
            FRAMES,
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(render())
