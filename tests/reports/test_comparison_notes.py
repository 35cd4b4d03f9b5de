import pytest
from msgspec import structs

from dien.reports.comparison_notes import notes
from dien.reports.comparison_report import markdown
from dien.training.comparison import Comparison
from tests.reports.comparisons import OVER, difference, summary
from tests.reports.pages import NAME


def said(comparison: Comparison) -> str:
    return "\n".join(notes(comparison))


def test_the_notes_say_what_failed_and_what_is_not_alike(comparison: Comparison) -> None:
    found = list(notes(comparison))
    assert f"{NAME}, seed 1: failed: {NAME}" in found  # of the traceback, the error alone
    assert f"Not the same for every model: training.epochs (din 3, {NAME} 4)." in found
    assert "speak of seeds, not of another split" in said(comparison)
    assert "the same impressions and negatives, in the same order;" in said(comparison)
    comparison.settings["din"]["training"]["batch_size"] = 64
    comparison.settings[NAME]["training"]["batch_size"] = 128
    assert "every model has the same impressions;" in said(comparison)
    comparison.data = ["a", "b"]
    assert "take the mean of each dataset" in said(comparison)
    assert "4 replicates: 2 training seeds on each of a, b." in said(comparison)


def test_the_test_is_explained_wherever_a_p_value_is_shown_and_the_best_model_where_it_has_one(
    comparison: Comparison,
) -> None:
    best = f"against {NAME}, whose mean test AUC turned out highest"
    text = markdown(comparison)
    assert f"paired t test, two-sided, {best}; in brackets" in text
    assert "Its p values and those of all differences are not adjusted" in text

    # a best model of one replicate, which other models have several of
    comparison.table = [summary("din", over_best=structs.replace(OVER, p=None)), summary(NAME)]
    text = markdown(comparison)
    assert "< 0.0001" in text
    assert "paired t test, two-sided; in brackets" in text
    assert "The p values of all differences are not adjusted" in text
    assert best not in text

    comparison.differences = [difference(NAME, "din", p=None)]
    comparison.untested = "there is one replicate"
    text = markdown(comparison)
    assert "No test: there is one replicate." in text
    assert "paired t test" not in text
    assert "| p |" not in text.partition("\n")[0]


def test_histories_of_other_lengths_and_batches_of_other_sizes_are_noted(comparison: Comparison) -> None:
    assert "max_history" not in said(comparison)
    assert "batch sizes" not in said(comparison)
    for model, size in (("din", 64), (NAME, 128)):
        comparison.settings[model]["training"]["batch_size"] = size
        comparison.settings[model]["model"]["max_history"] = size
    text = said(comparison)
    assert f"model.max_history (din 64, {NAME} 128): they read histories of other lengths." in text
    assert f"batch sizes differ (din 64, {NAME} 128); for figures: dien bench." in text


@pytest.mark.parametrize(
    ("drawn", "expected", "never"),
    [
        (["split", "negatives"], "Each dataset has its own split and negatives.", "share one split"),
        (
            ["negatives"],
            "differ in sampled negatives alone: intervals and tests speak of seeds and neg",
            "its own",
        ),
        ([], "have the same rows: intervals and tests speak of seeds, not of another split.", "its own"),
    ],
)
def test_what_several_data_share_is_told_by_what_their_seed_has_drawn(
    drawn: list[str], expected: str, never: str, comparison: Comparison
) -> None:
    text = said(structs.replace(comparison, data=["/data/beauty", "/data/b"], seeds=1, drawn=drawn))
    assert expected in text
    assert never not in text


@pytest.mark.parametrize(
    ("key", "needed", "what"),
    [
        ("filter_history", {"filter_by": "item"}, "they search other parts of the histories"),
        ("match_history", {"matches": True}, "they count matches over histories of other lengths"),
        ("match_dropout", {"matches": True}, "training hides matches of other shares of the candidates"),
    ],
)
def test_keys_of_filters_and_matches_are_noted_where_they_have_an_effect_in_several_models(
    key: str, needed: dict[str, object], what: str, comparison: Comparison
) -> None:
    for model, value in (("din", 1), (NAME, 2)):
        comparison.settings[model]["model"].update(needed, **{key: value})
    assert f"Not the same for every model: model.{key} (din 1, {NAME} 2): {what}." in said(comparison)
    for name in needed:
        comparison.settings["din"]["model"][name] = None  # as of a model of one's own, or of earlier versions
    assert f"model.{key}" not in said(comparison)
