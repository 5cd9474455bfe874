"""Archives behind servers that fail in the midst: an error of the way, and never absence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from fault_samples import in_time, outcome
from servers import raw_server as raw
from servers.bad_s3 import bad_s3
from servers.raw_server import Behaviour, always, running

from storekit import ZarrArray, open_zarr
from storekit.errors import (
    AccessDeniedError,
    ConnectionLostError,
    KeyNotFoundError,
    RateLimitedError,
    ServerError,
    StoreError,
    TimeoutError,
)
from storekit.stores.http import HTTPStore
from storekit.stores.object import ObjectStore
from storekit.stores.retries import RetryPolicy
from storekit.stores.zip import ZipStore

DATA = np.random.default_rng(1).integers(1, 1 << 16, (512, 512), dtype="u2")
STORED = DATA.tobytes()[:300_000]
DEFLATED = bytes(400_000)
STALLS = 0.1  # seconds after which a stalling server is given up


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An archive with an array and values, whose beginning is far from its directory."""
    path: Path = tmp_path_factory.mktemp("zip") / "a.zip"
    with ZipStore(path, "w") as store:
        ZarrArray.create(
            store, "x", data=DATA, chunks=(256, 256), fill_value=0, codecs="none", overwrite=False
        )
        store.set("stored", STORED)
    with ZipStore(path, "a", level=6) as store:
        store.set("deflated", DEFLATED)
        store.set("z", STORED)  # so that what is before is not near the end
    return path.read_bytes()


class Site(NamedTuple):
    """A server with an archive, and how a store of it is made that tries once."""

    server: Any
    below: Callable[[float], Any]


@pytest.fixture(params=["http", "s3"])
def site(request: pytest.FixtureRequest, archive: bytes) -> Iterator[Site]:
    """A server of each kind."""
    with ExitStack() as stack:
        if request.param == "http":
            server: Any = stack.enter_context(running())
        else:
            server = stack.enter_context(bad_s3())
        server.contents["a.zip"] = archive

        def below(seconds: float) -> Any:
            if request.param == "http":
                once = RetryPolicy(attempts=1)
                return stack.enter_context(HTTPStore(server.url, timeout=(30, seconds), retry=once))
            return ObjectStore(
                "s3://bucket",
                retry_config={"max_retries": 0},
                client_options={"read_timeout": timedelta(seconds=seconds)},
                **server.obstore,
            )

        yield Site(server, below)


FAULTS: dict[str, tuple[Behaviour, type[StoreError]]] = {
    "reset before": (raw.reset_before, ConnectionLostError),
    "reset inside": (raw.reset_inside, ConnectionLostError),
    "cuts short": (raw.cut_short, ConnectionLostError),
    "500": (always(500), ServerError),
    "429": (always(429), RateLimitedError),
    "403": (always(403), AccessDeniedError),
    "404": (always(404), StoreError),
    "400": (always(400), StoreError),
    "stalls before": (raw.stall_before, TimeoutError),
    "stalls inside": (raw.stall_inside, TimeoutError),
}
READS: dict[str, tuple[Callable[[Any], bytes], bytes]] = {
    "stored": (lambda store: bytes(store.get("stored")), STORED),
    "deflated": (lambda store: bytes(store.get("deflated")), DEFLATED),
    "part": (
        lambda store: bytes(store.get_partial_values([("stored", 1000, 500)])[0]),
        STORED[1000:1500],
    ),
    "part of deflated": (
        lambda store: bytes(store.get_partial_values([("deflated", 1000, 500)])[0]),
        DEFLATED[1000:1500],
    ),
}


def opened(site: Site, fault: str) -> Any:
    """An archive, opened while the server behaves."""
    below = site.below(STALLS if fault.startswith("stalls") else 60)
    return in_time(lambda store: ZipStore.over(store, "a.zip"), below)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("read", READS)
def test_a_read_is_an_error_of_the_way(site: Site, fault: str, read: str) -> None:
    """While the server fails, a read is its error, and no absence; the next one is right again."""
    behaviour, error = FAULTS[fault]
    ask, answer = READS[read]
    store = opened(site, fault)
    site.server.misbehave(behaviour)
    with pytest.raises(StoreError) as caught:
        ask(store)
    assert type(caught.value) is error
    site.server.behave()
    assert in_time(ask, store) == answer


@pytest.mark.parametrize("fault", FAULTS)
def test_an_archive_is_not_opened_in_part(site: Site, fault: str) -> None:
    """While the server fails, no archive is opened; neither as an empty one."""
    behaviour, error = FAULTS[fault]
    below = site.below(STALLS if fault.startswith("stalls") else 60)
    site.server.misbehave(behaviour)
    with pytest.raises(StoreError) as caught:
        ZipStore.over(below, "a.zip")
    assert type(caught.value) is error
    assert not isinstance(caught.value, KeyNotFoundError)


def test_an_archive_is_read_without_ranges(site: Site) -> None:
    """A server that ignores ranges serves an archive all the same."""
    site.server.misbehave(raw.ignore_ranges)
    store = opened(site, "")
    for ask, answer in READS.values():
        assert ask(store) == answer


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_becomes_fill_values(site: Site, fault: str) -> None:
    """An array in an archive is read, or is an error; no fill values appear."""
    store = opened(site, fault)
    array: Any = in_time(lambda store: open_zarr(store, "x"), store)
    behaviour, error = FAULTS[fault]
    site.server.misbehave(behaviour)
    for selection in (np.s_[...], np.s_[200:300, 3:5], np.s_[1, 1]):
        assert type(outcome(array, selection)) is error
    site.server.behave()
    assert (in_time(lambda array: array[...], array) == DATA).all()
