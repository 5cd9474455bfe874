"""What goes wrong with zip archives, as errors of a store."""

from __future__ import annotations

import errno

from storekit.errors import (
    AccessDeniedError,
    ConflictError,
    CorruptArchiveError,
    KeyConflictError,
    ReadOnlyError,
    StoreError,
    UnsupportedError,
)
from storekit.stores._zip_archive import ConflictingNames
from storekit.stores._zip_directory import DamagedZip, RefusedZip
from storekit.stores._zip_writer import ChangedMeanwhile, Closed

__all__ = ["FAILURES", "translate"]

FAILURES = (DamagedZip, RefusedZip, ConflictingNames, ChangedMeanwhile, Closed, OSError)
_KINDS: dict[type, type[StoreError]] = {
    DamagedZip: CorruptArchiveError,
    RefusedZip: UnsupportedError,
    ConflictingNames: KeyConflictError,
    ChangedMeanwhile: ConflictError,
    PermissionError: AccessDeniedError,
}


def translate(error: Exception, store: object, op: str, key: str | None) -> StoreError:
    """
    The error that a store raises.

    Args:
        error: One of `FAILURES`.

        store: The store.

        op: What it was asked.

        key: The key concerned, if there is one.
    """
    kind = next((_KINDS[each] for each in _KINDS if isinstance(error, each)), StoreError)
    text = str(error)
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        kind = ReadOnlyError
    elif isinstance(error, DamagedZip):
        text = f"damaged: {text}"
    where = "" if key is None or isinstance(error, ConflictingNames) else f"{key!r}: "
    return kind(f"{where}{text}", store=store, op=op, key=key)
