"""Whatever is in a document: it is read, or it is a `MetadataError`; never anything else."""

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_samples import LITTLE, ZSTD, array_document, config, data_types, strict

from storekit.errors import MetadataError
from storekit.nodes.fill import cast_fill
from storekit.nodes.metadata import parse_node

KEY = "zarr.json"

_SHARDS = config(
    "sharding_indexed",
    chunk_shape=[2, 5],
    codecs=[LITTLE, ZSTD],
    index_codecs=[LITTLE, {"name": "crc32c"}],
    index_location="start",
)
_RECORD = config(
    "struct",
    fields=[
        {"name": "a", "data_type": "int32"},
        {"name": "b", "data_type": config("numpy.datetime64", unit="s", scale_factor=2)},
        {"name": "c", "data_type": config("fixed_length_utf32", length_bytes=8)},
    ],
)
DOCUMENTS = [
    array_document(
        codecs=[config("transpose", order=[1, 0]), LITTLE, ZSTD, config("gzip", level=1)]
    ),
    array_document(codecs=[_SHARDS, {"name": "q.q", "must_understand": False}]),
    array_document(data_type="float32", fill_value="NaN", extra={"must_understand": False}),
    array_document(data_type="complex64", fill_value=[1.5, "0x7fc00000"]),
    array_document(data_type="r16", fill_value=[1, 2]),
    array_document(data_type="string", fill_value="x", codecs=[{"name": "vlen-utf8"}]),
    array_document(data_type="bytes", fill_value="YWI=", codecs=[{"name": "vlen-bytes"}]),
    array_document(data_type=_RECORD, fill_value={"a": 1, "b": "NaT", "c": "x"}),
    array_document(data_type=_RECORD, fill_value="AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    array_document(data_type=config("raw_bytes", length_bytes=2), fill_value="YWI="),
    array_document(codecs=[config("storekit.b2nd")]),
    {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"a": 1},
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": {}},
    },
]

_words = st.sampled_from(
    [
        "name",
        "configuration",
        "must_understand",
        "bytes",
        "int32",
        "float64",
        "struct",
        "r8",
        "NaN",
        "NaT",
        "0x00",
        "regular",
        "default",
        "v2",
        "c",
        ".",
        "/",
        "zstd",
        "fields",
        "unit",
        "inline",
        "array",
        "group",
        "",
    ]
)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, 1, -1, 2**31, 2**63 - 1, 2**63, 10**400]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    _words,
)
_garbage = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | _words, inner)
    ),
    max_leaves=5,
)


def _paths(json_value, path=()):
    """The paths of everything in a JSON value."""
    yield path
    if isinstance(json_value, dict):
        for name, inner in json_value.items():
            yield from _paths(inner, (*path, name))
    elif isinstance(json_value, list):
        for index, inner in enumerate(json_value):
            yield from _paths(inner, (*path, index))


@st.composite
def mutated(draw):
    """A valid document with something in it replaced, removed or added."""
    document = strict(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(_paths(document))))
        if not path:
            name = draw(_words | st.text(max_size=3))
            document[name] = draw(_garbage)
            continue
        *outer, last = path
        place = document
        for step in outer:
            place = place[step]
        if draw(st.booleans()):
            place[last] = draw(_garbage)
        else:
            del place[last]
    return document


def check(document):
    """Read a document and, if that succeeds, what is written in its place."""
    try:
        metadata = parse_node(document, KEY)
    except MetadataError as error:
        assert error.document == KEY  # noqa: PT017
        assert error.field or error.reason or error.expected  # noqa: PT017
    else:
        assert parse_node(metadata.to_bytes(), KEY) == metadata


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_the_documents_to_start_from(document):
    """What the mutations start from is valid."""
    parse_node(document, KEY)
    check(document)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutations(document):
    """A mutated document is read, or refused with its key; what is read survives writing."""
    check(document)
    with suppress(UnicodeEncodeError):
        check(json.dumps(document, ensure_ascii=False).encode())


@given(st.sampled_from(DOCUMENTS), st.data())
def test_damaged_bytes(document, data):
    """A document with a few bytes changed, removed or doubled is read, or refused with its key."""
    text = bytearray(json.dumps(document).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(len(text), start + 9)))
        text[start:stop] = data.draw(st.binary(max_size=4)) * data.draw(st.integers(0, 2))
    check(bytes(text))


@given(st.binary(max_size=40))
def test_any_bytes(data):
    """Any bytes at all are refused."""
    with pytest.raises(MetadataError):
        parse_node(data, KEY)


@given(data_types, _garbage)
def test_any_fill_value(kind, garbage):
    """Any JSON is a fill value of a data type, or refused; the same for what a user gives."""
    with suppress(MetadataError):
        kind.fill_to_json(kind.fill_from_json(garbage))
    with suppress(MetadataError):
        kind.fill_to_json(cast_fill(garbage, kind))
