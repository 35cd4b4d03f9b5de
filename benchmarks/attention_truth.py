"""Say how much of influence and of attention falls on the behaviours that a click really came from.

    python benchmarks/attention_truth.py synthetic --seeds 3
    python benchmarks/attention_truth.py category runs/a runs/b

`synthetic` makes a log of drifting interests (`dien prepare synthetic`) for each seed, trains every model on
it, and looks at clicks of the test split. What caused such a click is known: the interest that the user had.
The behaviours of it are the earlier clicks since that interest came. `category` looks at trained runs of logs
whose truth nobody knows; there the behaviours of the candidate's category stand for it.

Of each click: the share of positive influence (what speaks against the candidate counts 0), of absolute
influence and of attention that falls on these behaviours; whether the one behaviour of most influence, or
of most attention, is one of them; and the share that falls on the newest behaviour. Beside it what falls
there by chance (every behaviour alike), and on synthetic logs by the exact posterior of the interest
("exact"), the best that any model could do.
Clicks whose history has only such behaviours, or none, are left out: they tell nothing. Prints Markdown, mean
and standard deviation over the seeds, or over the runs of a model. Behaviours that are no step of the model
(older than `max_history`) are left out of all shares.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dien import Dataset, Run, Scorer, fit, model_config
from dien.config import RunConfig, TrainConfig
from dien.data.prepare import temporal
from dien.data.ragged import row_of
from dien.data.sources.synthetic import CATEGORIES, Simulation, Synthetic, exact_logit
from dien.data.writer import write
from dien.explain import influence, traces
from dien.serving import Request

Array = NDArray[np.float64]
Shares = dict[str, list[float]]
"""By measure, its value for each click."""
MODELS = ("dien", "dien:paper", "din", "sum-pooling")


def add(found: Shares, name: str, weights: Array, mask: NDArray[np.bool_]) -> None:
    """Add where weights ``[T]`` fall: share, whether the largest is in the mask, share of the newest."""
    total = weights.sum()
    if total > 0:
        found.setdefault(f"{name}: share", []).append(float(weights[mask].sum() / total))
        found.setdefault(f"{name}: newest", []).append(float(weights[-1] / total))
        best = np.flatnonzero(weights == weights.max())
        found.setdefault(f"{name}: first", []).append(float(mask[best].mean()))


def look(
    scorer: Scorer, request: Request, mask: NDArray[np.bool_], found: Shares, exact: Array | None = None
) -> bool:
    """Add the figures of one click; says whether it tells anything.

    Args:
        scorer: of the run.
        request: with one candidate.
        mask: of all its behaviours, which it came from.
        found: where to.
        exact: of all its behaviours, the exact influence; None where it is not known.
    """
    traced = traces(scorer, request)
    steps = traced.reads[0]
    T = len(steps)
    if not T:
        return False
    mask = mask[-T:][steps]
    if not 0 < mask.sum() < len(mask):
        return False
    influences = influence(scorer, request)[0][steps]
    add(found, "influence, positive", np.maximum(influences, 0), mask)
    add(found, "influence, absolute", np.abs(influences), mask)
    for layer, weights in traced.attention.items():
        add(found, f"attention to {layer}", np.abs(weights[0][steps]), mask)
    add(found, "chance", np.ones(len(mask)), mask)
    newest = np.zeros(len(mask))
    newest[-1] = 1
    add(found, "the newest alone", newest, mask)
    if exact is not None:
        add(found, "exact, positive", np.maximum(exact[-T:][steps], 0), mask)
        add(found, "exact, absolute", np.abs(exact[-T:][steps]), mask)
    return True


def clicks(data: Dataset, seed: int) -> Iterator[Request]:
    """Ask for the clicks of the test split in random order; context features are left unknown."""
    split, behaviours = data.split("test"), data.behaviours
    impression = row_of(np.diff(split.offsets))
    rows = np.flatnonzero(split.label == 1)
    for row in np.random.default_rng(seed).permutation(rows).tolist():
        one = impression[row]
        user = int(split.user[one])
        history = slice(int(behaviours.offsets[user]), int(split.end[one]))
        yield Request(
            user=data.user_ids.values[user],
            history=data.item_ids.decode(behaviours.item[history]).to_list(),
            candidates=[data.item_ids.values[int(split.item[row])]],
            times=behaviours.time[history].tolist(),
            time=int(split.time[one]),
        )


def of_synthetic(scorer: Scorer, data: Dataset, log: Synthetic, most: int, seed: int) -> Shares:
    """Look at clicks of a synthetic log."""
    events = log.log.events
    times = events["time"].to_numpy()
    places = {key: k for k, key in enumerate(zip(events["user"].to_list(), times.tolist(), strict=True))}
    category = dict(log.log.items.select("item", "category").iter_rows())
    found: Shares = {}
    told = 0
    for request in clicks(data, seed):
        user, item = int(request.user or 0), str(request.candidates[0])
        spells = log.spell[[places[user, then] for then in request.times or ()]]
        mask = spells == log.spell[places[user, request.time]]
        if len(mask) < 2:
            continue
        numbers = [int(category[str(one)][1:]) for one in request.history]
        target = int(category[item][1:])
        with_all = exact_logit(numbers, target)
        left = [exact_logit(numbers[:k] + numbers[k + 1 :], target) for k in range(len(numbers))]
        exact = with_all - np.array(left)
        told += look(scorer, request, mask, found, exact)
        if told == most:
            break
    return found


def of_category(scorer: Scorer, data: Dataset, most: int) -> Shares:
    """Look at clicks of a log whose items have a category."""
    column = data.items["category"]
    found: Shares = {}
    told = 0
    for request in clicks(data, 0):
        if len(request.history) < 2:
            continue
        rows = data.item_ids.encode_values([str(one) for one in (*request.history, *request.candidates)])
        values = np.asarray(column)[rows]  # type: ignore[arg-type]  # one value an item
        told += look(scorer, request, (values[:-1] == values[-1]) & (values[-1] > 0), found)
        if told == most:
            break
    return found


def table(title: str, runs: list[Shares]) -> None:
    """Print the means of some runs, with their spread where there are several."""
    columns = ("weights", "share on them", "the largest is one of them", "share on the newest", "clicks")
    print(f"\n### {title}\n\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    names = dict.fromkeys(name.partition(": ")[0] for found in runs for name in found)
    for name in names:
        cells = []
        for measure in ("share", "first", "newest"):
            means = [statistics.fmean(found[f"{name}: {measure}"]) for found in runs]
            spread = f" ± {statistics.stdev(means):.3f}" if len(means) > 1 else ""
            cells.append(f"{statistics.fmean(means):.3f}{spread}")
        number = sum(len(found[f"{name}: share"]) for found in runs)
        print(f"| {name} | {' | '.join(cells)} | {number:,} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(required=True, dest="kind")
    made = kinds.add_parser("synthetic")
    made.add_argument("--seeds", type=int, default=3)
    made.add_argument("--users", type=int, default=2000)
    made.add_argument("--items", type=int, default=120)
    made.add_argument("--days", type=int, default=20)
    made.add_argument("--epochs", type=int, default=3)
    made.add_argument("--models", nargs="+", default=MODELS)
    trained = kinds.add_parser("category")
    trained.add_argument("runs", nargs="+", type=Path)
    for one in (made, trained):
        one.add_argument("--clicks", type=int, default=300, help="of the test split, for each run")
    given = parser.parse_args()
    if given.kind == "category":
        of_models: dict[str, list[Shares]] = {}
        for path in given.runs:
            run = Run.open(path)
            data = run.dataset()
            found = of_category(Scorer(run, data, "cpu"), data, given.clicks)
            of_models.setdefault(run.config.model.name, []).append(found)
        for model, runs in of_models.items():
            table(model, runs)
        return
    by_model: dict[str, list[Shares]] = {model: [] for model in given.models}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(given.seeds):
            log = Simulation(given.users, given.items, given.days, seed).generate()
            write(temporal(log.log, seed=seed, warmup=1), Path(folder, f"data-{seed}"))
            data = Dataset.open(Path(folder, f"data-{seed}"))
            for model in given.models:
                training = TrainConfig(seed=seed, epochs=given.epochs, device="cpu")
                config = RunConfig(model=model_config(model), training=training)
                out = Path(folder, f"{model.replace(':', '-')}-{seed}")
                result = fit(data, config, out, show_progress=False)
                scorer = Scorer(Run.open(out), data)
                by_model[model].append(of_synthetic(scorer, data, log, given.clicks, seed))
                print(f"seed {seed}, {model}: validation AUC {result.valid_auc:.4f}", flush=True)
    print(f"\nCategories: {CATEGORIES}; users {given.users}, items {given.items}, days {given.days}.")
    for model, runs in by_model.items():
        table(model, runs)


if __name__ == "__main__":
    main()
