"""The laws of the store contract, by what they are about; `StoreContract` has them all."""

from storekit.testing.laws.batches import BatchLaws
from storekit.testing.laws.conditional import ConditionalLaws
from storekit.testing.laws.erasing import ErasingLaws
from storekit.testing.laws.keys import KeyLaws
from storekit.testing.laws.listing import ListingLaws
from storekit.testing.laws.objects import ObjectLaws
from storekit.testing.laws.ranges import RangeLaws
from storekit.testing.laws.threads import ThreadLaws
from storekit.testing.laws.updates import UpdateLaws
from storekit.testing.laws.values import ValueLaws

__all__ = [
    "BatchLaws",
    "ConditionalLaws",
    "ErasingLaws",
    "KeyLaws",
    "ListingLaws",
    "ObjectLaws",
    "RangeLaws",
    "ThreadLaws",
    "UpdateLaws",
    "ValueLaws",
]
