"""What a newcomer looks up is found from README's table of where things lie, by names alone."""

import pytest

from tests.docs.blocks import DOCS

ROOT = DOCS.parent
LOOK_UPS = {
    "NaN of a numeric feature": ("layers", "embedding.py", "NaN where missing"),
    "the split by time": ("data/prepare", "splits.py", "class ByTime"),
    "the command that trains": ("cli", "train.py", "def train("),
    "the equation of AUGRU": ("ops", "attention_gru/", "``g = a u`` (eq. 11-12)"),
    "where alpha weighs the auxiliary loss": (
        "models",
        "dien.py",
        "auxiliary_weight * prediction.auxiliary_loss",
    ),
    "where auxiliary negatives are asked for": ("data", "batches.py", "_auxiliary.draw_other_than("),
    "where auxiliary negatives are drawn": ("data", "negative_sampling.py", "def draw_other_than("),
    "the AUC": ("training", "metrics.py", "def _auc("),
    "the error of two columns of one name": ("data/readers", "messages.py", "two columns are named"),
    "an index out of a table": ("ops", "checks.py", "raise IndexError("),
    "the format of requests": ("serving", "requests.py", "``user``, ``history`` and ``candidates``"),
}


@pytest.mark.parametrize(("folder", "file", "text"), LOOK_UPS.values(), ids=LOOK_UPS)
def test_a_look_up_leads_to_its_file_by_the_names_of_the_table(folder: str, file: str, text: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (row,) = (line for line in readme.splitlines() if line.startswith(f"| `{folder}` |"))
    assert f"`{file}`" in row or folder == "models", "the row does not name the file"
    path = ROOT / "src/dien" / folder / file
    assert text in (path / "__init__.py" if path.is_dir() else path).read_text(encoding="utf-8")
