"""A URL leads to the store that its scheme, or the caller, asks for."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fsspec.registry import known_implementations
from servers.moto_server import Moto
from servers.raw_server import running

import storekit as sk
from storekit.stores import urls
from storekit.stores.urls import open_store, register_scheme


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves a scheme or a named store behind."""
    for name in ("_SCHEMES", "_OPENERS", "_memories"):
        monkeypatch.setattr(urls, name, dict(getattr(urls, name)))


def test_paths_lead_to_the_disk(tmp_path: Path) -> None:
    """A path, as text or as an object, and a file URL lead to one place, with its options."""
    expected = sk.LocalStore(tmp_path / "a b")
    for url in (tmp_path / "a b", str(tmp_path / "a b"), f"file://{tmp_path}/a%20b"):
        assert open_store(url) == expected
    assert open_store(f"FILE://localhost{tmp_path}/a%20b") == expected
    assert open_store(tmp_path, durable=True) == sk.LocalStore(tmp_path, durable=True)


def test_text_that_is_no_scheme_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Colons make a URL, or a chain, only behind what can be a scheme; a `Path` is always one."""
    monkeypatch.chdir(tmp_path)
    for path in ("a/b::c", "::", "a: b://c", "C:\\data", "x.y:z"):
        assert open_store(path) == sk.LocalStore(path)
    assert open_store(Path("slow::x")) == sk.LocalStore("slow::x")
    assert open_store(f"file:{tmp_path}/a") == sk.LocalStore("a")


@pytest.mark.parametrize("url", ["s3:/bucket/a", "http:/host", "memory:/", Path("S3://bucket/a")])
def test_a_url_that_lost_a_slash_is_no_directory(tmp_path: Path, url: Any) -> None:
    """What `Path` makes of a URL is refused, unless it is said to be a path."""
    with pytest.raises(ValueError, match="which must be a str"):
        open_store(url)
    assert isinstance(open_store(url, driver="local"), sk.LocalStore)
    assert open_store(tmp_path / "s3:/a") == sk.LocalStore(tmp_path / "s3:/a")


def test_a_file_of_another_machine_is_refused() -> None:
    """A file URL with a host is none of ours."""
    with pytest.raises(ValueError, match="host 'server'"):
        open_store("file://server/data")


def test_stores_in_memory_have_names_or_not() -> None:
    """Without a name each is a new one; with a name there is one of it."""
    assert open_store("memory://") is not open_store("memory://")
    assert open_store("memory://a") is open_store("memory://a/")
    assert open_store("memory://a") is not open_store("memory://b")
    assert open_store("memory://c", fields={"k/l": b"1"}).get("k/l") == b"1"
    assert open_store("memory://c/k").get("l") == b"1"
    with pytest.raises(ValueError, match="there already"):
        open_store("memory://c", fields={})


def test_a_driver_can_be_forced(tmp_path: Path) -> None:
    """What is named wins over the scheme."""
    assert isinstance(open_store(tmp_path / "a.zip", driver="local"), sk.LocalStore)
    with pytest.raises(ValueError, match="no driver 'tape'; there are"):
        open_store(tmp_path, driver="tape")
    assert isinstance(open_store(f"file://{tmp_path}", driver="object"), sk.ObjectStore)


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("https://user:s3cret@host/a", "local"),
        ("s3://bucket/a?s3cret", "memory"),
        ("/a", "memory"),
        ("/a", "http"),
        ("s3://bucket", "http"),
        ("/a", "object"),
        ("memory://a", "zip"),
    ],
)
def test_a_driver_refuses_what_it_cannot_open(url: str, driver: str) -> None:
    """No driver takes the URL of another for something of its own, nor shows what is secret."""
    with pytest.raises(ValueError, match=r".") as caught:
        open_store(url, driver=driver)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["htp://host/a", "slow::htp://host/a", "htp::memory://a", "s3n4://key:s3cret@bucket"]
)
def test_a_scheme_that_nobody_knows_is_named(url: str) -> None:
    """The message has the scheme, and those there are."""
    with pytest.raises(
        ValueError, match=r"open '(htp|s3n4)'; there are .* s3, .* fsspec"
    ) as caught:
        open_store(url)
    assert "s3cret" not in str(caught.value)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without obstore the message names the extra; without what fsspec needs, the package."""
    for name in [name for name in sys.modules if name.startswith("obstore")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(sk.errors.MissingExtraError, match=r"storekit\[object\]"):
        open_store("s3://bucket")
    monkeypatch.setitem(sys.modules, "paramiko", None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.sftp", raising=False)
    with pytest.raises(ImportError, match="paramiko"):
        open_store("sftp://host/a")


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    """A file where a directory should be is an error at once; a directory may be called .zip."""
    (tmp_path / "file").write_bytes(b"text")
    with pytest.raises(sk.errors.StoreError, match="not a directory"):
        open_store(tmp_path / "file")
    with pytest.raises(sk.errors.CorruptArchiveError, match="damaged"):
        open_store(f"zip::{tmp_path}/file")
    (tmp_path / "a.zip").mkdir()
    for url in (tmp_path / "a.zip", f"file://{tmp_path}/a.zip"):
        assert open_store(url) == sk.LocalStore(tmp_path / "a.zip")
    with pytest.raises(sk.errors.StoreError, match="no regular file"):
        open_store(tmp_path / "a.zip", driver="zip")


def test_absence_shows_when_something_is_opened(tmp_path: Path, moto: Moto) -> None:
    """A directory may come to be later, a bucket not; opening a node tells them apart."""
    with pytest.raises(sk.errors.NodeNotFoundError, match="nothing"):
        sk.open(tmp_path / "nothing")
    with pytest.raises(sk.errors.NodeNotFoundError, match="ObjectStore"):
        sk.open(f"s3://{moto.bucket()}/nothing", **moto.obstore)
    with pytest.raises(sk.errors.StoreError, match="bucket") as caught:
        sk.open("s3://no-such-bucket/a", **moto.obstore)
    assert not isinstance(caught.value, sk.errors.KeyNotFoundError)


def test_an_option_that_nobody_knows_is_refused(tmp_path: Path, moto: Moto) -> None:
    """A misspelt option is an error of every driver of ours, and names it."""
    for url in (tmp_path, "memory://", "http://host/a", tmp_path / "a.zip", "zip::memory://x/a"):
        with pytest.raises(TypeError, match="regoin"):
            open_store(url, regoin="x")
    with pytest.raises(ValueError, match="regoin"):
        open_store("s3://bucket", **moto.obstore, regoin="x")


def test_schemes_are_registered() -> None:
    """A function that is registered opens its scheme, and can be named as a driver."""
    asked: list[tuple[str, Any]] = []

    def opener(url: str, **options: Any) -> Any:
        asked.append((url, options))
        return sk.MemoryStore()

    register_scheme("Tape", opener)
    open_store("tape://reel/7", speed=3)
    open_store("anything", driver="tape")
    register_scheme("memory", opener)
    open_store("memory://x")
    assert asked == [("tape://reel/7", {"speed": 3}), ("anything", {}), ("memory://x", {})]
    with pytest.raises(ValueError, match="scheme"):
        register_scheme("a/b", opener)


@pytest.mark.parametrize("url", [3, None, b"/tmp"])
def test_what_is_no_url_is_refused(url: Any) -> None:
    """Numbers, bytes and nothing are TypeErrors."""
    with pytest.raises(TypeError, match=r"must be a str|expected str"):
        open_store(url)


def test_nothing_is_not_the_current_directory() -> None:
    """An empty text, such as a variable that was not set, is refused."""
    with pytest.raises(ValueError, match="must not be empty"):
        open_store("")


def test_nodes_are_opened_by_url(tmp_path: Path) -> None:
    """`open` finds arrays and groups at a URL, and at a path below it."""
    sk.ZarrGroup.create(sk.LocalStore(tmp_path)).create_array("g/a", data=np.arange(4))
    assert sk.open(tmp_path, "g/a")[:].tolist() == [0, 1, 2, 3]
    assert sk.open(f"file://{tmp_path}/g").keys() == {"a"}
    assert sk.open(sk.LocalStore(tmp_path))["g/a"].shape == (4,)
    with pytest.raises(sk.errors.NodeNotFoundError):
        sk.open(tmp_path, "nothing")
    with pytest.raises(ValueError, match="options"):
        sk.open(sk.MemoryStore(), durable=True)


def test_zip_files_are_stores(tmp_path: Path) -> None:
    """A path that ends with .zip, and any URL behind zip::, is what is in the archive."""
    path = tmp_path / "a.zip"
    with open_store(path, mode="w") as store:
        sk.ZarrArray.create(store, "a", data=np.arange(4))
    for url in (path, f"zip::{path}", f"zip::file://{path}"):
        assert sk.open(url, "a")[:].tolist() == [0, 1, 2, 3]
    with open_store("memory://archives") as memory:
        memory.set("folder/b.zip", path.read_bytes())
    for url in ("zip::memory://archives/folder/b.zip", "memory://archives/folder/b.zip"):
        assert sk.open(url, "a", driver=None, max_member_bytes=1 << 20)[1] == 1
    assert sk.open(f"file://{path}", "a")[1] == 1


def test_archives_on_servers_are_stores(tmp_path: Path, moto: Moto) -> None:
    """An archive behind a URL that ends with .zip, or in a chain, is read where it is."""
    path = tmp_path / "made.zip"
    with open_store(path, mode="w") as store:
        sk.ZarrArray.create(store, "g/a", data=np.arange(4))
    bucket = moto.bucket()
    open_store(f"s3://{bucket}/x", **moto.obstore).set("b c.zip", path.read_bytes())
    url = f"s3://{bucket}/x/b%20c.zip"
    with running() as server:
        server.contents["y/b c.zip"] = path.read_bytes()
        web = f"{server.url}/y/b%20c.zip?token=s3cret"
        for place, options in ((url, moto.obstore), (web, {})):
            for each in (place, f"zip::{place}"):
                store = open_store(each, **options)
                assert isinstance(store, sk.ZipStore)
                assert store.list() == ["g/a/c/0", "g/a/zarr.json", "g/zarr.json", "zarr.json"]
                assert "s3cret" not in repr(store)
                store.close()
            with open_store(f"zip://g::{place}", **options) as part:
                assert repr(part) == f"PrefixStore({store!r}, prefix='g/')"
                assert sk.open(part, "a")[3] == 3
        assert all("token=s3cret" in each.target for each in server.requests)
    slow = open_store(f"zip::slow::file://{path}", slow={"latency": 0})
    assert isinstance(slow, sk.ZipStore)
    assert sk.open(slow, "g/a")[3] == 3


@pytest.mark.parametrize("url", ["zip::", "zip::zip::/a.zip", "zip://a::zip://b::memory://x/c"])
def test_an_archive_is_somewhere(url: str) -> None:
    """A chain with nothing behind the archive, or another archive, is refused."""
    with pytest.raises(ValueError, match="of one archive"):
        open_store(url)


def test_archives_elsewhere_are_only_read() -> None:
    """A mode in which an archive would be written is refused, if it is not on a disk."""
    open_store("memory://archives").set("a.zip", b"")
    for mode in "wax":
        with pytest.raises(ValueError, match="mode must be 'r'"):
            open_store("zip::memory://archives/a.zip", mode=mode)
    with pytest.raises(sk.errors.CorruptArchiveError):
        open_store("zip::memory://archives/a.zip", mode="r")


def test_what_holds_an_archive_is_closed_if_it_is_none() -> None:
    """A store that was opened to look for an archive in it does not stay open."""
    closed = []

    class Noting(sk.MemoryStore):
        def close(self) -> None:
            closed.append(self)

    register_scheme("noting", lambda url: Noting())
    with pytest.raises(sk.errors.StoreError, match="no archive 'a'"):
        open_store("zip::noting://x/a")
    assert len(closed) == 1


@pytest.mark.parametrize("url", ["memory://urls/x", "slow::memory://urls/x"])
def test_fsspec_opens_the_rest(url: str) -> None:
    """Chains are fsspec's, and so is any URL for which its driver is named."""
    options = {"slow": {"latency": 0}} if url.startswith("slow") else {}
    store = open_store(url, driver="fsspec", **options)
    assert isinstance(store, sk.FsspecStore)
    store.set("k", b"1")
    assert open_store(url, driver="fsspec", **options) == store
    assert type(open_store("slow::memory://urls/x", slow={"latency": 0})) is type(store)


def test_servers_are_known_by_their_scheme() -> None:
    """The web, and what has buckets, have stores of their own; options reach them."""
    web = open_store("https://example.org/data", concurrency=3)
    assert isinstance(web, sk.HTTPStore)
    assert web.concurrency == 3
    bucket = open_store("s3://bucket/prefix", region="eu-central-1", skip_signature=True)
    assert isinstance(bucket, sk.ObjectStore)
    for scheme, url in (("gs", "gs://b/p"), ("gcs", "gs://b/p"), ("GS", "gs://b/p")):
        assert (
            open_store(f"{scheme}://b/p", skip_signature=True).identity[:2]
            == (open_store(url, skip_signature=True).identity[:2])
        )
    for scheme in ("az", "azure", "adl", "abfs", "abfss"):
        blobs = open_store(f"{scheme}://c/p", account_name="name", skip_signature=True)
        assert repr(blobs) == "ObjectStore('az://c@name/p')"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("memory://", "MemoryStore("),
        ("/data", "LocalStore('/data')"),
        ("https://user:s3cret@host/a?s3cret", "HTTPStore('https://host/a?...')"),
        ("s3://bucket/a", "ObjectStore('s3://bucket/a')"),
        ("slow::file:///a", "FsspecStore('slow:"),
    ],
)
def test_the_repr_shows_who_opened_it(url: str, shown: str) -> None:
    """One sees which store a URL led to, and no secrets."""
    options: Any = {"slow": {"latency": 0}} if url.startswith("slow") else {}
    made = repr(open_store(url, **options))
    assert made.startswith(shown)
    assert "s3cret" not in made


@pytest.mark.parametrize(
    "url",
    [
        "reference::{}/no.json",
        "zip::file://{}/no.zip",
        "zip::file://{}/text",
        "tar::file://{}/text",
        "ftp://user:topsecret@127.0.0.1:1/x",
        "github://topsecret@x",
    ],
)
def test_what_fsspec_cannot_open_is_an_error_of_ours(url: str, tmp_path: Path) -> None:
    """Whatever a file system raises while it is made is a `StoreError` that names the place."""
    (tmp_path / "text").write_bytes(b"no archive")
    with pytest.raises(sk.errors.StoreError) as caught:
        open_store(url.format(tmp_path), driver="fsspec")
    assert not isinstance(caught.value, sk.errors.KeyNotFoundError)
    assert url.partition(":")[0] in str(caught.value)
    assert "topsecret" not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).op == "open"


@pytest.mark.parametrize("url", ["lacking://x", "slow::lacking://x"])
def test_a_package_that_fsspec_needs_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a scheme whose package is not installed the error says which it is."""
    about = {"class": "storekit_lacks.X", "err": "Install lackfs to access it"}
    monkeypatch.setitem(known_implementations, "lacking", about)
    with pytest.raises(sk.errors.MissingExtraError, match="lackfs"):
        open_store(url)
    with pytest.raises(sk.errors.MissingExtraError, match="lackfs"):
        sk.FsspecStore(url)


def test_web_servers_are_not_opened_as_objects() -> None:
    """The driver of objects refuses a web server, and says which store reads it."""
    with pytest.raises(ValueError, match="HTTPStore"):
        open_store("https://example.org/data", driver="object")
