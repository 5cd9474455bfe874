"""The tree of errors is the one that is drawn, and errors keep what they know."""

from __future__ import annotations

import builtins
import copy
import pickle
import re
from typing import Any

import pytest

from storekit import errors
from storekit.errors import (
    ChecksumError,
    CodecError,
    ConnectionLostError,
    KeyNotFoundError,
    MetadataError,
    MissingExtraError,
    RateLimitedError,
    ReadOnlyError,
    StoreError,
    StorekitError,
    TransportError,
)
from storekit.stores import MemoryStore

LINE = re.compile(r"^( {4,})(\w+)(?: \((?:builtin )?(\w+)\))?(?:\s.*)?$")
ALL = [getattr(errors, name) for name in errors.__all__]


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """What the docstring draws: for each error its parent, and the builtin that it is, too."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    branch: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = LINE.match(line)
        if match and match[2].endswith("Error"):
            depth = len(match[1])
            branch = [entry for entry in branch if entry[0] < depth]
            tree[match[2]] = (branch[-1][1] if branch else None, match[3])
            branch.append((depth, match[2]))
    return tree


def test_the_drawn_tree_is_the_tree() -> None:
    """Every error stands in the docstring below its parent, with the builtin that it is."""
    actual = {}
    for kind in ALL:
        first, *others = kind.__bases__
        parent = first.__name__ if issubclass(first, StorekitError) else None
        also = next((base.__name__ for base in others), None)
        actual[kind.__name__] = (parent, also)
    assert drawn() == actual


def test_all_errors_are_exported() -> None:
    """`__all__` has every class of the module, sorted."""
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert set(errors.__all__) == classes
    assert errors.__all__ == sorted(errors.__all__)


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_a_storekit_error(kind: type[Exception]) -> None:
    """One `except StorekitError` catches all, and the message is shown as it is."""
    error = kind("the message")
    assert isinstance(error, StorekitError)
    assert str(error) == "the message"


def test_absence_is_no_failure_of_the_system() -> None:
    """`KeyNotFoundError` is a KeyError and no OSError; transport errors are never KeyErrors."""
    assert issubclass(KeyNotFoundError, KeyError)
    assert not issubclass(KeyNotFoundError, OSError)
    for kind in ALL:
        if issubclass(kind, TransportError):
            assert not issubclass(kind, (KeyNotFoundError, KeyError))


def test_only_transport_errors_can_be_retried() -> None:
    """An error is retryable if its class says so, or if it was told."""
    for kind in ALL:
        if issubclass(kind, StoreError):
            assert kind("").retryable == issubclass(kind, TransportError)
            assert kind("", retryable=True).retryable
            assert not kind("", retryable=False).retryable


def instance(kind: type[Any]) -> Any:
    """An error of the class with all that it can hold."""
    if issubclass(kind, StoreError):
        return kind("message", store=MemoryStore(), op="get", key="a/b", retryable=True)
    if issubclass(kind, MetadataError):
        return kind("message", document="zarr.json", field="shape", expected="ints", found=[1.5])
    if issubclass(kind, CodecError):
        return kind("message", codec="zstd", key="c/0")
    if issubclass(kind, MissingExtraError):
        return kind("message", name="zarr")
    return kind("message")


@pytest.mark.parametrize("kind", ALL)
def test_every_error_survives_pickling(kind: type[Any]) -> None:
    """Pickled or copied, an error has the same class, message and attributes."""
    error = instance(kind)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert str(again) == str(error)
        assert vars(again) == vars(error)
        assert again.args == error.args


def test_a_store_error_says_where_it_happened() -> None:
    """The message begins with the store and the operation, as far as they are known."""
    store = MemoryStore()
    assert str(StoreError("no", store=store, op="get")) == "MemoryStore(0 keys).get: no"
    assert str(StoreError("no", op="get")) == "get: no"
    assert str(StoreError("no", store=store)) == "MemoryStore(0 keys): no"
    assert StoreError("no", store=store).store == "MemoryStore(0 keys)"


def test_a_rate_limit_may_say_when_to_come_back() -> None:
    """`retry_after` is None until somebody knows, and survives pickling."""
    error = RateLimitedError("slow down")
    assert error.retry_after is None
    error = RateLimitedError("slow down", op="get", retry_after=2.5)
    assert (error.retry_after, str(error)) == (2.5, "get: slow down")
    assert pickle.loads(pickle.dumps(error)).retry_after == 2.5
    assert copy.deepcopy(error).retry_after == 2.5


def test_builtin_errors_are_caught_by_their_name() -> None:
    """Code that knows nothing of storekit catches what it expects of files and connections."""
    for kind, builtin in (
        (errors.TimeoutError, builtins.TimeoutError),
        (ConnectionLostError, ConnectionError),
        (ReadOnlyError, PermissionError),
    ):
        with pytest.raises(builtin):
            raise kind("message", op="get")


def test_what_blosc2_raises_builtin_errors_for_is_one() -> None:
    """Code that was written for blosc2 catches what is missing, no frame, or damaged."""
    for kind, builtin in (
        (errors.PathNotFoundError, FileNotFoundError),
        (errors.NotAFrameError, TypeError),
        (errors.CorruptFrameError, RuntimeError),
        (ChecksumError, RuntimeError),
    ):
        with pytest.raises(builtin, match="message"):
            raise kind("message")
    assert not issubclass(errors.PathNotFoundError, KeyNotFoundError)


def test_a_metadata_error_names_document_field_and_both_values() -> None:
    """The message says where, what was expected and what was found, shortened."""
    error = MetadataError(field="shape", expected="a list", found="x" * 1000)
    assert error.expected == "a list"
    located = error.located("a/zarr.json")
    assert str(located).startswith("a/zarr.json: shape: expected a list, found 'xxx")
    assert len(str(located)) < 200
    assert located.document == "a/zarr.json"


def test_a_codec_error_can_be_told_its_chunk() -> None:
    """`located` gives an error of the same class, which names codec and chunk."""
    error = ChecksumError("bytes differ", codec="crc32c").located("c/0/1")
    assert type(error) is ChecksumError
    assert str(error) == "codec 'crc32c', chunk 'c/0/1': bytes differ"
    assert str(CodecError("bad", key="c/0")) == "chunk 'c/0': bad"
