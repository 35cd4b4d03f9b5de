"""A day's work behind a service: add the day's log, train from the model that answers, publish the new one.

Run it once a day, as by cron; ``dien serve WORK/published`` runs all the time and follows::

    python examples/daily.py clicks/day=2024-01-08 --schema schema.yaml --items items.parquet --work shop

The first day makes the dataset folder and trains from fresh weights. A run that is worse than the model that
answers is not published: the reason is printed, the exit code is 1, and the server goes on as it was.

Training starts from the published copy, so that old runs can be removed. The copy has no booster of Rocket
Launching (``--set model.name=rocket``): for that model, start from the run.
"""

import argparse
import sys
from pathlib import Path

from dien import fit, prepare
from dien.config import load_config
from dien.errors import DienError, RunError
from dien.published import model_folder, read_published
from dien.serving.publish import Limits, Publication, publish


def day(
    interactions: Path,
    work: Path,
    *,
    schema: Path | None = None,
    items: Path | None = None,
    users: Path | None = None,
    settings: tuple[str, ...] = (),
    requests: Path | None = None,
    margin: float = Limits.margin,
) -> Publication:
    """Add a day, train and publish.

    Args:
        interactions: log of the day; its name becomes that of the run.
        work: folder of the dataset, the runs and the published models.
        schema: of the log, as for ``dien prepare table``.
        items: table of items.
        users: table of users.
        settings: configuration keys, the same each day: ``training.epochs=1``.
        requests: that ``dien serve --record`` has written, to be replayed on both models.
        margin: by how much the AUC of the held-out rows may be worse.

    Raises:
        RunError: there is a run of this name already: its day would be added twice.
    """
    data, run, published = work / "data", work / "runs" / interactions.name, work / "published"
    if run.exists():
        raise RunError(
            f"{run}: is there already, and its day in the dataset; go on with it (dien train ... --resume, "
            "dien publish), or remove it and train it by hand"
        )
    dataset = prepare(
        interactions, data, schema=schema, items=items, users=users, append=data.exists()
    )  # the newest tenth of the new day is held out, and trained on the day after
    current = read_published(published)
    # what answers: after a rollback, an earlier model
    start_from = None if current is None else model_folder(published, current.version)
    fit(dataset, load_config(overrides=settings), run, start_from=start_from, show_progress=False)
    return publish(run, published, requests=requests, limits=Limits(margin=margin))


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("interactions", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    for name in ("schema", "items", "users", "requests"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    options = vars(parser.parse_args())
    try:
        done = day(**{**options, "settings": tuple(options["settings"])})
    except DienError as error:
        sys.exit(f"error: {error}")
    print(f"published {done.version}, before it {done.before}")


if __name__ == "__main__":
    main()
