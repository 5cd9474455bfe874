"""
The document of a group, and what it has in common with that of an array.

Source: Zarr v3 core specification, "Group metadata" and "Extension points": an unknown field is an
error unless it is an object that says ``"must_understand": false``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from storekit.errors import MetadataError
from storekit.nodes.documents import dump_document, load_document, plain_json
from storekit.typing import JSON, Value

__all__ = [
    "GroupMetadata",
    "check_attributes",
    "check_consolidated",
    "open_document",
    "read_as",
    "same_json",
    "unknown_fields",
]

M = TypeVar("M")

_KNOWN = frozenset(("zarr_format", "node_type", "attributes", "consolidated_metadata"))


@dataclass(frozen=True, eq=False)
class GroupMetadata:
    """
    What the document of a group says.

    Args:
        attributes: The user's own JSON. Copied.

        consolidated: The documents of all nodes below by their paths, as the JSON object with
            ``kind`` and ``metadata`` that zarr-python made of them; None if there are none.

        extra: Unknown fields that need not be understood. Kept when the document is written again.
    """

    attributes: Mapping[str, JSON] = field(default_factory=dict)
    consolidated: Mapping[str, JSON] | None = None
    extra: Mapping[str, JSON] = field(default_factory=dict)

    zarr_format: ClassVar[int] = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", check_attributes(self.attributes))

    @classmethod
    def from_json(cls, document: Value | Mapping[str, JSON], key: str) -> GroupMetadata:
        """
        The group that a document describes.

        Args:
            document: The bytes, or the JSON object.

            key: Where it lies, for errors.

        Raises:
            MetadataError: If it is not the valid document of a group.
        """
        return read_as("group", cls.read, document, key)

    @classmethod
    def read(cls, found: Mapping[str, JSON]) -> GroupMetadata:
        """The group that an opened document of one describes."""
        return cls(
            attributes=found.get("attributes", {}),
            consolidated=check_consolidated(found.get("consolidated_metadata")),
            extra=unknown_fields(found, _KNOWN),
        )

    @cached_property
    def tree(self) -> Mapping[str, Mapping[str, Any]] | None:
        """
        The consolidated documents by the names of the children, sorted, and below each by their
        paths from there, of which the child's own is empty; None if the store must be asked.
        """
        if self.consolidated is None or self.consolidated.get("kind") != "inline":
            return None
        tree: dict[str, dict[str, Any]] = {}
        for path, document in self.consolidated["metadata"].items():
            name, slash, below = path.partition("/")
            tree.setdefault(name, {})[below or slash] = document
        return dict(sorted(tree.items()))

    def to_json(self) -> dict[str, JSON]:
        """The document. The caller may change it, but for `consolidated`, which is not copied."""
        document: dict[str, JSON] = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": check_attributes(self.attributes),
        }
        if self.consolidated is not None:
            document["consolidated_metadata"] = dict(self.consolidated)
        return {**document, **plain_json(self.extra)}

    def to_bytes(self) -> bytes:
        """The document as JSON."""
        return dump_document(self.to_json())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GroupMetadata):
            return NotImplemented
        return same_json(self.to_json(), other.to_json())

    __hash__ = None  # type: ignore[assignment]


def open_document(document: Value | Mapping[str, JSON]) -> Mapping[str, JSON]:
    """
    The JSON of a document that is one of Zarr v3.

    Raises:
        MetadataError: If it is not, or if it names no type of node.
    """
    found = document if isinstance(document, Mapping) else load_document(document)
    for name in ("zarr_format", "node_type"):
        if name not in found:
            raise MetadataError(field=name, expected="to be present", found="nothing")
    # True and 3.0 equal integers, but are not what the specification says.
    if type(found["zarr_format"]) is not int or found["zarr_format"] != 3:
        raise MetadataError(field="zarr_format", expected="3", found=found["zarr_format"])
    return found


def read_as(
    kind: str,
    read: Callable[[Mapping[str, JSON]], M],
    document: Value | Mapping[str, JSON],
    key: str,
) -> M:
    """
    What a document says that must be one of a certain kind.

    Args:
        kind: The type of node.

        read: From the opened document to what it says.

        document: The bytes, or the JSON object.

        key: Where it lies, for errors.

    Raises:
        MetadataError: If it is of another kind, or malformed.
    """
    try:
        found = open_document(document)
        if found["node_type"] != kind:
            raise MetadataError(field="node_type", expected=f'"{kind}"', found=found["node_type"])
        return read(found)
    except MetadataError as error:
        raise error.located(key) from error.__cause__
    except RecursionError:
        raise MetadataError("the document is nested too deeply", document=key) from None


def check_attributes(attributes: object) -> dict[str, Any]:
    """
    A copy of a user's attributes as JSON; numpy scalars and arrays become numbers and lists.

    Raises:
        MetadataError: If they are not a mapping, or hold what JSON cannot say.
    """
    if type(attributes) is dict and not attributes:
        return {}  # the usual case, 1 us faster
    if not isinstance(attributes, Mapping):
        raise MetadataError(field="attributes", expected="an object", found=attributes)
    copy: dict[str, Any] = plain_json(attributes, "attributes")
    return copy


def same_json(one: JSON, other: JSON) -> bool:
    """
    Whether two values of JSON say the same, in any order of keys: NaN is NaN, and neither are 0.0
    and -0.0 the same, nor 1 and 1.0.
    """
    return repr(_sorted(one)) == repr(_sorted(other))


def unknown_fields(document: Mapping[str, JSON], known: AbstractSet[str]) -> dict[str, JSON]:
    """
    The fields of a document that storekit does not know, and need not.

    Raises:
        MetadataError: If it should know one of them.
    """
    if known >= document.keys():
        return {}
    extra = {name: value for name, value in document.items() if name not in known}
    for name, value in extra.items():
        if not isinstance(value, Mapping) or value.get("must_understand") is not False:
            raise MetadataError(
                field=str(name),
                expected='a known field, or an object with "must_understand": false',
                found=value,
            )
    return {name: plain_json(value, str(name)) for name, value in extra.items()}


def check_consolidated(json: JSON) -> Mapping[str, JSON] | None:
    """
    Consolidated metadata, as it is; None if there is none. The documents in it are not looked into.

    Raises:
        MetadataError: If it is malformed, or of a kind that must be understood.
    """
    if json is None:  # zarr-python 3.0 wrote null
        return None
    field = "consolidated_metadata"
    if not isinstance(json, Mapping):
        raise MetadataError(field=field, expected="an object", found=json)
    must_understand = json.get("must_understand", False)
    if type(must_understand) is not bool:
        raise MetadataError(
            field=f"{field}.must_understand", expected="true or false", found=must_understand
        )
    if json.get("kind") == "inline":
        documents = json.get("metadata")
        if not isinstance(documents, Mapping):
            raise MetadataError(field=f"{field}.metadata", expected="an object", found=documents)
        for path, document in documents.items():
            if not isinstance(document, Mapping):
                raise MetadataError(
                    field=f"{field}.metadata.{path}", expected="a document", found=document
                )
    elif must_understand:
        raise MetadataError(field=f"{field}.kind", expected='"inline"', found=json.get("kind"))
    return json


def _sorted(json: JSON) -> JSON:
    if isinstance(json, Mapping):
        return [(key, _sorted(json[key])) for key in sorted(json)]
    return [_sorted(item) for item in json] if isinstance(json, list | tuple) else json
