"""The command line: what it shows, what it copies, and how it fails."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import blosc2
import numpy as np
import pytest

import storekit as sk
from storekit import frames
from storekit.cli import main

DATA = np.arange(40 * 50, dtype="f4").reshape(40, 50)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a file of blosc2's and a Zarr group, which is the current one."""
    monkeypatch.chdir(tmp_path)
    made = blosc2.asarray(
        DATA, chunks=(20, 50), blocks=(5, 50), meta={"mine": b"x"}, urlpath="x.b2nd", mode="w"
    )
    made.schunk.vlmeta["units"] = "K"
    group = sk.ZarrGroup.create(sk.LocalStore(tmp_path / "z.zarr"), attributes={"title": "t"})
    group.create_array("sub/a", data=DATA, chunks=(20, 50), attributes={"units": "K"})
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """What `info` shows, by label."""
    assert main(["info", *arguments]) == 0
    out = capsys.readouterr().out
    return dict((part.strip() for part in line.split(" : ", 1)) for line in out.splitlines())


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command that fails leaves."""
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


# --- info and tree --------------------------------------------------------------------------------


@pytest.mark.usefixtures("place")
def test_info_of_a_frame_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has what caterva's has, and sizes and checksums."""
    rows = shown(capsys, "x.b2nd")
    assert rows.pop("Comp. ratio")
    assert int(rows.pop("Stored bytes")) == os.path.getsize("x.b2nd")
    assert rows == {
        "Type": "NDArray (Blosc)",
        "Itemsize": "4",
        "Data type": "float32",
        "Shape": "(40, 50)",
        "Chunks": "(20, 50)",
        "Blocks": "(5, 50)",
        "Comp. codec": "ZSTD",
        "Comp. level": "5",
        "Comp. filters": "[SHUFFLE]",
        "Meta": "[mine]",
        "VLMeta": "[units]",
        "Bytes": "8000",
        "Chunks in all": "2",
        "Checksums": "none (last written by another program)",
    }


@pytest.mark.usefixtures("place")
def test_info_of_other_frames(capsys: pytest.CaptureFixture[str]) -> None:
    """All files of a sparse frame are counted; bytes are no array; a chunk file has checksums."""
    for array in (DATA, np.zeros_like(DATA)):
        frames.save(array, "sparse", contiguous=False, chunks=(7, 50), mode="w")
        files = sum(file.stat().st_size for file in Path("sparse").iterdir())
        assert int(shown(capsys, "sparse")["Stored bytes"]) == files
    frames.save_array(DATA, "x.b2frame")
    assert shown(capsys, "x.b2frame")["Type"] == "SChunk (Blosc)"
    rows = shown(capsys, "z.zarr/sub/a/c/0/0")
    assert rows["Checksums"] == "yes"
    assert "Meta" not in rows


@pytest.mark.usefixtures("place")
def test_info_of_a_zarr_array_says_what_is_stored(capsys: pytest.CaptureFixture[str]) -> None:
    """The table names chunks, blocks and codecs, and counts the chunks that are stored."""
    array = sk.open("z.zarr")["sub/a"]
    array[:20] = 0
    rows = shown(capsys, "z.zarr", "sub/a")
    assert rows["Type"] == "ZarrArray (Zarr v3)"
    assert rows["Data type"] == "float32"
    assert (rows["Chunks"], rows["Blocks"]) == ("(20, 50)", "(20, 50)")
    assert rows["Codec 1"].startswith('storekit.b2nd {"cname": "zstd"')
    assert rows["Stored chunks"] == "1 of 2"
    assert int(rows["Stored bytes"]) == array.stored_nbytes()
    assert rows["Attributes"] == "[units]"


def test_info_of_shards_counts_shards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where chunks are in shards the table has both, and counts what is stored."""
    store = sk.LocalStore(tmp_path)
    sk.ZarrArray.create(store, data=DATA, chunks=(10, 25), shards=(20, 50), codecs="zstd")
    rows = shown(capsys, str(tmp_path))
    assert (rows["Chunks"], rows["Shards"]) == ("(10, 25)", "(20, 50)")
    assert rows["Stored shards"] == "2 of 2"
    assert rows["Codec 1"].startswith("sharding_indexed")


@pytest.mark.usefixtures("place")
def test_info_of_a_group_names_what_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a group the table has the names of groups, arrays and attributes."""
    assert shown(capsys, "z.zarr") == {
        "Type": "ZarrGroup (Zarr v3)",
        "Path": "/",
        "Groups": "[sub]",
        "Arrays": "[]",
        "Attributes": "[title]",
    }


@pytest.mark.usefixtures("place")
def test_tree_shows_all_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """The tree of a group is that of `Group.tree`; an array is one line."""
    assert main(["tree", "z.zarr"]) == 0
    assert capsys.readouterr().out == sk.open("z.zarr").tree() + "\n"
    assert main(["tree", "x.b2nd"]) == 0
    assert "40 x 50" in capsys.readouterr().out
    frames.save(DATA, "sparse.b2nd", contiguous=False)
    assert main(["tree", "sparse.b2nd"]) == 0
    assert capsys.readouterr().out.startswith("sparse.b2nd  40 x 50")


# --- copy -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("place")
def test_copies_go_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    """A frame becomes a Zarr array and the reverse, without a word."""
    assert main(["copy", "x.b2nd", "y.zarr"]) == 0
    assert main(["copy", "y.zarr", "y.b2nd"]) == 0
    assert main(["copy", "z.zarr", "z.b2nd", "--source-path", "sub/a"]) == 0
    assert main(["copy", "x.b2nd", "z.zarr", "--target-path", "sub/b"]) == 0
    assert capsys.readouterr() == ("", "")
    for path in ("y.b2nd", "z.b2nd"):
        copied = blosc2.open(path)
        np.testing.assert_array_equal(copied[...], DATA)
        assert copied.schunk.vlmeta["units"] == "K"
    assert [*sk.open("z.zarr")["sub"]] == ["a", "b"]


@pytest.mark.usefixtures("place")
def test_options_of_copy_are_those_of_the_function() -> None:
    """Chunks, blocks and compression come to be what was asked for."""
    options = "--chunks 10,10 --blocks 5,10 --codec lz4 --clevel 7 --filters bitshuffle"
    assert main(["copy", "x.b2nd", "y.b2nd", *options.split()]) == 0
    info = sk.open("y.b2nd").info
    assert (info["Chunks"], info["Blocks"]) == ((10, 10), (5, 10))
    assert (info["Comp. codec"], info["Comp. level"]) == ("LZ4", 7)
    assert info["Comp. filters"] == ["BITSHUFFLE"]
    assert main(["copy", "x.b2nd", "y.zarr", "--codecs", "gzip"]) == 0
    assert sk.open("y.zarr").codecs[-1].name == "gzip"
    assert main(["copy", "z.zarr", "c.b2nd", "--source-path", "sub/a", "--chunk", "1,0"]) == 0
    np.testing.assert_array_equal(sk.open("c.b2nd")[...], DATA[20:])


# --- how it fails ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("place")
def test_errors_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be done is said in one line on stderr, and the status is 1."""
    assert "there is no file" in failed(capsys, "info", "nothing.zarr")
    assert "nothing" in failed(capsys, "info", "z.zarr", "nothing")
    Path("notes").write_text("no frame")
    assert "'notes' is no frame, no archive" in failed(capsys, "info", "notes")
    if os.path.exists("/proc/self"):
        assert "no file can be made" in failed(capsys, "copy", "x.b2nd", "/proc/x.b2nd")
    assert "already" in failed(capsys, "copy", "z.zarr", "x.b2nd", "--source-path", "sub/a")
    assert "one array" in failed(capsys, "copy", "z.zarr", "g.b2nd")
    assert "codec" in failed(capsys, "copy", "x.b2nd", "y.b2nd", "--codec", "nix")
    assert "nix" in failed(capsys, "info", "nix://host/x.b2nd")
    with open("bad.b2nd", "wb") as file:
        file.write(b"no frame at all" * 100)
    assert failed(capsys, "info", "bad.b2nd").startswith("storekit: ")
    np.testing.assert_array_equal(blosc2.open("x.b2nd")[...], DATA)


@pytest.mark.usefixtures("place")
def test_what_is_there_goes_only_if_asked() -> None:
    """`--overwrite` puts the copy in the place of what was there."""
    assert main(["copy", "x.b2nd", "z.zarr", "--overwrite"]) == 0
    np.testing.assert_array_equal(sk.open("z.zarr")[...], DATA)


@pytest.mark.parametrize(
    "arguments",
    [[], ["nix"], ["info"], ["copy", "a"], ["copy", "a", "b", "--chunks", "1,x"], ["tree", "-x"]],
    ids=str,
)
def test_what_is_not_understood_is_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong commands and arguments end with the usage, before anything is opened."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: storekit")


def test_ctrl_c_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a command without a traceback."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("storekit.nodes.opening.open", stop)
    assert main(["info", "x"]) == 130


def test_the_page_keeps_its_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands on the page run, and show what it says they show."""
    page = Path(__file__).parent.parent / "docs" / "how-to" / "use-the-command-line.md"
    monkeypatch.chdir(tmp_path)
    fences = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    for kind, body in fences:
        if kind == "python":
            exec(body, {})
        elif kind == "sh":
            capsys.readouterr()
            for line in body.splitlines():
                program, *arguments = shlex.split(line)
                assert (program, main(arguments)) == ("storekit", 0)
        else:
            assert capsys.readouterr().out == body
    np.testing.assert_array_equal(sk.open("copy.zarr")["t2m"][40:], sk.open("t2m.b2nd")[20:40])


# --- as a program ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("place")
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """A closed pipe at the other end of stdout leaves nothing on stderr."""
    with subprocess.Popen(
        [sys.executable, "-m", "storekit", "info", "x.b2nd"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_help_needs_nothing_heavy() -> None:
    """The help of every command is shown without numpy or blosc2."""
    code = (
        "import sys\n"
        "from storekit.cli import main\n"
        "for command in ([], ['info'], ['tree'], ['copy']):\n"
        "    try:\n"
        "        main([*command, '--help'])\n"
        "    except SystemExit as end:\n"
        "        assert end.code == 0\n"
        "assert not {'numpy', 'blosc2', 'msgpack'} & {*sys.modules}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("info", "tree", "copy", "--overwrite", "--chunk "):
        assert word in done.stdout


def test_the_entry_point_is_main() -> None:
    """The installed command ``storekit`` is `storekit.cli.main`, once the package is installed."""
    import tomllib

    text = (Path(sk.__file__).parent.parent / "pyproject.toml").read_text()
    assert tomllib.loads(text)["project"]["scripts"] == {"storekit": "storekit.cli:main"}
    installed = entry_points(group="console_scripts").select(name="storekit")
    assert all(entry.load() is main for entry in installed)
