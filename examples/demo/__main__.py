"""
Real terrain as a pyramid of arrays: written to disk, read back, read over a slow link, drawn.

    python -m examples.demo [--output FOLDER] [--delay SECONDS] [--chunk PIXELS]

`make demo` runs it. Every number it prints was measured in that run, and every array it read was
compared with the source; it ends with status 1 if one of them differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blosc2
import numpy as np

import storekit as sk
from examples.demo.picture import draw
from examples.demo.terrain import IntArray, Terrain, Window, load_terrain, pyramid


def write_pyramid(
    store: sk.LocalStore, terrain: Terrain, levels: list[IntArray], chunk: int
) -> sk.ZarrGroup:
    """Write a group with an array for every level, and one document that describes them all."""
    root = sk.ZarrGroup.create(
        store,
        overwrite=True,
        attributes={
            "title": "Terrain around the Jacksboro fault, Tennessee",
            "source": "matplotlib sample data, jacksboro_fault_dem.npz",
            "levels": [str(level) for level in range(len(levels))],
        },
    )
    for level, data in enumerate(levels):
        y, x = (size * 2**level for size in terrain.pixel_size)
        root.create_array(
            str(level),
            data=data,
            chunks=(chunk, chunk),
            dimension_names=("y", "x"),
            attributes={
                "units": "m",
                "pixel_size": {"y": round(y, 2), "x": round(x, 2), "units": "m"},
                "origin": {"latitude": terrain.north, "longitude": terrain.west},
            },
        )
    root.consolidate()
    return root


def read_windows(root: sk.ZarrGroup, count: int, place: tuple[float, float]) -> list[Window]:
    """Zoom in as a viewer would: from each level a window of about the size of the last level."""
    last = root[str(count - 1)].shape
    asked = []
    for level in reversed(range(count)):
        array = root[str(level)]
        rows, columns = (
            slice(start, start + size)
            for start, size in (
                (min(max(round(at * n) - size // 2, 0), n - size), size)
                for at, n, size in zip(place, array.shape, last, strict=True)
            )
        )
        asked.append((level, rows, columns, array.read_future((rows, columns))))
    return [Window(level, rows, cols, future.result()) for level, rows, cols, future in asked]


def read_slowly(array: sk.ZarrArray) -> dict[str, tuple[float, IntArray]]:
    """The same chunks one by one, by futures, and in one read: each with its seconds."""
    places = list(np.ndindex(array.cdata_shape))

    def one_by_one() -> IntArray:
        return joined(array, [array.get_chunk(place) for place in places])

    def by_futures() -> IntArray:
        futures = [array.get_chunk_future(place) for place in places]
        return joined(array, [future.result() for future in futures])

    return {
        "one by one": timed(one_by_one),
        "futures": timed(by_futures),
        "one read": timed(array.read),
    }


def joined(array: sk.ZarrArray, chunks: list[IntArray]) -> IntArray:
    """The chunks of a 2-d array side by side, without what lies beyond its edge."""
    rows, columns = array.cdata_shape
    grid = [chunks[row * columns : (row + 1) * columns] for row in range(rows)]
    height, width = array.shape
    return np.block(grid)[:height, :width]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds that a call takes, and its result."""
    start = sk.REAL_CLOCK.now()
    result = call()
    return sk.REAL_CLOCK.now() - start, result


def open_with_blosc2(store: sk.LocalStore, array: sk.ZarrArray) -> str:
    """Open the file of the first chunk with blosc2 alone, and compare."""
    file = Path(store.path, array.stored_keys()[0])
    frame = blosc2.open(str(file), mode="r")
    check("the chunk that blosc2 opened", frame[...], array.get_chunk((0, 0)))
    return f"blosc2.open('{file}') gives {frame.shape} {frame.dtype}, the same elements"


def check(what: str, found: Any, source: Any) -> None:
    """End the program if what was read is not the source."""
    if not np.array_equal(found, source):
        sys.exit(f"{what} differs from the source")


def sizes(root: sk.ZarrGroup) -> str:
    """For every level: chunks, bytes in memory and on disk."""
    lines = ["level       shape   chunks     memory       disk   ratio"]
    for name in root:
        array = root[name]
        stored = array.stored_nbytes()
        shape = " x ".join(map(str, array.shape))
        lines.append(
            f"{name:>5}  {shape:>10}   {array.nchunks:>6}  {array.nbytes:>7} B  {stored:>7} B"
            f"   {array.nbytes / stored:>5.2f}"
        )
    return "\n".join(lines)


def times(slow: dict[str, tuple[float, IntArray]]) -> str:
    """How long each way of reading took, and how many times as fast as the first it was."""
    first = slow["one by one"][0]
    lines: list[str] = []
    for way, (seconds, _) in slow.items():
        gain = f"   {first / seconds:.1f} times as fast" if lines else ""
        lines.append(f"  {way:<10}  {seconds * 1000:>6.0f} ms{gain}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Do all of it, and say so."""
    options = parse(argv)
    store = sk.LocalStore(options.output / "terrain")  # blosc2 takes what is in "*.zarr" for Zarr
    terrain = load_terrain()
    levels = pyramid(terrain.elevation, options.chunk)
    north, west = terrain.elevation.shape
    print(f"Source: elevations around the Jacksboro fault, {north} x {west} samples of about 90 m.")

    seconds, _ = timed(lambda: write_pyramid(store, terrain, levels, options.chunk))
    print(f"\nWrote a pyramid of {len(levels)} levels to {store.path}: {seconds * 1000:.0f} ms.\n")

    root = sk.open_zarr(store)  # one request: the group's document describes the arrays, too
    root.print_tree()
    print("\n" + sizes(root))
    for level, data in enumerate(levels):
        check(f"level {level}", root[str(level)][...], data)

    windows = read_windows(root, len(levels), (0.42, 0.56))
    for window in windows:
        source = levels[window.level][window.rows, window.columns]
        check(f"the window of level {window.level}", window.data, source)
    print(f"\nRead {len(levels)} levels, and a window of each by futures: equal to the source.")
    print(open_with_blosc2(store, root["0"]) + ".")

    far = sk.open_zarr(sk.SlowStore(store, base_delay=options.delay))["0"]
    slow = read_slowly(far)
    for way, (_, found) in slow.items():
        check(f"what was read from the slow store, {way},", found, levels[0])
    delay = f"{options.delay * 1000:g} ms"
    print(f"\nThe {far.nchunks} chunks of level 0, when every request takes {delay}:")
    print(times(slow))

    picture = options.output / "terrain.png"
    draw(picture, terrain, windows, options.chunk, {k: t for k, (t, _) in slow.items()})
    print(f"\nPicture: {picture}")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--delay", type=float, default=0.02, help="seconds per slow request")
    parser.add_argument("--chunk", type=int, default=64, help="samples along a chunk's side")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
