import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"
sys.path.insert(0, str(PEERS))

import compare  # noqa: E402
from compare import OURS, Contestant, measure, notes, some_of, table  # noqa: E402
from install import PEERS as INSTALLABLE  # noqa: E402
from shapes import GROUPS, SHAPES, draw  # noqa: E402

sys.path.remove(str(PEERS))

DRAWN = {name: shape for name, shape in SHAPES.items() if shape.rows * shape.longest <= 2**18}


class Fake:
    """A contestant whose answers are known; None is a failure."""

    def __init__(self, name, answers):
        self.name, self._answers, self.trouble, self.closed = name, iter(answers), "", False

    def seconds(self, shape):
        found = next(self._answers)
        self.trouble = "" if found else "out of memory"
        return found

    def close(self):
        self.closed = True


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(compare, "PAUSE", 0)


@pytest.mark.parametrize("name", DRAWN)
def test_rows_have_the_lengths_of_their_shape_and_padding_behind_them(name):
    shape = DRAWN[name]
    rows = draw(shape)
    assert len(rows.target) == len(rows.label) == shape.rows
    assert rows.lengths.min() >= 1
    assert rows.lengths.max() <= shape.longest
    if shape.mean is None:
        assert (rows.lengths == shape.longest).all()
    elif shape.histories >= 512:
        assert abs(rows.lengths.mean() - shape.mean) < 2
    for items in (rows.history, rows.negatives):
        assert ((items > 0) == (np.arange(shape.longest) < rows.lengths[:, None])).all()
        assert items.max() < shape.items == len(rows.category)


def test_peers_get_the_history_of_each_row():
    shape = SHAPES["train-15-paired"]
    rows = draw(shape)
    padded = rows.padded()
    assert padded["hist_item"].shape == (shape.rows, shape.longest)
    assert (padded["hist_item"][::2] == padded["hist_item"][1::2]).all()
    assert (padded["hist_cate"] == rows.category[padded["hist_item"]]).all()


def test_ratios_are_formed_within_a_round():
    text = table(SHAPES["score-15"], {OURS: [0.1, 0.2, 0.4], "peer": [0.2, 0.8, 1.2]})
    assert "| dien | 200.0 | 5,120 |  |" in text
    assert "| peer | 800.0 | 1,280 | 3.0 (2.5 to 3.5) |" in text


def test_quartiles_lie_within_what_was_measured():
    assert "5.5 (3.2 to 7.8)" in table(SHAPES["score-15"], {OURS: [1, 1], "peer": [1, 10]})


def test_a_round_asks_everyone_once_and_the_first_answer_warms_up():
    fakes = {OURS: Fake(OURS, [9, 1, 2]), "peer": Fake("peer", [9, 3, 4])}
    assert measure("score-15", fakes, 2, fakes.get) == {OURS: [1, 2], "peer": [3, 4]}
    assert all(fake.closed for fake in fakes.values())


@pytest.mark.parametrize("answers", [[None], [9, None], [9, 3, None]])
def test_a_peer_that_fails_is_reported_and_left_out(answers, capsys):
    fakes = {OURS: Fake(OURS, [9, 1, 2]), "peer": Fake("peer", answers)}
    assert measure("score-15", fakes, 2, fakes.get) == {OURS: [1, 2]}
    assert "score-15: peer is left out: out of memory" in capsys.readouterr().err


def test_without_ours_there_are_no_ratios():
    assert "| peer | 1,000.0 | 1,024 |  |" in table(SHAPES["score-15"], {"peer": [1, 1]})


def test_a_worker_answers_with_the_seconds_of_a_step_and_with_what_went_wrong():
    contestant = Contestant(OURS)
    try:
        for shape in GROUPS["smoke"]:
            seconds = contestant.seconds(shape)
            assert contestant.trouble == ""
            assert 0 < seconds < 60
        assert contestant.seconds("no such shape") is None
        assert contestant.trouble == "KeyError: 'no such shape'"
        assert contestant.seconds(shape) is not None
    finally:
        contestant.close()
    assert contestant.seconds(shape) is None
    assert contestant.trouble == "the process has ended"


def test_every_peer_can_be_installed_and_says_what_it_is():
    assert {compare.environment(peer) for peer in compare.PEERS} == set(INSTALLABLE)
    assert "- recbole, recbole-as-shipped: RecBole 1.2.1, " in notes(compare.PEERS)


def test_names_are_read_with_their_groups_and_unknown_ones_refused():
    read = some_of(SHAPES, GROUPS)
    assert read("request,core,hidden-64") == [
        "request", "train-15", "train-15-paired", "train-100", "score-15", "hidden-64"
    ]  # fmt: skip
    with pytest.raises(argparse.ArgumentTypeError, match="'score': expected some of core"):
        read("request,score")
