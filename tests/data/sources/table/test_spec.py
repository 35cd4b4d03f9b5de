from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dien.data.features import Categorical, Multi, Numeric
from dien.data.log_form import LogText
from dien.data.readers.text_format import TextFormat
from dien.data.sources.table import TableSpec
from dien.data.sources.table.form_of import form_of
from dien.data.sources.table.spec import Interactions
from dien.data.sources.table.table_text import TableText
from dien.errors import DataError


def test_an_empty_schema_is_the_usual_columns_without_features(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text("interactions:\nfeatures:\n  item:\n")
    spec = TableSpec.load(path)
    assert spec == TableSpec()
    assert (spec.interactions.user, spec.interactions.item, spec.interactions.time) == (
        "user",
        "item",
        "time",
    )
    assert spec.definitions() == {
        "item": Categorical(side="item", rare_share=0.1),
        "user": Categorical(side="user", rare_share=0.1),
    }


def test_every_rule_of_a_feature_reaches_the_log() -> None:
    spec = TableSpec.of(
        {
            "ids": {"user": {"buckets": 1000}},
            "features": {
                "item": {
                    "brand": {"column": "b", "min_count": 2, "max_size": 9, "rare_share": 0, "width": 4},
                    "tags": {"kind": "multi", "pooling": "max", "shares": "brand"},
                    "price": {"kind": "numeric", "scale": "log", "quantiles": 8},
                },
                "behaviour": {"action": None, "time_since": {"edges": [1, 2.5], "width": 3}},
                "context": {"hour": {"column": None, "from_time": "hour", "zone": "America/New_York"}},
            },
        },
        "test",
    )
    assert spec.definitions() == {
        "item": Categorical(side="item", rare_share=0.1),
        "user": Categorical(side="user", rare_share=0.1, buckets=1000),
        "brand": Categorical(side="item", column="b", min_count=2, max_size=9, width=4),
        "tags": Multi(side="item", rare_share=0.1, pooling="max", shares="brand"),
        "price": Numeric(side="item", scale="log", quantiles=8),
        "action": Categorical(side="behaviour", rare_share=0.1),
        "time_since": Numeric(side="behaviour", edges=(1.0, 2.5), width=3),
        "hour": Categorical(side="context", rare_share=0.1, from_time="hour", zone="America/New_York"),
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: TableSpec(interaction={}),
            r"^TableSpec: interaction: unknown key; did you mean interactions",
        ),
        (lambda: Interactions(lable="x"), r"^Interactions: lable: unknown key; did you mean label\?"),
        (
            lambda: TableSpec(items={"id": "x"}),
            r"^TableSpec: items.id: unknown key; expected one of item, name, format,",
        ),
        (
            lambda: Interactions(threshold=4),
            r"^Interactions: schema: threshold is of a label; name its column",
        ),
    ],
)
def test_a_schema_made_by_hand_is_refused_in_the_words_of_one_that_is_read(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(DataError, match=message) as refused:
        make()
    assert refused.value.__suppress_context__


def test_time_since_has_intervals_of_its_own() -> None:
    spec = TableSpec.of({"features": {"behaviour": {"time_since": None}}}, "test")
    since = spec.definitions()["time_since"]
    assert isinstance(since, Numeric)
    edges = since.edges
    assert edges is not None
    assert (edges[0], edges[-1], len(edges)) == (60, 365 * 86_400, 15)
    assert sorted(edges) == list(edges)


def feature(**options: Any) -> dict[str, Any]:
    return {"features": {"item": {"one": options}}}


WRONG = [
    ([], ("expected", "interactions")),
    ({"interaction": {}}, ("interaction: unknown key; did you mean interactions?",)),
    ({"interactions": {"label": ["click", "buy"]}}, ("interactions.label: ", "second label", "conversion")),
    ({"features": {"item": {"v": {"kind": "tensor"}}}}, ("item.v.kind: expected", "'vector'")),
    (
        {"features": {"item": {"v": {"kind": "vector", "frozen": True, "width": 3}}}},
        ("item.v: a frozen vector is as wide as it is",),
    ),
    ({"interactions": {"usr": "u"}}, ("interactions.usr: unknown key; did you mean user?",)),
    ({"interactions": {"rating": "r"}}, ("interactions.rating: unknown key; expected one of user, item",)),
    ({"features": {"contxt": {}}}, ("features.contxt: unknown key; did you mean context?",)),
    ({"features": {"event": {}}}, ("features.event: unknown key; expected one of item, user, behaviour",)),
    ({"ids": {"item": {"bucket": 5}}}, ("ids.item", "bucket is not for ids; did you mean buckets?")),
    ({"ids": {"item": {"colour": 5}}}, ("ids.item", "colour is not for ids; expected some of min_count")),
    (feature(bucket=5), ("features.item.one: bucket is no option", "; did you mean buckets?")),
    ({"interactions": {"user": 5}}, ("interactions.user", "string", "5")),
    ({"interactions": {"time_unit": "m"}}, ("interactions.time_unit", "'ms'")),
    (
        {"interactions": {"time_format": "%d.%m"}},
        ("interactions: time_format '%d.%m' has no year", "set time_year"),
    ),
    ({"interactions": {"time_format": "%d"}}, ("interactions.time_format: expected a date: no %m",)),
    (
        {"interactions": {"time_format": "%m%d%Y", "time_year": 2014}},
        ("interactions: time_year is of a time_format",),
    ),
    ({"behaviours": {"time_year": 2014}}, ("behaviours: time_year is of a time_format that has no year",)),
    ({"interactions": {"time_format": "%m%d", "time_year": 14}}, ("interactions.time_year: ",)),
    ({"behaviours": {"time_format": "%x"}}, ("behaviours.time_format: %x cannot be read",)),
    (
        {"interactions": {"time_format": "%Y%m%d", "time_unit": "s"}},
        ("interactions: time_format and time_unit exclude",),
    ),
    ({"interactions": {"time": []}}, ("interactions.time: expected columns that are joined",)),
    ({"interactions": {"time": {"order": "time"}}}, ("interactions.time: expected a column, several as",)),
    ({"interactions": {"time_zone": "Mars"}}, ("interactions.time_zone: expected a time zone as America",)),
    ({"interactions": {"threshold": 4}}, ("interactions", "threshold is of a label")),
    ({"interactions": {"item": 5}}, ("interactions.item: expected a column, or {column: ", "found 5")),
    ({"interactions": {"item": {"colum": "a"}}}, ("item.colum: unknown key; did you mean column?",)),
    ({"interactions": {"item": {"column": "a", "clicked": "1-"}}}, ("interactions.item: clicked begins",)),
    ({"interactions": {"item": None}}, ("interactions.item: expected a column, or {column: ",)),
    ({"behaviours": {"item": {"column": "a", "clicked": "-1"}}}, ("behaviours: item.clicked is of a page",)),
    ({"interactions": {"label": "a", "clicked": "b"}}, ("label and clicked each say what was clicked",)),
    ({"interactions": {"label": {"is": ["a"]}}}, ("interactions.label.column: Field required",)),
    (
        {"interactions": {"label": {"column": "a", "as": 1}}},
        ("label.as: unknown key; expected one of column, is",),
    ),
    ({"interactions": {"label": {"column": "a", "is": []}}}, ("interactions.label.is: expected a list",)),
    ({"interactions": {"label": {"column": "a", "known": False}}}, ("interactions.label.known: ", "True")),
    ({"interactions": {"label": {"column": "a", "is": 1, "known": True}}}, ("label: is and known exclude",)),
    (
        {"interactions": {"label": {"column": "a", "is": 1}, "threshold": 4}},
        ("threshold is of a label that",),
    ),
    (feature(kind="number"), ("features.item.one.kind", "'numeric'", "number")),
    (feature(kind="numeric", buckets=5), ("features.item.one", "buckets is not for a numeric feature")),
    (feature(quantiles=5), ("features.item.one", "quantiles is not for a categorical feature")),
    (feature(pooling="max"), ("features.item.one", "pooling is not for a categorical")),
    (feature(kind="numeric", quantiles=1), ("features.item.one.quantiles", "2")),
    (feature(kind="numeric", edges=[3, 1]), ("features.item.one.edges", "rise")),
    (feature(kind="numeric", edges=[]), ("features.item.one.edges",)),
    (feature(kind="numeric", edges=[1], quantiles=3), ("features.item.one", "exclude each other")),
    (feature(min_count=0), ("features.item.one.min_count", "greater than 0")),
    (feature(rare_share=2), ("features.item.one.rare_share", "less than or equal to 1")),
    (
        feature(shares="two"),
        ("features.item.one.shares", "'two', which is no feature", "expected one of item, user"),
    ),
    (feature(shares="one"), ("features.item.one.shares",)),
    (feature(from_time="hour"), ("features.item.one", "context")),
    (feature(zone="UTC"), ("features.item.one", "zone goes with from_time")),
    ({"features": {"item": {"a": {}}, "user": {"A": {}}}}, ("features.user.A", "features.item.a")),
    ({"features": {"item": {"a/b": {}}}}, ("features.item.a/b", "file's name")),
    ({"features": {"item": {"a:b": {}}}}, ("features.item.a:b", "file's name")),
    ({"features": {"item": {".a": {}}}}, ("features.item..a", "file's name")),
    ({"features": {"context": {"Label": {}}}}, ("features.context.Label", "kept")),
    ({"features": {"item": {"ids": {}}}}, ("features.item.ids", "kept")),
    ({"features": {"item": {"time_since": {}}}}, ("features.item.time_since",)),
    ({"features": {"behaviour": {"time_since": {"column": "a"}}}}, ("time_since.column", "edges")),
    (
        {"features": {"context": {"h": {"from_time": "hour", "zone": "Mars"}}}},
        ("features.context.h.zone", "America/New_York"),
    ),
    (
        {"features": {"context": {"h": {"from_time": "hour", "column": "h"}}}},
        ("features.context.h", "no column"),
    ),
    (
        {"features": {"item": {"a": {"buckets": 5}, "b": {"shares": "a"}}}},
        ("features.item.b.shares", "buckets"),
    ),
    (
        {"features": {"item": {"a": {"kind": "numeric"}, "b": {"shares": "a"}}}},
        ("features.item.b.shares", "numeric"),
    ),
    (
        {"features": {"item": {"a": {"shares": "item"}, "b": {"shares": "a"}}}},
        ("features.item.b.shares", "its own"),
    ),
]


@pytest.mark.parametrize(("data", "says"), WRONG, ids=lambda part: str(part)[:60])
def test_an_error_names_the_key_and_what_was_expected(data: Any, says: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as raised:
        TableSpec.of(data, "schema.yaml")
    for words in ("schema.yaml: ", *says):
        assert words in str(raised.value)


@pytest.mark.parametrize(
    "content", [b"a: [", b"\xff", b"a: b: c", b"- 1", b"{{}: 1}", b"!!python/object:os.x {}"]
)
def test_a_file_that_is_no_schema_is_an_error_with_its_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"schema\.yaml"):
        TableSpec.load(path)
    with pytest.raises(DataError, match="cannot be read"):
        TableSpec.load(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        TableSpec.load(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"interactions": {"item": {"column": "i", "separator": ","}}}, "interactions.item"),
        ({"interactions": {"history": {"item": "h", "separator": ","}}}, "interactions.history"),
        ({"behaviours": {"item": {"column": "i", "separator": ","}}}, "behaviours.item"),
        ({"features": {"context": {"tags": {"kind": "multi", "separator": ","}}}}, "features.context.tags"),
        ({"features": {"item": {"tags": {"kind": "multi", "separator": ","}}}}, "features.item.tags"),
    ],
)
def test_a_comma_does_not_both_begin_a_fraction_and_stand_between_values(
    schema: dict[str, Any], where: str
) -> None:
    tables = {
        name: {"decimal": ",", **schema.get(name, {})} for name in ("interactions", "behaviours", "items")
    }
    if where == "interactions.history":
        tables.pop("behaviours")
    for decimal in ",", ".":
        said = {name: {**table, "decimal": decimal} for name, table in tables.items()}
        with pytest.raises(DataError, match=rf"{where}\.separator is the comma that decimal"):
            TableSpec.of({**schema, **said}, "schema")
    plain = {name: {**table, "decimal": None} for name, table in tables.items()}
    TableSpec.of({**schema, **plain}, "schema")


def test_a_dataset_folder_keeps_every_key_of_the_text_of_a_log() -> None:
    assert set(LogText.__struct_fields__) == set(TableText.model_fields)
    text = {
        "format": "csv", "columns": ["u", "i", "t"], "separator": "::", "encoding": "gbk", "quote": "none",
        "nulls": ["-"], "decimal": ",",
    }  # fmt: skip
    roles = {"user": "u", "item": "i", "time": "t", **text}
    spec = TableSpec.of({"interactions": roles}, "test")
    form = form_of(spec)
    assert form.text.said == spec.interactions.text()
    assert TextFormat() not in (form.text.said, TableText(quote="escaped").text())
    assert form.columns == {"user": ("u",), "item": ("i",), "time": ("t",)}
    paged = TableSpec.of({"interactions": {"item": {"column": "page"}, "time": {"order": "file"}}}, "test")
    assert form_of(paged).columns == {"user": ("user",)}
