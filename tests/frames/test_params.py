"""How chunks are compressed: what may be chosen, and that blosc2 then does it."""

from __future__ import annotations

from typing import Any

import blosc2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storekit.errors import CorruptFrameError, MetadataError
from storekit.frames.chunk import decompress_into, parse_chunk
from storekit.frames.layout import FrameHeader, parse_header
from storekit.frames.params import Codec, CParams, Filter, SplitMode

SMOOTH = (np.arange(20_000) // 3).astype("f4")
BLOCK = 8000


def compress(params: CParams, array: Any = SMOOTH) -> bytes:
    """A chunk of the settings."""
    return bytes(blosc2.compress2(array, **params.compress_args(array.itemsize, BLOCK)))


def content(chunk: bytes) -> bytes:
    """The content of a chunk."""
    out = bytearray(parse_chunk(chunk).nbytes)
    decompress_into(chunk, memoryview(out))
    return bytes(out)


@pytest.mark.parametrize(("ours", "theirs"), [(Codec, blosc2.Codec), (Filter, blosc2.Filter)])
def test_numbers_are_those_of_blosc2(ours: Any, theirs: Any) -> None:
    """Compressors and filters have the names and numbers of blosc2; so do the split modes."""
    assert all(theirs[member.name].value == member for member in ours)
    assert {m.name: m.value for m in blosc2.SplitMode} == dict(SplitMode.__members__)


FORMS: list[Any] = [
    CParams(Codec.LZ4, 5, (Filter.TRUNC_PREC, Filter.BITSHUFFLE), (10, 0), 2, True),
    CParams("lz4", 5, ["trunc_prec", "BITSHUFFLE"], [10], 2, 1, "auto_split"),  # type: ignore[arg-type]
    {"codec": 1, "clevel": np.int64(5), "filters": [4, 2], "filtersmeta": (10, 0)}
    | {"nthreads": 2, "usedict": True, "splitmode": None},
    {"codec": blosc2.Codec.LZ4, "clevel": 5, "filters": [0, 0, 4, 0, 0, 2], "nthreads": 2}
    | {"filters_meta": [0, 0, 10, 0, 0, 0], "use_dict": True, "typesize": 8, "blocksize": 0}
    | {"codec_meta": 0, "tuner": blosc2.Tuner.STUNE},
    blosc2.CParams(
        codec=blosc2.Codec.LZ4,
        clevel=5,
        filters=[blosc2.Filter.TRUNC_PREC, blosc2.Filter.BITSHUFFLE],
        filters_meta=[10, 0],
        nthreads=2,
        use_dict=True,
    ),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)
def test_all_forms_mean_the_same(form: Any) -> None:
    """Names, numbers, members; the spellings of caterva and those of blosc2; its own objects."""
    assert CParams.of(form) == FORMS[0]
    assert hash(CParams.of(form)) == hash(FORMS[0])


def test_defaults() -> None:
    """Zstandard at level 1 with shuffle, unless something else is said; filters need no setting."""
    assert CParams.of(None) == CParams.of({}) == CParams(5, 1, (1,), (0,), 1, False, 3)
    assert CParams.of({"filters": "bitshuffle"}).filters == (Filter.BITSHUFFLE,)
    assert CParams(filters=(Filter.DELTA, Filter.SHUFFLE)).filtersmeta == (0, 0)
    assert CParams(filters=(Filter.NOFILTER,)) == CParams(filters=())
    assert repr(CParams().codec) == "<Codec.ZSTD: 5>"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"codec": "snappy"}, "codec"),
        ({"codec": -1}, "codec"),
        ({"codec": 256}, "codec"),
        ({"codec": True}, "codec"),
        ({"codec": 1.0}, "codec"),
        ({"clevel": 10}, "clevel"),
        ({"clevel": -1}, "clevel"),
        ({"clevel": "1"}, "clevel"),
        ({"filters": ["shuffel"]}, "filters"),
        ({"filters": 1.5}, "filters"),
        ({"filters": [1] * 7}, "filters"),
        ({"filters": [256]}, "filters"),
        ({"filtersmeta": [0, 1]}, "filtersmeta"),
        ({"filtersmeta": [300]}, "filtersmeta"),
        ({"filtersmeta": 3}, "filtersmeta"),
        ({"filtersmeta": "3"}, "filtersmeta"),
        ({"nthreads": 0}, "nthreads"),
        ({"nthreads": 257}, "nthreads"),
        ({"usedict": 2}, "usedict"),
        ({"usedict": np.zeros(2)}, "usedict"),
        ({"usedict": True, "codec": "zlib"}, "usedict"),
        ({"splitmode": 0}, "splitmode"),
        ({"splitmode": "split"}, "splitmode"),
        ({"level": 3}, "cparams"),
        ({"use_dict": True, "usedict": True}, "cparams"),
        ({"codec_meta": 4}, "codec_meta"),
        ({"tuner": 32}, "tuner"),
        (5, "cparams"),
        ("zstd", "cparams"),
    ],
    ids=str,
)
def test_impossible_settings(settings: Any, field: str) -> None:
    """A setting that cannot be is refused by its name."""
    with pytest.raises(MetadataError) as info:
        CParams.of(settings)
    assert info.value.field == field


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("clevel", [0, 1, 9])
def test_compressors(codec: Codec, clevel: int) -> None:
    """A chunk states the compressor and the filters asked for, and decodes."""
    chunk = compress(CParams(codec, clevel))
    header = parse_chunk(chunk)
    assert header.memcpyed == (clevel == 0)
    assert chunk[22] == codec
    assert header.filters[0] == Filter.SHUFFLE
    assert header.blocksize == BLOCK
    assert content(chunk) == SMOOTH.tobytes()


@pytest.mark.parametrize("codec", [Codec.LZ4, Codec.LZ4HC, Codec.ZSTD])
def test_dictionaries(codec: Codec) -> None:
    """A dictionary is used where one is asked for, and nowhere else."""
    assert parse_chunk(compress(CParams(codec, usedict=True))).use_dict
    assert not parse_chunk(compress(CParams(codec))).use_dict


def test_split_modes() -> None:
    """Blocks are split, or not, as asked for; Zstandard at its levels decides for itself else."""
    split = {mode: not compress(CParams(splitmode=mode))[2] & 0x10 for mode in SplitMode}
    assert split[SplitMode.ALWAYS_SPLIT]
    assert not split[SplitMode.NEVER_SPLIT]


def _pipelines() -> list[tuple[Filter, ...]]:
    lossless = [f for f in Filter if f not in (Filter.NOFILTER, Filter.TRUNC_PREC)]
    return [(), *((f,) for f in lossless), *((f, g) for f in lossless for g in lossless)]


@pytest.mark.parametrize("dtype", ["u1", "i2", "V3", "f4", "f8", "c16"])
def test_filters_lose_nothing(dtype: str) -> None:
    """All pairs of filters that keep everything do, with elements of any size."""
    array = (np.arange(24_000) // 7).astype("u2").view("u1").view(dtype)
    other = np.random.default_rng(0).bytes(array.nbytes)
    for filters in _pipelines():
        params = CParams(filters=filters)
        args = params.compress_args(array.itemsize, 4800)
        chunk = blosc2.compress2(array.view("u1"), **args)
        # blosc2 leaves in its buffers what it has decoded last: it must not be the same.
        blosc2.decompress2(blosc2.compress2(other, **args), nthreads=1)
        assert content(chunk) == array.tobytes(), filters
        assert chunk[24:30] == params.header_fields(array.itemsize)[2][8:14]


@pytest.mark.parametrize(("dtype", "most"), [("f4", 23), ("f8", 52)])
def test_precision(dtype: str, most: int) -> None:
    """As many bits are kept as asked for; what blosc2 would refuse is refused by name."""
    array = SMOOTH[:1000].astype(dtype) / 7
    for bits in (1, 10, most, -1, 1 - most):
        filters = (Filter.TRUNC_PREC, Filter.SHUFFLE)
        params = CParams(filters=filters, filtersmeta=(bits, 0))
        error = np.abs(np.frombuffer(content(compress(params, array)), dtype) - array)
        kept = bits if bits > 0 else most + bits
        assert (error <= np.abs(array) * 2.0**-kept).all()
        assert error.any() == (kept < most)
    for bits in (0, most + 1, -most, -128):
        with pytest.raises(MetadataError, match="filtersmeta"):
            CParams(filters=filters, filtersmeta=(bits, 0)).compress_args(array.itemsize, 800)
    with pytest.raises(MetadataError, match="elements of 4 or 8 bytes"):
        CParams(filters=filters, filtersmeta=(5,)).compress_args(2, 800)


def test_what_cannot_be_compressed() -> None:
    """Plugins and three filters are kept, to be shown, but nothing is compressed with them."""
    for params in (CParams(33), CParams(filters=(Filter.SHUFFLE, 36))):
        with pytest.raises(MetadataError, match=r"expected one of .*, found 3[36]"):
            params.compress_args(4, BLOCK)
    with pytest.raises(MetadataError, match="at most 2 filters"):
        CParams(filters=(3, 1, 35)).compress_args(4, BLOCK)


@pytest.mark.parametrize("codec", Codec)
def test_headers_of_blosc2(codec: Codec) -> None:
    """What blosc2 states in the header of a frame is what it was told, and what we would state."""
    for number, mode in enumerate(SplitMode, 1):
        told = CParams(codec, number, (4, 2), (-9, 0), 1, codec in (1, 2, 5), mode)
        args = told.compress_args(4, 400)
        made = blosc2.asarray(SMOOTH, cparams=args, chunks=(2000,), blocks=(100,))
        header = parse_header(made.to_cframe())
        assert (header.codec, header.splitmode, header.filters) == told.header_fields(4)
        assert CParams.from_header(header) == told
    default = parse_header(blosc2.asarray(SMOOTH).to_cframe())
    assert CParams.from_header(default) == CParams(clevel=5)


def test_headers_with_plugins() -> None:
    """A plugin is found where blosc2 states it, and would be stated there."""
    cparams = {"codec": blosc2.Codec.NDLZ, "codec_meta": 4, "filters": [], "filters_meta": []}
    image = np.zeros((100, 100), "u1")
    made = blosc2.asarray(image, cparams=cparams, chunks=(50, 100), blocks=(10, 100))
    header = parse_header(made.to_cframe())
    params = CParams.from_header(header)
    assert (params.codec, params.filters) == (32, ())
    codec, _, filters = params.header_fields(1)
    assert (codec, filters[6]) == (header.codec, 32)


@given(codec=st.integers(0, 255), splitmode=st.integers(0, 255), filters=st.binary(min_size=16))
def test_any_header(codec: int, splitmode: int, filters: bytes) -> None:
    """Whatever a header states is taken for what it says, or refused as damaged."""
    header = FrameHeader(0, 0, 0, 0, 8, 0, 0, codec, splitmode, filters[:16])
    try:
        params = CParams.from_header(header)
    except CorruptFrameError:
        return
    again = params.header_fields(8)
    assert again[:2] == (codec, splitmode)
    assert [n for n in again[2][:6] if n] == [n for n in filters[:6] if n]
