from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_auroc

from dien.calibration import Platt
from dien.training.metrics import MetricStream
from dien.training.probabilities import CALIBRATION_BINS

Row = tuple[float, int, int]
# Of 16 bits: a score so near 0 that its probability rounds to 0.5 is on either side of a bin's edge.
scores = st.one_of(st.sampled_from([-1.5, -0.0, 0.0, 0.25, 3.0]), st.floats(-30, 30, width=16))
rows = st.lists(st.tuples(scores, st.integers(0, 1), st.integers(0, 4)), min_size=1, max_size=40)


def metrics_of(rows: list[Row], sizes: list[int] | None = None, **options: bool):  # type: ignore[no-untyped-def]
    """Feed rows in batches of these sizes, over and over."""
    stream, start, turn = MetricStream(**options), 0, 0
    while start < len(rows):
        size = sizes[turn % len(sizes)] if sizes else len(rows)
        part = rows[start : start + size]
        score, label, user = (np.array(column) for column in zip(*part, strict=True))
        stream.update(score.astype(np.float32), label, user)
        start, turn = start + size, turn + 1
    return stream.compute()


def slow_auc(rows: list[Row]) -> float | None:
    """Every pair of a click and a non-click, one by one."""
    pairs = [(a > b) + (a == b) / 2 for a, la, _ in rows if la for b, lb, _ in rows if not lb]
    return sum(pairs) / len(pairs) if pairs else None


def slow_gauc(rows: list[Row]) -> float | None:
    total, weight = 0.0, 0
    for user in {row[2] for row in rows}:
        own = [row for row in rows if row[2] == user]
        if (auc := slow_auc(own)) is not None:
            total, weight = total + auc * len(own), weight + len(own)
    return total / weight if weight else None


@settings(max_examples=150)
@given(rows, st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_streamed_metrics_equal_brute_force_however_the_rows_are_cut(
    rows: list[Row], sizes: list[int]
) -> None:
    rows = sorted(rows, key=lambda row: row[2])
    result = metrics_of(rows, sizes)
    logit = np.array([row[0] for row in rows], np.float32).astype(np.float64)
    label = np.array([row[1] for row in rows])
    p = 1 / (1 + np.exp(-logit))
    assert result.auc == pytest.approx(slow_auc(rows))
    assert result.gauc == pytest.approx(slow_gauc(rows))
    assert result.log_loss == pytest.approx(np.mean(np.logaddexp(0, np.where(label == 1, -logit, logit))))
    assert result.calibration == (pytest.approx(p.sum() / label.sum()) if label.any() else None)
    bins = np.minimum((p * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    distance = sum(abs((p - label)[bins == b].sum()) for b in range(CALIBRATION_BINS))
    assert result.calibration_error == pytest.approx(distance / len(rows), abs=1e-12)
    assert (result.rows, result.positives) == (len(rows), label.sum())


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(scores, st.integers(0, 1), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40
    ),
    st.integers(1, 9),
)
def test_a_row_of_a_whole_weight_counts_as_so_many_rows(
    rows: list[tuple[float, int, int, int]], size: int
) -> None:
    rows = sorted(rows, key=lambda row: row[2])
    weighted = MetricStream()
    for start in range(0, len(rows), size):
        score, label, user, weight = map(np.array, zip(*rows[start : start + size], strict=True))
        weighted.update(score.astype(np.float32), label, user, weight.astype(np.float32))
    found, repeated = weighted.compute(), metrics_of([row[:3] for row in rows for _ in range(row[3])])
    for name in ("auc", "gauc", "log_loss", "calibration", "calibration_error", "users"):
        value = getattr(repeated, name)
        assert getattr(found, name) == (None if value is None else pytest.approx(value, abs=1e-12)), name
    assert (found.rows, found.positives) == (len(rows), sum(row[1] for row in rows))
    if found.auc is None and 0 < found.positives < found.rows:
        assert found.note == "no AUC: all clicks or all non-clicks have weight 0"


@given(rows, st.sampled_from([1.0, 0.25, 3.0, 1e-30]))
def test_weights_that_are_all_alike_change_no_metric(rows: list[Row], weight: float) -> None:
    rows = sorted(rows, key=lambda row: row[2])
    score, label, user = (np.array(column) for column in zip(*rows, strict=True))
    stream = MetricStream()
    stream.update(score.astype(np.float32), label, user, np.full(len(rows), weight, np.float32))
    found, bare = stream.compute().to_dict(), metrics_of(rows).to_dict()
    if weight == 1:
        assert found == bare
    for name in ("auc", "gauc", "log_loss", "calibration", "calibration_error"):
        assert found[name] == (None if bare[name] is None else pytest.approx(bare[name], rel=1e-6)), name


@settings(max_examples=60)
@given(
    st.lists(st.tuples(scores, st.integers(0, 1), st.integers(1, 3)), min_size=1, max_size=60), st.booleans()
)
def test_deciles_hold_every_row_once_in_the_order_of_the_scores(
    rows: list[tuple[float, int, int]], weighted: bool
) -> None:
    score, label, weight = map(np.array, zip(*rows, strict=True))
    stream, platt = MetricStream(), Platt(0.5, 0.25)
    each = weight.astype(np.float32) if weighted else None
    stream.update(score.astype(np.float32), label, np.zeros(len(rows), int), each)
    found = stream.compute(platt).deciles
    assert found is not None
    weight = weight if weighted else np.ones(len(rows))
    order = np.argsort(score, kind="stable")
    p = 1 / (1 + np.exp(-platt(score.astype(np.float64))))
    done = 0
    for decile in found:
        chosen = order[done : done + decile.rows]
        assert decile.mean_score == pytest.approx(np.average(p[chosen], weights=weight[chosen]))
        assert decile.click_rate == pytest.approx(np.average(label[chosen], weights=weight[chosen]))
        observed = (label * weight)[chosen].sum()
        ratio = (p * weight)[chosen].sum() / observed if observed else None
        assert decile.calibration == (None if ratio is None else pytest.approx(ratio))
        done += decile.rows
        assert done == len(rows) or score[order[done]] > score[chosen].max()  # level scores are together
    assert done == len(rows)
    if len(set(score)) == len(rows) >= 10:
        assert len(found) == 10
        assert max(d.rows for d in found) - min(d.rows for d in found) <= 1


def test_scores_that_are_calibrated_rank_as_before_and_tell_both_log_losses() -> None:
    rng = np.random.default_rng(3)
    score = rng.normal(size=3000).astype(np.float32)
    label = (rng.random(3000) < 1 / (1 + np.exp(1 - score / 2))).astype(int)
    stream, bare = MetricStream(), MetricStream()
    for one in (stream, bare):
        one.update(score, label, np.arange(3000) // 30)
    found, before = stream.compute(stream.fit()), bare.compute()
    assert (found.auc, found.gauc) == (before.auc, before.gauc)
    assert found.uncalibrated is not None
    for name in ("log_loss", "calibration", "calibration_error"):
        assert getattr(found.uncalibrated, name) == getattr(before, name)
        assert found.flat()[f"uncalibrated_{name}"] == getattr(before, name)
    assert found.log_loss is not None
    assert before.log_loss is not None
    assert found.log_loss < before.log_loss - 0.01
    assert found.calibration == pytest.approx(1)
    assert before.uncalibrated is None
    assert "uncalibrated_log_loss" not in before.flat()


@pytest.mark.parametrize("decimals", [1, 6])
def test_auc_equals_torchmetrics(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    score = rng.normal(size=20_000).round(decimals).astype(np.float32)
    label = (rng.normal(size=20_000) + score > 0.5).astype(int)
    stream = MetricStream()
    for start in range(0, 20_000, 999):
        part = slice(start, start + 999)
        stream.update(score[part], label[part], np.zeros_like(label[part]))
    expected = binary_auroc(torch.from_numpy(score).double().sigmoid(), torch.from_numpy(label))
    assert stream.compute().auc == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ([], "there are no rows"),
        ([(0.1, 1, 0), (0.2, 1, 0)], "every label is 1"),
        ([(0.1, 0, 0), (0.2, 0, 1)], "every label is 0"),
    ],
)
def test_labels_of_one_kind_give_no_auc_and_a_note(rows: list[Row], note: str) -> None:
    result = metrics_of(rows)
    assert result.auc is None
    assert result.gauc is None
    assert result.note is not None
    assert note in result.note


def test_users_with_one_kind_of_label_each_give_auc_but_no_gauc() -> None:
    result = metrics_of([(2.0, 1, 0), (1.0, 0, 1)])
    assert (result.auc, result.gauc, result.users) == (1.0, None, 0)
    assert result.note is not None
    assert "GAUC" in result.note


def test_scores_that_only_rank_have_no_log_loss() -> None:
    result = metrics_of([(200.0, 1, 0), (100.0, 0, 0)], probabilities=False)
    assert result.auc == result.gauc == 1.0
    assert result.log_loss is None
    assert result.calibration is None


def test_memory_stays_flat_however_many_rows_there_are() -> None:
    rng = np.random.default_rng(0)

    def peak(batches: int) -> int:
        stream = MetricStream()
        tracemalloc.start()
        for index in range(batches):
            stream.update(
                rng.random(2000, np.float32), rng.integers(0, 2, 2000), 100 * index + np.arange(2000) // 20
            )
        stream.compute()
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    peak(1)
    assert peak(400) < 1.1 * peak(100)
