"""What makes a server trust a request: headers, and who gets to see them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["Auth", "HTTPRequest", "authorization", "checked_headers"]


@dataclass(frozen=True)
class HTTPRequest:
    """
    A request that is about to be sent, for those who sign it.

    Attributes:
        method: Such as ``"GET"``.

        url: All of it, the query too.

        headers: Those that are sent anyway.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


Auth: TypeAlias = tuple[str, str] | str | Callable[[HTTPRequest], Mapping[str, str]]

_OURS = {
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "if-match",
    "if-none-match",
    "range",
    "transfer-encoding",
}


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """
    A copy of headers that can be sent.

    Raises:
        TypeError: If a name or value is not a str.

        ValueError: If one cannot be sent, or is for the store to decide. Values are not shown.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"headers must map str to str, found {type(value).__name__}")
        if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"headers has no valid name {name[:40]!r}")
        if name.lower() in _OURS:
            raise ValueError(f"headers must not have {name!r}, which the store sets itself")
        if not value.isprintable() or not value.isascii():
            raise ValueError(f"headers must have printable ASCII values; that of {name!r} has not")
    return dict(headers)


def authorization(
    auth: Auth | object | None, user: tuple[str, str] | None, headers: Mapping[str, str]
) -> Callable[[HTTPRequest], Mapping[str, str]] | None:
    """
    What adds the credentials to a request; None if there are none.

    Args:
        auth: As given to the store.

        user: The user and password of the URL.

        headers: As given to the store.

    Raises:
        TypeError: If `auth` is of no known kind.

        ValueError: If it cannot be sent, or there are several credentials. None is shown.
    """
    named = any(name.lower() == "authorization" for name in headers)
    if [auth is not None, user is not None, named].count(True) > 1:
        raise ValueError("auth must come once: as auth, in the URL, or as a header")
    auth = user if auth is None else auth
    if auth is None:
        return None
    if isinstance(auth, str):
        fixed = checked_headers({"Authorization": f"Bearer {auth}"})
        return lambda request: fixed
    if isinstance(auth, tuple):
        if [type(part) for part in auth] != [str, str]:
            raise TypeError("auth as a tuple must be of a user and a password, each a str")
        if ":" in auth[0]:
            raise ValueError("auth must have no ':' in the user's name")
        encoded = base64.b64encode(":".join(auth).encode()).decode()
        fixed = {"Authorization": f"Basic {encoded}"}
        return lambda request: fixed
    if callable(auth):
        sign: Callable[[HTTPRequest], Mapping[str, str]] = auth
        return lambda request: checked_headers(_signed(sign(request)))
    raise TypeError(f"auth must be a pair, a token or a function, found {type(auth).__name__}")


def _signed(headers: object) -> Mapping[str, str]:
    if not isinstance(headers, Mapping):
        text = "auth must return a mapping of headers to add"
        raise TypeError(f"{text}, found {type(headers).__name__}")
    return headers
