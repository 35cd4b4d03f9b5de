"""``dataset.json``: what a dataset folder holds and how it was made. Read and written here alone.

Every field is checked when it is read. One that is unknown is passed over: a later version of dien wrote it,
and raised the format if the folder cannot be read without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from dien.data.features import KINDS, Schema
from dien.data.log_form import LogForm
from dien.data.readers.source_file import SourceFile
from dien.data.tables import SPLITS, Split, SplitName
from dien.data.times import FromTime, Times
from dien.errors import DataError
from dien.folders import Folder

FORMAT = 2
"""Version of docs/data-format.md; a dataset folder of another one is refused."""

EXTENDED = 3
"""Version of a folder whose rows have weights or conversions: who knows format 2 would train without them."""

OWN_HISTORIES = 4
"""Version of a folder whose impressions say where their history begins."""

FORMATS = (FORMAT, EXTENDED, OWN_HISTORIES)

FILE_NAME = "dataset.json"

Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Second = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]


class SplitSizes(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of a split.

    Attributes:
        impressions: how many.
        rows: candidates of all impressions.
        positives: rows that were clicked.
        weight: sum of the rows' weights; not there where the log has none.
        conversions: rows whose click led to what it is for; not there where the log does not say.
    """

    impressions: Count
    rows: Count
    positives: Count
    weight: Annotated[float, msgspec.Meta(ge=0)] | UnsetType = UNSET
    conversions: Count | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.positives > self.rows:
            raise ValueError(f"{self.positives} positives of {self.rows} rows")

    @classmethod
    def of(cls, split: Split) -> SplitSizes:
        """Count what is in a split."""
        weight, conversion = split.weight, split.conversion
        return cls(
            impressions=len(split),
            rows=len(split.item),
            positives=int(split.label.sum(dtype=np.int64)),
            weight=UNSET if weight is None else float(weight.sum(dtype=np.float64)),
            conversions=UNSET if conversion is None else int(np.count_nonzero(conversion == 1)),
        )


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of a dataset.

    Attributes:
        items: rows of the item table, "unknown" left out.
        users: rows of the user table, likewise.
        behaviours: of all users.
        splits: of train, valid and test.
    """

    items: Count
    users: Count
    behaviours: Count
    splits: dict[SplitName, SplitSizes]

    def __post_init__(self) -> None:
        if set(self.splits) != set(SPLITS):
            raise ValueError(f"splits {', '.join(self.splits) or 'none'}, expected {', '.join(SPLITS)}")
        if len({split.weight is UNSET for split in self.splits.values()}) > 1:
            raise ValueError("weight is there for some splits and not for others, expected all or none")
        if not all(split.weight is UNSET or isfinite(split.weight) for split in self.splits.values()):
            raise ValueError("a weight is not finite, expected the sum of the rows' weights")
        if self.splits["train"].weight == 0 and self.splits["train"].rows:
            raise ValueError("the weights of train add up to 0, expected a row that counts")


class Recipe(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The recipe and its options; one that the recipe has not is left out of the file.

    Attributes:
        name: ``paper``, ``temporal`` or ``table``.
        seed: what was drawn follows from it.
        targets: of the recipe paper.
        split: ``last``, ``ratio``, ``user`` or ``column``; None where the split is by time.
        valid_from: first second of validation.
        test_from: first second of the test.
        gap: seconds before both that are in no split.
        valid_share: share of each user's events, or of users, that validates.
        test_share: share that tests.
        warmup: behaviours a user had before the first impression.
        negatives: sampled for each positive; None where they are real.
        max_train_rows: so many training rows were kept at most; None for all.
        history: which events are behaviours; ``behaviours``: those of a log of their own; ``row``: those that
            stand in the row of each impression.
        appended_after: newest second of the dataset that the newest log was added to.
    """

    name: str
    seed: int
    targets: Literal["last", "all"] | None = None
    split: str | None = None
    valid_from: int | None = None
    test_from: int | None = None
    gap: int = 0
    valid_share: float | None = None
    test_share: float | None = None
    warmup: int | None = None
    negatives: int | UnsetType | None = UNSET
    max_train_rows: int | UnsetType | None = UNSET
    history: Literal["clicked", "all", "behaviours", "row"] = "clicked"
    appended_after: int | None = None


class Negatives(msgspec.Struct, frozen=True, kw_only=True):
    """Where candidates that were not clicked are from.

    Attributes:
        sampled: whether they were drawn, and may be drawn anew; else they are real: shown and not clicked.
        per_positive: how many were drawn for each positive; None where they are real.
        by: what they are drawn by (``popularity``, ``uniform`` or an item feature); None where they are real.
        rule: all that in words.
    """

    sampled: bool
    per_positive: Annotated[int, msgspec.Meta(ge=1, le=2**31)] | None
    by: str | None = None
    rule: str

    def __post_init__(self) -> None:
        if self.sampled != (self.per_positive is not None) or (self.by is not None and not self.sampled):
            raise ValueError("per_positive and by say how negatives are sampled, where they are")


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a synthetic log.

    Attributes:
        best_auc: the highest AUC any model can reach on each split; None where it has rows of one class only.
        click_probability: the rule by which clicks were drawn, in words.
    """

    best_auc: dict[SplitName, float | None]
    click_probability: str


class DatasetInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of ``dataset.json``.

    Attributes:
        format: version of the folder's layout.
        schema: the features, as :meth:`dien.data.features.Schema.to_json` gives them.
        dropped_features: names of features without a known value, which are in no file.
        sizes: of every table.
        time: first and last second of the impressions of each split; None where it has none.
        recipe: what made it, with its options.
        split_rule: how the rows were split, in words.
        negatives: where candidates that were not clicked are from.
        auxiliary_negatives: what the auxiliary loss has for each behaviour: items sampled while training, or
            what was shown and not clicked.
        excluded: what was left out, and how often.
        sources: the files it was read from.
        truth: of synthetic logs.
        times: how the log writes its times; None where the source does not say, as in a folder of an earlier
            version.
        from_time: the features of the context that follow from the time.
        log: how the files of one's own log are written; None where the source does not say, as in a folder of
            an earlier version.
        item_names: whether items have names (:mod:`dien.data.item_names`).
    """

    format: int
    schema: dict[str, Any]
    dropped_features: list[str]
    sizes: Sizes
    time: dict[SplitName, tuple[Second, Second] | None]
    recipe: Recipe
    split_rule: str
    negatives: Negatives
    auxiliary_negatives: Literal["sampled", "unclicked"]
    excluded: dict[str, int]
    sources: list[SourceFile]
    truth: Truth | None = None
    times: Times | None = None
    from_time: dict[str, FromTime] = {}
    log: LogForm | None = None
    item_names: bool = False

    def __post_init__(self) -> None:
        for name, span in self.time.items():
            if (span is None) != (self.sizes.splits[name].impressions == 0) or (span and span[0] > span[1]):
                raise ValueError(f"time of {name} is {span}, expected the first and the last second")
        if set(self.time) != set(SPLITS):
            raise ValueError(f"time of {', '.join(self.time) or 'no split'}, expected {', '.join(SPLITS)}")
        if self.own_histories != (self.format == OWN_HISTORIES):
            raise ValueError(
                f"recipe.history {self.recipe.history!r} in format {self.format}; expected 'row' in format "
                f"{OWN_HISTORIES}, and in no other"
            )

    @property
    def timed(self) -> bool:
        """Whether the log has times, and not merely an order."""
        return self.times is None or not self.times.ordered

    @property
    def own_histories(self) -> bool:
        """Whether each impression says where its history begins."""
        return self.recipe.history == "row"

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""
        return self.sizes.splits["train"].weight is not UNSET

    @property
    def mean_weight(self) -> float:
        """Mean weight of the training rows; 1 where rows have none."""
        train = self.sizes.splits["train"]
        return 1.0 if train.weight is UNSET or not train.rows else train.weight / train.rows

    @classmethod
    def load(cls, folder: Folder) -> DatasetInfo:
        """Read the ``dataset.json`` of a folder.

        Raises:
            DataError: there is none, or it is of another format, or a field is missing or of the wrong type;
                the message names the file and the field.
        """
        if not (folder.path / FILE_NAME).exists():
            raise DataError(
                f"{folder.path / FILE_NAME}: No such file or directory; name a dataset folder that dien "
                "prepare wrote"
            )
        found = folder.json(FILE_NAME)
        version = found.get("format") if isinstance(found, dict) else None
        if version not in FORMATS:
            known = f"{', '.join(map(str, FORMATS[:-1]))} and {FORMATS[-1]}"
            raise folder.refusal(FILE_NAME, f"format {version}, this version of dien reads {known}")
        try:
            return msgspec.convert(found, cls)
        except msgspec.ValidationError as error:
            raise folder.refusal(FILE_NAME, f"not as prepare writes it: {error}") from error

    def save(self, folder: Path) -> None:
        """Write the ``dataset.json`` of a folder."""
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False)
        (folder / FILE_NAME).write_text(text + "\n", encoding="utf-8", newline="")

    def to_json(self) -> dict[str, Any]:
        """Plain data, as in the file."""
        return dict(json.loads(json.dumps(msgspec.to_builtins(self))))


def expect_timed(from_time: Mapping[str, FromTime], schema: Schema) -> None:
    """Refuse an hour or a weekday that is no feature which a time can tell.

    Args:
        from_time: by the name of the feature.
        schema: the features.

    Raises:
        ValueError: one of the names is of no categorical feature of the context.
    """
    told = {feature.name for feature in schema.of("context") if feature.raw is KINDS["categorical"]}
    for name, timed in from_time.items():
        if name not in told:
            raise ValueError(
                f"from_time: {name}: expected a categorical feature of the context, to be its {timed.what}"
            )


def first_and_last(split: Split) -> tuple[int, int] | None:
    """Find the first and the last second of the impressions of a split; None where it has none."""
    return (int(split.time.min()), int(split.time.max())) if len(split) else None
