"""The demo does what it says."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import storekit as sk
from examples.demo.terrain import halved, pyramid

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the demo printed, and the folder that it filled."""
    output = tmp_path_factory.mktemp("demo")
    options = ["--output", str(output), "--delay", "0.004", "--chunk", "100"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "examples.demo", *options],
        cwd=ROOT,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, output


def test_it_says_what_it_did(demo: tuple[str, Path]) -> None:
    """The text names the tree, the sizes, blosc2, the times and the picture."""
    text, output = demo
    for part in ("└── 2  86 x 100", "ratio", "blosc2.open", "one by one", "times as fast"):
        assert part in text
    assert f"Picture: {output / 'terrain.png'}" in text


def test_it_leaves_a_pyramid(demo: tuple[str, Path]) -> None:
    """Every level is half of the one before, in metres, with names for its dimensions."""
    root = sk.open_zarr(sk.LocalStore(demo[1] / "terrain"))
    assert list(root) == root.attributes["levels"] == ["0", "1", "2"]
    assert "consolidated_metadata" in root.metadata
    for name in root:
        array = root[name]
        assert (array.dimension_names, array.attributes["units"]) == (("y", "x"), "m")
        assert array.attributes["pixel_size"]["y"] == pytest.approx(92.77 * 2 ** int(name), 1e-3)
    for fine, coarse in (("0", "1"), ("1", "2")):
        assert np.array_equal(halved(root[fine][...]), root[coarse][...])


def test_it_leaves_a_picture(demo: tuple[str, Path]) -> None:
    """The picture has some size, and more than one colour."""
    from matplotlib.image import imread

    picture = imread(demo[1] / "terrain.png")
    assert picture.shape[0] > 500
    assert len(np.unique(picture[::7, ::7].reshape(-1, picture.shape[2]), axis=0)) > 500


def test_it_can_be_run_again(demo: tuple[str, Path]) -> None:
    """A second run replaces what the first left."""
    from examples.demo.__main__ import main

    main(["--output", str(demo[1]), "--delay", "0", "--chunk", "200"])
    root = sk.open_zarr(sk.LocalStore(demo[1] / "terrain"))
    assert [root[name].chunks for name in root] == [(200, 200)] * 3


def test_a_pyramid_ends_with_its_smallest_level() -> None:
    """Halving stops at the size asked for, and keeps means."""
    levels = pyramid(np.arange(9 * 5, dtype="i2").reshape(9, 5), 2)
    assert [level.shape for level in levels] == [(9, 5), (4, 2), (2, 1)]
    assert levels[1].tolist() == [[3, 5], [13, 15], [23, 25], [33, 35]]
