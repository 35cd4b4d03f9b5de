"""The options of sources that are prepared by a recipe: the paper's, or by time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dien.cli import checks, options
from dien.cli.prepare.writing import write_data

if TYPE_CHECKING:
    from dien.data.log import Log
    from dien.data.prepare.prepared import Prepared


Recipe = Literal["paper", "temporal"]
Targets = Literal["last", "all"]

RecipeOption = Annotated[
    Recipe,
    typer.Option(
        "--recipe",
        help="paper: the target is each user's last behaviour, the split is by user. "
        "temporal: train on the past, validate and test on what came after.",
    ),
]


@dataclass(frozen=True)
class RecipeOptions:
    """The options of the recipes, for logs that have labels.

    Attributes:
        targets: of recipe paper; the others are of recipe temporal.
    """

    targets: Annotated[
        Targets | None,
        typer.Option(
            "--targets", help="[paper] Targets of a training user: last behaviour (default) or all."
        ),
    ] = None
    valid_from: Annotated[checks.Moment | None, options.valid_from("temporal")] = None
    test_from: Annotated[checks.Moment | None, options.test_from("temporal")] = None
    warmup: Annotated[int | None, options.warmup("temporal", " (default 5)")] = None
    max_train_rows: Annotated[int | None, options.max_train_rows("temporal")] = None
    rare_share: Annotated[float | None, options.rare_share("temporal", 0)] = None
    seed: options.Seed = 0

    def of(self, recipe: Recipe) -> dict[str, Any]:
        """Give what the recipe is called with.

        Raises:
            BadParameter: an option was given that the recipe does not have, or validation does not begin
                before the test.
        """
        given = {name: value for name, value in vars(self).items() if name != "seed" and value is not None}
        for name in given:
            if (name == "targets") != (recipe == "paper"):
                option = "--" + name.replace("_", "-")
                raise typer.BadParameter(f"{option} is no option of --recipe {recipe}")
        checks.expect_order(self.valid_from, self.test_from)
        moments = {name: value.value for name, value in given.items() if isinstance(value, checks.Moment)}
        return {**given, **moments, "seed": self.seed}


@dataclass(frozen=True)
class SampledRecipeOptions(RecipeOptions):
    """The options of the recipes, for logs without labels."""

    negatives: Annotated[int | None, options.negatives("temporal")] = None


def prepare_by_recipe(
    read: Callable[[], Log], recipe: Recipe, chosen: RecipeOptions, out: Path, as_json: bool
) -> None:
    """Read a log, prepare it by a recipe, and write the dataset folder."""
    arguments = chosen.of(recipe)

    def build(logs: list[Log], _: Path) -> Prepared:
        from dien.data import prepare

        made: Callable[..., Prepared] = prepare.paper if recipe == "paper" else prepare.temporal
        return made(logs.pop(), **arguments)

    write_data(read, build, out, as_json)
