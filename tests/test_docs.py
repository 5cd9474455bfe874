"""
The pages keep their word: every Python example runs, shows what it says it shows, and every link
between pages leads somewhere.

A fence ``python`` is run. A fence ``text`` right behind it is what it prints. A fence
``python no-run: REASON`` is not run.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import storekit as sk
import storekit.codecs
import storekit.stores
import storekit.testing

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def name_of(page: Path) -> str:
    """The path of a page in the repository."""
    return str(page.relative_to(ROOT))


WITH_EXAMPLES = [page for page in PAGES if "```python" in page.read_text()]


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name_of)
def test_examples_run_and_print_what_the_page_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The examples of a page run from top to bottom in one namespace and an empty folder."""
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    namespace: dict[str, object] = {"__name__": f"page_{page.stem}"}
    fences = list(FENCE.finditer(text))
    for fence, following in zip(fences, [*fences[1:], None], strict=True):
        if fence["info"] != "python":
            continue
        # Empty lines in front, so that a traceback names the line of the page.
        padding = "\n" * text.count("\n", 0, fence.start("body"))
        code = compile(padding + fence["body"], str(page), "exec", dont_inherit=True)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, namespace)
        if following and following["info"] == "text" and is_next(text, fence, following):
            assert printed.getvalue() == following["body"]


def is_next(text: str, fence: re.Match[str], following: re.Match[str]) -> bool:
    """Whether nothing stands between two fences."""
    return not text[fence.end() : following.start()].strip()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_an_example_that_does_not_run_says_why(page: Path) -> None:
    """A Python fence is plain, or begins with `no-run:` and a reason."""
    for fence in FENCE.finditer(page.read_text()):
        if fence["info"].startswith("python"):
            assert re.fullmatch(r"python( no-run: \S.*)?", fence["info"])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A relative link names a file of the repository, and a heading of it if it names one."""
    for link in LINK.finditer(FENCE.sub("", page.read_text())):
        target = link["target"]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert ROOT in file.parents, target
        if fragment:
            assert fragment in anchors(file.read_text()), target


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in links, by GitHub and by mkdocs."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_every_page_can_be_reached() -> None:
    """Following links from the README one comes to every page."""
    reached: set[Path] = set()
    pending = [ROOT / "README.md"]
    while pending:
        page = pending.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        targets = (link["target"].partition("#")[0] for link in LINK.finditer(page.read_text()))
        pending.extend(
            (page.parent / target).resolve()
            for target in targets
            if target and not re.match(r"[a-z]+:", target)
        )
    assert not set(PAGES) - reached


@pytest.mark.parametrize(
    "page", [p for p in PAGES if "(StoreContract)" in p.read_text()], ids=name_of
)
def test_the_stores_of_the_pages_keep_the_contract(page: Path, tmp_path: Path) -> None:
    """Where a page tests a store by `StoreContract`, that test passes."""
    fences = FENCE.finditer(page.read_text())
    blocks = [fence["body"] for fence in fences if fence["info"] == "python"]
    (tmp_path / "test_page.py").write_text("\n".join(blocks))
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "test_page.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_reference_has_every_public_name() -> None:
    """What can be imported from the public modules, and what nodes and stores offer, is listed."""
    listed = set(re.findall(r"\w+", (ROOT / "docs" / "reference.md").read_text()))
    for module in (sk, sk.errors, storekit.stores, storekit.codecs, storekit.testing):
        assert not {*module.__all__} - listed - {"__version__"}
    for cls in (sk.ZarrArray, sk.ZarrGroup, sk.ConditionalStore, sk.ListableStore, sk.WrapperStore):
        assert not {name for name in dir(cls) if not name.startswith("_")} - listed, cls
