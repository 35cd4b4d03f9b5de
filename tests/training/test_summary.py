from collections.abc import Callable
from statistics import fmean, stdev

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dien.training.comparison import ComparedRun, Difference, FailedRun, ModelSummary, UnfinishedRun
from dien.training.metrics import METRICS, Metrics
from dien.training.summary import (
    Replicate,
    difference,
    holm,
    relative_improvement,
    spread,
    summarise,
)
from tests.reports.comparisons import run

AUC = st.floats(0.4, 0.95, allow_nan=False)


def on(data: str, *values: float) -> dict[Replicate, float]:
    return {(data, seed): value for seed, value in enumerate(values)}


def test_the_paired_test_is_what_one_computes_by_hand() -> None:
    found = difference(on("d", 5, 5, 5), on("d", 4, 3, 2))
    # differences 1, 2, 3: mean 2, standard error 1 / sqrt 3, t = 3.4641 with 2 degrees of freedom
    assert found is not None
    assert (found.mean, found.count) == (2, 3)
    assert found.p == pytest.approx(0.0741799, abs=1e-6)
    half = 4.3026527 / 3**0.5
    assert (found.low, found.high) == (pytest.approx(2 - half, abs=1e-6), pytest.approx(2 + half, abs=1e-6))


@given(st.lists(st.tuples(AUC, AUC), min_size=2, max_size=8))
@settings(max_examples=50)
def test_the_paired_test_is_scipys(pairs: list[tuple[float, float]]) -> None:
    first, second = zip(*pairs, strict=True)
    found = difference(on("d", *first), on("d", *second))
    assert found is not None
    if found.low == found.high:
        return  # no spread to test by
    theirs = stats.ttest_rel(first, second)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    assert found.low == pytest.approx(theirs.confidence_interval(0.95).low, rel=1e-6, abs=1e-12)


def test_replicates_that_only_one_model_has_do_not_count() -> None:
    first = {("d", 0): 0.7, ("d", 1): 0.8, ("d", 3): 0.1}
    second = {("d", 0): 0.6, ("d", 1): 0.6, ("d", 2): 0.9}
    found = difference(first, second)
    assert found is not None
    assert (found.count, found.mean) == (2, pytest.approx(0.15))
    assert relative_improvement(first, second) == pytest.approx(0.25 / 0.1 - 1)
    assert difference(first, {("d", 7): 0.5}) is None
    assert relative_improvement(first, {("d", 7): 0.5}) is None


def test_one_replicate_has_a_difference_but_no_test() -> None:
    assert difference(on("d", 0.75), on("d", 0.5)) == Difference(0.25, None, None, None, 1)
    one = spread(on("d", 0.75))
    assert one is not None
    assert (one.mean, one.std, one.low, one.high, one.count) == (0.75, None, None, None, 1)


def test_the_same_difference_everywhere_needs_no_spread() -> None:
    assert difference(on("d", 0.5, 0.75), on("d", 0.5, 0.75)) == Difference(0, 0, 0, 1.0, 2)
    assert difference(on("d", 0.75, 1.0), on("d", 0.5, 0.75)) == Difference(0.25, 0.25, 0.25, 0.0, 2)


def test_seeds_on_the_same_data_count_as_one_replicate_where_there_are_several_data() -> None:
    first = {**on("a", 0.7, 0.8), **on("b", 0.6, 0.9, 0.9), **on("c", 0.5)}
    second = dict.fromkeys(first, 0.5)
    found = difference(first, second, several=True)
    theirs = stats.ttest_1samp([0.25, 0.3, 0.0], 0)
    assert found is not None
    assert (found.count, found.p) == (3, pytest.approx(theirs.pvalue))
    of_all = spread(first, several=True)
    assert of_all is not None
    assert of_all.std == pytest.approx(stdev(first.values()))
    middle, half = fmean([0.75, 0.8, 0.5]), 4.3026527 * stdev([0.75, 0.8, 0.5]) / 3**0.5
    assert (of_all.mean, of_all.low, of_all.high) == (
        pytest.approx(middle),
        pytest.approx(middle - half, rel=1e-6),
        pytest.approx(middle + half, rel=1e-6),
    )


@pytest.mark.parametrize(
    "not_done",
    [
        lambda model, data, seed: UnfinishedRun(model, data, seed, "runs/x"),
        lambda model, data, seed: FailedRun(model, data, seed, "runs/x", "no"),
    ],
    ids=["unfinished", "failed"],
)
def test_seeds_of_the_only_data_that_is_done_are_not_tested_as_if_they_were_splits(
    not_done: Callable[[str, str, int], ComparedRun],
) -> None:
    runs = [run(model, seed, auc + seed / 100) for model, auc in (("a", 0.6), ("b", 0.7)) for seed in (0, 1)]
    others = [not_done(m, "e", s) for m in "ab" for s in (2, 3)]
    assert summarise(["a", "b"], runs).differences[0].count == 2
    found = summarise(["a", "b"], [*runs, *others])
    (pair,) = found.differences
    assert (pair.count, pair.p) == (1, None)
    assert found.table[0].auc.low is None
    assert found.table[0].auc.std is not None
    assert found.untested.endswith("give more datasets")


def test_holms_adjustment_is_what_one_computes_by_hand() -> None:
    # ascending 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.04, which may not fall
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_adjusted_p_values_are_ordered_as_they_were_and_lie_between_theirs_and_bonferronis(
    p_values: list[float],
) -> None:
    adjusted = holm(p_values)
    for p, above in zip(p_values, adjusted, strict=True):
        assert p <= above <= min(len(p_values) * p, 1.0)
    assert [above for _, above in sorted(zip(p_values, adjusted, strict=True))] == sorted(adjusted)
    assert adjusted[p_values.index(min(p_values))] == min(len(p_values) * min(p_values), 1.0)
    assert holm(p_values[:1]) == p_values[:1]


def test_steps_from_model_to_model_are_adjusted_for_their_number_and_other_pairs_are_not() -> None:
    aucs = {"a": (0.6, 0.61, 0.63), "b": (0.7, 0.72, 0.71), "c": (0.7, 0.73, 0.75), "d": (0.8, 0.8, 0.84)}
    runs = [run(model, seed, auc) for model, of in aucs.items() for seed, auc in enumerate(of)]
    pairs = {(pair.model, pair.over): pair for pair in summarise(list(aucs), runs).differences}
    steps = [("b", "a"), ("c", "b"), ("d", "c")]
    assert [pairs[step].p_holm for step in steps] == holm([pairs[step].p for step in steps])
    assert all(pair.p_holm is None for names, pair in pairs.items() if names not in steps)
    # a step that cannot be tested is one of those that were asked about
    pairs = {(pair.model, pair.over): pair for pair in summarise(list(aucs), runs[:-2]).differences}
    assert pairs["d", "c"].p_holm is None
    assert pairs["b", "a"].p_holm == pytest.approx(3 * pairs["b", "a"].p)


def test_relative_improvement_is_that_of_the_paper() -> None:
    # Table 3 of the paper, Books: DIEN over BaseModel
    assert relative_improvement(on("d", 0.8453), on("d", 0.7686)) == pytest.approx(0.2856, abs=1e-4)
    assert relative_improvement(on("d", 0.7), on("d", 0.5)) is None


def test_the_base_is_basemodel_wherever_it_stands_and_else_the_first() -> None:
    runs = [run(model, seed, 0.6 + seed / 10) for model in ("din", "sum-pooling") for seed in range(2)]
    assert summarise(["din", "sum-pooling"], runs).base == "sum-pooling"
    assert summarise(["din"], runs).base == "din"


def test_models_are_held_against_the_best_and_every_pair_is_there_once() -> None:
    runs = [
        run(model, seed, auc + seed / 100)
        for model, auc in (("a", 0.6), ("b", 0.8), ("c", 0.7))
        for seed in range(3)
    ]
    runs[0] = run("a", 0, 0.65)
    found = summarise(["a", "b", "c"], runs)
    assert (found.best, found.untested) == ("b", None)
    assert [(pair.model, pair.over) for pair in found.differences] == [
        ("b", "a"),
        ("c", "a"),
        ("c", "b"),
    ]
    a, b, c = found.table
    assert b.over_best is None
    assert c.over_best.mean == pytest.approx(-0.1)
    assert a.over_best.mean == pytest.approx((-0.15 - 0.2 - 0.2) / 3)
    assert a.training_rows_per_second == 101
    assert a.scoring_rows_per_second is None


def test_without_an_auc_or_a_second_replicate_there_is_no_test_and_it_says_why() -> None:
    found = summarise(["a", "b"], [run("a", 0, 0.6), run("b", 0, 0.7)])
    assert "two replicates" in found.untested
    found = summarise(["a", "b"], [run(model, seed, None) for model in "ab" for seed in range(2)])
    assert found.best is None
    assert found.untested == "no run has an AUC on the test split"
    assert found.table[0].auc is None
    assert found.table[0].gauc.mean == 0.5
    found = summarise(["a", "b"], [run("a", 0, 0.6), FailedRun("b", "/data/beauty", 0, "runs/x", "no")])
    assert found.table[1].runs == 0
    assert found.differences == []


def test_the_metrics_of_conversions_are_put_together_over_the_runs_that_have_them() -> None:
    def test_of(conversion: float) -> Metrics:
        of = Metrics(conversion, None, 0.5, None, 0.1, rows=4, positives=2, users=1)
        return Metrics(0.6, 0.5, 0.5, 1.0, 0.1, rows=9, positives=4, users=2, conversion=of)

    runs = [run("a", seed, 0.6, test=test_of(0.7 + seed / 8)) for seed in range(2)] + [run("a", 2, 0.6)]
    with_one, without = summarise(["a", "b"], [*runs, run("b", 0, 0.6)]).table
    assert with_one.conversion is not None
    assert set(with_one.conversion) == set(METRICS)
    assert with_one.conversion["auc"] == spread(on("/data/beauty", 0.7, 0.7 + 1 / 8))
    assert with_one.conversion["gauc"] is None
    assert with_one.click_and_conversion is None
    assert without.conversion is None
    plain = msgspec.to_builtins([with_one, without])
    assert "conversion" in plain[0]
    assert not {"conversion", "click_and_conversion"} & plain[1].keys()
    assert msgspec.convert(plain, list[ModelSummary]) == [with_one, without]
