"""Any file system of fsspec becomes slow, or fails, by ``slow::`` and ``faulty::``."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem

from storekit.clock import REAL_CLOCK
from storekit.errors import ConnectionLostError, RateLimitedError
from storekit.interop.fsspec import FaultyFileSystem, SlowFileSystem
from storekit.simulation import VirtualClock
from storekit.stores import ConditionalStore, profiles
from storekit.stores.fault import Fault
from storekit.stores.faults import Faults
from storekit.stores.link import Link

PAGE = (Path(__file__).parents[2] / "docs/how-to/slow-and-faulty-fsspec.md").read_text()
LINK = {"latency": 1, "down": 100, "up": 100, "page_size": 2}


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    """Each test has a file system in memory of its own."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield
    for kind in (SlowFileSystem, FaultyFileSystem):
        kind.clear_instance_cache()


@pytest.fixture
def clock() -> VirtualClock:
    """Time that costs nothing."""
    return VirtualClock()


@pytest.fixture
def slow(clock: VirtualClock) -> Any:
    """Two files behind a network; a request takes a second, a byte 10 ms."""
    inner = fsspec.filesystem("memory")
    inner.pipe({"/d/a": bytes(100), "/d/b": bytes(50)})
    return fsspec.filesystem("slow", target_protocol="memory", clock=clock, **LINK)


# --- what takes which time ------------------------------------------------------------------------

# Each public method: its arguments, and the seconds that it takes with the files above. A name that
# is listed takes its bytes: "/d/a" four, "/d" two.
CHARGES: dict[str, tuple[tuple[Any, ...], float]] = {
    # one request to ask
    "info": (("/d/a",), 1),
    "exists": (("/no",), 1),
    "lexists": (("/d/a",), 1),
    "isfile": (("/d/a",), 1),
    "isdir": (("/d/a",), 1),
    "size": (("/d/a",), 1),
    "sizes": ((["/d/a", "/d/b"],), 2),
    "stat": (("/d/a",), 1),
    "checksum": (("/d/a",), 1),
    "ukey": (("/d/a",), 1),
    "created": (("/d/a",), 1),
    "modified": (("/d/a",), 1),
    # reading: a request, and the bytes; a file that is opened is asked for its size
    "cat_file": (("/d/a", 10, 30), 1.2),
    "read_bytes": (("/d/a", 10, 30), 1.2),
    "cat": ((["/d/a", "/d/b"],), 2 + 1.5),
    "cat_ranges": ((["/d/a", "/d/b"], [0, 10], [5, 20]), 2 + 0.15),
    "read_text": (("/d/a",), 2 + 1),
    "read_block": (("/d/a", 10, 30), 2 + 0.9),  # from where it is to the end, by readahead
    "head": (("/d/a", 10), 2 + 1),
    "tail": (("/d/a", 10), 2 + 0.1),
    "open": (("/d/a",), 1),
    "get_file": (("/d/a", "{tmp}/a"), 3 + 1),
    "get": (("/d/a", "{tmp}/a"), 4 + 1),
    "download": (("/d/a", "{tmp}/a"), 4 + 1),
    # writing: a request, and the bytes; what comes from a file has its directory made
    "pipe_file": (("/d/c", bytes(30)), 1.3),
    "write_bytes": (("/d/c", bytes(30)), 1.3),
    "pipe": (({"/d/c": bytes(30), "/d/d": bytes(20)},), 2 + 0.5),
    "write_text": (("/d/c", "x" * 30), 1.3),
    "touch": (("/d/c",), 1),
    "put_file": (("{tmp}/local", "/d/c"), 2 + 0.3),
    "put": (("{tmp}/local", "/d/c"), 3 + 0.3),
    "upload": (("{tmp}/local", "/d/c"), 3 + 0.3),
    "mkdir": (("/e",), 1),
    "makedir": (("/e",), 1),
    "makedirs": (("/e/f",), 1),
    "mkdirs": (("/e/f",), 1),
    # copying: inside the server; fsspec asks whether source and destination are directories
    "cp_file": (("/d/a", "/d/c"), 1),
    "copy": (("/d/a", "/d/c"), 3),
    "cp": (("/d/a", "/d/c"), 3),
    "mv": (("/d/a", "/d/c"), 2),
    "move": (("/d/a", "/d/c"), 2),
    "rename": (("/d/a", "/d/c"), 2),
    # removing
    "rm_file": (("/d/a",), 1),
    "rm": (("/d", True), 2 + 3),  # two pages of three names, each of which is removed
    "delete": ((["/d/a", "/d/b"],), 2),
    "rmdir": (("/empty",), 1),
    # listing: a request for each page, and the bytes of the names
    "ls": (("/d", False), 1 + 0.08),
    "listdir": (("/d",), 1 + 0.08),
    "find": (("/",), 1 + 0.08),
    "walk": (("/",), 3 + 0.08 + 0.08),  # "/" holds "/d" and "/empty"
    "glob": (("/d/*",), 2 + 0.10),  # fsspec asks for "/d", too
    "expand_path": (("/d/*",), 2 + 0.10),
    "du": (("/d",), 1 + 0.08 + 2),
    "disk_usage": (("/d",), 1 + 0.08 + 2),
    "tree": (("/d",), 1 + 0.08),
    # no network
    "sign": (("/d/a",), 0),
    "invalidate_cache": ((), 0),
    "unstrip_protocol": (("/d/a",), 0),
    "get_mapper": (("/d",), 0),
    "start_transaction": ((), 0),
    "end_transaction": ((), 0),
    "to_json": ((), 0),
    "to_dict": ((), 0),
    "from_json": ((), 0),
    "from_dict": ((), 0),
    "current": ((), 0),
    "clear_instance_cache": ((), 0),
}
OF_PATHS = {
    name for name, (arguments, _) in CHARGES.items() if arguments or name == "invalidate_cache"
} - {"sign"}  # which a file system in memory cannot


def test_every_method_is_known() -> None:
    """What any file system can do is in the table above; a new method of fsspec is missed there."""
    public = {
        name
        for name, what in vars(AbstractFileSystem).items()
        if (name[0] != "_" and callable(what)) or isinstance(what, classmethod | staticmethod)
    }
    assert {name for name in public if name[0] != "_"} - {"transaction_type"} == set(CHARGES)


@pytest.mark.parametrize("method", sorted(OF_PATHS))
def test_every_method_takes_its_time(
    slow: Any, clock: VirtualClock, tmp_path: Path, method: str
) -> None:
    """Whatever reaches the inner file system takes its requests and its bytes, no less."""
    (tmp_path / "local").write_bytes(bytes(30))
    slow.fs.mkdir("/empty")
    arguments, seconds = CHARGES[method]
    answer = getattr(slow, method)(*(_placed(each, tmp_path) for each in arguments))
    if method == "walk":
        list(answer)
    assert clock.now() == pytest.approx(seconds, abs=1e-6)


def _placed(argument: Any, folder: Path) -> Any:
    return argument.replace("{tmp}", str(folder)) if isinstance(argument, str) else argument


def test_a_method_that_bypasses_the_waist_is_found(slow: Any, clock: VirtualClock) -> None:
    """The table sees it when an operation goes to the inner file system directly."""

    class Leaking(SlowFileSystem):
        def info(self, path: str, **kwargs: Any) -> Any:
            return self.fs.info(path, **kwargs)

    Leaking(slow.fs, clock=clock, **LINK).info("/d/a")
    assert clock.now() != CHARGES["info"][1]


def test_missing_files_take_their_time(slow: Any, clock: VirtualClock) -> None:
    """What is missing is a FileNotFoundError as in the inner file system, after its request."""
    for number, ask in enumerate((slow.info, slow.cat_file, slow.open, slow.ls, slow.rm_file), 1):
        with pytest.raises(FileNotFoundError):
            ask("/no")
        assert clock.now() == number
    for ask, more in ((slow.rm, 1), (slow.modified, 1), (slow.mv, 2)):
        before = clock.now()
        with pytest.raises(FileNotFoundError):
            ask("/no", "/other") if ask == slow.mv else ask("/no")
        assert clock.now() == before + more


def test_a_file_is_seen_when_it_was_sent(slow: Any, clock: VirtualClock) -> None:
    """While a written file is on its way nobody sees it; from the end of the upload on all do."""

    def write() -> None:
        with slow.open("/d/new", "wb") as file:
            file.write(bytes(100))
            file.write(bytes(100))

    done = clock.executor(1).submit(write)
    clock.sleep(2.9)
    assert not slow.fs.exists("/d/new")
    clock.sleep(0.2)
    assert slow.fs.cat("/d/new") == bytes(200)
    done.result()


def test_a_long_file_is_sent_at_its_end(slow: Any, clock: VirtualClock) -> None:
    """More than a block is one upload, too: nothing before the file is closed, and all of it."""
    with slow.open("/d/new", "wb", block_size=10) as file:
        for number in range(5):
            file.write(bytes([number]) * 10)
        assert clock.now() == 0
    assert slow.fs.cat("/d/new") == b"".join(bytes([number]) * 10 for number in range(5))
    assert clock.now() == pytest.approx(1.5)


def test_networks_add_up(clock: VirtualClock) -> None:
    """A slow file system around a slow one takes the time of both, by the clock of the inner."""
    inner = SlowFileSystem(fsspec.filesystem("memory"), latency=1, clock=clock)
    outer = SlowFileSystem(FaultyFileSystem(inner), latency=2)
    assert outer.clock is clock
    outer.exists("/a")
    assert clock.now() == 3


def test_a_failure_waits_for_its_answer(clock: VirtualClock) -> None:
    """Over a link that loses all answers an absence is a lost connection, never an absence."""
    slow = SlowFileSystem(fsspec.filesystem("memory"), loss=1, clock=clock)
    for _ in range(20):
        with pytest.raises(ConnectionLostError):
            slow.cat_file("/no")


def test_a_file_is_read_by_blocks(slow: Any, clock: VirtualClock) -> None:
    """Each block fetched is a request of its own; what is not read costs nothing."""
    with slow.open("/d/a", block_size=10, cache_type="none") as file:
        assert clock.now() == 1
        file.read(10)
        assert clock.now() == pytest.approx(2.1)
        file.seek(50)
        file.read(20)
        assert clock.now() == pytest.approx(3.3)
        assert file.details["size"] == file.size == 100
    assert clock.now() == pytest.approx(3.3)


def test_a_file_of_unknown_size_comes_whole(slow: Any, clock: VirtualClock) -> None:
    """Where the server does not say how long a file is, it is read by one request."""
    slow.fs.info = lambda path: {"name": path, "size": None, "type": "file"}
    try:
        with slow.open("/d/a") as file:
            assert file.read() == bytes(100)
    finally:
        del slow.fs.info
    assert clock.now() == pytest.approx(3)


def test_files_are_made_appended_and_refused(slow: Any, tmp_path: Path) -> None:
    """The modes of `open` mean what they mean inside."""
    with slow.open("/d/a", "ab") as file:
        file.write(b"1")
    assert slow.cat("/d/a") == bytes(100) + b"1"
    with pytest.raises(FileExistsError), slow.open("/d/a", "xb") as file:
        file.write(b"1")
    with pytest.raises(FileExistsError):
        slow.pipe_file("/d/a", b"", mode="create")
    with pytest.raises(IsADirectoryError):
        slow.open("/d")
    with pytest.raises(TypeError, match="bytes"):
        slow.pipe_file("/d/a", "text")


def test_a_transaction_shows_its_files_together(slow: Any) -> None:
    """Files written in a transaction appear at its end, or not at all."""
    with slow.transaction:
        slow.pipe_file("/d/now", b"1")
        with slow.open("/d/new", "wb") as file:
            file.write(b"1")
        assert not slow.exists("/d/new")
    assert slow.cat("/d/new") == b"1"
    with suppress(ZeroDivisionError), slow.transaction:
        with slow.open("/d/other", "wb") as file:
            file.write(b"1")
        1 / 0  # noqa: B018
    assert not slow.exists("/d/other")


def test_threads_share_the_link(clock: VirtualClock) -> None:
    """Eight threads, each of which opens a URL by itself, move what the link moves in sum."""

    def write(number: int) -> None:
        settings = {"latency": 1, "up": 100, "clock": clock}
        with fsspec.open(f"slow::memory://{number}", "wb", slow=settings) as file:
            file.write(bytes(100))

    pool = clock.executor(8)
    clock.gather([pool.submit(write, number) for number in range(8)])
    assert clock.now() == pytest.approx(1 + 1 + 8)  # the directory is made first


# --- which file system ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["flat", "one by one"])
def test_finding_costs_what_the_server_needs(clock: VirtualClock, way: str) -> None:
    """All files are found by one listing where the inner file system can, else by many."""

    class ByDirectory(MemoryFileSystem):
        find = AbstractFileSystem.find

    inner = MemoryFileSystem() if way == "flat" else ByDirectory()
    for path in ("/a/b/c", "/a/d"):
        inner.pipe(path, b"")
    outer = SlowFileSystem(FaultyFileSystem(inner), latency=1, clock=clock)
    assert outer.find("/a") == ["/a/b/c", "/a/d"]
    assert clock.now() == (1 if way == "flat" else 2)


def test_asynchronous_file_systems_are_slowed_down(clock: VirtualClock) -> None:
    """File systems that are coroutines inside are asked by their ordinary methods."""
    inner = AsyncFileSystemWrapper(fsspec.filesystem("memory"), asynchronous=False)
    assert isinstance(inner, AsyncFileSystem)
    slow = SlowFileSystem(inner, latency=1, clock=clock)
    slow.pipe("/a/b", b"123")
    assert slow.cat_file("/a/b", 1, 2) == b"2"
    assert clock.now() == 2
    assert slow.find("/a") == ["/a/b"]
    slow.rm("/a", recursive=True)
    assert not inner.exists("/a/b")


def test_equal_options_are_one_file_system(clock: VirtualClock) -> None:
    """URLs and threads do not matter, links and clocks that only look alike do."""

    def opened(url: str, **slow: Any) -> Any:
        rules = {"faulty": {"rules": [{"op": "get", "nth": 2}]}} if "faulty" in url else {}
        return fsspec.open(url, slow=slow, **rules).fs

    assert opened("slow::memory://a", latency=1) is opened("slow::memory://b", latency=1)
    named = fsspec.filesystem("slow", target_protocol="memory", latency=1)
    assert opened("slow::memory://a", latency=1) is named
    twice = "slow::faulty::memory://"
    assert opened(f"{twice}a", latency=1) is opened(f"{twice}b", latency=1)
    assert opened("slow::memory://a", latency=1) is not opened("slow::memory://a", latency=2)
    link = Link(latency=1)
    assert opened("slow::memory://a", link=link) is opened("slow::memory://a", link=link)
    other = opened("slow::memory://a", link=Link(latency=1))
    assert opened("slow::memory://a", link=link) != other
    timed = opened("slow::memory://a", link=link, clock=clock)
    clock.sleep(1)
    assert opened("slow::memory://a", link=link, clock=clock) is timed
    assert opened("slow::memory://a", link=link, clock=VirtualClock()) is not timed
    assert opened("slow::memory://a", latency=1, skip_instance_cache=True) is not named


def test_a_path_inside_a_path_is_kept(tmp_path: Path) -> None:
    """What a chain needs its path for, such as an archive, it gets."""
    archive = fsspec.filesystem("zip", fo=str(tmp_path / "a.zip"), mode="w")
    archive.pipe("in/side", b"1")
    archive.close()
    url = f"slow::zip://in/side::file://{tmp_path}/a.zip"
    with fsspec.open(url, slow={"latency": 0}) as file:
        assert file.read() == b"1"
    with fsspec.open(f"slow::file://{tmp_path}/b", "wb", slow={"latency": 0}) as file:
        file.write(b"2")
    assert (tmp_path / "b").read_bytes() == b"2"


def test_profiles_are_links_that_all_share() -> None:
    """A profile is the one of that name; it can be given at the end of the call as well."""
    fs = fsspec.open("slow::memory://a", profile="lte").fs
    assert fs.link is profiles.LTE
    assert fs.clock is REAL_CLOCK
    assert repr(fs) == "SlowFileSystem(MemoryFileSystem)"


def test_pickled_file_systems_are_the_same(slow: Any) -> None:
    """In one process what is restored is the file system itself, with its link and clock."""
    assert pickle.loads(pickle.dumps(slow)) is slow
    file = fsspec.open("slow::memory://d/a", slow={"link": Link(latency=0), "clock": slow.clock})
    with pickle.loads(pickle.dumps(file)) as opened:
        assert opened.read() == bytes(100)
    restored = pickle.loads(pickle.dumps(file)).fs
    assert restored.link is file.fs.link


def test_paths_lead_back(slow: Any) -> None:
    """Paths, URLs and parents are those of the inner file system."""
    assert slow._strip_protocol(["slow::memory://d/a", "/d/a/"]) == ["/d/a", "/d/a"]
    assert slow._parent("/d/a") == "/d"
    with fsspec.open("slow::memory://d/a", slow={"latency": 0}) as file:
        assert file.full_name == "slow::memory:///d/a"
    tree = SlowFileSystem(DirFileSystem("/d", slow.fs), latency=0)
    assert tree.ls("", detail=False) == ["a", "b"]
    assert tree.sep == "/"
    mapper = slow.get_mapper("/d")
    assert sorted(mapper) == ["a", "b"]
    assert mapper["b"] == bytes(50)


@pytest.mark.parametrize(
    ("kind", "options", "error", "text"),
    [
        (SlowFileSystem, {}, ValueError, "needs one of"),
        (SlowFileSystem, {"profile": "lte", "latency": 1}, ValueError, "needs one of"),
        (SlowFileSystem, {"profile": "bad"}, ValueError, "no profile 'bad'; there are"),
        (SlowFileSystem, {"latency": -1}, ValueError, "latency"),
        (SlowFileSystem, {"link": "lte"}, ValueError, "link must be a Link"),
        (SlowFileSystem, {"latence": 1}, TypeError, "no option latence"),
        (FaultyFileSystem, {"rule": ()}, TypeError, "no option rule"),
        (FaultyFileSystem, {"rules": [1]}, TypeError, "rules must be"),
        (FaultyFileSystem, {"rules": [{"op": "cat"}]}, ValueError, "no 'cat'"),
        (FaultyFileSystem, {"rules": [{"error": "NoError"}]}, ValueError, "no error 'NoError'"),
        (FaultyFileSystem, {"rules": [{"error": "print"}]}, ValueError, "no error 'print'"),
        (FaultyFileSystem, {"rules": [{"nht": 1}]}, TypeError, "nht"),
        (FaultyFileSystem, {"rules": Faults(), "seed": 1}, ValueError, "seed"),
        (FaultyFileSystem, {"rules": [{"error": "ExceptionGroup"}]}, ValueError, "one text"),
        (FaultyFileSystem, {"rules": [{"error": "UnicodeDecodeError"}]}, ValueError, "one text"),
        (FaultyFileSystem, {"rules": [{"op": "set_values", "flip": 1}]}, ValueError, "no effect"),
        (FaultyFileSystem, {"seed": 1.5}, ValueError, "seed"),
        (SlowFileSystem, {"latency": 1, "seed": "x"}, ValueError, "seed"),
        (SlowFileSystem, {"latency": 1, "clock": 3}, TypeError, "clock must be"),
    ],
)
def test_what_makes_no_sense_is_refused(
    kind: Any, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    """Options that are unknown, missing or against each other are told at once."""
    with pytest.raises(error, match=text):
        kind(fsspec.filesystem("memory"), **options)


def test_there_must_be_an_inner_file_system() -> None:
    """A protocol without another one behind it is told at once."""
    with pytest.raises(TypeError, match="wraps a file system"):
        fsspec.filesystem("slow", latency=1)
    with pytest.raises(TypeError, match="wraps a file system"):
        fsspec.open("faulty://a")
    with pytest.raises(TypeError, match="fs must be a file system of fsspec, found 'memory'"):
        fsspec.filesystem("slow", fs="memory", latency=1)


# --- faults ---------------------------------------------------------------------------------------


def faulty(*rules: Any, **options: Any) -> Any:
    """Two files in a file system that fails."""
    inner = fsspec.filesystem("memory")
    inner.pipe({"/d/a": b"0123456789", "/d/b": b"abc"})
    return FaultyFileSystem(inner, rules=list(rules), **options)


def test_rules_come_as_dicts() -> None:
    """A rule written as JSON is the rule with these fields; errors go by their names."""
    text = '[{"op": "get", "nth": 2}, {"op": "exists", "key": "d/*", "error": "RateLimitedError"}]'
    fs = faulty(*json.loads(text), {"op": "erase", "error": "PermissionError"})
    assert fs.cat("/d/a") == b"0123456789"
    with pytest.raises(ConnectionLostError):
        fs.cat("/d/a")
    with pytest.raises(RateLimitedError):
        fs.exists("/d/a")
    with pytest.raises(PermissionError, match="erase of 'd/b'"):
        fs.rm("/d/b")
    assert [fired.op for fired in fs.fired] == ["get", "exists", "erase"]
    assert fs.fs.exists("/d/b")


@pytest.mark.parametrize("rule", [{}, {"truncate": 1}, {"flip": 1}])
def test_rules_must_concern_what_happens(rule: dict[str, Any]) -> None:
    """A rule on operations that no method becomes, or that move no values, is told at once."""
    asked = set(re.findall(r"^\|.*?\| (`[^|]*`) \|", PAGE, re.MULTILINE))
    named = {name for cell in asked for name in re.findall("`([a-z_]+)`", cell)}
    assert named >= {"getsize", "erase_values", "list_dir"}
    valid = named
    if rule:
        valid = {"get", "get_partial_values"} | ({"set"} if "flip" in rule else set())
    for op in [name for name in dir(ConditionalStore) if name[0] != "_"]:
        if op in valid:
            faulty({"op": op, **rule})
            faulty(Fault([op, "get*"], **rule))
        else:
            with pytest.raises(ValueError, match=r"op: |truncate: |flip: |no effect"):
                faulty({"op": op, **rule})


def test_a_lost_connection_is_no_absence() -> None:
    """What fails is never taken for missing, nor for empty; the errors are errors of the system."""
    fs = faulty(Fault())
    for ask in (fs.exists, fs.isfile, fs.isdir, fs.lexists, fs.glob, fs.ls, fs.cat, fs.open):
        with pytest.raises(OSError, match="fault before") as caught:
            ask("/d/a")
        assert not isinstance(caught.value, FileNotFoundError)


def test_an_answer_is_lost_after_the_effect() -> None:
    """A rule behind the call leaves what was written."""
    fs = faulty(Fault("set", when="after"), Fault("get", when="after"))
    with pytest.raises(ConnectionLostError), fs.open("/d/new", "wb") as file:
        file.write(b"1")
    assert fs.fs.cat("/d/new") == b"1"
    with pytest.raises(ConnectionLostError):
        fs.cat("/no")


def test_values_are_damaged_on_their_way() -> None:
    """Reads may be short, and bits flip both ways, of matching paths only."""
    fs = faulty(
        Fault("get*", "d/a", truncate=4), Fault("set", "d/c", flip=1), Fault("get", "d/b", flip=2)
    )
    assert fs.cat_file("/d/a") == b"0123"
    assert fs.cat_file("/d/a", 5, 10) == b"5678"
    assert _bits(fs.cat_file("/d/b"), b"abc") == 2
    fs.pipe("/d/c", b"abc")
    fs.write_text("/d/d", "abc")
    assert _bits(fs.fs.cat("/d/c"), b"abc") == 1
    assert fs.fs.cat("/d/d") == b"abc"


def _bits(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def test_faults_behind_a_network(clock: VirtualClock) -> None:
    """A chain of both takes the time of a request that fails."""
    fs, path = fsspec.url_to_fs(
        "slow::faulty::memory://d/a",
        slow={"latency": 1, "clock": clock},
        faulty={"rules": [{"op": "getsize", "nth": 1}]},
    )
    fs.pipe(path, b"1")
    with pytest.raises(ConnectionLostError):
        fs.open(path)
    with fs.open(path) as file:
        assert file.read() == b"1"
    assert clock.now() == 4


def test_rules_without_effect_change_nothing(tmp_path: Path) -> None:
    """Without rules, and without delays, files are what they are inside."""
    url = f"slow::faulty::file://{tmp_path}"
    fs, root = fsspec.url_to_fs(url, slow={"latency": 0})
    local = fsspec.filesystem("file")
    fs.makedirs(f"{root}/x/y")
    with fs.open(f"{root}/x/y/a.txt", "wt", encoding="utf8") as file:
        file.write("é\n" * 3)
    fs.cp(f"{root}/x", f"{root}/z", recursive=True)
    fs.mv(f"{root}/z", f"{root}/w", recursive=True)
    for name in ("", "/x", "/w", "/x/y/a.txt"):
        assert fs.ls(root + name) == local.ls(root + name)
    assert fs.find(root) == local.find(root)
    assert fs.glob(f"{root}/**/*.txt") == local.glob(f"{root}/**/*.txt")
    assert list(fs.walk(root)) == list(local.walk(root))
    with fs.open(f"{root}/w/y/a.txt", "rt", encoding="utf8") as file:
        assert file.readlines() == ["é\n"] * 3
    fs.rm(f"{root}/w", recursive=True)
    assert fs.isdir(f"{root}/x")
    assert not fs.exists(f"{root}/w")


def test_zarr_python_reads_over_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """zarr-python's FsspecStore takes a slow URL; each chunk is a request, losses are errors."""
    zarr = pytest.importorskip("zarr")
    asked: list[str] = []
    around = SlowFileSystem._around

    def note(self: Any, call: Any, proceed: Any) -> Any:
        asked.extend(call.keys)
        return around(self, call, proceed)

    monkeypatch.setattr(SlowFileSystem, "_around", note)
    rules = {"rules": [{"op": "get*", "key": "z/c/1", "nth": 2}]}
    store = zarr.storage.FsspecStore.from_url(
        "slow::faulty::memory://z", storage_options={"slow": {"latency": 0.001}, "faulty": rules}
    )
    array = zarr.create_array(store, shape=(4,), chunks=(2,), dtype="i4")
    array[:] = range(1, 5)
    asked.clear()
    assert array[:].tolist() == [1, 2, 3, 4]
    assert sorted(asked) == ["z/c/0", "z/c/1"]
    with pytest.raises(ConnectionLostError):
        array[:]


def test_copies_make_folders(tmp_path: Path) -> None:
    """Files that are sent or fetched get their folders, which plain ``file`` does not make."""
    (tmp_path / "a*b").write_bytes(b"1")
    source = str(tmp_path / "a*b")
    plain = fsspec.filesystem("file")
    fs = SlowFileSystem(plain, latency=0)
    for ask, to in ((plain.put_file, "x/a"), (plain.get, "y/a")):
        with pytest.raises(FileNotFoundError):
            ask(source, str(tmp_path / to))
    fs.put_file(source, str(tmp_path / "x/a"))
    fs.get(source, str(tmp_path / "y/a"))
    assert (tmp_path / "x/a").read_bytes() == (tmp_path / "y/a/a*b").read_bytes() == b"1"


def test_zarr_python_makes_folders_if_told(tmp_path: Path) -> None:
    """zarr-python writes files if the inner file system has been told to make folders."""
    zarr = pytest.importorskip("zarr")

    def write(**options: Any) -> Any:
        options |= {"slow": {"latency": 0}}
        url = f"slow::file://{tmp_path}/z"
        array = zarr.create_array(
            url, shape=(2,), dtype="i4", storage_options=options, overwrite=True
        )
        array[:] = [1, 2]
        return array

    with pytest.raises(FileNotFoundError):
        write()
    assert write(file={"auto_mkdir": True})[:].tolist() == [1, 2]
