"""The commands that prepare MovieLens, one for each edition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from dien.cli import options
from dien.cli.groups import with_groups
from dien.cli.output import messages
from dien.cli.prepare.recipes import RecipeOption, RecipeOptions, prepare_by_recipe

if TYPE_CHECKING:
    from dien.data.log import Log


def movielens(edition: Literal["1m", "100k"]) -> Callable[..., None]:
    """Make the command of an edition."""

    def command(
        *,
        out: Annotated[Path, options.out_data],
        recipe: RecipeOption = "temporal",
        chosen: RecipeOptions,
        cache: Annotated[
            Path, options.option("--cache", "DIR", "Folder in which the downloaded file is kept.")
        ] = Path("data/cache"),
        as_json: options.Json = False,
    ) -> None:
        from dien.data.sources import movielens

        def read() -> Log:
            with messages.status("reading"):
                return movielens.read(edition, cache, on_terms=messages.print)

        prepare_by_recipe(read, recipe, chosen, out, as_json)

    command.__doc__ = f"""Fetch MovieLens-{edition.upper()} and prepare it.

    A rating of 4 or 5 is a click, one of 1 to 3 is not. GroupLens' terms of use are shown. For example:

        dien prepare movielens-{edition} --out data/ml-{edition}
    """
    return with_groups(command)
