"""The benchmark program itself, on data too small to measure anything."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("deflate", reason="the benchmarks need the `bench` extra")

from benchmarks import report
from benchmarks.__main__ import main
from benchmarks.adapters import Handle, UnsupportedError, load
from benchmarks.adapters.limit import Limit
from benchmarks.data import field
from benchmarks.env import QUICK, Env, environment
from benchmarks.layout import CODECS, Layout
from benchmarks.measure import Cell, Row, measure
from benchmarks.workloads import WORKLOADS, Trial, Workload, WrongResultError
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


def test_every_row_runs_the_bare_loop(env: Env) -> None:
    """Every row but the one that imports is measured for `limit`, and its results are right."""
    rows = [measure(workload, [Limit()], env) for workload in WORKLOADS]
    assert report.failures(rows) == []
    assert [row.name for row in rows if not row.cells] == ["import and first read, beyond numpy"]


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
    rows = "random points, one by one"
    assert main(["--quick", "--adapters", "limit", "--rows", rows, "--json", str(file)]) == 0
    (row,) = json.loads(file.read_text())["rows"]
    assert row["name"] == rows
    assert len(row["cells"]["limit"]["seconds"]) >= 3
    assert rows in capsys.readouterr().out
