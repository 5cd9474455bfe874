"""Archives by others are read, and others read ours."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import storekit as sk
from storekit.errors import KeyConflictError, UnsupportedError
from storekit.stores import MemoryStore
from storekit.stores.zip import ZipStore

FIELDS = {
    "a/b": b"x" * 100_000,
    "a/ü/日本": b"non-ASCII",
    "empty": b"",
    "c": bytes(range(256)) * 300,
    "back\\slash": b"a character like others",
}


def contents(store: Any) -> dict[str, bytes]:
    """All there is in a store."""
    return {key: bytes(store.get(key)) for key in store.list()}


@pytest.mark.parametrize("level", [None, 6])
def test_zipfile_reads_ours(tmp_path: Path, level: int | None) -> None:
    """Python's zipfile finds in our archives what was written, and no fault."""
    path = tmp_path / "a.zip"
    with ZipStore(path, "w", level=level) as store:
        store.set_values(FIELDS.items())
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FIELDS
        packed = archive.getinfo("a/b").compress_size
    assert (packed < 1000) == (level is not None)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("kind", ["file", "stream", "zip64", "folders", "comment", "in front"])
def test_ours_reads_zipfile(tmp_path: Path, method: int, kind: str) -> None:
    """What Python's zipfile writes is read: to files and to pipes, with what may stand beside."""
    path = tmp_path / "a.zip"
    buffer = io.BytesIO()
    target: Any = Pipe(buffer) if kind == "stream" else buffer
    if kind == "in front":
        buffer.write(b"#!/bin/sh\nexit\n")
    with zipfile.ZipFile(target, "a" if kind == "in front" else "w", method) as archive:
        for key, value in FIELDS.items():
            if kind == "folders" and "/" in key:
                archive.writestr(f"{key.rpartition('/')[0]}/", b"")
            with archive.open(key, "w", force_zip64=kind == "zip64") as member:
                member.write(value)
        if kind == "comment":
            archive.comment = b"words " * 1000
    path.write_bytes(buffer.getvalue())
    stores = [ZipStore(path)]
    stores.append(ZipStore.over(MemoryStore({"k": buffer.getvalue()}), "k"))
    for store in stores:
        assert contents(store) == FIELDS
        assert store.list_dir("") == ["a/", "back\\slash", "c", "empty"]
        parts = [("c", 500, 100), ("c", -5, None), ("a/b", 99_990, 50), ("a/b", 0, None)]
        expected = [FIELDS["c"][500:600], FIELDS["c"][-5:], b"x" * 10, FIELDS["a/b"]]
        assert [bytes(part) for part in store.get_partial_values(parts)] == expected
    with ZipStore(path, "a") as store:
        store.set("new", b"1")
        store.flush()
        assert contents(ZipStore(path)) == FIELDS | {"new": b"1"}
        store.compact()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {n: archive.read(n) for n in archive.namelist() if n[-1] != "/"} == FIELDS | {
            "new": b"1"
        }
        assert archive.comment == (b"words " * 1000 if kind == "comment" else b"")


class Pipe(io.RawIOBase):
    """A file in which nobody can go back."""

    def __init__(self, buffer: io.BytesIO) -> None:
        self.buffer = buffer

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Append."""
        return self.buffer.write(data)


def test_zipfile_appends_to_ours(tmp_path: Path) -> None:
    """What Python's zipfile adds to our archive is found beside what was there."""
    path = tmp_path / "a.zip"
    with ZipStore(path, "w") as store:
        store.set_values(FIELDS.items())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("new", b"1")
    assert contents(ZipStore(path)) == FIELDS | {"new": b"1"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_a_name_that_comes_twice_the_last_counts(tmp_path: Path) -> None:
    """Two members of one name, as zarr-python makes them by replacing, are the later one."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"old")
        archive.writestr("a", b"new")
    assert contents(ZipStore(path)) == {"a": b"new"}


def test_names_are_read_as_the_format_says(tmp_path: Path) -> None:
    """Names are UTF-8 where the flag says so, in another field where that stands, else cp437."""
    path = tmp_path / "a.zip"
    with ZipStore(path, "w") as store:
        store.set("aa", b"1")
    data = path.read_bytes().replace(b"aa", "é".encode("cp437") + b"b")
    # Our own checksum of the entry, which does not hold any more, becomes a field of no meaning.
    data = data.replace(b"sk\4\0", b"zz\4\0")
    assert ZipStore.over(MemoryStore({"k": data}), "k").list() == ["éb"]
    path.write_bytes(data)
    # It writes the names anew in UTF-8, which is longer, but not those in front of the members.
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b", b"2")
    for store in (ZipStore(path), ZipStore(path)):
        assert bytes(store.get_partial_values([("éb", -1, None)])[0]) == b"1"
        assert contents(store) == {"éb": b"1", "b": b"2"}
    info = zipfile.ZipInfo("x")
    name = "ç".encode()
    info.extra = struct.pack("<HHBI", 0x7075, 5 + len(name), 1, zlib.crc32(b"x")) + name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, b"1")
    assert contents(ZipStore(path)) == {"ç": b"1"}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_are_refused(tmp_path: Path, method: int) -> None:
    """A member compressed by another method is listed; reading it tells the method."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a", b"x" * 1000)
    store = ZipStore(path)
    assert store.list() == ["a"]
    assert store.getsize("a") == 1000
    with pytest.raises(UnsupportedError, match=f"compressed by method {method}"):
        store.get("a")
    with pytest.raises(UnsupportedError):
        store.get_partial_values([("a", 0, 1)])
    with ZipStore(path, "a") as writing:
        writing.set("b", b"1")
        writing.compact()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.read("a") == b"x" * 1000


def test_keys_in_conflict_are_refused(tmp_path: Path) -> None:
    """An archive with `a` and `a/b` is refused, in both orders."""
    for names in (("a", "a/b"), ("a/b", "a")):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for name in names:
                archive.writestr(name, b"1")
        with pytest.raises(KeyConflictError):
            ZipStore(tmp_path / "a.zip")


@pytest.mark.skipif(not shutil.which("zip") or not shutil.which("unzip"), reason="needs Info-ZIP")
class TestInfoZip:
    @pytest.mark.parametrize("level", [None, 6])
    def test_unzip_finds_no_fault(self, tmp_path: Path, level: int | None) -> None:
        """`unzip -t` reads what we write, and append, and unpacks it under the same names."""
        path = tmp_path / "a.zip"
        for mode in "wa":
            with ZipStore(path, mode, level=level) as store:
                store.set_values((f"{mode}/{key}", value) for key, value in FIELDS.items())
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        subprocess.run(["unzip", "-tqq", path], check=True, env=env, timeout=20)
        subprocess.run(["unzip", "-qq", path, "-d", tmp_path / "out"], check=True, env=env)
        for key, value in FIELDS.items():
            assert (tmp_path / "out" / "a" / key).read_bytes() == value

    def test_zip_is_read_and_reads(self, tmp_path: Path) -> None:
        """What `zip` writes is read; what it changes in our archive is found, the rest stays."""
        path = tmp_path / "a.zip"
        theirs = {key: value for key, value in FIELDS.items() if key.isascii()}
        for key, value in theirs.items():
            (tmp_path / "in" / key).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / key).write_bytes(value)
        run = ["zip", "-qr", path, "."]
        subprocess.run(run, cwd=tmp_path / "in", check=True, timeout=20)
        assert contents(ZipStore(path)) == theirs
        path.unlink()
        with ZipStore(path, "w") as store:
            store.set_values([("c", b"old"), ("ü", b"1")])
        subprocess.run(run, cwd=tmp_path / "in", check=True, timeout=20)
        assert contents(ZipStore(path)) == theirs | {"ü": b"1"}
        subprocess.run(["zip", "-qd", path, "c"], check=True, timeout=20)
        del theirs["c"]
        assert contents(ZipStore(path)) == theirs | {"ü": b"1"}

    def test_encrypted_members_are_refused(self, tmp_path: Path) -> None:
        """A member that `zip` has encrypted is listed, and neither read nor moved."""
        path = tmp_path / "a.zip"
        (tmp_path / "a").write_bytes(b"secret" * 100)
        run = ["zip", "-q", "-P", "password", path, "a"]
        subprocess.run(run, cwd=tmp_path, check=True, timeout=20)
        store = ZipStore(path)
        assert store.list() == ["a"]
        with pytest.raises(UnsupportedError, match="encrypted"):
            store.get("a")
        with ZipStore(path, "a") as writing:
            writing.set("b", b"1")
            with pytest.raises(UnsupportedError, match="encrypted"):
                writing.compact()
        with zipfile.ZipFile(path) as archive:
            assert archive.read("a", b"password") == b"secret" * 100
            assert archive.read("b") == b"1"


class TestZarrPython:
    @pytest.fixture
    def zarr(self) -> Any:
        """The peer, if it is there."""
        return pytest.importorskip("zarr")

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_its_arrays_are_read(self, tmp_path: Path, zarr: Any) -> None:
        """An array that zarr-python has written into a zip is read, and changed."""
        data = np.arange(1000, dtype="f4").reshape(20, 50)
        theirs = zarr.storage.ZipStore(tmp_path / "a.zip", mode="w")
        array = zarr.create_array(theirs, name="x", data=data, chunks=(7, 7))
        array[3] = 5.0  # some chunks come twice
        theirs.close()
        data[3] = 5.0
        ours = sk.open_zarr(ZipStore(tmp_path / "a.zip"), "x")
        assert np.array_equal(ours[...], data)
        with ZipStore(tmp_path / "a.zip", "a") as store:
            sk.open_zarr(store, "x")[0:2] = -1
        data[0:2] = -1
        again = zarr.open_array(zarr.storage.ZipStore(tmp_path / "a.zip", mode="r"), path="x")
        assert np.array_equal(again[...], data)

    def test_it_reads_ours(self, tmp_path: Path, zarr: Any) -> None:
        """zarr-python reads an array that we have written into a zip."""
        data = np.arange(1000, dtype="i4").reshape(20, 50)
        with ZipStore(tmp_path / "a.zip", "w") as store:
            sk.ZarrArray.create(store, "g/x", data=data, chunks=(7, 7), codecs="zstd")
        theirs = zarr.storage.ZipStore(tmp_path / "a.zip", mode="r")
        assert np.array_equal(zarr.open_array(theirs, path="g/x")[...], data)
        theirs.close()


def test_more_than_65535_members_are_kept(tmp_path: Path) -> None:
    """An archive of more members than the old format can count is written, read, and read by
    others; its directory takes a read of its own."""
    path = tmp_path / "a.zip"
    with ZipStore(path, "w") as store:
        store.set_values((f"c/{number}", b"%d" % number) for number in range(70_000))
    for opened in (ZipStore(path), ZipStore.over(sk.LocalStore(tmp_path), "a.zip")):
        assert len(opened.list_dir("c/")) == 70_000
        assert opened.get("c/69999") == b"69999"
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 70_000
        assert archive.read("c/66000") == b"66000"


def test_archives_of_more_than_4_gib(tmp_path: Path) -> None:
    """Members behind the first 4 GiB, are found, also by others; the file is sparse."""
    path = tmp_path / "a.zip"
    hole = 1 << 32
    with ZipStore(path, "w") as store:
        store.set("first", b"1")
        store._writer.archive.end += hole
        store.set("behind", b"2" * 1000)
    store = ZipStore(path)
    assert contents(store) == {"first": b"1", "behind": b"2" * 1000}
    with zipfile.ZipFile(path) as archive:
        assert archive.read("behind") == b"2" * 1000
