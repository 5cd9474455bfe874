"""Stores in zip archives: the contract, the modes, and archives as objects."""

from __future__ import annotations

import os
import pickle
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from forking import in_child
from store_samples import files, run_processes

from storekit.errors import (
    ConflictError,
    CorruptArchiveError,
    InvalidKeyError,
    KeyConflictError,
    KeyNotFoundError,
    ReadOnlyError,
    StoreError,
)
from storekit.stores import LocalStore, MemoryStore, Store, WrapperStore, WritableStore
from storekit.stores.zip import ZipStore
from storekit.testing import StoreContract
from storekit.testing.laws.common import run_at_once


def restored(store: Store) -> Any:
    """The store, after a journey."""
    return pickle.loads(pickle.dumps(store))


class TestWritableZips(StoreContract):
    many = 3000

    @pytest.fixture(params=["stored", "deflated", "restored"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
        """A store in a new archive; in one that was there; one that was pickled, in a wrapper."""
        path = tmp_path / "a.zip"
        if request.param == "deflated":
            ZipStore(path, "w").close()
            made: Any = ZipStore(path, "a", level=1)
        else:
            made = ZipStore(path, "w")
        yield WrapperStore(restored(made)) if request.param == "restored" else made
        made.close()
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None


class ReadZips(StoreContract):
    """A zip store that is read is given contents by making its archive anew."""

    many = 3000

    @pytest.fixture
    def read_only_store(self, store: Store) -> Store:
        """The same, whose writing methods refuse."""
        return store


class TestZipsThatAreRead(ReadZips):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ZipStore:
        """A store in an archive without members."""
        ZipStore(tmp_path / "a.zip", "w").close()
        return ZipStore(tmp_path / "a.zip")

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the archive anew, and open it with the store in hand."""
        with ZipStore(store.path, "a", level=1) as writing:
            writing.set_values(contents.items())
        store.__init__(store.path)


class TestZipsInOtherStores(ReadZips):
    @pytest.fixture(params=["memory", "local"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> ZipStore:
        """A store in an archive without members, which is a value."""
        self.path = tmp_path / "a.zip"
        ZipStore(self.path, "w").close()
        inner = MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "root")
        inner.set("x/a.zip", self.path.read_bytes())
        return ZipStore.over(inner, "x/a.zip")

    def fill(self, store: Any, contents: Mapping[str, bytes]) -> None:
        """Write the archive anew, and open it with the store in hand."""
        with ZipStore(self.path, "a") as writing:
            writing.set_values(contents.items())
        store._below.set(store.path, self.path.read_bytes())
        store._archive = ZipStore.over(store._below, store.path)._archive


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of an archive; there is none yet."""
    return tmp_path / "a.zip"


def contents(store: Any) -> dict[str, bytes]:
    """All there is in a store."""
    return {key: bytes(store.get(key)) for key in store.list()}


def make(path: Path, fields: Mapping[str, bytes], **options: Any) -> None:
    """Make an archive."""
    with ZipStore(path, "w", **options) as store:
        store.set_values(fields.items())


class TestModes:
    def test_what_is_flushed_is_seen_by_others(self, path: Path) -> None:
        """Others see the archive as it was at the last flush, and at the end as it was closed."""
        store = ZipStore(path, "w")
        store.set("a", b"1")
        assert not path.exists()
        store.flush()
        assert contents(ZipStore(path)) == {"a": b"1"}
        store.set("a", b"2")
        store.set("b", b"3")
        assert contents(ZipStore(path)) == {"a": b"1"}
        assert contents(store) == {"a": b"2", "b": b"3"}
        store.close()
        assert contents(ZipStore(path)) == {"a": b"2", "b": b"3"}
        assert files(path.parent) == ["a.zip"]

    def test_append_changes_what_is_there(self, path: Path) -> None:
        """Values are added, replaced and erased beside those that were there."""
        make(path, {"a/b": b"1", "a/c": b"2", "d": b"3", "e/f": b"4"}, level=1)
        with ZipStore(path, "a") as store:
            store.set("d", b"new")
            store.erase("a/b")
            store.set("g", b"5")
            assert store.erase_prefix("e/") == 1
            store.set("e", b"now a key")
        left = {"a/c": b"2", "d": b"new", "g": b"5", "e": b"now a key"}
        assert contents(ZipStore(path)) == left

    def test_append_makes_an_archive(self, path: Path) -> None:
        """Where there is none, appending begins one, if only an empty one."""
        ZipStore(path, "a").close()
        assert contents(ZipStore(path)) == {}

    def test_append_without_changes_leaves_the_file(self, path: Path) -> None:
        """An archive in which nothing is changed stays the very file."""
        make(path, {"a": b"1"})
        before = os.stat(path)
        with ZipStore(path, "a") as store:
            store.erase("absent")
            store.flush()
        after = os.stat(path)
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    def test_writing_anew_replaces_at_the_end(self, path: Path) -> None:
        """An archive that is written anew stays the old one until it is closed."""
        make(path, {"a": b"1"})
        with ZipStore(path, "w") as store:
            store.set("b", b"2")
            assert contents(ZipStore(path)) == {"a": b"1"}
        assert contents(ZipStore(path)) == {"b": b"2"}

    def test_an_archive_is_made_once(self, path: Path) -> None:
        """Mode x refuses what is there, also if it came after the opening; the other one stays."""
        store = ZipStore(path, "x")
        path.write_bytes(b"by another")
        with pytest.raises(ConflictError, match="another program has made"):
            store.close()
        assert path.read_bytes() == b"by another"
        with pytest.raises(StoreError, match="there is something already"):
            ZipStore(path, "x")
        assert files(path.parent) == ["a.zip"]

    def test_what_others_have_changed_is_not_overwritten(self, path: Path) -> None:
        """A flush notices that another program has changed the archive since it was read."""
        make(path, {"a": b"1"})
        store = ZipStore(path, "a")
        store.set("b", b"2")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("c", b"3")
        with pytest.raises(ConflictError, match="another program has changed"):
            store.close()
        assert contents(ZipStore(path)) == {"a": b"1", "c": b"3"}
        assert files(path.parent) == ["a.zip"]

    def test_one_writes_at_a_time(self, path: Path) -> None:
        """A second store that would write the archive is refused until the first one is closed."""
        make(path, {"a": b"1"})
        first = ZipStore(path, "a")
        for mode in "aw":
            with pytest.raises(StoreError, match="another store writes"):
                ZipStore(path, mode)
        first.set("b", b"2")
        first.close()
        with ZipStore(path, "a") as second:
            assert second.list() == ["a", "b"]

    def test_what_a_dead_writer_left_is_no_harm(self, path: Path) -> None:
        """Files that a killed process has left are used again, and removed in the end."""
        for name in (".storekit-a.zip.part", ".storekit-a.zip.lock"):
            (path.parent / name).write_bytes(b"left")
        make(path, {"a": b"1"})
        assert contents(ZipStore(path)) == {"a": b"1"}
        assert files(path.parent) == ["a.zip"]

    def test_a_store_that_is_forgotten_changes_nothing(self, path: Path) -> None:
        """A store that nobody closed leaves the archive as it was, and no files."""
        make(path, {"a": b"1"})
        store = ZipStore(path, "a")
        store.set("a", b"2")
        del store
        assert contents(ZipStore(path)) == {"a": b"1"}
        assert files(path.parent) == ["a.zip"]

    def test_compacting_frees_what_is_not_used(self, path: Path) -> None:
        """Replaced and erased values take space until the archive is compacted; then none."""
        fields = {f"k{number}": bytes([number]) * 1000 for number in range(9)}
        make(path, fields)
        size = path.stat().st_size
        with ZipStore(path, "a") as store:
            for key, value in fields.items():
                store.set(key, value)
            store.set("gone", b"x" * 5000)
            store.erase("gone")
            store.flush()
            assert path.stat().st_size > 2 * size
            before = store.get("k3")
            store.compact()
            assert path.stat().st_size == size
            assert (contents(store), before) == (fields, fields["k3"])
            store.set("k9", b"more")
        assert contents(ZipStore(path)) == {**fields, "k9": b"more"}

    def test_permissions_and_links_stay(self, path: Path, tmp_path: Path) -> None:
        """An archive that is changed keeps its permissions, and a link to it stays a link."""
        make(path, {"a": b"1"})
        path.chmod(0o640)
        link = tmp_path / "link.zip"
        link.symlink_to(path)
        with ZipStore(link, "a") as store:
            store.set("b", b"2")
        assert link.is_symlink()
        assert path.stat().st_mode & 0o777 == 0o640
        assert ZipStore(path).list() == ["a", "b"]

    def test_equal_contents_make_equal_files(self, tmp_path: Path) -> None:
        """An archive depends on what was written and in which order, on nothing else."""
        fields = {"b/ü": b"x" * 1000, "a": b""}
        make(tmp_path / "1.zip", fields, level=5)
        make(tmp_path / "2.zip", fields, level=5)
        assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()

    @pytest.mark.parametrize("first", ["a", "a/b"])
    def test_a_key_is_no_prefix(self, path: Path, first: str) -> None:
        """`a` and `a/b` do not live together, in whichever order they come."""
        with ZipStore(path, "w") as store:
            store.set(first, b"1")
            with pytest.raises(KeyConflictError):
                store.set("a" if first == "a/b" else "a/b", b"2")
        assert contents(ZipStore(path)) == {first: b"1"}

    @pytest.mark.parametrize(
        "options",
        [{"mode": "r+"}, {"mode": "w", "level": 0}, {"level": True}, {"max_member_bytes": -1}],
        ids=str,
    )
    def test_parameters_are_checked(self, path: Path, options: dict[str, Any]) -> None:
        """A parameter that makes no sense is named."""
        make(path, {})
        with pytest.raises(ValueError, match=[*options][-1]):
            ZipStore(path, **options)


class TestObjects:
    def test_capabilities_show(self, path: Path) -> None:
        """A store is a `WritableStore` if and only if it was opened for writing."""
        writing = ZipStore(path, "w")
        assert isinstance(writing, WritableStore)
        writing.close()
        reading = ZipStore(path)
        assert not isinstance(reading, WritableStore)
        assert isinstance(reading, ZipStore)
        with pytest.raises(ReadOnlyError):
            reading.set("a", b"1")

    def test_absence_of_the_archive_is_an_error(self, path: Path, tmp_path: Path) -> None:
        """An archive that is absent is no store without keys, and no absent key."""
        for each in (path, tmp_path / "no" / "a.zip"):
            with pytest.raises(StoreError, match="No such file") as caught:
                ZipStore(each)
            assert not isinstance(caught.value, KeyNotFoundError)
        with pytest.raises(StoreError, match="there is no archive") as caught:
            ZipStore.over(MemoryStore(), "a.zip")
        assert not isinstance(caught.value, KeyNotFoundError)
        for mode in "raw":
            with pytest.raises(StoreError, match=r"no regular file|a directory"):
                ZipStore(tmp_path, mode)
        with pytest.raises(StoreError, match="No such file"):
            ZipStore(tmp_path / "no" / "a.zip", "w")

    def test_an_archive_that_vanishes_is_an_error(self, path: Path) -> None:
        """When the value that is an archive is erased, its keys are not absent by that."""
        make(path, {"a": b"1"})
        inner = MemoryStore({"a.zip": path.read_bytes()})
        store = ZipStore.over(inner, "a.zip")
        inner.erase("a.zip")
        for read in (store.get, lambda key: store.get_partial_values([(key, 0, 1)])):
            with pytest.raises(StoreError, match="there is no archive") as caught:
                read("a")
            assert not isinstance(caught.value, KeyNotFoundError)

    def test_an_archive_that_changes_is_noticed(self, path: Path) -> None:
        """When the value that is an archive is replaced, whole reads raise."""
        make(path, {"a": b"1", "b": b"2"})
        inner = MemoryStore({"a.zip": path.read_bytes()})
        store = ZipStore.over(inner, "a.zip")
        assert store.get("a") == b"1"
        make(path, {"a": b"3", "b": b"4"})
        inner.set("a.zip", path.read_bytes())
        for key in "ab":
            with pytest.raises(CorruptArchiveError, match="damaged"):
                store.get(key)

    def test_an_archive_that_becomes_shorter_is_noticed(self, path: Path) -> None:
        """When an archive is cut off while it is open, no part of a value comes back shorter."""
        make(path, {"a": bytes(range(250)) * 4})
        whole = path.read_bytes()
        inner = MemoryStore({"a.zip": whole})
        fresh = [ZipStore(path), ZipStore.over(inner, "a.zip")]
        used = [ZipStore(path), ZipStore.over(inner, "a.zip")]
        for store in used:
            assert bytes(store.get_partial_values([("a", 260, 2)])[0]) == b"\n\x0b"
        inner.set("a.zip", whole[:500])
        os.truncate(path, 500)
        for store in (*fresh, *used):
            with pytest.raises(CorruptArchiveError, match="ends within the member"):
                store.get_partial_values([("a", 260, 300)])

    def test_a_store_stays_on_its_file(self, path: Path) -> None:
        """A store that is read does not notice that its file is replaced, or removed."""
        make(path, {"a": b"1"})
        store = ZipStore(path)
        make(path, {"a": b"2"})
        assert contents(store) == {"a": b"1"}
        path.unlink()
        assert contents(store) == {"a": b"1"}

    def test_a_closed_store_says_so(self, path: Path) -> None:
        """A store that was closed raises an error that is not absence."""
        writing = ZipStore(path, "w")
        writing.set("a", b"1")
        writing.close()
        reading = ZipStore(path)
        reading.close()
        for store in (writing, reading):
            for call in (
                lambda store=store: store.get("a"),
                lambda store=store: store.exists("a"),
                store.list,
            ):
                with pytest.raises(StoreError, match="closed") as caught:
                    call()
                assert not isinstance(caught.value, KeyNotFoundError)
        with pytest.raises(StoreError, match="closed"):
            writing.set("a", b"1")

    def test_places_have_names(self, path: Path) -> None:
        """Stores in one archive are of one place, equal if they can do the same."""
        make(path, {"a": b"1"})
        inner = LocalStore(path.parent)
        assert ZipStore(path) == ZipStore(str(path))
        assert hash(ZipStore(path)) == hash(ZipStore(path))
        assert ZipStore(path) != ZipStore(path, max_member_bytes=5)
        assert ZipStore.over(inner, "a.zip") == ZipStore.over(inner, "a.zip") != ZipStore(path)
        writing = ZipStore(path, "a")
        assert writing != ZipStore(path)
        assert writing.identity == ZipStore(path).identity
        assert ZipStore.over(inner, "a.zip").identity == ("zip", inner._place("a.zip"))
        assert repr(ZipStore(path)) == f"ZipStore({str(path)!r})"
        assert repr(writing) == f"ZipStore({str(path)!r}, writable)"
        assert repr(ZipStore.over(inner, "a.zip")) == f"ZipStore.over({inner!r}, 'a.zip')"

    def test_what_can_hold_an_archive_is_checked(self) -> None:
        """An archive is the value of a key of a store that can be read."""
        with pytest.raises(TypeError, match="ReadableStore"):
            ZipStore.over({}, "a.zip")  # type: ignore[arg-type]
        with pytest.raises(InvalidKeyError):
            ZipStore.over(MemoryStore(), "/a.zip")

    def test_a_pickle_of_a_writing_store_is_the_same_archive(self, path: Path) -> None:
        """A store that writes, restored in its process, shows what the other one writes."""
        store = ZipStore(path, "w")
        other = restored(store)
        store.set("a", b"1")
        assert contents(other) == {"a": b"1"}
        other.close()
        with pytest.raises(StoreError, match="closed"):
            store.get("a")

    def test_a_pickle_of_a_writing_store_is_refused_elsewhere(self, path: Path) -> None:
        """Another process does not get a store that writes, as long as this one writes."""
        with ZipStore(path, "w") as store:
            run_processes("spawn", find_it_taken, (pickle.dumps(store),))

    @pytest.mark.parametrize("method", ["spawn", "fork"])
    def test_other_processes_read(self, path: Path, method: str) -> None:
        """A store that reads works in other processes."""
        make(path, {"a": b"1" * 1000})
        run_processes(method, read_whole, (ZipStore(path), "a", b"1" * 1000))

    def test_a_child_reads_and_does_not_write(self, path: Path) -> None:
        """After a fork the child reads what was there, and cannot spoil the archive."""
        store = ZipStore(path, "w")
        store.set("a", b"1")

        def work() -> None:
            assert store.get("a") == b"1"
            for change in (lambda: store.set("b", b"2"), lambda: store.erase("a"), store.flush):
                with pytest.raises(StoreError, match="only the process"):
                    change()
            store.close()

        assert in_child(work) == 0
        store.set("c", b"3")
        store.close()
        assert contents(ZipStore(path)) == {"a": b"1", "c": b"3"}


def read_whole(store: Any, key: str, value: bytes) -> None:
    """Read a value, and end with an error if it is another one."""
    if bytes(store.get(key)) != value:
        sys.exit(1)


def find_it_taken(data: bytes) -> None:
    """Restore a store, and end with an error if that is possible."""
    with pytest.raises(StoreError, match="another store writes"):
        pickle.loads(data)


def test_readers_do_not_notice_what_a_writer_does(path: Path) -> None:
    """While values are replaced, published and compacted, each read gives a value as written."""
    valid = {
        f"k{number}": {bytes([number, turn]) * 3000 for turn in range(9)} for number in range(4)
    }
    store = ZipStore(path, "w", level=1)
    store.set_values((key, min(values)) for key, values in valid.items())
    store.flush()

    def write() -> None:
        for turn in range(9):
            for number in range(4):
                store.set(f"k{number}", bytes([number, turn]) * 3000)
            if turn % 2:
                store.compact()
            else:
                store.flush()

    def read() -> None:
        for _ in range(60):
            for key, values in valid.items():
                assert bytes(store.get(key)) in values
                (part,) = store.get_partial_values([(key, 100, 2)])
                assert part[0] == int(key[1])
            assert store.list() == sorted(valid)
            assert ZipStore(path).list() == sorted(valid)

    run_at_once(write, read, read)
    store.close()
