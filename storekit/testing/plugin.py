"""
A pytest plugin: stores, networks and faults as fixtures.

pytest loads it wherever storekit is installed. All its names begin with ``storekit_`` or
``_storekit_``, but for the fixtures that tests name. A project that defines a fixture of such a
name gets its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from storekit.simulation import VirtualClock
    from storekit.stores import MemoryStore, SlowStore, Store
    from storekit.stores.fault import Fault
    from storekit.stores.faulty import FaultyStore
    from storekit.stores.link import Link
    from storekit.stores.trace import TraceStore

# Nothing of storekit is imported before a test asks for it: this module is loaded in every run.

_USUAL = ["memory", "local", "slow"]

# --- what a test can ask for ----------------------------------------------------------------------


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """A clock of which a simulated hour costs nothing; the test's thread is part of it."""
    from storekit.simulation import VirtualClock

    return VirtualClock()


@pytest.fixture
def memory_store() -> MemoryStore:
    """An empty store in memory, on which `slow_store` and `faulty_store` lie."""
    from storekit.stores import MemoryStore

    return MemoryStore()


@pytest.fixture
def storekit_profile() -> str | Link:
    """The network of `slow_store`: the name of a profile, or a `Link`. To be overridden."""
    return "lte"


@pytest.fixture
def storekit_faults() -> Iterable[Fault]:
    """The rules of `faulty_store`: none. To be overridden."""
    return ()


@pytest.fixture
def slow_store(
    memory_store: MemoryStore, virtual_clock: VirtualClock, storekit_profile: str | Link
) -> SlowStore:
    """`memory_store` behind the network `storekit_profile`, in the time of `virtual_clock`."""
    from storekit.stores import SlowStore
    from storekit.stores.profiles import by_name

    link = by_name(storekit_profile) if isinstance(storekit_profile, str) else storekit_profile
    return SlowStore(memory_store, link=link, clock=virtual_clock)


@pytest.fixture
def faulty_store(memory_store: MemoryStore, storekit_faults: Iterable[Fault]) -> FaultyStore:
    """`memory_store` with the faults `storekit_faults`."""
    from storekit.stores.faulty import FaultyStore

    return FaultyStore(memory_store, storekit_faults)


@pytest.fixture
def _storekit_chosen(request: pytest.FixtureRequest) -> str:
    """One of the backends chosen: the first, where the test cannot be run for each of them."""
    return _chosen(request.config)[0]


@pytest.fixture
def storekit_backend(_storekit_chosen: str) -> str:
    """The backend of `store`: each that ``--storekit-stores`` chooses. To be overridden."""
    return _storekit_chosen


@pytest.fixture
def store(
    request: pytest.FixtureRequest,
    storekit_backend: str,
    storekit_profile: str | Link,  # for pytest, which looks here for what `parametrize` may name
    storekit_faults: Iterable[Fault],
) -> Iterator[Store]:
    """A store of the backend `storekit_backend`, empty."""
    _check([storekit_backend])
    with _BACKENDS[storekit_backend](request) as made:
        yield made


@pytest.fixture
def assert_requests() -> Callable[..., AbstractContextManager[TraceStore]]:
    """
    A context that says how often code calls the methods of a store::

        with assert_requests(store, get=2, list=0) as traced:
            tool(traced)

    It gives a `TraceStore` around the store. Methods that are not named may be called as often as
    they like, unless ``exactly=True`` is given.
    """
    return _assert_requests


@contextmanager
def _assert_requests(store: Store, *, exactly: bool = False, **counts: int) -> Iterator[TraceStore]:
    from storekit.stores.trace import TraceStore

    __tracebackhide__ = True
    traced = TraceStore(store)
    yield traced
    traced.trace.assert_calls(exactly=exactly, **counts)


# --- backends -------------------------------------------------------------------------------------


def _memory(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("memory_store")


def _local(request: pytest.FixtureRequest) -> Any:
    from storekit.stores import LocalStore

    return LocalStore(request.getfixturevalue("tmp_path") / "storekit")


def _slow(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("slow_store")


def _faulty(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("faulty_store")


def _cached(request: pytest.FixtureRequest) -> Any:
    from storekit.stores.cache import CacheStore

    return CacheStore(request.getfixturevalue("slow_store"))


def _plain(request: pytest.FixtureRequest) -> Any:
    from storekit.testing.plain import PlainStore

    return PlainStore(request.getfixturevalue("memory_store"))


_BACKENDS: dict[str, Callable[[pytest.FixtureRequest], Any]] = {
    "cached": _cached,
    "faulty": _faulty,
    "local": _local,
    "memory": _memory,
    "plain": _plain,
    "slow": _slow,
}

# --- what pytest asks the plugin for --------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option, and the setting, which choose the backends."""
    text = f"backends of the fixture store, of {', '.join(_BACKENDS)}"
    parser.addini("storekit_stores", text, type="args", default=_USUAL)
    group = parser.getgroup("storekit")
    group.addoption("--storekit-stores", metavar="NAMES", help=f"{text}; with commas between them")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse backends that there are not, before anything runs."""
    _chosen(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each backend, if it uses the `store` of this plugin."""
    # Who has a `store` or a `storekit_backend` of their own does not use what is chosen.
    if "_storekit_chosen" in metafunc.fixturenames:
        metafunc.parametrize("_storekit_chosen", _chosen(metafunc.config))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Let each test have file systems of its own, whose rules count from the beginning."""
    fsspec = sys.modules.get("storekit.interop.fsspec")
    if fsspec is not None:
        fsspec.SlowFileSystem.clear_instance_cache()
        fsspec.FaultyFileSystem.clear_instance_cache()


def _chosen(config: pytest.Config) -> list[str]:
    """The backends chosen, each once."""
    option: str | None = config.getoption("--storekit-stores")
    words: list[str] = config.getini("storekit_stores") if option is None else [option]
    names = [name.strip() for word in words for name in word.split(",") if name.strip()]
    _check(names)
    return list(dict.fromkeys(names))


def _check(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in _BACKENDS]
    if unknown or not names:
        found = f"no backend {', '.join(map(repr, unknown))}" if unknown else "no backend is named"
        raise pytest.UsageError(f"storekit_stores: {found}; there are {', '.join(_BACKENDS)}")
