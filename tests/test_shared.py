"""Objects that stay one object when they are pickled."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
import weakref
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest
from forking import in_child

import storekit.shared
from storekit.shared import Shared


class Counter(Shared):
    """Counts; empty, and so false, until it has counted."""

    made = 0

    def __init__(self, name: str = "") -> None:
        type(self).made += 1
        self.name, self.count = name, 0

    def __len__(self) -> int:
        return self.count

    def _arguments(self) -> dict[str, Any]:
        return {"name": self.name}


@dataclass(frozen=True, eq=False)
class Settings(Shared):
    """Cannot be changed."""

    level: int

    def _arguments(self) -> dict[str, Any]:
        return {"level": self.level}


def test_a_pickle_is_the_object_itself() -> None:
    """Restored where it lives, pickled or copied, it is the same object; none is made for that."""
    counter = Counter("a")
    before = Counter.made
    assert pickle.loads(pickle.dumps(counter)) is counter
    assert pickle.loads(pickle.dumps([counter, counter])) == [counter, counter]
    assert copy.copy(counter) is copy.deepcopy(counter) is counter
    assert Counter.made == before
    assert counter != Counter("a")


def test_frozen_objects_are_shared_too() -> None:
    """A dataclass that cannot be changed stays one object, and stays unchangeable."""
    settings = Settings(3)
    assert pickle.loads(pickle.dumps(settings)) is settings
    with pytest.raises(FrozenInstanceError):
        settings.level = 4  # type: ignore[misc]


def test_after_its_death_it_is_made_anew_once() -> None:
    """Pickles of an object that is gone all restore one new one, with its arguments."""
    counter = Counter("gone")
    counter.count = 5
    text, other = pickle.dumps(counter), pickle.dumps((1, counter))
    reference = weakref.ref(counter)
    del counter
    gc.collect()
    assert reference() is None
    restored = pickle.loads(text)
    assert (restored.name, restored.count) == ("gone", 0)
    assert pickle.loads(other)[1] is restored
    assert pickle.loads(pickle.dumps(restored)) is restored


def test_another_process_has_one_of_its_own() -> None:
    """There, too, all pickles of one object are one object; and back here it is the first."""
    program = (
        "import pickle, sys\n"
        "one, two, other = (pickle.loads(bytes.fromhex(a)) for a in sys.argv[1:])\n"
        "assert one is two is not other\n"
        "assert one.level == 3\n"
        "print(pickle.dumps(one).hex())\n"
    )
    settings, other = Settings(3), Settings(3)
    pickles = [pickle.dumps(each).hex() for each in (settings, settings, other)]
    done = subprocess.run(
        [sys.executable, "-c", program, *pickles],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert pickle.loads(bytes.fromhex(done.stdout)) is settings


def test_threads_restore_one_object(restless: None) -> None:
    """Threads that restore pickles of one object at once get the same one."""
    counter = Counter("many")
    text = pickle.dumps(counter)
    del counter
    gc.collect()
    start, found = threading.Barrier(8), []

    def work() -> None:
        start.wait(30)
        found.append(pickle.loads(text))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(each) for each in found}) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_may_pickle() -> None:
    """Also if another thread was pickling at that moment."""
    counter = Counter()
    with storekit.shared._guard:
        code = in_child(lambda: pickle.loads(pickle.dumps(counter)))
    assert code == 0
