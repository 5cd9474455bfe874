"""
The command line: ``storekit info``, ``storekit tree``, ``storekit copy``.

What goes wrong is one line on stderr. The status is 0 if all went well, 1 if it did not, 2 if the
command was not understood, and 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from storekit import __version__
from storekit.errors import StorekitError

__all__ = ["main"]

_DESCRIPTION = """\
Look at chunked arrays and copy them, wherever they live: Zarr arrays and groups, frames of blosc2
(.b2nd files and what holds them), on disk, over HTTP, in object storage, in zip archives."""

_SPELLED = {"overwrite=True": "--overwrite", "with source_path": "with --source-path"}
"""What messages say for those who call functions, and what the options are called here."""

_COPY = """\
Copy an array or a group. The copy is a frame of blosc2 if its name ends with .b2nd or .b2frame,
else a Zarr array or group. Where source and target are cut alike nothing is compressed anew. The
copy appears when all of it is there. Directories above it are made where they are missing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Args:
        arguments: Those of the command line; of this process by default.

    Returns:
        The status to exit with.
    """
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except (StorekitError, ImportError, OSError, ValueError) as error:
        print(f"storekit: {_line(error)}", file=sys.stderr)
        return 1
    return 0


def _line(error: Exception) -> str:
    """What is said of an error."""
    text = " ".join(str(error).split())
    for name, option in _SPELLED.items():
        text = text.replace(name, option)
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="storekit", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"storekit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_info(commands)
    _add_tree(commands)
    _add_copy(commands)
    return parser


def _add_info(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "show what an array is: type, shape, chunks, blocks, compression, metalayers"
    command = commands.add_parser("info", help=about, description=f"{about.capitalize()}.")
    _add_place(command)
    command.set_defaults(run=_info)


def _add_tree(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "show the names, shapes and types of all that is in a group"
    command = commands.add_parser("tree", help=about, description=f"{about.capitalize()}.")
    _add_place(command)
    command.set_defaults(run=_tree)


def _add_place(command: argparse.ArgumentParser) -> None:
    command.add_argument("url", metavar="URL", help="a URL, a file or a directory")
    command.add_argument("path", metavar="PATH", nargs="?", default="", help="a path in it")


def _add_copy(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "copy an array or a group, also from one format to another"
    command = commands.add_parser("copy", help=about, description=_COPY)
    command.add_argument("source", metavar="SOURCE", help="a URL, a file or a directory")
    command.add_argument("target", metavar="TARGET", help="likewise")
    add = command.add_argument
    add("--source-path", metavar="PATH", default="", help="a path in the source")
    add("--target-path", metavar="PATH", default="", help="a path, or a key, in the target")
    add(
        "--chunk",
        metavar="I,J,...",
        type=_shape,
        help="copy one chunk of a Zarr array to a .b2nd file, or such a file to the chunk",
    )
    add("--chunks", metavar="N,M,...", type=_shape, help="the shape of the chunks of the copy")
    add("--blocks", metavar="N,M,...", type=_shape, help="the shape of the blocks in each chunk")
    add("--codec", metavar="NAME", help="the compressor: blosclz, lz4, lz4hc, zlib or zstd")
    add("--clevel", metavar="N", type=int, help="its level, from 0 (store) to 9 (smallest)")
    add(
        "--filters",
        metavar="A,B",
        type=_names,
        help="what precedes it, such as shuffle, bitshuffle, delta, nofilter",
    )
    add("--codecs", metavar="PRESET", help="of a Zarr copy: b2nd, zstd, blosc, gzip or none")
    add("--overwrite", action="store_true", help="remove what is at the target")
    command.set_defaults(run=_copy)


def _shape(text: str) -> tuple[int, ...]:
    """Lengths with commas between them."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected integers such as 100,200, found {text!r}"
        ) from None


def _names(text: str) -> list[str]:
    return text.split(",")


def _info(parsed: argparse.Namespace) -> None:
    from storekit.nodes.describe import describe
    from storekit.nodes.opening import open

    print(describe(open(parsed.url, parsed.path, mode="r")))


def _tree(parsed: argparse.Namespace) -> None:
    from storekit.nodes.group import Group
    from storekit.nodes.opening import open

    node = open(parsed.url, parsed.path, mode="r")
    print(node.tree() if isinstance(node, Group) else node.summary)


def _copy(parsed: argparse.Namespace) -> None:
    from storekit.nodes.interchange import copy

    options = {name: value for name, value in vars(parsed).items() if name != "run"}
    copy(options.pop("source"), options.pop("target"), **options)
