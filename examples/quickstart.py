"""From a year of supermarket purchases to a trained and evaluated DIEN; `make quickstart` runs it.

Each step calls the library and prints the command that does the same.
"""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dien import Dataset, Scorer, evaluate, fit
from dien.config import RunConfig, load_config
from dien.data.prepare import temporal
from dien.data.sources import complete_journey
from dien.data.writer import write
from dien.training import popularity_baseline

DATA = Path("data/complete-journey")
RUN = Path("runs/quickstart")
BASELINE = Path("runs/quickstart-sum-pooling")
MAX_TRAIN_ROWS = 300_000  # the latest ones: it takes minutes
EPOCHS = 3

console = Console(highlight=False)


def step(command: str) -> None:
    """Print the command that does the same as a step."""
    console.print(f"\n[bold]$ dien {command}[/bold]", soft_wrap=True)


def prepare() -> Dataset:
    """Prepare the purchases, unless an earlier quickstart has done it."""
    step(f"prepare complete-journey --negatives 1 --max-train-rows {MAX_TRAIN_ROWS} --out {DATA}")
    if not DATA.exists():
        log = complete_journey.read()
        write(temporal(log, negatives=1, max_train_rows=MAX_TRAIN_ROWS), DATA)
    data = Dataset.open(DATA)
    sizes = data.info.sizes
    console.print(
        f"{sizes.users:,} households, {sizes.items:,} products, {sizes.behaviours:,} purchases; "
        + ", ".join(f"{split.rows:,} {name} rows" for name, split in sizes.splits.items())
        + f" (only the latest {MAX_TRAIN_ROWS:,} training rows are kept)"
    )
    return data


def train(data: Dataset, model: str, out: Path) -> None:
    """Train a model, or continue where an earlier quickstart was stopped."""
    config: RunConfig = load_config(overrides=[f"model.name={model}", f"training.epochs={EPOCHS}"])
    step(f"train {DATA} --model {model} --set training.epochs={EPOCHS} --out {out}")
    fit(data, config, out, resume=out.exists())


def main() -> None:
    """Prepare, train BaseModel and DIEN, evaluate them on the test split, and write a report."""
    data = prepare()
    train(data, "sum-pooling", BASELINE)
    train(data, "dien", RUN)
    step(f"evaluate {RUN}")
    results = {
        "popularity": popularity_baseline(data, "test"),
        "sum-pooling (BaseModel)": evaluate(BASELINE, data),
        "DIEN": evaluate(RUN, data),
    }
    table = Table("model", *(column for column in ("AUC", "GAUC", "LogLoss")), title="test split")
    lines = ["| model | AUC | GAUC | LogLoss |", "| --- | --- | --- | --- |"]
    for name, metrics in results.items():
        loss = "-" if name == "popularity" else f"{metrics.log_loss:.4f}"  # a count is no probability
        cells = [name, f"{metrics.auc:.4f}", f"{metrics.gauc:.4f}", loss]
        table.add_row(*cells)
        lines.append(f"| {' | '.join(cells)} |")
    console.print(table)

    request = {
        "user": "1",
        "history": ["1082185", "995242"],
        "times": ["2017-12-28 10:00:00", "2017-12-28 10:05:00"],
        "candidates": ["1029743", "961554"],
        "time": "2017-12-30 09:00:00",
    }
    scores = Scorer.load(RUN).score(**request)
    console.print(f"Scorer.load('{RUN}').score(**{request}) -> {scores.round(4).tolist()}")

    report = RUN / "report.md"
    report.write_text(
        "# DIEN on The Complete Journey\n\n"
        + "\n".join(lines)
        + "\n\nTest split; popularity scores an item by its purchases in the training period.\n\n"
        + f"## Data\n\n```json\n{json.dumps(data.info.to_json(), indent=2)}\n```\n\n"
        + f"## Configuration\n\n```yaml\n{(RUN / 'config.yaml').read_text()}```\n"
    )
    console.print(f"report: {report}\nrun folder: {RUN}")
    console.print("\nTo see in a browser what decided a score, beside the simpler model:")
    step(f"explore {RUN} --against {BASELINE}")


if __name__ == "__main__":
    main()
