import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dien.data.log import Log
from dien.data.sources import amazon
from dien.data.sources.table.ready import READY
from dien.errors import DataError

SHARED = Path(__file__).parents[3] / "../shared/data"
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


def review(user: str = "U", item: str = "I", time: int = 5, **more: object) -> str:
    return json.dumps({"reviewerID": user, "asin": item, "unixReviewTime": time, **more})


def read(folder: Path, reviews: list[str | bytes], meta: list[str | bytes], skip_bad: int = 0) -> Log:
    for name, lines in (("reviews.json", reviews), ("meta.json", meta)):
        encoded = [line.encode() if isinstance(line, str) else line for line in lines]
        (folder / name).write_bytes(b"\n".join(encoded) + b"\n")
    return amazon.read(folder / "reviews.json", folder / "meta.json", skip_bad=skip_bad)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(TEXT, TEXT, st.integers(0, 4_000_000_000)), min_size=1, max_size=12),
    paths=st.lists(st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=3),
    zipped=st.booleans(),
    write=st.sampled_from([json.dumps, repr]),
)
def test_reviews_are_read_in_the_order_of_the_file(tmp_path: Path, monkeypatch, rows, paths, zipped, write):
    monkeypatch.setattr(amazon, "_CHUNK", 5)
    reviews, meta = tmp_path / "reviews", tmp_path / "meta"
    pack = gzip.compress if zipped else bytes
    reviews.write_bytes(pack("\n".join(review(*row, reviewText="{'", overall=5.0) for row in rows).encode()))
    items = list(dict.fromkeys(item for _, item, _ in rows))
    meta.write_bytes(
        pack(
            "\n".join(write({"asin": item, "title": "it's", "categories": paths}) for item in items).encode()
        )
    )
    steps: list[int] = []

    log = amazon.read(reviews, meta, progress=steps.append)

    assert log.events.rows() == rows
    assert log.events.schema == {"user": pl.String, "item": pl.String, "time": pl.Int64}
    assert log.items.rows() == [(item, paths[0][-1]) for item in items]
    assert log.users.rows() == [(user,) for user in dict.fromkeys(user for user, _, _ in rows)]
    assert [source.size for source in log.sources] == [reviews.stat().st_size, meta.stat().st_size]
    assert sum(steps) == reviews.stat().st_size + meta.stat().st_size
    assert log.excluded == {}


GOOD_META = '{"asin": "I", "categories": [["Books", "Poetry"]]}'
BAD_REVIEWS = {
    "no JSON": ("reviewerID and asin", "malformed"),
    '{"reviewerID": "U", "asin": "I"': ("truncated", "JSON object"),
    '["U", "I", 5]': ("object", "array"),
    '{"asin": "I", "unixReviewTime": 5}': ("missing", "reviewerID"),
    '{"reviewerID": "U", "unixReviewTime": 5}': ("missing", "asin"),
    '{"reviewerID": "U", "asin": "I"}': ("missing", "unixReviewTime"),
    '{"reviewerID": 7, "asin": "I", "unixReviewTime": 5}': ("str", "reviewerID"),
    review(user=""): ("length", "reviewerID"),
    review(item=""): ("length", "asin"),
    review(time=-1): (">= 0", "unixReviewTime"),
    review(time=1_318_896_000_000): ("not milliseconds", "unixReviewTime"),
    '{"reviewerID": "U", "asin": "I", "unixReviewTime": "5"}': ("int", "unixReviewTime"),
    '{"reviewerID": "U", "asin": "I", "unixReviewTime": 5.5}': ("int", "unixReviewTime"),
    b'{"reviewerID": "\xff", "asin": "I", "unixReviewTime": 5}': ("utf-8", "0xff"),
}
BAD_METADATA = {
    "no literal": ("neither JSON nor a Python literal", "asin"),
    "{'asin': 'I', 'categories': __import__('os').getcwd()}": ("neither JSON nor a Python literal", "asin"),
    "{'asin': 'I', 'categories': [['Books'": ("neither JSON nor a Python literal", "asin"),
    "{'categories': [['Books']]}": ("missing", "asin"),
    '{"asin": "", "categories": [["Books"]]}': ("length", "asin"),
    "{'asin': 'I', 'categories': 'Books'}": ("array", "categories"),
    '{"asin": "I", "categories": ["Books"]}': ("array", "categories"),
    "{'asin': 'I', 'categories': [['\\ud800']]}": ("surrogates", "utf-8"),
    b"{'asin': 'I', 'categories': [['\xff']]}": ("utf-8", "0xff"),
}


@pytest.mark.parametrize(("line", "words"), BAD_REVIEWS.items(), ids=range(len(BAD_REVIEWS)))
def test_a_bad_review_line_is_named_or_skipped_and_counted(tmp_path: Path, line, words):
    reviews = [review(), "", line, review()]
    with pytest.raises(DataError) as error:
        read(tmp_path, reviews, [GOOD_META])
    for word in (f"{tmp_path / 'reviews.json'}: line 3:", *words):
        assert word in str(error.value)
    log = read(tmp_path, reviews, [GOOD_META], skip_bad=1)
    assert log.events.height == 2
    assert log.excluded == {"bad review lines": 1}


@pytest.mark.parametrize(("line", "words"), BAD_METADATA.items(), ids=range(len(BAD_METADATA)))
def test_a_bad_metadata_line_is_named_or_skipped_and_counted(tmp_path: Path, line, words):
    meta = [line, GOOD_META]
    with pytest.raises(DataError) as error:
        read(tmp_path, [review()], meta)
    for word in (f"{tmp_path / 'meta.json'}: line 1:", *words):
        assert word in str(error.value)
    log = read(tmp_path, [review()], meta, skip_bad=1)
    assert log.items.rows() == [("I", "Poetry")]
    assert log.excluded == {"bad metadata lines": 1}


def test_bad_lines_of_both_files_count_together(tmp_path: Path):
    reviews, meta = ["bad", review(), "bad"], ["bad", GOOD_META]
    assert read(tmp_path, reviews, meta, skip_bad=3).excluded == {
        "bad review lines": 2,
        "bad metadata lines": 1,
    }
    with pytest.raises(DataError, match=r"meta\.json: line 1: .*3 bad lines found, 2 allowed"):
        read(tmp_path, reviews, meta, skip_bad=2)


def test_a_truncated_gzip_is_not_forgiven_by_skip_bad(tmp_path: Path):
    meta = tmp_path / "meta.json"
    meta.write_text(GOOD_META)
    reviews = tmp_path / "reviews.json.gz"
    reviews.write_bytes(gzip.compress("\n".join(review(time=n) for n in range(1000)).encode())[:-20])
    with pytest.raises(DataError, match="truncated"):
        amazon.read(reviews, meta, skip_bad=10_000)


def test_a_missing_metadata_file_is_found_before_the_reviews_are_read(tmp_path: Path):
    reviews = tmp_path / "reviews.json"
    reviews.write_text("no JSON")
    with pytest.raises(DataError, match=r"meta\.json"):
        amazon.read(reviews, tmp_path / "meta.json")


@pytest.mark.parametrize("content", [["bad", "bad"], ["", ""]])
def test_reviews_without_one_usable_line_are_refused(tmp_path: Path, content):
    with pytest.raises(DataError, match=r"reviews\.json: not one usable line"):
        read(tmp_path, content, [GOOD_META], skip_bad=2)


def test_metadata_that_gives_no_category_at_all_is_refused(tmp_path: Path):
    for meta in ('{"asin": "other", "categories": [["Books"]]}', '{"asin": "I"}', review()):
        with pytest.raises(DataError, match="belongs to these reviews"):
            read(tmp_path, [review()], [meta])


def test_items_without_metadata_or_category_stay_and_are_counted(tmp_path: Path):
    reviews = [review(item=item) for item in ("I", "plain", "bare", "none", "empty")]
    meta = [
        GOOD_META,
        "{'asin': 'bare'}",
        "{'asin': 'none', 'categories': []}",
        "{'asin': 'empty', 'categories': [[]]}",
    ]
    log = read(tmp_path, reviews, meta)
    assert log.items.rows() == [
        ("I", "Poetry"),
        ("plain", None),
        ("bare", None),
        ("none", None),
        ("empty", None),
    ]
    assert log.excluded == {
        "items without metadata (kept)": 1,
        "items without category in their metadata (kept)": 3,
    }


def test_metadata_of_items_that_nobody_reviewed_is_passed_over(tmp_path: Path):
    unread = "{'asin': 'other', broken"
    not_first = "{'categories': [['Toys']], 'asin': 'other'}"
    log = read(tmp_path, [review()], [unread, not_first, not_first, GOOD_META])
    assert log.items.rows() == [("I", "Poetry")]
    assert log.excluded == {}


def test_the_first_of_repeated_metadata_counts(tmp_path: Path):
    log = read(tmp_path, [review()], [GOOD_META, "{'asin': 'I', 'categories': [['Toys']]}"])
    assert log.items.rows() == [("I", "Poetry")]
    assert log.excluded == {"repeated metadata lines": 1}


def test_beauty_has_the_published_counts():
    folder = SHARED / "amazon_beauty_5core"
    if not folder.exists():
        pytest.skip("the shared data are not here")
    log = amazon.read(folder / "reviews_Beauty_5.json.gz", folder / "meta_Beauty.json.gz")
    assert (log.users.height, log.items.height, log.events.height) == (22_363, 12_101, 198_502)
    assert log.items["category"].n_unique() == 195
    assert log.excluded == {}
    assert log.events.row(0) == ("AK9P34Y6N3WD2", "B004756YJA", 1_318_896_000)


@pytest.mark.parametrize(
    ("reviews", "meta", "schema"),
    [
        ([review()], ['{"asin": "I", "category": ["Beauty", "Skin"]}'], "amazon-2018"),
        (
            ['{"user_id": "U", "asin": "I", "parent_asin": "I", "timestamp": 5000}'],
            [GOOD_META],
            "amazon-2023",
        ),
        ([review()], ['{"parent_asin": "I", "categories": ["Beauty"]}'], "amazon-2023"),
    ],
)
def test_the_forms_of_2018_and_2023_are_refused_with_the_schema_that_reads_them(
    tmp_path: Path, reviews: list[str | bytes], meta: list[str | bytes], schema: str
) -> None:
    with pytest.raises(DataError, match=rf"line 1: this is the form of .* --schema {schema}$"):
        read(tmp_path, reviews, meta, skip_bad=9)
    assert schema in READY
