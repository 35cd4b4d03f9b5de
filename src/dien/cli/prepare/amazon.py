"""The command that prepares Amazon reviews."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.progress import DownloadColumn

from dien.cli import checks, options
from dien.cli.groups import with_groups
from dien.cli.output import progress
from dien.cli.prepare.recipes import RecipeOption, SampledRecipeOptions, prepare_by_recipe

if TYPE_CHECKING:
    from dien.data.log import Log


@with_groups
def amazon(
    *,
    reviews: Annotated[Path, options.option("--reviews", "FILE", "Reviews: JSON lines, gzip or plain.")],
    meta: Annotated[
        Path, options.option("--meta", "FILE", "Metadata: JSON or Python literals, gzip or plain.")
    ],
    out: Annotated[Path, options.out_data],
    recipe: RecipeOption = "paper",
    chosen: SampledRecipeOptions,
    skip_bad: Annotated[
        int,
        options.option("--skip-bad", "N", "Leave out up to N lines that cannot be read.", checks.whole(0)),
    ] = 0,
    as_json: options.Json = False,
) -> None:
    """Prepare Amazon reviews in the form of 2014 (2018 and 2023: prepare table --schema amazon-2018, -2023).

    For example:

        dien prepare amazon --reviews reviews_Beauty_5.json.gz --meta meta_Beauty.json.gz --out data/beauty
    """
    from dien.data.sources import amazon

    def read() -> Log:
        size = sum(path.stat().st_size for path in (reviews, meta) if path.is_file())
        with progress("reading", size, DownloadColumn()) as advance:
            return amazon.read(reviews, meta, skip_bad=skip_bad, progress=advance)

    prepare_by_recipe(read, recipe, chosen, out, as_json)
