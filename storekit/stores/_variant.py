"""Stores whose capabilities show in their class, which is made of the one that was written."""

from __future__ import annotations

from collections.abc import Iterable
from types import new_class
from typing import TypeVar

__all__ = ["declared_class", "variant"]

S = TypeVar("S")


def variant(cls: type[S], bases: Iterable[type]) -> type[S]:
    """
    A subclass that goes by the name of the class.

    Args:
        cls: As it was written; `declared_class` gives it back.

        bases: What has the methods of the capabilities, or refuses them.
    """
    namespace = {
        "__doc__": cls.__doc__,
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "_declared": cls,
    }
    made: type[S] = new_class(
        cls.__name__, (cls, *bases), exec_body=lambda body: body.update(namespace)
    )
    return made


def declared_class(cls: type[S]) -> type[S]:
    """The class as it was written, of one that `variant` made."""
    declared: type[S] = cls.__dict__.get("_declared", cls)
    return declared
