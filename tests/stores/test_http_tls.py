"""An HTTPStore speaks to whom it should, over TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from servers import raw_server as raw
from servers.raw_server import RawServer, running

from storekit.errors import ConnectionLostError, StoreError
from storekit.stores.http import HTTPStore
from storekit.stores.retries import RetryPolicy

ONCE = RetryPolicy(attempts=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whom we trust."""
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> Path:
    """Its certificate."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def tls_for(authority: trustme.CA, host: str) -> ssl.SSLContext:
    """A server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[RawServer]:
    """A server that is who it says."""
    with running(tls_for(authority, "127.0.0.1")) as server:
        server.contents["a/b"] = b"0123456789"
        yield server


def test_a_trusted_server_is_read(server: RawServer, ca: Path) -> None:
    """With its authority given, a server is read, written and listed over TLS."""
    with HTTPStore(server.url, ca=ca, writable=True) as store:
        assert bytes(store.get("a/b")) == b"0123456789"
        assert [bytes(part) for part in store.get_partial_values([("a/b", 2, 2)])] == [b"23"]
        store.set("c", b"1")
        assert store.list() == ["a/b", "c"]
    assert server.connections == 1


def test_an_unknown_authority_is_refused(server: RawServer) -> None:
    """Without it the certificate is refused: an error that does not pass, after one attempt."""
    with HTTPStore(server.url) as store, pytest.raises(StoreError, match="not trusted") as caught:
        store.get("a/b")
    assert type(caught.value) is StoreError
    assert (server.connections, server.requests) == (1, [])


def test_another_authority_is_refused(server: RawServer, tmp_path: Path) -> None:
    """An authority that is trusted for another server is none for this one."""
    path = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    with HTTPStore(server.url, ca=path) as store, pytest.raises(StoreError, match="not trusted"):
        store.exists("a/b")


def test_the_name_of_another_host_is_refused(authority: trustme.CA, ca: Path) -> None:
    """A good certificate of somebody else is refused."""
    with (
        running(tls_for(authority, "other.example")) as server,
        HTTPStore(server.url, ca=ca) as store,
        pytest.raises(StoreError, match="not trusted"),
    ):
        store.get("a/b")


def test_a_server_without_tls_is_refused(ca: Path) -> None:
    """Whoever does not speak TLS gets no request."""
    with running() as server:
        url = server.url.replace("http:", "https:")
        with (
            HTTPStore(url, ca=ca, retry=ONCE, timeout=(5, 0.5)) as store,
            pytest.raises(ConnectionLostError),
        ):
            store.get("a/b")
        assert server.requests == []


def test_a_redirect_out_of_tls_is_refused(server: RawServer, ca: Path) -> None:
    """Nobody is led from TLS to a server without."""
    with running() as plain:
        server.misbehave(raw.redirect_to(plain.url))
        with HTTPStore(server.url, ca=ca) as store, pytest.raises(StoreError, match="TLS"):
            store.get("a/b")
        assert plain.requests == []


def test_a_folder_of_authorities_is_no_file(tmp_path: Path, server: RawServer) -> None:
    """An empty folder of certificates trusts nobody; a file that holds none is refused at once."""
    with HTTPStore(server.url, ca=tmp_path) as store, pytest.raises(StoreError, match="trusted"):
        store.get("a/b")
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ValueError, match="ca must hold certificates"):
        HTTPStore(server.url, ca=tmp_path / "ca.pem")
