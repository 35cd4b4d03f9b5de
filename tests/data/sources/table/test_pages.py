import json
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from dien.data.readers import streams
from dien.data.sources.table import TableSpec, read
from dien.errors import DataError

items = st.integers(1, 9).map(lambda number: f"N-{number}")
page = st.lists(st.tuples(items, st.booleans(), st.sampled_from(["x", "y"])), max_size=4)
log = st.lists(st.tuples(st.integers(1, 3), page), min_size=1, max_size=6).filter(
    lambda rows: any(clicked for _, candidates in rows for _, clicked, _ in candidates)
)
FORMS: dict[str, Any] = {
    "marked": {"item": {"column": "text", "separator": " ", "clicked": "-1"}},
    "clicked": {"item": "inview", "clicked": "chosen"},
    "text of clicked": {"item": {"column": "bare", "separator": "|"}, "clicked": "few"},
    "parallel": {"item": {"column": "inview"}, "label": "labels"},
    "literal": {"item": {"column": "literal"}, "label": "literal_labels"},
}


def save(rows: list[dict[str, Any]], path: Path) -> list[Path]:
    path.write_text("\n".join(map(json.dumps, rows)))
    return [path]


def flat(rows: list[tuple[int, Any]]) -> list[dict[str, Any]]:
    """Write a row for each candidate: what the pages must become."""
    return [
        {
            "user": user,
            "time": 1_700_000_000 + number,
            "page": number,
            "place": place,
            "item": item,
            "label": clicked,
        }
        for number, (user, candidates) in enumerate(rows)
        for item, clicked, place in candidates
    ]


def pages(rows: list[tuple[int, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "user": user,
            "time": 1_700_000_000 + number,
            "places": [place for _, _, place in candidates],
            "written_places": str([place for _, _, place in candidates]),
            "text": " ".join(f"{item}-{int(clicked)}" for item, clicked, _ in candidates),
            "inview": [item for item, _, _ in candidates],
            "bare": "|".join(item for item, _, _ in candidates),
            "chosen": [item for item, clicked, _ in candidates if clicked] or None,
            "few": "|".join(item for item, clicked, _ in candidates if clicked),
            "labels": [int(clicked) for _, clicked, _ in candidates],
            "literal": str([item for item, _, _ in candidates]),
            "literal_labels": str([int(clicked) for _, clicked, _ in candidates]),
        }
        for number, (user, candidates) in enumerate(rows)
    ]


@settings(max_examples=25)
@given(log, st.integers(1, 3))
def test_a_page_in_a_row_is_the_same_log_as_a_row_for_each_of_its_items(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, Any]], at_once: int
) -> None:
    folder = tmp_path_factory.mktemp("pages")
    # an item twice on a page, once clicked, is clicked where a list of items says what was
    rows = [
        (user, list({item: (item, *rest) for item, *rest in candidates}.values()))
        for user, candidates in rows
    ]
    as_rows = TableSpec.of(
        {"interactions": {"label": "label", "impression": "page"}, "features": {"context": {"place": {}}}},
        "test",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK_ROWS", at_once)
        one = read(save(flat(rows), folder / "rows.jsonl"), None, None, as_rows)
        for form, column in product(FORMS.values(), ("places", "written_places")):
            features = {"context": {"place": {"column": column}}}
            spec = TableSpec.of({"interactions": form, "features": features}, "test")
            other = read(save(pages(rows), folder / "pages.jsonl"), None, None, spec)
            for made, wanted in ((other.events, one.events), (other.items, one.items)):
                plain = pl.col(pl.Categorical).cast(pl.String)
                assert_frame_equal(
                    made.with_columns(plain), wanted.with_columns(plain), check_column_order=False
                )
            empty = sum(not candidates for _, candidates in rows)
            assert other.excluded == ({"pages without an item (left out)": empty} if empty else {})


def test_a_row_whose_page_is_a_basket_is_a_click_of_each_item(tmp_path: Path) -> None:
    rows = [{"user": 1, "time": 1_700_000_000, "item": "a, b", "tags": ["x", "y"]}]
    spec = TableSpec.of(
        {
            "interactions": {"item": {"column": "item", "separator": ","}},
            "features": {"context": {"tags": {"kind": "multi"}}},
        },
        "test",
    )
    made = read(save(rows, tmp_path / "log.jsonl"), None, None, spec)
    assert made.items["item"].to_list() == ["a", "b"]
    assert "label" not in made.events.columns
    assert made.events["tags"].to_list() == [["x", "y"]] * 2  # of the page: a row has several anyway


def test_a_clicked_item_that_is_not_on_its_page_is_counted(tmp_path: Path) -> None:
    rows = [{"user": 1, "time": 1_700_000_000, "inview": [1, 2], "chosen": [2, 3, 3]}]
    spec = TableSpec.of({"interactions": FORMS["clicked"]}, "test")
    made = read(save(rows, tmp_path / "log.jsonl"), None, None, spec)
    assert made.events["label"].to_list() == [0, 1]
    assert made.excluded == {"clicked items that are not on their page (left out)": 1}


ROW = {"user": 1, "time": 1_700_000_000, "inview": [1, 2], "chosen": [2], "text": "a-1 b-0", "labels": [1, 0]}


@pytest.mark.parametrize(
    ("form", "wrong", "says"),
    [
        ("marked", {"text": "a-1 b"}, r"line 2: column 'text': found 'b'; expected an item and, after '-'"),
        ("parallel", {"labels": [1]}, r"line 2: column 'labels': found \[1\]; expected a list of 2 values"),
        (
            "parallel",
            {"labels": None},
            r"line 2: column 'labels': found nothing; expected a list of 2 values",
        ),
        ("parallel", {"labels": [1, 7]}, r"line 2: column 'labels': found 7.*; expected 0 or 1"),
        ("clicked", {"inview": "1 2"}, r"line 2: column 'inview': found '1 2'; expected .*list"),
        ("clicked", {"inview": [1, None]}, r"line 2: column 'inview': found nothing; expected an id"),
        ("clicked", {"user": None}, r"line 2: column 'user': found nothing; expected an id"),
        (
            "clicked",
            {"places": ["x"]},
            r"line 2: column 'places': found \['x'\]; expected a list of 2 values",
        ),
    ],
)
def test_an_error_on_a_page_names_its_line_and_column(
    form: str, wrong: dict[str, Any], says: str, tmp_path: Path
) -> None:
    good = {**ROW, "places": ["x", "y"]}
    if form == "clicked" and isinstance(wrong.get("inview"), str):
        good["inview"] = "[1, 2]"
    spec = TableSpec.of(
        {"interactions": FORMS[form], "features": {"context": {"place": {"column": "places"}}}}, "test"
    )
    with pytest.raises(DataError, match=says):
        read(save([good, good | wrong], tmp_path / "log.jsonl"), None, None, spec)


def test_a_page_that_the_schema_does_not_name_is_refused_with_the_key_that_does(tmp_path: Path) -> None:
    for cell, key in (
        ([1, 2], r"interactions: \{item: inview, clicked: clicked\}"),
        ("[1, 2]", r"interactions: \{item: inview, clicked: clicked\}"),
        ("N1-1 N2-0", r'item: \{column: item, separator: " ", clicked: "-1"\}'),
        ("N1:0;N2:1;", r'item: \{column: item, separator: ";", clicked: ":1"\}'),
        ("a-b_1, c_0", r'item: \{column: item, separator: ",", clicked: "_1"\}'),
    ):
        of_one = [{"user": 1, "time": 1_700_000_000, "item": str(item)} for item in range(1200)]
        for before in [], of_one if isinstance(cell, str) else []:
            rows = save([*before, {**ROW, "item": cell}], tmp_path / "log.jsonl")
            with pytest.raises(DataError, match=rf"line {len(before) + 1}: column 'item': found .*{key}"):
                read(rows, None, None, TableSpec())


def test_marks_that_are_too_many_to_be_marks_are_refused(tmp_path: Path) -> None:
    rows = [{**ROW, "text": " ".join(["a-1", *(f"a-b{number}" for number in range(12))])}]
    spec = TableSpec.of({"interactions": FORMS["marked"]}, "test")
    with pytest.raises(
        DataError, match=r"found 'a-b0'; expected '-1' or another mark; there are more than 10"
    ):
        read(save(rows, tmp_path / "log.jsonl"), None, None, spec)


def test_a_log_of_behaviours_may_have_all_that_a_user_did_in_a_row(tmp_path: Path) -> None:
    behaviours = pl.DataFrame(
        {
            "user": ["u", "v"],
            "articles": [[4, 5, 6], []],
            "times": [[1_600_000_000, 1_600_000_001, 1_600_000_002], []],
            "read": [[1.5, None, 2.5], []],
        },
        {
            "user": pl.String,
            "articles": pl.List(pl.Int64),
            "times": pl.List(pl.Int64),
            "read": pl.List(pl.Float64),
        },
    )
    behaviours.write_parquet(tmp_path / "history.parquet")
    spec = TableSpec.of(
        {
            "interactions": FORMS["clicked"],
            "behaviours": {"item": {"column": "articles"}, "time": "times"},
            "features": {"behaviour": {"read": {"kind": "numeric"}}},
        },
        "test",
    )
    log = save([{**ROW, "user": "u"}], tmp_path / "log.jsonl")
    made = read(log, None, None, spec, behaviours=[tmp_path / "history.parquet"])
    assert made.behaviours is not None
    names = made.items["item"].to_list()
    assert [(names[item - 1], time, dwell) for _, item, time, dwell in made.behaviours.rows()] == [
        ("4", 1_600_000_000, 1.5), ("5", 1_600_000_001, None), ("6", 1_600_000_002, 2.5)
    ]  # fmt: skip
    assert made.excluded == {"histories without an item (left out)": 1}


def test_what_was_clicked_is_found_however_its_ids_are_written(tmp_path: Path) -> None:
    rows = [{**ROW, "inview": [1, 2], "chosen": "[2.0]"}]
    spec = TableSpec.of({"interactions": FORMS["clicked"]}, "test")
    made = read(save(rows, tmp_path / "log.jsonl"), None, None, spec)
    assert made.events["label"].to_list() == [0, 1]


def test_a_label_that_an_option_adds_to_a_page_is_refused(tmp_path: Path) -> None:
    spec = TableSpec.of({"interactions": FORMS["marked"]}, "test")
    label = TableSpec.of({"interactions": {"label": "labels"}}, "test").interactions.label
    roles = spec.interactions.model_copy(update={"label": label})
    with pytest.raises(DataError, match=r"label and item\.clicked each say what was clicked"):
        read(save([ROW], tmp_path / "log.jsonl"), None, None, spec.model_copy(update={"interactions": roles}))
