import json
import pickle
from dataclasses import replace

import pytest

from storekit.errors import MetadataError
from storekit.nodes.metadata import GroupMetadata, parse_node

KEY = "zarr.json"
FIELD = "consolidated_metadata"
INLINE = {"kind": "inline", "must_understand": False, "metadata": {}}


def group_document(**changes):
    """A valid document of a group; a change to `...` removes the field."""
    document = {"zarr_format": 3, "node_type": "group", "attributes": {"a": 1}, **changes}
    return {name: value for name, value in document.items() if value is not ...}


@pytest.mark.parametrize(
    ("changes", "consolidated"),
    [
        ({}, None),
        ({"attributes": ...}, None),
        ({FIELD: None}, None),
        ({FIELD: INLINE}, INLINE),
        ({FIELD: {"kind": "inline", "metadata": {}}}, {"kind": "inline", "metadata": {}}),
        ({FIELD: {**INLINE, "must_understand": True}}, {**INLINE, "must_understand": True}),
        (
            {FIELD: {"kind": "other", "must_understand": False}},
            {"kind": "other", "must_understand": False},
        ),
        ({"x": {"must_understand": False}}, None),
    ],
)
def test_valid_documents_are_read(changes, consolidated):
    """A group is read whatever optional fields it has, and written with the same meaning."""
    document = group_document(**changes)
    group = parse_node(json.dumps(document).encode(), KEY)
    assert isinstance(group, GroupMetadata)
    assert group.consolidated == consolidated
    assert group.attributes == document.get("attributes", {})
    again = parse_node(group.to_bytes(), KEY)
    assert again == group
    assert pickle.loads(pickle.dumps(group)) == group
    written = json.loads(group.to_bytes())
    assert {**document, FIELD: consolidated, "attributes": group.attributes} == {
        FIELD: None,
        **written,
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"zarr_format": ...}, "zarr_format"),
        ({"zarr_format": 2}, "zarr_format"),
        ({"node_type": ...}, "node_type"),
        ({"node_type": "dataset"}, "node_type"),
        *[({"attributes": bad}, "attributes") for bad in (None, [], "x")],
        *[({FIELD: bad}, FIELD) for bad in ([], "inline", 1, False)],
        ({FIELD: {**INLINE, "must_understand": None}}, f"{FIELD}.must_understand"),
        ({FIELD: {"kind": "other", "must_understand": True}}, f"{FIELD}.kind"),
        ({FIELD: {"kind": "inline"}}, f"{FIELD}.metadata"),
        ({FIELD: {"kind": "inline", "metadata": []}}, f"{FIELD}.metadata"),
        ({"shape": [1]}, "shape"),
        ({"x": None}, "x"),
    ],
)
def test_malformed_documents_are_refused(changes, field):
    """A malformed document is an error with the document, the field, what is expected and found."""
    with pytest.raises(MetadataError) as caught:
        parse_node(json.dumps(group_document(**changes)).encode(), KEY)
    assert (caught.value.document, caught.value.field) == (KEY, field)
    assert caught.value.expected


def test_what_is_written():
    """A new group says what it must, and no more."""
    assert json.loads(GroupMetadata().to_bytes()) == group_document(attributes={})
    consolidated = replace(GroupMetadata(), consolidated=INLINE)
    assert json.loads(consolidated.to_bytes()) == group_document(attributes={}, **{FIELD: INLINE})


@pytest.mark.filterwarnings("ignore")
def test_what_zarr_python_consolidates_is_read(tmp_path):
    """A hierarchy that zarr-python consolidated is read from its root document alone."""
    zarr = pytest.importorskip("zarr")
    root = zarr.create_group(tmp_path, attributes={"nan": float("nan"), "é": 1})
    root.create_array("a/b", shape=(3, 4), chunks=(2, 2), dtype="f4", attributes={"x": 2})
    zarr.consolidate_metadata(tmp_path)
    group = parse_node((tmp_path / KEY).read_bytes(), KEY)
    nodes = group.consolidated["metadata"]
    assert nodes.keys() == {"a", "a/b"}
    for path, document in nodes.items():
        alone = parse_node((tmp_path / path / KEY).read_bytes(), KEY)
        found = parse_node(document, KEY)
        assert replace(found, **({} if path == "a/b" else {"consolidated": None})) == alone


@pytest.mark.filterwarnings("ignore")
def test_zarr_python_reads_our_groups(tmp_path):
    """zarr-python finds the attributes in a group that we wrote."""
    zarr = pytest.importorskip("zarr")
    group = GroupMetadata({"é": [1, None, "\ud83d"]})
    (tmp_path / KEY).write_bytes(group.to_bytes())
    assert dict(zarr.open_group(tmp_path, mode="r").attrs) == group.attributes
