"""How each library writes, reads and changes an array in a folder of the local file system."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from interop_case import Case, Window

import storekit
from storekit.nodes.dtypes import data_type_from_json
from storekit.typing import AnyArray


class Peer(ABC):
    """A library. What it cannot do raises whatever the library raises."""

    name: ClassVar[str]
    package: ClassVar[str]
    modules: ClassVar[tuple[str, ...]]

    @property
    def missing(self) -> str | None:
        """What must be installed before the library can be asked; None if it can be."""
        absent = [module for module in self.modules if find_spec(module) is None]
        return f"{', '.join(absent)} not installed" if absent else None

    @property
    def version(self) -> tuple[int, ...]:
        """The version that is installed."""
        return tuple(int(part) for part in version(self.package).split(".")[:2])

    def meant_for(self, case: Case) -> bool:
        """Whether the case is one of those for which the library is here."""
        return True

    @abstractmethod
    def create(self, folder: Path, case: Case) -> None:
        """Make the array, without content."""

    @abstractmethod
    def update(self, folder: Path, window: Window, values: AnyArray) -> None:
        """Write to a part of the array."""

    @abstractmethod
    def read(self, folder: Path, window: Window | None = None) -> AnyArray:
        """Read the array, or a part of it."""

    def write(self, folder: Path, case: Case) -> None:
        """Make the array and write its content."""
        self.create(folder, case)
        if case.window is not None:
            self.update(folder, case.window, case.values[case.window])


class Storekit(Peer):
    name = "storekit"
    package = "storekit"
    modules = ("storekit",)

    def create(self, folder: Path, case: Case) -> None:
        storekit.ZarrArray.create(
            storekit.LocalStore(folder),
            shape=case.shape,
            dtype=case.kind.json,
            chunks=case.chunks,
            codecs=case.codecs,
            fill_value=data_type_from_json(case.kind.json).fill_from_json(case.kind.fill_json),
            key_encoding=case.keys,
            dimension_names=case.names,
            attributes=case.attributes,
        )

    def open(self, folder: Path) -> storekit.ZarrArray:
        """The array."""
        return storekit.open_zarr(storekit.LocalStore(folder))

    def update(self, folder: Path, window: Window, values: AnyArray) -> None:
        self.open(folder)[window] = values

    def read(self, folder: Path, window: Window | None = None) -> AnyArray:
        return np.asarray(self.open(folder)[... if window is None else window])


WARNINGS = (
    "The data type .* does not have a Zarr V3 spec",
    "Combining a `sharding_indexed` codec disables",
    "The 'generic' unit for NumPy timedelta is deprecated",
)


class ZarrPython(Peer):
    name = "zarr-python"
    package = "zarr"
    modules = ("zarr",)
    pipeline = "zarr.core.codec_pipeline.BatchedCodecPipeline"

    @contextmanager
    def quiet(self) -> Iterator[Any]:
        """zarr-python with its codec pipeline, and without warnings about what it does itself."""
        import zarr

        settings = {"codec_pipeline.path": self.pipeline, "codec_pipeline.strict": True}
        with zarr.config.set(settings), warnings.catch_warnings():
            for message in WARNINGS:
                warnings.filterwarnings("ignore", message)
            yield zarr

    def create(self, folder: Path, case: Case) -> None:
        names = [codec["name"] for codec in case.codecs]
        with self.quiet() as zarr:
            last = next(i for i, name in enumerate(names) if name != "transpose")
            data_type = zarr.dtype.parse_dtype(case.kind.json, zarr_format=3)
            zarr.create_array(
                folder,
                shape=case.shape,
                dtype=data_type,
                chunks=case.chunks,
                filters=case.codecs[:last],
                serializer=case.codecs[last],
                compressors=case.codecs[last + 1 :],
                fill_value=data_type.from_json_scalar(case.kind.fill_json, zarr_format=3),
                chunk_key_encoding=case.keys,
                dimension_names=case.names,
                attributes=case.attributes,
            )

    def update(self, folder: Path, window: Window, values: AnyArray) -> None:
        with self.quiet() as zarr:
            # A copy, because numcodecs cannot encode elements of any length that are read-only.
            zarr.open_array(folder, mode="r+")[window] = values.copy()

    def read(self, folder: Path, window: Window | None = None) -> AnyArray:
        with self.quiet() as zarr:
            return np.asarray(zarr.open_array(folder, mode="r")[... if window is None else window])


class Zarrs(ZarrPython):
    """The codecs in Rust below zarr-python, without falling back on those in Python."""

    name = "zarrs"
    package = "zarrs"
    modules = ("zarr", "zarrs")
    pipeline = "zarrs.ZarrsCodecPipeline"


class TensorStore(Peer):
    name = "tensorstore"
    package = "tensorstore"
    modules = ("tensorstore",)

    def _open(self, folder: Path, **options: Any) -> Any:
        tensorstore = import_module("tensorstore")
        store = {"driver": "file", "path": f"{folder}/"}
        return tensorstore.open({"driver": "zarr3", "kvstore": store}, **options).result()

    def create(self, folder: Path, case: Case) -> None:
        tensorstore = import_module("tensorstore")
        store = {"driver": "file", "path": f"{folder}/"}
        spec = {"driver": "zarr3", "kvstore": store, "metadata": case.document}
        tensorstore.open(spec, create=True).result()

    def update(self, folder: Path, window: Window, values: AnyArray) -> None:
        self._open(folder)[window].write(values).result()

    def read(self, folder: Path, window: Window | None = None) -> AnyArray:
        array = self._open(folder)
        return np.asarray((array if window is None else array[window]).read().result())


class SimpleZarr(Peer):
    name = "simplezarr"
    package = "simplezarr"
    modules = ("simplezarr",)

    def create(self, folder: Path, case: Case) -> None:
        simplezarr = import_module("simplezarr")
        if case.keys["name"] != "default":
            raise ValueError("chunk key encoding v2")
        simplezarr.ZarrArray.create(
            simplezarr.LocalStore(folder),
            "",
            case.shape,
            case.kind.json,
            fill_value=case.kind.fill_json,
            chunk_shape=case.chunks,
            chunk_path_separator=case.keys["configuration"]["separator"],
            codecs=list(case.codecs),
            dimension_names=case.names,
            attributes=case.attributes,
        )

    def _open(self, folder: Path) -> Any:
        simplezarr = import_module("simplezarr")
        return simplezarr.open_zarr(simplezarr.LocalStore(folder))

    def update(self, folder: Path, window: Window, values: AnyArray) -> None:
        self._open(folder)[window].set_now(values)

    def read(self, folder: Path, window: Window | None = None) -> AnyArray:
        return self._open(folder)[... if window is None else window].get_now()


class Imagecodecs(ZarrPython):
    """zarr-python with the codecs of imagecodecs-zarr."""

    name = "imagecodecs-zarr"
    package = "imagecodecs-zarr"
    modules = ("zarr", "imagecodecs.zarr")

    def meant_for(self, case: Case) -> bool:
        return case.uses("imagecodecs_b2nd") or case.uses("imagecodecs_blosc2")

    @property
    def missing(self) -> str | None:
        try:
            return super().missing
        except ModuleNotFoundError as error:  # the parent of a submodule
            return str(error)


STOREKIT = Storekit()
PEERS: tuple[Peer, ...] = (ZarrPython(), Zarrs(), TensorStore(), SimpleZarr(), Imagecodecs())
