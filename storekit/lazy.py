"""Names that a package offers, each loaded when it is first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["loader"]


def loader(namespace: dict[str, Any], homes: Mapping[str, str]) -> Callable[[str], Any]:
    """
    A function ``__getattr__`` for a package.

    Args:
        namespace: The globals of the package, where a name is kept once it is loaded.

        homes: The module that has a name, relative to ``storekit``; after a colon, if the name is
            that of the module itself: ``{"Link": "stores.link", "errors": ":errors"}``.
    """
    package = namespace["__name__"]

    def load(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"storekit.{home.lstrip(':')}")
        value = module if home.startswith(":") else getattr(module, name)
        namespace[name] = value
        return value

    return load
