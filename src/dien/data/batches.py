"""From a dataset to batches: whole impressions, packed histories, negatives drawn anew each epoch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from dien.data.batch import Batch, Columns
from dien.data.batch_sampler import BatchSampler
from dien.data.changing import Attributes, values_at
from dien.data.clicks import training_targets
from dien.data.dataset import Dataset
from dien.data.features import TIME_SINCE
from dien.data.history_filter import Found, search, wanted_values
from dien.data.id_dropout import IdDropout, training_counts
from dien.data.matches import matches_of
from dien.data.negative_sampling import PopularitySampler, negative_sampler
from dien.data.popularity import popularity_of
from dien.data.ragged import Ragged, ranges, row_of, to_offsets
from dien.data.random_streams import RandomStreams
from dien.data.tables import FeatureTable, SplitName, begins
from dien.packed import Packed

T = TypeVar("T")


def assemble(
    items: Attributes,
    users: Attributes,
    *,
    history: NDArray[np.integer],
    offsets: NDArray[np.int64],
    target: NDArray[np.integer],
    history_of: NDArray[np.int64],
    user: NDArray[np.integer],
    context: FeatureTable,
    time: NDArray[np.int64] | None = None,
    behaviour_time: NDArray[np.int64] | None = None,
    behaviour: FeatureTable | None = None,
    label: NDArray[np.int8] | None = None,
    negatives: NDArray[np.integer] | None = None,
    rows: NDArray[np.int64] | None = None,
    weight: NDArray[np.float32] | None = None,
    conversion: NDArray[np.int8] | None = None,
) -> Batch:
    """Look up the features of item and user rows. Training and scoring both encode here.

    Args:
        items: item features by item row; of those that change, the value at the time of the impression, or
            of the behaviour.
        users: user features by user row, likewise.
        history: ``[N]`` item rows of the behaviours, history after history.
        offsets: ``[R + 1]`` of the histories.
        target: ``[B]`` item rows of the candidates.
        history_of: ``[B]`` the history of each candidate.
        user: ``[R]`` user rows.
        context: context features ``[R]``.
        time: ``[R]`` seconds since 1970; read where a feature changes, None for the latest values.
        behaviour_time: ``[N]`` of the behaviours and their negatives, likewise.
        behaviour: features ``[N]`` of the behaviours themselves; None where there are none.
        label: ``[B]``.
        negatives: ``[N]`` item rows, one other than each behaviour.
        rows: ``[B]`` rows of the split; None where the candidates are of none.
        weight: ``[B]``; None where all count alike.
        conversion: ``[B]``, -1 where it is not known; None where the data does not say.
    """
    return Batch(
        history=_gather(items, history, behaviour_time) | columns_of(behaviour or {}),
        offsets=torch.from_numpy(offsets),
        history_of=torch.from_numpy(history_of),
        target=_gather(items, target, None if time is None else time[history_of]),
        user=_gather(users, user, time),
        context=columns_of(context),
        label=None if label is None else torch.from_numpy(label.astype(np.float32)),
        negatives=None if negatives is None else _gather(items, negatives, behaviour_time),
        user_row=torch.from_numpy(user.astype(np.int64)),
        rows=None if rows is None else torch.from_numpy(rows),
        weight=None if weight is None else torch.from_numpy(weight),
        conversion=None
        if conversion is None
        else torch.from_numpy(np.where(conversion < 0, np.float32("nan"), conversion).astype(np.float32)),
    )


class Batches:
    """The batches of a split.

    A batch depends on the seed, its epoch and its index alone: a run that stopped goes on with the next
    index. Batches hold whole impressions, and there are equally many in every epoch;
    :class:`~dien.data.batch_sampler.BatchSampler` says where they are cut and how well they are shuffled.

    In a torch ``DataLoader`` with workers, a map-style dataset of length ``len(batches)`` gives
    ``batches.batch(epoch, index)``, with ``batch_size=None``; batches are pickled as their arguments.

    Args:
        dataset: where from.
        split: the rows of which split.
        batch_size: about how many candidates each holds.
        max_history: newest behaviours of each history.
        match_history: newest behaviours that matches are counted over, which may be more; None for a model
            that reads no matches.
        popularity: whether candidates have numbers of how popular they are at the time of their impression
            (:mod:`dien.data.popularity`); the behaviours of the dataset are sorted for it, once.
        filter_by: feature of items, or ``item``: each candidate then has a history of its own, the newest
            ``max_history`` of the behaviours that have its value (:mod:`dien.data.history_filter`); None for
            histories that all candidates of an impression share.
        filter_history: newest behaviours that are searched for these.
        seed: order, drawn negatives and hidden ids follow from it, >= 0.
        shuffle: whether each epoch has its own order; otherwise that on disk.
        negatives: ``redrawn`` replaces the sampled negatives of training rows in each epoch, by the rule they
            were sampled by; real negatives, and those of validation and test, are always as ``stored``.
        auxiliary: whether each behaviour gets a negative for the auxiliary loss: what was shown and not
            clicked, where the data says so, else an item by popularity.
        auxiliary_negatives: ``redrawn`` draws it anew for each batch; ``fixed`` has the same for a behaviour
            wherever and whenever it is read: it follows from the seed and its place in the data alone.
        auxiliary_steps: ``new`` marks the behaviours that no earlier impression of the user in the split has
            read (``Batch.supervised``): each is marked at most once an epoch, those that no impression reads,
            as they are beyond ``max_history``, never. In train, where negatives were sampled, those that are
            targets of their own are not marked, either (:func:`~dien.data.clicks.training_targets`). ``all``
            marks none, nor is any with ``filter_by``.
        since: only impressions at this second or later. What earlier ones of the user have read is not new,
            though they are left out.
        id_dropout: ``k`` of at least 0: an id that training has ``n`` times is unknown in a batch with
            probability ``k / (k + n)`` (:class:`~dien.data.id_dropout.IdDropout`), whatever the split.
            Matches and popularity are counted before.

    Attributes:
        rows: candidates of an epoch.

    Raises:
        ValueError: ``batch_size`` or a number of behaviours is below 1, ``id_dropout`` is below 0, or
            there is no feature to filter by.
        ConfigError: popularity is asked for, and no behaviour has a time.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: SplitName,
        *,
        batch_size: int,
        max_history: int,
        seed: int = 0,
        shuffle: bool = False,
        negatives: Literal["redrawn", "stored"] = "stored",
        auxiliary: bool = False,
        auxiliary_negatives: Literal["redrawn", "fixed"] = "redrawn",
        auxiliary_steps: Literal["all", "new"] = "all",
        since: int | None = None,
        match_history: int | None = None,
        popularity: bool = False,
        id_dropout: float = 0.0,
        filter_by: str | None = None,
        filter_history: int = 1000,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name != "self"}
        self._again = partial(Batches, **arguments)
        if not isinstance(dataset, Dataset):
            raise TypeError(
                f"Batches: found a {type(dataset).__name__}, expected a Dataset; Dataset.open(path) opens a "
                "dataset folder"
            )
        if batch_size < 1 or max_history < 1:
            raise ValueError(f"batch_size {batch_size} and max_history {max_history} must be at least 1")
        if match_history is not None and match_history < 1:
            raise ValueError(f"match_history {match_history} must be at least 1, or None for no matches")
        if not 0 <= id_dropout < np.inf:
            raise ValueError(f"id_dropout {id_dropout} must be at least 0 and finite")
        if filter_history < 1:
            raise ValueError(f"filter_history {filter_history} must be at least 1")
        if filter_by is not None and filter_by not in (names := dataset.schema.matched):
            raise ValueError(f"filter_by {filter_by!r}: expected None or one of {', '.join(names)}")
        self._dataset = dataset
        self._name, self._split = split, dataset.split(split)
        self._max_history, self._match_history = max_history, match_history
        self._popularity = popularity_of(dataset) if popularity else None
        self._filter_by, self._searched = filter_by, filter_history if filter_by else max_history
        self._seed = seed
        self._per_positive = dataset.info.negatives.per_positive or 0
        redraw = negatives == "redrawn" and split == "train" and dataset.negatives_sampled
        by = dataset.info.negatives.by or "popularity"
        self._sampler = negative_sampler(by, dataset.popularity, dataset.items.get(by)) if redraw else None
        self._auxiliary = PopularitySampler(dataset.popularity) if auxiliary else None
        self._changes = any(feature.changes for feature in dataset.schema.features)
        self._auxiliary_new = auxiliary and auxiliary_steps == "new" and filter_by is None
        # With sampled negatives a target asks of the state before it what the auxiliary loss asks.
        asked = self._auxiliary_new and dataset.negatives_sampled and split == "train"
        self._targets = training_targets(dataset) if asked else None
        self._auxiliary_fixed = auxiliary_negatives == "fixed"
        self._id_dropout = (
            IdDropout(dataset.schema, id_dropout, training_counts(dataset)) if id_dropout else None
        )
        self._order = BatchSampler(self._split, batch_size, seed=seed, shuffle=shuffle, since=since)
        self.rows = self._order.rows
        self._window = (-1, -1)

    def __len__(self) -> int:
        return len(self._order)

    def __repr__(self) -> str:
        where = f"{self._name} of {str(self._dataset.path)!r}"
        return f"Batches({where}: {self.rows:,} rows in {len(self):,} batches)"

    def __reduce__(self) -> Any:
        """Pickle the arguments, for the workers of a DataLoader: batches follow from them."""
        return self._again, ()

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Go through an epoch, from the batch ``start`` on."""
        return (self.batch(epoch, index) for index in range(start, len(self)))

    def batch(self, epoch: int, index: int) -> Batch:
        """Build one batch.

        Args:
            epoch: number of the epoch, >= 0.
            index: ``0 <= index < len(self)``.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        behaviours, split = self._dataset.behaviours, self._split
        window = (epoch, self._order.window_of(index))
        if window != self._window:
            self._window = window
            self._dataset.release(split)  # what the window before has read
        chosen = self._order.batch(epoch, index)  # [R] impressions

        end = split.end[chosen]
        start = np.maximum(begins(behaviours, split, chosen), end - self._searched)
        place, offsets = ranges(start, end - start), to_offsets(end - start)  # [N] behaviours, [R + 1]

        shown = split.offsets[chosen + 1] - split.offsets[chosen]  # [R] candidates of each
        candidate = ranges(split.offsets[chosen], shown)  # [B]
        impression_of = history_of = row_of(shown)
        target, label = split.item[candidate], split.label[candidate]

        rng = np.random.default_rng([1, self._seed, epoch, index])
        if self._sampler:
            clicked = label == 1  # each impression's positives stand first
            target[~clicked] = self._sampler.draw_outside(
                rng,
                history_of[~clicked],
                history_of[clicked],
                target[clicked],
                np.repeat(target[clicked], self._per_positive),
            )
        of_history = chosen  # [R] the impression of each history
        if self._filter_by is not None:
            found = self._found(self._filter_by, place, offsets, target, history_of, split.time[chosen])
            place, offsets, history_of = place[found.kept], found.offsets, found.history_of
            of_history = chosen[found.source]
        history, user, time = behaviours.item[place], split.user[of_history], split.time[of_history]
        negatives = self._negatives(rng, place, history) if self._auxiliary else None
        supervised = self._new(chosen, place, offsets) if self._auxiliary_new else None
        batch = assemble(
            self._dataset.items,
            self._dataset.users,
            history=history,
            offsets=offsets,
            target=target,
            history_of=history_of,
            user=user,
            context={name: column[of_history] for name, column in split.context.items()},
            time=time,
            behaviour_time=behaviours.time[place] if self._changes else None,
            behaviour=self._behaviour(place, np.repeat(time, np.diff(offsets))),
            label=label,
            negatives=negatives,
            rows=candidate,
            weight=None if split.weight is None else self._weight(split.weight[candidate]),
            conversion=None if split.conversion is None else split.conversion[candidate],
        )
        batch = replace(batch, shown=not self._dataset.negatives_sampled, places=torch.from_numpy(place))
        if supervised is not None:
            batch = replace(batch, supervised=torch.from_numpy(supervised))
        if self._match_history is not None:
            batch = self._with_matches(batch, chosen, target, impression_of)
        if self._popularity is not None:
            numbers = self._popularity.numbers(target, batch.target, split.time[chosen][impression_of])
            batch = replace(batch, popularity=numbers)
        if self._id_dropout is None:
            return batch
        return self._id_dropout.apply(
            batch,
            (self._seed, epoch, index),
            target=target,
            history=history,
            negatives=negatives,
            user=user,
        )

    def _found(
        self,
        name: str,
        place: NDArray[np.int64],
        offsets: NDArray[np.int64],
        target: NDArray[np.int32],
        history_of: NDArray[np.int64],
        now: NDArray[np.int64],
    ) -> Found:
        """Search the behaviours ``place [L]`` of impressions, at times ``[R]``, for each candidate's."""
        behaviours, items = self._dataset.behaviours, self._dataset.items
        then = behaviours.time[place] if self._changes else None
        past = wanted_values(name, items, behaviours.item[place], then)
        return search(
            past, offsets, wanted_values(name, items, target, now[history_of]), history_of, self._max_history
        )

    def _with_matches(
        self,
        batch: Batch,
        chosen: NDArray[np.int64],
        target: NDArray[np.int32],
        history_of: NDArray[np.int64],
    ) -> Batch:
        """Match candidates ``[B]`` with the histories of impressions ``[R]``, beyond what the batch has."""
        behaviours, split, dataset = self._dataset.behaviours, self._split, self._dataset
        end = split.end[chosen]
        start = np.maximum(begins(behaviours, split, chosen), end - (self._match_history or 0))
        found = matches_of(
            dataset.schema.matched,
            dataset.items,
            item=behaviours.item,
            time=behaviours.time,
            place=ranges(start, end - start),
            offsets=to_offsets(end - start),
            target=target,
            target_features=batch.target,
            history_of=history_of,
            now=split.time[chosen],
            timed=dataset.info.timed,
        )
        return replace(batch, matches=found)

    def _new(
        self, impression: NDArray[np.int64], place: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Tell which behaviours ``[N]`` the impression before it, ``[R]``, of the same user does not have.

        Impressions are in order of user and of the end of their histories. Histories that stand in the rows
        of a log are each behaviours of their own. Targets are left out where they would be.
        """
        user, before = self._split.user, np.maximum(impression - 1, 0)
        same = (impression > 0) & (user[before] == user[impression])
        seen = np.where(same, self._split.end[before], 0)  # [R] places below are no news
        new: NDArray[np.bool_] = place >= np.repeat(seen, np.diff(offsets))
        return new if self._targets is None else new & ~self._targets[place]

    def _weight(self, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        """Divide weights ``[B]`` by the mean of the training rows, so that their scale does not matter."""
        scaled: NDArray[np.float64] = weight / np.float64(self._dataset.info.mean_weight)
        return scaled.astype(np.float32)

    def _behaviour(self, place: NDArray[np.int64], now: NDArray[np.int64]) -> FeatureTable:
        """Features of behaviours ``[N]`` at the time ``[N]`` of their impressions."""
        behaviours = self._dataset.behaviours
        table: FeatureTable = {}
        for feature in self._dataset.schema.of("behaviour"):
            if feature.name == TIME_SINCE:
                since = now - behaviours.time[place]
                table[feature.name] = feature.encode(since, {})
            else:
                table[feature.name] = behaviours.features[feature.name][place]
        return table

    def _negatives(
        self, rng: np.random.Generator, place: NDArray[np.int64], history: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """Draw one item other than each behaviour ``[N]``."""
        assert self._auxiliary is not None
        streams = RandomStreams(self._seed, place) if self._auxiliary_fixed else None
        drawn = self._auxiliary.draw_other_than(rng if streams is None else streams, history)
        if (unclicked := self._dataset.behaviours.unclicked) is not None:
            start, end = unclicked.start[place], unclicked.end[place]
            chance = rng.random(len(place)) if streams is None else streams.random(np.arange(len(place)))
            at = start + (chance * (end - start)).astype(np.int64)
            some = (end > start).nonzero()[0]
            item = unclicked.item[at[some]]
            other = item != history[some]  # what was passed over may have been clicked in the end
            drawn[some[other]] = item[other]
        return drawn


@contextmanager
def core_for_prefetch() -> Iterator[None]:
    """Leave one core to the thread that builds batches, where :func:`ready` has one.

    torch's threads wait for each other at every operation: one that shares its core holds all of them up, for
    milliseconds where the work takes microseconds.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, min(threads, cores() - 1)) if cores() > FEW_CORES else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def ready(batches: Iterable[T]) -> Iterator[T]:
    """Have batches built before they are asked for.

    On few cores they are built as they are asked for: a core taken from the model costs more than it saves
    (benchmarks/epoch.py prints the share of an epoch that building takes).
    """
    return prefetch(batches) if cores() > FEW_CORES else iter(batches)


FEW_CORES = 2


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prefetch(batches: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Build up to ``depth >= 1`` batches ahead in one thread, in order; what it raises is raised here."""
    iterator, done = iter(batches), object()
    with ThreadPoolExecutor(1) as worker:
        ahead: deque[Future[T | object]] = deque(worker.submit(next, iterator, done) for _ in range(depth))
        while (batch := ahead.popleft().result()) is not done:
            ahead.append(worker.submit(next, iterator, done))
            yield batch  # type: ignore[misc]  # not the sentinel


def _gather(table: Attributes, rows: NDArray[np.integer], times: NDArray[np.int64] | None) -> Columns:
    return columns_of(values_at(table, rows, times))


def columns_of(table: FeatureTable) -> Columns:
    """Make encoded features the tensors of a batch."""
    columns: Columns = {}
    for name, column in table.items():
        if isinstance(column, Ragged):
            values = torch.from_numpy(column.values.astype(np.int64))
            columns[name] = Packed(values, torch.from_numpy(column.offsets))
        elif column.dtype == np.float32:
            columns[name] = torch.from_numpy(column)
        else:
            columns[name] = torch.from_numpy(column.astype(np.int64))
    return columns
