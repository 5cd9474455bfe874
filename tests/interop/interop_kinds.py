"""
The data types that are exchanged: how metadata spells them, what numpy calls them, and values.

Nothing here comes from storekit, so that storekit and a peer cannot be wrong in the same way.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from storekit.typing import JSON, AnyArray, DType, Shape

WORDS = ("", "x", "Zarr", "naïve", "深さ", "\N{GRINNING FACE}", "long " * 9, "a\0b")
BLOBS = (b"", b"\0", b"abc", bytes(range(256)), b"\xff\0\xff", b"long " * 9)
CODES = ("", "a", "ü", "深", "ab", "xyz", "\N{GRINNING FACE}!", "é\N{GRINNING FACE}x")
NAT = -(2**63)


@dataclass(frozen=True, eq=False)
class Kind:
    """
    A data type, with one fill value.

    Args:
        name: What tests and the page call it.

        json: How metadata spells it.

        dtype: In memory.

        fill_json: How metadata spells the fill value.

        fill: The fill value as a scalar of the dtype.

        label: What tests call the fill value; empty for zero.
    """

    name: str
    json: JSON
    dtype: DType
    fill_json: JSON
    fill: Any
    label: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.label}".strip()

    @property
    def variable(self) -> bool:
        """Whether elements have no fixed size."""
        return self.dtype.kind in "OT"

    @property
    def ordered(self) -> bool:
        """Whether a byte order must be stated."""
        return not self.variable and self.dtype.newbyteorder(">") != self.dtype.newbyteorder("<")

    def filled(self, label: str, json: JSON, fill: Any) -> Kind:
        """The same data type with another fill value."""
        if not self.variable:
            fill = np.array(fill, self.dtype)[()]
        return replace(self, fill_json=json, fill=fill, label=label)

    def full(self, shape: Shape) -> AnyArray:
        """An array of the fill value."""
        out: AnyArray = np.empty(shape, self.dtype)
        out[...] = self.fill
        return out

    def random(self, shape: Shape, rng: np.random.Generator) -> AnyArray:
        """An array of all sorts of values, the odd ones among them."""
        return _random(self.dtype, shape, rng, texts=WORDS if self.dtype.kind == "T" else BLOBS)


def _random(
    dtype: DType, shape: Shape, rng: np.random.Generator, texts: tuple[Any, ...] = ()
) -> AnyArray:
    out: AnyArray = np.empty(shape, dtype)
    match dtype.kind:
        case "b":
            out[...] = rng.integers(0, 2, shape)
        case "i" | "u":
            info = np.iinfo(dtype)
            out[...] = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
        case "f":
            out[...] = rng.normal(0, 1000, shape)
            odd = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0], dtype)
            hit = rng.random(shape) < 0.3
            out[hit] = rng.choice(odd, int(hit.sum()))
        case "c":
            half = np.dtype(f"f{dtype.itemsize // 2}")
            out.real, out.imag = _random(half, shape, rng), _random(half, shape, rng)
        case "M" | "m":
            out.view("i8")[...] = rng.integers(-(2**33), 2**33, shape)
            out.view("i8")[rng.random(shape) < 0.2] = NAT
        case "V" if dtype.names:
            for name in dtype.names:
                out[name] = _random(dtype[name], shape, rng)
        case "V":
            out.view(np.uint8).reshape(-1)[...] = rng.integers(0, 256, out.nbytes)
        case "U":
            out[...] = rng.choice(np.array(CODES), shape)
        case "S":
            out[...] = rng.choice(np.array([b"", b"a", b"abc", b"a\0c", b"\xff"]), shape)
        case _:
            flat = out.reshape(-1)
            for i, choice in enumerate(rng.integers(0, len(texts), out.size).tolist()):
                flat[i] = texts[choice]
    return out


def same(found: Any, expected: AnyArray, *, bits: bool = True) -> bool:
    """
    Whether two arrays hold the same.

    Args:
        bits: To the last bit; otherwise any NaN stands for any other.
    """
    found = np.asarray(found)
    if found.shape != expected.shape:
        return False
    if expected.dtype.kind in "OT":
        return bool(found.tolist() == expected.tolist())
    if found.dtype.newbyteorder("=") != expected.dtype:
        return False
    found = found.astype(expected.dtype)
    if not bits and expected.dtype.kind in "fc":
        found, wanted = _without_payloads(found), _without_payloads(expected)
        return found.tobytes() == wanted.tobytes()
    return found.tobytes() == expected.tobytes()


def _without_payloads(array: AnyArray) -> AnyArray:
    parts = array.copy(order="C")
    if array.dtype.kind == "c":
        parts = parts.reshape(-1).view(f"f{array.dtype.itemsize // 2}")
    parts[np.isnan(parts)] = np.nan
    return parts


def _of_bits(digits: str) -> Any:
    size = (len(digits) - 2) // 2
    return np.array(int(digits, 16), f"u{size}").view(f"f{size}")[()]


def _numbers() -> list[Kind]:
    names = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    names += ["float16", "float32", "float64"]
    kinds = [Kind(name, name, np.dtype(name), 0, np.dtype(name).type(0)) for name in names]
    kinds.append(Kind("bool", "bool", np.dtype("?"), False, np.False_))
    for name in ("complex64", "complex128"):
        kinds.append(Kind(name, name, np.dtype(name), [0, 0], np.dtype(name).type(0)))
    return kinds


def _times() -> list[Kind]:
    kinds = []
    for code, name in (("M", "numpy.datetime64"), ("m", "numpy.timedelta64")):
        for unit, scale in (("s", 1), ("ns", 10), ("generic", 1)):
            config = {"unit": unit, "scale_factor": scale}
            dtype = np.dtype(f"{code}8" + (f"[{scale}{unit}]" if unit != "generic" else ""))
            kinds.append(
                Kind(
                    f"{name.removeprefix('numpy.')}[{scale}{unit}]",
                    {"name": name, "configuration": config},
                    dtype,
                    NAT,
                    np.array(NAT, "i8").view(dtype)[()],
                )
            )
    return kinds


def _struct(name: str, fields: list[tuple[str, Any]], fill: JSON) -> Kind:
    dtype = np.dtype([(field, kind) for field, kind in fields])

    def spelled(kind: Any) -> JSON:
        sub = np.dtype(kind)
        if sub.names:
            return {"name": "struct", "configuration": {"fields": listed(kind)}}
        if sub.kind == "U":
            return {"name": "fixed_length_utf32", "configuration": {"length_bytes": sub.itemsize}}
        return sub.name

    def listed(fields: list[tuple[str, Any]]) -> list[JSON]:
        return [{"name": field, "data_type": spelled(kind)} for field, kind in fields]

    json = {"name": "struct", "configuration": {"fields": listed(fields)}}
    return Kind(name, json, dtype, fill, np.zeros((), dtype)[()])


def _structs() -> list[Kind]:
    plain: list[tuple[str, Any]] = [("a", "i4"), ("b", "f8"), ("c", "u1")]
    nested: list[tuple[str, Any]] = [("n", [("x", "i2"), ("y", "c8")]), ("t", "U2")]
    kinds = [
        _struct("struct", plain, {"a": 0, "b": 0.0, "c": 0}),
        _struct("nested struct", nested, {"n": {"x": 0, "y": [0, 0]}, "t": ""}),
    ]
    fields = [["a", "int32"], ["b", "float64"], ["c", "uint8"]]
    legacy = {"name": "structured", "configuration": {"fields": fields}}
    zeros = base64.b64encode(bytes(13)).decode()
    dtype = np.dtype(plain)
    kinds.append(Kind("structured", legacy, dtype, zeros, np.zeros((), dtype)[()]))
    return kinds


def _bytes() -> list[Kind]:
    def sized(name: str, length: int) -> JSON:
        return {"name": name, "configuration": {"length_bytes": length}}

    return [
        Kind("string", "string", np.dtypes.StringDType(), "", ""),
        Kind("bytes", "bytes", np.dtype(object), "", b""),
        Kind("variable_length_bytes", "variable_length_bytes", np.dtype(object), "", b""),
        Kind("fixed_length_utf32", sized("fixed_length_utf32", 12), np.dtype("U3"), "", np.str_()),
        Kind(
            "null_terminated_bytes",
            sized("null_terminated_bytes", 3),
            np.dtype("S3"),
            "",
            np.bytes_(),
        ),
        Kind("raw_bytes", sized("raw_bytes", 3), np.dtype("V3"), "AAAA", np.void(3)),
        Kind("r16", "r16", np.dtype("V2"), [0, 0], np.void(2)),
    ]


KINDS = {kind.name: kind for kind in (*_numbers(), *_times(), *_structs(), *_bytes())}
"""Every data type by its name, with zero, nothing or NaT for fill value."""


def _fills() -> list[Kind]:
    k = KINDS
    nan, inf = np.nan, np.inf
    fills = [
        k["bool"].filled("true", True, True),
        k["int8"].filled("min", -128, -128),
        k["int64"].filled("min", -(2**63), -(2**63)),
        k["int64"].filled("2**53+1", 2**53 + 1, 2**53 + 1),
        k["uint8"].filled("max", 255, 255),
        k["uint64"].filled("max", 2**64 - 1, 2**64 - 1),
        k["complex64"].filled("NaN and inf", ["NaN", "-Infinity"], _pair(nan, -inf, "c8")),
        k["complex128"].filled("1-2j", [1.5, -2], 1.5 - 2j),
        k["complex128"].filled("-0.0 and NaN", [-0.0, "NaN"], _pair(-0.0, nan, "c16")),
        k["string"].filled("text", "naïve \N{GRINNING FACE}", "naïve \N{GRINNING FACE}"),
        k["bytes"].filled("bytes", "/wCh", b"\xff\0\xa1"),
        k["variable_length_bytes"].filled("bytes", "/wCh", b"\xff\0\xa1"),
        k["datetime64[1s]"].filled("epoch", 0, np.datetime64(0, "s")),
        k["datetime64[10ns]"].filled("count", 12345, np.array(12345, "i8").view("M8[10ns]")),
        k["timedelta64[1s]"].filled("-7", -7, np.timedelta64(-7, "s")),
        k["fixed_length_utf32"].filled("text", "深é", "深é"),
        k["null_terminated_bytes"].filled("bytes", "/2E=", b"\xffa"),
        k["raw_bytes"].filled("bytes", "/wCh", b"\xff\0\xa1"),
        k["struct"].filled("values", {"a": -1, "b": "NaN", "c": 255}, (-1, nan, 255)),
    ]
    for name in ("float16", "float32", "float64"):
        fills += [
            k[name].filled("NaN", "NaN", nan),
            k[name].filled("inf", "Infinity", inf),
            k[name].filled("-inf", "-Infinity", -inf),
            k[name].filled("-0.0", -0.0, -0.0),
            k[name].filled("1.5", 1.5, 1.5),
        ]
    fills += [
        k["float64"].filled("smallest", 5e-324, 5e-324),
        k["float64"].filled("largest", 1.7976931348623157e308, 1.7976931348623157e308),
        k["float32"].filled("0.1", 0.1, 0.1),
    ]
    for name, digits in (
        ("float16", "0x7e01"),
        ("float32", "0xffc00001"),
        ("float64", "0x7ff8000000000abc"),
    ):
        fills.append(k[name].filled("payload", digits, _of_bits(digits)))
    return fills


def _pair(real: float, imaginary: float, dtype: str) -> Any:
    half = f"f{np.dtype(dtype).itemsize // 2}"
    return np.array([real, imaginary], half).view(dtype)[0]


FILLS = _fills()
"""Data types with the fill values that are easily lost."""
