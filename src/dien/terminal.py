"""What people read on a terminal: text as it is, whatever characters a path or a file brings."""

from __future__ import annotations

import unicodedata
from typing import Any

from rich.console import Console
from rich.text import Text

_JOINERS = "\u200c\u200d"  # within words of Persian and Hindi, and of some signs


def visible(text: str) -> str:
    r"""Write out what a terminal would obey or hide, as ``\x1b``.

    That is control characters, marks that turn the direction of text, line ends of other systems, and bytes
    of a name that are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(character if _harmless(character) else _written_out(character) for character in text)


def _harmless(character: str) -> bool:
    if character.isprintable() or character in "\n\t" or character in _JOINERS:
        return True
    return unicodedata.category(character) == "Zs"  # spaces of any width


def _written_out(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python holds it in a name
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class PlainConsole(Console):
    """A console that takes no text for markup or for the name of a picture, and lets no text steer it."""

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make text of a string; every string that is printed comes through here, those of tables too."""
        return super().render_str(visible(text), **{**options, "markup": False, "emoji": False})
