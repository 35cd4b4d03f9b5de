"""The names of the rules that split impressions; they are here alone, where no large module is imported."""

from __future__ import annotations

from typing import Literal

RuleWithoutColumn = Literal["time", "last", "ratio", "user"]
"""Rules that need nothing but the events: for logs that have no column that says the split."""
RuleName = Literal[RuleWithoutColumn, "column"]
"""All rules; :func:`dien.data.prepare.splits.usual` makes the rule of a name."""
