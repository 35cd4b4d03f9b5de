"""Reads the pages that reports are."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

NAME = '<b>&"</script><script>alert(1)</script><!--'
"""Text that a page must not take for its own."""

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Reads a page: its tags are closed in order, and its texts and attributes are kept.

    Attributes:
        charts: kind and data of each chart.
        scripts: what each script that runs says.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.charts: list[tuple[str, Any]] = []
        self.scripts: list[str] = []
        self.data = ""
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        kind = dict(attrs).get("data-chart")
        if kind:
            self.charts.append((kind, json.loads(self.data)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            if self.tags[-1][1].get("type") == "application/json":
                self.data = data
            else:
                self.scripts.append(data)
            return
        if self.open and self.open[-1] == "style":
            return
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def assert_needs_nothing(text: str) -> None:
    """Check that a page loads nothing, and that no script runs in it but its own, as browsers see to it."""
    page = Page(text)
    assert not {"link", "img", "iframe", "object", "use", "image"} & {tag for tag, _ in page.tags}
    attributes = {name for _, attributes in page.tags for name in attributes}
    assert not attributes & {"src", "href", "srcset", "xlink:href", "style"}
    assert not {name for name in attributes if name.startswith("on")}
    for style in re.findall(r"<style>(.*?)</style>", text, re.DOTALL):
        assert not re.search(r"url\(|@import|https?:", style)
    (policy,) = (
        attributes["content"]
        for tag, attributes in page.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    allowed = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in page.scripts
    ]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; script-src " + (
        allowed[0] if allowed else "'none'"
    )
    assert len(allowed) == (1 if page.charts else 0)
