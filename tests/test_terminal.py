import io
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from dien.terminal import PlainConsole, visible

_CATEGORIES = ["L", "N", "P", "S", "Zs", "Cc", "Cf", "Cs", "Zl", "Zp"]
_ANY = st.text(st.characters(categories=_CATEGORIES), max_size=30)
_PIECES = [*"[]/abc\\:1", "[red]", "[/]", "[/red]", ":smile:", "\x1b[31m", "\u202e"]
_MARKUP = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=6).map("".join)


@given(_ANY)
def test_what_is_shown_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = visible(text)
    shown.encode()
    kinds = {unicodedata.category(c) for c in shown if c not in "\n\t\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    kept = [c for c in text if c.isprintable()]
    assert "".join(kept) == "".join(c for c in kept if c in shown)


def test_readable_text_is_shown_as_it_is_and_the_rest_written_out() -> None:
    assert visible("dien[v2] é 東京 a\u00a0b") == "dien[v2] é 東京 a\u00a0b"
    assert visible("a\x1b[2Jb\u202ec\udcffd\re") == "a\\x1b[2Jb\\u202ec\\xffd\\x0de"


@given(_MARKUP)
def test_no_text_is_taken_for_markup_in_a_line_or_a_table(text: str) -> None:
    console = PlainConsole(soft_wrap=True)
    console.file = io.StringIO()
    table = Table(text, show_edge=False, box=None, pad_edge=False)
    table.add_row(text)
    console.print(text)
    console.print(table)
    shown = visible(text)
    lines = [line.rstrip() for line in console.file.getvalue().split("\n")]
    assert lines == [shown.rstrip(), shown.rstrip(), shown.rstrip(), ""]
