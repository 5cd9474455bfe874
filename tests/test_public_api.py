"""What the package offers, what an import costs, and which module may import which."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from packaging.version import InvalidVersion, Version

import storekit
import storekit.stores

ROOT = Path(storekit.__file__).parent

PUBLIC = [
    "Array",
    "CacheStore",
    "Clock",
    "ConditionalStore",
    "Constant",
    "ContainerGroup",
    "Fault",
    "FaultyStore",
    "FrameArray",
    "FsspecStore",
    "Group",
    "HTTPStore",
    "LimitStore",
    "Link",
    "ListableStore",
    "LocalStore",
    "LogNormal",
    "MemoryStore",
    "MirrorStore",
    "Node",
    "Normal",
    "ObjectStore",
    "Outages",
    "Pareto",
    "PrefixStore",
    "QuotaStore",
    "REAL_CLOCK",
    "ReadOnlyStore",
    "ReadableStore",
    "RealClock",
    "RecordStore",
    "Recording",
    "ReplayStore",
    "RetryStore",
    "SlowStore",
    "TimeoutStore",
    "Trace",
    "TraceStore",
    "Uniform",
    "VirtualClock",
    "WrapperStore",
    "WritableStore",
    "ZarrArray",
    "ZarrGroup",
    "ZarrNode",
    "ZipStore",
    "__version__",
    "copy",
    "errors",
    "frames",
    "open",
    "open_store",
    "open_zarr",
    "profiles",
    "register_codec",
    "register_scheme",
]

FLOORS = [
    {
        "typing",
        "errors",
        "keys",
        "clock",
        "draws",
        "lazy",
        "pool",
        "semaphore",
        "shared",
        "simulation",
        "stopping",
        "tasks",
    },
    {"stores"},
    {"selection"},
    {"frames"},
    {"codecs"},
    {"nodes"},
    {"interop", "testing", "demo", "cli", "__main__"},
]
"""From the ground up. A module imports from its own floor and from those below it."""

HEAVY = {"numpy", "blosc2", "zstandard", "fsspec", "msgpack", "google_crc32c", "zarr", "numcodecs"}

USUAL = {"numpy", "google_crc32c"}
"""What every array needs; the checksum is in the index of shards."""

INSIDE = sorted(module.name for module in pkgutil.walk_packages([str(ROOT)], "storekit."))
MODULES = ["storekit", *INSIDE]


# --- names ----------------------------------------------------------------------------------------


def test_the_public_names_are_these() -> None:
    """A name is added to the public surface, or taken from it, on purpose only."""
    assert sorted(storekit.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    """Every public name can be imported, and `dir` shows it."""
    assert getattr(storekit, name) is not None
    assert name in dir(storekit)


def test_other_names_are_attribute_errors() -> None:
    """A name that is not there raises AttributeError, which says so."""
    with pytest.raises(AttributeError, match="'storekit' has no attribute 'no_such'"):
        storekit.no_such  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_lists_it_has(name: str) -> None:
    """Every module can be imported by itself, and has all that its ``__all__`` names."""
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", [])
    assert [entry for entry in listed if not hasattr(module, entry)] == []
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("package", [storekit, storekit.stores])
def test_the_type_checker_sees_what_is_loaded_lazily(package: Any) -> None:
    """The imports for type checkers and the table of homes name the same things."""
    tree = ast.parse(Path(package.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        alias.name: f"{statement.module}.{alias.name}"
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    homes = {
        name: f"storekit.{home[1:]}" if home[0] == ":" else f"storekit.{home}.{name}"
        for name, home in package._HOMES.items()
    }
    assert imported == homes


# --- what an import costs -------------------------------------------------------------------------


def loaded_by(code: str) -> set[str]:
    """The modules that a new interpreter has loaded after running some code."""
    command = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_importing_storekit_imports_nothing_else() -> None:
    """``import storekit`` loads no module but the one that loads names, and no other package."""
    loaded = loaded_by("import storekit") - loaded_by("")
    assert {name for name in loaded if name.startswith("storekit")} == {"storekit", "storekit.lazy"}
    assert not HEAVY & loaded


@pytest.mark.parametrize(
    ("code", "spared"),
    [
        ("storekit.MemoryStore().set('k', b'')", HEAVY - {"numpy"}),
        ("storekit.LocalStore('/nowhere')", HEAVY - {"numpy"}),
        ("storekit.errors.KeyNotFoundError", HEAVY),
        ("storekit.SlowStore(storekit.MemoryStore()).list", HEAVY - {"numpy"}),
        ("storekit.ZarrGroup.create(storekit.MemoryStore())", HEAVY - USUAL),
        (
            "storekit.ZarrArray.create(storekit.MemoryStore(), data=[1], codecs='none')[:]",
            HEAVY - USUAL,
        ),
        (
            "storekit.ZarrArray.create(storekit.MemoryStore(), data=[1], codecs='zstd')[:]",
            HEAVY - USUAL - {"zstandard"},
        ),
        ("storekit.ZarrArray.create(storekit.MemoryStore(), data=[1])[:]", {"zarr", "fsspec"}),
    ],
)
def test_what_is_not_used_is_not_imported(code: str, spared: set[str]) -> None:
    """A store or an array loads only the packages that it works with."""
    assert not spared & loaded_by(f"import storekit\n{code}")


# --- docstrings -----------------------------------------------------------------------------------


def public(name: str) -> bool:
    """Whether a name is for others."""
    return not name.startswith("_")


def documented(module: Any) -> Iterator[tuple[str, Any]]:
    """All public classes and functions of a module, and the public members of the classes."""
    for name, item in vars(module).items():
        if not public(name) or getattr(item, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(item):
            yield name, item
            for member, value in vars(item).items():
                if public(member) and (
                    callable(value) or isinstance(value, property | classmethod)
                ):
                    yield f"{name}.{member}", getattr(item, member)
        elif inspect.isfunction(item):
            yield name, item


@pytest.mark.parametrize("name", [name for name in MODULES if "._" not in name])
def test_all_that_is_public_has_a_docstring(name: str) -> None:
    """Every module, public class, function, method and property says what it is."""
    module = importlib.import_module(name)
    assert module.__doc__
    assert [what for what, item in documented(module) if not inspect.getdoc(item)] == []


# --- floors ---------------------------------------------------------------------------------------


def source(name: str) -> Path:
    """The file of a module."""
    path = ROOT.joinpath(*name.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def is_for_types(node: ast.AST) -> bool:
    """Whether a statement is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def statements(node: ast.AST, *, lazy: bool) -> Iterator[ast.AST]:
    """The statements that run, when a module is imported or (lazy) at any time."""
    for child in ast.iter_child_nodes(node):
        if is_for_types(child):
            continue
        if not lazy and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield child
        yield from statements(child, lazy=lazy)


def imports(name: str, *, lazy: bool) -> set[str]:
    """The modules of the package that a module imports."""
    found = set()
    for node in statements(ast.parse(source(name).read_text()), lazy=lazy):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = name if source(name).name == "__init__.py" else name.rpartition(".")[0]
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = {f"{base}.{alias.name}" for alias in node.names}
            found |= {entry if entry in MODULES else base for entry in names}
    return {entry for entry in found if entry in MODULES}


def floor(name: str) -> int:
    """The floor of a module, 0 for the ground."""
    part = name.split(".")[1]
    (number,) = [i for i, parts in enumerate(FLOORS) if part in parts]
    return number


@pytest.mark.parametrize("name", INSIDE)
def test_imports_point_down_the_floors(name: str) -> None:
    """
    ground < stores < selection < frames < codecs < nodes < interop and testing: no module imports
    from a floor above its own, not even later, within a function.
    """
    above = {
        other for other in imports(name, lazy=True) - {"storekit"} if floor(other) > floor(name)
    }
    assert above == set()


def test_only_the_highest_floor_uses_the_facade() -> None:
    """Below the top, modules import each other directly and not by way of ``storekit``."""
    users = {name for name in INSIDE if "storekit" in imports(name, lazy=True)}
    assert {name for name in users if floor(name) < len(FLOORS) - 1} == set()


def test_no_module_imports_itself_by_way_of_others() -> None:
    """The imports have no cycle."""
    graph = {name: imports(name, lazy=False) - {name} for name in INSIDE}
    order = list(TopologicalSorter(graph).static_order())
    assert set(order) >= set(INSIDE)


def test_every_part_of_the_package_has_its_floor() -> None:
    """A new folder or a new file at the top is given its place in `FLOORS`."""
    parts = {name.split(".")[1] for name in INSIDE}
    assert parts <= set().union(*FLOORS)


def test_files_are_short() -> None:
    """One idea a file: few files have more than 300 lines, and none has more than 450."""
    lengths = {name: len(source(name).read_text().splitlines()) for name in MODULES}
    assert max(lengths.values()) <= 450
    assert sum(length > 300 for length in lengths.values()) <= len(lengths) // 8


def test_no_extra_has_the_name_of_a_version() -> None:
    """pip 24 takes ``extra == "v2"`` for a comparison of versions, and installs nothing then."""
    text = (ROOT.parent / "pyproject.toml").read_text()
    for extra in tomllib.loads(text)["project"]["optional-dependencies"]:
        with pytest.raises(InvalidVersion):
            Version(extra)
