"""What the reports on a comparison are made from: its content and its learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Comparison = Mapping[str, Any]
"""The content of ``comparison.json``."""
Curves = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]
"""For each model the records of its runs' ``metrics.jsonl``."""
