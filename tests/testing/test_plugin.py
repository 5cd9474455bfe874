"""The pytest plugin, in projects of others."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import storekit
from storekit.testing.plugin import _BACKENDS

PAGE = (
    Path(__file__).parents[2] / "docs/how-to/test-your-code-against-slow-and-broken-stores.md"
).read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMAND = re.search(r"^pytest (--storekit-stores=\S+)$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def loaded() -> None:
    """All of storekit: what a run inside a test imports is forgotten, and would be there twice."""
    for module in walk_packages(storekit.__path__, "storekit."):
        if not re.search(r"\.demo|\.interop\.zarr", module.name):
            import_module(module.name)


@pytest.fixture
def project(loaded: None, pytester: pytest.Pytester) -> pytest.Pytester:
    """A project of someone else, strict about everything."""
    pytester.makeini(
        "[pytest]\naddopts = --strict-markers --strict-config -p no:cacheprovider\n"
        "filterwarnings = error\n"
    )
    return pytester


def test_the_example_of_the_page(project: pytest.Pytester) -> None:
    """Five backends and three networks in twenty lines are eight tests, and pass."""
    assert len([line for line in EXAMPLES[0].splitlines() if line]) <= 20
    project.makepyfile(EXAMPLES[0])
    assert COMMAND is not None
    project.runpytest_inprocess(COMMAND[1]).assert_outcomes(passed=5 + 3)


def test_all_examples_of_the_page(project: pytest.Pytester) -> None:
    """The other examples pass, too, each with the first one's tool."""
    head, faults, backends, real_time, strategies = EXAMPLES
    check = "def test_time(slow_store): assert slow_store.clock == sk.RealClock()"
    project.makepyfile(
        test_part_faults=head + faults,
        test_part_time="\n".join([head.partition("def ")[0], real_time, check]),
        test_part_strategies=head + strategies,
        test_part_backends=head + backends,
    )
    project.runpytest_inprocess().assert_outcomes(
        passed=(3 + 3 + 1) + 1 + (3 + 3 + 1) + (2 + 3 + 2)
    )


def test_every_backend_is_a_store(project: pytest.Pytester) -> None:
    """Each backend is empty at first, keeps what it is given, and is what its name says."""
    project.makepyfile("""
        import storekit as sk

        def test_it(store, storekit_backend, virtual_clock):
            assert store.list() == []
            store.set("a/b", b"1")
            assert bytes(store.get("a/b")) == b"1"
            assert isinstance(store, sk.ConditionalStore) == (storekit_backend != "plain")
            assert (virtual_clock.now() > 0) == (storekit_backend in ("slow", "cached"))
            print(storekit_backend, type(store).__name__)
    """)
    run = project.runpytest_inprocess("-s", f"--storekit-stores={','.join(_BACKENDS)}")
    run.assert_outcomes(passed=len(_BACKENDS))
    kinds = ("CacheStore", "FaultyStore", "LocalStore", "MemoryStore", "PlainStore", "SlowStore")
    run.stdout.fnmatch_lines_random(
        [f"*{name} {kind}*" for name, kind in zip(sorted(_BACKENDS), kinds, strict=True)]
    )


def test_backends_are_chosen(project: pytest.Pytester) -> None:
    """By the option, else by the setting, else three; a name that comes twice counts once."""
    project.makepyfile("def test_it(store): pass")
    run = project.runpytest_inprocess
    run().assert_outcomes(passed=3)
    run("-o", "storekit_stores=memory, plain").assert_outcomes(passed=2)
    run("-o", "storekit_stores=memory", "--storekit-stores=slow,local,slow").assert_outcomes(
        passed=2
    )
    project.makepyprojecttoml('[tool.pytest.ini_options]\nstorekit_stores = ["slow", "plain"]')
    run("-c", "pyproject.toml").assert_outcomes(passed=2)


@pytest.mark.parametrize("option", ["--storekit-stores=memory,disk", "-ostorekit_stores=disk"])
def test_unknown_backends_are_refused(project: pytest.Pytester, option: str) -> None:
    """Before any test runs, with a list of what there is."""
    run = project.runpytest_inprocess(option)
    assert run.ret is pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines("*no backend 'disk'; there are cached, *, slow*")
    run = project.runpytest_inprocess("--storekit-stores=")
    assert run.ret is pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines("*no backend is named; there are*")


def test_the_first_backend_serves_who_cannot_be_repeated(project: pytest.Pytester) -> None:
    """A store that is asked for by name, or by a class of unittest, is of the first backend."""
    project.makepyfile("""
        import unittest
        import pytest
        import storekit as sk

        def test_by_name(request):
            store = request.getfixturevalue("store")
            assert isinstance(store, sk.LocalStore)
            assert store is request.getfixturevalue("store")

        class TestOld(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _store(self, store):
                self.store = store

            def test_it(self):
                assert isinstance(self.store, sk.LocalStore) and not self.store.list()
                self.store.set("a", b"")

            def test_again(self):
                self.test_it()

        class TestNew:
            @pytest.fixture(autouse=True)
            def _store(self, store):
                self.store = store

            def test_it(self):
                assert self.store.list() == []
    """)
    run = project.runpytest_inprocess("--storekit-stores=local,memory")
    run.assert_outcomes(passed=1 + 2 + 2)


def test_backends_of_one_test(project: pytest.Pytester) -> None:
    """A parameter or a fixture chooses the backends of a test, a class or a file."""
    project.makepyfile(
        test_parameters="""
            import pytest
            import storekit as sk

            @pytest.mark.parametrize("storekit_backend", ["local"])
            def test_one(store):
                assert isinstance(store, sk.LocalStore)

            @pytest.mark.parametrize(("n", "storekit_backend"), [(1, "plain"), (2, "cached")])
            def test_pairs(n, store, storekit_backend):
                assert type(store).__name__ == {1: "PlainStore", 2: "CacheStore"}[n]
                assert storekit_backend == {1: "plain", 2: "cached"}[n]

            @pytest.mark.parametrize("storekit_backend", ["plain", "local"])
            class TestSeveral:
                def test_it(self, store):
                    assert type(store).__name__ in ("PlainStore", "LocalStore")

            @pytest.mark.parametrize("storekit_backend", ["disk"])
            def test_unknown(store):
                pass
        """,
        test_fixture="""
            import pytest

            @pytest.fixture(params=["plain", "local"])
            def storekit_backend(request):
                return request.param

            def test_it(store):
                assert type(store).__name__ in ("PlainStore", "LocalStore")

            def test_by_name(request, storekit_backend):
                assert type(request.getfixturevalue("store")).__name__ != "MemoryStore"
        """,
        test_fixture_of_one="""
            import pytest

            @pytest.fixture
            def storekit_backend():
                return "plain"

            def test_it(store):
                assert type(store).__name__ == "PlainStore"
        """,
    )
    run = project.runpytest_inprocess("--storekit-stores=memory,slow,faulty")
    run.assert_outcomes(passed=(1 + 2 + 2) + (2 + 2) + 1, errors=1)
    run.stdout.fnmatch_lines("*no backend 'disk'; there are cached, *")


def test_fixtures_of_the_project_win(project: pytest.Pytester) -> None:
    """A `store` of one's own is what it is, and is made once, whatever the option says."""
    project.makeconftest("import pytest\n@pytest.fixture\ndef store(): return 1")
    project.makepyfile("""
        import pytest

        def test_mine(store):
            assert store == 1

        @pytest.mark.parametrize("store", [2, 3])
        def test_parameters(store):
            assert store in (2, 3)

        class TestInside:
            @pytest.fixture
            def memory_store(self):
                return 4

            def test_it(self, memory_store):
                assert memory_store == 4
    """)
    project.runpytest_inprocess("--storekit-stores=memory,slow").assert_outcomes(passed=4)


def test_requests_that_differ_are_an_error(project: pytest.Pytester) -> None:
    """A wrong number of calls fails with what came instead; an error of the test stays itself."""
    project.makepyfile("""
        def test_wrong(memory_store, assert_requests):
            with assert_requests(memory_store, set=2) as traced:
                traced.set("a", b"")

        def test_exactly(memory_store, assert_requests):
            with assert_requests(memory_store, exactly=True, set=1) as traced:
                traced.set("a", b"")
                traced.get("a")

        def test_other(memory_store, assert_requests):
            with assert_requests(memory_store, set=2) as traced:
                1 / 0

        def test_right(memory_store, assert_requests):
            memory_store.set("a", b"")
            with assert_requests(memory_store, get=1, set=0) as traced:
                traced.get("a")
                traced.exists("a")
    """)
    run = project.runpytest_inprocess()
    run.assert_outcomes(failed=3, passed=1)
    run.stdout.fnmatch_lines_random(
        ["*set: expected 2, found 1", "*get: expected 0, found 1", "*ZeroDivisionError*"]
    )


def test_networks_and_faults_are_chosen(project: pytest.Pytester) -> None:
    """By a fixture or a parameter; names of profiles, links and rules."""
    project.makepyfile("""
        import pytest
        from storekit.errors import ConnectionLostError
        from storekit.stores.fault import Fault
        from storekit.stores.link import Link

        @pytest.mark.parametrize("storekit_profile", ["dsl", Link(latency=0.05)])
        def test_network(slow_store, memory_store, virtual_clock):
            slow_store.exists("a")
            assert virtual_clock.now() == 0.05
            assert slow_store.inner is memory_store

        @pytest.mark.parametrize("storekit_faults", [[Fault("set")]])
        def test_fault(store, faulty_store):
            with pytest.raises(ConnectionLostError):
                store.set("a", b"")
            assert store is faulty_store
    """)
    project.runpytest_inprocess("--storekit-stores=faulty").assert_outcomes(passed=3)


def test_networks_and_faults_are_chosen_for_store(project: pytest.Pytester) -> None:
    """Tests, and classes of them, that name only `store` are given the parameters, too."""
    project.makepyfile("""
        import pytest
        from storekit.errors import ConnectionLostError
        from storekit.stores.fault import Fault

        @pytest.mark.parametrize("storekit_backend", ["slow", "cached"])
        @pytest.mark.parametrize("storekit_profile", ["dsl", "mobile_3g"])
        def test_network(store, storekit_backend, virtual_clock):
            store.exists("a")
            assert virtual_clock.now() in (0.05, 0.3)

        @pytest.mark.parametrize("storekit_backend", ["faulty"])
        @pytest.mark.parametrize("storekit_faults", [[Fault("set")], [Fault("set", every=1)]])
        class TestFaults:
            def test_it(self, store):
                with pytest.raises(ConnectionLostError):
                    store.set("a", b"")
    """)
    project.runpytest_inprocess().assert_outcomes(passed=4 + 2)


def test_a_network_of_a_file_may_be_several(project: pytest.Pytester) -> None:
    """A fixture with parameters runs what names `store` once for each network and backend."""
    project.makepyfile("""
        import pytest

        @pytest.fixture(params=["cable", "lte"])
        def storekit_profile(request):
            return request.param

        def test_it(store):
            assert store.list() == []
    """)
    run = project.runpytest_inprocess("--storekit-stores=memory,slow")
    run.assert_outcomes(passed=4)


def test_rules_count_anew_in_each_test(project: pytest.Pytester) -> None:
    """A file system made by a URL begins anew in each test."""
    project.makepyfile("""
        import fsspec
        import pytest

        @pytest.mark.parametrize("turn", range(2))
        def test_it(turn):
            options = {"rules": [{"op": "exists", "nth": 2}]}
            for _ in "open":
                fs = fsspec.open("faulty::memory://a", faulty=options).fs
            assert not fs.exists("a")
            with pytest.raises(OSError):
                fs.exists("a")
    """)
    project.runpytest_inprocess().assert_outcomes(passed=2)


def test_several_processes_agree(project: pytest.Pytester) -> None:
    """Under xdist all workers have the same tests."""
    project.makepyfile(EXAMPLES[0])
    assert COMMAND is not None
    run = project.runpytest_subprocess("-n2", "-p", "no:cacheprovider", COMMAND[1])
    run.assert_outcomes(passed=5 + 3)


def test_who_does_not_use_it_does_not_pay() -> None:
    """Loaded by pytest, the plugin has imported nothing but what it lies in."""
    code = (
        "import pytest, sys; before = {*sys.modules}; import storekit.testing.plugin;"
        "print(*sorted({*sys.modules} - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {"storekit", "storekit.lazy", "storekit.testing", "storekit.testing.plugin"}
    assert set(done.stdout.split()) == ours
