"""Documents that say the same in other words, spelled by hand over the chunks of a peer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interop_case import Case, keys
from interop_kinds import FILLS, KINDS, Kind, same
from interop_parts import build, codec, serial, shard
from interop_peers import STOREKIT, Peer, TensorStore, ZarrPython, Zarrs

import storekit

Document = dict[str, Any]
WRITERS = [peer for peer in (ZarrPython(), Zarrs(), TensorStore()) if peer.missing is None]
KEPT = {"must_understand": False, "note": [1, None]}


def merged(**changes: Any) -> Callable[[Document], Document]:
    """The document with some fields replaced."""
    return lambda document: {**document, **changes}


def without(*names: str) -> Callable[[Document], Document]:
    """The document without some fields."""
    return lambda document: {name: document[name] for name in document if name not in names}


def codecs(change: Callable[[Any], Any]) -> Callable[[Document], Document]:
    """The document with each codec changed."""
    return lambda document: {**document, "codecs": [change(entry) for entry in document["codecs"]]}


def less(name: str, key: str) -> Callable[[Document], Document]:
    """The document without a key of the configuration of a codec."""

    def change(entry: Any) -> Any:
        if entry["name"] != name:
            return entry
        config = {k: v for k, v in entry["configuration"].items() if k != key}
        return {"name": name, "configuration": config}

    return codecs(change)


def by_name(entry: Any) -> Any:
    """A codec by its name alone, where it has no configuration."""
    return entry["name"] if "configuration" not in entry else entry


def kind(name: str, label: str = "") -> Kind:
    """A data type with a fill value of the table."""
    return next(k for k in (*KINDS.values(), *FILLS) if k.name == name and k.label == label)


def fill(name: str, label: str, json: Any) -> tuple[Case, Callable[[Document], Document]]:
    """A fill value spelled otherwise."""
    return build(f"{name} {label}", kind(name, label), content="part"), merged(fill_value=json)


U1, I4, F4 = KINDS["uint8"], KINDS["int32"], KINDS["float32"]
BARE_BLOSC = codec("blosc", cname="lz4", clevel=5, shuffle="noshuffle", typesize=4, blocksize=0)
IGNORABLE = {"name": "acme.watermark", "configuration": {"ink": "none"}, "must_understand": False}

FORMS: dict[str, tuple[Case, Callable[[Document], Document]]] = {
    "codecs by name": (build("b", U1, chain=[serial(U1), codec("crc32c")]), codecs(by_name)),
    "codecs that must be understood": (
        build("b", U1, chain="zstd"),
        codecs(lambda entry: {**entry, "must_understand": True}),
    ),
    "a codec with an empty configuration": (
        build("b", U1),
        codecs(lambda entry: {"name": entry["name"], "configuration": {}}),
    ),
    "an unknown codec that may be ignored": (
        build("b", U1),
        lambda document: {**document, "codecs": [*document["codecs"], IGNORABLE]},
    ),
    "keys by name": (build("b"), merged(chunk_key_encoding="default")),
    "keys without configuration": (build("b"), merged(chunk_key_encoding={"name": "default"})),
    "keys with an empty configuration": (
        build("b"),
        merged(chunk_key_encoding={"name": "default", "configuration": {}}),
    ),
    "v2 keys by name": (build("b", key="v2-dot"), merged(chunk_key_encoding="v2")),
    "v2 keys without configuration": (
        build("b", key="v2-dot"),
        merged(chunk_key_encoding={"name": "v2"}),
    ),
    "v2 keys without dimensions": (
        build("b", key="v2-dot", geometry="0-d"),
        merged(chunk_key_encoding=keys("v2", ".")),
    ),
    "data type as an object": (build("b"), merged(data_type={"name": "int32"})),
    "no attributes": (build("b"), without("attributes")),
    "no storage transformers": (build("b"), merged(storage_transformers=[])),
    "names that are all null": (build("b"), merged(dimension_names=[None, None])),
    "an unknown field that may be ignored": (build("b"), merged(acme=KEPT)),
    "zstd without checksum": (build("b", F4, chain="zstd"), less("zstd", "checksum")),
    "blosc without typesize": (
        build("b", F4, chain=[serial(F4), BARE_BLOSC]),
        less("blosc", "typesize"),
    ),
    "shards without a place for the index": (
        build("b", sharding="end"),
        less("sharding_indexed", "index_location"),
    ),
    "transpose F": (
        build("b", I4, chain=[codec("transpose", order=[2, 1, 0]), serial(I4)], geometry="3-d"),
        codecs(lambda e: codec("transpose", order="F") if e["name"] == "transpose" else e),
    ),
    "transpose C": (
        build("b", I4, chain=[codec("transpose", order=[0, 1, 2]), serial(I4)], geometry="3-d"),
        codecs(lambda e: codec("transpose", order="C") if e["name"] == "transpose" else e),
    ),
    "byte order of single bytes": (build("b", U1), merged(codecs=[codec("bytes", endian="big")])),
    "NaN in digits": fill("float32", "NaN", "0x7fc00000"),
    "NaN in capital digits": fill("float64", "NaN", "0x7FF8000000000000"),
    "infinity in digits": fill("float32", "inf", "0x7f800000"),
    "-0.0 in digits": fill("float32", "-0.0", "0x80000000"),
    "1.5 in digits": fill("float16", "1.5", "0x3e00"),
    "a float without a fraction": fill("float32", "", 0),
    "a float in scientific notation": fill("float64", "1.5", 15e-1),
    "an integer with a fraction of zero": fill("int32", "", 0.0),
    "complex in digits": fill("complex64", "NaN and inf", ["0x7fc00000", "0xff800000"]),
    "complex in integers": fill("complex128", "", [0, 0]),
}

SPELLED = {
    "bytes as integers": fill("bytes", "bytes", [255, 0, 161]),
    "variable_length_bytes as integers": fill("variable_length_bytes", "bytes", [255, 0, 161]),
    "raw_bytes as integers": fill("raw_bytes", "bytes", [255, 0, 161]),
    "null_terminated_bytes as integers": fill("null_terminated_bytes", "bytes", [255, 97]),
    "NaT by name": fill("datetime64[1s]", "", "NaT"),
    "no duration by name": fill("timedelta64[1s]", "", "NaT"),
    "bytes by the other name": (
        build("b", kind("bytes", "bytes"), content="part"),
        merged(data_type="variable_length_bytes"),
    ),
}
if not ZarrPython().missing and ZarrPython().version < (3, 2):
    LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
    SPELLED["struct as it is registered"] = (
        build("b", kind("structured"), content="part"),
        merged(data_type=kind("struct").json, fill_value={"a": 0, "b": 0, "c": 0}, codecs=[LITTLE]),
    )


def spelled_by(writer: Peer, form: tuple[Any, Any], folder: Path) -> Case:
    """What a peer has written, with a document spelled by hand."""
    case, change = form
    writer.write(folder, case)
    (folder / "zarr.json").write_text(json.dumps(change(case.document)))
    return case


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("writer", WRITERS, ids=lambda peer: peer.name)
def test_forms_that_mean_the_same(writer: Peer, name: str, tmp_path: Path) -> None:
    """However a document says it, the chunks that a peer wrote have the same content."""
    case = spelled_by(writer, FORMS[name], tmp_path)
    assert same(STOREKIT.read(tmp_path), case.values)


@pytest.mark.parametrize("name", SPELLED)
def test_forms_of_extensions_that_mean_the_same(name: str, tmp_path: Path) -> None:
    """The same for data types that only zarr-python writes."""
    if ZarrPython().missing:
        pytest.skip("zarr not installed")
    case = spelled_by(ZarrPython(), SPELLED[name], tmp_path)
    assert same(STOREKIT.read(tmp_path), case.values)


@pytest.mark.parametrize("name", [*FORMS, *SPELLED])
def test_forms_survive_a_change(name: str, tmp_path: Path) -> None:
    """A document in any form keeps its meaning when storekit writes it anew."""
    case, change = {**FORMS, **SPELLED}[name]
    STOREKIT.write(tmp_path, case)
    document = change(case.document)
    (tmp_path / "zarr.json").write_text(json.dumps(document))
    array = STOREKIT.open(tmp_path)
    array.attributes["new"] = 1
    assert same(STOREKIT.read(tmp_path), case.values)
    found = json.loads((tmp_path / "zarr.json").read_text())
    assert found["attributes"] == {**case.attributes, "new": 1}
    assert found.get("acme") == document.get("acme")
    assert (IGNORABLE in found["codecs"]) == (IGNORABLE in document["codecs"])


AS_FOUND = ("an unknown codec that may be ignored", "transpose F", "transpose C")


@pytest.mark.parametrize("name", [name for name in FORMS if name not in AS_FOUND])
@pytest.mark.parametrize("reader", WRITERS, ids=lambda peer: peer.name)
def test_storekit_spells_it_for_everyone(reader: Peer, name: str, tmp_path: Path) -> None:
    """What storekit writes anew is in the form that peers read, unless it keeps what it found."""
    case, change = FORMS[name]
    STOREKIT.write(tmp_path, case)
    (tmp_path / "zarr.json").write_text(json.dumps(change(case.document)))
    STOREKIT.open(tmp_path).attributes["new"] = 1
    assert same(reader.read(tmp_path), case.values)


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    """A document that an editor has given a byte order mark is read."""
    case = build("b")
    STOREKIT.write(tmp_path, case)
    path = tmp_path / "zarr.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert same(STOREKIT.read(tmp_path), case.values)


def test_bytes_by_hand(tmp_path: Path) -> None:
    """A chunk written by hand, byte by byte, has the content that the specification says."""
    document = build("b", I4, geometry="2-d even", chain="transpose-big-zstd-crc32c").document
    document |= {
        "shape": [2, 3],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3]}},
        "codecs": [codec("transpose", order=[1, 0]), codec("bytes", endian="big")],
    }
    (tmp_path / "c/0").mkdir(parents=True)
    (tmp_path / "zarr.json").write_text(json.dumps(document))
    (tmp_path / "c/0/0").write_bytes(b"".join(bytes([0, 0, 0, n]) for n in (1, 4, 2, 5, 3, 6)))
    np.testing.assert_array_equal(STOREKIT.read(tmp_path), [[1, 2, 3], [4, 5, 6]])


def test_times_without_a_unit_by_hand(tmp_path: Path) -> None:
    """Times without a unit are stored in the stated byte order, alone and in records."""
    counts = np.array([[1, -2, 3], [4, 5, -(2**63)]])
    store = storekit.LocalStore(tmp_path)
    big = [codec("bytes", endian="big")]
    for code in ("M8", "m8"):
        alone = counts.view(code)
        records = np.zeros(counts.shape, [("a", "i2"), ("t", code)])
        records["t"] = alone
        for data, stored in ((alone, ">i8"), (records, [("a", ">i2"), ("t", ">i8")])):
            array = storekit.ZarrArray.create(
                store, code, data=data, chunks=(2, 3), codecs=big, overwrite=True
            )
            written = np.frombuffer(store.get(f"{code}/c/0/0"), stored).reshape(2, 3)
            found = written["t"] if written.dtype.names else written
            np.testing.assert_array_equal(found, counts)
            for part in (np.s_[:], np.s_[1:, ::2], np.s_[1, 1], ([0, 1], [2, 0])):
                assert same(array[part], np.asarray(data[part]))


def test_shards_by_hand(tmp_path: Path) -> None:
    """Inner chunks in any order, with gaps between them, are found by the index on either end."""
    empty = [2**64 - 1, 2**64 - 1]
    for location in ("start", "end"):
        store = storekit.LocalStore(tmp_path / location)
        index_codecs = (codec("bytes", endian="big"),)
        storekit.ZarrArray.create(
            store,
            shape=(6,),
            dtype="uint8",
            chunks=(6,),
            codecs=shard((2,), [codec("bytes")], location, index_codecs),
            fill_value=9,
        )
        base = 48 if location == "start" else 0
        content = b"\xee\x05\x06\xee\xee\x01\x02"
        index = np.array([[base + 5, 2], empty, [base + 1, 2]], ">u8").tobytes()
        (tmp_path / location / "c").mkdir()
        shard_bytes = index + content if location == "start" else content + index
        (tmp_path / location / "c/0").write_bytes(shard_bytes)
        array = storekit.open_zarr(store)
        np.testing.assert_array_equal(array[:], [1, 2, 9, 9, 5, 6])
        np.testing.assert_array_equal(array[4:], [5, 6])
