"""A data set of RecBole's atomic files: NAME.inter, and where they are there NAME.user and NAME.item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dien.data.features import Side
from dien.data.features.indices import RARE_SHARE
from dien.data.features.rules import name_problem
from dien.data.log import Log
from dien.data.readers.atomic import AtomicReader
from dien.data.readers.files import find
from dien.data.sources import table
from dien.data.sources.table.time_keys import TimeUnit
from dien.errors import DataError
from dien.forks import expect_polars
from dien.progress import Progress

LABEL, RATING = "label", "rating"
"""RecBole's names of what a user answered (LABEL_FIELD, RATING_FIELD)."""
LIST, LENGTH = "_list", "item_length"
"""RecBole's names of histories in rows: the end of each column's (LIST_SUFFIX), and the column of how many
items they have (ITEM_LIST_LENGTH_FIELD)."""

_KINDS: dict[str, dict[str, str]] = {
    "token": {"kind": "categorical"},
    "token_seq": {"kind": "multi", "separator": " "},
    "float": {"kind": "numeric"},
}


@dataclass(frozen=True)
class Fields:
    """What the columns mean; the defaults are RecBole's.

    Attributes:
        user: id of the user (USER_ID_FIELD); in NAME.inter and NAME.user.
        item: id of the item (ITEM_ID_FIELD); in NAME.inter and NAME.item.
        time: of the interaction (TIME_FIELD).
        time_unit: of the time; None to detect it from the values.
        label: 1 clicked and 0 not; None for the column ``label``, and where there is none every interaction
            is a click.
        threshold: a column and a number in place of ``label``: so much or more is clicked, less is not.
        behaviour: columns of NAME.inter known only after the interaction, as a dwell time: features of past
            behaviours, not of the impression. A ``rating`` that makes no label is one without being named.
        drop: columns left out, of whichever file.
        rare_share: share of the ids and tokens that training has once which are unknown, so that "unknown" is
            trained, in [0, 1].
    """

    user: str = "user_id"
    item: str = "item_id"
    time: str = "timestamp"
    time_unit: TimeUnit | None = None
    label: str | None = None
    threshold: tuple[str, float] | None = None
    behaviour: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    rare_share: float = RARE_SHARE


def read(folder: Path, fields: Fields | None = None, *, progress: Progress | None = None) -> Log:
    """Read a data set as :func:`dien.data.sources.table.read` reads tables.

    Every other column is a feature named after it: a token is categorical, a token_seq multi-valued, a float
    numeric; those of NAME.inter are of the context. A float_seq is no feature and is left out.

    Where NAME.inter has a column of lists of items (``item_id_list``), each row has its own history: that
    list, its times (``timestamp_list``), and the lists beside it of what is known only afterwards.

    Args:
        folder: holds ``NAME.inter``, where NAME is the folder's own name or there is one such file alone.
        fields: what the columns mean.
        progress: called with the number of bytes just read from disk.

    Returns:
        The log; ``excluded`` also names the columns of type float_seq, and those that histories in the rows
        leave without use.

    Raises:
        DataError: a file is missing or damaged, a column is missing, has another type than it must have or
            holds what it should not, or its name cannot be a feature's.
    """
    expect_polars("the data cannot be read")
    fields = fields or Fields()
    files = _find(folder)
    columns = {suffix: AtomicReader(find([path])[0]).types() for suffix, path in files.items()}
    _check_dropped(folder, columns, fields)
    interactions = {"user": fields.user, "item": fields.item, "time": fields.time} | _label(
        columns["inter"], fields
    )
    _check_columns(files, columns, fields, interactions)
    history = _history(columns["inter"], fields)
    of_history = {history["item"], history.get("time"), LENGTH} if history else set()
    features: dict[Side, dict[str, Any]] = {"item": {}, "user": {}, "behaviour": {}, "context": {}}
    rare = {"rare_share": fields.rare_share}
    lists: list[str] = []
    without_list: list[str] = []
    seen: dict[str, str] = {}
    meant = {*interactions.values(), *(name for name in of_history if name)}
    for side, name, kind, path in _features(files, columns, fields, meant):
        if history and side == "behaviour":
            if f"{name}{LIST}" not in columns["inter"]:
                without_list.append(name)
                continue
            history["features"][name] = f"{name}{LIST}"
        elif (
            history and side == "context" and name.removesuffix(LIST) in _afterwards(columns["inter"], fields)
        ):
            continue  # of the histories
        if kind == "float_seq":
            lists.append(name)
            continue
        _check_name(name, path, seen)
        features[side][name] = _KINDS[kind] | ({} if kind == "float" else rare)
    limit = {} if fields.threshold is None else {"threshold": fields.threshold[1]}
    spec = table.TableSpec.of(
        {
            "interactions": {
                **interactions,
                **limit,
                "time_unit": fields.time_unit,
                "history": history or None,
            },
            "items": {"item": fields.item},
            "users": {"user": fields.user},
            "ids": {"item": rare, "user": rare},
            "features": features,
        },
        str(folder),
    )
    log = table.read(
        [files["inter"]],
        [files["item"]] if "item" in files else None,
        [files["user"]] if "user" in files else None,
        spec,
        progress=progress,
    )
    left_out = {f"columns of type float_seq ({', '.join(lists)})": len(lists)} if lists else {}
    if without_list:
        names = ", ".join(without_list)
        left_out[f"columns known only afterwards, of which histories have no list ({names})"] = len(
            without_list
        )
    if history and LENGTH in columns["inter"]:
        left_out[f"columns of how long histories are ({LENGTH})"] = 1
    return replace(log, excluded={**log.excluded, **left_out})


def _history(columns: Mapping[str, str], fields: Fields) -> dict[str, Any]:
    """Name the columns of the history that stands in each row; nothing where there is none."""
    items, times = f"{fields.item}{LIST}", f"{fields.time}{LIST}"
    if columns.get(items) != "token_seq" or items in fields.drop:
        return {}
    timed = {"time": times} if times in columns and times not in fields.drop else {}
    return {"item": items, "separator": " ", **timed, "features": {}}


def _afterwards(columns: Mapping[str, str], fields: Fields) -> set[str]:
    """Name the columns of what is known only after the interaction."""
    return {*fields.behaviour, RATING} & set(columns)


def _find(folder: Path) -> dict[str, Path]:
    """Find the files of the data set, by suffix."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no folder; give the one that holds NAME.inter")
    found = sorted(folder.glob("*.inter"))
    own = folder / f"{folder.resolve().name}.inter"
    if not found:
        raise DataError(f"{folder}: holds no file NAME.inter; expected RecBole's atomic files")
    if own not in found and len(found) > 1:
        raise DataError(
            f"{folder}: holds {', '.join(path.name for path in found)}; expected one data set, or {own.name} "
            "among them; move the others out, and join what was split beforehand"
        )
    inter = own if own in found else found[0]
    others = {suffix: inter.with_suffix(f".{suffix}") for suffix in ("user", "item")}
    return {"inter": inter} | {suffix: path for suffix, path in others.items() if path.exists()}


def _label(columns: Mapping[str, str], fields: Fields) -> dict[str, str]:
    """Name the column that labels are made of, if there is one."""
    if fields.threshold is not None:
        return {"label": fields.threshold[0]}
    if fields.label is not None:
        return {"label": fields.label}
    return {"label": LABEL} if LABEL in columns and LABEL not in fields.drop else {}


def _check_dropped(folder: Path, columns: Mapping[str, Mapping[str, str]], fields: Fields) -> None:
    label = fields.label if fields.threshold is None else fields.threshold[0]
    used = {fields.user, fields.item, fields.time, label, *fields.behaviour}
    for name in fields.drop:
        if name in used:
            raise DataError(f"{folder}: column {name!r} is to be used and left out (--drop); choose one")
        if not any(name in of_file for of_file in columns.values()):
            raise DataError(
                f"{folder}: no column {name!r} to leave out (--drop); found "
                + "; ".join(f"{', '.join(of_file)} in .{suffix}" for suffix, of_file in columns.items())
            )


def _check_columns(
    files: Mapping[str, Path],
    columns: Mapping[str, Mapping[str, str]],
    fields: Fields,
    interactions: Mapping[str, str],
) -> None:
    """Raise where a column that has a meaning is missing, or of a type it cannot have."""
    options = {"label": "--label" if fields.threshold is None else "--threshold"}
    needed = [("inter", meaning, name, options.get(meaning)) for meaning, name in interactions.items()]
    needed += [("inter", "behaviour", name, None) for name in fields.behaviour]
    needed += [(suffix, suffix, getattr(fields, suffix), None) for suffix in ("user", "item")]
    for suffix, meaning, name, option in needed:
        if suffix not in columns:
            continue
        found = columns[suffix]
        if name not in found:
            raise DataError(
                f"{files[suffix]}: line 1: no column {name!r}; found {', '.join(found)}; "
                f"name the right one ({option or f'--{meaning}'})"
            )
        if meaning == "behaviour" and name in interactions.values():
            raise DataError(
                f"{files[suffix]}: line 1: column {name!r} is the user, item, time or label already; name "
                "another one (--behaviour)"
            )
        allowed = ("token",) if meaning in ("user", "item") else ("token", "float")
        if meaning != "behaviour" and found[name] not in allowed:
            raise DataError(
                f"{files[suffix]}: line 1: column {name!r} is of type {found[name]}, expected "
                f"{' or '.join(allowed)} of the {meaning}; mend the header, or name another column "
                f"({option or f'--{meaning}'})"
            )


def _features(
    files: Mapping[str, Path],
    columns: Mapping[str, Mapping[str, str]],
    fields: Fields,
    meant: set[str],
) -> Iterator[tuple[Side, str, str, Path]]:
    """Name every column that is a feature, with its side, type and file."""
    answer = {LABEL} if fields.threshold is not None else set()
    sides: tuple[tuple[str, Side, set[str]], ...] = (
        ("item", "item", {fields.item}),
        ("user", "user", {fields.user}),
        ("inter", "context", meant | answer),
    )
    for suffix, side, no_features in sides:
        for name, kind in columns.get(suffix, {}).items():
            if name in no_features or name in fields.drop:
                continue
            behaviour = side == "context" and (name in fields.behaviour or name == RATING)
            yield "behaviour" if behaviour else side, name, kind, files[suffix]


def _check_name(name: str, path: Path, seen: dict[str, str]) -> None:
    """Raise where a feature cannot have the name of its column."""
    problem = name_problem(name, seen)
    if problem:
        raise DataError(
            f"{path}: line 1: column {name!r}: {problem}; rename it in the header, or leave it out "
            f"(--drop {name!r})"
        )
    seen[name.casefold()] = str(path)
