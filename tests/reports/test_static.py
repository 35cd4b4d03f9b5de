"""The built files of the front end belong to its sources, and can stand within a page."""

import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "src" / "dien" / "reports" / "static"
FRONTEND = ROOT / "frontend"


def test_what_is_committed_was_built_from_the_sources_that_are() -> None:
    sums = dict(reversed(line.split("  ", 1)) for line in (STATIC / "SHA256SUMS").read_text().splitlines())
    sources = [*FRONTEND.glob("src/**/*"), *(FRONTEND / name for name in ("build.mjs", "package.json"))]
    files = [*sources, FRONTEND / "package-lock.json", *STATIC.iterdir()]
    found = {
        file.relative_to(ROOT).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_file() and file.name != "SHA256SUMS"
    }
    changed = {name for name in found | sums if found.get(name) != sums.get(name)}
    assert not changed, "make frontend builds them again"


def test_no_built_file_ends_the_element_that_it_stands_in() -> None:
    for file in STATIC.glob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert "</script" not in text.lower(), file
        assert "<!--" not in text, file
    for file in STATIC.glob("*.css"):
        assert "</" not in file.read_text(encoding="utf-8"), file


def test_the_licence_of_every_bundled_package_is_there_and_goes_along_with_each_page() -> None:
    for file in (STATIC / "LICENCES.txt", *STATIC.glob("*.js")):
        text = file.read_text(encoding="utf-8")
        for said in ("echarts 6.", "zrender 6.", "tslib 2.", "Apache License", "Redistribution and use"):
            assert said in text, file
