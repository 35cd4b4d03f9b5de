"""What a recipe makes of a log: a dataset in memory, ready to be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dien.data.log import SourceFile
from dien.data.tables import Tables
from dien.data.vocabulary import Ids, Vocabulary


@dataclass(frozen=True)
class Prepared(Tables):
    """A dataset in memory: its tables, raw ids and vocabularies, and how it was made.

    Attributes:
        dropped: features without a known value, which were left out of the schema.
        vocabularies: of each feature of the schema that has its own and no encoder.
        item_ids: raw ids of the item rows.
        user_ids: raw ids of the user rows.
        recipe: its name, options and seed.
        split_rule: how the rows were split, for people.
        negatives: ``sampled`` (bool: drawn, or real), ``per_positive`` and ``rule`` (for people).
        excluded: what was left out, and how often.
        sources: the files the log was read from.
        truth: of synthetic logs: ``best_auc`` of any model in each split, and the rule of clicks.
    """

    dropped: tuple[str, ...]
    vocabularies: dict[str, Vocabulary]
    item_ids: Ids
    user_ids: Ids
    recipe: dict[str, Any]
    split_rule: str
    negatives: dict[str, Any]
    excluded: dict[str, int]
    sources: tuple[SourceFile, ...]
    truth: dict[str, Any] | None = None
