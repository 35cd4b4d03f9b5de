from pathlib import Path

import polars as pl
import pytest
import yaml

from dien.data.sources.table import TableSpec, infer, read

ROWS = 60


def drafted(tmp_path: Path, name: str, two: tuple[object, object]) -> str:
    """Draft the schema of a log whose column has the first of two values in every third row."""
    log = pl.DataFrame(
        {
            "user": [k % 7 for k in range(ROWS)],
            "item": [k % 11 for k in range(ROWS)],
            "time": [1_700_000_000 + k for k in range(ROWS)],
            name: [two[k % 3 > 0] for k in range(ROWS)],
        }
    )
    log.write_csv(tmp_path / "log.csv")
    return infer([tmp_path / "log.csv"], None, None)


@pytest.mark.parametrize(
    ("name", "two"),
    [
        ("etype", ("CLK", "IMP")),
        ("kind", ("tap", "expose")),
        ("行为", ("点击", "曝光")),
        ("label", (1, -1)),
        ("label", ("yes", "no")),
        ("click", ("Click", "Non-click")),
        ("clicked", ("clicked", "not clicked")),
    ],
)
def test_what_was_clicked_is_told_by_words_in_many_spellings(
    name: str, two: tuple[object, object], tmp_path: Path
) -> None:
    text = drafted(tmp_path, name, two)
    assert yaml.safe_load(text)["interactions"]["label"] == {"column": name, "is": [str(two[0])]}
    spec = TableSpec.of(yaml.safe_load(text), "the draft")
    assert read([tmp_path / "log.csv"], None, None, spec).events["label"].sum() == ROWS / 3


@pytest.mark.parametrize(("name", "two"), [("etype", (2, 1)), ("label", ("A", "B")), ("label", (2, 1))])
def test_a_label_that_words_do_not_tell_is_a_comment_that_says_what_is_so_without_it(
    name: str, two: tuple[object, object], tmp_path: Path
) -> None:
    text = drafted(tmp_path, name, two)
    assert "label" not in yaml.safe_load(text)["interactions"]
    comment = next(line for line in text.splitlines() if f"# label: {{column: {name}, is: " in line)
    assert "without a label every row is a click" in comment


def test_a_column_of_other_things_that_are_shown_is_no_label(tmp_path: Path) -> None:
    text = drafted(tmp_path, "channel", ("display", "search"))
    assert "label" not in yaml.safe_load(text)["interactions"]
