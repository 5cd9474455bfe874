"""Ctrl-C in the midst of many requests: the program ends, and asks for nothing more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from servers.raw_server import Behaviour, Exchange, RawServer, running, stall_before, stall_inside

from storekit import MemoryStore, ZarrGroup

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process")

WIDTH = 8
"""Requests at once."""

# A day of patience: a program that waits for an answer, or tries again, is still there when the
# test gives up.
PROGRAM = """
import asyncio, concurrent.futures, signal, sys
import storekit as sk

def interrupt(*args):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # one must be enough
    signal.default_int_handler(*args)

signal.signal(signal.SIGINT, interrupt)
store = sk.HTTPStore({url!r}, concurrency={width}, timeout=(60, 86400))
group = sk.ZarrGroup(store)
array = sk.ZarrArray(store, "a")

async def read():
    await asyncio.wrap_future(array.read_future())

{statement}
"""

STATEMENTS = {
    "read": "array[...]",
    "result": "array.read_future().result()",
    "exception": "array.read_future().exception()",
    "wait": "concurrent.futures.wait([array.read_future() for _ in range(20)])",
    "asyncio": "asyncio.run(read())",
    "caught": "try:\n    array.read_future().result()\nexcept KeyboardInterrupt:\n    sys.exit(3)",
    "ranges": "store.get_partial_values([(f'a/c/0/{n}', 0, 1) for n in range(20)])",
}


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    """An array of a hundred chunks, and groups, as keys and values."""
    store = MemoryStore()
    group = ZarrGroup.create(store)
    group.create_array("a", data=np.zeros((20, 20)), chunks=(2, 2), fill_value=1)
    for name in range(20):
        group.create_group(f"Group{name}")  # before the array, whose answer would be quick
    return {key: bytes(store.get(key)) for key in store.list()}


@contextmanager
def interrupted(
    contents: dict[str, bytes], statement: str, behaviour: Behaviour, slow: Callable[[str], bool]
) -> Iterator[tuple[RawServer, subprocess.Popen[str], int]]:
    """A program that got Ctrl-C when the server had so many slow requests as it makes at once."""
    # Coverage has locks of its own, which Ctrl-C leaves taken.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    seen = threading.Semaphore(0)

    def behave(exchange: Exchange) -> None:
        if slow(exchange.name):
            seen.release()
            behaviour(exchange)
        else:
            exchange.answer(*exchange.server.right(exchange))

    with running() as server:
        server.contents.update(contents)
        server.misbehave(behave)
        code = PROGRAM.format(url=server.url, width=WIDTH, statement=statement)
        program = subprocess.Popen(
            [sys.executable, "-c", code], env=env, stderr=subprocess.PIPE, text=True
        )
        try:
            for _ in range(WIDTH):
                assert seen.acquire(timeout=60), "the program makes fewer requests"
            asked = len(server.requests)
            program.send_signal(signal.SIGINT)
            yield server, program, asked
        finally:
            program.kill()
            program.communicate()


def errors_of(program: subprocess.Popen[str]) -> str:
    """
    What a program that is interrupted has to say when it ends.

    Python sees a signal that comes right before a system call only when that is over, or when the
    next signal comes. So it is sent until it is heard; from then on the program ignores it.
    """
    for _ in range(30):
        with suppress(subprocess.TimeoutExpired):
            return program.communicate(timeout=2)[1]
        program.send_signal(signal.SIGINT)
    raise TimeoutError("the program goes on")


def busy(exchange: Exchange) -> None:
    """Ask to come back later, and within what a store is ready to wait."""
    exchange.answer(503, {"Retry-After": "40"}, b"")


@pytest.mark.parametrize(
    ("name", "behaviour"),
    [
        *((name, stall_before) for name in STATEMENTS),
        *((name, behaviour) for name in ("read", "wait") for behaviour in (stall_inside, busy)),
    ],
)
def test_an_interrupted_program_ends(
    name: str, behaviour: Behaviour, contents: dict[str, bytes]
) -> None:
    """It neither waits for answers that do not come nor asks again, whatever it waits for."""
    with interrupted(contents, STATEMENTS[name], behaviour, lambda key: "a/c/" in key) as found:
        server, program, asked = found
        errors = errors_of(program)
        assert program.returncode == (3 if name == "caught" else -signal.SIGINT), errors
        assert name == "caught" or errors.strip().endswith("KeyboardInterrupt")
        assert len(server.requests) == asked


def test_opening_many_nodes_can_be_interrupted(contents: dict[str, bytes]) -> None:
    """So do the children of a group."""

    def is_child(key: str) -> bool:
        return key.startswith("Group") and key.endswith("zarr.json")

    with interrupted(contents, "group.children", stall_before, is_child) as found:
        server, program, asked = found
        errors = errors_of(program)
        assert program.returncode == -signal.SIGINT, errors
        assert len(server.requests) == asked


def test_a_program_that_ends_finishes_its_tasks(contents: dict[str, bytes]) -> None:
    """Without Ctrl-C Python waits at exit for the futures that nobody has waited for."""
    with running() as server:
        server.contents.update(contents)
        code = PROGRAM.format(url=server.url, width=WIDTH, statement="array.read_future()")
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        assert sum("/c/" in line for line in server.lines()) == 100
