import gzip
import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dien import Dataset
from tests.cli.running import dien

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import text_vectors  # noqa: E402

sys.path.remove(str(BENCHMARKS))

ITEMS = [
    {"asin": "0001", "title": "Rose hand cream", "brand": "L&#39;Or", "categories": [["Beauty", "Hands"]]},
    {"asin": "0002", "title": "Rose hand cream", "brand": "L&#39;Or", "categories": [["Beauty", "Hands"]]},
    {"asin": "0003", "title": "Lemon hand cream", "categories": [["Beauty", "Hands"]]},
    {"asin": "0004", "title": "Hair dryer 2000", "brand": None, "categories": [["Beauty", "Hair"]]},
    {"asin": "0005", "categories": [["Beauty"]]},
]


def made(tmp_path, monkeypatch, items, *options):
    """Run the command as from a shell, on half JSON and half Python literals; returns what it wrote."""
    meta, out = tmp_path / "meta.json.gz", tmp_path / "vectors.parquet"
    lines = [json.dumps(item) if number % 2 else repr(item) for number, item in enumerate(items)]
    meta.write_bytes(gzip.compress("\n".join(lines).encode()))
    monkeypatch.setattr(sys, "argv", ["text_vectors.py", str(meta), str(out), *options])
    text_vectors.main()
    return pl.read_parquet(out)


def test_items_with_more_words_in_common_have_nearer_vectors(tmp_path, monkeypatch):
    table = made(tmp_path, monkeypatch, ITEMS, "--width", "3")
    one, same, alike, other = (np.array(vector) for vector in table["vector"])
    np.testing.assert_allclose(one, same, atol=1e-6)
    assert one @ alike > one @ other + 0.1


def test_an_item_that_has_only_what_all_have_has_no_vector(tmp_path, monkeypatch):
    table = made(tmp_path, monkeypatch, ITEMS, "--width", "2")
    assert table["asin"].to_list() == ["0001", "0002", "0003", "0004"]


def test_a_brand_is_read_without_its_html():
    terms = list(text_vectors.terms_of(ITEMS[0]))
    assert "l or" in terms
    assert "39" not in terms
    assert "l beauty" not in terms  # of two texts


@given(
    st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6), min_size=3, max_size=12),
    st.integers(1, 3),
)
def test_vectors_are_the_best_of_their_width(items, width):
    weighted = text_vectors.tf_idf(items)
    dense = weighted[:, np.unique(weighted.indices)].toarray()
    lengths = np.linalg.norm(dense, axis=1)
    assert np.all(np.isclose(lengths, 1) | (lengths == 0))
    if width >= min(dense.shape):
        with pytest.raises(SystemExit, match=f"--width is {width}, expected fewer"):
            text_vectors.vectors_of(items, width)
        return
    vectors = text_vectors.vectors_of(items, width)
    np.testing.assert_array_equal(np.isnan(vectors).any(1), lengths == 0)
    values = np.linalg.svd(dense, compute_uv=False)
    found = np.linalg.norm(np.nan_to_num(vectors).astype(np.float64), axis=0)
    np.testing.assert_allclose(found, values[:width], atol=1e-4)
    np.testing.assert_array_equal(vectors, text_vectors.vectors_of(items, width))


def test_dien_prepare_reads_what_is_written(tmp_path, monkeypatch):
    made(tmp_path, monkeypatch, ITEMS, "--width", "3")
    log = [
        f"u{user},{ITEMS[(user + step) % 5]['asin']},{10**9 + step}" for user in range(6) for step in range(9)
    ]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *log]))
    (tmp_path / "schema.yaml").write_text(
        "features: {item: {text: {kind: vector, file: vectors.parquet, frozen: true}}}"
    )
    monkeypatch.chdir(tmp_path)
    done = dien("prepare", "table", "--interactions", "log.csv", "--schema", "schema.yaml", "--out", "data")
    assert done.returncode == 0, done.stderr
    features = {feature.name: feature for feature in Dataset.open(tmp_path / "data").schema.features}
    assert features["text"].width == 3


@pytest.mark.parametrize("line", ["{", "[1]", '{"title": "x"}'])
def test_a_line_that_is_no_item_is_refused(tmp_path, line):
    (tmp_path / "meta.json").write_text(f"{json.dumps(ITEMS[0])}\n{line}\n")
    with pytest.raises(SystemExit, match=r"line 2: .* is no item; expected a JSON object"):
        list(text_vectors.items_of(tmp_path / "meta.json"))
