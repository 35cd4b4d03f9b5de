"""Takes the pictures of docs/explain: every view of runs, light and dark.

    python docs/generate/screenshots.py runs/quickstart --against runs/quickstart-sum-pooling --name shop

It needs Chromium, and the packages of ``pip install 'dien[dev]'``.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright

from dien.explain import whole_run
from dien.explore.app import create_app
from dien.explore.explorer import Explorer
from dien.reports.whole_run_page import write_whole_run

OUT = Path(__file__).parents[1] / "explain"
COLOURS = 160
READY = (
    "() => document.querySelector('.rates canvas') || (document.querySelector('.view canvas') && "
    "document.querySelector('.scores [data-value]') && !document.querySelector('.view[aria-busy=true]'))"
)


@contextmanager
def served(explorer: Explorer) -> Iterator[str]:
    """Serve an explorer in a thread; yields its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_app(explorer, "127.0.0.1"), log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()


def picture(browser: Any, url: str, name: str, dark: bool, width: int, height: int | None) -> None:
    """Take a picture of a page, of its first ``height`` pixels or of all of it, with few colours."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_function(READY, timeout=600_000)
    page.wait_for_timeout(1500)
    page.wait_for_function(READY, timeout=600_000)
    file = OUT / f"{name}{'-dark' if dark else ''}.png"
    page.screenshot(path=file, full_page=True)
    context.close()
    image = Image.open(file).convert("RGB")
    image = image.crop((0, 0, image.width, min(height or image.height, image.height)))
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(file, optimize=True)
    print(
        f"{file.relative_to(OUT.parents[1])}: {image.width} x {image.height}, {file.stat().st_size:,} bytes"
    )


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--name", required=True, help="what the names of the pictures begin with")
    parser.add_argument(
        "--state", default="", help="what stands in the address after #, as user=1&history=0-9"
    )
    given = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    runs = [run for run in (given.run, given.against) if run is not None]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        whole = Path(folder) / "whole.html"
        write_whole_run([whole_run(run, given.data) for run in runs], whole)
        with served(Explorer(runs, given.data)) as url:
            for dark in (False, True):
                picture(browser, f"{url}#{given.state}", f"{given.name}-explorer", dark, 1200, 1500)
                picture(browser, whole.as_uri(), f"{given.name}-whole-run", dark, 1080, None)
            picture(browser, f"{url}#{given.state}", f"{given.name}-narrow", False, 400, 1600)
        browser.close()


if __name__ == "__main__":
    main()
