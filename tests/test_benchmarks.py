"""The benchmark program itself, on data too small to measure anything."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("deflate", reason="the benchmarks need the `bench` extra")

from benchmarks import memory, page, plots, report
from benchmarks.__main__ import main
from benchmarks.adapters import Handle, UnsupportedError, load
from benchmarks.adapters.limit import Limit
from benchmarks.adapters.storekit import Storekit
from benchmarks.data import field
from benchmarks.env import QUICK, Env, environment
from benchmarks.growth import measure_growth
from benchmarks.layout import B2ND, CODECS, Layout
from benchmarks.measure import Cell, Row, measure
from benchmarks.profile import KINDS, shares
from benchmarks.remote.rows import QUICK as QUICK_REMOTE
from benchmarks.workloads import WORKLOADS, Trial, Workload, WrongResultError, files, tree
from benchmarks.workloads.base import expect

TINY = dataclasses.replace(
    QUICK,
    bulk=(64, 64, 128),
    gzip=(64, 64, 64),
    small=(32, 32, 32),
    shards=(64, 64, 64),
    points=5,
    windows=2,
    updates=2,
    frames=1,
    nodes=3,
    edge=32,
    grown=100,
    share=0.0,
    sampled=0.1,
    seconds=0.0,
    rounds=2,
)
LAYOUTS = [Layout((40, 33, 20), (16, 16, 16), codec) for codec in CODECS]


@pytest.fixture
def env() -> Iterator[Env]:
    """Folders for a very small run."""
    with environment(TINY) as env:
        yield env


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.codec)
@pytest.mark.parametrize(
    "selection", [..., (slice(3, 30), slice(0, 33), 7), (39, 32, 19)], ids=["all", "box", "point"]
)
def test_limit_reads_what_zarr_reads(env: Env, layout: Layout, selection: tuple[int, ...]) -> None:
    """The bare loop and zarr-python find the same values in the same files."""
    zarr_python = pytest.importorskip("benchmarks.adapters.zarr_python").ZarrPython()
    path = env.stored(zarr_python, layout)
    for library in (zarr_python, Limit()):
        expect(library.open(path, layout).read(selection), field(layout.shape)[selection])


@pytest.mark.slow
def test_every_row_runs_the_bare_loop(env: Env) -> None:
    """
    Every row is measured for `limit`, and its results are right; but for the one that imports, and
    those of single files that are about more than whole arrays.
    """
    rows = [measure(workload, [Limit()], env) for workload in WORKLOADS]
    assert report.failures(rows) == []
    missing = [row.name for row in rows if not row.cells]
    assert missing.pop() == "import and first read, beyond numpy"
    assert missing == [
        "b2nd file, open",
        "b2nd file, random points, one by one",
        "b2nd file, random points, one vindex",
        "b2nd file, random 16^3 windows",
        "b2nd file, update one element",
        "b2nd file, append, aligned",
    ]


@pytest.mark.parametrize("codec", B2ND)
def test_limit_reads_the_frames_that_storekit_writes(env: Env, codec: str) -> None:
    """The bare loop finds the chunk within a frame, checksums or not."""
    layout = Layout((40, 33, 20), (16, 16, 16), codec)
    path = env.fresh()
    Storekit().create(path, layout).write(..., field(layout.shape))
    expect(Limit().open(path, layout).read(...), field(layout.shape))


@pytest.mark.parametrize("name", ["storekit", "limit", "blosc2"])
def test_one_chunk_survives_its_frame(name: str) -> None:
    """Every coder of single chunks gives back what it was given."""
    ((adapter,), _) = load([name])
    coder = adapter.frames(Layout((8, 8, 8), (8, 8, 8), "b2nd lz4"))
    chunk = field((8, 8, 8))
    expect(coder.decode(coder.encode(chunk)), chunk)


def test_zarr_python_uses_the_pipeline_of_its_column(env: Env) -> None:
    """The fused pipeline stays with the arrays opened under its name, and reads what is there."""
    module = pytest.importorskip("benchmarks.adapters.zarr_fused", exc_type=ImportError)
    layout = Layout((40, 33, 20), (16, 16, 16), "lz4")
    handles = [
        module.ZarrFused().open(env.stored(Limit(), layout), layout),
        module.ZarrFused().load(env.files(layout), layout),
    ]
    for handle in handles:
        pipeline = type(handle._array.async_array.codec_pipeline).__name__
        assert pipeline == "FusedCodecPipeline"
        expect(handle.read(...), field(layout.shape))


def test_documents_for_the_first_time_differ_from_round_to_round() -> None:
    """No two trees that count as unseen have a shape in common."""
    one, other = (set(tree.members(50, unseen=True).values()) for _ in range(2))
    assert len(one | other) == 100


@pytest.mark.slow
def test_growth_counts_up_to_the_end_for_storekit_only(env: Env) -> None:
    """storekit and the bare loop have a point for each count; a peer that takes long has one."""

    class Peer(Limit):
        name = "peer"

    series = measure_growth([Storekit(), Limit(), Peer()], env)
    assert report.growth_failures(series) == []
    for entry in series:
        lines = {name: [n for n, _ in points] for name, points in entry["lines"].items()}
        assert lines["storekit"] == lines["limit"] == [10, 100]
        assert lines["peer"] == [10]
        assert all(seconds > 0 for points in entry["lines"].values() for _, seconds in points)


@pytest.mark.parametrize("number", [0, -1], ids=["read", "write in shards"])
def test_memory_is_what_the_process_grew_beyond_the_output(
    env: Env, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A process of its own tells by how much it grew, and that the result was right."""
    row = memory.ROWS[number]
    monkeypatch.setattr(memory, "ROWS", [row])
    found = memory.measure_memory([Limit()], env)[row.name]
    assert found["unit"] == 4 * 32**3
    grown = found["cells"]["limit"]
    if isinstance(grown, str):
        pytest.skip(grown)
    assert abs(grown) < 16 * found["unit"]


def test_a_failure_in_a_process_of_its_own_is_reported(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a library did wrong stands in its cell of the memory table."""
    monkeypatch.setattr(memory, "ROWS", memory.ROWS[:1])
    monkeypatch.setattr(memory, "_stored", lambda *_: env.disk / "nothing")
    found = memory.measure_memory([Limit()], env)
    (failure,) = report.memory_failures(found)
    assert failure.startswith("read, uncompressed: limit: FileNotFoundError")
    assert "FAILED" in report.memory(found, ["limit"])


def test_samples_count_for_what_was_running() -> None:
    """A sample belongs to its innermost function, unless a thread waits for another there."""
    leaves = {
        "codec": ["LZ4_decompress_safe (/lib/blosc2_ext.abi3.so)", "main (/bin/python3.12)"],
        "copy": ["__memmove_avx512_unaligned_erms (/lib/libc.so.6)"],
        "system": ["clear_page_erms ([kernel.kallsyms])", "main (/bin/python3.12)"],
        "locks": ["_raw_spin_lock ([kernel.kallsyms])", "futex_wake ([kernel.kallsyms])"],
        "Python": ["_PyEval_EvalFrameDefault (/lib/libpython3.11.so.1.0)"],
    }
    sample = "\n\n".join(
        "\n".join(f"\t    7f00{i:x} {frame}" for i, frame in enumerate(frames))
        for frames in leaves.values()
    )
    copies = "\n\n\t  7f _contig_to_contig (/lib/_multiarray_umath.cpython-312-x86_64.so)\n"
    found = shares(sample + copies)
    assert found == {kind: 2 / 6 if kind == "copy" else 1 / 6 for kind in KINDS}


def test_wrong_result_is_a_failure(env: Env) -> None:
    """A library whose result is not the source data has no time, only a failure."""

    class Liar(Limit):
        name = "liar"

        def load(self, files: object, layout: Layout) -> Handle:
            raise WrongResultError("3 of 8 values differ")

    row = next(w for w in WORKLOADS if "memory" in w.name)
    cells = measure(row, [Liar(), Limit()], env).cells
    assert cells["liar"].failure == "WrongResultError: 3 of 8 values differ"
    assert len(cells["limit"].seconds) == TINY.rounds


def test_unsupported_work_leaves_no_cell(env: Env) -> None:
    """What a library does not offer is missing in its row, not failed."""

    def prepare(env: Env, adapter: object) -> Trial:
        raise UnsupportedError

    assert measure(Workload("none has it", "ms", prepare), [Limit()], env).cells == {}


def test_values_that_differ_are_found() -> None:
    """One wrong value, another shape or another type is a wrong result."""
    source = np.ones((2, 3), "f4")
    expect(source.copy(), source)
    for wrong in (source.T, source.astype("f8"), np.array([[1, 1, 1], [1, 1, 2]], "f4")):
        with pytest.raises(WrongResultError):
            expect(wrong, source)


def test_absent_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that cannot be imported is reported with the reason, and the run goes on."""
    monkeypatch.setitem(__import__("sys").modules, "benchmarks.adapters.h5py", None)
    present, absent = load(["limit", "h5py"])
    assert [adapter.name for adapter in present] == ["limit"]
    assert "h5py" in absent["h5py"]


def test_ratios_are_storekit_over_the_others() -> None:
    """The last columns divide storekit's time by the best Zarr peer's, the best's, the limit's."""
    seconds = {"storekit": 2e-3, "limit": 1e-3, "tensorstore": 4e-3, "blosc2": 3e-3}
    row = Row("read", "ms", {name: Cell([s, s, s]) for name, s in seconds.items()})
    assert report.line(row, ["storekit", "zarrs"]) == (
        "| read (ms) | 2 ±0% | - | 0.50 (tensorstore) | 0.67 (blosc2) | 2.00 |"
    )


def test_json_keeps_every_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON file holds the samples behind the medians of the table."""
    file = tmp_path / "bench.json"
    rows = "^random points, one by one$"
    assert main(["--quick", "--adapters", "limit", "--rows", rows, "--json", str(file)]) == 0
    (row,) = json.loads(file.read_text())["rows"]
    assert row["name"] == rows[1:-1]
    assert len(row["cells"]["limit"]["seconds"]) >= 3
    assert rows[1:-1] in capsys.readouterr().out


def test_a_page_is_filled_between_its_markers_only() -> None:
    """What stands around the markers stays, and filling twice changes nothing more."""
    text = "by hand\n<!-- bench: a -->\nold\n<!-- end: a -->\nby hand\n"
    filled = page.fill(text, {"a": r"\1 new"})
    assert filled == "by hand\n<!-- bench: a -->\n\n\\1 new\n\n<!-- end: a -->\nby hand\n"
    assert page.fill(filled, {"a": r"\1 new"}) == filled
    with pytest.raises(ValueError, match="0 places for 'b'"):
        page.fill(text, {"b": "new"})


def test_a_run_fills_the_page_of_the_documentation(tmp_path: Path) -> None:
    """Every part of a run has a place in the page, and the pictures stand where it shows them."""
    seconds = {"storekit": 2e-3, "limit": 1e-3, "tensorstore": 4e-3}
    cells = {name: Cell([s] * 3, [s] * 3) for name, s in seconds.items()}
    single = files.WORKLOADS[0].name
    rows = [Row(name, "ms", cells) for name in ("read", single)]
    panel = {"lines": {"storekit": [(10, 1e-6), (100, 1e-6)]}, "failures": {}}
    run = {
        "machine": "a machine",
        "quick": True,
        "versions": {"tensorstore": "1.0"},
        "absent": {"zarrs": "not there"},
        "columns": list(seconds),
        "rows": report.as_json(rows),
        "memory": {"read": {"unit": 1 << 20, "cores": 2, "cells": {"limit": 3 << 20}}},
        "growth": [{"name": f"of {of}", "of": of, **panel} for of in ("chunks", "nodes")],
        "profile": {"read": dict.fromkeys(KINDS, 0.2)},
    }
    cell = {"seconds": [0.05] * 3, "cpu": [0.002] * 3, "failure": None}
    cell["counts"] = [{"requests": 7, "connections": 2, "at_once": 3, "sent": 1 << 20}]
    about = {key: run[key] for key in ("machine", "quick", "versions", "absent")}
    sizes = dataclasses.asdict(QUICK_REMOTE)
    run["remote"] = {**about, "sizes": sizes, "rows": {"far": {"storekit, HTTPStore": cell}}}
    (tmp_path / "run.json").write_text(json.dumps(run))
    target = tmp_path / "docs" / "explanations" / "performance.md"
    target.parent.mkdir(parents=True)
    target.write_text(page.PAGE.read_text())
    assert page.main([str(tmp_path / "run.json"), "--page", str(target)]) == 0
    text = target.read_text()
    for line in (
        "a machine; tensorstore 1.0; small data (`--quick`)",
        "absent: zarrs (not there)",
        "| read (ms) | 2 ±0% | 1 ±0% | 4 ±0% | 0.50 (tensorstore) | 0.50 (tensorstore) | 2.00 |",
        "| read (ms) | 2 | 1 | 4 |",
        f"| {single} (ms) | 2 ±0% | 1 ±0% | 4 ±0% |",
        "| read (1 MiB) | - | 3, 1.50 | - |",
        "| of chunks | 1 | 1 |",
        "| **storekit, HTTPStore** | 50 ±0% | 1.00 | 2 | 7 | 2 | 3 | 1 |",
        "| read | 60.0% | 20.0% | 20.0% | 20.0% | 20.0% | 20.0% |",
    ):
        assert line in text
    shown = re.findall(r"!\[.*\]\((.*)\)", text)
    assert len(shown) == 3
    assert all((target.parent / picture).is_file() for picture in shown)
    one, other = (text.partition(f"<!-- bench: {part} -->")[2] for part in ("times", "frames"))
    assert single not in one.partition("<!-- end: times -->")[0]
    assert "| read (ms)" not in other.partition("<!-- end: frames -->")[0]


def test_a_picture_of_the_same_run_is_the_same_file(tmp_path: Path) -> None:
    """A picture depends on the run alone, so that a new one in the history means new figures."""
    rows = [Row("read", "ms", {name: Cell([1e-3] * 3) for name in ("storekit", "limit")})]
    pictures = [tmp_path / name for name in ("one.svg", "two.svg")]
    for picture in pictures:
        plots.draw_ratios(rows, picture)
    assert pictures[0].read_text() == pictures[1].read_text()
    assert "<svg" in pictures[0].read_text()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--rows", "zzz"], "no row matches"),
        (["--rows", "["], "no regular expression"),
        (["--rows", "open", "--json", "/nonexistent/run.json"], "no such folder"),
    ],
)
def test_a_mistake_is_told_before_anything_is_measured(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot work ends at once, with the reason, and not after minutes."""
    with pytest.raises(SystemExit):
        main(arguments)
    assert reason in capsys.readouterr().err
