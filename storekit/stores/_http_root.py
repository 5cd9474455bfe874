"""Where the keys of an HTTP store are: from a base URL to the path of each key."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

__all__ = ["Origin", "Root", "encoded", "segment_of"]

_PORTS = {"http": 80, "https": 443}
# What a path may hold as it is, and escapes that are there already.
_AS_IT_IS = "/%:@!$&'()*+,;=~?"
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class Origin:
    """Who is spoken to. Credentials are for one origin."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """
        The origin of a URL.

        Raises:
            ValueError: If it is not one of HTTP. The message does not show the URL, which may hold
                secrets.
        """
        if any(letter.isspace() or not letter.isprintable() for letter in url):
            raise ValueError("url must not contain white space or control characters")
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme, parts.hostname, parts.port
            host = (host or "").encode("idna").decode() if ":" not in (host or "") else f"[{host}]"
        except ValueError:  # of which some messages show the user and the password
            raise ValueError("url has no host or port that can be understood") from None
        if scheme not in _PORTS:
            raise ValueError(f"url must begin with http:// or https://, found {scheme[:20]!r}")
        if not host:
            raise ValueError(f"url must name a host, as in {scheme}://host/path")
        return cls(scheme, host, _PORTS[scheme] if port is None else port)

    def trusts(self, other: Origin) -> bool:
        """Whether `other` may see what is meant for this one: the same, or the same behind TLS."""
        if other is self:  # nearly always
            return True
        upgrade = Origin("https", self.host, 443)
        return other == self or (self.scheme == "http" and self.port == 80 and other == upgrade)

    def __str__(self) -> str:
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


@dataclass(frozen=True)
class Root:
    """
    The place under which all keys are.

    Attributes:
        origin: Of every request.

        path: Percent-encoded, ends with ``/``.

        query: Sent with every request; may be a signature, so it is never shown.

        user: The user and the password that the URL named, if it did.
    """

    origin: Origin
    path: str
    query: str | None = field(repr=False)
    user: tuple[str, str] | None = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Root:
        """
        From a base URL.

        Raises:
            TypeError: If it is not a str.

            ValueError: If it cannot be the place of a store.
        """
        if not isinstance(url, str):
            raise TypeError(f"url must be a str, found {type(url).__name__}")
        origin = Origin.of(url)
        parts = urlsplit(url)
        if parts.fragment:
            raise ValueError("url must have no fragment (#...), which no server gets to see")
        path = encoded(parts.path).rstrip("/") + "/"
        if any(part and not part.strip(".") for part in unquote(path).split("/")):
            raise ValueError("url must have no path segment that consists of dots only")
        user = None
        if parts.username is not None:
            user = unquote(parts.username), unquote(parts.password or "")
        return cls(origin, path, encoded(parts.query) or None, user)

    def path_of(self, name: str) -> str:
        """The path of a key or prefix."""
        return self.path + quote(name, safe="/")

    def __str__(self) -> str:
        path = self.path if self.path == "/" else self.path[:-1]
        return f"{self.origin}{path}{'?...' if self.query else ''}"


def encoded(text: str) -> str:
    """A path or a query, of which a part may be percent-encoded already."""
    return quote(_NO_ESCAPE.sub("%25", text), safe=_AS_IT_IS)


def segment_of(text: str) -> str | None:
    """The segment of a key that a percent-encoded one stands for; None if there is none."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return None
