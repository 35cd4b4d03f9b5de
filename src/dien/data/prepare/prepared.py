"""What a recipe makes of a log: a dataset in memory, ready to be written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dien.data.dataset_info import Negatives, Recipe, Truth
from dien.data.item_names import ItemNames
from dien.data.log import Log
from dien.data.log_form import LogForm
from dien.data.prepare.events import Events
from dien.data.prepare.features import Features
from dien.data.prepare.look import Looked, look_at, warn_of_splits
from dien.data.readers.source_file import SourceFile
from dien.data.tables import Behaviours, Split, SplitName, Tables
from dien.data.times import FromTime, Times
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
        looked: what was seen of the log, of an append the new one; None where it was not read.
        times: how the log writes its times; None where the source does not say.
        from_time: the features of the context that follow from the time.
        form: how the files of the log are written; None where the source does not say.
        names: of the items; None where the log has none.
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
    looked: Looked | None = None
    times: Times | None = None
    from_time: dict[str, FromTime] = field(default_factory=dict)
    form: LogForm | None = None
    names: ItemNames | None = None

    @classmethod
    def of(
        cls,
        log: Log,
        events: Events,
        features: Features,
        *,
        popularity: NDArray[np.int64],
        behaviours: Behaviours,
        splits: dict[SplitName, Split],
        recipe: Recipe,
        split_rule: str,
        negatives: Negatives,
        excluded: dict[str, int],
    ) -> Prepared:
        """Put together what a recipe made of a log, and warn of what is odd.

        ``excluded`` adds to what the source left out; counts of 0 are not mentioned.
        """
        looked = look_at(log, events)
        excluded = excluded | {
            f"values of {name} that training has once (unknown, by rare_share)": count
            for name, count in features.rare.items()
        }
        warn_of_splits(splits, recipe, looked, labelled=not negatives.sampled)
        return cls(
            schema=replace(features.schema, conversion=events.conversion is not None),
            items=features.items,
            popularity=popularity,
            users=features.users,
            behaviours=behaviours,
            splits=splits,
            dropped=features.dropped,
            vocabularies=features.vocabularies,
            item_ids=events.item_ids,
            user_ids=events.user_ids,
            recipe=recipe,
            split_rule=split_rule,
            negatives=negatives,
            excluded={**log.excluded, **{what: count for what, count in excluded.items() if count}},
            sources=log.sources,
            looked=looked,
            times=log.times,
            from_time=log.from_time(feature.name for feature in features.schema.of("context")),
            form=log.form,
            names=None if log.names is None else ItemNames.of(events.item_ids, log.names),
        )
