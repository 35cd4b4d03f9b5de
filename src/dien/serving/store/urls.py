"""What of a store's URL may be shown."""

from __future__ import annotations

import re


def without_password(url: str) -> str:
    """Leave out who is let in by what: users and passwords are for no log and no terminal."""
    return re.sub(r"(?s)(?<=://).*@", "", re.sub(r"(?<=[?&])(username|password)=[^&]*", r"\1=...", url))
