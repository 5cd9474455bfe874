"""What may be a key, a prefix or a byte range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storekit.errors import InvalidKeyError, InvalidRangeError
from storekit.keys import RESERVED, check_key, check_prefix, check_range, resolve_range

SEGMENTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60
).filter(lambda text: text.strip(".") and not text.startswith(RESERVED))
KEYS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)
ANYTHING = st.one_of(st.text(st.sampled_from("a./\0\ud800é "), max_size=12), st.text(max_size=300))


def is_valid(key: str) -> bool:
    """The rules, once more, as the docstring of the module states them."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        return False
    segments = encoded.split(b"/")
    return len(encoded) <= 1024 and all(
        segment
        and segment.strip(b".")
        and b"\0" not in segment
        and not segment.startswith(b".storekit-")
        and len(segment) <= 255
        for segment in segments
    )


@given(KEYS)
def test_valid_keys_are_returned(key: str) -> None:
    """What keeps the rules is a key, and with a slash a prefix."""
    assert check_key(key) is key
    assert check_prefix(f"{key}/") == f"{key}/"


@given(ANYTHING)
def test_the_rules_are_those_that_are_stated(key: str) -> None:
    """Any text is a key if and only if it keeps the rules."""
    if is_valid(key):
        assert check_key(key) is key
    else:
        with pytest.raises(InvalidKeyError) as caught:
            check_key(key)
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("", "empty"),
        ("/", "start with '/'"),
        ("/a", "start with '/'"),
        ("a/", "end with '/'"),
        ("a//b", "no segment may be empty"),
        (".", "dots"),
        ("a/../b", "dots"),
        ("....", "dots"),
        ("a\0", "NUL"),
        ("\ud800", "UTF-8"),
        ("x" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("/".join(["x"] * 513), "1024 bytes"),
        ("é" * 127 + "/" + "/".join(["é" * 100] * 4), "1024 bytes"),
        (".storekit-x", "begin with"),
        ("a/.storekit-x", "begin with"),
        (None, "str, not NoneType"),
        (b"a", "str, not bytes"),
        (1, "str, not int"),
        (["a"], "str, not list"),
    ],
)
def test_the_broken_rule_is_named(key: Any, rule: str) -> None:
    """The error of an invalid key says which rule it breaks, where it was used, and the key."""
    with pytest.raises(InvalidKeyError, match=rule) as caught:
        check_key(key, store="the store", op="get")
    assert caught.value.op == "get"
    assert caught.value.key == key
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("size", [255, 256])
def test_a_segment_has_255_bytes(size: int) -> None:
    """The longest name that file systems take is the longest segment."""
    keys = ["x" * size, "a/" + "x" * size, "é" * (size // 2) + "x" * (size % 2)]
    for key in keys:
        if size == 255:
            assert check_key(key) is key
        else:
            with pytest.raises(InvalidKeyError):
                check_key(key)


def test_a_key_has_1024_bytes() -> None:
    """The longest name of an object in S3 is the longest key."""
    key = "/".join(["x" * 204] * 5)
    assert len(key) == 1024
    assert check_key(key) is key
    with pytest.raises(InvalidKeyError):
        check_key(key + "x")


def test_everything_is_a_prefix() -> None:
    """The empty prefix, also written as a slash, is that of all keys."""
    assert check_prefix("") == check_prefix("/") == ""


@pytest.mark.parametrize("prefix", ["a", "//", "/a/", "a//", "../", "a/../", "\0/", None, 1, b"a/"])
def test_invalid_prefixes_are_refused(prefix: Any) -> None:
    """A prefix is empty, or a key and a slash."""
    with pytest.raises(InvalidKeyError):
        check_prefix(prefix)


@given(st.integers(), st.none() | st.integers(min_value=0))
def test_any_int_is_a_start(start: int, length: int | None) -> None:
    """Starts may be negative, lengths may not, and both may be huge."""
    assert check_range(start, length) == (start, length)


@pytest.mark.parametrize(
    ("start", "length"),
    [(0, -1), (0.0, 1), (0, 1.5), ("0", 1), (None, 1), (True, 1), (0, False), (np.float64(1), 1)],
)
def test_impossible_ranges_are_refused(start: Any, length: Any) -> None:
    """Negative lengths, floats, bools and texts make no range."""
    with pytest.raises(InvalidRangeError) as caught:
        check_range(start, length, key="a")
    assert isinstance(caught.value, ValueError)
    assert caught.value.key == "a"


def test_ranges_become_plain_ints() -> None:
    """Numpy's integers are taken, and do not get further."""
    start, length = check_range(np.int64(-3), np.uint8(2))
    assert (start, length) == (-3, 2)
    assert type(start) is type(length) is int


@given(st.integers(-300, 300), st.none() | st.integers(0, 300), st.integers(0, 100))
def test_ranges_are_resolved_as_slices_are(start: int, length: int | None, size: int) -> None:
    """A resolved range is the slice of the value, and lies within it."""
    first, last = resolve_range(start, length, size)
    assert 0 <= first <= last <= size
    value = bytes(range(size))
    tail = value[start:]
    assert value[first:last] == (tail if length is None else tail[:length])
