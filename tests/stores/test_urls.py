"""A URL leads to the store that its scheme, or the caller, asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

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


def test_a_file_of_another_machine_is_refused() -> None:
    """A file URL with a host is none of ours."""
    with pytest.raises(ValueError, match="host 'server'"):
        open_store("file://server/data")


def test_stores_in_memory_have_names_or_not() -> None:
    """Without a name each is a new one; with a name there is one of it."""
    assert open_store("memory://") is not open_store("memory://")
    assert open_store("memory://a") is open_store("memory://a/")
    assert open_store("memory://a") is not open_store("memory://b")


def test_a_driver_can_be_forced(tmp_path: Path) -> None:
    """What is named wins over the scheme."""
    assert isinstance(open_store(tmp_path / "a.zip", driver="local"), sk.LocalStore)
    with pytest.raises(ValueError, match="no driver 'tape'; there are"):
        open_store(tmp_path, driver="tape")


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
    with pytest.raises(TypeError):
        open_store(url)


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
    assert sk.open("zip::memory://archives/folder/b.zip", "a", driver=None)[1] == 1


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
