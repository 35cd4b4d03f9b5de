"""Scores from raw ids, through the same encoding as training."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dien.calibration import Platt
from dien.data.batch import candidates_at_once
from dien.data.batches import assemble, columns_of
from dien.data.changing import LATEST
from dien.data.dataset import Dataset
from dien.data.history_filter import search, wanted_values
from dien.data.matches import matches_of, without_age
from dien.data.tables import FeatureTable
from dien.device import device_of
from dien.errors import DataError, RunError
from dien.models.registry import Registered, models, register
from dien.run import Run
from dien.serving.catalogue import Catalogue, grown
from dien.serving.features import Described, RequestFields
from dien.serving.once import Once
from dien.serving.popular import KnownPopularity
from dien.serving.request import CheckedRequest, Moment, RawId, Request, checked
from dien.serving.rows import Reading, Rows, in_place
from dien.serving.scored import ScoredFile
from dien.serving.unknown_items import UnknownItems
from dien.threads import one_thread

CANDIDATES_AT_ONCE = 2048
STEPS_OF_ONE_THREAD = 1 << 17
"""Steps that all candidates read together, up to which one thread computes them, however many torch has. It
takes tens of milliseconds; with more threads a request waits for them, beside other processes for long."""
STEPS_OF_A_CANDIDATE = 32  # the head costs a candidate about as much as 30 steps of its history


class Scorer:
    """Click probabilities of candidates, given a user and the items they have clicked.

    Args:
        run: a finished run; nothing but its folder is needed.
        data: a dataset that has grown since (``dien prepare ... --append``): its items and users are known by
            their features, also those that came after the run; None for those of the run.
        device: where the model computes, as ``training.device`` has it; a forked process needs ``cpu``.
        base_rate: the share of clicks among all that is shown, where the log has another: because negatives
            were sampled, or a part of them left out. Scores are then probabilities of a click on what is
            shown (docs/requests.md, "What a score means"). None is the log's own.

    Raises:
        ConfigError: it is no device's name, or there is no such device here.
        RunError: the run is not finished, or the dataset does not go on with the run's; or a base rate is
            given and the run has no calibration to start from.
        ValueError: the base rate is not above 0 and below 1.
    """

    def __init__(
        self,
        run: Run,
        data: Dataset | Path | str | None = None,
        device: str = "cpu",
        base_rate: float | None = None,
    ) -> None:
        if not isinstance(run, Run):
            raise TypeError(
                f"Scorer: found a {type(run).__name__}, expected a Run; Scorer.load(path) opens a run folder"
            )
        self.run, self.device, self.base_rate = run, device_of(device), base_rate
        self._identity = run.folder.identity
        if data is not None:
            data = data if isinstance(data, Dataset) else Dataset.open(data)
        self.data = data
        self.catalogue: Catalogue = run if data is None else grown(run, data)
        self.model = run.load_model().to(self.device)
        self.calibration = self.model.calibration
        if base_rate is not None:
            if self.calibration is None:
                raise RunError(
                    f"{run.path}: has no calibration, so that no click rate is known that its scores stand "
                    "for, and none can be put in its place; train again with training.calibration=platt"
                )
            self.calibration = self.calibration.for_base_rate(base_rate)
        self.fields = RequestFields(run)
        self.popularity = KnownPopularity.of(run, data)
        self._once = Once()

    def __repr__(self) -> str:
        return f"Scorer({str(self.run.path)!r}: {self.run.config.model.name})"

    def __reduce__(self) -> Any:
        """Pickle the path of the run folder, to be opened again by a process that scores, too."""
        found = models()[self.run.config.model.name]
        data = None if self.data is None else (self.data, self.data.identity)
        path, device = self.run.path.absolute(), str(self.device)
        return _opened_again, (path, self._identity, data, device, self.base_rate, found)

    @classmethod
    def load(
        cls,
        path: Path | str,
        data: Dataset | Path | str | None = None,
        device: str = "cpu",
        base_rate: float | None = None,
    ) -> Scorer:
        """Open a run folder.

        Args:
            path: the folder.
            data: as for the scorer.
            device: likewise.
            base_rate: likewise.

        Raises:
            ConfigError: as for the scorer.
            RunError: the folder is no finished run, or as for the scorer.
            ValueError: as for the scorer.
        """
        return cls(Run.open(path), data, device, base_rate)

    @property
    def predicts_conversions(self) -> bool:
        """Whether the model predicts, beside the click, whether it leads to a conversion."""
        return self.model.predicts_conversions and self.run.config.model.wants_conversions(self.run.schema)

    def score(
        self,
        user: RawId | None,
        history: Sequence[RawId],
        candidates: Sequence[RawId],
        context: Mapping[str, Any] | None = None,
        behaviours: Mapping[str, Sequence[Any]] | None = None,
        times: Sequence[Moment | None] | None = None,
        time: Moment | None = None,
        candidate_features: Mapping[str, Sequence[Any]] | None = None,
        user_features: Mapping[str, Any] | None = None,
        conversions: bool = False,
    ) -> NDArray[np.float64]:
        """Score one request.

        Ids the run does not know are legal: they count as "unknown". An id is text or a whole number; lists
        may be arrays of numpy, or columns of pandas, Polars or Arrow. Nothing here needs Polars: a process
        that was forked scores, too.

        Args:
            user: raw id of the user, None where there is none.
            history: raw ids of the items clicked so far, oldest first; the newest ``max_history`` are read,
                or searched the newest ``filter_history``, and matches are counted over the newest
                ``match_history``.
            candidates: raw ids of the items to score.
            context: raw value of each context feature: an id, a list of ids (multi-valued) or a number, as
                when preparing; what is missing or None counts as unknown.
            behaviours: of each behaviour feature, a raw value for each entry of the history; likewise.
            times: when each entry of the history was, for runs with ``time_since``, which is unknown without,
                with matches, whose age is unknown without (a warning says so, once), or with features that
                change over time, which have their latest values without. A time is a number since 1970 (its
                size says the unit), text as 2024-01-31T10:00:00Z, or typed; one without a zone is of that of
                the log.
            time: of the request, likewise; a feature ``from_time`` follows from it where it is not given,
                and what changes over time, and popularity, is as it was then.
            candidate_features: of some item features, a raw value for each candidate: it counts in place of
                the run's own, which it has for items it knows. None is not given.
            user_features: of some user features, a raw value, likewise.
            conversions: whether to give the probability of a conversion, too.

        Returns:
            ``[B]`` probability of a click on each candidate; with ``conversions`` ``[2, B]``, of a click, and
            that a click leads to a conversion: their product is the probability of both.

        Raises:
            ValueError: a feature the run does not have, a value that is not of its feature's kind, or not one
                for each entry of the history or each candidate.
            RunError: a score is not finite, or conversions are asked for and the run does not predict them.
        """
        request = Request(
            user=user,
            history=history,
            candidates=candidates,
            context=context,
            behaviours=behaviours,
            times=times,
            time=time,
            candidate_features=candidate_features,
            user_features=user_features,
        )
        return self._score([self.check(request)], conversions)[0]

    def check(self, request: Request) -> CheckedRequest:
        """Check the values of a request, which :meth:`score_many` then takes without checking again.

        Raises:
            ValueError: as :meth:`score`.
        """
        return checked(request, self.fields, self.run.config.model.longest_history)

    def score_many(
        self, requests: Sequence[Request | CheckedRequest], conversions: bool = False
    ) -> list[NDArray[np.float64]]:
        """Score requests together: many small ones take less time so than one after the other.

        Args:
            requests: each as for :meth:`score`; what :meth:`check` gives is not checked again.
            conversions: as for :meth:`score`.

        Returns:
            What :meth:`score` gives of each.

        Raises:
            ValueError: as :meth:`score`; the message counts requests from 1.
            RunError: likewise, if it is so of any of them.
        """
        found = [self._checked(request, number) for number, request in enumerate(requests, 1)]
        return self._score(found, conversions) if found else []

    def _checked(self, request: Request | CheckedRequest, number: int) -> CheckedRequest:
        if isinstance(request, CheckedRequest):
            return request
        try:
            return self.check(request)
        except ValueError as error:
            raise ValueError(f"request {number}: {error}") from error

    def _score(self, requests: Sequence[CheckedRequest], conversions: bool) -> list[NDArray[np.float64]]:
        """Encode ``R`` requests and score them."""
        rows = self.encode(requests)
        scores = self._score_rows(rows, conversions)
        ends = itertools.accumulate(rows.counts.tolist())
        return [scores[..., end - count : end] for end, count in zip(ends, rows.counts, strict=True)]

    def encode(self, requests: Sequence[CheckedRequest]) -> Rows:
        """Look up the rows of ``R`` requests in the run's tables."""
        fields, find = self.fields, self.catalogue.item_ids.encode_values
        lengths = [len(request.history) for request in requests]
        counts = [len(request.candidates) for request in requests]
        history = _joined([request.history for request in requests])
        candidates = _joined([request.candidates for request in requests])
        moments = [request.time for request in requests]
        times: list[int | None] = []
        if any(request.times is not None for request in requests):
            times = _joined(_or_nones([request.times for request in requests], lengths))
        since: list[int | None] = []
        if fields.reads_time_since and times:
            nows = [now for now, length in zip(moments, lengths, strict=True) for _ in range(length)]
            since = [
                None if now is None or then is None else now - then
                for now, then in zip(nows, times, strict=True)
            ]
        behaviours = _entries([request.behaviours for request in requests], lengths)
        of_candidates = _entries([request.candidate_features for request in requests], counts)
        unknown = UnknownItems()
        return Rows(
            user=self.catalogue.user_ids.encode_values([request.user for request in requests]),
            history=unknown.told_apart(find(history), history),
            lengths=np.array(lengths),
            candidates=unknown.told_apart(find(candidates), candidates),
            counts=np.array(counts),
            context=fields.encode_context(
                _values([request.context for request in requests]) | {fields.time.name: moments},
                len(requests),
            ),
            behaviours=fields.encode_behaviours(behaviours, len(history), since),
            candidate_features=fields.encode_described(of_candidates),
            user_features=fields.encode_described(_values([request.user_features for request in requests])),
            time=_or_latest(moments),
            times=_or_latest(times) if times else None,
        )

    def score_rows(
        self,
        *,
        user: NDArray[np.integer],
        history: NDArray[np.integer],
        lengths: NDArray[np.integer],
        candidates: NDArray[np.integer],
        counts: NDArray[np.integer],
        context: FeatureTable,
        behaviours: FeatureTable,
        candidate_features: Described | None = None,
        user_features: Described | None = None,
        time: NDArray[np.int64] | None = None,
        times: NDArray[np.int64] | None = None,
        conversions: bool = False,
        result: ScoredFile | None = None,
    ) -> NDArray[np.float64]:
        """Score ``R`` requests given as rows of the run's tables.

        Args:
            user: ``[R]`` user rows.
            history: item rows of the histories, request after request, oldest first. Items without a row are
                told apart by numbers below 0 (:class:`~dien.serving.unknown_items.UnknownItems`).
            lengths: ``[R]`` behaviours of each request; the newest ``max_history`` are read, or searched the
                newest ``filter_history``, and matches are counted over the newest ``match_history``.
            candidates: ``[B]`` item rows, request after request, likewise.
            counts: ``[R]`` candidates of each request.
            context: encoded context features ``[R]``.
            behaviours: encoded behaviour features of the histories, ``time_since`` included.
            candidate_features: item features of candidates ``[B]`` that count in place of the run's.
            user_features: user features ``[R]``, likewise.
            time: ``[R]`` seconds since 1970 of the requests, where features change, or matches or popularity
                are counted; None for the latest values, matches of unknown age, and the popularity of the end
                of the log.
            times: of the histories' entries, likewise.
            conversions: as for :meth:`score`.
            result: where to count the candidates with matches whose age is not known, or whose popularity is
                not; None warns of them, once in the scorer's life.

        Returns:
            ``[B]`` probabilities, with ``conversions`` ``[2, B]``.

        Raises:
            RunError: one is not finite, or conversions are asked for and the run does not predict them.
        """
        rows = Rows(
            user=user,
            history=history,
            lengths=lengths,
            candidates=candidates,
            counts=counts,
            context=context,
            behaviours=behaviours,
            candidate_features=candidate_features,
            user_features=user_features,
            time=time,
            times=times,
        )
        return self._score_rows(rows, conversions, result)

    def _score_rows(
        self, rows: Rows, conversions: bool, result: ScoredFile | None = None
    ) -> NDArray[np.float64]:
        """Score requests as :meth:`score_rows` does, of whose arguments the rows are made."""
        if conversions and not self.predicts_conversions:
            raise RunError(
                f"{self.run.path}: does not predict conversions: its dataset has none "
                "(interactions.conversion of the schema), or model.conversion_weight was 0"
            )
        model, B = self.run.config.model, len(rows.candidates)
        scores = np.empty((1 + conversions, B))
        ageless = 0
        longest = np.minimum(rows.lengths, model.longest_history)
        threads: AbstractContextManager[None] = nullcontext()
        steps = _steps(rows.counts, np.minimum(rows.lengths, model.max_history))
        if result is None and steps <= STEPS_OF_ONE_THREAD:
            threads = one_thread()  # a file or a split is no request: nobody waits for a part of it
        with threads, torch.inference_mode():
            for now in candidates_at_once(rows.counts, longest, CANDIDATES_AT_ONCE, model.max_history):
                reading = self.read(rows, now)
                batch, ageless = reading.batch, ageless + reading.ageless
                prediction = self.model(batch if self.device.type == "cpu" else batch.to(self.device))
                clicks = None if self.calibration is None else self.calibration.clicks
                scores[0, now] = _probabilities(prediction.logits, clicks)
                if conversions:
                    of_conversions = None if self.calibration is None else self.calibration.conversions
                    scores[1, now] = _probabilities(prediction.conversion, of_conversions)
        timeless, late = (0, 0)
        if self.popularity is not None:
            timeless, late = self.popularity.short_of(rows.time, rows.counts)
        if result is not None:
            result.ageless_matches += ageless
            result.timeless_candidates += timeless
            result.late_candidates += late
        elif self.popularity is not None:
            self.popularity.warn(timeless, late, B, once=True)
        if result is None and ageless and self._once.is_first("ageless"):
            given = (("times", rows.times), ("time", rows.time))
            lacking = [name for name, values in given if not _any_known(values)]
            self.fields.warn_of_ageless(ageless, B, lacking, once=True)
        if not np.isfinite(scores).all():
            raise RunError(
                f"{self.run.path}: the model gives a score that is no number (NaN): its weights, or numbers "
                "of the request, are too large; mend the request or train again"
            )
        return scores if conversions else scores[0]

    def read(self, rows: Rows, candidates: slice) -> Reading:
        """Assemble what the model reads of some candidates.

        Args:
            rows: of the requests.
            candidates: at least one of them.
        """
        model, items, users = self.run.config.model, self.catalogue.items, self.catalogue.users
        some = rows.some(candidates)
        at, history_of, times = some.at, some.request_of, rows.times
        read, offsets = some.newest(model.searched_history)
        of_history = np.arange(some.requests.start, some.requests.stop)  # [F] the request of each history
        target = np.maximum(rows.candidates[candidates], 0)
        described: FeatureTable = {}
        if rows.candidate_features:
            described = in_place(items, target, at, rows.candidate_features, candidates)
        if (by := model.filter_by) is not None:
            then = None if times is None else times[read]
            wanted = (
                described[by]
                if by in described
                else wanted_values(by, items, rows.candidates[candidates], at)
            )
            past = wanted_values(by, items, rows.history[read], then)
            found = search(past, offsets, wanted, history_of, model.max_history)
            read, offsets, history_of = read[found.kept], found.offsets, found.history_of
            of_history = of_history[found.source]
        batch = assemble(
            items,
            users,
            history=np.maximum(rows.history[read], 0),
            offsets=offsets,
            target=target,
            history_of=history_of,
            user=rows.user[of_history],
            context={name: column[of_history] for name, column in rows.context.items()},
            time=None if rows.time is None else rows.time[of_history],
            behaviour_time=None if times is None else times[read],
            behaviour={name: column[read] for name, column in rows.behaviours.items()},
        )
        batch = replace(batch, target=batch.target | columns_of(described))
        ageless = 0
        if model.matches:
            place, counted = some.newest(model.match_history)
            matches = matches_of(
                self.run.schema.matched,
                items,
                item=rows.history,
                time=times,
                place=place,
                offsets=counted,
                target=rows.candidates[candidates],
                target_features=batch.target,
                history_of=some.request_of,
                now=None if rows.time is None else rows.time[some.requests],
                timed=self.fields.timed,
            )
            batch = replace(batch, matches=matches)
            if self.fields.ages:
                ageless = int(without_age(matches, len(self.run.schema.matched)).sum())
        if self.popularity is not None:
            numbers = self.popularity.numbers(rows.candidates[candidates], batch.target, at)
            batch = replace(batch, popularity=numbers)
        if rows.user_features:
            requests = some.requests
            time = None if rows.time is None else rows.time[requests]
            own = in_place(users, rows.user[requests], time, rows.user_features, requests)
            own = {name: column[of_history - requests.start] for name, column in own.items()}
            batch = replace(batch, user=batch.user | columns_of(own))
        return Reading(batch, read, ageless)


def _opened_again(
    path: Path,
    identity: tuple[int, int],
    data: tuple[Dataset, tuple[int, int]] | None,
    device: str,
    base_rate: float | None,
    found: Registered,
) -> Scorer:
    """Open in another process what a scorer was made of.

    Raises:
        RunError: another run folder has taken its place.
        DataError: another dataset folder has.
    """
    if found.config.name not in models():  # a model of your own, that only the first process has registered
        register(found.config.name, found.model, found.config, found.space)
    run = Run.open(path)
    if run.folder.identity != identity:
        raise RunError(f"{path}: was replaced since it was opened; run again")
    if data is not None and data[0].identity != data[1]:
        raise DataError(f"{data[0].path}: was replaced, as by an append, since it was opened; run again")
    return Scorer(run, None if data is None else data[0], device, base_rate)


def _steps(counts: NDArray[np.integer], lengths: NDArray[np.integer]) -> int:
    """Count the steps of ``R`` requests with so many candidates, each of which reads so many behaviours."""
    return int(counts @ (lengths + STEPS_OF_A_CANDIDATE))


def _or_latest(times: Sequence[int | None]) -> NDArray[np.int64]:
    return np.array([LATEST if time is None else time for time in times], np.int64)


def _probabilities(logits: Tensor, platt: Platt | None) -> NDArray[np.float64]:
    """Turn log odds ``[B]`` of a model into probabilities."""
    logits = logits.cpu().double()
    found: NDArray[np.float64] = torch.sigmoid(logits if platt is None else platt(logits)).numpy()
    return found


def _any_known(times: NDArray[np.int64] | None) -> bool:
    return times is not None and bool((times != LATEST).any())


def _joined(lists: Sequence[Sequence[Any]]) -> list[Any]:
    return [value for values in lists for value in values]


def _or_nones(lists: Sequence[Sequence[Any] | None], lengths: Sequence[int]) -> list[Sequence[Any]]:
    """Put as many Nones in place of a list ``[R]`` that is not given as it would have entries."""
    pairs = zip(lists, lengths, strict=True)
    return [[None] * length if values is None else values for values, length in pairs]


def _entries(given: Sequence[dict[str, Sequence[Any]]], lengths: Sequence[int]) -> dict[str, list[Any]]:
    """Join the lists of requests ``[R]`` by feature; of those that do not give it, with Nones."""
    return {name: _joined(_or_nones([one.get(name) for one in given], lengths)) for name in _names(given)}


def _values(given: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """List the values of requests ``[R]`` by feature, None of those that do not give it."""
    return {name: [one.get(name) for one in given] for name in _names(given)}


def _names(given: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for one in given for name in one))
