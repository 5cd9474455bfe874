"""Run a demo by its name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from storekit.demo import network
from storekit.errors import MissingExtraError


def main() -> None:
    """Read the arguments, and run."""
    parser = argparse.ArgumentParser(prog="python -m storekit.demo")
    demos = parser.add_subparsers(required=True, metavar="DEMO")
    about = "one array over five networks, by 1, 8 and 64 requests at once, in virtual time"
    command = demos.add_parser("network", help=about, description=about)
    command.add_argument(
        "--output",
        type=Path,
        default=Path("network.svg"),
        help="the picture (default: %(default)s)",
    )
    command.add_argument(
        "--no-real",
        action="store_true",
        help="leave out the run in real time, which takes a second",
    )
    arguments = parser.parse_args()
    try:
        network.run(arguments.output, real=not arguments.no_real)
    except MissingExtraError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
