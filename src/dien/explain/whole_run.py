"""What a log says beside what a model has learned from it, by place, age and kind of a behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from dien.data.batches import core_for_prefetch, ready
from dien.data.dataset import Dataset
from dien.data.ragged import ranges, to_offsets
from dien.data.tables import Split, SplitName
from dien.device import device_of
from dien.errors import ConfigError, RunError
from dien.explain.attention import attention_layers
from dien.explain.kept import attention_kept
from dien.explain.read_pairs import KINDS, ReadPairs
from dien.progress import Progress
from dien.run import Run
from dien.training.evaluate import batches_read_by

NO_HISTORY = "no history"

_POSITIONS = (1, 2, 3, 4, 5, 6, 8, 11, 16, 21, 31, 51, 101, 201, 501, 1001)
_HOUR, _DAY = 3600, 86400
_AGES = {
    "under 1 hour": 0,
    "under 1 day": _HOUR,
    "under 3 days": _DAY,
    "under 1 week": 3 * _DAY,
    "under 2 weeks": 7 * _DAY,
    "under 4 weeks": 14 * _DAY,
    "under 13 weeks": 28 * _DAY,
    "under 26 weeks": 91 * _DAY,
    "under 1 year": 182 * _DAY,
    "1 year and more": 365 * _DAY,
}


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the log that have behaviours of one kind at one place.

    Attributes:
        number: of pairs of a row and such a behaviour of its history.
        rows: how many different rows these are of: what says how sure the means are.
        clicked: share of these whose row was clicked.
        score: their mean score.
        attention: by layer (:mod:`dien.explain.attention`), mean attention that the behaviour has.
    """

    number: int
    rows: int
    clicked: float
    score: float
    attention: dict[str, float]


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """Behaviours at one place of their histories, or of one age.

    Attributes:
        name: as ``1`` for the newest behaviour, ``6-7``, or ``under 1 week``.
        first: where it begins: a place from 1, or seconds.
        cells: by kind of behaviour, those that there are.
    """

    name: str
    first: int
    cells: dict[str, Cell]


class WholeRun(msgspec.Struct, frozen=True, kw_only=True):
    """What the log says beside what a model has learned.

    A row, which is a candidate of an impression, counts once for each behaviour of its history that the model
    reads. Rows all count alike, whatever their weights.

    Attributes:
        run: name of the run folder.
        model: name of the model.
        split: whose rows.
        impressions: how many were looked at.
        of_impressions: how many the split has.
        rows: candidates of those that were looked at.
        clicked: share of the rows that were clicked.
        score: mean score of the rows.
        calibrated: whether scores are calibrated, as :class:`dien.Scorer` gives them.
        category: feature of items that says what ``same category`` is; None where items have none.
        reads: newest behaviours that the model reads at most.
        layers: of the model's attention (:mod:`dien.explain.attention`).
        kinds: what a behaviour may be to the candidate: ``same item``; ``same category`` and another item;
            ``other``.
        rows_by_kind: each row once, by the first kind that its history has a behaviour of, or ``no history``.
            Attention is that to all behaviours of the kind together.
        positions: by the place from the end of the history, 1 is the newest.
        ages: by the time from the behaviour to the impression; empty where times are not known.
    """

    run: str
    model: str
    split: str
    impressions: int
    of_impressions: int
    rows: int
    clicked: float
    score: float
    calibrated: bool
    category: str | None
    reads: int
    layers: list[str]
    kinds: list[str]
    rows_by_kind: dict[str, Cell]
    positions: list[Band]
    ages: list[Band]

    def to_json(self) -> str:
        """Write it as one JSON object."""
        return msgspec.json.encode(self).decode()

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def whole_run(
    run: Run | Path | str,
    data: Dataset | Path | str | None = None,
    *,
    split: SplitName = "test",
    sample: int | None = None,
    category: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> WholeRun:
    """Set the click rate in a log beside a model's scores and attention, by place, age and kind of behaviour.

    Args:
        run: a finished run or its folder.
        data: the dataset it was trained on; None where it still lies where it was.
        split: which rows.
        sample: impressions to look at, drawn at random without replacement, always the same; None for all.
        category: feature of items that says what ``same category`` is, one with values; None for the first
            in the schema after the item's id.
        device: where the model computes, as ``training.device`` has it.
        progress: called with the number of rows just looked at.

    Raises:
        ConfigError: there is no such feature or device.
        RunError: the run is not finished, its dataset has moved, ``data`` is another dataset, or a score is
            not finite.
        DataError: the dataset cannot be read.
        ValueError: there is no such split, or ``sample`` is below 1.
    """
    place = device_of(device)
    run = run if isinstance(run, Run) else Run.open(run)
    dataset = run.dataset(data)
    run.expect_data(dataset)
    by = _category(dataset, category)
    found, config = dataset.split(split), run.config.model
    all_of_them = len(found)
    if sample is not None and sample < 1:
        raise ValueError(f"sample is {sample}, expected at least 1")
    if sample is not None and sample < all_of_them:
        chosen = np.sort(np.random.default_rng(0).choice(all_of_them, sample, replace=False))
        found = _some(found, chosen)
        dataset = replace(dataset, splits={**dataset.splits, split: found})
    batches = batches_read_by(config, dataset, split)
    model = run.load_model().to(place).eval()
    platt = None if model.calibration is None else model.calibration.clicks
    layers = list(attention_layers(model))
    sums = _Sums(layers)
    with attention_kept(model) as attention, core_for_prefetch(), torch.inference_mode():
        for batch in ready(batches.epoch(0)):
            logits = model(batch.to(place)).logits.cpu().double()  # [B]
            if not bool(torch.isfinite(logits).all()):
                raise RunError(
                    f"{run.path}: a score is not a finite number: its weights are too large; train again"
                )
            scores = torch.sigmoid(logits if platt is None else platt(logits)).numpy()  # [B]
            weights = [attention[name].float().cpu().numpy() for name in layers]  # [P] each
            sums.add(ReadPairs.of(batch, dataset, found, by), scores, weights)
            if progress:
                progress(len(batch))
    return WholeRun(
        run=run.path.resolve().name,
        model=config.name,
        split=split,
        impressions=len(found),
        of_impressions=all_of_them,
        rows=sums.rows,
        clicked=sums.clicked / max(sums.rows, 1),
        score=sums.score / max(sums.rows, 1),
        calibrated=platt is not None,
        category=by,
        reads=config.max_history,
        layers=layers,
        kinds=list(KINDS),
        rows_by_kind=sums.of_rows((*KINDS, NO_HISTORY)),
        positions=sums.of_positions(_names_of(_POSITIONS), _POSITIONS),
        ages=sums.of_ages(list(_AGES), list(_AGES.values())),
    )


def _category(dataset: Dataset, given: str | None) -> str | None:
    """Choose the feature by which categories are told apart."""
    names = dataset.schema.matched[1:]
    if given is not None and given not in names:
        raise ConfigError(
            f"category {given!r}: expected a feature of items that has values: {', '.join(names) or 'none'}"
        )
    return given or (names[0] if names else None)


def _some(split: Split, chosen: NDArray[np.int64]) -> Split:
    """Take some impressions of a split, in their order."""
    counts = split.offsets[chosen + 1] - split.offsets[chosen]
    rows = ranges(split.offsets[chosen], counts)
    return Split(
        user=split.user[chosen],
        end=split.end[chosen],
        time=split.time[chosen],
        context={name: column[chosen] for name, column in split.context.items()},
        offsets=to_offsets(counts),
        item=split.item[rows],
        label=split.label[rows],
        weight=None if split.weight is None else split.weight[rows],
        conversion=None if split.conversion is None else split.conversion[rows],
        start=None if split.start is None else split.start[chosen],
    )


def _names_of(firsts: Sequence[int]) -> list[str]:
    """Name the bands of whole numbers that begin with some."""
    lasts = [after - 1 for after in firsts[1:]]
    names = [str(a) if a == b else f"{a}-{b}" for a, b in zip(firsts, lasts, strict=False)]
    return [*names, f"{firsts[-1]} and more"]


class _Sums:
    """What is added up over the batches.

    Args:
        layers: of attention.
    """

    def __init__(self, layers: Sequence[str]) -> None:
        self.rows, self.clicked, self.score = 0, 0.0, 0.0
        self._layers, columns = list(layers), 4 + len(layers)
        self._of_rows = np.zeros(((len(KINDS) + 1), columns))
        self._of_positions = np.zeros((len(_POSITIONS) * len(KINDS), columns))
        self._of_ages = np.zeros((len(_AGES) * len(KINDS), columns))

    def add(
        self, read: ReadPairs, scores: NDArray[np.float64], attention: Sequence[NDArray[np.floating]]
    ) -> None:
        """Add a batch: scores ``[B]``, and attention ``[P]`` of each layer."""
        row, kind, clicked = read.row, read.kind, read.clicked
        self.rows += len(scores)
        self.clicked += float(clicked.sum())
        self.score += float(scores.sum())
        of_pairs = [clicked[row], scores[row], *attention]
        band = np.searchsorted(_POSITIONS, read.position, "right") - 1
        _add(self._of_positions, band * len(KINDS) + kind, row, of_pairs)
        timed = read.age >= 0
        band = np.searchsorted(list(_AGES.values()), read.age[timed], "right") - 1
        timed_pairs = [column[timed] for column in of_pairs]
        _add(self._of_ages, band * len(KINDS) + kind[timed], row[timed], timed_pairs)
        first = np.full(len(scores), len(KINDS))  # [B] no history
        np.minimum.at(first, row, kind)
        of_first = kind == first[row]
        together: list[NDArray[np.floating]] = [
            np.bincount(row[of_first], weights[of_first], minlength=len(scores)).astype(np.float64)
            for weights in attention
        ]
        _add(self._of_rows, first, np.arange(len(scores)), [clicked, scores, *together])

    def of_rows(self, names: Sequence[str]) -> dict[str, Cell]:
        """Give the cells of rows that count once."""
        return self._cells(self._of_rows, names)

    def of_positions(self, names: Sequence[str], firsts: Sequence[int]) -> list[Band]:
        """Give the bands of places that have anything in them."""
        return self._bands(self._of_positions, names, firsts)

    def of_ages(self, names: Sequence[str], firsts: Sequence[int]) -> list[Band]:
        """Give the bands of ages that have anything in them."""
        return self._bands(self._of_ages, names, firsts)

    def _bands(self, table: NDArray[np.float64], names: Sequence[str], firsts: Sequence[int]) -> list[Band]:
        parts = np.split(table, len(names))
        bands = [
            Band(name=name, first=first, cells=self._cells(part, KINDS))
            for name, first, part in zip(names, firsts, parts, strict=True)
        ]
        return [band for band in bands if band.cells]

    def _cells(self, table: NDArray[np.float64], names: Sequence[str]) -> dict[str, Cell]:
        return {
            name: Cell(
                number=int(sums[0]),
                rows=int(sums[1]),
                clicked=sums[2] / sums[0],
                score=sums[3] / sums[0],
                attention={
                    layer: total / sums[0] for layer, total in zip(self._layers, sums[4:], strict=True)
                },
            )
            for name, sums in zip(names, table.tolist(), strict=True)
            if sums[0]
        }


def _add(
    table: NDArray[np.float64],
    code: NDArray[np.int64],
    row: NDArray[np.int64],
    columns: Sequence[NDArray[np.floating]],
) -> None:
    """Add to cells ``code [n]`` of a table: pairs, different rows of ``row [n]``, sums of columns ``[n]``."""
    cells = len(table)
    table[:, 0] += np.bincount(code, minlength=cells)
    table[:, 1] += np.bincount(np.unique(row * cells + code) % cells, minlength=cells)
    for number, column in enumerate(columns, 2):
        table[:, number] += np.bincount(code, column, minlength=len(table))
