"""Make vectors of items from the text of their metadata, for a feature of `kind: vector`.

    python benchmarks/text_vectors.py meta_Beauty.json.gz vectors.parquet

The text of an item is its title, its brand and the names along its category paths, whatever of them the
metadata has: all of it is known when an item is new. Words and pairs of neighbouring words are hashed,
weighted by TF-IDF and brought to length 1 for each item; a truncated singular value decomposition makes 32
numbers of them. Weights and directions are of all items in the file. No review is read. Writes Parquet with
the columns `asin` and `vector`, without the items that have no word which another one lacks.
"""

import argparse
import ast
import html
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import svds

from dien.data.readers.lines import LineFile

BUCKETS = 1 << 18
WORD = re.compile(r"[^\W_]+")


def items_of(path: Path) -> Iterator[dict[str, Any]]:
    """Read metadata: JSON objects or Python literals, one a line."""
    for number, line in LineFile(path):
        text = line.decode()
        try:
            item = json.loads(text)
        except ValueError:
            try:
                item = ast.literal_eval(text.strip())
            except (ValueError, SyntaxError):
                item = None
        if not isinstance(item, dict) or not item.get("asin"):
            raise SystemExit(
                f"{path}: line {number}: {text.strip()[:80]!r} is no item; expected a JSON object or a "
                "Python dict literal with asin; mend or remove the line"
            )
        yield item


def terms_of(item: dict[str, Any]) -> Iterator[str]:
    """Give the words of an item, and the pairs of neighbouring words within each of its texts."""
    names = dict.fromkeys(name for path in item.get("categories") or [] for name in path)  # once each
    for text in (item.get("title"), item.get("brand"), *names):
        words = WORD.findall(html.unescape(text or "").lower())
        yield from words
        yield from (" ".join(pair) for pair in pairwise(words))


def tf_idf(items: list[list[str]]) -> csr_array:
    """Weight hashed terms.

    Args:
        items: the terms of each item.

    Returns:
        ``[items, BUCKETS]``: ``(1 + log n) * log(items / items with the term)`` for a term that an item has
        ``n`` times, each row of length 1 or empty.
    """
    rows, columns, counts = [], [], []
    for row, terms in enumerate(items):
        for column, count in Counter(zlib.crc32(term.encode()) % BUCKETS for term in terms).items():
            rows.append(row)
            columns.append(column)
            counts.append(count)
    frequency = np.bincount(np.asarray(columns, np.int64), minlength=BUCKETS)
    weights = (1 + np.log(counts)) * np.log(len(items) / frequency[columns])
    found = csr_array((weights, (rows, columns)), shape=(len(items), BUCKETS))
    found.eliminate_zeros()  # of what every item has
    lengths = np.sqrt(found.multiply(found).sum(1))
    return csr_array(diags_array(1 / np.where(lengths > 0, lengths, 1)) @ found)


def vectors_of(items: list[list[str]], width: int) -> NDArray[np.float32]:
    """Make a vector of each item, all NaN where it has no word that another one lacks.

    Args:
        items: the terms of each item.
        width: numbers of a vector.

    Returns:
        ``[items, width]``, the largest singular value first.
    """
    weighted = tf_idf(items)
    terms = len(np.unique(weighted.indices))
    if width >= min(len(items), terms):
        raise SystemExit(
            f"--width is {width}, expected fewer than there are items ({len(items):,}) and words and "
            f"pairs of words ({terms:,}); give a smaller width"
        )
    start = np.random.default_rng(0).standard_normal(min(weighted.shape))  # same file, same vectors
    left, values, _ = svds(weighted, k=width, v0=start)
    order = np.argsort(-values)
    vectors = (left * values)[:, order].astype(np.float32)
    vectors[weighted.indptr[1:] == weighted.indptr[:-1]] = np.nan
    return vectors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("meta", type=Path, help="metadata of Amazon, gzip or plain")
    parser.add_argument("out", type=Path, help="Parquet file to write")
    parser.add_argument("--width", type=int, default=32, help="numbers of a vector (default 32)")
    options = parser.parse_args()
    terms = {item["asin"]: list(terms_of(item)) for item in items_of(options.meta)}
    vectors = vectors_of(list(terms.values()), options.width)
    known = ~np.isnan(vectors[:, 0])
    lists = pl.Series("vector", vectors).arr.to_list()
    pl.DataFrame({"asin": list(terms), "vector": lists}).filter(known).write_parquet(options.out)
    print(f"{known.sum():,} vectors, {len(known) - known.sum():,} items without one")


if __name__ == "__main__":
    main()
