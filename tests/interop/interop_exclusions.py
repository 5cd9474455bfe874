"""What is not exchanged, with whom, and why. The tests see to it that each reason still holds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from interop_case import Case
from interop_peers import Peer

READ, WRITE = "read", "write"


@dataclass(frozen=True)
class Exclusion:
    """
    Something that a library does not do.

    Args:
        peers: The libraries.

        what: For the page.

        when: Whether a case is such a thing.

        reason: Why it is not exchanged.

        verbs: ``read`` if the library cannot read what storekit writes; ``write`` if it cannot
            write it, or writes something else.

        before: The first version that it is no longer true of.

        checked: Whether a test can show that it is so.
    """

    peers: tuple[str, ...]
    what: str
    when: Callable[[Case], bool]
    reason: str
    verbs: tuple[str, ...] = (READ, WRITE)
    before: tuple[int, ...] = ()
    checked: bool = True

    def holds(
        self, peer: Peer, case: Case, verb: str, version: tuple[int, ...] | None = None
    ) -> bool:
        """Whether this is why the library, as it is installed or in a version, is not asked."""
        if peer.name not in self.peers or verb not in self.verbs or not self.when(case):
            return False
        return not self.before or (version or peer.version) < self.before


def kinds(*names: str) -> Callable[[Case], bool]:
    """Whether the data type is one of these; times go by their name without the unit."""
    return lambda case: case.kind.name.partition("[")[0] in names


def labelled(*labels: str) -> Callable[[Case], bool]:
    """Whether the fill value is one of these."""
    return lambda case: case.kind.label in labels


def both(*conditions: Callable[[Case], bool]) -> Callable[[Case], bool]:
    """All conditions together."""
    return lambda case: all(condition(case) for condition in conditions)


def big_endian(case: Case) -> bool:
    """Whether elements are stored in big-endian order."""
    return case.uses("bytes", endian="big")


def sharded(case: Case) -> bool:
    """Whether there are shards."""
    return case.sharded


def scalar(case: Case) -> bool:
    """Whether there are no dimensions."""
    return not case.shape


def generic(case: Case) -> bool:
    """Whether it is a time without a unit."""
    return "generic" in case.kind.name


def oblong_behind_transpose(case: Case) -> bool:
    """Whether axes are permuted before the division into inner chunks that are no cubes."""
    first = case.codecs[0]["name"]
    return case.sharded and first == "transpose" and len(set(case.sharding["chunk_shape"])) > 1


def imagecodecs(case: Case) -> bool:
    """Whether a codec of imagecodecs occurs."""
    return case.uses("imagecodecs_b2nd") or case.uses("imagecodecs_blosc2")


def codec(name: str, **configuration: str) -> Callable[[Case], bool]:
    """Whether a codec occurs."""
    return lambda case: case.uses(name, **configuration)


ZARR = ("zarr-python", "zarrs")
STRUCTS = ("struct", "nested struct", "structured")
EXTENSIONS = (
    "datetime64",
    "timedelta64",
    "string",
    "bytes",
    "variable_length_bytes",
    "fixed_length_utf32",
    "null_terminated_bytes",
)

EXCLUSIONS = (
    Exclusion(
        ("storekit",),
        "`blosc` with snappy",
        codec("blosc", cname="snappy"),
        "storekit reads it, but writes Blosc1 with numcodecs, which is built without snappy",
        (WRITE,),
    ),
    Exclusion(
        (*ZARR, "tensorstore", "simplezarr"),
        "codec `storekit.b2nd`",
        codec("storekit.b2nd"),
        "storekit's own; every chunk is a file that blosc2 and imagecodecs open",
    ),
    Exclusion(
        ("zarrs", "tensorstore", "simplezarr"),
        "codecs `imagecodecs_*`",
        imagecodecs,
        "known to zarr-python with imagecodecs-zarr only",
    ),
    Exclusion(
        ("zarr-python",),
        "codecs `imagecodecs_*`",
        imagecodecs,
        "come with imagecodecs-zarr, which needs Python 3.12",
        checked=False,
    ),
    Exclusion(
        ("storekit",),
        "`imagecodecs_b2nd` with the filter DELTA",
        codec("imagecodecs_b2nd", shuffle="DELTA"),
        "storekit reads it, but does not write it",
        (WRITE,),
    ),
    Exclusion(
        ("imagecodecs-zarr",),
        "`imagecodecs_b2nd` of `struct`",
        both(codec("imagecodecs_b2nd"), kinds("struct")),
        "imagecodecs cannot make out the dtype of records",
        (READ,),
    ),
    # zarr-python, whose documents zarrs depends on
    Exclusion(ZARR, "data type `r16`", kinds("r16"), "no such data type"),
    Exclusion(
        ("zarr-python",),
        "data type `struct`",
        kinds("struct", "nested struct"),
        "zarr-python called it `structured`, which storekit writes if asked to by "
        '`dtype={"name": "structured", "configuration": {"fields": [["x", "int32"], ...]}}`',
        before=(3, 2),
    ),
    Exclusion(
        ("zarr-python",),
        "`struct`, `structured`, `raw_bytes` in shards",
        both(kinds(*STRUCTS, "raw_bytes"), sharded),
        "zarr-python could not hash the fill value",
        before=(3, 3),
    ),
    Exclusion(
        ("zarr-python",),
        "big-endian `struct`, `structured`",
        both(kinds(*STRUCTS), big_endian),
        "zarr-python ignored the byte order of fields",
        (READ,),
        before=(3, 3),
    ),
    Exclusion(
        ("zarr-python",),
        "big-endian times without a unit",
        both(generic, big_endian),
        "zarr-python did not swap their bytes, because numpy does not",
        (WRITE,),
        before=(3, 4),
    ),
    Exclusion(
        ("zarr-python",),
        "`datetime64` without a unit",
        both(generic, kinds("datetime64")),
        "zarr-python could not make the fill value",
        (WRITE,),
        before=(3, 4),
    ),
    Exclusion(
        ("zarr-python",),
        "chunks of nothing but a complex -0.0",
        lambda case: case.content == "minus" and case.kind.dtype.kind == "c",
        "not stored, because -0.0 equals the fill value 0.0",
        (WRITE,),
    ),
    Exclusion(
        ZARR,
        "NaN fill values with a payload",
        labelled("payload"),
        "written as the plain NaN",
        (WRITE,),
    ),
    Exclusion(
        ("zarr-python",),
        "NaN fill values with a payload, `float16`",
        both(labelled("payload"), kinds("float16")),
        "read as the plain NaN before Python 3.14, whose `struct` keeps the payload",
        (READ,),
        checked=sys.version_info < (3, 14),
    ),
    Exclusion(
        ("zarrs",),
        "NaN fill values with a payload",
        labelled("payload"),
        "read as the plain NaN",
        (READ,),
    ),
    Exclusion(
        ("zarr-python",),
        "`transpose` of text and bytes of any length",
        lambda case: case.kind.variable and case.uses("transpose"),
        "zarr-python wrote the elements in their former order",
        (WRITE,),
        before=(3, 3),
    ),
    Exclusion(
        ("zarr-python",),
        "shards without dimensions",
        both(scalar, sharded),
        "zarr-python could not write them",
        (WRITE,),
        before=(3, 2),
    ),
    Exclusion(
        ZARR,
        "`transpose` before oblong shards",
        oblong_behind_transpose,
        "zarr-python compares the inner chunks with the shape before the permutation",
    ),
    Exclusion(
        ("zarr-python", "simplezarr"),
        "`blosc` with snappy",
        codec("blosc", cname="snappy"),
        "numcodecs is built without snappy",
        (WRITE,),
    ),
    # zarrs
    Exclusion(
        ("zarrs",),
        "all data types but bool and numbers",
        kinds(*EXTENSIONS, *STRUCTS, "raw_bytes"),
        "left to zarr-python's own codecs",
    ),
    Exclusion(
        ("zarrs",),
        "big-endian complex numbers",
        lambda case: big_endian(case) and case.kind.dtype.kind == "c" and "part" not in case.name,
        "read with real and imaginary part exchanged where a chunk is read in part",
        (READ,),
    ),
    Exclusion(
        ("zarrs",),
        "`transpose` without dimensions",
        both(scalar, codec("transpose")),
        "not supported",
    ),
    # tensorstore
    Exclusion(
        ("tensorstore",),
        "times, text, bytes, `r16`",
        kinds(*EXTENSIONS, "r16"),
        "no such data types",
    ),
    Exclusion(
        ("tensorstore",),
        "`struct`",
        kinds(*STRUCTS),
        "opened only one field at a time",
    ),
    Exclusion(
        ("tensorstore",),
        "`raw_bytes`",
        kinds("raw_bytes"),
        "taken for another dimension, and creating such an array aborts the process",
        checked=False,
    ),
    Exclusion(
        ("tensorstore",),
        "bytes->bytes codecs after `sharding_indexed`",
        lambda case: case.codecs[-1]["name"] == "gzip" and bool(case.sharding),
        "not supported",
    ),
    Exclusion(
        ("tensorstore",),
        "two dimensions of one name",
        lambda case: (
            case.names is not None
            and len({*filter(None, case.names)}) < len([*filter(None, case.names)])
        ),
        "not supported",
    ),
    # simplezarr
    Exclusion(("simplezarr",), "shards", sharded, "not supported"),
    Exclusion(
        ("simplezarr",),
        "chunk key encoding `v2`",
        lambda case: case.keys["name"] == "v2",
        "not supported",
    ),
    Exclusion(("simplezarr",), "arrays without dimensions", scalar, "not supported"),
    Exclusion(
        ("simplezarr",),
        "dimensions of length 0",
        lambda case: 0 in case.shape,
        "not supported",
        (WRITE,),
    ),
    Exclusion(
        ("simplezarr",),
        "all data types but bool and numbers",
        kinds(*EXTENSIONS, *STRUCTS, "raw_bytes", "r16"),
        "not supported",
    ),
    Exclusion(
        ("simplezarr",),
        "NaN fill values with a payload",
        labelled("payload"),
        "not supported",
    ),
    Exclusion(
        ("simplezarr",),
        "complex fill values that are not finite",
        labelled("NaN and inf", "-0.0 and NaN"),
        "not supported",
    ),
    Exclusion(
        ("simplezarr",),
        "complex numbers",
        lambda case: case.kind.dtype.kind == "c",
        "the fill value is written as Python spells it, which no reader of Zarr takes",
        (WRITE,),
    ),
    Exclusion(
        ("simplezarr",),
        "chunks of nothing but -0.0, or but 0.0 where that is the fill value",
        lambda case: case.kind.label == "-0.0" or case.content == "minus",
        "not stored, because -0.0 equals 0.0",
        (WRITE,),
    ),
)


def excluded(
    peer: Peer, case: Case, verb: str, version: tuple[int, ...] | None = None
) -> Exclusion | None:
    """Why a library, as it is installed or in a version, is not asked; None if it is."""
    return next((item for item in EXCLUSIONS if item.holds(peer, case, verb, version)), None)
