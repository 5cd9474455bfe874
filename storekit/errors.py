"""
Every error storekit raises, in one tree.

    StorekitError
      StoreError                      store, op, key, retryable
        KeyNotFoundError (KeyError)   the key is absent; the only error that may become fill values
        KeyConflictError              a key would be both a value and a prefix
        ConflictError                 compare-and-set: the value changed meanwhile
        InvalidKeyError (ValueError)
        InvalidRangeError (ValueError)
        ReadOnlyError (PermissionError)
        UnsupportedError              the backend cannot do this at all
        QuotaExceededError            the store would hold more than it may
        AccessDeniedError             the backend refused this caller
        CorruptArchiveError           a zip archive that is damaged, or contradicts itself
        TransportError                retryable: the request or its answer got lost
          TimeoutError (builtin TimeoutError)
          ConnectionLostError (ConnectionError)
          RateLimitedError            retry_after
          ServerError
      MetadataError (ValueError)      a document is malformed: document, field, expected, found
      CodecError (RuntimeError)       bytes cannot be encoded or decoded: codec, key
        ChecksumError                 the bytes are not those that were written
        CorruptFrameError             the bytes are a frame that is damaged, or not all of it
          NotAFrameError (TypeError)  the bytes are something else
      SelectionError (IndexError)     an index that does not fit the array
      ShapeError (ValueError)         data that does not fit its place
      NodeNotFoundError (KeyError)
        PathNotFoundError (FileNotFoundError)    nothing at all at a path or a URL
      NodeExistsError (ValueError)
      NodeTypeError (TypeError)       a group where an array was asked for, or the reverse
      SimulationError (RuntimeError)  a virtual clock used by a thread that it does not order
        SimulationStalledError        nobody can go on: a deadlock, or a wait outside of the clock
      MissingExtraError (ImportError) an optional dependency; the message names the extra

`KeyNotFoundError` is not an `OSError`: code that catches `OSError` around a store call must not
take absence for failure, nor failure for absence. What blosc2 raises a `RuntimeError`, `TypeError`
or `FileNotFoundError` for is one here, too.
"""

from __future__ import annotations

import builtins
import typing

__all__ = [
    "AccessDeniedError",
    "ChecksumError",
    "CodecError",
    "ConflictError",
    "ConnectionLostError",
    "CorruptArchiveError",
    "CorruptFrameError",
    "InvalidKeyError",
    "InvalidRangeError",
    "KeyConflictError",
    "KeyNotFoundError",
    "MetadataError",
    "MissingExtraError",
    "NodeExistsError",
    "NodeNotFoundError",
    "NodeTypeError",
    "NotAFrameError",
    "PathNotFoundError",
    "QuotaExceededError",
    "RateLimitedError",
    "ReadOnlyError",
    "SelectionError",
    "ServerError",
    "ShapeError",
    "SimulationError",
    "SimulationStalledError",
    "StoreError",
    "StorekitError",
    "TimeoutError",
    "TransportError",
    "UnsupportedError",
]


class StorekitError(Exception):
    """The root of all errors that storekit raises on purpose."""

    # KeyError shows the repr of its argument; every error here shows its message.
    __str__ = Exception.__str__


class StoreError(StorekitError):
    """
    A store could not do what it was asked.

    Args:
        message: What went wrong.

        store: The store (its repr is kept, so that the error pickles and holds no data).

        op: The operation, such as ``"get"``.

        key: The key or prefix concerned.

        retryable: Whether the same call may succeed later. Defaults to the class's answer.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        store: object = None,
        op: str | None = None,
        key: object = None,
        retryable: bool | None = None,
    ) -> None:
        self.store = None if store is None else repr(store)
        self.op = op
        self.key = key
        if retryable is not None:
            self.retryable = retryable
        # Unpickling calls the class with the finished message alone, then restores the attributes.
        where = ".".join(part for part in (self.store, op) if part)
        super().__init__(f"{where}: {message}" if where else message)


class KeyNotFoundError(StoreError, KeyError):
    """The store holds no value under this key."""


class KeyConflictError(StoreError):
    """A key cannot hold a value while it is the prefix of other keys, and the reverse."""


class ConflictError(StoreError):
    """The value is not the version that the caller expected; nothing was written."""


class InvalidKeyError(StoreError, ValueError):
    """The text cannot be a key or a prefix of any store."""


class InvalidRangeError(StoreError, ValueError):
    """A byte range with a start or a length that makes no sense."""


class ReadOnlyError(StoreError, PermissionError):
    """A write to a store that only reads."""


class UnsupportedError(StoreError):
    """The backend lacks this ability."""


class QuotaExceededError(StoreError):
    """The value would make the store bigger than it may be; nothing was written."""


class AccessDeniedError(StoreError):
    """The backend refused the caller."""


class CorruptArchiveError(StoreError):
    """The archive is not one that is whole, or says different things of one member."""


class TransportError(StoreError):
    """The request, or its answer, got lost on the way. Never means that the key is absent."""

    retryable = True


class TimeoutError(TransportError, builtins.TimeoutError):
    """No answer within the time allowed."""


class ConnectionLostError(TransportError, ConnectionError):
    """The connection broke."""


class RateLimitedError(TransportError):
    """
    The backend asks for fewer requests.

    Args:
        message: What it said.

        retry_after: How long it wishes not to be asked, in seconds; None if it does not say.

        more: As of every `StoreError`.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, **more: typing.Any
    ) -> None:
        super().__init__(message, **more)
        self.retry_after = retry_after


class ServerError(TransportError):
    """The backend failed on its own side."""


class MetadataError(StorekitError, ValueError):
    """
    A metadata document is malformed or cannot be honoured.

    Args:
        message: What is wrong; or nothing, when `expected` says it.

        document: Where the document lies, such as ``"a/zarr.json"``.

        field: The path of the field, such as ``"codecs[1].configuration.level"``.

        expected: What would have been valid.

        found: What was there.
    """

    def __init__(
        self,
        message: str = "",
        *,
        document: str | None = None,
        field: str | None = None,
        expected: str | None = None,
        found: object = None,
    ) -> None:
        self.document, self.field, self.expected, self.found = document, field, expected, found
        self.reason = message
        if expected is not None:
            message = (
                f"{message + ': ' if message else ''}expected {expected}, found {_short(found)}"
            )
        where = ": ".join(part for part in (document, field) if part)
        super().__init__(f"{where}: {message}" if where else message)

    def located(self, document: str) -> MetadataError:
        """The same error, with the document it was found in."""
        return MetadataError(
            self.reason,
            document=document,
            field=self.field,
            expected=self.expected,
            found=self.found,
        )


class CodecError(StorekitError, RuntimeError):
    """
    A codec could not encode or decode a chunk.

    Args:
        message: What went wrong.

        codec: The name of the codec.

        key: The key of the chunk, when it is known.
    """

    def __init__(self, message: str, *, codec: str | None = None, key: str | None = None) -> None:
        self.reason, self.codec, self.key = message, codec, key
        where = f"codec {codec!r}" if codec else ""
        if key is not None:
            where = f"{where}, chunk {key!r}" if where else f"chunk {key!r}"
        super().__init__(f"{where}: {message}" if where else message)

    def located(self, key: str) -> CodecError:
        """The same error, with the key of the chunk."""
        return type(self)(self.reason, codec=self.codec, key=key)


class ChecksumError(CodecError):
    """The bytes do not match their checksum."""


class CorruptFrameError(CodecError):
    """The bytes are not a well-formed blosc2 frame."""


class NotAFrameError(CorruptFrameError, TypeError):
    """The bytes do not begin as a blosc2 frame does."""


class SelectionError(StorekitError, IndexError):
    """An index or a selection that does not fit the array."""


class ShapeError(StorekitError, ValueError):
    """Data, or an output, whose shape or type does not fit."""


class NodeNotFoundError(StorekitError, KeyError):
    """No group and no array at this path."""


class PathNotFoundError(NodeNotFoundError, FileNotFoundError):
    """There is nothing at the path or URL that was to be opened."""


class NodeExistsError(StorekitError, ValueError):
    """A node is in the way of the one to be created."""


class NodeTypeError(StorekitError, TypeError):
    """The node is of the other kind."""


class SimulationError(StorekitError, RuntimeError):
    """A `VirtualClock` was used by a thread that it does not order."""


class SimulationStalledError(SimulationError):
    """No thread of a simulation can go on; the message says where each one is."""


class MissingExtraError(StorekitError, ImportError):
    """An optional dependency is not installed; the message says which extra brings it."""


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an int of thousands of digits, a date without a unit
        text = f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= 80 else text[:77] + "..."
