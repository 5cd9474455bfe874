"""What the laws have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias, TypeVar

import pytest

from storekit.stores.base import (
    ConditionalStore,
    ListableStore,
    ReadableStore,
    Store,
    WritableStore,
)

__all__ = ["AnyStore", "Laws", "need", "refused", "run_at_once"]

E = TypeVar("E", bound=Exception)

AnyStore: TypeAlias = Any  # with the methods of whatever capabilities it has

_VERBS: dict[type, str] = {
    ReadableStore: "be read",
    WritableStore: "be written",
    ListableStore: "list its keys",
    ConditionalStore: "compare and set",
}


class Laws:
    """The fixtures and flags of the contract; see `storekit.testing.StoreContract`."""

    flat: ClassVar[bool] = False
    many: ClassVar[int] = 10_000
    batch: ClassVar[int] = 200
    rounds: ClassVar[int] = 50

    @pytest.fixture
    def store(self) -> Store:
        """The store under test, empty."""
        raise NotImplementedError("a subclass of StoreContract must have a fixture `store`")

    @pytest.fixture
    def read_only_store(self) -> Store | None:
        """A store that refuses writes though it has their methods, or None."""
        return None

    def fill(self, store: AnyStore, contents: Mapping[str, bytes]) -> None:
        """Bring values into the store; to be overridden for stores that are not written through."""
        need(store, WritableStore)
        for key, value in contents.items():
            store.set(key, value)


def need(store: Store, *capabilities: type) -> None:
    """Skip the test if the store lacks one of the capabilities."""
    for capability in capabilities:
        if not isinstance(store, capability):
            pytest.skip(f"this store cannot {_VERBS[capability]}")


def refused(kind: type[E], what: object, call: Callable[[], object]) -> E:
    """The error of a call; a failure that shows what was not refused, if there is none."""
    try:
        call()
    except kind as error:
        return error
    pytest.fail(f"{what!r:.80} was not refused by {kind.__name__}")


def run_at_once(*tasks: Callable[[], object]) -> None:
    """Run each task in a thread of its own, all starting together; raise the first error."""
    barrier = threading.Barrier(len(tasks))
    errors: list[BaseException] = []

    def work(task: Callable[[], object]) -> None:
        try:
            barrier.wait()
            task()
        except BaseException as error:  # noqa: BLE001 - raised by the caller
            errors.append(error)

    threads = [threading.Thread(target=work, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error
