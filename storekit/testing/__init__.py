"""
What helps to test stores, and code that uses them.

`StoreContract` is a pytest class of laws that every store keeps; `StoreMachine` is a hypothesis
state machine that compares a store with a dict, `store_machine` and `check_store` run it.
`run_at_once` lets threads loose on a store. `HandlerStore` is a store whose backend is a function.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storekit.testing.contract import StoreContract
    from storekit.testing.handler import HandlerStore
    from storekit.testing.laws.common import run_at_once
    from storekit.testing.stateful import StoreMachine, check_store, store_machine

__all__ = [
    "HandlerStore",
    "StoreContract",
    "StoreMachine",
    "check_store",
    "run_at_once",
    "store_machine",
]

_HOMES = {
    "HandlerStore": "storekit.testing.handler",
    "StoreContract": "storekit.testing.contract",
    "StoreMachine": "storekit.testing.stateful",
    "check_store": "storekit.testing.stateful",
    "run_at_once": "storekit.testing.laws.common",
    "store_machine": "storekit.testing.stateful",
}


def __getattr__(name: str) -> Any:
    # Only who uses the suites needs what they are written with.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "HandlerStore":  # needs no pytest
        return getattr(import_module(home), name)
    try:
        # So that a broken law shows the values that break it.
        rewritten = {home, "storekit.testing.laws"} - sys.modules.keys()
        import_module("pytest").register_assert_rewrite(*rewritten)
        return getattr(import_module(home), name)
    except ModuleNotFoundError as error:
        if error.name not in ("hypothesis", "pytest"):
            raise
        from storekit.errors import MissingExtraError  # pytest imports this package in every run

        raise MissingExtraError(
            f"{name} needs {error.name}: pip install 'storekit[testing]'", name=error.name
        ) from error
