"""The contract of every store, as a pytest class."""

from __future__ import annotations

from storekit.testing.laws import (
    BatchLaws,
    ConditionalLaws,
    ErasingLaws,
    KeyLaws,
    ListingLaws,
    ObjectLaws,
    RangeLaws,
    ThreadLaws,
    UpdateLaws,
    ValueLaws,
)

__all__ = ["StoreContract"]


class StoreContract(
    ValueLaws,
    KeyLaws,
    RangeLaws,
    UpdateLaws,
    BatchLaws,
    ListingLaws,
    ErasingLaws,
    ConditionalLaws,
    ObjectLaws,
    ThreadLaws,
):
    """
    Every law that a store keeps, each a test.

    A subclass gives the store, and pytest runs the laws that its capabilities call for::

        class TestMyStore(StoreContract):
            @pytest.fixture
            def store(self):
                return MyStore()

    A store that cannot be written through overrides `fill`, and may be given contents from behind.
    A store that has the writing methods but refuses to write is given by the fixture
    `read_only_store`.

    Attributes:
        flat: Whether a key may be the prefix of another, as in object stores. Defaults to False.

        many: How many keys the law about long listings makes. Defaults to 10000.

        batch: How many values the laws about `set_values` store, at least 20. Where it is no more
            than `set` in a loop, 20 are enough. Defaults to 200.

        rounds: How often each thread of a law about threads does its work. Defaults to 50.
    """
