import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from dien.data.sources.table import TableSpec, infer, read
from dien.data.sources.table.table_text import TableText
from dien.errors import DataError
from tests.data.sources.table.test_reading import FORMATS, save

N = 400


@pytest.fixture
def log() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "request_id": [f"r{i // 2}" for i in range(N)],
            "user_id": rng.integers(0, 50, N),
            "product_id": rng.integers(0, 40, N),
            "ts": rng.integers(1_600_000_000_000, 1_600_900_000_000, N),
            "clicked": rng.integers(0, 2, N),
            "device": rng.choice(["app", "web"], N),
            "tags": rng.choice(["a|b", "c", "b|c", "a"], N),
            "dwell_time": rng.exponential(5, N),
            "time": rng.integers(0, 2, N),
            "constant": ["x"] * N,
        }
    )


@pytest.fixture
def products() -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "product_id": range(60),
            "title": [f"Product of number {i}" for i in range(60)],
            "price": rng.exponential(5, 60) ** 6,
            "brand": rng.choice(["q", "w"], 60),
            "zip_code": rng.integers(10_000, 99_999, 60),
            "a:b": rng.choice(["q", "w"], 60),
        }
    )


@pytest.mark.parametrize("name", FORMATS)
def test_the_draft_finds_the_columns_and_is_read_with(
    name: str, log: pl.DataFrame, products: pl.DataFrame, tmp_path: Path
) -> None:
    files = [save(log, tmp_path / f"log-{name}")], [save(products, tmp_path / f"items-{name}")], None
    path = tmp_path / "schema.yaml"
    path.write_text(infer(*files))
    draft = yaml.safe_load(path.read_text())
    assert draft["interactions"] == {
        "user": "user_id", "item": "product_id", "time": "ts", "label": "clicked", "impression": "request_id"
    }  # fmt: skip
    assert draft["items"] == {"item": "product_id", "name": "title"}
    assert draft["features"] == {
        "item": {
            "price": {"kind": "numeric", "scale": "log"},
            "brand": {"kind": "categorical"},
            "zip_code": {"kind": "categorical"},
            "a_b": {"column": "a:b", "kind": "categorical"},
        },
        "user": None,
        "behaviour": {"dwell_time": {"kind": "numeric"}, "time_since": None},
        "context": {
            "device": {"kind": "categorical"},
            "tags": {"kind": "multi", "separator": "|"},
            "context_time": {"column": "time", "kind": "categorical"},
        },
    }
    made = read(*files, TableSpec.load(path))
    assert made.events["label"].sum() == log["clicked"].sum()
    assert made.items.height == 60


def test_every_guess_of_a_draft_is_explained(
    log: pl.DataFrame, products: pl.DataFrame, tmp_path: Path
) -> None:
    text = infer([save(log, tmp_path / "log.csv")], [save(products, tmp_path / "items.csv")], None)
    guesses = [line for line in text.splitlines() if ":" in line and not line.strip().endswith(":")]
    assert len(guesses) > 15
    assert all("#" in line for line in guesses)
    for words in ("time_unit: ms", "left out: title", "left out: constant", "400 values in 400 rows"):
        assert words in text


def test_a_column_that_may_hold_the_answer_is_drafted_as_no_feature(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    log = log.with_columns(target_value=pl.col("dwell_time"))
    text = infer([save(log, tmp_path / "log.csv")], None, None)
    assert "left out: target_value: it may say what is to be predicted (AUC alone 0." in text


def test_a_role_that_cannot_be_told_is_a_line_to_fill_in(log: pl.DataFrame, tmp_path: Path) -> None:
    path = save(log.select("device", "ts", "product_id", "dwell_time"), tmp_path / "log.csv")
    with pytest.warns(UserWarning, match=r"line 4 of the draft is to be filled in: user: \?\?\?"):
        text = infer([path], None, None)
    assert text.splitlines()[3] == "  user: ???  # fill in: one of device"
    draft = tmp_path / "schema.yaml"
    draft.write_text(text)
    with pytest.raises(
        DataError, match=r"interactions.user of the schema is \?\?\?.*column that holds the user"
    ):
        read([path], None, None, TableSpec.load(draft))
    draft.write_text(text.replace("???", "device"))
    assert read([path], None, None, TableSpec.load(draft)).events.height > 0


def test_all_the_columns_that_cannot_be_told_are_named_at_once(log: pl.DataFrame, tmp_path: Path) -> None:
    path = save(log.select("device", pl.col("ts").alias("x")), tmp_path / "log.csv")
    with pytest.warns(UserWarning, match="to be filled in") as caught:
        text = infer([path], None, None)
    assert len(caught) == 2
    assert yaml.safe_load(text)["interactions"] == {"user": "???", "item": "???", "time": "x"}
    assert "time: x  # by its values alone, which look like times: check it" in text


def test_the_key_of_a_table_that_cannot_be_told_is_a_line_to_fill_in(
    log: pl.DataFrame, products: pl.DataFrame, tmp_path: Path
) -> None:
    items = products.select("brand", colour="brand")
    with pytest.warns(UserWarning, match=r"item: \?\?\?  # fill in the key of the items"):
        text = infer([save(log, tmp_path / "log.csv")], [save(items, tmp_path / "items.csv")], None)
    assert yaml.safe_load(text)["items"] == {"item": "???"}


def test_columns_that_are_named_are_taken_whatever_their_names(log: pl.DataFrame, tmp_path: Path) -> None:
    names = {"user": "who", "item": "what", "time": "when", "label": "yes"}
    renamed = log.rename({"user_id": "who", "product_id": "what", "ts": "when", "clicked": "yes"})
    text = infer([save(renamed, tmp_path / "log.csv")], None, None, names)
    drafted = yaml.safe_load(text)
    assert drafted["interactions"] == {**names, "impression": "request_id"}
    assert not {"who", "what", "when", "yes"} & set(drafted["features"]["context"])
    assert text.count("# as named;") == 4


@pytest.mark.parametrize(
    ("role", "column", "says"),
    [
        ("user", "nobody", "no column 'nobody'; found request_id, user_id.*--user"),
        ("time", "device", "column 'device' cannot be the time: expected times, found 2 values.*--time"),
        (
            "label",
            "dwell_time",
            "column 'dwell_time' cannot be the label: expected only 0 and 1.*threshold.*--label",
        ),
    ],
)
def test_a_named_column_that_is_not_there_or_cannot_have_its_role_is_refused(
    role: str, column: str, says: str, log: pl.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=says):
        infer([save(log, tmp_path / "log.csv")], None, None, {role: column})


def test_where_no_label_is_found_the_draft_asks_of_columns_of_0_and_1(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    question = "only 0 and 1: is it the label? then label: liked"
    liked = log.rename({"clicked": "liked"}).drop("time")
    text = infer([save(liked, tmp_path / "liked.csv")], None, None)
    assert [line.split(":")[0].strip() for line in text.splitlines() if question in line] == ["liked"]
    assert question not in infer([save(liked, tmp_path / "liked.csv")], None, None, {"label": "liked"})


def test_a_column_that_cannot_be_read_is_left_out_of_the_draft_with_the_reason(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    nested = {"nested": pl.struct("device", "tags"), "raw": pl.lit(b"x")}
    path = save(log.with_columns(**nested), tmp_path / "log.parquet")
    text = infer([path], None, None)
    features = yaml.safe_load(text)["features"]["context"]
    assert "raw" not in features
    assert "# left out: raw: holds large_binary" in text
    assert {"nested.device", "nested.tags"} <= features.keys()


def test_lists_of_uneven_numbers_and_lists_of_lists_are_left_out_of_the_draft(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    rows = [
        row
        | {"numbers": [0.5, k][: 1 + k % 2], "deep": [["a"], [str(k)]] if k % 2 else None, "tags": [k % 7]}
        for k, row in enumerate(log.to_dicts())
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pl.DataFrame(rows).write_parquet(tmp_path / "log.parquet")
    for one in (path, tmp_path / "log.parquet"):
        text = infer([one], None, None)
        assert yaml.safe_load(text)["features"]["context"]["tags"] == {"kind": "multi"}
        for name in ("numbers", "deep"):
            assert f"# left out: {name}: only lists of text, or of as many numbers" in text


def test_the_other_columns_of_a_log_of_clicks_are_features_of_behaviours(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text(infer([save(log.drop("clicked"), tmp_path / "log.csv")], None, None))
    features = yaml.safe_load(path.read_text())["features"]
    assert features["context"] is None
    assert {"dwell_time", "device", "tags"} <= set(features["behaviour"])
    assert TableSpec.load(path)


def test_times_that_are_odd_are_warned_of_with_the_file_that_has_them(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    empty = log.with_columns(ts=pl.lit(None, pl.Int64))
    old = log.with_columns(
        ts=pl.when(pl.int_range(pl.len()) == 3).then(500_000_000_000).otherwise(pl.col("ts"))
    )
    parts = {"a": log, "b": empty, "c": old, "d": log}
    folder = tmp_path / "log"
    folder.mkdir()
    for name, part in parts.items():
        part.write_parquet(folder / f"{name}.parquet")
    with pytest.warns(UserWarning, match="before 1990") as caught:
        infer([folder], None, None)
    said, refused = dict.fromkeys(str(warning.message) for warning in caught)
    assert "b.parquet: row 1: column 'ts': found nothing" in refused
    assert said.startswith(f"{folder / 'c.parquet'}: column 'ts': 1 of {N} times looked at are before 1990")


def test_what_is_written_after_the_click_is_of_behaviours_or_left_out(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    clicked = log["clicked"].to_numpy()
    written = log.with_columns(
        nonclk=1 - pl.col("clicked"),
        play_time_ms=pl.Series(clicked * rng.integers(1, 10**5, N)),
        quick=pl.Series(clicked * rng.integers(0, 3, N)),
        is_share=pl.Series(rng.integers(0, 2, N)),
    )
    text = infer([save(written, tmp_path / "log.csv")], None, None)
    features = yaml.safe_load(text)["features"]
    assert {"play_time_ms", "quick", "is_share"} <= set(features["behaviour"])
    assert set(features["context"]) == {"device", "tags", "context_time"}
    assert "left out: nonclk: it tells the label (AUC alone 1.000 on held-out rows)" in text
    assert "its name has 'play': known only after the click (AUC alone 1.000 on held-out rows)" in text
    assert "quick: {kind: categorical}  # only clicks have another value: known only after the click" in text


def test_a_column_that_items_or_users_determine_is_theirs_and_is_read_from_the_log(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    of_log = log.with_columns(
        category_id=pl.col("product_id") % 5,
        age=pl.col("user_id") % 7 + 20,
        name=pl.format("product {}", "product_id"),
        nearly=pl.when(pl.int_range(N) == 7).then(9).otherwise(pl.col("product_id") % 5),
    )
    path, draft = save(of_log, tmp_path / "log.csv"), tmp_path / "schema.yaml"
    draft.write_text(text := infer([path], None, None))
    features = yaml.safe_load(text)["features"]
    assert features["item"] == {
        "category_id": {"from": "interactions", "kind": "categorical"},
        "nearly": {"from": "interactions", "changes": True, "kind": "categorical"},
    }
    assert features["user"] == {"age": {"from": "interactions", "kind": "categorical"}}
    assert "left out: name: text of which few values come twice" in text
    made = read([path], None, None, TableSpec.load(draft))
    assert made.items["category_id"].null_count() == 0


def test_a_column_that_the_table_of_items_has_too_is_left_out_with_that_reason(
    log: pl.DataFrame, products: pl.DataFrame, tmp_path: Path
) -> None:
    of_log = log.with_columns(brand=pl.col("product_id") % 5)
    text = infer([save(of_log, tmp_path / "log.csv")], [save(products, tmp_path / "items.csv")], None)
    assert "left out: brand: the table of items has it, too" in text


def test_kinds_of_events_and_conversions_are_named_as_what_labels_could_be(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    events = log.drop("clicked").with_columns(
        event_type=pl.Series(np.random.default_rng(1).choice(["view", "purchase"], N))
    )
    text = infer([save(events, tmp_path / "events.csv")], None, None)
    assert "# label: {column: event_type, is: [purchase]}" in text
    bought = log.with_columns(is_purchase=pl.col("clicked") * (pl.int_range(N) % 2))
    assert "# conversion: is_purchase" in infer([save(bought, tmp_path / "log.csv")], None, None)


@pytest.mark.parametrize("shown", ["impression", "SHOWN"])
def test_events_that_hold_what_was_shown_beside_the_clicks_are_drafted_as_the_label(
    shown: str, log: pl.DataFrame, tmp_path: Path
) -> None:
    events = log.drop("clicked").with_columns(event=pl.Series([shown, "Click"] * (N // 2)))
    path, draft = save(events, tmp_path / "events.csv"), tmp_path / "schema.yaml"
    draft.write_text(text := infer([path], None, None))
    drafted = yaml.safe_load(text)
    assert drafted["interactions"]["label"] == {"column": "event", "is": ["Click"]}
    assert all("event" not in (side or {}) for side in drafted["features"].values())
    assert read([path], None, None, TableSpec.load(draft)).events["label"].n_unique() == 2


@pytest.mark.parametrize("name", ["date", "Zeitpunkt"])
@pytest.mark.parametrize("given", [{}, {"time": ""}])
def test_times_that_one_format_alone_reads_are_drafted_with_it(
    name: str, given: dict[str, str], log: pl.DataFrame, tmp_path: Path
) -> None:
    moments = pl.from_epoch("ts", "ms").dt.strftime("%d.%m.%Y %H:%M").alias(name)
    rows = log.drop("time").with_columns(moments).drop("ts")
    path, draft = save(rows, tmp_path / "log.csv"), tmp_path / "schema.yaml"
    draft.write_text(text := infer([path], None, None, dict.fromkeys(given, name)))
    drafted = yaml.safe_load(text)["interactions"]
    assert (drafted["time"], drafted["time_format"]) == (name, "%d.%m.%Y %H:%M")
    found = read([path], None, None, TableSpec.load(draft)).events["time"]
    assert sorted(found) == sorted(log["ts"] // 60_000 * 60)


@pytest.mark.parametrize("days", [["01.02.2024", "03.04.2024"], ["31.12.1950", "30.11.1960"]])
def test_days_of_two_orders_or_of_long_ago_are_not_drafted_as_the_time(
    days: list[str], log: pl.DataFrame, tmp_path: Path
) -> None:
    rows = log.drop("ts", "time").with_columns(born=pl.Series(days * (N // 2)))
    assert "\n  time: ???" in infer([save(rows, tmp_path / "log.csv")], None, None)


def test_what_prepare_refuses_is_left_out_with_its_words(log: pl.DataFrame, tmp_path: Path) -> None:
    rows = log.with_columns(score=pl.when(pl.int_range(N) < 2).then(1e35).otherwise(pl.col("dwell_time")))
    path, draft = save(rows, tmp_path / "log.parquet"), tmp_path / "schema.yaml"
    draft.write_text(text := infer([path], None, None))
    assert "left out: score: prepare refuses it: found 1e+35; expected a finite number" in text
    assert read([path], None, None, TableSpec.load(draft)).events.height


def test_a_draft_that_prepare_refuses_says_so_in_its_first_line(log: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="prepare refuses the draft: .*no label is 1"):
        text = infer([save(log.with_columns(clicked=0), tmp_path / "log.csv")], None, None)
    assert text.startswith("# dien prepare table refuses this draft: ")
    assert yaml.safe_load(text)["interactions"]["label"] == "clicked"


def test_a_draft_says_how_many_ids_have_a_row_in_their_table_and_why_few_have(
    log: pl.DataFrame, products: pl.DataFrame, tmp_path: Path
) -> None:
    files = [save(log, tmp_path / "log.csv")]
    text = infer(files, [save(products, tmp_path / "items.csv")], None)
    n = log["product_id"].n_unique()
    assert f"  # {n} of the {n} items of the rows read have a row here" in text.splitlines()
    longer = products.with_columns(product_id=pl.format("00{}", "product_id"))
    with pytest.warns(UserWarning, match="prepare refuses the draft: .*for none of the .*leading zeros"):
        text = infer(files, [save(longer, tmp_path / "longer.csv")], None)
    assert f"  # 0 of the {n} items of the rows read have a row here" in text.splitlines()


def test_how_text_is_written_is_in_the_draft(log: pl.DataFrame, tmp_path: Path) -> None:
    path, draft = tmp_path / "log.dat", tmp_path / "schema.yaml"
    rows = log.select("user_id", "product_id", "ts").rows()
    path.write_text("".join("::".join(map(str, row)) + "\n" for row in rows))
    said = TableText(columns=("user_id", "product_id", "ts"), separator="::", format="csv")
    draft.write_text(infer([path], None, None, texts={"interactions": said}))
    spec = TableSpec.load(draft)
    assert spec.interactions.columns == said.columns
    assert read([path], None, None, spec).events.height == N


def test_a_log_without_a_time_may_be_one_of_order_alone(log: pl.DataFrame, tmp_path: Path) -> None:
    path, draft = save(log.drop("ts", "time"), tmp_path / "log.csv"), tmp_path / "schema.yaml"
    with pytest.warns(UserWarning, match=r"time: \?\?\?.*or \{order: file\}"):
        text = infer([path], None, None)
    draft.write_text(text.replace("time: ???", "time: {order: file}"))
    assert read([path], None, None, TableSpec.load(draft)).events.height


def test_ids_of_sessions_and_a_history_of_other_things_are_left_out_with_that_reason(
    log: pl.DataFrame, tmp_path: Path
) -> None:
    rows = log.with_columns(
        hist_words=pl.format("a{}^b{}", "product_id", "user_id"), session_id=pl.int_range(N) // 3
    )
    text = infer([save(rows, tmp_path / "log.csv")], None, None)
    assert "left out: hist_words: it seems to hold a history" in text
    assert "left out: session_id: sessions do not come again" in text


@pytest.mark.parametrize(("left", "between", "right"), [("", "^", ""), ("", "|", ""), ("[", ", ", "]")])
def test_a_history_in_the_row_is_drafted_with_its_attributes_and_needs_no_time(
    left: str, between: str, right: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    items = rng.integers(0, 20, (N, 4))

    def cells(values: np.ndarray) -> list[str]:
        return [left + between.join(map(str, row)) + right for row in values]

    log = pl.DataFrame(
        {
            "uid": rng.integers(0, 9, N),
            "iid": items[:, 0],
            "cate": items[:, 0] % 5,
            "hist_iid": cells(items[:, 1:]),
            "hist_cate": cells(items[:, 1:] % 5),
            "label": rng.integers(0, 2, N),
        }
    )
    path, draft = save(log, tmp_path / "log.tsv"), tmp_path / "schema.yaml"
    draft.write_text(text := infer([path], None, None))
    history = yaml.safe_load(text)["interactions"]["history"]
    assert (history["item"], history["features"]) == ("hist_iid", {"cate": "hist_cate"})
    assert history.get("separator") == (None if left else between)
    assert "hist_cate" not in text.partition("features:\n")[2]
    assert read([path], None, None, TableSpec.load(draft)).behaviours is not None


def test_pages_in_a_cell_or_in_lists_are_drafted_as_pages(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    marks = [[(f"N{k}", int(rng.integers(0, 2))) for k in rng.integers(0, 9, 3)] for _ in range(90)]
    rows = {"user": rng.integers(0, 9, 90), "time": 1_600_000_000 + np.arange(90), "device": ["a", "b"] * 45}
    cell = pl.DataFrame({**rows, "impressions": [" ".join(f"{n}-{c}" for n, c in page) for page in marks]})
    lists = pl.DataFrame(
        {
            **rows,
            "article_ids_inview": [[n for n, _ in page] for page in marks],
            "article_ids_clicked": [[n for n, c in page if c] for page in marks],
        }
    )
    draft, pages = tmp_path / "schema.yaml", {}
    for name, table in {"cell.csv": cell, "lists.parquet": lists}.items():
        path = save(table, tmp_path / name)
        draft.write_text(text := infer([path], None, None))
        drafted = yaml.safe_load(text)
        assert drafted["features"]["context"] == {"device": {"kind": "categorical"}}
        pages[name] = drafted["interactions"]
        assert read([path], None, None, TableSpec.load(draft)).events["label"].n_unique() == 2
    assert pages["cell.csv"]["item"] == {"column": "impressions", "separator": " ", "clicked": "-1"}
    assert pages["lists.parquet"]["item"] == "article_ids_inview"
    assert pages["lists.parquet"]["clicked"] == "article_ids_clicked"


@pytest.mark.parametrize("file", ["pages.jsonl", "pages.parquet"])
def test_a_list_of_objects_with_a_label_each_is_drafted_as_a_page(file: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pages = [
        [{"id": f"p{i}", "pos": n, "clicked": bool(rng.integers(0, 2))} for n, i in enumerate(items)]
        for items in rng.permuted(np.tile(np.arange(9), (90, 1)), axis=1)[:, :3]
    ]
    pages[5] = []
    rows = pl.DataFrame(
        {
            "user": [{"id": int(u), "country": "abc"[u % 2]} for u in rng.integers(0, 9, 90)],
            "time": 1_600_000_000 + np.arange(90),
            "candidates": pages,
        }
    )
    path, draft = save(rows, tmp_path / file), tmp_path / "schema.yaml"
    draft.write_text(text := infer([path], None, None))
    drafted = yaml.safe_load(text)
    assert drafted["interactions"]["item"] == {"column": "candidates.id"}
    assert drafted["interactions"]["label"] == "candidates.clicked"
    assert drafted["features"]["context"] == {"candidates.pos": {"kind": "categorical"}}
    assert drafted["features"]["user"] == {"user.country": {"from": "interactions", "kind": "categorical"}}
    events = read([path], None, None, TableSpec.load(draft)).events
    assert events["label"].sum() == sum(shown["clicked"] for page in pages for shown in page)
    assert events.height == sum(map(len, pages))


def test_a_draft_of_files_without_a_row_says_so(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n")
    with pytest.warns(UserWarning, match=r"log.csv: no rows, so nothing can be told"):
        assert "user: ???" in infer([tmp_path / "log.csv"], None, None)


def test_a_list_of_objects_without_a_label_is_no_page(tmp_path: Path) -> None:
    rows = {"user": [1, 2] * 9, "item": list(range(18)), "time": range(1_600_000_000, 1_600_000_018)}
    seen = [[{"id": n % 3, "rank": n}] for n in range(18)]
    text = infer([save(pl.DataFrame({**rows, "seen": seen}), tmp_path / "log.jsonl")], None, None)
    assert yaml.safe_load(text)["interactions"]["item"] == "item"


def test_a_rating_is_named_as_what_a_label_could_be(log: pl.DataFrame, tmp_path: Path) -> None:
    rated = log.drop("clicked").with_columns(rating=pl.int_range(N) % 5 + 1)
    text = infer([save(rated, tmp_path / "log.csv")], None, None)
    assert "# label: rating  # with threshold: 4, if so much or more is a click" in text


def test_days_and_the_time_of_the_day_are_one_time(log: pl.DataFrame, tmp_path: Path) -> None:
    moment = pl.from_epoch("ts", "ms")
    rows = log.drop("time").with_columns(
        date=moment.dt.strftime("%Y-%m-%d"), clock=moment.dt.strftime("%H:%M:%S")
    )
    path, draft = save(rows.drop("ts"), tmp_path / "log.csv"), tmp_path / "schema.yaml"
    draft.write_text(text := infer([path], None, None))
    assert yaml.safe_load(text)["interactions"]["time"] == ["date", "clock"]
    made = read([path], None, None, TableSpec.load(draft))
    assert sorted(made.events["time"]) == sorted(rows["ts"] // 1000)
