"""What holds between features: each has a name of its own, fit for a file; and who may share a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dien.data.features.definition import Definition
from dien.data.features.indices import Indices

TIME_SINCE = "time_since"
"""The behaviour feature that is computed in every batch: seconds from the behaviour to the impression."""

RESERVED = (
    *("user", "item", "label", "impression", "split"),  # what else the events of a log have
    *("ids", "popularity"),  # files of a dataset folder
    *("history", "candidates", "time", "times"),  # fields of requests
)
"""Names that no feature may have; ``item`` and ``user`` are those of the ids themselves."""


def name_problem(name: str, seen: Mapping[str, str]) -> str | None:
    """Say why no feature can have a name; None where one can.

    Args:
        name: of the feature.
        seen: where the features before it are defined, by their names, casefolded: some systems do not tell
            the files of ``a`` and ``A`` apart.
    """
    if not name or name[0] == "." or any(c in '/\\:*?"<>|' or not c.isprintable() for c in name):
        return "a feature's name is a file's name, without / \\ : * ? \" < > | and no dot first"
    folded = name.casefold()
    if folded == TIME_SINCE:
        return "this name is kept for the feature of behaviours that is computed in every batch"
    if folded in RESERVED or name.endswith(".offsets"):
        return "this name is kept, no feature can have it"
    if folded in seen:
        return f"{seen[folded]} has this name, too"
    return None


def check_names(features: Iterable[tuple[str, str]], mend: str) -> None:
    """Check the names of features, but for ids and ``time_since``.

    Args:
        features: where each is defined, for the message, and its name.
        mend: what to do about a name.

    Raises:
        ValueError: a feature cannot have its name.
    """
    seen: dict[str, str] = {}
    for where, name in features:
        if problem := name_problem(name, seen):
            raise ValueError(f"{where}: {problem}; {mend}")
        seen[name.casefold()] = where


def check_shared(features: Mapping[str, tuple[str, Definition]]) -> None:
    """Check that each feature shares the table of one that has a fitting table of its own.

    Args:
        features: by name, ids among them: where each is defined, for the message, and its definition.

    Raises:
        ValueError: naming the first that does not.
    """
    for name, (where, feature) in features.items():
        if not isinstance(feature, Indices) or feature.shares is None:
            continue
        _, owner = features.get(feature.shares, ("", None))
        of = f"{where}: shares the table of {feature.shares!r}"
        if owner is not None and not isinstance(owner, Indices):
            raise ValueError(f"{of}, which is {owner.kind} and has none; share that of ids, or none")
        if owner is None or owner.shares is not None or feature.shares == name:
            owners = [
                n for n, (_, f) in features.items() if n != name and isinstance(f, Indices) and not f.shares
            ]
            wrong = "is no feature" if owner is None else "has none of its own"
            raise ValueError(f"{of}, which {wrong}; expected one of {', '.join(owners)}")
        if owner.buckets != feature.buckets:
            raise ValueError(f"{of}; give both the same buckets")
