"""Links between the pages, README and the rest of the repository lead somewhere."""

import re
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "benchmarks/peers/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:src|tests|docs|benchmarks|examples)/[\w/.-]+)`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def links_of(page: Path) -> list[str]:
    found = LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))
    return [link for link in found if not link.startswith(("http://", "https://"))]


def anchors_of(page: Path) -> set[str]:
    """Anchors of the headings, as Python-Markdown makes them."""
    without_blocks = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    anchors = set()
    for heading in HEADING.findall(without_blocks):
        ascii_only = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
        words = re.sub(r"[^\w\s-]", "", ascii_only).strip().lower()
        anchors.add(re.sub(r"[-\s]+", "-", words))
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in links_of(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors_of(target), f"{page.name}: {link}: no such heading"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.parent.is_relative_to(ROOT / "docs")], ids=lambda page: page.stem
)
def test_a_page_of_the_site_links_to_the_site_alone(page: Path) -> None:
    for link in links_of(page):
        target = (page.parent / link.partition("#")[0]).resolve()
        assert target.is_relative_to(ROOT / "docs"), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_of_the_repository_that_a_page_names_exists(page: Path) -> None:
    examples = {"OP", "NAME.py", "triton.py"}
    named = set(PATH.findall(page.read_text(encoding="utf-8")))
    assert [path for path in named if Path(path).name not in examples and not (ROOT / path).exists()] == []


def test_every_folder_and_file_of_the_table_where_things_lie_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Where things lie")[2]
    rows = [line.split("|")[1:3] for line in readme.splitlines() if line.startswith("| `")]
    assert len(rows) > 10
    for folders, contents in rows:
        for folder in re.findall(r"`([^`]+)`", folders):
            place = ROOT / folder[1:] if folder.startswith("/") else ROOT / "src/dien" / folder
            assert place.exists(), folder
        names = re.findall(r"`([\w/]+\.py|\w+/)`", contents)
        for name in names:
            assert any(place.rglob(name.rstrip("/"))), f"{folders}: {name}"
