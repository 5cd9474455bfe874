"""Files of fsspec: in moto's S3 server by s3fs, in fsspec's memory and on the local disk."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from servers.moto_server import Moto

from storekit.stores import Store
from storekit.stores.fsspec import FsspecStore
from storekit.testing import StoreContract

_serial = itertools.count()


class TestS3(StoreContract):
    flat = True
    many = 300
    rounds = 6

    @pytest.fixture
    def store(self, moto: Moto) -> Store:
        """A store in a bucket of its own."""
        return FsspecStore(f"s3://{moto.bucket()}/some/where", storage_options=moto.s3fs)


class TestMemory(StoreContract):
    many = 300
    rounds = 20

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """A store under a path of its own."""
        path = f"/store-{next(_serial)}"
        yield FsspecStore(f"memory:/{path}")
        fs = MemoryFileSystem()
        if fs.exists(path):
            fs.rm(path, recursive=True)


class TestLocal(StoreContract):
    many = 300
    rounds = 20

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """A store in a directory that is not yet there."""
        return FsspecStore(f"file://{tmp_path}/root")
