"""Names, forms of metadata, and codecs of the user's own."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from codec_samples import spec_of

from storekit.codecs import (
    PRESETS,
    BytesBytesCodec,
    ChunkSpec,
    Codec,
    Pipeline,
    codec_from_json,
    codec_to_json,
    preset,
    register_codec,
    registry,
)
from storekit.codecs.registry import codec_class
from storekit.errors import MetadataError
from storekit.typing import JSON, Value

NAMES = {
    "blosc": {"cname": "zstd", "clevel": 3, "shuffle": "shuffle", "typesize": 4, "blocksize": 0},
    "bytes": {"endian": "big"},
    "crc32c": {},
    "gzip": {"level": 3},
    "imagecodecs_b2nd": {"level": 5, "compressor": "LZ4", "blockshape": [2, 2]},
    "imagecodecs_blosc2": {"level": 5, "splitmode": "NEVER"},
    "sharding_indexed": {
        "chunk_shape": [2, 2],
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "index_codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "crc32c"},
        ],
        "index_location": "start",
    },
    "storekit.b2nd": {"cname": "lz4", "clevel": 9, "shuffle": "noshuffle", "blocks": [1, 2]},
    "transpose": {"order": [1, 0]},
    "vlen-bytes": {},
    "vlen-utf8": {},
    "zstd": {"level": -7, "checksum": False},
}


class Reverse(BytesBytesCodec):
    """Writes bytes backwards."""

    name = "test.reverse"
    aliases = ("test.backwards",)

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Reverse:
        """Nothing to configure."""
        return cls()

    def to_config(self) -> dict[str, JSON]:
        """Nothing."""
        return {}

    def encode(self, data: Value) -> Value:
        """The bytes backwards."""
        return bytes(data)[::-1]

    def decode(self, data: Value, size: int | None) -> Value:
        """The bytes forwards."""
        return bytes(data)[::-1]


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that forgets what a test registers."""
    monkeypatch.setattr(registry, "_registered", {})


@pytest.mark.parametrize("name", NAMES)
def test_metadata_survives(name: str) -> None:
    """A codec is written as the object that it was read from."""
    entry = {"name": name, "configuration": NAMES[name]}
    codec = codec_from_json(entry)
    assert isinstance(codec, Codec)
    written = codec_to_json(codec)
    assert written == (entry if NAMES[name] else {"name": name})
    assert codec_from_json(written) == codec
    assert hash(codec_from_json(written)) == hash(codec)
    assert type(codec).__name__ in repr(codec)


@pytest.mark.parametrize("name", ["crc32c", "vlen-utf8", "bytes", "gzip", "storekit.b2nd"])
def test_forms_that_mean_the_same(name: str) -> None:
    """A name alone, an object without configuration, and one with an empty one are equal."""
    forms: list[JSON] = [
        name,
        {"name": name},
        {"name": name, "configuration": {}},
        {"name": name, "must_understand": True},
        {"name": name, "must_understand": False},
    ]
    codecs = [codec_from_json(form) for form in forms]
    assert all(codec == codecs[0] for codec in codecs)


def test_unknown_and_needless() -> None:
    """An unknown codec that need not be understood is left out; another one is an error."""
    skipped = {"name": "unknown", "configuration": {"a": 1}, "must_understand": False}
    pipeline = Pipeline.from_json([skipped, "bytes", skipped])
    assert [codec.name for codec in pipeline.codecs] == ["bytes"]
    with pytest.raises(MetadataError, match="unknown codec") as caught:
        Pipeline.from_json(["bytes", {**skipped, "must_understand": True}])
    assert caught.value.field == "codecs[1].name"


def test_known_must_be_right() -> None:
    """That a codec need not be understood does not excuse mistakes in one that is."""
    entry = {"name": "gzip", "configuration": {"level": 99}, "must_understand": False}
    with pytest.raises(MetadataError) as caught:
        Pipeline.from_json(["bytes", entry])
    assert caught.value.field == "codecs[1].configuration.level"


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (1, "codecs[0]"),
        (None, "codecs[0]"),
        ([], "codecs[0]"),
        ({}, "codecs[0].name"),
        ({"name": 1}, "codecs[0].name"),
        ({"name": "nonesuch"}, "codecs[0].name"),
        ({"name": "bytes", "configuration": []}, "codecs[0].configuration"),
        ({"name": "bytes", "configuration": None}, "codecs[0].configuration"),
        ({"name": "bytes", "must_understand": "no"}, "codecs[0].must_understand"),
        ({"name": "bytes", "options": {}}, "codecs[0].options"),
    ],
)
def test_malformed_entries(entry: JSON, field: str) -> None:
    """What is wrong with an entry is named by its path."""
    with pytest.raises(MetadataError) as caught:
        Pipeline.from_json([entry])
    assert caught.value.field == field


@pytest.mark.usefixtures("clean")
def test_codecs_of_the_user() -> None:
    """A registered class is found under its name and its aliases, and used like any other."""
    with pytest.raises(MetadataError):
        codec_class("test.reverse")
    assert register_codec(Reverse) is Reverse
    assert codec_class("test.reverse") is codec_class("test.backwards") is Reverse
    chunk = np.arange(5, dtype="u1")
    pipeline = Pipeline.of(["bytes", "test.backwards", "crc32c"], spec_of(chunk))
    coder = pipeline.bind(spec_of(chunk))
    data = coder.encode(chunk)
    assert data is not None
    assert bytes(data[:5]) == bytes((4, 3, 2, 1, 0))
    assert (coder.decode(data) == chunk).all()
    assert pipeline.to_json()[1] == {"name": "test.reverse"}


@pytest.mark.usefixtures("clean")
def test_the_user_comes_first() -> None:
    """A registered class takes the place of storekit's own of the same name."""

    class Gzip(Reverse):
        name = "gzip"
        aliases = ()

    register_codec(Gzip)
    assert codec_class("gzip") is Gzip


@pytest.mark.parametrize(
    "thing", [1, Codec, int, Reverse(), type("Nameless", (Reverse,), {"name": ""})]
)
def test_not_codecs(thing: Any) -> None:
    """Whatever is no class of one of the three kinds, with a name, cannot be registered."""
    with pytest.raises(TypeError):
        register_codec(thing)


class _Entry:
    """An entry point, as far as the registry looks."""

    def __init__(self, value: object) -> None:
        self.value, self._thing = "somewhere:Thing", value

    def load(self) -> object:
        """What it leads to."""
        if isinstance(self._thing, Exception):
            raise self._thing
        return self._thing


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("thing", [Reverse, int, ImportError("broken")])
def test_entry_points(monkeypatch: pytest.MonkeyPatch, thing: object) -> None:
    """Installed packages bring codecs by the entry points of `storekit.codecs`."""
    asked = []

    def entry_points(**select: str) -> list[_Entry]:
        asked.append(select)
        return [_Entry(thing)] if select["name"] == "test.reverse" else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    if thing is Reverse:
        assert isinstance(codec_from_json("test.reverse"), Reverse)
        assert isinstance(codec_from_json("test.reverse"), Reverse)
        assert asked == [{"group": "storekit.codecs", "name": "test.reverse"}]
    else:
        with pytest.raises(MetadataError, match="somewhere:Thing"):
            codec_from_json("test.reverse")


@pytest.mark.usefixtures("clean")
def test_a_real_entry_point(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata of an installed package is all it takes."""
    info = tmp_path / "plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        f"[storekit.codecs]\ntest.reverse = {__name__}:Reverse\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    assert importlib.metadata.entry_points(group="storekit.codecs", name="test.reverse")
    assert codec_class("test.reverse") is Reverse


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("kind", ["f4", "u1", "S3", "U2", "M8[s]", "string", "bytes", "V3"])
def test_presets(name: str, kind: str) -> None:
    """Every preset is complete for every type, as metadata too, and works."""
    fill: Any = {"string": "x", "bytes": b"x"}.get(kind)
    dtype: Any = {"string": np.dtypes.StringDType(), "bytes": np.dtype(object)}.get(kind)
    dtype = np.dtype(kind) if dtype is None else dtype
    fill = np.zeros((), dtype)[()] if fill is None else fill
    spec = ChunkSpec((4, 3), dtype, fill)
    pipeline = Pipeline.of(name, spec)
    assert Pipeline.from_json(pipeline.to_json()) == pipeline == pipeline.evolved(spec)
    coder = Pipeline.from_json(pipeline.to_json()).bind(spec)
    data = coder.encode(spec.full())
    assert data is not None
    assert (coder.decode(data) == spec.full()).all()


def test_presets_are_few() -> None:
    """A name that is no preset is an error that lists them."""
    with pytest.raises(MetadataError, match="b2nd, zstd, blosc, gzip, none") as caught:
        preset("lz4", ChunkSpec((1,), np.dtype("u1"), np.uint8(0)))
    assert caught.value.field == "codecs"


def test_backends_are_imported_late() -> None:
    """Importing the codecs imports no backend."""
    code = (
        "import sys, storekit.codecs\n"
        "late = {'blosc2', 'numcodecs', 'zstandard', 'google_crc32c', 'msgpack', 'zlib'}\n"
        "sys.exit(repr(late & set(sys.modules)) if late - {'zlib'} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_blosc2_is_imported_last() -> None:
    """Binding a chain imports what is small; blosc2 waits for the first chunk."""
    code = (
        "import sys, numpy as np\n"
        "from storekit.codecs import ChunkSpec, Pipeline\n"
        "spec = ChunkSpec((4,), np.dtype('f4'), np.float32(0))\n"
        "coder = Pipeline.of('b2nd', spec).bind(spec)\n"
        "assert 'blosc2' not in sys.modules\n"
        "coder.encode(spec.full())\n"
        "assert 'blosc2' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
