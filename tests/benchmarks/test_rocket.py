import re
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import rocket  # noqa: E402

sys.path.remove(str(BENCHMARKS))

SMALL = (
    *("training.epochs=2", "training.batch_size=512"),
    *("model.embedding_size=4", "model.max_history=12", "model.auxiliary_hidden=[4]"),
)


def test_every_net_has_its_line_and_is_gone_on_with(small_data, tmp_path, monkeypatch, capsys):
    settings = [part for setting in SMALL for part in ("--set", setting)]
    given = [str(small_data.path), "--seeds", "2", "--passes", "1", "--requests", "3", *settings]
    monkeypatch.setattr(sys, "argv", ["rocket.py", *given, "--out", str(tmp_path)])
    printed = []
    for _ in range(2):
        rocket.main()
        printed.append(capsys.readouterr().out)
    lines = printed[0].splitlines()
    head, *nets = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|"))
    assert [net[0] for net in nets[1:]] == list(rocket.NAMES)
    for net in nets[1:]:
        row = dict(zip(head, net, strict=True))
        assert re.fullmatch(r"0\.\d{4} ± 0\.\d{4}", row["test AUC"])
        epochs = row["best epochs"].split()
        assert len(epochs) == 2
        assert set(epochs) <= {"1", "2"}
    (beside,) = re.findall(r"The booster beside the light net: test AUC (.*)\.$", printed[0], re.MULTILINE)
    assert re.fullmatch(r"0\.\d{4} ± 0\.\d{4}", beside)
    assert len(list(tmp_path.glob("*/result.json"))) == 6

    def figures(text: str) -> list[str]:
        """Leave out the rates, which are of the moment."""
        return [line.rsplit("|", 3)[0] if line.startswith("|") else line for line in text.splitlines()]

    assert figures(printed[1]) == figures(printed[0])


def test_the_booster_beside_a_light_net_is_scored_as_in_training(small_data, tmp_path, monkeypatch):
    overrides = [*SMALL, "training.epochs=1"]
    rocket.fit(
        small_data, rocket.configurations(overrides)[rocket.ROCKET], tmp_path / "run", show_progress=False
    )
    run = rocket.Run.open(tmp_path / "run")
    batch = rocket.test_batches(small_data, run).batch(0, 0)
    nets = run.load_model(training=True)
    with rocket.torch.no_grad():
        beside, light = rocket.Beside(run)(batch).logits, nets(batch).logits
        assert rocket.torch.equal(beside, nets.launch(batch).booster.logits)
    assert not rocket.torch.allclose(beside, light)
