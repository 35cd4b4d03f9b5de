import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"
sys.path.insert(0, str(QUALITY))

import report  # noqa: E402
import settings  # noqa: E402
import trained  # noqa: E402
from export import export  # noqa: E402
from report import Line  # noqa: E402
from rows import SPLITS, Rows  # noqa: E402

sys.path.remove(str(QUALITY))

from dien.data.batches import Batches  # noqa: E402
from dien.data.dataset import Dataset  # noqa: E402
from dien.data.prepare import temporal  # noqa: E402
from dien.data.writer import write  # noqa: E402
from dien.errors import DataError  # noqa: E402
from dien.training.metrics import MetricStream  # noqa: E402
from tests.data.logs import random_log  # noqa: E402

LONGEST = 7


def quality_compare():
    """benchmarks/quality/compare.py, which shares its name with that of the peers."""
    spec = importlib.util.spec_from_file_location("quality_compare", QUALITY / "compare.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(QUALITY))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(QUALITY))
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    """Rows with real negatives, some without a history."""
    path = tmp_path_factory.mktemp("quality") / "DATA"
    write(temporal(random_log(users=20, items=30, events=900, labelled=True), warmup=0), path)
    return Dataset.open(path)


@pytest.fixture(scope="module")
def file(data, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("quality") / "rows.npz"
    export(data, path, LONGEST)
    return path


@pytest.fixture(scope="module")
def rows(file) -> Rows:
    return Rows(file, torch.device("cpu"))


@pytest.mark.parametrize("split", SPLITS)
def test_peers_get_the_rows_and_histories_of_our_batches(data, rows, split):
    ours = Batches(data, split, batch_size=16, max_history=LONGEST)
    theirs = rows.in_order(split, batch_size=1)
    lengths = []
    for batch in ours.epoch(0):
        for b, of in enumerate(batch.history_of.tolist()):
            row = next(theirs)
            steps = slice(*batch.offsets[of : of + 2].tolist())
            length = int(row.length[0])
            lengths.append(length)
            assert row.label.tolist() == [batch.label[b]]
            for name, table in rows.items.items():
                assert table[row.item].tolist() == [batch.target[name][b]]
                assert table[row.history[0, :length]].tolist() == batch.history[name][steps].tolist()
            for name, table in rows.users.items():
                assert table[row.user].tolist() == [batch.user[name][of]]
            assert not row.history[0, length:].any()
            assert not row.negatives.any()
    assert next(theirs, None) is None
    assert {0, LONGEST} <= set(lengths) if split == "train" else LONGEST in lengths


def test_all_item_and_user_features_reach_the_peers_with_their_sizes(data, rows):
    assert [*rows.items, *rows.users] == [feature.name for feature in data.schema.of("item", "user")]
    assert rows.sizes == {feature.name: feature.size for feature in data.schema.features}


def test_an_epoch_is_every_training_row_once_in_an_order_and_with_negatives_of_its_own(rows):
    def epoch(rng):
        batches = list(rows.shuffled(16, rng))
        columns = [
            torch.cat([getattr(batch, name) for batch in batches]) for name in ("user", "item", "label")
        ]
        return torch.stack([column.long() for column in columns], 1), [b.negatives for b in batches]

    rng = torch.Generator().manual_seed(0)
    (first, drawn), (second, drawn_anew) = epoch(rng), epoch(rng)
    assert len(first) >= rows.count("train") - 1  # a batch of one row is left out
    assert not torch.equal(first, second)
    assert not torch.equal(torch.cat(drawn), torch.cat(drawn_anew))
    again, _ = epoch(torch.Generator().manual_seed(0))
    assert torch.equal(first, again)
    if len(first) == rows.count("train"):
        assert sorted(first.tolist()) == sorted(second.tolist())


def test_negatives_are_others_than_the_behaviours_and_what_was_not_clicked_where_there_is_something(
    data, rows
):
    unclicked = data.behaviours.unclicked
    every = torch.arange(rows.count("train"))
    batch = rows.batch("train", every, torch.Generator().manual_seed(0))
    real = torch.arange(LONGEST) < batch.length[:, None]
    assert (batch.negatives[real] != batch.history[real]).all()
    assert (data.popularity[batch.negatives[real].numpy()] > 0).all()
    assert not batch.negatives[~real].any()
    split = data.splits["train"]
    ends = np.repeat(split.end, np.diff(split.offsets))
    passed_over, by_popularity = 0, 0
    for end, length, history, negatives in zip(
        ends, batch.length.tolist(), batch.history.tolist(), batch.negatives.tolist(), strict=True
    ):
        for place, item, negative in zip(range(end - length, end), history, negatives, strict=False):
            shown = unclicked.item[unclicked.start[place] : unclicked.end[place]].tolist()
            passed_over += bool(shown) and item not in shown
            by_popularity += not shown
            assert negative in shown or not shown or item in shown
    assert passed_over
    assert by_popularity


def test_other_rows_have_another_fingerprint(data, file, tmp_path):
    again, shorter = (export(data, tmp_path / "again.npz", longest) for longest in (LONGEST, LONGEST - 1))
    assert again == Rows(file, torch.device("cpu")).fingerprint != shorter
    assert [path.name for path in tmp_path.iterdir()] == ["again.npz"]


def test_features_that_a_peer_cannot_take_are_refused(small_data, tmp_path):
    with pytest.raises(DataError, match="hour is a categorical feature of the context"):
        export(small_data, tmp_path / "rows.npz", LONGEST)


@pytest.mark.parametrize("peer", settings.DEFAULTS)
def test_a_search_tries_the_defaults_and_then_the_same_for_every_peer(peer):
    tried = settings.trials(peer, 40)
    assert tried[0] == settings.DEFAULTS[peer]
    assert tried[1:] == settings.trials("recbole", 40)[1:]
    assert tried[:5] == settings.trials(peer, 5)
    assert settings.trials(peer, 0) == []
    low, high = settings.LEARNING_RATES
    assert all(low <= one.learning_rate <= high for one in tried)
    assert {one.batch_size for one in tried[1:]} == set(settings.BATCH_SIZES)
    assert {one.embedding_size for one in tried[1:]} == set(settings.EMBEDDING_SIZES)


def test_the_table_holds_ours_against_theirs_seed_by_seed():
    def line(model, auc):
        return Line(model, "", dict(enumerate(auc)), dict(enumerate(auc)), [1] * len(auc), 10)

    text = report.table("T", [line("dien", [0.75, 0.77]), line("recbole", [0.74, 0.74]), line("none", [])])
    ours, theirs, nobody = text.splitlines()[4:]
    assert ours.startswith("| dien | 0.7600 ± 0.0141 |  |")
    assert theirs.startswith("| recbole | 0.7400 ± 0.0000 | +0.0200 (-0.1071 to +0.1471) |")
    assert nobody.startswith("| none |  |  |")


def test_finished_runs_are_kept_failed_trials_lose_and_other_rows_are_refused(tmp_path):
    compare = quality_compare()
    limits = compare.Limits(3, 2)
    peers = compare.Peers(tmp_path, "these", limits, 1, None)
    tried = settings.trials("recbole", 4)
    runs = [compare.Run("recbole", one, 0) for one in tried]
    results = [{"valid_auc": 0.6}, {"valid_auc": 0.7}, {"error": "diverged"}]
    for run, result in zip(runs, results, strict=False):
        record = {"rows": "these", "limits": vars(limits), "seed": 0, **result}
        (tmp_path / run.file).write_text(json.dumps(record))
    assert peers.left(runs + runs) == [runs[3].arguments(limits)]
    assert peers.best("recbole", 4) == tried[1]
    with pytest.raises(SystemExit, match="other rows"):
        compare.Peers(tmp_path, "those", limits, 1, None).record(runs[0])


def tables_of(monkeypatch, capsys, data, out, *options, die=(), diverge=(), ours_trials=3):
    """Run the command with peers and a dien that train nothing; tell its tables, exit code and last words."""
    compare = quality_compare()
    auc = dict.fromkeys(range(2), 0.75)

    def ours(data, out, config, what, *_):
        return Line("dien", what, auc, auc, [1, 1], 10)

    def one(peers, arguments):
        file = arguments[arguments.index("--out") + 1]
        if any(part in file for part in die):
            return
        seed = int(arguments[arguments.index("--seed") + 1])
        figures = {"valid_auc": 0.7, "test_auc": 0.7, "test_log_loss": 0.5, "best_epoch": 1, "parameters": 5}
        record = {"rows": peers._fingerprint, "limits": vars(peers._limits), "seed": seed}
        record |= {"error": "diverged"} if any(part in file for part in diverge) else figures
        (out / file).write_text(json.dumps(record))

    monkeypatch.setattr(compare, "ours", ours)
    monkeypatch.setattr(
        compare, "searched", lambda *_: (out / "best.yaml" if ours_trials else None, ours_trials)
    )
    monkeypatch.setattr(compare, "installed", lambda peer: True)
    monkeypatch.setattr(compare.Peers, "_one", one)
    given = [str(data.path), "--out", str(out), "--seeds", "2", "--trials", "3", "--peers", "recbole"]
    monkeypatch.setattr(sys, "argv", ["compare.py", *given, *options])
    said = ""
    try:
        compare.main()
    except SystemExit as end:
        said = str(end)
    text = (out / "table.md").read_text()
    assert text in capsys.readouterr().out
    lines = [line for line in text.partition("**Tuned")[2].splitlines() if line.startswith("| ")][2:]
    return lines, said


def test_tables_of_all_that_was_asked_for_speak_of_no_trials(data, tmp_path, monkeypatch, capsys):
    (ours, theirs), said = tables_of(monkeypatch, capsys, data, tmp_path)
    assert ours.endswith("| `best.yaml` |")
    assert theirs.endswith("embeddings 10 |")
    assert said == ""


def test_a_configuration_in_the_place_of_our_search_is_named_as_such(data, tmp_path, monkeypatch, capsys):
    (ours, _), said = tables_of(monkeypatch, capsys, data, tmp_path, "--config", "mine.yaml")
    assert ours.endswith("| `mine.yaml`, given with --config |")
    assert said == ""


def test_lines_say_of_how_many_trials_they_are_the_best_and_what_is_missing_fails_the_command(
    data, tmp_path, monkeypatch, capsys
):
    _, second, third = settings.trials("recbole", 3)
    (ours, theirs), said = tables_of(
        monkeypatch, capsys, data, tmp_path, die=[str(second)], diverge=[str(third)], ours_trials=2
    )
    assert ours.endswith("; 2 of 3 trials have a validation AUC |")
    assert theirs.endswith("; 1 of 3 trials have a validation AUC |")
    assert said.splitlines()[1:] == [
        "dien: 2 of 3 trials have a validation AUC",
        "recbole: 1 of 3 trials have a validation AUC",
    ]
    # what died is done when it is asked for again
    (_, theirs), said = tables_of(monkeypatch, capsys, data, tmp_path)
    assert "2 of 3 trials" in theirs
    assert said.splitlines()[1:] == ["recbole: 2 of 3 trials have a validation AUC"]


def test_a_model_without_any_trial_or_seed_keeps_its_line(data, tmp_path, monkeypatch, capsys):
    (ours, theirs), said = tables_of(monkeypatch, capsys, data, tmp_path, die=["recbole"], ours_trials=0)
    assert ours.startswith("| dien |  |")
    assert theirs.startswith("| recbole |  |")
    for line in (ours, theirs):
        assert line.endswith("| 0 of 3 trials have a validation AUC |")
    assert "Defaults: recbole: 0 of 2 seeds have a test AUC" in said
    assert "Tuned, 3 trials each: dien: 0 of 2 seeds have a test AUC" in said


class Guess(torch.nn.Module):
    """A peer of one weight an item, of which a test knows what each epoch brings."""

    def __init__(self, items):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(items))

    def forward(self, batch):
        return self.weight[batch.item].sigmoid()


def trained_guess(rows, valid_aucs, monkeypatch, patience=2):
    """Train with given validation AUCs; also tell which splits were read, each with the weights."""
    model, read = Guess(int(rows.items["item"].shape[0])), []

    def loss(batch):
        return torch.nn.functional.binary_cross_entropy(model(batch), batch.label)

    def figures(peer, rows, split):
        read.append((split, model.weight.detach().clone()))
        return next(found) if split == "valid" else (0.5, 0.7)

    found = iter([auc and (auc, 0.6) for auc in valid_aucs])
    monkeypatch.setattr(trained, "evaluate", figures)
    result = trained.train(
        trained.Peer(model, loss, model),
        rows,
        learning_rate=0.01,
        batch_size=32,
        epochs=len(valid_aucs),
        patience=patience,
        rng=torch.Generator().manual_seed(0),
        tell=lambda line: None,
    )
    return result, read


def test_the_best_epoch_is_kept_and_the_test_split_read_once_with_its_weights(rows, monkeypatch):
    result, read = trained_guess(rows, [0.6, 0.7, 0.65, 0.7, 0.9], monkeypatch)
    assert [split for split, _ in read] == ["valid"] * 4 + ["test"]
    assert (result["best_epoch"], result["valid_auc"], result["test_auc"]) == (2, 0.7, 0.5)
    assert torch.equal(read[-1][1], read[1][1])
    assert not torch.equal(read[-1][1], read[3][1])


def test_training_that_diverges_ends_with_the_best_epoch_before_or_says_so(rows, monkeypatch):
    late, _ = trained_guess(rows, [0.6, None], monkeypatch)
    assert late["best_epoch"] == 1
    at_once, read = trained_guess(rows, [None], monkeypatch)
    assert at_once == {"epochs": [], "error": "diverged in the first epoch"}
    assert [split for split, _ in read] == ["valid"]


def test_peers_are_measured_as_we_are(rows):
    model = Guess(int(rows.items["item"].shape[0]))
    with torch.no_grad():
        model.weight.copy_(torch.arange(len(model.weight)) % 5 - 2.0)  # many are level
    found = trained.evaluate(trained.Peer(model, model, model), rows, "test")
    batches = list(rows.in_order("test", 64))
    stream = MetricStream()
    for batch in batches:
        stream.update(model.weight[batch.item].detach().numpy(), batch.label.numpy(), batch.user.numpy())
    ours = stream.compute()
    assert found == pytest.approx((ours.auc, ours.log_loss), abs=1e-7)
