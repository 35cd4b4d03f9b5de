"""What a page asks: who there is, what the log has of them, and what runs say of any history."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from dien.data.dataset import Dataset
from dien.errors import RunError
from dien.explain import Explanation, ShownItem, WholeRun, explain, whole_run
from dien.explore.catalogue import FoundUser, Items, Users
from dien.explore.logged_user import LoggedUser, logged_user
from dien.extension import expect_extends
from dien.run import Run
from dien.serving import Request, Scorer

FOUND = 20
"""Users or items that a search gives at most."""
SAMPLE = 1000
"""Impressions that the whole-run view looks at."""
EXPLAINED = 50_000
"""Candidates times behaviours that one explanation has at most: an answer has several numbers for each."""


class ShownRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is looked at.

    Attributes:
        name: of its folder, with as many folders around it as tell the runs apart.
        model: its model.
        reads: newest behaviours that it reads as a sequence at most.
        longest: newest behaviours that it looks at in any way at most, as for those that match a candidate.
        explains: candidates times behaviours that one explanation has at most.
    """

    name: str
    model: str
    reads: int
    longest: int
    explains: int = EXPLAINED


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request to score or explain, of raw ids and values as :meth:`dien.Scorer.score` takes them.

    Attributes:
        run: place of the run among those that are looked at.
        user: raw id.
        history: raw ids, oldest first.
        candidates: raw ids.
        times: of the history; None where they are not known.
        behaviours: of each behaviour feature a value for each of the history.
        time: of the request.
        context: of each context feature the value.
    """

    run: int
    user: str | None
    history: list[str]
    candidates: list[str]
    times: list[int | None] | None = None
    behaviours: dict[str, list[Any]] = {}
    time: int | None = None
    context: dict[str, Any] = {}

    def request(self) -> Request:
        """Make the request of it."""
        return Request(
            user=self.user,
            history=self.history,
            candidates=self.candidates,
            times=self.times,
            behaviours=self.behaviours,
            time=self.time,
            context=self.context,
        )


class ShownUser(msgspec.Struct, frozen=True, kw_only=True):
    """What the log has of a user, and the items in it as they are shown.

    Attributes:
        logged: the request.
        items: those of its history and candidates by raw id.
    """

    logged: LoggedUser
    items: dict[str, ShownItem]


class Explorer:
    """Runs of one dataset, to be asked by several threads. Nothing is written anywhere.

    Args:
        runs: their folders, the first of which has the say in what the dataset is.
        data: the dataset folder they were trained on, or one that has grown from it; None where it still lies
            where it was.

    Raises:
        RunError: a run is not finished, its dataset has moved, or the dataset is another one's.
        DataError: the dataset cannot be read.
    """

    def __init__(self, runs: Sequence[Path | str], data: Path | str | None = None) -> None:
        opened = [Run.open(run) for run in runs]
        self.dataset = opened[0].dataset(data)
        grown = [_grown(run, self.dataset, None if run is opened[0] else opened[0]) for run in opened]
        names = _told_apart([run.path.resolve() for run in opened])
        self._runs = [
            _Opened(run, self.dataset, later, name)
            for run, later, name in zip(opened, grown, names, strict=True)
        ]
        self.items = Items(self.dataset)
        self._users = Users(self.dataset)
        self._most = max(one.scorer.run.config.model.longest_history for one in self._runs)

    @property
    def runs(self) -> list[ShownRun]:
        """Those that are looked at."""
        found = ((one.name, one.scorer.run.config.model) for one in self._runs)
        return [
            ShownRun(name=name, model=model.name, reads=model.max_history, longest=model.longest_history)
            for name, model in found
        ]

    def find_users(self, text: str) -> list[FoundUser]:
        """Find users whose id begins with a text."""
        return self._users.find(text, FOUND)

    def find_items(self, text: str) -> list[ShownItem]:
        """Find items that have a text in their id or name."""
        return self.items.find(text, FOUND)

    def user(self, user: str) -> ShownUser:
        """Look up what the log has of a user.

        Raises:
            DataError: it does not know the user.
        """
        logged = logged_user(self.dataset, user, self._most)
        found = self.shown([*logged.history, *logged.candidates])
        return ShownUser(logged=logged, items={one: item or ShownItem(id=one) for one, item in found.items()})

    def shown(self, ids: Sequence[str]) -> dict[str, ShownItem | None]:
        """Show items by their raw ids; None of one that the dataset does not know."""
        some = list(dict.fromkeys(ids))
        return dict(zip(some, self.items.shown(some), strict=True))

    def score(self, asked: Asked) -> list[float]:
        """Score candidates ``[B]``, as :meth:`dien.Scorer.score`, with its errors."""
        scores: list[float] = self._run(asked.run).scorer.score_many([asked.request()])[0].tolist()
        return scores

    def explain(self, asked: Asked) -> Explanation:
        """Explain scores, as :func:`dien.explain.explain`, with its errors; one at a time for each run.

        Raises:
            ValueError: there are more candidates times behaviours than ``EXPLAINED``.
        """
        run = self._run(asked.run)
        read = max(1, min(len(asked.history), run.scorer.run.config.model.longest_history))
        most = max(1, EXPLAINED // read)
        if len(asked.candidates) > most:
            raise ValueError(
                f"candidates: found {len(asked.candidates):,}, expected {most:,} at most: an explanation has "
                f"numbers for each candidate and each of {read:,} behaviours; explain some of them"
            )
        return run.explain(asked.request())

    def whole_run(self, run: int) -> WholeRun:
        """Set the log beside what a run has learned, over a sample of the test split; made once."""
        return self._run(run).whole_run()

    def _run(self, place: int) -> _Opened:
        if not 0 <= place < len(self._runs):
            raise ValueError(f"run is {place}, expected 0 to {len(self._runs) - 1}")
        return self._runs[place]


class _Opened:
    """A run with what scores it, and what explains it: with two models, so that scoring never waits."""

    def __init__(self, run: Run, dataset: Dataset, grown: Dataset | None, name: str) -> None:
        self.name = name
        self.scorer, self._explaining = Scorer(run, grown), Scorer(run, grown)
        self._dataset, self._names = dataset, dataset.names
        self._lock = threading.Lock()
        self._whole: WholeRun | None = None
        self._of_whole = threading.Lock()

    def explain(self, request: Request) -> Explanation:
        with self._lock:
            found = explain(self._explaining, request, names=self._names)
        return msgspec.structs.replace(found, run=self.name)

    def whole_run(self) -> WholeRun:
        with self._of_whole:
            if self._whole is None:
                found = whole_run(self.scorer.run, self._dataset, sample=SAMPLE)
                self._whole = msgspec.structs.replace(found, run=self.name)
            return self._whole


def _grown(run: Run, dataset: Dataset, first: Run | None) -> Dataset | None:
    """Find what a run reads beside its own: the dataset where it has grown since, None where it is the same.

    Raises:
        RunError: it is another dataset. ``first`` is the run whose dataset it is, None for this one's.
    """
    try:
        run.expect_data(dataset)
        return None
    except RunError:
        pass
    if first is None:
        expect_extends(dataset, run, "name the dataset that it was trained on (--data)")
        return dataset
    try:
        expect_extends(dataset, run, "look at each of the runs by itself")
    except RunError as error:
        raise RunError(
            f"--against {run.path}: was trained on another dataset than {first.path}: {error}"
        ) from error
    return dataset


def _told_apart(paths: Sequence[Path]) -> list[str]:
    """Name folders by their last parts, by as many as tell them apart; the same folder twice has one name."""
    folders = set(paths)
    for length in range(1, max(len(path.parts) for path in paths)):
        names = {path: "/".join(path.parts[-length:]) for path in folders}
        if len(set(names.values())) == len(folders):
            return [names[path] for path in paths]
    return [str(path) for path in paths]
