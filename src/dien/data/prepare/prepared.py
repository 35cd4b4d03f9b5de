"""What a recipe makes of a log: a dataset in memory, ready to be written."""

from __future__ import annotations

from dataclasses import dataclass

from dien.data.dataset_info import Negatives, Recipe, Truth
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
        recipe: what made it, with its options.
        split_rule: how the rows were split, in words.
        negatives: where candidates that were not clicked are from.
        excluded: what was left out, and how often.
        sources: the files the log was read from.
        truth: what is known of a synthetic log.
    """

    dropped: tuple[str, ...]
    vocabularies: dict[str, Vocabulary]
    item_ids: Ids
    user_ids: Ids
    recipe: Recipe
    split_rule: str
    negatives: Negatives
    excluded: dict[str, int]
    sources: tuple[SourceFile, ...]
    truth: Truth | None = None
