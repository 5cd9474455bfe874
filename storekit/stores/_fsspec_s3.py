"""
What s3fs takes for granted: that an answer to a listing is one, and that keys it erased are gone.

An empty answer would be an empty listing, and keys that the server refuses to erase would pass for
erased.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["entries", "erase", "is_s3"]


def is_s3(fs: Any) -> bool:
    """Whether a file system is s3fs itself, with nothing around it."""
    return hasattr(fs, "call_s3") and hasattr(fs, "split_path")


def entries(fs: Any, path: str, delimiter: str) -> Iterator[str]:
    """
    The paths of the objects below a path, and, with a delimiter, those of prefixes, which end so.

    Raises:
        OSError: As s3fs does; or if a page is not one of a listing.
    """
    bucket, prefix, _ = fs.split_path(path)
    options = {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter}
    while True:
        try:
            page = fs.call_s3("list_objects_v2", fs.req_kw, **options)
        except FileNotFoundError as error:  # no key was asked for
            raise OSError(f"there is no listing: {error}") from error
        token = page.get("NextContinuationToken")
        if "IsTruncated" not in page or (page["IsTruncated"] and not token):
            raise OSError("the answer to a listing is not one, or not all of it")
        yield from (f"{bucket}/{found['Key']}" for found in page.get("Contents", []))
        yield from (f"{bucket}/{found['Prefix']}" for found in page.get("CommonPrefixes", []))
        if not page["IsTruncated"]:
            return
        options["ContinuationToken"] = token


def erase(fs: Any, paths: Sequence[str]) -> None:
    """
    Erase objects of one bucket, a thousand at most.

    Raises:
        OSError: As s3fs does; or if the server does not say of one that it is gone.
    """
    bucket, _, _ = fs.split_path(paths[0])
    keys = [fs.split_path(path)[1] for path in paths]
    objects = {"Objects": [{"Key": key} for key in keys], "Quiet": False}
    answer = fs.call_s3("delete_objects", Bucket=bucket, Delete=objects)
    for refused in answer.get("Errors", []):
        denied = refused.get("Code") == "AccessDenied"
        text = f"{refused.get('Key')!r} is not erased: {refused.get('Code')}"
        raise PermissionError(text) if denied else OSError(text)
    missing = set(keys).difference(gone["Key"] for gone in answer.get("Deleted", []))
    if missing:
        raise OSError(f"the server does not say that {min(missing)!r} is erased")
