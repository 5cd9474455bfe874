"""
The metalayers of a frame as mappings: bytes of a fixed length in its header, and values of any
length behind its chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Protocol

import msgpack
import numpy as np

from storekit.errors import CorruptFrameError, MetadataError
from storekit.frames.b2nd import B2ND, CATERVA
from storekit.frames.frame import Frame
from storekit.frames.home import Change
from storekit.nodes.documents import plain_json
from storekit.typing import JSON

__all__ = ["FrameAttributes", "FrameMeta", "VLMeta", "pack_meta"]

_TUPLE = "__tuple__"
"""What blosc2 puts in front of the elements of a tuple, to tell it from a list."""


class Framed(Protocol):
    """What has a frame, and can change it."""

    @property
    def _frame(self) -> Frame: ...

    def _change(self, edit: Callable[[Change], None]) -> None: ...


class FrameMeta(Mapping[str, bytes]):
    """
    The metalayers of fixed length, as bytes: usually msgpack, by caterva's and blosc2's custom.

    Names may be given as text, or as the bytes of it in UTF-8.

    They are made together with the frame. Their content may be changed, but not its length. What
    the array is stands in the one called ``b2nd`` or ``caterva``, which changes with the array.

    Threads: safe.
    """

    def __init__(self, array: Framed) -> None:
        self._array = array

    def __getitem__(self, name: str | bytes) -> bytes:
        return self._array._frame.layers[_text(name)].content

    def __contains__(self, name: object) -> bool:
        return _text(name) in self._array._frame.layers

    def __iter__(self) -> Iterator[str]:
        return iter(self._array._frame.layers)

    def __len__(self) -> int:
        return len(self._array._frame.layers)

    def keys(self) -> list[str]:  # type: ignore[override]
        """The names, as a list, as in caterva."""
        return list(self)

    def __setitem__(self, name: str | bytes, content: object) -> None:
        """
        Write over the content of a metalayer, with bytes, or with the msgpack of anything else.

        Raises:
            MetadataError: If there is none of this name, it is that of the array, or the length is
                another.
        """
        ((name, packed),) = pack_meta({name: content}).items()

        def edit(change: Change) -> None:
            if name not in change.layers:
                names = ", ".join(change.layers)
                expected = f"one of the metalayers that the frame was made with ({names})"
                raise MetadataError(field="meta", expected=expected, found=name)
            if name in (B2ND, CATERVA):
                raise MetadataError(f"meta[{name!r}] changes with the array, and not by itself")
            length = len(change.layers[name])
            if len(packed) != length:
                raise MetadataError(
                    field=f"meta[{name!r}]",
                    expected=f"{length} bytes, as many as it has",
                    found=len(packed),
                )
            change.layers[name] = packed

        self._array._change(edit)

    def __repr__(self) -> str:
        return repr(dict(self))


class VLMeta(MutableMapping[str, Any]):
    """
    The metalayers of variable length: anything that msgpack can say, by name. Tuples stay tuples;
    numpy's scalars become Python's; extensions, such as the arrays of blosc2, come as
    `msgpack.ExtType`, of which nothing is decoded.

    Every change is written at once.

    Threads: safe.
    """

    def __init__(self, array: Framed) -> None:
        self._array = array

    def __getitem__(self, name: str) -> Any:
        return _unpack(name, self._array._frame.trailer.layers[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._array._frame.trailer.layers)

    def __len__(self) -> int:
        return len(self._array._frame.trailer.layers)

    def __contains__(self, name: object) -> bool:
        return name in self._array._frame.trailer.layers

    def __setitem__(self, name: str, value: Any) -> None:
        self._put({name: value})

    def __delitem__(self, name: str) -> None:
        def edit(change: Change) -> None:
            if name not in change.vlmeta:
                raise KeyError(name)
            change.vlmeta = change.vlmeta.changed({name: None})

        self._array._change(edit)

    def update(self, *others: Any, **values: Any) -> None:
        """As `dict.update`; all at once."""
        self._put(dict(*others, **values))

    def _put(self, values: Mapping[str, Any]) -> None:
        packed = {name: self._packed(name, value) for name, value in values.items()}

        def edit(change: Change) -> None:
            change.vlmeta = change.vlmeta.changed(packed)

        self._array._change(edit)

    def _packed(self, name: str, value: Any) -> bytes:
        if not isinstance(name, str):
            raise MetadataError(field="vlmeta", expected="names that are text", found=name)
        return _pack(f"vlmeta[{name!r}]", value)

    def __eq__(self, other: object) -> bool:
        return dict(self) == (dict(other) if isinstance(other, VLMeta) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(dict(self))


class FrameAttributes(VLMeta):
    """The metalayers of variable length as attributes, of which only JSON values can be made."""

    def _packed(self, name: str, value: JSON) -> bytes:
        return super()._packed(name, plain_json(value, f"attributes.{name}"))


def pack_meta(values: Mapping[Any, object]) -> dict[str, bytes]:
    """
    The contents of metalayers of fixed length: bytes are taken as they are, all else as msgpack.

    Raises:
        MetadataError: If a value is nothing that msgpack can say, or a name no text.
    """
    return dict(_packed_item(_text(name), value) for name, value in values.items())


def _packed_item(name: Any, value: Any) -> tuple[str, bytes]:
    if not isinstance(name, str):
        raise MetadataError(field="meta", expected="names that are text", found=name)
    raw = isinstance(value, bytes | bytearray | memoryview)
    return name, bytes(value) if raw else _pack(f"meta[{name!r}]", value)


def _text(name: Any) -> Any:
    """A name as text, if it is the bytes of some."""
    try:
        return name.decode() if isinstance(name, bytes) else name
    except UnicodeDecodeError:
        return name


def _pack(field: str, value: Any) -> bytes:
    try:
        packed: bytes = msgpack.packb(value, default=_plain, strict_types=True)
        msgpack.unpackb(packed)  # as blosc2 does, which takes no keys but text and bytes
    except (OverflowError, RecursionError, TypeError, ValueError) as error:
        raise MetadataError(f"{error}", field=field) from error
    return packed


def _plain(value: Any) -> Any:
    """What msgpack is to write for a value that it does not know."""
    if isinstance(value, tuple):
        return [_TUPLE, *value]
    if isinstance(value, np.generic) and value.dtype.kind in "biufSU":
        return value.item()
    for kind in (int, float, str):  # members of enumerations, for example
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"msgpack has nothing for {type(value).__name__}")


def _unpack(name: str, content: bytes) -> Any:
    try:
        return msgpack.unpackb(content, list_hook=_untuple, strict_map_key=False)
    except (MemoryError, TypeError, ValueError, msgpack.UnpackException) as error:
        raise CorruptFrameError(f"metalayer {name!r}: {error}") from error


def _untuple(items: list[Any]) -> Any:
    return tuple(items[1:]) if items and items[0] == _TUPLE else items
