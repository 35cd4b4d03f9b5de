import dataclasses
import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dien.data.prepare import temporal
from dien.data.sources import synthetic
from dien.data.sources.synthetic import Simulation, best_auc
from dien.errors import DataError


def columns(truth: synthetic.Synthetic) -> tuple[np.ndarray, ...]:
    """User, category and click of each event, users in turn, each in time order; and the best scores."""
    events = truth.log.events
    category = truth.log.items["category"].str.slice(1).cast(pl.Int64).to_numpy()
    order = np.lexsort((events["time"].to_numpy(), events["user"].to_numpy()))
    return (
        events["user"].to_numpy()[order],
        category[events["item"].to_numpy() - 1][order],
        events["label"].to_numpy()[order] == 1,
        truth.probability[order],
    )


@pytest.fixture(scope="module")
def truth() -> synthetic.Synthetic:
    return Simulation(4000, 600, 30, 7).generate()


def distance(a: int, b: int, K: int) -> int:
    return min((a - b) % K, (b - a) % K)


def click(shown: int, interest: int, K: int) -> float:
    return {0: synthetic.SAME, 1: synthetic.NEIGHBOUR}.get(distance(shown, interest, K), synthetic.OTHER)


def move(old: int, new: int, K: int) -> float:
    anywhere = synthetic.MOVE * (1 - synthetic.AHEAD) / K
    ahead = synthetic.MOVE * synthetic.AHEAD * (new == (old + 1) % K)
    return anywhere + ahead + (1 - synthetic.MOVE) * (new == old)


def by_enumeration(shown: list[int], clicked: list[bool], K: int) -> float:
    """P(click on the last) over every path of interests, where a model sees the clicked ones only."""
    total = hit = 0.0
    for path in itertools.product(range(K), repeat=len(shown)):
        chance = 1 / K
        for k in range(len(shown) - 1):
            if clicked[k]:
                chance *= click(shown[k], path[k], K) / K * move(path[k], path[k + 1], K)
            else:  # what was shown is not seen
                chance *= sum(1 - click(c, path[k], K) for c in range(K)) / K * (path[k] == path[k + 1])
        total += chance
        hit += chance * click(shown[-1], path[-1], K)
    return hit / total


@pytest.mark.parametrize("K", [3, 4, 5])
def test_the_best_score_is_the_posterior_over_every_path_of_interests(K: int) -> None:
    user, shown, clicked, best = columns(Simulation(30, 2 * K, 1, 0, per_day=4, categories=K).generate())
    compared = with_clicks = 0
    for last in range(len(user)):
        first = int(np.searchsorted(user, user[last]))
        if last - first < 6:
            now = slice(first, last + 1)
            expected = by_enumeration(shown[now].tolist(), clicked[now].tolist(), K)
            assert best[last] == pytest.approx(expected, abs=1e-7)
            compared += 1
            with_clicks += clicked[first:last].sum() >= 2
    assert compared >= 50
    assert with_clicks >= 5


def test_the_best_score_of_a_history_is_that_of_the_log(truth: synthetic.Synthetic) -> None:
    user, shown, clicked, best = columns(truth)
    for last in range(0, len(user), 997):
        first = int(np.searchsorted(user, user[last]))
        history = shown[first:last][clicked[first:last]].tolist()
        logit = synthetic.exact_logit(history, int(shown[last]))
        assert 1 / (1 + np.exp(-logit)) == pytest.approx(best[last], abs=1e-6)


def test_a_spell_ends_with_a_click_and_clicks_of_one_spell_lie_closer(truth: synthetic.Synthetic) -> None:
    user, shown, clicked, _ = columns(truth)
    events = truth.log.events
    order = np.lexsort((events["time"].to_numpy(), events["user"].to_numpy()))
    spell = truth.spell[order]
    same = user[1:] == user[:-1]
    step = np.diff(spell)
    assert set(step[same].tolist()) == {0, 1}
    assert clicked[:-1][same & (step == 1)].all()
    assert (spell[1:][~same] == 0).all()
    both = clicked[1:] & clicked[:-1] & same
    apart = np.array([distance(a, b, 12) for a, b in zip(shown[1:][both], shown[:-1][both], strict=True)])
    within, across = (apart[step[both] == k] for k in (0, 1))
    assert (within == 0).mean() > (across == 0).mean() + 0.05


def test_clicks_come_as_often_as_the_best_score_says(truth: synthetic.Synthetic) -> None:
    _, _, clicked, best = columns(truth)
    edges = np.quantile(best, np.linspace(0, 1, 21)[1:-1])
    bins = np.searchsorted(edges, best)
    rows = np.bincount(bins)
    surprise = np.bincount(bins, clicked - best)[rows > 0]
    spread = np.sqrt(np.bincount(bins, best * (1 - best.astype(np.float64)))[rows > 0])
    assert np.abs(surprise / spread).max() < 4


def test_the_number_of_impressions_without_a_click_says_nothing_about_the_interest(
    truth: synthetic.Synthetic,
) -> None:
    user, _, clicked, best = columns(truth)
    clicks = np.cumsum(clicked) - clicked  # before each event
    group = np.unique(user.astype(np.int64) << 32 | clicks, return_inverse=True)[1]
    passed = np.arange(len(user)) - np.searchsorted(group, group)  # since the last click
    for some in (passed == 0, passed >= 8):
        spread = np.sqrt((best * (1 - best.astype(np.float64)))[some].sum())
        assert abs((clicked - best)[some].sum()) < 4 * spread


def test_a_score_blind_to_order_stays_well_below_the_best(truth: synthetic.Synthetic) -> None:
    user, shown, clicked, best = (column[:150_000] for column in columns(truth))
    K = synthetic.CATEGORIES
    first = np.searchsorted(user, user)
    before = np.cumsum(np.eye(K, dtype=np.int32)[shown] * clicked[:, None], axis=0)
    before = np.concatenate([np.zeros((1, K), np.int32), before])
    counts = before[np.arange(len(user))] - before[first]  # clicks on each category before each event
    counts = np.take_along_axis(counts, (shown[:, None] + np.arange(K)) % K, axis=1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    blind = _logistic(np.column_stack([counts, shares]), clicked)
    some = counts.sum(1) > 0
    reached = synthetic._auc(blind[some].astype(np.float32), clicked[some])
    most = synthetic._auc(best[some], clicked[some])
    assert 0.75 < most < 0.85
    assert 0.55 < reached < 0.5 + 0.8 * (most - 0.5)


def _logistic(inputs: np.ndarray, clicked: np.ndarray) -> np.ndarray:
    """Log odds of a logistic regression, by Newton's method."""
    X = np.column_stack([np.ones(len(inputs)), (inputs - inputs.mean(0)) / (inputs.std(0) + 1e-9)])
    weights = np.zeros(X.shape[1])
    for _ in range(8):
        p = 1 / (1 + np.exp(-X @ weights))
        curvature = (X.T * (p * (1 - p))) @ X + 1e-3 * np.eye(len(weights))
        weights += np.linalg.solve(curvature, X.T @ (clicked - p) - 1e-3 * weights)
    return X @ weights


def test_a_simulation_has_the_users_days_and_impressions_asked_for(truth: synthetic.Synthetic) -> None:
    events = truth.log.events
    moments = events.select("user", "time")
    assert moments.n_unique() == len(events)
    assert events["time"].is_sorted()
    day = (events["time"] - 1_704_067_200) // 86_400
    assert (day.min(), day.max()) == (0, 29)
    assert (events["hour"].cast(pl.Int64) == events["time"] % 86_400 // 3600).all()
    count = events["user"].value_counts()["count"]
    assert len(count) == 4000
    assert count.mean() == pytest.approx(150, abs=4 * 150 / 4000**0.5)
    assert count.quantile(0.05) < 20
    assert count.quantile(0.95) > 400


def test_categories_are_shown_alike_and_their_items_by_popularity(truth: synthetic.Synthetic) -> None:
    _, shown, _, _ = columns(truth)
    K, E = synthetic.CATEGORIES, len(shown)
    assert np.abs(np.bincount(shown) - E / K).max() < 4 * (E / K) ** 0.5
    rank = (truth.log.events["item"].to_numpy() - 1) // K
    share = np.cumsum(np.bincount(rank, minlength=50)) / E
    assert share == pytest.approx(np.sqrt(np.arange(1, 51) / 50), abs=4 * 0.5 / E**0.5)


def test_the_same_arguments_give_the_same_log_and_another_seed_another() -> None:
    first, again, other = (Simulation(50, 20, 3, seed).generate() for seed in (1, 1, 2))
    assert first.log.events.equals(again.log.events)
    assert first.probability.tobytes() == again.probability.tobytes()
    assert not first.log.events.equals(other.log.events)


def test_a_written_log_is_the_generated_one_day_by_day(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(synthetic, "_BLOCK", 500)  # several blocks
    written: list[int] = []
    for name in ("a", "b"):
        Simulation(200, 30, 3, 5).write(tmp_path / name, progress=written.append)
    truth = Simulation(200, 30, 3, 5).generate()
    files = sorted(file.relative_to(tmp_path / "a") for file in (tmp_path / "a").rglob("*.parquet"))
    assert len(files) > 2 + 3
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    days = []
    for file in files[:-2]:
        part = pl.read_parquet(tmp_path / "a" / file, hive_partitioning=False)
        assert part["time"].is_sorted()
        at = pl.from_epoch(part["time"]).dt.strftime("day=%Y-%m-%d")
        assert set(at) == {file.parent.name}
        days.append(part)
    events = pl.concat(days).sort("time", "user").with_columns(pl.col("hour").cast(pl.String))
    assert events.equals(truth.log.events.sort("time", "user"))
    assert sum(written) == 2 * len(events)
    for name, of_log in (("item", truth.log.items), ("user", truth.log.users)):
        table = pl.read_parquet(tmp_path / "a" / f"{name}s.parquet")
        assert table[name].dtype.is_integer()
        assert table.with_columns(pl.col(name).cast(pl.String)).equals(of_log)


def test_a_log_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Simulation(10, 20, 2, 0).write(tmp_path / "log", progress=stop)
    assert not list(tmp_path.iterdir())


def test_a_log_is_not_written_over_a_path_that_exists(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(DataError, match="mine"):
        Simulation(10, 20, 2, 0).write(tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "kept"


def pairs_in_order(score: np.ndarray, clicked: np.ndarray) -> float:
    above, below = score[clicked][:, None], score[~clicked][None, :]
    return float(((above > below) + 0.5 * (above == below)).mean())


def test_the_best_auc_of_a_split_is_that_of_its_rows_best_scores() -> None:
    truth = Simulation(100, 40, 5, 3).generate()
    prepared = temporal(truth.log, warmup=1)
    best = best_auc(truth, prepared)
    assert list(best) == ["train", "valid", "test"]
    events = truth.log.events
    score = dict(zip(events.select("user", "time").iter_rows(), truth.probability, strict=True))
    for name, split in prepared.splits.items():
        assert len(split) > 20
        found = np.array([score[key] for key in zip(split.user.tolist(), split.time.tolist(), strict=True)])
        assert best[name] == pytest.approx(pairs_in_order(found, split.label == 1), abs=1e-12)


def test_a_split_of_one_class_has_no_best_auc() -> None:
    truth = Simulation(100, 40, 5, 3).generate()
    prepared = temporal(truth.log, warmup=1)
    prepared.splits["test"].label[:] = 0
    assert best_auc(truth, prepared)["test"] is None


def test_impressions_of_another_log_are_refused() -> None:
    truth, other = Simulation(100, 40, 5, 3).generate(), Simulation(100, 40, 5, 4).generate()
    with pytest.raises(DataError, match="prepare it from this log"):
        best_auc(truth, temporal(other.log, warmup=1))
    prepared = temporal(truth.log, warmup=1)
    train = prepared.splits["train"]
    prepared.splits["train"] = dataclasses.replace(train, item=train.item % 40 + 1)
    with pytest.raises(DataError, match="train"):
        best_auc(truth, prepared)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"users": 0}, "users"),
        ({"items": 11}, "items"),
        ({"days": 0}, "days"),
        ({"seed": -1}, "seed"),
        ({"per_day": 0.1}, "per_day"),
        ({"per_day": float("nan")}, "per_day"),
        ({"categories": 2}, "categories"),
    ],
)
def test_an_argument_of_a_simulation_out_of_range_is_named(wrong: dict[str, float], named: str) -> None:
    with pytest.raises(DataError, match=f"{named} is "):
        Simulation(**({"users": 10, "items": 20, "days": 5, "seed": 0} | wrong)).generate()


def test_a_user_may_be_shown_something_each_second_but_not_more(monkeypatch) -> None:
    monkeypatch.setattr(synthetic, "_DAY", 600)
    events = Simulation(20, 12, 1, 0, per_day=590).generate().log.events
    assert events.select("user", "time").n_unique() == len(events)
    assert events["user"].value_counts()["count"].max() == 600
    assert events["time"].max() == 1_704_067_200 + 599
