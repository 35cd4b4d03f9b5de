"""Requests that were recorded, scored by two models: how far the new one's scores are from the current's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dien.errors import DataError, RunError
from dien.files import not_read
from dien.progress import Progress
from dien.serving.recorded import from_line
from dien.serving.request import CheckedRequest
from dien.serving.scorer import Scorer

AT_ONCE = 64
SHOWN = 3
"""Refusals that are told in words; the others are counted."""


@dataclass
class Drift:
    """What replayed requests come to.

    Attributes:
        requests: in the file.
        refused: how many of them the new model refuses.
        reasons: of the first of these, with their lines.
        not_compared: why no request was compared, where the current model failed to score one.
        refused_by_current: how many the current model refuses and the new one takes.
        compared: how many both score.
        candidates: of these.
        mean_difference: mean distance of the two probabilities of a click; None where none was compared, as
            below.
        largest_difference: likewise.
        rank_correlation: of the candidates of a request, by Spearman; the mean over requests.
        mean_score: of the new model.
        mean_score_of_current: of the current one.
    """

    requests: int = 0
    refused: int = 0
    reasons: list[str] = field(default_factory=list)
    not_compared: str | None = None
    refused_by_current: int = 0
    compared: int = 0
    candidates: int = 0
    mean_difference: float | None = None
    largest_difference: float | None = None
    rank_correlation: float | None = None
    mean_score: float | None = None
    mean_score_of_current: float | None = None


def drift(
    new: Scorer, current: Scorer | None, requests: Path, progress: Progress | None = None
) -> tuple[Drift, list[CheckedRequest]]:
    """Replay requests on two models.

    Args:
        new: the one to publish.
        current: the one that answers now; None to see alone whether the new one takes the requests.
        requests: JSON lines, as ``dien serve --record`` writes them.
        progress: called with the number of requests just scored.

    Returns:
        The drift, and some of the requests, as the new model takes them.

    Raises:
        DataError: the file cannot be read, or has no request.
        RunError: a score of the new model is not finite.
    """
    found, sums, sample = Drift(), _Sums(), list[CheckedRequest]()
    for lines in _parts(requests):
        taken = [
            (number, line, asked) for number, line in lines if (asked := _taken(new, line, number, found))
        ]
        sample += [asked for _, _, asked in taken[: AT_ONCE - len(sample)]]
        scores = new.score_many([asked for _, _, asked in taken])
        if current is not None:
            try:
                of_current = _scored(current, [line for _, line, _ in taken])
            except RunError as error:  # it must not keep a better one from being published
                current, found.not_compared = None, str(error)
                found.refused_by_current, sums = 0, _Sums()
            else:
                found.refused_by_current += len(taken) - len(of_current)
                for place, old in of_current.items():
                    sums.add(scores[place], old)
        found.requests += len(lines)
        if progress:
            progress(len(lines))
    if not found.requests:
        raise DataError(f"{requests}: the file is empty; expected requests, a line each, in JSON")
    sums.put(found)
    return found, sample


def _scored(scorer: Scorer, lines: list[bytes]) -> dict[int, NDArray[np.float64]]:
    """Score the requests that a model takes; gives the scores ``[B]`` of each by its place."""
    asked = {
        place: checked
        for place, line in enumerate(lines)
        if isinstance(checked := _checked(scorer, line), CheckedRequest)
    }
    return dict(zip(asked, scorer.score_many(list(asked.values())), strict=True))


def _taken(scorer: Scorer, line: bytes, number: int, found: Drift) -> CheckedRequest | None:
    """Check a request; where the model refuses it, note so."""
    asked = _checked(scorer, line)
    if isinstance(asked, CheckedRequest):
        return asked
    found.refused += 1
    if len(found.reasons) < SHOWN:
        found.reasons.append(f"line {number}: {asked}")
    return None


def _checked(scorer: Scorer, line: bytes) -> CheckedRequest | str:
    """Check a request; gives the reason where the model refuses it."""
    try:
        return scorer.check(from_line(line, scorer.fields))
    except (ValueError, RecursionError) as error:
        return str(error)


def _parts(path: Path) -> Iterator[list[tuple[int, bytes]]]:
    """Read lines with their numbers, from 1, some at a time; empty ones are left out."""
    try:
        with path.open("rb") as file:
            lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
            while part := list(itertools.islice(lines, AT_ONCE)):
                yield part
    except OSError as error:
        raise DataError(
            not_read(path, error, "name a file of requests, as dien serve --record writes")
        ) from error


class _Sums:
    """Sums over the requests that both models score."""

    def __init__(self) -> None:
        self._requests = self._candidates = self._ranked = 0
        self._far = self._largest = self._rank = self._new = self._old = 0.0

    def add(self, new: NDArray[np.float64], old: NDArray[np.float64]) -> None:
        """Add the scores of a request by both ``[B]``."""
        self._requests += 1
        self._candidates += len(new)
        far = np.abs(new - old)
        self._far += float(far.sum())
        self._largest = max(self._largest, float(far.max(initial=0)))
        self._new += float(new.sum())
        self._old += float(old.sum())
        if (correlation := _spearman(new, old)) is not None:
            self._ranked += 1
            self._rank += correlation

    def put(self, found: Drift) -> None:
        """Give what the sums come to."""
        found.compared, found.candidates = self._requests, self._candidates
        if self._candidates:
            found.mean_difference = self._far / self._candidates
            found.largest_difference = self._largest
            found.mean_score = self._new / self._candidates
            found.mean_score_of_current = self._old / self._candidates
        if self._ranked:
            found.rank_correlation = self._rank / self._ranked


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Correlate the ranks of candidates ``[B]``; None where one of the two has them all alike."""
    from scipy.stats import rankdata

    ranks = [rankdata(scores) for scores in (a, b)]
    if any(len(set(of.tolist())) < 2 for of in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])
