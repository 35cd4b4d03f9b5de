"""The options of sources whose impressions a rule splits: one's own tables and RecBole's files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dien.cli import checks, options
from dien.data.rule_names import RuleName

if TYPE_CHECKING:
    from dien.data.prepare.splits import SplitRule


def split_option(more: str = "") -> Any:
    """Make the option ``--split``."""
    help = (
        "time: train on the past, validate and test on what came after. last: each user's last two moments "
        "validate and test. ratio: the last two tenths of each user's events. user: two tenths of the users."
    )
    return typer.Option("--split", help=help + more)


@dataclass(frozen=True)
class SplitOptions:
    """How impressions are split and what rows they give."""

    valid_from: Annotated[checks.Moment | None, options.valid_from("time")] = None
    test_from: Annotated[checks.Moment | None, options.test_from("time")] = None
    gap: Annotated[
        int | None,
        options.option(
            "--gap",
            "SECONDS",
            "[time] Leave out what happened in so many seconds before both (default 0).",
            checks.whole(0, 2**31 - 1, what="a whole number of seconds"),
        ),
    ] = None
    warmup: Annotated[int, options.warmup("")] = 1
    negatives: Annotated[int | None, options.negatives("no label")] = None
    negatives_by: Annotated[
        str | None,
        options.option(
            "--negatives-by",
            "HOW",
            "[no label] Sample them by popularity (default), uniform, or by popularity among the items with "
            "the same value of the item feature HOW.",
            checks.text,
        ),
    ] = None
    max_train_rows: Annotated[int | None, options.max_train_rows("")] = None
    seed: options.Seed = 0

    def rule(self, split: RuleName) -> SplitRule:
        """Make the rule that splits impressions.

        Raises:
            BadParameter: an option was given that this split does not have, or validation does not begin
                before the test.
        """
        from dien.data.prepare import splits

        of_time = {"--valid-from": self.valid_from, "--test-from": self.test_from, "--gap": self.gap}
        given = [name for name, value in of_time.items() if value is not None]
        if split != "time" and given:
            raise typer.BadParameter(f"{given[0]} is no option of --split {split}")
        checks.expect_order(self.valid_from, self.test_from, self.gap)
        if split != "time":
            return splits.usual(split, self.seed)
        times = {"valid_from": self.valid_from, "test_from": self.test_from}
        moments: dict[str, Any] = {name: moment.value for name, moment in times.items() if moment is not None}
        return splits.ByTime(**moments, gap=0 if self.gap is None else self.gap)

    def of_impressions(self, labelled: bool) -> dict[str, Any]:
        """Give what :func:`~dien.data.prepare.impressions` is called with.

        Raises:
            BadParameter: negatives are to be sampled for a log that has a label.
        """
        sampling = {"negatives": self.negatives, "negatives_by": self.negatives_by}
        given = {name: value for name, value in sampling.items() if value is not None}
        if labelled and given:
            raise typer.BadParameter("--negatives and --negatives-by are for logs without a label")
        rows = {"seed": self.seed, "warmup": self.warmup, "max_train_rows": self.max_train_rows}
        return {**rows, **given}
